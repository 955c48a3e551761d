"""Frames -> frames -> vector: what networks are put together from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .keras_backend import keras

Input, layers, ops = keras.Input, keras.layers, keras.ops

Shape = tuple[int, int]
Network = Any


def speech(input_shape: Shape, any_length: bool = True) -> tuple[Any, Any, Any]:
    """
    Begin a network: part frames from their padding.

    Parameters
    ----------
    input_shape : tuple of (int, int)
        Number of frames and of descriptors.
    any_length : bool, default=True
        Whether clips may have any number of frames.

    Returns
    -------
    inputs : tensor of shape (n_clips, n_frames, n_descriptors)
        Frames, NaN after a clip's end.
    frames : tensor of the same shape
        With zeros there.
    mask : tensor of shape (n_clips, n_frames, 1)
        1 for frames of a clip, 0 after its end.
    """
    inputs = Input((None if any_length else input_shape[0], input_shape[1]))
    padding = ops.isnan(inputs[..., :1])
    return inputs, ops.where(padding, 0.0, inputs), ops.cast(ops.logical_not(padding), inputs.dtype)


def flags(mask: Any) -> Any:
    """
    Give the mask that recurrent layers take.

    Parameters
    ----------
    mask : tensor of shape (n_clips, n_frames, 1)
        1 for frames of a clip.

    Returns
    -------
    tensor of shape (n_clips, n_frames), bool
        The same.
    """
    return mask[..., 0] > 0


def recurrent(x: Any, mask: Any, units: int, bidirectional: bool) -> Any:
    """
    Run an LSTM that passes padding with its state as it is, so that one from the end starts where the clip ends.

    Parameters
    ----------
    x : tensor of shape (n_clips, n_frames, n_values)
        Frames.
    mask : tensor of shape (n_clips, n_frames, 1)
        1 for frames of a clip.
    units : int
        States of each direction.
    bidirectional : bool
        Whether there is one from the end, too.

    Returns
    -------
    tensor of shape (n_clips, n_frames, n_states)
        States of every frame.
    """
    cell = layers.LSTM(units, return_sequences=True)
    return (layers.Bidirectional(cell) if bidirectional else cell)(x, mask=flags(mask))


def convolutions(
    x: Any, mask: Any, channels: Sequence[int], time_pools: Sequence[int], band_pools: Sequence[int]
) -> tuple[Any, Any]:
    """
    Reduce a picture of frames and bands to fewer frames of many channels.

    The first convolution is 5 x 5 and takes steps, which costs a quarter of pooling after it; the others are 3 x 3 and
    followed by pooling. Padding is zero before every convolution, as if the clip ended there; after ReLU it is no more
    than any value, so that the largest of a window that reaches beyond the clip's end is the clip's own.

    Parameters
    ----------
    x : tensor of shape (n_clips, n_frames, n_bands)
        Frames.
    mask : tensor of shape (n_clips, n_frames, 1)
        1 for frames of a clip.
    channels : sequence of int
        Channels of each convolution.
    time_pools, band_pools : sequence of int
        What each reduces time and bands by.

    Returns
    -------
    x : tensor of shape (n_clips, fewer frames, fewer bands, n_channels)
        What is left.
    mask : tensor of shape (n_clips, fewer frames, 1)
        Its mask.

    Raises
    ------
    ValueError
        If there is not one entry a convolution.
    """
    if not len(channels) == len(time_pools) == len(band_pools):
        raise ValueError(
            f"Expected one entry a block, got channels={channels}, time_pools={time_pools}, band_pools={band_pools}."
        )
    x = ops.expand_dims(x, -1)
    for number, (n_channels, *steps) in enumerate(zip(channels, time_pools, band_pools, strict=True)):
        size, strides = (3, 1) if number else (5, tuple(steps))
        x = layers.Conv2D(n_channels, size, strides=strides, padding="same", use_bias=False)(x)
        if not number:
            mask = _largest(mask[..., None], steps[0], 1)[..., 0]
        x = layers.BatchNormalization(momentum=0.9)(x, mask=mask > 0)
        x = ops.relu(x) * ops.expand_dims(mask, -1)
        if number:
            x, mask = _largest(x, *steps), _largest(mask[..., None], steps[0], 1)[..., 0]
    return x, mask


def _largest(x: Any, time: int, bands: int) -> Any:
    """
    Take the largest value of windows; bands are filled up with zeros, which no value after ReLU is below.

    Keras' own pooling does the same, but takes ten times as long to train on CPU with JAX.
    """
    n_bands, n_channels = x.shape[2:]
    if missing := -n_bands % bands:
        x = layers.ZeroPadding2D(((0, 0), (0, missing)))(x)
    windows = layers.Reshape((-1, time, (n_bands + missing) // bands, bands, n_channels))(x)
    return ops.max(windows, axis=(2, 4))


def pool(x: Any, mask: Any, kinds: Sequence[str]) -> Any:
    """
    Turn frames into one vector a clip.

    Parameters
    ----------
    x : tensor of shape (n_clips, n_frames, n_values)
        Frames.
    mask : tensor of shape (n_clips, n_frames, 1)
        1 for frames of a clip; no others count.
    kinds : sequence of {"attention", "mean", "std", "max"}
        What is taken of each value over time.

    Returns
    -------
    tensor of shape (n_clips, n_values times number of kinds)
        Vectors.

    Raises
    ------
    ValueError
        If `kinds` are none of these.
    """
    unknown = set(kinds) - {"attention", "mean", "std", "max"}
    if unknown or not kinds:
        raise ValueError(f"pooling: expected some of attention, mean, std, max; got {', '.join(kinds) or 'none'}.")
    pooled = []
    if "attention" in kinds:
        scores = layers.Dense(1, use_bias=False)(ops.tanh(x))
        weights = ops.softmax(ops.where(mask > 0, scores, -1e9), axis=1)
        pooled.append(ops.sum(x * weights, axis=1))
    n_frames = ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
    mean = ops.sum(x * mask, axis=1, keepdims=True) / n_frames
    if "mean" in kinds:
        pooled.append(mean[:, 0])
    if "std" in kinds:
        variance = ops.sum(ops.square(x - mean) * mask, axis=1) / n_frames[:, 0]
        pooled.append(ops.sqrt(variance + 1e-5))  # the gradient of a root ends at 0
    if "max" in kinds:
        pooled.append(ops.max(ops.where(mask > 0, x, -1e9), axis=1))
    return ops.concatenate(pooled, axis=-1)
