"""Bytes -> waveform, and back: the only file that opens audio."""

from __future__ import annotations

import io
import os
import re
import reprlib
from numbers import Real
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

Waveform: TypeAlias = npt.NDArray[np.float32]
AudioSource: TypeAlias = "str | os.PathLike[str] | IO[bytes] | tuple[npt.ArrayLike, float]"

# libsndfile reads what is there of a cut WAV, AIFF, AU, W64 or RF64 file and notes the difference in its log.
_CUT_SHORT = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
# A recorder that writes to a pipe cannot know the length; it leaves one of the largest values in the header.
_UNKNOWN_LENGTH = 0x7FFF0000
# Likewise in FLAC; then libsndfile says the largest number of samples there is, and cannot find the end.
_UNKNOWN_FRAMES = 2**62
# Some encoders count one frame too many in an MP3's Xing header.
_MP3_FRAME = 1152
# How the files begin that libsndfile would have read, had they been whole; the last five are MP3.
_HEADS = (
    b"RIFF",
    b"FORM",
    b"fLaC",
    b"OggS",
    b"RF64",
    b"riff",
    b"caff",
    b"ID3",
    b"\xff\xfb",
    b"\xff\xfa",
    b"\xff\xf3",
    b"\xff\xf2",
)
# The longest page of an Ogg stream (RFC 3533).
_OGG_PAGE = 65307
# Written in one piece, a long clip overruns the stack in libvorbis (libsndfile issue 1095).
_PIECE = 16384


class AudioError(ValueError):
    """
    Say which audio could not be used, and why.

    Parameters
    ----------
    source : str
        File path, or a description of what was given in its place.
    reason : str
        The cause, with the cure where there is one.

    Examples
    --------
    >>> from sersk import AudioError, load_audio
    >>> try:
    ...     load_audio("missing.wav")
    ... except AudioError as error:
    ...     print(error)
    missing.wav: no such file
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(source, reason)
        self.source = source
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: {self.reason}"


def load_audio(source: AudioSource, sr: int = 16000, offset: float = 0.0, duration: float | None = None) -> Waveform:
    """
    Read one clip as a mono waveform at the wanted sampling rate.

    The format is told by the content, never by the extension: WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF and whatever
    else libsndfile reads. Channels are averaged and the rate is changed by soxr's high-quality resampler, which gives
    the numbers of ``librosa.load``.

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
        If the source is missing, unreadable, empty, not audio, truncated, without samples after `offset`, or holds
        NaN or infinity. The message names the file and the cause.
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
    if samples.ndim > 1:
        with np.errstate(over="ignore", invalid="ignore"):  # infinities are told of below
            samples = samples.mean(axis=1)
    _check_finite(name, samples)
    return _resample(samples, rate, sr)


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
    _check_finite(name, samples)
    return samples.reshape(len(samples), -1), rate


def _read(name: str, source: Any, offset: float, duration: float | None) -> tuple[Waveform, float]:
    """Return the samples of a part, one or more of shape (n_samples,) or (n_samples, n_channels), and their rate."""
    if isinstance(source, tuple):
        samples, rate = _take_pair(name, source)
        total, start = len(samples), int(offset * rate)
        samples = samples[start : None if duration is None else start + int(duration * rate)]
    else:
        samples, rate, total = _decode(name, source, offset, duration)
    if not len(samples):
        part = f"after the offset of {offset:g} s" if duration is None else f"in {duration:g} s from {offset:g} s on"
        raise AudioError(name, f"has no sample {part} (it lasts {total / rate:.3g} s)" if total else "holds no samples")
    return samples, rate


def _check_finite(name: str, samples: Waveform) -> None:
    """Refuse NaN and infinity."""
    with np.errstate(over="ignore", invalid="ignore"):
        checksum = samples.sum()
    # One pass finds out that all is well; only a doubt pays for a closer look.
    if not np.isfinite(checksum) and not np.isfinite(samples).all():
        bad = int(np.argwhere(~np.isfinite(samples))[0][0])
        raise AudioError(name, f"holds NaN or infinity (first at sample {bad})")


