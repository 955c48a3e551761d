"""Bytes without a header -> samples, as they come in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import IO, Any

import numpy as np

from .sound_files import AudioError, Samples, check_path, source_name

# By ffmpeg's names: how a number is stored, and which one is full scale.
ENCODINGS = {"s16le": ("<i2", 2.0**15), "s32le": ("<i4", 2.0**31), "f32le": ("<f4", 1.0)}
# So many bytes are read at a time, of what is there.
_BLOCK = 2**21


@dataclass(frozen=True)
class RawAudio:
    """
    Stand for samples without a header, such as a microphone gives them.

    Parameters
    ----------
    file : str, PathLike or binary file object
        Where the samples come from, channels interleaved. What a pipe holds is taken as soon as it is there.
    sr : int
        Sampling rate in Hz.
    n_channels : int, default=1
        Number of channels.
    encoding : {"s16le", "s32le", "f32le"}, default="s16le"
        Integers of 16 or 32 bits, or floats of 32 bits; the lowest byte comes first.

    Raises
    ------
    ValueError
        If `sr` or `n_channels` is not positive, or `encoding` none of these.

    See Also
    --------
    sersk.audio.stream_audio : Reads it.

    Examples
    --------
    >>> import io
    >>> from sersk.audio import stream_audio
    >>> from sersk.raw_audio import RawAudio
    >>> [piece.tolist() for piece in stream_audio(RawAudio(io.BytesIO(bytes([0, 0, 0, 64])), sr=16000))]
    [[0.0, 0.5]]
    """

    file: str | os.PathLike[str] | IO[bytes]
    sr: int
    n_channels: int = 1
    encoding: str = "s16le"

    def __post_init__(self) -> None:
        is_whole = isinstance(self.sr, Integral) and isinstance(self.n_channels, Integral)
        if not (is_whole and self.sr > 0 and self.n_channels > 0 and self.encoding in ENCODINGS):
            raise ValueError(
                f"expected sr > 0 (Hz), n_channels > 0 and encoding out of {', '.join(ENCODINGS)}, "
                f"got sr={self.sr!r}, n_channels={self.n_channels!r}, encoding={self.encoding!r}"
            )

    @property
    def name(self) -> str:
        """Name of the file, for messages."""
        return source_name(self.file)

    def blocks(self) -> Generator[Samples, None, None]:
        """
        Read what is there, as soon as it is there.

        Yields
        ------
        ndarray of shape (n_samples, n_channels), float32
            Integers are scaled to [-1, 1].

        Raises
        ------
        AudioError
            If there is no reading, or the end comes within a sample.
        """
        with contextlib.ExitStack() as stack:
            file: Any = self.file
            if isinstance(file, str | os.PathLike):
                check_path(self.name, file)
                file = stack.enter_context(Path(file).open("rb"))
            # read1 does not wait until there are as many bytes as asked for.
            read = getattr(file, "read1", None) or getattr(file, "read", lambda _: None)
            kind, full_scale = ENCODINGS[self.encoding]
            width = np.dtype(kind).itemsize * self.n_channels
            rest = b""
            while content := self._read(read, max(_BLOCK, width)):
                content = rest + content
                whole = len(content) // width * width
                rest = content[whole:]
                if whole:
                    numbers = np.frombuffer(content[:whole], kind).reshape(-1, self.n_channels)
                    yield np.divide(numbers, full_scale, dtype=np.float32)
            if rest:
                said = f"{self.n_channels} x {self.encoding}, {width} bytes"
                raise AudioError(self.name, f"ends within a sample: are its samples {said}?")

    def _read(self, read: Any, n_bytes: int) -> bytes:
        try:
            content = read(n_bytes)
        except (OSError, ValueError) as error:  # a ValueError: it has been closed
            raise AudioError(self.name, f"cannot be read ({error})") from error
        if not isinstance(content, bytes):
            got = f"{type(self.file).__name__}, got {type(content).__name__}"
            raise AudioError(self.name, f"expected bytes from {got}")
        return content
