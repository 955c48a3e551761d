"""Classifier and grid -> the best setting, chosen on speakers that were held out."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import HasMethods, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from .calibration import SpeakerCalibratedClassifier
from .classical import Grid
from .decision import Delegates
from .folds import fit_with_speakers, inner_folds

STRATEGIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "grid": (GridSearchCV, {"error_score": "raise"}),  # halving has to bear subsets that cannot be fitted
    "halving": (HalvingGridSearchCV, {"random_state": 0, "return_train_score": False}),
}
_INNER_FOLDS = 4


class SpeakerSearch(Delegates, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """
    Search a grid on inner folds of whole speakers.

    An estimator itself, so that cross-validating it gives the honest, nested estimate. scikit-learn's searches do the
    work; only the folds, made anew from the speakers of each training set, are ours. The calibration of a single
    classifier leaves the order of its scores as it is, so it is left out while searching.

    Parameters
    ----------
    estimator : estimator
        Classifier or pipeline.
    grid : dict of str to list
        Values to try, by the estimator's parameter names.
    strategy : {"grid", "halving"}, default="grid"
        Try all on all clips, or drop the worse part of them on growing subsets (`HalvingGridSearchCV`); where there are
        too few clips for subsets, the same as "grid".
    n_jobs : int, default=None
        Number of fits at a time.

    Attributes
    ----------
    best_estimator_ : estimator
        Fitted on all clips with the best setting.
    best_params_ : dict
        That setting, by the parameter names of `grid`.
    best_score_ : float
        Its UAR on the inner folds.
    classes_ : ndarray of shape (n_classes,)
        Emotions.
    n_features_in_ : int
        Number of features seen by `fit`, if the estimator tells it.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import SVC
    >>> from sersk.models import SpeakerSearch
    >>> X = np.random.RandomState(0).randn(60, 4)
    >>> y = np.where(X[:, 0] > 0, "happy", "sad")
    >>> search = SpeakerSearch(SVC(), {"kernel": ["linear", "sigmoid"]}).fit(X, y, groups=np.arange(60) // 10)
    >>> search.best_params_
    {'kernel': 'linear'}
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "grid": [dict],
        "strategy": [StrOptions(set(STRATEGIES))],
        "n_jobs": [Integral, None],
    }
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": True}

    _fitted: ClassVar[str] = "best_estimator_"

    def __init__(self, estimator: Any, grid: Grid, *, strategy: str = "grid", n_jobs: int | None = None) -> None:
        self.estimator = estimator
        self.grid = grid
        self.strategy = strategy
        self.n_jobs = n_jobs

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """
        Search, then fit the best setting on all clips.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.
        y : array-like of shape (n_clips,)
            Emotions.
        groups : array-like of shape (n_clips,), default=None
            Speakers.

        Returns
        -------
        self
            The search.
        """
        y = np.asarray(validate_data(self, y=y))  # X is the estimator's affair: it may be clips
        check_classification_targets(y)
        n_classes = len(np.unique(y))
        if n_classes < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        folds = inner_folds(y, groups, _INNER_FOLDS)
        if not folds:
            raise ValueError("No clips can be held out to search on: an emotion has one clip only. Add clips.")
        bare, original = _without_calibration(clone(self.estimator), self.grid)
        grid = {name: self.grid[original[name]] for name in original}
        # Halving starts with two clips of each emotion for each fold.
        enough = len(y) >= 2 * n_classes * len(folds)
        searcher, options = STRATEGIES[self.strategy if enough else "grid"]
        search = searcher(bare, grid, scoring=make_scorer(uar), cv=folds, n_jobs=self.n_jobs, refit=False, **options)
        # With the speakers: they are for what is calibrated inside, such as the voters of an ensemble.
        fit_with_speakers(search, X, y, groups)
        self.best_params_ = {original[name]: value for name, value in search.best_params_.items()}
        self.best_score_ = float(search.best_score_)
        self.best_estimator_ = fit_with_speakers(clone(self.estimator).set_params(**self.best_params_), X, y, groups)
        self.classes_ = self.best_estimator_.classes_
        return self


def uar(emotions: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """
    Average the recalls of the emotions there are: balanced_accuracy_score, which warns where a fold lacks one.

    Parameters
    ----------
    emotions, predicted : array-like of shape (n_clips,)
        What is said, and what a model takes it for.

    Returns
    -------
    float
        Unweighted average recall.
    """
    return float(recall_score(emotions, predicted, labels=np.unique(np.asarray(emotions)), average="macro"))


def _without_calibration(estimator: Any, grid: Grid) -> tuple[Any, dict[str, str]]:
    """
    Uncover a calibrated classifier, alone or at the end of a pipeline, if the grid varies nothing but what it wraps.

    Returns what to search, and its parameters' names with what they are called in `grid`.
    """
    step, last = estimator.steps[-1] if isinstance(estimator, Pipeline) else ("", estimator)
    outer = f"{step}__" if step else ""
    inside = f"{outer}estimator__"
    bare_will_do = isinstance(last, SpeakerCalibratedClassifier) and last.class_weight is None
    if not bare_will_do or not all(name.startswith(inside) for name in grid):
        return estimator, {name: name for name in grid}
    bare = Pipeline([*estimator.steps[:-1], (step, last.estimator)]) if step else last.estimator
    return bare, {outer + name.removeprefix(inside): name for name in grid}
