"""What is given as clips -> one after another, each as `load_audio` takes it."""

from __future__ import annotations

import hashlib
import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array

from .audio import AudioError, load_audio, source_name
from .filterbanks import Array
from .sound_files import is_pipe

Clips = Any  # list or 1-D array of paths, list of waveforms, or 2-D array of waveforms


@dataclass(frozen=True, eq=False)  # two clips are no matter of ==, which waveforms answer sample by sample
class DerivedClip(ABC):
    """
    Stand in a list of clips for a waveform that is made of another clip when its turn comes, by who extracts it.

    Parameters
    ----------
    clip : clip
        What it is made of: whatever may stand in a list of clips.
    """

    clip: Any
    # Part of the key of the cache: raise it with any change of the samples that come of the same clip.
    version: ClassVar[int] = 1

    @property
    def name(self) -> str:
        """Name of the clip that it is made of, for messages."""
        return source_name(self.clip)

    @abstractmethod
    def waveform(self, sr: int) -> Array:
        """
        Make it.

        Parameters
        ----------
        sr : int
            Sampling rate in Hz.

        Returns
        -------
        ndarray of shape (n_samples,), float32
            Mono waveform.

        Raises
        ------
        AudioError
            If the clip that it is made of cannot be read.
        """


def check_clips(X: Clips, *, all_finite: bool = True) -> Sequence[Any]:
    """
    Accept what a clip may be, and refuse the rest with the cure.

    Parameters
    ----------
    X : list or 1-D array of paths, list of 1-D waveforms, or array of shape (n_clips, n_samples)
        Clips. File objects, (waveform, sr) pairs and derived clips may stand in a list, too.
    all_finite : bool, default=True
        Whether NaN or infinity in an array of waveforms is an error at once; otherwise it is one of the clip's.

    Returns
    -------
    sequence
        One entry a clip.

    Raises
    ------
    ValueError
        If it is a single path or waveform, empty, or no clips at all.
    """
    is_pair = isinstance(X, tuple) and len(X) == 2 and isinstance(X[1], Real)
    if isinstance(X, str | bytes | os.PathLike | DerivedClip) or hasattr(X, "read") or is_pair:
        raise ValueError(f"Expected a list of clips, got a single one: {source_name(X)}. Put it into a list.")
    if isinstance(X, Iterator):
        raise ValueError(f"Expected a list of clips, got a {type(X).__name__}. Make it a list, with list(...).")
    values = X.to_numpy() if hasattr(X, "to_numpy") else X  # pandas
    if isinstance(values, np.ndarray) and values.ndim == 1:
        values = [os.fsdecode(x) if isinstance(x, bytes) else x for x in values]
    if isinstance(values, list | tuple):
        if not values:
            raise ValueError("Expected at least one clip, got none.")
        if any(hasattr(x, "__len__") or hasattr(x, "read") or isinstance(x, os.PathLike | DerivedClip) for x in values):
            return values  # paths, waveforms, pairs; what is none of them will fail as a clip, not as a batch
        raise ValueError(
            "Expected a list of clips, or a 2-D array with a waveform in each row; got 1-D data of type "
            f"{type(values[0]).__name__}. If they are one waveform: Reshape your data with .reshape(1, -1), or put "
            "them into a list."
        )
    if isinstance(values, np.ndarray) and values.size and isinstance(values.flat[0], str | bytes | os.PathLike):
        raise ValueError(f"Expected paths in a list or 1-D array, got an array of shape {values.shape}.")
    # The rest is an array of waveforms, for which scikit-learn's own words serve.
    rows: Sequence[Any] = check_array(values, ensure_all_finite=all_finite, input_name="X")
    return rows


def portable_clip(clip: Any) -> Any:
    """
    Make what another process can read: the bytes of a file object or pipe, which have a hash; a path from the root.

    Parameters
    ----------
    clip : clip
        Whatever may stand in a list of clips.

    Returns
    -------
    clip
        The same, or an `AudioError` where a file object or a pipe cannot be read.
    """
    if isinstance(clip, DerivedClip):
        return replace(clip, clip=portable_clip(clip.clip))
    if isinstance(clip, str | os.PathLike):
        return _from_pipe(Path(clip)) if is_pipe(clip) else Path(clip).absolute()
    return _in_memory(clip) if hasattr(clip, "read") else clip


def _from_pipe(path: Path) -> io.BytesIO | AudioError:
    """Read what can be read once, and in this process alone."""
    try:
        return io.BytesIO(path.read_bytes())
    except OSError as error:
        return AudioError(str(path), f"cannot be read ({error.strerror})")


