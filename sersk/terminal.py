"""Reports, predictions and remarks -> text for a terminal or a pipe."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from .evaluation import EvaluationReport, RobustnessReport

# Line breaks, tabs, codes that terminals obey, bytes that are no text.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def visible(text: object) -> str:
    """
    Write what would break a line, or command the terminal, as an escape.

    Parameters
    ----------
    text : object
        What to show.

    Returns
    -------
    str
        One line of printable characters.
    """
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def say(text: str) -> None:
    """
    Tell the user on stderr something that is no result, in one line.

    Parameters
    ----------
    text : str
        What to say; its line breaks become spaces.
    """
    sys.stderr.write(visible(re.sub(r"\s*\n\s*", " ", text)) + "\n")
    sys.stderr.flush()


def count(number: int, noun: str) -> str:
    """
    Write a number of things.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        What one of them is called.

    Returns
    -------
    str
        ``"1 clip"``, ``"2 clips"``.
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def show_folds(folds: Iterable[Any], total: int, *, in_lines: bool = False, what: str = "evaluation") -> Iterator[Any]:
    """
    Show on stderr how many folds are done.

    Parameters
    ----------
    folds : iterable
        The finished folds, as they come.
    total : int
        Their number.
    in_lines : bool, default=False
        A line before each fold instead of a bar, where what is trained has a bar of its own.
    what : str, default="evaluation"
        What they are the folds of.

    Yields
    ------
    object
        The folds.
    """
    if in_lines:
        waiting = iter(folds)
        for number in range(1, total + 1):
            say(f"{what}: fold {number} of {total}")
            yield next(waiting)
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(folds, what, total=total, console=Console(stderr=True))


def show_report(report: EvaluationReport) -> None:
    """
    Print UAR with its interval, other figures, and the confusion matrix with recalls.

    Parameters
    ----------
    report : EvaluationReport
        What to print, as wide as the terminal allows.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    names, confusion = [visible(label) for label in report.labels], report.confusion.to_numpy()
    longest, digits = max(map(len, names)), len(str(confusion.max()))
    cuts = range(min(3, longest), longest + 1)
    widths = {cut: longest + 8 + sum(2 + max(len(name[:cut]), digits) for name in names) for cut in cuts}
    console = Console(highlight=False)
    # Names are cut to what the terminal has room for; they stand in full at the rows, in the same order.
    cut = max((cut for cut in widths if widths[cut] <= console.width), default=cuts[0])
    console.width = max(console.width, 2 * widths[longest])  # never wrap
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in [*(name[:cut] for name in names), "recall"]:
        table.add_column(Text(name), justify="right")
    for row, (name, recall) in enumerate(zip(names, report.recalls.values(), strict=True)):
        cells = [Text(str(count or ".")) for count in confusion[row]]
        cells[row].stylize("bold")
        table.add_row(Text(name), *cells, "-" if math.isnan(recall) else f"{recall:.3f}")
    low, high = report.intervals()["uar"]
    interval = "" if math.isnan(low) else f"; 95 % interval {low:.3f} to {high:.3f}"
    calibration = "" if math.isnan(error := report.calibration_error) else f"   ECE {error:.3f} (calibration error)"
    sys.stdout.write(
        f"Estimate: {report.description}\n"
        f"UAR {report.uar:.3f} (unweighted average recall{interval})\n"
        f"WA {report.wa:.3f} (weighted accuracy)   macro F1 {report.macro_f1:.3f}{calibration}\n\n"
        "Confusion matrix: true emotions down, predicted ones across\n"
    )
    console.print(table)


def show_comparison(table: pd.DataFrame) -> None:
    """
    Print what the mixed model and those of the parts get right of the same clips.

    Parameters
    ----------
    table : DataFrame
        What `compare_reports` gives.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.width = max(console.width, 200)  # never wrap
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("")
    for name in ("clips", "UAR mixed", "own", "WA mixed", "own"):
        shown.add_column(name, justify="right")
    shown.add_column("folds")
    for part, row in table.to_dict("index").items():
        figures = (row[name] for name in ("mixed_uar", "own_uar", "mixed_wa", "own_wa"))
        cells = [_decimals(figure) for figure in figures]  # all clips: the mixed model only
        folds = "SPEAKER-DEPENDENT" if row["protocol"].startswith("random") else row["protocol"]
        shown.add_row(Text(visible(part)), str(row["clips"]), *cells, folds)
    sys.stdout.write("The same clips, by the mixed model and by a model of their own\n")
    console.print(shown)
    if table["protocol"].nunique() > 1:
        sys.stdout.write(
            "\nThe folds differ, and so do the numbers of speakers learned from: small differences mean nothing.\n"
            "--protocol loso compares under the same folds, if there are two speakers or more of each.\n"
        )


