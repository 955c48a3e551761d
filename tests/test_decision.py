"""Probabilities -> emotion."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline

from sersk.models.decision import MostProbable, predict_both


class Told(MostProbable, ClassifierMixin, BaseEstimator):
    """The columns of X are the probabilities; how often they were asked for is counted."""

    def __init__(self):
        self.classes_ = np.array(["angry", "happy", "sad"])
        self.asked = 0

    def fit(self, X, y=None):
        return self

    def predict_proba(self, X):
        self.asked += 1
        return np.asarray(X, dtype=float)


class Contrary(Told):
    """Names the least probable class, as a decision by costs may."""

    def predict(self, X):
        return self.classes_[np.asarray(X).argmin(axis=1)]


CHANCES = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.2, 0.7]])


def test_the_most_probable_class_is_named():
    assert Told().predict(CHANCES).tolist() == ["happy", "angry", "sad"]


@pytest.mark.parametrize("wrap", [lambda model: model, make_pipeline, lambda m: make_pipeline(make_pipeline(m))])
def test_both_are_asked_for_at_once(wrap):
    model = Told()
    labels, probabilities = predict_both(wrap(model), CHANCES)
    assert labels.tolist() == ["happy", "angry", "sad"]
    np.testing.assert_array_equal(probabilities, CHANCES)
    assert model.asked == 1


def test_a_model_that_decides_otherwise_is_heard():
    labels, probabilities = predict_both(make_pipeline(Contrary()), CHANCES)
    assert labels.tolist() == ["angry", "sad", "angry"]
    np.testing.assert_array_equal(probabilities, CHANCES)


def test_a_soft_vote_is_asked_once():
    vote = VotingClassifier([("a", Told()), ("b", Contrary())], voting="soft").fit(CHANCES, ["sad", "angry", "happy"])
    labels, probabilities = predict_both(make_pipeline(vote), CHANCES)
    assert [voter.asked for voter in vote.estimators_] == [1, 1]
    assert labels.tolist() == vote.predict(CHANCES).tolist() == ["happy", "angry", "sad"]
    np.testing.assert_array_equal(probabilities, CHANCES)


class Own(VotingClassifier):
    """Decides in its own way."""

    def predict(self, X):
        return np.repeat("sad", len(X))


def test_somebodys_own_vote_is_heard():
    fitted = Own([("a", Told()), ("b", Told())], voting="soft").fit(CHANCES, ["sad", "angry", "happy"])
    assert predict_both(fitted, CHANCES)[0].tolist() == ["sad"] * 3


def test_a_model_without_probabilities_has_none():
    model = RidgeClassifier().fit(CHANCES, ["happy", "angry", "sad"])
    labels, probabilities = predict_both(model, CHANCES)
    assert labels.tolist() == ["happy", "angry", "sad"]
    assert probabilities is None
