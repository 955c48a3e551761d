"""What importance counts: planted truths, and the loop that it stands for, written out."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pandas.testing import assert_frame_equal
from sklearn.metrics import balanced_accuracy_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch, check_random_state
from speakers import EMOTIONS, Recorder, cheap_mfcc, speaker_matrix

from sersk import AcousticFeatures, ClipAugmenter, FrameSequences, SpeakerScaler, emotion_pipeline, evaluate
from sersk.clip_values import CLIP_VALUES
from sersk.corpora import make_emotional_speech
from sersk.descriptors import FAMILIES
from sersk.evaluation import family_importance, make_protocol
from sersk.evaluation.importance import family_of

TELLING, Y, GROUPS = speaker_matrix()
NOISE = np.random.default_rng(7).normal(size=(len(Y), 4))
NAMES = [*(f"mfcc_{k + 1}_mean" for k in range(5)), *(f"chroma_{k + 1}_delta_std" for k in range(4))]
BAYES = make_pipeline(StandardScaler(), GaussianNB())


def corpus(*parts, groups=GROUPS, **more):
    return Bunch(data=np.hstack(parts), target=Y, groups=groups, **more)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_column_of_a_descriptor_belongs_to_its_family(family):
    features = AcousticFeatures((family,), deltas=2, regions=("all", "active", "voiced"), clip_values=())
    assert {*map(family_of, features.get_feature_names_out())} == {family}


@pytest.mark.parametrize("value", CLIP_VALUES)
def test_every_column_of_a_clip_value_belongs_to_it(value):
    assert {*map(family_of, AcousticFeatures((), clip_values=(value,)).get_feature_names_out())} == {value}


@pytest.mark.parametrize("name", ["age", "rmsx", "mfccs_1", "x_mfcc_1", ""])
def test_any_other_column_is_a_family_of_its_own(name):
    assert family_of(name) == name


def test_the_family_that_alone_tells_the_emotion_has_all_the_importance():
    table = family_importance(BAYES, corpus(TELLING, NOISE), names=NAMES)
    assert [*table.index] == ["mfcc", "chroma"]
    assert table.index.name == "family"
    assert [*table["n_features"]] == [5, 4]
    report = evaluate(BAYES, corpus(TELLING, NOISE))
    assert report.uar > 0.9
    assert_allclose(table["importance"] + table["permuted_uar"], report.uar)
    # Permuted, what is left is chance, 1 / 3; noise lacks nothing.
    assert table.loc["mfcc", "permuted_uar"] == pytest.approx(1 / 3, abs=0.06)
    assert table.loc["mfcc", "low"] > 0.4
    assert table.loc["chroma", "importance"] == pytest.approx(0, abs=0.05)
    assert table.loc["chroma", "low"] <= table.loc["chroma", "importance"] <= table.loc["chroma", "high"]


def test_where_nothing_tells_the_emotion_nothing_is_important():
    table = family_importance(BAYES, corpus(NOISE), names=NAMES[5:])
    assert abs(table.loc["chroma", "importance"]) < 0.1
    assert table.loc["chroma", "low"] < 0 < table.loc["chroma", "high"]


def test_families_that_tell_the_same_share_their_importance_and_their_permutations():
    copied = family_importance(BAYES, corpus(TELLING, TELLING), names=[*NAMES[:5], *(f"age_{k}" for k in range(5))])
    assert (copied["n_features"].loc["mfcc"], len(copied)) == (5, 6)  # each name of no family by itself
    twice = family_importance(BAYES, corpus(TELLING, TELLING), names=[*NAMES[:5], *(f"mel_{k}" for k in range(5))])
    alone = family_importance(BAYES, corpus(TELLING), names=NAMES[:5])
    assert_array_equal(twice.loc["mfcc"], twice.loc["mel"])
    assert 0 <= twice.loc["mfcc", "importance"] < alone.loc["mfcc", "importance"] - 0.1


def test_it_is_the_loop_that_it_stands_for():
    data, n_repeats = corpus(TELLING[:, :2], NOISE[:, :1]), 3
    names, columns = ["mfcc_1", "rms_mean", "mfcc_2"], {"mfcc": [0, 2], "rms": [1]}
    folds = make_protocol(data).folds
    seeds = check_random_state(5).randint(np.iinfo(np.int32).max, size=len(folds))
    said = {family: np.empty((n_repeats, len(Y)), dtype=Y.dtype) for family in columns}
    intact = np.empty(len(Y), dtype=Y.dtype)
    for (train, test), seed in zip(folds, seeds, strict=True):
        model = GaussianNB().fit(data.data[train], Y[train])
        intact[test] = model.predict(data.data[test])
        random = np.random.RandomState(seed)
        for repeat in range(n_repeats):
            order = random.permutation(len(test))
            for family, own in columns.items():
                changed = data.data[test].copy()
                changed[:, own] = data.data[test][order][:, own]
                said[family][repeat, test] = model.predict(changed)
    table = family_importance(GaussianNB(), data, names=names, n_repeats=n_repeats, random_state=5)
    whole = balanced_accuracy_score(Y, intact)
    for family in columns:
        left = [balanced_accuracy_score(Y, one) for one in said[family]]
        assert table.loc[family, "importance"] == pytest.approx(whole - np.mean(left))
        assert table.loc[family, "std"] == pytest.approx(np.std(left))
        assert table.loc[family, "permuted_uar"] == pytest.approx(np.mean(left))
    assert table.loc["mfcc", "importance"] > 0.1
    assert table.loc["mfcc", "std"] > 0


def test_the_numbers_depend_on_the_seed_only():
    data = corpus(TELLING, NOISE)
    first = family_importance(BAYES, data, names=NAMES, n_repeats=2)
    assert_frame_equal(first, family_importance(BAYES, data, names=NAMES, n_repeats=2, n_jobs=2))
    other = family_importance(BAYES, data, names=NAMES, n_repeats=2, random_state=1)
    assert not np.allclose(first["importance"], other["importance"])
    # What a family gets does not depend on which others there are, where the model does not learn from these.
    once = make_pipeline(StandardScaler(), FunctionTransformer(lambda X: X[:, :5]), GaussianNB())
    with_noise = family_importance(once, data, names=NAMES).loc["mfcc"]
    assert_array_equal(with_noise, family_importance(once, corpus(TELLING), names=NAMES[:5]).loc["mfcc"])


def test_the_data_are_not_changed():
    data = corpus(TELLING, NOISE)
    before = data.data.copy()
    family_importance(BAYES, data, names=NAMES, n_repeats=1)
    assert_array_equal(data.data, before)


def test_where_speakers_are_unknown_the_limits_are_over_clips():
    table = family_importance(BAYES, corpus(TELLING, groups=None), names=NAMES[:5], n_repeats=2)
    assert table.loc["mfcc", "low"] < table.loc["mfcc", "importance"] < table.loc["mfcc", "high"]


def test_with_one_tested_speaker_there_are_no_limits():
    split = pd.DataFrame({"split": np.where(GROUPS == "s0", "test", "train")})
    table = family_importance(BAYES, corpus(TELLING, frame=split), names=NAMES[:5], protocol="split", n_repeats=2)
    assert table[["low", "high"]].isna().all(axis=None)
    assert table.loc["mfcc", "importance"] > 0.3


def test_speakers_reach_what_asks_for_them():
    Recorder.seen.clear()
    table = family_importance(Recorder(), corpus(TELLING), names=NAMES[:5], n_repeats=1)
    assert sorted({*Recorder.seen[0]}) == ["s1", "s2", "s3", "s4", "s5"]
    assert table.loc["mfcc", "importance"] == 0
    scaled = make_pipeline(SpeakerScaler(), GaussianNB())
    assert family_importance(scaled, corpus(TELLING), names=NAMES[:5], n_repeats=1).loc["mfcc", "importance"] > 0.3


@pytest.fixture(scope="module")
def speech(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    return make_emotional_speech(folder, emotions=EMOTIONS, n_speakers=3, n_repetitions=2, duration=0.5)


def test_features_are_computed_once_and_name_their_families(speech, computed):
    shown = []

    def progress(folds, total):
        shown.append(total)
        return folds

    model = emotion_pipeline(
        "lda", features=AcousticFeatures(("mfcc", "zcr"), regions=("all",), clip_values=("timing",))
    )
    table = family_importance(model, speech, n_repeats=2, progress=progress)
    assert len(computed) == len(speech.data)
    assert shown == [3]
    assert table["n_features"].to_dict() == {"mfcc": 240, "zcr": 12, "timing": 8}


def test_of_altered_copies_folds_train_and_nothing_is_tested(speech, computed):
    table = family_importance(ClipAugmenter(make_pipeline(cheap_mfcc(), GaussianNB()), ["gain"]), speech, n_repeats=1)
    assert len(computed) == 2 * len(speech.data)
    assert table["n_features"].to_dict() == {"mfcc": 20}


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (BAYES, {"names": NAMES}, "names: expected one for each of the 5 columns, got 9"),
        (BAYES, {}, "names: this model does not tell what its columns are called"),
        (make_pipeline(StandardScaler(), BAYES), {}, "names: this model does not tell"),
        (BAYES, {"names": NAMES[:5], "n_repeats": 0}, "n_repeats: expected 1 or more, got 0"),
        (BAYES, {"names": NAMES[:5], "protocol": "ravdess-6"}, "'ravdess-6' needs the 24 actors"),
    ],
)
def test_what_cannot_be_is_refused(model, options, message):
    with pytest.raises(ValueError, match=message):
        family_importance(model, corpus(TELLING), **options)


def test_sequences_are_refused(speech):
    with pytest.raises(
        ValueError, match=r"permuted in vectors; this model learns from float32 data of shape \(18, \d+, 42\)"
    ):
        family_importance(make_pipeline(FrameSequences(("mfcc", "zcr")), GaussianNB()), speech)


def test_clips_that_nothing_turns_into_vectors_are_refused(speech):
    with pytest.raises(ValueError, match="this model learns from <U"):
        family_importance(GaussianNB(), Bunch(**speech | {"data": [str(x) for x in speech.data]}), names=["mfcc_1"])
