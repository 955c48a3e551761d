"""Table of windows -> picture of emotion over time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .evaluation.plots.style import DARK, LIGHT, fit_name, need_figure, put_title
from .segments import FloatArray, merge_windows, part_time
from .timeline import WindowEmotion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH = 9.0  # inches
_ROW = 0.3  # inches an emotion
_MOST_COLUMNS = 900  # that such a width can show apart
_NO_SPEECH = "0.82"
_LONG = 120.0  # seconds; beyond, times are written as on a clock
_STEPS = (15, 30, 60, 120, 300, 600, 900, 1800, 3600)  # seconds
_MOST_TICKS = 10


def plot_timeline(table: pd.DataFrame, title: str | None = None) -> Figure:
    """
    Draw the emotion of a recording over time.

    Each emotion has a row; the darker, the more probable, and a line marks the one that is named. Where there is too
    little speech the picture is grey. Of a long recording neighbouring windows are averaged into one column.

    Parameters
    ----------
    table : DataFrame of shape (n_windows, n_columns)
        What `predict_emotions` gives with `window`, for one recording.
    title : str, default=None
        What is written above.

    Returns
    -------
    matplotlib.figure.Figure
        A figure of its own, without any window.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If there is no window to draw, or there are several recordings.

    Examples
    --------
    >>> import pandas as pd
    >>> from sersk.timeline_plots import plot_timeline
    >>> times = {"file": "call.wav", "start": [0.0, 1.0], "end": [3.0, 4.0], "speech": 1.0, "emotion": ["sad", "calm"]}
    >>> chances = {"probability": [0.7, 0.6], "calm": [0.3, 0.6], "sad": [0.7, 0.4], "reason": None, "error": None}
    >>> figure = plot_timeline(pd.DataFrame(times | chances))
    >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
    ['calm', 'sad']
    """
    figure_class = need_figure()
    # By position, since an emotion may have the name of another column.
    table = table[table.iloc[:, 1].notna()]
    if table.iloc[:, 0].nunique() != 1:
        raise ValueError(f"Expected the windows of one recording, got those of {table.iloc[:, 0].nunique()}.")
    chances = table.iloc[:, 6:-2]  # none for a model that gives none
    named = table.iloc[:, 4].astype(object)
    emotions = list(chances.columns) or sorted(named.dropna().unique(), key=str)
    firsts, lasts = part_time(table.iloc[:, 1], table.iloc[:, 2])
    figure = figure_class(figsize=(_WIDTH, _ROW * max(len(emotions), 3) + 1.2), layout="constrained")
    axes = figure.subplots()
    axes.set_facecolor(_NO_SPEECH)
    if len(chances.columns):
        _draw_chances(figure, axes, chances.to_numpy(dtype=float), firsts, lasts)
    else:
        for first, last in zip(firsts[named.notna()], lasts[named.notna()], strict=True):
            axes.axvspan(first, last, color="white", linewidth=0)
    rows = zip(table.iloc[:, 1], table.iloc[:, 2], table.iloc[:, 3], named.where(named.notna(), None), strict=True)
    segments = merge_windows([WindowEmotion(*row) for row in rows])
    places = [emotions.index(segment.emotion) for segment in segments]
    axes.hlines(places, [one.start for one in segments], [one.end for one in segments], color=LIGHT, linewidth=3.5)
    axes.set_yticks(range(len(emotions)), [fit_name(emotion) for emotion in emotions])
    axes.set(xlim=(firsts[0], lasts[-1]), ylim=(max(len(emotions), 1) - 0.5, -0.5))
    _name_times(axes, lasts[-1])
    axes.set_title(
        "Emotion: darker is more probable, the line is the one named, grey is no speech", loc="left", fontsize=9
    )
    put_title(figure, title)
    return figure


def _draw_chances(figure: Figure, axes: Any, chances: FloatArray, firsts: FloatArray, lasts: FloatArray) -> None:
    """Draw (n_windows, n_classes) probabilities; NaN leaves the paper as it is."""
    from matplotlib.colors import LinearSegmentedColormap

    starts = np.arange(0, len(chances), -(-len(chances) // _MOST_COLUMNS))
    spoken = np.isfinite(chances[:, :1])
    sums = np.add.reduceat(np.where(spoken, chances, 0.0), starts)
    counts = np.add.reduceat(spoken.astype(float), starts)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    # Between two columns another one for the gap, which mostly has no width.
    edges = np.stack([firsts[starts], lasts[np.append(starts[1:], len(chances)) - 1]], axis=1).ravel()
    columns = np.full((2 * len(starts) - 1, chances.shape[1]), np.nan)
    columns[::2] = means
    shades = LinearSegmentedColormap.from_list("shades", ["white", DARK])
    rows = np.arange(chances.shape[1] + 1) - 0.5
    mesh = axes.pcolormesh(edges, rows, columns.T, cmap=shades, vmin=0, vmax=1, rasterized=True)
    figure.colorbar(mesh, ax=axes, label="Probability", pad=0.01)


def _name_times(axes: Any, duration: float) -> None:
    """Write seconds, or minutes and hours of what is long."""
    from matplotlib.ticker import FuncFormatter, MultipleLocator

    if duration < _LONG:
        axes.set_xlabel("Time (s)")
        return
    step = next(
        (step for step in _STEPS if duration / step <= _MOST_TICKS),
        _STEPS[-1] * math.ceil(duration / _STEPS[-1] / _MOST_TICKS),
    )
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(round(seconds))))
    axes.set_xlabel("Time (min:s)" if duration < 3600 else "Time (h:min:s)")


def _clock(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
