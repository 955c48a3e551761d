"""Name -> classifier and its grid: SVM, MLP, XGBoost, LDA, logistic regression, forest, and their ensemble."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from .boosting import XGBoostClassifier
from .calibration import SpeakerCalibratedClassifier
from .discriminant import ShrinkageLDA

Grid = dict[str, list[Any]]


# Strengths of regularisation go with 1 / n_features, as SVC's own gamma="scale" does, so that one choice serves short
# and long vectors. Those of SVM, LDA and logistic regression were chosen on inner speaker folds of RAVDESS and EmoDB
# (benchmarks/choose_defaults.py), the perceptron's on those of RAVDESS; XGBoost and the forest were not searched.
def _svm(n_features: int, random_state: Any) -> tuple[Any, Grid]:
    gamma = 0.3 / n_features
    return SVC(C=3.0, gamma=gamma, class_weight="balanced"), {
        "C": [1.0, 3.0, 10.0],
        "gamma": [gamma / 3, gamma, gamma * 3],
    }


def _mlp(n_features: int, random_state: Any) -> tuple[Any, Grid]:
    model = MLPClassifier((128,), alpha=3.0, tol=1e-2, n_iter_no_change=5, max_iter=500, random_state=random_state)
    return model, {"alpha": [0.3, 3.0, 10.0], "hidden_layer_sizes": [(128,), (256,), (128, 64)]}


def _xgboost(n_features: int, random_state: Any) -> tuple[Any, Grid]:
    return XGBoostClassifier(random_state=random_state), {"max_depth": [2, 3, 4], "learning_rate": [0.05, 0.1]}


def _lda(n_features: int, random_state: Any) -> tuple[Any, Grid]:
    return ShrinkageLDA(0.7), {"shrinkage": [0.5, 0.7, 0.85]}


def _logistic(n_features: int, random_state: Any) -> tuple[Any, Grid]:
    C = 5.0 / n_features
    return LogisticRegression(C=C, class_weight="balanced", tol=1e-2, max_iter=1000), {"C": [C / 5, C, C * 5]}


def _forest(n_features: int, random_state: Any) -> tuple[Any, Grid]:
    model = ExtraTreesClassifier(300, class_weight="balanced", max_features="sqrt", random_state=random_state)
    return model, {"max_features": ["sqrt", 0.1], "min_samples_leaf": [1, 3]}


BASELINES: dict[str, Callable[[int, Any], tuple[Any, Grid]]] = {
    "svm": _svm,
    "mlp": _mlp,
    "xgboost": _xgboost,
    "lda": _lda,
    "logistic": _logistic,
    "forest": _forest,
}
_VOTERS = ("svm", "mlp", "xgboost", "lda")
CLASSICAL_NAMES = (*BASELINES, "ensemble")


def classifier(name: str, n_features: int, random_state: Any = None) -> tuple[Any, Grid]:
    """
    Make a classifier with probabilities that hold for new speakers, and the grid to search for it.

    Parameters
    ----------
    name : {"svm", "mlp", "xgboost", "lda", "logistic", "forest", "ensemble"}
        Which one; the ensemble is a soft vote of SVM, MLP, XGBoost and LDA, each with calibrated probabilities.
    n_features : int
        Length of the vectors, which regularisation goes with.
    random_state : int, RandomState or None, default=None
        Seed of those that draw random numbers.

    Returns
    -------
    classifier : SpeakerCalibratedClassifier or VotingClassifier
        Not fitted.
    grid : dict of str to list
        Values to try, by the classifier's parameter names.
    """
    if name == "ensemble":
        voters = [(voter, classifier(voter, n_features, random_state)[0]) for voter in _VOTERS]
        return VotingClassifier(voters, voting="soft"), {"weights": [None, [1, 1, 1, 2], [2, 1, 1, 2]]}
    model, grid = BASELINES[name](n_features, random_state)
    weights = "balanced" if isinstance(model, MLPClassifier) else None  # it has no class weights of its own
    return SpeakerCalibratedClassifier(model, class_weight=weights), {
        f"estimator__{key}": values for key, values in grid.items()
    }
