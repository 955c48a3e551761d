"""Grids searched on held-out speakers."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import Bunch
from speakers import scikit_learns_checks, speaker_matrix

from sersk import SpeakerScaler, evaluate
from sersk.models import SpeakerCalibratedClassifier, SpeakerSearch, search, speaker_folds
from sersk.models.search import uar

X, Y, GROUPS = speaker_matrix(spread=2.0)

NAMES, CHECKS, KEYWORDS = scikit_learns_checks(
    [SpeakerSearch(GaussianNB(), {"var_smoothing": [1e-9, 0.1]})],
    expected={
        str(SpeakerSearch(GaussianNB(), {"var_smoothing": [1e-9, 0.1]})): {
            "check_sample_weight_equivalence_on_dense_data": "a clip that is given twice may be on both sides of a fold"
        }
    },
)


@pytest.mark.parametrize(NAMES, CHECKS, **KEYWORDS)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


class Watcher(ClassifierMixin, BaseEstimator):
    """Notes the clips (numbered in the first column) of every fit and prediction."""

    log: list = []  # noqa: RUF012

    def __init__(self, setting=0):
        self.setting = setting

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.log.append(("fit", X[:, 0].astype(int)))
        return self

    def predict(self, X):
        self.log.append(("predict", X[:, 0].astype(int)))
        return np.full(len(X), self.classes_[self.setting])


@pytest.mark.parametrize("strategy", search.STRATEGIES)
def test_inner_folds_never_share_speakers(strategy):
    Watcher.log.clear()
    SpeakerSearch(Watcher(), {"setting": [0, 1, 2]}, strategy=strategy).fit(
        np.arange(len(Y))[:, None], Y, groups=GROUPS
    )
    *inner, (kind, last) = Watcher.log
    assert kind == "fit"
    assert_array_equal(last, np.arange(len(Y)))
    assert len(inner) >= 2 * 3 * 4
    for (fit, train), (predict, test) in zip(inner[::2], inner[1::2], strict=True):
        assert (fit, predict) == ("fit", "predict")
        assert not set(GROUPS[train]) & set(GROUPS[test])


def test_it_finds_what_a_manual_search_finds():
    pipeline = make_pipeline(StandardScaler(), SVC())
    grid = {"svc__C": [0.01, 1.0, 100.0], "svc__gamma": [0.001, 0.1, 10.0]}
    ours = SpeakerSearch(pipeline, grid).fit(X, Y, groups=GROUPS)
    theirs = GridSearchCV(pipeline, grid, scoring="balanced_accuracy", cv=speaker_folds(Y, GROUPS, 4)).fit(X, Y)
    assert ours.best_params_ == theirs.best_params_
    assert ours.best_score_ == pytest.approx(theirs.best_score_)
    assert_array_equal(ours.best_estimator_.decision_function(X), theirs.best_estimator_.decision_function(X))
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert_array_equal(ours.classes_, theirs.classes_)
    assert ours.n_features_in_ == X.shape[1]
    assert not hasattr(ours, "predict_proba")  # an SVC has none
    assert not hasattr(pipeline, "classes_")


@pytest.fixture
def searched(monkeypatch):
    """What scikit-learn's searches were given."""
    seen = []
    for searcher in (GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV):

        def spy(estimator, grid, _searcher=searcher, **keywords):
            seen.append((_searcher, estimator, grid))
            return _searcher(estimator, grid, **keywords)

        monkeypatch.setattr(search, searcher.__name__, spy)
    return seen


@pytest.mark.parametrize("strategy", search.STRATEGIES)
def test_calibration_is_left_out_while_searching(strategy, searched):
    calibrated = SpeakerCalibratedClassifier(LogisticRegression())
    pipeline = Pipeline([("scale", StandardScaler()), ("classifier", calibrated)])
    grid = {"classifier__estimator__class_weight": [{"sad": 1e4}, None]}
    model = SpeakerSearch(pipeline, grid, strategy=strategy).fit(X, Y, groups=GROUPS)
    ((_, bare, names),) = searched
    assert isinstance(bare[-1], LogisticRegression)
    assert names == {"classifier__class_weight": [{"sad": 1e4}, None]}
    assert model.best_params_ == {"classifier__estimator__class_weight": None}
    assert isinstance(model.best_estimator_[-1], SpeakerCalibratedClassifier)
    assert model.best_estimator_[-1].estimator_.class_weight is None
    best = clone(pipeline).set_params(**model.best_params_).fit(X, Y, classifier__groups=GROUPS)
    assert_array_equal(model.predict_proba(X), best.predict_proba(X))


def test_calibration_of_a_classifier_alone_is_left_out(searched):
    model = SpeakerSearch(SpeakerCalibratedClassifier(GaussianNB()), {"estimator__priors": [[1, 1e-99, 1e-99], None]})
    assert model.fit(X, Y, groups=GROUPS).best_params_ == {"estimator__priors": None}
    ((_, bare, names),) = searched
    assert isinstance(bare, GaussianNB)
    assert names == {"priors": [[1, 1e-99, 1e-99], None]}


