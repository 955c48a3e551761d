"""Command `predict --timeline` as people type it, and as programs feed it."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forgery import cheap_features, lda, waveforms
from scipy.io import wavfile
from sklearn.pipeline import make_pipeline
from test_cli import errors, sersk
from test_timeline import voice

from sersk import SpeakerScaler, predict_emotions
from sersk.persistence import save_model
from sersk.timeline import stream_emotions

EMOTIONS = ["angry", "happy", "sad"]
SR = 16000


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write into the folder that they are called from."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    fitted = make_pipeline(cheap_features(), lda()).fit(waveforms(), EMOTIONS * 6)
    return save_model(fitted, tmp_path_factory.mktemp("model") / "model.sersk")


@pytest.fixture(scope="module")
def samples():
    """200 Hz, silence, 400 Hz: 2.5 s each."""
    noise = np.random.default_rng(0).normal(0, 0.02, 120000)
    recording = noise + np.concatenate([voice(200, 2.5), np.zeros(40000), voice(400, 2.5)])
    return (recording * 2**15).astype("<i2")


@pytest.fixture
def call(tmp_path, samples):
    wavfile.write(tmp_path / "call.wav", SR, samples)
    return "call.wav"


def timeline(*arguments, **options):
    return sersk("predict", "--timeline", "--window", 1, "--hop", 0.5, *arguments, **options)


def test_a_line_a_window(model, call):
    result = timeline(call, "--model", model)
    assert (result.exit_code, result.stderr) == (0, "")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    table = predict_emotions(model, [call], window=1.0, hop=0.5)
    assert [row[:3] for row in rows] == [
        [call, f"{start:.2f}", f"{end:.2f}"] for start, end in zip(table["start"], table["end"], strict=True)
    ]
    assert [row[3] for row in rows] == table["emotion"].fillna("no speech").tolist()
    assert {"angry", "no speech", "happy"} == {row[3] for row in rows}
    assert {len(row) for row in rows if row[3] == "no speech"} == {4}
    assert len(rows) == 14


def test_other_forms_tell_the_same(model, call):
    table = predict_emotions(model, [call], window=1.0, hop=0.5)
    lines = [json.loads(line) for line in timeline(call, "--model", model, "--json", "--proba").stdout.splitlines()]
    assert [one["emotion"] for one in lines] == table["emotion"].astype(object).where(
        table["emotion"].notna(), None
    ).tolist()
    np.testing.assert_allclose([one["speech"] for one in lines], table["speech"], atol=1e-6)
    assert list(lines[0]["probabilities"]) == EMOTIONS
    read = pd.read_csv(io.StringIO(timeline(call, "--model", model, "--csv", "--proba").stdout))
    assert read.columns.tolist() == table.columns.tolist()[:-1]
    pd.testing.assert_frame_equal(
        read.drop(columns=["emotion", "reason"]),
        table.drop(columns=["emotion", "reason", "error"]),
        atol=1e-5,
        check_dtype=False,
    )
    assert read["reason"].fillna("").tolist() == table["reason"].fillna("").tolist()
    assert [one.get("reason") for one in lines] == table["reason"].astype(object).where(
        table["reason"].notna(), None
    ).tolist()


def test_how_much_must_be_speech_is_for_the_user_to_say(model, call):
    assert "no speech" not in timeline(call, "--model", model, "--min-speech", 0).stdout
    assert timeline(call, "--model", model, "--min-speech", 1).stdout.count("\tno speech\n") > 5


def test_recordings_one_after_another_and_what_is_wrong_with_them(model, call, samples, tmp_path):
    content = (tmp_path / call).read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: 44 + 2 * SR * 3])
    (tmp_path / "text.wav").write_text("no audio")
    result = timeline("text.wav", "cut.wav", "none.wav", call, "--model", model, "--csv", "--labels", "all.rttm")
    assert result.exit_code == 1
    assert [line.split(": ")[1] for line in errors(result)] == ["text.wav", "cut.wav", "none.wav"]
    assert result.stderr.splitlines()[-1] == "3 of 4 clips could not be read"
    table = pd.read_csv(io.StringIO(result.stdout))
    assert table["file"].value_counts().to_dict() == {"call.wav": 14, "cut.wav": 5}
    files = [line.split()[1] for line in Path("all.rttm").read_text().splitlines()]
    assert files == ["cut", "call", "call"]


@pytest.mark.parametrize("name", ["a.rttm", "a.txt", "a.csv"])
def test_labels_are_segments(model, call, name):
    timeline(call, "--model", model, "--labels", name)
    text = Path(name).read_text()
    if name == "a.rttm":
        found = [(float(one[3]), float(one[3]) + float(one[4]), one[7]) for one in map(str.split, text.splitlines())]
    elif name == "a.txt":
        found = [(float(start), float(end), emotion) for start, end, emotion in map(str.split, text.splitlines())]
    else:
        rows = list(csv.DictReader(io.StringIO(text)))
        found = [(float(row["start"]), float(row["end"]), row["emotion"]) for row in rows]
    (start, end, emotion), (later, last, other) = found
    assert (emotion, other) == ("angry", "happy")
    assert (start, last) == (0, pytest.approx(7.5, abs=0.02))
    assert 2 <= end <= 3 < 4.5 <= later <= 5.5
    assert [file.name for file in Path().iterdir() if file.name != call] == [name]


def test_a_picture(model, call):
    assert timeline(call, "--model", model, "--plot", "a.png").exit_code == 0
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    result = timeline("none.wav", "--model", model, "--plot", "b.png")
    assert (result.exit_code, Path("b.png").exists()) == (1, False)


def test_samples_without_a_header(model, samples, call):
    expected = timeline(call, "--model", model).stdout
    Path("call.raw").write_bytes(samples.tobytes())
    assert timeline("call.raw", "--raw", "16000", "--model", model).stdout == expected.replace(call, "call.raw")
    stereo = np.stack([samples, samples], axis=1) / np.float32(2**15)
    for raw, content in (("16000,2,f32le", stereo.astype("<f4")), ("16000,2", np.stack([samples, samples], axis=1))):
        result = timeline("-", "--raw", raw, "--model", model, input=content.tobytes())
        assert result.stdout == expected.replace(call, "<BytesIO>")
    assert timeline("-", "--model", model, input=Path(call).read_bytes()).stdout == expected.replace(call, "<BytesIO>")


@pytest.mark.parametrize("raw", ["0", "x", "16000,0", "16000,2,mp3", "16000,1,s16le,4", "", "16000.5"])
def test_a_format_that_is_none_is_refused(model, raw):
    result = timeline("-", "--raw", raw, "--model", model, input=b"")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "expected RATE[,CHANNELS[,FORMAT]]" in result.stderr


def test_what_does_not_go_together_is_refused(model, call):
    for arguments, told in [
        (["--window", 2], "are for --timeline"),
        (["--labels", "a.csv"], "are for --timeline"),
        (["--timeline", "--one-speaker"], "goes with neither"),
        (["--timeline", "--jobs", 2], "goes with neither"),
        (["--timeline", "--window", 0.5], "error: window=0.5: expected 1 or more seconds"),
        (["--timeline", "--plot", "a.gif"], "--plot a.gif: expected a name that ends in"),
        (["--timeline", "--labels", "a.lab"], "--labels a.lab: expected a name that ends in"),
        (["--timeline", call, "--plot", "a.png"], "--plot a.png: a picture is of one recording, and there are 2"),
    ]:
        result = sersk("predict", call, "--model", model, *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert told in result.stderr


def test_that_windows_are_not_scaled_by_speaker_is_told(call):
    scaled = make_pipeline(cheap_features(), SpeakerScaler(min_clips=2), lda()).fit(waveforms(), EMOTIONS * 6)
    save_model(scaled, "scaled.sersk")
    result = timeline(call, "--model", "scaled.sersk")
    assert result.exit_code == 0
    assert "note: this model compares a clip with the speaker's others, which windows do not have" in result.stderr


# --- live


def start(model, *arguments):
    command = [sys.executable, "-m", "sersk", "predict", "--timeline", "--raw", "16000", "--json", "--window", "1"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([*map(str, [*command, "--model", model, *arguments]), "-"], **pipes)


def feed(process, content):
    process.stdin.write(content.tobytes())
    process.stdin.flush()


def test_a_window_is_told_while_the_microphone_is_open(model, samples):
    with start(model) as process:
        for second in range(3):
            feed(process, samples[: SR + 600] if second == 0 else samples[600 + second * SR :][:SR])
            line = json.loads(process.stdout.readline())  # would wait for ever, if it waited for more
            assert line["end"] == pytest.approx(second + 1, abs=0.01)
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait() == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_an_interruption_keeps_what_was_heard(model, samples, tmp_path):
    with start(model, "--labels", "heard.txt", "--plot", "heard.png") as process:
        feed(process, samples[: 2 * SR + 600])
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"interrupted\n")
    assert [line["emotion"] for line in lines] == ["angry"] * 2
    assert Path("heard.txt").read_text().endswith("\tangry\n")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["heard.png", "heard.txt"]


def test_an_interrupted_microphone_is_as_good_as_one_that_ended(model, samples, monkeypatch):
    class Microphone:
        name = "<stdin>"
        left = samples[: 2 * SR].tobytes()

        def read1(self, n_bytes):
            if not self.left:
                raise KeyboardInterrupt
            content, self.left = self.left, b""
            return content

    monkeypatch.setattr("sersk.cli.timeline.find_clips", lambda clips: ([Microphone()], 0))
    result = timeline("-", "--raw", "16000", "--model", model, "--labels", "a.csv")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")
    assert result.stdout.count("angry") == 2
    assert len(Path("a.csv").read_text().splitlines()) == 2


def test_an_interrupted_file_leaves_nothing_behind(model, call, monkeypatch):
    def interrupt(*arguments, **settings):
        yield next(stream_emotions(*arguments, **settings))
        raise KeyboardInterrupt

    monkeypatch.setattr("sersk.timeline.stream_emotions", interrupt)
    result = timeline(call, "--model", model, "--labels", "a.txt")
    assert (result.exit_code, result.stderr) == (130, "interrupted\n")
    assert result.stdout.count("\n") == 1
    assert not Path("a.txt").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs a shell")
def test_a_reader_that_goes_away_gets_what_it_wanted(model, call):
    command = f"'{sys.executable}' -m sersk predict --timeline --window 1 --hop 0.1 --model '{model}' {call}"
    done = subprocess.run(["bash", "-c", f"{command} | head -c 4"], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("call", "")
