"""The classifier of sequences: whatever scikit-learn does with a classifier, and what speech needs of it."""

from __future__ import annotations

import contextlib
import copy
import importlib
import json
import os
import pickle
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import NO_KERAS, padded_speech, tiny_network
from numpy.testing import assert_allclose, assert_array_equal
from packaging.version import Version
from scipy.special import softmax
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from speakers import scikit_learns_checks

pytest.importorskip("sersk.models.keras_backend", reason=NO_KERAS, exc_type=ImportError)

from sersk import FrameScaler, KerasSequenceClassifier
from sersk.models import fit_with_speakers, keras_backend, keras_classifier, keras_training
from sersk.models.calibration import choose_temperature
from sersk.models.keras_backend import keras
from sersk.models.network_parts import layers, speech

EMOTIONS = ["angry", "happy", "sad"]
X, Y, GROUPS = padded_speech()
TESTS = Path(__file__).parent


def linear(input_shape, n_classes):
    """For vectors: logistic regression."""
    inputs, values, _ = speech(input_shape, any_length=False)
    return keras.Model(inputs, layers.Dense(n_classes, activation="softmax")(layers.Flatten()(values)))


ON_TABLES = tiny_network(
    linear,
    optimizer="adam",
    optimizer__learning_rate=0.2,
    optimizer__clipnorm=None,
    epochs=10,
    validation_fraction=0.0,
    label_smoothing=0.0,
    time_mask=0.0,
    class_weight=None,
    metrics=None,
)
EXPECTED = {
    "check_mixin_order": "scikeras names BaseEstimator before ClassifierMixin; the tags that this costs are set here",
    "check_estimator_tags_renamed": "scikeras still has _more_tags beside; nobody asks for it",
    "check_sample_weight_equivalence_on_dense_data": (
        "a clip given twice stands in two batches, one of weight 2 in one: the order of the gradients differs"
    ),
}
NAMES, CHECKS, _ = scikit_learns_checks([ON_TABLES], expected={str(ON_TABLES): EXPECTED})


def named(part):
    return getattr(getattr(part, "func", part), "__name__", "tiny")


@pytest.mark.parametrize(NAMES, CHECKS, ids=named)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


# --- as scikit-learn's own classifiers ---


@pytest.fixture(scope="module")
def fitted():
    return tiny_network(validation_fraction=0.25).fit(X, Y, GROUPS)


def test_it_is_a_classifier():
    tags = get_tags(tiny_network())
    assert is_classifier(tiny_network())
    assert (tags.estimator_type, tags.target_tags.required, tags.input_tags.three_d_array) == ("classifier", True, True)
    assert tags.classifier_tags is not None
    assert not tags.non_deterministic
    assert get_tags(tiny_network(random_state=None)).non_deterministic


def test_folds_are_stratified():
    order = np.argsort(Y)  # plain folds of these would lack whole emotions
    options = {"cv": 2, "return_indices": True, "error_score": "raise"}
    result = cross_validate(tiny_network(), X[order], Y[order], **options)
    for side in ("train", "test"):
        for fold in result["indices"][side]:
            assert_array_equal(np.unique(Y[order][fold], return_counts=True)[1], [4, 4, 4])
    assert np.isfinite(result["test_score"]).all()


NETWORKS = [("a", tiny_network()), ("b", tiny_network(random_state=1))]


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(VotingClassifier(NETWORKS, voting="soft"), id="voting"),
        pytest.param(CalibratedClassifierCV(tiny_network(), cv=2), id="calibrated"),
        pytest.param(CalibratedClassifierCV(tiny_network(), cv=2, ensemble=False), id="calibrated-once"),
        pytest.param(StackingClassifier(NETWORKS, cv=2), id="stacking"),
    ],
)
def test_ensembles_of_scikit_learn_accept_it(model):
    model.fit(X, Y)
    assert_array_equal(model.classes_, EMOTIONS)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    if isinstance(model, VotingClassifier):
        each = [network.fit(X, Y).predict_proba(X) for _, network in NETWORKS]
        assert_allclose(model.predict_proba(X), np.mean(each, axis=0), atol=1e-6)


