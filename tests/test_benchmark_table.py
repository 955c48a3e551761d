"""Tables of a benchmark."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sersk import EvaluationReport
from sersk.benchmark_table import Benchmark, Cell, write_tables
from sersk.evaluation.comparison import compare, rank_models

LABELS = np.array(["happy", "sad"])


def report(share, seed=0, clips=60):
    random = np.random.RandomState(seed)
    emotions = np.array(["happy", "sad"] * (clips // 2))
    right = random.rand(clips) < share
    predicted = np.where(right, emotions, np.where(emotions == "sad", "happy", "sad"))
    table = pd.DataFrame({"file": [f"{k}.wav" for k in range(clips)], "speaker": [f"s{k % 6}" for k in range(clips)]})
    table = table.assign(fold=1, emotion=emotions, predicted=predicted, happy=np.where(predicted == "happy", 0.9, 0.1))
    return EvaluationReport("loso", "leave one speaker out", True, LABELS, table.assign(sad=1 - table["happy"]))


@pytest.fixture
def found():
    reports = {
        Cell(model, features, corpus, "auto"): report(share, seed)
        for seed, corpus in enumerate(["one", "two"])
        for model, features, share in [("lda", "default", 0.9), ("svm", "default", 0.8), ("lda", "mfcc-40", 0.6)]
    }
    refused = {Cell("lda", "default", "one", "ravdess-6"): "needs 24 | actors"}
    return Benchmark(reports, refused, dict.fromkeys(reports, 1.5))


def test_a_row_for_each_cell(found):
    table = found.table
    assert len(table) == 7
    cell, first = next(iter(found.reports.items()))
    row = table.iloc[0]
    assert (row["model"], row["features"], row["corpus"], row["protocol"]) == (*vars(cell).values(),)
    assert (row["uar"], row["wa"], row["ece"]) == (first.uar, first.wa, first.calibration_error)
    assert (row["low"], row["high"]) == (first.intervals()["uar"].low, first.intervals()["uar"].high)
    assert table.iloc[-1]["note"] == "needs 24 | actors"
    assert pd.isna(table.iloc[-1]["uar"])


def test_each_model_beside_the_best_of_its_corpus(found):
    against = found.against_best()
    assert against["best"].tolist() == ["lda"] * 4
    assert against["other"].tolist() == ["svm", "lda (mfcc-40)"] * 2
    best, other = (found.reports[Cell(model, "default", "two", "auto")] for model in ("lda", "svm"))
    expected = compare(best, other)
    row = against.iloc[2]
    assert (row["difference"], row["low"], row["p_value"]) == (
        expected.difference,
        expected.interval.low,
        expected.p_value,
    )


def test_models_that_were_tested_on_other_clips_are_not_compared(found):
    found.reports[Cell("mlp", "default", "two", "auto")] = report(0.7, clips=58)
    assert found.against_best()["other"].tolist() == ["svm", "lda (mfcc-40)"] * 2


def test_ranks_over_corpora(found):
    scores = {
        model: [found.reports[Cell(*names, corpus, "auto")].uar for corpus in ("one", "two")]
        for model, names in {
            "lda": ("lda", "default"),
            "svm": ("svm", "default"),
            "lda (mfcc-40)": ("lda", "mfcc-40"),
        }.items()
    }
    expected = rank_models(pd.DataFrame(scores))
    assert found.ranking("auto").ranks.to_dict() == expected.ranks.to_dict()
    with pytest.raises(ValueError, match="two corpora and three models"):
        found.ranking("ravdess-6")


def test_a_square_of_corpora(found, tmp_path):
    across = {
        Cell("lda", "default", "one -> two", "split"): report(0.7, 3),
        Cell("lda", "default", "two -> one", "split"): report(0.5, 4),
        Cell("lda", "default", "two", "random"): report(1.0, 5),
    }
    found = Benchmark(found.reports | across, {}, dict.fromkeys(found.reports | across, 1.0))
    square = found.matrix("lda")
    assert square.index.tolist() == square.columns.tolist() == ["one", "two"]
    assert square.loc["one", "two"] == across[Cell("lda", "default", "one -> two", "split")].uar
    assert square.loc["two", "one"] == across[Cell("lda", "default", "two -> one", "split")].uar
    assert square.loc["two", "two"] == found.reports[Cell("lda", "default", "two", "auto")].uar
    text = write_tables(found, tmp_path, "x").read_text(encoding="utf-8")
    assert text.count("UAR trained on a row, tested on a column") == 1
    assert f"| one        | {square.loc['one', 'one']:.3f} | {square.loc['one', 'two']:.3f} |" in text


def test_the_summary_names_its_command_and_shows_every_cell(found, tmp_path):
    text = write_tables(found, tmp_path, "sersk benchmark x").read_text(encoding="utf-8")
    assert text.count("| auto") == 6 + 4
    assert "needs 24 / actors" in text  # a bar would end the cell
    assert "Nemenyi" in text
    assert "Made by `sersk benchmark x` on Python" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(line) for line in rows[:9]}) == 1
    kept = pd.read_csv(tmp_path / "benchmark.csv")
    np.testing.assert_allclose(kept["uar"], found.table["uar"])


def test_one_model_has_nothing_beside_it(tmp_path):
    cell = Cell("lda", "default", "one", "auto")
    text = write_tables(Benchmark({cell: report(0.9)}, {}, {cell: 2.0}), tmp_path, "x").read_text(encoding="utf-8")
    assert "beside the best" not in text
    assert "Ranks" not in text


def test_nothing_could_be_made(tmp_path):
    cell = Cell("lda", "default", "one", "ravdess-6")
    text = write_tables(Benchmark({}, {cell: "no"}, {}), tmp_path, "x").read_text(encoding="utf-8")
    assert "| no" in text
