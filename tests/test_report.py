"""What an evaluation counts, and that nothing leaks into it."""

from __future__ import annotations

import json
import warnings
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, recall_score
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.utils import Bunch
from speakers import EMOTIONS, Recorder, cheap_mfcc, speaker_matrix

from sersk import AudioError, ClipAugmenter, EvaluationReport, emotion_pipeline, evaluate, load_corpus
from sersk.clips import clip_source
from sersk.corpora import make_emotional_speech
from sersk.evaluation import make_protocol, metrics
from sersk.models import SpeakerCalibratedClassifier, fit_with_speakers

X, Y, GROUPS = speaker_matrix(spread=2.0)
MATRIX = Bunch(data=X, target=Y, groups=GROUPS, files=[f"{k}.wav" for k in range(len(Y))])
BAYES = make_pipeline(StandardScaler(), GaussianNB())


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    return make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=3, n_repetitions=2, duration=0.5)


def test_the_figures_are_scikit_learns_of_all_predictions_together():
    report = evaluate(BAYES, MATRIX)
    table = report.predictions
    truth, predicted = table["emotion"], table["predicted"]
    assert_array_equal(truth, Y)
    assert report.uar == balanced_accuracy_score(truth, predicted)
    assert report.wa == accuracy_score(truth, predicted)
    assert list(report.recalls) == list(EMOTIONS)
    assert_allclose([*report.recalls.values()], recall_score(truth, predicted, average=None))
    assert_array_equal(report.confusion, confusion_matrix(truth, predicted))
    assert_array_equal(report.confusion.sum(axis=1), [24, 24, 24])
    assert [*report.confusion.index] == [*report.confusion.columns] == [*EMOTIONS]
    assert 0.5 < report.uar < 1


def test_every_clip_is_predicted_once_by_whom_had_not_heard_its_speaker():
    report = evaluate(BAYES, MATRIX)
    assert (report.protocol, report.speaker_independent) == ("loso", True)
    table = report.predictions
    assert table.columns.tolist() == ["file", "speaker", "fold", "emotion", "predicted", *EMOTIONS]
    assert_array_equal(table.index, np.arange(len(Y)))
    assert_array_equal(table["file"], MATRIX.files)
    assert_array_equal(table["speaker"], GROUPS)
    for number, (train, test) in enumerate(make_protocol(MATRIX).folds, 1):
        model = clone(BAYES).fit(X[train], Y[train])
        assert (table["fold"].iloc[test] == number).all()
        assert_array_equal(table["predicted"].iloc[test], model.predict(X[test]))
        assert_allclose(table[list(EMOTIONS)].iloc[test], model.predict_proba(X[test]))


def test_it_sums_up_for_json():
    summary = json.loads(json.dumps(evaluate(BAYES, MATRIX).to_dict()))
    assert summary["n_clips"] == len(Y)
    assert summary["protocol"] == "loso"
    assert summary["speaker_independent"] is True
    assert set(summary["recalls"]) == set(EMOTIONS)
    assert summary["uar"] == pytest.approx(np.mean([*summary["recalls"].values()]), abs=1e-4)
    assert 0 < summary["wa"] < 1


def test_an_emotion_that_was_never_predicted_has_recall_zero():
    table = pd.DataFrame({"emotion": ["sad", "happy"], "predicted": ["sad", "sad"]})
    report = EvaluationReport("loso", "", True, np.array(["happy", "sad"]), table)
    assert report.recalls == {"happy": 0.0, "sad": 1.0}
    assert report.confusion.loc["happy", "sad"] == 1


def test_an_emotion_that_was_never_tested_counts_for_nothing():
    # As where one corpus is left out: what is predicted may be what the others alone have.
    table = pd.DataFrame({"emotion": ["sad", "happy", "happy"], "predicted": ["sad", "happy", "calm"], "speaker": "s"})
    report = EvaluationReport("corpora", "", True, np.array(["calm", "happy", "sad"]), table)
    assert np.isnan(report.recalls.pop("calm"))
    assert report.recalls["happy"] == 0.5
    assert report.uar == np.mean([1.0, 0.5]) == report.by("speaker")["uar"].item()
    summary = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert summary["recalls"] == {"calm": None, "happy": 0.5, "sad": 1.0}