def test_parameters_of_the_network_and_the_optimizer():
    model = KerasSequenceClassifier("lstm", model__units=3)
    parameters = model.get_params()
    assert (parameters["model__units"], parameters["optimizer__learning_rate"]) == (3, 2e-3)
    scikeras_own = {"model", "build_fn", "loss", "warm_start", "validation_split", "shuffle", "run_eagerly"}
    assert not scikeras_own & parameters.keys()
    assert model.set_params(model__units=5, optimizer__learning_rate=0.1, model__dropout=0.2, epochs=7) is model
    copied = clone(model)
    assert copied.get_params() == model.get_params()
    assert (copied.model__units, copied.optimizer__learning_rate, copied.model__dropout, copied.epochs) == (
        5,
        0.1,
        0.2,
        7,
    )
    assert not hasattr(clone(tiny_network().fit(X, Y)), "classes_")
    with pytest.raises(ValueError, match="Invalid parameter epoch for estimator KerasSequenceClassifier"):
        model.set_params(epoch=3)


def test_it_is_printed_with_what_is_not_at_its_default():
    assert repr(KerasSequenceClassifier()) == "KerasSequenceClassifier()"
    model = KerasSequenceClassifier("cnn", model__dropout=0.1, epochs=3)
    assert repr(model) == "KerasSequenceClassifier(architecture='cnn', epochs=3, model__dropout=0.1)"
    assert "KerasSequenceClassifier" in model._repr_html_()
    with pytest.raises(TypeError, match="positional"):
        KerasSequenceClassifier("cnn", "adam")


def test_grid_search_over_the_network_and_the_optimizer():
    def layered(input_shape, n_classes, *, units=1):
        inputs, frames, _ = speech(input_shape)
        hidden = layers.Dense(units)(frames[:, 0])
        return keras.Model(inputs, layers.Dense(n_classes, activation="softmax")(hidden))

    network = tiny_network(layered, epochs=1)
    grid = {"model__units": [2, 3], "optimizer__learning_rate": [1e-3, 0.1]}
    search = GridSearchCV(network, grid, cv=2, error_score="raise").fit(X, Y)
    assert len(search.cv_results_["params"]) == 4
    assert search.best_params_.keys() == grid.keys()
    best = search.best_estimator_
    assert best.model_.layers[-2].units == best.model__units == search.best_params_["model__units"]


def test_no_such_methods():
    model = tiny_network()
    assert not hasattr(model, "partial_fit")
    assert not hasattr(model, "initialize")
    with pytest.raises(AttributeError, match="no partial_fit; an interrupted fit goes on with checkpoint=FOLDER"):
        model.partial_fit(X, Y)
    with pytest.raises(AttributeError, match="call fit"):
        model.initialize(X, Y)
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize("labels", [[3, 1, 2], [True, False, True], ["Ärger", "b", "c"]], ids=["int", "bool", "str"])
def test_labels_are_taken_as_they_come(labels):
    y = np.array(labels)[np.searchsorted(EMOTIONS, Y)]
    model = tiny_network(epochs=1, optimizer__learning_rate=0.5).fit(X, y.tolist())
    assert_array_equal(model.classes_, np.unique(y))
    probabilities = model.predict_proba(X)
    assert probabilities.dtype == np.float64
    assert_array_equal(model.predict(X), model.classes_[probabilities.argmax(axis=1)])
    assert model.predict(X).dtype == y.dtype
    assert model.score(X, y) == (model.predict(X) == y).mean()


def test_it_learns():
    model = tiny_network(epochs=15, optimizer__learning_rate=0.1).fit(X, Y, GROUPS)
    assert model.score(*padded_speech(seed=1)[:2]) > 0.9
    assert model.history_["loss"][-1] < model.history_["loss"][0]


# --- the seed ---


def test_the_seed_decides(fitted):
    models = [tiny_network(validation_fraction=0.25, random_state=seed).fit(X, Y, GROUPS) for seed in (0, 1)]
    assert_array_equal(models[0].predict_proba(X), fitted.predict_proba(X))
    assert models[0].history_ == fitted.history_
    assert np.abs(models[1].predict_proba(X) - fitted.predict_proba(X)).max() > 1e-3
    assert_array_equal(fitted.fit(X, Y, GROUPS).predict_proba(X), models[0].predict_proba(X))  # anew, not further
    state = np.random.RandomState(3)
    first, second = (tiny_network(random_state=state).fit(X, Y).predict_proba(X) for _ in range(2))
    assert np.abs(first - second).max() > 1e-3
    assert_array_equal(tiny_network(random_state=np.random.RandomState(3)).fit(X, Y).predict_proba(X), first)


