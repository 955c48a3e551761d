"""Long recordings: speed and memory of an hour, how late a live window is told, and what voice activity keeps.

Usage: OPENBLAS_NUM_THREADS=1 python benchmarks/bench_timeline.py [recordings | voices | clips]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import scipy.fft
import soundfile as sf
import soxr
from _publish import CORPORA, publish

from sersk import emotion_pipeline, load_audio, load_corpus, save_model
from sersk.audio import stream_audio
from sersk.degradation import Condition, degrade
from sersk.descriptors import describe
from sersk.filterbanks import FrameSettings
from sersk.voice_activity import VoiceActivity, measure_speech

SR = 16000
WINDOW, HOP, MIN_SPEECH = 3 * SR, SR, 0.25  # the defaults
BLOCK = 0.02  # seconds that a microphone gives at a time
CLIPS = 80  # of each corpus, for voice activity
RUNS = 3


# --- speed and memory


def write_hour(file, rate, pauses, seconds=3600):
    """Join RAVDESS clips, with pauses of room noise between them if asked for."""
    random = np.random.default_rng(0)
    clips = sorted((CORPORA / "ravdess").rglob("*.flac"))
    n_left = seconds * rate
    with sf.SoundFile(file, "w", rate, 1, "PCM_16") as hour:
        while n_left > 0:
            clip, own = sf.read(random.choice(clips), dtype="float32")
            clip = soxr.resample(clip if clip.ndim == 1 else clip.mean(axis=1), own, rate)
            pause = random.normal(0, 1e-4, int(random.exponential(1.0) * rate) if pauses else 0)
            part = np.concatenate([clip, pause])[:n_left]
            hour.write(part)
            n_left -= len(part)


def run_on_one_core(command):
    """Give the seconds that a command takes, by the clock and of the processor, until its first line, its peak MB, its lines."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, preexec_fn=pin
    )
    lines = []
    for line in process.stdout:
        lines.append(json.loads(line))
        if len(lines) == 1:
            first = time.perf_counter() - start
        if len(lines) % 100 == 0:  # the kernel's own account, which wait4 gives, begins with this process' memory
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    _, failure, usage = os.wait4(process.pid, 0)
    if failure:
        raise SystemExit(f"{command} failed")
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "cpu": usage.ru_utime + usage.ru_stime, "first": first, "peak": peak, "lines": lines}


def floor(recording):
    """Give the seconds of the processor that nobody can do without: reading, resampling, one windowed FFT a frame."""
    window = np.hanning(1024).astype(np.float32)
    start = time.process_time()
    for piece in stream_audio(recording):
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(piece, 512), 1024)[::256]
        for first in range(0, len(frames), 256):
            scipy.fft.rfft(frames[first : first + 256] * window)
    return time.process_time() - start


def pin():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


# --- live


