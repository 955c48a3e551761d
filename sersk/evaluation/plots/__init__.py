"""Figures of a training or an evaluation -> pictures."""

from .confusion import plot_confusion
from .history import plot_history
from .importance import plot_importance
from .learning import plot_learning_curve
from .parts import plot_by
from .reliability import plot_reliability
from .robustness import plot_robustness

__all__ = [
    "plot_by",
    "plot_confusion",
    "plot_history",
    "plot_importance",
    "plot_learning_curve",
    "plot_reliability",
    "plot_robustness",
]
