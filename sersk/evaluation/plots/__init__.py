"""Figures of a training or an evaluation -> pictures."""

from .history import plot_history
from .importance import plot_importance
from .robustness import plot_robustness

__all__ = ["plot_history", "plot_importance", "plot_robustness"]
