"""Corpora, models and features -> one table of figures, made cell by cell, so that it may be interrupted."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .atomic_files import replace_file
from .benchmark_table import ARROW, Benchmark, Cell
from .evaluation import EvaluationReport, evaluate, make_protocol
from .evaluation.crossvalidation import Progress
from .evaluation.report_folder import read_report, write_report
from .experiments import MIXED, Experiment, prepare_experiments, take_rows
from .models.network_recipes import NETWORKS

# The notebooks' own recipes, by corpora of every size: features, layers and training are theirs.
RECIPES = {"seeds": ("lstm-512", "lstm-256", "lstm-128", "cnn-lstm-mfcc", "cnn-1d", "cnn-mel", "cnn-mfcc", "dual-cnn")}


def run_benchmark(
    corpus: Bunch,
    models: Sequence[str],
    folder: str | os.PathLike[str],
    *,
    features: Sequence[str] = ("default",),
    protocols: Sequence[str] = ("auto",),
    cross: bool = False,
    scale: str = "corpus",
    random_state: int | None = 0,
    n_jobs: int | None = None,
    memory: Any = None,
    verbose: int = 0,
    tell: Callable[[str], object] = lambda text: None,
    progress: Progress = lambda folds, total: folds,
) -> Benchmark:
    """
    Estimate models with several features on each corpus, and keep every report as soon as it is made.

    What is kept and was made of the same clips with the same settings is not made again: an interrupted benchmark goes
    on where it was, and one that is widened makes what is new.

    Parameters
    ----------
    corpus : Bunch
        What `load_corpus` gives; the column ``corpus`` of its frame parts it.
    models : sequence of str
        As in `emotion_pipeline`.
    folder : path
        Where reports are kept.
    features : sequence of str, default=("default",)
        As in `emotion_pipeline`; networks are run with "default" only.
    protocols : sequence of str, default=("auto",)
        As in `evaluate`.
    cross : bool, default=False
        Train on each corpus and test on each other one, too, with the emotions that both have.
    scale : {"corpus", "speaker"}, default="corpus"
        As in `emotion_pipeline`; of networks always "corpus".
    random_state : int, default=0
        Seed.
    n_jobs : int, default=None
        As in `sersk.train_model`.
    memory : str or joblib.Memory, default=None
        Cache of features, so that no model computes them anew.
    verbose : int, default=0
        Progress bars on stderr if positive.
    tell : callable, default=no word
        Is given a line on how far the work has come.
    progress : callable, default=no progress
        As in `evaluate`.

    Returns
    -------
    Benchmark
        Reports of all cells that could be made.

    Raises
    ------
    ValueError
        If there is nothing to run, no clip can be read, or for the reasons of `sersk.experiments.prepare_experiments`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import make_emotional_speech
    >>> from sersk.benchmarking import run_benchmark
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=3, n_repetitions=2)
    ...     found = run_benchmark(corpus, ["lda", "svm"], f"{folder}/benchmark", features=["mfcc-40"])
    >>> found.table[["model", "features", "corpus", "protocol"]]
      model features     corpus protocol
    0   lda  mfcc-40  synthetic     auto
    1   svm  mfcc-40  synthetic     auto
    """
    names = sorted(set(corpus.frame["corpus"].dropna()))
    plan = _plan(models, features, names, protocols, cross=cross)
    if not plan:
        raise ValueError("There is nothing to run: networks have features of their own, so add 'default' to features.")
    digest = {name: _digest(corpus, name) for name in names}
    home = Path(folder)
    found = Benchmark({}, {}, {})
    n_cells = sum(map(len, plan.values()))
    clock = _Clock(n_cells, tell)
    for (model, preset), cells in plan.items():
        by_speaker = "corpus" if model in NETWORKS else scale
        settings = {"scale": by_speaker, "random_state": random_state}
        made_of = settings | _versions(model)
        experiments: dict[str, Experiment] = {}
        for cell in cells:
            folder_of_cell = home / cell.folder
            key = {"clips": [digest[name] for name in cell.corpus.split(ARROW)], **made_of}
            kept = _kept(folder_of_cell, key)
            if kept is not None:
                clock.skip()
                found.reports[cell], found.seconds[cell] = kept
                continue
            clock.start(f"{model}, {preset}, {cell.corpus}, {cell.protocol}")
            if not experiments:
                experiments = prepare_experiments(
                    corpus,
                    model,
                    by="corpus" if len(names) > 1 else None,
                    features=preset,
                    scale=by_speaker,
                    random_state=random_state,
                    n_jobs=n_jobs,
                    memory=memory,
                    verbose=verbose,
                )
            start = time.perf_counter()
            try:
                report = _estimate(experiments, cell, progress)
            except ValueError as error:  # the corpus does not allow the protocol, say; the others may
                found.refused[cell] = str(error)
                tell(f"left out: {error}")
                continue
            found.seconds[cell] = time.perf_counter() - start
            found.reports[cell] = report
            failures = experiments[MIXED].failures
            found.failures.update(failures)
            try:
                _seal_of(folder_of_cell).unlink(missing_ok=True)  # it is not of what comes now
                write_report(report, folder_of_cell, card={**vars(cell), **settings}, failures=failures)
                # Last, so that what has it is whole.
                seal = json.dumps({"key": key, "seconds": round(found.seconds[cell], 1)})
                with replace_file(_seal_of(folder_of_cell)) as draft:
                    draft.write_text(seal, encoding="utf-8")
            except OSError as error:  # a full disk, say: the figures are still to be shown
                found.unwritten.append(error)
            clock.stop()
    return found


def _plan(
    models: Sequence[str], features: Sequence[str], corpora: Sequence[str], protocols: Sequence[str], *, cross: bool
) -> dict[tuple[str, str], list[Cell]]:
    """List the cells by what they have in common: features and model."""
    pairs = [(a + ARROW + b, "split") for a in corpora for b in corpora if a != b] if cross else []
    places = [*((name, protocol) for name in corpora for protocol in protocols), *pairs]
    return {
        (model, preset): [Cell(model, preset, *place) for place in places]
        for model in dict.fromkeys(models)
        for preset in dict.fromkeys(features)
        if preset == "default" or model not in NETWORKS
    }


def _estimate(experiments: dict[str, Experiment], cell: Cell, progress: Progress) -> EvaluationReport:
    source, arrow, target = cell.corpus.partition(ARROW)
    if not arrow:
        experiment = experiments[cell.corpus if cell.corpus in experiments else MIXED]
        return replace(experiment, protocol=cell.protocol).evaluate(progress)
    mixed = experiments[MIXED]
    learned, tested = (experiments[name].corpus for name in (source, target))
    shared = np.intersect1d(learned.target, tested.target)
    names = mixed.corpus.frame["corpus"].to_numpy()
    rows = np.flatnonzero(np.isin(names, [source, target]) & np.isin(mixed.corpus.target, shared))
    if len(shared) < 2:
        raise ValueError(f"{cell.corpus}: they share {len(shared)} emotions, and a classifier needs two or more.")
    pair = Bunch(
        **take_rows(mixed.corpus.rows, mixed.corpus.sources, rows),
        target=mixed.corpus.target[rows],
        groups=None if mixed.corpus.groups is None else mixed.corpus.groups[rows],
        files=[mixed.corpus.files[row] for row in rows],
        frame=pd.DataFrame({"split": np.where(names[rows] == source, "train", "test"), "corpus": names[rows]}),
    )
    report = evaluate(mixed.learner, pair, protocol="split", n_jobs=mixed.n_jobs, progress=progress)
    told = f"trained on {source}, tested on {target}, {len(shared)} emotions of both"
    scaled = report.description.removeprefix(make_protocol(pair, "split").description)  # by speaker, if it was
    return replace(report, description=told + scaled)


class _Clock:
    """Tells which cell is on, and how long the others will take if they take as long as those before."""

    def __init__(self, n_cells: int, tell: Callable[[str], object]) -> None:
        self.n_cells, self.tell = n_cells, tell
        self.number = 0
        self.seconds: list[float] = []
        self.began = 0.0

    def skip(self) -> None:
        self.number += 1

    def start(self, name: str) -> None:
        self.number += 1
        left = self.n_cells - self.number + 1
        wait = f", {_span(left * sum(self.seconds) / len(self.seconds))} left" if self.seconds else ""
        self.tell(f"{self.number} of {self.n_cells}{wait}: {name}")
        self.began = time.perf_counter()

    def stop(self) -> None:
        self.seconds.append(time.perf_counter() - self.began)


def _span(seconds: float) -> str:
    return (
        f"{seconds:.0f} s"
        if seconds < 90
        else f"{seconds / 60:.0f} min"
        if seconds < 5400
        else f"{seconds / 3600:.1f} h"
    )


def _digest(corpus: Bunch, name: str) -> str:
    """Sum up which clips a corpus has: names, sizes, emotions, speakers."""
    rows = corpus.frame[corpus.frame["corpus"].isin([name])]
    sizes = [os.path.getsize(file) if os.path.exists(file) else None for file in rows["file"]]  # noqa: PTH110, PTH202 - a path each is slow
    facts = [[Path(file).name, size] for file, size in zip(rows["file"], sizes, strict=True)]
    text = json.dumps([facts, rows["emotion"].tolist(), rows["speaker"].astype(str).tolist()])
    return hashlib.sha256(text.encode()).hexdigest()


def _versions(model: str) -> dict[str, str]:
    """Tell what a figure may depend on besides clips and settings."""
    packages = ["sersk", "scikit-learn", *(["keras", "jax"] if model in NETWORKS else []), "xgboost"]
    return {package: version(package) for package in packages}


def _seal_of(folder: Path) -> Path:
    """Name the file that tells of what the report in a folder was made."""
    return folder.with_name(folder.name + ".json")


def _kept(folder: Path, key: dict[str, Any]) -> tuple[EvaluationReport, float] | None:
    try:
        cell = json.loads(_seal_of(folder).read_text(encoding="utf-8"))
        return (read_report(folder), cell["seconds"]) if cell.get("key") == key else None
    except (OSError, ValueError):  # half of it, or its report, is not there
        return None
