"""Clips -> rows: in parallel, cached by content, one bad clip at a time."""

from __future__ import annotations

import contextlib
import functools
import itertools
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
from joblib import Memory, effective_n_jobs
from joblib.parallel import LokyBackend, SequentialBackend, get_active_backend
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import ThreadpoolController

from .audio import AudioError, load_audio, source_name
from .clips import clip_content, clip_source, portable_clip
from .descriptors import estimate_tuning
from .filterbanks import Array
from .recipes import Recipe
from .voice_activity import measure_speech

# Part of every cache key: raise it with any change of the numbers that a recipe, or voice activity, gives for the same
# waveform.
FEATURE_VERSION = 2
_BATCH = 16
_KEPT_BYTES = 2**24


def extract(
    clips: Sequence[Any],
    recipe: Recipe,
    *,
    fail_fast: bool = False,
    with_speech: bool = False,
    n_jobs: int | None = None,
    memory: Memory | None = None,
    verbose: int = 0,
) -> Iterator[Any]:
    """
    Compute clip after clip; what cannot be read, or has no features, comes back as its error, in its place.

    Parameters
    ----------
    clips : sequence
        What `check_clips` gives.
    recipe : Recipe
        What to compute.
    fail_fast : bool, default=False
        Whether the first such error is raised, and the rest left.
    with_speech : bool, default=False
        Whether voice activity is measured, too, of the same waveform.
    n_jobs : int, default=None
        Workers, by joblib; any joblib backend will do.
    memory : joblib.Memory, default=None
        Cache. An entry is found by the bytes of the clip, the recipe and the feature version; paths do not matter.
    verbose : int, default=0
        Progress bar on stderr if positive.

    Yields
    ------
    ndarray, (ndarray, (float, float)) with speech, or AudioError
        One a clip, in order; of speech what `measure_speech` gives.

    Raises
    ------
    AudioError
        If a clip cannot be read and `fail_fast` is set.
    """
    if recipe.settings.tuning is None:
        # Compiles librosa's functions here, once: workers that do so at the same time can spoil numba's cache of them
        # and crash (numba issue 10128).
        estimate_tuning(np.zeros(recipe.settings.n_fft, dtype=np.float32), recipe.settings)
    compute = _compute_with_speech if with_speech else _compute
    work = functools.partial(_extract_batch, compute=compute, recipe=recipe, memory=memory)
    with contextlib.closing(work_off(clips, work, "features", n_jobs=n_jobs, verbose=verbose)) as results:
        for index, result in enumerate(results):
            if not isinstance(result, AudioError):
                yield result
                continue
            name = source_name(clips[index])
            error = AudioError(f"X[{index}] {name}" if name.startswith("<") else name, result.reason)
            error.__cause__ = result.__cause__
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
    batches = ([*map(portable_clip, clips[first : first + _BATCH])] for first in range(0, len(clips), _BATCH))
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


@contextlib.contextmanager
def clip_faults(name: str) -> Iterator[None]:
    """
    Turn what numbers of a clip, or its length, do to a computation into that clip's error.

    Other errors are of the program, and pass.

    Parameters
    ----------
    name : str
        What messages call the clip.

    Yields
    ------
    None
        For a ``with`` block around one clip's work.

    Raises
    ------
    AudioError
        In place of arithmetic errors, those of linear algebra, and a lack of memory.
    """
    try:
        yield
    except (ArithmeticError, np.linalg.LinAlgError, MemoryError) as error:
        said = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise AudioError(name, f"has samples that cannot be analysed ({said})") from error


def check_features(name: str, features: Array) -> Array:
    """
    Refuse what no model can take.

    Parameters
    ----------
    name : str
        What messages call the clip.
    features : ndarray
        Vectors or frames.

    Returns
    -------
    ndarray
        The same.

    Raises
    ------
    AudioError
        If there is no frame, or a value is NaN or infinite.
    """
    if not features.size:
        raise AudioError(name, "has not one frame of features")
    if not np.isfinite(features).all():
        raise AudioError(name, "has samples that cannot be analysed (features that are NaN or infinite)")
    return features


@contextlib.contextmanager
def in_one_thread() -> Iterator[None]:
    """
    Keep matrix products in one thread, which are too small to be shared among several.

    The limit is the process's. Whoever comes while a thread holds it goes without: two that set and restore it in turn
    would leave each other's limit for good, and threadpoolctl lets none but the first thread change it.

    Yields
    ------
    None
        For a ``with`` block around some clips' work.
    """
    if not _holds_limit.acquire(blocking=False):
        yield
        return
    try:
        with _threads().limit(limits=1, user_api="blas"):
            yield
    finally:
        _holds_limit.release()


_holds_limit = Lock()


@functools.lru_cache(maxsize=1)
def _threads() -> ThreadpoolController:
    """
    Prepare a process for many small arrays, once.

    Freeing one large block tells glibc to keep memory of up to twice its size instead of handing every spectrogram back
    to the kernel and asking for it again, which takes a third of the time of a clip. No memory is touched by this.
    """
    np.empty(_KEPT_BYTES, dtype=np.uint8)
    return ThreadpoolController()


def _extract_batch(
    batch: Sequence[Any], compute: Callable[..., Any], recipe: Recipe, memory: Memory | None
) -> list[Any]:
    """Work off some clips in one process."""
    compute = compute if memory is None else memory.cache(compute, ignore=["source"])
    rows: list[Any] = []
    with in_one_thread():
        for clip in batch:
            try:
                with clip_faults(source_name(clip)):
                    content, source = ("", clip) if memory is None else clip_content(clip, recipe.sr)
                    result = compute(content, recipe, FEATURE_VERSION, source)
                    check_features(source_name(clip), result[0] if isinstance(result, tuple) else result)
                    rows.append(result)
            except AudioError as error:
                rows.append(error)
    return rows


def _compute(content: str, recipe: Recipe, version: int, source: Any) -> Array:
    """Turn a clip into its array; `content` and `version` are there for the key of the cache."""
    return recipe.compute(_load(source, recipe))


def _compute_with_speech(content: str, recipe: Recipe, version: int, source: Any) -> tuple[Array, tuple[float, float]]:
    """Do the same, and measure how much of the waveform is speech."""
    waveform = _load(source, recipe)
    return recipe.compute(waveform), measure_speech(waveform, recipe.sr)


def _load(clip: Any, recipe: Recipe) -> Array:
    return load_audio(clip_source(clip, recipe.sr), recipe.sr, recipe.offset, recipe.duration)


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
