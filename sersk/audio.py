"""Samples -> waveform: one channel at the wanted sampling rate, of a clip as a whole or of a recording in pieces."""

from __future__ import annotations

import contextlib
import os
import reprlib
from collections.abc import Generator, Iterator
from numbers import Real
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .raw_audio import RawAudio
from .sound_files import AudioError as AudioError
from .sound_files import encode_audio as encode_audio
from .sound_files import open_sound
from .sound_files import source_name as source_name
from .sounds import check_rate

Waveform: TypeAlias = npt.NDArray[np.float32]
AudioSource: TypeAlias = "str | os.PathLike[str] | IO[bytes] | tuple[npt.ArrayLike, float]"

# A recording is read in blocks of a minute, if these are not of more numbers. Windows that come together share what is
# measured, and are predicted together: blocks of a third of this take a tenth more time, longer ones much more memory.
_SECONDS = 64
_BLOCK = 2**21
# Samples beyond this are no audio, whatever its scale: powers of spectra would be no numbers in single precision.
_HIGHEST_PEAK = 1e10


def load_audio(source: AudioSource, sr: int = 16000, offset: float = 0.0, duration: float | None = None) -> Waveform:
    """
    Read one clip as a mono waveform at the wanted sampling rate.

    The format is told by the content, never by the extension: WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF and whatever
    else libsndfile reads; with PyAV (``pip install av``) also what phones and browsers record: M4A and MP4 (AAC, ALAC),
    WebM and Matroska, AAC, AMR, 3GP and WMA, of which the first audio track is taken. Channels are averaged and the
    rate is changed by soxr's high-quality resampler, which gives the numbers of ``librosa.load``.

    Parameters
    ----------
    source : str, PathLike, binary file object or (waveform, sr) pair
        What to read. A waveform is (n_samples,) or (n_samples, n_channels); integers are scaled to [-1, 1].
    sr : int, default=16000
        Sampling rate of the result in Hz.
    offset : float, default=0.0
        Where to start, in seconds.
    duration : float, default=None
        How much to read at the most, in seconds; None reads to the end.

    Returns
    -------
    ndarray of shape (n_samples,), float32
        Mono waveform, at least one sample.

    Raises
    ------
    AudioError
        If the source is missing, unreadable, empty, not audio, truncated, without samples after `offset`, holds NaN,
        infinity or samples beyond 1e10, has a rate outside 100 Hz to 1 MHz, or needs PyAV, which is not installed. The
        message names the file and the cause.
    ValueError
        If `sr` or `duration` is not positive, or `offset` is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk import load_audio
    >>> stereo = np.zeros((48000, 2), dtype=np.int16)
    >>> load_audio((stereo, 48000), sr=16000).shape
    (16000,)
    """
    name = source_name(source)
    if not (0 < sr < np.inf and 0 <= offset < np.inf and (duration is None or 0 < duration < np.inf)):
        raise ValueError(
            "expected sr > 0 (Hz), offset >= 0 and duration > 0 or None (seconds), "
            f"got sr={sr!r}, offset={offset!r}, duration={duration!r}"
        )
    samples, rate = _read(name, source, offset, duration)
    samples = _mix(samples)
    _check_values(name, samples)
    return _resample(samples, rate, sr)


