"""Scores of support vector classifiers, against scikit-learn's own."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.svm import SVC, NuSVC
from speakers import EMOTIONS, speaker_matrix

from sersk.models import SpeakerCalibratedClassifier, calibration, support_vectors
from sersk.models.support_vectors import decides_by_distance, svc_scores


@pytest.mark.parametrize("emotions", [EMOTIONS[:2], EMOTIONS, (*EMOTIONS, "bored", "calm")], ids=len)
@pytest.mark.parametrize(
    "settings", [{}, {"C": 100, "gamma": 1.0}, {"gamma": 1e-6}, {"class_weight": "balanced"}], ids=str
)
def test_they_are_those_of_scikit_learn(emotions, settings, monkeypatch):
    monkeypatch.setattr(support_vectors, "_BLOCK", 50)
    X, y, _ = speaker_matrix(emotions=emotions, spread=4.0)
    unseen, _, _ = speaker_matrix(emotions=emotions, spread=4.0, seed=1)
    kept = np.random.default_rng(0).uniform(size=len(y)) < np.where(y == "sad", 0.5, 1.0)  # classes of unequal size
    svc = SVC(**settings).fit(X[kept], y[kept])
    assert decides_by_distance(svc)
    for rows in (unseen, X, unseen[:1], unseen.astype(np.float32)):
        scores = svc.decision_function(rows)
        assert_allclose(svc_scores(svc, rows), scores, rtol=1e-9, atol=1e-9)
        assert svc_scores(svc, rows).shape == scores.shape
    if len(emotions) > 2:
        assert_array_equal(svc_scores(svc, unseen).argmax(axis=1), svc.decision_function(unseen).argmax(axis=1))


def test_a_clip_far_from_all_vectors_and_one_that_is_a_vector():
    X, y, _ = speaker_matrix()
    svc = SVC(C=1e3).fit(X, y)
    for rows in (X[:1] + 1e6, X[svc.support_[:1]]):
        assert_allclose(svc_scores(svc, rows), svc.decision_function(rows), rtol=1e-9, atol=1e-9)


def test_a_classifier_that_is_fitted_anew_is_asked_anew():
    X, y, _ = speaker_matrix(spread=3.0)
    svc = SVC().fit(X, y)
    first = svc_scores(svc, X)
    svc.fit(X[::2], y[::2])
    assert_allclose(svc_scores(svc, X), svc.decision_function(X), rtol=1e-9)
    assert not np.allclose(first, svc_scores(svc, X))


class Own(SVC):
    """Somebody's own, which may decide in any way."""


@pytest.mark.parametrize(
    "classifier",
    [SVC(kernel="linear"), SVC(kernel="poly"), SVC(decision_function_shape="ovo"), NuSVC(nu=0.1), Own()],
    ids=str,
)
def test_others_are_asked_themselves(classifier, monkeypatch):
    X, y, groups = speaker_matrix()
    assert not decides_by_distance(clone(classifier).fit(X, y))
    assert not decides_by_distance(SVC().fit(csr_matrix(X), y))
    monkeypatch.setattr(calibration, "choose_temperature", lambda scores, target, weight: 1.0)
    monkeypatch.setattr(support_vectors, "svc_scores", None)
    SpeakerCalibratedClassifier(classifier).fit(X, y, groups=groups).predict_proba(X)


def test_the_calibrated_classifier_makes_use_of_it(monkeypatch):
    X, y, groups = speaker_matrix()
    model = SpeakerCalibratedClassifier(SVC()).fit(X, y, groups=groups)
    monkeypatch.setattr(SVC, "decision_function", None)
    assert model.predict_proba(X).shape == (len(X), 3)
