"""Time the extraction on one core beside librosa and openSMILE, on clips and on a long recording; on two processes; memory.

Usage: OPENBLAS_NUM_THREADS=1 python benchmarks/bench_features.py

openSMILE is measured where it is installed (pip install opensmile).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import librosa
import numpy as np
import scipy.fft
import soundfile as sf
import soxr
from _publish import CORPORA, peak_megabytes, publish
from threadpoolctl import threadpool_limits

from sersk import AcousticFeatures, FrameSequences

ROUNDS = 5
MINUTES = 10


def one_by_one(run):
    return lambda paths: [run(path) for path in paths]


def read_clip(path, sr):
    y, rate = sf.read(path, dtype="float32")
    return soxr.resample(y if y.ndim == 1 else y.mean(axis=1), rate, sr)


def floor(n_fft, hop_length, sr):
    """Decode, resample, one windowed rfft a frame: what nobody can do without."""
    window = np.hanning(n_fft).astype(np.float32)

    def run(path):
        y = np.pad(read_clip(path, sr), n_fft // 2)
        frames = np.lib.stride_tricks.sliding_window_view(y, n_fft)[::hop_length]
        for first in range(0, len(frames), 4096):  # a long recording's windows would not fit into memory at once
            scipy.fft.rfft(frames[first : first + 4096] * window)

    return one_by_one(run)


def sersk(preset):
    return AcousticFeatures.from_preset(preset).transform


def librosa_default(pitch=None):
    """Compute the default descriptors by one librosa call each, and their deltas; no functionals."""

    def run(path):
        y, sr = librosa.load(path, sr=16000)
        frames = {"n_fft": 1024, "hop_length": 256}
        f = librosa.feature
        parts = [
            f.mfcc(y=y, sr=sr, n_mfcc=20, n_mels=32, **frames),
            f.chroma_stft(y=y, sr=sr, tuning=0.0, **frames),
            f.melspectrogram(y=y, sr=sr, n_mels=32, **frames),
            librosa.amplitude_to_db(f.rms(y=y, frame_length=1024, hop_length=256)),
            f.zero_crossing_rate(y, frame_length=1024, hop_length=256),
            f.spectral_centroid(y=y, sr=sr, **frames),
            f.spectral_bandwidth(y=y, sr=sr, **frames),
            f.spectral_rolloff(y=y, sr=sr, **frames),
            f.spectral_flatness(y=y, **frames),
            f.spectral_contrast(y=y, sr=sr, **frames),
            librosa.onset.onset_strength(y=y, sr=sr, **frames)[None],  # the nearest to flux
        ]
        if pitch is not None:
            f0 = pitch(y, fmin=60, fmax=500, sr=sr, frame_length=1024, hop_length=256)
            parts += [np.nan_to_num(track)[None] for track in (f0 if isinstance(f0, tuple) else (f0,))]
        f.delta(np.concatenate(parts))

    return one_by_one(run)


def librosa_shared(path):
    """Compute the same from one spectrogram, as far as librosa's functions take one."""
    y, sr = librosa.load(path, sr=16000)
    magnitude = np.abs(librosa.stft(y, n_fft=1024, hop_length=256))
    power = magnitude**2
    f = librosa.feature
    mel = f.melspectrogram(S=power, sr=sr, n_mels=32)
    level = librosa.power_to_db(mel)
    parts = [
        f.mfcc(S=level, n_mfcc=20),
        f.chroma_stft(S=power, sr=sr, tuning=0.0, n_fft=1024),
        mel,
        librosa.amplitude_to_db(f.rms(S=magnitude, frame_length=1024)),
        f.zero_crossing_rate(y, frame_length=1024, hop_length=256),
        f.spectral_centroid(S=magnitude, sr=sr, n_fft=1024),
        f.spectral_bandwidth(S=magnitude, sr=sr, n_fft=1024),
        f.spectral_rolloff(S=magnitude, sr=sr, n_fft=1024),
        f.spectral_flatness(S=magnitude),
        f.spectral_contrast(S=magnitude, sr=sr, n_fft=1024),
        librosa.onset.onset_strength(S=level, sr=sr)[None],
    ]
    f.delta(np.concatenate(parts))


def librosa_means(path):
    y, sr = librosa.load(path, sr=22050)
    f = librosa.feature
    for part in (f.mfcc(y=y, sr=sr, n_mfcc=40), f.chroma_stft(y=y, sr=sr, tuning=0.0), f.melspectrogram(y=y, sr=sr)):
        part.mean(axis=1)


def opensmile_functionals(name):
    import opensmile

    smile = opensmile.Smile(opensmile.FeatureSet[name], opensmile.FeatureLevel.Functionals)
    return one_by_one(smile.process_file)


