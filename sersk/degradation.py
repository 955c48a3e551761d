"""Waveform -> what a worse recording, a room or a line would have left of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple, Self

import numpy as np

from .audio import encode_audio, fit_length, load_audio
from .augmentation import WAVEFORM_METHODS, generator
from .clips import DerivedClip, clip_source
from .filterbanks import Array

_TELEPHONE_SR = 8000
_TELEPHONE_BAND = (300.0, 3400.0)
# Samples that LAME's encoder and an MP3 decoder put before the first: 576 and 529.
_MP3_DELAY = 1105
_TAPS = 255  # of the telephone's filter: 32 ms, which makes its edges some 100 Hz wide


def _just_so(waveform: Array, sr: int, random: np.random.Generator, level: float) -> Array:
    return waveform


def _alter(method: str, waveform: Array, sr: int, random: np.random.Generator, level: float) -> Array:
    """Do what `ClipAugmenter` does, with nothing drawn of how much."""
    return WAVEFORM_METHODS[method](waveform, sr, random, (level, level))


def _telephone(waveform: Array, sr: int, random: np.random.Generator, level: float) -> Array:
    """Filter (half the amplitude is left at both edges), go down to 8 kHz, and round to the 8 bits of mu-law."""
    from scipy.signal import oaconvolve

    narrow = load_audio((waveform, sr), _TELEPHONE_SR)
    band = oaconvolve(narrow, _telephone_filter(), mode="same")  # its middle is the sample itself: no delay
    return load_audio(encode_audio(band, _TELEPHONE_SR, "WAV", "ULAW"), sr)


@lru_cache(maxsize=1)
def _telephone_filter() -> Array:
    from scipy.signal import firwin

    taps: Array = firwin(_TAPS, _TELEPHONE_BAND, fs=_TELEPHONE_SR, pass_zero=False).astype(np.float32)
    return taps


class _Codec(NamedTuple):
    """Say what libsndfile is to write, and what its compression levels from 0 to 1 mean."""

    container: str
    subtype: str
    rates: tuple[int, ...]  # Hz; the lowest that is not below the clip's is taken, or the last
    best: float
    worst: float
    mode: str | None = None


# libsndfile 1.2 takes the levels for these bit rates in kbit/s, and qualities of Vorbis. MP3 is that of MPEG-2.
_CODECS = {
    "mp3": _Codec("MP3", "MPEG_LAYER_III", (16000, 22050, 24000), 160, 8, "CONSTANT"),
    "vorbis": _Codec("OGG", "VORBIS", (8000, 11025, 16000, 22050, 32000, 44100, 48000), 10, 0),
    "opus": _Codec("OGG", "OPUS", (8000, 12000, 16000, 24000, 48000), 256, 6),
}


def _code(name: str, waveform: Array, sr: int, random: np.random.Generator, level: float) -> Array:
    """Encode and decode, and take the encoder's delay away where libsndfile does not."""
    codec = _CODECS[name]
    rate = next((rate for rate in codec.rates if rate >= sr), codec.rates[-1])
    # A little more than asked for, since libsndfile cuts off fractions of a kbit/s.
    compression = (codec.best - min(level + 1e-3, codec.best)) / (codec.best - codec.worst)
    options = {"compression_level": compression, "bitrate_mode": codec.mode}
    samples = load_audio((waveform, sr), rate)
    coded = load_audio(encode_audio(samples, rate, codec.container, codec.subtype, **options), rate)
    if len(coded) > len(samples):  # at low bit rates a frame has no room for the tag that tells length and delay
        coded = coded[_MP3_DELAY:]
    return load_audio((coded, rate), sr)


