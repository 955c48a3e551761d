"""Facts of an evaluation -> model card in Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

# What would be taken for Markdown or HTML, and what would break a line.
_MARKS = re.compile(r"([\\`*_{}\[\]<>#|~&])")
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_TEMPLATE = """# Model card: {title}

{warning}## Intended use

Names the emotion that a clip of speech sounds like, as one of: {emotions}. It is meant for research, and to sort or
search recordings like those that it was estimated on. It is not meant to decide about people: an emotion heard is not
an emotion felt, and in the European Union emotion recognition at work and in education is prohibited (Regulation
2024/1689, article 5).

## Data

{n_clips} clips, {speakers}.{failures}

{corpora}## How it was estimated

{description} (protocol `{protocol}`, {n_folds} folds). All that is learned, scaling included, was fitted on
training folds.
{made_with}
## What it gets right

UAR, the mean of the emotions' recalls, is **{uar}**; guessing gives {chance:.3f}. Intervals are of {percent:.0f} %, for
other speakers of the kind.

{figures}

### By emotion

{by_emotion}
{by_gender}
## Limits

{limits}

## Made by

sersk {sersk} on {created}, Python {python}, {versions}.
"""
NAMES = {
    "uar": "UAR (unweighted average recall)",
    "wa": "WA (weighted accuracy)",
    "macro_f1": "Macro F1",
    "calibration_error": "Calibration error (ECE)",
    "log_loss": "Log loss",
    "brier_score": "Brier score",
}


def title_of(facts: Mapping[str, Any]) -> str:
    """
    Name what was evaluated, and on what.

    Parameters
    ----------
    facts : mapping
        What `summarise` gives.

    Returns
    -------
    str
        ``"lda on ravdess"``, ``"lda on ravdess (female)"``; less where less is known.
    """
    model = facts["card"].get("model") or "Speech emotion recognition"
    corpora = ", ".join(row["corpus"] for row in facts["corpora"] or [])
    part = facts["card"].get("part")
    return f"{model}{f' on {corpora}' if corpora else ''}{f' ({part})' if part else ''}"


def heading_of(column: str) -> str:
    """
    Name a column for people.

    Parameters
    ----------
    column : str
        Such as ``"uar_std"``.

    Returns
    -------
    str
        Such as ``"UAR std"``.
    """
    return re.sub(r"\b(uar|wa)\b", lambda found: found[0].upper(), column.replace("_", " "))


def show_number(value: float) -> str:
    """
    Write a share with three digits, and what is greater with four in all.

    Parameters
    ----------
    value : float
        What to write.

    Returns
    -------
    str
        ``"0.873"``, ``"135.4"``.
    """
    return f"{value:.3f}" if abs(value) <= 1 else f"{value:.4g}"


def with_interval(figure: Mapping[str, float | None]) -> str:
    """
    Write a figure and its limits.

    Parameters
    ----------
    figure : mapping
        ``value``, ``low`` and ``high``, None where unknown.

    Returns
    -------
    str
        ``"0.873 (0.812 to 0.910)"``.
    """
    if figure["value"] is None:
        return "not known"
    limits = "" if figure["low"] is None else f" ({figure['low']:.3f} to {figure['high']:.3f})"
    return f"{figure['value']:.3f}{limits}"


def write_card(facts: Mapping[str, Any]) -> str:
    """
    Write a model card.

    Parameters
    ----------
    facts : mapping
        What `summarise` gives.

    Returns
    -------
    str
        Markdown; names of emotions, speakers and corpora stand in it as text, whatever is in them.

    References
    ----------
    Mitchell et al. 2019, "Model cards for model reporting", doi 10.1145/3287560.3287596.
    """
    first, *others = facts["versions"].items()
    n_failures = len(facts["failures"])
    corpora = [
        {name: row[name] for name in ("corpus", "clips", "speakers", "reference", "licence")}
        for row in facts["corpora"] or []
    ]
    command = facts["card"].get("command")
    figures = [{"figure": NAMES[name], "value": with_interval(one)} for name, one in facts["figures"].items()]
    return _TEMPLATE.format(
        title=_text(title_of(facts)),
        warning=f"> **{_text(facts['warning'])}**\n\n" if facts["warning"] else "",
        emotions=", ".join(map(_text, facts["emotions"])),
        n_clips=facts["n_clips"],
        speakers="speakers unknown" if facts["n_speakers"] is None else f"{facts['n_speakers']} speakers",
        failures=f" {n_failures} more could not be read and were left out." if n_failures else "",
        corpora=f"{_table(corpora)}\n\n" if corpora else "",
        description=_text(facts["description"][:1].upper() + facts["description"][1:]),
        protocol=facts["protocol"],
        n_folds=facts["n_folds"],
        made_with=f"\n    {_BREAKS.sub(' ', str(command))}\n" if command else "",
        uar=with_interval(facts["figures"]["uar"]),
        chance=facts["chance"],
        percent=100 * facts["confidence"],
        figures=_table(figures),
        by_emotion=_table(facts["by_emotion"]),
        by_gender=f"\n### By gender\n\n{_table(facts['by_gender'])}\n" if facts["by_gender"] else "",
        limits="\n".join(f"- {_text(limit)}" for limit in facts["limits"]),
        sersk=first[1],
        created=facts["created"],
        python=facts["versions"]["python"],
        versions=", ".join(f"{name} {number}" for name, number in others if name != "python"),
    )


def _text(value: object) -> str:
    return _MARKS.sub(r"\\\1", _BREAKS.sub(" ", str(value)))


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    head = [_text(heading_of(name)) for name in rows[0]]
    lines = [head, ["---"] * len(head), *([_cell(value) for value in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return show_number(value) if isinstance(value, float) else _text(value)
