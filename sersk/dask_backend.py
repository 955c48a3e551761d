"""Calls of joblib -> tasks on the workers of a Dask scheduler."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from joblib import parallel_config
from joblib._dask import Batch, DaskDistributedBackend, is_weakrefable
from threadpoolctl import threadpool_limits

try:  # this module itself is imported within functions only
    from dask.sizeof import sizeof
    from distributed import Client
except ImportError as error:
    raise ImportError("A scheduler needs Dask: pip install 'sersk[distributed]'") from error

# Bytes from which data is sent once for all the calls that take it.
_LARGE = 1_000_000


class ResilientBackend(DaskDistributedBackend):
    """
    Send calls to workers that may come and go.

    It is joblib's own, but for four things. That one lays large arguments on a worker, and they are lost with it: here
    they come of a task, which is done again elsewhere. That one hands out what is parallel inside a task as further
    tasks, with arguments that are lost likewise: here a task keeps to its worker, and to one thread. That one waits for
    ever for a task that could not be begun, or was given up: here its error is raised. And that one works in this
    process where there is one worker only.

    Parameters
    ----------
    client : distributed.Client
        Connected with the scheduler.
    """

    def __init__(self, client: Client) -> None:
        super().__init__(client=client)

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
        return max(super().effective_n_jobs(n_jobs), 2)

    async def _collect(self) -> None:
        while self._continue:
            async for task, result in self.waiting_futures:
                if task.status == "error":
                    _, result, _ = result
                self._results.pop(task).set_result(result)
                self._callbacks.pop(task)(result)
            await asyncio.sleep(0.01)

    async def _to_func_args(self, func: Any) -> tuple[Batch, list[Any]]:
        calls = [
            (call, [*map(self._held, args)], {name: self._held(value) for name, value in options.items()})
            for call, args, options in func.items
        ]
        return _LoneBatch(calls), calls

    def _held(self, argument: Any) -> Any:
        """Give what stands for a large argument in all calls; joblib keeps it until they are done."""
        if not is_weakrefable(argument) or sizeof(argument) < _LARGE:
            return argument
        try:
            return self.call_data_futures[argument]
        except KeyError:
            held = self.client.submit(_same, argument, key=f"sersk-data-{uuid4().hex}")
            self.call_data_futures[argument] = held
            return held


class _LoneBatch(Batch):
    def __call__(self, tasks: list[Any]) -> list[Any]:
        with parallel_config(backend="sequential"), threadpool_limits(limits=1):
            return [call(*args, **options) for call, args, options in tasks]


def _same(data: Any) -> Any:
    return data
