"""Models are compared on the same clips, and what is sure about it is told."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import rankdata

from sersk.evaluation import EvaluationReport
from sersk.evaluation.comparison import compare, rank_models
from sersk.evaluation.metrics import count_by, interval_over_speakers, number_speakers, uar_of

LABELS = np.array(["angry", "happy", "sad"])
N = 300
TRUTH = LABELS[np.arange(N) % 3]
SPEAKERS = np.array([f"s{k // 15:02}" for k in range(N)])


def report(share_right, seed, speakers=SPEAKERS):
    """Predictions of which so many are right."""
    random = np.random.RandomState(seed)
    wrong = LABELS[(np.arange(N) + 1) % 3]
    predicted = np.where(random.rand(N) < share_right, TRUTH, wrong)
    table = {"file": np.arange(N), "speaker": speakers, "fold": 1, "emotion": TRUTH, "predicted": predicted}
    return EvaluationReport("loso", "leave one speaker out", True, LABELS, pd.DataFrame(table))


def test_mcnemars_test_is_the_binomial_one_of_clips_that_differ():
    good, bad = report(0.9, 0), report(0.6, 1)
    found = compare(good, bad)
    right = [(one.predictions["predicted"] == one.predictions["emotion"]).to_numpy() for one in (good, bad)]
    b, c = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    assert (found.only_first, found.only_second) == (b, c)
    tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1)) / 2 ** (b + c)
    assert_allclose(found.p_value, min(1.0, 2 * tail), rtol=1e-9)
    assert found.difference == pytest.approx(good.uar - bad.uar)
    assert 0 < found.interval.low < found.difference < found.interval.high


def test_the_other_way_round_everything_is_reversed():
    one, other = compare(report(0.8, 0), report(0.7, 1)), compare(report(0.7, 1), report(0.8, 0))
    assert (one.only_first, one.only_second, one.p_value) == (other.only_second, other.only_first, other.p_value)
    assert one.difference == pytest.approx(-other.difference)
    assert_allclose(one.interval, [-other.interval.high, -other.interval.low], atol=0.02)


def test_pairs_are_drawn_together():
    """Two models that fail on the same speakers differ more surely than they are known."""
    good = report(0.9, 0)
    table = good.predictions.copy()
    hard = np.isin(SPEAKERS, np.unique(SPEAKERS)[:10])
    table.loc[hard, "predicted"] = "angry"
    harder = EvaluationReport("loso", "", True, LABELS, table)
    worse = table.copy()
    worse.loc[np.arange(N) % 15 == 4, "predicted"] = "sad"  # one clip of every speaker
    found = compare(harder, EvaluationReport("loso", "", True, LABELS, worse))
    alone = interval_over_speakers(uar_of, count_by(TRUTH, table["predicted"], SPEAKERS, LABELS)[1])
    assert found.interval.high - found.interval.low < (alone.high - alone.low) / 2


def test_equal_models_do_not_differ():
    found = compare(report(0.8, 0), report(0.8, 0))
    assert (found.difference, found.interval, found.p_value) == (0.0, (0.0, 0.0), 1.0)


def test_where_speakers_are_unknown_clips_are_drawn():
    nobody = np.full(N, None)
    assert compare(report(0.9, 0, nobody), report(0.6, 1, nobody)).interval.low > 0


def test_a_clip_of_an_unknown_speaker_is_drawn_by_itself():
    some = np.where(np.arange(N) % 7 == 0, None, SPEAKERS)
    found = compare(report(0.9, 0, some), report(0.6, 1, some))
    by_hand = np.where(np.arange(N) % 7 == 0, [f"z{k:04d}" for k in range(N)], SPEAKERS)
    assert found == compare(report(0.9, 0, by_hand), report(0.6, 1, by_hand))
    assert_array_equal(number_speakers(["b", "", None, "a", "b"]), [1, 3, 4, 0, 1])


def test_other_clips_are_refused():
    other = report(0.9, 0)
    other.predictions["file"] += 1
    with pytest.raises(ValueError, match="different clips"):
        compare(report(0.9, 0), other)


def test_models_are_ranked_over_corpora():
    random = np.random.RandomState(0)
    scores = pd.DataFrame(random.rand(14, 4).round(1) + np.array([0.0, 0.5, 0.1, 0.6]), columns=[*"abcd"])
    found = rank_models(scores)
    expected = np.mean([rankdata(-row) for row in scores.to_numpy()], axis=0)  # with ties in between
    assert_allclose(found.ranks, expected)
    assert [*found.ranks.index] == [*found.p_values.index] == [*found.p_values.columns] == [*"abcd"]
    assert found.ranks.sum() == pytest.approx(1 + 2 + 3 + 4)
    # 2.569 is the value for four models at 5 % in table 5(a) of Demsar 2006.
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), abs=1e-3)
    assert found.p_value < 0.01
    assert_allclose(np.diag(found.p_values), 1.0)
    beyond = np.abs(np.subtract.outer(expected, expected)) > found.critical_difference
    assert 0 < beyond.sum() < 12
    assert ((found.p_values < 0.05).to_numpy() == beyond).all()


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (pd.DataFrame({"a": [1, 2], "b": [1, 2]}), "three models at the least, got 2 and 2"),
        (pd.DataFrame({"a": [1], "b": [1], "c": [2]}), "got 1 and 3"),
        (pd.DataFrame({"a": [1, 2], "b": [1, None], "c": [2, 3]}), "figures missing"),
    ],
    ids=["two-models", "one-corpus", "missing"],
)
def test_what_cannot_be_ranked_is_refused(scores, message):
    with pytest.raises(ValueError, match=message):
        rank_models(scores)
