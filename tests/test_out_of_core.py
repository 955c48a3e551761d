"""What is learned file by file is what would be learned from all rows in memory, of training speakers only."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch
from speakers import EMOTIONS, cheap_mfcc, speaker_matrix
from test_cli import errors, sersk

from sersk import emotion_pipeline, evaluate, load_corpus, load_model, make_emotional_speech, out_of_core
from sersk.feature_table import FeatureTable, open_feature_table, write_feature_table
from sersk.models import ShrinkageLDA, SpeakerCalibratedClassifier, XGBoostClassifier
from sersk.models.classical import classifier
from sersk.out_of_core import train_on_table
from sersk.persistence import read_card

pytest.importorskip("pyarrow", reason="needs an extra: pip install 'sersk[parquet]'")

X, Y, GROUPS = speaker_matrix(n_speakers=6, n_features=20, spread=2.0)
X = X.astype(np.float32)


def write(folder, part_size=10, **columns):
    """A table of clips that never were: their features are given."""
    features = cheap_mfcc()
    frame = pd.DataFrame({"file": [f"{k}.wav" for k in range(len(Y))], "emotion": Y, "speaker": GROUPS, "gender": None})
    frame["corpus"] = "made up"
    frame = frame.assign(**columns).astype({"speaker": "string"})
    rows = iter(range(0, len(Y), part_size))

    def extract(clips):
        first = next(rows)
        return X[first : first + part_size], []

    features.extract = extract
    assert write_feature_table(frame["file"], frame, features, folder, part_size=part_size) == []
    return folder


@pytest.fixture
def table(tmp_path):
    return write(tmp_path / "table")


def classifier_of(trained):
    return trained.pipeline[-1].estimator_


# --- the same numbers


@pytest.mark.parametrize("part_size", [7, 72])
def test_lda_is_that_of_all_rows_in_memory(part_size, tmp_path):
    trained = train_on_table(write(tmp_path / "table", part_size))
    whole = make_pipeline(StandardScaler(), ShrinkageLDA(0.7)).fit(X.astype(float), Y)
    assert_allclose(trained.pipeline["scale"].mean_, whole[0].mean_, rtol=1e-9)
    assert_allclose(trained.pipeline["scale"].scale_, whole[0].scale_, rtol=1e-9)
    assert_allclose(classifier_of(trained).coef_, whole[1].coef_, rtol=1e-6, atol=1e-9)
    assert_allclose(classifier_of(trained).intercept_, whole[1].intercept_, rtol=1e-6, atol=1e-9)
    assert_allclose(trained.pipeline[1:-1].transform(X), whole[:-1].transform(X), atol=1e-5)
    assert_array_equal(trained.pipeline[1:].predict(X), whole.predict(X))
    assert trained.pipeline["classifier"].n_features_in_ == 20


def test_logistic_regression_is_the_partial_fit_of_the_same_rows_in_the_same_order(table):
    trained = train_on_table(table, "logistic", random_state=3)
    scaler = StandardScaler()
    for first in range(0, len(Y), 10):
        scaler.partial_fit(X[first : first + 10])
    by_hand = SGDClassifier(
        "log_loss",
        alpha=20 / (5 * len(Y)),  # C = 5 / n_features
        class_weight={emotion: len(Y) / (3 * np.sum(emotion == Y)) for emotion in EMOTIONS},
        learning_rate="constant",
        eta0=2 / 20,
        average=True,
        random_state=3,
    )
    random = np.random.RandomState(3)
    for _ in range(5):
        for number in random.permutation(8):
            rows = random.permutation(np.arange(number * 10, min(number * 10 + 10, len(Y))))
            by_hand.partial_fit(scaler.transform(X[rows]), Y[rows], EMOTIONS)
    assert_array_equal(classifier_of(trained).coef_, by_hand.coef_)
    assert_array_equal(classifier_of(trained).intercept_, by_hand.intercept_)
    again, other = (train_on_table(table, "logistic", random_state=seed) for seed in (3, 4))
    assert_array_equal(classifier_of(again).coef_, by_hand.coef_)
    assert np.abs(classifier_of(other).coef_ - by_hand.coef_).max() > 1e-6


def test_boosted_trees_are_those_of_all_rows_in_memory(table, monkeypatch):
    few = XGBoostClassifier(8, subsample=1.0, colsample_bynode=1.0)
    monkeypatch.setattr(out_of_core, "classifier", lambda *_: (SpeakerCalibratedClassifier(few), {}))
    trained = train_on_table(table, "xgboost", n_jobs=2)
    assert list(trained.pipeline.named_steps) == ["features", "classifier"]
    assert (classifier_of(trained).n_features_in_, classifier_of(trained).n_jobs) == (20, 2)
    assert_allclose(classifier_of(trained).predict_proba(X), few.fit(X, Y).predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("model", out_of_core.MODELS)
def test_settings_are_those_of_the_model_in_memory(model, table, monkeypatch):
    asked = []
    monkeypatch.setattr(out_of_core, "classifier", lambda *given: asked.append(given) or classifier(*given))
    trained = train_on_table(table, model, random_state=5)
    assert asked == [(model, 20, 5)]
    assert trained.pipeline["features"].get_params() == cheap_mfcc().get_params()


# --- the estimate


@pytest.fixture
def read(monkeypatch):
    """Speakers whose clips were read, pass by pass."""
    passes = []
    batches = FeatureTable.batches

    def noting(self, rows, *random):
        passes.append(sorted({*GROUPS[rows]}))
        return batches(self, rows, *random)

    monkeypatch.setattr(FeatureTable, "batches", noting)
    return passes


def test_nothing_is_learned_from_speakers_that_are_tested(table, read):
    report = train_on_table(table).report
    assert report.description == "2 of 6 speakers are tested, unseen speakers"
    assert report.speaker_independent
    tested = sorted(set(report.predictions["speaker"]))
    assert report.predictions.index.tolist() == np.flatnonzero(np.isin(GROUPS, tested)).tolist()
    first, held_out, training, test, *final = read
    assert test == tested
    assert sorted([*training, *tested]) == [f"s{k}" for k in range(6)]
    assert sorted([*first, *held_out]) == training
    assert len(held_out) == 1
    assert len(final) == 3
    assert final[-1] == [f"s{k}" for k in range(6)]


@pytest.mark.parametrize(("model", "n_passes"), [("lda", 1), ("logistic", 6)])
def test_a_model_takes_few_passes(model, n_passes, table, read):
    train_on_table(table, model)
    # Twice, for the estimate and at last: to choose how sure to be, to try that out, to train; once to test.
    assert len(read) == 2 * (2 * n_passes + 1) + 1


def test_the_estimate_is_that_of_evaluate(table):
    report = train_on_table(table, protocol="loso", progress=lambda folds, total: folds).report
    learner = emotion_pipeline("lda", features=cheap_mfcc())[1:]
    expected = evaluate(learner, Bunch(data=X.astype(float), target=Y, groups=GROUPS), protocol="loso")
    assert report.description == expected.description == "leave one speaker out, 6 speakers"
    assert_array_equal(report.predictions["predicted"], expected.predictions["predicted"])
    assert report.uar == expected.uar
    assert report.predictions["corpus"].unique().tolist() == ["made up"]


def test_probabilities_are_calibrated_on_held_out_speakers(table, tmp_path):
    sure = train_on_table(table).pipeline["classifier"]
    assert sure.temperature_ != 1.0
    scores = sure.estimator_.decision_function(X)
    chances = np.exp(scores / sure.temperature_)
    assert_allclose(sure.predict_proba(X), chances / chances.sum(axis=1, keepdims=True), rtol=1e-6)


def test_with_one_clip_of_each_emotion_there_is_no_calibration(tmp_path):
    _, of_which = np.unique(Y, return_index=True)
    both = np.sort([*of_which, *(of_which + 24)])
    frame = pd.DataFrame({"file": both.astype(str), "emotion": Y[both], "speaker": GROUPS[both], "corpus": "made up"})
    features = cheap_mfcc()
    features.extract = lambda clips: (X[both], [])
    write_feature_table(frame["file"], frame, features, tmp_path / "few")
    trained = train_on_table(tmp_path / "few", protocol="loso")
    assert (trained.n_clips, trained.n_speakers) == (6, 2)


@pytest.mark.parametrize("speakers", [None, "one"])
def test_where_speakers_are_unknown_the_estimate_says_so(speakers, tmp_path):
    trained = train_on_table(write(tmp_path / "table", speaker=speakers))
    assert "SPEAKER-DEPENDENT" in trained.report.description
    assert not trained.report.speaker_independent
    assert trained.n_speakers == (0 if speakers is None else 1)
    assert len(trained.report.predictions) == 15


# --- what goes wrong, and what comes of it


def test_what_cannot_be_learned_is_refused(table, tmp_path):
    with pytest.raises(ValueError, match="svm needs all clips in memory; from features in a folder learn lda, log"):
        train_on_table(table, "svm")
    with pytest.raises(ValueError, match="ravdess-6"):
        train_on_table(table, protocol="ravdess-6")
    features = cheap_mfcc()
    features.extract = lambda clips: (X[:2], [])
    write_feature_table(["a", "b"], pd.DataFrame({"file": ["a", "b"]}), features, tmp_path / "plain")
    with pytest.raises(ValueError, match="plain: tells no emotions"):
        train_on_table(tmp_path / "plain")


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=5, n_repetitions=3, duration=0.4)
    return folder


@pytest.mark.parametrize("model", out_of_core.MODELS)
def test_fit_takes_a_folder_of_features(model, speech, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = sersk("features", speech, "--layout", "auto", "--features", "means-180", "--out", "table", "--jobs", 1)
    assert made.exit_code == 0
    result = sersk("fit", "table", "--model", model, "--out", "m.sersk", "--jobs", 1, "--seed", 1)
    assert result.exit_code == 0
    assert result.stdout.startswith("Estimate: 1 of 5 speakers are tested, unseen speakers\nUAR ")
    assert "training on all clips" in result.stderr
    card = read_card("m.sersk")
    assert (card["corpora"], card["model"], card["n_clips"], card["n_speakers"]) == (["synthetic"], model, 45, 5)
    assert card["features"]["n_mels"] == 128
    fitted, corpus = load_model("m.sersk"), load_corpus(speech)
    rows = open_feature_table("table")
    (_, vectors), *_ = rows.batches(np.arange(45))
    assert_array_equal(fitted.predict_proba(corpus.data), fitted[1:].predict_proba(vectors))
    assert fitted.score(corpus.data, corpus.target) > 0.8


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--search", "grid"], "--search: there is no such choice for features in a folder. Leave it out."),
        (["--layout", "auto"], "--layout: there is no such choice for features in a folder. Leave it out."),
        (["demo"], "Features in a folder stand alone. Write those of all corpora into one folder."),
        (["--model", "mlp"], "mlp needs all clips in memory; from features in a folder learn lda, logistic, xgboost."),
    ],
)
def test_what_does_not_go_with_a_folder_of_features_is_told(arguments, line, table, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = sersk("fit", table, *arguments)
    assert (result.exit_code, result.stdout, errors(result)) == (2, "", [f"error: {line}"])
    assert not (tmp_path / "model.sersk").exists()
