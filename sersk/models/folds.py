"""Emotions and speakers -> folds that keep every speaker on one side."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import sklearn
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import check_consistent_length, has_fit_parameter

from sersk.clips import clip_numbers, speaker_names, unaltered_rows

Fold = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
Folds = list[Fold]


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
    clips, names = np.arange(len(y)), None
    if groups is not None and n_speakers > 1:
        names = speaker_names(groups)
        clips = np.flatnonzero(names != "")
        y, names = y[clips], names[clips]
    counts = np.unique(y, return_counts=True)[1]
    splitter: Any
    if n_speakers > 1:
        splitter, n_splits = StratifiedGroupKFold, min(n_splits, n_speakers, counts.max())
    else:
        splitter, n_splits = StratifiedKFold, min(n_splits, counts.min())
    if n_splits < 2:
        return []
    with warnings.catch_warnings():
        # Some folds then lack the emotions that have fewer clips than there are folds: still sound.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        folds = splitter(int(n_splits), shuffle=True, random_state=0).split(np.zeros(len(y)), y, names)
        return [(clips[train], clips[test]) for train, test in folds]


def inner_folds(
    y: npt.ArrayLike, groups: npt.ArrayLike | None, n_splits: int, sources: npt.ArrayLike | None = None
) -> Folds:
    """
    Split training clips to choose a setting on: the `speaker_folds` that leave enough to train on.

    Enough is two emotions, and more clips than emotions, without which some classifiers cannot be fitted. Altered
    copies are never tested, and train only where their clip could train.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Emotions.
    groups : array-like of shape (n_rows,) or None
        Speakers.
    n_splits : int
        Number of folds at the most.
    sources : array-like of shape (n_rows,), default=None
        As in `clip_numbers`; None if no row is an altered copy.

    Returns
    -------
    list of (train, test)
        Indices of each fold. Empty if nothing can be held out.
    """
    y = np.asarray(y)
    check_consistent_length(y, groups, sources)
    clips = unaltered_rows(len(y), sources)
    copies = np.setdiff1d(np.arange(len(y)), clips)
    folds = speaker_folds(y[clips], None if groups is None else np.asarray(groups)[clips], n_splits)
    folds = [(clips[train], clips[test]) for train, test in folds]
    if len(copies):
        number = clip_numbers(np.asarray(sources))
        names = number if groups is None else speaker_names(groups)
        for place, (train, test) in enumerate(folds):
            apart = not np.isin(names[test], names[train]).any()
            left_out = np.isin(names, names[test]) | (names == "") if apart else np.isin(number, number[test])
            folds[place] = np.concatenate([train, copies[~left_out[copies]]]), test
    return [(train, test) for train, test in folds if _teaches_enough(y[train])]


def hold_out(
    y: npt.ArrayLike, groups: npt.ArrayLike | None, fraction: float, sources: npt.ArrayLike | None = None
) -> Fold:
    """
    Hold out whole speakers who have nearly a given share of the clips, and leave as many emotions as possible.

    Parameters
    ----------
    y : array-like of shape (n_rows,)
        Emotions.
    groups : array-like of shape (n_rows,) or None
        Speakers; clips are held out where these are unknown, or one only. Beside two or more, clips of unknown ones
        train: they are too many to be lost.
    fraction : float
        Share of the clips to hold out, above 0 and at most 0.5.
    sources : array-like of shape (n_rows,), default=None
        As in `inner_folds`: no copy is held out, and none of a held-out clip trains.

    Returns
    -------
    tuple of (ndarray, ndarray)
        Indices of the rows to train on and to hold out; of all and of none if nothing can be held out.
    """
    y = np.asarray(y)
    n_splits = Fraction(fraction).limit_denominator(20).denominator if fraction >= 0.05 else round(1 / fraction)
    parts = inner_folds(y, groups, n_splits, sources)
    wanted = fraction * len(unaltered_rows(len(y), sources))
    unions = []
    for first, (train, test) in enumerate(parts):
        for other, more in [*parts[first + 1 :], *parts[:first], parts[first]]:
            unions.append((train, test))
            train, test = np.intersect1d(train, other), np.concatenate([test, more])

    def quality(fold: Fold) -> tuple[float, ...]:
        train, test = fold
        return len(np.unique(y[train])), -round(abs(len(test) - wanted)), -len(test)

    enough = [fold for fold in unions if _teaches_enough(y[fold[0]])]
    train, test = max(enough, key=quality, default=(np.arange(len(y)), np.arange(0)))
    if groups is not None and count_speakers(groups) > 1 and "" in (names := speaker_names(groups)):
        train = np.union1d(train, np.flatnonzero(names == ""))
    return train, test


def _teaches_enough(emotions: npt.NDArray[Any]) -> bool:
    return 1 < len(np.unique(emotions)) < len(emotions)


def fit_with_speakers(
    model: Any,
    X: Any,
    y: npt.ArrayLike,
    groups: npt.ArrayLike | None,
    *,
    sources: npt.ArrayLike | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> Any:
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
    sources : array-like of shape (n_clips,), default=None
        Which rows are altered copies, and of which clips: k for clip k itself, ~k for a copy of it. Parts that measure
        something on clips, such as calibration and scaling by speaker, leave copies out. Where speakers are unknown,
        parts that only split clips by speaker get the clips' numbers in their place.
    sample_weight : array-like of shape (n_clips,), default=None
        Weights of the clips, for the classifier.

    Returns
    -------
    estimator
        The fitted model.

    Raises
    ------
    TypeError
        If there are weights, and the classifier takes none.
    """
    if sources is not None and (np.asarray(sources) >= 0).all():
        sources = None
    if groups is None and sources is not None and not wants_speakers(model, "predict"):
        groups = clip_numbers(np.asarray(sources))
    return _hand_on(model.fit, "fit", model, {"groups": groups, "sources": sources}, X, y, sample_weight=sample_weight)


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
    return _hand_on(getattr(model, method), "predict", model, {"groups": groups}, X)


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
    return "groups" in _consumed(model, method, ["groups"])


