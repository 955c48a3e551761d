"""Emotions, predictions and probabilities -> figures, and how far to trust them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import norm, t
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

from sersk.clips import speaker_names

Counts = npt.NDArray[np.float64]
Figures = npt.NDArray[np.float64]
# Numbers that are held at a time while speakers are drawn: 32 MB.
_MOST_DRAWN = 4_000_000


class Interval(NamedTuple):
    """
    Hold the limits of a figure.

    Parameters
    ----------
    low, high : float
        What the figure lies between, for speakers of the kind, with the confidence that was asked for.
    """

    low: float
    high: float


def count_by(
    emotions: npt.ArrayLike, predicted: npt.ArrayLike, groups: npt.ArrayLike, labels: npt.ArrayLike
) -> tuple[npt.NDArray[Any], Counts]:
    """
    Count what is taken for what, for each speaker by himself.

    Parameters
    ----------
    emotions, predicted, groups : array-like of shape (n_clips,)
        What is said, what a model takes it for, and who speaks.
    labels : array-like of shape (n_classes,)
        All emotions.

    Returns
    -------
    speakers : ndarray of shape (n_speakers,)
        In the order of the alphabet.
    counts : ndarray of shape (n_speakers, n_classes, n_classes)
        Confusion matrices, emotions down and predictions across.

    Raises
    ------
    ValueError
        If the lengths differ, or an emotion is none of `labels`.
    """
    check_consistent_length(emotions, predicted, groups)
    names = pd.Index(np.asarray(labels))
    true, said = (names.get_indexer(pd.Index(np.asarray(given))) for given in (emotions, predicted))
    if min(true.min(initial=0), said.min(initial=0)) < 0:
        unknown = sorted({*np.asarray(emotions)[true < 0].tolist(), *np.asarray(predicted)[said < 0].tolist()})
        raise ValueError(f"labels: {', '.join(map(repr, unknown))} are not among {', '.join(map(repr, names))}.")
    speakers, who = np.unique(np.asarray(groups), return_inverse=True)
    counts = np.zeros((len(speakers), len(names), len(names)))
    np.add.at(counts, (who, true, said), 1)
    return speakers, counts


def number_speakers(speakers: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """
    Give speakers numbers to count by; a clip of an unknown one counts by itself.

    Parameters
    ----------
    speakers : array-like of shape (n_clips,)
        Who speaks; None or an empty name where unknown.

    Returns
    -------
    ndarray of shape (n_clips,), int
        From 0 on, in the order of the alphabet, then a number for each unknown one.
    """
    names = pd.Series(np.asarray(speakers), dtype=object)
    codes, known = pd.factorize(names.mask(speaker_names(names) == ""), sort=True)
    return np.where(codes < 0, len(known) + np.arange(len(codes)), codes)


def uar_of(counts: npt.ArrayLike) -> Figures:
    """
    Average the recalls of the emotions there are.

    Parameters
    ----------
    counts : array-like of shape (..., n_classes, n_classes)
        Confusion matrices, emotions down and predictions across.

    Returns
    -------
    ndarray of shape (...)
        Unweighted average recall of each.
    """
    table = np.asarray(counts, dtype=float)
    clips = table.sum(axis=-1)
    recalls = np.diagonal(table, axis1=-2, axis2=-1) / np.maximum(clips, 1)
    averaged: Figures = recalls.sum(axis=-1) / np.maximum((clips > 0).sum(axis=-1), 1)
    return averaged


def wa_of(counts: npt.ArrayLike) -> Figures:
    """
    Give the share of the clips that are right.

    Parameters
    ----------
    counts : array-like of shape (..., n_classes, n_classes)
        Confusion matrices, emotions down and predictions across.

    Returns
    -------
    ndarray of shape (...)
        Weighted accuracy of each.
    """
    table = np.asarray(counts, dtype=float)
    shares: Figures = np.trace(table, axis1=-2, axis2=-1) / np.maximum(table.sum(axis=(-2, -1)), 1)
    return shares


def macro_f1_of(counts: npt.ArrayLike) -> Figures:
    """
    Average the F1 scores of the emotions that are there or were named.

    Parameters
    ----------
    counts : array-like of shape (..., n_classes, n_classes)
        Confusion matrices, emotions down and predictions across.

    Returns
    -------
    ndarray of shape (...)
        Macro F1 of each, as scikit-learn's ``f1_score(average="macro")``.
    """
    table = np.asarray(counts, dtype=float)
    named = table.sum(axis=-1) + table.sum(axis=-2)
    scores = 2 * np.diagonal(table, axis1=-2, axis2=-1) / np.maximum(named, 1)
    averaged: Figures = scores.sum(axis=-1) / np.maximum((named > 0).sum(axis=-1), 1)
    return averaged


def calibration_bins(
    emotions: npt.ArrayLike, probabilities: npt.ArrayLike, labels: npt.ArrayLike, n_bins: int = 10
) -> pd.DataFrame:
    """
    Set the probability of the most probable emotion against how often that is right.

    Parameters
    ----------
    emotions : array-like of shape (n_clips,)
        What is said.
    probabilities : array-like of shape (n_clips, n_classes)
        Columns in the order of `labels`.
    labels : array-like of shape (n_classes,)
        All emotions.
    n_bins : int, default=10
        Bins of equal width from 0 to 1.

    Returns
    -------
    DataFrame of shape (n_filled_bins, 3)
        By the number of the bin: ``probability`` and ``accuracy``, both means, and ``clips``.
    """
    chances = np.asarray(probabilities, dtype=float)
    highest = chances.max(axis=1)
    right = np.asarray(labels)[chances.argmax(axis=1)] == np.asarray(emotions)
    number = np.minimum((highest * n_bins).astype(int), n_bins - 1)
    clips = pd.DataFrame({"probability": highest, "accuracy": right.astype(float), "clips": 1}, index=number)
    return clips.groupby(level=0).agg({"probability": "mean", "accuracy": "mean", "clips": "sum"})


def calibration_error(
    emotions: npt.ArrayLike, probabilities: npt.ArrayLike, labels: npt.ArrayLike, n_bins: int = 10
) -> float:
    """
    Give the expected calibration error: how far the probability of the named emotion is from its accuracy.

    Parameters
    ----------
    emotions : array-like of shape (n_clips,)
        What is said.
    probabilities : array-like of shape (n_clips, n_classes)
        Columns in the order of `labels`.
    labels : array-like of shape (n_classes,)
        All emotions.
    n_bins : int, default=10
        Bins of equal width from 0 to 1.

    Returns
    -------
    float
        The distance in each bin, weighted by its clips.

    References
    ----------
    Naeini et al. 2015, "Obtaining well calibrated probabilities using Bayesian binning", AAAI. Guo et al. 2017, "On
    calibration of modern neural networks", arXiv 1706.04599.
    """
    bins = calibration_bins(emotions, probabilities, labels, n_bins)
    return float(np.average((bins["probability"] - bins["accuracy"]).abs(), weights=bins["clips"]))


def interval_over_speakers(
    figure: Callable[[Counts], Figures],
    counts: npt.ArrayLike,
    *,
    confidence: float = 0.95,
    n_resamples: int = 2000,
    random_state: Any = 0,
) -> Interval:
    """
    Tell how far a figure may be off for other speakers of the kind, by drawing from those there are.

    A speaker's clips are right or wrong together; what is drawn is speakers, therefore, with all their clips. The
    limits are those of the bias-corrected and accelerated bootstrap, at quantiles as far out as Student's t is for so
    few speakers.

    Parameters
    ----------
    figure : callable
        Gives the figure of each of the confusion matrices that the last two axes hold, such as `uar_of`.
    counts : array-like of shape (n_speakers, n_classes, n_classes)
        What `count_by` gives; any of a shape that `figure` takes, such as those of two models side by side.
    confidence : float, default=0.95
        How often such limits hold.
    n_resamples : int, default=2000
        Number of draws.
    random_state : int, RandomState or None, default=0
        Seed.

    Returns
    -------
    Interval
        NaN for fewer than two speakers.

    References
    ----------
    Efron 1987, "Better bootstrap confidence intervals", doi 10.1080/01621459.1987.10478410. Hesterberg 2015, "What
    teachers should know about the bootstrap", doi 10.1080/00031305.2015.1089789, on few of what is drawn.
    """
    table = np.asarray(counts, dtype=float)
    n_speakers = len(table)
    if n_speakers < 2:
        return Interval(np.nan, np.nan)
    total = table.sum(axis=0)
    whole, drawn, without = figure(total), figure(_draw(table, n_resamples, random_state)), figure(total - table)
    below = (np.mean(drawn < whole) + np.mean(drawn <= whole)) / 2
    bias = norm.ppf(np.clip(below, 0.5 / n_resamples, 1 - 0.5 / n_resamples))
    gaps = without.mean() - without
    spread = np.sum(gaps**2)
    acceleration = np.sum(gaps**3) / (6 * spread**1.5) if spread > 0 else 0.0
    tail = np.sqrt(n_speakers / (n_speakers - 1)) * t.ppf((1 - confidence) / 2, n_speakers - 1)
    shifted = bias + np.array([tail, -tail])
    reach = np.maximum(1 - acceleration * shifted, 1e-9)  # beyond: no draw is far enough out
    low, high = np.quantile(drawn, norm.cdf(bias + shifted / reach))
    return Interval(float(low), float(high))


def _draw(table: Counts, n_resamples: int, random_state: Any) -> Counts:
    """Sum up speakers drawn with replacement; a part of the draws at a time, since clips may stand for speakers."""
    n_speakers, random = len(table), check_random_state(random_state)
    uniform, n_at_once = np.full(n_speakers, 1 / n_speakers), max(1, _MOST_DRAWN // n_speakers)
    sizes = [min(n_at_once, n_resamples - start) for start in range(0, n_resamples, n_at_once)]
    draws = (random.multinomial(n_speakers, uniform, size=size).astype(float) for size in sizes)
    return np.concatenate([np.tensordot(draw, table, 1) for draw in draws])
