"""Folds of whole speakers, and how the speakers reach what wants them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_array_equal
from sklearn.ensemble import AdaBoostClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from speakers import Recorder, speaker_matrix

from sersk import ClipAugmenter
from sersk.models import SpeakerCalibratedClassifier, SpeakerSearch, fit_with_speakers, folds, speaker_folds
from sersk.models.folds import count_speakers, hold_out, inner_folds

X, Y, GROUPS = speaker_matrix()


def all_tested(parts):
    return np.sort(np.concatenate([test for _, test in parts]))


@pytest.mark.parametrize(("n_speakers", "n_splits"), [(2, 5), (3, 3), (7, 5), (12, 6)])
def test_every_speaker_is_on_one_side_and_every_clip_is_tested_once(n_speakers, n_splits):
    _, y, groups = speaker_matrix(n_speakers)
    parts = speaker_folds(y, groups, n_splits)
    assert len(parts) == min(n_speakers, n_splits)
    assert_array_equal(all_tested(parts), np.arange(len(y)))
    for train, test in parts:
        assert not set(groups[train]) & set(groups[test])
        assert len(train) + len(test) == len(y)
        assert set(y[train]) == set(y[test]) == set(y)


@pytest.mark.parametrize("groups", [None, np.full(len(Y), "alone")])
def test_without_two_speakers_folds_are_stratified(groups):
    parts = speaker_folds(Y, groups, 4)
    assert len(parts) == 4
    assert_array_equal(all_tested(parts), np.arange(len(Y)))
    for _, test in parts:
        assert_array_equal(np.unique(Y[test], return_counts=True)[1], [6, 6, 6])


def test_the_folds_are_the_same_at_every_call():
    for groups in (GROUPS, None):
        for one, other in zip(speaker_folds(Y, groups), speaker_folds(Y.tolist(), groups), strict=True):
            assert_array_equal(one[0], other[0])
            assert_array_equal(one[1], other[1])


@pytest.mark.parametrize(
    ("y", "groups", "n_folds"),
    [
        pytest.param(["a", "a", "a", "b"], None, 0, id="one-clip"),
        pytest.param(["a", "a", "a", "b", "b"], None, 2, id="two-clips"),
        pytest.param([*"aaabaaab"], [*"sssstttt"], 2, id="of-each-speaker"),
        pytest.param([*"aaabaaaa"], [*"sssstttt"], 2, id="of-one-speaker"),
        pytest.param([*"aabbccdd"], [*"stuvwxyz"], 2, id="fewer-clips-of-each-than-folds"),
        pytest.param([*"abc"], [*"stu"], 0, id="one-clip-of-each"),
    ],
)
def test_rare_emotions_limit_the_folds(y, groups, n_folds):
    parts = speaker_folds(y, groups)
    assert len(parts) == n_folds
    if n_folds:
        assert_array_equal(all_tested(parts), np.arange(len(y)))


def test_inner_folds_leave_enough_to_train_on():
    assert len(inner_folds(Y, GROUPS, 5)) == 5
    # s speaks a only: whoever trains on s alone learns nothing.
    parts = inner_folds([*"aaaaabab"], [*"sssstttt"], 5)
    assert [train.tolist() for train, _ in parts] == [[4, 5, 6, 7]]
    # One clip of each emotion: scikit-learn's LDA, for one, cannot be fitted.
    assert inner_folds([*"abcabc"], [*"sssttt"], 2) == []


@pytest.fixture
def recorded():
    Recorder.seen.clear()
    return Recorder.seen


@pytest.fixture
def given(monkeypatch):
    """Speakers that folds were made of, call by call."""
    calls = []

    def spy(y, groups, n_splits=5):
        calls.append(None if groups is None else set(groups))
        return speaker_folds(y, groups, n_splits)

    monkeypatch.setattr(folds, "speaker_folds", spy)
    return calls


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        lambda model: make_pipeline(StandardScaler(), model),
        lambda model: make_pipeline(StandardScaler(), VotingClassifier([("a", model), ("b", model)])),
        lambda model: make_pipeline(StandardScaler(), make_pipeline(StandardScaler(), model)),
    ],
    ids=["bare", "pipeline", "voting", "nested"],
)
def test_the_speakers_reach_who_asks_for_them(wrap, recorded):
    model = wrap(Recorder())
    assert fit_with_speakers(model, X, Y, GROUPS.tolist()) is model
    assert recorded
    for groups in recorded:
        assert_array_equal(groups, GROUPS)


def test_they_reach_searches_of_scikit_learn_fold_by_fold(recorded):
    search = GridSearchCV(make_pipeline(Recorder()), {"memory": [None]}, cv=GroupKFold(3))
    fit_with_speakers(search, X, Y, GROUPS)
    assert [len(set(groups)) for groups in recorded] == [4, 4, 4, 6]


@pytest.mark.parametrize(
    ("model", "n_calls"),
    [
        (make_pipeline(StandardScaler(), SpeakerCalibratedClassifier(GaussianNB())), 1),
        (
            make_pipeline(
                StandardScaler(),
                VotingClassifier([(k, SpeakerCalibratedClassifier(GaussianNB())) for k in "ab"], voting="soft"),
            ),
            2,
        ),
        (SpeakerSearch(make_pipeline(StandardScaler(), GaussianNB()), {"gaussiannb__var_smoothing": [1e-9, 1.0]}), 1),
        (make_pipeline(StandardScaler(), SpeakerSearch(GaussianNB(), {"var_smoothing": [1e-9, 1.0]})), 1),
    ],
    ids=["calibrated", "voting", "search", "search-in-pipeline"],
)
def test_they_reach_the_folds_of_our_own(model, n_calls, given):
    fit_with_speakers(model, X, Y, GROUPS)
    assert given == [set(GROUPS)] * n_calls
    fit_with_speakers(model, X, Y, None)
    assert given[n_calls:] == [None] * n_calls


class Duck:
    """Has a fit, and nothing of scikit-learn."""

    def fit(self, X, y):
        self.n = len(y)
        return self


@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        make_pipeline(StandardScaler(), LogisticRegression()),
        AdaBoostClassifier(n_estimators=2),
        make_pipeline(StandardScaler(), AdaBoostClassifier(n_estimators=2)),
        Duck(),
    ],
    ids=["plain", "pipeline", "no-routing", "no-routing-inside", "duck"],
)
def test_who_wants_no_speakers_gets_none(model):
    assert fit_with_speakers(model, X, Y, GROUPS) is model
    assert fit_with_speakers(model, X, Y, None) is model


@pytest.mark.parametrize("enabled", [False, True])
def test_the_configuration_is_left_as_it_was(enabled):
    with sklearn.config_context(enable_metadata_routing=enabled):
        before = sklearn.get_config()
        fit_with_speakers(make_pipeline(Recorder()), X, Y, GROUPS)
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            fit_with_speakers(SpeakerCalibratedClassifier(GaussianNB()), X, Y, GROUPS[:3])
        assert sklearn.get_config() == before


def test_the_plain_ways_of_scikit_learn(given):
    pipeline = Pipeline([("scale", StandardScaler()), ("classifier", SpeakerCalibratedClassifier(GaussianNB()))])
    pipeline.fit(X, Y, classifier__groups=GROUPS)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline.fit(X, Y, groups=GROUPS)
    assert given == [set(GROUPS)] * 2


# --- clips of unknown speakers

UNKNOWN = np.where(np.arange(len(Y)) % 5 == 0, "", GROUPS)
NOBODY = np.flatnonzero(UNKNOWN == "")


@pytest.mark.parametrize("unknown", ["", None, np.nan, pd.NA], ids=repr)
def test_clips_of_unknown_speakers_are_on_no_side(unknown):
    groups = np.where(UNKNOWN == "", unknown, UNKNOWN.astype(object))
    parts = speaker_folds(Y, groups, 3)
    assert count_speakers(groups) == 6
    assert len(parts) == 3
    assert_array_equal(all_tested(parts), np.flatnonzero(UNKNOWN != ""))
    for train, test in parts:
        assert not {*GROUPS[train]} & {*GROUPS[test]}
        assert not {*NOBODY} & {*train, *test}


@pytest.mark.parametrize("known", [[], ["alone"]])
def test_without_two_known_speakers_all_clips_are_split(known):
    groups = np.full(len(Y), "", dtype=object)
    groups[: 5 * len(known)] = [*known, ""][0]
    assert count_speakers(groups) == len(known)
    assert_array_equal(all_tested(speaker_folds(Y, groups, 4)), np.arange(len(Y)))


def test_copies_of_clips_of_unknown_speakers_are_on_no_side_of_inner_folds():
    sources = np.r_[np.arange(len(Y)), ~np.arange(len(Y))]
    parts = inner_folds(np.tile(Y, 2), np.tile(UNKNOWN, 2), 3, sources)
    assert len(parts) == 3
    for train, test in parts:
        assert not {*np.r_[NOBODY, NOBODY + len(Y)]} & {*train, *test}
        assert {*train} & {*range(len(Y), 2 * len(Y))}


def test_clips_of_unknown_speakers_train_what_holds_speakers_out():
    train, test = hold_out(Y, UNKNOWN, 0.25)
    assert {*NOBODY} <= {*train}
    assert_array_equal(np.sort(np.r_[train, test]), np.arange(len(Y)))
    assert not {*UNKNOWN[train]} & {*UNKNOWN[test]}


# --- altered copies, shares and weights ---

COPIES = np.tile(np.arange(len(Y)), 5)  # which clip each of the rows behind the clips is a copy of
SOURCES = np.concatenate([np.arange(len(Y)), ~COPIES])


@pytest.mark.parametrize("groups", [GROUPS, np.full(len(Y), "alone"), None], ids=["known", "one", "unknown"])
def test_copies_train_where_their_clip_does_and_are_never_tested(groups):
    clip = np.concatenate([np.arange(len(Y)), COPIES])
    parts = inner_folds(Y[clip], None if groups is None else groups[clip], 4, SOURCES)
    alone = inner_folds(Y, groups, 4)
    assert len(parts) == len(alone)
    for (train, test), (clips, tested) in zip(parts, alone, strict=True):
        assert_array_equal(test, tested)
        assert_array_equal(np.sort(train), np.flatnonzero(np.isin(clip, clips)))


def test_a_copy_whose_clip_is_not_there_is_not_trained_on_beside_its_speaker():
    clip = np.concatenate([np.arange(len(Y)), COPIES])
    kept = np.flatnonzero((SOURCES < 0) | (np.arange(len(SOURCES)) % 2 == 0))  # as halving draws them
    for train, test in inner_folds(Y[clip[kept]], GROUPS[clip[kept]], 3, SOURCES[kept]):
        assert (SOURCES[kept][test] >= 0).all()
        assert not set(GROUPS[clip[kept][train]]) & set(GROUPS[clip[kept][test]])
        assert len(train) + len(test) * 11 == len(kept)


@pytest.mark.parametrize(
    ("n_speakers", "fraction", "n_held"),
    [(10, 0.4, 4), (10, 0.3, 3), (10, 0.2, 2), (10, 0.5, 5), (4, 0.2, 1), (3, 0.5, 1)],
)
def test_speakers_are_held_out_by_their_share_of_the_clips(n_speakers, fraction, n_held):
    _, y, groups = speaker_matrix(n_speakers)
    train, test = hold_out(y, groups, fraction)
    assert len(set(groups[test])) == n_held
    assert not set(groups[train]) & set(groups[test])
    assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(y)))


def test_as_many_emotions_as_can_be_are_left_and_too_few_clips_are_all_trained_on():
    y = np.where((GROUPS == "s0") & (Y == "sad"), "bored", Y)
    for fraction in (0.2, 0.4):
        assert "s0" not in GROUPS[hold_out(y, GROUPS, fraction)[1]]
    train, test = hold_out([*"abc"], [*"stu"], 0.4)
    assert (train.tolist(), test.tolist()) == ([0, 1, 2], [])


def test_of_clips_with_copies_clips_are_held_out():
    clip = np.concatenate([np.arange(len(Y)), COPIES])
    train, test = hold_out(Y[clip], GROUPS[clip], 0.5, SOURCES)
    assert len(test) == len(Y) // 2
    assert (SOURCES[test] >= 0).all()
    assert len(train) == 6 * len(Y) // 2


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: model,
        lambda model: make_pipeline(StandardScaler(), model),
        lambda model: make_pipeline(make_pipeline(StandardScaler(), StandardScaler()), model),
        lambda model: VotingClassifier([("a", make_pipeline(StandardScaler(), model)), ("b", model)], voting="soft"),
        lambda model: GridSearchCV(make_pipeline(StandardScaler(), model), {}, cv=2),
        lambda model: SpeakerSearch(make_pipeline(StandardScaler(), model), {}),
        lambda model: ClipAugmenter(model, ()),
        lambda model: make_pipeline(StandardScaler(), SpeakerCalibratedClassifier(make_pipeline(model))),
    ],
    ids=["bare", "pipeline", "nested", "voting", "scikit-search", "search", "augmenter", "calibrated"],
)
@pytest.mark.parametrize("groups", [None, GROUPS], ids=["unknown", "known"])
def test_weights_reach_the_classifier(wrap, groups):
    """Half of the clips are labelled wrongly; their weights are next to nothing."""
    wrong = np.arange(len(Y)) % 2 == 0
    y = np.where(wrong, np.roll(Y, 4), Y)
    weight = np.where(wrong, 1e-9, 1.0)
    model = fit_with_speakers(wrap(LogisticRegression()), X, y, groups, sample_weight=weight)
    assert (model.predict(X) == Y).mean() > 0.9
    assert (fit_with_speakers(wrap(LogisticRegression()), X, y, groups).predict(X) == Y).mean() < 0.9
    with pytest.raises(TypeError, match="KNeighborsClassifier does not support sample weights"):
        fit_with_speakers(wrap(KNeighborsClassifier()), X, y, groups, sample_weight=weight)


@pytest.mark.parametrize(
    "wrap", [lambda model: model, lambda model: GridSearchCV(model, {}, cv=2)], ids=["bare", "search"]
)
def test_weights_reach_only_the_last_step(wrap):
    weight = np.where(np.arange(len(Y)) % 2 == 0, 1e-9, 1.0)
    model = fit_with_speakers(
        wrap(make_pipeline(StandardScaler(), LogisticRegression())), X, Y, GROUPS, sample_weight=weight
    )
    scaler = getattr(model, "best_estimator_", model)[0]
    np.testing.assert_allclose(scaler.mean_, X.mean(axis=0))


def test_weights_without_routing():
    fit_with_speakers(AdaBoostClassifier(n_estimators=2), X, Y, GROUPS, sample_weight=np.ones(len(Y)))
