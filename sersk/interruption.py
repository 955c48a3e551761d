"""Ctrl-C -> the end of the process, whatever it is in the middle of."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from .atomic_files import remove_drafts

# Of these, those that have not been given another meaning, as `nohup` and shells do.
_SIGNALS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "terminated"}
# How long whoever reads what we write may keep us waiting.
_PATIENCE_S = 1.0

_checkpoint: Path | None = None
_waker: socket.socket | None = None
_mask: Any = getattr(signal, "pthread_sigmask", None)  # Windows has none


def end_on_signals() -> None:
    """
    End the process as soon as it gets SIGINT, SIGTERM or SIGHUP: a line on stderr, no workers, no drafts of files.

    For the process of a command, before it imports much. KeyboardInterrupt would wait for what is compiled or computed,
    and Python crashes now and then when it takes itself down while JAX computes. A thread of its own takes the signals;
    the processes that are started from now on do not get SIGINT, which a terminal sends to all of them.
    """
    global _waker
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    ours = [number for number in numbers if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)]
    sleeper, _waker = socket.socketpair()
    _waker.setblocking(False)
    signal.set_wakeup_fd(_waker.fileno(), warn_on_full_buffer=False)
    for number in ours:
        signal.signal(number, lambda *_: None)
    if _mask is not None:
        _mask(signal.SIG_BLOCK, {signal.SIGINT})
        signal.pthread_sigmask = _keep_blocked
    threading.Thread(target=_watch, args=(sleeper,), daemon=True).start()
    # What workers share is cleared away after them by a process of joblib's, which need not tell of it.
    given = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join([*([given] if given else []), "ignore:resource_tracker:UserWarning"])


def raise_on_signals() -> None:
    """Undo `end_on_signals`, for what has an end of its own: Ctrl-C raises KeyboardInterrupt."""
    global _waker
    if _waker is None:
        return
    signal.set_wakeup_fd(-1)
    _waker.close()
    _waker = None
    for name in _SIGNALS:
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) != signal.SIG_IGN:
            signal.signal(getattr(signal, name), signal.default_int_handler if name == "SIGINT" else signal.SIG_DFL)
    if _mask is not None:
        signal.pthread_sigmask = _mask
        _mask(signal.SIG_UNBLOCK, {signal.SIGINT})


def set_checkpoint(folder: Path | None) -> None:
    """
    Say where the command keeps what ``--resume`` goes on from.

    Parameters
    ----------
    folder : Path or None
        It may not be there yet.
    """
    global _checkpoint
    _checkpoint = folder


def last_words(what: str = "interrupted") -> str:
    """
    Say that the command was ended, and whether it can go on.

    Parameters
    ----------
    what : str, default="interrupted"
        The first word.

    Returns
    -------
    str
        One line.
    """
    kept = _checkpoint is not None and _checkpoint.is_dir()
    return f"{what}; the same command with --resume goes on from there" if kept else what


def end(code: int, words: str = "") -> NoReturn:
    """
    End the process without taking Python down, which waits for threads or crashes while they compute.

    Parameters
    ----------
    code : int
        Exit code.
    words : str, default=""
        A last line on stderr.
    """
    speaker = threading.Thread(target=_speak, args=(words,), daemon=True)
    speaker.start()
    speaker.join(_PATIENCE_S)
    remove_drafts()
    workers = sys.modules["multiprocessing"].active_children() if "multiprocessing" in sys.modules else []
    sys.setswitchinterval(10)  # the main thread is not to say that its workers die
    for worker in workers:
        with contextlib.suppress(OSError):
            os.kill(worker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    os._exit(code)


def _keep_blocked(how: int, mask: Iterable[int]) -> set[int | signal.Signals]:
    """Change the mask but for SIGINT, which multiprocessing unblocks when it starts its resource tracker."""
    return _mask(how, {*mask} - {signal.SIGINT} if how == signal.SIG_UNBLOCK else mask)


def _watch(sleeper: socket.socket) -> None:
    if _mask is not None:
        _mask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if came := sleeper.recv(1):
        number = signal.Signals(came[0])
        end(128 + number, last_words(_SIGNALS[number.name]))


def _speak(words: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # the reader has gone
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        if words:
            shown_again = "\n\x1b[?25h" if sys.stderr.isatty() else ""  # the cursor, which progress bars hide
            sys.stderr.write(f"{shown_again}{words}\n")
        sys.stderr.flush()