def encode_audio(waveform: Waveform, sr: int, container: str, subtype: str, **options: Any) -> io.BytesIO:
    """
    Write a waveform as a file in memory.

    Parameters
    ----------
    waveform : ndarray of shape (n_samples,), float32
        In [-1, 1]; what is beyond is clipped.
    sr : int
        Its sampling rate in Hz, one that the format allows.
    container, subtype : str
        The format by libsndfile's names, such as "OGG" and "VORBIS".
    **options : dict
        `compression_level` and `bitrate_mode` of soundfile.

    Returns
    -------
    BytesIO
        The file; `load_audio` takes it.

    Raises
    ------
    AudioError
        If the libsndfile that is installed cannot write this format.
    """
    import soundfile as sf

    if not sf.check_format(container, subtype):
        reason = f"libsndfile {sf.__libsndfile_version__} cannot write {container} ({subtype})"
        raise AudioError("<waveform>", f"{reason}; that in soundfile's own wheels can: pip install soundfile")
    file = io.BytesIO()
    with sf.SoundFile(file, "w", sr, 1, subtype, format=container, **options) as audio:
        for first in range(0, len(waveform), _PIECE):
            audio.write(np.clip(waveform[first : first + _PIECE], -1, 1))
    return file


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


def source_name(source: object) -> str:
    """
    Name a clip as messages do.

    Parameters
    ----------
    source : object
        Path, file object, pair, or anything else.

    Returns
    -------
    str
        The path, the file object's own name, or what it is.
    """
    if isinstance(source, str | os.PathLike):
        return str(os.fspath(source))
    if isinstance(source, tuple):
        return "<(waveform, sr) pair>"
    return str(getattr(source, "name", f"<{type(source).__name__}>"))


def _resample(samples: Waveform, rate: float, sr: int) -> Waveform:
    """Change the rate as ``librosa.resample`` does: soxr HQ, the same rounding of the length."""
    if rate == sr:
        return np.ascontiguousarray(samples)
    import soxr

    wanted = int(np.ceil(len(samples) * (sr / rate)))
    return fit_length(soxr.resample(samples, rate, sr, quality="HQ"), wanted)


def _take_pair(name: str, pair: tuple[Any, ...]) -> tuple[Waveform, float]:
    """Check a (waveform, sr) pair and scale integers to [-1, 1]."""
    if len(pair) != 2:
        raise AudioError(name, f"expected (waveform, sr), got a tuple of {len(pair)}")
    rate = pair[1]
    if not isinstance(rate, Real) or not 0 < float(rate) < np.inf:
        raise AudioError(name, f"expected (waveform, sr) with sr in Hz, got sr={reprlib.repr(rate)}")
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


def _decode(name: str, source: Any, offset: float, duration: float | None) -> tuple[Waveform, float, int]:
    """Return the samples from `offset` on, their rate in Hz and the number of samples that the whole file has."""
    import soundfile as sf

    if isinstance(source, str | os.PathLike):
        file: Any = _check_path(name, Path(source))
    else:
        file = _check_file_object(name, source)
    try:
        with sf.SoundFile(file) as audio:
            rate, promised = audio.samplerate, audio.frames
            for declared, found in _CUT_SHORT.findall(audio.extra_info):
                if _UNKNOWN_LENGTH > int(declared) > int(found):
                    raise AudioError(name, f"is truncated: {found} of the {declared} bytes that its header promises")
            if promised >= _UNKNOWN_FRAMES:
                raise AudioError(name, "is a stream that does not say how long it is; convert it to WAV or FLAC anew")
            if audio.format == "RAW":  # a guess from an extension like .au, made of any bytes
                raise AudioError(name, _why_undecodable(file, "no known header"))
            start = min(int(offset * rate), promised)
            audio.seek(start)
            wanted = -1 if duration is None else int(duration * rate)
            samples = audio.read(wanted, dtype="float32")
            due = promised - start if wanted < 0 else min(wanted, promised - start)
            is_short = len(samples) < due
            if is_short and audio.format == "MP3":
                is_short = len(samples) < due - _MP3_FRAME and _mp3_knows_its_length(file)
            if is_short:
                raise AudioError(name, f"is truncated: {start + len(samples)} of {promised} samples could be decoded")
            ogg = audio.format == "OGG"
    except sf.LibsndfileError as error:
        raise AudioError(name, _why_undecodable(file, error.error_string)) from error
    if ogg and not _ends_as_ogg(_read_part(file, -_OGG_PAGE)):
        raise AudioError(name, "is truncated: its last Ogg page is missing or cut")
    return samples, rate, promised


