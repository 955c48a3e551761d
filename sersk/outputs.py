"""Tables, curves and checkpoints -> files, replaced at once or not at all."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .atomic_files import replace_file
from .terminal import count, say

if TYPE_CHECKING:
    import pandas as pd

    from .training import TrainedModel

_PICTURES = (".png", ".pdf", ".svg")


def check_file(option: str, file: Path) -> None:
    """
    Find out that a file cannot be written before minutes of work go into it.

    Parameters
    ----------
    option : str
        Option that names the file, for the message.
    file : Path
        Where to write.

    Raises
    ------
    ValueError
        If it is a folder or a device, or its folder cannot be written.
    """
    if file.exists() and not file.is_file():  # not even for a device: the file would take its place
        kind = "a folder" if file.is_dir() else "no file"
        raise ValueError(f"{option} {file}: this is {kind}. Give the name of a file.")
    _check_writing(option, file, file.parent)


def check_folder(option: str, folder: Path) -> None:
    """
    Find out that a report cannot be written, or would take the place of something else.

    Parameters
    ----------
    option : str
        Option that names the folder, for the message.
    folder : Path
        Where to write.

    Raises
    ------
    ValueError
        If it is there and no report, or the folder above that is there cannot be written.
    """
    from .evaluation import check_report_folder

    try:
        target = check_report_folder(folder)
    except ValueError as error:
        raise ValueError(f"{option} {error}") from error
    _check_writing(option, folder, next(above for above in target.parents if above.exists()))


def _check_writing(option: str, given: Path, folder: Path) -> None:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(4096))  # for which a full disk has no room
    except OSError as error:
        raise ValueError(f"{option} {given}: cannot write to the folder {folder} ({error.strerror}).") from error


def check_table(out: Path) -> None:
    """
    Find out that a table cannot be written.

    Parameters
    ----------
    out : Path
        ``FILE.csv``, ``FILE.parquet``, or ``-`` for stdout.

    Raises
    ------
    ValueError
        If the name ends otherwise, or there is no writing.
    ImportError
        If what the format needs is not installed.
    """
    if str(out) != "-":
        _check_out(out, (".csv", ".parquet"), ".csv or .parquet, or -")


def check_results(out: Path) -> None:
    """
    Find out that predictions cannot be written.

    Parameters
    ----------
    out : Path
        ``FILE.csv``, ``FILE.jsonl`` or ``FILE.parquet``.

    Raises
    ------
    ValueError
        If the name ends otherwise, or there is no writing.
    ImportError
        If what the format needs is not installed.
    """
    _check_out(out, (".csv", ".jsonl", ".parquet"), ".csv, .jsonl (JSON lines) or .parquet")


def _check_out(out: Path, suffixes: tuple[str, ...], expected: str) -> None:
    if out.suffix.lower() not in suffixes:
        raise ValueError(f"--out {out}: expected a name that ends in {expected}.")
    check_file("--out", out)
    if out.suffix.lower() == ".parquet":
        _check_parquet()


def _check_parquet() -> None:
    if importlib.util.find_spec("pyarrow") is None:
        raise ImportError("Parquet needs pyarrow: pip install 'sersk[parquet]'")


def check_table_folder(folder: Path) -> None:
    """
    Find out that a folder of tables cannot be written; what is in it is looked at when it is written.

    Parameters
    ----------
    folder : Path
        Where to write.

    Raises
    ------
    ValueError
        If it is a file, or the folder above that is there cannot be written.
    ImportError
        If pyarrow is not installed.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder}: this is a file. Give a name that ends in .csv or .parquet, or a folder.")
    _check_writing("--out", folder, next(above for above in (folder, *folder.parents) if above.exists()))
    _check_parquet()


def check_picture(option: str, file: Path) -> None:
    """
    Find out that a picture cannot be written.

    Parameters
    ----------
    option : str
        Option that names the file, for the message.
    file : Path
        ``FILE.png``, ``FILE.pdf`` or ``FILE.svg``.

    Raises
    ------
    ValueError
        If the name ends otherwise, or there is no writing.
    ImportError
        If matplotlib is not installed.
    """
    if file.suffix.lower() not in _PICTURES:
        raise ValueError(f"{option} {file}: expected a name that ends in {', '.join(_PICTURES)}.")
    check_file(option, file)
    if importlib.util.find_spec("matplotlib") is None:
        raise ImportError(f"{option} needs matplotlib: pip install 'sersk[plot]'")


def file_of_part(file: Path, part: str | None) -> Path:
    """
    Name the file of what belongs to one part of a corpus.

    Parameters
    ----------
    file : Path
        The file of what belongs to the whole.
    part : str or None
        Name of the part; None for the whole.

    Returns
    -------
    Path
        ``model-female.sersk`` beside ``model.sersk``.
    """
    return file if part is None else file.with_name(f"{file.stem}-{part}{file.suffix}")


