"""Support vectors and clips -> scores, by matrix products."""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from sklearn.svm import SVC

Matrix = npt.NDArray[np.float64]

# Clips that are compared with the support vectors at a time: enough for a matrix product to be worth its while.
_BLOCK = 256


class _Prepared(NamedTuple):
    vectors: Matrix  # (n_vectors, n_features), those of the classifier itself
    norms: Matrix  # (n_vectors,), squared
    weights: Matrix  # (n_vectors, n_pairs), of each pair of classes
    pairs: Matrix  # (n_pairs, n_classes), 1 for a pair's first class and -1 for its second


# What is the same for all clips takes as long as one clip.
_prepared: WeakKeyDictionary[SVC, _Prepared] = WeakKeyDictionary()


def decides_by_distance(classifier: Any) -> bool:
    """
    Tell whether `svc_scores` can answer for a classifier.

    Parameters
    ----------
    classifier : classifier
        Fitted.

    Returns
    -------
    bool
        Whether it is a support vector classifier with Gaussian kernel, fitted on a dense table.
    """
    return (
        type(classifier) is SVC
        and classifier.kernel == "rbf"
        and classifier.decision_function_shape == "ovr"
        and isinstance(classifier.support_vectors_, np.ndarray)
    )


def svc_scores(svc: SVC, X: npt.NDArray[np.floating]) -> Matrix:
    """
    Give what ``svc.decision_function(X)`` gives but for rounding, in a fraction of its time.

    libsvm goes through all support vectors for every clip, feature by feature; a matrix product does so for many clips
    at once, and faster for a single one.

    Parameters
    ----------
    svc : SVC
        One for which `decides_by_distance` holds.
    X : ndarray of shape (n_clips, n_features)
        Features, checked.

    Returns
    -------
    ndarray of shape (n_clips, n_classes), or (n_clips,) for two classes
        Scores.
    """
    prepared = _prepared.get(svc)
    if prepared is None or prepared.vectors is not svc.support_vectors_:  # it may have been fitted anew
        prepared = _prepared[svc] = _prepare(svc)
    parts = [_decide(svc, prepared, X[first : first + _BLOCK]) for first in range(0, len(X), _BLOCK)]
    return np.concatenate(parts)


def _prepare(svc: SVC) -> _Prepared:
    vectors, coefficients = svc.support_vectors_, svc.dual_coef_
    n_classes = len(svc.classes_)
    bounds = np.concatenate([[0], np.cumsum(svc.n_support_)])
    ones = [(first, second) for first in range(n_classes) for second in range(first + 1, n_classes)]
    weights = np.zeros((len(vectors), len(ones)))
    pairs = np.zeros((len(ones), n_classes))
    for pair, (first, second) in enumerate(ones):
        # Row k of the coefficients is of a vector's class against the k-th of the others.
        of_first, of_second = slice(*bounds[first : first + 2]), slice(*bounds[second : second + 2])
        weights[of_first, pair] = coefficients[second - 1, of_first]
        weights[of_second, pair] = coefficients[first, of_second]
        pairs[pair, first], pairs[pair, second] = 1, -1
    return _Prepared(vectors, np.einsum("ij,ij->i", vectors, vectors), weights, pairs)


def _decide(svc: SVC, prepared: _Prepared, X: npt.NDArray[np.floating]) -> Matrix:
    rows = X.astype(np.float64)
    # Minus the squared distances: |x - v|^2 = |x|^2 - 2 xv + |v|^2
    kernel = rows @ prepared.vectors.T
    kernel *= 2
    kernel -= prepared.norms
    kernel -= np.einsum("ij,ij->i", rows, rows)[:, np.newaxis]
    np.minimum(kernel, 0, out=kernel)  # it is rounded
    kernel *= svc._gamma
    np.exp(kernel, out=kernel)
    decisions = kernel @ prepared.weights + svc.intercept_
    if decisions.shape[1] == 1:
        return decisions[:, 0]
    # One score a class, as scikit-learn makes it: the number of pairs that it wins, and less than half of one for how
    # clearly it does.
    margins = decisions @ prepared.pairs
    won = np.where(decisions < 0, -1.0, 1.0) @ prepared.pairs
    n_pairs_of_class = prepared.pairs.shape[1] - 1
    return (won + n_pairs_of_class) / 2 + margins / (3 * (np.abs(margins) + 1))
