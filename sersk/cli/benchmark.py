"""Command `benchmark`; heavy imports stand inside it."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import Annotated

import typer

from sersk.distribution import on_scheduler
from sersk.edge import edge, end_with_failures, gathering
from sersk.options import (
    MODELS,
    NETWORKS,
    PRESETS,
    PROTOCOLS,
    RECIPES,
    Cache,
    Corpora,
    JobsOfTraining,
    Layout,
    Scale,
    Scheduler,
    Seed,
    one_of,
    some_of,
    split_names,
)
from sersk.outputs import check_file
from sersk.sources import read_corpora
from sersk.terminal import say, show_folds, visible


def benchmark(
    corpus: Corpora,
    layout: Layout = "auto",
    models: Annotated[str | None, some_of(MODELS, "Classifiers (lda, svm, mlp and logistic without it)")] = None,
    features: Annotated[
        str, some_of(PRESETS, "Feature sets (default without it); networks have their own")
    ] = "default",
    protocols: Annotated[str | None, some_of(PROTOCOLS, "Folds (auto without it)")] = None,
    cross: Annotated[
        bool, typer.Option("--cross", help="Train on each corpus and test on each other, too: emotions of both.")
    ] = False,
    recipes: Annotated[
        str | None, one_of(RECIPES, "Notebooks' own networks, on a random split beside unseen speakers")
    ] = None,
    scale: Scale = "corpus",
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where reports and tables are kept.")] = Path("benchmark"),
    cache: Cache = None,
    jobs: JobsOfTraining = -1,
    scheduler: Scheduler = None,
    seed: Seed = 0,
) -> None:
    """
    Compare models, features and corpora, each corpus by itself.

    Every report is kept in FOLDER as soon as it is made: the same command goes on after an interruption, and one with
    more models makes what is new. FOLDER/benchmark.md and FOLDER/benchmark.csv sum up, with 95 % intervals over
    speakers and each model beside the best one on the same clips.

    --recipes seeds runs the networks of well-known notebooks as they are, first as notebooks test (a random fifth of
    the clips, so that every tested speaker was trained on), then on unseen speakers.
    """
    with edge(), on_scheduler(scheduler, say):
        if out.is_file():
            raise ValueError(f"--out {out}: this is a file. Give the name of a folder.")
        check_file("--out", out / "benchmark.md" if out.is_dir() else out)
        clips = read_corpora(corpus, layout, seed)
        from sersk import benchmarking
        from sersk.benchmark_table import write_tables

        usual = benchmarking.RECIPES[recipes] if recipes else ("lda", "svm", "mlp", "logistic")
        chosen = split_names(models) if models else list(usual)
        folds = protocols or ("random-split,speaker-split" if recipes else "auto")
        found = benchmarking.run_benchmark(
            clips,
            chosen,
            out,
            features=split_names(features),
            protocols=split_names(folds),
            cross=cross,
            scale=scale,
            random_state=seed,
            n_jobs=jobs,
            memory=str(cache or out / "features"),
            verbose=1,
            tell=say,
            progress=functools.partial(show_folds, in_lines=jobs < 2 and not {*NETWORKS}.isdisjoint(chosen)),
        )
        unwritten, summary = found.unwritten, None
        with gathering(unwritten):
            summary = write_tables(found, out, " ".join(["sersk", *sys.argv[1:]]))
        typer.echo(summary.read_text(encoding="utf-8") if summary else found.table.to_string(index=False))
        for error in found.failures.values():
            say(f"error: {visible(error)}")
        end_with_failures(len(found.failures), len(clips.data), unwritten)
