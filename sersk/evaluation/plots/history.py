"""History of a training -> curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .style import DARK, LIGHT, need_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LINES: dict[str, dict[str, Any]] = {
    "": {"label": "training", "color": DARK, "linestyle": "-"},
    "val_": {"label": "validation", "color": LIGHT, "linestyle": "--"},
}
_PANELS = {"loss": "Loss", "accuracy": "Accuracy"}


def plot_history(
    history: Mapping[str, Sequence[float]], title: str | None = None, *, best_epoch: int | None = None
) -> Figure:
    """
    Draw how loss and accuracy went while a network was trained.

    Parameters
    ----------
    history : mapping of str to sequence of float
        One value an epoch: ``loss``, and as known ``val_loss``, ``accuracy`` and ``val_accuracy``, such as ``history_``
        of a `KerasSequenceClassifier`. Other entries are left out.
    title : str, default=None
        What is written above.
    best_epoch : int, default=None
        Epoch whose weights were kept, counted from 0 as ``best_epoch_`` is; None marks none.

    Returns
    -------
    matplotlib.figure.Figure
        A figure of its own, without any window: ``figure.savefig("curves.png")``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no epoch to draw, the entries tell of different numbers of epochs, or the best one is none of them.

    Examples
    --------
    >>> from sersk.evaluation.plots import plot_history
    >>> history = {"loss": [1.3, 0.9, 0.7], "val_loss": [1.4, 1.1, 1.2]}
    >>> figure = plot_history(history, "lstm", best_epoch=1)
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['Loss']
    """
    n_epochs = _count_epochs(history)
    if best_epoch is not None and not 0 <= best_epoch < n_epochs:
        raise ValueError(f"best_epoch={best_epoch}: expected one of the epochs 0 to {n_epochs - 1}, or None.")
    figure_class = need_figure()
    from matplotlib.ticker import MaxNLocator

    panels = {name: label for name, label in _PANELS.items() if name in history}
    figure = figure_class(figsize=(4.5 * len(panels), 3.6), layout="constrained")
    epochs = range(1, n_epochs + 1)
    for axes, (name, label) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for prefix, style in _LINES.items():
            if prefix + name in history:
                # A line of one epoch would not be seen.
                axes.plot(epochs, history[prefix + name], marker="o" if n_epochs == 1 else "", **style)
        if best_epoch is not None:
            kept = best_epoch + 1  # people count from 1
            axes.axvline(kept, color="0.45", linewidth=1, linestyle=":", label=f"kept: epoch {kept}")
        axes.set(xlabel="Epoch", ylabel=label, xlim=(min(1, n_epochs - 1), max(n_epochs, 2)))
        axes.update_datalim([(1, 0)])  # from 0 on, and some room above the highest value
        axes.autoscale_view(scalex=False)
        axes.set_ylim(bottom=0, top=1.02 if name == "accuracy" else None)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        tidy(axes)
    figure.axes[0].legend(frameon=False)
    if title is not None:
        figure.suptitle(title)
    return figure


def _count_epochs(history: Mapping[str, Sequence[float]]) -> int:
    drawn = [prefix + name for name in _PANELS for prefix in _LINES if prefix + name in history]
    counts = {name: len(history[name]) for name in drawn}
    if not counts.get("loss"):
        raise ValueError(f"history: expected a value of 'loss' for each epoch, got {', '.join(history) or 'nothing'}.")
    if len(set(counts.values())) > 1:
        raise ValueError(f"history: expected as many values for each epoch, got {counts}.")
    return counts["loss"]
