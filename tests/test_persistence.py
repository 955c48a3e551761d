"""Model files: what comes back, what the card tells, which versions fit."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import skops.io
from conftest import HAS_KERAS, needs_keras, padded_speech, tiny_network
from forgery import assert_same, cheap_features, forge, forge_packed, lda, members_of, waveforms
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import Birch
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import Bunch

from sersk import FrameScaler, FrameSequences, archives, persistence
from sersk.corpora import make_emotional_speech
from sersk.extraction import FEATURE_VERSION
from sersk.models import SpeakerSearch, emotion_pipeline, fit_with_speakers
from sersk.models.classical import CLASSICAL_NAMES
from sersk.persistence import SCHEMA_VERSION, TRUSTED_TYPES, default_model_path, load_model, read_card, save_model
from sersk.stored_models import pack

MAJOR, MINOR = (int(part) for part in sklearn.__version__.split(".")[:2])
OLDER, NEWER = f"{MAJOR}.{MINOR - 1}.0", f"{MAJOR}.{MINOR + 1}.0"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Bunch:
    folder = tmp_path_factory.mktemp("corpus")
    return make_emotional_speech(folder, emotions=("happy", "sad", "angry"), n_speakers=3, n_repetitions=2)


@pytest.fixture(scope="module")
def vectors(corpus: Bunch) -> np.ndarray:
    return StandardScaler().fit_transform(cheap_features().fit_transform(corpus.data))


@pytest.fixture(scope="module")
def model(corpus: Bunch) -> Pipeline:
    steps = [("features", cheap_features()), ("scale", StandardScaler()), ("classify", lda())]
    return Pipeline(steps).fit(corpus.data, corpus.target)


@pytest.fixture(scope="module")
def saved(model: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(model, tmp_path_factory.mktemp("models") / "good.sersk", card={"n_clips": 18})


# What comes back


CLASSIFIERS = {
    "lda": lda(),
    "logistic": LogisticRegression(),
    "svc": SVC(),
    "linear-svc": LinearSVC(),
    "mlp": MLPClassifier((4,), max_iter=400, random_state=0, tol=0.1),
    "mlp-sgd": MLPClassifier((4,), solver="sgd", max_iter=400, random_state=0, tol=0.1),
    "forest": RandomForestClassifier(5, random_state=0),
    "extra-trees": ExtraTreesClassifier(5, random_state=0),
    "tree": DecisionTreeClassifier(random_state=0),
    "calibrated": CalibratedClassifierCV(SVC(), ensemble=False, cv=2),
    "calibrated-isotonic": CalibratedClassifierCV(RandomForestClassifier(3, random_state=0), method="isotonic", cv=2),
    "vote": VotingClassifier([("a", lda()), ("b", RandomForestClassifier(3, random_state=0))], voting="soft"),
    "stack": StackingClassifier([("a", lda()), ("b", LogisticRegression())], cv=2),
    "ufunc": make_pipeline(FunctionTransformer(np.tanh), lda()),
}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_saved_classifier_predicts_as_before(name, vectors, corpus, tmp_path):
    fitted = sklearn.base.clone(CLASSIFIERS[name]).fit(vectors, corpus.target)
    loaded = load_model(save_model(fitted, tmp_path / "m.sersk"))
    assert_same(fitted, loaded, vectors)
    assert type(loaded) is type(fitted)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore:Got `batch_size`:UserWarning")
@pytest.mark.parametrize("name", CLASSICAL_NAMES)
def test_every_named_model_comes_back_and_needs_only_listed_types(name, corpus, tmp_path, monkeypatch):
    pipeline = emotion_pipeline(name, features=cheap_features(), random_state=0)
    if name == "forest":
        pipeline.set_params(classifier__estimator__n_estimators=20)
    fitted = fit_with_speakers(pipeline, corpus.data, corpus.target, corpus.groups)
    file = save_model(fitted, tmp_path / "m.sersk")
    assert set(skops.io.get_untrusted_types(file=file)) <= {*TRUSTED_TYPES}
    monkeypatch.setattr(persistence, "_read_any", None)  # skops takes its time to start, and is not asked
    loaded = load_model(file)
    assert type(loaded) is Pipeline
    assert_same(fitted, loaded, corpus.data)


@pytest.fixture(scope="module")
def network() -> Pipeline:
    """A network over frames."""
    frames = FrameSequences(("mfcc",), deltas=0, n_mfcc=3, trim=True)
    steps = [("features", frames), ("scale", FrameScaler()), ("classifier", tiny_network("lstm-dense", n_networks=2))]
    return Pipeline(steps).fit(waveforms(), ["angry", "happy", "sad"] * 6)


@pytest.fixture
def no_keras_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever of Keras makes objects of a file or a text fails."""
    from sersk.models.keras_backend import keras

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("Keras was to read something")

    for name in ("load_model", "load_weights", "deserialize_keras_object"):
        monkeypatch.setattr(keras.saving, name, refuse)
    for name in ("load_model", "model_from_json", "clone_model"):
        monkeypatch.setattr(keras.models, name, refuse)
    for name in ("from_config", "load_weights"):
        monkeypatch.setattr(keras.Model, name, refuse)


