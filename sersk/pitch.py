"""Power spectrogram -> F0 and voicing: autocorrelation of all frames in one matrix product, no loop, no second FFT."""

from __future__ import annotations

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


def periodicity(power: Array, sr: int, n_fft: int) -> Array:
    """
    Correlate every frame with itself at the lags of F0, from its power spectrum.

    The autocorrelation is the cosine transform of the power spectrum; below 2.5 kHz and for these lags only it is one
    small matrix product. Divided by the window's own autocorrelation (Boersma 1993, "Accurate short-term analysis of
    the fundamental frequency"), a periodic frame peaks at 1 whatever its F0.

    Parameters
    ----------
    power : ndarray of shape (n_frames, n_bins)
        Power spectra of Hann-windowed frames.
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


def track_pitch(correlation: Array) -> Array:
    """
    Choose the period of every frame of a clip.

    The highest peak wins, less a small cost for long periods (of two equal peaks the shorter period is the true one)
    and, in a second look, a cost for leaving the median of the clip's voiced frames, which undoes most octave errors.
    Within 2 % on at least 95 % of the frames of harmonic tones from 70 to 450 Hz at 20 dB SNR (shown by
    ``tests/test_pitch.py``).

    Parameters
    ----------
    correlation : ndarray of shape (n_frames, n_lags)
        What `periodicity` gives, for all frames of one clip.

    Returns
    -------
    ndarray of shape (n_frames, 2), float32
        F0 in Hz (the best candidate, also where the frame is unvoiced; 0 where there is none) and the voicing
        probability in [0, 1].
    """
    lags, octaves = _lags(), _octaves()
    # Few lags are peaks above 0: these alone are looked at closely, by a parabola through their neighbours.
    middle = correlation[:, 1:-1]
    is_peak = np.zeros(correlation.shape, dtype=bool)
    np.greater(middle, correlation[:, :-2], out=is_peak[:, 1:-1])
    is_peak[:, 1:-1] &= (middle >= correlation[:, 2:]) & (middle > 0)
    peaks = np.flatnonzero(is_peak)
    cost = np.float32(_OCTAVE_COST) * octaves
    score = np.full(correlation.shape, _NO_PEAK, dtype=np.float32)
    score.ravel()[peaks] = _parabola(correlation, peaks)[0] - cost[peaks % len(lags)]
    rows = np.arange(len(score))
    best = score.argmax(axis=1)
    voiced = best[score[rows, best] + cost[best] > VOICED]
    if len(voiced):
        ordered = np.sort(octaves[voiced])
        median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        score -= np.float32(_JUMP_COST) * np.abs(octaves - median)
        best = score.argmax(axis=1)
    height, shift = _parabola(correlation, best + rows * len(lags))
    voicing = np.where(score[rows, best] > _NO_PEAK / 2, np.clip(height, 0.0, 1.0), np.float32(0.0))
    period = np.where(voicing > 0, lags[best] + shift / np.float32(_LAG_RATE), np.float32(np.inf))
    return np.stack([1 / period, voicing], axis=1)


def _parabola(correlation: Array, at: npt.NDArray[np.intp]) -> tuple[Array, Array]:
    """Height of peaks, given by flat indices, by a parabola through their neighbours, and their shift in lags."""
    flat = correlation.ravel()
    left, peak, right = flat.take(at - 1, mode="wrap"), flat.take(at), flat.take(at + 1, mode="wrap")
    slope, bend = left - right, 2 * peak - left - right
    bend[bend <= 0] = 1.0  # no peak
    return peak + slope * slope / (8 * bend), -0.5 * slope / bend
