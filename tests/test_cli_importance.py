"""Command `importance` as people type it."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pandas as pd
import pytest
from test_cli import errors, sersk

from sersk import load_corpus
from sersk.corpora import make_emotional_speech
from sersk.evaluation import family_importance
from sersk.models import emotion_pipeline
from sersk.terminal import show_importance

FAST = ("--features", "means-180", "--jobs", 1, "--repeats", 2)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands write into the folder that they are called from."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    make_emotional_speech(folder, emotions=("angry", "happy", "sad"), n_speakers=3, n_repetitions=2, duration=0.5)
    return folder


@pytest.fixture(scope="module")
def expected(corpus: Path) -> pd.DataFrame:
    return family_importance(emotion_pipeline("lda", features="means-180"), load_corpus(corpus), n_repeats=2)


def test_it_prints_the_library_s_table_and_writes_it_and_its_picture(tmp_path, corpus, expected):
    result = sersk("importance", corpus, *FAST, "--out", "table.csv", "--plot", "table.png")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    uar = (expected["importance"] + expected["permuted_uar"]).iloc[0]
    assert lines[0] == "Estimate: leave one speaker out, 3 speakers"
    assert lines[1].startswith(f"UAR {uar:.3f}; what it loses")
    shown = [line.split() for line in lines[-3:]]
    assert [(row[0], int(row[1]), row[2], row[3]) for row in shown] == [
        (family, row["n_features"], f"{row['importance']:.3f}", f"{row['std']:.3f}")
        for family, row in expected.to_dict("index").items()
    ]
    written = pd.read_csv(tmp_path / "table.csv", index_col="family")
    pd.testing.assert_frame_equal(written, expected)
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_may_go_to_a_pipe_and_then_nothing_else_does(corpus, expected):
    result = sersk("importance", corpus, *FAST, "--out", "-")
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(result.stdout), index_col="family"), expected)


def test_clips_that_cannot_be_read_are_told_and_left_out(tmp_path, corpus):
    shutil.copytree(corpus, tmp_path / "clips")
    broken = next((tmp_path / "clips").rglob("*_02.wav"))
    broken.write_bytes(b"no audio")
    result = sersk("importance", "clips", *FAST, "--model", "logistic", "--seed", 3)
    assert result.exit_code == 1
    assert len(errors(result)) == 1
    assert result.stderr.endswith("1 of 18 clips could not be read\n")
    assert "UAR" in result.stdout


def test_limits_that_are_unknown_are_said_to_be(capsys):
    row = {
        "n_features": 3,
        "importance": 0.1,
        "std": 0.0,
        "low": float("nan"),
        "high": float("nan"),
        "permuted_uar": 0.5,
    }
    show_importance(pd.DataFrame([row], index=["[b]"]), "one fold")
    assert capsys.readouterr().out.splitlines()[-1].split() == ["[b]", "3", "0.100", "0.000", "unknown"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "lstm"], "--model lstm: families are permuted in vectors, and networks learn from sequences."),
        (["--out", "x.txt"], "--out x.txt: expected a name that ends in .csv or .parquet, or -."),
        (["--plot", "x.csv"], "--plot x.csv: expected a name that ends in .png, .pdf, .svg."),
        (["--repeats", 0], "'--repeats'"),
        (["--protocol", "ravdess-6"], "'ravdess-6' needs the 24 actors"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(corpus, computed, arguments, told):
    result = sersk("importance", corpus, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in " ".join(result.stderr.replace("│", " ").split())
    assert not computed
