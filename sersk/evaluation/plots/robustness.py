"""What is right under degradation -> a curve over the noise, and a point for each other condition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .style import DARK, LIGHT, need_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sersk.evaluation.robustness import RobustnessReport

_POINT = "UAR, 95 % interval over speakers"
_STYLE: dict[str, Any] = {"color": DARK, "marker": "o", "markersize": 5}


def plot_robustness(report: RobustnessReport, title: str | None = None) -> Figure:
    """
    Draw the UAR under every condition, with its interval, against that of clean clips and against chance.

    Parameters
    ----------
    report : RobustnessReport
        What `evaluate_robustness` gives.
    title : str, default=None
        What is written above.

    Returns
    -------
    matplotlib.figure.Figure
        A figure of its own, without any window: on the left the UAR by the ratio of signal and noise, on the right
        that of the other conditions; only one of them if there are no others.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If no condition but the clean one could be tested.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import emotion_pipeline, make_emotional_speech
    >>> from sersk.degradation import Condition
    >>> from sersk.evaluation import evaluate_robustness
    >>> from sersk.evaluation.plots import plot_robustness
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=3, n_repetitions=2)
    ...     model = emotion_pipeline("lda", features="mfcc-40")
    ...     report = evaluate_robustness(model, corpus, conditions=[Condition("noise", 20), Condition("noise", 0)])
    >>> [axes.get_xlabel() for axes in plot_robustness(report).axes]
    ['SNR of white noise (dB)']
    """
    figure_class = need_figure()
    table = report.table[report.table["n_clips"] > 0]
    noise = table[table["kind"] == "noise"].sort_values("level")
    others = table[~table["kind"].isin(["clean", "noise"])]
    panels = {draw: rows for draw, rows in ((_draw_noise, noise), (_draw_others, others)) if len(rows)}
    if not panels:
        raise ValueError("There is nothing to draw: no condition but the clean one could be tested.")
    height = max(3.8, 1.5 + 0.32 * len(others))
    figure = figure_class(figsize=(4.2 * bool(len(noise)) + 5.6 * bool(len(others)), height), layout="constrained")
    for axes, (draw, rows) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        draw(axes, rows)
        _draw_limits(axes, table.iloc[0], 1 / len(report.clean.labels), upright=draw is _draw_others)
        tidy(axes)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    if title is not None:
        figure.suptitle(title)
    return figure


def _draw_noise(axes: Any, rows: pd.DataFrame) -> None:
    levels = rows["level"].to_numpy()
    axes.plot(levels, rows["uar"], label=_POINT, **_STYLE, linestyle="-")
    axes.vlines(levels, rows["uar_low"], rows["uar_high"], color=DARK, linewidth=1)
    axes.set(xlabel="SNR of white noise (dB)", ylabel="UAR", ylim=(0, 1), xticks=levels)


def _draw_others(axes: Any, rows: pd.DataFrame) -> None:
    places = np.arange(len(rows))
    axes.plot(rows["uar"], places, label=_POINT, **_STYLE, linestyle="none")
    axes.hlines(places, rows["uar_low"], rows["uar_high"], color=DARK, linewidth=1)
    axes.set(xlabel="UAR", xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))  # from the top down, as in the table
    axes.set_yticks(places, rows["description"])


def _draw_limits(axes: Any, clean: pd.Series[Any], chance: float, *, upright: bool) -> None:
    """Draw what clean clips come to, with its interval, and what guessing comes to."""
    line, span = (axes.axvline, axes.axvspan) if upright else (axes.axhline, axes.axhspan)
    span(clean["uar_low"], clean["uar_high"], color=LIGHT, alpha=0.15, linewidth=0)
    line(clean["uar"], color=LIGHT, linestyle="--", label="clean clips, with their interval")
    line(chance, color="0.45", linewidth=1, linestyle=":", label="chance")
