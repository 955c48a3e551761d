"""Command `features`; heavy imports stand inside it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sersk.distribution import on_scheduler
from sersk.edge import edge, end_with_failures
from sersk.options import (
    LAYOUTS,
    Cache,
    Features,
    Jobs,
    Scheduler,
    one_of,
)
from sersk.outputs import (
    check_table,
    check_table_folder,
    write_table,
)
from sersk.sources import find_clips, read_corpora
from sersk.terminal import (
    count,
    say,
    show_folds,
    visible,
)

if TYPE_CHECKING:
    import pandas as pd

    from sersk.audio import AudioError
    from sersk.features import AcousticFeatures


def extract_features(
    clips: Annotated[
        list[str],
        typer.Argument(metavar="CLIP", help="Files, folders, patterns, or - for stdin; with --layout, corpora."),
    ],
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="FILE.csv, FILE.parquet, - for CSV on stdout, or a name without extension: a folder of Parquet files.",
        ),
    ] = Path("features.csv"),
    features: Features = "default",
    layout: Annotated[str | None, one_of(LAYOUTS, "Read corpora, and add columns such as emotion and speaker")] = None,
    cache: Cache = None,
    jobs: Jobs = -1,
    scheduler: Scheduler = None,
) -> None:
    """
    Write a table with the named features of every clip.

    A clip that cannot be read is a line on stderr and is left out.

    A folder takes more clips than fit into memory: it holds 4096 clips a file, part-00000-of-00025.parquet and so on,
    which pandas.read_parquet(folder) and Dask read as one table. The same command goes on where it was interrupted.
    `sersk fit FOLDER` trains on it, a file at a time, if the features are those of a corpus (--layout).
    """
    in_parts = not out.suffix and str(out) != "-"
    with edge(), on_scheduler(scheduler, say):
        check_table_folder(out) if in_parts else check_table(out)
        import pandas as pd

        from sersk.audio import source_name
        from sersk.features import AcousticFeatures

        memory = None if cache is None else str(cache)
        extractor = AcousticFeatures.from_preset(features, n_jobs=jobs, memory=memory)
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
        if sources and in_parts:
            unreadable = _write_parts(sources, facts, extractor, out)
        elif sources:
            vectors, failures = extractor.set_params(verbose=1).extract(sources)
            unreadable = [(facts["file"][index], error) for index, error in failures]
            values = pd.DataFrame(vectors, columns=names, index=facts.index)
            table = pd.concat([facts, values], axis=1).drop(index=[index for index, _ in failures])
            write_table(table, out)
        if sources:
            for file, error in unreadable:
                say(f"error: {visible(file)}: {visible(error.reason)}")
            n_bad += len(unreadable)
            told = f"{count(len(sources) - len(unreadable), 'clip')}, {len(names)} features"
            say(told + (f": {out}" if str(out) != "-" else ""))
        end_with_failures(n_bad, n_clips)


def _write_parts(
    sources: list[Any], facts: pd.DataFrame, extractor: AcousticFeatures, folder: Path
) -> list[tuple[str, AudioError]]:
    """Write a folder of files; the bar counts them, or the clips if there is one file only."""
    from sersk.feature_table import PART_SIZE, write_feature_table

    if not all(isinstance(source, str) for source in sources):
        raise ValueError("- cannot be read again by a command that goes on; name a file, or write a table to a file.")
    write = functools.partial(write_feature_table, sources, facts, folder=folder, part_size=PART_SIZE, tell=say)
    if len(sources) <= PART_SIZE:
        return write(features=extractor.set_params(verbose=1))
    return write(features=extractor, progress=functools.partial(show_folds, what="features"))
