"""Windows and segments of recordings -> lines, and label files for other programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .outputs import check_file, write_text
from .terminal import csv_line, json_text, visible

if TYPE_CHECKING:
    from .segments import Segment
    from .timeline import WindowEmotion

_TIMES = ("start", "end", "speech")


def plain_window(file: str, window: WindowEmotion, labels: Sequence[Any]) -> str:
    """
    Write a window for people: tabs between file, start, end, emotion and probabilities.

    Parameters
    ----------
    file : str
        The recording.
    window : WindowEmotion
        What to write; the reason stands for an emotion that is missing.
    labels : sequence
        The emotions, if all their probabilities are to be told.

    Returns
    -------
    str
        The line and its end.
    """
    cells = [visible(file), f"{window.start:.2f}", f"{window.end:.2f}"]
    cells.append(window.reason or visible(window.emotion))
    if window.probability is not None:
        cells.append(f"{window.probability:.2f}")
    if labels and window.probabilities:
        pairs = zip(labels, window.probabilities, strict=True)
        cells += [f"{visible(label)} {chance:.2f}" for label, chance in pairs]
    return "\t".join(cells) + "\n"


def json_window(file: str, window: WindowEmotion, labels: Sequence[Any]) -> str:
    """
    Write a window as a JSON object.

    Parameters
    ----------
    file : str
        The recording.
    window : WindowEmotion
        What to write; an emotion that is missing is null, with the reason.
    labels : sequence
        The emotions, if all their probabilities are to be told.

    Returns
    -------
    str
        The line and its end.
    """
    record: dict[str, Any] = {"file": file}
    record |= {name: round(getattr(window, name), 6) for name in _TIMES}
    record["emotion"] = window.emotion
    if window.probability is not None:
        record["probability"] = round(window.probability, 6)
    if labels and window.probabilities:
        pairs = zip(map(str, labels), window.probabilities, strict=True)
        record["probabilities"] = {label: round(chance, 6) for label, chance in pairs}
    if window.reason is not None:
        record["reason"] = window.reason
    return json_text(record) + "\n"


def csv_window(file: str, window: WindowEmotion, labels: Sequence[Any]) -> str:
    """
    Write a window as a row of CSV, under the header of `csv_head`.

    Parameters
    ----------
    file : str
        The recording.
    window : WindowEmotion
        What to write; what is missing is empty.
    labels : sequence
        The emotions, if all their probabilities are to be told.

    Returns
    -------
    str
        The line and its end.
    """
    chances = window.probabilities or (None,) * len(labels)
    return csv_line([file, *window[:5], *(chances if labels else ()), window.reason], labels)


WINDOW_LINES = {"plain": plain_window, "json": json_window, "csv": csv_window}


def csv_head(labels: Sequence[Any]) -> str:
    """
    Write the header of CSV.

    Parameters
    ----------
    labels : sequence
        The emotions, if all their probabilities are to be told.

    Returns
    -------
    str
        The line and its end.
    """
    return csv_line(["file", *_TIMES, "emotion", "probability", *labels, "reason"], labels)


def _rttm(names: list[str], recordings: Sequence[Sequence[Segment]]) -> str:
    """Write Rich Transcription Time Marks (NIST, RT-09 evaluation plan), whose fields hold no blanks."""
    lines = []
    for name, segments in zip(_file_ids(names), recordings, strict=True):
        for start, end, emotion, probability in segments:
            chance = "<NA>" if probability is None else f"{probability:.3f}"
            times = f"{start:.3f} {end - start:.3f}"
            lines.append(f"SPEAKER {name} 1 {times} <NA> <NA> {_without_blanks(str(emotion))} {chance} <NA>\n")
    return "".join(lines)


def _file_ids(names: list[str]) -> list[str]:
    """Call each recording by its file's name without extension, and by a number where that is another's, too."""
    ids: list[str] = []
    for name in names:
        stem = _without_blanks(Path(name.strip("<>")).stem)
        number, own = 1, stem
        while own in ids:
            number += 1
            own = f"{stem}-{number}"
        ids.append(own)
    return ids


def _without_blanks(text: str) -> str:
    return re.sub(r"\s", "_", visible(text)) or "_"


def _audacity(names: list[str], recordings: Sequence[Sequence[Segment]]) -> str:
    lines = [f"{start:.6f}\t{end:.6f}\t{visible(emotion)}\n" for own in recordings for start, end, emotion, _ in own]
    return "".join(lines)


def _csv(names: list[str], recordings: Sequence[Sequence[Segment]]) -> str:
    lines = [csv_line(["file", "start", "end", "emotion", "probability"], ())]
    lines += [csv_line([name, *one], ()) for name, own in zip(names, recordings, strict=True) for one in own]
    return "".join(lines)


_FORMATS: dict[str, Callable[[list[str], Sequence[Sequence[Segment]]], str]] = {
    ".rttm": _rttm,
    ".txt": _audacity,
    ".csv": _csv,
}


def check_labels(option: str, file: Path, n_recordings: int) -> None:
    """
    Find out that segments cannot be written.

    Parameters
    ----------
    option : str
        Option that names the file, for the message.
    file : Path
        ``FILE.rttm``, ``FILE.txt`` for Audacity, or ``FILE.csv``.
    n_recordings : int
        How many recordings there are.

    Raises
    ------
    ValueError
        If the name ends otherwise, the format does not tell recordings apart, or there is no writing.
    """
    suffix = file.suffix.lower()
    if suffix not in _FORMATS:
        raise ValueError(f"{option} {file}: expected a name that ends in .rttm, .txt (for Audacity) or .csv.")
    if suffix == ".txt" and n_recordings > 1:
        raise ValueError(f"{option} {file}: Audacity's labels are of one recording, and there are {n_recordings}.")
    check_file(option, file)


def write_labels(file: Path, names: list[str], recordings: Sequence[Sequence[Segment]]) -> None:
    """
    Write the segments of recordings.

    Parameters
    ----------
    file : Path
        What `check_labels` has passed.
    names : list of str
        What each recording is called.
    recordings : sequence of sequences of Segment
        The segments of each.
    """
    write_text(_FORMATS[file.suffix.lower()](names, recordings), file)
