"""Frames, labels and folds -> networks that are done with training."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from sersk.filterbanks import Array

from .folds import Folds
from .keras_backend import keras
from .keras_batches import Batches
from .keras_checkpoint import fingerprint, plain_value, plain_weights
from .keras_supervisor import Supervisor


@dataclass(frozen=True)
class Plan:
    """
    Hold how networks are trained; the names are those of `KerasSequenceClassifier`.

    Parameters
    ----------
    epochs : int
        Passes over the clips, at the most.
    batch_size : int
        Clips at a time.
    longest : int or None
        Frames of the longest clip; None for a network that takes clips of one length.
    label_smoothing : float
        Share of the target that goes to all classes alike.
    masks : (float, float)
        Longest stripe of time and of descriptors to be masked, as a share of the clip.
    patience : int or None
        Epochs without a lower held-out loss after which training ends.
    schedule : {"cosine", "plateau"}
        How the learning rate falls.
    checkpoint : Path or None
        Folder of the states.
    verbose : int
        Progress bar if positive.
    callbacks : sequence of keras.callbacks.Callback
        What is to be called besides.
    """

    epochs: int
    batch_size: int
    longest: int | None
    label_smoothing: float
    masks: tuple[float, float]
    patience: int | None
    schedule: str
    checkpoint: Path | None
    verbose: int
    callbacks: Sequence[Any]


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


def train_networks(
    trainer: Trainer,
    plan: Plan,
    X: Array,
    target: Array,
    weight: Array,
    folds: Folds,
    seeds: Sequence[int],
    settled: Any = None,
) -> list[Trained]:
    """
    Train one network for each fold; all but the first for as many epochs as the first had use for.

    Parameters
    ----------
    trainer : Trainer
        Of such networks.
    plan : Plan
        How they are trained.
    X : ndarray of shape (n_clips, n_frames, n_descriptors)
        Frames, NaN after a clip's end.
    target : ndarray of shape (n_clips, n_classes)
        1 for the class of the clip.
    weight : ndarray of shape (n_clips,)
        Weights of the clips.
    folds : list of (ndarray, ndarray)
        Clips to train on, and to hold out.
    seeds : sequence of int
        One a network.
    settled : object with a telling repr, default=None
        What besides these arguments the outcome depends on: a checkpoint is for this only.

    Returns
    -------
    list of Trained
        Weights and history of each network.
    """
    smooth = target * (1 - plan.label_smoothing) + np.float32(plan.label_smoothing / target.shape[1])
    name = fingerprint(settled, X, target, weight) if plan.checkpoint is not None else ""
    done: list[Trained] = []
    for seed, (train, held) in zip(seeds, folds, strict=True):
        part = train if len(held) else slice(None)  # of all clips no copy is made
        batches = Batches(
            X[part],
            smooth[part],
            weight[part],
            batch_size=plan.batch_size,
            longest=plan.longest,
            masks=plan.masks,
            seed=seed,
        )
        supervisor = Supervisor(
            batches,
            (X[held], target[held], weight[held]) if len(held) else None,
            patience=plan.patience,
            schedule=plan.schedule,
            checkpoint=plan.checkpoint and plan.checkpoint / f"{fingerprint(name, seed, held)}.npz",
            verbose=plan.verbose,
        )
        epochs = done[0].best_epoch + 1 if done else plan.epochs
        done.append(trainer.train(seed, batches, supervisor, epochs, plan.callbacks))
    return done


def rebuild(build: Callable[[], Any], weights: Sequence[Sequence[Array]]) -> Any:
    """
    Build a network again, if it is as large as its weights: a file may say what it will.

    Parameters
    ----------
    build : callable
        Gives the network.
    weights : list of list of ndarray
        What it is to take.

    Returns
    -------
    keras.Model
        With fresh weights, not compiled.

    Raises
    ------
    ValueError
        If it is not.
    """

    def shapes() -> list[tuple[int, ...]]:
        with keras.StatelessScope(initialize_variables=False):
            return [tuple(weight.shape) for weight in build().weights]

    with seeded(0):  # building draws from Python's generator
        # What Keras has left without values, it gives them later, but to those of the same thread only.
        with ThreadPoolExecutor(1) as thread:
            wanted = thread.submit(shapes).result()
        if any([weight.shape for weight in one] != wanted for one in weights):
            raise ValueError("the weights of the network do not fit its parameters")
        return build()


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
        Number of devices; with one, or on another backend than JAX 0.10 or later, nothing is distributed.
    """
    devices = keras.distribution.list_devices() if keras.backend.backend() == "jax" and _jax_distributes() else []
    if len(devices) < 2 or keras.distribution.distribution() is not None:
        yield 1
        return
    with keras.distribution.DataParallel(devices=devices).scope():
        yield len(devices)


def _jax_distributes() -> bool:
    """With JAX 0.5 two devices come to other losses from run to run; what lies between was not tried."""
    major, minor = version("jax").split(".")[:2]
    return (int(major), int(minor)) >= (0, 10)