def _reverberate(waveform: Array, sr: int, random: np.random.Generator, level: float) -> Array:
    """
    Put a clip into a room that is drawn for it: the direct sound, and as much energy of its reverberation.

    That is the balance at the critical distance. The room's response is Polack's: Gaussian noise that falls by 60 dB
    in the reverberation time.
    """
    from scipy.signal import oaconvolve

    n_samples = max(round(level * sr), 1)
    tail = random.standard_normal(n_samples) * 10 ** (-3 * np.arange(n_samples) / n_samples)
    response = np.concatenate([[1.0], tail / np.linalg.norm(tail)])[: len(waveform)]
    return oaconvolve(waveform, response)


def _clip(waveform: Array, sr: int, random: np.random.Generator, level: float) -> Array:
    """Cut off what is above the level that a share of the samples exceeds; digital silence does not count."""
    limit = np.quantile(np.abs(waveform[waveform != 0]), 1 - level / 100)
    return np.clip(waveform, -limit, limit)


class _Kind(NamedTuple):
    """Say what is done, in words, too, and from what level to what."""

    degrade: Callable[[Array, int, np.random.Generator, float], Array]
    told: str
    lowest: float | None = None
    highest: float | None = None


_KINDS = {
    "clean": _Kind(_just_so, "as recorded"),
    "noise": _Kind(partial(_alter, "noise"), "white noise, {:g} dB SNR", -100, 100),
    "telephone": _Kind(_telephone, "telephone: 300-3400 Hz, mu-law"),
    "mp3": _Kind(partial(_code, "mp3"), "MP3, {:g} kbit/s", 16, 160),
    "vorbis": _Kind(partial(_code, "vorbis"), "Ogg Vorbis, quality {:g}", 0, 10),
    "opus": _Kind(partial(_code, "opus"), "Ogg Opus, {:g} kbit/s", 6, 256),
    "reverb": _Kind(_reverberate, "reverberation, RT60 {:g} s", 0.01, 10),
    "clip": _Kind(_clip, "{:g} % of the samples clipped", 0, 100),
    "gain": _Kind(partial(_alter, "gain"), "gain {:+g} dB", -100, 100),
}


@dataclass(frozen=True)
class Condition:
    """
    Name what is done to clips, and how much.

    Parameters
    ----------
    kind : str
        "clean": nothing. "noise": white Gaussian noise. "telephone": the band from 300 to 3400 Hz, 8 kHz, and mu-law.
        "mp3", "vorbis", "opus": lossy compression. "reverb": a room. "clip": clipping. "gain": another level, without
        any clipping.
    level : float, default=None
        Of "noise" the signal-to-noise ratio in dB, of "mp3" (16 to 160) and "opus" (6 to 256) the bit rate in kbit/s,
        of "vorbis" the quality (0 to 10), of "reverb" the time in s in which it falls by 60 dB (RT60), of "clip" the
        share of the samples in percent, of "gain" dB. None for the others.

    Raises
    ------
    ValueError
        If there is no such kind, or the level is out of range.

    Notes
    -----
    The signal's power is its mean over all samples that are not zero, pauses included. The band is that of telephony
    (ITU-T G.712), mu-law that of G.711. MP3 is encoded by LAME at a constant bit rate, at 16 to 24 kHz. A room is
    noise that decays exponentially (Moorer 1979, "About this reverberation business", doi 10.2307/3680280; Polack
    1988), another for each clip, with the direct sound and the reverberation of equal energy.

    Examples
    --------
    >>> from sersk.degradation import Condition
    >>> one = Condition("noise", 10)
    >>> one.name, one.description
    ('noise-10', 'white noise, 10 dB SNR')
    >>> Condition.named("gain-20")
    Condition(kind='gain', level=-20.0)
    """

    kind: str
    level: float | None = None

    @classmethod
    def named(cls, name: str) -> Self:
        """
        Make the condition of a name.

        Parameters
        ----------
        name : str
            Such as ``"telephone"``, ``"noise-10"``, ``"gain-20"`` or ``"gain+20"``.

        Returns
        -------
        Condition
            The condition.

        Raises
        ------
        ValueError
            If it is no such name, or the level is out of range.
        """
        kind = next((kind for kind in _KINDS if name.startswith(kind)), name)
        number = name.removeprefix(kind)
        if not number:
            return cls(kind)
        number = number if kind == "gain" else number.removeprefix("-")  # of others the hyphen is no sign
        try:
            level = float(number)
        except ValueError as error:
            raise ValueError(f"Condition {name!r}: expected a number at its end, got {number!r}.") from error
        return cls(kind, level)

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"There is no condition {self.kind!r}; choose one of {', '.join(_KINDS)}.")
        lowest, highest = _KINDS[self.kind][2:]
        if lowest is None or highest is None:
            if self.level is not None:
                raise ValueError(f"Condition {self.kind!r} has no level, got {self.level!r}.")
        elif self.level is None or not lowest <= self.level <= highest:
            wanted = f"expected a level from {lowest:g} to {highest:g}"
            raise ValueError(f"Condition {self.kind!r}: {wanted}, got {self.level!r}.")

    @property
    def name(self) -> str:
        """Short name, such as ``"noise-10"``."""
        if self.level is None:
            return self.kind
        return f"gain{self.level:+g}" if self.kind == "gain" else f"{self.kind}-{self.level:g}"

    @property
    def description(self) -> str:
        """What is done, for people."""
        return _KINDS[self.kind].told.format(self.level)


