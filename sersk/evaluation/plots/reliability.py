"""Probabilities and what was right -> reliability diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .style import DARK, LIGHT, need_figure, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sersk.evaluation.report import EvaluationReport


def plot_reliability(report: EvaluationReport) -> Figure:
    """
    Draw how often the named emotion is right where the model is more or less sure, in ten bins.

    Parameters
    ----------
    report : EvaluationReport
        Of a model that gives probabilities.

    Returns
    -------
    matplotlib.figure.Figure
        Above, accuracy against mean probability, with the diagonal on which both are equal; below, the share of all
        clips that each bin holds.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the model gives no probabilities.

    References
    ----------
    Guo et al. 2017, "On calibration of modern neural networks", arXiv 1706.04599.

    Examples
    --------
    >>> import pandas as pd
    >>> from sersk import EvaluationReport
    >>> from sersk.evaluation.plots import plot_reliability
    >>> table = pd.DataFrame({"emotion": ["sad"], "predicted": ["sad"], "happy": [0.3], "sad": [0.7]})
    >>> figure = plot_reliability(EvaluationReport("loso", "", True, ["happy", "sad"], table))
    >>> figure.axes[0].lines[1].get_xydata().tolist()
    [[0.7, 1.0]]
    """
    bins = report.calibration
    if bins is None:
        raise ValueError("plot_reliability: the model gives no probabilities; take one that has predict_proba.")
    figure = need_figure()(figsize=(4.8, 5.4), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    above.plot([0, 1], [0, 1], color=LIGHT, linestyle="--", label="as often right as it is sure")
    above.plot(bins["probability"], bins["accuracy"], color=DARK, marker="o", label="this model")
    above.set(ylabel="Share that is right", xlim=(0, 1), ylim=(-0.03, 1.03))
    above.set_title(f"Calibration error {report.calibration_error:.3f}")
    above.legend(frameon=False, loc="best")
    shares = bins["clips"] / bins["clips"].sum()
    below.bar(bins.index / 10 + 0.05, shares, width=0.09, color=DARK)
    below.set(xlabel="Probability of the named emotion", ylabel="Share of clips", ylim=(0, max(shares) * 1.1))
    for axes in (above, below):
        tidy(axes)
    return figure
