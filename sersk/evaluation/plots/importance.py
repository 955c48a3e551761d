"""Importance of families of descriptors -> dots with their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .style import DARK, need_figure, put_title, tidy

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def plot_importance(table: pd.DataFrame, title: str | None = None) -> Figure:
    """
    Draw how much UAR is lost without each family, the most important first.

    Parameters
    ----------
    table : DataFrame
        What `sersk.evaluation.family_importance` gives.
    title : str, default=None
        What is written above.

    Returns
    -------
    matplotlib.figure.Figure
        A figure of its own, without any window. The bars are the limits over speakers; where there are none, twice the
        spread over the repeats.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no family in the table.

    Examples
    --------
    >>> import pandas as pd
    >>> from sersk.evaluation.plots import plot_importance
    >>> row = {"n_features": 40, "importance": 0.2, "std": 0.01, "low": 0.15, "high": 0.24, "permuted_uar": 0.3}
    >>> figure = plot_importance(pd.DataFrame([row], index=pd.Index(["mfcc"], name="family")))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['mfcc (40)']
    """
    if table.empty:
        raise ValueError("table: expected a row for each family, got none.")
    figure_class = need_figure()
    ordered = table.sort_values("importance", ascending=False, kind="stable")
    figure = figure_class(figsize=(6.4, 1.2 + 0.26 * len(ordered)), layout="constrained")
    axes = figure.add_subplot()
    drops, places = ordered["importance"].to_numpy(), np.arange(len(ordered))
    over_speakers = not ordered[["low", "high"]].isna().any(axis=None)
    if over_speakers:
        reach = np.stack([drops - ordered["low"], ordered["high"] - drops])
    else:
        reach = np.tile(2 * ordered["std"], (2, 1))
    axes.axvline(0, color="0.45", linewidth=1)
    axes.errorbar(
        drops, places, xerr=np.maximum(reach, 0), fmt="o", color=DARK, markersize=5, elinewidth=1.3, capsize=3
    )
    labels = [f"{family} ({n})" for family, n in ordered["n_features"].items()]
    axes.set_yticks(places, labels, parse_math=False)
    axes.invert_yaxis()
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    bars = "95 % limits over speakers" if over_speakers else "two standard deviations over the repeats"
    axes.set_xlabel(f"Drop in UAR when the family is permuted\n(bars: {bars})")
    axes.set_ylabel("Family (number of features)")
    tidy(axes)
    axes.grid(False, axis="y")
    put_title(figure, title)
    return figure
