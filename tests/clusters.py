"""A Dask scheduler and its workers as processes of their own, and work that shows who does it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
from joblib import effective_n_jobs
from sklearn.naive_bayes import GaussianNB
from threadpoolctl import threadpool_info

from sersk.audio import load_audio
from sersk.clips import DerivedClip, clip_source

_PATIENCE_S = 300


def wait_until(done: Callable[[], object]) -> None:
    """Wait for what is sure to come, and fail if it does not."""
    end = time.monotonic() + _PATIENCE_S
    while not done():
        assert time.monotonic() < end, "this should not take so long"
        time.sleep(0.02)


@contextmanager
def _process(*arguments: str, folder: Path, **settings: str) -> Iterator[subprocess.Popen]:
    # What workers unpickle may lie beside the tests.
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path} | settings,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def cluster(folder: Path, n_workers: int = 2, *, nanny: bool = False, **settings: str) -> Iterator[Cluster]:
    """Start a scheduler, at a port that the system chooses, and workers of one thread, which run in `folder`."""
    told = folder / "scheduler.json"
    loopback = ("--host", "127.0.0.1", "--no-dashboard")
    kind = "--nanny" if nanny else "--no-nanny"  # a nanny starts a worker again that has died
    with ExitStack() as processes:

        def start(command: str, *arguments: str) -> subprocess.Popen:
            return processes.enter_context(_process(command, *arguments, *loopback, folder=folder, **settings))

        scheduler = start("distributed.cli.dask_scheduler", "--port", "0", "--scheduler-file", str(told))
        wait_until(lambda: told.is_file() and told.read_text().endswith("}"))
        address = json.loads(told.read_text())["address"]
        options = (kind, "--nthreads", "1", "--local-directory", str(folder))
        workers = [start("distributed.cli.dask_worker", address, *options) for _ in range(n_workers)]
        yield Cluster(address, scheduler, workers)


@dataclass
class Cluster:
    """Its processes, by whose ids they can be killed."""

    address: str
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen]


def note_and_wait(folder: str) -> None:
    """Leave a note of the process that is at work, and go on when the file ``go`` is there."""
    (Path(folder) / f"{os.getpid()}-{uuid4().hex}.note").touch()
    wait_until(lambda: (Path(folder) / "go").exists())


def noted(folder: Path) -> set[int]:
    """The processes that have been at work."""
    return {int(note.name.partition("-")[0]) for note in folder.glob("*.note")}


@dataclass(frozen=True, eq=False)
class NotedClip(DerivedClip):
    """A clip whose worker leaves a note."""

    folder: str

    def waveform(self, sr):
        note_and_wait(self.folder)
        return load_audio(clip_source(self.clip, sr), sr)


@dataclass(frozen=True, eq=False)
class DeadlyClip(DerivedClip):
    """A clip that kills who reads it."""

    def waveform(self, sr):
        os.kill(os.getpid(), 9)


class NotedBayes(GaussianNB):
    """A classifier whose worker leaves a note."""

    def __init__(self, folder=""):
        super().__init__()
        self.folder = folder

    def fit(self, X, y):
        note_and_wait(self.folder)
        return super().fit(X, np.asarray(y))


def threads_of_a_task():
    """Threads of each library, what joblib would do at a time, and the process."""
    return [pool["num_threads"] for pool in threadpool_info()], effective_n_jobs(-1), os.getpid()
