"""Learning curve -> line with the spread of its draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .style import DARK, need_figure, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def plot_learning_curve(table: pd.DataFrame) -> Figure:
    """
    Draw what a model gets right after it has learned from fewer speakers.

    Parameters
    ----------
    table : DataFrame
        What `sersk.evaluation.learning_curve` gives.

    Returns
    -------
    matplotlib.figure.Figure
        UAR against the number of training speakers, with one standard deviation of the draws up and down.

    Raises
    ------
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import pandas as pd
    >>> from sersk.evaluation.plots import plot_learning_curve
    >>> table = pd.DataFrame({"speakers": [2.0, 9.0], "uar": [0.6, 0.8], "uar_std": [0.05, None]})
    >>> figure = plot_learning_curve(table)
    >>> figure.axes[0].lines[0].get_xydata().tolist()
    [[2.0, 0.6], [9.0, 0.8]]
    """
    figure_class = need_figure()
    from matplotlib.ticker import MaxNLocator

    figure = figure_class(figsize=(5.6, 3.8), layout="constrained")
    axes = figure.subplots()
    axes.errorbar(
        table["speakers"], table["uar"], yerr=table["uar_std"].astype(float), color=DARK, marker="o", capsize=4
    )
    for speakers, uar in zip(table["speakers"], table["uar"], strict=True):
        axes.annotate(f"{uar:.2f}", (speakers, uar), xytext=(7, -13), textcoords="offset points", size=8, color="black")
    axes.set(xlabel="Speakers learned from", ylabel="UAR on unseen speakers", ylim=(0, 1.02))
    axes.set_xlim(0, 1.1 * table["speakers"].max())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axes)
    return figure
