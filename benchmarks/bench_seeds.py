"""Run the notebooks' own networks (../shared/seeds.md) on TESS and RAVDESS: their random split beside unseen speakers.

Usage: python benchmarks/bench_seeds.py [RECIPE[:EPOCHS] ...]   (the fast ones take three quarters of an hour)

One random split of 20 % as in the notebooks, and one split by speaker: of RAVDESS five of 24 actors are tested, of TESS
each of the two speakers once. A number of epochs after a name cuts training short; the table tells it. The rows are kept
in artifacts/seeds.csv: naming recipes measures these anew and leaves the others as they were.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
from _publish import CORPORA, kept_rows, publish_kept
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import train_test_split

from sersk import emotion_pipeline, load_corpus
from sersk.models import fit_with_speakers, speaker_folds
from sersk.models.network_recipes import NETWORKS

RECIPES = ("lstm-512", "lstm-256", "lstm-128", "cnn-lstm-mfcc", "cnn-1d")


def main():
    rows = kept_rows("seeds")
    for argument in sys.argv[1:] or RECIPES:
        recipe, _, epochs = argument.partition(":")
        pipeline = emotion_pipeline(recipe, random_state=0)
        if epochs:
            pipeline.set_params(classifier__epochs=int(epochs))
        row = {"recipe": recipe, "epochs": f"{pipeline[-1].epochs} of {NETWORKS[recipe].training['epochs']}"}
        for name in ("tess", "ravdess"):
            row |= {f"{name} {what}": value for what, value in compare(pipeline, name).items()}
        rows[recipe] = row
        print(row, file=sys.stderr, flush=True)
        publish_rows([rows[name] for name in NETWORKS if name in rows])  # now: it may be interrupted


def publish_rows(rows):
    publish_kept(
        "seeds",
        "The notebooks' networks: a random split beside unseen speakers",
        rows,
        "WA: accuracy, UAR: mean recall of the emotions. random: 20 % of the clips, drawn as the notebooks do, so that every\n"
        "tested speaker was trained on. unseen: no tested speaker was: five of RAVDESS' 24 actors; TESS' two speakers in\n"
        "turn. TESS is here by every second word. Features, layers, batch size and optimiser are the notebooks'.",
    )


def compare(pipeline, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RAVDESS holds one pair of equal clips
        corpus = load_corpus(CORPORA / name)
    target, groups = np.asarray(corpus.target), np.asarray(corpus.groups)
    X, failures = pipeline[0].set_params(n_jobs=2).extract(corpus.data)
    kept = np.setdiff1d(np.arange(len(X)), [index for index, _ in failures])
    X, target, groups = X[kept], target[kept], groups[kept]
    everything = np.arange(len(X))
    random = [tuple(train_test_split(everything, test_size=0.2, random_state=0, stratify=target))]
    unseen = speaker_folds(target, groups, 5)[:1] if name == "ravdess" else speaker_folds(target, groups, 2)
    found, seconds = {}, []
    for how, folds in {"random": random, "unseen": unseen}.items():
        truth, said = [], []
        for train, test in folds:
            start = time.perf_counter()
            # What a notebook stops training on is drawn like its test clips: of the same speakers.
            speakers = groups[train] if how == "unseen" else None
            fitted = fit_with_speakers(pipeline[1:], X[train], target[train], speakers)
            seconds.append(time.perf_counter() - start)
            truth.append(target[test])
            said.append(fitted.predict(X[test]))
        truth, said = np.concatenate(truth), np.concatenate(said)
        found[f"{how} WA"] = f"{accuracy_score(truth, said):.3f}"
        found[f"{how} UAR"] = f"{balanced_accuracy_score(truth, said):.3f}"
    return found | {"fit s": f"{np.median(seconds):.0f}"}


if __name__ == "__main__":
    main()
