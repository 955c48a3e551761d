"""Command `robustness`; heavy imports stand inside it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from sersk.distribution import on_scheduler
from sersk.edge import edge, end_with_failures, gathering
from sersk.options import (
    NETWORKS,
    Augment,
    Cache,
    Corpora,
    Features,
    JobsOfTraining,
    Layout,
    Model,
    Protocol,
    Scheduler,
    Seed,
    check_model,
    split_methods,
    split_names,
)
from sersk.outputs import check_picture, check_table, write_picture, write_table
from sersk.sources import read_corpora
from sersk.terminal import say, show_folds, show_robustness, visible


def robustness(
    corpus: Corpora,
    layout: Layout = "auto",
    model: Model = "lda",
    features: Features = "default",
    protocol: Protocol = "auto",
    augment: Augment = None,
    conditions: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Conditions besides clean: noise-10 (dB), telephone, mp3-32 and opus-12 (kbit/s), vorbis-0 (quality), "
            "reverb-0.5 (s), clip-10 (%), gain-20 and gain+20 (dB), or other levels of these. Without it, a set "
            "of all but opus.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the table, too: FILE.csv, FILE.parquet; or - for CSV alone.",
            show_default=False,
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw the UAR under every condition.", show_default=False)
    ] = None,
    cache: Cache = None,
    jobs: JobsOfTraining = -1,
    scheduler: Scheduler = None,
    seed: Seed = 0,
) -> None:
    """
    Tell what a model gets right when what it hears is degraded.

    It is trained on clips as they are, and tested on unseen speakers: as they are, in noise, by telephone, after MP3
    and Ogg, in rooms, clipped, louder and softer. Prints a table; features are computed anew for each condition.
    """
    with edge(), on_scheduler(scheduler, say):
        check_model(model, features)
        if out is not None:
            check_table(out)
        if plot is not None:
            check_picture("--plot", plot)
        from sersk.degradation import CLEAN, CONDITIONS, Condition

        chosen = CONDITIONS
        if conditions is not None:
            chosen = tuple(Condition.named(name) for name in split_names(conditions))
            if {*chosen} <= {CLEAN}:
                raise ValueError("--conditions: expected one besides clean, which is tested anyway.")
        clips = read_corpora(corpus, layout, seed)
        from sersk.experiments import MIXED, prepare_experiments

        experiment = prepare_experiments(
            clips,
            model,
            features=features,
            augment=split_methods(augment),
            protocol=protocol,
            random_state=seed,
            n_jobs=jobs,
            memory=None if cache is None else str(cache),
            verbose=1,
        )[MIXED]
        report = experiment.evaluate_robustness(
            chosen,
            random_state=seed,
            progress=functools.partial(show_folds, in_lines=model in NETWORKS and jobs < 2),
            on_condition=lambda condition: say(f"{condition.name}: {condition.description}"),
        )
        for _, error in experiment.failures:
            say(f"error: {visible(error)}")
        unwritten: list[OSError] = []
        if out is not None:
            with gathering(unwritten):
                write_table(report.table, out)
        if plot is not None:
            from sersk.evaluation.plots import plot_robustness

            with gathering(unwritten):
                write_picture(plot_robustness(report, model), plot)
        if str(out) != "-":
            show_robustness(report)
        end_with_failures(len(experiment.failures), len(clips.data), unwritten)
