"""Audio, windows -> pictures as PNG; runs in a worker."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sersk.audio import Waveform, stream_audio
from sersk.clip_plots import plot_clip
from sersk.prediction import tabulate_windows
from sersk.timeline_plots import plot_timeline

if TYPE_CHECKING:
    from sersk.timeline import WindowEmotion

_DPI = 110
_TRACED, _TRACE_SR = 16, 2000


def draw_clip(audio: bytes, panels: Sequence[str]) -> bytes:
    """
    Draw what `sersk.clip_plots.plot_clip` shows.

    Parameters
    ----------
    audio : bytes
        A sound file.
    panels : sequence of str
        What is drawn.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    return _as_png(plot_clip(io.BytesIO(audio), panels=panels))


def draw_timeline(model: Any, audio: bytes, windows: Sequence[WindowEmotion]) -> tuple[bytes, bytes]:
    """
    Draw the waveform of a recording, and its emotion over time, to be placed below it.

    Parameters
    ----------
    model : estimator
        Which named the emotions.
    audio : bytes
        A sound file.
    windows : sequence of WindowEmotion
        Of this recording, one at least.

    Returns
    -------
    tuple of (bytes, bytes)
        Waveform and timeline, PNG of the same width; a moment is in the same place on both.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    above = plot_clip(trace_waveform(audio), panels=("waveform",), sr=_TRACE_SR)
    below = plot_timeline(tabulate_windows(model, [""], [windows], [None]))
    places = []
    for figure in (above, below):
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        places.append(figure.axes[0].get_position())
    first, last = max(place.x0 for place in places), min(place.x1 for place in places)
    for figure, place in zip((above, below), places, strict=True):
        figure.axes[0].set_position((first, place.y0, last - first, place.height))
    return _as_png(above), _as_png(below)


def trace_waveform(audio: bytes) -> Waveform:
    """
    Keep of a recording what its picture shows, without ever holding all of it, which may decode to gigabytes.

    Parameters
    ----------
    audio : bytes
        A sound file.

    Returns
    -------
    ndarray of shape (n_values,), float32
        The lowest and the highest of each 16 samples at 16 kHz, which make 2000 values a second.

    Raises
    ------
    AudioError
        If it cannot be read.
    """
    left = np.zeros(0, dtype=np.float32)
    parts = []
    for piece in stream_audio(io.BytesIO(audio), 16000):
        left = np.concatenate([left, piece])
        n_whole = len(left) // _TRACED * _TRACED
        parts.append(_extremes(left[:n_whole].reshape(-1, _TRACED)))
        left = left[n_whole:]
    if len(left):
        parts.append(_extremes(left[np.newaxis]))
    return np.concatenate(parts)


def _extremes(rows: Waveform) -> Waveform:
    return np.stack([rows.min(axis=1), rows.max(axis=1)], axis=1).ravel()


def _as_png(figure: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI)
    return file.getvalue()
