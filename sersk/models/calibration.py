"""Classifier -> the same classifier with probabilities that hold for new speakers."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.multiclass import _ovr_decision_function, check_classification_targets
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from .decision import MostProbable
from .folds import fit_with_speakers, inner_folds
from .rows import check_rows, weigh_clips

Matrix = npt.NDArray[np.float64]
_SPREAD = (1e-3, 1e2)


class SpeakerCalibratedClassifier(MostProbable, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """
    Give a classifier probabilities, measured on speakers that it was not trained on.

    Temperature scaling: one factor for all scores, chosen so that the log loss is lowest on held-out folds (Guo et al.
    2017, "On calibration of modern neural networks", arXiv 1706.04599). It leaves the order of the scores as it is, and
    the class with the highest one is the decision. scikit-learn's ``CalibratedClassifierCV(ensemble=False)`` does not
    hand groups to its folds (1.9), so that it measures confidence on voices that the classifier knows, where it is too
    high.

    Parameters
    ----------
    estimator : classifier
        With a `decision_function` of one column a class (or of one column for two classes), or `predict_proba`.
    cv : int or list of (train, test), default=5
        Number of folds that the temperature is chosen on, by speaker if `fit` is given `groups`; or the folds.
    class_weight : "balanced", dict or None, default=None
        Weights for a classifier that takes `sample_weight` but no class weights of its own, such as `MLPClassifier`.
    n_jobs : int, default=None
        Number of folds fitted at a time.

    Attributes
    ----------
    estimator_ : classifier
        Fitted on all clips.
    temperature_ : float
        What scores are divided by; 1 where there were too few clips to choose it.
    classes_ : ndarray of shape (n_classes,)
        Emotions, in the order of the probabilities.
    n_features_in_ : int
        Number of features seen by `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import SVC
    >>> from sersk.models import SpeakerCalibratedClassifier
    >>> X = np.random.RandomState(0).randn(60, 4)
    >>> y = np.where(X[:, 0] > 0, "happy", "sad")
    >>> model = SpeakerCalibratedClassifier(SVC()).fit(X, y, groups=np.arange(60) // 10)
    >>> model.predict_proba(X[:2]).shape
    (2, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "decision_function"]), HasMethods(["fit", "predict_proba"])],
        "cv": [Interval(Integral, 2, None, closed="left"), list],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "n_jobs": [Integral, None],
    }
    # Speakers reach `fit` inside pipelines without a word from the user, once metadata routing is on.
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": True, "sources": True}

    def __init__(
        self,
        estimator: Any,
        *,
        cv: Any = 5,
        class_weight: Any = None,
        n_jobs: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.cv = cv
        self.class_weight = class_weight
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        sources: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """
        Fit the classifier, and the temperature on folds that it has not seen.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.
        y : array-like of shape (n_clips,)
            Emotions.
        groups : array-like of shape (n_clips,), default=None
            Speakers.
        sources : array-like of shape (n_clips,), default=None
            Which rows are altered copies, if any: k for clip k itself, ~k for a copy of it. They train, but no
            temperature is chosen on them.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips, beside those of the classes.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        TypeError
            If there are weights, and the estimator takes none.
        """
        rows: npt.NDArray[Any]
        rows, y = validate_data(self, X, y, dtype=[np.float32, np.float64])
        y = np.asarray(y)
        check_consistent_length(y, groups, sources)
        check_classification_targets(y)
        given = None if sample_weight is None else weigh_clips(None, y, sample_weight)
        kept = np.arange(len(y)) if given is None else np.flatnonzero(given)  # a clip of weight 0 is as good as absent
        self.classes_, target = np.unique(y, return_inverse=True)
        if len(np.unique(target[kept])) < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        weight = given if self.class_weight is None else weigh_clips(self.class_weight, y, given)
        if isinstance(self.cv, list):
            folds = [(np.intersect1d(train, kept), np.intersect1d(test, kept)) for train, test in self.cv]
        else:
            groups, sources = (None if one is None else np.asarray(one)[kept] for one in (groups, sources))
            folds = [(kept[train], kept[test]) for train, test in inner_folds(y[kept], groups, self.cv, sources)]
        held_out = Parallel(n_jobs=self.n_jobs)(
            delayed(_fit_and_score)(clone(self.estimator), rows, y, train, test, self.classes_, weight)
            for train, test in folds
        )
        self.temperature_ = 1.0
        if folds:
            tested = np.concatenate([test for _, test in folds])
            heed = None if given is None else given[tested]
            self.temperature_ = choose_temperature(np.concatenate(held_out), target[tested], heed)
        heed = None if weight is None else weight[kept]
        self.estimator_ = fit_with_speakers(clone(self.estimator), rows[kept], y[kept], None, sample_weight=heed)
        return self

    def predict_proba(self, X: npt.ArrayLike) -> Matrix:
        """
        Estimate the probability of each emotion.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_clips, n_classes)
            Probabilities, columns in the order of `classes_`.
        """
        check_is_fitted(self)
        X = check_rows(self, X)
        probabilities: Matrix = np.exp(
            log_softmax(class_scores(self.estimator_, X, self.classes_) / self.temperature_, axis=1)
        )
        return probabilities


def _fit_and_score(
    estimator: Any,
    X: Matrix,
    y: npt.NDArray[Any],
    train: npt.NDArray[np.intp],
    test: npt.NDArray[np.intp],
    classes: npt.NDArray[Any],
    weight: Matrix | None,
) -> Matrix:
    weight = None if weight is None else weight[train]
    return class_scores(fit_with_speakers(estimator, X[train], y[train], None, sample_weight=weight), X[test], classes)


def class_scores(estimator: Any, X: npt.ArrayLike, classes: npt.NDArray[Any]) -> Matrix:
    """
    Score all classes; one that the estimator never saw gets what the least likely one gets.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    X : array-like of shape (n_clips, n_features)
        Features.
    classes : ndarray of shape (n_classes,)
        Emotions, in ascending order; at least those that the estimator knows.

    Returns
    -------
    ndarray of shape (n_clips, n_classes)
        Scores, or logarithms of probabilities.

    Raises
    ------
    ValueError
        If the classifier's scores are not one column a class.
    """
    known = estimator.classes_
    if hasattr(estimator, "decision_function"):
        scores = np.asarray(_decide(estimator, X), dtype=float)
        if _scores_pairs(estimator) and len(known) > 2:
            scores = _ovr_decision_function(scores < 0, -scores, len(known))  # as SVC makes one column a class
        elif scores.size == len(scores) and len(known) == 2:
            scores = np.column_stack([-scores.ravel() / 2, scores.ravel() / 2])
    else:
        scores = np.log(np.maximum(estimator.predict_proba(X), 1e-12))
    if scores.shape != (len(scores), len(known)):
        raise ValueError(
            f"{type(estimator).__name__}: expected scores with one column a class, {len(known)} here, got an array of "
            f"shape {scores.shape}. Give a classifier whose decision_function, or predict_proba, has such columns."
        )
    if np.array_equal(known, classes):
        return scores
    complete = np.repeat(scores.min(axis=1, keepdims=True), len(classes), axis=1)
    complete[:, np.searchsorted(classes, known)] = scores
    return complete


def _scores_pairs(estimator: Any) -> bool:
    """Tell whether an SVM scores pairs of classes; it may be the end of a pipeline, or what a search has found."""
    while inner := getattr(estimator, "best_estimator_", None) or getattr(estimator, "_final_estimator", None):
        estimator = inner
    return getattr(estimator, "decision_function_shape", None) == "ovo"


def _decide(estimator: Any, X: Any) -> Any:
    if hasattr(estimator, "support_vectors_"):  # else scikit-learn's SVMs are not needed, and not imported
        from .support_vectors import decides_by_distance, svc_scores

        if decides_by_distance(estimator):
            return svc_scores(estimator, X)
    return estimator.decision_function(X)


def calibrated(estimator: Any, scores: Matrix, target: npt.NDArray[np.intp]) -> SpeakerCalibratedClassifier:
    """
    Give a fitted classifier the probabilities that go with scores of speakers whom one like it was not trained on.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    scores : ndarray of shape (n_clips, n_classes)
        What `class_scores` says of held-out clips, of all classes that the classifier knows; there may be no clips.
    target : ndarray of shape (n_clips,)
        Column of the true class.

    Returns
    -------
    SpeakerCalibratedClassifier
        Fitted.
    """
    model = SpeakerCalibratedClassifier(estimator)
    model.estimator_, model.classes_, model.n_features_in_ = estimator, estimator.classes_, estimator.n_features_in_
    model.temperature_ = choose_temperature(scores, target) if len(target) else 1.0
    return model


def choose_temperature(
    scores: Matrix, target: npt.NDArray[np.intp], weight: npt.NDArray[np.floating] | None = None
) -> float:
    """
    Find the divisor of scores with the lowest log loss, which is convex in its inverse.

    Parameters
    ----------
    scores : ndarray of shape (n_clips, n_classes)
        Scores of held-out clips.
    target : ndarray of shape (n_clips,)
        Column of the true class.
    weight : ndarray of shape (n_clips,), default=None
        Weights of the clips; all count alike without, or if all are zero.

    Returns
    -------
    float
        The temperature.
    """
    if weight is not None and not weight.any():
        weight = None
    centre = np.average(scores.mean(axis=1), weights=weight)
    spread = max(float(np.sqrt(np.average(np.square(scores - centre).mean(axis=1), weights=weight))), 1e-12)

    def log_loss(inverse: float) -> float:
        chances = log_softmax(scores * (inverse / spread), axis=1)[np.arange(len(target)), target]
        return -float(np.average(chances, weights=weight))

    best = minimize_scalar(log_loss, bounds=_SPREAD, method="bounded", options={"xatol": 1e-4})
    return spread / float(best.x)
