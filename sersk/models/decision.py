"""Probabilities -> emotion."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.pipeline import Pipeline


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
