"""Probabilities that hold for new speakers."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from speakers import scikit_learns_checks, speaker_matrix

from sersk.models import SpeakerCalibratedClassifier, fit_with_speakers, speaker_folds
from sersk.models.calibration import choose_temperature, class_scores
from sersk.models.classical import CLASSICAL_NAMES, classifier

X, Y, GROUPS = speaker_matrix(spread=3.0)
UNSEEN, TRUTH, _ = speaker_matrix(seed=0, spread=3.0, n_speakers=9)
UNSEEN, TRUTH = UNSEEN[len(X) :], TRUTH[len(X) :]

NAMES, CHECKS, KEYWORDS = scikit_learns_checks(
    [SpeakerCalibratedClassifier(GaussianNB(), cv=2), SpeakerCalibratedClassifier(SVC())],
    expected={},
)


@pytest.mark.parametrize(NAMES, CHECKS, **KEYWORDS)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "model",
    [
        SVC(break_ties=True),  # without it, libsvm's votes decide, not the scores
        LogisticRegression(),
        LinearDiscriminantAnalysis(),
        GaussianNB(),
        make_pipeline(StandardScaler(), LinearDiscriminantAnalysis()),
    ],
    ids=lambda model: type(model).__name__,
)
@pytest.mark.parametrize("emotions", [("happy", "sad"), ("angry", "happy", "sad")], ids=len)
def test_the_decisions_are_those_of_the_bare_classifier(model, emotions):
    chosen = np.isin(Y, emotions)
    X_, y, groups = X[chosen], Y[chosen], GROUPS[chosen]
    if len(emotions) == 2 and isinstance(model, SVC):
        model = clone(model).set_params(break_ties=False)  # refused with two classes where it means nothing
    bare = clone(model).fit(X_, y)
    calibrated = SpeakerCalibratedClassifier(model).fit(X_, y, groups=groups)
    assert_array_equal(calibrated.predict(UNSEEN), bare.predict(UNSEEN))
    probabilities = calibrated.predict_proba(UNSEEN)
    assert_array_equal(calibrated.classes_, emotions)
    assert_allclose(probabilities.sum(axis=1), 1)
    assert_array_equal(calibrated.classes_[probabilities.argmax(axis=1)], calibrated.predict(UNSEEN))
    assert not hasattr(model, "classes_")


def test_the_temperature_divides_the_scores():
    model = SpeakerCalibratedClassifier(LogisticRegression()).fit(X, Y, groups=GROUPS)
    scores = model.estimator_.decision_function(UNSEEN)
    assert_allclose(model.predict_proba(UNSEEN), softmax(scores / model.temperature_, axis=1))
    two = np.isin(Y, ["happy", "sad"])
    model.fit(X[two], Y[two], groups=GROUPS[two])
    scores = model.estimator_.decision_function(UNSEEN)
    assert_allclose(model.predict_proba(UNSEEN)[:, 1], 1 / (1 + np.exp(-scores / model.temperature_)))


def test_it_takes_overconfidence_away():
    # Every feature ten times over: naive Bayes believes in ten times the evidence.
    bare = GaussianNB().fit(np.tile(X, 10), Y)
    model = SpeakerCalibratedClassifier(GaussianNB()).fit(np.tile(X, 10), Y, groups=GROUPS)
    assert model.temperature_ > 3
    before = log_loss(TRUTH, bare.predict_proba(np.tile(UNSEEN, 10)))
    after = log_loss(TRUTH, model.predict_proba(np.tile(UNSEEN, 10)))
    assert after < 0.6 * before
    assert after < np.log(3)


class Scores(ClassifierMixin, BaseEstimator):
    """Its scores are the features themselves."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def decision_function(self, X):
        return X


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_a_temperature_is_found_whatever_the_scale(scale):
    random = np.random.default_rng(0)
    logits = random.normal(size=(3000, 3))
    y = (softmax(logits, axis=1).cumsum(axis=1) < random.uniform(size=(3000, 1))).sum(axis=1)
    model = SpeakerCalibratedClassifier(Scores()).fit(scale * logits, y)
    assert model.temperature_ == pytest.approx(scale, rel=0.1)


def test_speakers_make_a_difference():
    # The features tell the speaker, and each speaker speaks one emotion only: mixed folds flatter.
    random = np.random.default_rng(0)
    groups = np.repeat(np.arange(20), 10)
    y = np.where(random.permutation(20) < 10, "happy", "sad")[groups]
    X = random.normal(size=(20, 30))[groups] + 0.1 * random.normal(size=(200, 30))
    mixed = SpeakerCalibratedClassifier(SVC()).fit(X, y)
    apart = SpeakerCalibratedClassifier(SVC()).fit(X, y, groups=groups)
    assert mixed.predict_proba(X).max(axis=1).mean() > 0.95
    assert apart.predict_proba(X).max(axis=1).mean() < 0.8


