"""Frames -> vector: statistics of descriptors over a clip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from .filterbanks import Array

Indices = npt.NDArray[np.intp]

FUNCTIONALS = ("mean", "std", "min", "max", "range", "iqr", "skewness", "kurtosis", "slope")
# Those that are no ranks, and the ranks, in percent, of those with a name; two of them stand for their difference.
_MOMENTS = ("mean", "std", "skewness", "kurtosis", "slope")
_RANGES = {"min": (0,), "max": (100,), "range": (0, 100), "iqr": (25, 75)}
_PERCENTILE = re.compile(r"p[1-9][0-9]?")
# Regression over librosa's default of 9 frames.
DELTA_REACH = 4
_DELTA_WEIGHTS = np.arange(-DELTA_REACH, DELTA_REACH + 1) / 60


def is_functional(name: str) -> bool:
    """
    Tell whether a name is one of ``FUNCTIONALS`` or a percentile from p1 to p99.

    Parameters
    ----------
    name : str
        For instance ``"mean"`` or ``"p95"``.

    Returns
    -------
    bool
        True if `summarize` knows it.
    """
    return name in FUNCTIONALS or _PERCENTILE.fullmatch(name) is not None


def summarize(series: Array, functionals: Sequence[str], seconds_per_frame: float = 1.0) -> Array:
    """
    Compute statistics of every descriptor over its frames.

    All of them are defined and finite for one frame and for constant frames: spread, skewness, kurtosis and slope are 0
    there. Percentiles interpolate linearly (numpy's default), skewness and kurtosis are the biased moments of scipy,
    kurtosis is in excess of the normal distribution's 3.

    Parameters
    ----------
    series : ndarray of shape (n_descriptors, n_frames)
        One descriptor a row; without any frame, all statistics are 0.
    functionals : sequence of str
        Names out of ``FUNCTIONALS``, or ``"p1"`` to ``"p99"``.
    seconds_per_frame : float, default=1.0
        Step between frames, which makes the slope a change per second.

    Returns
    -------
    ndarray of shape (n_descriptors, n_functionals), float32
        The statistics in the order asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.functionals import summarize
    >>> summarize(np.array([[1, 2, 3, 4]], dtype=np.float32), ["mean", "p50", "range", "slope"])
    array([[2.5, 2.5, 3. , 1. ]], dtype=float32)
    """
    n_frames = series.shape[1]
    out = np.zeros((len(series), len(functionals)), dtype=np.float32)
    if n_frames == 0:
        return out
    mean = series.sum(axis=1, dtype=np.float64) / n_frames
    centred = series - mean.astype(np.float32)[:, None]
    variance = np.einsum("ij,ij->i", centred, centred) / n_frames
    # Below rounding a constant is constant: its spread is no spread, and must not be divided by.
    varies = variance > (1e-6 * np.abs(mean) + 1e-12) ** 2
    std = np.sqrt(variance * varies)
    ranked = _percentiles(series, _percents(tuple(functionals)))

    def moment(power: int) -> npt.NDArray[np.float64]:
        # Of standardised values: those of a very weak or loud mel band leave single precision in the 4th power.
        standard = centred / np.where(varies, std, 1.0).astype(np.float32)[:, None]
        square = standard * standard
        return np.einsum("ij,ij->i", square, standard if power == 3 else square) / n_frames * varies

    for column, name in enumerate(functionals):
        if name == "mean":
            out[:, column] = mean
        elif name == "std":
            out[:, column] = std
        elif name == "skewness":
            out[:, column] = moment(3)
        elif name == "kurtosis":
            out[:, column] = moment(4) - 3.0 * varies
        elif name == "slope":
            time = np.arange(n_frames, dtype=np.float32) - np.float32((n_frames - 1) / 2)
            time *= np.float32(seconds_per_frame)
            out[:, column] = (centred @ time) / max(float(time @ time), 1e-12) * varies
        else:
            some = [next(ranked) for _ in _RANGES.get(name, (name,))]
            out[:, column] = some[-1] - some[0] if len(some) > 1 else some[0]
    return out


@lru_cache(maxsize=64)
def _percents(functionals: tuple[str, ...]) -> tuple[int, ...]:
    """List the ranks, in percent, that functionals are made from."""
    ranks = (_RANGES[name] if name in _RANGES else (int(name[1:]),) for name in functionals if name not in _MOMENTS)
    return tuple(percent for some in ranks for percent in some)


@lru_cache(maxsize=1024)
def _positions(percents: tuple[int, ...], n_frames: int) -> tuple[Indices, Indices, Array]:
    """Tell between which of ordered values percentiles lie, and how far behind the first of both."""
    position = np.array(percents) / 100 * (n_frames - 1)
    low = position.astype(np.intp)
    return low, np.minimum(low + 1, n_frames - 1), (position - low).astype(np.float32)


def _percentiles(series: Array, percents: tuple[int, ...]) -> Iterator[Array]:
    """Interpolate linearly between the two nearest of the ordered values of each row; one sort serves all."""
    if not percents:
        return iter(())
    ordered = np.sort(series, axis=1)
    low, high, share = _positions(percents, ordered.shape[1])
    values = ordered.take(low, axis=1)
    above = ordered.take(high, axis=1)
    above -= values
    above *= share
    values += above
    return iter(values.T)


def delta(series: Array) -> Array:
    """
    Estimate the local slope of every descriptor by regression over 9 frames.

    The numbers of ``librosa.feature.delta(series, mode="nearest")``, but for any number of frames. The second delta is
    the delta of the delta.

    Parameters
    ----------
    series : ndarray of shape (n_descriptors, n_frames)
        One descriptor a row.

    Returns
    -------
    ndarray of the same shape, float32
        Change per frame.
    """
    return scipy.ndimage.correlate1d(series, _DELTA_WEIGHTS, axis=1, mode="nearest")
