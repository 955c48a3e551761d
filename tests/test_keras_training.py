"""Batches, epochs and checkpoints of a training; small networks, and none where none is needed."""

from __future__ import annotations

import contextlib
import io
import json
import math
import random

import numpy as np
import pytest
from conftest import NO_KERAS, averaging, padded_speech, tiny_network
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("sersk.models.keras_backend", reason=NO_KERAS, exc_type=ImportError)

from sersk.augmentation import count_frames
from sersk.models import keras_checkpoint, keras_training
from sersk.models.keras_backend import keras
from sersk.models.keras_batches import Batches, predict_batches, rounded_length, take_batch
from sersk.models.keras_checkpoint import fingerprint, load_state, plain_value, save_state
from sersk.models.keras_supervisor import Supervisor
from sersk.models.keras_training import Trainer, all_devices, seeded
from sersk.models.networks import build_network, cnn, lstm

X, Y, GROUPS = padded_speech()


def clips_of(*lengths, n_frames=None):
    """Padded clips whose frames are all different numbers: clip k has k.f."""
    out = np.full((len(lengths), n_frames or max(lengths), 2), np.nan, np.float32)
    for k, length in enumerate(lengths):
        out[k, :length] = k + 1 + np.arange(length)[:, None] / 1000 + np.array([0, 0.0005])
    return out


# --- batches ---


@pytest.mark.parametrize("longest", [1, 8, 100, 333])
def test_lengths_are_rounded_up_to_few_that_networks_can_halve_three_times(longest):
    rounded = np.array([rounded_length(n, longest) for n in range(1, 1000)])
    assert (rounded % 8 == 0).all()
    assert (rounded >= np.arange(1, 1000)).all()
    assert (rounded <= np.maximum(2 * np.arange(1, 1000), 8)).all()
    assert (np.diff(rounded) >= 0).all()
    assert len(np.unique(rounded)) < 24
    assert rounded[longest - 1] < longest + 8, "the longest clip of the training is no longer than it must be"


def test_lengths_and_batches_of_padded_clips():
    X = clips_of(3, 5, 1)
    assert_array_equal(count_frames(X), [3, 5, 1])
    batch = take_batch(X, np.array([2, -1, 0]), 8)
    assert (batch.shape, batch.dtype) == ((3, 8, 2), np.float32)
    assert_array_equal(count_frames(batch), [1, 0, 3])
    assert_array_equal(batch[2, :5], X[0])
    assert_array_equal(take_batch(X, np.array([0, 1]), 4), X[:2, :4])
    assert_array_equal(take_batch(X, np.array([1]), None), X[1:2])


class Adder:
    """Stands for a network: sums up what it gets, and notes the shapes."""

    def __init__(self):
        self.shapes = []

    def predict_on_batch(self, batch):
        self.shapes.append(batch.shape[:2])
        return np.nansum(batch, axis=1)


@pytest.mark.parametrize("least", [1, 4])
def test_predictions_come_back_in_the_order_of_the_clips(least):
    X = clips_of(30, 1, 7, 33, 2, 9, 64, n_frames=100)
    adder = Adder()
    assert_allclose(predict_batches(adder, X, 3, longest=64, least=min(least, 3)), np.nansum(X, axis=1), rtol=1e-6)
    # Clips of like lengths together; the last batch is filled up, or is of one clip.
    assert adder.shapes == [(3, 8), (3, rounded_length(33, 64)), (1 if least == 1 else 3, 64)]


def test_networks_of_one_length_get_the_clips_as_they_are():
    adder = Adder()
    predict_batches(adder, clips_of(3, 5, 1, n_frames=13), 2, longest=None)
    assert adder.shapes == [(2, 13), (1, 13)]


def batches_of(X, *, batch_size=4, masks=(0.0, 0.0), longest=64, seed=0):
    return Batches(
        X,
        np.arange(2.0 * len(X)).reshape(-1, 2),
        np.arange(1.0, len(X) + 1),
        batch_size=batch_size,
        longest=longest,
        masks=masks,
        seed=seed,
    )


def which(batch):
    """Clips of a batch, told by their numbers; masks are zeros."""
    return np.nanmax(batch, axis=(1, 2)).astype(int) - 1


