"""Address of a Dask scheduler -> workers on which everything parallel is done."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Client

# What must be the same on all machines for the same numbers, and for objects that pass between them.
_SAME = ("sersk", "scikit-learn", "numpy")
# How long a scheduler may take to answer, and workers to turn up.
_TIMEOUT_S = 10.0
_WATCH_S = 5.0


@contextlib.contextmanager
def on_scheduler(address: str | None, tell: Callable[[str], object] = lambda text: None) -> Iterator[None]:
    """
    Let the workers of a Dask scheduler do all that is parallel in a ``with`` block.

    They are counted by the scheduler: `n_jobs` has no effect in the block. A worker may die, or come later: what it was
    at is done again by another one. What is parallel inside a fold, or a fit, is one after the other on its worker.
    Clips that are given by paths are read by the workers, from the same paths; other clips are sent. Features that a
    cache keeps are kept by the workers, too.

    Parameters
    ----------
    address : str or None
        Such as ``"tcp://127.0.0.1:8786"``; None changes nothing.
    tell : callable, default=no word
        Is given a line on the workers that there are, and if there are none left to wait for.

    Yields
    ------
    None
        For a ``with`` block.

    Raises
    ------
    ImportError
        If Dask is not installed.
    ValueError
        If this is no address, or the scheduler or a worker has other versions of Python, sersk, scikit-learn or numpy.
    ConnectionError
        If no scheduler answers there, if it has no workers, or if it goes away; if workers die of the same work again
        and again.

    Notes
    -----
    joblib's own way, ``with joblib.parallel_config("dask")``, serves as well as long as no worker dies: it lays large
    data on one of them, and nobody else has them when that one has gone (joblib 1.6).

    Examples
    --------
    >>> from sersk import AcousticFeatures
    >>> from sersk.distribution import on_scheduler
    >>> with on_scheduler("tcp://127.0.0.1:8786", print):  # doctest: +SKIP
    ...     vectors = AcousticFeatures().transform(["call.wav", "reply.wav"])
    2 workers with 2 threads at tcp://127.0.0.1:8786
    """
    if address is None:
        yield
        return
    from .dask_backend import DaskBackend  # isort: skip - it tells what to install

    import dask
    from distributed import CancelledError, Client, KilledWorker
    from joblib import parallel_config

    _knock(address)
    # Waveforms are sent with what is done to them, which Dask would advise against above 10 MB.
    with (
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}),
        Client(address, timeout=_TIMEOUT_S, set_as_default=False) as client,
    ):
        _check_workers(client, address)
        tell(f"{_tell_workers(client)} at {address}")
        try:
            with parallel_config(backend=DaskBackend(client)), _watch(client, address, tell):
                yield
        except KilledWorker as error:
            raise ConnectionError(
                f"{address}: worker after worker died of the same work, the last of them {error.last_worker.address}. "
                "They may have too little memory; their logs tell more."
            ) from error
        except CancelledError as error:
            raise ConnectionError(f"{address}: the scheduler has gone. Start it and its workers again.") from error


def _knock(address: str) -> None:
    """Find out whether a scheduler answers; a client would wait for ever for something else that listens there."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from distributed import Security
    from distributed.comm import connect
    from distributed.comm.addressing import normalize_address

    async def knock() -> None:
        comm = await connect(normalized, timeout=_TIMEOUT_S, **Security().get_connection_args("client"))
        comm.abort()

    try:
        normalized = normalize_address(address)
        with ThreadPoolExecutor(1) as apart:  # there is a loop in this thread already, in a notebook
            apart.submit(asyncio.run, asyncio.wait_for(knock(), _TIMEOUT_S)).result()
    except (ValueError, TypeError) as error:
        raise ValueError(f"{address!r}: {error}. Expected an address such as tcp://127.0.0.1:8786.") from error
    except OSError as error:
        raise ConnectionError(
            f"{address}: no scheduler answers there. Start one with `dask scheduler`, which tells its address."
        ) from error


def _check_workers(client: Client, address: str) -> None:
    try:
        client.submit(int, pure=False).result(timeout=_TIMEOUT_S)  # also makes workers come where they do on demand
    except TimeoutError as error:
        raise ConnectionError(f"{address}: no workers. Start some with `dask worker {address}`.") from error
    told = client.get_versions(packages=[*_SAME])
    here = told["client"]["packages"]
    others = {"the scheduler": told["scheduler"]}  # it looks into what it hands on
    others |= {f"the worker {worker}": versions for worker, versions in told["workers"].items()}
    for who, versions in others.items():
        there = versions["packages"]
        for name in ("python", *_SAME):
            pair = [str(packages[name]) for packages in (there, here)]
            if name == "python":  # 3.11.7 and 3.11.9 understand each other
                pair = [".".join(version.split(".")[:2]) for version in pair]
            if pair[0] != pair[1]:
                raise ValueError(
                    f"{address}: {who} has {name} {pair[0]}, and here is {pair[1]}. Install the same versions on all "
                    "machines."
                )


def _tell_workers(client: Client) -> str:
    threads = client.ncores()
    numbers = {"worker": len(threads), "thread": sum(threads.values())}
    return " with ".join(f"{number} {noun}" + "s" * (number > 1) for noun, number in numbers.items())


@contextlib.contextmanager
def _watch(client: Client, address: str, tell: Callable[[str], object]) -> Iterator[None]:
    """Say so when the last worker has gone: the scheduler waits for another one without a word."""
    done = threading.Event()

    def look() -> None:
        lonely = False
        while not done.wait(_WATCH_S):
            with contextlib.suppress(OSError):  # the scheduler has gone, as whoever waits for it will hear
                was, lonely = lonely, not client.ncores()
                if lonely and not was:
                    tell(f"{address}: no workers are left; waiting for others")

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
