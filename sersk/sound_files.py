"""Bytes -> samples as they are stored, and back: the only file that opens audio."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import re
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import numpy as np

from .audio_formats import (
    LIBSNDFILE_EXTENSIONS,
    OTHER_FORMATS,
    PYAV_EXTENSIONS,
    PYAV_FORMATS,
    foreign_codec,
    id3_length,
    open_end,
    recognise_format,
)
from .media_files import OGG_PAGE, UNKNOWN_LENGTH, MediaSound, last_ogg_page
from .sounds import AudioError as AudioError
from .sounds import Samples as Samples
from .sounds import Sound as Sound
from .sounds import source_name as source_name

# libsndfile reads what is there of a cut WAV, AIFF, AU, W64 or RF64 file and notes the difference in its log.
_CUT_SHORT = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
# libsndfile's word for the length of a FLAC stream that does not know it: the largest number of samples there is.
_UNKNOWN_FRAMES = 2**62
# Some encoders count one frame too many in an MP3's Xing header.
_MP3_FRAME = 1152
# libsndfile's number for a codec that it does not know in a container that it does.
_UNKNOWN_CODEC = 4
# As much of a file as tells its format.
_HEAD_BYTES = 4096
# The mark of the last page of an Ogg stream, and bytes with their bits in the opposite order.
_OGG_END = 4
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
# Of what comes through a pipe, this much stays in memory.
_KEPT_BYTES = 2**24
# Written in one piece, a long clip overruns the stack in libvorbis (libsndfile issue 1095).
_PIECE = 16384


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


class _SndfileSound(Sound):
    """Read what libsndfile has opened."""

    def __init__(self, name: str, file: Any, n_bytes: int, decoder: Any) -> None:
        n_samples = decoder.frames
        if n_samples >= _UNKNOWN_FRAMES:
            n_samples = None
            decoder.seekable = lambda: False  # soundfile would seek after every block, and fail at the end
        # Sound has more than a bit a number, as a rule.
        super().__init__(name, decoder.samplerate, decoder.channels, n_samples, 8 * n_bytes)
        self._file, self._decoder = file, decoder

    def skip(self, n_samples: int) -> None:
        """
        Leave out what comes next.

        Parameters
        ----------
        n_samples : int
            How much; at the end of the file there is no more.
        """
        if self.n_samples is None or not self._decoder.seekable():
            super().skip(n_samples)
        elif n_samples > 0:
            self._n_read = min(self._n_read + n_samples, self.n_samples)
            self._decoder.seek(self._n_read)

    def _decode(self, n_samples: int) -> Samples:
        samples: Samples = self._decoder.read(n_samples, dtype="float32")
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
            if UNKNOWN_LENGTH > int(declared) > int(found):
                reason = f"is truncated: {found} of the {declared} bytes that its header promises"
                raise AudioError(self._name, reason)
        is_short = self._n_missing > 0
        if is_short and self._decoder.format == "MP3":
            is_short = self._n_missing > _MP3_FRAME and _mp3_knows_its_length(self._file)
        if is_short:
            decoded = f"{self._n_read} of {self.n_samples} samples could be decoded"
            raise AudioError(self._name, f"is truncated: {decoded}")
        if self._decoder.format == "OGG" and not last_ogg_page(_read_part(self._file, -OGG_PAGE)):
            raise AudioError(self._name, "is truncated: its last Ogg page is cut")


def check_path(name: str, path: str | os.PathLike[str]) -> bytes:
    """
    Find out what stands in the way of opening a file.

    Parameters
    ----------
    name : str
        What messages call it.
    path : str or PathLike
        The file.

    Returns
    -------
    bytes
        How the file begins; none of a pipe, which would lose them.

    Raises
    ------
    AudioError
        If it is missing, unreadable, a folder, a device, or empty.
    """
    try:
        mode = Path(path).stat().st_mode
        head = _read_part(str(path), _HEAD_BYTES) if stat.S_ISREG(mode) else b""
    except FileNotFoundError:
        raise AudioError(name, "no such file") from None
    except (OSError, ValueError) as error:  # a ValueError: a path that no file system takes
        raise AudioError(name, f"cannot be read ({getattr(error, 'strerror', error)})") from error
    if stat.S_ISDIR(mode):
        raise AudioError(name, "is a folder; give the files in it")
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise AudioError(name, "is a device or socket; expected a file or a pipe")
    if stat.S_ISREG(mode) and not head:
        raise AudioError(name, "is empty (0 bytes)")
    return head


def is_pipe(path: str | os.PathLike[str]) -> bool:
    """
    Tell whether a path names a pipe, which can be read once.

    Parameters
    ----------
    path : str or PathLike
        Such as that of a FIFO, or ``/dev/stdin``.

    Returns
    -------
    bool
        False also where there is nothing.
    """
    try:
        return stat.S_ISFIFO(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


def readable_extensions() -> list[str]:
    """
    List the usual extensions of files that can be read here.

    Returns
    -------
    list of str
        Such as ".wav"; those of phones and browsers if PyAV is installed.
    """
    has_pyav = importlib.util.find_spec("av") is not None
    return sorted(LIBSNDFILE_EXTENSIONS | (PYAV_EXTENSIONS if has_pyav else frozenset()))


@contextlib.contextmanager
def open_sound(name: str, source: str | os.PathLike[str] | IO[bytes]) -> Iterator[Sound]:
    """
    Open a sound file, whatever its format and its name.

    What libsndfile does not read is read by PyAV, if it is installed.

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
        If the source is missing, unreadable, empty or not audio, or of a format that needs PyAV, and it is not
        installed; within the block, if decoding breaks off.
    """
    import soundfile as sf

    with contextlib.ExitStack() as stack:
        file, head = _open(name, source, stack)
        kind = recognise_format(head)
        codec, n_bytes = foreign_codec(kind, head), _size(file)
        if kind in OTHER_FORMATS:
            raise AudioError(name, f"is {kind}, which is not read; convert it to WAV or FLAC")
        patch = _mend_end(file, n_bytes, kind, head)
        if patch:
            file = _Patched(stack.enter_context(Path(file).open("rb")) if isinstance(file, str) else file, *patch)
        decoder = None
        try:
            if kind not in PYAV_FORMATS and not codec:
                decoder = _open_decoder(file, kind, stack)
                codec = "a codec that libsndfile does not know"
            if decoder is None:
                opened = stack.enter_context(Path(file).open("rb")) if isinstance(file, str) else file
                yield stack.enter_context(MediaSound(name, _without_name(opened), str(kind), codec))
            elif decoder.format == "RAW":  # a guess from an extension like .au, made of any bytes
                raise AudioError(name, _why_undecodable(head, "no known header"))
            else:
                yield _SndfileSound(name, file, n_bytes, decoder)
        except sf.LibsndfileError as error:
            raise AudioError(name, _why_undecodable(head, error.error_string)) from error


def _open_decoder(file: Any, kind: str | None, stack: contextlib.ExitStack) -> Any:
    """Open a file with libsndfile; nothing if it knows the container, but not the codec."""
    import soundfile as sf

    try:
        return stack.enter_context(sf.SoundFile(_without_name(file)))
    except sf.LibsndfileError as error:
        if kind is None or error.code != _UNKNOWN_CODEC:
            raise
        return None


def _open(name: str, source: Any, stack: contextlib.ExitStack) -> tuple[Any, bytes]:
    """Give what libsndfile opens, a path or a file object that can go back, and how it begins."""
    if not isinstance(source, str | os.PathLike):
        file = _check_file_object(name, source, stack)
        return file, _read_part(file, _HEAD_BYTES)
    head = check_path(name, source)
    path = Path(source)
    if head and path.suffix.lower() != ".raw":
        return str(path), head
    opened = stack.enter_context(path.open("rb"))
    return (opened, head) if head else _open(name, opened, stack)


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


class _Patched:
    """Show a file with some of its bytes replaced."""

    def __init__(self, file: IO[bytes], at: int, patch: bytes) -> None:
        self.seek, self.tell = file.seek, file.tell
        self._file, self._at, self._patch = file, at, patch

    def read(self, n_bytes: int = -1) -> bytes:
        start = self.tell()
        content = self._file.read(n_bytes)
        first, last = max(self._at, start), min(self._at + len(self._patch), start + len(content))
        if first >= last:
            return content
        new = self._patch[first - self._at : last - self._at]
        return content[: first - start] + new + content[last - start :]


def _without_name(file: Any) -> Any:
    """Hide the name of a file object, at its start: if it ends in .raw, soundfile asks us what the file holds."""
    if isinstance(file, str):
        return file
    file.seek(0)
    return SimpleNamespace(read=file.read, seek=file.seek, tell=file.tell)


def _size(file: Any) -> int:
    """Tell the length of a path's file or of a file object in bytes."""
    return Path(file).stat().st_size if isinstance(file, str) else file.seek(0, os.SEEK_END)