def test_no_seed_is_another_one_each_time():
    first, second = (tiny_network(random_state=None).fit(X, Y).predict_proba(X) for _ in range(2))
    assert np.abs(first - second).max() > 1e-4


def test_the_global_generators_are_left_alone(fitted):
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    before = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    tiny_network(n_networks=2).fit(X, Y)
    fitted.predict_proba(X)
    pickle.loads(pickle.dumps(fitted))
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # noqa: NPY002


# --- clips of any length ---


def test_what_else_is_in_a_batch_does_not_matter(fitted):
    """Of the architectures, tests/test_networks.py shows it."""
    together = fitted.predict_proba(X)
    for k in (0, 5, 11):
        length = int(np.isfinite(X[k, :, 0]).sum())
        assert_allclose(fitted.predict_proba(X[k : k + 1, :length]), together[k : k + 1], atol=1e-5)
    longer = np.concatenate([X, np.full((len(X), 23, 3), np.nan)], axis=1)
    assert_allclose(fitted.predict_proba(longer), together, atol=1e-5)
    longer[3] = [-9, 9, 9]
    rest = np.arange(len(X)) != 3
    assert_allclose(fitted.predict_proba(longer)[rest], together[rest], atol=1e-5)
    assert np.abs(fitted.predict_proba(longer)[3] - together[3]).max() > 1e-4
    order = np.random.default_rng(0).permutation(len(X))
    assert_allclose(fitted.predict_proba(X[order]), together[order], atol=1e-6)


def test_the_frames_are_not_changed():
    mine = X.copy()
    tiny_network(time_mask=0.5, epochs=1).fit(mine, Y).predict(mine)
    assert_array_equal(mine, X)


def test_sequences_of_one_descriptor_are_sequences():
    model = tiny_network(epochs=1).fit(X[:, :, :1], Y)
    assert model.predict(X[:, :9, :1]).shape == Y.shape
    with pytest.raises(ValueError, match=r"frames of shape \(n_clips, n_frames, 1\), as in fit, got .*\(24, 16"):
        model.predict(X[:, :, 0])


def test_vectors_are_sequences_of_one_value_a_step():
    vectors = pd.DataFrame(np.nanmean(X, axis=1), columns=list("abc"))
    model = tiny_network(linear, epochs=1).fit(vectors, Y)
    assert (model.n_features_in_, model.input_shape_) == (3, (3, 1))
    assert_array_equal(model.feature_names_in_, list("abc"))
    assert_array_equal(model.predict_proba(vectors.to_numpy()[..., None]), model.predict_proba(vectors))
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(vectors[["b", "a", "c"]])
    with pytest.raises(ValueError, match="X has 2 features, but KerasSequenceClassifier is expecting 3"):
        tiny_network(linear, epochs=1).fit(vectors.to_numpy(), Y).predict(vectors.to_numpy()[:, :2])
    with pytest.raises(ValueError, match=r"X holds clips of shape \(3, 2\), but the network was trained on \(3, 1\)"):
        model.predict(np.zeros((4, 3, 2)))


# --- what cannot be ---


def without_frames(X, clip):
    lost = X.copy()
    lost[clip] = np.nan
    return lost


