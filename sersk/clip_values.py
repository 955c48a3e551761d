"""Frames -> values of the clip as a whole: where it is active and voiced, timing, covariance, course, modulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

from .filterbanks import Array
from .functionals import delta
from .pitch import VOICED

Mask = npt.NDArray[np.bool_]

# A frame is active down to this far below the loudest one; RAVDESS' pauses lie lower, its weakest fricatives higher.
_ACTIVE_DB = 40.0
_N_BANDS = 16
_N_CEPSTRA = 16
_MODULATION_EDGES = (0.5, 1.5, 3.0, 5.0, 8.0, 13.0, 25.0)  # Hz; syllables come at 3 to 8 a second
_MODULATION_SECONDS = 4.0


@dataclass
class ClipFrames:
    """
    Hold the descriptors of one clip, a descriptor a row, with the regions that statistics are taken over.

    Parameters
    ----------
    frames : dict of str to ndarray of shape (n_descriptors of the family, n_frames)
        Families by name. Regions need log_rms and voicing, clip values log_mel and log_f0 besides, and
        mfcc_covariance mfcc.
    seconds_per_frame : float
        Step between frames.
    duration : float
        Length of the clip in seconds.
    """

    frames: dict[str, Array]
    seconds_per_frame: float
    duration: float

    @property
    def log_mel(self) -> Array:
        """Level of the mel bands in dB."""
        return self.frames["log_mel"]

    @property
    def log_rms(self) -> Array:
        """Level of every frame in dB."""
        return self.frames["log_rms"][0]

    @property
    def log_f0(self) -> Array:
        """F0 of every frame in semitones."""
        return self.frames["log_f0"][0]

    @cached_property
    def active(self) -> Mask:
        """Active frames."""
        return active_frames(self.log_rms)

    @cached_property
    def voiced(self) -> Mask:
        """Active frames with a periodic waveform."""
        return self.active & (self.frames["voicing"][0] > VOICED)

    def region(self, name: str) -> Mask | slice:
        """
        Select frames.

        Parameters
        ----------
        name : {"all", "active", "voiced"}
            Which frames. A clip without any voiced frame is described by its active ones.

        Returns
        -------
        ndarray of shape (n_frames,), bool, or slice
            What picks the frames that count.
        """
        if name == "all":
            return slice(None)
        return self.voiced if name == "voiced" and self.voiced.any() else self.active

    @cached_property
    def span(self) -> slice:
        """From the first active frame to the last."""
        return _span(self.active)

    @cached_property
    def bands(self) -> Array:
        """Log-mel averaged to at most 16 bands."""
        return _band_means(len(self.log_mel)) @ self.log_mel

    @cached_property
    def log_covariances(self) -> dict[str, npt.NDArray[np.float64]]:
        """Log covariances over active frames: of the bands, of their deltas, and of the MFCC where there are any."""
        series, floors = {"band": self.bands, "band_delta": delta(self.bands)}, [1.0, 0.05]
        if "mfcc" in self.frames:
            series["mfcc"] = self.frames["mfcc"][:_N_CEPSTRA]
            floors.append(1.0)
        active = np.flatnonzero(self.active)
        return dict(
            zip(series, _log_covariances([rows.take(active, axis=1) for rows in series.values()], floors), strict=True)
        )


@lru_cache(maxsize=8)
def _band_means(n_mels: int) -> Array:
    """Matrix that averages mel bands, (n_bands, n_mels)."""
    n_bands = min(_N_BANDS, n_mels)
    starts = np.linspace(0, n_mels, n_bands, endpoint=False).astype(int)
    owner = np.searchsorted(starts, np.arange(n_mels), side="right") - 1
    inside = owner == np.arange(n_bands)[:, None]
    return (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)


def active_frames(log_rms: Array) -> Mask:
    """
    Tell the frames that are not silent.

    Parameters
    ----------
    log_rms : ndarray of shape (n_frames,)
        Level in dB.

    Returns
    -------
    ndarray of shape (n_frames,), bool
        Those within 40 dB of the loudest: every one in a clip of pure silence.
    """
    return log_rms >= log_rms.max() - np.float32(_ACTIVE_DB)


def active_span(log_rms: Array) -> slice:
    """
    Leave the silence before and after speech out.

    Parameters
    ----------
    log_rms : ndarray of shape (n_frames,)
        Level in dB.

    Returns
    -------
    slice
        From the first active frame to the last.
    """
    return _span(active_frames(log_rms))


def _span(active: Mask) -> slice:
    return slice(int(active.argmax()), len(active) - int(active[::-1].argmax()))


def _timing(clip: ClipFrames) -> npt.NDArray[np.float64]:
    """
    Durations and rates.

    Syllables are counted as peaks of the smoothed level in voiced frames (after de Jong & Wempe 2009,
    doi 10.3758/BRM.41.2.385).
    """
    step = clip.seconds_per_frame
    span = (clip.span.stop - clip.span.start) * step
    smooth = scipy.ndimage.uniform_filter1d(clip.log_rms, 5, mode="nearest")
    peaks = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & clip.voiced[1:-1]
    around = np.zeros(len(clip.voiced) + 2, dtype=bool)
    around[1:-1] = clip.voiced
    edges = np.flatnonzero(around[1:] != around[:-1])
    segments = (edges[1::2] - edges[::2]) * step
    n_active, n_segments = np.count_nonzero(clip.active), max(len(segments), 1)
    mean = segments.sum() / n_segments
    return np.array(
        [
            clip.duration,
            span,
            np.count_nonzero(clip.voiced) / n_active,
            np.count_nonzero(peaks) / span,
            1.0 - n_active * step / span,
            len(segments) / span,
            mean,
            np.sqrt(np.square(segments - mean).sum() / n_segments),
        ]
    )


def _log_covariances(series: Sequence[Array], floors: Sequence[float]) -> list[npt.NDArray[np.float64]]:
    """
    Matrix logarithms of the covariances of rows, upper triangles.

    In the logarithm covariances may be averaged and compared as vectors (Arsigny et al. 2006,
    doi 10.1002/mrm.20965); off-diagonal entries count twice, hence their factor. Floors are added to the variances.
    """
    if len({len(rows) for rows in series}) > 1:  # not of one size, which is quicker
        return [_log_covariances([rows], [floor])[0] for rows, floor in zip(series, floors, strict=True)]
    wide = np.array(series, dtype=np.float64)  # (n_series, n_rows, n_frames)
    wide -= (wide.sum(axis=2) / wide.shape[2])[:, :, None]
    covariance = wide @ wide.swapaxes(1, 2)
    covariance /= wide.shape[2]
    floor = np.array(floors)[:, None]
    covariance.reshape(len(wide), -1)[:, :: wide.shape[1] + 1] += floor
    values, vectors = np.linalg.eigh(covariance)
    logarithm = (vectors * np.log(np.maximum(values, floor / 2))[:, None]) @ vectors.swapaxes(1, 2)
    row, column, factor = _upper_triangle(wide.shape[1])
    return list(logarithm[:, row, column] * factor)


@lru_cache(maxsize=8)
def _upper_triangle(size: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Rows, columns and factors of the entries of a symmetric matrix that count."""
    row, column = np.triu_indices(size)
    return row, column, np.where(row == column, 1.0, np.sqrt(2.0))


