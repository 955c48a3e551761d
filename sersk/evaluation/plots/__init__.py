"""Figures of a training or an evaluation -> pictures."""

from .history import plot_history
from .importance import plot_importance

__all__ = ["plot_history", "plot_importance"]