def with_value(X, value):
    odd = X.copy()
    odd[2, 3, 1] = value
    return odd


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (with_value(X, np.inf), y), "X contains infinity"),
        (lambda X, y: (with_value(X, np.nan), y), r"X\[2\]: NaN is for whole frames after the end of a clip"),
        (lambda X, y: (without_frames(X, 4), y), r"X\[4\]: a clip without any frame\. Leave out what could not be"),
        (lambda X, y: (X[None], y), "Found array with dim 4"),
        (lambda X, y: (X[0, 0], y), "Expected 2D array, got 1D array"),
        (lambda X, y: (X, y[:-1]), "X holds 24 clips, but y has 23 labels"),
        (lambda X, y: (X, None), "requires y to be passed"),
        (lambda X, y: (X, np.full(len(y), "sad")), "only one class"),
        (lambda X, y: (X, np.arange(len(y)) + 0.5), "Unknown label type: continuous"),
        (lambda X, y: (X, y, GROUPS[:3]), "inconsistent numbers of samples"),
        (lambda X, y: (X, y, None, np.zeros(len(y))), "zero"),
        (lambda X, y: (X, y, None, np.ones(3)), r"sample_weight.shape == \(3,\), expected \(24,\)"),
    ],
    ids=[
        "infinity",
        "hole",
        "no-frame",
        "4-d",
        "1-d",
        "labels",
        "no-labels",
        "one-class",
        "numbers",
        "groups",
        "weights-zero",
        "weights-shape",
    ],
)
def test_clips_that_do_not_fit_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        tiny_network().fit(*change(X, Y))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X[:, :, :2], r"X holds clips of shape \(16, 2\), but the network was trained on \(16, 3\)\.$"),
        (lambda X: X[:, 0], r"frames of shape \(n_clips, n_frames, 3\), as in fit, got an array of shape \(24, 3\)"),
        (lambda X: without_frames(X, 7), r"X\[7\]: a clip without any frame"),
        (lambda X: with_value(X, np.inf), "X contains infinity"),
        (lambda X: X[:0], "0 sample"),
    ],
)
def test_other_clips_than_those_of_the_training_are_named(fitted, change, message):
    with pytest.raises(ValueError, match=message):
        fitted.predict_proba(change(X))


def test_a_network_of_one_length_takes_clips_of_that_length():
    small = {"model__channels": (2,), "model__hidden": (), "epochs": 1}
    model = tiny_network("cnn-picture", **small).fit(np.nan_to_num(X), Y)
    assert model.predict(np.nan_to_num(X)).shape == Y.shape
    with pytest.raises(
        ValueError, match=r"\(9, 3\), .* on \(16, 3\) and takes 16 frames only: FrameSequences\(max_fra"
    ):
        model.predict(np.nan_to_num(X[:, :9]))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"architecture": "lstmm"}, "'architecture' parameter .* must be a str among .*'lstm'.* Got 'lstmm'"),
        ({"epoch": 3}, r"Unknown parameters: epoch\. Those of the network start with model__, those of the optim"),
        ({"units": 3, "fit__epochs": 3}, "Unknown parameters: fit__epochs, units"),
        ({"warm_start": True, "shuffle": False}, "Unknown parameters: shuffle, warm_start"),
        ({"architecture": "lstm", "model__unit": 3}, "Unknown parameters of architecture 'lstm': unit. It has .*units"),
        ({"architecture": "lstm", "model__units": -3}, "`units`, expected a positive integer, got -3"),
        ({"optimizer": "adamm"}, "adamm"),
        ({"optimizer__rate": 0.1}, "rate"),
        ({"optimizer__learning_rate": -0.1}, "'optimizer__learning_rate' parameter .* Got -0.1"),
        ({"optimizer__clipnorm": 0.0}, "'optimizer__clipnorm' parameter"),
        ({"epochs": 0}, "'epochs' parameter"),
        ({"batch_size": -1}, "'batch_size' parameter"),
        ({"n_networks": 0}, "'n_networks' parameter"),
        ({"validation_fraction": 0.6}, "'validation_fraction' parameter"),
        ({"validation_fraction": -0.1}, "'validation_fraction' parameter"),
        ({"patience": 0}, "'patience' parameter"),
        ({"schedule": "linear"}, "'schedule' parameter"),
        ({"label_smoothing": 1.0}, "'label_smoothing' parameter"),
        ({"time_mask": -0.1}, "'time_mask' parameter"),
        ({"frequency_mask": 1.0}, "'frequency_mask' parameter"),
        ({"class_weight": "even"}, "'class_weight' parameter"),
        ({"class_weight": dict.fromkeys(EMOTIONS, 0.0)}, "The weights of all clips are zero"),
        ({"checkpoint": 3}, "'checkpoint' parameter"),
        ({"metrics": "accuracy"}, "'metrics' parameter"),
        ({"callbacks": print}, "'callbacks' parameter"),
        ({"random_state": "seed"}, "'random_state' parameter"),
        ({"verbose": -1}, "'verbose' parameter"),
    ],
    ids=lambda part: "-".join(part) if isinstance(part, dict) else "",
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        tiny_network(**parameters).fit(X, Y)