@pytest.mark.parametrize("n_clips", [1, 3, 4, 10, 13])
def test_an_epoch_has_every_clip_and_full_batches(n_clips):
    X = clips_of(*(np.arange(n_clips) % 5 + 2))
    batches = batches_of(X)
    assert len(batches) == math.ceil(n_clips / 4)
    orders = []
    for epoch in (0, 1, 2, 1):
        batches.start(epoch)
        taken = []
        for index in range(len(batches)):
            batch, target, weight = batches[index]
            rows = which(batch)
            assert len(rows) == 4
            assert_array_equal(batch[:, :6], clips_of(*(np.arange(n_clips) % 5 + 2), n_frames=6)[rows])
            assert_array_equal(target[:, 0], 2.0 * rows)
            assert_array_equal(weight, rows + 1.0)
            taken += rows.tolist()
        assert {*taken} == {*range(n_clips)}
        orders.append(taken)
    assert orders[1] == orders[3], "seed and epoch settle the order"
    assert orders[1] != orders[0] or n_clips == 1
    assert batches_of(X, seed=1).rows.tolist() != batches_of(X).rows.tolist() or n_clips == 1


def test_clips_of_like_lengths_share_a_batch():
    batches = batches_of(clips_of(*[8] * 8, *[160] * 8), batch_size=8, longest=160)
    lengths = [batches[index][0].shape[1] for index in range(2)]
    assert sorted(lengths) == [8, 160]
    assert batches_of(clips_of(*[8] * 8, *[160] * 8), batch_size=8, longest=None)[0][0].shape[1] == 160


def test_masks_are_stripes_of_zeros_over_frames_and_descriptors_but_not_over_padding():
    X = np.full((6, 50, 20), np.nan, np.float32)
    for k, length in enumerate((50, 40, 30, 20, 10, 1)):
        X[k, :length] = k + 1
    masked = batches_of(X, masks=(0.5, 0.25), batch_size=6, longest=50)
    seen = []
    for epoch in range(12):
        masked.start(epoch)
        batch = masked[0][0]
        assert_array_equal(masked[0][0], batch)
        for clip, k in zip(batch, masked.rows[0], strict=True):
            length = int(np.isfinite(X[k, :, 0]).sum())
            assert np.isnan(clip[length:]).all()
            zeros = clip[:length] == 0
            assert (clip[:length][~zeros] == k + 1).all()
            rows, columns = (np.flatnonzero(zeros.all(axis=axis)) for axis in (1, 0))
            assert len(rows) <= length / 2
            assert len(columns) <= 5
            for stripe in (rows, columns):
                assert_array_equal(stripe, np.arange(len(stripe)) + stripe[:1].sum())
            assert zeros.sum() == len(rows) * 20 + len(columns) * (length - len(rows))
            seen.append((len(rows), len(columns)))
    assert (np.max(seen, axis=0) > (15, 3)).all()
    assert (np.nan_to_num(X, nan=1) != 0).all(), "the clips themselves are not changed"
    assert len({*seen}) > 20


@pytest.mark.parametrize(("masks", "axis"), [((0.5, 0.0), 1), ((0.0, 0.5), 0)], ids=["time", "frequency"])
def test_masks_of_one_kind_only(masks, axis):
    batches = batches_of(np.ones((8, 20, 10), np.float32), masks=masks, batch_size=8, longest=20)
    zeros = batches[0][0][:, :20] == 0
    assert zeros.any()
    assert_array_equal(zeros, np.broadcast_to(zeros.all(axis=axis + 1 if axis else 1, keepdims=True), zeros.shape))


# --- checkpoints ---


SHAPE = (averaging, (16, 3), 3, {"dropout": 0.3})


def compiled():
    network = build_network(*SHAPE)
    network.compile(optimizer="adam", loss="categorical_crossentropy")
    network.optimizer.build(network.trainable_variables)
    return network


def values(network):
    return [plain_value(variable) for variable in (*network.variables, *network.optimizer.variables)]


def assert_equal_values(first, second):
    for one, other in zip(first, second, strict=True):
        assert_array_equal(one, other)