def test_calibration_stays_where_the_grid_varies_more(searched):
    pipeline = make_pipeline(StandardScaler(), SpeakerCalibratedClassifier(GaussianNB()))
    grid = {"standardscaler__with_mean": [True, False]}
    model = SpeakerSearch(pipeline, grid).fit(X, Y, groups=GROUPS)
    ((_, bare, names),) = searched
    assert isinstance(bare[-1], SpeakerCalibratedClassifier)
    assert names == grid
    assert model.best_params_.keys() == grid.keys()


def test_what_is_calibrated_inside_a_vote_gets_the_speakers_while_searching(monkeypatch):
    given = []

    class Spy(SpeakerCalibratedClassifier):
        def fit(self, X, y, groups=None):
            given.append(None if groups is None else len(set(groups)))
            return super().fit(X, y, groups)

    voters = VotingClassifier([(k, Spy(GaussianNB())) for k in "ab"], voting="soft")
    SpeakerSearch(make_pipeline(voters), {"votingclassifier__weights": [None, [1, 2]]}).fit(X, Y, groups=GROUPS)
    assert sorted(set(given)) == [4, 5, 6]  # four inner folds of six speakers, then all


def test_halving_needs_clips_for_its_subsets(searched):
    grid = {"var_smoothing": [1e-9, 1e-3, 1.0]}
    SpeakerSearch(GaussianNB(), grid, strategy="halving").fit(X, Y, groups=GROUPS)
    few = np.isin(GROUPS, ["s0", "s1", "s2", "s3"]) & (np.arange(len(Y)) % 4 == 0)
    model = SpeakerSearch(GaussianNB(), grid, strategy="halving").fit(X[few], Y[few], groups=GROUPS[few])
    assert [searcher for searcher, _, _ in searched] == [HalvingGridSearchCV, GridSearchCV]
    assert model.best_params_["var_smoothing"] in grid["var_smoothing"]


