"""Probabilities -> emotion, and who is asked for them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from .folds import predict_with_speakers, wants_speakers


class MostProbable:
    """Give a classifier with ``predict_proba`` the ``predict`` that goes with it."""

    classes_: npt.NDArray[Any]

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """
        Name the most probable class.

        Parameters
        ----------
        X : array-like
            As `predict_proba` takes it.

        Returns
        -------
        ndarray of shape (n_clips,)
            Labels.
        """
        best = np.argmax(self.predict_proba(X), axis=1)  # type: ignore[attr-defined]
        predicted: npt.NDArray[Any] = self.classes_[best]
        return predicted


class Delegates:
    """Let a meta-estimator answer as the estimator does that it has fitted, and ask for speakers if that one does."""

    estimator: Any
    _fitted: ClassVar[str] = "estimator_"  # the attribute that holds it

    def predict(self, X: Any, groups: npt.ArrayLike | None = None) -> npt.NDArray[Any]:
        """
        Name the emotion of each clip.

        Parameters
        ----------
        X : array-like
            What the estimator takes.
        groups : array-like of shape (n_clips,), default=None
            Speakers, for an estimator that asks for them.

        Returns
        -------
        ndarray of shape (n_clips,)
            Emotions.
        """
        return self._ask("predict", X, groups)

    @available_if(lambda self: answers(self, "predict_proba"))
    def predict_proba(self, X: Any, groups: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """
        Estimate the probability of each emotion.

        Parameters
        ----------
        X : array-like
            What the estimator takes.
        groups : array-like of shape (n_clips,), default=None
            Speakers, for an estimator that asks for them.

        Returns
        -------
        ndarray of shape (n_clips, n_classes)
            Probabilities, columns in the order of `classes_`.
        """
        return self._ask("predict_proba", X, groups)

    @available_if(lambda self: answers(self, "decision_function"))
    def decision_function(self, X: Any, groups: npt.ArrayLike | None = None) -> npt.NDArray[np.float64]:
        """
        Score each emotion.

        Parameters
        ----------
        X : array-like
            What the estimator takes.
        groups : array-like of shape (n_clips,), default=None
            Speakers, for an estimator that asks for them.

        Returns
        -------
        ndarray of shape (n_clips, n_classes), or (n_clips,) for two classes
            Scores, as the estimator gives them.
        """
        return self._ask("decision_function", X, groups)

    @property
    def n_features_in_(self) -> int:
        """Number of features seen by `fit`."""
        check_is_fitted(self)
        return int(getattr(self, self._fitted).n_features_in_)

    def get_metadata_routing(self) -> Any:
        """
        Tell what metadata it asks for.

        Returns
        -------
        MetadataRequest
            Groups, for `fit`; and for the other methods if the estimator asks for them.
        """
        request = super().get_metadata_routing()  # type: ignore[misc]
        if wants_speakers(self.estimator, "predict"):
            for method in ("predict", "predict_proba", "decision_function"):
                getattr(request, method).add_request(param="groups", alias=True)
        return request

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags

    def _ask(self, method: str, X: Any, groups: npt.ArrayLike | None) -> Any:
        check_is_fitted(self)
        return predict_with_speakers(getattr(self, self._fitted), X, groups, method)


def answers(model: Delegates, method: str) -> bool:
    """
    Tell whether a meta-estimator's estimator has a method.

    Parameters
    ----------
    model : Delegates
        Fitted or not.
    method : str
        Its name.

    Returns
    -------
    bool
        Whether the fitted estimator has it; before that, whether the one that was given has.
    """
    return hasattr(getattr(model, model._fitted, model.estimator), method)


def predict_both(
    model: Any, X: Any, groups: npt.ArrayLike | None = None
) -> tuple[npt.NDArray[Any], npt.NDArray[np.floating] | None]:
    """
    Predict labels and probabilities, at the cost of one of them where the labels are the most probable ones.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : array-like
        What it takes.
    groups : array-like of shape (n_clips,), default=None
        Speakers, for a model that asks for them.

    Returns
    -------
    labels : ndarray of shape (n_clips,)
        As of ``model.predict``.
    probabilities : ndarray of shape (n_clips, n_classes) or None
        As of ``model.predict_proba``; None for a model that has none.
    """
    if not hasattr(model, "predict_proba"):
        return predict_with_speakers(model, X, groups), None
    probabilities: npt.NDArray[np.floating] = predict_with_speakers(model, X, groups, "predict_proba")
    decides = model
    while isinstance(decides, Pipeline):
        decides = decides[-1]
    if getattr(type(decides), "predict", None) is MostProbable.predict or _votes_softly(decides):
        return decides.classes_[probabilities.argmax(axis=1)], probabilities
    return predict_with_speakers(model, X, groups), probabilities


def _votes_softly(model: Any) -> bool:
    """Tell whether it is scikit-learn's soft vote, which asks all of its voters for each of both."""
    if getattr(model, "voting", None) != "soft":
        return False
    from sklearn.ensemble import VotingClassifier

    return type(model) is VotingClassifier