def test_a_state_comes_back_whole(tmp_path):
    network, other = compiled(), compiled()
    draw = np.random.default_rng(0)
    for variable in (*network.variables, *network.optimizer.variables):
        variable.assign(draw.integers(1, 100, variable.shape))
    told, best = {"history": {"loss": [1.5, 1.0]}, "waited": 2}, [np.arange(3.0), np.ones((2, 2))]
    file = tmp_path / "new" / "state.npz"
    save_state(file, network, told, best)
    assert [*file.parent.iterdir()] == [file]
    again, same = load_state(file, other)
    assert again == told
    assert_equal_values(same, best)
    assert_equal_values(values(other), values(network))
    save_state(file, network, told, None)
    assert load_state(file, other) == (told, None)


def whole_file(folder, network):
    save_state(folder / "state.npz", network, {"waited": 0}, None)
    return (folder / "state.npz").read_bytes()


DAMAGES = {
    "empty": lambda content: b"",
    "text": lambda content: b"no zip " * 100,
    "cut": lambda content: content[: len(content) // 2],
    "cut-at-the-end": lambda content: content[:-30],
    "flipped": lambda content: content[:300] + bytes(byte ^ 255 for byte in content[300:400]) + content[400:],
}


@pytest.mark.parametrize(
    "damage", [*DAMAGES, "missing", "folder", "array", "members", "shapes", "packed", "bottomless"]
)
def test_what_is_no_whole_state_is_ignored(tmp_path, damage):
    network = compiled()
    before, file = values(network), tmp_path / "other.npz"
    content = whole_file(tmp_path, network)
    if damage in DAMAGES:
        file.write_bytes(DAMAGES[damage](content))
    elif damage == "folder":
        file.mkdir()
    elif damage == "array":
        with file.open("wb") as opened:
            np.save(opened, np.ones(3))
    elif damage == "packed":  # little on the disk, and a lot in memory
        with np.load(io.BytesIO(content)) as held:
            np.savez_compressed(file, **held, best_0=np.zeros(10**6))
    elif damage == "bottomless":
        with np.load(io.BytesIO(content)) as held:
            np.savez(file, **dict(held) | {"told": np.full(200_000, ord("["), dtype=np.uint8)})
    elif damage in ("members", "shapes"):
        told = np.frombuffer(json.dumps({}).encode(), dtype=np.uint8)
        states = {f"state_{k}": np.zeros(7) for k in range(len(before) if damage == "shapes" else 2)}
        np.savez(file, told=told, **states)
    assert load_state(file, network) is None
    assert_equal_values(values(network), before)


def test_a_state_is_replaced_at_once_or_not_at_all(tmp_path, monkeypatch):
    network = compiled()
    content = whole_file(tmp_path, network)

    def full_disk(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_state(tmp_path / "state.npz", network, {"waited": 1}, None)
    assert [file.name for file in tmp_path.iterdir()] == ["state.npz"]
    assert (tmp_path / "state.npz").read_bytes() == content


def test_functions_and_optimizers_are_told_apart_by_what_they_are():
    def inside():
        pass

    rate = keras.optimizers.schedules.CosineDecay
    own = fingerprint({"architecture": lstm, "optimizer": keras.optimizers.AdamW(rate(1e-3, 10))})
    assert own == fingerprint({"architecture": lstm, "optimizer": keras.optimizers.AdamW(rate(1e-3, 10))})
    others = {
        fingerprint({"architecture": architecture, "optimizer": optimizer})
        for architecture in (lstm, cnn, inside, lambda: None)
        for optimizer in (keras.optimizers.AdamW(rate(1e-3, 9)), keras.optimizers.Adam(rate(1e-3, 10)))
    }
    assert len(others - {own}) == 8


def test_fingerprints_tell_apart_whatever_matters(monkeypatch):
    parts = ({"units": 2, "pooling": ("mean",)}, 7, np.arange(6.0))
    own = fingerprint(*parts)
    assert own == fingerprint({"units": 2, "pooling": ("mean",)}, 7, np.arange(6.0))
    assert len(own) == 32
    assert own.isalnum()
    others = {
        fingerprint(parts[0] | {"units": 3}, *parts[1:]),
        fingerprint(parts[0], 8, parts[2]),
        fingerprint(*parts[:2], np.arange(6.0) + 1e-9),
        fingerprint(*parts[:2], np.arange(6.0)[::-1]),
        fingerprint(*parts[:2], np.arange(6.0).reshape(2, 3)),
        fingerprint(*parts[:2], np.arange(6)),
        fingerprint(*parts, None),
    }
    monkeypatch.setattr(keras_checkpoint.keras, "__version__", "0")
    others.add(fingerprint(*parts))
    assert len(others - {own}) == 8


# --- epochs ---

# Everything that draws at random: dropout, masks, and the order of the clips.
RANDOM = {"model__dropout": 0.3, "time_mask": 0.3, "epochs": 4, "validation_fraction": 0.25}


def train(checkpoint=None, **parameters):
    return tiny_network(**(RANDOM | parameters), checkpoint=checkpoint).fit(X, Y, GROUPS)


def assert_same_training(first, second):
    assert first.histories_ == second.histories_
    assert (first.best_epoch_, first.temperature_) == (second.best_epoch_, second.temperature_)
    for weights, others in zip(first.weights_, second.weights_, strict=True):
        assert_equal_values(weights, others)
    assert_array_equal(first.predict_proba(X), second.predict_proba(X))


class Rates(keras.callbacks.Callback):
    """Notes the learning rate of each epoch."""

    def __init__(self):
        super().__init__()
        self.noted = []

    def on_train_batch_begin(self, batch, logs=None):
        if batch == 0:
            self.noted.append(float(plain_value(self.model.optimizer.learning_rate)))


class Interruption(keras.callbacks.Callback):
    """Ctrl-C at a moment of the training."""

    def __init__(self, epoch, batch=None):
        super().__init__()
        self.at, self.epoch = (epoch, batch), None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == self.at:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if (epoch, None) == self.at:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def whole():
    return train()


@pytest.mark.parametrize("at", [(0, 1), (1, None), (2, 0), (3, None)], ids=["first", "end-of-2nd", "in-3rd", "end"])
def test_an_interrupted_training_goes_on_as_if_nothing_had_been(whole, tmp_path, at):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callbacks=[Interruption(*at)])
    assert len([*tmp_path.iterdir()]) == (at[0] > 0 or at[1] is None)
    assert_same_training(train(tmp_path), whole)
    assert len([*tmp_path.iterdir()]) == 1
    assert not list(tmp_path.glob(".*")), "no draft is left"


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_several_networks_that_stop_early_go_on_too(losses, tmp_path, schedule):
    losses += [1.0, 0.5, 0.6, 0.7, 0.8]
    options = {"n_networks": 2, "patience": 2, "schedule": schedule, "epochs": 5}
    expected = train(**options)
    # The second one trains on all clips, for as many epochs as were best for the first.
    assert [len(history["loss"]) for history in expected.histories_] == [4, 2]
    assert expected.best_epoch_ == 1
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callbacks=[Interruption(1)], **options)
    (first,) = tmp_path.iterdir()
    before = first.stat().st_mtime_ns
    interrupted = train(str(tmp_path), **options)
    assert first.stat().st_mtime_ns > before
    assert_same_training(interrupted, expected)
    assert len([*tmp_path.iterdir()]) == 2


