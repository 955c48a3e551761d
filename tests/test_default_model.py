"""The model that ships: small, coefficients only, and as good as its card says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from sersk import load_corpus, load_model, predict_emotions
from sersk.extraction import FEATURE_VERSION
from sersk.persistence import default_model_path, read_card


def arrays(thing, seen):
    """All numpy arrays that hang on an object."""
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        yield thing
    children = thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list | tuple) else ()
    for child in (*children, *getattr(thing, "__dict__", {}).values()):
        yield from arrays(child, seen)


@pytest.fixture(scope="module")
def card():
    return read_card(default_model_path())


def test_it_is_small_and_holds_no_row_of_training_data(card):
    assert default_model_path().stat().st_size < 5e6
    model = load_model(default_model_path())
    held = list(arrays(model, set()))
    n_features = len(model[0].get_feature_names_out())
    # Every array is a setting of a feature or of a class; the largest is one row of weights for each class.
    assert max(array.size for array in held) == n_features * len(model.classes_)
    assert not any(card["n_clips"] in array.shape for array in held)


def test_its_card_tells_what_it_is(card):
    assert card["licence"] == "CC BY-NC-SA 4.0"
    assert card["corpora"] == ["emodb", "ravdess"]
    assert card["feature_version"] == FEATURE_VERSION
    assert card["metrics"]["ravdess"]["speaker_independent"]
    assert card["classes"] == load_model(default_model_path()).classes_.tolist()


def test_it_answers_for_any_clip(speechlike):
    table = predict_emotions(None, [speechlike(1.0), np.zeros(1, dtype=np.float32)], min_speech=0)
    assert table["error"].isna().all()
    assert table["probability"].between(1 / 8, 1).all()


@pytest.mark.corpus
def test_it_knows_the_clips_that_it_was_trained_on(real_corpora):
    corpus = load_corpus(real_corpora / "emodb")
    predicted = predict_emotions(None, corpus.data[::4])["emotion"]
    assert balanced_accuracy_score(corpus.target[::4], predicted.astype(str)) > 0.9
