"""How many speakers are learned from, and who."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils import Bunch
from speakers import speaker_matrix

from sersk.evaluation import evaluate, learning_curve, make_protocol

X, Y, GROUPS = speaker_matrix(n_speakers=9, spread=2.0)
MATRIX = Bunch(data=X, target=Y, groups=GROUPS)
BAYES = make_pipeline(StandardScaler(), GaussianNB())


class Listener(ClassifierMixin, BaseEstimator):
    """Takes the numbers of the clips, and notes which it learns from and which it is tested on."""

    heard: ClassVar[list] = []

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.heard.append([X[:, 0].astype(int)])
        return self

    def predict(self, X):
        self.heard[-1].append(X[:, 0].astype(int))
        return np.repeat(self.classes_[:1], len(X))


@pytest.fixture
def heard():
    Listener.heard.clear()
    return Listener.heard


def numbered(groups=GROUPS, y=Y):
    return Bunch(data=np.arange(len(y), dtype=float)[:, None], target=y, groups=groups)


def test_with_all_speakers_it_is_the_evaluation():
    table = learning_curve(BAYES, MATRIX, sizes=(2, 1.0, 100))
    assert table.columns.tolist() == ["speakers", "clips", "uar", "uar_std", "draws"]
    assert table["speakers"].tolist() == [2, 8, 8]
    assert table["clips"].tolist() == [24, 96, 96]
    assert table["draws"].tolist() == [3, 1, 1]
    assert table["uar"].tolist()[1:] == [evaluate(BAYES, MATRIX).uar] * 2
    assert table["uar"][0] < table["uar"][1]
    assert table["uar_std"].notna().tolist() == [True, False, False]


def test_whole_speakers_are_drawn_and_the_few_are_among_the_many(heard):
    learning_curve(Listener(), numbered(), sizes=(0.25, 0.5, 1.0), n_draws=2)
    tests = [test for _, test in make_protocol(MATRIX).folds]
    assert len(heard) == 9 * (3 + 2), "with all speakers, every draw is the same"
    for number, (learned, tested) in enumerate(heard):
        assert_array_equal(tested, tests[number % 9])
        speakers = set(GROUPS[learned])
        assert len(speakers) == (2, 4, 8, 2, 4)[number // 9]
        assert_array_equal(learned, np.flatnonzero(np.isin(GROUPS, [*speakers])))
        assert not speakers & set(GROUPS[tested])
    by_draw = [[set(GROUPS[learned]) for learned, _ in heard[start : start + 9]] for start in range(0, 45, 9)]
    for fold in range(9):
        assert by_draw[0][fold] < by_draw[1][fold] < by_draw[2][fold]
        assert by_draw[3][fold] < by_draw[4][fold]
    assert by_draw[0] != by_draw[3], "another draw has others"


def test_a_seed_draws_the_same_again():
    first, again, other = (learning_curve(BAYES, MATRIX, sizes=(2,), random_state=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(first, again)
    assert first["uar"][0] != other["uar"][0]


def test_who_is_drawn_has_all_emotions_even_if_it_takes_more(heard):
    # Eight speakers are happy and sad, one each; s8 alone is angry, too.
    y = np.where(np.isin(GROUPS, ["s0", "s1", "s2", "s3"]), "happy", "sad")
    y = np.where((GROUPS == "s8") & (Y == "angry"), "angry", y)
    table = learning_curve(Listener(), numbered(y=y), sizes=(1, 0.5), n_draws=4)
    for learned, tested in heard:
        known = set(y[np.isin(GROUPS, [*set(GROUPS) - set(GROUPS[tested])])])
        assert set(y[learned]) == known
    assert 2 <= table["speakers"][0] <= 3
    assert table["speakers"][1] == 4


def test_features_are_computed_once():
    counts = []

    def count(X):
        counts.append(len(X))
        return X

    pipeline = make_pipeline(FunctionTransformer(count), GaussianNB())
    done = []
    table = learning_curve(pipeline, MATRIX, sizes=(2, 4), progress=lambda folds, total: done.append(total) or folds)
    assert counts == [len(X)]
    assert done == [2 * 3 * 9]
    assert len(table) == 2


@pytest.mark.parametrize("size", [0, 0.0, 1.5, -1, -0.5, np.int64(0)])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match=r"sizes: expected shares above 0 up to 1\.0, or whole numbers of"):
        learning_curve(BAYES, MATRIX, sizes=(1.0, size))


def test_clips_of_unknown_speakers_are_drawn_for_nobody(heard):
    groups = np.where(np.arange(len(Y)) % 6 == 1, "", GROUPS)
    corpora = pd.DataFrame({"corpus": np.where(np.isin(GROUPS, ["s0", "s1"]), "a", "b")})
    table = learning_curve(Listener(), Bunch(**numbered(groups), frame=corpora), sizes=(1, 1.0), n_draws=1)
    assert table["speakers"].tolist() == [1, 8]
    for trained, _ in heard:
        assert not (groups[trained] == "").any()


@pytest.mark.parametrize("groups", [None, np.repeat("s", len(Y))], ids=["unknown", "one"])
def test_without_speakers_to_keep_apart_there_is_no_curve(groups):
    with pytest.raises(ValueError, match="A learning curve needs known speakers, and folds of unseen ones; these"):
        learning_curve(BAYES, numbered(groups))