def test_an_emotion_that_one_speaker_has_alone():
    y = np.where((GROUPS == "s0") & (Y == "sad"), "bored", Y)
    model = SpeakerCalibratedClassifier(GaussianNB()).fit(X, y, groups=GROUPS)
    assert_array_equal(model.classes_, ["angry", "bored", "happy", "sad"])
    assert model.predict_proba(UNSEEN).shape == (len(UNSEEN), 4)
    assert np.isfinite(model.temperature_)


def test_a_class_unknown_to_the_estimator_scores_like_the_least_likely():
    class Forgetful(GaussianNB):
        def fit(self, X, y):
            return super().fit(X[y != "happy"], y[y != "happy"])

    model = SpeakerCalibratedClassifier(Forgetful()).fit(X, Y, groups=GROUPS)
    probabilities = model.predict_proba(UNSEEN)
    assert_allclose(probabilities[:, 1], probabilities[:, [0, 2]].min(axis=1))


@pytest.mark.parametrize(
    ("y", "groups"),
    [
        pytest.param([*"aaaaab"], None, id="one-clip-of-an-emotion"),
        pytest.param([*"aaabbb"], [*"sssttt"], id="one-emotion-to-train-on"),
        pytest.param([*"abcdef"], [*"stuvwx"], id="one-clip-of-each"),
    ],
)
def test_too_few_clips_leave_the_scores_alone(y, groups):
    y = np.array(y)
    model = SpeakerCalibratedClassifier(LogisticRegression()).fit(X[:6], y, groups=groups)
    assert model.temperature_ == 1
    assert_allclose(model.predict_proba(X[:6]), LogisticRegression().fit(X[:6], y).predict_proba(X[:6]))


def test_scores_without_any_difference():
    model = SpeakerCalibratedClassifier(Scores()).fit(np.ones((12, 2)), [*"ab"] * 6)
    assert_allclose(model.predict_proba(np.ones((2, 2))), 0.5)


def test_one_emotion_is_refused():
    with pytest.raises(ValueError, match="only one class"):
        SpeakerCalibratedClassifier(GaussianNB()).fit(X, np.full(len(X), "sad"))


@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_unfitted(method):
    with pytest.raises(NotFittedError):
        getattr(SpeakerCalibratedClassifier(GaussianNB()), method)(X)


@pytest.mark.parametrize("parameters", [{"cv": 1}, {"n_jobs": "all"}, {"estimator": StandardScaler()}])
def test_parameters_are_checked(parameters):
    with pytest.raises(sklearn.utils._param_validation.InvalidParameterError):
        SpeakerCalibratedClassifier(GaussianNB()).set_params(**parameters).fit(X, Y)


def test_folds_side_by_side_give_the_same():
    serial = SpeakerCalibratedClassifier(GaussianNB()).fit(X, Y, groups=GROUPS)
    with parallel_config("threading"):
        parallel = SpeakerCalibratedClassifier(GaussianNB(), n_jobs=2).fit(X, Y, groups=GROUPS)
    assert parallel.temperature_ == serial.temperature_


def test_class_weights_reach_a_classifier_without_any_of_its_own():
    rng = np.random.RandomState(0)
    y = np.repeat(["happy", "sad"], [180, 20])
    X = rng.randn(200, 2) + (y == "sad")[:, None]
    plain = SpeakerCalibratedClassifier(GaussianNB()).fit(X, y)
    weighted = SpeakerCalibratedClassifier(GaussianNB(), class_weight="balanced").fit(X, y)
    assert plain.estimator_.class_prior_.round(2).tolist() == [0.9, 0.1]
    assert weighted.estimator_.class_prior_.round(2).tolist() == [0.5, 0.5]


def searched(svc):
    return GridSearchCV(svc, {"C": [1.0]}, cv=2)


@pytest.mark.parametrize("emotions", [("happy", "sad"), ("angry", "happy", "sad"), ("angry", "bored", "happy", "sad")])
@pytest.mark.parametrize(
    "wrap",
    [lambda svc: svc, lambda svc: make_pipeline(StandardScaler(), svc), searched],
    ids=["svc", "pipeline", "search"],
)
def test_scores_of_pairs_become_scores_of_classes(emotions, wrap):
    X, y, groups = speaker_matrix(emotions=emotions)
    of_pairs, of_classes = (
        SpeakerCalibratedClassifier(wrap(SVC(decision_function_shape=shape))).fit(X, y, groups=groups)
        for shape in ("ovo", "ovr")
    )
    assert of_pairs.score(X, y) > 0.9
    assert_allclose(of_pairs.predict_proba(X), of_classes.predict_proba(X), rtol=1e-6)


class Shaped(Scores):
    """Scores the classes in an order of its own, or in another shape than one column a class."""

    def __init__(self, shape="reversed"):
        self.shape = shape

    def fit(self, X, y):
        self.classes_ = np.unique(y)[::-1]
        return self

    def decision_function(self, X):
        scores = X[:, : len(self.classes_)][:, ::-1]
        if self.shape == "column":
            return scores[:, 1:] - scores[:, :1]
        return scores if self.shape == "reversed" else np.hstack([scores, scores])


