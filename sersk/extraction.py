"""Clips -> rows: in parallel, cached by content, one bad clip at a time."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Memory, effective_n_jobs
from joblib.parallel import LokyBackend, SequentialBackend, get_active_backend
from sklearn.utils import check_array
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController

from .audio import AudioError, load_audio, source_name
from .descriptors import estimate_tuning
from .filterbanks import Array
from .recipes import Recipe

# Part of every cache key: raise it with any change of the numbers that a recipe gives for the same waveform.
FEATURE_VERSION = 2
_BATCH = 16
_KEPT_BYTES = 2**24

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


def extract(
    clips: Sequence[Any],
    recipe: Recipe,
    *,
    fail_fast: bool = False,
    n_jobs: int | None = None,
    memory: Memory | None = None,
    verbose: int = 0,
) -> Iterator[Array | AudioError]:
    """
    Compute clip after clip; what cannot be read comes back as its error, in its place.

    Parameters
    ----------
    clips : sequence
        What `check_clips` gives.
    recipe : Recipe
        What to compute.
    fail_fast : bool, default=False
        Whether the first such error is raised, and the rest left.
    n_jobs : int, default=None
        Workers, by joblib; any joblib backend will do.
    memory : joblib.Memory, default=None
        Cache. An entry is found by the bytes of the clip, the recipe and the feature version; paths do not matter.
    verbose : int, default=0
        Progress bar on stderr if positive.

    Yields
    ------
    ndarray or AudioError
        One a clip, in order.

    Raises
    ------
    AudioError
        If a clip cannot be read and `fail_fast` is set.
    """
    if recipe.settings.tuning is None:
        # Compiles librosa's functions here, once: workers that do so at the same time can spoil numba's cache of them
        # and crash (numba issue 10128).
        estimate_tuning(np.zeros(recipe.settings.n_fft, dtype=np.float32), recipe.settings)
    work = functools.partial(_extract_batch, recipe=recipe, memory=memory)
    with contextlib.closing(work_off(clips, work, "features", n_jobs=n_jobs, verbose=verbose)) as results:
        for index, result in enumerate(results):
            if not isinstance(result, AudioError):
                yield result
                continue
            name = source_name(clips[index])
            error = AudioError(f"X[{index}] {name}" if name.startswith("<") else name, result.reason)
            if fail_fast:
                raise error
            yield error


def work_off(
    clips: Sequence[Any],
    work: Callable[[list[Any]], list[Any]],
    task: str,
    *,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Generator[Any, None, None]:
    """
    Do something with clip after clip, in parallel, a few of them in memory at a time.

    Parameters
    ----------
    clips : sequence
        What `check_clips` gives.
    work : callable
        Takes some clips, and gives a list with something of each; it must be picklable.
    task : str
        What it does, for the progress bar.
    n_jobs : int, default=None
        Workers, by joblib; any joblib backend will do.
    verbose : int, default=0
        Progress bar on stderr if positive.

    Yields
    ------
    object
        What `work` gives, one a clip, in order.
    """
    backend = get_active_backend()[0]
    batches = ([*map(_portable, clips[first : first + _BATCH])] for first in range(0, len(clips), _BATCH))
    results: Any
    if isinstance(backend, LokyBackend | SequentialBackend) and effective_n_jobs(n_jobs) == 1:
        results = map(work, batches)  # what joblib and scikit-learn do around it takes a twentieth of a clip's time
    else:
        # Backends that give all results at once only (multiprocessing, ray) take more memory, but work.
        return_as = "generator" if backend.supports_return_generator else "list"
        results = Parallel(n_jobs=n_jobs, return_as=return_as)(delayed(work)(batch) for batch in batches)
    try:
        with _progress(task, len(clips), verbose) as advance:
            for result in itertools.chain.from_iterable(results):
                advance()
                yield result
    finally:
        if isinstance(results, Generator):  # no more work for a caller that has gone
            results.close()


@contextlib.contextmanager
def _progress(name: str, total: int, verbose: int) -> Iterator[Callable[[], object]]:
    """Show a bar on stderr, and give what moves it on."""
    if verbose <= 0:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=False) as progress:
        task = progress.add_task(name, total=total)
        yield lambda: progress.advance(task)


def _portable(clip: Any) -> Any:
    """Make what another process can read: the bytes of a file object, which have a hash, too; a path from the root."""
    if isinstance(clip, DerivedClip):
        return replace(clip, clip=_portable(clip.clip))
    if isinstance(clip, str | os.PathLike):
        return Path(clip).absolute()
    return _in_memory(clip) if hasattr(clip, "read") else clip


def _in_memory(file: Any) -> io.BytesIO | AudioError:
    try:
        if file.seekable():
            file.seek(0)
        return io.BytesIO(file.read())
    except (OSError, ValueError, TypeError, AttributeError) as error:  # closed, of text, or no file object at all
        return AudioError(source_name(file), f"cannot be read as a binary file object ({error})")


def in_one_thread() -> contextlib.AbstractContextManager[Any]:
    """
    Keep matrix products in one thread, which are too small to be shared among several.

    Returns
    -------
    context manager
        For a ``with`` block around some clips' work.
    """
    return _threads().limit(limits=1, user_api="blas")


@functools.lru_cache(maxsize=1)
def _threads() -> ThreadpoolController:
    """
    Prepare a process for many small arrays, once.

    Freeing one large block tells glibc to keep memory of up to twice its size instead of handing every spectrogram back
    to the kernel and asking for it again, which takes a third of the time of a clip. No memory is touched by this.
    """
    np.empty(_KEPT_BYTES, dtype=np.uint8)
    return ThreadpoolController()


def _extract_batch(batch: Sequence[Any], recipe: Recipe, memory: Memory | None) -> list[Array | AudioError]:
    """Work off some clips in one process."""
    compute = _compute if memory is None else memory.cache(_compute, ignore=["source"])
    rows: list[Array | AudioError] = []
    with in_one_thread():
        for clip in batch:
            try:
                source = clip_source(clip, recipe.sr)
                content, source = ("", source) if memory is None else _content(source)
                rows.append(compute(content, recipe, FEATURE_VERSION, source))
            except AudioError as error:
                rows.append(error)
    return rows


def _compute(content: str, recipe: Recipe, version: int, source: Any) -> Array:
    """Turn a source into its array; `content` and `version` are there for the key of the cache."""
    return recipe.compute(load_audio(source, recipe.sr, recipe.offset, recipe.duration))


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


def _content(source: Any) -> tuple[str, Any]:
    """Digest of a clip's bytes, and a source that gives these very bytes even if the file changes meanwhile."""
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


