"""What the picture of importances shows, read off the figure."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from sersk.evaluation.plots import plot_importance

TABLE = pd.DataFrame(
    {
        "n_features": [24, 480, 8],
        "importance": [-0.01, 0.14, 0.05],
        "std": [0.002, 0.01, 0.004],
        "low": [-0.03, 0.11, 0.02],
        "high": [0.01, 0.17, 0.06],
        "permuted_uar": [0.61, 0.46, 0.55],
    },
    index=pd.Index(["zcr", "mfcc", "a$b$"], name="family"),
)


def drawn(figure):
    """Heights of the dots, and the ends of their bars, from top to bottom."""
    (axes,) = figure.axes
    dots = next(line for line in axes.lines if line.get_marker() == "o")
    order = np.argsort(axes.transData.transform(dots.get_xydata())[:, 1])[::-1]
    bars = np.array([bar[:, 0] for bar in axes.collections[0].get_segments()])
    return dots.get_xdata()[order], bars[order]


def test_the_most_important_family_is_on_top_with_its_limits():
    figure = plot_importance(TABLE, "lda $1$")
    drops, bars = drawn(figure)
    assert_allclose(drops, [0.14, 0.05, -0.01])
    assert_allclose(bars, [[0.11, 0.17], [0.02, 0.06], [-0.03, 0.01]])
    (axes,) = figure.axes
    labels = axes.get_yticklabels()
    assert [label.get_text() for label in labels] == ["mfcc (480)", "a$b$ (8)", "zcr (24)"]
    assert not any(label.get_parse_math() for label in labels)
    assert (figure.get_suptitle(), figure._suptitle.get_parse_math()) == ("lda $1$", False)
    assert [0, 0] in [list(line.get_xdata()) for line in axes.lines]
    assert "95 % limits over speakers" in axes.get_xlabel()
    assert plot_importance(TABLE).get_suptitle() == ""


def test_without_limits_the_bars_are_the_spread_and_the_label_says_so():
    figure = plot_importance(TABLE.assign(low=np.nan, high=np.nan))
    drops, bars = drawn(figure)
    assert_allclose(bars.mean(axis=1), drops)
    assert_allclose(np.diff(bars)[:, 0], [0.04, 0.016, 0.008])
    assert "two standard deviations over the repeats" in figure.axes[0].get_xlabel()


def test_labels_of_many_families_do_not_overlap():
    many = pd.concat([TABLE] * 10)
    figure = plot_importance(many.set_index(pd.Index([f"family_{k}" for k in range(30)])))
    figure.canvas.draw()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert len(boxes) == 30
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[:k])


def test_an_empty_table_is_refused_and_a_missing_library_told(monkeypatch):
    with pytest.raises(ValueError, match="table: expected a row for each family, got none"):
        plot_importance(TABLE[:0])
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'sersk\[plot\]'"):
        plot_importance(TABLE)