def test_columns_are_found_by_their_class():
    y = np.array(["angry", "happy", "sad"])[X[:, :3].argmax(axis=1)]
    assert SpeakerCalibratedClassifier(Shaped()).fit(X, y, groups=GROUPS).score(X, y) == 1
    y = np.array(["happy", "sad"])[X[:, :2].argmax(axis=1)]
    for shape in ("reversed", "column"):
        assert SpeakerCalibratedClassifier(Shaped(shape)).fit(X, y, groups=GROUPS).score(X, y) == 1


def test_scores_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"Shaped: expected scores with one column a class, 3 here, got .* \(\d+, 6\)"):
        SpeakerCalibratedClassifier(Shaped("twice")).fit(X, Y, groups=GROUPS)


# --- weights and copies ---


@pytest.mark.parametrize("class_weight", [None, "balanced"])
def test_weights_reach_the_classifier_and_the_temperature(class_weight):
    weight = np.random.default_rng(0).integers(0, 4, len(Y)).astype(float)
    folds = [(np.flatnonzero(s != GROUPS), np.flatnonzero(s == GROUPS)) for s in np.unique(GROUPS)]
    weighted = SpeakerCalibratedClassifier(GaussianNB(), cv=folds, class_weight=class_weight)
    weighted.fit(X, Y, sample_weight=weight)
    again = np.repeat(np.arange(len(Y)), weight.astype(int))
    place = [(np.flatnonzero(np.isin(again, train)), np.flatnonzero(np.isin(again, test))) for train, test in folds]
    repeated = SpeakerCalibratedClassifier(GaussianNB(), cv=place, class_weight=class_weight).fit(X[again], Y[again])
    assert weighted.temperature_ == pytest.approx(repeated.temperature_, rel=1e-6)
    assert_allclose(weighted.predict_proba(UNSEEN), repeated.predict_proba(UNSEEN), rtol=1e-5)
    plain = SpeakerCalibratedClassifier(GaussianNB(), cv=folds, class_weight=class_weight).fit(X, Y)
    assert not np.allclose(weighted.predict_proba(UNSEEN), plain.predict_proba(UNSEEN), rtol=1e-3)


def test_a_classifier_without_weights_says_so():
    with pytest.raises(TypeError, match="LinearDiscriminantAnalysis does not support sample weights"):
        SpeakerCalibratedClassifier(LinearDiscriminantAnalysis()).fit(X, Y, sample_weight=np.ones(len(Y)))


@pytest.mark.parametrize("groups", [None, GROUPS], ids=["unknown", "known"])
def test_the_temperature_is_chosen_on_unaltered_clips(groups):
    """Copies train where their clip trains, but who is right on noise is not who is right on speech."""
    noisy = X + np.random.default_rng(1).normal(0, 8, X.shape)
    both, sources = np.concatenate([X, noisy]), np.concatenate([np.arange(len(X)), ~np.arange(len(X))])
    twice = None if groups is None else np.tile(groups, 2)
    model = SpeakerCalibratedClassifier(GaussianNB()).fit(both, np.tile(Y, 2), groups=twice, sources=sources)
    folds = speaker_folds(Y, groups)
    scores, held = [], np.concatenate([test for _, test in folds])
    for train, test in folds:
        part = np.concatenate([train, len(X) + train])
        scores.append(class_scores(GaussianNB().fit(both[part], np.tile(Y, 2)[part]), X[test], model.classes_))
    expected = choose_temperature(np.concatenate(scores), np.searchsorted(model.classes_, Y[held]))
    assert model.temperature_ == pytest.approx(expected, rel=1e-6)
    blind = SpeakerCalibratedClassifier(GaussianNB()).fit(both, np.tile(Y, 2), groups=twice)
    assert abs(np.log(model.temperature_ / blind.temperature_)) > 0.05


@pytest.mark.parametrize("name", CLASSICAL_NAMES)
def test_weights_reach_every_classical_model(name):
    """A third of the clips have weight 0: they are as good as absent."""
    kept = np.arange(len(Y)) % 3 > 0
    y = np.where(kept, Y, np.roll(Y, 4))
    model = classifier(name, X.shape[1], random_state=0)[0]
    few = {"cv": 2, "n_estimators": 10}
    model.set_params(
        **{key: few[key.rpartition("__")[2]] for key in model.get_params() if key.rpartition("__")[2] in few}
    )
    weighted, absent, plain = clone(model), clone(model), clone(model)
    fit_with_speakers(weighted, X, y, GROUPS, sample_weight=kept)
    fit_with_speakers(absent, X[kept], y[kept], GROUPS[kept])
    fit_with_speakers(plain, X, y, GROUPS)
    # XGBoost sums up single floats, and its older versions choose cuts between them.
    assert_allclose(weighted.predict_proba(X), absent.predict_proba(X), atol=1e-4)
    assert np.abs(weighted.predict_proba(X) - plain.predict_proba(X)).max() > 0.02
