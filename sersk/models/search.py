"""Classifier and grid -> the best setting, chosen on speakers that were held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, ParameterGrid, RandomizedSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, validate_data

from .calibration import SpeakerCalibratedClassifier
from .classical import Grid
from .decision import Delegates
from .folds import Folds, fit_with_speakers, inner_folds, predict_with_speakers, wants_speakers
from .fronts import is_stateless, split_stateless
from .rows import leave_out_weightless

STRATEGIES = ("grid", "halving", "random")
_INNER_FOLDS = 4


class SpeakerSearch(Delegates, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """
    Search a grid on inner folds of whole speakers.

    An estimator itself, so that cross-validating it gives the honest, nested estimate. scikit-learn's searches do the
    work; only the folds, made anew from the speakers of each training set, are ours. The calibration of a single
    classifier leaves the order of its scores as it is, so it is left out while searching. Of a pipeline that takes
    clips, features are computed once for all fits, and once for each of their settings if the grid varies these.

    Parameters
    ----------
    estimator : estimator
        Classifier or pipeline.
    grid : dict of str to list
        Values to try, by the estimator's parameter names.
    strategy : {"grid", "halving", "random"}, default="grid"
        Try all on all clips; or drop the worse part of them on growing subsets (`HalvingGridSearchCV`), which is "grid"
        where there are too few clips for subsets; or draw `n_iter` settings (`RandomizedSearchCV`; Bergstra and Bengio
        2012, "Random search for hyper-parameter optimization"): of floats above 0 any value between the least and the
        greatest, on a logarithmic scale, of all else one in the list. Settings of features are all tried.
    n_iter : int, default=10
        Settings that "random" draws.
    n_jobs : int, default=None
        Number of fits at a time.
    random_state : int, RandomState or None, default=0
        Seed of the subsets of "halving" and of the draws of "random".

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
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": True, "sources": True}

    _fitted: ClassVar[str] = "best_estimator_"

    def __init__(
        self,
        estimator: Any,
        grid: Grid,
        *,
        strategy: str = "grid",
        n_iter: int = 10,
        n_jobs: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.estimator = estimator
        self.grid = grid
        self.strategy = strategy
        self.n_iter = n_iter
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        sources: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """
        Search, then fit the best setting on all clips.

        Parameters
        ----------
        X : clips or array-like of shape (n_clips, n_features)
            What the estimator takes.
        y : array-like of shape (n_clips,)
            Emotions.
        groups : array-like of shape (n_clips,), default=None
            Speakers.
        sources : array-like of shape (n_clips,), default=None
            Which rows are altered copies, if any: k for clip k itself, ~k for a copy of it. None is tested.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips, for an estimator that takes them.

        Returns
        -------
        self
            The search.

        Raises
        ------
        TypeError
            If there are weights, and the estimator takes none.
        """
        y = np.asarray(validate_data(self, y=y))  # X is the estimator's affair: it may be clips
        check_classification_targets(y)
        check_consistent_length(X, y, groups, sources)
        weight, y, X, groups, sources = leave_out_weightless(sample_weight, y, X, groups, sources)
        if len(np.unique(y)) < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        folds = inner_folds(y, groups, _INNER_FOLDS, sources)
        if not folds:
            raise ValueError("No clips can be held out to search on: an emotion has one clip only. Add clips.")
        front, back = split_stateless(clone(self.estimator))
        fronts, grid = _part_grid(front, self.grid)
        if not _are_stateless(fronts):
            front, back, fronts, grid = None, clone(self.estimator), {}, self.grid
        best: tuple[float, dict[str, Any], Any] | None = None
        fit = partial(fit_with_speakers, y=y, groups=groups, sources=sources, sample_weight=weight)
        for setting, rows in _each_front(front, fronts, X):
            params, score = self._search(back, grid, rows, y, folds, fit)
            if best is None or score > best[0]:
                best = score, setting | params, rows
        assert best is not None  # noqa: S101 - ParameterGrid gives one setting at least
        self.best_score_, self.best_params_, rows = best
        chosen = clone(self.estimator).set_params(**self.best_params_)
        if front is None:
            self.best_estimator_ = fit(chosen, X)
        else:
            fitted = fit(chosen[len(front) :], rows)
            self.best_estimator_ = Pipeline([*chosen.steps[: len(front)], *fitted.steps], memory=chosen.memory)
        self.classes_ = self.best_estimator_.classes_
        return self

    def without_front(self) -> tuple[Pipeline | None, SpeakerSearch]:
        """
        Part the search from features that it does not vary, so that they can be computed once for many fits of it.

        Returns
        -------
        front : Pipeline or None
            What depends on the clip alone; None if that is nothing, or if the grid varies it.
        search : SpeakerSearch
            The search of the rest, which takes what `front` gives.
        """
        front, back = split_stateless(self.estimator)
        if front is None or _part_grid(front, self.grid)[0]:
            return None, self
        return front, clone(self).set_params(estimator=back)

    def _search(
        self,
        estimator: Any,
        grid: Grid,
        X: Any,
        y: npt.NDArray[Any],
        folds: Folds,
        fit: Callable[[Any, Any], Any],
    ) -> tuple[dict[str, Any], float]:
        """Find the best setting of what learns, and its UAR on the inner folds."""
        bare, original = _without_calibration(estimator, grid)
        grid = {name: grid[original[name]] for name in original}
        by_speaker = wants_speakers(bare, "predict")
        scoring = _UarBySpeaker() if by_speaker else make_scorer(uar)
        options = {"scoring": scoring, "cv": folds, "n_jobs": self.n_jobs, "refit": False}
        # Halving starts with two clips of each emotion for each fold.
        enough = len(y) >= 2 * len(np.unique(y)) * len(folds)
        search: Any
        if self.strategy == "random":
            drawn = {name: _distribution(values) for name, values in grid.items()}
            n_iter = self.n_iter
            if drawn == grid:  # lists only: no setting twice
                n_iter = min(n_iter, len(ParameterGrid(grid)))
            options |= {"n_iter": n_iter, "random_state": self.random_state, "error_score": "raise"}
            search = RandomizedSearchCV(bare, drawn, **options)
        elif self.strategy == "halving" and enough and len(ParameterGrid(grid)) > 1:
            options |= {"random_state": self.random_state, "return_train_score": False}
            search = HalvingGridSearchCV(bare, grid, **options)  # has to bear subsets that cannot be fitted
        else:
            search = GridSearchCV(bare, grid, error_score="raise", **options)
        fit(search, X)  # with the speakers: they are for what is calibrated or scaled by them inside
        params = {original[name]: value for name, value in search.best_params_.items()}
        return params, float(search.best_score_)


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


class _UarBySpeaker:
    """Score what asks for speakers when it predicts: scikit-learn's scorers hand these to the metric only."""

    def __call__(self, model: Any, X: Any, y: npt.NDArray[Any], groups: npt.ArrayLike | None = None) -> float:
        return uar(y, predict_with_speakers(model, X, groups))

    def get_metadata_routing(self) -> MetadataRequest:
        request = MetadataRequest(owner=type(self).__name__)
        request.score.add_request(param="groups", alias=True)
        return request


def _part_grid(front: Pipeline | None, grid: Grid) -> tuple[Grid, Grid]:
    """Part the grid into that of the features and that of what learns."""
    steps = () if front is None else front.named_steps
    fronts = {name: values for name, values in grid.items() if name.partition("__")[0] in steps}
    return fronts, {name: values for name, values in grid.items() if name not in fronts}


def _are_stateless(fronts: Grid) -> bool:
    """Tell whether the steps that are tried in place of each other, if any, depend on the clip alone."""
    return all(is_stateless(step) for name, steps in fronts.items() if "__" not in name for step in steps)


def _each_front(front: Pipeline | None, fronts: Grid, X: Any) -> Iterator[tuple[dict[str, Any], Any]]:
    """Compute the features of every clip for each of their settings; one at a time is held."""
    for setting in ParameterGrid(fronts):
        if front is None:
            yield {}, X
        else:
            fresh = {name: clone(value, safe=False) for name, value in setting.items()}
            yield setting, clone(front).set_params(**fresh).transform(X)


def _distribution(values: list[Any]) -> Any:
    numbers = all(isinstance(value, float) and value > 0 for value in values)
    return loguniform(min(values), max(values)) if numbers and min(values) < max(values) else values


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