def _in_memory(file: Any) -> io.BytesIO | AudioError:
    try:
        if file.seekable():
            file.seek(0)
        return io.BytesIO(file.read())
    except (OSError, ValueError, TypeError, AttributeError) as error:  # closed, of text, or no file object at all
        return AudioError(source_name(file), f"cannot be read as a binary file object ({error})")


def clip_source(clip: Any, sr: int) -> Any:
    """
    Give what `load_audio` takes; a bare waveform is at the wanted rate already.

    Parameters
    ----------
    clip : clip
        Whatever may stand in a list of clips.
    sr : int
        Sampling rate in Hz that waveforms without any are at, and derived clips are made at.

    Returns
    -------
    path, file object or (waveform, sr) pair
        Not opened yet, but for derived clips.

    Raises
    ------
    AudioError
        If it is none of these.
    """
    if isinstance(clip, AudioError):
        raise clip
    if isinstance(clip, DerivedClip):
        return clip.waveform(sr), sr
    if isinstance(clip, str | os.PathLike | io.BytesIO | tuple):
        return clip
    try:
        waveform = np.asarray(clip)
    except ValueError as error:  # lists of unequal lengths
        raise AudioError(source_name(clip), f"expected a 1-D waveform ({error})") from error
    if waveform.ndim != 1:
        got = f"shape {waveform.shape}" if waveform.ndim else type(clip).__name__
        raise AudioError(source_name(clip), f"expected a path, or a 1-D waveform at {sr} Hz, got {got}")
    return waveform, sr


def clip_content(clip: Any, sr: int) -> tuple[str, Any]:
    """
    Digest a clip's bytes, and hold on to them; a derived clip is not made for it.

    Parameters
    ----------
    clip : clip
        Whatever may stand in a list of clips.
    sr : int
        As in `clip_source`.

    Returns
    -------
    digest : str
        SHA-256, in hexadecimal, of the bytes; for a derived clip also of what is done to them.
    clip : file object, (waveform, sr) pair or DerivedClip
        Gives these very bytes even if the file changes meanwhile.

    Raises
    ------
    AudioError
        If they cannot be read.
    """
    if isinstance(clip, DerivedClip):
        digest, held = clip_content(clip.clip, sr)
        made = {field.name: getattr(clip, field.name) for field in fields(clip) if field.name != "clip"}
        told = f"{type(clip).__qualname__} {clip.version} {made} {sr} {digest}"
        return hashlib.sha256(told.encode()).hexdigest(), replace(clip, clip=held)
    source = clip_source(clip, sr)
    try:
        if isinstance(source, tuple):
            waveform, rate = source
            array = np.asarray(waveform)
            head = f"{array.dtype.str} {array.shape} {float(rate)} ".encode()
            return hashlib.sha256(head + array.tobytes()).hexdigest(), source
        data = source.getvalue() if isinstance(source, io.BytesIO) else Path(source).read_bytes()
    except (OSError, ValueError, TypeError) as error:
        load_audio(source)  # nearly always raises the error that names the cause
        raise AudioError(source_name(source), f"cannot be read ({error})") from error
    return hashlib.sha256(data).hexdigest(), io.BytesIO(data)


def clip_numbers(sources: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """
    Give the number of the clip that each row is, or is an altered copy of.

    Parameters
    ----------
    sources : ndarray of shape (n_rows,)
        Number k of a clip itself, ~k of an altered copy of it.

    Returns
    -------
    ndarray of shape (n_rows,)
        The k of both.
    """
    return np.maximum(sources, ~sources)


def unaltered_rows(n_rows: int, sources: npt.ArrayLike | None) -> npt.NDArray[np.intp]:
    """
    Find the rows that are clips themselves; all of them if there is no such row, as in a small subset.

    Parameters
    ----------
    n_rows : int
        Number of rows.
    sources : array-like of shape (n_rows,) or None
        As in `clip_numbers`; None if nothing is altered.

    Returns
    -------
    ndarray of int
        Their positions.
    """
    if sources is not None and len(rows := np.flatnonzero(np.asarray(sources) >= 0)):
        return rows
    return np.arange(n_rows)


def speaker_names(groups: npt.ArrayLike) -> npt.NDArray[Any]:
    """
    Make speakers comparable: whole numbers and strings stay as they are, of all else strings are made.

    Parameters
    ----------
    groups : array-like of shape (n_clips,)
        Speakers; None, NaN, NA and an empty name stand for one who is unknown.

    Returns
    -------
    ndarray of shape (n_clips,)
        Their names; empty where unknown.
    """
    names = np.asarray(groups)
    if names.dtype.kind in "iuU":
        return names
    import pandas as pd  # not needed where nobody asks for speakers, and slow

    return np.where(pd.isna(names), "", names.astype(object)).astype(str)
