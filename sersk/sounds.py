"""An open sound file -> its samples, a part at a time; audio that cannot be used -> its error."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Samples: TypeAlias = npt.NDArray[np.float32]

# A rate beyond these is a damaged header: nobody records speech so, and resampling would fill the memory.
LOWEST_RATE, HIGHEST_RATE = 100, 1_000_000
_MOST_CHANNELS = 1024
# What is in memory at once as one clip, in numbers of four bytes: 18 hours of telephone, 6 hours of stereo at 48 kHz.
_MOST_NUMBERS = 2**31
# So many samples are decoded at a time where a header's promise is not believed.
_PIECE = 2**16


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


class Sound(ABC):
    """
    Read an open sound file from its start on; `sersk.sound_files.open_sound` makes it.

    Parameters
    ----------
    name : str
        What messages call it.
    rate : int
        Sampling rate in Hz.
    n_channels : int
        Number of channels.
    n_samples : int or None
        Length that the file promises, in samples of one channel; None if it does not say.
    n_believed : int
        How many numbers may be allocated on the header's word alone.

    Raises
    ------
    AudioError
        If no recording has so many channels.
    """

    def __init__(self, name: str, rate: int, n_channels: int, n_samples: int | None, n_believed: int = 0) -> None:
        if not 0 < n_channels <= _MOST_CHANNELS:
            raise AudioError(name, f"has {n_channels} channels by its header; expected 1 to {_MOST_CHANNELS}")
        self.rate, self.n_channels, self.n_samples = rate, n_channels, n_samples
        self._name, self._n_believed = name, n_believed
        self._n_read = self._n_missing = 0

    def skip(self, n_samples: int) -> None:
        """
        Leave out what comes next.

        Parameters
        ----------
        n_samples : int
            How much; at the end of the file there is no more.
        """
        while n_samples > 0 and len(skipped := self.read(min(n_samples, _PIECE))):
            n_samples -= len(skipped)

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

        Raises
        ------
        AudioError
            If it is more than one clip may hold.
        """
        left = None if self.n_samples is None else self.n_samples - self._n_read
        due = left if n_samples is None or (left is not None and left < n_samples) else n_samples
        if due is not None and due * self.n_channels <= self._n_believed:
            samples = self._decode(due)
        else:
            samples = self._read_in_pieces(due)
        self._n_read += len(samples)
        self._n_missing = 0 if left is None or due is None else due - len(samples)
        return samples

    def _read_in_pieces(self, due: int | None) -> Samples:
        """Read as much as is there, however much was promised."""
        pieces = []
        n = 0
        while len(piece := self._decode(_PIECE if due is None else min(_PIECE, due - n))):
            pieces.append(piece)
            n += len(piece)
            if n * self.n_channels > _MOST_NUMBERS:
                hours = n / self.rate / 3600
                raise AudioError(self._name, f"is too long for one clip (more than {hours:.0f} h); cut it into parts")
        return pieces[0] if len(pieces) == 1 else np.concatenate([*pieces, self._decode(0)])

    def count(self, at_most: float) -> int:
        """
        Tell the length of the file; where its header does not, decode it for that.

        Parameters
        ----------
        at_most : float
            Where to stop counting.

        Returns
        -------
        int
            Samples of one channel, or some number above `at_most`.
        """
        if self.n_samples is not None:
            return self.n_samples
        while self._n_read <= at_most and len(self.read(_PIECE)):
            pass
        return self._n_read

    @abstractmethod
    def _decode(self, n_samples: int) -> Samples:
        """Decode so many samples; less at the end only."""

    @abstractmethod
    def check_end(self) -> None:
        """
        Find out, when all that is wanted has been read, that there should have been more.

        Raises
        ------
        AudioError
            If the file is truncated.
        """


def check_rate(name: str, rate: float) -> None:
    """
    Refuse a sampling rate that no recording has.

    Parameters
    ----------
    name : str
        What messages call the audio.
    rate : float
        In Hz.

    Raises
    ------
    AudioError
        If it is none of 100 Hz to 1 MHz.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(name, f"has a sampling rate of {rate:g} Hz; expected {LOWEST_RATE} to {HIGHEST_RATE} Hz")