def test_gender_and_corpus_are_told_where_they_are_known():
    women = np.isin(GROUPS, ["s0", "s1"])
    frame = pd.DataFrame({"gender": np.where(women, "female", "male"), "corpus": "acted", "repetition": "1"})
    known = evaluate(BAYES, Bunch(**MATRIX, frame=frame))
    assert known.predictions.columns.tolist()[:5] == ["file", "speaker", "gender", "corpus", "fold"]
    assert_array_equal(known.predictions["gender"] == "female", women)
    assert known.by("gender")["clips"].to_dict() == {"female": 24, "male": 48}
    assert_array_equal(known.predictions.drop(columns=["gender", "corpus"]), evaluate(BAYES, MATRIX).predictions)
    frame["gender"] = frame["gender"].where(women)
    some = evaluate(BAYES, Bunch(**MATRIX, frame=frame.astype("string")))
    assert_array_equal(some.predictions["gender"].notna(), women)
    assert some.by("gender").index.tolist() == ["female"]
    nobody = evaluate(BAYES, Bunch(**MATRIX, frame=frame.assign(gender=None)))
    assert "gender" not in nobody.predictions


def test_the_model_is_not_changed():
    model = make_pipeline(FunctionTransformer(), StandardScaler(), GaussianNB())
    before = [vars(step).copy() for _, step in model.steps]
    evaluate(model, MATRIX)
    assert [vars(step) for _, step in model.steps] == before


# Leaks: what an evaluation must not let through.


def test_labels_that_say_nothing_give_chance_though_the_voices_give_them_away():
    # Each speaker is in one place and has one emotion: who knows the speaker knows the answer.
    random = np.random.default_rng(0)
    groups = np.repeat([f"s{k:02d}" for k in range(40)], 5)
    y = np.repeat(random.permutation(np.repeat(["happy", "sad"], 20)), 5)
    X = np.repeat(random.normal(size=(40, 20)), 5, axis=0) + 0.1 * random.normal(size=(200, 20))
    corpus = Bunch(data=X, target=y, groups=groups)
    model = make_pipeline(StandardScaler(), KNeighborsClassifier(1))
    random_folds = evaluate(model, corpus, protocol="random")
    assert random_folds.uar > 0.95
    assert not random_folds.speaker_independent
    assert evaluate(model, corpus).uar < 0.65


@pytest.mark.parametrize("seed", [0, 1])
def test_what_learns_from_the_labels_sees_training_folds_only(seed):
    # 2000 columns of noise: the 20 best on all clips "explain" the labels of all clips.
    random = np.random.default_rng(seed)
    X, y = random.normal(size=(160, 2000)), random.permutation(np.repeat(["happy", "sad"], 80))
    groups = np.repeat([f"s{k}" for k in range(8)], 20)
    learner = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3)
    leaked = SelectKBest(k=20).fit_transform(X, y)
    assert cross_val_score(learner, leaked, y, groups=groups, cv=GroupKFold(4)).mean() > 0.7
    model = make_pipeline(FunctionTransformer(), SelectKBest(k=20), learner)
    assert evaluate(model, Bunch(data=X, target=y, groups=groups)).uar < 0.58


class Counter(TransformerMixin, BaseEstimator):
    """Counts what it is asked to do; a scaler by its tags, or a stateless step."""

    calls: ClassVar[list] = []

    def __init__(self, learns=True):
        self.learns = learns

    def fit(self, X, y=None):
        self.fitted_ = True
        self.calls.append(("fit", len(X)))
        return self

    def transform(self, X):
        self.calls.append(("transform", len(X)))
        return X

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = self.learns
        return tags


def test_what_learns_nothing_is_computed_once():
    Counter.calls.clear()
    evaluate(make_pipeline(Counter(learns=False), Counter(learns=False), StandardScaler(), GaussianNB()), MATRIX)
    assert Counter.calls == [("transform", len(X))] * 2


def test_what_learns_is_fitted_in_every_fold():
    Counter.calls.clear()
    evaluate(make_pipeline(FunctionTransformer(), Counter(), Counter(learns=False), GaussianNB()), MATRIX)
    assert Counter.calls.count(("fit", 60)) == 2 * 6  # the stateless one comes after it, so it goes along
    assert ("transform", len(X)) not in Counter.calls


# Altered copies: learned from, never tested, and never apart from their clip.


class Lengths(TransformerMixin, BaseEstimator):
    """Clips -> their lengths, which a clip and its copies share, and their levels, in which they differ."""

    counts: ClassVar[list] = []

    def __init__(self, sr=16000):
        self.sr = sr

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        self.counts.append(len(X))
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
        self.log.append([X])
        return self

    def predict(self, X):
        self.log[-1].append(X)
        return np.repeat(self.classes_[:1], len(X))


@pytest.fixture
def tones():
    """Clips of different lengths at the level 1."""
    data = [np.ones(100 + k, np.float32) for k in range(len(Y))]
    return Bunch(data=data, target=Y, groups=GROUPS, files=MATRIX.files)


