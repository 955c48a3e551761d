"""Features -> gradient-boosted trees: the only importer of xgboost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from joblib import effective_n_jobs, parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .decision import MostProbable
from .rows import check_rows

# A quarter of XGBoost's default: a quarter of the work for thousands of features, and no worse on hundreds of clips.
_MAX_BIN = 64

Batch = tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]]


class XGBoostClassifier(MostProbable, ClassifierMixin, BaseEstimator):
    """
    Boost trees with XGBoost on labels as they come.

    XGBoost's own ``XGBClassifier`` wants the integers 0 to n - 1 for classes and refuses a fold where one of them is
    missing. This one encodes inside `fit`, weights classes, and is stored with its trees as plain bytes, so that model
    files need to trust no class of xgboost.

    Parameters
    ----------
    n_estimators : int, default=150
        Boosting rounds; each grows one tree a class.
    max_depth : int, default=3
        Depth of the trees.
    learning_rate : float, default=0.1
        Shrinkage of each round.
    subsample : float, default=0.7
        Share of the clips that a round sees.
    colsample_bynode : float, default=0.05
        Share of the features that a split chooses from.
    class_weight : "balanced", dict or None, default="balanced"
        Weights of the classes.
    n_jobs : int, default=None
        Threads, as joblib counts them: None means one, -1 all cores.
    random_state : int, RandomState or None, default=None
        Seed of the sampling.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the probabilities.
    n_features_in_ : int
        Number of features seen by `fit`.

    References
    ----------
    Chen & Guestrin 2016, "XGBoost: a scalable tree boosting system", doi 10.1145/2939672.2939785.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.models import XGBoostClassifier
    >>> X = np.random.RandomState(0).randn(60, 4)
    >>> y = np.where(X[:, 0] > 0, "happy", "sad")
    >>> float(XGBoostClassifier(n_estimators=20, colsample_bynode=1.0).fit(X, y).score(X, y)) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "max_depth": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "subsample": [Interval(Real, 0, 1, closed="right")],
        "colsample_bynode": [Interval(Real, 0, 1, closed="right")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_estimators: int = 150,
        *,
        max_depth: int = 3,
        learning_rate: float = 0.1,
        subsample: float = 0.7,
        colsample_bynode: float = 0.05,
        class_weight: Any = "balanced",
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.learning_rate = learning_rate
        self.subsample = subsample
        self.colsample_bynode = colsample_bynode
        self.class_weight = class_weight
        self.n_jobs = n_jobs
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike, sample_weight: npt.ArrayLike | None = None) -> Self:
        """
        Grow the trees.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.
        y : array-like of shape (n_clips,)
            Labels of any type.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips, beside those of the classes.

        Returns
        -------
        self
            The fitted classifier.
        """
        import xgboost

        X, y = validate_data(self, X, y, dtype=np.float32)
        check_classification_targets(y)
        self.classes_, target = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        weight = compute_sample_weight(self.class_weight, y)
        if sample_weight is not None:
            weight = weight * _check_sample_weight(sample_weight, X)
        if not weight.any():
            raise ValueError("The weights of all clips are zero; there is nothing to learn from.")
        n_threads = _threads(self.n_jobs)
        return self._boost(xgboost.QuantileDMatrix(X, label=target, weight=weight, max_bin=_MAX_BIN, nthread=n_threads))

    def fit_batches(self, batches: Callable[[], Iterator[Batch]], y: npt.NDArray[Any]) -> Self:
        """
        Grow the trees from features that come a few clips at a time; only their bins are kept, a byte a value.

        Parameters
        ----------
        batches : callable
            Gives, several times, the same sequence of pairs: which clips, and their features, float32.
        y : ndarray of shape (n_clips,)
            Labels of all clips.

        Returns
        -------
        self
            The fitted classifier.
        """
        import xgboost

        self.classes_, target = np.unique(y, return_inverse=True)
        weight = compute_sample_weight(self.class_weight, y)

        class Batches(xgboost.DataIter):
            def reset(self) -> None:
                self.left = batches()

            def next(self, input_data: Callable[..., object]) -> bool:
                for clips, rows in self.left:
                    input_data(data=rows, label=target[clips], weight=weight[clips])
                    return True
                return False

        data = xgboost.QuantileDMatrix(Batches(), max_bin=_MAX_BIN, nthread=_threads(self.n_jobs))
        self.n_features_in_ = data.num_col()
        return self._boost(data)

    def _boost(self, data: Any) -> Self:
        import xgboost

        options = {
            "objective": "multi:softprob",
            "num_class": len(self.classes_),
            "tree_method": "hist",
            "max_bin": _MAX_BIN,
            "max_depth": self.max_depth,
            "learning_rate": self.learning_rate,
            "subsample": self.subsample,
            "colsample_bynode": self.colsample_bynode,
            "nthread": _threads(self.n_jobs),
            "seed": check_random_state(self.random_state).randint(2**31 - 1),
            "verbosity": 0,
        }
        self._booster = xgboost.train(options, data, num_boost_round=self.n_estimators)
        return self

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """
        Estimate the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.

        Returns
        -------
        ndarray of shape (n_clips, n_classes), float32
            Probabilities, columns in the order of `classes_`.
        """
        import xgboost

        check_is_fitted(self)
        X = check_rows(self, X, (np.float32,))
        data = xgboost.DMatrix(X, nthread=_threads(self.n_jobs))
        probabilities: npt.NDArray[np.float32] = self._booster.predict(data)
        return probabilities

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if "_booster" in state:
            state["_booster"] = np.frombuffer(state["_booster"].save_raw("ubj"), dtype=np.uint8)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_booster" in state:
            import xgboost

            # The bytes do not tell the number of threads, and without one xgboost takes every core.
            n_threads = min(_threads(state["n_jobs"]), os.cpu_count() or 1)  # a file may say what it will
            booster = xgboost.Booster({"nthread": n_threads})
            booster.load_model(bytearray(state["_booster"].tobytes()))
            state = state | {"_booster": booster}
        super().__setstate__(state)


def _threads(n_jobs: int | None) -> int:
    """Count as joblib does for threads of this machine: a backend of many machines has other numbers."""
    with parallel_config(backend="threading"):
        return effective_n_jobs(n_jobs)
