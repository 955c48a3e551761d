"""
Shape of the frames -> Keras network: architectures, as pure functions.

Every one takes the shape of the clips, (n_frames, n_descriptors), the number of classes and its own parameters, and
gives a network from frames, NaN after a clip's end, to probabilities. Those that take clips of any length reduce time
by 8 at the most. Nothing of a network is stored but its weights.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from .keras_backend import keras
from .network_parts import Network, Shape, convolutions, layers, ops, pool, recurrent, speech
from .notebook_networks import cnn_lstm_series, cnn_picture, cnn_series, dual_cnn, lstm_dense

Model = keras.Model


def lstm(
    input_shape: Shape,
    n_classes: int,
    *,
    units: int = 64,
    n_layers: int = 1,
    bidirectional: bool = True,
    pooling: Sequence[str] = ("attention", "mean", "std", "max"),
    dropout: float = 0.4,
) -> Network:
    """
    Build an LSTM over frames whose states are pooled over time.

    Parameters
    ----------
    input_shape : tuple of (int, int)
        Number of frames, of which any number will do, and of descriptors.
    n_classes : int
        Number of emotions.
    units : int, default=64
        States of each direction.
    n_layers : int, default=1
        LSTM layers, one on top of the other.
    bidirectional : bool, default=True
        Whether a second LSTM runs backwards from the end of the clip.
    pooling : sequence of {"attention", "mean", "std", "max"}, default=all
        How states become one vector a clip.
    dropout : float, default=0.4
        Share of states, and of pooled values, that are dropped while training.

    Returns
    -------
    keras.Model
        The network, not compiled.

    References
    ----------
    Mirsamadi et al. 2017, "Automatic speech emotion recognition using recurrent neural networks with local attention",
    doi 10.1109/ICASSP.2017.7952552.
    """
    inputs, x, mask = speech(input_shape)
    for _ in range(n_layers):
        x = recurrent(x, mask, units, bidirectional)
        x = layers.Dropout(dropout)(x)
    x = layers.Dropout(dropout)(pool(x, mask, pooling))
    return Model(inputs, layers.Dense(n_classes, activation="softmax")(x))


def cnn(
    input_shape: Shape,
    n_classes: int,
    *,
    channels: Sequence[int] = (16, 32, 64, 96),
    time_pools: Sequence[int] = (2, 2, 2, 1),
    band_pools: Sequence[int] = (2, 2, 2, 2),
    pooling: Sequence[str] = ("mean", "max"),
    dropout: float = 0.4,
) -> Network:
    """
    Build a convolutional network over the picture of frames and bands.

    Parameters
    ----------
    input_shape : tuple of (int, int)
        Number of frames, of which any number will do, and of bands.
    n_classes : int
        Number of emotions.
    channels : sequence of int, default=(16, 32, 64, 96)
        Channels of each convolution, which batch normalisation and ReLU follow.
    time_pools, band_pools : sequence of int
        What each reduces time and bands by.
    pooling : sequence of {"attention", "mean", "std", "max"}, default=("mean", "max")
        How what is left of time becomes one vector a clip.
    dropout : float, default=0.4
        Share of the pooled values that are dropped while training.

    Returns
    -------
    keras.Model
        The network, not compiled.
    """
    inputs, x, mask = speech(input_shape)
    x, mask = convolutions(x, mask, channels, time_pools, band_pools)
    x = layers.Dropout(dropout)(pool(ops.mean(x, axis=2), mask, pooling))
    return Model(inputs, layers.Dense(n_classes, activation="softmax")(x))


def cnn_lstm(
    input_shape: Shape,
    n_classes: int,
    *,
    channels: Sequence[int] = (16, 32, 48),
    time_pools: Sequence[int] = (2, 1, 1),
    band_pools: Sequence[int] = (2, 2, 2),
    units: int = 64,
    bidirectional: bool = True,
    pooling: Sequence[str] = ("attention", "mean", "std", "max"),
    dropout: float = 0.4,
) -> Network:
    """
    Build a convolutional network whose output frames an LSTM reads.

    Parameters
    ----------
    input_shape : tuple of (int, int)
        Number of frames, of which any number will do, and of bands.
    n_classes : int
        Number of emotions.
    channels : sequence of int, default=(16, 32, 48)
        Channels of each convolution.
    time_pools, band_pools : sequence of int
        What each reduces time and bands by.
    units : int, default=64
        States of each direction.
    bidirectional : bool, default=True
        Whether a second LSTM runs backwards from the end of the clip.
    pooling : sequence of {"attention", "mean", "std", "max"}, default=all
        How states become one vector a clip.
    dropout : float, default=0.4
        Share of convolved values, and of pooled states, that are dropped while training.

    Returns
    -------
    keras.Model
        The network, not compiled.

    References
    ----------
    Zhao et al. 2019, "Speech emotion recognition using deep 1D & 2D CNN LSTM networks", doi 10.1016/j.bspc.2018.08.035.
    """
    inputs, x, mask = speech(input_shape)
    x, mask = convolutions(x, mask, channels, time_pools, band_pools)
    x = layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)
    x = recurrent(layers.Dropout(dropout)(x), mask, units, bidirectional)
    x = layers.Dropout(dropout)(pool(x, mask, pooling))
    return Model(inputs, layers.Dense(n_classes, activation="softmax")(x))


ARCHITECTURES: dict[str, Callable[..., Network]] = {
    "lstm": lstm,
    "cnn-lstm": cnn_lstm,
    "cnn": cnn,
    "lstm-dense": lstm_dense,
    "cnn-lstm-series": cnn_lstm_series,
    "cnn-picture": cnn_picture,
    "cnn-series": cnn_series,
    "dual-cnn": dual_cnn,
}
# What does not reduce time to one vector whatever its length.
FIXED_LENGTH = ("cnn-lstm-series", "cnn-picture", "cnn-series", "dual-cnn")


def build_network(
    architecture: str | Callable[..., Network], input_shape: Shape, n_classes: int, parameters: dict[str, Any]
) -> Network:
    """
    Build a network by its name.

    Parameters
    ----------
    architecture : str or callable
        Key of ``ARCHITECTURES``, or a function like them.
    input_shape : tuple of (int, int)
        Number of frames and of descriptors.
    n_classes : int
        Number of emotions.
    parameters : dict
        Those of the architecture.

    Returns
    -------
    keras.Model
        The network, not compiled.

    Raises
    ------
    ValueError
        If the architecture has no such parameters.
    """
    build = ARCHITECTURES[architecture] if isinstance(architecture, str) else architecture
    known = inspect.signature(build).parameters.values()
    names = [one.name for one in known if one.kind is one.KEYWORD_ONLY]
    unknown = [name for name in parameters if name not in names]
    if unknown and not any(one.kind is one.VAR_KEYWORD for one in known):
        raise ValueError(
            f"Unknown parameters of architecture {architecture!r}: {', '.join(unknown)}. "
            f"It has {', '.join(names) or 'none'}."
        )
    return build(input_shape, n_classes, **parameters)
