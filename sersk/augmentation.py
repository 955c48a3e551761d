"""Waveform -> altered waveform, frames -> masked frames: what gives a model more clips to learn from."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from .audio import fit_length, load_audio
from .clips import DerivedClip, clip_source
from .filterbanks import Array

Limits = tuple[float, float]
# Window of the phase vocoder: some periods of a low voice, and no longer, so that consonants stay where they are.
_VOCODER_SECONDS = 0.064


def _add_noise(waveform: Array, sr: int, random: np.random.Generator, snr: Limits) -> Array:
    """
    Add white Gaussian noise at a signal-to-noise ratio in dB; what is silent throughout stays silent.

    The signal's power is its mean over the samples that are not zero: digital silence around the speech does not count.
    """
    n_sounding = max(int(np.count_nonzero(waveform)), 1)
    power = float(np.square(waveform, dtype=np.float64).sum()) / n_sounding
    level = np.sqrt(power) * 10 ** (-random.uniform(*snr) / 20)
    return waveform + np.float32(level) * random.standard_normal(len(waveform), dtype=np.float32)


def _stretch_time(waveform: Array, sr: int, random: np.random.Generator, rate: Limits) -> Array:
    """Change the tempo and leave the pitch alone; a rate above 1 is faster."""
    drawn = _ratio(random, rate)
    return _vocode(waveform, sr, drawn)[: max(round(len(waveform) / drawn), 1)]


def _shift_pitch(waveform: Array, sr: int, random: np.random.Generator, semitones: Limits) -> Array:
    """Change the pitch and leave the tempo alone; formants move along, as if the speaker were smaller or larger."""
    rate = 2.0 ** (-random.uniform(*semitones) / 12)
    return fit_length(load_audio((_vocode(waveform, sr, rate), sr / rate), sr), len(waveform))


def _change_speed(waveform: Array, sr: int, random: np.random.Generator, factor: Limits) -> Array:
    """Play faster or slower, as a tape, so that the pitch goes along; a factor above 1 is faster and higher."""
    return load_audio((waveform, sr * _ratio(random, factor)), sr)


def _shift_time(waveform: Array, sr: int, random: np.random.Generator, seconds: Limits) -> Array:
    """Move the clip; zeros move in and what moves out is lost, but never more than half. Above 0 is later."""
    most = len(waveform) // 2
    later = int(np.clip(round(random.uniform(*seconds) * sr), -most, most))
    moved = np.zeros_like(waveform)
    if later >= 0:
        moved[later:] = waveform[: len(waveform) - later]
    else:
        moved[:later] = waveform[-later:]
    return moved


def _change_gain(waveform: Array, sr: int, random: np.random.Generator, decibels: Limits) -> Array:
    """Make it louder or softer; nothing is clipped at 1, which would add a distortion that nobody asked for."""
    return waveform * np.float32(10 ** (random.uniform(*decibels) / 20))


# By the names that `ClipAugmenter` has for them: (waveform, sr in Hz, what is drawn from, limits) -> waveform. Speed is
# that of Ko et al. 2015 (doi 10.21437/Interspeech.2015-711); stretch and pitch are librosa's phase vocoder (Dolson
# 1986, "The phase vocoder: a tutorial").
WAVEFORM_METHODS: dict[str, Callable[[Array, int, np.random.Generator, Limits], Array]] = {
    "noise": _add_noise,
    "stretch": _stretch_time,
    "pitch": _shift_pitch,
    "speed": _change_speed,
    "shift": _shift_time,
    "gain": _change_gain,
}


@dataclass(frozen=True, eq=False)
class AlteredClip(DerivedClip):
    """
    Stand in a list of clips for an altered copy of a clip, made by the worker that extracts it.

    What is drawn depends on the seed, the method, the copy's number and the samples of the clip only: not on its path,
    its place among other clips or who works.

    Parameters
    ----------
    clip : clip
        What is altered: whatever may stand in a list of clips.
    method : str
        Key of ``WAVEFORM_METHODS``.
    limits : (float, float)
        Range that the method draws from.
    seed : int
        Not negative.
    copy : int, default=0
        Number that tells this copy from others by the same method.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.augmentation import AlteredClip
    >>> AlteredClip(np.ones(4), "gain", (-6.0, -6.0), seed=0).waveform(16000).round(2).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    method: str
    limits: Limits
    seed: int
    copy: int = 0

    def waveform(self, sr: int) -> Array:
        """
        Read the clip and alter it.

        Parameters
        ----------
        sr : int
            Sampling rate in Hz.

        Returns
        -------
        ndarray of shape (n_samples,), float32
            The altered clip.

        Raises
        ------
        AudioError
            If the clip cannot be read.
        """
        waveform = load_audio(clip_source(self.clip, sr), sr)
        random = generator(self.seed, self.method, self.copy, waveform)
        return WAVEFORM_METHODS[self.method](waveform, sr, random, self.limits)


