"""Train on features in a folder, a file at a time: UAR on unseen speakers, beside the same models in memory.

Usage: python benchmarks/bench_out_of_core_uar.py

Folds and features are those of bench_models.py, whose figures are read from artifacts/models.csv.
"""

from __future__ import annotations

import tempfile
import warnings

import pandas as pd
from _publish import ARTIFACTS, CORPORA, publish

from sersk import AcousticFeatures, load_corpus
from sersk.feature_table import write_feature_table
from sersk.out_of_core import MODELS, train_on_table

PROTOCOLS = {"ravdess": "ravdess-6", "emodb": "loso"}


def main():
    in_memory = pd.read_csv(ARTIFACTS / "models.csv", dtype=str).set_index("model")
    rows = {model: {"model": model} for model in MODELS}
    with tempfile.TemporaryDirectory() as folder:
        for name, protocol in PROTOCOLS.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # RAVDESS holds one pair of equal clips
                corpus = load_corpus(CORPORA / name)
            features = AcousticFeatures(n_jobs=2)
            write_feature_table(corpus.data, corpus.frame, features, f"{folder}/{name}", part_size=128)
            for model in MODELS:
                report = train_on_table(f"{folder}/{name}", model, protocol=protocol, n_jobs=1).report
                low, high = report.intervals()["uar"]
                rows[model] |= {
                    f"{name} UAR": f"{report.uar:.3f}",
                    f"{name} 95 %": f"{low:.3f} to {high:.3f}",
                    f"{name} ECE": f"{report.calibration_error:.3f}",
                    f"{name} UAR in memory": in_memory.loc[model, f"{name} UAR"],
                    f"{name} ECE in memory": in_memory.loc[model, f"{name} ECE"],
                }
                print(rows[model], flush=True)
    publish(
        "out_of_core_uar",
        "Models trained a file at a time, on unseen speakers",
        [*rows.values()],
        "RAVDESS: 8 emotions, the six folds of test actors of EmoBox. EmoDB: 4 emotions, leave one speaker out. Files of\n"
        "128 clips, so that there are several. logistic: stochastic gradient descent, one emotion against the others, where\n"
        "in memory there is a softmax; its step and its five passes were chosen on inner folds of training speakers. lda and\n"
        "xgboost have the settings that they have in memory. ECE: expected calibration error, 10 bins; probabilities are\n"
        "calibrated on a fifth of the training speakers, in memory on five folds of them. In memory: artifacts/models.md.",
    )


if __name__ == "__main__":
    main()