# --- held-out clips ---


class Spy:
    """What the trainings of a fit were given, by the numbers of the clips."""

    def __init__(self, monkeypatch):
        self.trained, self.held, self.batches = [], [], []
        batches, supervisor = keras_training.Batches, keras_training.Supervisor

        def take_batches(X, target, weight, **options):
            self.trained.append(self.numbers(X))
            self.batches.append({"target": target, "weight": weight} | options)
            return batches(X, target, weight, **options)

        def take_supervisor(taken, held_out, **options):
            self.held.append(None if held_out is None else self.numbers(held_out[0]))
            return supervisor(taken, held_out, **options)

        monkeypatch.setattr(keras_training, "Batches", take_batches)
        monkeypatch.setattr(keras_training, "Supervisor", take_supervisor)

    @staticmethod
    def numbers(clips):
        return [int(np.flatnonzero((clip[0] == X[:, 0]).all(axis=1))[0]) for clip in clips]


@pytest.fixture
def spy(monkeypatch):
    return Spy(monkeypatch)


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_whole_speakers_are_held_out(spy, share):
    tiny_network(validation_fraction=share, epochs=1).fit(X, Y, groups=GROUPS)
    ((trained,), (held,)) = spy.trained, spy.held
    assert sorted(trained + held) == [*range(len(X))]
    assert not {*GROUPS[trained]} & {*GROUPS[held]}
    assert len({*GROUPS[held]}) == share * 4
    assert {*Y[trained]} == {*EMOTIONS}


def test_no_altered_copy_is_held_out():
    sources = np.concatenate([np.arange(len(Y)), ~np.arange(len(Y))])
    ((trained, held),) = tiny_network(validation_fraction=0.25)._folds(np.tile(Y, 2), np.tile(GROUPS, 2), sources)
    assert (held < len(Y)).all()
    assert not {*np.tile(GROUPS, 2)[trained]} & {*GROUPS[held]}
    assert len(trained) == 2 * (len(Y) - len(held))


def test_without_speakers_clips_of_each_emotion_are_held_out(spy):
    tiny_network(validation_fraction=0.25, epochs=1).fit(X, Y)
    ((trained,), (held,)) = spy.trained, spy.held
    assert sorted(trained + held) == [*range(len(X))]
    assert_array_equal(np.unique(Y[held], return_counts=True)[1], [2, 2, 2])


def test_nothing_is_held_out_if_that_is_asked_for_or_cannot_be(spy):
    model = tiny_network(validation_fraction=0.0, epochs=1).fit(X, Y, GROUPS)
    few = tiny_network(epochs=1).fit(X[[0, 2, 4]], Y[[0, 2, 4]])
    assert spy.held == [None, None]
    assert [len(trained) for trained in spy.trained] == [24, 3]
    for one in (model, few):
        assert one.temperature_ == 1
        assert one.history_.keys() == {"loss", "accuracy"}


def test_a_speaker_who_alone_has_an_emotion_is_trained_on(spy):
    y = np.where((GROUPS == "s2") & (Y == "sad"), "bored", Y)
    tiny_network(validation_fraction=0.25, epochs=1).fit(X, y, GROUPS)
    assert "bored" in y[spy.trained[0]]


@pytest.mark.parametrize("routing", [True, False])
def test_speakers_reach_it_in_pipelines(spy, routing):
    pipeline = make_pipeline(FrameScaler("clip"), tiny_network(validation_fraction=0.25, epochs=1))
    spy.numbers = len
    if routing:
        fit_with_speakers(pipeline, X, Y, GROUPS)
        with sklearn.config_context(enable_metadata_routing=True):
            cross_validate(
                pipeline, X, Y, params={"groups": GROUPS}, cv=GroupKFold(2), error_score="raise", scoring="accuracy"
            )
        assert (spy.trained, spy.held) == ([18, 6, 6], [6, 6, 6])
    else:
        pipeline.fit(X, Y, kerassequenceclassifier__groups=GROUPS)
        assert (spy.trained, spy.held) == ([18], [6])


