"""Clip -> picture of its waveform, spectrogram, MFCC, chroma and F0."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from .audio import load_audio, source_name
from .clip_values import ClipFrames
from .clips import clip_source
from .descriptors import describe
from .evaluation.plots.style import DARK, need_figure, put_title, tidy
from .extraction import clip_faults
from .filterbanks import Array, FrameSettings, hz_to_mel
from .pitch import F0_MAX, F0_MIN

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Its lightness only rises, and evenly: the picture says the same in grey.
COLOURS = "magma"
_LOWEST_SR = 2000
_WIDTH = 9.0  # inches
_MOST_POINTS = 4000  # that a line as wide as the picture can show
_MOST_LINED = 1000  # frames that a line joins; of more it would be a blot
_DB_RANGE, _DB_FLOOR = 80.0, -100.0  # of `power_to_db`
_FREQUENCIES = (16000, 8000, 4000, 2000, 1000, 500, 250)
_LABEL = 0.13  # share of the spectrogram's height that a label needs
_F0_TICKS = (75, 100, 150, 200, 300, 400)
_PITCH_CLASSES = ("C", "D", "E", "F♯", "G♯", "A♯")  # every second one, for which there is room


@dataclass(frozen=True)
class _Clip:
    """A clip with the descriptors that its panels show, (n_frames, n_descriptors) each."""

    waveform: Array
    frames: dict[str, Array]
    settings: FrameSettings

    @property
    def step(self) -> float:
        return self.settings.hop_length / self.settings.sr

    @property
    def duration(self) -> float:
        return len(self.waveform) / self.settings.sr

    def image(self, axes: Any, values: Array, low: float, high: float, bottom: float, top: float) -> Any:
        """Draw (n_frames, n_rows) values; a frame is centred on its time, and the last one goes on to the end."""
        first, last = -0.5 * self.step, (len(values) + 0.5) * self.step
        return axes.imshow(
            np.concatenate([values, values[-1:]]).T,
            origin="lower",
            aspect="auto",
            cmap=COLOURS,
            vmin=low,
            vmax=high,
            extent=(first, last, bottom, top),
        )


def _measure(clip: Any, families: Sequence[str], sr: int) -> _Clip:
    waveform = load_audio(clip_source(clip, sr), sr)
    half, hop = round(0.032 * sr), round(0.016 * sr)
    settings = FrameSettings(sr=sr, n_fft=2 * half, hop_length=hop)
    with clip_faults(source_name(clip)):
        return _Clip(waveform, describe(waveform, list(dict.fromkeys(families)), settings), settings)


def _draw_waveform(axes: Any, clip: _Clip) -> None:
    y, sr = clip.waveform, clip.settings.sr
    if len(y) <= _MOST_POINTS:
        marker = "." if len(y) < 50 else ""  # a single sample makes no line
        axes.plot(np.arange(len(y)) / sr, y, color=DARK, linewidth=0.8, marker=marker, clip_on=False)
    else:  # the highest and the lowest sample of each stretch: no peak is lost
        starts = np.linspace(0, len(y), _MOST_POINTS // 2, endpoint=False).astype(int)
        low, high = np.minimum.reduceat(y, starts), np.maximum.reduceat(y, starts)
        axes.fill_between(starts / sr, low, high, color=DARK, linewidth=0.6)
    peak = float(np.abs(y).max())
    reach = 1.05 * peak if peak > 0 else 1.0
    axes.set(ylabel="Amplitude", ylim=(-reach, reach))
    tidy(axes)


def _draw_spectrogram(axes: Any, clip: _Clip) -> Any:
    log_mel, settings = clip.frames["log_mel"], clip.settings
    top = float(hz_to_mel(settings.sr / 2))
    band = top / (settings.n_mels + 1)  # from the centre of one to that of the next
    low = max(float(log_mel.max()) - _DB_RANGE, _DB_FLOOR)  # silence is dark
    image = clip.image(axes, log_mel, low, low + _DB_RANGE, band / 2, top - band / 2)
    shown: list[int] = []
    for hz in _FREQUENCIES:
        above = hz_to_mel(shown[-1]) if shown else (1 + _LABEL) * top
        if above - hz_to_mel(hz) >= _LABEL * top:
            shown.append(hz)
    axes.set_yticks(hz_to_mel(shown), [f"{hz:,}" for hz in shown])
    axes.set(ylabel="Frequency (Hz)", ylim=(band / 2, top - band / 2))
    return image


def _draw_mfcc(axes: Any, clip: _Clip) -> Any:
    mfcc = clip.frames["mfcc"]
    spread = mfcc.std(axis=0)
    standard = (mfcc - mfcc.mean(axis=0)) / np.where(spread > 1e-3, spread, 1.0)
    n_mfcc = mfcc.shape[1]
    image = clip.image(axes, standard, -3, 3, 0.5, n_mfcc + 0.5)
    axes.set_yticks([1, *range(5, n_mfcc + 1, 5)])
    axes.set_ylabel("Coefficient")
    return image


def _draw_chroma(axes: Any, clip: _Clip) -> Any:
    chroma = clip.frames["chroma"]
    image = clip.image(axes, chroma, 0, 1, -0.5, chroma.shape[1] - 0.5)
    axes.set_yticks(range(0, chroma.shape[1], 2), _PITCH_CLASSES)
    axes.set_ylabel("Pitch class")
    return image


def _draw_f0(axes: Any, clip: _Clip) -> None:
    from matplotlib.ticker import NullLocator

    frames = {family: clip.frames[family].T for family in ("log_rms", "voicing")}
    voiced = ClipFrames(frames, clip.step, clip.duration).voiced
    f0 = np.where(voiced, clip.frames["f0"][:, 0], np.nan)
    line = {"linewidth": 1.2, "markersize": 3} if len(f0) < _MOST_LINED else {"linestyle": "", "markersize": 1}
    axes.plot(np.arange(len(f0)) * clip.step, f0, color=DARK, marker=".", **line)
    if not voiced.any():
        axes.text(0.5, 0.5, "no voiced frame", transform=axes.transAxes, ha="center", va="center", color="0.35")
    axes.set_yscale("log")
    axes.set_yticks(_F0_TICKS, [str(hz) for hz in _F0_TICKS])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set(ylabel="F0 (Hz)", ylim=(F0_MIN, F0_MAX))
    tidy(axes)


@dataclass(frozen=True)
class _Panel:
    title: str
    height: float  # inches
    families: tuple[str, ...]
    draw: Callable[[Any, _Clip], Any]
    unit: str = ""


_PANELS = {
    "waveform": _Panel("Waveform", 1.2, (), _draw_waveform),
    "spectrogram": _Panel("Spectrogram, 64 mel bands", 1.9, ("log_mel",), _draw_spectrogram, "dB"),
    "mfcc": _Panel("MFCC, each standardised over the clip", 1.6, ("mfcc",), _draw_mfcc, "standard deviations"),
    "chroma": _Panel("Chroma, relative to each frame's strongest", 1.6, ("chroma",), _draw_chroma),
    "f0": _Panel("F0, voiced frames", 1.5, ("f0", "voicing", "log_rms"), _draw_f0),
}
PANELS = tuple(_PANELS)


def plot_clip(clip: Any, *, panels: Sequence[str] = PANELS, sr: int = 16000, title: str | None = None) -> Figure:
    """
    Draw what a clip holds, over time.

    Frames are 64 ms long, 16 ms apart, and have 64 mel bands; all panels come from one spectrogram. The numbers are
    those of `AcousticFeatures` with such frames.

    Parameters
    ----------
    clip : clip
        Path, file object, (waveform, sr) pair, or waveform at `sr`.
    panels : sequence of str, default=all of them
        What is drawn, from top to bottom, out of "waveform", "spectrogram", "mfcc", "chroma" and "f0". The spectrogram
        is in mel bands, decibels relative to 1. Each MFCC is in standard deviations from its mean over the clip, since
        the first, which is level, would hide the others. F0 is drawn where the clip is voiced.
    sr : int, default=16000
        Sampling rate in Hz that the clip is brought to; frequencies up to half of it are seen.
    title : str, default=None
        What is written above.

    Returns
    -------
    matplotlib.figure.Figure
        A figure of its own, without any window: ``figure.savefig("clip.png")``.

    Raises
    ------
    AudioError
        If the clip cannot be read.
    ImportError
        If matplotlib is not installed.
    ValueError
        If a panel is unknown, or `sr` is no whole number of 2000 Hz or more.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.clip_plots import plot_clip
    >>> tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
    >>> figure = plot_clip(tone, panels=("waveform", "f0"))
    >>> [axes.get_title(loc="left") for axes in figure.axes]
    ['Waveform', 'F0, voiced frames']
    """
    if not panels or (unknown := [name for name in panels if name not in PANELS]):
        wrong = ", ".join(map(repr, unknown)) if panels else "nothing"
        raise ValueError(f"panels: expected some of {', '.join(PANELS)}; got {wrong}.")
    if not isinstance(sr, Integral) or sr < _LOWEST_SR:
        raise ValueError(f"sr: expected a whole number of {_LOWEST_SR} Hz or more, got {sr!r}.")
    figure_class = need_figure()
    measured = _measure(clip, [family for name in panels for family in _PANELS[name].families], int(sr))
    heights = [_PANELS[name].height for name in panels]
    figure = figure_class(figsize=(_WIDTH, sum(heights) + 0.7), layout="constrained")
    grid = figure.add_gridspec(len(panels), 2, width_ratios=(70, 1), height_ratios=heights)
    top: Any = None
    for row, name in enumerate(panels):
        axes = figure.add_subplot(grid[row, 0], sharex=top)
        top = top or axes
        axes.set_title(_PANELS[name].title, loc="left", fontsize=10)
        image = _PANELS[name].draw(axes, measured)
        if image is not None:
            figure.colorbar(image, cax=figure.add_subplot(grid[row, 1]), label=_PANELS[name].unit)
        axes.tick_params(labelbottom=row == len(panels) - 1)
    axes.set_xlabel("Time (s)")
    axes.set_xlim(0, measured.duration)
    put_title(figure, title)
    return figure
