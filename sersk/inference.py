"""Fitted model and clips -> labels and probabilities, bare, and how much of each clip is speech."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from .clip_transformer import ClipTransformer
from .clips import Clips, check_clips, portable_clip
from .features import AcousticFeatures
from .models.decision import predict_both
from .persistence import default_model_path, load_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

Answers = tuple["NDArray[Any]", "NDArray[np.floating] | None"]

DEFAULT_SR = 16000  # Hz, for a model that names no rate


class Predictions(NamedTuple):
    """
    Hold what a model says of clips.

    Parameters
    ----------
    labels : ndarray of shape (n_spoken,)
        As of ``model.predict``, for the clips that have an emotion.
    probabilities : ndarray of shape (n_spoken, n_classes) or None
        As of ``model.predict_proba``, for the same clips; None for a model that has none.
    others : dict of int to str or None
        What is wrong with each other clip, by position; None where nothing is, and it holds too little speech.
    speech : ndarray of shape (n_clips,)
        How much of each clip is speech, from 0 to 1; NaN where that is unknown.
    """

    labels: NDArray[Any]
    probabilities: NDArray[np.floating] | None
    others: dict[int, str | None]
    speech: NDArray[np.floating]


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
    model: Any,
    clips: Clips,
    speakers: NDArray[np.object_] | None = None,
    *,
    min_speech: float | None = None,
    **settings: Any,
) -> Predictions:
    """
    Predict the clips that can be read and hold enough speech.

    Parameters
    ----------
    model : estimator
        Fitted; it is not changed.
    clips : clips
        What it takes.
    speakers : ndarray of shape (n_clips,), default=None
        Who speaks, for a model that asks.
    min_speech : float, default=None
        Share of speech that a clip needs, as in `sersk.predict_emotions`; None does not look for speech.
    **settings : dict
        Parameters of work, such as `n_jobs`, for a first step of sersk's.

    Returns
    -------
    Predictions
        What the model says, and why it is not asked about the other clips.

    Raises
    ------
    ValueError
        If `min_speech` is out of range.
    """
    if min_speech is not None and not 0 <= min_speech <= 1:
        raise ValueError(f"min_speech={min_speech!r}: expected a share from 0 to 1.")
    front: Any = model[0] if isinstance(model, Pipeline) else None
    is_front = hasattr(front, "extract")
    one_pass = getattr(type(front), "extract", None) is ClipTransformer.extract
    shares = None
    if min_speech is not None and not one_pass:
        clips = _buffer_files(clips)
        shares = _measure_apart(model, clips, settings.get("n_jobs"))
    rows, errors = clips, {}
    if is_front:
        if any(getattr(front, name, None) != value for name, value in settings.items()):
            front = copy.copy(front).set_params(**settings)
        if min_speech is not None and one_pass:
            rows, failures, shares = front.extract(clips, return_speech=True)
        else:
            rows, failures = front.extract(clips)
        errors = {position: error.reason for position, error in failures}
    if shares is None:
        shares = np.full((len(rows), 2), np.nan)
    silent = [] if min_speech is None else np.flatnonzero(shares[:, 1] < min_speech).tolist()
    others = dict.fromkeys(silent) | errors
    if others:
        spoken = np.delete(np.arange(len(rows)), list(others))
        rows = _safe_indexing(rows, spoken)
        speakers = None if speakers is None else speakers[spoken]
    if not len(rows):
        return Predictions(*_no_answers(model), others, shares[:, 0])
    ask = predict_rows if is_front else predict_both
    return Predictions(*ask(model, rows, speakers), others, shares[:, 0])


def model_rates(model: Any) -> set[int]:
    """
    Give the sampling rates that a model names.

    Parameters
    ----------
    model : estimator
        Any.

    Returns
    -------
    set of int
        Its parameters called ``sr``, in Hz, as far as they may be rates.
    """
    parameters = model.get_params() if hasattr(model, "get_params") else {}
    rates = (value for name, value in parameters.items() if name.rpartition("__")[2] == "sr")
    # A parameter of that name of somebody's own step may be anything.
    return {int(rate) for rate in rates if isinstance(rate, int | float | np.number) and rate >= 1000}


def _buffer_files(clips: Clips) -> Clips:
    """Read file objects into memory, from where they can be read twice."""
    sources = check_clips(clips, all_finite=False)
    if not any(hasattr(source, "read") for source in sources):
        return clips
    return [portable_clip(source) if hasattr(source, "read") else source for source in sources]


def _measure_apart(model: Any, clips: Clips, n_jobs: int | None) -> NDArray[np.floating]:
    """Measure the speech of clips that a model reads by itself; NaN where sersk cannot read them."""
    settings: dict[str, Any] = {"sr": max(model_rates(model), default=DEFAULT_SR), "n_jobs": n_jobs}
    least = AcousticFeatures(("rms",), functionals=("mean",), deltas=0, regions=("all",), clip_values=(), **settings)
    shares: NDArray[np.floating] = least.extract(clips, return_speech=True)[2]
    for file in clips:
        if hasattr(file, "seek"):
            file.seek(0)
    return shares


def _no_answers(model: Any) -> Answers:
    return model.classes_[:0], np.empty((0, len(model.classes_))) if hasattr(model, "predict_proba") else None


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
        return _no_answers(rest)
    if hasattr(rest, "feature_names_in_"):  # it was fitted on a table
        import pandas as pd

        rows = pd.DataFrame(rows, columns=model[0].get_feature_names_out())
    return predict_both(rest, rows, speakers)