def test_the_temperature_is_chosen_on_held_out_clips(fitted):
    (_, held), *_ = fitted._folds(Y, GROUPS)
    raw = fitted._log_chances(X, fitted.weights_[0])
    truth = np.searchsorted(EMOTIONS, Y)
    assert fitted.temperature_ == choose_temperature(raw[held], truth[held])
    assert fitted.temperature_ != choose_temperature(raw, truth)
    assert_allclose(fitted.predict_proba(X), softmax(raw / fitted.temperature_, axis=1))


def test_networks_are_averaged(spy):
    model = tiny_network(n_networks=3, validation_fraction=0.25, epochs=2).fit(X, Y, GROUPS)
    assert len(model.weights_) == len(model.histories_) == len(spy.trained) == 3
    assert model.history_ is model.histories_[0]
    assert len({options["seed"] for options in spy.batches}) == 3
    for trained, held in zip(spy.trained, spy.held, strict=True):
        assert not {*trained} & {*(held or ())}
        assert sorted(trained + (held or [])) == [*range(len(X))]
    each = []
    for weights in model.weights_:
        model.model_.set_weights(weights)
        raw = np.log(np.asarray(model.model_.predict_on_batch(X)))
        each.append(softmax(raw / model.temperature_, axis=1))
    model.model_.set_weights(model.weights_[0])
    assert_allclose(model.predict_proba(X), np.mean(each, axis=0), atol=1e-6)
    assert np.abs(each[0] - each[1]).max() > 1e-4
    alone = tiny_network(validation_fraction=0.25, epochs=2).fit(X, Y, GROUPS)
    for one, other in zip(alone.weights_[0], model.weights_[0], strict=True):
        assert_array_equal(one, other)


def test_threads_may_ask_at_once():
    """As those of a server do: one network serves all weights in turn."""
    model = tiny_network(n_networks=2, epochs=1, optimizer__learning_rate=0.5).fit(X, Y)
    expected = model.predict_proba(X)
    with ThreadPoolExecutor(8) as threads:
        for answer in threads.map(lambda _: model.predict_proba(X), range(60)):
            assert_array_equal(answer, expected)


# --- weights, targets, gradients ---


@pytest.mark.parametrize(
    ("class_weight", "expected"),
    [
        (None, {"angry": 1, "happy": 1, "sad": 1}),
        ("balanced", {"angry": 1 / 4, "happy": 1 / 8, "sad": 1 / 2}),
        ({"sad": 3.0}, {"angry": 1, "happy": 1, "sad": 3}),
    ],
    ids=str,
)
def test_classes_are_weighted(spy, class_weight, expected):
    kept = np.r_[np.flatnonzero(Y == "angry")[:4], np.flatnonzero(Y == "happy"), np.flatnonzero(Y == "sad")[:2]]
    model = tiny_network(class_weight=class_weight, validation_fraction=0.0, epochs=1)
    relative = np.array([expected[emotion] for emotion in Y[kept]])
    model.fit(X[kept], Y[kept])
    assert_allclose(spy.batches[0]["weight"], relative / relative.mean(), rtol=1e-6)
    of_clips = np.arange(1.0, len(kept) + 1)
    if class_weight == "balanced":  # by the clips' weights then, as in scikit-learn
        relative = np.array([1 / of_clips[Y[kept] == emotion].sum() for emotion in Y[kept]])
    model.fit(X[kept], Y[kept], sample_weight=of_clips)
    assert_allclose(spy.batches[1]["weight"], relative * of_clips / (relative * of_clips).mean(), rtol=1e-6)


def test_weights_of_zero_are_no_clips_to_learn_from():
    """Whatever such a clip is labelled, also where it is held out."""
    weight = np.ones(len(Y))
    weight[::5] = 0
    wrong = np.where(weight == 0, "sad", Y)
    options = {"class_weight": None, "validation_fraction": 0.0, "epochs": 1}
    first, second = (tiny_network(**options).fit(X, y, sample_weight=weight) for y in (Y, wrong))
    assert_allclose(first.predict_proba(X), second.predict_proba(X), atol=1e-6)
    held = np.isin(GROUPS, GROUPS[tiny_network(validation_fraction=0.25)._folds(Y, GROUPS)[0][1]])
    model = tiny_network(validation_fraction=0.25, epochs=1).fit(X, Y, GROUPS, sample_weight=~held)
    assert np.isfinite(model.history_["val_loss"]).all()


