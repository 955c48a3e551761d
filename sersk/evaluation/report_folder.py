"""Report of an evaluation -> a folder with its numbers, pictures and a page; and back."""

from __future__ import annotations

import csv
import functools
import io
import json
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sersk.atomic_files import replace_folder

from .card import write_card
from .crossvalidation import FACTS
from .page import Picture, write_page
from .plots import plot_by, plot_confusion, plot_reliability
from .plots.style import need_figure
from .report import EvaluationReport
from .summary import FORMAT, SCHEMA_VERSION, ReportSection, summarise

JSON, CSV, PAGE, CARD = "report.json", "predictions.csv", "report.html", "card.md"
_DPI = 150
_NAME = re.compile(r"[A-Za-z0-9_-]+")
# Columns of predictions.csv in which nothing between two commas means that it is not known.
_MAY_BE_UNKNOWN = ("speaker", *FACTS)
# What `read_report` reads in report.json.
_NEEDED = ("schema", "files", "columns", "n_clips", "protocol", "description", "speaker_independent", "emotions")


def write_report(
    report: EvaluationReport,
    folder: str | os.PathLike[str],
    *,
    card: Mapping[str, Any] | None = None,
    failures: Sequence[tuple[str, object]] = (),
    sections: Sequence[ReportSection] = (),
) -> Path:
    """
    Write all that an evaluation has to say into a folder of its own.

    ``report.json`` holds every number that is shown; ``predictions.csv`` the prediction for each clip; ``report.html``
    is a page that needs no other file; ``card.md`` a model card; then the pictures as PNG: ``confusion``,
    ``reliability``, ``speaker``, ``gender``, ``corpus`` (each where it has something to show), and those of
    `sections`. Without matplotlib there are no pictures, and the page says so.

    Parameters
    ----------
    report : EvaluationReport
        What `sersk.evaluate` gives.
    folder : path
        Where to. It is there as a whole or not at all, and replaces an earlier report only; folders above are made.
    card : mapping, default=None
        What the report does not know itself: ``model``, its name; ``part``, if the clips are a part of the corpus;
        ``command`` that made it; and anything else worth telling that JSON has.
    failures : sequence of (str, object), default=()
        Clips that were left out, and why, such as those of `sersk.experiments.Experiment`.
    sections : sequence of ReportSection, default=()
        Further tables, and their pictures.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ValueError
        If the folder is none of ours (see `check_report_folder`), the name of a section is taken or no name of a file,
        or the card or a section holds what JSON has not.

    See Also
    --------
    read_report : Read it back.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> from sersk import EvaluationReport
    >>> from sersk.evaluation import read_report, write_report
    >>> table = pd.DataFrame({"file": ["a.wav", "b.wav"], "speaker": ["x", "y"], "fold": [1, 2]})
    >>> table = table.assign(emotion=["sad", "happy"], predicted=["sad", "sad"])
    >>> report = EvaluationReport("loso", "leave one speaker out", True, ["happy", "sad"], table)
    >>> with TemporaryDirectory() as folder:
    ...     written = write_report(report, f"{folder}/report", card={"model": "lda"})
    ...     print(*sorted(file.name for file in written.iterdir()))
    ...     read_report(written).uar
    card.md confusion.png predictions.csv report.html report.json speaker.png
    0.5
    """
    target = check_report_folder(folder)
    plots = _plots(report)
    for one in sections:
        if not _NAME.fullmatch(one.name) or one.name in {*plots, "confusion", "reliability", *_MAY_BE_UNKNOWN}:
            raise ValueError(f"sections: expected a name of letters that no picture has yet, got {one.name!r}.")
        if one.plot is not None:
            plots[one.name] = functools.partial(one.plot, one.table)
    facts = summarise(report, card=card, failures=failures, sections=sections)
    pictures = _draw(plots)
    facts["files"] = [JSON, CSV, PAGE, CARD, *(f"{name}.png" for name in pictures)]
    target.parent.mkdir(parents=True, exist_ok=True)
    with replace_folder(target) as draft:
        text = {JSON: json.dumps(facts, indent=1, allow_nan=False), PAGE: write_page(facts, pictures)}
        for name, content in (text | {CARD: write_card(facts)}).items():
            (draft / name).write_text(content, encoding="utf-8", errors="backslashreplace")
        _write_predictions(report.predictions, draft / CSV)
        for name, picture in pictures.items():
            (draft / f"{name}.png").write_bytes(picture.content)
    return Path(folder)


