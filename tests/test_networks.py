"""Architectures: padding takes no part, the notebooks' layers are as they are described, bad parameters are named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import NO_KERAS
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("sersk.models.keras_backend", reason=NO_KERAS, exc_type=ImportError)

from sersk import FrameScaler
from sersk.features import AcousticFeatures
from sersk.models.keras_backend import keras
from sersk.models.network_parts import _largest, flags, pool, speech
from sersk.models.network_recipes import NETWORKS
from sersk.models.networks import ARCHITECTURES, FIXED_LENGTH, build_network

N_BANDS, N_CLASSES = 4, 3
LENGTHS = (1, 2, 5, 7, 17, 23, 31, 32)
POOLINGS = ("attention", "mean", "std", "max")
SMALL_CONVOLUTIONS = {"channels": (2, 2, 2), "time_pools": (2, 2, 2), "band_pools": (1, 1, 1)}
ANY_LENGTH = {
    "lstm": {"units": 3, "bidirectional": True, "pooling": POOLINGS},
    "cnn": SMALL_CONVOLUTIONS | {"pooling": POOLINGS},
    "cnn-lstm": SMALL_CONVOLUTIONS | {"units": 2, "bidirectional": True, "pooling": POOLINGS},
    "lstm-dense": {"units": 3, "hidden": (3,)},
}


def clips_of(lengths, n_frames):
    """Padded clips; the same frames whatever they are padded to."""
    out = np.full((len(lengths), n_frames, N_BANDS), np.nan, np.float32)
    for k, length in enumerate(lengths):
        out[k, :length] = np.random.default_rng(k).normal(1, 1, (length, N_BANDS))
    return out


def randomize(network):
    """Weights, biases and statistics of normalisation that are all different; fresh ones are zeros and ones."""
    random = np.random.default_rng(0)
    for weight in network.weights:
        is_variance = "moving_variance" in weight.path
        value = 0.5 + random.uniform(size=weight.shape) if is_variance else random.normal(0, 0.4, weight.shape)
        weight.assign(value)
    return network


# --- clips of any length ---


@pytest.fixture(scope="module", params=ANY_LENGTH)
def network(request):
    return randomize(build_network(request.param, (7, N_BANDS), N_CLASSES, ANY_LENGTH[request.param]))


@pytest.fixture(scope="module")
def short(network):
    """Probabilities of clips, the longest of which has 32 frames."""
    return np.asarray(network.predict_on_batch(clips_of(LENGTHS, 32)))


@pytest.fixture(scope="module")
def in_company(network):
    """Probabilities of the same clips, but the first, together with one of 96 frames."""
    return np.asarray(network.predict_on_batch(clips_of((96, *LENGTHS[1:]), 96)))


@pytest.mark.parametrize("which", range(1, len(LENGTHS)), ids=[f"{length}-frames" for length in LENGTHS[1:]])
def test_longer_clips_in_the_batch_change_nothing(short, in_company, which):
    assert_allclose(in_company[which], short[which], atol=1e-5)


def test_a_clip_of_one_frame_is_one_however_long_its_padding_is(network, short):
    again = np.asarray(network.predict_on_batch(clips_of((*LENGTHS[:2], *LENGTHS[2:][::-1]), 96)))
    assert_allclose(again[:2], short[:2], atol=1e-5)


def test_probabilities_depend_on_the_frames_of_a_clip(network, short, in_company):
    """Without which the tests above could not fail."""
    assert_allclose(short.sum(axis=1), 1, rtol=1e-5)
    assert np.ptp(short, axis=0).max() > 0.02
    assert np.abs(in_company[0] - short[0]).max() > 0.01
    zeros = np.asarray(network.predict_on_batch(np.nan_to_num(clips_of(LENGTHS, 32))))
    assert (np.abs(zeros - short).max(axis=1)[:-2] > 1e-4).all(), "frames of zeros are frames, no padding"
    assert_allclose(zeros[-1], short[-1], atol=1e-6)


def test_padding_takes_no_part_in_training():
    """In batch normalisation: the statistics of a batch are those of its frames."""
    import jax

    parameters = SMALL_CONVOLUTIONS | {"dropout": 0.0}
    network = randomize(build_network("cnn", (7, N_BANDS), N_CLASSES, parameters))
    state = ([w.value for w in network.trainable_variables], [w.value for w in network.non_trainable_variables])
    step = jax.jit(lambda X: network.stateless_call(*state, X, training=True))
    outputs = [step(clips_of(LENGTHS, n_frames)) for n_frames in (32, 96)]
    (short, statistics), (long, same_statistics) = outputs
    assert_allclose(long, short, atol=1e-5)
    for one, other, start in zip(statistics, same_statistics, state[1], strict=True):
        assert_allclose(one, other, atol=1e-5)
        assert np.abs(one - start).max() > 1e-3


# --- parts ---


def test_pooling_is_that_of_numpy_over_the_frames_of_a_clip():
    lengths = (5, 1, 8)
    X = clips_of(lengths, 8)
    inputs, frames, mask = speech((8, N_BANDS))
    parts = [pool(frames, mask, [kind]) for kind in ("mean", "std", "max")]
    both = pool(frames, mask, ["max", "mean"])
    outputs = keras.Model(inputs, [frames, mask, flags(mask), *parts, both]).predict_on_batch(X)
    zeros, ones, booleans, means, deviations, largest, joined = map(np.asarray, outputs)
    assert_array_equal(zeros, np.nan_to_num(X))
    assert_array_equal(ones[..., 0], ~np.isnan(X[..., 0]))
    assert_array_equal(booleans, ones[..., 0] == 1)
    assert_allclose(means, np.nanmean(X, axis=1), atol=1e-6)
    assert_allclose(deviations, np.sqrt(np.nanvar(X, axis=1) + 1e-5), atol=1e-5)
    assert_allclose(largest, np.nanmax(X, axis=1), atol=1e-6)
    assert_allclose(joined, np.concatenate([means, largest], axis=1), atol=1e-6)  # always in one order


@pytest.mark.parametrize("n_bands", [3, 4, 5])
@pytest.mark.parametrize(("time", "bands"), [(1, 1), (2, 3)])
def test_windows_of_bands_may_be_larger_than_what_is_left_of_them(n_bands, time, bands):
    X = np.random.default_rng(0).uniform(0, 1, (2, 8, n_bands, 3)).astype(np.float32)
    inputs = keras.Input((None, n_bands, 3))
    largest = np.asarray(keras.Model(inputs, _largest(inputs, time, bands)).predict_on_batch(X))
    for k in range(8 // time):
        for band in range(-(-n_bands // bands)):
            window = X[:, k * time : (k + 1) * time, band * bands : (band + 1) * bands]
            assert_array_equal(largest[:, k, band], window.max(axis=(1, 2)))


def test_attention_is_a_weighted_mean_of_the_frames():
    inputs, frames, mask = speech((8, N_BANDS))
    network = keras.Model(inputs, pool(frames, mask, ["attention"]))
    X = clips_of((5, 1, 8), 8)
    network.set_weights([np.arange(1.0, N_BANDS + 1)[:, None]])
    for row, clip, length in zip(np.asarray(network.predict_on_batch(X)), X, (5, 1, 8), strict=True):
        scores = np.exp(np.tanh(clip[:length].astype(float)) @ np.arange(1.0, N_BANDS + 1))
        assert_allclose(row, scores @ clip[:length] / scores.sum(), rtol=1e-4)


# --- parameters ---


@pytest.mark.parametrize(
    ("architecture", "parameters", "message"),
    [
        ("lstm", {"unit": 3}, r"Unknown parameters of architecture 'lstm': unit\. It has .*units, n_layers"),
        ("cnn", {"units": 3, "dropout": 0.1}, r"architecture 'cnn': units\. It has channels, time_pools, band_pools"),
        ("lstm", {"pooling": ("mean", "median")}, "pooling: expected some of attention, mean, std, max; got mean, med"),
        ("lstm", {"pooling": ()}, "got none"),
        ("cnn", {"channels": (2, 2)}, r"one entry a block, got channels=\(2, 2\), time_pools=\(2, 2, 2, 1\)"),
        ("lstm", {"units": -1}, "`units`, expected a positive integer, got -1"),
        ("lstm", {"dropout": -0.1}, "`rate`.*-0.1"),
        ("cnn-picture", {"channels": (0,)}, "filters"),
        ("dual-cnn", {"n_mels": 4}, "Expected 4 mel bands and MFCC after them, got 4 descriptors in all"),
    ],
)
def test_bad_parameters_are_named(architecture, parameters, message):
    with pytest.raises(ValueError, match=message):
        outline(architecture, (32, N_BANDS), N_CLASSES, parameters)


def test_a_function_may_be_an_architecture():
    def linear(input_shape, n_classes, *, scale=1.0):
        inputs, frames, mask = speech(input_shape)
        return keras.Model(inputs, keras.layers.Dense(n_classes)(scale * pool(frames, mask, ["mean"])))

    def anything(input_shape, n_classes, **parameters):
        return linear(input_shape, n_classes, scale=len(parameters))

    assert outline(linear, (7, 2), 3, {"scale": 2.0}) == [("InputLayer", (None, 2)), ("Dense", 3, "linear")]
    with pytest.raises(ValueError, match=r"Unknown parameters .*linear.*: size\. It has scale\."):
        outline(linear, (7, 2), 3, {"size": 2.0})
    assert outline(anything, (7, 2), 3, {"size": 2.0})[-1] == ("Dense", 3, "linear")


# --- what they are made of ---

TOLD = {
    "InputLayer": lambda c: c["batch_shape"][1:],
    "Dense": lambda c: (c["units"], c["activation"]),
    "Dropout": lambda c: c["rate"],
    "LSTM": lambda c: c["units"],
    "Bidirectional": lambda c: c["layer"]["config"]["units"],
    "Conv1D": lambda c: (c["filters"], c["kernel_size"][0], c["padding"], c["activation"]),
    "Conv2D": lambda c: (c["filters"], c["kernel_size"], c["strides"], c["padding"], c["activation"]),
    "MaxPooling1D": lambda c: (c["pool_size"][0], c["strides"][0]),
    "AveragePooling1D": lambda c: (c["pool_size"][0], c["strides"][0]),
    "MaxPooling2D": lambda c: (c["pool_size"], c["strides"]),
    "Activation": lambda c: c["activation"],
}


def outline(*arguments):
    """Layers in order, and what tells them; no weight is given a value, which is what takes time."""

    def build():
        with keras.StatelessScope(initialize_variables=False):
            return build_network(*arguments)

    with ThreadPoolExecutor(1) as thread:  # a thread of its own forgets them
        network = thread.submit(build).result()
    told = []
    for layer in network.layers:
        value = TOLD.get(type(layer).__name__, lambda c: ())(layer.get_config())
        if value != 0.0:  # dropout of nothing
            told.append((type(layer).__name__, *(value if isinstance(value, tuple) else (value,))))
    return [(name, tuple(shape)) if name == "InputLayer" else (name, *shape) for name, *shape in told]


def dense(*sizes, dropout):
    return [layer for size in sizes for layer in (("Dense", size, "relu"), ("Dropout", dropout))]


def picture(kernel, *channels):
    size = (kernel, kernel)
    convolutions = [("Conv2D", n, size, (1, 1), "same", "relu") for n in channels]
    return [layer for one in convolutions for layer in (one, ("MaxPooling2D", (3, 3), (3, 3)))] + [("Flatten",)]


SOFTMAX = [("Dense", 8, "softmax")]
# As they are described in the notebooks; 8 emotions.
NOTEBOOKS = {
    "lstm-256": [("InputLayer", (None, 1)), ("LSTM", 256), *dense(128, 64, dropout=0.2), *SOFTMAX],
    "lstm-128": [("InputLayer", (None, 1)), ("LSTM", 128), *dense(128, 64, dropout=0.2), *SOFTMAX],
    "lstm-512": [
        ("InputLayer", (None, 1)),
        ("LSTM", 512),
        ("Dropout", 0.2),
        *dense(256, 128, 64, 32, dropout=0.2),
        *SOFTMAX,
    ],
    "cnn-lstm-mfcc": [
        ("InputLayer", (40, 1)),
        ("Conv1D", 64, 3, "valid", "linear"),
        ("BatchNormalization",),
        ("Activation", "relu"),
        ("MaxPooling1D", 2, 2),
        ("LSTM", 32),
        *SOFTMAX,
    ],
    "cnn-mel": [("InputLayer", (165, 128)), *picture(5, 32, 64, 128), *dense(150, 75, dropout=0.2), *SOFTMAX],
    "cnn-mfcc": [("InputLayer", (165, 20)), *picture(2, 32, 64, 128), *dense(256, 128, dropout=0.2), *SOFTMAX],
    "cnn-1d": [
        ("InputLayer", (58, 1)),
        *[
            layer
            for n in (256, 128, 128, 64)
            for layer in (("Conv1D", n, 6, "same", "relu"), ("AveragePooling1D", 2, 2))
        ],
        ("Flatten",),
        *dense(32, dropout=0.3),
        *SOFTMAX,
    ],
}


def shape_of(recipe):
    """What the network gets of a clip, and the parameters of its architecture."""
    front = recipe.front()
    n_columns = len(front.get_feature_names_out())
    shape = (n_columns, 1) if isinstance(front, AcousticFeatures) else (front.max_frames or 100, n_columns)
    given = {key.removeprefix("model__"): value for key, value in recipe.training.items() if key.startswith("model__")}
    return shape, given


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_notebooks_networks_have_their_layers(name):
    recipe = NETWORKS[name]
    shape, given = shape_of(recipe)
    assert outline(recipe.architecture, shape, 8, given) == NOTEBOOKS[name]


def test_the_network_of_two_pictures_has_two_branches():
    recipe = NETWORKS["dual-cnn"]
    shape, given = shape_of(recipe)
    assert shape == (165, 64 + 20)
    layers = outline(recipe.architecture, shape, 8, given)
    one = picture(3, 16, 32, 64)
    assert sorted(layers[1:-4]) == sorted([*one, *one])
    assert layers[-4:] == [("Concatenate",), *dense(128, dropout=0.3), *SOFTMAX]


def test_every_network_but_the_two_pictures_is_told_of_here():
    assert NETWORKS.keys() == NOTEBOOKS.keys() | {"lstm", "cnn", "cnn-lstm", "dual-cnn"}
    assert {recipe.architecture for recipe in NETWORKS.values()} == ARCHITECTURES.keys()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_gives_probabilities_from_frames(architecture):
    shape = (32, 80)
    layers = outline(architecture, shape, 5, {})
    assert layers[0] == ("InputLayer", (32 if architecture in FIXED_LENGTH else None, 80))
    assert layers[-1] == ("Dense", 5, "softmax")


def test_the_three_defaults():
    kinds = {name: [layer[0] for layer in outline(name, (100, 64), 8, {})] for name in ("lstm", "cnn", "cnn-lstm")}
    assert kinds["lstm"].count("Bidirectional") == 1
    assert "Conv2D" not in kinds["lstm"]
    assert (kinds["cnn"].count("Conv2D"), kinds["cnn"].count("BatchNormalization")) == (4, 4)
    assert (kinds["cnn-lstm"].count("Conv2D"), kinds["cnn-lstm"].count("Bidirectional")) == (3, 1)
    assert outline("lstm", (100, 64), 8, {"n_layers": 2, "bidirectional": False}).count(("LSTM", 64)) == 2


# --- what they are trained on, and how ---

# Of each notebook: optimizer, epochs, clips in a batch.
TRAINING = {
    "lstm-256": ("adam", 50, 32),
    "lstm-128": ("adam", 50, 32),
    "lstm-512": ("adam", 30, 100),
    "cnn-lstm-mfcc": ("adam", 50, 32),
    "cnn-mel": ("adam", 100, 64),
    "cnn-mfcc": ("adam", 100, 64),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_features_scaling_and_training_of_each_recipe(name):
    recipe = NETWORKS[name]
    front, scaler = recipe.front(), recipe.scaler()
    if name in TRAINING:
        assert tuple(recipe.training[key] for key in ("optimizer", "epochs", "batch_size")) == TRAINING[name]
    if name in NOTEBOOKS or name == "dual-cnn":
        assert (front.sr, front.n_fft, front.hop_length, front.deltas) == (22050, 2048, 512, 0)
        plain = {"label_smoothing": 0.0, "time_mask": 0.0, "frequency_mask": 0.0, "class_weight": None}
        assert recipe.training.items() >= (plain | {"optimizer__clipnorm": None}).items()
        assert recipe.grid == {}
    else:
        assert front.trim
        assert scaler.scope == "corpus"
        assert len(recipe.grid) == 2
    if isinstance(front, AcousticFeatures):
        n_mfcc = 58 if name == "cnn-1d" else 40
        assert (front.offset, front.duration, front.functionals, front.n_mfcc) == (0.5, 3.0, ("mean",), n_mfcc)
        assert (scaler == "passthrough") == (name != "cnn-1d")
    elif name in ("cnn-mel", "cnn-mfcc"):
        assert front.get_feature_names_out()[0] == {"cnn-mel": "log_mel_1", "cnn-mfcc": "mfcc_1"}[name]
        assert (front.max_frames, front.padding, scaler.scope) == (165, 0.0, "range")
    else:
        assert isinstance(scaler, FrameScaler)


def test_training_that_stops_early_is_told_by_clips_held_out_of_the_training_clips():
    for name, recipe in NETWORKS.items():
        told = recipe.training.get("validation_fraction", 0.2) > 0
        assert told == (name not in ("lstm-256", "lstm-128", "lstm-512", "cnn-lstm-mfcc")), name
