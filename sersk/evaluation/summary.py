"""Report of an evaluation -> the facts that its JSON file, its page and its card tell."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd

from sersk import __version__
from sersk.corpora.layouts import LAYOUTS
from sersk.plain import to_plain

from .crossvalidation import FACTS
from .report import EvaluationReport

FORMAT = "sersk evaluation report"
SCHEMA_VERSION = 1
_CONFIDENCE = 0.95
_FEW_SPEAKERS = 10
_FIGURES = ("uar", "wa", "macro_f1", "calibration_error", "log_loss", "brier_score")


@dataclass(frozen=True)
class ReportSection:
    """
    Hold what stands in a report beside the figures of the evaluation itself.

    Parameters
    ----------
    name : str
        Key in ``report.json``, and stem of the picture's file: letters, digits, ``_`` and ``-``.
    title, text : str
        Heading, and what is to be seen, in a sentence or two.
    table : DataFrame
        Numbers and text; the index is left out.
    plot : callable, default=None
        Draws `table`: takes it, and gives a matplotlib figure. It is called only where matplotlib is installed.
    """

    name: str
    title: str
    text: str
    table: pd.DataFrame
    plot: Callable[[pd.DataFrame], Any] | None = None


def summarise(
    report: EvaluationReport,
    *,
    card: Mapping[str, Any] | None = None,
    failures: Sequence[tuple[str, object]] = (),
    sections: Sequence[ReportSection] = (),
) -> dict[str, Any]:
    """
    Tell all that a report has to say in what JSON has.

    Parameters
    ----------
    report : EvaluationReport
        What `sersk.evaluate` gives.
    card : mapping, default=None
        As in `write_report`.
    failures : sequence of (str, object), default=()
        As in `write_report`.
    sections : sequence of ReportSection, default=()
        As in `write_report`.

    Returns
    -------
    dict
        What ``report.json`` holds; a figure that is not known is None.

    Raises
    ------
    ValueError
        If `card` or a section holds what JSON has not.
    """
    table = report.predictions
    clips = report.confusion.sum(axis=1)
    facts = {
        "format": FORMAT,
        "schema": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": _versions(),
        "card": dict(card or {}),
        "protocol": report.protocol,
        "description": report.description,
        "speaker_independent": report.speaker_independent,
        "emotions": [str(label) for label in report.labels],
        "columns": [str(column) for column in table],
        "n_clips": len(table),
        "n_speakers": int(table["speaker"].nunique()) or None,
        "n_folds": int(table["fold"].nunique()),
        "corpora": _corpora(table),
        "chance": 1 / int((clips > 0).sum()),
        "confidence": _CONFIDENCE,
        "figures": _figures(report),
        "by_emotion": _by_emotion(report),
        **{f"by_{column}": _by(report, column) for column in ("speaker", *FACTS)},
        "confusion": report.confusion.to_numpy(),
        "calibration": _calibration(report),
        "failures": [{"file": file, "reason": str(error)} for file, error in failures],
        "sections": [
            {"name": one.name, "title": one.title, "text": one.text, "table": _records(one.table)} for one in sections
        ],
    }
    facts["warning"] = _warning(facts)
    facts["limits"] = _limits(facts)
    plain: dict[str, Any] = to_plain(facts, "report")
    return plain


def _versions() -> dict[str, str]:
    libraries = {name: version(name) for name in ("scikit-learn", "numpy", "scipy", "pandas", "librosa")}
    return {"sersk": __version__, "python": platform.python_version(), **libraries}


def _figures(report: EvaluationReport) -> dict[str, dict[str, float]]:
    intervals = report.intervals(_CONFIDENCE)
    unknown = (float("nan"), float("nan"))
    figures = {}
    for name in _FIGURES:
        low, high = intervals.get(name, unknown)
        figures[name] = {"value": getattr(report, name), "low": low, "high": high}
    return figures


def _by_emotion(report: EvaluationReport) -> list[dict[str, Any]]:
    counts = report.confusion.to_numpy()
    rows = zip(report.recalls.items(), counts.sum(axis=1), counts.sum(axis=0), counts.diagonal(), strict=True)
    return [
        {"emotion": emotion, "clips": clips, "recall": recall, "precision": right / named if named else np.nan}
        for (emotion, recall), clips, named, right in rows
    ]


def _by(report: EvaluationReport, column: str) -> list[dict[str, Any]] | None:
    known = column in report.predictions and report.predictions[column].notna().any()
    return _records(report.by(column).reset_index()) if known else None


def _calibration(report: EvaluationReport) -> list[dict[str, Any]] | None:
    if report.calibration is None:
        return None
    limits = pd.DataFrame({"from": report.calibration.index / 10, "to": (report.calibration.index + 1) / 10})
    return _records(limits.join(report.calibration.reset_index(drop=True)))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _corpora(table: pd.DataFrame) -> list[dict[str, Any]] | None:
    if "corpus" not in table:
        return None
    corpora = []
    for name, rows in table.groupby("corpus"):
        known = LAYOUTS.get(str(name))
        corpora.append(
            {
                "corpus": name,
                "clips": len(rows),
                "speakers": int(rows["speaker"].nunique()) or None,
                "title": known.title if known else None,
                "reference": known.reference if known else None,
                "licence": known.licence if known else None,
            }
        )
    return corpora


def _warning(facts: Mapping[str, Any]) -> str | None:
    if facts["n_speakers"] is None:
        why = "SPEAKERS UNKNOWN: the same voices may have been learned from and tested."
    elif not facts["speaker_independent"]:
        why = "SPEAKER-DEPENDENT: the same voices were learned from and tested."
    else:
        return None
    return f"{why} The figures say nothing of new voices, for which they are too high."


def _limits(facts: Mapping[str, Any]) -> list[str]:
    """Say in sentences what the figures do not tell, the worst first."""
    limits = [facts["warning"]] if facts["warning"] else []
    if (facts["n_speakers"] or _FEW_SPEAKERS) < _FEW_SPEAKERS:
        limits.append(f"Speakers tested: {facts['n_speakers']}. So few say little of others, whatever the interval.")
    if never := [row["emotion"] for row in facts["by_emotion"] if not row["clips"]]:
        limits.append(f"Never tested, so that nothing is known of them: {', '.join(never)}.")
    if facts["failures"]:
        limits.append(f"Clips that could not be read, and are in no figure: {len(facts['failures'])}.")
    limits.append(
        "The figures hold for voices, ways of speaking and recordings like those of the corpus; expect less elsewhere."
    )
    return limits
