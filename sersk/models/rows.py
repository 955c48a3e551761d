"""Rows of features -> the same rows, checked; and their weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import _safe_indexing, indexable
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, validate_data

_REAL: tuple[Any, ...] = (np.float32, np.float64)


def check_rows(estimator: Any, X: npt.ArrayLike, dtype: tuple[Any, ...] = _REAL) -> npt.NDArray[Any]:
    """
    Check the features to predict from, at once where scikit-learn's own checks would find nothing.

    These are the same for a list, a table and an array, and take longer than many a classifier for one clip.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : array-like of shape (n_clips, n_features)
        Features.
    dtype : tuple of types, default=(float32, float64)
        What is left as it is; everything else becomes the first.

    Returns
    -------
    ndarray of shape (n_clips, n_features)
        The features.

    Raises
    ------
    ValueError
        If they are not what the estimator was fitted on, or not finite.
    """
    if (
        type(X) is np.ndarray
        and X.dtype in dtype
        and X.ndim == 2
        and X.shape[0] > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
    ):
        with np.errstate(all="ignore"):
            if np.isfinite(X.sum()):
                return X
    checked: npt.NDArray[Any] = validate_data(estimator, X, dtype=list(dtype), reset=False)
    return checked


def weigh_clips(
    class_weight: Any, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None
) -> npt.NDArray[np.floating[Any]]:
    """
    Multiply the weights of clips and of their classes; "balanced" counts a clip as often as its own weight says.

    Parameters
    ----------
    class_weight : "balanced", dict or None
        Weights of the classes.
    y : ndarray of shape (n_clips,)
        Labels.
    sample_weight : array-like of shape (n_clips,) or None
        Weights of the clips.

    Returns
    -------
    ndarray of shape (n_clips,)
        The products.

    Raises
    ------
    ValueError
        If all are zero, or the weights do not fit the clips.
    """
    if sample_weight is None:
        weight = compute_sample_weight(class_weight, y)
    else:
        own = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
        if isinstance(class_weight, str) and own.any():
            _, target = np.unique(y, return_inverse=True)
            totals = np.bincount(target, weights=own)
            weight = own * own.sum() / (np.count_nonzero(totals) * np.where(totals > 0, totals, 1))[target]
        else:
            weight = own * compute_sample_weight(class_weight, y)
    if not weight.any():
        raise ValueError("The weights of all clips are zero; there is nothing to learn from.")
    return weight


def leave_out_weightless(
    sample_weight: npt.ArrayLike | None, y: npt.NDArray[Any], *data: Any
) -> tuple[npt.NDArray[np.floating[Any]] | None, npt.NDArray[Any], *tuple[Any, ...]]:
    """
    Leave out clips of weight 0, which some classifiers do not take for absent.

    Parameters
    ----------
    sample_weight : array-like of shape (n_clips,) or None
        Weights of the clips.
    y : ndarray of shape (n_clips,)
        Labels.
    *data : array-like of length n_clips or None
        What else is known of the clips.

    Returns
    -------
    tuple
        Weights, labels and data of the other clips.

    Raises
    ------
    ValueError
        If all weights are zero, or do not fit the clips.
    """
    if sample_weight is None:
        return (None, y, *data)
    weight = weigh_clips(None, y, sample_weight)
    if weight.all():
        return (weight, y, *data)
    kept = np.flatnonzero(weight)
    rest = (None if one is None else _safe_indexing(one, kept) for one in indexable(*data))
    return (weight[kept], y[kept], *rest)
