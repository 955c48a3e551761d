"""`sersk robustness`: one table on stdout, as CSV and as a picture if asked for."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from sersk import cli, experiments, load_corpus
from sersk.audio import AudioError
from sersk.corpora import make_emotional_speech
from sersk.degradation import CONDITIONS, Condition, DegradedClip

EMOTIONS = ["angry", "happy", "sad"]


def robustness(*arguments: object) -> Result:
    """Run the command in this process; what it does not catch is the test's error."""
    typed = ["robustness", *map(str, arguments), "--features", "means-180", "--jobs", "1"]
    result = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, typed)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=3, n_repetitions=2, duration=0.5)
    return folder


def rows(result: Result) -> dict[str, list[str]]:
    """Cells of the table, by the condition, without its description."""
    table = result.stdout.split("\n\n")[1].splitlines()[1:]
    parts = (re.split(r"  +", line.strip()) for line in table)
    return {name: cells for name, _, *cells in parts}


def test_the_table_is_what_the_library_gives(corpus):
    result = robustness(corpus, "--conditions", "noise-5,gain-20,telephone", "--out", "t.csv", "--plot", "p.png")
    assert result.exit_code == 0
    assert result.stdout.startswith("Estimate: leave one speaker out, 3 speakers\n")
    assert max(map(len, result.stdout.splitlines())) <= 100
    experiment = experiments.prepare_experiments(load_corpus(corpus), features="means-180")["mixed"]
    conditions = [Condition.named(name) for name in ("noise-5", "gain-20", "telephone")]
    expected = experiment.evaluate_robustness(conditions)
    written = pd.read_csv("t.csv")
    pd.testing.assert_frame_equal(written, expected.table, check_exact=False)
    assert rows(result) == {
        row["condition"]: [
            f"{row['uar']:.3f}",
            f"{row['uar_low']:.3f}-{row['uar_high']:.3f}",
            f"{row['wa']:.3f}",
            f"{row['drop']:.3f}",
        ]
        for row in expected.table.to_dict("records")
    }
    assert Path("p.png").read_bytes().startswith(b"\x89PNG")
    assert "noise-5: white noise, 5 dB SNR\n" in result.stderr
    assert sorted(path.name for path in Path().iterdir()) == ["p.png", "t.csv"]


def test_without_conditions_there_are_all_the_usual_ones(corpus):
    result = robustness(corpus, "--seed", 1)
    assert result.exit_code == 0
    assert list(rows(result)) == [condition.name for condition in CONDITIONS]


def test_csv_on_stdout_stands_alone(corpus):
    result = robustness(corpus, "--conditions", "gain-20", "--out", "-")
    assert pd.read_csv(io.StringIO(result.stdout))["condition"].tolist() == ["clean", "gain-20"]


def test_a_clip_that_cannot_be_read_is_told_and_left_out(tmp_path):
    make_emotional_speech("clips", emotions=EMOTIONS, n_speakers=2, n_repetitions=2, duration=0.5)
    Path("clips/F1/F1_sad_01.wav").write_bytes(b"")
    result = robustness("clips", "--conditions", "gain-20", "--augment", "gain")
    assert result.exit_code == 1
    assert f"error: {Path('clips/F1/F1_sad_01.wav')}: is empty (0 bytes)\n" in result.stderr
    assert result.stderr.endswith("1 of 12 clips could not be read\n")
    assert list(rows(result)) == ["clean", "gain-20"]


@pytest.mark.filterwarnings("default")
def test_a_condition_that_fails_is_told_and_has_no_figures(corpus, monkeypatch):
    def fail(self, sr):
        raise AudioError(self.name, "no such codec")

    monkeypatch.setattr(DegradedClip, "waveform", fail)
    result = robustness(corpus, "--conditions", "mp3-32", "--out", "t.csv")
    assert result.exit_code == 0
    told = "warning: mp3-32: 18 of 18 clips could not be tested and were left out; the first: "
    assert [line for line in result.stderr.splitlines() if line.startswith(told) and line.endswith(": no such codec")]
    assert rows(result)["mp3-32"] == []
    assert pd.read_csv("t.csv")["n_clips"].tolist() == [18, 0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--conditions", "fog"], "error: There is no condition 'fog'; choose one of clean, noise, telephone"),
        (["--conditions", "noise-10,mp3-999"], "error: Condition 'mp3': expected a level from 16 to 160, got 999"),
        (["--conditions", "clean"], "error: --conditions: expected one besides clean, which is tested anyway."),
        (["--conditions", ","], "error: --conditions: expected one besides clean"),
        (["--out", "t.txt"], "error: --out t.txt: expected a name that ends in .csv or .parquet, or -."),
        (["--plot", "p.gif"], "error: --plot p.gif: expected a name that ends in .png, .pdf, .svg."),
        (["--model", "lstm"], "error: --features means-180: the network lstm has features of its own."),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is_read(arguments, message):
    result = robustness("no such corpus", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(message)


def test_an_empty_folder():
    Path("empty").mkdir()
    result = robustness("empty")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def test_help_fits_a_terminal_of_80_columns():
    result = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, ["robustness", "--help"])
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
