"""Clip -> what its file is like: length, rate, level, clipping, silence."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sersk.audio import AudioError, AudioSource, read_samples, source_name
from sersk.clip_values import active_frames
from sersk.extraction import clip_faults, work_off

LOWEST_DB = -120.0
_FULL_SCALE = 0.99  # even 8 bits, whose largest value is 127 / 128, reach it
_FRAME_S = 0.025


class ClipMeasures(NamedTuple):
    """
    Hold what was measured of one clip, at its own sampling rate.

    Parameters
    ----------
    duration : float
        Length in seconds.
    sr : float
        Sampling rate in Hz.
    channels : int
        Number of channels.
    peak : float
        Largest absolute value of a sample; 1 is full scale.
    level : float
        Root mean square of all samples in dB of full scale, where a square wave of full scale is 0 dB; -120 at the
        lowest.
    clipped : float
        Share of the samples that lie in flat tops: three in a row or more of the same value, 0.99 or more of full
        scale. Flat tops that were turned down afterwards, or bent by MP3, are not seen.
    silence : float
        Share of the frames of 25 ms that are more than 40 dB below the loudest one; 1 where nothing is to be heard.
    digest : str
        The same for the same samples at the same rate, whatever the format that they are stored in without loss;
        channels are averaged.
    """

    duration: float
    sr: float
    channels: int
    peak: float
    level: float
    clipped: float
    silence: float
    digest: str


def measure_clip(source: AudioSource) -> ClipMeasures:
    """
    Measure one clip.

    Parameters
    ----------
    source : str, PathLike, binary file object or (waveform, sr) pair
        As in `sersk.load_audio`.

    Returns
    -------
    ClipMeasures
        All of its channels together, but for silence and digest, which are those of their mean.

    Raises
    ------
    AudioError
        If it cannot be read.

    References
    ----------
    Flat tops are found as by "Find Clipping" of Audacity, which also takes three samples for a start.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.corpora.measurements import measure_clip
    >>> tone = np.clip(2 * np.sin(2 * np.pi * 100 * np.arange(8000) / 8000), -1, 1)
    >>> measured = measure_clip((tone, 8000))
    >>> measured.duration, round(measured.clipped, 2), round(measured.level, 1)
    (1.0, 0.68, -1.1)
    """
    samples, sr = read_samples(source)
    mono = samples.mean(axis=1) + np.float32(0.0)  # turns -0 into 0, whose bytes are other ones
    digest = hashlib.sha256(f"{sr:g} ".encode() + mono.tobytes()).hexdigest()
    return ClipMeasures(
        duration=len(samples) / sr,
        sr=sr,
        channels=samples.shape[1],
        peak=float(np.abs(samples).max()),
        level=float(_decibels(samples.ravel())),
        clipped=float(_flat_tops(samples).mean()),
        silence=_silence(mono, max(round(_FRAME_S * sr), 1)),
        digest=digest,
    )


def measure_clips(
    clips: Sequence[Any], *, n_jobs: int | None = None, verbose: int = 0
) -> Generator[ClipMeasures | AudioError, None, None]:
    """
    Measure clip after clip; of what cannot be read comes its error, in its place.

    Parameters
    ----------
    clips : sequence
        Paths, or whatever else `measure_clip` takes.
    n_jobs : int, default=None
        Number of clips worked on at a time; -1 means all cores.
    verbose : int, default=0
        Progress bar on stderr if positive.

    Yields
    ------
    ClipMeasures or AudioError
        One a clip, in order.
    """
    with closing(work_off(clips, _measure_batch, "audit", n_jobs=n_jobs, verbose=verbose)) as results:
        yield from results


def _measure_batch(batch: Sequence[Any]) -> list[ClipMeasures | AudioError]:
    measured: list[ClipMeasures | AudioError] = []
    for clip in batch:
        try:
            with clip_faults(source_name(clip)):
                measured.append(measure_clip(clip))
        except AudioError as error:
            measured.append(error)
    return measured


def _decibels(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Level along the last axis."""
    power = np.mean(np.square(samples, dtype=np.float64), axis=-1)
    decibels: npt.NDArray[np.float64] = 10 * np.log10(np.maximum(power, 10 ** (LOWEST_DB / 10)))
    return decibels


def _flat_tops(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell for every sample of every channel whether it is clipped."""
    clipped = np.abs(samples) >= _FULL_SCALE
    if not clipped.any():
        return clipped
    flat = clipped[1:] & (samples[1:] == samples[:-1])  # as the one before it
    three = flat[1:] & flat[:-1]
    clipped[:] = False
    for first in range(3):
        clipped[first : first + len(three)] |= three
    return clipped


def _silence(mono: npt.NDArray[np.float32], size: int) -> float:
    if not mono.any():
        return 1.0
    n_frames = max(len(mono) // size, 1)
    log_rms = _decibels(mono[: n_frames * size].reshape(n_frames, -1)).astype(np.float32)
    return float(1 - active_frames(log_rms).mean())