def check_report_folder(folder: str | os.PathLike[str]) -> Path:
    """
    Find out that a report would take the place of something else.

    Parameters
    ----------
    folder : path
        Where a report is to be written.

    Returns
    -------
    Path
        The folder itself, links followed.

    Raises
    ------
    ValueError
        If it is there and neither empty nor an earlier report, if there are files in it that the report did not bring,
        or if it is the folder that one is in.
    """
    target = Path(folder).resolve()
    if not target.exists():
        return target
    if not target.is_dir():
        raise ValueError(f"{folder}: this is a file. Give the name of a folder for the report.")
    if target == Path.cwd():
        raise ValueError(f"{folder}: a report replaces its folder as a whole. Give it a folder of its own.")
    found = {file.name for file in target.iterdir()}
    ours = {*_read_facts(Path(folder))["files"]} if JSON in found else set()
    if strange := sorted(found - ours):
        raise ValueError(
            f"{folder}: there is {strange[0]!r} in it, which is no part of a report, and a report replaces its folder "
            "as a whole. Give a folder that is empty, or not there yet."
        )
    return target


def read_report(folder: str | os.PathLike[str]) -> EvaluationReport:
    """
    Read a report back: every figure and every picture can be made from it again.

    Parameters
    ----------
    folder : path
        What `write_report` wrote.

    Returns
    -------
    EvaluationReport
        The one that was written.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or a file of it is missing.
    ValueError
        If it holds no report, one of a newer sersk, or predictions that do not fit it.

    Examples
    --------
    >>> from sersk.evaluation import read_report
    >>> report = read_report("report")  # doctest: +SKIP
    """
    source = Path(folder)
    facts = _read_facts(source)
    predictions = pd.read_csv(
        source / CSV,
        index_col=0,
        dtype="object",  # pandas reads some floats a little wrong; Python reads them as they were
        keep_default_na=False,
        na_values={name: [""] for name in _MAY_BE_UNKNOWN},
        encoding_errors="surrogateescape",
    ).rename_axis(None)
    if predictions.columns.tolist() != facts["columns"] or len(predictions) != facts["n_clips"]:
        raise ValueError(f"{source / CSV}: does not fit {JSON} beside it; one of them was changed.")
    numbers = {"fold": int, **dict.fromkeys(facts["emotions"], float)}
    predictions = predictions.where(predictions.notna(), None).set_axis(predictions.index.astype(int))
    predictions = predictions.astype({name: kind for name, kind in numbers.items() if name in predictions})
    return EvaluationReport(
        facts["protocol"],
        facts["description"],
        facts["speaker_independent"],
        np.array(facts["emotions"]),
        predictions.infer_objects(),
    )


def _read_facts(folder: Path) -> dict[str, Any]:
    file = folder / JSON
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise KeyError(FORMAT)
        is_newer = facts["schema"] > SCHEMA_VERSION
        if not is_newer and (missing := {*_NEEDED} - {*facts}):
            raise KeyError(*missing)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{file}: is no report of sersk.") from error
    if is_newer:
        raise ValueError(
            f"{file}: is of schema {facts['schema']}, and this sersk reads up to {SCHEMA_VERSION}. Install a newer one."
        )
    known: dict[str, Any] = facts
    return known


def _plots(report: EvaluationReport) -> dict[str, Callable[[], Any]]:
    """Give what draws each picture that has something to show."""
    plots: dict[str, Callable[[], Any]] = {"confusion": functools.partial(plot_confusion, report)}
    if report.calibration is not None:
        plots["reliability"] = functools.partial(plot_reliability, report)
    for column in _MAY_BE_UNKNOWN:
        if column in report.predictions and report.predictions[column].nunique() > 1:
            plots[column] = functools.partial(plot_by, report, column)
    return plots


def _draw(plots: Mapping[str, Callable[[], Any]]) -> dict[str, Picture]:
    try:
        need_figure()
    except ImportError:
        return {}
    pictures = {}
    for name, plot in plots.items():
        figure, content = plot(), io.BytesIO()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)  # a box stands for the letter
            figure.savefig(content, format="png", dpi=_DPI)
        pictures[name] = Picture(content.getvalue(), round(96 * figure.get_size_inches()[0]))
    return pictures


def _write_predictions(table: pd.DataFrame, file: Path) -> None:
    # All text in quotes, so that no name breaks a line; floats with as many digits as give the same ones again.
    table.to_csv(
        file,
        index_label="clip",
        quoting=csv.QUOTE_NONNUMERIC,
        lineterminator="\n",
        encoding="utf-8",
        errors="surrogateescape",
    )
