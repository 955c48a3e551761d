"""Epoch -> what comes next: held-out loss, learning rate, the end, a checkpoint, progress."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import log_softmax

from sersk.filterbanks import Array

from .calibration import choose_temperature
from .keras_backend import keras
from .keras_batches import Batches, predict_batches
from .keras_checkpoint import load_state, plain_value, plain_weights, save_state

_LEAST_RATE = 1e-5


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
            try:
                save_state(self.checkpoint, network, told, self.best)
            except OSError as error:  # a full disk, say, which is no reason to lose what was trained
                warnings.warn(
                    f"checkpoint {self.checkpoint}: {error.strerror or error}; training goes on.", stacklevel=2
                )
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