def checkpoint_folder(model: Path) -> Path:
    """
    Name the folder that keeps how far the training of a network has come.

    Parameters
    ----------
    model : Path
        The model file; the folder is beside it.

    Returns
    -------
    Path
        The folder, which may not be there.
    """
    return model.with_name(f".{model.name}.checkpoint")


def open_checkpoint(folder: Path, *, resume: bool) -> None:
    """
    Clear what an earlier training has left, unless it is to go on.

    Parameters
    ----------
    folder : Path
        What `checkpoint_folder` gave.
    resume : bool
        Whether to go on from what is in it; that there is nothing is told.
    """
    if not resume:
        remove_checkpoint(folder)
    elif not folder.is_dir():
        say(f"--resume: nothing to go on from, since {folder} is not there; starting from the beginning")


def remove_checkpoint(folder: Path) -> None:
    """
    Remove what a training that is done needs no more.

    Parameters
    ----------
    folder : Path
        What `checkpoint_folder` gave.
    """
    if folder.exists():
        shutil.rmtree(folder)


def write_table(table: pd.DataFrame, out: Path) -> None:
    """
    Write a table.

    Parameters
    ----------
    table : DataFrame
        Its index is left out.
    out : Path
        What `check_table` has passed.
    """
    if out.suffix.lower() == ".parquet":
        write = functools.partial(table.to_parquet, index=False)
    else:  # Python's writer quotes the lone carriage return of a name if it is part of its line ends only
        odd = table.select_dtypes(exclude="number").astype(str).stack().str.contains("\r").any()
        write = functools.partial(table.to_csv, index=False, lineterminator="\r\n" if odd else "\n")
    if str(out) == "-":
        try:
            write(sys.stdout)
            sys.stdout.flush()
        except OSError as error:
            raise OSError(error.errno, error.strerror, "stdout") from error
        return
    with replace_file(out) as draft:
        write(draft)


def write_model(trained: TrainedModel, file: Path, card: dict[str, Any]) -> None:
    """
    Save a model with its card, and say so.

    Parameters
    ----------
    trained : TrainedModel
        What is saved.
    file : Path
        What `check_file` has passed.
    card : dict
        What `trained` does not tell itself: ``model``, its name, and more.
    """
    from .persistence import save_model

    facts = {
        "n_clips": trained.n_clips,
        "n_speakers": trained.n_speakers,
        "metrics": trained.report.to_dict(),
        "best_params": trained.best_params,
    }
    save_model(trained.pipeline, file, card=card | facts)
    what = f"{card['model']}, trained on {count(trained.n_clips, 'clip')}"
    say(f"saved {file} ({file.stat().st_size / 1e3:.0f} kB): {what}")


def write_curves(trained: TrainedModel, file: Path, model: str) -> None:
    """
    Draw how loss and accuracy went in training.

    Parameters
    ----------
    trained : TrainedModel
        With a network.
    file : Path
        What `check_picture` has passed.
    model : str
        Name of the network.
    """
    from .evaluation.plots import plot_history

    network = trained.pipeline[-1]
    several = f"; the first of {n_networks} networks" if (n_networks := len(network.histories_)) > 1 else ""
    title = f"{model}, trained on {count(trained.n_clips, 'clip')}{several}"
    write_picture(plot_history(network.history_, title, best_epoch=network.best_epoch_), file)


def write_picture(figure: Any, file: Path) -> None:
    """
    Save a figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        What is saved.
    file : Path
        What `check_picture` has passed.
    """
    with replace_file(file) as draft:
        figure.savefig(draft, format=file.suffix[1:].lower(), dpi=150)


def write_text(text: str, file: Path) -> None:
    """
    Write a text.

    Parameters
    ----------
    text : str
        With its line ends.
    file : Path
        What `check_file` has passed.
    """
    with replace_file(file) as draft:
        draft.write_text(text, encoding="utf-8", newline="")


@contextlib.contextmanager
def open_results(out: Path | None) -> Iterator[IO[str]]:
    """
    Open what predictions are written to line by line.

    Parameters
    ----------
    out : Path or None
        What `check_results` has passed, which is replaced when all is written; None for stdout, which also stands for
        a table, since there are no lines then.

    Yields
    ------
    file object
        To write to.
    """
    if out is None or out.suffix.lower() == ".parquet":
        yield sys.stdout
        return
    with replace_file(out) as draft, draft.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def finish_results(out: Path, tables: list[pd.DataFrame], n_clips: int) -> None:
    """
    Write predictions that are a table, and say what the file holds.

    Parameters
    ----------
    out : Path
        What `check_results` has passed.
    tables : list of DataFrame
        The rows, in pieces; empty where lines were written.
    n_clips : int
        Number of clips in it.
    """
    import pandas as pd

    if tables:
        write_table(pd.concat(tables).rename(columns=str), out)
    say(f"{count(n_clips, 'clip')}: {out}")
