"""Compare all models on RAVDESS (six fixed folds) and EmoDB (LOSO): unseen speakers, cost of training and use, size.

Usage: python benchmarks/bench_models.py [--costs] [MODEL ...]   (all take about an hour and a half on two cores)

The rows are kept in artifacts/models.csv: naming models measures these anew and leaves the others as they were; with
--costs, only what they cost, for when something else was running.
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from pathlib import Path
from statistics import median

import numpy as np
from _publish import CORPORA, kept_rows, publish_kept
from sklearn.svm import SVC

from sersk import load_corpus, predict_emotions, save_model
from sersk.experiments import prepare_experiments
from sersk.models import training_copies

NOTEBOOK = "means-180 + SVC(C=10)"
MODELS = ("lda", "svm", "lstm", "cnn-lstm", "cnn", "mlp", "logistic", "ensemble", "xgboost", "forest")
N_SINGLE = 15


def main():
    models = [name for name in sys.argv[1:] if name != "--costs"] or [*MODELS, NOTEBOOK]
    corpora = {}
    for name in ("ravdess", "emodb"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # RAVDESS holds one pair of equal clips
            corpora[name] = load_corpus(CORPORA / name)
    rows = kept_rows("models")
    for model in models:
        row = rows.get(model, {"model": model})
        for name, corpus in corpora.items():
            found = measure(model, corpus, costs_only="--costs" in sys.argv)
            row |= {f"{name} {what}": value for what, value in found.items()}
            rows[model] = row
            print(row, file=sys.stderr, flush=True)
            publish_rows([rows[name] for name in (*MODELS, NOTEBOOK) if name in rows])  # now: it may be interrupted


def publish_rows(rows):
    publish_kept(
        "models",
        "Models on unseen speakers",
        rows,
        "RAVDESS: 8 emotions, the six folds of test actors of EmoBox. EmoDB: 4 emotions, leave one speaker out. All that\n"
        "is learned, scaling, early stopping and calibration included, is learned on training folds. ECE: expected\n"
        "calibration error, 10 bins. fit s: on all clips of the corpus, features extracted. ms/clip: from one file to its\n"
        "emotion, model loaded and warm, the median of 15 clips. epoch s: a network's pass over as many clips as the corpus\n"
        "has, the median; an epoch of lstm is five, for the clips and four copies. MB: the model file.\n"
        "Settings of SVM, LDA, logistic regression and MLP were chosen on inner folds of training speakers\n"
        "(choose_defaults.py), those of the networks on inner folds of the first outer fold of RAVDESS; those of\n"
        "XGBoost and the forest were not searched. Seconds are of two shared cores.",
    )


def measure(model, corpus, costs_only):
    is_notebook = model == NOTEBOOK
    named = {"model": SVC(C=10), "features": "means-180"} if is_notebook else {"model": model}
    experiment = prepare_experiments(corpus, **named, n_jobs=2)["mixed"]
    figures = {} if costs_only else judge(experiment.evaluate())
    epochs = time_epochs(experiment.learner)
    start = time.perf_counter()
    fitted, _ = experiment.fit()
    seconds = time.perf_counter() - start
    if epochs:
        fitted[-1].set_params(callbacks=None)
    with tempfile.TemporaryDirectory() as folder:
        size = save_model(fitted, Path(folder) / "model.sersk").stat().st_size
    clips = corpus.data[:: len(corpus.data) // N_SINGLE][:N_SINGLE]
    times = []
    for clip in [*clips, *clips]:  # the first round compiles what each length of a clip needs
        start = time.perf_counter()
        predict_emotions(fitted, [clip])
        times.append(time.perf_counter() - start)
    versions = 1 + len(training_copies(model))
    return figures | {
        "fit s": f"{seconds:.1f}",
        "epoch s": f"{median(epochs) / versions:.1f}" if epochs else "-",
        "ms/clip": f"{1e3 * median(times[len(clips) :]):.1f}",
        "MB": f"{size / 1e6:.2f}",
    }


def judge(report):
    return {
        "UAR": f"{report.uar:.3f}",
        "WA": f"{report.wa:.3f}",
        "ECE": f"{calibration_error(report):.3f}" if report.labels[0] in report.predictions else "-",
    }


def time_epochs(learner):
    """Let a network write down what each epoch takes; there is nothing to write for other classifiers."""
    times, begun = [], []
    for name in learner.get_params():
        if name.endswith("classifier__callbacks"):
            from keras.callbacks import LambdaCallback

            timer = LambdaCallback(
                on_epoch_begin=lambda epoch, logs: begun.append(time.perf_counter()),
                on_epoch_end=lambda epoch, logs: times.append(time.perf_counter() - begun[-1]),
            )
            learner.set_params(**{name: [timer]})
    return times


def calibration_error(report):
    probabilities = report.predictions[list(report.labels)].to_numpy()
    confidence = probabilities.max(axis=1)
    right = (report.predictions["predicted"] == report.predictions["emotion"]).to_numpy()
    bins = np.minimum((confidence * 10).astype(int), 9)
    return sum(abs(right[bins == b].mean() - confidence[bins == b].mean()) * (bins == b).mean() for b in set(bins))


if __name__ == "__main__":
    main()
