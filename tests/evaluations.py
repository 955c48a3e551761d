"""Reports of evaluations that never took place, for the tests of what is made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sersk import EvaluationReport

EIGHT = ("angry", "calm", "disgust", "fearful", "happy", "neutral", "sad", "surprised")


def made_up(n_speakers=6, labels=EIGHT, *, n_clips=480, never=(), probabilities=True, speaker="ravdess:{:02d}".format):
    """Predictions that are right more often than not, for speakers of two genders and one corpus."""
    random, labels = np.random.RandomState(0), np.array(sorted(labels))
    who = np.arange(n_clips) % n_speakers
    truth = random.choice([label for label in labels if label not in never], n_clips)
    chances = random.dirichlet(np.full(len(labels), 0.4), n_clips) + (labels == truth[:, None]) * random.rand(
        n_clips, 1
    )
    chances /= chances.sum(axis=1, keepdims=True)
    table = pd.DataFrame({"file": [f"{k}.wav" for k in range(n_clips)], "speaker": [speaker(k) for k in who]})
    table["gender"] = np.where(who % 2, "female", "male")
    table["corpus"] = "ravdess"
    table = table.assign(fold=who + 1, emotion=truth, predicted=labels[chances.argmax(axis=1)])
    if probabilities:
        table[list(labels)] = chances
    return EvaluationReport("loso", f"leave one speaker out, {n_speakers} speakers", True, labels, table)
