"""What the pictures of an evaluation show, and that all of it can be read."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from evaluations import EIGHT, made_up
from numpy.testing import assert_allclose, assert_array_equal

from sersk.evaluation.plots import plot_by, plot_confusion, plot_learning_curve, plot_reliability
from sersk.evaluation.plots.style import fit_name, ink_on

CURVE = pd.DataFrame(
    {"speakers": [2.0, 5.0, 10.0, 20.0], "uar": [0.35, 0.5, 0.57, 0.62], "uar_std": [0.1, 0.1, 0, None]}
)
LONG = ("a name that is longer than any emotion's", "pleasant surprise", "sad", "$x^2$")


def boxes(figure, *texts):
    """Lay a figure out, and give where its texts are."""
    figure.draw_without_rendering()
    return [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]


def texts_of(axes):
    """What stands at and above the axes; ticks out of view have labels, too, which are not drawn."""
    texts = [axes.xaxis.label, axes.yaxis.label, axes.title]
    for axis, (low, high) in [(axes.xaxis, axes.get_xlim()), (axes.yaxis, sorted(axes.get_ylim()))]:
        texts += [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return texts


def assert_readable(figure):
    """No text is on another, and none is cut off."""
    figure.draw_without_rendering()
    texts = [text for axes in figure.axes for text in texts_of(axes)]
    found = boxes(figure, *texts, *(text for legend in figure.legends for text in legend.get_texts()))
    assert len(found) > 4
    for one, other in itertools.combinations(found, 2):
        assert not one.overlaps(other)
    for box in found:
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.width
        assert box.y1 <= figure.bbox.height


def contrast(one, other):
    def luminance(colour):
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
        return np.dot([0.2126, 0.7152, 0.0722], linear)

    lighter, darker = sorted([luminance(one), luminance(other)], reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("labels", [("happy", "sad"), EIGHT, (*EIGHT, "bored"), LONG], ids=["2", "8", "9", "long"])
def test_the_confusion_matrix_can_be_read(labels):
    from matplotlib.colors import to_rgb

    report = made_up(labels=labels, never=labels[-1:] if len(labels) == 9 else ())
    figure = plot_confusion(report)
    (axes,) = figure.axes
    assert_readable(figure)
    (image,) = axes.images
    for text in axes.texts:
        column, row = (round(place) for place in text.get_position())
        assert contrast(to_rgb(text.get_color()), image.to_rgba(image.get_array())[row, column]) >= 4.5
    cells = boxes(figure, *axes.texts)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(cells, 2))


def test_the_confusion_matrix_tells_shares_and_clips():
    report = made_up(labels=("happy", "neutral", "sad"), never=("neutral",))
    axes = plot_confusion(report).axes[0]
    counts = report.confusion.to_numpy()
    shares = counts / counts.sum(axis=1, keepdims=True).clip(1)
    assert_allclose(axes.images[0].get_array().filled(np.nan), np.where(counts.sum(axis=1) > 0, shares.T, np.nan).T)
    told = {}
    for text in axes.texts:
        column, row = (round(place) for place in text.get_position())
        told.setdefault((row, column), []).append(text.get_text())
    assert told[0, 0] == [f"{shares[0, 0]:.2f}", str(counts[0, 0])]
    assert told[1, 0] == ["\N{EN DASH}"], "never tested"
    sure = made_up(labels=("happy", "sad"), n_clips=6)
    sure.predictions["predicted"] = sure.predictions["emotion"]
    assert [text.get_text() for text in plot_confusion(sure).axes[0].texts].count("0") == 2


@pytest.mark.parametrize("share", np.linspace(0, 1, 21))
def test_ink_can_be_read_on_any_paper(share):
    paper = (share, share, share)
    assert contrast((0, 0, 0) if ink_on(paper) == "black" else (1, 1, 1), paper) >= 4.5


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("sad", "sad"),
        ("a\nb\x1b\udc80", "a\N{REPLACEMENT CHARACTER}b" + 2 * "\N{REPLACEMENT CHARACTER}"),
        ("costs $5 or $6", r"costs \$5 or \$6"),
        ("abcdefghijklmnopqrstu", "abcdefghij\N{HORIZONTAL ELLIPSIS}mnopqrstu"),
        ("x" * 20, "x" * 20),
        (7, "7"),
    ],
)
def test_names_stand_in_one_line_and_are_no_formulas(name, shown):
    assert fit_name(name) == shown


def test_reliability_is_that_of_the_bins():
    report = made_up()
    above, below = plot_reliability(report).axes
    bins = report.calibration
    diagonal, model = above.lines
    assert_array_equal(diagonal.get_xydata(), [[0, 0], [1, 1]])
    assert_array_equal(model.get_xydata(), bins[["probability", "accuracy"]])
    assert_allclose([bar.get_height() for bar in below.patches], bins["clips"] / 480)
    assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in below.patches], bins.index / 10 + 0.05)
    assert f"{report.calibration_error:.3f}" in above.get_title()
    assert_readable(plot_reliability(report))
    with pytest.raises(ValueError, match="the model gives no probabilities"):
        plot_reliability(made_up(probabilities=False))


@pytest.mark.parametrize("n_speakers", [1, 2, 24, 100, 400])
def test_speakers_can_be_read_however_many(n_speakers):
    report = made_up(n_speakers, n_clips=max(480, 4 * n_speakers))
    figure = plot_by(report)
    (axes,) = figure.axes
    assert_readable(figure)
    dots = next(line for line in axes.lines if line.get_marker() == "o")
    assert_array_equal(dots.get_xdata(), np.sort(report.by("speaker")["uar"]))
    table = report.by("speaker")
    for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True):
        name, clips = label.get_text()[:-1].split(" (")
        assert table.loc[name, "uar"] == dots.get_xdata()[place]
        assert table.loc[name, "clips"] == int(clips)
    assert len(axes.get_yticks()) == n_speakers or 22 < len(axes.get_yticks()) <= 45


def test_the_overall_figure_and_its_interval_are_drawn():
    report = made_up()
    figure = plot_by(report, "gender")
    (axes,) = figure.axes
    overall = next(line for line in axes.lines if line.get_linestyle() == "--")
    assert set(overall.get_xdata()) == {report.uar}
    told = [text.get_text() for text in figure.legends[0].get_texts()]
    assert told == ["95 % interval", f"all clips: {report.uar:.3f}"]
    (band,) = axes.patches
    low, high = report.intervals()["uar"]
    assert_allclose(band.get_extents().transformed(axes.transData.inverted()).intervalx, [low, high])
    assert axes.get_xlabel() == "UAR of each gender"
    assert not plot_by(made_up(n_speakers=1)).axes[0].patches, "one speaker tells no interval"
    with pytest.raises(ValueError, match="nothing is known of the statement"):
        plot_by(report, "statement")


def test_a_learning_curve_shows_the_spread_of_its_draws():
    figure = plot_learning_curve(CURVE)
    (axes,) = figure.axes
    assert_readable(figure)
    assert_array_equal(axes.lines[0].get_xydata(), CURVE[["speakers", "uar"]])
    ends = axes.collections[0].get_segments()
    assert_allclose(ends[0], [[2, 0.25], [2, 0.45]])
    assert [text.get_text() for text in axes.texts] == ["0.35", "0.50", "0.57", "0.62"]
    assert all(float(place).is_integer() for place in axes.get_xticks())


PLOTS = {
    "confusion": lambda: plot_confusion(made_up()),
    "reliability": lambda: plot_reliability(made_up()),
    "by": lambda: plot_by(made_up()),
    "learning": lambda: plot_learning_curve(CURVE),
}


@pytest.mark.parametrize("name", PLOTS)
def test_without_matplotlib_the_cure_is_told(name, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"Plots need matplotlib: pip install 'sersk\[plot\]'"):
        PLOTS[name]()


@pytest.mark.parametrize("name", PLOTS)
def test_pictures_need_no_colour(name, tmp_path):
    """Every colour that is used is told from white, or is a pale ground for what lies on it."""
    from matplotlib.colors import to_rgb

    figure = PLOTS[name]()
    for line in (line for axes in figure.axes for line in axes.lines):
        assert contrast(to_rgb(line.get_color()), (1, 1, 1)) > 2.5
    styles = [(line.get_linestyle(), line.get_marker()) for line in figure.axes[0].lines if line.get_marker() != "_"]
    assert len(set(styles)) == len(styles)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(tmp_path / "picture.png", dpi=150)
