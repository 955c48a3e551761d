"""Command `benchmark`; heavy imports stand inside it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sersk.edge import edge
from sersk.options import MODELS, PRESETS, PROTOCOLS, Cache, Corpora, JobsOfTraining, Layout, Scale, Seed, one_of
from sersk.outputs import check_file
from sersk.sources import read_corpora
from sersk.terminal import say, show_folds

RECIPES = ("seeds",)


def _some_of(names: tuple[str, ...], text: str) -> Any:
    """Make an option that takes some of the names, with commas."""

    def check(value: str | None) -> str | None:
        for name in (value or "").split(","):
            if name and name not in names:
                raise typer.BadParameter(f"there is no {name!r}; choose of {', '.join(names)}.")
        return value

    told = f"{text}, with commas: {', '.join(names)}."
    return typer.Option(callback=check, metavar="NAME,...", help=told, show_default=False)


def benchmark(
    corpus: Corpora,
    layout: Layout = "auto",
    models: Annotated[str | None, _some_of(MODELS, "Classifiers (lda, svm, mlp and logistic without it)")] = None,
    features: Annotated[
        str, _some_of(PRESETS, "Feature sets (default without it); networks have their own")
    ] = "default",
    protocols: Annotated[str | None, _some_of(PROTOCOLS, "Folds (auto without it)")] = None,
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
    with edge():
        check_file("--out", out / "benchmark.md") if out.is_dir() else check_file(
            "--out", out.with_name(out.name + ".x")
        )
        clips = read_corpora(corpus, layout, seed)
        from sersk import benchmarking
        from sersk.benchmark_table import write_tables

        named = models or ",".join(benchmarking.RECIPES[recipes] if recipes else ("lda", "svm", "mlp", "logistic"))
        folds = protocols or ("random-split,speaker-split" if recipes else "auto")
        found = benchmarking.run_benchmark(
            clips,
            _names(named),
            out,
            features=_names(features),
            protocols=_names(folds),
            cross=cross,
            scale=scale,
            random_state=seed,
            n_jobs=jobs,
            memory=str(cache or out / "features"),
            verbose=1,
            tell=say,
            progress=show_folds,
        )
        summary = write_tables(found, out, " ".join(["sersk", *sys.argv[1:]]))
        typer.echo(summary.read_text(encoding="utf-8"))


def _names(listed: str) -> list[str]:
    return [name for name in listed.split(",") if name]
