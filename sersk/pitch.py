"""Power spectrogram -> F0 and voicing: autocorrelation of all frames in one matrix product, no loop, no second FFT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .filterbanks import Array

Indices = npt.NDArray[np.intp]

F0_MIN, F0_MAX = 60.0, 500.0
# Frames between these lengths hold two periods of the lowest voice and one value of F0; others get frames of their own.
PITCH_SECONDS = (0.06, 0.1)
VOICED = 0.5
_BAND = 2500.0  # harmonics above are weak or noisy in speech
_LAG_RATE = 12000.0
_OCTAVE_COST = 0.02
_JUMP_COST = 0.12


@lru_cache(maxsize=8)
def _lags() -> Array:
    """Lags in seconds, from the shortest period to the longest, with one more at each end to find peaks."""
    first, last = int(_LAG_RATE / F0_MAX), int(np.ceil(_LAG_RATE / F0_MIN))
    return (np.arange(first - 1, last + 2) / _LAG_RATE).astype(np.float32)


@lru_cache(maxsize=1)
def _octaves() -> Array:
    """Lags in octaves above the shortest period."""
    return np.log2(_lags() * np.float32(F0_MAX))


@lru_cache(maxsize=8)
def _correlation_matrix(sr: int, n_fft: int) -> Array:
    """Return bins -> energy, then the autocorrelation at each lag, without the window's own taper."""
    frequencies = np.fft.rfftfreq(n_fft, 1.0 / sr)
    frequencies = frequencies[: np.searchsorted(frequencies, min(_BAND, sr / 2), side="right")]
    weight = np.ones(len(frequencies))
    weight[0] = 0.0
    edge = frequencies > 0.8 * _BAND  # a soft edge, so that no frequency rings
    weight[edge] = 0.5 + 0.5 * np.cos(np.pi * (frequencies[edge] - 0.8 * _BAND) / (0.2 * _BAND))
    lags = _lags().astype(float)
    matrix = weight[:, None] * np.cos(2 * np.pi * frequencies[:, None] * lags)
    u = lags * sr / n_fft  # autocorrelation of the Hann window at lag u, as a fraction of its length
    taper = (1 - u) * (2 / 3 + np.cos(2 * np.pi * u) / 3) + np.sin(2 * np.pi * u) / (2 * np.pi)
    return np.column_stack([weight, matrix / np.maximum(taper, 0.05)]).astype(np.float32)


def count_pitch_bins(sr: int, n_fft: int) -> int:
    """
    Count the bins of a power spectrum that periodicity is told from.

    Parameters
    ----------
    sr : int
        Sampling rate in Hz.
    n_fft : int
        Frame length in samples.

    Returns
    -------
    int
        Bins above have no part in it.
    """
    return len(_correlation_matrix(sr, n_fft))


def periodicity(power: Array, sr: int, n_fft: int) -> Array:
    """
    Correlate every frame with itself at the lags of F0, from its power spectrum.

    The autocorrelation is the cosine transform of the power spectrum; below 2.5 kHz and for these lags only it is one
    small matrix product. Divided by the window's own autocorrelation (Boersma 1993, "Accurate short-term analysis of
    the fundamental frequency"), a periodic frame peaks at 1 whatever its F0.

    Parameters
    ----------
    power : ndarray of shape (n_frames, n_bins)
        Power spectra of Hann-windowed frames; of all bins, or of as many as `count_pitch_bins` tells.
    sr : int
        Sampling rate in Hz.
    n_fft : int
        Frame length in samples.

    Returns
    -------
    ndarray of shape (n_frames, n_lags), float32
        Normalised autocorrelation, about -1 to 1; 0 for a silent frame.
    """
    matrix = _correlation_matrix(sr, n_fft)
    product = power[:, : len(matrix)] @ matrix
    return product[:, 1:] / np.maximum(product[:, :1], np.float32(1e-12))


@dataclass(frozen=True)
class Peaks:
    """
    Hold the periods that frames may have: the peaks of their autocorrelation, which few lags are.

    A slice of it holds those of some of the frames.

    Parameters
    ----------
    first : ndarray of shape (n_frames + 1,)
        Where the peaks of each frame begin.
    best : ndarray of shape (n_frames,)
        Which is a frame's highest, less the cost of a long period; anything where there is none.
    height : ndarray of shape (n_peaks,)
        Of each peak, by a parabola through its neighbours.
    octave : ndarray of shape (n_peaks,)
        Its period in octaves above the shortest one, to the next lag.
    period : ndarray of shape (n_peaks,)
        In seconds, by the parabola.
    """

    first: Indices
    best: Indices
    height: Array
    octave: Array
    period: Array

    def __len__(self) -> int:
        return len(self.best)

    def __getitem__(self, run: slice) -> Peaks:
        start, stop, _ = run.indices(len(self))
        begin, end = self.first[start], self.first[stop]
        of_peaks = [values[begin:end] for values in (self.height, self.octave, self.period)]
        return Peaks(self.first[start : stop + 1] - begin, self.best[start:stop] - begin, *of_peaks)


