"""Power spectrogram -> F0 and voicing: autocorrelation of all frames in one matrix product, no loop, no second FFT."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from .filterbanks import Array

F0_MIN, F0_MAX = 60.0, 500.0
# Frames between these lengths hold two periods of the lowest voice and one value of F0; others get frames of their own.
PITCH_SECONDS = (0.06, 0.1)
VOICED = 0.5
_BAND = 2500.0  # harmonics above are weak or noisy in speech
_LAG_RATE = 12000.0
_OCTAVE_COST = 0.02
_JUMP_COST = 0.12
_NO_PEAK = -9.0


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


def find_peaks(correlation: Array) -> Array:
    """
    Find the periods that every frame may have: the peaks of its autocorrelation, which few lags are.

    Parameters
    ----------
    correlation : ndarray of shape (n_frames, n_lags)
        What `periodicity` gives.

    Returns
    -------
    ndarray of shape (n_frames, 3, n_most), float32
        Height of each peak, its period in octaves above the shortest one, to the next lag, and in seconds, by a
        parabola through its neighbours; after a frame's last one heights far below all others.
    """
    n_frames, n_lags = correlation.shape
    flat = np.ascontiguousarray(correlation).ravel()
    is_peak = np.zeros(correlation.shape, dtype=bool)
    middle, found = flat[1:-1], is_peak.ravel()[1:-1]
    np.greater(middle, flat[:-2], out=found)
    found &= middle >= flat[2:]
    found &= middle > 0
    is_peak[:, [0, -1]] = False  # these have a neighbour in another frame
    peaks = np.flatnonzero(is_peak)
    frame = peaks // n_lags
    lag = peaks - frame * n_lags
    counts = np.bincount(frame, minlength=n_frames)
    out = np.zeros((n_frames, 3, counts.max(initial=1)), dtype=np.float32)
    out[:, 0] = _NO_PEAK
    slot = np.arange(len(peaks)) - (np.cumsum(counts) - counts)[frame]
    height, shift = _parabola(flat, peaks)
    out[frame, 0, slot] = height
    out[frame, 1, slot] = _octaves()[lag]
    out[frame, 2, slot] = _lags()[lag] + shift / np.float32(_LAG_RATE)
    return out


def join_peaks(parts: Sequence[Array]) -> Array:
    """
    Put the peaks of successive frames together.

    Parameters
    ----------
    parts : sequence of ndarray of shape (n_frames, 3, n_most)
        What `find_peaks` gives, of some frames each.

    Returns
    -------
    ndarray of shape (n_frames of all, 3, n_most of all), float32
        What `find_peaks` gives for all of them.
    """
    out = np.zeros((sum(map(len, parts)), 3, max(part.shape[2] for part in parts)), dtype=np.float32)
    out[:, 0] = _NO_PEAK
    first = 0
    for part in parts:
        out[first : first + len(part), :, : part.shape[2]] = part
        first += len(part)
    return out


def track_pitch(peaks: Array) -> Array:
    """
    Choose the period of every frame of a clip.

    The highest peak wins, less a small cost for long periods (of two equal peaks the shorter period is the true one)
    and, in a second look, a cost for leaving the median of the clip's voiced frames, which undoes most octave errors.
    Within 2 % on at least 95 % of the frames of harmonic tones from 70 to 450 Hz at 20 dB SNR (shown by
    ``tests/test_pitch.py``).

    Parameters
    ----------
    peaks : ndarray of shape (n_frames, 3, n_most)
        What `find_peaks` gives, for all frames of one clip.

    Returns
    -------
    ndarray of shape (n_frames, 2), float32
        F0 in Hz (the best candidate, also where the frame is unvoiced; 0 where there is none) and the voicing
        probability in [0, 1].
    """
    heights, octaves, _ = peaks.swapaxes(0, 1)
    score = heights - np.float32(_OCTAVE_COST) * octaves
    best = _best(peaks, score)
    ordered = np.sort(best[best[:, 0] > VOICED, 1])
    if len(ordered):
        median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        score -= np.float32(_JUMP_COST) * np.abs(octaves - median)
        best = _best(peaks, score)
    voicing = np.clip(best[:, 0], np.float32(0.0), np.float32(1.0))
    f0 = np.zeros_like(voicing)
    np.divide(np.float32(1.0), best[:, 2], out=f0, where=voicing > 0)
    return np.stack([f0, voicing], axis=1)


def _best(peaks: Array, score: Array) -> Array:
    """Take the peak with the highest score of each frame, (n_frames, 3)."""
    best: Array = peaks[np.arange(len(peaks)), :, score.argmax(axis=1)]
    return best


def _parabola(flat: Array, at: npt.NDArray[np.intp]) -> tuple[Array, Array]:
    """Height of peaks by a parabola through their neighbours, and their shift in lags."""
    left, peak, right = flat.take(at - 1), flat.take(at), flat.take(at + 1)
    slope, bend = left - right, 2 * peak - left - right
    bend[bend <= 0] = 1.0  # it is rounded
    return peak + slope * slope / (8 * bend), -0.5 * slope / bend
