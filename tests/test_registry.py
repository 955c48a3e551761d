"""Named models and estimators as plain pipelines: whatever scikit-learn does with a pipeline, it does with these."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn
from conftest import needs_keras
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import SelectKBest
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, GroupKFold, HalvingGridSearchCV, cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from speakers import EMOTIONS, cheap_mfcc

from sersk import AcousticFeatures, FrameScaler, FrameSequences, SpeakerScaler, emotion_pipeline
from sersk.corpora import make_emotional_speech
from sersk.models import MODEL_NAMES, SpeakerCalibratedClassifier, fit_with_speakers, parameter_grid, training_copies
from sersk.models.classical import BASELINES, CLASSICAL_NAMES
from sersk.models.network_recipes import NETWORKS

FEATURES = cheap_mfcc()
# What makes the slow ones quick, and changes nothing of how they are put together.
QUICK = {
    "mlp": {"max_iter": 20, "tol": 1.0, "n_iter_no_change": 1},
    "xgboost": {"n_estimators": 3},
    "forest": {"n_estimators": 5},
}
EACH = pytest.mark.parametrize("name", CLASSICAL_NAMES)


def quick(name, **parameters):
    """The pipeline of a name, with fewer rounds."""
    pipeline = emotion_pipeline(name, features=FEATURES, random_state=0, **parameters)
    if name == "ensemble":
        inside = {f"{voter}__estimator__": voter for voter, _ in pipeline[-1].estimators}
    else:
        inside = {"estimator__": name}
    return pipeline.set_params(
        **{
            f"classifier__{prefix}{key}": value
            for prefix, model in inside.items()
            for key, value in QUICK.get(model, {}).items()
        }
    )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    return make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=3, n_repetitions=2, duration=0.5)


@pytest.fixture(scope="module")
def vectors(corpus):
    return FEATURES.transform(corpus.data)


@EACH
def test_clips_go_in_and_emotions_come_out(name, corpus):
    pipeline = quick(name)
    assert list(pipeline.named_steps) == ["features", "scale", "classifier"]
    assert type(pipeline) is Pipeline
    fit_with_speakers(pipeline, corpus.data, corpus.target, corpus.groups)
    assert_array_equal(pipeline.classes_, EMOTIONS)
    probabilities = pipeline.predict_proba(corpus.data[:4])
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert_array_equal(pipeline.classes_[probabilities.argmax(axis=1)], pipeline.predict(corpus.data[:4]))
    assert 0 <= pipeline.score(corpus.data, corpus.target) <= 1
    # In parts, too: what fits the vectors is the same without its first step.
    assert_array_equal(pipeline[1:].predict_proba(pipeline[0].transform(corpus.data[:4])), probabilities)
    assert isinstance(pipeline[:-1], Pipeline)


@EACH
def test_parameters_clone_and_seed(name, vectors, corpus):
    pipeline = quick(name)
    copy = clone(pipeline)
    assert str(copy.get_params()) == str(pipeline.get_params())
    copy.set_params(features__n_mfcc=13, scale__with_mean=False)
    assert (copy[0].n_mfcc, copy[1].with_mean) == (13, False)
    assert pipeline[0].n_mfcc == 20
    back = pipeline[1:]
    first, second = (clone(back).fit(vectors, corpus.target).predict_proba(vectors) for _ in range(2))
    assert_array_equal(first, second)
    assert not hasattr(back[-1], "classes_")


@EACH
def test_pandas_output(name, corpus):
    pipeline = quick(name).set_output(transform="pandas")
    pipeline.fit(corpus.data, corpus.target)
    table = pipeline[:-1].transform(corpus.data)
    assert isinstance(table, pd.DataFrame)
    assert_array_equal(table.columns, pipeline[0].get_feature_names_out())
    assert_array_equal(pipeline[-1].predict(table), pipeline.predict(corpus.data))


@EACH
def test_every_name_and_value_of_the_grid_is_one_of_the_pipeline(name, vectors, corpus):
    grid = parameter_grid(name, features=FEATURES)
    assert grid
    pipeline = quick(name)
    for parameter, values in grid.items():
        assert len(values) > 1
        for value in values:
            pipeline.set_params(**{parameter: value})
            assert pipeline.get_params()[parameter] == value
    pipeline[1:].fit(vectors, corpus.target)  # the last value of each
    if name != "ensemble":  # None is as good as equal weights
        default = emotion_pipeline(name, features=FEATURES).get_params()
        assert all(default[parameter] in values for parameter, values in grid.items())


@EACH
@pytest.mark.parametrize("search", [GridSearchCV, HalvingGridSearchCV])
def test_searches_of_scikit_learn(name, search, vectors, corpus):
    parameter, values = next(iter(parameter_grid(name, features=FEATURES).items()))
    options = {} if search is GridSearchCV else {"random_state": 0, "min_resources": 12}
    back = quick(name)[1:]
    found = search(back, {parameter: values[:2]}, cv=2, error_score="raise", **options).fit(vectors, corpus.target)
    assert found.best_params_[parameter] in values[:2]
    assert_array_equal(found.classes_, EMOTIONS)


@EACH
def test_cross_validation_on_speakers(name, vectors, corpus):
    back = quick(name)[1:]
    scores = cross_validate(back, vectors, corpus.target, groups=corpus.groups, cv=GroupKFold(3), error_score="raise")
    assert scores["test_score"].shape == (3,)
    # With routing the speakers reach the classifier, too. A scoring is named, because the pipeline's own score fails
    # under routing where its last step is a VotingClassifier (scikit-learn 1.7 to 1.9).
    options = {"params": {"groups": corpus.groups}, "cv": GroupKFold(3), "error_score": "raise"}
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_validate(back, vectors, corpus.target, scoring="balanced_accuracy", **options)
    assert scores["test_score"].shape == (3,)


def test_cross_validation_of_clips(corpus):
    scores = cross_validate(quick("lda"), corpus.data, corpus.target, groups=corpus.groups, cv=GroupKFold(3))
    assert scores["test_score"].mean() > 1 / 3


@EACH
def test_calibration_of_scikit_learn(name, vectors, corpus):
    model = CalibratedClassifierCV(quick(name)[1:], cv=2, ensemble=False).fit(vectors, corpus.target)
    assert model.predict_proba(vectors).shape == (18, 3)


@EACH
def test_permutation_importance_of_the_features(name, vectors, corpus):
    back = quick(name)[1:].fit(vectors, corpus.target)
    importance = permutation_importance(back, vectors, corpus.target, n_repeats=1, random_state=0)
    assert importance.importances_mean.shape == FEATURES.get_feature_names_out().shape


@EACH
def test_what_a_name_is(name):
    model = emotion_pipeline(name, features=FEATURES)[-1]
    if name == "ensemble":
        assert isinstance(model, VotingClassifier)
        assert [voter for voter, _ in model.estimators] == ["svm", "mlp", "xgboost", "lda"]
        assert all(isinstance(voter, SpeakerCalibratedClassifier) for _, voter in model.estimators)
    else:
        assert name in BASELINES
        assert isinstance(model, SpeakerCalibratedClassifier)


def test_regularisation_goes_with_the_number_of_features():
    few, many = (emotion_pipeline("svm", features=cheap_mfcc(n_mfcc=n))[-1].estimator for n in (10, 20))
    assert few.gamma == pytest.approx(2 * many.gamma)
    few, many = (emotion_pipeline("logistic", features=cheap_mfcc(n_mfcc=n))[-1].estimator for n in (10, 20))
    assert pytest.approx(2 * many.C) == few.C


def test_an_estimator_is_used_as_it_is(corpus):
    mine = make_pipeline(SelectKBest(k=5), GaussianNB(var_smoothing=0.5))
    pipeline = emotion_pipeline(mine, features=FEATURES)
    assert pipeline[-1] is not mine
    assert pipeline[-1][1].var_smoothing == 0.5
    pipeline.fit(corpus.data, corpus.target)
    assert_array_equal(pipeline.classes_, EMOTIONS)
    assert not hasattr(mine[1], "classes_")
    assert pipeline[0] is not FEATURES


def test_presets_and_transformers_of_features():
    assert emotion_pipeline()[0].get_params() == AcousticFeatures.from_preset("default").get_params()
    assert emotion_pipeline("svm", features="mfcc-40")[0].n_mfcc == 40
    assert emotion_pipeline("svm", features=FEATURES)[0].get_params() == FEATURES.get_params()
    assert parameter_grid("svm", features="mfcc-40")["classifier__estimator__gamma"][1] == pytest.approx(0.3 / 40)
    # An estimator of the user's needs no count of columns.
    assert emotion_pipeline(GaussianNB(), features=FunctionTransformer())[0].func is None


def test_unknown_names_list_the_known_ones():
    for make in (emotion_pipeline, parameter_grid):
        with pytest.raises(
            ValueError, match="no model 'svn'; choose one of svm, mlp, xgboost, lda, logistic, forest, ens"
        ):
            make("svn")
        with pytest.raises(ValueError, match="no preset 'egemaps'; choose one of default, means-180"):
            make("svm", features="egemaps")


@pytest.mark.parametrize(
    "front", [FunctionTransformer(), make_pipeline(FEATURES, StandardScaler())], ids=["no-names", "unfitted"]
)
def test_features_that_cannot_be_counted(front):
    with pytest.raises(ValueError, match=r"'svm' goes with the number of features, which .* cannot tell"):
        emotion_pipeline("svm", features=front)


# --- networks ---

# What makes them small, and changes nothing of how they are put together. Networks of one shape are compiled once.
DENSE = {"model__hidden": (4,)}
RECURRENT = DENSE | {"model__units": 4, "model__state_dropout": 0.2}
PICTURE = DENSE | {"model__channels": (4, 4), "model__kernel_size": 2}
ONE_BLOCK = {"model__channels": (4,), "model__time_pools": (2,), "model__band_pools": (4,)}
SMALL = {
    "lstm": {"model__units": 2, "model__bidirectional": False, "model__pooling": ("mean",)},
    "cnn-lstm": ONE_BLOCK | {"model__units": 2, "model__bidirectional": False, "model__pooling": ("mean",)},
    "cnn": ONE_BLOCK,
    "lstm-256": RECURRENT,
    "lstm-128": RECURRENT,
    "lstm-512": RECURRENT,
    "cnn-lstm-mfcc": {"model__channels": 4, "model__units": 4},
    "cnn-mel": PICTURE,
    "cnn-mfcc": PICTURE,
    "cnn-1d": DENSE | {"model__channels": (4, 4)},
    "dual-cnn": DENSE | {"model__channels": (4,)},
}
EACH_NETWORK = pytest.mark.parametrize("name", NETWORKS)


def test_every_name_is_a_classical_model_or_a_network():
    assert (*CLASSICAL_NAMES, *NETWORKS) == MODEL_NAMES
    assert SMALL.keys() == NETWORKS.keys()


@pytest.fixture(scope="module")
def longer_speech(tmp_path_factory):
    """Clips that go on after 0.5 s, where some notebooks begin."""
    folder = tmp_path_factory.mktemp("longer")
    return make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=2, n_repetitions=2, duration=0.8)


@needs_keras
@EACH_NETWORK
def test_clips_go_into_networks_and_emotions_come_out(name, longer_speech):
    pipeline = emotion_pipeline(name, random_state=0)
    assert type(pipeline) is Pipeline
    assert list(pipeline.named_steps) == ["features", "scale", "classifier"]
    # One batch, nothing held out, and the simplest of optimizers: what takes time is compilation.
    once = {"epochs": 1, "n_networks": 1, "batch_size": 12, "validation_fraction": 0.0, "optimizer": "sgd"}
    pipeline.set_params(**{f"classifier__{key}": value for key, value in (once | SMALL[name]).items()})
    if name == "cnn-mel":
        pipeline.set_params(features__n_mels=20)
    fit_with_speakers(pipeline, longer_speech.data, longer_speech.target, longer_speech.groups)
    assert_array_equal(pipeline.classes_, EMOTIONS)
    probabilities = pipeline.predict_proba(longer_speech.data)
    assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert np.ptp(probabilities, axis=0).max() > 1e-6
    assert_array_equal(pipeline.classes_[probabilities.argmax(axis=1)], pipeline.predict(longer_speech.data))
    assert len(pipeline[-1].history_["loss"]) == 1


@needs_keras
@EACH_NETWORK
def test_a_network_is_its_recipe(name):
    pipeline, copy = (emotion_pipeline(name, random_state=3) for _ in range(2))
    assert str(clone(pipeline).get_params()) == str(copy.get_params())
    recipe = NETWORKS[name]
    assert pipeline[-1].architecture == recipe.architecture
    assert pipeline[-1].random_state == 3
    assert {key: pipeline[-1].get_params()[key] for key in recipe.training} == recipe.training
    assert type(pipeline[0]) is (FrameSequences if recipe.preset is None else AcousticFeatures)
    assert pipeline[1] == "passthrough" or type(pipeline[1]) in (FrameScaler, StandardScaler)
    grid = parameter_grid(name)
    assert (not grid) == (name not in ("lstm", "cnn", "cnn-lstm"))
    for parameter, values in grid.items():
        assert len(values) > 1
        assert parameter.startswith("classifier__")
        pipeline.set_params(**{parameter: values[0]})


def test_features_are_scaled_by_the_corpus_or_by_the_speaker():
    assert isinstance(emotion_pipeline("svm")[1], StandardScaler)
    assert isinstance(emotion_pipeline("svm", scale="speaker")[1], SpeakerScaler)
    with pytest.raises(ValueError, match=r"scale='clip': expected one of 'corpus', 'speaker'\."):
        emotion_pipeline("svm", scale="clip")
    with pytest.raises(ValueError, match="scale='speaker' is for vectors; the network 'lstm' scales frames"):
        emotion_pipeline("lstm", scale="speaker")


@needs_keras
def test_networks_bring_their_own_features():
    own = FrameSequences(("zcr",), trim=True)
    pipeline = emotion_pipeline("lstm", features=own)
    assert pipeline[0].get_params()["descriptors"] == ("zcr",)
    assert pipeline[0] is not own
    assert pipeline[1].scope == "corpus"
    with pytest.raises(
        ValueError,
        match=r"Network 'lstm' brings its own features and takes no preset of vectors, such as 'mfcc-40'\. L",
    ):
        emotion_pipeline("lstm", features="mfcc-40")


def test_without_keras_classical_models_work_and_networks_tell_what_to_install():
    """Keras and scikeras as if they were not there."""
    code = """if True:
        import sys
        sys.modules.update(keras=None, scikeras=None)
        import sersk
        from sersk.models import MODEL_NAMES, parameter_grid
        print(type(sersk.emotion_pipeline("svm")[-1]).__name__)
        print(len(MODEL_NAMES), parameter_grid("lstm") != {})
        for ask in (lambda: sersk.emotion_pipeline("lstm"), lambda: sersk.KerasSequenceClassifier):
            try:
                ask()
            except ImportError as error:
                print(error)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    svm, names, *errors = done.stdout.splitlines()
    assert svm == "SpeakerCalibratedClassifier"
    assert names == f"{len(MODEL_NAMES)} True"
    assert len(errors) == 2
    for error in errors:
        assert error.startswith("Networks need Keras and JAX (")
        assert error.endswith("): pip install 'sersk[keras]'")


@needs_keras
@pytest.mark.parametrize(
    ("backend", "expected"),
    [
        ("torch", "KERAS_BACKEND=torch: torch is not installed. Unset KERAS_BACKEND for JAX, or: pip install torch"),
        ("nonsense", "KERAS_BACKEND=nonsense: expected jax, tensorflow or torch. Unset it for JAX."),
        ("", None),
    ],
)
def test_a_backend_that_is_not_there_is_named(backend, expected):
    if backend == "torch" and importlib.util.find_spec("torch") is not None:
        pytest.skip("torch is there")
    code = """if True:
        try:
            from sersk.models.keras_backend import keras
        except ImportError as error:
            print(error)
        else:
            assert keras.backend.backend() == "jax"
    """
    environment = os.environ | {"KERAS_BACKEND": backend}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == (f"{expected}\n" if expected else "")


def test_the_lstm_is_trained_on_copies_too():
    copies = {name: training_copies(name) for name in MODEL_NAMES if training_copies(name)}
    assert copies == {"lstm": ("speed",) * 4}, "as sersk fit --help tells"
    assert training_copies(GaussianNB()) == ()
