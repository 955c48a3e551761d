"""Command `serve`; heavy imports stand inside it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from sersk.edge import edge, starting


def serve(
    model: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Model file, and more of them by more of this; without it, the one that comes with sersk.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen; 0.0.0.0 is everywhere.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="With 0, any that is free.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            envvar="SERSK_TOKEN",
            help="Answer those only who know it; the environment shows it to fewer people than the command line.",
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Processes that predict: one a core by default.", show_default=False),
    ] = None,
    max_waiting: Annotated[
        int, typer.Option(min=1, metavar="N", help="Requests in the service at once; more are refused.")
    ] = 64,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Time for the work on one clip or recording.")
    ] = 60.0,
    page: Annotated[bool, typer.Option(help="A page to talk to, at /, beside the API.")] = True,
) -> None:
    """
    Answer requests over HTTP with the emotions of clips and recordings, until Ctrl-C; needs pip install 'sersk[serve]'.

    POST a clip to /v1/predict as it is, or as the field file of a form, or several to /v1/predict/batch. /docs
    describes the rest; /healthz, /readyz and /metrics are for those who run it. It needs no access to other machines.
    The API keeps nothing of what it is sent, on disk or in a log; the page keeps a recording for its player, for 11
    minutes at most.
    """
    with edge(ends_itself=True):
        with starting():
            from sersk.serve.server import run_server
            from sersk.serve.service import Limits

        run_server(
            model or (),
            host=host,
            port=port,
            token=os.environ.get("SERSK_TOKEN") if token is None else token,  # Typer takes an empty one for none
            page=page,
            limits=Limits(max_waiting=max_waiting, timeout=timeout),
            n_workers=workers,
        )