def alter_clips(clips: Sequence[Any], method: str, limits: Limits, seed: int, copy: int = 0) -> list[AlteredClip]:
    """
    Make a copy of each clip that will be altered when it is extracted.

    Parameters
    ----------
    clips : sequence
        Clips; none is opened.
    method : str
        Key of ``WAVEFORM_METHODS``.
    limits : (float, float)
        Range that the method draws from, anew for each clip.
    seed : int
        Not negative.
    copy : int, default=0
        Number that tells these copies from others by the same method.

    Returns
    -------
    list of AlteredClip
        One a clip.
    """
    if method in ("stretch", "pitch"):
        _compile_vocoder()
    return [AlteredClip(clip, method, limits, seed, copy) for clip in clips]


def mask_frames(
    frames: Array, random: np.random.Generator, time: float, frequency: float, fill: float | None = 0.0
) -> Array:
    """
    Hide a stripe of frames and a stripe of descriptors.

    The widths are drawn from 0 to the shares given, then the places: the masks of SpecAugment (Park et al. 2019, doi
    10.21437/Interspeech.2019-2680).

    Parameters
    ----------
    frames : ndarray of shape (n_frames, n_descriptors)
        One clip. Frames of NaN at its end are padding: they do not count, and stay as they are.
    random : numpy.random.Generator
        What is drawn from.
    time : float
        Share of the frames that is hidden at the most, in [0, 1].
    frequency : float
        Share of the descriptors that is hidden at the most, in [0, 1].
    fill : float or None, default=0.0
        What the stripes are filled with. 0 is right where each descriptor has mean 0; None takes the mean of each
        descriptor over the clip.

    Returns
    -------
    ndarray of shape (n_frames, n_descriptors)
        A copy of the same type.
    """
    masked = frames.copy()
    valid = masked[: count_frames(frames)]
    if not len(valid):
        return masked
    filling = valid.mean(axis=0) if fill is None else np.full(frames.shape[1], fill)
    rows = _stripe(random, len(valid), time)
    columns = _stripe(random, frames.shape[1], frequency)
    valid[rows] = filling
    valid[:, columns] = filling[columns]
    return masked


def count_frames(frames: Array) -> npt.NDArray[np.intp]:
    """
    Count the frames of clips before their padding.

    Parameters
    ----------
    frames : ndarray of shape (..., n_frames, n_descriptors)
        One clip or many. Frames of NaN at the end are padding.

    Returns
    -------
    ndarray of shape (...)
        Number of the others; for one clip a single number.
    """
    counts: npt.NDArray[np.intp] = frames.shape[-2] - np.isnan(frames[..., 0]).sum(axis=-1)
    return counts


def generator(seed: int, method: str, copy: int, content: Array) -> np.random.Generator:
    """
    Make what is drawn from for one copy of one clip.

    Parameters
    ----------
    seed : int
        Not negative.
    method : str
        Name of the method.
    copy : int
        Number of the copy by that method.
    content : ndarray
        Samples or frames of the clip.

    Returns
    -------
    numpy.random.Generator
        The same for the same arguments.
    """
    digest = hashlib.sha256(np.ascontiguousarray(content).data).digest()
    return np.random.default_rng([seed, zlib.crc32(method.encode()), copy, int.from_bytes(digest[:16])])


def _ratio(random: np.random.Generator, limits: Limits) -> float:
    """Draw a ratio: twice as fast is as likely as half as fast."""
    return float(np.exp(random.uniform(*np.log(limits))))


def _stripe(random: np.random.Generator, length: int, share: float) -> slice:
    width = random.integers(int(share * length), endpoint=True)
    first = random.integers(length - width, endpoint=True)
    return slice(first, first + width)


def _vocode(waveform: Array, sr: int, rate: float) -> Array:
    """Return what ``librosa.effects.time_stretch`` does, which in librosa 1.0 warns of its own call."""
    import librosa

    n_fft = 2 ** round(np.log2(_VOCODER_SECONDS * sr))
    padded = np.pad(waveform, (0, max(n_fft - len(waveform), 0)))  # at least one window
    with np.errstate(invalid="ignore"):  # librosa 1.0 casts memory that it has not written yet
        stretched = librosa.phase_vocoder(librosa.stft(padded, n_fft=n_fft), rate=rate)
    vocoded: Array = librosa.istft(stretched, n_fft=n_fft, dtype=waveform.dtype, length=round(len(padded) / rate))
    return vocoded


@lru_cache(maxsize=1)
def _compile_vocoder() -> None:
    """Compile librosa's functions here, once, for the reason that `extract` has (numba issue 10128)."""
    _shift_pitch(np.zeros(2048, dtype=np.float32), 16000, np.random.default_rng(0), (1.0, 1.0))
