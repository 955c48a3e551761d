"""What the library raises and warns of -> a line on stderr and an exit code."""

from __future__ import annotations

import contextlib
import gc
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

from .interruption import last_words, raise_on_signals, set_checkpoint
from .terminal import count, say


@contextlib.contextmanager
def edge(checkpoint: Path | None = None, *, ends_itself: bool = False) -> Iterator[None]:
    """
    Turn what the library raises for the user's sake into one line, here at the edge and nowhere else.

    Parameters
    ----------
    checkpoint : Path, default=None
        Folder that an interrupted command can go on from, if it is there by then.
    ends_itself : bool, default=False
        Whether Ctrl-C is to raise KeyboardInterrupt, in place of the end of the process of a command.

    Yields
    ------
    None
        For a ``with`` block around a command.

    Raises
    ------
    typer.Exit
        With code 130 after an interruption, 2 after an error of the user's.
    """
    set_checkpoint(checkpoint)
    if ends_itself:
        raise_on_signals()
    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_args, **_kwargs: say(f"warning: {message}")
        try:
            yield
            sys.stdout.flush()
        except BaseException as error:
            if _was_interrupted(error):
                say(last_words())
                raise typer.Exit(130) from None
            # BrokenPipeError: the reader of our output has gone, and Typer ends without a word.
            if isinstance(error, BrokenPipeError) or not isinstance(error, ValueError | OSError | ImportError):
                raise
            say(f"error: {_describe(error)}")
            raise typer.Exit(2) from error


@contextlib.contextmanager
def starting() -> Iterator[None]:
    """
    Import much at once, without looking through all of it for garbage time and again: it stays until the end.

    That is a tenth of the time of a command that has little else to do.

    Yields
    ------
    None
        For a ``with`` block around the imports.
    """
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # once in a process: what others leave behind meanwhile would stay, too
            gc.freeze()
        gc.enable()


def _was_interrupted(error: BaseException | None) -> bool:
    """Tell whether Ctrl-C is behind an error: joblib may fail anew when it stops workers that only just start."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _describe(error: BaseException) -> str:
    """Say what went wrong, and with which file."""
    if not isinstance(error, OSError) or error.strerror is None:
        return str(error)
    name = error.filename or ("" if can_flush() else "stdout")
    return f"{name}: {error.strerror}" if name else error.strerror


def can_flush() -> bool:
    """
    Find out whether what was printed got to where stdout leads, such as a file on a full disk.

    Returns
    -------
    bool
        Whether it did.
    """
    try:
        sys.stdout.flush()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def gathering(errors: list[OSError]) -> Iterator[None]:
    """
    Gather what keeps a file from being written, since results are still to be shown.

    Parameters
    ----------
    errors : list of OSError
        Grows by one, for `end_with_failures`.

    Yields
    ------
    None
        For a ``with`` block that writes a file.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        errors.append(error)


def end_with_failures(n_bad: int, n_clips: int, unwritten: Sequence[OSError] = ()) -> None:
    """
    End a command that is done but for some clips or files.

    Parameters
    ----------
    n_bad : int
        Number of clips that could not be read; with 0, nothing happens.
    n_clips : int
        Number of all clips.
    unwritten : sequence of OSError, default=()
        What `gathering` gathered.

    Raises
    ------
    typer.Exit
        With code 2 if a file could not be written, else with 1.
    """
    if n_bad:
        say(f"{n_bad} of {count(n_clips, 'clip')} could not be read")
    for error in unwritten:
        say(f"error: {_describe(error)}")
    if n_bad or unwritten:
        raise typer.Exit(2 if unwritten else 1)