def test_no_warnings_where_folds_lack_emotions():
    y = np.where((GROUPS == "s0") & (Y == "sad"), "bored", Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SpeakerSearch(GaussianNB(), {"var_smoothing": [1e-9, 1.0]}).fit(X, y, groups=GROUPS)


def test_uar_is_the_balanced_accuracy():
    predicted = np.roll(Y, 1)
    assert uar(Y, predicted) == pytest.approx(balanced_accuracy_score(Y, predicted))


def test_too_few_clips_are_refused():
    with pytest.raises(ValueError, match="No clips can be held out"):
        SpeakerSearch(GaussianNB(), {"var_smoothing": [1.0]}).fit(X[:5], [*"aaaab"])
    with pytest.raises(ValueError, match="only one class"):
        SpeakerSearch(GaussianNB(), {"var_smoothing": [1.0]}).fit(X[:5], [*"aaaaa"])


def test_unfitted():
    model = SpeakerSearch(GaussianNB(), {"var_smoothing": [1.0]})
    for method in ("predict", "predict_proba"):
        with pytest.raises(NotFittedError):
            getattr(model, method)(X)
    assert not hasattr(model, "n_features_in_")


def test_the_nested_estimate():
    corpus = Bunch(data=X, target=Y, groups=GROUPS)
    model = SpeakerSearch(make_pipeline(StandardScaler(), GaussianNB()), {"gaussiannb__var_smoothing": [1e-9, 10.0]})
    report = evaluate(model, corpus, protocol="loso")
    assert report.uar > 0.5
    first = GROUPS == "s0"
    inner = clone(model).fit(X[~first], Y[~first], groups=GROUPS[~first])
    assert_array_equal(report.predictions["predicted"][first], inner.predict(X[first]))


def test_random_draws_between_the_least_and_the_greatest_float(searched):
    grid = {"C": [0.01, 1.0, 100.0], "kernel": ["rbf", "linear"], "degree": [2, 3]}
    model = SpeakerSearch(SVC(), grid, strategy="random", n_iter=5).fit(X, Y, groups=GROUPS)
    ((searcher, _, drawn),) = searched
    assert searcher is RandomizedSearchCV
    assert (drawn["kernel"], drawn["degree"]) == (["rbf", "linear"], [2, 3])
    assert drawn["C"].support() == (0.01, 100.0)
    values = drawn["C"].rvs(4000, random_state=0)
    assert (values < 1).mean() == pytest.approx(0.5, abs=0.03)  # as many below the middle of the decades as above
    assert model.best_params_["C"] not in grid["C"]
    again = SpeakerSearch(SVC(), grid, strategy="random", n_iter=5).fit(X, Y, groups=GROUPS)
    assert again.best_params_ == model.best_params_
    other = SpeakerSearch(SVC(), grid, strategy="random", n_iter=5, random_state=1).fit(X, Y, groups=GROUPS)
    assert other.best_params_ != model.best_params_


@pytest.mark.parametrize(("n_iter", "expected"), [(2, 2), (10, 3)])
def test_random_draws_no_setting_of_a_list_twice(n_iter, expected):
    Watcher.log.clear()
    SpeakerSearch(Watcher(), {"setting": [0, 1, 2]}, strategy="random", n_iter=n_iter).fit(
        np.arange(len(Y))[:, None], Y, groups=GROUPS
    )
    assert len([kind for kind, _ in Watcher.log if kind == "fit"]) == expected * 4 + 1


class Front(TransformerMixin, BaseEstimator):
    """Notes how many clips it is given with which setting; needs no fitting."""

    calls: list = []  # noqa: RUF012

    def __init__(self, noise=0.0, columns=2):
        self.noise = noise
        self.columns = columns

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        self.calls.append((self.noise, self.columns, len(X)))
        return np.asarray(X)[:, : self.columns] + self.noise * np.random.RandomState(0).randn(len(X), self.columns)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


@pytest.fixture
def calls():
    Front.calls.clear()
    return Front.calls


@pytest.mark.parametrize("strategy", search.STRATEGIES)
def test_features_are_computed_once_for_the_whole_search(strategy, calls):
    model = SpeakerSearch(
        make_pipeline(Front(), StandardScaler(), SVC()), {"svc__C": [0.1, 1.0, 3.0]}, strategy=strategy
    )
    model.fit(X, Y, groups=GROUPS)
    assert calls == [(0.0, 2, len(X))]
    assert list(model.best_estimator_.named_steps) == ["front", "standardscaler", "svc"]
    bare = SpeakerSearch(make_pipeline(StandardScaler(), SVC()), model.grid, strategy=strategy)
    assert_array_equal(model.predict(X), bare.fit(X[:, :2], Y, groups=GROUPS).predict(X[:, :2]))


def test_features_are_computed_once_for_the_whole_nested_evaluation(calls):
    model = SpeakerSearch(make_pipeline(Front(), StandardScaler(), SVC()), {"svc__C": [0.1, 1.0]})
    report = evaluate(model, Bunch(data=X, target=Y, groups=GROUPS), protocol="loso")
    assert calls == [(0.0, 2, len(X))]
    bare = SpeakerSearch(make_pipeline(StandardScaler(), SVC()), model.grid)
    again = evaluate(bare, Bunch(data=X[:, :2], target=Y, groups=GROUPS), protocol="loso")
    assert_array_equal(report.predictions["predicted"], again.predictions["predicted"])


def test_settings_of_features_are_searched_too_each_computed_once(calls):
    pipeline = make_pipeline(Front(noise=9.0), StandardScaler(), SVC())
    grid = {"front__noise": [9.0, 0.0], "svc__C": [0.1, 1.0], "front__columns": [1, 4]}
    model = SpeakerSearch(pipeline, grid).fit(X, Y, groups=GROUPS)
    assert sorted(calls) == [(noise, columns, len(X)) for noise in (0.0, 9.0) for columns in (1, 4)]
    theirs = GridSearchCV(pipeline, grid, scoring="balanced_accuracy", cv=speaker_folds(Y, GROUPS, 4)).fit(X, Y)
    assert model.best_params_ == theirs.best_params_
    assert model.best_score_ == pytest.approx(theirs.best_score_)
    assert_array_equal(model.predict(X), theirs.predict(X))
    assert model.without_front() == (None, model)  # what it varies must stay inside


def test_transformers_of_clips_are_tried_in_place_of_each_other(calls):
    grid = {"front": [Front(9.0), Front(0.0), Front(5.0)]}
    model = SpeakerSearch(make_pipeline(Front(), SVC()), grid).fit(X, Y, groups=GROUPS)
    assert model.best_params_["front"] is grid["front"][1]
    assert len(calls) == 3


def test_a_transformer_that_learns_is_fitted_in_every_fold(calls):
    """Even in place of one that does not."""
    fitted = []

    class Learns(StandardScaler):
        def fit(self, X, y=None):
            fitted.append(len(X))
            return super().fit(X)

    grid = {"front": [Front(9.0), Learns()]}
    model = SpeakerSearch(make_pipeline(Front(), SVC()), grid).fit(X, Y, groups=GROUPS)
    assert isinstance(model.best_params_["front"], Learns)
    assert len(fitted) == 4 + 1
    assert max(fitted[:4]) < len(X) == fitted[4]


def test_inner_test_speakers_are_scaled_by_their_own_clips():
    """As outer ones are; otherwise a setting would be chosen on clips that look like none of those in use."""
    far = (
        X
        + 30
        * np.random.RandomState(1).randn(len(np.unique(GROUPS)), X.shape[1])[np.unique(GROUPS, return_inverse=True)[1]]
    )
    grid = {"svc__C": [0.1, 1.0]}
    model = SpeakerSearch(make_pipeline(SpeakerScaler(), SVC()), grid).fit(far, Y, groups=GROUPS)
    scaled = SpeakerScaler().fit_transform(far, groups=GROUPS)
    expected = SpeakerSearch(SVC(), {"C": grid["svc__C"]}).fit(scaled, Y, groups=GROUPS)
    assert model.best_score_ == pytest.approx(expected.best_score_)
    assert model.best_params_ == {"svc__C": expected.best_params_["C"]}