def test_labels_are_smoothed(spy):
    tiny_network(label_smoothing=0.3, validation_fraction=0.0, epochs=1).fit(X, Y)
    target = spy.batches[0]["target"]
    assert_allclose(np.unique(target), [0.1, 0.8], rtol=1e-6)
    assert_array_equal(np.array(EMOTIONS)[target.argmax(axis=1)], Y)
    options = spy.batches[0]
    assert (options["masks"], options["batch_size"]) == ((0.1, 0.1), 8)


@pytest.mark.parametrize("clipnorm", [None, 1.0])
def test_the_gradient_is_cut(clipnorm):
    model = tiny_network(optimizer__clipnorm=clipnorm, epochs=1).fit(X, Y)
    assert model.model_.optimizer.clipnorm == clipnorm
    assert type(model.model_.optimizer).__name__ == "AdamW"


def test_a_cut_gradient_makes_steps_of_its_length():
    """Plain gradient descent goes by rate times gradient."""
    options = {"optimizer": "sgd", "optimizer__learning_rate": 10.0, "schedule": "plateau", "validation_fraction": 0.0}
    steps = []
    for clipnorm in (1e-3, None):
        model = tiny_network(**options, epochs=1, batch_size=24, optimizer__clipnorm=clipnorm).fit(X, Y)
        steps.append(np.linalg.norm(model.weights_[0][-1]))  # the bias, from zero in one step
    assert steps[0] == pytest.approx(10 * 1e-3, rel=1e-3)
    assert steps[1] > 2 * steps[0]


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_batches_of_any_size(batch_size):
    model = tiny_network(batch_size=batch_size, epochs=1).fit(X[:12], Y[:12])
    assert model.predict(X).shape == Y.shape


def test_callbacks_are_called():
    epochs = []
    callback = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: epochs.append((epoch, {*logs})))
    tiny_network(callbacks=[callback]).fit(X, Y)
    assert [epoch for epoch, _ in epochs] == [0, 1]
    assert epochs[0][1] >= {"loss", "val_loss"}


# --- copies ---


@pytest.fixture
def no_keras_files(monkeypatch):
    """Whatever of Keras makes objects of a file or a text fails."""

    def refuse(*args, **kwargs):
        raise AssertionError("Keras was to read something")

    saving = keras.saving
    for name in ("load_model", "load_weights", "deserialize_keras_object"):
        monkeypatch.setattr(saving, name, refuse)
    monkeypatch.setattr(keras.models, "load_model", refuse)
    monkeypatch.setattr(keras.models, "model_from_json", refuse)
    monkeypatch.setattr(keras.Model, "from_config", refuse)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), lambda model: through_joblib(model)],
    ids=["deepcopy", "pickle", "joblib"],
)
def test_copies_predict_the_same(no_keras_files, copied, tmp_path):
    model = tiny_network(n_networks=2, validation_fraction=0.25).fit(X, Y, GROUPS)
    twin = copied(model)
    assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    assert_array_equal(twin.predict_proba(X[:1]), model.predict_proba(X[:1]))
    assert twin.history_ == model.history_
    assert twin.get_params() == model.get_params()
    assert_array_equal(copied(twin).predict_proba(X), model.predict_proba(X))
    assert_array_equal(twin.fit(X, Y, GROUPS).predict_proba(X), model.predict_proba(X))
    unfitted = copied(tiny_network(epochs=9))
    assert (unfitted.epochs, hasattr(unfitted, "model_")) == (9, False)


def through_joblib(model):
    import io

    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@pytest.fixture(scope="module")
def recurrent():
    return tiny_network("lstm-dense", epochs=1).fit(X, Y)


