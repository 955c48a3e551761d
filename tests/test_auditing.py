"""A random split beside unseen speakers; planted leaks are found, or have no effect."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch
from speakers import EMOTIONS, speaker_matrix

from sersk import AcousticFeatures, evaluate
from sersk.auditing import audit_leak, find_leaks
from sersk.corpora import audit_corpus, make_emotional_speech

X, Y, GROUPS = speaker_matrix(spread=2.0)
MATRIX = Bunch(data=X, target=Y, groups=GROUPS, files=[f"{k}.wav" for k in range(len(Y))])


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    return make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=4, n_repetitions=2, duration=0.5)


@pytest.fixture(scope="module")
def audited(speech):
    return audit_corpus(speech)


@pytest.fixture(autouse=True)
def few_features(monkeypatch):
    """Audit with features that cost little, and count the clips of every extraction."""
    numbers = []
    from_preset, extract = AcousticFeatures.from_preset, AcousticFeatures.extract
    monkeypatch.setattr(AcousticFeatures, "from_preset", lambda _name, **rest: from_preset("means-180", **rest))
    monkeypatch.setattr(
        AcousticFeatures, "extract", lambda self, clips: numbers.append(len(clips)) or extract(self, clips)
    )
    return numbers


# --- two splits


def test_one_model_is_evaluated_on_a_random_split_and_on_unseen_speakers(speech, audited, few_features):
    leak = audit_leak(speech, audited)
    assert few_features == [24], "the features are computed once"
    assert {name: report.protocol for name, report in leak.reports.items()} == {"random": "random", "unseen": "loso"}
    assert leak.comparison.difference == pytest.approx(leak.reports["random"].uar - leak.reports["unseen"].uar)
    assert leak.equal_clips == {"random": 0, "unseen": 0}
    assert leak.findings == []
    told = json.loads(json.dumps(leak.to_dict()))
    assert told["reports"]["random"]["uar"] == round(leak.reports["random"].uar, 4)
    assert told["reports"]["unseen"]["equal_clips"] == 0
    assert told["reports"]["unseen"]["uar_interval"] == [round(x, 4) for x in leak.reports["unseen"].intervals()["uar"]]
    assert told["uar_difference"] == round(leak.comparison.difference, 4)
    assert told["uar_difference_interval"] == [round(limit, 4) for limit in leak.comparison.interval]


def test_without_two_known_speakers_there_is_the_random_split_only(speech, audited):
    nobody = Bunch(**{**speech, "groups": None, "frame": speech.frame.assign(speaker=None)})
    leak = audit_leak(nobody, audited)
    assert list(leak.reports) == ["random"]
    assert leak.comparison is None
    told = leak.to_dict()
    assert (told["uar_difference"], told["uar_difference_interval"]) == (None, None)
    one = Bunch(**{**speech, "groups": np.repeat("her", 24)})
    assert audit_leak(one, audited).to_dict()["reports"]["random"]["uar_interval"] is None


def test_tested_clips_with_an_equal_one_in_training_are_counted(speech, audited):
    speakers = np.unique(speech.groups)
    numbers = audited.clips["equal_audio"].copy()
    first, second, third = (np.flatnonzero(speech.groups == speaker) for speaker in speakers[:3])
    numbers[first[:2]] = 1  # of one speaker, never on both sides
    numbers[[first[3], second[3], third[3]]] = 2
    equal = type(audited)(audited.clips.assign(equal_audio=numbers), [], [])
    assert audit_leak(speech, equal).equal_clips["unseen"] == 3


def test_clips_that_cannot_be_read_do_not_shift_the_others(speech):
    data = speech.data.copy()
    data[0] += ".gone"
    broken = Bunch(**{**speech, "data": data, "frame": speech.frame.assign(file=data)})
    audited = audit_corpus(broken)
    numbers = audited.clips["equal_audio"].copy()
    first, second = (np.flatnonzero(speech.groups == speaker)[-1] for speaker in np.unique(speech.groups)[:2])
    numbers[[first, second]] = 1
    equal = type(audited)(audited.clips.assign(equal_audio=numbers), [], [])
    assert audit_leak(broken, equal).equal_clips["unseen"] == 2


def test_a_classifier_that_was_fitted_before_is_found(speech, audited):
    rows = AcousticFeatures.from_preset("means-180").transform(speech.data)
    frozen = FrozenEstimator(LogisticRegression(max_iter=10000).fit(rows, speech.target))
    leak = audit_leak(speech, audited, frozen)
    assert [finding.kind for finding in leak.findings] == ["fitted-before"]
    assert leak.reports["unseen"].uar == 1, "which is why"
    assert leak.to_dict()["findings"][0]["severity"] == "error"


# --- planted leaks


class Unfittable(TransformerMixin, BaseEstimator):
    """A scaler that was fitted on everything, hidden in another that does not fit it."""

    def __init__(self, scaler):
        self.scaler = scaler

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return self.scaler.transform(X)


def test_a_scaler_that_was_fitted_on_everything_is_fitted_anew():
    far = X + 1000.0 * (GROUPS == "s0")[:, None]  # what such a scaler would have learned of the first speaker
    corpus = Bunch(**{**MATRIX, "data": far})
    fresh, planted = (make_pipeline(StandardScaler(), GaussianNB()) for _ in range(2))
    planted[0].fit(far)
    assert find_leaks(planted, far) == []
    expected = evaluate(fresh, corpus).predictions
    assert_array_equal(evaluate(planted, corpus).predictions["predicted"], expected["predicted"])


def test_a_fitted_scaler_in_a_wrapper_that_does_not_fit_it_comes_out_unfitted():
    with pytest.raises(ValueError, match="not fitted"):
        evaluate(make_pipeline(Unfittable(StandardScaler().fit(X)), GaussianNB()), MATRIX)


def test_a_frozen_scaler_is_found_wherever_it_stands():
    frozen = FrozenEstimator(StandardScaler().fit(X))
    (finding,) = find_leaks(make_pipeline(make_pipeline(frozen), GaussianNB()), X)
    assert (finding.severity, finding.kind) == ("error", "fitted-before")
    assert finding.message.endswith("in each fold: pipeline__frozenestimator__estimator")
    (finding,) = find_leaks(FrozenEstimator(GaussianNB().fit(X, Y)), X)
    assert finding.message.endswith("in each fold: estimator")


def test_a_function_that_scales_what_it_is_given_is_found():
    planted = make_pipeline(FunctionTransformer(lambda rows: rows - rows.mean(axis=0)), GaussianNB())
    (finding,) = find_leaks(planted, X)
    assert (finding.severity, finding.kind) == ("error", "needs-other-clips")
    assert finding.message.endswith("with the clips beside it: functiontransformer")
    shape = make_pipeline(FunctionTransformer(lambda rows: rows[rows[:, 0] >= rows[:, 0].mean()]), GaussianNB())
    assert [one.kind for one in find_leaks(shape, X)] == ["needs-other-clips"]


@pytest.mark.parametrize(
    "model",
    [
        GaussianNB(),
        make_pipeline(StandardScaler(), GaussianNB()),
        make_pipeline(FunctionTransformer(np.tanh), StandardScaler(), GaussianNB()),
        make_pipeline(FunctionTransformer(lambda rows: np.where(rows > 0, np.nan, rows)), GaussianNB()),
        make_pipeline("passthrough", GaussianNB()),
    ],
)
def test_what_depends_on_the_clip_alone_is_no_leak(model):
    assert find_leaks(model, X) == []


# --- real corpora


@pytest.mark.corpus
def test_a_random_split_of_real_speech_promises_too_much(real_corpora, few_features):
    from sersk import load_corpus

    corpus = load_corpus(real_corpora / "emodb")
    leak = audit_leak(corpus, audit_corpus(corpus, n_jobs=2), n_jobs=2)
    assert few_features == [339]
    assert leak.comparison.difference > 0
