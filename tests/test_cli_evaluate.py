"""`sersk evaluate --out`: reports as people ask for them, and what stands in the way of one."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from forgery import waveforms
from scipy.io import wavfile
from typer.testing import CliRunner, Result

from sersk import cli, experiments
from sersk.corpora import make_emotional_speech
from sersk.degradation import Condition
from sersk.evaluation import read_report
from sersk.extraction import AudioError
from sersk.features import AcousticFeatures

EMOTIONS = ["angry", "happy", "sad"]
PICTURES = {"confusion.png", "gender.png", "reliability.png", "speaker.png"}
FILES = {"card.md", "predictions.csv", "report.html", "report.json"}


def evaluate(*arguments: object) -> Result:
    """Evaluate on few features, which is fast."""
    command = ["evaluate", *map(str, arguments), "--features", "means-180", "--jobs", "1"]
    result = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, command)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def errors(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("error: ")]


def names(folder: str | Path) -> set[str]:
    return {file.name for file in Path(folder).iterdir()}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write into the folder that they are called from."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def couples(tmp_path_factory) -> Path:
    """Two women and two men."""
    folder = tmp_path_factory.mktemp("couples")
    make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=4, n_repetitions=2, duration=0.5)
    return folder


def test_a_report_holds_what_the_terminal_tells(couples):
    result = evaluate(couples, "--out", "a/report", "--augment", "gain", "--seed", 3)
    assert result.exit_code == 0
    assert f"report: {Path('a/report/report.html')}" in result.stderr.splitlines()
    assert names("a/report") == FILES | PICTURES
    report = read_report("a/report")
    low, high = report.intervals()["uar"]
    assert f"UAR {report.uar:.3f} (unweighted average recall; 95 % interval {low:.3f} to {high:.3f})\n" in result.stdout
    assert f"ECE {report.calibration_error:.3f} (calibration error)\n" in result.stdout
    assert report.predictions["file"].str.endswith(".wav").all()
    assert report.by("gender").index.tolist() == ["female", "male"]
    card = json.loads(Path("a/report/report.json").read_text())["card"]
    assert shlex.split(card["command"])[:3] == ["sersk", "evaluate", str(couples)]
    assert "--augment gain" in card["command"]
    assert "--seed 3" in card["command"]
    assert "--out" not in card["command"]
    assert (card["model"], card["seed"], card["part"]) == ("lda", 3, None)
    again = evaluate(*shlex.split(card["command"])[2:], "--out", "again")
    assert again.stdout == result.stdout, "the command that is told is the command that was given"
    assert names("again") == names("a/report")


def test_the_seed_zero_is_told(couples):
    evaluate(couples, "--out", "report")
    assert "--seed 0" in Path("report/card.md").read_text()


def test_without_out_nothing_is_written(couples, tmp_path):
    assert evaluate(couples).exit_code == 0
    assert not names(tmp_path)


def test_a_learning_curve_is_one_more_part_of_the_report(couples):
    result = evaluate(couples, "--out", "report", "--learning-curve")
    assert result.exit_code == 0
    assert names("report") == FILES | PICTURES | {"learning_curve.png"}
    assert re.search("learning curve .* 100%", result.stderr)
    facts = json.loads(Path("report/report.json").read_text())
    table = pd.DataFrame(facts["sections"][0]["table"])
    assert table["speakers"].tolist() == [1, 1, 2, 3]
    assert table["uar"].iloc[-1] == facts["figures"]["uar"]["value"]
    assert "--learning-curve" in facts["card"]["command"].split()


def test_degraded_clips_are_one_more_part_of_the_report(couples, monkeypatch):
    monkeypatch.setattr(experiments.Experiment.evaluate_robustness, "__defaults__", ((Condition("noise", 0.0),),))
    result = evaluate(couples, "--out", "report", "--robustness")
    assert result.exit_code == 0
    assert names("report") == FILES | PICTURES | {"robustness.png"}
    facts = json.loads(Path("report/report.json").read_text())
    table = pd.DataFrame(facts["sections"][0]["table"])
    assert table["condition"].tolist() == ["clean", "noise-0"]
    assert table["uar"].iloc[0] == facts["figures"]["uar"]["value"]


def test_by_gender_there_is_a_folder_for_each_and_the_comparison_in_the_mixed_one(couples):
    for _ in range(2):  # a second run replaces them
        result = evaluate(couples, "--out", "report", "--by", "gender")
        assert result.exit_code == 0
    assert names("report") == {"mixed", "female", "male"}
    assert names("report/female") == FILES | PICTURES - {"gender.png"}
    facts = {part: json.loads(Path("report", part, "report.json").read_text()) for part in names("report")}
    assert [facts[part]["n_clips"] for part in ("mixed", "female", "male")] == [24, 12, 12]
    assert [facts[part]["card"]["part"] for part in ("mixed", "female", "male")] == ["mixed", "female", "male"]
    (section,) = facts["mixed"]["sections"]
    assert [row["part"] for row in section["table"]] == ["all", "female", "male"]
    assert facts["male"]["sections"] == []
    assert Path("report/male/card.md").read_text().startswith("# Model card: lda on synthetic (male)\n")


def test_clips_that_cannot_be_read_are_in_the_report():
    make_emotional_speech("corpus", emotions=EMOTIONS, n_speakers=2, n_repetitions=2, duration=0.5)
    Path("corpus/F1/F1_sad_01.wav").write_bytes(b"")
    result = evaluate("corpus", "--out", "report")
    assert result.exit_code == 1
    (failure,) = json.loads(Path("report/report.json").read_text())["failures"]
    assert failure["file"] == str(Path("corpus/F1/F1_sad_01.wav"))
    assert failure["reason"] == f"{AudioError(failure['file'], 'is empty (0 bytes)')}"
    assert len(pd.read_csv("report/predictions.csv")) == 11


def test_where_speakers_are_unknown_the_report_is_loud_and_there_is_no_curve(tmp_path):
    for number, emotion in enumerate(EMOTIONS * 2):
        (tmp_path / "clips" / emotion).mkdir(parents=True, exist_ok=True)
        wavfile.write(tmp_path / "clips" / emotion / f"{number}.wav", 16000, waveforms()[number].astype(np.float32))
    result = evaluate("clips", "--out", "report", "--learning-curve")
    assert result.exit_code == 0
    assert "--learning-curve: A learning curve needs known speakers" in result.stderr
    assert "SPEAKERS UNKNOWN" in Path("report/report.html").read_text()
    assert names("report") == FILES | {"confusion.png", "reliability.png"}


@pytest.mark.parametrize("by", [[], ["--by", "gender"]], ids=["one", "parts"])
@pytest.mark.parametrize("name", ["notes.txt", "report.json"])
def test_a_folder_of_something_else_is_refused_before_the_extraction(by, name, couples, monkeypatch):
    monkeypatch.setattr(AcousticFeatures, "extract", None)
    Path("folder").mkdir()
    Path("folder", name).write_text("{}")
    result = evaluate(couples, "--out", "folder", *by)
    assert (result.exit_code, result.stdout) == (2, "")
    (error,) = errors(result)
    assert error.startswith("error: --out folder")
    assert name in error
    assert names("folder") == {name}


@pytest.mark.parametrize(
    ("out", "reason"),
    [
        ("file", "file: this is a file. Give the name of a folder for the report."),
        (".", ".: a report replaces its folder as a whole. Give it a folder of its own."),
    ],
)
def test_a_place_that_is_no_folder_of_its_own_is_refused(out, reason, couples, monkeypatch):
    monkeypatch.setattr(AcousticFeatures, "extract", None)
    Path("file").touch()
    assert errors(evaluate(couples, "--out", out)) == [f"error: --out {reason}"]


def test_a_folder_above_that_may_not_be_written_is_refused(couples, monkeypatch, tmp_path):
    def refuse(**_options):
        raise PermissionError(13, "Permission denied", "/")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)  # the super-user may write anywhere
    assert errors(evaluate(couples, "--out", "a/b/c")) == [
        f"error: --out {Path('a/b/c')}: cannot write to the folder {tmp_path} (Permission denied)."
    ]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_a_gender_that_is_no_name_of_a_folder_is_refused(couples, monkeypatch):
    monkeypatch.setattr(AcousticFeatures, "extract", None)
    table = pd.read_csv(couples / "manifest.csv").assign(file=lambda table: [couples / file for file in table["file"]])
    table.assign(gender=table["gender"].replace("male", "../him")).to_csv("some.csv", index=False)
    (error,) = errors(evaluate("some.csv", "--out", "report", "--by", "gender"))
    assert "../him" in error


@pytest.mark.parametrize("option", ["--learning-curve", "--robustness"])
def test_what_is_drawn_for_a_report_needs_a_place(option):
    assert errors(evaluate("no such corpus", option)) == [
        f"error: {option} is drawn for a report. Name its folder with --out."
    ]


def test_without_matplotlib_the_report_has_no_pictures(couples, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert evaluate(couples, "--out", "report", "--learning-curve").exit_code == 0
    assert names("report") == FILES