def test_the_state_is_plain(fitted):
    state = fitted.__getstate__()
    seen = json.dumps(
        state, default=lambda value: value.tolist() if isinstance(value, np.ndarray) else repr(type(value))
    )
    assert "keras" not in seen
    assert {type(weight) for weights in state["weights_"] for weight in weights} == {np.ndarray}
    assert b"keras.src" not in pickle.dumps(fitted)
    assert "model_" in vars(fitted), "the model itself keeps it"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"model__units": 3}, id="other-units"),
        pytest.param({"model__units": 10**7}, id="huge"),
        pytest.param({"model__hidden": (10**9,)}, id="huge-layer"),
        pytest.param({"input_shape_": (16, 10**9)}, id="huge-input"),
        pytest.param({"classes_": np.arange(10**6)}, id="many-classes"),
        pytest.param({"weights_": [[np.zeros((3, 8))]]}, id="few-weights"),
        pytest.param({"weights_": []}, id="no-weights"),
        pytest.param({"architecture": "cnn", "model__units": None}, id="other-parameters"),
        pytest.param({"architecture": "nonsense"}, id="no-architecture"),
    ],
)
def test_a_state_that_contradicts_itself_is_refused_before_anything_is_built(recurrent, change):
    state = recurrent.__getstate__() | change
    with pytest.raises((ValueError, KeyError, IndexError)):
        KerasSequenceClassifier.__new__(KerasSequenceClassifier).__setstate__(state)
    # What was measured is forgotten: Keras would give it values as soon as it builds something else.
    assert_array_equal(copy.deepcopy(recurrent).predict_proba(X), recurrent.predict_proba(X))


# --- devices and backends ---

DEVICES = """if True:
    import json, sys
    sys.path.insert(0, {tests!r})
    from conftest import padded_speech, tiny_network
    from sersk.models.keras_backend import keras
    X, y, groups = padded_speech()
    options = {options!r}
    model = tiny_network(**options).fit(X, y, groups)
    told = dict(devices=len(keras.distribution.list_devices()), losses=model.history_["loss"])
    told["backend"] = keras.backend.backend()
    told["probabilities"] = model.predict_proba(X).tolist()
    told["shards"] = len(model.model_.weights[0].value.sharding.device_set)
    try:
        tiny_network(**options | dict(batch_size=3)).fit(X, y)
    except ValueError as error:
        told["error"] = str(error)
    print(json.dumps(told))
"""


def run_python(code, **environment):
    variables = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "XLA_FLAGS")}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=variables | environment)


def test_two_devices_come_to_what_one_does():
    options = {"epochs": 3, "n_networks": 2, "validation_fraction": 0.25, "model__dropout": 0.3}
    code = DEVICES.format(tests=str(TESTS), options=options)
    done = run_python(code, XLA_FLAGS="--xla_force_host_platform_device_count=2")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["backend"] == "jax", "where none was named"
    assert (told["devices"], told["shards"]) == (2, 1)
    one = tiny_network(**options).fit(X, Y, GROUPS)
    assert_allclose(told["probabilities"], one.predict_proba(X), atol=1e-5)
    assert_allclose(told["losses"], one.history_["loss"], rtol=1e-5)
    # Older ones come to other losses from run to run with two devices, so that one does all the work.
    refused = "batch_size: expected a multiple of the 2 devices, got 3."
    assert told.get("error") == (refused if Version(version("jax")) >= Version("0.10") else None)


def test_a_batch_that_devices_cannot_share_is_refused(monkeypatch):
    monkeypatch.setattr(keras_classifier, "all_devices", lambda: contextlib.nullcontext(3))
    with pytest.raises(ValueError, match="batch_size: expected a multiple of the 3 devices, got 8"):
        tiny_network().fit(X, Y)


def test_what_is_missing_is_told_with_the_cure(monkeypatch):
    monkeypatch.setitem(sys.modules, "scikeras.wrappers", None)
    with pytest.raises(
        ImportError, match=r"Networks need Keras and JAX \(.*scikeras.*\): pip install 'sersk\[keras\]'"
    ):
        importlib.reload(keras_backend)


def test_a_backend_that_is_named_is_taken():
    code = "from sersk.models.keras_backend import keras; print(keras.backend.backend())"
    done = run_python(code, KERAS_BACKEND="numpy")
    assert (done.stdout.strip(), done.returncode) == ("numpy", 0), done.stderr
