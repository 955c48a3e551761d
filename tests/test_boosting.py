"""XGBoost under scikit-learn's habits."""

from __future__ import annotations

import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
import xgboost
from joblib._parallel_backends import ThreadingBackend
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import LeaveOneGroupOut, cross_validate
from speakers import scikit_learns_checks, speaker_matrix

from sersk.models import XGBoostClassifier

X, Y, GROUPS = speaker_matrix()

PLAIN = XGBoostClassifier(5, colsample_bynode=1.0, subsample=1.0, class_weight=None)
SAMPLED = XGBoostClassifier(5, colsample_bynode=1.0)
NAMES, CHECKS, KEYWORDS = scikit_learns_checks(
    [PLAIN, SAMPLED],
    expected={
        str(SAMPLED): {
            "check_sample_weight_equivalence_on_dense_data": (
                "a clip given twice is drawn twice as often, a clip of weight 2 is not: without subsampling "
                "(PLAIN) the check passes"
            )
        },
    },
)


@pytest.mark.parametrize(NAMES, CHECKS, **KEYWORDS)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def small(**parameters):
    return XGBoostClassifier(**({"n_estimators": 10, "colsample_bynode": 1.0, "random_state": 0} | parameters))


@pytest.mark.parametrize("emotions", [("happy", "sad"), ("angry", "happy", "sad")], ids=len)
def test_labels_are_taken_as_they_come(emotions):
    chosen = np.isin(Y, emotions)
    model = small().fit(X[chosen], Y[chosen])
    assert_array_equal(model.classes_, emotions)
    probabilities = model.predict_proba(X[chosen])
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (chosen.sum(), len(emotions))
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert_array_equal(model.classes_[probabilities.argmax(axis=1)], model.predict(X[chosen]))
    assert model.score(X[chosen], Y[chosen]) > 0.9


def test_a_fold_may_lack_a_class():
    y = np.where(GROUPS == "s0", "bored", Y)
    scores = cross_validate(small(), X, y, groups=GROUPS, cv=LeaveOneGroupOut(), error_score="raise")["test_score"]
    assert scores[0] == 0
    assert scores[1:].mean() > 0.5


def test_classes_are_weighted():
    random = np.random.default_rng(0)
    y = np.where(random.uniform(size=400) < 0.1, "rare", "usual")
    X = random.normal(size=(400, 3)) + 0.7 * (y == "rare")[:, None]

    def n_rare(class_weight):
        return (small(class_weight=class_weight).fit(X, y).predict(X) == "rare").sum()

    assert n_rare("balanced") > n_rare(None) + 20
    assert n_rare({"rare": 100.0}) > n_rare({"rare": 1.0})


def test_clips_are_weighted():
    weight = np.where(GROUPS == "s0", 1.0, 1e-6)
    twisted = np.where(GROUPS == "s0", Y, np.roll(Y, 4))  # only s0 tells the truth
    model = small(class_weight=None).fit(X, twisted, sample_weight=weight)
    assert model.score(X[GROUPS == "s0"], Y[GROUPS == "s0"]) > 0.9
    with pytest.raises(ValueError, match="zero"):
        small().fit(X, Y, sample_weight=np.zeros(len(Y)))
    with pytest.raises(ValueError, match="weights of all clips are zero"):
        small(class_weight=dict.fromkeys(Y, 0.0)).fit(X, Y)
    with pytest.raises(ValueError, match="sample_weight"):
        small().fit(X, Y, sample_weight=[1.0])


def test_the_seed_decides():
    first, same, other = (XGBoostClassifier(5, random_state=seed).fit(X, Y).predict_proba(X) for seed in (1, 1, 2))
    assert_array_equal(first, same)
    assert np.abs(first - other).max() > 1e-3


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1])
def test_threads_change_nothing(n_jobs):
    assert_allclose(small(n_jobs=n_jobs).fit(X, Y).predict_proba(X), small().fit(X, Y).predict_proba(X), atol=1e-6)


def test_every_parameter_of_the_trees_is_heard(monkeypatch):
    heard = {}
    monkeypatch.setattr(
        xgboost, "train", lambda options, data, num_boost_round: heard.update(options) or num_boost_round
    )
    parameters = {"max_depth": 7, "learning_rate": 0.3, "subsample": 0.6, "colsample_bynode": 0.2}
    model = XGBoostClassifier(9, n_jobs=1, **parameters).fit(X, Y)
    assert heard.items() >= parameters.items()
    assert heard["nthread"] == 1
    assert model._booster == 9
    with joblib.parallel_config(backend=ManyMachines()):
        XGBoostClassifier().fit(X, Y)
    assert heard["nthread"] == 1


class ManyMachines(ThreadingBackend):
    """Counts workers of other machines, as Dask's backend does."""

    def effective_n_jobs(self, n_jobs):
        return 1000


def test_nothing_of_xgboost_is_stored():
    model = small().fit(X, Y)
    state = model.__getstate__()
    assert isinstance(state["_booster"], np.ndarray)
    assert state["_booster"].dtype == np.uint8
    assert b"xgboost" not in pickle.dumps(model).replace(state["_booster"].tobytes(), b"").replace(
        b"sersk.models.boosting", b""
    )
    for copy in (pickle.loads(pickle.dumps(model)), pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(model))))):
        assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
        assert_array_equal(copy.classes_, model.classes_)
    unfitted = pickle.loads(pickle.dumps(small(max_depth=2)))
    assert unfitted.get_params() == small(max_depth=2).get_params()
    assert not hasattr(clone(model), "classes_")


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="only one class"):
        small().fit(X, np.full(len(X), "sad"))


def test_importing_the_models_does_not_import_xgboost():
    code = "import sys, sersk.models; print('xgboost' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
