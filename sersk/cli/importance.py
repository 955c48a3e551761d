"""Command `importance`; heavy imports stand inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sersk.distribution import on_scheduler
from sersk.edge import edge, end_with_failures, gathering
from sersk.options import NETWORKS, Cache, Corpora, Features, Jobs, Layout, Model, Protocol, Scheduler, Seed
from sersk.outputs import check_picture, check_table, write_picture, write_table
from sersk.sources import read_corpora
from sersk.terminal import count, say, show_folds, show_importance, visible


def importance(
    corpus: Corpora,
    layout: Layout = "auto",
    model: Model = "lda",
    features: Features = "default",
    protocol: Protocol = "auto",
    repeats: Annotated[int, typer.Option(metavar="N", min=1, help="How often each family is permuted.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write the table to FILE.csv or FILE.parquet, or - for CSV.", show_default=False
        ),
    ] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE.png", help="Draw the table.", show_default=False)] = None,
    cache: Cache = None,
    jobs: Jobs = -1,
    scheduler: Scheduler = None,
    seed: Seed = 0,
) -> None:
    """
    Tell what each family of descriptors adds on unseen speakers.

    Prints how much UAR the model loses when all columns of a family, such as mfcc or chroma, change places among the
    test clips, so that they tell nothing of the emotion. Where two families tell the same, each may look unimportant.
    """
    with edge(), on_scheduler(scheduler, say):
        if model in NETWORKS:
            raise ValueError(f"--model {model}: families are permuted in vectors, and networks learn from sequences.")
        if out is not None:
            check_table(out)
        if plot is not None:
            check_picture("--plot", plot)
        clips = read_corpora(corpus, layout, seed)
        from sersk.evaluation import family_importance, make_protocol
        from sersk.experiments import MIXED, prepare_experiments

        experiment = prepare_experiments(
            clips,
            model,
            features=features,
            protocol=protocol,
            random_state=seed,
            n_jobs=jobs,
            memory=None if cache is None else str(cache),
            verbose=1,
        )[MIXED]
        table = family_importance(
            experiment.learner,
            experiment.corpus,
            names=experiment.front.get_feature_names_out(),
            protocol=protocol,
            n_repeats=repeats,
            random_state=seed,
            n_jobs=experiment.n_jobs,
            progress=show_folds,
        )
        unwritten: list[OSError] = []
        if out is not None:
            with gathering(unwritten):
                write_table(table.reset_index(), out)
        folds = make_protocol(experiment.corpus, protocol).description
        if plot is not None:
            from sersk.evaluation.plots import plot_importance

            title = f"{model}, {count(len(experiment.corpus.target), 'clip')}, {folds}"
            with gathering(unwritten):
                write_picture(plot_importance(table, title), plot)
        for _, error in experiment.failures:
            say(f"error: {visible(error)}")
        if str(out) != "-":
            show_importance(table, folds)
        end_with_failures(len(experiment.failures), len(clips.data), unwritten)
