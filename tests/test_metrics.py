"""Figures are scikit-learn's, and hold for other speakers as often as they say."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import bootstrap, norm, t
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score

from sersk.evaluation.metrics import (
    calibration_bins,
    calibration_error,
    count_by,
    interval_over_speakers,
    macro_f1_of,
    uar_of,
    wa_of,
)

LABELS = np.array(["sad", "angry", "happy"])  # not in the order of the alphabet
RANDOM = np.random.RandomState(0)
TRUTH, SAID = LABELS[RANDOM.randint(3, size=200)], LABELS[RANDOM.randint(3, size=200)]
SPEAKERS = RANDOM.choice(["ann", "bob", "eve", "joe"], size=200)
CHANCES = RANDOM.dirichlet([0.4, 0.4, 0.4], size=200)


def test_counts_are_the_confusion_matrices_of_speakers():
    speakers, counts = count_by(TRUTH, SAID, SPEAKERS, LABELS)
    assert speakers.tolist() == ["ann", "bob", "eve", "joe"]
    for speaker, of_speaker in zip(speakers, counts, strict=True):
        his = speaker == SPEAKERS
        assert_array_equal(of_speaker, confusion_matrix(TRUTH[his], SAID[his], labels=LABELS))


def test_an_emotion_that_is_not_named_is_refused():
    with pytest.raises(ValueError, match="labels: 'happy' are not among 'angry', 'sad'"):
        count_by(["happy", "sad"], ["sad", "sad"], [1, 1], ["angry", "sad"])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        count_by(["sad"], ["sad", "sad"], [1, 1], ["sad"])


@pytest.mark.parametrize("missing", [None, "happy"])
def test_figures_are_scikit_learns(missing):
    there = missing != TRUTH
    truth, said = TRUTH[there], SAID[there]
    _, counts = count_by(truth, said, SPEAKERS[there], LABELS)
    whole = counts.sum(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an emotion that is predicted only
        assert_allclose(uar_of(whole), balanced_accuracy_score(truth, said), rtol=1e-12)
    assert_allclose(wa_of(whole), accuracy_score(truth, said), rtol=1e-12)
    assert_allclose(macro_f1_of(whole), f1_score(truth, said, average="macro"), rtol=1e-12)
    for figure in (uar_of, wa_of, macro_f1_of):
        assert_allclose(figure(counts), [figure(one) for one in counts])


def test_calibration_error_is_the_mean_distance_over_the_bins():
    expected, n_bins = 0.0, 10
    for number in range(n_bins):
        inside = [k for k, chances in enumerate(CHANCES) if number <= max(chances) * n_bins < number + 1]
        if inside:
            probability = sum(max(CHANCES[k]) for k in inside) / len(inside)
            accuracy = sum(LABELS[list(CHANCES[k]).index(max(CHANCES[k]))] == TRUTH[k] for k in inside) / len(inside)
            expected += abs(probability - accuracy) * len(inside) / len(CHANCES)
    assert_allclose(calibration_error(TRUTH, CHANCES, LABELS), expected, rtol=1e-12)
    bins = calibration_bins(TRUTH, CHANCES, LABELS)
    assert bins["clips"].sum() == 200
    assert bins.index.min() >= 3, "the most probable of three has a third at the least"


def test_who_is_sure_and_right_is_calibrated():
    sure = np.eye(3)[[0, 1, 2, 0]]
    assert calibration_error(LABELS[[0, 1, 2, 0]], sure, LABELS) == 0
    assert calibration_error(LABELS[[1, 1, 2, 0]], sure, LABELS) == pytest.approx(0.25)


def draw_speakers(n_speakers, n_clips, random):
    """Confusion matrices of speakers who are understood more or less well, in each emotion more or less well."""
    skill = np.array([-0.2, 0.5, 1.2]) + random.normal(size=(n_speakers, 1)) + random.normal(0, 0.5, (n_speakers, 3))
    right = random.binomial(n_clips, 1 / (1 + np.exp(-skill)))
    counts = np.zeros((n_speakers, 3, 3))
    for emotion in range(3):
        counts[:, emotion, emotion] = right[:, emotion]
        counts[:, emotion, emotion - 1] = n_clips - right[:, emotion]
    return counts


@pytest.mark.parametrize(("n_speakers", "n_clips"), [(6, 20), (24, 8), (91, 12)])
def test_intervals_hold_as_often_as_they_say(n_speakers, n_clips):
    random = np.random.RandomState(0)
    truth = uar_of(draw_speakers(200_000, n_clips, random).sum(axis=0))
    intervals = [
        interval_over_speakers(uar_of, draw_speakers(n_speakers, n_clips, random), n_resamples=500, random_state=random)
        for _ in range(400)
    ]
    held = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.92 <= held <= 0.98


@pytest.mark.parametrize("sign", [1, -1], ids=["right", "left"])
def test_intervals_are_corrected_for_bias_and_skew_as_scipys_are(sign):
    """The deviation of skewed values is biased; scipy has normal quantiles, so it is asked for those as far out."""
    n_speakers, n_resamples = 8, 60_000
    values = sign * np.random.RandomState(1).lognormal(0, 1.0, n_speakers)

    def deviation(sums):
        total, squares, number = np.moveaxis(sums, -1, 0)
        return sign * np.sqrt(squares / number - np.square(total / number))

    def reference(sample, axis=-1):
        return sign * np.std(sample, axis=axis)

    sums = np.stack([values, np.square(values), np.ones(n_speakers)], axis=1)
    interval = interval_over_speakers(deviation, sums, n_resamples=n_resamples)
    out = np.sqrt(n_speakers / (n_speakers - 1)) * t.ppf(0.025, n_speakers - 1)
    options = {"confidence_level": 1 - 2 * norm.cdf(out), "n_resamples": n_resamples, "random_state": 0}
    bca, plain = (
        bootstrap((values,), reference, method=method, **options).confidence_interval
        for method in ("BCa", "percentile")
    )
    width = bca.high - bca.low
    assert_allclose(interval, bca, atol=0.02 * width)
    assert max(abs(plain.low - bca.low), abs(plain.high - bca.high)) > 0.08 * width, "the correction shows"


def test_an_interval_is_around_its_figure_and_drawn_the_same_again():
    _, counts = count_by(TRUTH, SAID, np.arange(200) % 40, LABELS)
    interval = interval_over_speakers(uar_of, counts)
    assert interval == interval_over_speakers(uar_of, counts) != interval_over_speakers(uar_of, counts, random_state=1)
    assert interval.low < uar_of(counts.sum(axis=0)) < interval.high
    narrow = interval_over_speakers(uar_of, counts, confidence=0.5)
    assert interval.low < narrow.low < narrow.high < interval.high


def test_speakers_are_drawn_in_portions_as_they_are_at_once(monkeypatch):
    _, counts = count_by(TRUTH, SAID, np.arange(200) % 40, LABELS)
    at_once = interval_over_speakers(uar_of, counts, n_resamples=100)
    monkeypatch.setattr("sersk.evaluation.metrics._MOST_DRAWN", 280)
    assert interval_over_speakers(uar_of, counts, n_resamples=100) == at_once
    monkeypatch.setattr("sersk.evaluation.metrics._MOST_DRAWN", 1)
    assert interval_over_speakers(uar_of, counts, n_resamples=100) == at_once


@pytest.mark.parametrize(
    ("n_speakers", "expected"), [(0, (np.nan, np.nan)), (1, (np.nan, np.nan)), (2, (1.0, 1.0))], ids=str
)
def test_few_speakers(n_speakers, expected):
    assert_array_equal(interval_over_speakers(uar_of, np.repeat([np.eye(3)], n_speakers, axis=0)), expected)
