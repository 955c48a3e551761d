"""Command `audit`; heavy imports stand inside it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated

import typer

from sersk.distribution import on_scheduler
from sersk.edge import edge, end_with_failures, gathering
from sersk.options import NETWORKS, Cache, Corpora, JobsOfTraining, Layout, Model, Scheduler, Seed
from sersk.outputs import check_table, write_table
from sersk.sources import read_corpora
from sersk.terminal import count, say, show_folds, visible

# Of the document that --json prints: raise it with any change that a program which reads it would notice.
JSON_VERSION = 1


def audit(
    corpus: Corpora,
    layout: Layout = "auto",
    model: Model = "lda",
    no_leak: Annotated[bool, typer.Option("--no-leak", help="Leave the evaluations out, which take longest.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write what was measured of every clip: FILE.csv or FILE.parquet.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
    cache: Cache = None,
    jobs: JobsOfTraining = -1,
    scheduler: Scheduler = None,
    seed: Seed = 0,
) -> None:
    """
    Look for what is wrong with a corpus.

    Reads every clip and counts emotions, speakers and genders; measures lengths, sampling rates, levels, clipping and
    silence; finds clips that cannot be read, equal audio under different names, speakers or emotions, and emotions that
    are rare, missing, or go along with a speaker, a gender, a corpus or a kind of file. Then one model is evaluated on
    a random split and on unseen speakers: the difference is what the random split owes to voices that it knows.

    Findings do not change the exit code; clips that cannot be read do (1).
    """
    with edge(), on_scheduler(scheduler, say):
        if out is not None:
            if str(out) == "-":
                raise ValueError("--out -: stdout is for the report. Give the name of a file.")
            check_table(out)
        clips = read_corpora(corpus, layout, seed)
        from sersk.corpora import audit_corpus

        from .audit_text import as_document, show_audit, show_leak

        audited = audit_corpus(clips, n_jobs=jobs, verbose=1)
        unwritten: list[OSError] = []
        if out is not None:
            with gathering(unwritten):
                write_table(audited.clips, out)
                say(f"{count(len(audited.clips), 'clip')}: {out}")
        if not as_json:
            show_audit(audited)
        leak = None
        if not no_leak:
            from sersk.auditing import audit_leak

            try:
                leak = audit_leak(
                    clips,
                    audited,
                    model,
                    random_state=seed,
                    n_jobs=jobs,
                    memory=None if cache is None else str(cache),
                    verbose=1,
                    progress=functools.partial(show_folds, in_lines=model in NETWORKS and jobs < 2),
                )
            except ValueError as error:  # the corpus does not allow it; the rest of the audit stands
                say(f"warning: no evaluation: {error}")
        if as_json:
            typer.echo(as_document(audited, leak, version=JSON_VERSION))
        elif leak is not None:
            show_leak(leak, model)
        for file, failure in audited.failures:
            say(f"error: {visible(file)}: {visible(failure.reason)}")
        end_with_failures(len(audited.failures), len(audited.clips), unwritten)
