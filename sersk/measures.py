"""Waveform -> raw measures of every frame, from one shared power spectrogram."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import numpy as np
import scipy.fft

from .filterbanks import (
    Array,
    FrameSettings,
    bin_frequencies,
    chroma_filterbank,
    mel_filterbank,
)
from .pitch import periodicity

# Frames are worked off in blocks whose spectra stay in the processor's cache, and so many samples of them at a time are
# transformed as stay in the cache next to its core; a long recording needs no more memory than that.
_BLOCK = 256
_TRANSFORMED = 2**16
AMIN = 1e-10
_ROLLOFF = 0.85
_CONTRAST_FMIN = 200.0
_CONTRAST_QUANTILE = 0.02
_CONTRAST_MAX_OCTAVES = 6


@lru_cache(maxsize=8)
def _window(n_fft: int, precise: bool) -> Array:
    """Periodic Hann window."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi / n_fft * np.arange(n_fft))
    return window.astype(np.float64 if precise else np.float32)


@lru_cache(maxsize=8)
def _power_matrix(settings: FrameSettings, tuning: float) -> Array:
    """Mel bands and pitch classes side by side: one product reads the spectra once."""
    untuned = replace(settings, tuning=0.0)
    return np.concatenate([mel_filterbank(settings), chroma_filterbank(untuned, tuning)], axis=1)


@lru_cache(maxsize=8)
def _magnitude_matrix(settings: FrameSettings) -> tuple[Array, int]:
    """Columns that weigh bins by frequency, and that sum all bins before each part, and all; and the parts' width."""
    width = math.isqrt(settings.n_bins)
    parts = np.arange(settings.n_bins) // width
    sums = parts[:, None] < np.arange(parts[-1] + 2)
    return np.concatenate([bin_frequencies(settings)[:, None], sums], axis=1).astype(np.float32), width


@dataclass
class _Block:
    """Some successive frames with the spectra that several measures share, each made when first asked for."""

    settings: FrameSettings
    power: Array  # (n, n_bins)
    before: Array | None  # the spectrum (1, n_bins) of the frame before the first one

    @cached_property
    def bands(self) -> Array:
        """Mel bands, then pitch classes, (n, n_mels + n_chroma)."""
        return self.power @ _power_matrix(self.settings, self.settings.tuning or 0.0)

    @cached_property
    def magnitude(self) -> Array:
        return np.sqrt(self.power)

    @cached_property
    def sums(self) -> Array:
        """Product of magnitudes with the columns of `_magnitude_matrix`."""
        return self.magnitude @ _magnitude_matrix(self.settings)[0]

    @cached_property
    def total(self) -> Array:
        """Sum of the magnitudes, (n, 1); 1 where a frame is silent, which leaves its zeros alone as librosa does."""
        total = self.sums[:, -1:]
        return np.where(total < np.finfo(np.float32).tiny, np.float32(1.0), total)

    @cached_property
    def centroid(self) -> Array:
        return self.sums[:, :1] / self.total


def _mel(block: _Block) -> Array:
    return block.bands[:, : block.settings.n_mels]


def _chroma(block: _Block) -> Array:
    raw = block.bands[:, block.settings.n_mels :]
    peak: Array = raw.max(axis=1, keepdims=True)
    peak[peak < np.finfo(np.float32).tiny] = 1.0
    return raw / peak


def _centroid(block: _Block) -> Array:
    return block.centroid


def _bandwidth(block: _Block) -> Array:
    deviation = bin_frequencies(block.settings) - block.centroid
    deviation *= deviation
    return np.sqrt(np.einsum("ij,ij->i", deviation, block.magnitude)[:, None] / block.total)


def _rolloff(block: _Block) -> Array:
    """First bin with 85 % of the magnitude below it: sums of some bins at a time tell where to look bin by bin."""
    n_frames, n_bins = block.magnitude.shape
    width = _magnitude_matrix(block.settings)[1]
    below = block.sums[:, 1:]
    enough = np.float32(_ROLLOFF) * below[:, -1:]
    part = np.argmax(below[:, 1:] >= enough, axis=1)
    frames = np.arange(n_frames)
    bins = np.minimum((part * width)[:, None] + np.arange(width), n_bins - 1)
    inside = block.magnitude.ravel().take(bins + (frames * n_bins)[:, None]).cumsum(axis=1)
    inside += below[frames, part, None]
    inside[:, -1] = np.inf  # sums in another order may fall short of the part's own by rounding
    return bin_frequencies(block.settings)[bins[frames, np.argmax(inside >= enough, axis=1)], None]


