"""Confusion matrix -> squares as dark as what they stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .style import DARK, fit_name, ink_on, need_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sersk.evaluation.report import EvaluationReport

# Inches of a square, and of a letter of a name.
_CELL = 0.72
_LETTER = 0.09
# Characters that stand beside each other under the columns.
_MOST_ACROSS = 9


def plot_confusion(report: EvaluationReport) -> Figure:
    """
    Draw what is taken for what: shares of the true emotions, with the numbers of clips.

    Parameters
    ----------
    report : EvaluationReport
        What `sersk.evaluate` gives.

    Returns
    -------
    matplotlib.figure.Figure
        True emotions down, predicted ones across; the diagonal holds the recalls. A row of an emotion that was never
        tested is grey.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from sersk import EvaluationReport
    >>> from sersk.evaluation.plots import plot_confusion
    >>> table = pd.DataFrame({"emotion": ["sad", "happy"], "predicted": ["sad", "sad"]})
    >>> figure = plot_confusion(EvaluationReport("loso", "", True, ["happy", "sad"], table))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['happy', 'sad']
    """
    figure_class = need_figure()
    from matplotlib.colors import LinearSegmentedColormap

    counts = report.confusion.to_numpy()
    clips = counts.sum(axis=1, keepdims=True)
    shares = np.where(clips > 0, counts / np.maximum(clips, 1), np.nan)
    names = [fit_name(label) for label in report.labels]
    longest = max(map(len, names))
    upright = longest > _MOST_ACROSS
    squares, beside = _CELL * len(names) + 0.6, _LETTER * longest
    size = (squares + beside, squares + (beside if upright else 0.2))
    figure = figure_class(figsize=size, layout="constrained")
    axes = figure.subplots()
    colours = LinearSegmentedColormap.from_list("shares", ["white", DARK]).with_extremes(bad="0.85")
    axes.imshow(shares, cmap=colours, vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        ink = ink_on(colours(share))
        if np.isnan(share) or not counts[row, column]:
            text = "\N{EN DASH}" if np.isnan(share) else "0"
            axes.text(column, row, text, color=ink, size=7, ha="center", va="center")
            continue
        axes.text(column, row - 0.08, f"{share:.2f}", color=ink, size=10, ha="center", va="center")
        axes.text(column, row + 0.22, str(counts[row, column]), color=ink, size=7, ha="center", va="center")
    places = range(len(names))
    axes.set_xticks(places, names, size=9, rotation=90 if upright else 0)
    axes.set_yticks(places, names, size=9)
    axes.tick_params(length=0)
    axes.set(xlabel="Predicted emotion", ylabel="True emotion")
    axes.spines[:].set_color("0.6")
    return figure
