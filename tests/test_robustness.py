"""What a model gets right on degraded clips: trained on clean ones, and tested under each condition."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from conftest import needs_keras, tiny_network
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch
from speakers import EMOTIONS, cheap_mfcc

from sersk import (
    AcousticFeatures,
    AudioError,
    ClipAugmenter,
    FrameScaler,
    FrameSequences,
    SpeakerScaler,
    emotion_pipeline,
    evaluate,
    experiments,
    load_audio,
    load_corpus,
)
from sersk.clips import clip_source
from sersk.corpora import make_emotional_speech
from sersk.degradation import CLEAN, CONDITIONS, Condition, DegradedClip
from sersk.evaluation import evaluate_robustness, make_protocol
from sersk.experiments import prepare_experiments
from sersk.models import fit_with_speakers
from sersk.models.folds import predict_with_speakers

NOISE, LOUD, TELEPHONE = Condition("noise", 0), Condition("gain", 20), Condition("telephone")
FEW = (NOISE, LOUD, TELEPHONE)


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    return make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=4, n_repetitions=2, duration=0.5)


def model(*steps):
    return make_pipeline(cheap_mfcc(), *(steps or (StandardScaler(), GaussianNB())))


# --- the table


@pytest.fixture(scope="module")
def report(speech):
    return evaluate_robustness(model(), speech, conditions=FEW)


def test_clean_clips_come_to_what_evaluate_gives(report, speech):
    expected = evaluate(model(), speech)
    assert list(report.reports) == ["clean", "noise-0", "gain+20", "telephone"]
    pd.testing.assert_frame_equal(report.clean.predictions, expected.predictions)
    told = (report.protocol, report.description, report.speaker_independent)
    assert told == (expected.protocol, expected.description, expected.speaker_independent)
    assert told[0] == "loso"


def test_every_condition_is_tested_by_the_models_of_clean_folds(report, speech):
    y, groups, clips = np.asarray(speech.target), np.asarray(speech.groups), list(speech.data)
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    for condition in FEW:
        table = report.reports[condition.name].predictions
        assert_array_equal(table["emotion"], y)
        for train, test in make_protocol(speech).folds:
            fitted = model().fit([clips[k] for k in train], y[train])
            heard = [DegradedClip(clips[k], condition, seed) for k in test]
            assert_array_equal(table["predicted"].iloc[test], fitted.predict(heard))
            assert_allclose(table[list(EMOTIONS)].iloc[test], fitted.predict_proba(heard), atol=1e-6)
            assert_array_equal(table["speaker"].iloc[test], groups[test])


def test_the_table_tells_the_figures_of_each_report(report):
    table = report.table
    assert table.columns.tolist() == [
        "condition", "kind", "level", "description", "n_clips", "uar", "uar_low", "uar_high", "wa", "drop",
    ]  # fmt: skip
    assert table["condition"].tolist() == list(report.reports)
    assert_array_equal(table["level"], [np.nan, 0, 20, np.nan])
    assert table["description"].tolist() == [condition.description for condition in (CLEAN, *FEW)]
    assert (table["n_clips"] == 24).all()
    for row in table.to_dict("records"):
        one = report.reports[row["condition"]]
        assert (row["uar"], row["wa"], row["drop"]) == (one.uar, one.wa, report.clean.uar - one.uar)
        assert (row["uar_low"], row["uar_high"]) == one.intervals()["uar"]
    assert table["drop"][0] == 0


def test_the_usual_conditions_are_those_of_the_issue(speech):
    table = evaluate_robustness(model(), speech).table
    assert table["condition"].tolist() == [condition.name for condition in CONDITIONS]
    assert table["uar"].notna().all()
    assert table["level"][table["kind"] == "noise"].tolist() == [20, 10, 5, 0]
    assert {"telephone", "mp3", "vorbis", "reverb", "clip", "gain"} < {*table["kind"]}


def test_clean_comes_first_and_nothing_twice(speech):
    for conditions in ([NOISE, CLEAN, NOISE], [Condition("noise", 0.0)]):
        report = evaluate_robustness(model(), speech, conditions=conditions)
        assert report.conditions == (CLEAN, NOISE)
    assert evaluate_robustness(model(), speech, conditions=()).conditions == (CLEAN,)


def test_order_workers_and_seed(report, speech):
    with parallel_config("threading"):
        other = evaluate_robustness(
            model().set_params(acousticfeatures__n_jobs=2), speech, conditions=FEW[::-1], n_jobs=2, random_state=0
        )
    for name, one in report.reports.items():
        # Threads share the number of BLAS' own threads, by which it rounds.
        pd.testing.assert_frame_equal(other.reports[name].predictions, one.predictions, rtol=1e-4, atol=1e-6)
    seed = evaluate_robustness(model(), speech, conditions=FEW, random_state=1)
    for name, same in [("clean", True), ("noise-0", False), ("gain+20", True)]:
        chances = (one.reports[name].predictions[list(EMOTIONS)] for one in (seed, report))
        assert np.array_equal(*chances) == same


# --- what is trained on, and what is tested


class Lengths(TransformerMixin, BaseEstimator):
    """Clips -> lengths, which tell them apart, and levels, which tell what was done to them."""

    def __init__(self, sr=16000):
        self.sr = sr

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        waveforms = [clip_source(clip, self.sr)[0] for clip in X]
        return np.array([[len(waveform), np.abs(waveform).max()] for waveform in waveforms])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


class Spy(ClassifierMixin, BaseEstimator):
    """Notes what it is fitted on and what it predicts."""

    log: ClassVar[list] = []

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.log.append(("fit", X))
        return self

    def predict(self, X):
        self.log.append(("predict", X))
        return np.repeat(self.classes_[:1], len(X))


@pytest.fixture
def tones():
    """Clips of different lengths at the level 1."""
    n_clips = 18
    return Bunch(
        data=[np.ones(100 + k, np.float32) for k in range(n_clips)],
        target=np.tile(EMOTIONS, n_clips // 3),
        groups=np.repeat(["s0", "s1", "s2"], n_clips // 3),
        files=[f"{k}.wav" for k in range(n_clips)],
    )


@pytest.mark.parametrize("front", [Lengths(), Pipeline([("inner", Lengths())])], ids=["computed-once", "fold-by-fold"])
@pytest.mark.parametrize("copies", [(), ("gain",)], ids=["plain", "augmented"])
def test_training_never_sees_a_degraded_clip(tones, front, copies):
    whole = make_pipeline(front, Spy())
    if copies:
        whole = ClipAugmenter(whole, copies, gain=(-6.0, -6.0), random_state=0)
    Spy.log.clear()
    report = evaluate_robustness(whole, tones, conditions=[LOUD, Condition("gain", -20)])
    folds = make_protocol(tones).folds
    for (train, _), (kind, learned) in zip(folds, Spy.log[: len(folds)], strict=True):
        assert kind == "fit"
        assert_array_equal(learned[: len(train)], [[100 + k, 1] for k in train])
        assert_allclose(
            learned[len(train) :], np.array([[100 + k, 10**-0.3] for k in train] * len(copies)).reshape(-1, 2)
        )
    predicted = iter(Spy.log[len(folds) :])
    for level in (1, 10, 0.1):
        for _, test in folds:
            kind, tested = next(predicted)
            assert kind == "predict"
            assert_allclose(tested, [[100 + k, level] for k in test], rtol=1e-6)
    assert not list(predicted), "each fold is fitted once"
    assert all(one.predictions["file"].tolist() == tones.files for one in report.reports.values())


def test_speakers_reach_what_scales_by_them(speech):
    whole = model(SpeakerScaler(), StandardScaler(), GaussianNB())
    report = evaluate_robustness(whole, speech, conditions=[NOISE])
    y, groups, clips = np.asarray(speech.target), np.asarray(speech.groups), np.array([*map(str, speech.data)])
    seed = np.random.RandomState(0).randint(np.iinfo(np.int32).max)
    for train, test in make_protocol(speech).folds:
        fitted = fit_with_speakers(clone(whole), clips[train], y[train], groups[train])
        heard = [DegradedClip(clip, NOISE, seed) for clip in clips[test]]
        expected = predict_with_speakers(fitted, heard, groups[test], "predict_proba")
        assert_allclose(report.reports["noise-0"].predictions[list(EMOTIONS)].iloc[test], expected, atol=1e-5)


def test_more_stateless_steps_and_tables(speech):
    steps = (FunctionTransformer(lambda X: X * 2), StandardScaler(), GaussianNB())
    for whole in (model(*steps[1:]), model(*steps)):
        plain = evaluate_robustness(whole, speech, conditions=[NOISE]).reports["noise-0"].predictions
        # A warning would tell that a table is learned from and an array predicted; warnings are errors.
        tables = evaluate_robustness(clone(whole).set_output(transform="pandas"), speech, conditions=[NOISE])
        chances = tables.reports["noise-0"].predictions[list(EMOTIONS)]
        assert_allclose(chances, plain[list(EMOTIONS)], rtol=1e-4, atol=1e-9)


def test_a_search_over_the_whole_pipeline(speech):
    search = GridSearchCV(model(), {"gaussiannb__var_smoothing": [1e-9]}, cv=2)
    report = evaluate_robustness(search, speech, conditions=[NOISE])
    expected = evaluate_robustness(model(), speech, conditions=[NOISE])
    for name, one in expected.reports.items():
        assert_array_equal(report.reports[name].predictions["predicted"], one.predictions["predicted"])


def test_speakers_that_are_not_known(speech):
    report = evaluate_robustness(model(), Bunch(**{**speech, "groups": None}), conditions=[LOUD])
    assert (report.protocol, report.speaker_independent) == ("random", False)
    assert report.table["uar_low"].notna().all()


def test_what_takes_no_clips_is_refused(speech):
    with pytest.raises(
        ValueError, match=r"Only clips can be degraded, and Pipeline takes none.*Give the whole pipeline"
    ):
        evaluate_robustness(make_pipeline(StandardScaler(), GaussianNB()), speech)


def test_a_clip_that_cannot_be_read_at_all(speech, tmp_path):
    corpus = Bunch(**{**speech, "data": [*speech.data[:-1], tmp_path / "gone.wav"]})
    with pytest.raises(AudioError, match=r"gone\.wav"):
        evaluate_robustness(model(), corpus)


# --- what fails under a condition


@pytest.fixture
def failing(monkeypatch):
    """Make clips fail when they are degraded, by a rule."""

    def fail(rule):
        waveform = DegradedClip.waveform

        def fragile(self, sr):
            if rule(self):
                raise AudioError(self.name, "cannot be degraded")
            return waveform(self, sr)

        monkeypatch.setattr(DegradedClip, "waveform", fragile)

    return fail


def test_clips_that_fail_under_a_condition_are_left_out_of_it(speech, failing, report):
    files = [*map(str, speech.data)]
    gone = [3, *np.flatnonzero(np.asarray(speech.groups) == speech.groups[-1])]  # a clip, and a speaker's whole fold
    failing(lambda clip: clip.condition == NOISE and str(clip.clip) in [files[k] for k in gone])
    with pytest.warns(UserWarning, match=r"^noise-0: 7 of 24 clips could not be tested and were left out; the first: "):
        broken = evaluate_robustness(
            model(FunctionTransformer(), StandardScaler(), GaussianNB()), speech, conditions=FEW
        )
    table = broken.table.set_index("condition")
    assert table["n_clips"].tolist() == [24, 17, 24, 24]
    assert {name: [index for index, _ in failed] for name, failed in broken.failures.items()} == {
        "clean": [], "noise-0": gone, "gain+20": [], "telephone": [],
    }  # fmt: skip
    assert str(broken.failures["noise-0"][0][1]) == f"{files[3]}: cannot be degraded"
    kept = report.reports["noise-0"].predictions.drop(index=gone)
    pd.testing.assert_frame_equal(broken.reports["noise-0"].predictions, kept)
    pd.testing.assert_frame_equal(broken.reports["telephone"].predictions, report.reports["telephone"].predictions)


def test_a_condition_under_which_all_fail_has_no_figures(speech, failing):
    failing(lambda clip: clip.condition == TELEPHONE)
    with pytest.warns(UserWarning, match="telephone: 24 of 24 clips could not be tested"):
        report = evaluate_robustness(model(FunctionTransformer(), GaussianNB()), speech, conditions=[TELEPHONE, LOUD])
    assert list(report.reports) == ["clean", "gain+20"]
    row = report.table.set_index("condition").loc["telephone"]
    assert row["n_clips"] == 0
    assert row[["uar", "uar_low", "uar_high", "wa", "drop"]].isna().all()


def test_steps(speech):
    seen = {"folds": [], "conditions": []}

    def progress(folds, total):
        for fold in folds:
            seen["folds"].append(total)
            yield fold

    evaluate_robustness(model(), speech, conditions=FEW, progress=progress, on_condition=seen["conditions"].append)
    assert seen == {"folds": [4] * 4, "conditions": [*FEW]}


# --- experiments, whose features are computed already


def prepare(corpus, learner="lda", **parameters):
    return prepare_experiments(corpus, learner, **({"features": cheap_mfcc()} | parameters))["mixed"]


@pytest.fixture
def extracted(monkeypatch):
    """List that gets the number of clips of every extraction."""
    numbers = []
    extract = AcousticFeatures.extract
    monkeypatch.setattr(AcousticFeatures, "extract", lambda self, X: numbers.append(len(X)) or extract(self, X))
    return numbers


def test_an_experiment_gives_what_the_whole_model_gives(speech, extracted):
    experiment = prepare(speech)
    report = experiment.evaluate_robustness(FEW)
    assert extracted == [24] * 4, "clean clips once"
    pd.testing.assert_frame_equal(report.clean.predictions, experiment.evaluate().predictions)
    whole = evaluate_robustness(emotion_pipeline("lda", features=cheap_mfcc(), random_state=0), speech, conditions=FEW)
    for name, one in whole.reports.items():
        pd.testing.assert_frame_equal(report.reports[name].predictions, one.predictions)


def test_an_experiment_with_altered_copies_a_search_and_a_clip_that_cannot_be_read(speech, extracted):
    data = [*speech.data[:-1], "gone.wav"]
    corpus = Bunch(**{**speech, "data": np.array(data, dtype=object)})
    experiment = prepare(corpus, "logistic", augment=["noise"], search="halving")
    report = experiment.evaluate_robustness([LOUD], random_state=3)
    assert extracted == [48, 23]
    pd.testing.assert_frame_equal(report.clean.predictions, experiment.evaluate().predictions)
    assert report.table["n_clips"].tolist() == [23, 23]
    assert len(experiment.failures) == 1


def test_steps_before_the_learner_that_learn_nothing(speech):
    experiment = prepare(speech)
    experiment.learner.set_params(scale="passthrough")
    report = experiment.evaluate_robustness([LOUD])
    pd.testing.assert_frame_equal(report.clean.predictions, experiment.evaluate().predictions)
    assert len(report.reports["gain+20"].predictions) == 24


@needs_keras
@pytest.mark.parametrize("methods", [(), ("time_mask",), ("gain",)])
def test_networks(speech, methods):
    # Silence around the speech is trimmed; in noise there is none, and a clip has more frames than any in training.
    corpus = Bunch(**{**speech, "data": [np.pad(load_audio(file), 8000) for file in speech.data]})
    front = FrameSequences(("log_mel",), deltas=0, n_mels=3, step=4, trim=True)
    noisy = front.transform([DegradedClip(clip, NOISE, 0) for clip in corpus.data])
    assert noisy.shape[1] > front.transform(corpus.data).shape[1] + 5
    back = make_pipeline(FrameScaler(), tiny_network())
    if "time_mask" in methods:
        back = ClipAugmenter(back, methods, random_state=0)
    whole = make_pipeline(front, back)
    if "gain" in methods:
        whole = ClipAugmenter(whole, methods, random_state=0)
    report = evaluate_robustness(whole, corpus, conditions=[NOISE])
    pd.testing.assert_frame_equal(report.clean.predictions, evaluate(whole, corpus).predictions)
    chances = report.reports["noise-0"].predictions[list(EMOTIONS)]
    assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert not np.allclose(chances, report.clean.predictions[list(EMOTIONS)], atol=1e-3)


@needs_keras
@pytest.mark.parametrize("augment", [[], ["gain", "time_mask"]])
def test_an_experiment_with_a_network(speech, augment, monkeypatch):
    pipeline = Pipeline(
        [
            ("features", FrameSequences(("log_mel",), deltas=0, n_mels=3, step=4)),
            ("scale", FrameScaler()),
            ("classifier", tiny_network()),
        ]
    )
    monkeypatch.setattr(experiments, "emotion_pipeline", lambda *_args, **_options: clone(pipeline))
    experiment = prepare(speech, "some network", augment=augment)
    assert len(experiment.corpus.rows) == (48 if augment else 24)
    report = experiment.evaluate_robustness([NOISE])
    pd.testing.assert_frame_equal(report.clean.predictions, experiment.evaluate().predictions)
    assert len(report.reports["noise-0"].predictions) == 24


@pytest.mark.corpus
def test_noise_costs_more_the_louder_it_is(real_corpora):
    corpus = load_corpus(real_corpora / "emodb")
    conditions = [Condition("noise", 30), Condition("noise", 10), Condition("noise", 0), Condition("gain", 6)]
    table = evaluate_robustness(emotion_pipeline("lda"), corpus, conditions=conditions).table.set_index("condition")
    assert (np.diff(table["uar"][["clean", "noise-30", "noise-10", "noise-0"]]) < 0).all()
    assert table.loc["gain+6", "drop"] < 0.03
