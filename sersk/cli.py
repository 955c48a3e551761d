"""Command line -> the public functions; heavy imports stand inside the commands."""

from __future__ import annotations

import functools
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .edge import edge, end_with_failures
from .options import (
    LAYOUTS,
    NETWORKS,
    NO_COPIES,
    Augment,
    By,
    Cache,
    Corpora,
    Features,
    Jobs,
    JobsOfTraining,
    Layout,
    Model,
    Protocol,
    Search,
    Seed,
    one_of,
)
from .outputs import (
    check_file,
    check_picture,
    check_table,
    checkpoint_folder,
    file_of_part,
    open_checkpoint,
    remove_checkpoint,
    write_curves,
    write_model,
    write_table,
)
from .sources import find_clips, read_corpora
from .terminal import (
    count,
    csv_line,
    json_line,
    plain_line,
    say,
    show_comparison,
    show_folds,
    show_report,
    visible,
)

if TYPE_CHECKING:
    from .evaluation import EvaluationReport
    from .experiments import Experiment

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 all is well; 1 some clips could not be read, the others are done; 2 nothing was done.",
)

_CHUNK = 256


def _print_version(wanted: bool) -> None:
    if wanted:
        from .version import __version__

        typer.echo(f"sersk {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Recognise emotions in speech: train, predict, extract features."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file name that the terminal cannot show is no reason to stop
        sys.stdout.reconfigure(errors="backslashreplace")


@app.command()
def fit(
    corpus: Corpora,
    layout: Layout = "auto",
    model: Model = "lda",
    search: Search = None,
    features: Features = "default",
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
    seed: Seed = 0,
) -> None:
    """
    Train a model, estimate it on unseen speakers, and save it.

    Prints how well the model does on speakers that it was not trained on (UAR: mean of the emotions' recalls; WA: share
    of all clips that are right) and what it takes for what. The saved model is trained on all clips.

    With --by gender, FILE-female and FILE-male are trained, too, each on the clips of one gender, as the corpus tells
    it, and are compared with the mixed model on the same test clips, of speakers that none of them had heard. Under
    --protocol auto each model has the folds that fit its own speakers; one gender of RAVDESS, say, leaves one speaker
    out, since the six fixed folds need all 24 actors, and so has more of its speakers to learn from than the mixed
    model. Under --protocol loso all models leave out each speaker alone, so that nothing differs but the other gender's
    clips, which only the mixed model learns from.

    `sersk fit demo` writes a small corpus of synthetic speech to sersk-demo/, and trains on it.
    """
    is_network = model in NETWORKS
    checkpoint = checkpoint_folder(out) if is_network else None
    with edge(checkpoint):
        _check_model(model, features)
        if not is_network and (resume or curves is not None):
            option = "--resume" if resume else "--curves"
            raise ValueError(f"{option}: {model} is not trained in epochs; that is for {', '.join(NETWORKS)}.")
        check_file("--out", out)
        if curves is not None:
            check_picture("--curves", curves)
        clips = read_corpora(corpus, layout, seed)
        for part in [] if by is None else clips.frame[by].dropna().unique():
            check_file("--out", file_of_part(out, part))
        from .experiments import MIXED, prepare_experiments
        from .training import train_experiment

        def progress(folds: Iterable[Any], total: int) -> Iterator[Any]:
            yield from show_folds(folds, total, in_lines=is_network and jobs < 2)
            say("training on all clips")

        experiments = prepare_experiments(
            clips,
            model,
            by=by,
            features=features,
            search=search,
            augment=_methods(augment),
            checkpoint=checkpoint,
            protocol=protocol,
            random_state=seed,
            n_jobs=jobs,
            memory=None if cache is None else str(cache),
            verbose=1,
        )
        if checkpoint is not None:
            open_checkpoint(checkpoint, resume=resume)
        all_trained = {}
        for name, experiment in _in_turn(experiments):
            all_trained[name] = trained = train_experiment(experiment, progress)
            part = None if name == MIXED else name
            card = {
                "corpora": sorted(set(clips.frame["corpus"].iloc[experiment.corpus.positions])),
                "model": model,
                "copies": list(experiment.copies),
            }
            # Before anything is printed: the reader may be gone.
            write_model(trained, file_of_part(out, part), card if part is None else card | {str(by): part})
            if curves is not None:
                write_curves(trained, file_of_part(curves, part), model)
        if checkpoint is not None:
            remove_checkpoint(checkpoint)
        reports = {name: trained.report for name, trained in all_trained.items()}
        _conclude(experiments, reports, {name: trained.best_params for name, trained in all_trained.items()})


@app.command()
def evaluate(
    corpus: Corpora,
    layout: Layout = "auto",
    model: Model = "lda",
    search: Search = None,
    features: Features = "default",
    protocol: Protocol = "auto",
    by: By = None,
    augment: Augment = None,
    cache: Cache = None,
    jobs: JobsOfTraining = -1,
    seed: Seed = 0,
) -> None:
    """
    Estimate a model on unseen speakers, and save none.

    Prints what `sersk fit` prints; its help tells how --by gender compares.
    """
    with edge():
        _check_model(model, features)
        clips = read_corpora(corpus, layout, seed)
        from .experiments import prepare_experiments

        experiments = prepare_experiments(
            clips,
            model,
            by=by,
            features=features,
            search=search,
            augment=_methods(augment),
            protocol=protocol,
            random_state=seed,
            n_jobs=jobs,
            memory=None if cache is None else str(cache),
            verbose=1,
        )
        progress = functools.partial(show_folds, in_lines=model in NETWORKS and jobs < 2)
        reports = {name: experiment.evaluate(progress) for name, experiment in _in_turn(experiments)}
        _conclude(experiments, reports, {})


def _methods(listed: str | None) -> list[str] | None:
    if listed is None:
        return None
    return [] if listed == NO_COPIES else [name for name in listed.split(",") if name]


def _check_model(model: str, features: str) -> None:
    if model in NETWORKS and features != "default":
        raise ValueError(f"--features {features}: the network {model} has features of its own. Leave the option out.")


def _in_turn(experiments: dict[str, Experiment]) -> Iterator[tuple[str, Experiment]]:
    """Tell which experiment is on, if there are several."""
    for name, experiment in experiments.items():
        if len(experiments) > 1:
            say(f"{name}: {count(len(experiment.corpus.target), 'clip')}")
        yield name, experiment


def _conclude(
    experiments: dict[str, Experiment], reports: dict[str, EvaluationReport], settings: dict[str, dict[str, Any]]
) -> None:
    """Print what came of the experiments, the settings that were found included, and end."""
    from .experiments import MIXED, compare_reports

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
    end_with_failures(len(failures), len(failures) + len(experiments[MIXED].corpus.target))


@app.command()
def predict(
    clips: Annotated[
        list[str],
        typer.Argument(metavar="CLIP", help="Files, folders, patterns such as 'calls/*.wav', or - for stdin."),
    ],
    model: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Model file; without it, the one that comes with sersk.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV with a header.")] = False,
    proba: Annotated[bool, typer.Option("--proba", help="Show the probabilities of all emotions.")] = False,
    jobs: Jobs = 1,
) -> None:
    """
    Name the emotion of clips, with its probability.

    Results go to stdout: a line a clip, with tabs between file, emotion and probability, unless --json or --csv is
    given. A clip that cannot be read is a line on stderr; the others are predicted all the same.
    """
    with edge():
        if as_json and as_csv:
            raise typer.BadParameter("--json and --csv exclude each other.")
        from .persistence import default_model_path, load_model
        from .prediction import predict_emotions

        fitted = load_model(model or default_model_path())
        has_chances = hasattr(fitted, "predict_proba")
        if proba and not has_chances:
            raise ValueError("--proba: this model gives no probabilities.")
        sources, n_bad = find_clips(clips)
        n_clips = len(sources) + n_bad
        labels = fitted.classes_.tolist() if proba else []
        names = ["file", "emotion", *(["probability"] if has_chances else []), *labels]
        line = csv_line if as_csv else json_line if as_json else plain_line
        if as_csv:
            sys.stdout.write(csv_line(names, labels))
        # In pieces, so that results come as they are made and memory does not grow with the number of clips.
        for first in range(0, len(sources), _CHUNK):
            table = predict_emotions(fitted, sources[first : first + _CHUNK], n_jobs=jobs)
            # By position, since an emotion may have the name of another column; tolist gives Python's own types.
            bad = table[table.iloc[:, -1].notna()]
            for file, error in zip(bad.iloc[:, 0], bad.iloc[:, -1], strict=True):
                say(f"error: {visible(file)}: {visible(error)}")
            good = table.drop(index=bad.index)
            columns = [good.iloc[:, column].tolist() for column in range(len(names))]
            sys.stdout.writelines(line(row, labels) for row in zip(*columns, strict=True))
            sys.stdout.flush()
            n_bad += len(bad)
        end_with_failures(n_bad, n_clips)


@app.command("features")
def extract_features(
    clips: Annotated[
        list[str],
        typer.Argument(metavar="CLIP", help="Files, folders, patterns, or - for stdin; with --layout, corpora."),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="FILE.csv, FILE.parquet, or - for CSV on stdout.")] = Path(
        "features.csv"
    ),
    features: Features = "default",
    layout: Annotated[str | None, one_of(LAYOUTS, "Read corpora, and add columns such as emotion and speaker")] = None,
    cache: Cache = None,
    jobs: Jobs = -1,
) -> None:
    """
    Write a table with the named features of every clip.

    Clips that cannot be read are told on stderr and left out.
    """
    with edge():
        check_table(out)
        import pandas as pd

        from .audio import source_name
        from .features import AcousticFeatures

        memory = None if cache is None else str(cache)
        extractor = AcousticFeatures.from_preset(features, n_jobs=jobs, memory=memory, verbose=1)
        names, n_bad = extractor.get_feature_names_out(), 0
        if layout is None:
            sources, n_bad = find_clips(clips)
            facts = pd.DataFrame({"file": [source_name(source) for source in sources]})
        else:
            corpus = read_corpora(clips, layout, seed=0)
            sources, facts = list(corpus.data), corpus.frame
        n_clips = len(sources) + n_bad
        if taken := sorted({*facts.columns} & {*names}):
            raise ValueError(f"The manifest has columns with names of features: {', '.join(taken)}. Rename them.")
        if sources:
            vectors, failures = extractor.extract(sources)
            for index, error in failures:
                say(f"error: {visible(facts['file'][index])}: {visible(error.reason)}")
            values = pd.DataFrame(vectors, columns=names, index=facts.index)
            table = pd.concat([facts, values], axis=1).drop(index=[index for index, _ in failures])
            write_table(table, out)
            n_bad += len(failures)
            say(f"{count(len(table), 'clip')}, {len(names)} features" + (f": {out}" if str(out) != "-" else ""))
        end_with_failures(n_bad, n_clips)