def show_importance(table: pd.DataFrame, folds: str) -> None:
    """
    Print what each family of descriptors adds.

    Parameters
    ----------
    table : DataFrame
        What `family_importance` gives.
    folds : str
        What was tested, in one line.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.width = max(console.width, 200)  # never wrap
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("family")
    for name in ("features", "drop in UAR", "std", "95 % limits"):
        shown.add_column(name, justify="right")
    for family, row in table.to_dict("index").items():
        limits = "unknown" if math.isnan(row["low"]) else f"{row['low']:.3f} to {row['high']:.3f}"
        figures = f"{row['importance']:.3f}", f"{row['std']:.3f}"
        shown.add_row(Text(visible(family)), str(row["n_features"]), *figures, limits)
    intact = (table["importance"] + table["permuted_uar"]).iloc[0]
    sys.stdout.write(
        f"Estimate: {folds}\n"
        f"UAR {intact:.3f}; what it loses when a family is permuted among the test clips\n"
        "(std: over the repeats; limits: for other speakers)\n\n"
    )
    console.print(shown)


def show_robustness(report: RobustnessReport) -> None:
    """
    Print the figures under every condition.

    Parameters
    ----------
    report : RobustnessReport
        What to print, a line a condition.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.width = max(console.width, 100)  # never wrap
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("tested on", "", "UAR", "95 %", "WA", "drop"):
        shown.add_column(name, justify="right" if name in ("UAR", "WA", "drop") else "left")
    for row in report.table.to_dict("records"):
        uar, wa, drop = (_decimals(row[name]) for name in ("uar", "wa", "drop"))
        limits = "-".join(filter(None, (_decimals(row[name]) for name in ("uar_low", "uar_high"))))
        shown.add_row(row["condition"], row["description"], uar, limits, wa, drop)
    sys.stdout.write(
        f"Estimate: {report.description}\n"
        "Trained on clips as they are; UAR with its interval over speakers, and what of it is lost\n\n"
    )
    console.print(shown)


def _decimals(figure: float) -> str:
    return "" if math.isnan(figure) else f"{figure:.3f}"


def plain_line(row: Sequence[Any], labels: Sequence[Any]) -> str:
    """
    Write a prediction for people: tabs between file, emotion and probabilities.

    Parameters
    ----------
    row : sequence
        File, share of speech, emotion, as the model gives them its probability and those of all emotions, and why there
        is none of these.
    labels : sequence
        The emotions, if their probabilities are in `row`.

    Returns
    -------
    str
        The line and its end.
    """
    file, _, emotion, *chances, reason = row
    if reason is not None:
        return f"{visible(file)}\t{reason}\n"
    shown = [f"{chance:.2f}" for chance in chances]
    shown[1:] = [f"{label} {chance}" for label, chance in zip(labels, shown[1:], strict=True)]
    return "\t".join(map(visible, (file, emotion, *shown))) + "\n"


def json_line(row: Sequence[Any], labels: Sequence[Any]) -> str:
    """
    Write a prediction as a JSON object.

    Parameters
    ----------
    row : sequence
        File, share of speech, emotion, as the model gives them its probability and those of all emotions, and why there
        is none of these.
    labels : sequence
        The emotions, if their probabilities are in `row`.

    Returns
    -------
    str
        The line and its end.
    """
    file, speech, emotion, *chances, reason = row
    record = {"file": file, "speech": None if speech is None else round(speech, 6), "emotion": emotion}
    if reason is not None:
        return json_text(record | {"reason": reason}) + "\n"
    if chances:
        record["probability"] = round(chances[0], 6)
    if labels:
        record["probabilities"] = dict(zip(map(str, labels), (round(chance, 6) for chance in chances[1:]), strict=True))
    return json_text(record) + "\n"


def json_text(record: dict[str, Any]) -> str:
    """
    Write JSON that stdout can show.

    Parameters
    ----------
    record : dict
        What JSON has.

    Returns
    -------
    str
        One line.
    """
    return json.dumps(record, ensure_ascii="utf" not in (sys.stdout.encoding or "utf").lower())


def csv_line(row: Sequence[Any], labels: Sequence[Any]) -> str:
    """
    Write a prediction, or the header, as a row of CSV.

    Parameters
    ----------
    row : sequence
        File, share of speech, emotion, as the model gives them its probability and those of all emotions, and why there
        is none of these.
    labels : sequence
        The emotions, if their probabilities are in `row`.

    Returns
    -------
    str
        The line and its end.
    """
    # Its own line ends, \r\n, make Python's writer quote both characters where they are in a name.
    line = io.StringIO()
    csv.writer(line).writerow(f"{cell:.6f}" if isinstance(cell, float) else cell for cell in row)
    return line.getvalue().removesuffix("\r\n") + "\n"