def _check_path(name: str, path: Path) -> str | IO[bytes]:
    """Give the path as a string (or what is in it), or say what stands in the way of opening it."""
    try:
        is_folder = path.is_dir()
        is_empty = not is_folder and not _read_part(str(path), 1)
    except FileNotFoundError:
        raise AudioError(name, "no such file") from None
    except (OSError, ValueError) as error:  # a ValueError: a path that no file system takes
        raise AudioError(name, f"cannot be read ({getattr(error, 'strerror', error)})") from error
    if is_folder:
        raise AudioError(name, "is a folder; give the files in it")
    if is_empty:
        raise AudioError(name, "is empty (0 bytes)")
    # By this extension soundfile would ask us what the file holds, whatever is in it.
    return io.BytesIO(path.read_bytes()) if path.suffix.lower() == ".raw" else str(path)


def _check_file_object(name: str, source: Any) -> IO[bytes]:
    """Give a binary file object at its start, or its content where it cannot go back."""
    try:
        if hasattr(source, "read") and isinstance(source.read(0), bytes):
            if hasattr(source, "seekable") and source.seekable():
                source.seek(0)
                return source
            return io.BytesIO(source.read())
    except (OSError, ValueError) as error:  # a ValueError: it has been closed
        raise AudioError(name, f"cannot be read ({error})") from error
    got = type(source).__name__
    raise AudioError(name, f"expected a path, a binary file object or a (waveform, sr) pair, got {got}")


def _read_part(file: Any, n_bytes: int) -> bytes:
    """Read some bytes from the start of a path or file object, or from its end where `n_bytes` is negative."""
    if isinstance(file, str):
        with Path(file).open("rb") as opened:
            return _read_part(opened, n_bytes)
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size + n_bytes, 0) if n_bytes < 0 else 0)
    return file.read(abs(n_bytes))


def _ends_as_ogg(tail: bytes) -> bool:
    """Tell whether the last page is all there and is marked as the last (RFC 3533); libsndfile plays a cut stream."""
    page = tail[tail.rfind(b"OggS") :]
    return len(page) > 27 and bool(page[5] & 4) and len(page) >= 27 + page[26] + sum(page[27 : 27 + page[26]])


def _mp3_knows_its_length(file: Any) -> bool:
    """Tell whether the first frame, behind any ID3 tag, holds a count; else the length is a guess from the size."""
    head = _read_part(file, 10)
    tag = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    first = _read_part(file, tag + 200)[tag:] if head.startswith(b"ID3") else _read_part(file, 200)
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def _why_undecodable(file: Any, said: str) -> str:
    """Tell from the first bytes why libsndfile refused a file."""
    head = _read_part(file, 64)
    if not head:
        return "is empty (0 bytes)"
    if head.startswith(b"version https://git-lfs"):
        return "is a git-lfs pointer, not the audio itself; fetch it with `git lfs pull`"
    if head[4:8] == b"ftyp":
        return "is MP4/M4A (AAC), which libsndfile does not read; convert it to WAV or FLAC"
    if head.startswith(_HEADS):
        return f"is truncated or damaged ({said.strip()})"
    return f"is not audio that libsndfile can read ({said.strip()})"