def _flatness(block: _Block) -> Array:
    magnitude = np.maximum(block.magnitude, np.float32(np.sqrt(AMIN)))
    n_bins = magnitude.shape[1]
    arithmetic = np.einsum("ij,ij->i", magnitude, magnitude) / np.float32(n_bins)
    # One logarithm of a product for two; products of magnitudes leave single precision no sooner than powers do.
    half = n_bins // 2
    product = magnitude[:, :half] * magnitude[:, half : 2 * half]
    logarithm = np.einsum("ij->i", np.log(product, out=product))
    if n_bins % 2:
        logarithm += np.log(magnitude[:, -1])
    return (np.exp(logarithm * np.float32(2 / n_bins)) / arithmetic)[:, None]


def _flux(block: _Block) -> Array:
    """Euclidean distance between successive magnitude spectra of unit sum; the first frame of a clip has none."""
    shape = block.magnitude / block.total
    first = shape[:1] if block.before is None else block.before / max(float(block.before.sum()), 1e-30)
    step = np.empty_like(shape)
    np.subtract(shape[:1], first, out=step[:1])
    np.subtract(shape[1:], shape[:-1], out=step[1:])
    return np.sqrt(np.einsum("ij,ij->i", step, step))[:, None]


def _pitch(block: _Block) -> Array:
    return periodicity(block.power, block.settings.sr, block.settings.n_fft)


@lru_cache(maxsize=16)
def contrast_bands(settings: FrameSettings) -> list[tuple[int, int, int]]:
    """
    Lay the octave bands of the contrast out.

    Parameters
    ----------
    settings : FrameSettings
        Sampling rate and frame length.

    Returns
    -------
    list of (int, int, int)
        First bin, end bin and number of extreme bins to average, for each octave band that starts below sr / 2.
    """
    n_octaves = max(1, min(_CONTRAST_MAX_OCTAVES, int(np.ceil(np.log2(settings.sr / 2 / _CONTRAST_FMIN)))))
    edges = np.concatenate([[0.0], _CONTRAST_FMIN * 2.0 ** np.arange(n_octaves + 1)])
    frequencies = np.fft.rfftfreq(settings.n_fft, 1.0 / settings.sr)
    bands = []
    for k in range(n_octaves + 1):
        # librosa's bands: both edges inside, one more bin below; the last bin counts but is not used, save at the top.
        first = max(int(np.searchsorted(frequencies, edges[k])) - (k > 0), 0)
        end = settings.n_bins if k == n_octaves else int(np.searchsorted(frequencies, edges[k + 1], side="right"))
        count = max(int(np.rint(_CONTRAST_QUANTILE * (end - first))), 1)
        bands.append((first, max(end - (k < n_octaves), first + 1), count))
    return bands


@lru_cache(maxsize=8)
def _contrast_means(settings: FrameSettings) -> Array:
    """Columns that average the extremes of each band: peaks of all bands, then valleys."""
    counts = [count for _, _, count in contrast_bands(settings)]
    means = np.zeros((2 * sum(counts), 2 * len(counts)), dtype=np.float32)
    at = 0
    for k, count in enumerate(counts):
        means[at : at + count, k] = 1 / count
        means[at + count : at + 2 * count, len(counts) + k] = 1 / count
        at += 2 * count
    return means


def _contrast(block: _Block) -> Array:
    """Mean of the highest and of the lowest magnitudes of every octave band: (n, 2 * n_bands), the highest first."""
    means = _contrast_means(block.settings)
    extremes = np.empty((len(block.magnitude), len(means)), dtype=np.float32)
    at = 0
    for first, end, count in contrast_bands(block.settings):
        ordered = np.sort(block.magnitude[:, first:end], axis=1)
        extremes[:, at : at + count] = ordered[:, -count:]
        extremes[:, at + count : at + 2 * count] = ordered[:, :count]
        at += 2 * count
    return extremes @ means


# Measured block by block. What needs the whole clip (decibels relative to its loudest frame, F0 near the voice's
# median) is for `descriptors` to finish.
_OF_SPECTRA: dict[str, Callable[[_Block], Array]] = {
    "mel": _mel,
    "chroma": _chroma,
    "centroid": _centroid,
    "bandwidth": _bandwidth,
    "rolloff": _rolloff,
    "flatness": _flatness,
    "flux": _flux,
    "contrast": _contrast,
    "pitch": _pitch,
}
# Single precision leaves noise at -130 dB in every bin. That is harmless but where the weakest bins count as much as
# the others (flatness, contrast), or weigh by their distance from the strong ones (bandwidth of a clean tone).
_PRECISE = {"centroid", "bandwidth", "rolloff", "flatness", "contrast"}