@pytest.mark.parametrize("once", [True, False], ids=["computed-once", "fold-by-fold"])
@pytest.mark.parametrize("groups", [GROUPS, None], ids=["known", "unknown"])
def test_no_copy_of_a_tested_clip_is_learned_from_and_none_is_tested(tones, once, groups):
    tones.groups = groups
    pipeline = make_pipeline(Lengths() if once else Pipeline([("inner", Lengths())]), Spy())
    Lengths.counts.clear()
    Spy.log.clear()
    model = ClipAugmenter(pipeline, ("gain", "gain"), gain=(1.0, 6.0), random_state=0)
    report = evaluate(model, tones)
    folds = make_protocol(tones).folds
    assert len(Spy.log) == len(folds)
    for (learned, tested), (train, test) in zip(Spy.log, folds, strict=True):
        assert_array_equal(tested, [[100 + k, 1] for k in test])
        assert_array_equal(learned[:, 0], np.tile(100 + train, 3))
        n_clips = len(train)
        assert (learned[:n_clips, 1] == 1).all()
        assert (learned[n_clips:, 1] > 1.1).all()
        assert (learned[n_clips : 2 * n_clips, 1] != learned[2 * n_clips :, 1]).all()
    assert len(report.predictions) == len(Y)
    if once:
        assert Lengths.counts == [3 * len(Y)]
    assert not hasattr(model, "estimator_")


@pytest.mark.parametrize("back", [GaussianNB(), SpeakerCalibratedClassifier(SVC())], ids=["bare", "calibrated"])
@pytest.mark.parametrize("with_speakers", [True, False], ids=["known", "unknown"])
def test_it_is_what_fitting_the_augmenter_in_every_fold_gives(speech, back, with_speakers):
    groups = np.asarray(speech.groups)
    corpus = Bunch(data=speech.data, target=speech.target, groups=groups if with_speakers else None)
    pipeline = make_pipeline(cheap_mfcc(), StandardScaler(), back)
    model = ClipAugmenter(pipeline, ("noise", "speed", "noise"), random_state=3)
    report = evaluate(model, corpus)
    y, clips = np.asarray(speech.target), np.array([str(file) for file in speech.data])
    for train, test in make_protocol(corpus).folds:
        by_hand = fit_with_speakers(clone(model), clips[train], y[train], groups[train] if with_speakers else None)
        expected = by_hand.predict_proba(clips[test])
        assert_allclose(report.predictions[by_hand.classes_].iloc[test], expected, atol=1e-12)
        assert_array_equal(report.predictions["predicted"].iloc[test], by_hand.predict(clips[test]))
    plain = evaluate(pipeline, corpus)
    assert not np.allclose(plain.predictions[[*EMOTIONS]], report.predictions[[*EMOTIONS]], atol=1e-3)
    assert report.predictions["speaker"].isna().all() == (not with_speakers)


def test_a_generator_for_a_seed_is_not_used_up(speech):
    state = np.random.RandomState(0)
    before = state.get_state()[1].copy()
    model = ClipAugmenter(make_pipeline(cheap_mfcc(), GaussianNB()), ("gain",), random_state=state)
    first, second = evaluate(model, speech), evaluate(model, speech)
    pd.testing.assert_frame_equal(first.predictions, second.predictions)
    assert_array_equal(state.get_state()[1], before)


def test_masks_behind_stateless_frames():
    frames = np.random.default_rng(0).normal(size=(len(Y), 8, 3)).astype(np.float32)
    corpus = Bunch(data=frames, target=Y, groups=GROUPS)

    def means(X):
        return X.mean(axis=1)

    masked = ClipAugmenter(make_pipeline(FunctionTransformer(means), Spy()), ("time_mask",), random_state=0)
    Spy.log.clear()
    evaluate(masked, corpus)
    ((learned, tested), *_), once = Spy.log, [learned for learned, _ in Spy.log]
    assert (len(learned), len(tested)) == (2 * 60, 12)
    Spy.log.clear()
    evaluate(make_pipeline(FunctionTransformer(), masked), corpus)
    for (again, _), learned in zip(Spy.log, once, strict=True):
        assert_array_equal(again, learned)


def test_copies_of_which_some_are_skipped(speech, tmp_path):
    corpus = Bunch(data=[*speech.data[:-1], tmp_path / "gone.wav"], target=speech.target, groups=speech.groups)
    model = ClipAugmenter(make_pipeline(cheap_mfcc(), GaussianNB()), ("gain",))
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        evaluate(model, corpus)
    model.set_params(estimator__acousticfeatures__on_error="skip")
    with pytest.warns(UserWarning, match="2 of 36 clips"), pytest.raises(ValueError, match="gave 34 rows for 36 clips"):
        evaluate(model, corpus)


