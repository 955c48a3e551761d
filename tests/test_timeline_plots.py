"""What the picture of a timeline shows, read off the figure."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from sersk.timeline_plots import _MOST_COLUMNS, plot_timeline


def table(n=5, hop=1.0, window=3.0, silent=(), chances=True, emotions=("angry", "calm")):
    random = np.random.default_rng(0)
    first = random.uniform(size=n)
    both = np.stack([first, 1 - first], axis=1)
    both[list(silent)] = np.nan
    named = np.where(np.isnan(first), None, np.where(first > 0.5, *emotions)).astype(object)
    named[list(silent)] = None
    starts = np.arange(n) * hop
    columns = {"file": "a.wav", "start": starts, "end": starts + window, "speech": 1.0, "emotion": named}
    if chances:
        columns |= {"probability": both.max(axis=1)} | dict(zip(emotions, both.T, strict=True))
    return pd.DataFrame(columns | {"reason": None, "error": None})


def mesh(figure):
    (found,) = figure.axes[0].collections[:1]
    return np.asarray(found.get_coordinates())[0, :, 0], found.get_array()


def lines(figure):
    return [(*segment[:, 0], segment[0, 1]) for segment in figure.axes[0].collections[-1].get_segments()]


def test_a_row_an_emotion_and_a_column_a_window():
    figure = plot_timeline(table(silent=[2]), title="a $1$ call")
    edges, values = mesh(figure)
    assert edges[::2].tolist() == [0, 2, 3, 4, 5]
    assert edges[1::2].tolist() == [2, 3, 4, 5, 7]
    expected = table(silent=[2])[["angry", "calm"]].to_numpy().T
    np.testing.assert_allclose(np.ma.filled(values[:, ::2], np.nan), expected)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["angry", "calm"]
    assert figure.get_suptitle() == "a $1$ call"
    assert (figure.axes[0].get_xlim(), figure.axes[0].get_xlabel()) == ((0, 7), "Time (s)")


def test_a_line_marks_the_emotion_that_is_named():
    one = table(4)
    one["emotion"] = ["calm", "calm", None, "angry"]
    assert lines(plot_timeline(one)) == [(0, 3, 1), (4, 6, 0)]


def test_a_model_without_probabilities_has_lines_only():
    one = table(4, chances=False)
    one["emotion"] = ["sad", "sad", None, "angry"]
    figure = plot_timeline(one)
    assert lines(figure) == [(0, 3, 1), (4, 6, 0)]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["angry", "sad"]
    assert len(figure.axes) == 1


def test_gaps_between_windows_are_grey():
    edges, values = mesh(plot_timeline(table(3, hop=5.0)))
    assert edges.tolist() == [0, 3, 5, 8, 10, 13]
    assert np.ma.getmaskarray(np.ma.masked_invalid(values))[0].tolist() == [False, True, False, True, False]


@pytest.mark.parametrize(("n", "group"), [(_MOST_COLUMNS, 1), (_MOST_COLUMNS + 1, 2), (5 * _MOST_COLUMNS, 5)])
def test_columns_of_a_long_recording_are_means_of_what_is_spoken(n, group):
    one = table(n, silent=[0, *range(group, 2 * group)])
    edges, values = mesh(plot_timeline(one))
    assert len(edges) == 2 * -(-n // group)
    assert (edges[0], edges[-1]) == (0, n + 2)
    assert values.shape[1] <= 2 * _MOST_COLUMNS
    groups = one["angry"].groupby(np.arange(n) // group).mean()
    np.testing.assert_allclose(np.ma.filled(values[0, ::2], np.nan), groups)
    assert np.isnan(groups[1])


@pytest.mark.parametrize(
    ("seconds", "unit", "labels"),
    [
        (100, "Time (s)", None),
        (130, "Time (min:s)", ["0:00", "0:15", "0:30"]),
        (600, "Time (min:s)", ["0:00", "1:00", "2:00"]),
        (5000, "Time (h:min:s)", ["0:00", "10:00", "20:00", "30:00", "40:00", "50:00", "1:00:00"]),
        (100000, "Time (h:min:s)", ["0:00", "3:00:00", "6:00:00"]),
    ],
)
def test_times_are_written_as_on_a_clock(seconds, unit, labels):
    figure = plot_timeline(table(20, hop=seconds / 20))
    axes = figure.axes[0]
    assert axes.get_xlabel() == unit
    if labels:
        figure.canvas.draw()
        low, high = axes.get_xlim()
        shown = [
            label.get_text()
            for at, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
            if low <= at <= high
        ]
        assert shown[: len(labels)] == labels
        assert len(shown) <= 11


def test_emotions_may_have_the_names_of_columns():
    one = table()
    one.columns = [*one.columns[:6], "start", "emotion", "reason", "error"]
    one.iloc[:, 4] = "emotion"
    figure = plot_timeline(one)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["start", "emotion"]


def test_silence_is_a_picture_too():
    for chances in (True, False):
        figure = plot_timeline(table(3, silent=[0, 1, 2], chances=chances))
        assert lines(figure) == []
        figure.canvas.draw()


def test_what_is_not_one_recording_is_refused():
    two = pd.concat([table(), table().assign(file="b.wav")])
    for wrong, number in ((two, 2), (table().iloc[:0], 0), (table().assign(start=np.nan), 0)):
        with pytest.raises(ValueError, match=f"of one recording, got those of {number}"):
            plot_timeline(wrong)


def test_without_matplotlib_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"pip install 'sersk\[plot\]'"):
        plot_timeline(table())
