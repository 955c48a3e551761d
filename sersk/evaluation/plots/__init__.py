"""Figures of a training or an evaluation -> pictures."""

from .history import plot_history

__all__ = ["plot_history"]