def count_frames(n_samples: int, settings: FrameSettings) -> int:
    """
    Count the frames of a clip, as librosa does for centred frames.

    Parameters
    ----------
    n_samples : int
        Length of the clip, at least 1.
    settings : FrameSettings
        Framing.

    Returns
    -------
    int
        At least 1.
    """
    return 1 + (n_samples + 2 * (settings.n_fft // 2) - settings.n_fft) // settings.hop_length


def measure_frames(
    y: Array, names: Collection[str], settings: FrameSettings, run: slice = slice(None)
) -> dict[str, Array]:
    """
    Measure every frame of a clip by itself.

    Spectra are worked off block by block: window, one FFT, all measures.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), float32
        One clip at ``settings.sr`` Hz.
    names : collection of str
        Out of "mel", "chroma", "centroid", "bandwidth", "rolloff", "flatness", "flux", "contrast", "pitch", "rms" and
        "zcr".
    settings : FrameSettings
        Framing and filterbanks; `tuning` None is taken for 0.
    run : slice, default=slice(None)
        Which of the frames.

    Returns
    -------
    dict of str to ndarray of shape (n_frames, n_values), float32
        Power for mel, Hz for centroid, bandwidth and roll-off; magnitudes for contrast, of peaks, then of valleys;
        autocorrelation for pitch; shares of the samples for zcr.
    """
    n_fft, hop_length = settings.n_fft, settings.hop_length
    half = n_fft // 2
    padded = np.zeros(len(y) + 2 * half, dtype=np.float32)
    padded[half : half + len(y)] = y
    measured: dict[str, Array] = {}
    if "rms" in names:
        measured["rms"] = np.sqrt(_frame_sums(padded * padded, settings) / np.float32(n_fft))[run]
    if "zcr" in names:
        measured["zcr"] = _zero_crossing_rate(y, settings)[run]
    measures = {name: of_block for name, of_block in _OF_SPECTRA.items() if name in names}
    parts: dict[str, list[Array]] = {name: [] for name in measures}
    frames = _windows(padded, n_fft, hop_length)[run]
    window = _window(n_fft, precise=bool(_PRECISE & measures.keys()))
    before = None
    for first in range(0, len(frames) if measures else 0, _BLOCK):
        power = _power(frames[first : first + _BLOCK], window)
        block = _Block(settings, power, before)
        for name, of_block in measures.items():
            parts[name].append(of_block(block))
        before = np.sqrt(power[-1:])
    return measured | {name: part[0] if len(part) == 1 else np.concatenate(part) for name, part in parts.items()}


def _windows(values: Array, length: int, step: int) -> Array:
    """Look at values through windows, as numpy's sliding_window_view does at many times the cost for a short clip."""
    n = 1 + (len(values) - length) // step
    return np.ndarray((n, length), values.dtype, values, strides=(step * values.itemsize, values.itemsize))


def _power(frames: Array, window: Array) -> Array:
    """Power spectra of windowed frames, (n, n_bins)."""
    n_frames, n_fft = frames.shape
    out = np.empty((n_frames, n_fft // 2 + 1), dtype=np.float32)
    n_rows = max(_TRANSFORMED // n_fft, 1)
    for first in range(0, n_frames, n_rows):
        spectrum = scipy.fft.rfft(frames[first : first + n_rows] * window, overwrite_x=True)
        power = np.square(spectrum.real)
        power += np.square(spectrum.imag)
        out[first : first + n_rows] = power
    return out


def _frame_sums(values: Array, settings: FrameSettings) -> Array:
    """Sum over every frame, from sums of as many samples as frame and step have for a common measure."""
    width = math.gcd(settings.n_fft, settings.hop_length)
    n_parts = len(values) // width
    parts = values[: n_parts * width].reshape(n_parts, width) @ np.ones(width, dtype=np.float32)
    return _windows(parts, settings.n_fft // width, settings.hop_length // width).sum(axis=1, keepdims=True)


def _zero_crossing_rate(y: Array, settings: FrameSettings) -> Array:
    """Share of the samples of a frame that change sign; the clip's ends go on with their last value, as in librosa."""
    negative = y < -AMIN  # what is nearer to zero counts as positive
    half = settings.n_fft // 2
    crossings = np.zeros(len(y) + 2 * half, dtype=np.float32)
    np.not_equal(negative[1:], negative[:-1], out=crossings[half + 1 : half + len(y)])
    count = _frame_sums(crossings, settings)
    # A change counts within a frame, not from the sample before it.
    count -= crossings[: len(count) * settings.hop_length : settings.hop_length, None]
    count /= np.float32(settings.n_fft)
    return count
