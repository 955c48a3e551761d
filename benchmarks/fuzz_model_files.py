"""Open model files of every kind that were changed at random: each gives a model, or one clear error within limits.

Usage: python benchmarks/fuzz_model_files.py [FILES] [SEED] [KIND ...]
Prints, for each kind: files, seconds of CPU of the slowest, peak of memory above the one before, and every fault.
"""

from __future__ import annotations

import collections
import contextlib
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.sparse
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, LinearSVC

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from forgery import cheap_features, lda, waveforms
from mutations import run

from sersk.models import XGBoostClassifier, emotion_pipeline, fit_with_speakers
from sersk.models.classical import CLASSICAL_NAMES
from sersk.persistence import default_model_path, load_model, save_model

SECONDS, MEGABYTES = 1.0, 200.0


def write_models(folder: Path) -> list[Path]:
    """Save a small model of every kind."""
    clips, emotions = waveforms(), ["angry", "happy", "sad"] * 6
    vectors = StandardScaler().fit_transform(cheap_features().fit_transform(clips))
    objects = np.array(emotions, dtype=object)
    columns = ColumnTransformer([("a", StandardScaler(), [0, 1]), ("b", "passthrough", slice(2, 9))])
    fitted = {
        "svc": SVC(probability=False).fit(vectors, emotions),
        "svc-sparse": SVC(kernel="linear").fit(scipy.sparse.csr_matrix(vectors), emotions),
        "linear-svc": LinearSVC().fit(vectors, emotions),
        "mlp": MLPClassifier((4,), max_iter=20, random_state=0).fit(vectors, emotions),
        "forest": RandomForestClassifier(5, random_state=0).fit(vectors, emotions),
        "trees": ExtraTreesClassifier(5, random_state=0).fit(vectors, objects),
        "isotonic": CalibratedClassifierCV(lda(), method="isotonic", cv=2).fit(vectors, emotions),
        "vote": VotingClassifier([("a", lda()), ("b", GaussianNB())], voting="soft").fit(vectors, emotions),
        "stack": StackingClassifier([("a", lda()), ("b", GaussianNB())], cv=2).fit(vectors, emotions),
        "neighbours": KNeighborsClassifier(3).fit(vectors, emotions),
        "ufunc": make_pipeline(FunctionTransformer(np.tanh), lda()).fit(vectors, emotions),
        "columns": make_pipeline(columns, lda()).fit(vectors, emotions),
        "xgboost": XGBoostClassifier(5).fit(vectors, emotions),
    }
    groups = np.repeat(["a", "b", "c"], 6)
    for name in CLASSICAL_NAMES:
        pipeline = emotion_pipeline(name, features=cheap_features(), random_state=0)
        if name == "forest":
            pipeline.set_params(classifier__estimator__n_estimators=10)
        fitted[f"pipeline-{name}"] = fit_with_speakers(pipeline, clips, np.array(emotions), groups)
    with contextlib.suppress(ImportError):
        from sersk import FrameScaler, FrameSequences, KerasSequenceClassifier

        network = KerasSequenceClassifier("lstm-dense", epochs=1, random_state=0, model__units=2, model__hidden=())
        frames = FrameSequences(("mfcc",), deltas=0, n_mfcc=3)
        fitted["network"] = make_pipeline(frames, FrameScaler(), network).fit(clips, emotions)
    files = [default_model_path()]
    for name, model in fitted.items():
        file = save_model(model, folder / f"{name}.sersk")
        with contextlib.suppress(ValueError):  # it holds types that are not trusted
            load_model(file)
            files.append(file)
    return files


def main() -> None:
    warnings.simplefilter("ignore")
    n_files = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    totals: collections.Counter[str] = collections.Counter()
    n_bad, worst, start = 0, 0.0, time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        files = write_models(Path(folder))
        files = [file for file in files if len(sys.argv) < 4 or file.stem in sys.argv[3:]]
        for file in files:
            found = list(run(file, range(-(-n_files // len(files))), seed, Path(folder)))
            bad = [
                one
                for one in found
                if one["outcome"] not in ("loaded", "refused")
                or one["done"]
                or one["seconds"] > SECONDS + one["good"]
                or one["megabytes"] > MEGABYTES
                or not all(name.startswith(("sersk.", "sklearn.")) for name in one["modules"])
            ]
            outcomes = collections.Counter(one["outcome"] for one in found)
            slowest = max(one.get("seconds", 0) for one in found)
            peak = max(one.get("megabytes", 0) for one in found)
            told = ", ".join(f"{name} {count}" for name, count in outcomes.items())
            print(
                f"{file.stem:24} {len(found):6} files, {told}; slowest {slowest:.2f} s, most {peak:.0f} MB", flush=True
            )
            for one in bad:
                print("  fault:", one, flush=True)
            totals += outcomes
            n_bad += len(bad)
            worst = max(worst, peak)
    told = ", ".join(f"{name} {count}" for name, count in totals.items())
    seconds = time.perf_counter() - start
    print(f"{totals.total()} files of {len(files)} kinds: {told}; {n_bad} faults; most {worst:.0f} MB; {seconds:.0f} s")
    sys.exit(n_bad > 0)


if __name__ == "__main__":
    main()
