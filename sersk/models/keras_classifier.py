"""Frames -> emotions by a Keras network, as a scikit-learn classifier."""

from __future__ import annotations

import os
from collections.abc import Callable
from numbers import Integral, Real
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sersk.augmentation import count_frames
from sersk.filterbanks import Array
from sersk.normalization import check_frames

from .calibration import choose_temperature
from .decision import MostProbable
from .folds import Folds, hold_out
from .keras_backend import keras
from .keras_batches import predict_batches
from .keras_mended import MendedKerasClassifier
from .keras_training import Plan, Trainer, all_devices, rebuild, train_networks
from .network_parts import Network
from .networks import ARCHITECTURES, FIXED_LENGTH, build_network
from .rows import weigh_clips

# Parameters that change how training goes, not what comes out.
_WORK = frozenset({"checkpoint", "verbose", "callbacks"})


class KerasSequenceClassifier(MostProbable, MendedKerasClassifier):
    """
    Classify sequences of frames with a Keras network.

    scikeras' classifier with what scikit-learn and speech need of it: clips of any length, whose padding takes no part;
    labels as they come; speakers held out while training, who tell when it ends, and who the probabilities are
    calibrated on; the same result for the same seed on every backend; more than one device; and a state of plain
    arrays, from which sersk's own code builds the network anew, so that no file of Keras is ever read.

    Parameters
    ----------
    architecture : str or callable, default="lstm"
        A name out of ``sersk.models.networks.ARCHITECTURES``, or a function like those in that module. Its
        parameters are given as ``model__units=128`` and so on.
    optimizer : str or keras.optimizers.Optimizer, default="adamw"
        With parameters such as ``optimizer__learning_rate``.
    optimizer__learning_rate : float, default=0.002
        Learning rate at the start.
    optimizer__clipnorm : float or None, default=1.0
        Length that the gradient of each weight is cut to.
    n_networks : int, default=1
        Networks whose probabilities are averaged. The first one holds clips out, and tells how many epochs are enough
        and how sure is too sure; the others train on all clips, for as many epochs.
    epochs : int, default=60
        Passes over the training clips, at the most.
    batch_size : int, default=32
        Clips in a batch; a multiple of the number of devices.
    validation_fraction : float, default=0.2
        Share of the training clips that are held out: if `fit` is given `groups`, the whole speakers that come nearest
        to it; 0 trains on all.
    patience : int or None, default=None
        Epochs without a lower loss on the held-out clips, calibrated there, after which training ends; the best epoch's
        weights are kept. None trains all epochs and keeps the last weights, which serves better where few speakers can
        be held out.
    schedule : {"cosine", "plateau"}, default="cosine"
        How the learning rate falls: along half a cosine over all epochs (Loshchilov & Hutter 2017), or by half whenever
        half of `patience` has passed.
    label_smoothing : float, default=0.1
        Share of each target that is spread over all classes.
    time_mask, frequency_mask : float, default=0.1
        Longest stripe of frames, and of descriptors, set to zero in every training clip anew (SpecAugment), as a share.
    class_weight : "balanced", dict or None, default="balanced"
        Weights of the classes.
    checkpoint : path or None, default=None
        Folder for the state after each epoch. A fit that was interrupted goes on from it, and one that was done is
        taken from it, if clips, parameters and seed are the same.
    metrics : list or None, default=("accuracy",)
        What is measured beside the loss.
    callbacks : list or None, default=None
        Callbacks of Keras.
    random_state : int, RandomState or None, default=None
        Seed of weights, order, dropout and masks.
    verbose : int, default=0
        Progress bar on stderr if positive.
    **kwargs : dict
        Parameters of the architecture, with the prefix ``model__``, and of the optimizer, with ``optimizer__``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels, in the order of the probabilities.
    history_ : dict of str to list of float
        "loss" and "accuracy" of each epoch, and with held-out clips "val_loss", "val_accuracy" and
        "val_calibrated_loss".
    best_epoch_ : int
        The epoch, from 0, whose weights were kept.
    temperature_ : float
        What log-probabilities are divided by, chosen on the held-out clips; 1 without any.
    model_ : keras.Model
        The network, with any of the weights.
    weights_ : list of list of ndarray
        Weights of each network.
    histories_ : list of dict
        History of each network; `history_` and `best_epoch_` are the first one's.
    n_features_in_ : int
        Number of descriptors, or of columns of a 2-D X.
    takes_frames_ : bool
        Whether X had three dimensions.

    See Also
    --------
    FrameSequences : Gives the frames.
    FrameScaler : Brings them to a common scale.

    References
    ----------
    Park et al. 2019, "SpecAugment", doi 10.21437/Interspeech.2019-2680. Guo et al. 2017, "On calibration of modern
    neural networks", arXiv 1706.04599. Loshchilov & Hutter 2017, "SGDR", arXiv 1608.03983.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk import KerasSequenceClassifier
    >>> X = np.random.RandomState(0).randn(40, 12, 3)
    >>> y = np.where(X[:, :, 0].mean(axis=1) > 0, "happy", "sad")
    >>> X[0, 8:] = np.nan  # the first clip is shorter
    >>> model = KerasSequenceClassifier("lstm", model__units=4, epochs=2, random_state=0).fit(X, y)
    >>> model.predict_proba(X[:2]).shape
    (2, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "architecture": [StrOptions(set(ARCHITECTURES)), callable],
        "optimizer": [str, keras.optimizers.Optimizer],
        "optimizer__learning_rate": [
            Interval(Real, 0, None, closed="neither"),
            keras.optimizers.schedules.LearningRateSchedule,
        ],
        "optimizer__clipnorm": [Interval(Real, 0, None, closed="neither"), None],
        "n_networks": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 0.5, closed="both")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "schedule": [StrOptions({"cosine", "plateau"})],
        "label_smoothing": [Interval(Real, 0, 1, closed="left")],
        "time_mask": [Interval(Real, 0, 1, closed="left")],
        "frequency_mask": [Interval(Real, 0, 1, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "checkpoint": [str, os.PathLike, None],
        "metrics": [list, tuple, None],
        "callbacks": [list, tuple, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }
    # Speakers reach `fit` inside pipelines without a word from the user, once metadata routing is on.
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": True, "sources": True}

    def __init__(
        self,
        architecture: str | Callable[..., Network] = "lstm",
        *,
        optimizer: Any = "adamw",
        optimizer__learning_rate: float = 2e-3,
        optimizer__clipnorm: float | None = 1.0,
        n_networks: int = 1,
        epochs: int = 60,
        batch_size: int = 32,
        validation_fraction: float = 0.2,
        patience: int | None = None,
        schedule: str = "cosine",
        label_smoothing: float = 0.1,
        time_mask: float = 0.1,
        frequency_mask: float = 0.1,
        class_weight: Any = "balanced",
        checkpoint: Any = None,
        metrics: Any = ("accuracy",),
        callbacks: Any = None,
        random_state: Any = None,
        verbose: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            optimizer=optimizer,
            loss="categorical_crossentropy",
            metrics=metrics,
            batch_size=batch_size,
            verbose=verbose,
            callbacks=callbacks,
            epochs=epochs,
            class_weight=class_weight,
            random_state=random_state,
            **kwargs,
        )
        self.architecture = architecture
        self.optimizer__learning_rate = optimizer__learning_rate
        self.optimizer__clipnorm = optimizer__clipnorm
        self.n_networks = n_networks
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.schedule = schedule
        self.label_smoothing = label_smoothing
        self.time_mask = time_mask
        self.frequency_mask = frequency_mask
        self.checkpoint = checkpoint

    def fit(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
        sources: npt.ArrayLike | None = None,
    ) -> Self:
        """
        Train the network.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_frames, n_descriptors) or (n_clips, n_features)
            Frames, NaN after a clip's end; or vectors, which are read as sequences of one value a step.
        y : array-like of shape (n_clips,)
            Labels of any type.
        groups : array-like of shape (n_clips,), default=None
            Speakers; those that are held out while training are held out with all their clips.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips, beside those of the classes.
        sources : array-like of shape (n_clips,), default=None
            Which rows are altered copies, if any: k for clip k itself, ~k for a copy of it. They train, but are not
            held out.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        ValueError
            If parameters, X or y do not fit the network or each other.
        """
        self._validate_params()
        self._check_names()
        X, y = self._check_fit(X, y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("Classifier can't train when only one class is present.")
        weight = weigh_clips(self.class_weight, y, sample_weight)
        weight = (weight / weight.mean()).astype(np.float32)
        self._train(X, codes, weight, self._folds(y, groups, sources))
        return self

    def _check_fit(self, X: Any, y: npt.ArrayLike) -> tuple[Array, npt.NDArray[Any]]:
        if _n_dimensions(X) == 3:
            frames, labels = check_frames(X), np.asarray(validate_data(self, y=y))
            if len(frames) != len(labels):
                raise ValueError(f"X holds {len(frames)} clips, but y has {len(labels)} labels.")
            _check_lengths(frames)
            self.n_features_in_ = frames.shape[2]
        else:
            table, labels = validate_data(self, X, y, dtype=np.float32)
            frames = table[..., None]
        check_classification_targets(labels)
        self.takes_frames_ = _n_dimensions(X) == 3
        self.input_shape_ = (frames.shape[1], frames.shape[2])
        return frames, labels

    def _folds(self, y: npt.NDArray[Any], groups: npt.ArrayLike | None, sources: npt.ArrayLike | None = None) -> Folds:
        """Give each network the clips to train on and to hold out: the first one holds out, the others see all."""
        everything = (np.arange(len(y)), np.arange(0))
        share = self.validation_fraction
        first = hold_out(y, groups, share, sources) if share else everything
        return [first, *[everything] * (self.n_networks - 1)]

    def _train(self, X: Array, codes: npt.NDArray[np.intp], weight: Array, folds: Folds) -> None:
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=len(folds)).tolist()
        target = np.eye(len(self.classes_), dtype=np.float32)[codes]
        plan = Plan(
            epochs=self.epochs,
            batch_size=self.batch_size,
            longest=self._longest(),
            label_smoothing=self.label_smoothing,
            masks=(self.time_mask, self.frequency_mask),
            patience=self.patience,
            schedule=self.schedule,
            checkpoint=None if self.checkpoint is None else Path(self.checkpoint),
            verbose=int(self.verbose),
            callbacks=self.callbacks or (),
        )
        settled = {name: value for name, value in self.get_params().items() if name not in _WORK}
        with all_devices() as n_devices:
            if self.batch_size % n_devices:
                raise ValueError(f"batch_size: expected a multiple of the {n_devices} devices, got {self.batch_size}.")
            trainer = Trainer(self._build, self._get_compile_kwargs())
            done = train_networks(trainer, plan, X, target, weight, folds, seeds, settled)
        self.weights_ = [one.weights for one in done]
        self.histories_ = [one.history for one in done]
        self.history_, self.best_epoch_ = done[0].history, done[0].best_epoch
        # One that lives on one device, if it was trained on several.
        self._hold(rebuild(self._build, self.weights_) if n_devices > 1 else trainer.network)
        self.temperature_ = 1.0
        if len(held := folds[0][1]):
            self.temperature_ = choose_temperature(self._log_chances(X[held], self.weights_[0]), codes[held])

    def _hold(self, network: Network) -> None:
        self.model_ = network
        self.model_.set_weights(self.weights_[0])
        self._current = self.weights_[0]  # which of the weights the network has
        self._lock = Lock()  # one thread at a time asks it

    def _build(self) -> Network:
        """Build the network from parameters and shapes; nothing else decides what it is."""
        return build_network(self.architecture, self.input_shape_, len(self.classes_), self._routed("model"))

    def _longest(self) -> int | None:
        """Frames of the longest clip in training, or None if all clips must be as long."""
        return self.input_shape_[0] if self.takes_frames_ and self.architecture not in FIXED_LENGTH else None

    def _log_chances(self, X: Array, weights: list[Array]) -> npt.NDArray[np.float64]:
        if self._current is not weights:
            self.model_.set_weights(weights)
            self._current = weights
        chances = predict_batches(self.model_, X, self.batch_size, self._longest())
        return np.log(np.maximum(chances.astype(np.float64), 1e-12))

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """
        Estimate the probability of each class.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_frames, n_descriptors) or (n_clips, n_features)
            Frames, NaN after a clip's end, or vectors, as they were in `fit`. What else is in X does not matter.

        Returns
        -------
        ndarray of shape (n_clips, n_classes)
            Probabilities, columns in the order of `classes_`.

        Raises
        ------
        ValueError
            If X does not fit what the network was trained on.
        """
        check_is_fitted(self, "model_")
        if _n_dimensions(X) == 3:
            frames = check_frames(X)
            _check_lengths(frames)
        elif _n_dimensions(X) == 2 and self.takes_frames_:
            raise ValueError(
                f"Expected frames of shape (n_clips, n_frames, {self.n_features_in_}), as in fit, "
                f"got an array of shape {np.asarray(X).shape}."
            )
        else:
            frames = validate_data(self, X, dtype=np.float32, reset=False)[..., None]
        n_frames, n_descriptors = self.input_shape_
        fits = frames.shape[1] == n_frames or self._longest() is not None
        if frames.shape[2] != n_descriptors or not fits:
            cure = "." if fits else f" and takes {n_frames} frames only: FrameSequences(max_frames=...)."
            raise ValueError(
                f"X holds clips of shape {frames.shape[1:]}, but the network was trained on {self.input_shape_}{cure}"
            )
        with self._lock:
            scores = [self._log_chances(frames, weights) for weights in self.weights_]
        each = [softmax(score / self.temperature_, axis=1) for score in scores]
        probabilities: npt.NDArray[np.float64] = np.mean(each, axis=0)
        return probabilities

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        return {name: value for name, value in state.items() if name not in ("model_", "_current", "_lock")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "weights_" in state:
            self._hold(rebuild(self._build, self.weights_))


def _n_dimensions(X: Any) -> int:
    return int(X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim)


def _check_lengths(X: Array) -> None:
    if len(empty := np.flatnonzero(count_frames(X) == 0)):
        raise ValueError(f"X[{empty[0]}]: a clip without any frame. Leave out what could not be read.")