def _thirds(clip: ClipFrames) -> npt.NDArray[np.float64]:
    """Mean spectrum and F0 of the first, second and last third of the active frames, relative to the whole."""
    frames = np.flatnonzero(clip.active)
    voiced = clip.voiced[frames]
    inside = np.arange(len(frames)) * 3 // len(frames) == np.arange(3)[:, None]
    # Sums over each third, then over all of them, by one product; the last column counts voiced frames.
    series = np.concatenate([clip.log_mel[:, frames], voiced * clip.log_f0[None, frames], voiced[None]])
    sums = inside.astype(np.float32) @ series.T
    sizes = np.full(sums.shape, inside.sum(axis=1)[:, None])
    sizes[:, -2:] = sums[:, -1:]
    means = np.where(sizes > 0, sums / np.maximum(sizes, 1) - sums.sum(axis=0) / np.maximum(sizes.sum(axis=0), 1), 0.0)
    return np.concatenate([means[:, :-2].ravel(), means[:, -2]])


@lru_cache(maxsize=64)
def _modulation_means(n_fft: int, seconds_per_frame: float) -> Array:
    """Matrix that averages the bins of each range of modulation frequency, (n_bins, n_ranges)."""
    frequencies = np.fft.rfftfreq(n_fft, seconds_per_frame)[:, None]
    edges = np.array(_MODULATION_EDGES)
    inside = (frequencies >= edges[:-1]) & (frequencies < edges[1:])
    return (inside / np.maximum(inside.sum(axis=0), 1)).astype(np.float32)


def _modulation(clip: ClipFrames) -> npt.NDArray[np.float64]:
    """Log power of the fluctuation of 16 bands in 6 ranges of modulation frequency (0.5 to 25 Hz)."""
    course = clip.bands[:, clip.span]
    n_frames = course.shape[1]
    course = course - (course.sum(axis=1) / np.float32(n_frames))[:, None]
    n_fft = max(round(_MODULATION_SECONDS / clip.seconds_per_frame), n_frames)
    spectrum = scipy.fft.rfft(course, n=n_fft, axis=1)
    power = np.square(spectrum.real)
    power += np.square(spectrum.imag)
    means = power @ _modulation_means(n_fft, clip.seconds_per_frame)
    return np.log(means.T.ravel() / n_frames + 1e-3)


# Name -> how to compute it.
CLIP_VALUES: dict[str, Callable[[ClipFrames], npt.NDArray[np.float64]]] = {
    "timing": _timing,
    "band_covariance": lambda clip: clip.log_covariances["band"],
    "band_delta_covariance": lambda clip: clip.log_covariances["band_delta"],
    "mfcc_covariance": lambda clip: clip.log_covariances["mfcc"],
    "thirds": _thirds,
    "modulation": _modulation,
}


def clip_value_names(name: str, n_mels: int, n_mfcc: int) -> list[str]:
    """
    Name what one entry of ``CLIP_VALUES`` gives.

    Parameters
    ----------
    name : str
        Key of ``CLIP_VALUES``.
    n_mels, n_mfcc : int
        Number of mel bands and of cepstral coefficients.

    Returns
    -------
    list of str
        One name a value.
    """
    n_bands = min(_N_BANDS, n_mels)
    if name == "timing":
        return [
            "duration",
            "active_duration",
            "voiced_ratio",
            "speech_rate",
            "pause_ratio",
            "voiced_segment_rate",
            "voiced_segment_mean",
            "voiced_segment_std",
        ]
    if name == "thirds":
        bands = [f"third_{part + 1}_log_mel_{k + 1}" for part in range(3) for k in range(n_mels)]
        return bands + [f"third_{part + 1}_f0" for part in range(3)]
    if name == "modulation":
        n_ranges = len(_MODULATION_EDGES) - 1
        return [f"modulation_{r + 1}_band_{k + 1}" for r in range(n_ranges) for k in range(n_bands)]
    size = min(_N_CEPSTRA, n_mfcc) if name == "mfcc_covariance" else n_bands
    row, column = np.triu_indices(size)
    return [f"{name}_{i + 1}_{j + 1}" for i, j in zip(row, column, strict=True)]