def find_peaks(correlation: Array) -> Peaks:
    """
    Find the periods that frames may have.

    Parameters
    ----------
    correlation : ndarray of shape (n_frames, n_lags)
        What `periodicity` gives.

    Returns
    -------
    Peaks
        Those above 0.
    """
    n_frames, n_lags = correlation.shape
    flat = np.ascontiguousarray(correlation).ravel()
    rises = flat[1:] > flat[:-1]
    is_peak = flat > 0
    is_peak[1:-1] &= rises[:-1] > rises[1:]
    is_peak.reshape(correlation.shape)[:, [0, -1]] = False  # a neighbour of these is of another frame
    at = np.flatnonzero(is_peak)
    lag = at % n_lags
    height, shift = _parabola(flat, at)
    octave = _octaves()[lag]
    first = np.searchsorted(at, np.arange(n_frames + 1) * n_lags)
    best = _best(height - np.float32(_OCTAVE_COST) * octave, first)
    return Peaks(first, best, height, octave, _lags()[lag] + shift / np.float32(_LAG_RATE))


def join_peaks(parts: Sequence[Peaks]) -> Peaks:
    """
    Put the peaks of successive frames together.

    Parameters
    ----------
    parts : sequence of Peaks
        Of some frames each.

    Returns
    -------
    Peaks
        Of all of them.
    """
    before = np.cumsum([0, *(len(part.height) for part in parts)])
    return Peaks(
        np.concatenate([*(part.first[:-1] + n for part, n in zip(parts, before, strict=False)), before[-1:]]),
        np.concatenate([part.best + n for part, n in zip(parts, before, strict=False)]),
        np.concatenate([part.height for part in parts]),
        np.concatenate([part.octave for part in parts]),
        np.concatenate([part.period for part in parts]),
    )


def track_pitch(peaks: Peaks) -> Array:
    """
    Choose the period of every frame of a clip.

    The highest peak wins, less a small cost for long periods (of two equal peaks the shorter period is the true one)
    and, in a second look, a cost for leaving the median of the clip's voiced frames, which undoes most octave errors.
    Within 2 % on at least 95 % of the frames of harmonic tones from 70 to 450 Hz at 20 dB SNR (shown by
    ``tests/test_pitch.py``).

    Parameters
    ----------
    peaks : Peaks
        What `find_peaks` gives, for all frames of one clip.

    Returns
    -------
    ndarray of shape (n_frames, 2), float32
        F0 in Hz (the best candidate, also where the frame is unvoiced; 0 where there is none) and the voicing
        probability in [0, 1].
    """
    pitch = np.zeros((len(peaks), 2), dtype=np.float32)
    some = np.flatnonzero(peaks.first[1:] > peaks.first[:-1])
    best = peaks.best[some]
    ordered = np.sort(peaks.octave[best[peaks.height[best] > VOICED]])
    if len(ordered):
        median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        score = peaks.height - np.float32(_OCTAVE_COST) * peaks.octave
        score -= np.float32(_JUMP_COST) * np.abs(peaks.octave - median)
        best = _best(score, peaks.first)[some]
    pitch[some, 0] = 1 / peaks.period[best]
    pitch[some, 1] = np.minimum(peaks.height[best], 1)
    return pitch


def _best(score: Array, first: Indices) -> Indices:
    """Tell which peak of each frame has the highest score, the first of several; anything where there is none."""
    best = np.zeros(len(first) - 1, dtype=np.intp)
    counts = np.diff(first)
    some = np.flatnonzero(counts)
    if len(some):
        highest = np.maximum.reduceat(score, first[some])
        at = np.flatnonzero(score == np.repeat(highest, counts[some]))[::-1]
        best[np.searchsorted(first, at, side="right") - 1] = at
    return best


def _parabola(flat: Array, at: Indices) -> tuple[Array, Array]:
    """Height of peaks by a parabola through their neighbours, and their shift in lags."""
    left, peak, right = flat.take(at - 1), flat.take(at), flat.take(at + 1)
    slope, bend = left - right, 2 * peak - left - right
    bend[bend <= 0] = 1.0  # it is rounded
    return peak + slope * slope / (8 * bend), -0.5 * slope / bend
