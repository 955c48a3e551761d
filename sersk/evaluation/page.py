"""Facts and pictures of an evaluation -> an HTML page that stands alone."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from .card import NAMES, heading_of, show_number, title_of, with_interval

_MEANINGS = {
    "wa": "share of all clips that are right",
    "macro_f1": "mean F1 score of the emotions",
    "calibration_error": "mean distance between how sure the model is and how often it is right; 0 is best",
    "log_loss": "mean negative logarithm of the true emotion's probability; 0 is best, {guess:.3f} is a guess",
    "brier_score": "mean squared distance of the probabilities from the truth; 0 is best, 2 is worst",
}
_TEXTS = {
    "confusion": (
        "What is taken for what",
        "Each row is one true emotion, parted by what the model took it for; the diagonal holds the recalls.",
    ),
    "reliability": (
        "How sure it may be",
        "Above the diagonal the model is more often right than it says, below it less often.",
    ),
    "speaker": ("By speaker", "UAR of each, over the emotions that he or she speaks. A new voice may be any of these."),
    "gender": ("By gender", "UAR of the voices of each, by the same model."),
    "corpus": ("By corpus", "UAR on each corpus, over the emotions that it has."),
}
_STYLE = """
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
h1, p, li, td, th { overflow-wrap: break-word; }
.loud { border: 4px double; padding: .7rem 1rem; font-weight: bold; font-size: 1.1rem; }
.number { font-size: 2.6rem; font-weight: bold; line-height: 1.1; }
.number small { font-size: 1.1rem; font-weight: normal; white-space: nowrap; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
td, th { border-bottom: 1px solid #8886; padding: .25rem .9rem .25rem 0; text-align: left; vertical-align: top; }
td.n, th.n { text-align: right; }
img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; border-left: 3px solid #8886; padding-left: .8rem; }
summary { cursor: pointer; } footer { margin-top: 3rem; font-size: .85rem; opacity: .8; }
"""
# Whatever got into the page in spite of all escaping would be neither run nor fetched.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Picture:
    """
    Hold a picture.

    Parameters
    ----------
    content : bytes
        PNG.
    width : int
        In CSS pixels, 96 to the inch.
    """

    content: bytes
    width: int


def write_page(facts: Mapping[str, Any], pictures: Mapping[str, Picture]) -> str:
    """
    Write a page that needs nothing else: no script, no style sheet, no picture from elsewhere.

    Parameters
    ----------
    facts : mapping
        What `summarise` gives.
    pictures : mapping of str to Picture
        By the names that ``report.json`` gives them; what is missing is told as numbers only.

    Returns
    -------
    str
        HTML; names of files, emotions, speakers and corpora stand in it as text, whatever is in them.
    """
    title = escape(title_of(facts))
    parts = [
        f"<h1>{title}</h1>",
        _headline(facts),
        "" if pictures else "<p>Without pictures, which need matplotlib: pip install 'sersk[plot]'</p>",
        _section("confusion", pictures, _table(facts["by_emotion"])),
    ]
    if facts["calibration"]:
        parts.append(_section("reliability", pictures, _folded(facts["calibration"], "bins")))
    for name in ("speaker", "gender", "corpus"):
        rows = facts[f"by_{name}"]
        if rows and (name != "corpus" or len(rows) > 1):
            parts.append(_section(name, pictures, _folded(rows, "numbers") if name == "speaker" else _table(rows)))
    parts += [
        _part(one["title"], one["text"], _image(one["name"], one["title"], pictures), _table(one["table"]))
        for one in facts["sections"]
    ]
    body = "\n".join([*parts, _limits(facts), _data(facts), _made(facts)])
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}\n"
        "</body>\n</html>\n"
    )


def _headline(facts: Mapping[str, Any]) -> str:
    """Tell the most important number first, and what it means."""
    uar, new = facts["figures"]["uar"], facts["speaker_independent"]
    limits, trust = "", ""
    if uar["low"] is not None:
        span = f"{uar['low']:.3f} to {uar['high']:.3f}"
        limits = f" <small>{span}, {100 * facts['confidence']:.0f} % interval</small>"
        trust = f" For other speakers of the kind, {span} is to be expected." if new else ""
    guess = -math.log(facts["chance"])
    rows = [
        {"figure": NAMES[name], "value": with_interval(facts["figures"][name]), "what it is": text.format(guess=guess)}
        for name, text in _MEANINGS.items()
    ]
    loud = f'<p class="loud" role="alert">{escape(facts["warning"])}</p>\n' if facts["warning"] else ""
    return (
        f'{loud}<p class="number">UAR {uar["value"]:.3f}{limits}</p>\n'
        "<p>Unweighted average recall: of the clips of an emotion, this share is recognised, all emotions counting "
        f"alike, in {'voices that' if new else 'clips that'} the model had not heard ({escape(facts['description'])}). "
        f"Guessing gives {facts['chance']:.3f}.{trust}</p>\n{_table(rows)}"
    )


def _section(name: str, pictures: Mapping[str, Picture], more: str) -> str:
    title, text = _TEXTS[name]
    return _part(title, text, _image(name, title, pictures), more)


def _part(title: str, text: str, *parts: str) -> str:
    return "\n".join([f"<h2>{escape(title)}</h2>", f"<p>{escape(text)}</p>", *filter(None, parts)])


def _image(name: str, title: str, pictures: Mapping[str, Picture]) -> str:
    if name not in pictures:
        return ""
    content = base64.b64encode(pictures[name].content).decode("ascii")
    told = f"{escape(title)}; the table says the same in numbers"
    return f'<p><img src="data:image/png;base64,{content}" width="{pictures[name].width}" alt="{told}"></p>'


def _folded(rows: Sequence[Mapping[str, Any]], what: str) -> str:
    return f"<details><summary>The {what}</summary>\n{_table(rows)}</details>"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    numbers = {name for name in rows[0] if any(isinstance(row[name], int | float) for row in rows)}
    head = "".join(f"<th{_class(name in numbers)}>{escape(heading_of(name))}</th>" for name in rows[0])
    lines = [f"<tr>{head}</tr>"]
    for row in rows:
        cells = (f"<td{_class(name in numbers)}>{_cell(value)}</td>" for name, value in row.items())
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "\n".join(['<div class="wide"><table>', *lines, "</table></div>"])


def _class(number: bool) -> str:
    return ' class="n"' if number else ""


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return show_number(value) if isinstance(value, float) else escape(str(value))


def _limits(facts: Mapping[str, Any]) -> str:
    items = "".join(f"<li>{escape(limit)}</li>\n" for limit in facts["limits"])
    return f"<h2>Limits</h2>\n<ul>\n{items}</ul>"


def _data(facts: Mapping[str, Any]) -> str:
    speakers = "speakers unknown" if facts["n_speakers"] is None else f"{facts['n_speakers']} speakers"
    text = f"{facts['n_clips']} clips, {speakers}, {len(facts['emotions'])} emotions, {facts['n_folds']} folds."
    left_out = _folded(facts["failures"], "clips that could not be read") if facts["failures"] else ""
    return _part("Data", text, _table(facts["corpora"] or []), left_out)


def _made(facts: Mapping[str, Any]) -> str:
    rows = [
        {"parameter": name, "value": str(value)}
        for name, value in facts["card"].items()
        if name != "command" and value is not None
    ]
    command = facts["card"].get("command")
    shown = f"<pre>{escape(str(command))}</pre>" if command else ""
    versions = ", ".join(f"{name} {number}" for name, number in facts["versions"].items())
    return (
        f"<h2>How it was made</h2>\n{shown}\n{_table(rows)}\n"
        f"<footer><p>Written on {escape(facts['created'])} by {escape(versions)}. The numbers are in report.json, the "
        "prediction for each clip is in predictions.csv, the model card is card.md.</p></footer>"
    )