def _consumed(model: Any, method: str, names: Iterable[str]) -> set[str]:
    """Tell which metadata an estimator, or a part of it, asks for."""
    with sklearn.config_context(enable_metadata_routing=True):
        try:
            return set(get_routing_for_object(model).consumes(method, names))
        except NotImplementedError:  # AdaBoostClassifier and some others cannot say, even for what they hold
            return set()


def _hand_on(
    call: Any, method: str, model: Any, metadata: dict[str, Any], *data: Any, sample_weight: npt.ArrayLike | None = None
) -> Any:
    """Call a method with those metadata that are known and asked for, and with the weights in any case."""
    known = {name: np.asarray(value) for name, value in metadata.items() if value is not None}
    given = {name: known[name] for name in _consumed(model, method, known)} if known else {}
    has_weights = sample_weight is not None
    with contextlib.ExitStack() as stack:
        if given or (has_weights and _parts(model)):
            stack.enter_context(sklearn.config_context(enable_metadata_routing=True))
        if has_weights:
            _request_weights(model)
            given["sample_weight"] = np.asarray(sample_weight)
        return call(*data, **given)


def _request_weights(model: Any, wanted: bool | None = None) -> None:
    """Request weights for all classifiers in a model, and refuse one that takes none; None: it is given them itself."""
    parts = _parts(model)
    for part, decides in parts:
        _request_weights(part, decides and wanted is not False)
    if wanted is not None and model._get_metadata_request().score.requests.get("sample_weight", False) is None:
        model.set_score_request(sample_weight=wanted)  # scikit-learn's searches may score by it
    if parts:
        return
    takes_weights = has_fit_parameter(model, "sample_weight")
    if wanted is not False and not takes_weights:
        raise TypeError(f"Underlying estimator {type(model).__name__} does not support sample weights.")
    if wanted is None or not takes_weights:
        return
    if model._get_metadata_request().fit.requests["sample_weight"] is None:
        model.set_fit_request(sample_weight=wanted)


def _parts(model: Any) -> list[tuple[Any, bool]]:
    """List the parts of scikit-learn's composites, each with whether it decides; none of any other estimator."""
    if isinstance(model, Pipeline):
        steps = [step for _, step in model.steps if hasattr(step, "fit")]
        return [(step, step is model.steps[-1][1]) for step in steps]
    if hasattr(model, "estimators"):  # votes and stacks
        return [(one, True) for _, one in model.estimators if one != "drop"]
    if hasattr(model, "estimator") and not has_fit_parameter(model, "sample_weight"):  # searches
        return [(model.estimator, True)]
    return []
