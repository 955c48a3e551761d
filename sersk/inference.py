"""Fitted model and clips -> labels and probabilities, bare."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.pipeline import Pipeline

from .clips import Clips
from .models.decision import predict_both
from .persistence import default_model_path, load_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

Answers = tuple["NDArray[Any]", "NDArray[np.floating] | None"]


def as_model(model: Any) -> Any:
    """
    Give a fitted model, whichever way it was named.

    Parameters
    ----------
    model : estimator, path or None
        Fitted, a model file, or None for the model that comes with the package.

    Returns
    -------
    estimator
        Fitted.

    Raises
    ------
    ValueError
        If the model file cannot be used.
    """
    if model is None or isinstance(model, str | os.PathLike):
        return load_model(default_model_path() if model is None else model)
    return model


def predict_clips(
    model: Any, clips: Clips, speakers: NDArray[np.object_] | None = None, **settings: Any
) -> tuple[NDArray[Any], NDArray[np.floating] | None, dict[int, str]]:
    """
    Predict the readable clips, and tell what is wrong with the others.

    Parameters
    ----------
    model : estimator
        Fitted; it is not changed.
    clips : clips
        What it takes.
    speakers : ndarray of shape (n_clips,), default=None
        Who speaks, for a model that asks.
    **settings : dict
        Parameters of work, such as `n_jobs`, for a first step of sersk's.

    Returns
    -------
    labels : ndarray of shape (n_readable,)
        As of ``model.predict``.
    probabilities : ndarray of shape (n_readable, n_classes) or None
        As of ``model.predict_proba``; None for a model that has none.
    errors : dict of int to str
        What is wrong with the others, by position.
    """
    front: Any = model[0] if isinstance(model, Pipeline) else None
    if not hasattr(front, "extract"):
        return *predict_both(model, clips, speakers), {}
    if any(getattr(front, name, None) != value for name, value in settings.items()):
        front = copy.copy(front).set_params(**settings)
    rows, failures = front.extract(clips)
    errors = {position: error.reason for position, error in failures}
    if errors:
        rows = np.delete(rows, list(errors), axis=0)
        speakers = None if speakers is None else np.delete(speakers, list(errors))
    return *predict_rows(model, rows, speakers), errors


def predict_rows(model: Pipeline, rows: Any, speakers: NDArray[np.object_] | None = None) -> Answers:
    """
    Predict what the first step of a pipeline has made of clips.

    Parameters
    ----------
    model : Pipeline
        Fitted.
    rows : ndarray of shape (n_clips, ...)
        What its first step gives.
    speakers : ndarray of shape (n_clips,), default=None
        Who speaks, for a model that asks.

    Returns
    -------
    labels : ndarray of shape (n_clips,)
        As of ``model.predict``.
    probabilities : ndarray of shape (n_clips, n_classes) or None
        As of ``model.predict_proba``; None for a model that has none.
    """
    rest = model[1:]
    if not len(rows):
        return rest.classes_[:0], np.empty((0, len(rest.classes_))) if hasattr(rest, "predict_proba") else None
    if hasattr(rest, "feature_names_in_"):  # it was fitted on a table
        import pandas as pd

        rows = pd.DataFrame(rows, columns=model[0].get_feature_names_out())
    return predict_both(rest, rows, speakers)
