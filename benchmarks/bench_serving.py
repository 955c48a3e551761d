"""Time the use of fitted models on one core: from a file to its emotion, many files at once, and the model file.

Usage: OPENBLAS_NUM_THREADS=1 python benchmarks/bench_serving.py [MODEL ...]   (all take about five minutes)
"""

from __future__ import annotations

import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from _publish import CORPORA, publish
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from sersk import AcousticFeatures, emotion_pipeline, load_corpus, load_model, predict_emotions, save_model
from sersk.models import fit_with_speakers
from sersk.models.support_vectors import decides_by_distance
from sersk.stored_models import parts

MODELS = ("lda", "svm", "mlp", "xgboost", "ensemble")
N_SINGLE = 120
ROUNDS = 5


def main():
    names = sys.argv[1:] or MODELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # RAVDESS holds one pair of equal clips
        corpus = load_corpus(CORPORA / "ravdess")
    features = AcousticFeatures()
    vectors = AcousticFeatures(n_jobs=2).transform(corpus.data)
    clips = list(corpus.data[:: len(corpus.data) // N_SINGLE][:N_SINGLE])
    with tempfile.TemporaryDirectory() as folder:
        files = {name: fit(name, vectors, corpus, Path(folder) / f"{name}.sersk") for name in names}
        loading = {name: [] for name in names}
        for _ in range(ROUNDS):
            for name, file in files.items():
                start = time.perf_counter()
                load_model(file)
                loading[name].append(time.perf_counter() - start)
        models = {name: load_model(file) for name, file in files.items()}
        sizes = {name: file.stat().st_size for name, file in files.items()}
    tasks = {"features alone": features.extract} | {
        name: lambda clips, model=model: predict_emotions(model, clips) for name, model in models.items()
    }
    with threadpool_limits(1):
        single, batch = measure(tasks, clips)
    alone = {what: np.median(times["features alone"]) for what, times in (("single", single), ("batch", batch))}
    rows = []
    for name in tasks:
        vectors_kept = sum(len(part.support_vectors_) for part in parts(models.get(name)) if is_svm(part))
        extra = np.median(np.subtract(single[name], single["features alone"]))
        rows.append(
            {
                "model": name,
                "ms a clip, one by one": f"{1e3 * np.median(single[name]):.2f}",
                "p95": f"{1e3 * np.quantile(single[name], 0.95):.2f}",
                "over features": f"{1e3 * extra:.2f}",
                f"clips/s, {len(clips)} at once": f"{len(clips) / np.median(batch[name]):.0f}",
                "of the features' rate": f"{alone['batch'] / np.median(batch[name]):.0%}",
                "MB": f"{sizes[name] / 1e6:.2f}" if name in sizes else "-",
                "ms to load": f"{1e3 * np.median(loading[name]):.0f}" if name in loading else "-",
                "support vectors": vectors_kept or "-",
            }
        )
    publish(
        "serving",
        "Cost of a fitted model in use, one core",
        rows,
        f"Models of all {len(corpus.data)} RAVDESS clips with the default features, saved and loaded again; one process,\n"
        f"warm, one thread. One by one: predict_emotions(model, [path]) for {len(clips)} clips (48 kHz FLAC, 3.7 s), {ROUNDS} rounds, all\n"
        "models in turn for each clip; median, 95th percentile, and the median of what it takes longer than the features of\n"
        f"the same clip just before. At once: predict_emotions(model, paths), the median of {ROUNDS} rounds, and its throughput as a\n"
        f"share of that of the features alone. To load: the median of {ROUNDS}, modules imported.",
        arguments=sys.argv[1:],
    )


def fit(name, vectors, corpus, file):
    """Fit on features that were extracted before, and save the whole pipeline."""
    pipeline = emotion_pipeline(name, random_state=0)
    fit_with_speakers(pipeline[1:], vectors, corpus.target, corpus.groups)
    return save_model(Pipeline(pipeline.steps), file)


def is_svm(part):
    return hasattr(part, "support_vectors_") and decides_by_distance(part)


def measure(tasks, clips):
    """Seconds for each clip by itself, and for all of them, in turn: a noisy neighbour disturbs all alike."""
    single, batch = ({name: [] for name in tasks} for _ in range(2))
    for task in tasks.values():
        task(clips[:2])
    for _ in range(ROUNDS):
        for times, pieces in ((single, [[clip] for clip in clips]), (batch, [clips])):
            for piece in pieces:
                for name, task in tasks.items():
                    start = time.perf_counter()
                    task(piece)
                    times[name].append(time.perf_counter() - start)
    return single, batch


if __name__ == "__main__":
    main()
