"""Predictions -> HTML of the page: the answer, bars, a radar chart, tables; all text in it is escaped."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from .views import group_emotions, sign_of, sum_probabilities

if TYPE_CHECKING:
    from sersk.segments import Segment

    from .service import Prediction, ServedModel

SILENT = "There is no speech in this recording, as far as sersk can tell."
_RADIUS = 100.0
_LABEL_AT = 1.13  # of the radius
_RINGS = (0.25, 0.5, 0.75, 1.0)


def show_answer(prediction: Prediction, view: str, notes: Sequence[str] = ()) -> str:
    """
    Write the emotion of a clip, bars and a radar chart of all probabilities.

    Parameters
    ----------
    prediction : Prediction
        What the service gave.
    view : str
        "all", "six" or "three".
    notes : sequence of str, default=()
        Why to trust the answer less.

    Returns
    -------
    str
        HTML. Under "all" the emotion is the model's own answer; otherwise the group with the highest sum. Without an
        emotion the reason stands in its place.
    """
    facts = f"{prediction.seconds:.1f} s of audio, model {prediction.model}"
    if prediction.emotion is None:
        return _headline("🔇", str(prediction.reason), "", facts) + show_notice(SILENT)
    chances = sum_probabilities(prediction.probabilities, view)
    groups = group_emotions(tuple(prediction.probabilities) or (prediction.emotion,), view)
    if view == "all" or not chances:
        name = next(name for name, emotions in groups.items() if prediction.emotion in emotions)
    else:
        name = max(chances, key=lambda group: chances[group])
    chance = f"{100 * chances[name]:.0f} %" if chances else "this model tells no probabilities"
    charts = f'<div class="charts">{_bars(chances, groups)}{_radar(chances)}</div>' if chances else ""
    return _headline(sign_of(name), name, chance, facts) + "".join(map(show_notice, notes)) + charts


def _headline(sign: str, name: str, chance: str, facts: str) -> str:
    return (
        f'<div class="answer" role="status"><span class="sign" aria-hidden="true">{sign}</span>'
        f'<span><strong class="emotion">{escape(name)}</strong> <span class="chance">{escape(chance)}</span>'
        f"<br><small>{escape(facts)}</small></span></div>"
    )


def _bars(chances: Mapping[str, float], groups: Mapping[str, Sequence[str]]) -> str:
    """Draw a bar a group as a table, which a screen reader can read; the members of a group are told below its name."""
    rows = []
    for name, chance in sorted(chances.items(), key=lambda item: -item[1]):
        members = ", ".join(groups[name])
        told = f"<br><small>{escape(members)}</small>" if members != name else ""
        rows.append(
            f'<tr><th scope="row"><span class="name"><span class="sign" aria-hidden="true">{sign_of(name)}</span> '
            f"{escape(name)}</span>{told}</th>"
            f'<td class="bar"><span style="width:{100 * chance:.1f}%"></span></td>'
            f'<td class="n">{100 * chance:.1f} %</td></tr>'
        )
    return f'<table class="bars"><caption>Probabilities</caption>{"".join(rows)}</table>'


def _radar(chances: Mapping[str, float]) -> str:
    """Draw a spoke a group; fewer than three make no area."""
    if len(chances) < 3:
        return ""
    spokes = [2 * math.pi * number / len(chances) for number in range(len(chances))]

    def at(angle: float, share: float) -> str:
        return f"{_RADIUS * share * math.sin(angle):.1f},{-_RADIUS * share * math.cos(angle):.1f}"

    rings = "".join(
        f'<polygon class="ring" points="{" ".join(at(angle, share) for angle in spokes)}"/>' for share in _RINGS
    )
    lines = "".join(f'<polyline class="ring" points="0,0 {at(angle, 1)}"/>' for angle in spokes)
    area = " ".join(at(angle, chance) for angle, chance in zip(spokes, chances.values(), strict=True))
    names = []
    for angle, name in zip(spokes, chances, strict=True):
        side = math.sin(angle)
        anchor = "middle" if abs(side) < 0.2 else "start" if side > 0 else "end"
        x, y = at(angle, _LABEL_AT).split(",")
        names.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}" dy="0.35em">{escape(name)}</text>')
    return (
        '<svg class="radar" viewBox="-190 -130 380 260" role="img" aria-label="Radar chart of the probabilities; the '
        f'table tells the numbers">{rings}{lines}<polygon class="area" points="{area}"/>{"".join(names)}</svg>'
    )


def show_pictures(pictures: Mapping[str, bytes]) -> str:
    """
    Place pictures in the page, without any file.

    Parameters
    ----------
    pictures : mapping of str to bytes
        PNG by what is seen on it.

    Returns
    -------
    str
        HTML; what is too wide for a phone can be scrolled, by keyboard too.
    """
    return "".join(
        f'<div class="wide" tabindex="0" role="group" aria-label="{escape(name)}">'
        f'<img alt="{escape(name)}" src="data:image/png;base64,{base64.b64encode(png).decode()}"></div>'
        for name, png in pictures.items()
    )


def show_segments(segments: Iterable[Segment]) -> str:
    """
    List what a timeline shows.

    Parameters
    ----------
    segments : iterable of Segment
        Of one recording, in order.

    Returns
    -------
    str
        HTML.
    """
    rows = [[f"{one.start:.1f} s", f"{one.end:.1f} s", one.emotion, _percent(one.probability)] for one in segments]
    if not rows:
        return show_notice(SILENT)
    return table(["from", "to", "emotion", "mean probability"], rows)


def _percent(chance: float | None) -> str:
    return "" if chance is None else f"{100 * chance:.0f} %"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """
    Make a table.

    Parameters
    ----------
    head : sequence of str
        Names of the columns.
    rows : iterable of sequences
        What stands in them.

    Returns
    -------
    str
        HTML.
    """
    heads = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in head)
    lines = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return (
        '<div class="wide" tabindex="0" role="group" aria-label="Table"><table class="list"><thead><tr>'
        f"{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def show_notice(text: str) -> str:
    """
    Say something that is no result.

    Parameters
    ----------
    text : str
        What to say.

    Returns
    -------
    str
        HTML.
    """
    return f'<p class="notice" role="status">{escape(text)}</p>'


def show_problem(title: str, detail: str) -> str:
    """
    Say what went wrong, and what helps.

    Parameters
    ----------
    title : str
        The kind of problem.
    detail : str
        The cause and the cure.

    Returns
    -------
    str
        HTML.
    """
    return f'<p class="problem" role="alert"><strong>{escape(title)}</strong><br>{escape(detail)}</p>'


def show_download(content: str, name: str, text: str) -> str:
    """
    Offer a file that is nowhere but in the page.

    Parameters
    ----------
    content : str
        What is in it.
    name : str
        What the browser calls it.
    text : str
        What the link says.

    Returns
    -------
    str
        HTML.
    """
    encoded = base64.b64encode(content.encode("utf-8", "replace")).decode()
    return (
        f'<p><a class="download" download="{escape(name)}" href="data:text/csv;charset=utf-8;base64,{encoded}">'
        f"{escape(text)}</a></p>"
    )


def show_model(model: ServedModel) -> str:
    """
    Write the card of a model: how good it is on speakers that it was not trained on, and what it is for.

    Parameters
    ----------
    model : ServedModel
        With the card of its file.

    Returns
    -------
    str
        HTML.
    """
    card = model.card
    figures = [_figures_of(name, found) for name, found in _by_corpus(card.get("metrics") or {}).items()]
    figures = [row for row in figures if row]
    kind = f" ({card['model']})" if card.get("model") else ""
    lines = [f"<h3>{escape(model.name + kind)}</h3>"]
    if figures:
        lines.append(table(["estimated on", "UAR", "guessing", "how", "clips"], figures))
        lines.append(
            "<p>UAR is the mean of the emotions' recalls, from 0 to 1. On other voices, languages and rooms expect "
            "less.</p>"
        )
    else:
        lines.append("<p>Its file tells no estimate: how often it is right is unknown.</p>")
    facts = {
        "emotions": ", ".join(model.classes),
        "trained on": ", ".join(map(str, card.get("corpora") or [])),
        "clips": card.get("n_clips"),
        "speakers": card.get("n_speakers"),
        "licence": card.get("licence"),
        "made by": ", ".join(f"{name} {version}" for name, version in (card.get("versions") or {}).items()),
        "on": str(card.get("created") or "").partition("T")[0],
    }
    lines.append("<dl>" + "".join(f"<dt>{k}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items() if v) + "</dl>")
    return f'<div class="model">{"".join(lines)}</div>'


def _by_corpus(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give one report a corpus, of a card that has a single one, too."""
    return {"its training corpora": metrics} if "uar" in metrics else metrics


def _figures_of(name: str, found: Any) -> list[str]:
    if not isinstance(found, Mapping) or "uar" not in found:
        return []
    how = str(found.get("description", found.get("protocol", "")))
    if found.get("speaker_independent") is False:
        how += " (speaker-dependent: too high for new voices)"
    n_tested = sum(recall is not None for recall in (found.get("recalls") or {}).values())
    return [name, f"{found['uar']:.2f}", f"{1 / n_tested:.2f}" if n_tested else "", how, str(found.get("n_clips", ""))]
