"""Calls of joblib -> tasks on the workers of a Dask scheduler."""

from __future__ import annotations

import concurrent.futures
import weakref
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from joblib import parallel_config
from joblib.parallel import AutoBatchingMixin, ParallelBackendBase
from threadpoolctl import threadpool_limits

try:  # this module itself is imported within functions only
    from dask.sizeof import sizeof
    from distributed import Client
except ImportError as error:
    raise ImportError("A scheduler needs Dask: pip install 'sersk[distributed]'") from error

# Bytes from which data is sent once for all the calls that take it.
_LARGE = 1_000_000


class DaskBackend(AutoBatchingMixin, ParallelBackendBase):
    """
    Send calls to workers that may come and go.

    joblib has a backend for Dask, too. That one lays large arguments on a worker, and they are lost with it: here they
    come of a task, which is done again elsewhere. That one hands out what is parallel inside a task as further tasks,
    with arguments that are lost likewise: here a task keeps to its worker, and to one thread. That one waits for ever
    for what cannot be sent, or is given up: here its error is raised. And that one works in this process where there is
    one worker only (joblib 1.6).

    Parameters
    ----------
    client : distributed.Client
        Connected with the scheduler.
    """

    supports_retrieve_callback = True
    default_n_jobs = -1

    def __init__(self, client: Client) -> None:
        super().__init__()
        self._client = client
        self._tasks: set[Any] = set()
        self._sent: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def effective_n_jobs(self, n_jobs: int) -> int:
        """
        Count the threads of all workers.

        Parameters
        ----------
        n_jobs : int
            Ignored: the scheduler knows.

        Returns
        -------
        int
            Two at the least, as joblib takes one for a reason to stay in this process.
        """
        return max(sum(self._client.ncores().values()), 2)

    def configure(self, n_jobs: int = 1, parallel: Any = None, **_options: Any) -> int:
        """
        Take up the work of a ``Parallel``.

        Parameters
        ----------
        n_jobs : int, default=1
            Ignored.
        parallel : joblib.Parallel
            Whose work it is.
        **_options : dict
            For other backends.

        Returns
        -------
        int
            How many calls it may make at a time.
        """
        self.parallel = parallel
        return self.effective_n_jobs(n_jobs)

    def submit(self, func: Any, callback: Callable[[Any], object]) -> Any:
        """
        Send some calls to a worker.

        Parameters
        ----------
        func : joblib.parallel.BatchedCalls
            The calls.
        callback : callable
            Is given the future when they are done, or cannot be.

        Returns
        -------
        future
            What comes of them.
        """
        task: Any
        try:
            calls = [
                (call, [*map(self._held, args)], {name: self._held(value) for name, value in options.items()})
                for call, args, options in func.items
            ]
            task = self._client.submit(_call_alone, calls, key=f"sersk-calls-{uuid4().hex}")
        except Exception as error:  # whatever pickle comes upon
            task = concurrent.futures.Future()
            task.set_exception(error)
        else:
            self._tasks.add(task)
        task.add_done_callback(callback)
        return task

    apply_async = submit  # its name before joblib 1.5

    def retrieve_result_callback(self, out: Any) -> Any:
        """
        Give what came of some calls.

        Parameters
        ----------
        out : future
            What `submit` gave.

        Returns
        -------
        list
            A result a call.
        """
        self._tasks.discard(out)
        return out.result()

    def stop_call(self) -> None:
        """Let go of the data that was sent."""
        self._sent.clear()

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """
        Leave undone what is not done yet.

        Parameters
        ----------
        ensure_ready : bool, default=True
            Ignored: there is nothing to make ready.
        """
        for task in [*self._tasks]:  # callbacks may add to it meanwhile
            task.release()
        self._tasks.clear()

    def _held(self, argument: Any) -> Any:
        """Give what stands for a large argument in all calls of a ``Parallel``."""
        try:
            known = weakref.ref(argument)
        except TypeError:  # a number, a list of clips
            return argument
        if sizeof(argument) < _LARGE:
            return argument
        of_whom, held = self._sent.get(id(argument), (None, None))
        if of_whom is None or of_whom() is not argument:
            held = self._client.submit(_same, argument, key=f"sersk-data-{uuid4().hex}")
            self._sent[id(argument)] = known, held
        return held


def _call_alone(calls: list[Any]) -> list[Any]:
    with parallel_config(backend="sequential"), threadpool_limits(limits=1):
        return [call(*args, **options) for call, args, options in calls]


def _same(data: Any) -> Any:
    return data
