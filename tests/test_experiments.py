"""What is prepared for training: parts of a corpus, altered copies, features that are computed once."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import recall_score
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC
from sklearn.utils import Bunch
from speakers import EMOTIONS

from sersk import AcousticFeatures, ClipAugmenter, FrameSequences, emotion_pipeline, evaluate, experiments
from sersk.corpora import make_emotional_speech, split_corpus
from sersk.evaluation import EvaluationReport
from sersk.experiments import prepare_experiments
from sersk.models import fit_with_speakers
from sersk.parts import compare_reports

SPEAKERS = [f"synthetic:{name}" for name in ("F1", "F2", "M1", "M2")]


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    return make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=4, n_repetitions=2, duration=1.0)


@pytest.fixture
def extracted(monkeypatch):
    """List that gets the number of clips of every extraction."""
    numbers = []
    extract = AcousticFeatures.extract
    monkeypatch.setattr(AcousticFeatures, "extract", lambda self, X: numbers.append(len(X)) or extract(self, X))
    return numbers


def prepare(corpus, model="lda", **parameters):
    return prepare_experiments(corpus, model, **({"features": "mfcc-40"} | parameters))


def whole(corpus, model="lda", **parameters):
    (experiment,) = prepare(corpus, model, **parameters).values()
    return experiment


def unreadable(corpus, *positions):
    """Copy a corpus whose clips at these positions are not there."""
    data = [f"{clip}.gone" if place in positions else clip for place, clip in enumerate(corpus.data)]
    return Bunch(**{**corpus, "data": np.array(data, dtype=object)})


# --- parts


def test_the_model_of_a_part_is_what_the_part_alone_would_have_given(speech, extracted):
    prepared = prepare(speech, by="gender")
    assert list(prepared) == ["mixed", "female", "male"]
    assert extracted == [24], "one extraction for all of them"
    for name, part in {"mixed": speech, **split_corpus(speech)}.items():
        alone = whole(part)
        assert prepared[name].corpus.files == list(part.data)
        pd.testing.assert_frame_equal(prepared[name].evaluate().predictions, alone.evaluate().predictions)
        fitted, again = (experiment.fit()[0] for experiment in (prepared[name], alone))
        assert_array_equal(fitted.predict_proba(speech.data), again.predict_proba(speech.data))


def test_clips_that_cannot_be_read_are_told_where_they_belong(speech):
    females = np.flatnonzero(speech.frame["gender"] == "female")
    prepared = prepare(unreadable(speech, females[2], females[3]), by="gender")
    failed = [f"{speech.data[place]}.gone" for place in females[2:4]]
    assert [file for file, _ in prepared["mixed"].failures] == failed
    assert [file for file, _ in prepared["female"].failures] == failed
    assert prepared["male"].failures == []
    assert [len(one.corpus.target) for one in prepared.values()] == [22, 10, 12]
    assert_array_equal(prepared["female"].corpus.positions, np.delete(females, [2, 3]))


def test_every_part_has_a_protocol_of_its_own(speech):
    assert prepare(speech, by="gender")["male"].evaluate().description == "leave one speaker out, 2 speakers"
    one_man = Bunch(**{**speech, "groups": np.where(speech.frame["gender"] == "male", "him", speech.groups)})
    prepared = prepare(one_man, by="gender")
    assert [one.evaluate().protocol for one in prepared.values()] == ["loso", "loso", "random"]
    with pytest.raises(ValueError, match=r"^clips of gender 'male': Protocol 'loso' needs two known speakers"):
        prepare(one_man, by="gender", protocol="loso")


def changed(corpus, column, values):
    return Bunch(**{**corpus, "frame": corpus.frame.assign(**{column: values})})


def test_parts_that_cannot_be_compared_are_refused_before_the_extraction(speech, extracted):
    is_female = speech.frame["gender"] == "female"
    with pytest.raises(ValueError, match="The gender of all clips is 'female'; a model of these is the mixed one"):
        prepare(changed(speech, "gender", "female"), by="gender")
    with pytest.raises(ValueError, match="'mixed' is what the model of all clips is called: give that gender another"):
        prepare(changed(speech, "gender", np.where(is_female, "mixed", "male")), by="gender")
    with pytest.raises(ValueError, match="no clip of this corpus has a known gender"):
        prepare(changed(speech, "gender", None), by="gender")
    sad_women = Bunch(**{**speech, "target": np.where(is_female, "sad", speech.target)})
    with pytest.raises(ValueError, match=r"^All clips of gender 'female' are 'sad'; a classifier needs two"):
        prepare(sad_women, by="gender")
    assert extracted == []


def test_a_part_of_which_too_little_can_be_read_is_named(speech):
    females = np.flatnonzero(speech.frame["gender"] == "female")
    with pytest.raises(ValueError, match=r"^None of the 12 clips of gender 'female' could be read; the first: .*gone"):
        prepare(unreadable(speech, *females), by="gender")
    with pytest.raises(ValueError, match=r"^All readable clips of gender 'female' are 'angry'"):
        prepare(unreadable(speech, *females[speech.target[females] != "angry"]), by="gender")


def test_one_known_gender_beside_unknown_ones_is_a_part(speech):
    known = changed(speech, "gender", speech.frame["gender"].where(speech.frame["gender"] == "male"))
    with pytest.warns(UserWarning, match="clips whose gender is unknown, in no part: 12 of 24"):
        assert list(prepare(known, by="gender")) == ["mixed", "male"]


# --- the comparison


def test_the_mixed_model_is_compared_on_the_clips_of_each_part(speech):
    prepared = prepare(unreadable(speech, 1), by="gender")
    reports = {name: one.evaluate() for name, one in prepared.items()}
    table = compare_reports(prepared, reports)
    assert table.index.tolist() == ["all", "female", "male"]
    assert table["clips"].tolist() == [23, 11, 12]
    assert table["protocol"].tolist() == ["loso"] * 3
    gender = np.delete(speech.frame["gender"].to_numpy(), 1)
    mixed = reports["mixed"].predictions
    for name, mask in [("all", np.ones(23, dtype=bool)), ("female", gender == "female"), ("male", gender == "male")]:
        truth, predicted = mixed["emotion"][mask], mixed["predicted"][mask]
        assert table.loc[name, "mixed_uar"] == pytest.approx(recall_score(truth, predicted, average="macro"))
        assert table.loc[name, "mixed_wa"] == pytest.approx((truth == predicted).mean())
    assert table.loc["all", ["own_uar", "own_wa"]].isna().all()
    for name in ("female", "male"):
        own = table.loc[name, ["own_uar", "own_wa"]].tolist()
        assert own == pytest.approx([reports[name].uar, reports[name].wa])
    # The weighted accuracies of the parts add up to that of all.
    assert table["clips"][1:] @ table["mixed_wa"][1:] / 23 == pytest.approx(table.loc["all", "mixed_wa"])


def test_only_clips_that_both_models_were_tested_on_are_compared(speech):
    prepared = prepare(speech, by="gender")
    places = {"mixed": [1, 2, 14, 15], "female": [0, 1, 2], "male": [0]}
    tables = {
        name: pd.DataFrame({"emotion": prepared[name].corpus.target[rows]}, index=rows) for name, rows in places.items()
    }
    for name, table in tables.items():
        table["predicted"] = "bored" if name == "mixed" else table["emotion"]
    tables["female"].loc[1, "predicted"] = "bored"
    reports = {name: EvaluationReport("split", "", True, [], table) for name, table in tables.items()}
    positions = {name: prepared[name].corpus.positions[rows] for name, rows in places.items()}
    table = compare_reports(prepared, reports)
    assert table["clips"].tolist() == [
        len(np.intersect1d(positions["mixed"], positions[name])) for name in ("mixed", "female", "male")
    ]
    assert table.loc["female", ["clips", "mixed_wa", "own_wa"]].tolist() == [2, 0, 0.5]
    assert table.loc["male", ["clips"]].tolist() == [0]
    assert table.loc["male", ["mixed_wa", "own_wa"]].isna().all()


def test_an_emotion_that_a_part_lacks_counts_as_an_error_without_a_warning(speech):
    prepared = prepare(speech, by="gender")
    tables = {name: pd.DataFrame({"emotion": one.corpus.target}) for name, one in prepared.items()}
    for table in tables.values():
        table["predicted"] = np.where(table["emotion"] == "sad", "bored", table["emotion"])
    reports = {name: EvaluationReport("loso", "", True, [], table) for name, table in tables.items()}
    assert_allclose(compare_reports(prepared, reports)[["mixed_uar", "mixed_wa"]], 2 / 3)


# --- altered copies


def augmented(model="lda", methods=("noise", "gain"), **parameters):
    pipeline = emotion_pipeline(model, features="mfcc-40", random_state=0)
    return ClipAugmenter(pipeline, methods, random_state=0, **parameters)


@pytest.mark.parametrize("speakers_known", [True, False])
def test_it_is_what_the_augmenter_gives_with_features_computed_once(speech, extracted, speakers_known):
    corpus = speech if speakers_known else Bunch(**{**speech, "groups": None})
    experiment = whole(corpus, augment=["noise", "gain"])
    assert extracted == [24 * 3]
    report = evaluate(augmented(), corpus)
    pd.testing.assert_frame_equal(experiment.evaluate().predictions, report.predictions)
    plain = whole(corpus).evaluate().predictions
    assert not plain[list(EMOTIONS)].equals(report.predictions[list(EMOTIONS)])
    fitted, best_params = experiment.fit()
    again = fit_with_speakers(augmented(), speech.data, speech.target, corpus.groups)
    assert_allclose(fitted.predict_proba(speech.data), again.predict_proba(speech.data), rtol=1e-6)
    assert list(fitted.named_steps) == ["features", "scale", "classifier"]
    assert best_params == {}


def test_parts_have_copies_of_their_own_clips(speech, extracted):
    prepared = prepare(speech, by="gender", augment=["noise", "gain"])
    assert extracted == [72]
    report = evaluate(augmented(), split_corpus(speech)["male"])
    pd.testing.assert_frame_equal(prepared["male"].evaluate().predictions, report.predictions)


def test_a_model_gets_the_copies_that_are_best_for_it(speech, extracted, monkeypatch):
    monkeypatch.setattr(experiments, "training_copies", {"lda": ("gain", "gain")}.get)
    by_itself, told, none = whole(speech), whole(speech, augment=["gain", "gain"]), whole(speech, augment=())
    assert extracted == [72, 72, 24]
    pd.testing.assert_frame_equal(by_itself.evaluate().predictions, told.evaluate().predictions)
    assert_array_equal(none.corpus.data, told.corpus.data)
    assert [len(one.corpus.rows) for one in (by_itself, told, none)] == [72, 72, 24]


class Witness(ClassifierMixin, BaseEstimator):
    """Notes what each fit and each prediction gets."""

    seen: ClassVar[list] = []

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.seen.append(("fit", X))
        return self

    def predict(self, X):
        self.seen.append(("predict", X))
        return np.repeat(self.classes_[:1], len(X))


def test_nothing_altered_is_tested(speech):
    Witness.seen.clear()
    features = whole(speech).corpus.data
    experiment = whole(speech, Witness(), augment=["noise"])
    experiment.learner.set_params(scale="passthrough")
    report = experiment.evaluate()
    columns = ["file", "speaker", "gender", "corpus", "fold", "emotion", "predicted"]
    assert report.predictions.columns.tolist() == columns, "no probabilities"
    fits = [X for kind, X in Witness.seen if kind == "fit"]
    tests = [X for kind, X in Witness.seen if kind == "predict"]
    assert [len(X) for X in fits] == [2 * 18] * 4
    assert_array_equal(np.concatenate(tests), np.concatenate([features[speech.groups == s] for s in SPEAKERS]))
    for X, tested in zip(fits, tests, strict=True):
        trained = features[[not (row == tested).all(axis=1).any() for row in features]]
        assert_array_equal(X[:18], trained)
        assert not (X[18:] == trained).all(axis=1).any(), "the others are altered"


def test_a_search_tests_nothing_altered_either(speech):
    experiment = whole(speech, "logistic", search="grid", augment=["noise"])
    pipeline, best_params = experiment.fit()
    (name,) = best_params
    assert name == "classifier__estimator__C"
    assert pipeline.get_params()[name] == best_params[name]
    assert experiment.learner.grid.keys() == {name}
    assert list(pipeline.named_steps) == ["features", "scale", "classifier"]


def test_copies_without_features_are_left_out_and_counted(speech, monkeypatch):
    copies_fail = AcousticFeatures.extract

    def extract(self, X):
        rows, failures = copies_fail(self, X)
        broken = [0, 24 + 0, 24 + 1]  # a clip and its copy, and another clip's copy
        rows[broken] = np.nan
        return rows, [*failures, *((place, experiments.AudioError("x", "too short")) for place in broken)]

    monkeypatch.setattr(AcousticFeatures, "extract", extract)
    with pytest.warns(UserWarning, match=r"altered copies without features, left out: 1 of 24$"):
        experiment = whole(speech, augment=["speed"])
    assert len(experiment.failures) == 1
    assert len(experiment.corpus.data) == 23
    assert_array_equal(experiment.corpus.sources, [*range(23), *(~np.arange(1, 23))])
    assert len(experiment.evaluate().predictions) == 23
    assert not np.isnan(experiment.fit()[0][1].mean_).any()


# --- networks: what has a parameter `checkpoint`


class Network(ClassifierMixin, BaseEstimator):
    """Stands in for a network: takes frames, and tells what it was given."""

    def __init__(self, checkpoint=None, verbose=0):
        self.checkpoint = checkpoint
        self.verbose = verbose

    def fit(self, X, y):
        self.n_rows_, self.given_, self.classes_ = len(X), (self.checkpoint, self.verbose), np.unique(y)
        return self

    def predict(self, X):
        assert X.ndim == 3
        return np.resize(self.classes_, len(X))


@pytest.fixture
def network(monkeypatch):
    pipeline = emotion_pipeline(Network(), features=FrameSequences(("rms",), deltas=0))
    pipeline.set_params(scale=FunctionTransformer())
    monkeypatch.setattr(experiments, "emotion_pipeline", lambda *_args, **_options: clone(pipeline))


@pytest.mark.usefixtures("network")
def test_a_network_gets_its_checkpoint_and_is_fitted_alone(speech, tmp_path):
    experiment = whole(speech, "some network", checkpoint=tmp_path, verbose=1, n_jobs=-1)
    assert experiment.n_jobs == 1
    assert experiment.learner[-1].get_params() == {"checkpoint": str(tmp_path), "verbose": 1}
    assert experiment.evaluate().uar >= 0
    pipeline, _ = experiment.fit()
    assert pipeline[-1].given_ == (str(tmp_path), 1)
    assert pipeline[-1].get_params() == {"checkpoint": None, "verbose": 0}, "how it was worked with is not kept"
    assert whole(speech, "some network").learner[-1].get_params() == {"checkpoint": None, "verbose": 0}
    assert whole(speech, "some network").n_jobs == 1
    several = whole(speech, "some network", verbose=1, n_jobs=2)
    assert several.n_jobs == 2
    assert several.learner[-1].verbose == 0, "their bars would write into each other"


@pytest.mark.usefixtures("network")
@pytest.mark.parametrize(
    ("augment", "n_rows"),
    [(["time_mask"], 48), (["noise"], 48), (["time_mask", "frequency_mask"], 72), (["noise", "time_mask"], 96)],
)
def test_frames_are_masked_and_clips_altered(augment, n_rows, speech):
    experiment = whole(speech, "some network", augment=augment)
    assert experiment.evaluate().uar >= 0
    pipeline, _ = experiment.fit()
    assert pipeline[-1].n_rows_ == n_rows
    assert list(pipeline.named_steps) == ["features", "scale", "classifier"]
    assert set(pipeline.predict(speech.data[:3])) <= set(EMOTIONS)


def test_a_classical_model_takes_no_masks_and_keeps_no_checkpoint(speech, tmp_path, extracted):
    with pytest.raises(ValueError, match="time_mask: this model learns from vectors, and masks hide frames"):
        prepare(speech, augment=["noise", "time_mask"])
    with pytest.raises(ValueError, match=r"methods: expected names out of noise, .*; unknown: 'nose'"):
        prepare(speech, augment=["nose"])
    assert extracted == []
    assert whole(speech, SVC(), checkpoint=tmp_path / "none", n_jobs=2).n_jobs == 2
    assert not (tmp_path / "none").exists()


def test_only_named_models_have_a_grid(speech):
    with pytest.raises(ValueError, match="Only named models have a grid"):
        prepare(speech, GaussianNB(), search="grid")


def test_a_model_that_is_taken_as_published_has_no_grid(speech, monkeypatch):
    monkeypatch.setattr(experiments, "parameter_grid", lambda model, features: {})
    with pytest.raises(ValueError, match="lda has no settings to search: it is taken as it was published"):
        prepare(speech, search="halving")