CLEAN = Condition("clean")
CONDITIONS = (
    CLEAN,
    *(Condition("noise", snr) for snr in (20, 10, 5, 0)),
    Condition("telephone"),
    *(Condition("mp3", rate) for rate in (32, 16)),
    Condition("vorbis", 0),
    *(Condition("reverb", seconds) for seconds in (0.5, 1)),
    Condition("clip", 10),
    *(Condition("gain", decibels) for decibels in (-20, 20)),
)


def degrade(waveform: Array, sr: int, condition: Condition, seed: int) -> Array:
    """
    Degrade a waveform.

    Parameters
    ----------
    waveform : ndarray of shape (n_samples,), float32
        Not changed.
    sr : int
        Its sampling rate in Hz.
    condition : Condition
        What is done.
    seed : int
        Not negative. What is drawn depends on it, the kind of condition and the samples: the noise at one ratio is
        that at another, only louder.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Every sample in its place; what is silent throughout stays so.

    Raises
    ------
    AudioError
        If the libsndfile that is installed cannot write the format of the condition.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.degradation import Condition, degrade
    >>> degrade(np.arange(1, 6, dtype=np.float32), 16000, Condition("clip", 50), seed=0).tolist()
    [1.0, 2.0, 3.0, 3.0, 3.0]
    """
    if not waveform.any():
        return waveform
    random = generator(seed, f"degraded by {condition.kind}", 0, waveform)
    level = 0.0 if condition.level is None else float(condition.level)
    degraded = _KINDS[condition.kind].degrade(waveform, sr, random, level)
    return fit_length(degraded, len(waveform)).astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class DegradedClip(DerivedClip):
    """
    Stand in a list of clips for a degraded one, made by the worker that extracts it.

    Parameters
    ----------
    clip : clip
        What is degraded: whatever may stand in a list of clips.
    condition : Condition
        What is done.
    seed : int
        Not negative.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.degradation import Condition, DegradedClip
    >>> DegradedClip(np.full(4, 5.0), Condition("gain", -20), seed=0).waveform(16000).tolist()
    [0.5, 0.5, 0.5, 0.5]
    """

    condition: Condition
    seed: int

    def waveform(self, sr: int) -> Array:
        """
        Read the clip and degrade it.

        Parameters
        ----------
        sr : int
            Sampling rate in Hz.

        Returns
        -------
        ndarray of shape (n_samples,), float32
            The degraded clip.

        Raises
        ------
        AudioError
            If the clip cannot be read, or the installed libsndfile cannot write the format of the condition.
        """
        return degrade(load_audio(clip_source(self.clip, sr), sr), sr, self.condition, self.seed)
