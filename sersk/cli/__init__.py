"""Command line -> the public functions."""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from .audit import audit
from .benchmark import benchmark
from .features import extract_features
from .importance import importance
from .plot import plot
from .prediction import predict
from .robustness import robustness
from .serve import serve
from .training import evaluate, fit

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 all is well; 1 some clips could not be read, the others are done; 2 nothing was done, "
    "or a file could not be written; 130 interrupted.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from sersk.version import __version__

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


app.command()(fit)
app.command()(evaluate)
app.command()(benchmark)
app.command()(predict)
app.command("features")(extract_features)
app.command()(audit)
app.command()(plot)
app.command()(importance)
app.command()(robustness)
app.command()(serve)
