"""Tasks -> worker processes, any one of which may be killed without harm to the others.

Neither concurrent.futures nor loky can end one worker: a file that hangs the decoder, or takes its process down, would
take all of them along.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from .problems import ServiceProblem

_log = logging.getLogger("sersk.serve")

_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
_PAUSE = 1.0  # seconds before another try to start a worker


class WorkerPool:
    """
    Keep workers that have loaded all models, give each a task at a time, and replace those that fail.

    Parameters
    ----------
    files : mapping of str to Path
        The model files by the models' names.
    n_workers : int
        How many processes work.

    Attributes
    ----------
    n_restarted : int
        Workers that died or were killed, and were replaced.
    """

    def __init__(self, files: Mapping[str, Path], n_workers: int) -> None:
        self.n_restarted = 0
        self._files = dict(files)
        self._n_workers = n_workers
        self._workers: set[_Worker] = set()
        self._is_open = False

    @property
    def n_ready(self) -> int:
        """
        Count the workers that have loaded the models and are alive.

        Returns
        -------
        int
            At work or not.
        """
        return sum(worker.is_ready and worker.is_alive() for worker in self._workers)

    async def start(self) -> None:
        """Begin to start the workers; they are ready some seconds later."""
        self._is_open = True
        self._idle: asyncio.Queue[_Worker] = asyncio.Queue()
        self._tasks: set[asyncio.Task[Any]] = set()
        # A thread waits for each worker, and one for that which takes its place meanwhile.
        self._threads = ThreadPoolExecutor(2 * self._n_workers, "sersk-worker")
        for _ in range(self._n_workers):
            self._spawn(self._add())

    async def stop(self) -> None:
        """End all workers at once, whatever they do."""
        self._is_open = False
        while self._workers or self._tasks:
            for worker in [*self._workers]:
                self._workers.discard(worker)
                worker.kill()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=0.1)
        self._threads.shutdown()

    async def run(self, task: str, arguments: tuple[Any, ...], timeout: float) -> Any:
        """
        Have a task done by the next worker that is free.

        Parameters
        ----------
        task : str
            A key of `sersk.serve.work.TASKS`.
        arguments : tuple
            What it takes beside the models.
        timeout : float
            Seconds that it may take, and that it may wait for a worker before.

        Returns
        -------
        object
            What it gives.

        Raises
        ------
        ServiceProblem
            If the task says so, takes too long, or takes its worker down.
        """
        try:
            async with asyncio.timeout(timeout):
                worker = await self._next()
        except TimeoutError:
            detail = f"No worker was free within {timeout:g} s."
            raise ServiceProblem(503, "busy", "Too much to do", detail, retry_after=1) from None
        # Who asks may be cancelled meanwhile; the worker is looked after all the same.
        kind, answer = await asyncio.shield(self._spawn(self._ask(worker, task, arguments, timeout)))
        if kind == "done":
            return answer
        raise ServiceProblem(*answer)

    async def _next(self) -> _Worker:
        while True:
            worker = await self._idle.get()
            if worker.is_alive():
                return worker
            self._replace(worker)

    async def _ask(self, worker: _Worker, task: str, arguments: tuple[Any, ...], timeout: float) -> tuple[str, Any]:
        asked = asyncio.get_running_loop().run_in_executor(self._threads, worker.ask, task, arguments)
        await asyncio.wait([asked], timeout=timeout)
        if not asked.done():
            self._replace(worker)
            await asyncio.wait([asked])
            asked.exception()
            detail = f"The work took more than {timeout:g} s; send a shorter recording."
            return "problem", (504, "timeout", "Took too long", detail)
        try:
            kind, answer = asked.result()
        except Exception as error:
            self._replace(worker)
            # Neither what was asked nor an error's own words: they may tell of the upload.
            if self._is_open:
                _log.error("a worker died at %s (%s); another takes its place", task, type(error).__name__)
            detail = "The upload, or a fault in the service, took a worker down; the service goes on."
            return "problem", (500, "crashed", "Failed", detail)
        self._idle.put_nowait(worker)
        if kind == "failed":
            _log.error("%s failed: %s", task, answer)
            return "problem", (500, "failed", "Failed", "The service has a fault that this request brings out.")
        return kind, answer

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        """Start a task that is looked after until it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _replace(self, worker: _Worker) -> None:
        worker.kill()
        self._workers.discard(worker)
        if self._is_open:
            self.n_restarted += 1
            self._spawn(self._add())

    async def _add(self) -> None:
        """Start a worker, over and over if need be."""
        run = asyncio.get_running_loop().run_in_executor
        while self._is_open:
            worker = await run(self._threads, _Worker, self._files)
            self._workers.add(worker)
            fault = await run(self._threads, worker.wait)
            if fault is None:
                self._idle.put_nowait(worker)
                return
            self._workers.discard(worker)
            worker.kill()
            if self._is_open:
                self.n_restarted += 1
                _log.error("a worker could not start: %s", fault)
                await asyncio.sleep(_PAUSE)


class _Worker:
    """A process, and the pipe to it."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        self.is_ready = False
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_live, args=(theirs, files), daemon=True)
        with _without_interrupts():
            self._process.start()
        theirs.close()

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def wait(self) -> str | None:
        """Wait until the models are loaded; tell why they are not."""
        try:
            kind, fault = self._receive()
        except Exception as error:
            return type(error).__name__
        self.is_ready = kind == "ready"
        return None if self.is_ready else str(fault)

    def ask(self, task: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
        """Have a task done, and wait for it."""
        self._connection.send((task, arguments))
        return self._receive()

    def kill(self) -> None:
        """End the process at once; who waits for it is told."""
        self.is_ready = False
        self._process.kill()
        self._process.join()

    def _receive(self) -> tuple[str, Any]:
        kind, answer = _PlainUnpickler(io.BytesIO(self._connection.recv_bytes())).load()
        return kind, answer


class _PlainUnpickler(pickle.Unpickler):
    """Build plain values only, which takes no class: a worker that a file has taken over must not take over more."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is no plain value")


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C, which a terminal sends to all, leaves alone from their first moment."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end_with_parent() -> None:
    """End with the service, though it was killed: in the middle of a task a worker would not notice."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _live(connection: Connection, files: Mapping[str, Path]) -> None:
    """Be a worker."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))  # before NumPy and its kin are imported
    from .work import load_models, perform

    try:
        models = load_models(files)
    except Exception as error:
        connection.send(("failed", str(error)))
        return
    # Decoders say on stderr what they think of a file, whose sender would so write into the service's log.
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    connection.send(("ready", None))
    with contextlib.suppress(EOFError, OSError):  # the service has ended
        while True:
            connection.send(perform(models, *connection.recv()))