# Models and corpora of all kinds.


def test_clips_by_path(speech):
    pipeline = emotion_pipeline("lda", features=cheap_mfcc())
    report = evaluate(pipeline, speech)
    assert report.description == "leave one speaker out, 3 speakers"
    assert_array_equal(report.predictions["file"], [str(file) for file in speech.data])
    assert report.uar > 1 / 3
    tables = evaluate(clone(pipeline).set_output(transform="pandas"), speech)
    assert_array_equal(tables.predictions["predicted"], report.predictions["predicted"])
    # Without a stateless front the paths themselves are split.
    whole = evaluate(make_pipeline(Pipeline([("inner", cheap_mfcc())]), *pipeline[1:]), speech)
    assert_allclose(whole.predictions[list(EMOTIONS)], report.predictions[list(EMOTIONS)], rtol=1e-4)


def test_scaling_switched_off(speech):
    assert (
        evaluate(emotion_pipeline(GaussianNB(), features=cheap_mfcc()).set_params(scale="passthrough"), speech).wa > 0
    )


def test_a_clip_that_cannot_be_read(speech, tmp_path):
    corpus = Bunch(data=[*speech.data[:-1], tmp_path / "gone.wav"], target=speech.target, groups=speech.groups)
    with pytest.raises(AudioError, match=r"gone\.wav"):
        evaluate(emotion_pipeline("lda", features=cheap_mfcc()), corpus)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the clip that is skipped
        with pytest.raises(ValueError, match=r"gave 17 rows for 18 clips: use on_error='raise'"):
            evaluate(emotion_pipeline("lda", features=cheap_mfcc(on_error="skip")), corpus)


@pytest.mark.parametrize("model", [make_pipeline(StandardScaler(), SVC()), Recorder()], ids=["svc", "recorder"])
def test_models_without_probabilities(model):
    report = evaluate(model, MATRIX)
    assert report.predictions.columns.tolist() == ["file", "speaker", "fold", "emotion", "predicted"]
    assert report.to_dict()["n_clips"] == len(Y)


class Single(GaussianNB):
    """Gives single floats, as networks and XGBoost do."""

    def predict_proba(self, X):
        return super().predict_proba(X).astype(np.float32)


def test_probabilities_in_single_floats_are_good_enough_for_figures():
    report = evaluate(make_pipeline(StandardScaler(), Single()), MATRIX)
    chances = report.predictions[list(EMOTIONS)]
    assert set(chances.dtypes) == {np.dtype(float)}
    assert not np.allclose(chances.sum(axis=1), 1, rtol=0, atol=1e-9), "they are what the model gave"
    assert_allclose(chances, evaluate(BAYES, MATRIX).predictions[list(EMOTIONS)], atol=1e-6)
    assert report.log_loss == pytest.approx(evaluate(BAYES, MATRIX).log_loss, abs=1e-4), "and no warning"


def test_the_speakers_of_the_training_fold_reach_the_model():
    Recorder.seen.clear()
    evaluate(make_pipeline(StandardScaler(), Recorder()), MATRIX)
    assert [sorted({*GROUPS} - set(groups)) for groups in Recorder.seen] == [[f"s{k}"] for k in range(6)]


def test_a_random_split_cares_for_no_speaker():
    """What a notebook stops training on, or calibrates by, is drawn as its test clips are."""
    Recorder.seen.clear()
    evaluate(Recorder(), MATRIX, protocol="random-split")
    assert Recorder.seen == [None]


def test_a_model_that_knows_no_routing():
    assert evaluate(make_pipeline(StandardScaler(), AdaBoostClassifier(n_estimators=3)), MATRIX).uar > 1 / 3


def test_a_corpus_without_speakers():
    report = evaluate(BAYES, Bunch(data=X.tolist(), target=Y.tolist(), groups=None))
    assert (report.protocol, report.speaker_independent) == ("random", False)
    assert report.predictions["speaker"].isna().all()
    assert len(report.predictions) == len(Y)


@pytest.mark.parametrize("unknown", ["", None, np.nan, pd.NA], ids=repr)
def test_clips_without_a_speaker_are_nobody_s(unknown):
    groups = GROUPS.astype(object)
    groups[::5] = unknown
    corpus = Bunch(data=X, target=Y, groups=groups)
    unseen = evaluate(BAYES, corpus)
    assert unseen.predictions.index.tolist() == [k for k in range(len(Y)) if k % 5]
    assert unseen.predictions["speaker"].tolist() == [name for k, name in enumerate(GROUPS) if k % 5]
    mixed = evaluate(BAYES, corpus, protocol="random")
    assert mixed.predictions["speaker"].isna().tolist() == [k % 5 == 0 for k in range(len(Y))]
    for report in (unseen, mixed):
        assert report.by("speaker").index.tolist() == sorted(set(GROUPS))
        assert all(low < high for low, high in report.intervals().values())


