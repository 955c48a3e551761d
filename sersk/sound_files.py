"""Bytes -> samples as they are stored, and back: the only file that opens audio."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.float32]

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
# Of what comes through a pipe, this much stays in memory.
_KEPT_BYTES = 2**24
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


def encode_audio(waveform: Samples, sr: int, container: str, subtype: str, **options: Any) -> io.BytesIO:
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


class Sound:
    """
    Read an open sound file from its start on; `open_sound` makes it.

    Parameters
    ----------
    name : str
        What messages call it.
    file : str or binary file object
        What is read.
    decoder : soundfile.SoundFile
        Opened on that file.

    Attributes
    ----------
    rate : int
        Sampling rate in Hz.
    n_channels : int
        Number of channels.
    n_samples : int
        Length that the file promises, in samples of one channel.
    """

    def __init__(self, name: str, file: str | IO[bytes], decoder: Any) -> None:
        if decoder.frames >= _UNKNOWN_FRAMES:
            raise AudioError(name, "is a stream that does not say how long it is; convert it to WAV or FLAC anew")
        if decoder.format == "RAW":  # a guess from an extension like .au, made of any bytes
            raise AudioError(name, _why_undecodable(file, "no known header"))
        self.rate, self.n_channels, self.n_samples = decoder.samplerate, decoder.channels, decoder.frames
        self._name, self._file, self._decoder = name, file, decoder
        self._missing = 0

    def skip(self, n_samples: int) -> None:
        """
        Leave out what comes next.

        Parameters
        ----------
        n_samples : int
            How much; at the end of the file there is no more.
        """
        self._decoder.seek(min(self._decoder.tell() + n_samples, self.n_samples))

    def read(self, n_samples: int | None = None) -> Samples:
        """
        Read what comes next.

        Parameters
        ----------
        n_samples : int, default=None
            How much at the most; None means all the rest.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_channels), float32
            Empty at the end.
        """
        left = self.n_samples - self._decoder.tell()
        due = left if n_samples is None else min(n_samples, left)
        samples: Samples = self._decoder.read(due, dtype="float32")
        self._missing = due - len(samples)
        return samples

    def check_end(self) -> None:
        """
        Find out, when all that is wanted has been read, that there should have been more.

        Raises
        ------
        AudioError
            If the file is truncated.
        """
        for declared, found in _CUT_SHORT.findall(self._decoder.extra_info):
            if _UNKNOWN_LENGTH > int(declared) > int(found):
                reason = f"is truncated: {found} of the {declared} bytes that its header promises"
                raise AudioError(self._name, reason)
        is_short = self._missing > 0
        if is_short and self._decoder.format == "MP3":
            is_short = self._missing > _MP3_FRAME and _mp3_knows_its_length(self._file)
        if is_short:
            decoded = f"{self._decoder.tell()} of {self.n_samples} samples could be decoded"
            raise AudioError(self._name, f"is truncated: {decoded}")
        if self._decoder.format == "OGG" and not _ends_as_ogg(_read_part(self._file, -_OGG_PAGE)):
            raise AudioError(self._name, "is truncated: its last Ogg page is missing or cut")


def check_path(name: str, path: str | os.PathLike[str]) -> None:
    """
    Find out what stands in the way of opening a file.

    Parameters
    ----------
    name : str
        What messages call it.
    path : str or PathLike
        The file.

    Raises
    ------
    AudioError
        If it is missing, unreadable, a folder, or empty.
    """
    try:
        is_folder = Path(path).is_dir()
        is_empty = not is_folder and not _read_part(str(path), 1)
    except FileNotFoundError:
        raise AudioError(name, "no such file") from None
    except (OSError, ValueError) as error:  # a ValueError: a path that no file system takes
        raise AudioError(name, f"cannot be read ({getattr(error, 'strerror', error)})") from error
    if is_folder:
        raise AudioError(name, "is a folder; give the files in it")
    if is_empty:
        raise AudioError(name, "is empty (0 bytes)")


@contextlib.contextmanager
def open_sound(name: str, source: str | os.PathLike[str] | IO[bytes]) -> Iterator[Sound]:
    """
    Open a sound file, whatever its format and its name.

    Parameters
    ----------
    name : str
        What messages call it.
    source : str, PathLike or binary file object
        What to open; a file object is read from its start on, and stays open. What cannot go back, such as a pipe, is
        read to its end first; much of it is kept on disk for that time.

    Yields
    ------
    Sound
        To read from, in a ``with`` block.

    Raises
    ------
    AudioError
        If the source is missing, unreadable, empty or not audio; within the block, if decoding breaks off.
    """
    import soundfile as sf

    with contextlib.ExitStack() as stack:
        file: Any
        if isinstance(source, str | os.PathLike):
            check_path(name, source)
            path = Path(source)
            file = stack.enter_context(path.open("rb")) if path.suffix.lower() == ".raw" else str(path)
        else:
            file = _check_file_object(name, source, stack)
        try:
            yield Sound(name, file, stack.enter_context(sf.SoundFile(_without_name(file))))
        except sf.LibsndfileError as error:
            raise AudioError(name, _why_undecodable(file, error.error_string)) from error


def _check_file_object(name: str, source: Any, stack: contextlib.ExitStack) -> IO[bytes]:
    """Give a binary file object at its start, or its content where it cannot go back."""
    try:
        if hasattr(source, "read") and isinstance(source.read(0), bytes):
            if hasattr(source, "seekable") and source.seekable():
                source.seek(0)
                return source
            content: Any = tempfile.SpooledTemporaryFile(_KEPT_BYTES)  # noqa: SIM115
            stack.enter_context(content)
            shutil.copyfileobj(source, content)
            content.seek(0)
            return content
    except (OSError, ValueError) as error:  # a ValueError: it has been closed
        raise AudioError(name, f"cannot be read ({error})") from error
    got = type(source).__name__
    raise AudioError(name, f"expected a path, a binary file object or a (waveform, sr) pair, got {got}")


def _without_name(file: str | IO[bytes]) -> Any:
    """Hide the name of a file object: if it ends in .raw, soundfile asks us what the file holds."""
    if isinstance(file, str):
        return file
    return SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell)


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