def feed(process, waveform, rate, started):
    """Give a microphone's blocks, each when its last sample would have been heard."""
    size = int(BLOCK * rate)
    for number in range(len(waveform) // size):
        delay = started + (number + 1) * BLOCK - time.perf_counter()
        if delay > 0:
            time.sleep(delay)
        process.stdin.write(waveform[number * size : (number + 1) * size].tobytes())
        process.stdin.flush()
    process.stdin.close()


def measure_delays(model, recording, rate, seconds=20):
    """Measure the seconds from the last sample of a window to its line."""
    waveform = sf.read(recording, frames=seconds * rate, dtype="int16")[0]
    command = [
        sys.executable,
        "-m",
        "sersk",
        "predict",
        "--timeline",
        "--json",
        "--raw",
        str(rate),
        "--model",
        model,
        "-",
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(np.zeros(4 * rate, np.int16).tobytes())  # four seconds at once, so that it has started
        process.stdin.flush()
        process.stdout.readline()
        started = time.perf_counter()
        feeder = threading.Thread(target=feed, args=(process, waveform, rate, started))
        feeder.start()
        delays = []
        for line in process.stdout:
            end = json.loads(line)["end"] - 4
            if end > BLOCK:
                delays.append(time.perf_counter() - started - end)
        feeder.join()
    return delays[:-1]  # the last window comes with the end of the stream


# --- voice activity


def noise(kind, n, random):
    """Make a noise of standard deviation 1."""
    time_of = np.arange(n) / SR
    if kind in ("white", "pink", "brown"):
        spectrum = np.fft.rfft(random.standard_normal(n))
        frequencies = np.maximum(np.fft.rfftfreq(n, 1 / SR), 20)
        waveform = np.fft.irfft(spectrum * frequencies ** -{"white": 0.0, "pink": 0.5, "brown": 1.0}[kind], n)
    elif kind.startswith("hum"):
        phase = 2 * np.pi * float(kind.split()[1]) * time_of
        waveform = sum(np.sin(k * phase + k) / k for k in range(1, 15)) + 0.1 * random.standard_normal(n)
    elif kind == "babble":  # six voices of EmoDB, each clip after clip
        files = sorted((CORPORA / "emodb").rglob("*.flac"))
        waveform = np.zeros(n)
        for _ in range(6):
            voice = np.concatenate([load_audio(file) for file in random.choice(files, 60, replace=False)])
            waveform += np.resize(voice, n)
    elif kind == "dial tone":  # 1 s in 5
        waveform = np.sin(2 * np.pi * 425 * time_of) * (time_of % 5 < 1)
    else:  # keys: three short bursts a second
        waveform = np.zeros(n)
        for at in random.integers(0, n - 400, int(3 * n / SR)):
            waveform[at : at + 400] += np.exp(-np.arange(400) / 60) * random.standard_normal(400)
    return waveform / waveform.std()


def talk(corpus, random):
    """Join clips with pauses between them, many of which are longer than a window, and where the voices are."""
    files = sorted((CORPORA / corpus).rglob("*.flac"))
    parts, truth = [], []
    for file in random.choice(files, CLIPS, replace=False):
        clip = load_audio(file)
        pause = int(random.uniform(2, 8) * SR if random.random() < 0.5 else random.uniform(0, 0.4) * SR)
        level = describe(clip, ["log_rms"], FrameSettings(sr=SR, n_fft=512, hop_length=160))["log_rms"][:, 0]
        active = np.repeat(level >= level.max() - 40, 160)[: len(clip)]
        parts += [np.zeros(pause), 0.05 * clip / clip[: len(active)][active].std()]
        truth += [np.zeros(pause, bool), active, np.zeros(len(clip) - len(active), bool)]
    return np.concatenate(parts), np.concatenate(truth)


def rates(waveform, truth):
    """Tell the share of windows of speech that are kept, and of windows without that are refused."""
    activity = VoiceActivity(SR)
    activity.add(waveform)
    starts = range(0, len(waveform) - WINDOW, HOP)
    kept = np.array([activity.share(start, start + WINDOW) >= MIN_SPEECH for start in starts])
    speech = np.array([truth[start : start + WINDOW].mean() for start in starts])
    return f"{kept[speech >= 0.5].mean():.3f}", f"{1 - kept[speech == 0].mean():.3f}"


def bench_voice_activity():
    conditions = [("room noise", None)]
    conditions += [
        (kind, snr)
        for kind in ("white", "pink", "brown", "hum 60 Hz", "hum 100 Hz", "dial tone", "keys", "babble")
        for snr in (20, 10, 5, 0)
    ]
    rows = [{"noise": kind, "SNR (dB)": "-" if snr is None else snr} for kind, snr in conditions]
    for corpus, name in (("emodb", "EmoDB*"), ("ravdess", "RAVDESS"), ("tess", "TESS")):
        random = np.random.default_rng(0)
        clean, truth = talk(corpus, random)
        level = clean[truth].std()
        for row, (kind, snr) in zip(rows, conditions, strict=True):
            added = (
                1e-4 * noise("white", len(clean), random)
                if snr is None
                else level * 10 ** (-snr / 20) * noise(kind, len(clean), random)
            )
            row[f"{name} kept"], row[f"{name} refused"] = rates(clean + added, truth)
    publish(
        "voice_activity",
        "Voice activity: windows of speech that are kept, and windows without that are refused",
        rows,
        f"{CLIPS} clips of each corpus with pauses between them, half of which last 2 to 8 s; windows of 3 s every second.\n"
        "Kept: of the windows that are speech for half of their time or more, those that get an emotion by default\n"
        f"(`min_speech` {MIN_SPEECH}). Refused: of those without any speech, those that get none. SNR over the voices' own time;\n"
        "room noise is white at -80 dB of full scale; babble is six other voices, which pass for speech, as they are.\n"
        "* The numbers of sersk/voice_activity.py were chosen on EmoDB.",
    )


def bench_clips():
    """Count the clips that have no emotion, by corpus and condition; all that are clean, of the others one in eight."""
    names = ("clean", "noise-20", "noise-10", "noise-5", "pink-10", "telephone", "mp3-16", "reverb-0.5", "gain-20")
    rows = []
    for corpus, label in (("ravdess", "RAVDESS"), ("emodb", "EmoDB*"), ("tess", "TESS"), ("nemo", "nEMO")):
        files = sorted((CORPORA / corpus).rglob("*.flac"))
        refused, least, n_degraded = dict.fromkeys(names, 0), 1.0, len(files[::8])
        for number, file in enumerate(files):
            clip = load_audio(file)
            for name in names if number % 8 == 0 else names[:1]:
                if name == "pink-10":
                    level = np.sqrt(np.mean(np.square(clip[clip != 0])) / 10)
                    heard = clip + level * noise("pink", len(clip), np.random.default_rng(0))
                else:
                    heard = degrade(clip, SR, Condition.named(name), seed=0)
                share, densest = measure_speech(heard, SR)
                refused[name] += densest < MIN_SPEECH
                least = min(least, share * len(clip) / SR) if name == "clean" else least
        counts = {name: f"{n} of {len(files) if name == 'clean' else n_degraded}" for name, n in refused.items()}
        rows.append({"corpus": label, **counts, "least s": f"{least:.2f}"})
    publish(
        "no_speech",
        "Whole clips without an emotion, since voice activity finds no speech in them",
        rows,
        f"By default (`min_speech` {MIN_SPEECH}). Clean: all clips of the corpus; the others: every eighth. The conditions are those\n"
        "of `sersk robustness`, pink noise at 10 dB SNR beside them. Least s: the fewest seconds of speech that a clean clip has.\n"
        "* The numbers of sersk/voice_activity.py were chosen on EmoDB.",
    )


def main():
    what = sys.argv[1:] or ["voices", "recordings", "clips"]
    if "clips" in what:
        bench_clips()
    if "voices" in what:
        bench_voice_activity()
    if "recordings" in what:
        bench_recordings()


def bench_recordings():
    corpus = load_corpus(CORPORA / "ravdess")
    model = emotion_pipeline("svm").fit(corpus.data, corpus.target, classifier__groups=corpus.groups)
    rows, delays = [], {}
    with tempfile.TemporaryDirectory() as folder:
        save_model(model, f"{folder}/svm.sersk")
        for rate, pauses in ((48000, True), (16000, True), (16000, False)):
            recording = Path(folder, "hour.wav")
            write_hour(recording, rate, pauses)
            arguments = ["--timeline", "--json", "--model", f"{folder}/svm.sersk", recording]
            runs, floors = [], []
            for _ in range(RUNS):
                runs.append(run_on_one_core([sys.executable, "-m", "sersk", "predict", *arguments]))
                floors.append(floor(recording))
            middle = sorted(runs, key=lambda run: run["seconds"])[RUNS // 2]
            spoken = np.mean([line["emotion"] is not None for line in middle["lines"]])
            rows.append(
                {
                    "one hour of RAVDESS": f"{rate // 1000} kHz, {'pauses' if pauses else 'no pauses'}",
                    "windows with an emotion": f"{spoken:.0%}",
                    "s": f"{middle['seconds']:.1f}",
                    "of it to the first line": f"{middle['first']:.1f}",
                    "s of the processor": f"{middle['cpu']:.1f}",
                    "times real time": f"{3600 / middle['seconds']:.0f}",
                    "by the processor's time": f"{3600 / middle['cpu']:.0f}",
                    "times the floor": f"{middle['cpu'] / np.median(floors):.1f}",
                    "peak MB": f"{max(run['peak'] for run in runs):.0f}",
                }
            )
            if pauses:
                delays[rate] = measure_delays(f"{folder}/svm.sersk", recording, rate)
    live = "; ".join(
        f"{rate // 1000} kHz {1000 * np.median(own):.0f} ms, at the most {1000 * max(own):.0f}"
        for rate, own in delays.items()
    )
    publish(
        "timeline",
        "Long recordings: `sersk predict --timeline` with an SVM trained on RAVDESS, one core",
        rows,
        f"The whole command, its start included, median of {RUNS} runs; peak resident memory of all of them. The clock's and\n"
        "the processor's times differ where other processes ran on the same core; the floor is reading, resampling to 16 kHz and\n"
        "one windowed FFT a frame, in the processor's time, in turn with the command.\n\n"
        f"Live, from `--raw` on stdin, a window is told after its last sample came in: {live};\n"
        f"{len(delays[SR])} windows each, fed in blocks of {1000 * BLOCK:.0f} ms as a microphone gives them.",
    )


if __name__ == "__main__":
    main()
