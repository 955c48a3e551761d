"""Batches -> networks that are done with training."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from .calibration import choose_temperature
from .keras_backend import keras
from .keras_batches import Array, Batches, predict_batches
from .keras_checkpoint import load_state, plain_value, plain_weights, save_state

_LEAST_RATE = 1e-5


@dataclass(frozen=True)
class Trained:
    """
    Hold what training comes to.

    Parameters
    ----------
    weights : list of ndarray
        Of the epoch that was kept.
    history : dict of str to list of float
        One value an epoch.
    best_epoch : int
        The epoch that was kept, from 0.
    """

    weights: list[Array]
    history: dict[str, list[float]]
    best_epoch: int


class Trainer:
    """
    Train networks of one kind, one after the other; what is compiled for the first serves them all.

    Parameters
    ----------
    build : callable
        Gives a network with fresh weights.
    compile_kwargs : dict
        For ``keras.Model.compile``.
    """

    def __init__(self, build: Callable[[], Any], compile_kwargs: dict[str, Any]) -> None:
        self.build, self.compile_kwargs = build, compile_kwargs
        self.network: Any = None
        self.optimizer_start: list[Any] = []

    def train(
        self, seed: int, batches: Batches, supervisor: Supervisor, epochs: int, callbacks: Sequence[Any] = ()
    ) -> Trained:
        """
        Train one network from its beginning, or from its checkpoint.

        Parameters
        ----------
        seed : int
            Of weights and dropout.
        batches : Batches
            Training clips.
        supervisor : Supervisor
            A new one.
        epochs : int
            Passes over the clips, at the most.
        callbacks : sequence of keras.callbacks.Callback, default=()
            What is to be called besides.

        Returns
        -------
        Trained
            Weights and history.
        """
        with seeded(seed):
            self._begin()
            supervisor.resume(self.network)
            try:
                if supervisor.n_epochs < epochs and not supervisor.is_over:
                    self.network.fit(
                        batches,
                        epochs=epochs,
                        initial_epoch=supervisor.n_epochs,
                        callbacks=[supervisor, *callbacks],
                        shuffle=False,
                        verbose=0,
                    )
            finally:
                supervisor.close()
        if supervisor.best is None:
            return Trained(plain_weights(self.network), supervisor.history, supervisor.n_epochs - 1)
        return Trained(supervisor.best, supervisor.history, supervisor.best_epoch)

    def _begin(self) -> None:
        fresh = self.build()
        if self.network is None:
            self.network = fresh
            self.network.compile(**self.compile_kwargs)
            self.network.optimizer.build(self.network.trainable_variables)
            self.optimizer_start = [plain_value(variable) for variable in self.network.optimizer.variables]
            return
        for variable, start in zip(self.network.variables, fresh.variables, strict=True):
            variable.assign(plain_value(start))
        for variable, value in zip(self.network.optimizer.variables, self.optimizer_start, strict=True):
            variable.assign(value)


class Supervisor(keras.callbacks.Callback):
    """
    Watch over the epochs: held-out loss, learning rate, end of training, checkpoint, progress.

    Parameters
    ----------
    batches : Batches
        Training clips.
    held_out : tuple of ndarray or None
        Frames, target and weights of the clips that are held out.
    patience : int or None
        Epochs without a lower held-out loss after which training ends, with the weights of the best epoch; None trains
        to the end and keeps the last ones.
    schedule : {"cosine", "plateau"}
        How the learning rate falls: along half a cosine over all epochs, or by half after half of `patience`.
    checkpoint : Path or None
        File that the state is written to after each epoch.
    verbose : int
        Progress bar on stderr if positive.
    """

    def __init__(
        self,
        batches: Batches,
        held_out: Any,
        *,
        patience: int | None,
        schedule: str,
        checkpoint: Path | None,
        verbose: int,
    ) -> None:
        super().__init__()
        self.batches, self.held_out, self.patience, self.schedule = batches, held_out, patience, schedule
        self.checkpoint, self.verbose = checkpoint, verbose
        self.history: dict[str, list[float]] = {}
        self.best_epoch, self.waited = 0, 0
        self.best: list[Array] | None = None
        self.rate = 0.0  # at the start
        self.bar: Any = None

    @property
    def n_epochs(self) -> int:
        """Number of epochs that are behind."""
        return len(self.history.get("loss", ()))

    @property
    def is_over(self) -> bool:
        """Whether patience came to its end."""
        return self.patience is not None and self.held_out is not None and self.waited >= self.patience

    @property
    def _sets_rate(self) -> bool:
        """Whether the learning rate is a number, not a schedule of Keras."""
        return hasattr(self.model.optimizer.learning_rate, "assign")

    def on_train_begin(self, logs: object = None) -> None:
        """
        Show the bar.

        Parameters
        ----------
        logs : None
            Ignored.
        """
        self.bar = _bar(self.params["epochs"], self.n_epochs) if self.verbose > 0 else None
        if self._sets_rate:
            self.rate = self.rate or float(plain_value(self.model.optimizer.learning_rate))

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """
        Lay out the batches of the epoch.

        Parameters
        ----------
        epoch : int
            Its number.
        logs : None
            Ignored.
        """
        self.batches.start(epoch)
        if self.schedule == "cosine" and self._sets_rate:
            share = (1 + math.cos(math.pi * epoch / self.params["epochs"])) / 2
            self.model.optimizer.learning_rate = self.rate * (share if epoch else 0.5)  # half in the first, to warm up

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """
        Measure the held-out clips, and decide how to go on.

        Parameters
        ----------
        epoch : int
            Its number.
        logs : dict
            Loss and metrics of the epoch; those of the held-out clips are put in.
        """
        network = self.model  # reading it brings the weights up to date, with JAX
        logs = {} if logs is None else logs
        if self.held_out is not None:
            logs |= self._measure(network)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        if self.held_out is not None and self.patience is not None:
            self._decide(network, self.history["val_calibrated_loss"], self.patience)
        if self.checkpoint is not None:
            told = {
                "history": self.history,
                "best_epoch": self.best_epoch,
                "waited": self.waited,
                "rate": self.rate,
            }
            save_state(self.checkpoint, network, told, self.best)
        if self.bar is not None:
            self.bar.update(0, advance=1, told=_told(logs))

    def _measure(self, network: Any) -> dict[str, float]:
        X, target, weight = self.held_out
        size = self.batches.batch_size
        chances = predict_batches(network, X, size, self.batches.longest, least=size)
        scores = np.log(np.maximum(chances, 1e-7))
        truth = target.argmax(axis=1)
        # A network that is merely too sure of itself is no worse: its probabilities will be calibrated.
        calibrated = log_softmax(scores / choose_temperature(scores, truth), axis=1)
        rows = np.arange(len(truth))
        weight = weight if weight.any() else np.ones_like(weight)
        return {
            "val_loss": -float(np.average(scores[rows, truth], weights=weight)),
            "val_accuracy": float((chances.argmax(axis=1) == truth).mean()),
            "val_calibrated_loss": -float(np.average(calibrated[rows, truth], weights=weight)),
        }

    def _decide(self, network: Any, losses: list[float], patience: int) -> None:
        if losses[-1] <= min(losses):
            self.best, self.best_epoch, self.waited = plain_weights(network), len(losses) - 1, 0
            return
        self.waited += 1
        if self.is_over:
            network.stop_training = True
        elif self.schedule == "plateau" and self._sets_rate and self.waited % max(1, patience // 2) == 0:
            rate = float(plain_value(network.optimizer.learning_rate))
            network.optimizer.learning_rate = max(rate / 2, _LEAST_RATE)

    def close(self) -> None:
        """Take the bar away, also after an interruption."""
        if self.bar is not None:
            self.bar.stop()

    def resume(self, network: Any) -> None:
        """
        Go back to the state of the checkpoint, if there is a whole one.

        Parameters
        ----------
        network : keras.Model
            Compiled, and at its beginning.
        """
        if self.checkpoint is not None and (held := load_state(self.checkpoint, network)) is not None:
            told, self.best = held
            self.history, self.rate = told["history"], told["rate"]
            self.best_epoch, self.waited = told["best_epoch"], told["waited"]


def _told(logs: dict[str, float]) -> str:
    return ", ".join(
        f"{name} {logs[name]:.3f}" for name in ("loss", "accuracy", "val_loss", "val_accuracy") if name in logs
    )


def _bar(n_epochs: int, done: int) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    told = TextColumn("{task.fields[told]}")
    columns = (TextColumn("epochs"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), told)
    bar = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)
    bar.add_task("epochs", total=n_epochs, completed=done, told="")
    bar.start()
    return bar


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """
    Seed everything that Keras draws from, and give Python and numpy their own states back.

    Parameters
    ----------
    seed : int
        Below 2**32.

    Yields
    ------
    None
        For a ``with`` block.
    """
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # what Keras seeds
    try:
        keras.utils.set_random_seed(seed)
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


@contextlib.contextmanager
def all_devices() -> Iterator[int]:
    """
    Train on all devices that Keras sees, each on its part of every batch.

    Yields
    ------
    int
        Number of devices; with one, or on another backend than JAX, nothing is distributed.
    """
    devices = keras.distribution.list_devices() if keras.backend.backend() == "jax" else []
    if len(devices) < 2 or keras.distribution.distribution() is not None:
        yield 1
        return
    with keras.distribution.DataParallel(devices=devices).scope():
        yield len(devices)