def test_a_training_that_was_done_is_taken_from_its_file(whole, tmp_path, monkeypatch):
    train(tmp_path)
    monkeypatch.setattr(keras.Model, "fit", lambda *args, **kwargs: pytest.fail("trains again"))
    assert_same_training(train(tmp_path, verbose=1, callbacks=[Rates()]), whole)


def test_other_clips_and_parameters_are_trained_anew(tmp_path):
    short = {"epochs": 1, "validation_fraction": 0.0}
    train(tmp_path, **short)
    change = {"label_smoothing": 0.2, "optimizer__learning_rate": 1e-3, "random_state": 1}
    assert_same_training(train(tmp_path, **short | change), train(**short | change))
    assert len([*tmp_path.iterdir()]) == 2
    model = tiny_network(**RANDOM | short, checkpoint=tmp_path)
    changed = X.copy()
    changed[0, 0, 0] += 1e-3
    model.fit(changed, Y)
    model.fit(X, Y, sample_weight=np.arange(1.0, len(Y) + 1))
    model.fit(X, np.roll(Y, 1))
    assert len([*tmp_path.iterdir()]) == 5


@pytest.mark.parametrize("content", [b"", b"no zip " * 100], ids=["empty", "text"])
def test_a_damaged_checkpoint_begins_anew(whole, tmp_path, content):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, callbacks=[Interruption(1)])
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert_same_training(train(tmp_path), whole)
    assert len(file.read_bytes()) > 1000