def test_a_table_for_data():
    report = evaluate(BAYES, Bunch(data=pd.DataFrame(X).add_prefix("x"), target=Y, groups=GROUPS, files=MATRIX.files))
    assert_array_equal(report.predictions["predicted"], evaluate(BAYES, MATRIX).predictions["predicted"])


def test_an_emotion_that_training_folds_lack():
    y = np.where((GROUPS == "s0") & (Y == "sad"), "bored", Y)
    report = evaluate(BAYES, Bunch(data=X, target=y, groups=GROUPS))
    assert report.recalls["bored"] == 0
    assert (report.predictions["bored"][GROUPS == "s0"] == 0).all()
    assert (report.predictions["bored"][GROUPS != "s0"] > 0).any()


def test_folds_side_by_side_and_progress():
    heard = []

    def progress(folds, total):
        for fold in folds:
            heard.append(total)
            yield fold

    with parallel_config("threading"):
        parallel = evaluate(BAYES, MATRIX, n_jobs=2, progress=progress)
    pd.testing.assert_frame_equal(parallel.predictions, evaluate(BAYES, MATRIX).predictions)
    assert heard == [6] * 6


@pytest.mark.corpus
def test_emodb(real_corpora):
    report = evaluate(emotion_pipeline("lda"), load_corpus(real_corpora / "emodb"))
    assert (report.protocol, len(report.predictions)) == ("loso", 339)
    assert report.uar >= 0.84


# --- figures


def told(probabilities=True):
    """A report of predictions as they are."""
    random = np.random.RandomState(0)
    chances = random.dirichlet([0.5] * 3, size=len(Y))
    table = pd.DataFrame({"file": MATRIX.files, "speaker": GROUPS, "fold": 1, "emotion": Y})
    table["predicted"] = np.array(EMOTIONS)[chances.argmax(axis=1)]
    if probabilities:
        table[list(EMOTIONS)] = chances
    return EvaluationReport("loso", "leave one speaker out", True, np.array(EMOTIONS), table)


def test_figures_of_probabilities():
    report = told()
    truth, chances = report.predictions["emotion"], report.predictions[list(EMOTIONS)].to_numpy()
    hits = (truth.to_numpy()[:, None] == np.array(EMOTIONS)).astype(float)
    assert_allclose(report.log_loss, -np.log(chances[hits == 1]).mean(), rtol=1e-9)
    assert_allclose(report.brier_score, ((chances - hits) ** 2).sum(axis=1).mean(), rtol=1e-9)
    assert_allclose(report.calibration_error, metrics.calibration_error(truth, chances, EMOTIONS), rtol=1e-12)
    assert_allclose(report.macro_f1, f1_score(truth, report.predictions["predicted"], average="macro"), rtol=1e-9)
    assert report.calibration["clips"].sum() == len(Y)
    without = told(probabilities=False)
    assert without.calibration is None
    assert np.isnan([without.log_loss, without.brier_score, without.calibration_error]).all()
    assert without.macro_f1 == report.macro_f1


def test_figures_by_speaker_and_their_limits():
    report = told()
    table = report.by("speaker")
    assert table.index.tolist() == sorted(set(GROUPS))
    for speaker, row in table.iterrows():
        his = report.predictions[speaker == GROUPS]
        assert row["clips"] == len(his)
        assert row["uar"] == pytest.approx(balanced_accuracy_score(his["emotion"], his["predicted"]))
        assert row["wa"] == pytest.approx(accuracy_score(his["emotion"], his["predicted"]))
    intervals = report.intervals()
    assert intervals["uar"].low < report.uar < intervals["uar"].high
    assert intervals["wa"].low < report.wa < intervals["wa"].high
    assert intervals["macro_f1"].low < report.macro_f1 < intervals["macro_f1"].high
    with pytest.raises(ValueError, match="nothing is known of the gender"):
        report.by("gender")


def test_where_speakers_are_unknown_the_limits_are_drawn_from_clips():
    known, unknown = told(), told()
    unknown.predictions["speaker"] = None
    by_clip = unknown.intervals()["uar"]
    assert by_clip.low < unknown.uar < by_clip.high
    assert by_clip != known.intervals()["uar"]
    with pytest.raises(ValueError, match="nothing is known of the speaker"):
        unknown.by("speaker")