def warn_of_failures(failures: list[tuple[int, AudioError]], on_error: str, total: int) -> None:
    """
    Warn of the clips that failed, if any.

    Parameters
    ----------
    failures : list of (int, AudioError)
        Index of the clip, and what is wrong with it.
    on_error : {"skip", "nan"}
        What became of them.
    total : int
        Number of clips.

    Warns
    -----
    UserWarning
        Naming every file and its cause.
    """
    if not failures:
        return
    done = "filled with NaN" if on_error == "nan" else "left out"
    lines = "".join(f"\n  {index}: {error}" for index, error in failures)
    warnings.warn(f"{len(failures)} of {total} clips could not be read and were {done}:{lines}", stacklevel=4)


def stack_rows(
    rows: Iterable[Array | AudioError], total: int, width: int
) -> tuple[Array, list[tuple[int, AudioError]]]:
    """
    Fill a matrix row by row; memory grows with the matrix only.

    Parameters
    ----------
    rows : iterator of ndarray of shape (width,) or AudioError
        What `extract` yields.
    total, width : int
        Shape of the matrix.

    Returns
    -------
    matrix : ndarray of shape (total, width), float32
        NaN where a clip failed.
    failures : list of (int, AudioError)
        The clips that failed.
    """
    matrix: npt.NDArray[np.float32] = np.full((total, width), np.nan, dtype=np.float32)
    failures = []
    for index, row in enumerate(rows):
        if isinstance(row, AudioError):
            failures.append((index, row))
        else:
            matrix[index] = row
    return matrix, failures