def stream_audio(source: AudioSource | RawAudio, sr: int = 16000) -> Iterator[Waveform]:
    """
    Read a recording of any length as a mono waveform at the wanted sampling rate, piece by piece.

    The pieces, one after another, are what `load_audio` gives, sample for sample; no more than one is in memory.

    Parameters
    ----------
    source : str, PathLike, binary file object, (waveform, sr) pair or RawAudio
        What to read. What comes through a pipe and is not `RawAudio` is read to its end first, on disk for the most
        part, since files of most formats cannot be read otherwise.
    sr : int, default=16000
        Sampling rate of the result in Hz.

    Yields
    ------
    ndarray of shape (n_samples,), float32
        Pieces of some seconds; of `RawAudio` what has arrived since the last one, less 0.12 s at the most that the
        resampler holds back.

    Raises
    ------
    AudioError
        For the reasons of `load_audio`, after what could be read.
    ValueError
        If `sr` is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.audio import stream_audio
    >>> hour = np.zeros((3600 * 500, 2), dtype=np.int16)
    >>> sum(len(piece) for piece in stream_audio((hour, 500), sr=1000))
    3600000
    """
    name = source_name(source)
    if not 0 < sr < np.inf:
        raise ValueError(f"expected sr > 0 (Hz), got sr={sr!r}")
    fault: AudioError | None = None
    resampler: Any = None
    n_read = n_given = 0
    rate: float = sr
    try:
        with contextlib.closing(_blocks(name, source)) as blocks:
            for block, rate in blocks:
                mixed = _mix(block)
                bad = _first_bad(mixed)
                piece = np.ascontiguousarray(mixed[:bad])
                n_read += len(piece)
                if rate != sr:
                    import soxr

                    resampler = resampler or soxr.ResampleStream(rate, sr, 1, dtype="float32", quality="HQ")
                    piece = resampler.resample_chunk(piece)
                    n_given += len(piece)
                if len(piece):
                    yield piece
                if bad is not None:
                    raise _bad_value(name, mixed[bad], n_read)
    except AudioError as error:
        fault = error
    if resampler is not None:
        left = resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)
        yield fit_length(left, _resampled_length(n_read, rate, sr) - n_given)
    if fault is not None:
        raise fault
    if not n_read:
        raise AudioError(name, "holds no samples")


def _blocks(name: str, source: Any) -> Generator[tuple[Waveform, float], None, None]:
    """Read samples of shape (n_samples,) or (n_samples, n_channels), and tell their rate."""
    if isinstance(source, RawAudio):
        with contextlib.closing(source.blocks()) as blocks:
            for block in blocks:
                yield block, source.sr
    elif isinstance(source, tuple):
        samples, rate = _take_pair(name, source)
        size = _block_size(samples.shape[1] if samples.ndim > 1 else 1, rate)
        for first in range(0, len(samples), size):
            yield samples[first : first + size], rate
    else:
        with open_sound(name, source) as sound:
            check_rate(name, sound.rate)
            while len(samples := sound.read(_block_size(sound.n_channels, sound.rate))):
                yield samples, sound.rate
            sound.check_end()