# Learning rate and end of training, given how the held-out loss goes.


@pytest.fixture
def losses(monkeypatch):
    """List of the losses that the held-out clips are said to have, epoch by epoch."""
    told = []
    measure = Supervisor._measure

    def tell(self, network):
        measured = measure(self, network)
        loss = told[len(self.history.get("loss", ()))]
        return {name: loss if "loss" in name else value for name, value in measured.items()}

    monkeypatch.setattr(Supervisor, "_measure", tell)
    return told


def rates_of(**parameters):
    """The learning rate in each epoch, and the model."""
    rates = Rates()
    model = train(callbacks=[rates], **parameters)
    return rates.noted, model


def test_the_learning_rate_is_halved_after_half_of_the_patience(losses):
    losses += [1.0, 1.1, 1.2, 0.9, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    rates, model = rates_of(schedule="plateau", patience=4, epochs=10)
    assert_allclose(np.array(rates) / 2e-3, [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25])
    assert (model.best_epoch_, len(model.history_["loss"])) == (3, 8)


def test_the_learning_rate_has_a_floor(losses):
    losses += [1.0, 2.0, 2.0]
    rates, _ = rates_of(schedule="plateau", patience=3, epochs=3, optimizer__learning_rate=1.5e-5)
    assert_allclose(rates, [1.5e-5, 1.5e-5, 1e-5])


def test_the_learning_rate_falls_along_a_cosine():
    rates, _ = rates_of(schedule="cosine", epochs=4)
    quarters = [(1 + math.cos(math.pi * k / 4)) / 2 for k in range(4)]
    assert_allclose(np.array(rates) / 2e-3, [0.5, *quarters[1:]], rtol=1e-6)


@pytest.mark.parametrize("schedule", ["cosine", "plateau"])
def test_a_schedule_of_keras_is_left_alone(losses, schedule):
    losses += [1.0, 2.0, 3.0, 4.0]
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    given = keras.optimizers.AdamW(decay, clipnorm=1.0)
    models = [
        train(schedule=schedule, patience=4, **parameters)
        for parameters in ({"optimizer__learning_rate": decay}, {"optimizer": given}, {"optimizer": given})
    ]
    assert len(models[0].history_["loss"]) == 4
    for model in models[1:]:  # a given optimizer is copied: what it learned is not for the next fit
        assert_equal_values(model.weights_[0], models[0].weights_[0])
    assert given.iterations == 0


def test_training_ends_with_the_best_epoch(losses):
    losses += [1.0, 0.5, 0.6, 0.5001, 0.7, 0.1]
    stopped = train(schedule="plateau", patience=3, epochs=6)
    assert (stopped.best_epoch_, len(stopped.history_["loss"])) == (1, 5)
    two_epochs = train(schedule="plateau", patience=3, epochs=2)
    assert_equal_values(stopped.weights_[0], two_epochs.weights_[0])


def test_without_patience_the_last_epoch_is_kept(losses):
    losses += [1.0, 0.5, 0.6, 0.7]
    model = train(patience=None)
    assert (model.best_epoch_, len(model.history_["loss"])) == (3, 4)


def test_the_held_out_loss_is_that_of_the_probabilities(whole):
    """Measured after the last epoch: what the model says of the held-out clips, before it is calibrated."""
    held = np.isin(GROUPS, held_out_speakers(whole))
    raw = np.exp(whole._log_chances(X[held], whole.weights_[0]))
    of_truth = raw[np.arange(held.sum()), np.searchsorted(whole.classes_, Y[held])]
    assert whole.history_["val_loss"][-1] == pytest.approx(-np.log(of_truth).mean(), rel=1e-4)
    accuracy = (whole.classes_[raw.argmax(axis=1)] == Y[held]).mean()
    assert whole.history_["val_accuracy"][-1] == pytest.approx(accuracy)


def held_out_speakers(model):
    (_, held), *_ = model._folds(Y, GROUPS)
    return GROUPS[held]


@pytest.mark.parametrize("metrics", [None, ["accuracy"]], ids=str)
def test_history_has_a_value_an_epoch(metrics):
    model, without = (train(metrics=metrics, validation_fraction=share, epochs=2) for share in (0.25, 0.0))
    assert model.history_.keys() >= {"loss", "val_loss", "val_accuracy"}
    assert without.history_.keys() == {"loss", *(metrics or ())}
    assert ("accuracy" in model.history_) == bool(metrics)
    assert {len(values) for values in model.history_.values()} == {2}
    assert {type(value) for values in model.history_.values() for value in values} == {float}


def test_progress_is_on_stderr(capsys):
    train(epochs=2)
    assert capsys.readouterr() == ("", "")
    train(epochs=2, verbose=1)
    told = capsys.readouterr()
    assert told.out == ""
    assert "2/2" in told.err
    assert "val_loss" in told.err


def test_the_bar_is_taken_away_after_an_interruption(capsys):
    class Stopped:
        stopped = False

        def stop(self):
            self.stopped = True

    supervisor = Supervisor(
        batches_of(clips_of(3, 4)), None, patience=None, schedule="cosine", checkpoint=None, verbose=1
    )
    supervisor.close()
    supervisor.bar = Stopped()
    supervisor.close()
    assert supervisor.bar.stopped
    assert not supervisor.is_over


# --- devices ---


@pytest.mark.parametrize(
    ("devices", "backend", "jax", "is_set", "expected"),
    [
        (["cpu:0"], "jax", "0.10.2", False, 1),
        (["gpu:0", "gpu:1"], "jax", "0.10.2", False, 2),
        (["gpu:0", "gpu:1"], "jax", "1.0", False, 2),
        (["gpu:0", "gpu:1"], "jax", "0.5.0", False, 1),  # comes to other losses from run to run
        (["gpu:0", "gpu:1"], "torch", "0.10.2", False, 1),
        (["gpu:0", "gpu:1"], "jax", "0.10.2", True, 1),  # by somebody who knows better
    ],
    ids=["one", "two", "two-later", "two-too-early", "another-backend", "set"],
)
def test_all_devices_are_used_by_jax(monkeypatch, devices, backend, jax, is_set, expected):
    entered = []

    class Parallel:
        def __init__(self, devices):
            self.devices = devices

        @contextlib.contextmanager
        def scope(self):
            entered.append(self.devices)
            yield

    monkeypatch.setattr(keras.distribution, "list_devices", lambda: devices)
    monkeypatch.setattr(keras.distribution, "distribution", lambda: Parallel(devices) if is_set else None)
    monkeypatch.setattr(keras.distribution, "DataParallel", Parallel)
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    monkeypatch.setattr(keras_training, "version", lambda _package: jax)
    with all_devices() as n_devices:
        assert n_devices == expected
    assert entered == ([devices] if expected == 2 else [])


# --- seeds ---


def test_seeds_leave_the_global_generators_alone():
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    uniform = keras.initializers.RandomUniform

    with seeded(1):
        first = random.random(), np.random.random(), float(uniform()(()))  # noqa: NPY002
    again = []

    def fail():
        with seeded(1):
            again.extend((random.random(), np.random.random(), float(uniform()(()))))  # noqa: NPY002
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    assert first == tuple(again)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


def test_what_was_compiled_for_the_first_network_serves_the_others():
    built = []

    def build():
        built.append(build_network(*SHAPE))
        return built[-1]

    optimizer = keras.optimizers.AdamW(0.01, clipnorm=1.0)
    trainer = Trainer(build, {"optimizer": optimizer, "loss": "categorical_crossentropy", "metrics": ["accuracy"]})
    target = np.eye(3)[np.searchsorted(np.unique(Y), Y)]
    batches = Batches(X, target, np.ones(len(Y)), batch_size=8, longest=16, masks=(0.0, 0.0), seed=0)

    def run(seed):
        supervisor = Supervisor(batches, None, patience=None, schedule="plateau", checkpoint=None, verbose=0)
        return trainer.train(seed, batches, supervisor, 2)

    first, other, again = run(1), run(2), run(1)
    assert trainer.network is built[0]
    assert_equal_values(first.weights, again.weights)
    assert first.history == again.history != other.history
    assert first.best_epoch == 1
