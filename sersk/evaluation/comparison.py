"""Predictions of several models for the same clips -> which is better, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest, friedmanchisquare, studentized_range

from .metrics import Counts, Figures, Interval, count_by, interval_over_speakers, number_speakers, uar_of
from .report import EvaluationReport


@dataclass(frozen=True)
class Comparison:
    """
    Hold what two models differ by on the same clips.

    Parameters
    ----------
    difference : float
        UAR of the first less that of the second.
    interval : Interval
        Limits of the difference for speakers of the kind; if 0 is not between them, one model is better.
    only_first, only_second : int
        Clips that one of them has right and the other has not.
    p_value : float
        Of McNemar's exact test: how probable so unequal numbers are if neither is the better one. It takes clips for
        independent, which those of one speaker are not: trust the interval first.

    See Also
    --------
    compare : Makes one.
    """

    difference: float
    interval: Interval
    only_first: int
    only_second: int
    p_value: float


def compare(first: EvaluationReport, second: EvaluationReport, *, confidence: float = 0.95) -> Comparison:
    """
    Compare two models clip by clip.

    Parameters
    ----------
    first, second : EvaluationReport
        Of the same clips.
    confidence : float, default=0.95
        Of the interval.

    Returns
    -------
    Comparison
        Difference of UAR with its interval over speakers, and McNemar's test.

    Raises
    ------
    ValueError
        If the clips are not the same.

    References
    ----------
    McNemar 1947, doi 10.1007/BF02295996. Bisani & Ney 2004, "Bootstrap estimates for confidence intervals in ASR
    performance evaluation", doi 10.1109/ICASSP.2004.1326009.
    """
    tables = [report.predictions for report in (first, second)]
    same = ["file", "emotion"]
    if not tables[0][same].equals(tables[1][same]):
        raise ValueError("The two reports are of different clips, or in another order: nothing can be paired.")
    emotions, labels = tables[0]["emotion"], np.union1d(first.labels, second.labels)
    groups = number_speakers(tables[0]["speaker"])
    pairs = np.stack([count_by(emotions, table["predicted"], groups, labels)[1] for table in tables], axis=1)
    right = [(table["predicted"] == emotions).to_numpy() for table in tables]
    only_first, only_second = (int((right[k] & ~right[1 - k]).sum()) for k in (0, 1))
    n_unlike = only_first + only_second
    return Comparison(
        difference=float(uar_difference(pairs.sum(axis=0))),
        interval=interval_over_speakers(uar_difference, pairs, confidence=confidence),
        only_first=only_first,
        only_second=only_second,
        p_value=float(binomtest(only_first, n_unlike).pvalue) if n_unlike else 1.0,
    )


def uar_difference(pairs: Counts) -> Figures:
    """
    Give the UAR of the first of two models less that of the second.

    Parameters
    ----------
    pairs : ndarray of shape (..., 2, n_classes, n_classes)
        Confusion matrices of the two, emotions down and predictions across.

    Returns
    -------
    ndarray of shape (...)
        Differences.
    """
    figures = uar_of(pairs)
    difference: Figures = figures[..., 0] - figures[..., 1]
    return difference


@dataclass(frozen=True)
class Ranking:
    """
    Hold how models rank over several corpora.

    Parameters
    ----------
    ranks : Series of length n_models
        Mean rank of each, 1 being the best.
    p_value : float
        Of Friedman's test: how probable such ranks are if all models are alike.
    critical_difference : float
        Mean ranks that are further apart than this differ at the 5 % level, by Nemenyi's test.
    p_values : DataFrame of shape (n_models, n_models)
        Of Nemenyi's test, for every pair.

    See Also
    --------
    rank_models : Makes one.
    """

    ranks: pd.Series[float]
    p_value: float
    critical_difference: float
    p_values: pd.DataFrame


def rank_models(scores: pd.DataFrame) -> Ranking:
    """
    Rank models over several corpora: Friedman's test, then Nemenyi's.

    Parameters
    ----------
    scores : DataFrame of shape (n_corpora, n_models)
        A figure such as UAR, the higher the better.

    Returns
    -------
    Ranking
        Mean ranks and how sure they are.

    Raises
    ------
    ValueError
        If there are fewer than two corpora or three models, or a figure is missing.

    References
    ----------
    Demsar 2006, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 1-30.
    """
    n_corpora, n_models = scores.shape
    if n_corpora < 2 or n_models < 3:
        raise ValueError(f"Expected two corpora and three models at the least, got {n_corpora} and {n_models}.")
    if scores.isna().any(axis=None):
        raise ValueError("There are figures missing; leave out the corpora, or the models, that lack them.")
    ranks = scores.rank(axis=1, ascending=False).mean()
    unit = np.sqrt(n_models * (n_models + 1) / (6 * n_corpora))  # standard error of a difference of mean ranks
    apart = np.abs(np.subtract.outer(ranks.to_numpy(), ranks.to_numpy())) / unit
    p_values: npt.NDArray[np.float64] = studentized_range.sf(apart * np.sqrt(2), n_models, np.inf)
    return Ranking(
        ranks=ranks,
        p_value=float(friedmanchisquare(*scores.to_numpy().T).pvalue),
        critical_difference=float(studentized_range.ppf(0.95, n_models, np.inf) / np.sqrt(2) * unit),
        p_values=pd.DataFrame(p_values, index=scores.columns, columns=scores.columns),
    )
