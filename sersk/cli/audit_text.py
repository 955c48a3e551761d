"""Audits -> tables for a terminal, or a JSON document."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sersk.terminal import count, visible
from sersk.version import __version__

if TYPE_CHECKING:
    from sersk.auditing import LeakAudit
    from sersk.corpora import CorpusAudit, Finding

_SHOWN = 3


def show_audit(audit: CorpusAudit) -> None:
    """
    Print what a corpus consists of, and what was found.

    Parameters
    ----------
    audit : CorpusAudit
        What to print.
    """
    emotions = audit.by("emotion")
    genders = audit.counts("gender")
    genders = genders if list(genders) != ["unknown"] else genders[[]]
    names = ["clips", *genders, "speakers", "seconds", "level dB", "silence", "clipped"]
    rows = [
        [emotion, row.clips, *genders.loc[emotion], row.speakers or "?", *_sound(row)]
        for emotion, row in zip(emotions.index, emotions.itertuples(), strict=True)
    ]
    whole = audit.by("corpus")
    minutes = whole["seconds"].sum() / 60
    sys.stdout.write(f"{count(len(audit.clips), 'clip')}, {minutes:.1f} minutes; medians of each emotion\n")
    _print_table(["", *names], rows)
    for title, column in (("corpora", "corpus"), ("speakers", "speaker")):
        counts = audit.clips[column].value_counts()
        if len(counts) > 1:
            least = f"{counts.min()} to " if counts.min() < counts.max() else ""
            sys.stdout.write(f"{len(counts)} {title}: {least}{counts.max()} clips each\n")
    files = [f"{sr:g} Hz, {count(channels, 'channel')}: {n}" for sr, channels, n in audit.files().to_numpy().tolist()]
    sys.stdout.write(f"Files: {'; '.join(files)}\n\n")
    _show_findings(audit.findings, "No findings.\n")


def show_leak(leak: LeakAudit, model: str) -> None:
    """
    Print what a model comes to on a random split and on unseen speakers.

    Parameters
    ----------
    leak : LeakAudit
        What to print.
    model : str
        Name of the model.
    """
    names = {"random": "random split", "unseen": "unseen speakers"}
    rows = [
        [names[name], f"{one.uar:.3f}", _limits(one.intervals()["uar"]), f"{one.wa:.3f}", leak.equal_clips[name]]
        for name, one in leak.reports.items()
    ]
    compared = leak.comparison
    if compared is not None:
        rows.append(["difference", f"{compared.difference:+.3f}", _limits(compared.interval), "", ""])
    sys.stdout.write(f"\nThe same clips and the same model ({visible(model)}), split in two ways\n")
    _print_table(["", "UAR", "95 %", "WA", "equal clips"], rows)
    for name, report in leak.reports.items():
        sys.stdout.write(f"{names[name]}: {report.description}\n")
    if compared is None:
        sys.stdout.write("There are not two known speakers: nothing can be said of new voices.\n")
    sys.stdout.write("Equal clips: tested ones of which the fold was trained on an equal one.\n")
    _show_findings(leak.findings, "")


def as_document(audit: CorpusAudit, leak: LeakAudit | None, *, version: int) -> str:
    """
    Write both audits as JSON.

    Parameters
    ----------
    audit : CorpusAudit
        Of the corpus.
    leak : LeakAudit or None
        Of a model, if there was one.
    version : int
        Of the document's form.

    Returns
    -------
    str
        One object; what is not known is null.
    """
    document = {
        "format": "sersk-audit",
        "version": version,
        "sersk": __version__,
        **audit.to_dict(),
        "leak": None if leak is None else leak.to_dict(),
    }
    return json.dumps(_plain(document), ensure_ascii="utf" not in (sys.stdout.encoding or "utf").lower(), indent=1)


def _plain(value: Any) -> Any:
    """Turn what JSON has no word for into null, and what pandas counts with into numbers."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _sound(row: Any) -> list[str]:
    """Medians of an emotion, if a clip of it could be read, and how many clips are clipped."""
    if math.isnan(row.duration):
        return ["", "", "", ""]
    return [f"{row.duration:.2f}", f"{row.level:.1f}", f"{row.silence:.0%}", str(row.clipped)]


def _limits(interval: tuple[float, float]) -> str:
    low, high = interval
    return "" if math.isnan(low) else f"{low:.3f} to {high:.3f}"


def _print_table(names: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.width = max(console.width, 200)  # never wrap
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(names):
        table.add_column(Text(visible(name)), justify="right" if number else "left")
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    console.print(table)


def _show_findings(findings: Iterable[Finding], without: str) -> None:
    """Print each finding, how many clips it is about, the first of them, and the cure."""
    text = ""
    for finding in findings:
        about = f" [{count(finding.n_clips, 'clip')}]" if finding.clips else ""
        text += f"{finding.severity.upper()}{about} {visible(finding.message)}\n"
        text += "".join(f"  {visible(' = '.join(group))}\n" for group in finding.clips[:_SHOWN])
        text += f"  and {len(finding.clips) - _SHOWN} more\n" if len(finding.clips) > _SHOWN else ""
        text += f"  -> {visible(finding.cure)}\n"
    sys.stdout.write(text or without)
