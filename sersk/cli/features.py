"""Command `features`; heavy imports stand inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
    write_table,
)
from sersk.sources import find_clips, read_corpora
from sersk.terminal import (
    count,
    say,
    visible,
)


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
    scheduler: Scheduler = None,
) -> None:
    """
    Write a table with the named features of every clip.

    Clips that cannot be read are told on stderr and left out.
    """
    with edge(), on_scheduler(scheduler, say):
        check_table(out)
        import pandas as pd

        from sersk.audio import source_name
        from sersk.features import AcousticFeatures

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
