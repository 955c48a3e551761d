"""Frames -> batches of like lengths, for training and for prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from sersk.augmentation import count_frames, mask_frames
from sersk.filterbanks import Array

from .keras_backend import keras

# What networks reduce time by, at the most.
_FRAMES = 8
_JITTER = 0.1


def rounded_length(n_frames: int, longest: int) -> int:
    """
    Round a number of frames up to one of few lengths, since a network is compiled for each that it meets.

    Parameters
    ----------
    n_frames : int
        Frames of the longest clip of a batch.
    longest : int
        Frames of the longest clip in training.

    Returns
    -------
    int
        A multiple of 8: one of two between a number and its double, or the longest clip's.
    """
    step = max(_FRAMES, 1 << max(0, int(n_frames).bit_length() - 2))
    rounded = -(-int(n_frames) // step) * step
    return min(rounded, -(-longest // _FRAMES) * _FRAMES) if n_frames <= longest else rounded


def take_batch(X: Array, rows: npt.NDArray[np.intp], n_frames: int | None) -> Array:
    """
    Copy some clips into a batch.

    Parameters
    ----------
    X : ndarray of shape (n_clips, n_frames, n_descriptors)
        Frames.
    rows : ndarray of int
        Which clips; -1 stands for a clip without any frame.
    n_frames : int or None
        Length of the batch; None leaves it as it is.

    Returns
    -------
    ndarray of shape (n_rows, n_frames, n_descriptors), float32
        NaN after a clip's end.
    """
    length = X.shape[1] if n_frames is None else n_frames
    batch = np.full((len(rows), length, X.shape[2]), np.nan, dtype=np.float32)
    real = rows >= 0
    batch[real, : X.shape[1]] = X[rows[real], :length]
    return batch


def predict_batches(network: Any, X: Array, batch_size: int, longest: int | None, least: int = 1) -> Array:
    """
    Ask a network about clips, those of like lengths together.

    Parameters
    ----------
    network : keras.Model
        From frames to probabilities.
    X : ndarray of shape (n_clips, n_frames, n_descriptors)
        Frames, NaN after a clip's end.
    batch_size : int
        Clips at a time.
    longest : int or None
        Frames of the longest clip in training; None for a network that takes clips of one length.
    least : int, default=1
        A batch has this size or `batch_size`: each one is compiled for.

    Returns
    -------
    ndarray of shape (n_clips, n_classes), float32
        Probabilities.
    """
    lengths = count_frames(X)
    order = np.argsort(lengths, kind="stable")
    parts = []
    for first in range(0, len(X), batch_size):
        rows = order[first : first + batch_size]
        size = least if len(rows) <= least else batch_size
        filled = np.concatenate([rows, np.full(size - len(rows), -1)])
        batch = take_batch(X, filled, None if longest is None else rounded_length(lengths[rows].max(), longest))
        parts.append(np.asarray(keras.ops.convert_to_numpy(network.predict_on_batch(batch)))[: len(rows)])
    out = np.empty((len(X), parts[0].shape[1]), dtype=np.float32)
    out[order] = np.concatenate(parts)
    return out


class Batches(keras.utils.PyDataset):
    """
    Hand out training clips in batches of like lengths, in another order each epoch.

    Parameters
    ----------
    X : ndarray of shape (n_clips, n_frames, n_descriptors)
        Frames, NaN after a clip's end.
    target : ndarray of shape (n_clips, n_classes)
        What the network is to give.
    weight : ndarray of shape (n_clips,)
        Weights of the clips.
    batch_size : int
        Clips in each batch; the last one is filled with clips that stood before it.
    longest : int or None
        Frames of the longest clip in training; None for a network that takes clips of one length.
    masks : tuple of float
        Longest stripe of time and of descriptors to be masked, as a share of the clip.
    seed : int
        Of order and masks; with the epoch it settles both, so that an interrupted training goes on as it would have.
    """

    def __init__(
        self,
        X: Array,
        target: Array,
        weight: Array,
        *,
        batch_size: int,
        longest: int | None,
        masks: tuple[float, float],
        seed: int,
    ) -> None:
        super().__init__()
        # JAX computes in single precision, and warns of what asks for more.
        self.X, self.target, self.weight = X, np.asarray(target, np.float32), np.asarray(weight, np.float32)
        self.batch_size, self.longest, self.masks, self.seed = batch_size, longest, masks, seed
        self.lengths = count_frames(X)
        self.start(0)

    def start(self, epoch: int) -> None:
        """
        Lay out an epoch.

        Parameters
        ----------
        epoch : int
            Its number.
        """
        self.epoch = epoch
        draw = np.random.default_rng([self.seed, epoch])
        jitter = draw.normal(0, _JITTER * self.lengths.mean() + 1, len(self.X))
        order = np.argsort(self.lengths + jitter, kind="stable")
        order = np.resize(np.concatenate([order, draw.permutation(order)]), len(self) * self.batch_size)
        self.rows = draw.permutation(order.reshape(len(self), self.batch_size))

    def __len__(self) -> int:
        return int(-(-len(self.X) // self.batch_size))

    def __getitem__(self, index: int) -> tuple[Array, Array, Array]:
        rows = self.rows[index]
        length = None if self.longest is None else rounded_length(self.lengths[rows].max(), self.longest)
        batch = take_batch(self.X, rows, length)
        if any(self.masks):
            draw = np.random.default_rng([self.seed, self.epoch, index])
            time, frequency = self.masks
            batch = np.stack([mask_frames(frames, draw, time, frequency) for frames in batch])
        return batch, self.target[rows], self.weight[rows]
