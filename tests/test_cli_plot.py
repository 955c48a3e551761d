"""Command `plot` as people type it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from forgery import cheap_features, lda, waveforms
from scipy.io import wavfile
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC
from test_cli import errors, sersk

from sersk import clip_plots
from sersk.cli import plot as plot_command
from sersk.persistence import save_model

PNG = b"\x89PNG"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write into the folder that they are called from."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def drawn(monkeypatch):
    """Titles and panels of what is drawn."""
    calls, draw = [], clip_plots.plot_clip

    def note(clip, *, panels, title):
        calls.append((title, tuple(panels)))
        return draw(clip, panels=["waveform"], title=title)

    monkeypatch.setattr(clip_plots, "plot_clip", note)
    return calls


def write_clip(file: Path, number: int = 0) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(file, 16000, waveforms()[number].astype(np.float32))
    return file


def test_the_panels_of_the_option_are_those_of_the_library():
    assert sys.modules[plot_command.__module__].PANELS == clip_plots.PANELS


def test_one_clip_goes_to_a_picture_of_its_name_here(tmp_path):
    write_clip(tmp_path / "calls" / "one.wav")
    result = sersk("plot", "calls/one.wav")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "calls/one.wav\tone.png\n", "")
    content = (tmp_path / "one.png").read_bytes()
    assert content.startswith(PNG)
    assert len(content) > 20_000
    assert sorted(file.name for file in tmp_path.iterdir()) == ["calls", "one.png"]


@pytest.mark.parametrize(("name", "start"), [("x.png", PNG), ("x.PDF", b"%PDF"), ("x.svg", b"<?xml")])
def test_the_picture_s_name_tells_its_format(tmp_path, drawn, name, start):
    write_clip(tmp_path / "one.wav")
    result = sersk("plot", "one.wav", "--out", name, "--panels", "f0,waveform")
    assert (result.exit_code, result.stdout) == (0, f"one.wav\t{name}\n")
    assert (tmp_path / name).read_bytes().startswith(start)
    assert drawn == [("one.wav", ("f0", "waveform"))]


def test_several_clips_go_to_a_folder_and_broken_ones_are_told(tmp_path, drawn):
    write_clip(tmp_path / "clips" / "a.wav")
    write_clip(tmp_path / "clips" / "deep" / "A.wav")
    sf.write(tmp_path / "clips" / "a.flac", waveforms()[0], 16000)
    write_clip(tmp_path / "b.wav")
    (tmp_path / "clips" / "void.wav").touch()
    result = sersk("plot", "clips", "b.wav", "missing.wav", "*.mp3", "--out", "new/pictures")
    assert result.exit_code == 1
    assert errors(result) == [
        "error: *.mp3: no file matches the pattern",
        "error: clips/void.wav: is empty (0 bytes)",
        "error: missing.wav: no such file",
    ]
    assert result.stderr.endswith("3 of 7 clips could not be read\n")
    lines = dict(line.split("\t") for line in result.stdout.splitlines())
    assert [*lines] == ["clips/a.flac", "clips/a.wav", "clips/deep/A.wav", "b.wav"]
    assert [*lines.values()] == [f"new/pictures/{name}.png" for name in ("a", "a-2", "A-3", "b")]
    assert sorted(file.name for file in (tmp_path / "new" / "pictures").iterdir()) == [
        "A-3.png",
        "a-2.png",
        "a.png",
        "b.png",
    ]
    assert [title for title, _ in drawn] == ["a.flac", "a.wav", "A.wav", "void.wav", "b.wav", "missing.wav"]


def test_a_folder_that_is_there_may_have_a_dot_in_its_name(tmp_path, drawn):
    write_clip(tmp_path / "one.wav")
    (tmp_path / "v1.png").mkdir()
    assert sersk("plot", "one.wav", "--out", "v1.png").stdout == "one.wav\tv1.png/one.png\n"


def test_the_clip_may_come_through_a_pipe(tmp_path, drawn):
    model = save_model(make_pipeline(cheap_features(), lda()).fit(waveforms(), ["x", "y", "z"] * 6), "model.sersk")
    content = write_clip(tmp_path / "one.wav").read_bytes()
    result = sersk("plot", "-", "--out", "one.png", "--model", model, input=content)
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "one.png").read_bytes().startswith(PNG)
    assert drawn[0][0].endswith(": x 1.00")


def test_the_model_s_answer_is_in_the_title(tmp_path, drawn):
    fitted = make_pipeline(cheap_features(), SVC()).fit(waveforms(), ["angry", "happy", "sad"] * 6)
    save_model(fitted, tmp_path / "sure.sersk")
    write_clip(tmp_path / "one.wav", 1)
    (tmp_path / "void.wav").touch()
    result = sersk("plot", "one.wav", "void.wav", "--out", ".", "--model", "sure.sersk")
    assert (result.exit_code, result.stdout) == (1, "one.wav\tone.png\n")
    assert errors(result) == ["error: void.wav: is empty (0 bytes)"]
    assert drawn == [("one.wav: happy", clip_plots.PANELS)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["one.wav", "--out", "x.jpg"], "--out x.jpg: expected a name that ends in .png, .pdf, .svg."),
        (["one.wav", "two.wav", "--out", "x.png"], "--out x.png: there are 2 clips; give the name of a folder"),
        (["one.wav", "two.wav"], "There are 2 clips: name a folder for their pictures with --out FOLDER."),
        (["one.wav", "--out", "no/x.png"], "--out no/x.png: cannot write to the folder no"),
        (["one.wav", "--out", "two.wav/x"], "two.wav"),
        (["one.wav", "--model", "missing.sersk"], "missing.sersk"),
        (["one.wav", "--panels", "f0,mel"], "there is no 'mel'; give some of waveform, spectrogram, mfcc, chroma, f0"),
        (["one.wav", "--panels", ""], "there is no ''"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_drawn(tmp_path, arguments, told):
    for name in ("one.wav", "two.wav"):
        write_clip(tmp_path / name)
    result = sersk("plot", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.wav", "two.wav"]


def test_without_any_clip_nothing_is_made(tmp_path):
    (tmp_path / "empty").mkdir()
    result = sersk("plot", "empty", "--out", "pictures")
    assert (result.exit_code, result.stdout) == (1, "")
    assert errors(result) == ["error: empty: the folder holds no audio files"]
    assert not (tmp_path / "pictures").exists()
