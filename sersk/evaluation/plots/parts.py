"""Figures by speaker or gender -> dots beside the overall figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .style import DARK, LIGHT, fit_name, need_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sersk.evaluation.report import EvaluationReport

# Names that have room down a page, and inches for each.
_MOST_NAMES = 45
_ROW = 0.19


def plot_by(report: EvaluationReport, column: str = "speaker") -> Figure:
    """
    Draw the UAR of each speaker, or of each value of another column, from the worst to the best.

    Parameters
    ----------
    report : EvaluationReport
        What `sersk.evaluate` gives.
    column : str, default="speaker"
        As in `EvaluationReport.by`.

    Returns
    -------
    matplotlib.figure.Figure
        A dot for each, the best on top, with the number of clips behind the name; of many, only some are named. The
        overall UAR is a line, its 95 % interval a band.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If nothing is known of the column.

    Examples
    --------
    >>> import pandas as pd
    >>> from sersk import EvaluationReport
    >>> from sersk.evaluation.plots import plot_by
    >>> table = pd.DataFrame({"speaker": ["a", "b"], "emotion": ["sad", "sad"], "predicted": ["happy", "sad"]})
    >>> figure = plot_by(EvaluationReport("loso", "", True, ["happy", "sad"], table))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['a (1)', 'b (1)']
    """
    table = report.by(column).sort_values("uar", kind="stable")
    n_rows = len(table)
    low, high = report.intervals()["uar"]
    figure = need_figure()(figsize=(5.6, 1.3 + _ROW * min(max(n_rows, 3), _MOST_NAMES)), layout="constrained")
    axes = figure.subplots()
    rows = range(n_rows)
    crowded = n_rows > _MOST_NAMES
    axes.hlines(rows, 0, table["uar"], color="0.8", linewidth=min(1, _MOST_NAMES / n_rows))
    if not math.isnan(low):
        axes.axvspan(low, high, color="0.88", label="95 % interval")
    axes.axvline(report.uar, color=LIGHT, linestyle="--", label=f"all clips: {report.uar:.3f}")
    axes.plot(table["uar"], rows, "o", color=DARK, markersize=3 if crowded else 5)
    named = range(0, n_rows, math.ceil(n_rows / _MOST_NAMES))
    names = [f"{fit_name(table.index[row], 24)} ({table['clips'].iloc[row]})" for row in named]
    axes.set_yticks(named, names, size=8)
    axes.set(xlabel=f"UAR of each {column}", xlim=(0, 1.02), ylim=(-0.8, n_rows - 0.2))
    tidy(axes)
    axes.grid(visible=False, axis="y")
    figure.legend(frameon=False, loc="outside upper center", ncols=2)
    return figure
