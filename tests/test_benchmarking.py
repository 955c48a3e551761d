"""Benchmarks: every cell as if it were alone, kept, and never made twice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from sersk import benchmarking, emotion_pipeline, evaluate, load_corpus, make_emotional_speech
from sersk.benchmark_table import Cell
from sersk.benchmarking import run_benchmark

FEW = {"features": ["means-180"]}


def speech(folder, corpus, emotions, seed):
    made = make_emotional_speech(
        folder / corpus, emotions=emotions, n_speakers=3, n_repetitions=2, duration=0.5, random_state=seed
    )
    table = made.frame.assign(corpus=corpus, speaker=made.frame["speaker"].str.partition(":")[2])
    table["file"] = [str(Path(file).relative_to(folder / corpus)) for file in made.data]
    table[["file", "emotion", "speaker", "gender", "corpus"]].to_csv(folder / corpus / "manifest.csv", index=False)
    return folder / corpus


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpora")
    return [
        speech(folder, "one", ["angry", "happy", "sad"], 0),
        speech(folder, "two", ["angry", "neutral", "sad"], 1),
        speech(folder, "three", ["happy", "sad"], 2),
    ]


@pytest.fixture(scope="module")
def corpora(roots):
    return load_corpus(roots)


@pytest.fixture
def fits(monkeypatch):
    """What `prepare_experiments` was asked for."""
    seen = []
    prepare = benchmarking.prepare_experiments

    def spy(corpus, model, **options):
        seen.append((model, options["features"], options["scale"]))
        return prepare(corpus, model, **options)

    monkeypatch.setattr(benchmarking, "prepare_experiments", spy)
    return seen


def test_a_cell_is_what_its_model_alone_gives(roots, corpora, tmp_path):
    found = run_benchmark(corpora, ["lda", "logistic"], tmp_path, protocols=["auto", "random"], **FEW)
    assert len(found.reports) == 2 * 3 * 2
    assert not found.refused
    alone = evaluate(emotion_pipeline("lda", features="means-180", random_state=0), load_corpus(roots[1]))
    report = found.reports[Cell("lda", "means-180", "two", "auto")]
    assert report.description == alone.description == "leave one speaker out, 3 speakers"
    same = ["emotion", "predicted", "angry", "sad", "neutral"]
    assert_frame_equal(report.predictions[same], alone.predictions[same])
    assert not found.reports[Cell("lda", "means-180", "two", "random")].speaker_independent


def test_what_was_made_is_kept_and_what_is_new_is_made(corpora, tmp_path, fits):
    first = run_benchmark(corpora, ["lda"], tmp_path, **FEW)
    assert fits == [("lda", "means-180", "corpus")]
    again = run_benchmark(corpora, ["logistic", "lda"], tmp_path, **FEW)
    assert fits[1:] == [("logistic", "means-180", "corpus")]
    for cell, report in first.reports.items():
        kept = again.reports[cell]
        assert kept.description == report.description
        assert_frame_equal(kept.predictions, report.predictions)
        assert again.seconds[cell] == pytest.approx(first.seconds[cell], abs=0.1)


def test_an_interrupted_benchmark_goes_on_where_it_was(corpora, tmp_path, monkeypatch):
    evaluate_cell, made = benchmarking._estimate, []

    def interrupted(experiments, cell, progress):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(cell)
        return evaluate_cell(experiments, cell, progress)

    monkeypatch.setattr(benchmarking, "_estimate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(corpora, ["lda"], tmp_path, **FEW)
    monkeypatch.setattr(benchmarking, "_estimate", lambda *given: made.append(given[1]) or evaluate_cell(*given))
    found = run_benchmark(corpora, ["lda"], tmp_path, **FEW)
    assert len(found.reports) == 3
    assert sorted(cell.corpus for cell in made) == ["one", "three", "two"]


@pytest.mark.parametrize("change", ["seed", "scale", "clips", "half", "versions", "no-report", "half-report"])
def test_what_was_made_otherwise_is_made_anew(change, roots, tmp_path, fits, monkeypatch):
    shutil.copytree(roots[2], tmp_path / "three")
    options = {**FEW, "random_state": 0, "scale": "corpus"}
    run_benchmark(load_corpus(tmp_path / "three"), ["lda"], tmp_path / "out", **options)
    if change == "seed":
        options["random_state"] = 1
    elif change == "scale":
        options["scale"] = "speaker"
    elif change == "clips":
        manifest = tmp_path / "three" / "manifest.csv"
        pd.read_csv(manifest).iloc[1:].to_csv(manifest, index=False)
    elif change == "half":
        (cell,) = (tmp_path / "out").glob("*.json")
        cell.write_text(cell.read_text(encoding="utf-8")[:-5], encoding="utf-8")
    elif change == "no-report":
        (cell,) = (tmp_path / "out").glob("*.json")
        shutil.rmtree(cell.with_suffix(""))
    elif change == "half-report":
        (report,) = (tmp_path / "out").glob("*/*.csv")
        report.write_text("", encoding="utf-8")
    else:
        monkeypatch.setattr(benchmarking, "version", lambda package: "0.0")
    run_benchmark(load_corpus(tmp_path / "three"), ["lda"], tmp_path / "out", **options)
    assert len(fits) == 2


def test_across_corpora_emotions_of_both_are_learned_and_tested(corpora, tmp_path):
    found = run_benchmark(corpora, ["lda"], tmp_path, cross=True, **FEW)
    pairs = {cell.corpus: report for cell, report in found.reports.items() if cell.protocol == "split"}
    assert sorted(pairs) == ["one -> three", "one -> two", "three -> one", "two -> one"]
    assert sorted(pairs["one -> two"].labels) == ["angry", "sad"]
    assert set(pairs["one -> two"].predictions["speaker"]) == {"two:F1", "two:F2", "two:M1"}
    assert pairs["one -> two"].description == "trained on one, tested on two, 2 emotions of both"
    assert pairs["one -> two"].speaker_independent
    both = np.isin(corpora.frame["corpus"], ["one", "two"]) & np.isin(corpora.target, ["angry", "sad"])
    learned = both & (corpora.frame["corpus"] == "one")
    model = emotion_pipeline("lda", features="means-180", random_state=0)
    model.fit(corpora.data[learned], corpora.target[learned], classifier__groups=corpora.groups[learned])
    expected = model.predict(corpora.data[both & ~learned])
    assert pairs["one -> two"].predictions["predicted"].tolist() == expected.tolist()
    assert [(cell.corpus, told) for cell, told in found.refused.items()] == [
        (name, f"{name}: they share 1 emotions, and a classifier needs two or more.")
        for name in ("three -> two", "two -> three")
    ]


def test_across_corpora_scaling_by_speaker_is_told(corpora, tmp_path):
    found = run_benchmark(corpora, ["lda"], tmp_path, cross=True, scale="speaker", **FEW)
    told = {report.description for cell, report in found.reports.items() if cell.corpus == "one -> two"}
    scaled = "; per-speaker normalisation (uses unlabelled test clips)"
    assert told == {"trained on one, tested on two, 2 emotions of both" + scaled}


def test_a_report_that_was_not_finished_counts_for_no_other_settings(roots, tmp_path, fits, monkeypatch):
    three = load_corpus(roots[2])
    run_benchmark(three, ["lda"], tmp_path, random_state=0, **FEW)
    write = benchmarking.write_report

    def interrupted(*given, **options):
        write(*given, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(benchmarking, "write_report", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_benchmark(three, ["lda"], tmp_path, random_state=1, **FEW)
    monkeypatch.setattr(benchmarking, "write_report", write)
    run_benchmark(three, ["lda"], tmp_path, random_state=0, **FEW)
    assert len(fits) == 3


def test_a_protocol_that_does_not_fit_leaves_the_others(corpora, tmp_path):
    words = []
    found = run_benchmark(corpora, ["lda"], tmp_path, protocols=["ravdess-6", "loso"], tell=words.append, **FEW)
    assert {cell.protocol for cell in found.reports} == {"loso"}
    assert len(found.refused) == 3
    assert any("left out: Protocol 'ravdess-6' needs the 24 actors" in word for word in words)
    assert any(word.startswith("2 of 6: lda, means-180, one, loso") for word in words)
    assert any(word.startswith("4 of 6, ") and "left: lda" in word for word in words)
    assert found.table["note"].str.contains("24 actors").sum() == 3


def test_a_single_corpus_needs_no_parts(roots, tmp_path):
    found = run_benchmark(load_corpus(roots[0]), ["lda"], tmp_path, **FEW)
    assert [cell.corpus for cell in found.reports] == ["one"]


def test_networks_have_features_of_their_own(corpora, tmp_path):
    with pytest.raises(ValueError, match="nothing to run: networks have features of their own"):
        run_benchmark(corpora, ["lstm"], tmp_path, **FEW)
    plan = benchmarking._plan(["lstm", "lda"], ["default", "means-180"], ["one"], ["auto"], cross=False)
    assert list(plan) == [("lstm", "default"), ("lda", "default"), ("lda", "means-180")]


def test_features_are_computed_once_for_all_models(corpora, tmp_path, monkeypatch):
    from sersk import extraction

    read = []
    original = extraction.load_audio
    monkeypatch.setattr(
        extraction, "load_audio", lambda *given, **options: read.append(given) or original(*given, **options)
    )
    run_benchmark(corpora, ["lda", "logistic"], tmp_path / "out", memory=str(tmp_path / "cache"), **FEW)
    assert len(read) == len(corpora.data)


def test_folders_of_cells_are_told_apart(tmp_path):
    cells = [Cell("lda", "default", name, "auto") for name in ("a b", "a/b", "a -> b", "ä b")]
    folders = [cell.folder for cell in cells]
    assert len(set(folders)) == 4
    assert all(set(folder) <= {*"abcdefghijklmnopqrstuvwxyz0123456789_-.ä"} for folder in folders)
    assert json.dumps(folders)