@needs_keras
def test_a_network_over_frames_comes_back(network, tmp_path, no_keras_files):
    file = save_model(network, tmp_path / "m.sersk")
    assert set(skops.io.get_untrusted_types(file=file)) <= {*TRUSTED_TYPES}
    loaded = load_model(file)
    clips = [clip[: 1500 + 90 * k] for k, clip in enumerate(waveforms())]
    assert_same(network, loaded, clips)
    assert loaded[-1].history_ == network[-1].history_
    # What is in it: arrays of numbers and what skops writes about them, no archive or code of Keras.
    kinds = {Path(name).suffix for name in members_of(file)}
    assert kinds == {".json", ".npy"}
    assert not [name for name, content in members_of(file).items() if b"keras.src" in content or content[:2] == b"PK"]
    card = read_card(file)
    assert card["features"]["type"] == "sersk.sequences.FrameSequences"
    assert (card["features"]["padding"], card["features"]["trim"]) == (None, True)
    assert np.shape(card["answers"]) == (2, 3)
    assert_same(loaded, load_model(save_model(loaded, tmp_path / "again.sersk")), clips)


@needs_keras
def test_a_network_is_not_loaded_without_keras_and_tells_the_cure(network, tmp_path):
    file = save_model(network, tmp_path / "m.sersk")
    code = """if True:
        import sys
        sys.modules.update(keras=None, scikeras=None)
        from sersk.persistence import load_model, read_card
        print(read_card(sys.argv[1])["classes"])
        load_model(sys.argv[1])
    """
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
    assert done.stdout == "['angry', 'happy', 'sad']\n"
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: Networks need Keras and JAX")
    assert last.endswith("pip install 'sersk[keras]'")


@needs_keras
def test_a_network_over_vectors_comes_back(vectors, corpus, tmp_path, no_keras_files):
    fitted = make_pipeline(StandardScaler(), tiny_network("lstm-dense")).fit(vectors, corpus.target)
    loaded = load_model(save_model(fitted, tmp_path / "m.sersk"))
    assert_same(fitted, loaded, vectors)
    assert read_card(tmp_path / "m.sersk")["features"] is None


@needs_keras
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"model__units": 3}, id="other-units"),
        pytest.param({"model__units": 10**7}, id="units-for-which-no-memory-would-do"),
        pytest.param({"architecture": "cnn-mel"}, id="unknown-architecture"),
        pytest.param({"architecture": np.tanh}, id="function"),
        pytest.param({"input_shape_": (10, 10**9)}, id="descriptors-for-which-no-memory-would-do"),
        pytest.param({"weights_": [[np.zeros(3)]]}, id="weights"),
        pytest.param({"classes_": np.array(["angry", "happy"])}, id="classes"),
    ],
)
def test_a_forged_network_is_refused_before_it_is_built(network, tmp_path, change):
    saved = save_model(network, tmp_path / "good.sersk")
    forged = sklearn.base.clone(network)
    vars(forged[-1]).update(network[-1].__getstate__() | change)
    with pytest.raises(ValueError, match=r"m\.sersk: .*is damaged"):
        load_model(forge_packed(saved, tmp_path / "m.sersk", forged))


