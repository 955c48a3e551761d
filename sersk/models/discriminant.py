"""Features -> linear discriminant analysis where there are more features than clips."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import solve
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from .rows import check_rows, weigh_clips

Matrix = npt.NDArray[np.floating[Any]]


class ShrinkageLDA(ClassifierMixin, BaseEstimator):
    """
    Separate classes by their means under one shrunken covariance, in the smaller of two systems of equations.

    The decisions of scikit-learn's ``LinearDiscriminantAnalysis(solver="lsqr", shrinkage=..., priors=uniform)``, which
    solves (and stores) n_features x n_features: seconds and megabytes for thousands of features. With fewer clips than
    features the same solution comes from an n_clips x n_clips system (Woodbury's identity), and only coefficients are
    kept. All classes count alike, as in the UAR.

    Parameters
    ----------
    shrinkage : float, default=0.7
        How far the pooled covariance is drawn towards a multiple of the identity, above 0 and at most 1.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features)
        Weights of the features for each class.
    intercept_ : ndarray of shape (n_classes,)
        Constant of each class.
    classes_ : ndarray of shape (n_classes,)
        Labels.
    n_features_in_ : int
        Number of features seen by `fit`.

    References
    ----------
    Friedman 1989, "Regularized discriminant analysis", doi 10.1080/01621459.1989.10478752.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.models import ShrinkageLDA
    >>> X = np.random.RandomState(0).randn(40, 200)
    >>> y = np.where(X[:, :20].sum(axis=1) > 0, "happy", "sad")
    >>> ShrinkageLDA(0.5).fit(X, y).coef_.shape
    (2, 200)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"shrinkage": [Interval(Real, 0, 1, closed="right")]}

    def __init__(self, shrinkage: float = 0.7) -> None:
        self.shrinkage = shrinkage

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """
        Find the coefficients.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.
        y : array-like of shape (n_clips,)
            Labels.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips within their class; classes count alike whatever their clips' weights.

        Returns
        -------
        self
            The fitted classifier.
        """
        rows: npt.NDArray[Any]
        rows, labels = validate_data(self, X, y, dtype=[np.float64, np.float32])
        check_classification_targets(labels)
        weight = None
        if sample_weight is not None:
            weight = weigh_clips(None, labels, sample_weight).astype(rows.dtype)
            rows, labels, weight = rows[weight > 0], labels[weight > 0], weight[weight > 0]
        self.classes_, target = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        means = np.stack(
            [
                np.average(rows[target == k], axis=0, weights=None if weight is None else weight[target == k])
                for k in range(len(self.classes_))
            ]
        )
        centre = means.mean(axis=0)
        totals = np.bincount(target, weights=weight)
        share = np.sqrt(totals * len(totals))[target] / (1 if weight is None else np.sqrt(weight))
        deviations = (rows - means[target]) / share[:, None].astype(rows.dtype)
        means = means - centre
        n_clips, n_features = rows.shape
        identity = self.shrinkage * float(np.einsum("ij,ij->", deviations, deviations)) / n_features
        if identity < np.finfo(rows.dtype).tiny:  # all clips of a class are equal: the nearest mean decides
            identity = 1.0
        pooled = 1.0 - self.shrinkage
        if n_features <= n_clips or pooled == 0.0:
            covariance = pooled * (deviations.T @ deviations) + identity * np.eye(n_features, dtype=rows.dtype)
            coef = solve(covariance, means.T, assume_a="pos").T
        else:
            gram = pooled * (deviations @ deviations.T) + identity * np.eye(n_clips, dtype=rows.dtype)
            within = solve(gram, deviations @ means.T, assume_a="pos")
            coef = (means - pooled * (deviations.T @ within).T) / identity
        return self._keep(coef, means, centre)

    def fit_moments(self, classes: npt.ArrayLike, means: Matrix, covariance: Matrix) -> Self:
        """
        Find the coefficients from what can be summed up clip by clip: the same ones as from the clips.

        Parameters
        ----------
        classes : array-like of shape (n_classes,)
            Labels, in ascending order.
        means : ndarray of shape (n_classes, n_features)
            Mean of the features of each class.
        covariance : ndarray of shape (n_features, n_features)
            Mean of the covariances of the classes, each a mean over its clips.

        Returns
        -------
        self
            The fitted classifier.
        """
        self.classes_, self.n_features_in_ = np.asarray(classes), means.shape[1]
        centre = means.mean(axis=0)
        means = means - centre
        identity = self.shrinkage * float(np.trace(covariance)) / len(covariance)
        if identity < np.finfo(covariance.dtype).tiny:
            identity = 1.0
        shrunken = (1.0 - self.shrinkage) * covariance
        np.fill_diagonal(shrunken, shrunken.diagonal() + identity)
        return self._keep(solve(shrunken, means.T, assume_a="pos").T, means, centre)

    def _keep(self, coef: Matrix, means: Matrix, centre: Matrix) -> Self:
        self.coef_ = coef
        self.intercept_ = -coef @ centre - 0.5 * np.einsum("ij,ij->i", means, coef)
        return self

    def decision_function(self, X: npt.ArrayLike) -> npt.NDArray[np.floating[Any]]:
        """
        Score the classes.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_clips, n_classes), or (n_clips,) for two classes
            Logarithms of the densities but for a constant; for two classes their difference.
        """
        scores = self._scores(X)
        return scores[:, 1] - scores[:, 0] if len(self.classes_) == 2 else scores

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.floating[Any]]:
        """
        Estimate the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_clips, n_classes)
            Probabilities, columns in the order of `classes_`; too sure of themselves with many features.
        """
        probabilities: npt.NDArray[np.floating[Any]] = softmax(self._scores(X), axis=1)
        return probabilities

    def predict(self, X: npt.ArrayLike) -> npt.NDArray[Any]:
        """
        Name the class with the highest score.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_clips,)
            Labels.
        """
        scores = self._scores(X)
        best: npt.NDArray[Any] = self.classes_[np.argmax(scores, axis=1)]
        return best

    def _scores(self, X: npt.ArrayLike) -> npt.NDArray[np.floating[Any]]:
        check_is_fitted(self)
        scores: npt.NDArray[np.floating[Any]] = (
            check_rows(self, X, (np.float64, np.float32)) @ self.coef_.T + self.intercept_
        )
        return scores
