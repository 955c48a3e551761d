"""Emotions and speakers -> folds that keep every speaker on one side."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_consistent_length

from sersk.clips import speaker_names

Folds = list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]


def count_speakers(groups: npt.ArrayLike | None) -> int:
    """
    Count the known speakers.

    Parameters
    ----------
    groups : array-like of shape (n_clips,) or None
        Speakers; None, NaN, NA and an empty name stand for one who is unknown.

    Returns
    -------
    int
        Number of different names.
    """
    return 0 if groups is None else len({*speaker_names(groups).tolist()} - {""})


def speaker_folds(y: npt.ArrayLike, groups: npt.ArrayLike | None, n_splits: int = 5) -> Folds:
    """
    Split clips so that no speaker is on both sides, with the emotions as evenly spread as that allows.

    Parameters
    ----------
    y : array-like of shape (n_clips,)
        Emotions.
    groups : array-like of shape (n_clips,) or None
        Speakers. Clips of unknown ones are on no side, since they may be of anybody. With None, or one speaker only,
        the folds are stratified by emotion: nothing better can be had.
    n_splits : int, default=5
        Number of folds; fewer where there are fewer speakers or too few clips.

    Returns
    -------
    list of (train, test)
        Indices of each fold, the same at every call. Empty if there are too few clips: one of each emotion, or, where
        speakers are unknown, one of the rarest.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold  # not needed to predict, and slow

    check_consistent_length(y, groups)
    y = np.asarray(y)
    n_speakers = count_speakers(groups)
    splitter: Any
    if groups is not None and n_speakers > 1:
        clips = np.flatnonzero(speaker_names(groups) != "")
        y, groups = y[clips], np.asarray(groups)[clips].tolist()
        splitter, n_splits = StratifiedGroupKFold, min(n_splits, n_speakers, np.unique(y, return_counts=True)[1].max())
    else:
        clips, groups = np.arange(len(y)), None
        splitter, n_splits = StratifiedKFold, min(n_splits, np.unique(y, return_counts=True)[1].min())
    if n_splits < 2:
        return []
    with warnings.catch_warnings():
        # Some folds then lack the emotions that have fewer clips than there are folds: still sound.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        folds = splitter(int(n_splits), shuffle=True, random_state=0).split(np.zeros(len(y)), y, groups)
        return [(clips[train], clips[test]) for train, test in folds]


def inner_folds(y: npt.ArrayLike, groups: npt.ArrayLike | None, n_splits: int) -> Folds:
    """
    Split training clips to choose a setting on: the `speaker_folds` that leave enough to train on.

    Enough is two emotions, and more clips than emotions, without which some classifiers cannot be fitted.

    Parameters
    ----------
    y : array-like of shape (n_clips,)
        Emotions.
    groups : array-like of shape (n_clips,) or None
        Speakers.
    n_splits : int
        Number of folds at the most.

    Returns
    -------
    list of (train, test)
        Indices of each fold. Empty if nothing can be held out.
    """
    y = np.asarray(y)
    folds = speaker_folds(y, groups, n_splits)
    return [(train, test) for train, test in folds if 1 < len(np.unique(y[train])) < len(train)]


def fit_with_speakers(model: Any, X: Any, y: npt.ArrayLike, groups: npt.ArrayLike | None) -> Any:
    """
    Fit an estimator, handing the speakers to those of its parts that want them.

    Parameters
    ----------
    model : estimator
        Any scikit-learn estimator; it is fitted itself, no copy.
    X : clips or array of shape (n_clips, n_features)
        Whatever the model takes.
    y : array-like of shape (n_clips,)
        Emotions.
    groups : array-like of shape (n_clips,) or None
        Speakers.

    Returns
    -------
    estimator
        The fitted model.
    """
    return _hand_on(model.fit, "fit", model, groups, X, y)


def predict_with_speakers(model: Any, X: Any, groups: npt.ArrayLike | None, method: str = "predict") -> Any:
    """
    Predict, handing the speakers to those of the model's parts that want them, such as `sersk.SpeakerScaler`.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : clips or array of shape (n_clips, n_features)
        Whatever the model takes.
    groups : array-like of shape (n_clips,) or None
        Speakers.
    method : {"predict", "predict_proba", "decision_function"}, default="predict"
        What is asked for.

    Returns
    -------
    ndarray
        What the method gives.
    """
    return _hand_on(getattr(model, method), "predict", model, groups, X)


def wants_speakers(model: Any, method: str) -> bool:
    """
    Tell whether an estimator, or a part of it, asks for speakers.

    Parameters
    ----------
    model : estimator
        Any scikit-learn estimator.
    method : {"fit", "predict"}
        When. In `fit` speakers may only split the clips; who asks for them to predict means speakers themselves, as
        scaling by speaker does.

    Returns
    -------
    bool
        Whether it takes ``groups`` then.
    """
    with sklearn.config_context(enable_metadata_routing=True):
        try:
            return "groups" in get_routing_for_object(model).consumes(method, ["groups"])
        except NotImplementedError:  # AdaBoostClassifier and some others cannot say, even for what they hold
            return False


def _hand_on(call: Any, method: str, model: Any, groups: npt.ArrayLike | None, *data: Any) -> Any:
    if groups is None or not wants_speakers(model, method):
        return call(*data)
    with sklearn.config_context(enable_metadata_routing=True):
        return call(*data, groups=np.asarray(groups))