def _read_part(file: Any, n_bytes: int) -> bytes:
    """Read some bytes from the start of a path or file object, or from its end where `n_bytes` is negative."""
    if isinstance(file, str):
        with Path(file).open("rb") as opened:
            return _read_part(opened, n_bytes)
    file.seek(max(_size(file) + n_bytes, 0) if n_bytes < 0 else 0)
    return file.read(abs(n_bytes))


def _mend_end(file: Any, n_bytes: int, kind: str | None, head: bytes) -> tuple[int, bytes] | None:
    """Say what to replace, and by what, in a whole file of which the end is not marked, so that all of it is read."""
    length_at = open_end(kind, head, n_bytes)
    if length_at is not None:
        return length_at, b"\xff" * 4
    tail = _read_part(file, -OGG_PAGE) if kind == "Ogg" else b""
    page = last_ogg_page(tail)
    if not page or page[5] & _OGG_END:
        return None
    marked = page[:5] + bytes([page[5] | _OGG_END]) + page[6:22] + bytes(4) + page[26:]
    return n_bytes - len(tail) + tail.rfind(page), marked[:22] + _ogg_checksum(marked) + marked[26:]


def _ogg_checksum(page: bytes) -> bytes:
    """Compute the checksum of a page, which is that of zlib with all bits in the opposite order, from 0."""
    value = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2).to_bytes(4, "little")


def _mp3_knows_its_length(file: Any) -> bool:
    """Tell whether the first frame, behind any ID3 tag, holds a count; else the length is a guess from the size."""
    tag = id3_length(_read_part(file, 10))
    first = _read_part(file, tag + 200)[tag:]
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def _why_undecodable(head: bytes, said: str) -> str:
    """Tell from the first bytes why libsndfile refused a file."""
    if not head:
        return "is empty (0 bytes)"
    if head.startswith(b"version https://git-lfs"):
        return "is a git-lfs pointer, not the audio itself; fetch it with `git lfs pull`"
    if recognise_format(head) or head.startswith((b"RIFF", b"FORM", b"caff", b"riff", b"RF64")):
        return f"is truncated or damaged ({said.strip()})"
    return "is not audio in a format that can be read"
