"""A model is asked the same, whichever way it was named and whatever its first step is."""

from __future__ import annotations

import numpy as np
import pytest
from forgery import cheap_features, fitted_pipeline, lda, waveforms
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from sersk import inference
from sersk.inference import as_model, model_rates, predict_clips, predict_rows
from sersk.persistence import save_model

EMOTIONS = ["angry", "happy", "sad"]


@pytest.fixture(scope="module")
def model():
    return fitted_pipeline()


def test_a_model_is_a_model_a_file_or_the_default(model, tmp_path, monkeypatch):
    assert as_model(model) is model
    file = save_model(model, tmp_path / "m.sersk")
    monkeypatch.setattr(inference, "default_model_path", lambda: file)
    for given in (file, str(file), None):
        np.testing.assert_array_equal(as_model(given).predict(waveforms()), model.predict(waveforms()))


def test_a_model_of_another_kind_gets_the_clips_themselves():
    levels = make_pipeline(FunctionTransformer(np.abs), lda()).fit(np.array(waveforms()), EMOTIONS * 6)
    labels, probabilities, others, speech = predict_clips(levels, np.array(waveforms()))
    assert labels.tolist() == levels.predict(np.array(waveforms())).tolist()
    assert (len(probabilities), others) == (18, {})
    assert np.isnan(speech).all()


@pytest.mark.parametrize("speakers", [None, np.array(["a", "b", "c"], dtype=object)], ids=["unknown", "known"])
def test_clips_that_cannot_be_read_are_told_by_their_position(model, speakers):
    clips = [waveforms()[0], "none.wav", waveforms()[1]]
    labels, probabilities, others, _ = predict_clips(model, clips, speakers, n_jobs=1)
    assert labels.tolist() == ["angry", "happy"]
    np.testing.assert_array_equal(probabilities, model.predict_proba(clips[::2]))
    assert others == {1: "no such file"}
    assert model[0].n_jobs is None


@pytest.mark.parametrize("last", [lda(), SVC()], ids=["lda", "svc"])
def test_rows_are_what_the_first_step_gives(last):
    named = make_pipeline(cheap_features(), last).set_output(transform="pandas").fit(waveforms(), EMOTIONS * 6)
    rows = cheap_features().transform(waveforms())
    labels, probabilities = predict_rows(named, rows)
    assert labels.tolist() == named.predict(waveforms()).tolist()
    assert (probabilities is None) == isinstance(last, SVC)
    labels, probabilities = predict_rows(named, rows[:0])
    assert labels.tolist() == []
    assert probabilities is None or probabilities.shape == (0, 3)


class Resampled(FunctionTransformer):
    def __init__(self, sr=None):
        super().__init__()
        self.sr = sr


@pytest.mark.parametrize(("sr", "rates"), [(None, set()), ("native", set()), (44100.0, {44100}), (8000, {8000})])
def test_the_rate_of_a_model_is_looked_for_in_whatever_it_is_made_of(sr, rates):
    assert model_rates(make_pipeline(Resampled(sr), SVC())) == rates
    assert model_rates(object()) == set()
