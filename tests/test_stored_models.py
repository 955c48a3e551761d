"""What of a model is stored; decision trees, whose compiled code believes what it is told."""

from __future__ import annotations

from typing import Any

import joblib
import numpy as np
import pytest
import sklearn
from forgery import assert_same, cheap_features, fitted_pipeline, forge_packed, lda, members_of, waveforms
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from sersk.extraction import FEATURE_VERSION
from sersk.features import AcousticFeatures
from sersk.persistence import load_model, read_card, save_model
from sersk.stored_models import WORK_SETTINGS, StoredTree, pack, parts


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return waveforms()


@pytest.fixture(scope="module")
def emotions() -> list[str]:
    return ["angry", "happy", "sad"] * 6


@pytest.fixture(scope="module")
def vectors(clips: list[np.ndarray]) -> np.ndarray:
    return StandardScaler().fit_transform(cheap_features().fit_transform(clips))


def test_a_pipeline_in_a_classifier_is_stored_too(clips, emotions, tmp_path):
    inner = make_pipeline(cheap_features(memory=str(tmp_path)), lda())
    fitted = VotingClassifier([("a", inner), ("b", inner)], voting="soft").fit(clips, emotions)
    file = save_model(fitted, tmp_path / "m.sersk")
    assert read_card(file)["feature_version"] == FEATURE_VERSION
    loaded = load_model(file)
    assert_same(fitted, loaded, clips)
    assert {part.memory for part in parts(loaded) if isinstance(part, AcousticFeatures)} == {None}


def test_work_settings_stay_at_home(clips, emotions, tmp_path):
    secret = tmp_path / "somebody"
    features = cheap_features(memory=joblib.Memory(secret / "clips", verbose=0), n_jobs=1, verbose=0)
    steps = [("features", features), ("forest", RandomForestClassifier(2, n_jobs=1, random_state=0))]
    fitted = Pipeline(steps, memory=str(secret / "steps"), verbose=False).fit(clips, emotions)
    fitted[0].verbose = 1
    before = {name: str(value) for name, value in fitted.get_params().items()}
    file = save_model(fitted, tmp_path / "m.sersk")
    assert {name: str(value) for name, value in fitted.get_params().items()} == before
    assert type(fitted[1].estimators_[0].tree_).__name__ == "Tree"
    assert not [name for name, content in members_of(file).items() if b"somebody" in content]
    loaded = load_model(file)
    settings = [(part.n_jobs, part.verbose) for part in (loaded[0], loaded[1])]
    assert (settings, loaded.memory, loaded[0].memory) == ([(None, 0)] * 2, None, None)
    assert not {"n_jobs", "memory", "verbose"} & {*read_card(file)["features"]}


def test_metadata_requests_and_optimizers_are_dropped_and_made_anew(vectors, emotions, tmp_path):
    classifier = MLPClassifier((4,), max_iter=400, random_state=0, tol=0.1)
    with sklearn.config_context(enable_metadata_routing=True):
        classifier.set_fit_request(sample_weight=False)
        fitted = classifier.fit(vectors, emotions)
        loaded = load_model(save_model(fitted, tmp_path / "m.sersk"))
        assert loaded.get_metadata_routing().fit.requests["sample_weight"] is None
    assert hasattr(fitted, "_optimizer")
    assert not hasattr(loaded, "_optimizer")
    assert_same(fitted, loaded, vectors)
    loaded.partial_fit(vectors, emotions)


def test_a_cache_of_pickles_that_a_file_names_is_not_used(clips, tmp_path):
    """A stranger's folder beside a stranger's model file: joblib would unpickle what is in it."""
    model = fitted_pipeline()
    saved = save_model(model, tmp_path / "good.sersk")
    packed = pack(model)
    packed.memory = packed[0].memory = str(tmp_path / "cache")
    packed[0].n_jobs = 1000
    loaded = load_model(forge_packed(saved, tmp_path / "m.sersk", packed))
    assert (loaded.memory, loaded[0].memory, loaded[0].n_jobs) == (None, None, None)
    loaded.predict(clips[:1])
    assert not (tmp_path / "cache").exists()


# Decision trees, whose compiled code believes what it is told


def tree_changes() -> dict[str, Any]:
    def node_field(field: str, value: int):
        def change(tree: StoredTree) -> None:
            tree.state["nodes"][field][0] = value

        return change

    def attribute(name: str, value: Any):
        return lambda tree: setattr(tree, name, value)

    return {
        "left-outside": node_field("left_child", 10**6),
        "left-negative": node_field("left_child", -2),
        "right-outside": node_field("right_child", 10**6),
        "right-leaf": node_field("right_child", -1),
        "circle": node_field("left_child", 0),
        "feature-outside": node_field("feature", 20),
        "feature-negative": node_field("feature", -2),
        "node-count": lambda tree: tree.state.update(node_count=10**6),
        "no-nodes": lambda tree: tree.state.update(nodes=tree.state["nodes"][:0], values=tree.state["values"][:0]),
        "values": lambda tree: tree.state.update(values=tree.state["values"][:1]),
        "values-type": lambda tree: tree.state.update(values=tree.state["values"].astype(np.float32)),
        "nodes-type": lambda tree: tree.state.update(nodes=np.zeros(3)),
        "no-state": attribute("state", {}),
        "n-outputs": attribute("n_outputs", 10**6),
        "n-classes": attribute("n_classes", np.array([10**6])),
        "n-classes-negative": attribute("n_classes", np.array([-1])),
        "n-classes-text": attribute("n_classes", "3"),
        "n-features": attribute("n_features", 10**6),
    }


@pytest.mark.parametrize("name", tree_changes())
def test_a_tree_that_points_outside_is_refused(name, vectors, emotions, tmp_path):
    fitted = RandomForestClassifier(2, random_state=0).fit(vectors, emotions)
    file = save_model(fitted, tmp_path / "good.sersk")
    packed = pack(fitted)
    tree_changes()[name](packed.estimators_[1].tree_)
    with pytest.raises(ValueError, match=r"m\.sersk: .*is damaged"):
        load_model(forge_packed(file, tmp_path / "m.sersk", packed))


def test_a_tree_of_other_width_than_its_estimator_is_refused(vectors, emotions, tmp_path):
    fitted = DecisionTreeClassifier(random_state=0).fit(vectors, emotions)
    file = save_model(fitted, tmp_path / "good.sersk")
    packed = pack(fitted)
    packed.n_features_in_ = 1
    with pytest.raises(ValueError, match="a decision tree points outside of itself"):
        load_model(forge_packed(file, tmp_path / "m.sersk", packed))


class Worker(BaseEstimator):
    """Has every setting of work on one machine."""

    def __init__(self, n_jobs=3, memory="cache", verbose=2, checkpoint="folder", callbacks=("told",)):
        self.n_jobs = n_jobs
        self.memory = memory
        self.verbose = verbose
        self.checkpoint = checkpoint
        self.callbacks = callbacks


def test_settings_of_work_are_left_out():
    model = Worker()
    assert vars(pack(model)) == WORK_SETTINGS
    model._optimizer = "of its own"  # scikit-learn's are left out
    assert vars(pack(model)) == WORK_SETTINGS | {"_optimizer": "of its own"}
    del model._optimizer
    assert vars(model) == vars(Worker()), "the model itself is not changed"
