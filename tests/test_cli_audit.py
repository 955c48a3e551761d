"""The command `audit`, as people type it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from rich.cells import cell_len
from test_cli import EMOTIONS, errors, sersk

from sersk import auditing
from sersk.corpora import make_emotional_speech
from sersk.features import AcousticFeatures

SR = 16000


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, and compute few features."""
    monkeypatch.chdir(tmp_path)
    from_preset = AcousticFeatures.from_preset
    monkeypatch.setattr(AcousticFeatures, "from_preset", lambda _name, **rest: from_preset("means-180", **rest))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=3, n_repetitions=2, duration=0.5)
    return folder


@pytest.fixture
def odd(tmp_path):
    """Write a folder of emotions without speakers: equal clips, loud ones, one that is no audio."""
    random = np.random.default_rng(0)
    for number in range(12):
        folder = tmp_path / "odd [red]" / EMOTIONS[number % 3]
        folder.mkdir(parents=True, exist_ok=True)
        sf.write(folder / f"{number}.wav", np.clip(random.normal(0, 0.1 if number else 3, SR), -1, 1), SR)
    sad = tmp_path / "odd [red]" / "sad"
    sf.write(sad / "copy.flac", *sf.read(sad / "2.wav", dtype="int16"))
    (sad / "bad\n.wav").write_text("no audio")
    return tmp_path / "odd [red]"


def audit(*arguments):
    return sersk("audit", *arguments, "--jobs", 1)


def test_tables_and_findings_come_before_the_evaluation(corpus):
    result = audit(corpus)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("18 clips, 0.")
    assert lines[1].split() == ["clips", "female", "male", "speakers", "seconds", "level", "dB", "silence", "clipped"]
    assert [line.split()[:5] for line in lines[2:5]] == [[emotion, "6", "4", "2", "3"] for emotion in EMOTIONS]
    assert lines[5:9] == ["3 speakers: 6 clips each", "Files: 16000 Hz, 1 channel: 18", "", "No findings."]
    assert lines[10] == "The same clips and the same model (lda), split in two ways"
    assert [line.split()[0] for line in lines[12:15]] == ["random", "unseen", "difference"]
    assert "unseen speakers: leave one speaker out, 3 speakers" in lines
    assert max(map(cell_len, lines)) <= 100


def test_no_leak_leaves_the_evaluation_out(corpus, monkeypatch):
    monkeypatch.setattr(auditing, "audit_leak", None)
    result = audit(corpus, "--no-leak")
    assert result.exit_code == 0
    assert result.stdout.endswith("No findings.\n")


def test_findings_are_told_with_files_and_cure_and_unreadable_clips_end_with_1(odd):
    result = audit(odd)
    assert result.exit_code == 1
    assert errors(result)[-1].startswith(f"error: {odd}/sad/bad\\n.wav: is not audio")
    assert result.stderr.endswith("1 of 14 clips could not be read\n")
    lines = result.stdout.splitlines()
    at = lines.index(
        "ERROR [1 clip] clips that cannot be read; the first: " + errors(result)[-1].partition(".wav: ")[2]
    )
    assert lines[at + 1] == f"  {odd}/sad/bad\\n.wav"
    assert lines[at + 2].startswith("  -> Replace them")
    assert f"  {odd}/sad/2.wav = {odd}/sad/copy.flac" in lines
    assert "WARNING [1 clip] clipped: more than 0.1% of the samples are in flat tops at full scale" in lines
    assert lines[1].split()[:2] == ["clips", "speakers"], "no genders are known"
    assert [line.split()[2] for line in lines[2:5]] == ["?"] * 3
    assert "There are not two known speakers: nothing can be said of new voices." in lines


def test_more_than_three_files_are_counted(odd):
    for number in range(4):
        sf.write(odd / "sad" / f"void{number}.wav", np.zeros(SR + number), SR)
    result = audit(odd, "--no-leak")
    lines = result.stdout.splitlines()
    at = next(number for number, line in enumerate(lines) if "nearly silent" in line)
    assert lines[at].startswith("WARNING [4 clips]")
    assert lines[at + 4] == "  and 1 more"


def test_an_emotion_of_which_nothing_could_be_read_has_no_medians(odd):
    (odd / "bored").mkdir()
    (odd / "bored" / "b.wav").write_text("nor this")
    result = audit(odd, "--no-leak")
    assert result.exit_code == 1
    assert [line.split() for line in result.stdout.splitlines() if line.startswith("bored")] == [["bored", "1", "?"]]


def test_json_is_one_document_and_nothing_else(odd):
    result = audit(odd, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["format"], told["version"], told["n_clips"], told["n_speakers"]) == ("sersk-audit", 1, 14, None)
    assert [entry["file"] for entry in told["unreadable"]] == [f"{odd}/sad/bad\n.wav"]
    assert [finding["kind"] for finding in told["findings"]] == [
        "unreadable",
        "equal-audio",
        "unknown-speakers",
        "clipped",
    ]
    assert told["findings"][1]["clips"] == [[f"{odd}/sad/2.wav", f"{odd}/sad/copy.flac"]]
    assert told["leak"]["reports"].keys() == {"random"}
    assert "NaN" not in result.stdout


def test_json_tells_both_splits_and_what_was_not_evaluated_is_null(corpus):
    leak = json.loads(audit(corpus, "--json").stdout)["leak"]
    assert leak["reports"].keys() == {"random", "unseen"}
    assert leak["uar_difference"] == pytest.approx(
        leak["reports"]["random"]["uar"] - leak["reports"]["unseen"]["uar"], abs=2e-4
    )
    assert json.loads(audit(corpus, "--json", "--no-leak").stdout)["leak"] is None


@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_the_measures_of_every_clip_are_written(name, corpus, tmp_path):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="needs an extra: pip install 'sersk[parquet]'")
    result = audit(corpus, "--no-leak", "--out", name)
    assert f"18 clips: {name}\n" in result.stderr
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    table = read(tmp_path / name)
    assert list(table)[5:] == ["duration", "sr", "channels", "peak", "level", "clipped", "silence", "equal_audio"]
    assert (table["sr"] == SR).all()
    assert len(table) == 18


def test_a_corpus_that_cannot_be_evaluated_is_audited_all_the_same(odd):
    for emotion in ("angry", "happy"):
        for file in (odd / emotion).iterdir():
            file.unlink()
    result = audit(odd)
    assert result.exit_code == 1
    assert "ERROR all clips are 'sad'" in result.stdout
    assert "warning: no evaluation: All clips are 'sad'; a classifier needs two emotions or more." in result.stderr


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--out", "-"], "error: --out -: stdout is for the report. Give the name of a file."),
        (["--out", "a.txt"], "error: --out a.txt: expected a name that ends in .csv or .parquet, or -."),
    ],
)
def test_what_cannot_be_written_is_told_before_anything_is_read(arguments, line, corpus):
    result = audit(corpus, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [line]


def test_an_empty_folder_and_an_unknown_model_are_refused(tmp_path):
    (tmp_path / "void").mkdir()
    result = audit("void")
    assert (result.exit_code, result.stdout) == (2, "")
    assert errors(result) == [
        "error: void: no audio files at any depth. Give the folder that holds the clips, or a manifest."
    ]
    assert "there is no 'svn'" in audit("void", "--model", "svn").stderr


def test_help_fits_a_terminal_and_tells_the_exit_code():
    told = sersk("audit", "--help").stdout
    assert max(map(len, told.splitlines())) <= 80
    assert "Findings do not change the exit code" in told