def groups():
    """Name -> how to make what is timed; the first of each group is its floor, the second is sersk."""
    default = {
        "floor, 16 kHz, 1024/256": partial(floor, 1024, 256, 16000),
        "sersk default": partial(sersk, "default"),
        "sersk frames (FrameSequences)": lambda: FrameSequences().transform,
        "librosa, separate calls, no F0": librosa_default,
        "librosa, one spectrogram, no F0": lambda: one_by_one(librosa_shared),
        "librosa, separate calls, F0 by yin (no voicing)": partial(librosa_default, librosa.yin),
        "librosa, separate calls, F0 and voicing by pyin": partial(librosa_default, librosa.pyin),
    }
    if find_spec("opensmile"):
        names = ("eGeMAPSv02", "ComParE_2016")
        default |= {f"openSMILE {name}, functionals": partial(opensmile_functionals, name) for name in names}
    means = {
        "floor, 22.05 kHz, 2048/512": partial(floor, 2048, 512, 22050),
        "sersk means-180": partial(sersk, "means-180"),
        "librosa, separate calls, means-180": lambda: one_by_one(librosa_means),
    }
    return default, means


def time_in_turn(makers, paths, rounds):
    """Median seconds a clip of each; in turn, so that a noisy neighbour disturbs all alike."""
    tasks = {name: make() for name, make in makers.items()}
    seconds = {name: [] for name in tasks}
    for task in tasks.values():
        task(paths[:2])
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.perf_counter()
            task(paths)
            seconds[name].append((time.perf_counter() - start) / len(paths))
    return {name: float(np.median(values)) for name, values in seconds.items()}


def peak_memory(name, paths):
    """Peak resident megabytes of a process of its own that does one of the tasks."""
    command = [sys.executable, __file__, "--peak", name, *paths]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def tell_peak(name, *paths):
    make = next(group[name] for group in groups() if name in group)
    make()(list(paths))
    print(peak_megabytes())


def speed_up(paths, rounds):
    """Throughput of two processes over that of one; workers are started beforehand."""
    ratios = []
    tasks = [AcousticFeatures(n_jobs=n_jobs).transform for n_jobs in (1, 2)]
    for _ in range(rounds):
        seconds = []
        for task in tasks:
            task(paths[:32])
            start = time.perf_counter()
            task(paths)
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / seconds[1])
    return float(np.median(ratios))


def main():
    warnings.simplefilter("ignore")
    clips = [str(path) for path in sorted((CORPORA / "ravdess").rglob("*.flac"))]
    paths = clips[::36]
    rows = []
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        recording = str(Path(folder) / "recording.flac")
        parts = [read_clip(path, 16000) for path in clips[:: len(clips) // (MINUTES * 17)]]
        sf.write(recording, np.concatenate(parts)[: MINUTES * 60 * 16000], 16000)
        for group in groups():
            short = time_in_turn(group, paths, ROUNDS)
            slow = "librosa, separate calls, F0 and voicing by pyin"  # minutes for the recording
            long = time_in_turn({name: make for name, make in group.items() if name != slow}, [recording], 3)
            base, ours = list(short.values())[:2]
            long_base = next(iter(long.values()))
            rows += [
                {
                    "what": name,
                    "ms per clip": f"{1000 * seconds:.2f}",
                    "times its floor": f"{seconds / base:.2f}",
                    "times sersk": f"{seconds / ours:.2f}",
                    f"{MINUTES} minutes, s": f"{long[name]:.2f}" if name in long else "-",
                    "times the floor there": f"{long[name] / long_base:.2f}" if name in long else "-",
                    "peak MB": peak_memory(name, paths),
                    f"peak MB, {MINUTES} minutes": peak_memory(name, [recording]) if name in long else "-",
                }
                for name, seconds in short.items()
            ]
        ratio = speed_up(clips[::3], ROUNDS)
    publish(
        "features",
        "Time to extract features, one core",
        rows,
        f"Median of {ROUNDS} rounds over {len(paths)} RAVDESS clips (48 kHz FLAC, 3.7 s), all in turn, and of 3 rounds over one\n"
        f"recording of {MINUTES} minutes (other clips, joined, 16 kHz FLAC). The floor is decoding, resampling and one rfft a frame.\n"
        "sersk's default includes F0, voicing, deltas, functionals and clip values; the librosa lines include the\n"
        "descriptors and their deltas only. Silence before and after speech is decoded, but not described by sersk's default.\n\n"
        f"Two processes do {ratio:.2f} times the work of one (default features, {len(clips[::3])} clips, median of {ROUNDS} rounds).",
        arguments=[],
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        tell_peak(*sys.argv[2:])
    else:
        main()
