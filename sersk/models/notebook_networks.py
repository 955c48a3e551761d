"""Shape of the frames -> Keras network: those of well-known notebooks, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .keras_backend import keras
from .network_parts import Network, Shape, flags, layers, ops, speech

Model = keras.Model


def lstm_dense(
    input_shape: Shape,
    n_classes: int,
    *,
    units: int = 256,
    state_dropout: float = 0.0,
    hidden: Sequence[int] = (128, 64),
    dropout: float = 0.2,
) -> Network:
    """
    Build the notebooks' LSTM: its last state, and dense layers with dropout.

    Parameters
    ----------
    input_shape : tuple of (int, int)
        Number of steps, of which any number will do, and of values a step.
    n_classes : int
        Number of emotions.
    units : int, default=256
        States of the LSTM.
    state_dropout : float, default=0.0
        Share of the last state that is dropped while training.
    hidden : sequence of int, default=(128, 64)
        Sizes of the dense layers; each is followed by dropout.
    dropout : float, default=0.2
        Share of values that are dropped while training.

    Returns
    -------
    keras.Model
        The network, not compiled.
    """
    inputs, x, mask = speech(input_shape)
    x = layers.Dropout(state_dropout)(layers.LSTM(units)(x, mask=flags(mask)))
    return Model(inputs, _dense(x, n_classes, hidden, dropout))


def cnn_lstm_series(
    input_shape: Shape, n_classes: int, *, channels: int = 64, kernel_size: int = 3, units: int = 32
) -> Network:
    """
    Build the notebooks' convolution over a series, batch normalisation, ReLU, pooling by 2, and LSTM.

    Parameters
    ----------
    input_shape : tuple of (int, int)
        Number of steps and of values a step; series of one length only.
    n_classes : int
        Number of emotions.
    channels : int, default=64
        Channels of the convolution.
    kernel_size : int, default=3
        Its length in steps.
    units : int, default=32
        States of the LSTM.

    Returns
    -------
    keras.Model
        The network, not compiled.
    """
    inputs, x, _ = speech(input_shape, any_length=False)
    x = layers.Conv1D(channels, kernel_size)(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.LSTM(units)(layers.MaxPooling1D(2)(x))
    return Model(inputs, _dense(x, n_classes))


def cnn_picture(
    input_shape: Shape,
    n_classes: int,
    *,
    channels: Sequence[int] = (32, 64, 128),
    kernel_size: int = 5,
    hidden: Sequence[int] = (150, 75),
    dropout: float = 0.2,
) -> Network:
    """
    Build the notebooks' network over pictures of one size: convolutions, each with pooling by 3, and dense layers.

    Parameters
    ----------
    input_shape : tuple of (int, int)
        Number of frames, which is fixed, and of bands.
    n_classes : int
        Number of emotions.
    channels : sequence of int, default=(32, 64, 128)
        Channels of each convolution.
    kernel_size : int, default=5
        Its length along both axes.
    hidden : sequence of int, default=(150, 75)
        Sizes of the dense layers; each is followed by dropout.
    dropout : float, default=0.2
        Share of values that are dropped while training.

    Returns
    -------
    keras.Model
        The network, not compiled.
    """
    inputs, x, _ = speech(input_shape, any_length=False)
    return Model(inputs, _dense(_picture(x, channels, kernel_size), n_classes, hidden, dropout))


def cnn_series(
    input_shape: Shape,
    n_classes: int,
    *,
    channels: Sequence[int] = (256, 128, 128, 64),
    kernel_size: int = 6,
    hidden: Sequence[int] = (32,),
    dropout: float = 0.3,
) -> Network:
    """
    Build the notebooks' convolutions over a series, each with average pooling by 2, and dense layers.

    Parameters
    ----------
    input_shape : tuple of (int, int)
        Number of steps, which is fixed, and of values a step.
    n_classes : int
        Number of emotions.
    channels : sequence of int, default=(256, 128, 128, 64)
        Channels of each convolution.
    kernel_size : int, default=6
        Its length in steps.
    hidden : sequence of int, default=(32,)
        Sizes of the dense layers; each is followed by dropout.
    dropout : float, default=0.3
        Share of values that are dropped while training.

    Returns
    -------
    keras.Model
        The network, not compiled.
    """
    inputs, x, _ = speech(input_shape, any_length=False)
    for n_channels in channels:
        x = layers.Conv1D(n_channels, kernel_size, padding="same", activation="relu")(x)
        x = layers.AveragePooling1D(2, padding="same")(x)
    return Model(inputs, _dense(layers.Flatten()(x), n_classes, hidden, dropout))


def dual_cnn(
    input_shape: Shape,
    n_classes: int,
    *,
    n_mels: int = 64,
    channels: Sequence[int] = (16, 32, 64),
    hidden: Sequence[int] = (128,),
    dropout: float = 0.3,
) -> Network:
    """
    Build two networks over pictures, one of mel bands and one of what follows them (MFCC), and join them.

    Parameters
    ----------
    input_shape : tuple of (int, int)
        Number of frames, which is fixed, and of descriptors.
    n_classes : int
        Number of emotions.
    n_mels : int, default=64
        How many of the descriptors are mel bands, from the first on.
    channels : sequence of int, default=(16, 32, 64)
        Channels of each convolution, in both branches.
    hidden : sequence of int, default=(128,)
        Sizes of the dense layers after the join; each is followed by dropout.
    dropout : float, default=0.3
        Share of values that are dropped while training.

    Returns
    -------
    keras.Model
        The network, not compiled.

    Raises
    ------
    ValueError
        If there are not more descriptors than mel bands.
    """
    if input_shape[1] <= n_mels:
        raise ValueError(f"Expected {n_mels} mel bands and MFCC after them, got {input_shape[1]} descriptors in all.")
    inputs, x, _ = speech(input_shape, any_length=False)
    branches = [_picture(x[..., :n_mels], channels, 3), _picture(x[..., n_mels:], channels, 3)]
    return Model(inputs, _dense(layers.Concatenate()(branches), n_classes, hidden, dropout))


def _picture(x: Any, channels: Sequence[int], kernel_size: int) -> Any:
    x = ops.expand_dims(x, -1)
    for n_channels in channels:
        x = layers.Conv2D(n_channels, kernel_size, padding="same", activation="relu")(x)
        x = layers.MaxPooling2D(3, padding="same")(x)
    return layers.Flatten()(x)


def _dense(x: Any, n_classes: int, hidden: Sequence[int] = (), dropout: float = 0.0) -> Any:
    for size in hidden:
        x = layers.Dropout(dropout)(layers.Dense(size, activation="relu")(x))
    return layers.Dense(n_classes, activation="softmax")(x)
