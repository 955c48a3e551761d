"""A corpus in, a fitted pipeline and the evidence for it out."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import needs_keras
from numpy.testing import assert_array_equal
from sklearn.naive_bayes import GaussianNB
from sklearn.utils import Bunch
from speakers import EMOTIONS

from sersk import train_model
from sersk.corpora import make_emotional_speech
from sersk.models import fit_with_speakers, parameter_grid


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    return make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=3, n_repetitions=2)


@pytest.fixture
def bad(tmp_path):
    """Two files that are no audio."""
    files = [tmp_path / "text.wav", tmp_path / "missing.wav"]
    files[0].write_text("no audio " * 20)
    return files


def train(corpus, model="lda", **parameters):
    return train_model(corpus, model, **({"features": "mfcc-40"} | parameters))


def test_it_predicts_clips_and_tells_how_well(speech):
    trained = train(speech)
    assert list(trained.pipeline.named_steps) == ["features", "scale", "classifier"]
    assert set(trained.pipeline.predict(list(map(str, speech.data[:3])))) <= set(EMOTIONS)
    assert (trained.n_clips, trained.n_speakers) == (18, 3)
    assert trained.failures == []
    assert trained.best_params == {}
    assert trained.report.description == "leave one speaker out, 3 speakers"
    assert_array_equal(trained.report.predictions["file"], [str(file) for file in speech.data])
    # It is what the pipeline itself would have learned from the clips.
    again = fit_with_speakers(trained.pipeline, speech.data, speech.target, speech.groups)
    assert_array_equal(again.predict_proba(speech.data), trained.pipeline.predict_proba(speech.data))


def test_how_it_was_computed_is_not_kept(speech, tmp_path):
    trained = train(speech, memory=str(tmp_path), n_jobs=1, verbose=0)
    assert any(tmp_path.iterdir())
    features = trained.pipeline[0].get_params()
    assert (features["memory"], features["n_jobs"], features["verbose"]) == (None, None, 0)


def test_clips_that_cannot_be_read_are_listed_and_the_rest_is_kept(speech, bad):
    corpus = Bunch(
        data=[bad[0], *speech.data[:7], bad[1], *speech.data[7:]],
        target=np.array(["happy", *speech.target[:7], "bored", *speech.target[7:]]),
        groups=np.array(["synthetic:X", *speech.groups[:7], "synthetic:X", *speech.groups[7:]]),
    )
    trained = train(corpus)
    assert [file for file, _ in trained.failures] == [str(file) for file in bad]
    assert "text.wav" in str(trained.failures[0][1])
    assert (trained.n_clips, trained.n_speakers) == (18, 3)
    good = train(speech)
    assert_array_equal(trained.report.predictions["file"], good.report.predictions["file"])
    assert_array_equal(trained.pipeline.predict_proba(speech.data), good.pipeline.predict_proba(speech.data))
    assert_array_equal(trained.pipeline.classes_, EMOTIONS)


def test_nothing_can_be_read(bad):
    corpus = Bunch(data=[*bad, *bad], target=np.array(["happy", "happy", "sad", "sad"]), groups=np.array([*"abab"]))
    with pytest.raises(ValueError, match=r"None of the 4 clips could be read; the first: .*text\.wav"):
        train(corpus)


def test_a_corpus_of_one_emotion_is_refused_before_any_clip_is_read(bad):
    with pytest.raises(ValueError, match="All clips are 'sad'"):
        train(Bunch(data=bad, target=np.array(["sad", "sad"]), groups=np.array(["a", "b"])))


def test_one_emotion_is_left(speech, bad):
    sad = speech.target == "sad"
    target = ["sad"] * sad.sum() + ["happy"] * 2
    corpus = Bunch(data=[*np.asarray(speech.data)[sad], *bad], target=target, groups=None)
    with pytest.raises(ValueError, match="All readable clips are 'sad'"):
        train(corpus)


@pytest.mark.parametrize("strategy", ["grid", "halving"])
def test_search(speech, strategy):
    trained = train(speech, "logistic", search=strategy)
    grid = parameter_grid("logistic", features="mfcc-40")
    assert trained.best_params.keys() == grid.keys()
    assert all(trained.best_params[name] in values for name, values in grid.items())
    assert trained.pipeline.get_params().items() >= trained.best_params.items()
    assert trained.pipeline.predict_proba(speech.data[:2]).shape == (2, 3)
    assert trained.report.speaker_independent


def test_a_classifier_of_the_users(speech):
    mine = GaussianNB()
    trained = train(speech, mine)
    assert isinstance(trained.pipeline[-1], GaussianNB)
    assert not hasattr(mine, "classes_")
    with pytest.raises(ValueError, match="Only named models have a grid"):
        train(speech, mine, search="grid")


def test_speakers_unknown(speech):
    trained = train(Bunch(data=speech.data, target=speech.target, groups=None))
    assert trained.n_speakers == 0
    assert trained.report.protocol == "random"


def test_waveforms_of_any_length(speechlike):
    waveforms = [speechlike(0.7 + 0.01 * k, seed=k) for k in range(8)]
    trained = train_model(Bunch(data=waveforms, target=["sad", "happy"] * 4, groups=None), "lda", features="means-180")
    assert set(trained.pipeline.predict(waveforms)) <= {"sad", "happy"}


def test_the_seed_decides(speech):
    first, same = (train(speech, "xgboost", random_state=3).pipeline.predict_proba(speech.data) for _ in range(2))
    assert_array_equal(first, same)


def test_altered_copies_are_trained_on(speech):
    trained, plain = train(speech, augment=("noise",)), train(speech)
    assert (trained.n_clips, len(trained.report.predictions)) == (18, 18)
    assert not np.allclose(trained.pipeline.predict_proba(speech.data), plain.pipeline.predict_proba(speech.data))


@needs_keras
def test_a_network_that_was_trained_is_found_again(speech, tmp_path, capsys):
    from sersk import KerasSequenceClassifier

    network = KerasSequenceClassifier(
        "lstm-dense", model__units=3, model__hidden=(3,), epochs=2, validation_fraction=0.4, random_state=0
    )
    first, again = (train(speech, network, checkpoint=tmp_path, verbose=1) for _ in range(2))
    assert len(list(tmp_path.iterdir())) == 3 + 1, "one state a fold, and one of all clips"
    told = capsys.readouterr().err
    assert "val_loss" in told
    assert len(first.pipeline[-1].history_["val_loss"]) == 2
    assert first.pipeline[-1].history_ == again.pipeline[-1].history_
    assert_array_equal(first.pipeline.predict_proba(speech.data), again.pipeline.predict_proba(speech.data))
    assert_array_equal(first.report.predictions[[*EMOTIONS]], again.report.predictions[[*EMOTIONS]])
    parameters = first.pipeline[-1].get_params()
    assert (parameters["checkpoint"], parameters["verbose"]) == (None, 0)


def test_progress_is_told(speech):
    totals = []
    train(speech, progress=lambda folds, total: totals.append(total) or folds)
    assert totals == [3]
