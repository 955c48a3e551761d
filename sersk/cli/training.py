"""Commands `fit` and `evaluate`; heavy imports stand inside the commands."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sersk.cli.reports import check_folders, learning_section, robustness_section, write_reports
from sersk.distribution import on_scheduler
from sersk.edge import edge, end_with_failures, gathering
from sersk.options import (
    NETWORKS,
    Augment,
    By,
    Cache,
    Corpora,
    Features,
    JobsOfTraining,
    Layout,
    Model,
    Protocol,
    Scale,
    Scheduler,
    Search,
    Seed,
    check_model,
    split_methods,
)
from sersk.outputs import (
    check_file,
    check_picture,
    checkpoint_folder,
    file_of_part,
    open_checkpoint,
    remove_checkpoint,
    write_curves,
    write_model,
)
from sersk.sources import read_corpora
from sersk.terminal import (
    count,
    say,
    show_comparison,
    show_folds,
    show_report,
    visible,
)

if TYPE_CHECKING:
    from sersk.evaluation import EvaluationReport
    from sersk.experiments import Experiment


def fit(
    context: typer.Context,
    corpus: Corpora,
    layout: Layout = "auto",
    model: Model = "lda",
    search: Search = None,
    features: Features = "default",
    scale: Scale = "corpus",
    protocol: Protocol = "auto",
    by: By = None,
    augment: Augment = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write the model.")] = Path("model.sersk"),
    curves: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Draw loss and accuracy of a network, epoch by epoch.", show_default=False
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the training of a network that was interrupted.")
    ] = False,
    cache: Cache = None,
    jobs: JobsOfTraining = -1,
    scheduler: Scheduler = None,
    seed: Seed = 0,
) -> None:
    """
    Train a model, estimate it on unseen speakers, and save it.

    Prints how well the model does on speakers that it was not trained on (UAR: mean of the emotions' recalls; WA: share
    of all clips that are right) and the confusion matrix. The saved model is trained on all clips.

    With --by gender, FILE-female and FILE-male are trained, too, each on the clips of one gender, as the corpus tells
    it, and are compared with the mixed model on the same test clips, of speakers that none of them had heard. Under
    --protocol auto each model has the folds that fit its own speakers; one gender of RAVDESS, say, leaves one speaker
    out, since the six fixed folds need all 24 actors, and so has more of its speakers to learn from than the mixed
    model. Under --protocol loso all models leave out each speaker alone, so that nothing differs but the other gender's
    clips, which only the mixed model learns from.

    `sersk fit demo` writes a small corpus of synthetic speech to sersk-demo/, and trains on it.

    In place of corpora there may be one folder that `sersk features --layout auto --out FOLDER` has written: lda,
    logistic and xgboost learn from it a file at a time, so that it need not fit into memory. A fifth of the speakers is
    tested, unless --protocol says otherwise.
    """
    is_network = model in NETWORKS
    checkpoint = checkpoint_folder(out) if is_network else None
    with edge(checkpoint), on_scheduler(scheduler, say):
        check_model(model, features)
        if not is_network and (resume or curves is not None):
            option = "--resume" if resume else "--curves"
            raise ValueError(f"{option}: {model} is not trained in epochs; that is for {', '.join(NETWORKS)}.")
        check_file("--out", out)
        if curves is not None:
            check_picture("--curves", curves)
        from sersk.feature_table import is_feature_table

        if any(map(is_feature_table, corpus)):
            _refuse_others(context, {"corpus", "model", "protocol", "out", "jobs", "seed"})
            _fit_table(corpus, model, protocol, out, jobs, seed)
            return
        clips = read_corpora(corpus, layout, seed)
        for part in [] if by is None else clips.frame[by].dropna().unique():
            check_file("--out", file_of_part(out, part))
        from sersk.experiments import MIXED, prepare_experiments
        from sersk.training import train_experiment

        progress = functools.partial(_show_training, in_lines=is_network and jobs < 2)
        experiments = prepare_experiments(
            clips,
            model,
            by=by,
            features=features,
            scale=scale,
            search=search,
            augment=split_methods(augment),
            checkpoint=checkpoint,
            protocol=protocol,
            random_state=seed,
            n_jobs=jobs,
            memory=None if cache is None else str(cache),
            verbose=1,
        )
        if checkpoint is not None:
            open_checkpoint(checkpoint, resume=resume)
        all_trained, unwritten = {}, list[OSError]()
        for name, experiment in _in_turn(experiments):
            all_trained[name] = trained = train_experiment(experiment, progress)
            part = None if name == MIXED else name
            card = {
                "corpora": sorted(set(clips.frame["corpus"].iloc[experiment.corpus.positions])),
                "model": model,
                "copies": list(experiment.copies),
            }
            # Before anything is printed: the reader may be gone.
            with gathering(unwritten):
                write_model(trained, file_of_part(out, part), card if part is None else card | {str(by): part})
            if curves is not None:
                with gathering(unwritten):
                    write_curves(trained, file_of_part(curves, part), model)
        if checkpoint is not None and not unwritten:
            remove_checkpoint(checkpoint)
        reports = {name: trained.report for name, trained in all_trained.items()}
        settings = {name: trained.best_params for name, trained in all_trained.items()}
        _conclude(experiments, reports, settings, unwritten)


def evaluate(
    context: typer.Context,
    corpus: Corpora,
    layout: Layout = "auto",
    model: Model = "lda",
    search: Search = None,
    features: Features = "default",
    scale: Scale = "corpus",
    protocol: Protocol = "auto",
    by: By = None,
    augment: Augment = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write a report: numbers, pictures, a page, a model card.", show_default=False
        ),
    ] = None,
    learning_curve: Annotated[
        bool, typer.Option("--learning-curve", help="Train on fewer speakers, too, for the report; takes its time.")
    ] = False,
    robustness: Annotated[
        bool, typer.Option("--robustness", help="Test on degraded clips, too, for the report; takes its time.")
    ] = False,
    cache: Cache = None,
    jobs: JobsOfTraining = -1,
    scheduler: Scheduler = None,
    seed: Seed = 0,
) -> None:
    """
    Estimate a model on unseen speakers, and save none.

    Prints what `sersk fit` prints; its help tells how --by gender compares.

    With --out there is a folder with report.html, a page that needs no other file; report.json, which holds all numbers
    of it; predictions.csv, the prediction for each clip; a model card; and the pictures, which need matplotlib. With
    --by gender it holds a folder for each model. An earlier report is replaced, and nothing else.
    """
    with edge(), on_scheduler(scheduler, say):
        check_model(model, features)
        if (learning_curve or robustness) and out is None:
            option = "--learning-curve" if learning_curve else "--robustness"
            raise ValueError(f"{option} is drawn for a report. Name its folder with --out.")
        clips = read_corpora(corpus, layout, seed)
        from sersk.experiments import MIXED, prepare_experiments

        if out is not None:
            check_folders(out, None if by is None else [MIXED, *clips.frame[by].dropna().unique()])
        experiments = prepare_experiments(
            clips,
            model,
            by=by,
            features=features,
            scale=scale,
            search=search,
            augment=split_methods(augment),
            protocol=protocol,
            random_state=seed,
            n_jobs=jobs,
            memory=None if cache is None else str(cache),
            verbose=1,
        )
        in_lines = model in NETWORKS and jobs < 2
        progress = functools.partial(show_folds, in_lines=in_lines)
        reports, sections = {}, {}
        for name, experiment in _in_turn(experiments):
            reports[name] = experiment.evaluate(progress)
            sections[name] = learning_section(experiment, seed, in_lines=in_lines) if learning_curve else []
            sections[name] += robustness_section(experiment, seed, in_lines=in_lines) if robustness else []
        unwritten: list[OSError] = []
        if out is not None:
            with gathering(unwritten):  # before anything is printed, as in `fit`
                write_reports(context.params, experiments, reports, sections)
        _conclude(experiments, reports, {}, unwritten)


def _refuse_others(context: typer.Context, taken: set[str]) -> None:
    for name in context.params.keys() - taken:
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            raise ValueError(f"{option}: there is no such choice for features in a folder. Leave it out.")


def _fit_table(folders: list[str], model: str, protocol: str, out: Path, jobs: int, seed: int) -> None:
    """Do what `fit` does with features in a folder."""
    if len(folders) > 1:
        raise ValueError("Features in a folder stand alone. Write those of all corpora into one folder.")
    from sersk.feature_table import open_feature_table
    from sersk.out_of_core import train_on_table

    trained = train_on_table(
        folders[0], model, protocol=protocol, random_state=seed, n_jobs=jobs, progress=_show_training
    )
    corpora = sorted(set(open_feature_table(folders[0]).facts()["corpus"]))
    unwritten: list[OSError] = []
    with gathering(unwritten):
        write_model(trained, out, {"corpora": corpora, "model": model, "copies": []})
    show_report(trained.report)
    end_with_failures(0, trained.n_clips, unwritten)


def _show_training(folds: Iterable[Any], total: int, *, in_lines: bool = False) -> Iterator[Any]:
    """Show how many folds are done, and what comes then."""
    yield from show_folds(folds, total, in_lines=in_lines)
    say("training on all clips")


def _in_turn(experiments: dict[str, Experiment]) -> Iterator[tuple[str, Experiment]]:
    """Tell which experiment is on, if there are several."""
    for name, experiment in experiments.items():
        if len(experiments) > 1:
            say(f"{name}: {count(len(experiment.corpus.target), 'clip')}")
        yield name, experiment


def _conclude(
    experiments: dict[str, Experiment],
    reports: dict[str, EvaluationReport],
    settings: dict[str, dict[str, Any]],
    unwritten: list[OSError],
) -> None:
    """Print what came of the experiments, the settings that were found included, and end."""
    from sersk.experiments import MIXED
    from sersk.parts import compare_reports

    failures = experiments[MIXED].failures
    for _, error in failures:
        say(f"error: {visible(error)}")
    for name, report in reports.items():
        if len(reports) > 1:
            typer.echo(f"--- {visible(name)}\n")
        show_report(report)
        if setting := settings.get(name):
            best = (f"{key.rpartition('__')[2]}={value}" for key, value in setting.items())
            typer.echo(f"\nBest setting: {', '.join(best)}")
        if len(reports) > 1:
            typer.echo()
    if len(reports) > 1:
        show_comparison(compare_reports(experiments, reports))
    end_with_failures(len(failures), len(failures) + len(experiments[MIXED].corpus.target), unwritten)
