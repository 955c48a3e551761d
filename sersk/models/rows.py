"""Rows of features -> the same rows, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.validation import validate_data

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
