"""Frames -> values of the clip as a whole: where it is active and voiced, timing, covariance, course, modulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

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
        return active_span(self.log_rms)

    @cached_property
    def bands(self) -> Array:
        """Log-mel averaged to at most 16 bands."""
        n_bands = min(_N_BANDS, len(self.log_mel))
        starts = np.linspace(0, len(self.log_mel), n_bands, endpoint=False).astype(int)
        sizes = np.diff(np.append(starts, len(self.log_mel)))
        sums = np.add.reduceat(self.log_mel, starts, axis=0)
        return np.divide(sums, sizes[:, None], dtype=np.float32)


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
    at = np.flatnonzero(active_frames(log_rms))
    return slice(int(at[0]), int(at[-1]) + 1)


def _timing(clip: ClipFrames) -> npt.NDArray[np.float64]:
    """
    Durations and rates.

    Syllables are counted as peaks of the smoothed level in voiced frames (after de Jong & Wempe 2009,
    doi 10.3758/BRM.41.2.385).
    """
    step = clip.seconds_per_frame
    span = (clip.span.stop - clip.span.start) * step
    # The ends go on with their last value; zeros would be full level in decibels.
    smooth = np.convolve(np.pad(clip.log_rms, 2, mode="edge"), np.full(5, 0.2), mode="valid")
    peaks = (smooth[1:-1] > smooth[:-2]) & (smooth[1:-1] >= smooth[2:]) & clip.voiced[1:-1]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], clip.voiced, [False]]).astype(np.int8)))
    segments = np.diff(edges)[::2] * step
    n_active = clip.active.sum()
    return np.array(
        [
            clip.duration,
            span,
            clip.voiced.sum() / n_active,
            peaks.sum() / span,
            1.0 - n_active * step / span,
            len(segments) / span,
            segments.mean() if len(segments) else 0.0,
            segments.std() if len(segments) else 0.0,
        ]
    )


def _log_covariance(series: Array, floor: float) -> npt.NDArray[np.float64]:
    """
    Matrix logarithm of the covariance of rows, upper triangle.

    In the logarithm covariances may be averaged and compared as vectors (Arsigny et al. 2006,
    doi 10.1002/mrm.20965); off-diagonal entries count twice, hence their factor. `floor` is added to the variances.
    """
    centred = (series - series.mean(axis=1, keepdims=True)).astype(np.float64)
    values, vectors = np.linalg.eigh(centred @ centred.T / series.shape[1] + floor * np.eye(len(series)))
    logarithm = (vectors * np.log(np.maximum(values, floor / 2))) @ vectors.T
    row, column = np.triu_indices(len(series))
    return logarithm[row, column] * np.where(row == column, 1.0, np.sqrt(2.0))


def _thirds(clip: ClipFrames) -> npt.NDArray[np.float64]:
    """Mean spectrum and F0 of the first, second and last third of the active frames, relative to the whole."""
    whole = clip.log_mel[:, clip.active].mean(axis=1)
    pitch = clip.log_f0[clip.voiced].mean() if clip.voiced.any() else 0.0
    parts, courses = [], []
    for frames in np.array_split(np.flatnonzero(clip.active), 3):
        parts.append(clip.log_mel[:, frames].mean(axis=1) - whole if len(frames) else np.zeros_like(whole))
        voiced = frames[clip.voiced[frames]]
        courses.append(clip.log_f0[voiced].mean() - pitch if len(voiced) else 0.0)
    return np.concatenate([*parts, courses])


def _modulation(clip: ClipFrames) -> npt.NDArray[np.float64]:
    """Log power of the fluctuation of 16 bands in 6 ranges of modulation frequency (0.5 to 25 Hz)."""
    course = clip.bands[:, clip.span]
    course = course - course.mean(axis=1, keepdims=True)
    n_fft = max(round(_MODULATION_SECONDS / clip.seconds_per_frame), course.shape[1])
    power = np.abs(np.fft.rfft(course, n=n_fft, axis=1)) ** 2 / course.shape[1]
    frequencies = np.fft.rfftfreq(n_fft, clip.seconds_per_frame)
    ranges = []
    for low, high in pairwise(_MODULATION_EDGES):
        inside = (frequencies >= low) & (frequencies < high)
        ranges.append(power[:, inside].mean(axis=1) if inside.any() else np.zeros(len(power)))
    return np.log(np.concatenate(ranges) + 1e-3)


# Name -> how to compute it.
CLIP_VALUES: dict[str, Callable[[ClipFrames], npt.NDArray[np.float64]]] = {
    "timing": _timing,
    "band_covariance": lambda clip: _log_covariance(clip.bands[:, clip.active], 1.0),
    "band_delta_covariance": lambda clip: _log_covariance(delta(clip.bands)[:, clip.active], 0.05),
    "mfcc_covariance": lambda clip: _log_covariance(clip.frames["mfcc"][:_N_CEPSTRA, clip.active], 1.0),
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