@needs_keras
@pytest.mark.parametrize("scaled", [False, True])
def test_a_network_on_frames_comes_back(scaled, tmp_path):
    X, y, _ = padded_speech()
    network = tiny_network("lstm-dense")
    fitted = (make_pipeline(FrameScaler(), network) if scaled else network).fit(X, y)
    file = save_model(fitted, tmp_path / "m.sersk")
    assert_same(fitted, load_model(file), X)
    card = read_card(file)
    assert np.shape(card["answers"]) == (3, 3)
    assert (card["features"], card["feature_version"]) == (None, None)
    versions = card["versions"] | {"scikit-learn": OLDER}
    assert_same(fitted, load_model(forge(file, tmp_path / "older.sersk", card={"versions": versions})), X)


def columns(kind: str) -> ColumnTransformer:
    scaled = ("age", StandardScaler(), ["age"])
    other = {
        "clips": ("clips", cheap_features(), "file"),
        "words": ("words", OneHotEncoder(sparse_output=False), ["sex"]),
        "numbers": ("numbers", "passthrough", ["height"]),
    }[kind]
    return ColumnTransformer([scaled, other])


@pytest.mark.parametrize("kind", ["clips", "words", "numbers"])
def test_a_model_of_columns_comes_back(kind, corpus, tmp_path):
    import pandas as pd

    n_clips = len(corpus.data)
    table = pd.DataFrame({"file": corpus.data, "sex": ["f", "m"] * (n_clips // 2), "age": np.arange(n_clips) % 7})
    table["height"] = table["age"] ** 2
    fitted = make_pipeline(columns(kind), lda()).fit(table, corpus.target)
    file = save_model(fitted, tmp_path / "m.sersk")
    assert_same(fitted, load_model(file), table)
    card = read_card(file)
    assert card["answers"] is None
    assert card["sr"] == (16000 if kind == "clips" else None)
    load_model(aged(file, tmp_path / "older.sersk", OLDER))


def test_a_model_of_numbered_columns_answers(vectors, corpus, tmp_path):
    numbered = ColumnTransformer([("a", StandardScaler(), [0, 1]), ("b", "passthrough", slice(2, 5))])
    fitted = make_pipeline(numbered, lda()).fit(vectors, corpus.target)
    file = save_model(fitted, tmp_path / "m.sersk")
    assert_same(fitted, load_model(file), vectors)
    assert np.shape(read_card(file)["answers"]) == (3, 3)


def test_integer_labels_come_back_as_integers(vectors, tmp_path):
    fitted = lda().fit(vectors, np.arange(len(vectors)) % 3)
    file = save_model(fitted, tmp_path / "m.sersk")
    assert read_card(file)["classes"] == [0, 1, 2]
    assert load_model(file).predict(vectors).dtype == np.arange(1).dtype


def test_a_model_fitted_on_a_named_table_is_saved_without_warning(vectors, corpus, tmp_path):
    import pandas as pd

    table = pd.DataFrame(vectors, columns=cheap_features().get_feature_names_out())
    fitted = make_pipeline(StandardScaler(), lda()).fit(table, corpus.target)
    loaded = load_model(save_model(fitted, tmp_path / "m.sersk"))
    assert loaded.feature_names_in_.tolist() == table.columns.tolist()


def test_a_classifier_of_neither_clips_nor_vectors_has_no_answers(tmp_path):
    class_of_text = make_pipeline(FunctionTransformer(np.isnan), lda())
    fitted = class_of_text.fit(np.eye(4), [0, 1, 0, 1])
    del fitted[0].n_features_in_
    file = save_model(fitted, tmp_path / "m.sersk")
    assert read_card(file)["answers"] is None


def test_the_file_replaces_another_at_once_or_not_at_all(model, tmp_path, monkeypatch):
    file = tmp_path / "new" / "m.sersk"
    assert save_model(model, str(file)) == file
    plain = tmp_path / "plain"
    plain.touch()
    assert file.stat().st_mode == plain.stat().st_mode
    before = file.read_bytes()

    def full_disk(self: Path, data: bytes) -> int:
        with self.open("wb") as opened:
            opened.write(data[:100])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_model(model, file)
    assert file.read_bytes() == before
    assert list(file.parent.iterdir()) == [file]


# The card


def test_the_card_tells_what_the_model_is(saved, model):
    card = read_card(saved)
    assert card["schema_version"] == SCHEMA_VERSION == 1
    assert card["classes"] == model.classes_.tolist() == ["angry", "happy", "sad"]
    assert {*card["versions"]} == {"sersk", "scikit-learn", "numpy", "skops"}
    assert card["versions"]["scikit-learn"] == sklearn.__version__
    assert card["features"] == {"type": "sersk.features.AcousticFeatures"} | {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in model[0].get_params().items()
        if name not in ("n_jobs", "memory", "verbose")
    }
    assert (card["sr"], card["feature_version"], card["n_clips"]) == (16000, FEATURE_VERSION, 18)
    assert np.shape(card["answers"]) == (2, 3)
    assert card["created"].endswith("+00:00")
    assert [card[name] for name in ("corpora", "n_speakers", "licence", "metrics")] == [None] * 4


def test_the_card_is_read_without_skops(saved):
    code = (
        "import sys; sys.modules['skops'] = None; from sersk.persistence import *; print(read_card(sys.argv[1])['sr'])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(saved)], capture_output=True, text=True, check=True)
    assert done.stdout == "16000\n"


def test_the_card_takes_numpy_and_free_fields(tmp_path):
    fitted = lda().fit(np.eye(4), ["a", "b"] * 2)
    told = {
        "corpora": ("ravdess",),
        "metrics": {"uar": np.float32(0.5), "recall": np.array([1.0, np.nan]), 3: np.int64(2)},
        "note": "a café",
        "final": True,
    }
    card = read_card(save_model(fitted, tmp_path / "m.sersk", card=told))
    assert card["corpora"] == ["ravdess"]
    assert card["metrics"] == {"uar": 0.5, "recall": [1.0, None], "3": 2}
    assert (card["note"], card["final"]) == ("a café", True)
    assert (card["features"], card["sr"], card["feature_version"]) == (None, None, None)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ({"classes": ["x"], "sr": 1}, "card: classes, sr are told by the model itself"),
        ({"metrics": {"folds": [1, object()]}}, r"card\.metrics\.folds\[1\]: expected what JSON has"),
        ({"corpora": [Path("here")]}, r"card\.corpora\[0\]"),
    ],
)
def test_a_card_that_cannot_be_kept_is_refused(card, message, model, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_model(model, tmp_path / "m.sersk", card=card)
    assert not list(tmp_path.iterdir())


# What is not saved


def test_only_fitted_classifiers_are_saved(tmp_path):
    with pytest.raises(NotFittedError):
        save_model(make_pipeline(cheap_features(), lda()), tmp_path / "m.sersk")
    with pytest.raises(ValueError, match="has no predict"):
        save_model(StandardScaler().fit(np.eye(2)), tmp_path / "m.sersk")
    with pytest.raises(ValueError, match="no classes_"):
        save_model(Birch(n_clusters=None).fit(np.eye(2)), tmp_path / "m.sersk")
    assert not list(tmp_path.iterdir())


def test_what_needs_pickle_is_not_saved(tmp_path):
    fitted = lda().fit(np.eye(4), ["a", "b"] * 2)
    fitted.helper = Birch(n_clusters=None)
    with pytest.raises(ValueError, match="holds something that cannot be stored without pickle"):
        save_model(fitted, tmp_path / "m.sersk")
    assert not list(tmp_path.iterdir())


class OwnClassifier(ClassifierMixin, BaseEstimator):
    """Somebody's own estimator."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return self.classes_[np.zeros(len(X), dtype=int)]


@pytest.fixture
def search(vectors, corpus):
    return GridSearchCV(SVC(), {"C": [1, 2]}, cv=2).fit(vectors, corpus.target)


def test_of_a_search_only_what_it_found_is_saved(search, vectors, corpus, tmp_path):
    with pytest.raises(ValueError, match=r"^A search \(GridSearchCV\) is not saved, .*\. Save its best_estimator_\.$"):
        save_model(search, tmp_path / "m.sersk")
    inside = make_pipeline(StandardScaler(), search).fit(vectors, corpus.target)
    with pytest.raises(ValueError, match=r"Put in the place of GridSearchCV, and save, its best_estimator_\.$"):
        save_model(inside, tmp_path / "m.sersk")
    own = SpeakerSearch(SVC(), {"C": [1, 2]}).fit(vectors, corpus.target, groups=corpus.groups)
    with pytest.raises(ValueError, match=r"^A search \(SpeakerSearch\) is not saved"):
        save_model(own, tmp_path / "m.sersk")
    assert not list(tmp_path.iterdir())
    loaded = load_model(save_model(search.best_estimator_, tmp_path / "m.sersk"))
    assert_same(search.best_estimator_, loaded, vectors)


def test_own_types_are_loaded_only_by_their_names(tmp_path):
    own = f"{__name__}.OwnClassifier"
    fitted = OwnClassifier().fit(np.eye(2), ["a", "b"])
    with pytest.warns(UserWarning, match=rf"can only be loaded by .*trusted=\['{own}'\]"):
        file = save_model(fitted, tmp_path / "m.sersk")
    with pytest.raises(ValueError, match=rf"m\.sersk: holds types that .*: {own}\. .*trusted=\['{own}'\]"):
        load_model(file)
    assert load_model(file, trusted=[own]).predict([0]) == ["a"]
    for wrong in (own, [OwnClassifier]):
        with pytest.raises(ValueError, match="trusted: expected a list of full names"):
            load_model(file, trusted=wrong)


def test_the_list_of_types_names_each_in_full():
    for name in TRUSTED_TYPES:
        module, _, attribute = name.rpartition(".")
        if attribute == "_TemperatureScaling" and (MAJOR, MINOR) < (1, 8):
            continue
        if attribute == "KerasSequenceClassifier" and not HAS_KERAS:
            continue
        assert isinstance(getattr(__import__(module, fromlist=[attribute]), attribute), type)


# Versions


@pytest.mark.parametrize("reader", [read_card, load_model])
def test_a_newer_schema_is_refused(reader, saved, tmp_path):
    file = forge(saved, tmp_path / "m.sersk", card={"schema_version": 2}, **{"weights.future": b""})
    with pytest.raises(ValueError, match=r"m\.sersk: is written in schema 2; .* schema 1\. Install a newer sersk"):
        reader(file)


@pytest.mark.parametrize("version", [NEWER, f"{MAJOR + 1}.0.0", f"{MAJOR - 1}.99.0"])
def test_scikit_learn_of_the_future_or_another_age_is_refused(version, saved, tmp_path):
    file = forge(saved, tmp_path / "m.sersk", card={"versions": {"scikit-learn": version}})
    with pytest.raises(ValueError, match=rf"m\.sersk: was saved by scikit-learn {version}, which {MAJOR}"):
        load_model(file)


def test_other_feature_numbers_are_refused(saved, tmp_path):
    file = forge(saved, tmp_path / "m.sersk", card={"feature_version": FEATURE_VERSION + 1})
    with pytest.raises(
        ValueError, match=rf"feature numbers of version {FEATURE_VERSION + 1}; .* version {FEATURE_VERSION}"
    ):
        load_model(file)


def aged(saved: Path, file: Path, version: str, **card: Any) -> Path:
    """Give a file the version of another scikit-learn, inside and outside."""
    schema = members_of(saved)["schema.json"].decode()
    own = json.dumps(json.dumps(sklearn.__version__))
    assert own in schema
    versions = read_card(saved)["versions"] | {"scikit-learn": version}
    members = {"schema.json": schema.replace(own, json.dumps(json.dumps(version)))}
    return forge(saved, file, card=card | {"versions": versions}, **members)


@pytest.mark.parametrize("version", [OLDER, f"{MAJOR}.{MINOR}.99"])
def test_an_older_minor_or_another_patch_is_loaded_in_silence(version, saved, model, corpus, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_model(aged(saved, tmp_path / "m.sersk", version))
    assert_same(model, loaded, corpus.data)


@pytest.mark.parametrize("answers", [[[1, 0, 0], [0, 1, 0]], ["happy", "sad"], None])
def test_an_older_model_that_answers_otherwise_is_refused(answers, saved, tmp_path):
    file = aged(saved, tmp_path / "m.sersk", OLDER, answers=answers)
    with pytest.raises(ValueError, match=rf"saved by scikit-learn {OLDER}, and .* under {MAJOR}.*\. Install"):
        load_model(file)


def test_an_older_model_that_fails_is_refused(saved, tmp_path, monkeypatch):
    def fail(self, X):
        raise AttributeError("no such attribute")

    monkeypatch.setattr(LinearDiscriminantAnalysis, "predict_proba", fail)
    with pytest.raises(ValueError, match=r"fails \(AttributeError: no such attribute\) under"):
        load_model(aged(saved, tmp_path / "m.sersk", OLDER))


@pytest.mark.parametrize(
    "change",
    [
        {"n_fft": 2**30},
        {"hop_length": 1, "n_fft": 2**15},
        {"offset": 1e12},
        {"sr": 10**12},
        {"n_mels": 2**16},
        {"n_mfcc": np.int64(2**40)},
        {"hop_length": 0},
        {"sr": "x"},
    ],
    ids=str,
)
def test_an_older_model_that_takes_too_much_is_not_asked(change, saved, model, tmp_path, monkeypatch):
    packed = pack(model)
    vars(packed[0]).update(change)
    file = aged(forge_packed(saved, tmp_path / "m.sersk", packed), tmp_path / "older.sersk", OLDER)
    monkeypatch.setattr(persistence, "_answers", None)
    with pytest.raises(ValueError, match=r"and fails \((ValueError: it takes too much|InvalidParameterError)"):
        load_model(file)


def test_an_older_model_of_too_many_features_is_not_asked(vectors, corpus, tmp_path, monkeypatch):
    fitted = lda().fit(vectors, corpus.target)
    file = save_model(fitted, tmp_path / "good.sersk")
    fitted.n_features_in_ = 2**40
    forged = forge_packed(file, tmp_path / "m.sersk", pack(fitted))
    monkeypatch.setattr(persistence, "_answers", None)
    with pytest.raises(ValueError, match="it takes too much for a check"):
        load_model(aged(forged, tmp_path / "older.sersk", OLDER))


def test_classes_that_are_longer_than_the_card_s_are_not_listed(saved, model, tmp_path):
    packed = pack(model)
    packed[-1].classes_ = np.zeros(10**6, dtype=np.int8)
    assert persistence._differ(np.broadcast_to(np.int8(0), (2**40,)), [0])  # a list of it would need 8 TB
    assert persistence._differ([[0], [1]], [[0], [1, 2]])
    assert not persistence._differ([np.array(["a", "b"]), ("c",)], [["a", "b"], ["c"]])
    assert persistence._differ(np.array(["a"]), "a")
    with pytest.raises(ValueError, match="the model is not the one that its card describes"):
        load_model(forge_packed(saved, tmp_path / "m.sersk", packed))


def test_labels_prove_a_model_without_probabilities(vectors, corpus, tmp_path):
    file = save_model(LinearSVC().fit(vectors, corpus.target), tmp_path / "m.sersk")
    assert set(read_card(file)["answers"]) <= {"angry", "happy", "sad"}
    load_model(aged(file, tmp_path / "older.sersk", OLDER))


def test_a_missing_extra_tells_its_own_cure(saved, monkeypatch):
    def fail(*args, **kwargs):
        raise ImportError("pip install sersk[keras]")

    monkeypatch.setattr(skops.io, "loads", fail)
    with pytest.raises(ImportError, match="pip install"):
        load_model(saved)


# The default model


def test_the_default_model_is_the_package_s_own_or_the_checkout_s(tmp_path, monkeypatch):
    monkeypatch.setattr(persistence, "__file__", str(tmp_path / "sersk" / "persistence.py"))
    with pytest.raises(FileNotFoundError, match="The default model is not there; looked for"):
        default_model_path()
    for folder in (tmp_path, tmp_path / "sersk"):
        file = folder / "artifacts" / "default.sersk"
        file.parent.mkdir(parents=True)
        file.touch()
        assert default_model_path() == file


@pytest.mark.parametrize("is_large", [True, False])
def test_arrays_of_zeros_are_read_again(is_large, tmp_path):
    """They pack a thousandfold, as a bomb does: 32 MB in 40 kB."""
    n_features = 2000 if is_large else 20
    X = np.zeros((8, n_features))
    X[:, 0] = np.arange(8)
    y = ["happy", "sad"] * 4
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5).fit(X, y)
    file = save_model(model, tmp_path / "m.sersk")
    assert_same(load_model(file), model, X)
    assert (file.stat().st_size > 2**24) == is_large


def test_what_would_not_be_read_again_is_not_written(tmp_path, monkeypatch):
    file = save_model(lda().fit(np.eye(4), [*"abab"]), tmp_path / "m.sersk")
    before = file.read_bytes()
    monkeypatch.setitem(archives._LIMITS, "schema.json", 100)
    with pytest.raises(ValueError, match=r"m\.sersk: load_model would refuse this model.*schema\.json unpacks to"):
        save_model(lda().fit(np.eye(4), [*"abab"]), file)
    assert [*tmp_path.iterdir()] == [file]
    assert file.read_bytes() == before
