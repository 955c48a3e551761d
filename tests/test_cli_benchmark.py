"""`sersk benchmark`: tables, what is kept, and what stands in the way."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from sersk import benchmarking, cli
from sersk.corpora import make_emotional_speech


def benchmark(*arguments: object) -> Result:
    command = ["benchmark", *map(str, arguments), "--features", "means-180", "--jobs", "1"]
    result = CliRunner(env={"COLUMNS": "80"}).invoke(cli.app, command)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "speech"
    make_emotional_speech(folder, emotions=["angry", "happy", "sad"], n_speakers=3, n_repetitions=2, duration=0.5)
    return folder


def test_a_table_is_printed_and_kept_with_every_report(corpus):
    result = benchmark(corpus, "--models", "lda,logistic", "--out", "bench")
    assert result.exit_code == 0
    assert result.stdout.strip() == Path("bench/benchmark.md").read_text(encoding="utf-8").strip()
    assert "| lda" in result.stdout
    assert "Made by `sersk" in result.stdout
    table = pd.read_csv("bench/benchmark.csv")
    assert table["model"].tolist() == ["lda", "logistic"]
    assert table["unseen_speakers"].all()
    assert len([*Path("bench").glob("*/report.html")]) == 2
    assert "1 of 2: lda" in result.stderr
    assert "2 of 2, " in result.stderr


def test_a_second_run_makes_what_is_new_only(corpus, monkeypatch):
    benchmark(corpus, "--models", "lda", "--out", "bench")
    made, prepare = [], benchmarking.prepare_experiments
    monkeypatch.setattr(
        benchmarking,
        "prepare_experiments",
        lambda corpus, model, **rest: made.append(model) or prepare(corpus, model, **rest),
    )
    result = benchmark(corpus, "--models", "lda,logistic", "--protocols", "auto", "--out", "bench")
    assert made == ["logistic"]
    assert pd.read_csv("bench/benchmark.csv")["model"].tolist() == ["lda", "logistic"]
    assert "2 of 2: logistic" in result.stderr


def test_what_cannot_be_read_is_told_and_the_rest_is_done(tmp_path):
    made = make_emotional_speech(
        tmp_path / "some", emotions=["angry", "sad"], n_speakers=3, n_repetitions=2, duration=0.5
    )
    Path(made.data[0]).write_text("no audio", encoding="utf-8")
    result = benchmark(tmp_path / "some", "--models", "lda", "--out", "bench")
    assert result.exit_code == 1
    assert "1 of 12 clips could not be read" in result.stderr
    assert pd.read_csv("bench/benchmark.csv")["clips"].tolist() == [11]


def test_recipes_are_the_notebooks_networks_on_both_kinds_of_split(corpus, monkeypatch):
    asked = {}

    def run(clips, models, folder, **options):
        asked.update(options, models=models)
        raise ValueError("enough")

    monkeypatch.setattr(benchmarking, "run_benchmark", run)
    assert benchmark(corpus, "--recipes", "seeds").exit_code == 2
    assert asked["models"] == list(benchmarking.RECIPES["seeds"])
    assert asked["protocols"] == ["random-split", "speaker-split"]
    assert benchmark(corpus, "--recipes", "seeds", "--models", "lstm-128", "--protocols", "auto").exit_code == 2
    assert (asked["models"], asked["protocols"]) == (["lstm-128"], ["auto"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "lda,svn"], "there is no 'svn'; choose some of svm"),
        (["--protocols", "auto,loso,x"], "there is no 'x'"),
        (["--recipes", "leaves"], "there is no 'leaves'"),
        (["--out", "file"], "this is a file. Give the name of a folder."),
        (["--models", "lstm"], "networks have features of their own"),
    ],
)
def test_what_cannot_be_run_is_refused(arguments, message, corpus):
    Path("file").touch()
    result = benchmark(corpus, *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.replace("\u2502", " ").split())
