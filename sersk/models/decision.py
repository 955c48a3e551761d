"""Probabilities -> emotion, and who is asked for them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted


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
    """Let a meta-estimator answer as the estimator does that it has fitted."""

    estimator: Any
    _fitted: ClassVar[str] = "estimator_"  # the attribute that holds it

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """
        Name the emotion of each clip.

        Parameters
        ----------
        X : array-like
            What the estimator takes.

        Returns
        -------
        ndarray of shape (n_clips,)
            Emotions.
        """
        check_is_fitted(self)
        predicted: npt.NDArray[Any] = getattr(self, self._fitted).predict(X)
        return predicted

    @available_if(lambda self: answers(self, "predict_proba"))
    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """
        Estimate the probability of each emotion.

        Parameters
        ----------
        X : array-like
            What the estimator takes.

        Returns
        -------
        ndarray of shape (n_clips, n_classes)
            Probabilities, columns in the order of `classes_`.
        """
        check_is_fitted(self)
        probabilities: npt.NDArray[np.float64] = getattr(self, self._fitted).predict_proba(X)
        return probabilities

    @property
    def n_features_in_(self) -> int:
        """Number of features seen by `fit`."""
        check_is_fitted(self)
        return int(getattr(self, self._fitted).n_features_in_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()  # type: ignore[misc]
        tags.input_tags = get_tags(self.estimator).input_tags
        return tags


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


def predict_both(model: Any, X: Any) -> tuple[npt.NDArray[Any], npt.NDArray[np.floating] | None]:
    """
    Predict labels and probabilities, at the cost of one of them where the labels are the most probable ones.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : array-like
        What it takes.

    Returns
    -------
    labels : ndarray of shape (n_clips,)
        As of ``model.predict``.
    probabilities : ndarray of shape (n_clips, n_classes) or None
        As of ``model.predict_proba``; None for a model that has none.
    """
    if not hasattr(model, "predict_proba"):
        return model.predict(X), None
    probabilities: npt.NDArray[np.floating] = model.predict_proba(X)
    decides = model
    while isinstance(decides, Pipeline):
        decides = decides[-1]
    if getattr(type(decides), "predict", None) is MostProbable.predict:
        return decides.classes_[probabilities.argmax(axis=1)], probabilities
    return model.predict(X), probabilities
