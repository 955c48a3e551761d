"""What the pictures show, read off the figures, and that they are drawn without a screen."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from sersk.degradation import CLEAN, Condition
from sersk.evaluation import EvaluationReport, RobustnessReport
from sersk.evaluation.plots import plot_history, plot_robustness

HISTORY = {
    "loss": [1.4, 0.9, 0.7, 0.6],
    "accuracy": [0.3, 0.5, 0.7, 0.8],
    "val_loss": [1.5, 1.1, 1.2, np.nan],
    "val_accuracy": [0.2, 0.5, 0.4, 0.5],
    "learning_rate": [1e-3] * 4,
}


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def test_the_lines_are_the_history():
    figure = plot_history(HISTORY, "lstm", best_epoch=1)
    loss, accuracy = figure.axes
    for axes, name in [(loss, "loss"), (accuracy, "accuracy")]:
        drawn = lines(axes)
        assert list(drawn) == ["training", "validation", "kept: epoch 2"]
        for label, key in [("training", name), ("validation", f"val_{name}")]:
            assert_array_equal(drawn[label].get_xdata(), [1, 2, 3, 4])
            assert_array_equal(drawn[label].get_ydata(), HISTORY[key])
        assert_array_equal(drawn["kept: epoch 2"].get_xdata(), [2, 2])
        assert axes.get_xlabel() == "Epoch"
        assert axes.get_xlim() == (1, 4)
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("Loss", "Accuracy")
    assert loss.get_ylim()[0] == 0
    assert loss.get_ylim()[1] > 1.5
    assert accuracy.get_ylim() == (0, 1.02)
    assert figure.get_suptitle() == "lstm"
    assert [text.get_text() for text in loss.get_legend().get_texts()] == list(lines(loss))


def test_training_and_validation_are_told_apart_in_grey_and_in_black_and_white():
    training, validation, _ = lines(plot_history(HISTORY, best_epoch=0).axes[0]).values()
    greys = [
        np.dot([0.299, 0.587, 0.114], [int(line.get_color()[at : at + 2], 16) / 255 for at in (1, 3, 5)])
        for line in (training, validation)
    ]
    assert greys[1] - greys[0] > 0.3
    assert training.get_linestyle() != validation.get_linestyle()


def test_what_is_not_known_is_not_drawn():
    figure = plot_history({"loss": [2.0, 1.0]})
    (axes,) = figure.axes
    assert list(lines(axes)) == ["training"]
    assert figure.get_suptitle() == ""
    assert plot_history(HISTORY).get_size_inches()[0] == 2 * figure.get_size_inches()[0]


def test_a_single_epoch_can_be_seen(tmp_path):
    figure = plot_history({name: values[:1] for name, values in HISTORY.items()}, best_epoch=0)
    assert {line.get_marker() for line in figure.axes[0].lines[:2]} == {"o"}
    assert figure.axes[0].get_xlim() == (0, 2)
    assert {line.get_marker() for line in plot_history(HISTORY).axes[0].lines} == {""}


@pytest.mark.parametrize(
    ("history", "options", "message"),
    [
        ({}, {}, "expected a value of 'loss' for each epoch, got nothing"),
        ({"loss": []}, {}, "expected a value of 'loss' for each epoch, got loss"),
        ({"accuracy": [1.0], "lr": [1.0]}, {}, "expected a value of 'loss' for each epoch, got accuracy, lr"),
        ({"loss": [1.0], "val_loss": [1, 2]}, {}, r"as many values for each epoch, got \{'loss': 1, 'val_loss': 2\}"),
        (HISTORY, {"best_epoch": 4}, "best_epoch=4: expected one of the epochs 0 to 3"),
        (HISTORY, {"best_epoch": -1}, "best_epoch=-1: expected one of the epochs 0 to 3"),
    ],
)
def test_a_history_that_is_none_is_refused(history, options, message):
    with pytest.raises(ValueError, match=message):
        plot_history(history, **options)


def test_a_picture_is_drawn_without_a_screen_and_without_pyplot(tmp_path):
    code = (
        "import sys\nfrom sersk.evaluation.plots import plot_history\n"
        f"plot_history({{'loss': [2.0, 1.0]}}, best_epoch=1).savefig({str(tmp_path / 'curves.png')!r})\n"
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"DISPLAY": "", "MPLBACKEND": ""})
    content = (tmp_path / "curves.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) > 5000


def test_without_matplotlib_the_cure_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"Plots need matplotlib: pip install 'sersk\[plot\]'"):
        plot_history(HISTORY)


# --- robustness


def robustness(*conditions, tested=True, n_speakers=3):
    """A report of predictions that are right for the first clips only, the fewer the later the condition stands."""
    emotions = np.tile(["happy", "sad"], 12)
    speakers = np.repeat([f"s{k}" for k in range(n_speakers)], 24 // n_speakers)
    reports = {}
    for number, condition in enumerate((CLEAN, *conditions)):
        right = np.arange(24) < 24 - 3 * number
        predicted = np.where(right, emotions, np.where(emotions == "sad", "happy", "sad"))
        table = pd.DataFrame({"speaker": speakers, "emotion": emotions, "predicted": predicted})
        if tested or condition == CLEAN:
            reports[condition.name] = EvaluationReport("loso", "", True, np.array(["happy", "sad"]), table)
    return RobustnessReport((CLEAN, *conditions), reports, {})


NOISE = [Condition("noise", level) for level in (20, 0, 10)]
OTHERS = [Condition("telephone"), Condition("mp3", 16), Condition("gain", -20)]


def test_noise_is_a_curve_and_the_others_are_points():
    report = robustness(*NOISE, *OTHERS)
    table = report.table.set_index("condition")
    figure = plot_robustness(report, "lda")
    noise, others = figure.axes
    assert figure.get_suptitle() == "lda"
    curve = lines(noise)["UAR, 95 % interval over speakers"]
    assert_array_equal(curve.get_xdata(), [0, 10, 20])
    assert_array_equal(curve.get_ydata(), table["uar"][["noise-0", "noise-10", "noise-20"]])
    assert (noise.get_xlabel(), noise.get_ylabel()) == ("SNR of white noise (dB)", "UAR")
    assert_array_equal(noise.get_xticks(), [0, 10, 20])
    points = lines(others)["UAR, 95 % interval over speakers"]
    names = [condition.name for condition in OTHERS]
    assert_array_equal(points.get_xdata(), table["uar"][names])
    assert_array_equal(points.get_ydata(), [0, 1, 2])
    assert [label.get_text() for label in others.get_yticklabels()] == list(table["description"][names])
    assert others.get_ylim() == (2.5, -0.5), "from the top down, as in the table"
    for axes, wanted in [(noise, ["noise-0", "noise-10", "noise-20"]), (others, names)]:
        limits = [segment[:, int(axes is noise)] for segment in axes.collections[0].get_segments()]
        assert_array_equal(limits, table[["uar_low", "uar_high"]].loc[wanted])


def test_clean_clips_and_chance_are_drawn_in_both_panels():
    report = robustness(*NOISE, *OTHERS)
    figure = plot_robustness(report)
    assert figure.get_suptitle() == ""
    for axes, along in zip(figure.axes, ("get_ydata", "get_xdata"), strict=True):
        assert_array_equal(getattr(lines(axes)["clean clips, with their interval"], along)(), [report.clean.uar] * 2)
        assert_array_equal(getattr(lines(axes)["chance"], along)(), [0.5, 0.5])
        assert len({line.get_linestyle() for line in axes.lines if line.get_linestyle() != "None"}) == 3 - (
            along == "get_xdata"
        ), "told apart in black and white"
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(lines(figure.axes[0]))


@pytest.mark.parametrize(("conditions", "label"), [(NOISE, "SNR of white noise (dB)"), (OTHERS, "UAR")])
def test_a_panel_without_conditions_is_left_out(conditions, label):
    figure = plot_robustness(robustness(*conditions))
    assert [axes.get_xlabel() for axes in figure.axes] == [label]
    assert figure.get_size_inches()[0] < plot_robustness(robustness(*NOISE, *OTHERS)).get_size_inches()[0]


def test_labels_do_not_overlap_however_many_there_are(tmp_path):
    many = [Condition(kind, level) for kind in ("reverb", "clip") for level in (0.5, 1, 2, 3, 4, 5, 6, 7)]
    figure = plot_robustness(robustness(*NOISE, *many))
    figure.savefig(tmp_path / "robustness.png")
    boxes = [label.get_window_extent() for label in figure.axes[1].get_yticklabels()]
    assert all(below.y1 <= above.y0 for above, below in itertools.pairwise(boxes))
    assert min(box.x0 for box in boxes) > figure.axes[0].get_window_extent().x1


@pytest.mark.filterwarnings("error")
def test_one_speaker_has_no_interval(tmp_path):
    figure = plot_robustness(robustness(*NOISE, *OTHERS, n_speakers=1))
    figure.savefig(tmp_path / "robustness.png")


@pytest.mark.parametrize("report", [robustness(), robustness(*NOISE, tested=False)], ids=["clean", "all-failed"])
def test_where_nothing_but_clean_clips_was_tested_there_is_nothing_to_draw(report):
    with pytest.raises(ValueError, match="There is nothing to draw: no condition but the clean one could be tested"):
        plot_robustness(report)
