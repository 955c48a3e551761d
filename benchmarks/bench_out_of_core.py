"""Write the features of 100,000 clips (hard links) to a folder, and train on it: seconds, and peak memory.

Usage: python benchmarks/bench_out_of_core.py [N_CLIPS]

Each row is a process of its own, and the same is measured with fewer clips, too: what is held in memory should not grow
with them. XGBoost, which takes hours for so many, has a twentieth. The clips are those of RAVDESS again and again, each time of other speakers, so that what a model gets right
means nothing here; for that there is bench_out_of_core_uar.py.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _publish import CORPORA, publish
from joblib.externals.loky import get_reusable_executor

from sersk import AcousticFeatures, load_corpus
from sersk.feature_table import write_feature_table
from sersk.out_of_core import train_on_table


def link_clips(n_clips, folder):
    """Give a frame of so many clips; a corpus may be on another file system, so it is copied once, then linked."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RAVDESS holds one pair of equal clips
        frame = load_corpus(CORPORA / "ravdess").frame
    originals = [shutil.copy(file, f"{folder}/{number}.flac") for number, file in enumerate(frame["file"])]
    rows = np.arange(n_clips) % len(frame)
    copies = (np.arange(n_clips) // len(frame)).astype(str)
    many = frame.iloc[rows].reset_index(drop=True)
    many["speaker"] = many["speaker"] + "-" + pd.Series(copies, dtype="string")
    many["file"] = [f"{folder}/link{number}.flac" for number in range(n_clips)]
    for row, link in zip(rows, many["file"], strict=True):
        os.link(originals[row], link)
    return many


def write(frame, folder):
    features = AcousticFeatures(n_jobs=2)
    write_feature_table(frame["file"].tolist(), frame, features, folder)
    get_reusable_executor().shutdown(wait=True)  # so that the workers' peak is known


def train(model, folder):
    train_on_table(folder, model, n_jobs=1)


def _measure(queue, function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    seconds = time.perf_counter() - start
    own, worker = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    queue.put((seconds, own, worker))


def measure(function, *arguments):
    """Run a function in a new process: seconds, and the peak memory of the process and of the largest of its workers."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_measure, args=(queue, function, *arguments))
    process.start()
    found = queue.get()
    process.join()
    return found


def main():
    n_clips = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rows = []
    with tempfile.TemporaryDirectory() as clips, tempfile.TemporaryDirectory() as tables:
        frame = link_clips(n_clips, clips)
        both = n_clips // 10, n_clips
        sizes = {"": both, "lda": both, "logistic": both, "xgboost": (n_clips // 100, n_clips // 20)}
        for model, numbers in sizes.items():
            for n in numbers:
                table = f"{tables}/{n}"
                if model and not Path(table).is_dir():
                    measure(write, frame[:n], table)
                seconds, own, worker = measure(train, model, table) if model else measure(write, frame[:n], table)
                size = sum(file.stat().st_size for file in Path(table).iterdir())
                rows.append(
                    {
                        "what": f"fit --model {model}" if model else "features to a folder",
                        "clips": f"{n:,}",
                        "table MB": f"{size / 2**20:.0f}",
                        "seconds": f"{seconds:.0f}",
                        "ms per clip": f"{1000 * seconds / n:.2f}",
                        "peak MB": f"{own:.0f}",
                        "largest worker MB": "-" if model else f"{worker:.0f}",
                    }
                )
                print(rows[-1], flush=True)
    width = len(AcousticFeatures().get_feature_names_out())
    publish(
        "out_of_core",
        f"Features and training of {n_clips:,} clips, a file at a time",
        rows,
        f"RAVDESS clips of 3.7 s as hard links, {width} values each; two processes extract, one thread trains. Training is\n"
        "all of `sersk fit FOLDER`: an estimate on a fifth of the speakers and a fit on all, both with a fit before on which\n"
        "probabilities are calibrated. xgboost holds the bins of all values, a byte each; the others hold one file. A\n"
        "process that has imported sersk, scikit-learn and XGBoost has some 200 MB before it begins. Seconds are of two\n"
        "shared cores.",
    )


if __name__ == "__main__":
    main()