def _block_size(n_channels: int, rate: float) -> int:
    return max(1, min(_BLOCK // n_channels, int(_SECONDS * rate)))


def read_samples(source: AudioSource) -> tuple[npt.NDArray[np.float32], float]:
    """
    Read one clip as it is stored: every channel, at its own sampling rate.

    Parameters
    ----------
    source : str, PathLike, binary file object or (waveform, sr) pair
        What to read, as in `load_audio`.

    Returns
    -------
    samples : ndarray of shape (n_samples, n_channels), float32
        Within [-1, 1], at least one sample; a lossy format may go beyond.
    sr : float
        Sampling rate in Hz.

    Raises
    ------
    AudioError
        As in `load_audio`.
    """
    name = source_name(source)
    samples, rate = _read(name, source, 0.0, None)
    _check_values(name, samples)
    return samples.reshape(len(samples), -1), rate


def _read(name: str, source: Any, offset: float, duration: float | None) -> tuple[Waveform, float]:
    """Return the samples of a part, one or more of shape (n_samples,) or (n_samples, n_channels), and their rate."""
    if isinstance(source, tuple):
        samples, rate = _take_pair(name, source)
        total, start = len(samples), int(offset * rate)
        samples = samples[start : None if duration is None else start + int(duration * rate)]
    else:
        with open_sound(name, source) as sound:
            rate = sound.rate
            check_rate(name, rate)
            sound.skip(int(offset * rate))
            samples = sound.read(None if duration is None else int(duration * rate))
            sound.check_end()
            total = len(samples) or sound.count(_BLOCK)
    if not len(samples):
        part = f"after the offset of {offset:g} s" if duration is None else f"in {duration:g} s from {offset:g} s on"
        raise AudioError(name, f"has no sample {part} (it lasts {total / rate:.3g} s)" if total else "holds no samples")
    return samples, rate


def _mix(samples: Waveform) -> Waveform:
    """Average the channels."""
    if samples.ndim == 1:
        return samples
    with np.errstate(over="ignore", invalid="ignore"):  # infinities are told of by those who look for them
        mixed: Waveform = samples.mean(axis=1)
    return mixed


def _check_values(name: str, samples: Waveform) -> None:
    """Refuse NaN, infinity and what is far from any audio."""
    bad = _first_bad(samples)
    if bad is not None:
        raise _bad_value(name, samples[bad], bad)


def _first_bad(samples: Waveform) -> int | None:
    """Find the first sample that is NaN, infinity or too large."""
    with np.errstate(over="ignore", invalid="ignore"):
        # One pass finds out that all is well; only a doubt pays for a closer look.
        if np.vdot(samples, samples) <= _HIGHEST_PEAK**2:
            return None
        is_good = np.abs(samples) <= _HIGHEST_PEAK
    return None if is_good.all() else int(np.argwhere(~is_good)[0][0])


def _bad_value(name: str, value: Any, first: int) -> AudioError:
    if not np.isfinite(value).all():
        return AudioError(name, f"holds NaN or infinity (first at sample {first})")
    peak = float(np.abs(value).max())
    return AudioError(name, f"holds samples that are no audio ({peak:.3g} at sample {first}); expected -1 to 1")


def fit_length(waveform: Waveform, n_samples: int) -> Waveform:
    """
    Cut what is too long, and put zeros behind what is too short.

    Parameters
    ----------
    waveform : ndarray of shape (any,)
        Left as it is.
    n_samples : int
        Wanted length.

    Returns
    -------
    ndarray of shape (n_samples,)
        The waveform, or a copy of it.
    """
    cut = waveform[:n_samples]
    return np.pad(cut, (0, n_samples - len(cut))) if len(cut) < n_samples else cut


def _resample(samples: Waveform, rate: float, sr: int) -> Waveform:
    """Change the rate as ``librosa.resample`` does: soxr HQ, the same rounding of the length."""
    if rate == sr:
        return np.ascontiguousarray(samples)
    import soxr

    return fit_length(soxr.resample(samples, rate, sr, quality="HQ"), _resampled_length(len(samples), rate, sr))


def _resampled_length(n_samples: int, rate: float, sr: int) -> int:
    return int(np.ceil(n_samples * (sr / rate)))


def _take_pair(name: str, pair: tuple[Any, ...]) -> tuple[Waveform, float]:
    """Check a (waveform, sr) pair and scale integers to [-1, 1]."""
    if len(pair) != 2:
        raise AudioError(name, f"expected (waveform, sr), got a tuple of {len(pair)}")
    rate = pair[1]
    if not isinstance(rate, Real) or not 0 < float(rate) < np.inf:
        raise AudioError(name, f"expected (waveform, sr) with sr in Hz, got sr={reprlib.repr(rate)}")
    check_rate(name, float(rate))
    try:
        waveform = np.asarray(pair[0])
    except ValueError as error:  # lists of unequal lengths
        raise AudioError(name, f"expected a waveform that numpy can hold as an array ({error})") from error
    if waveform.ndim not in (1, 2) or waveform.dtype.kind not in "iuf" or 0 in waveform.shape[1:]:
        raise AudioError(
            name,
            "expected real numbers of shape (n_samples,) or (n_samples, n_channels), "
            f"got {waveform.dtype} of shape {waveform.shape}",
        )
    if waveform.dtype.kind == "u":  # unsigned PCM is centred on the middle of its range
        half = 2.0 ** (8 * waveform.dtype.itemsize - 1)
        return ((waveform - half) / half).astype(np.float32), float(rate)
    if waveform.dtype.kind == "i":
        return (waveform / -float(np.iinfo(waveform.dtype).min)).astype(np.float32), float(rate)
    with np.errstate(over="ignore"):  # what single precision cannot hold becomes infinity, which is told of
        return waveform.astype(np.float32, copy=False), float(rate)
