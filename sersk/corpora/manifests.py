"""Manifest file -> its rows."""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from .emotions import canonical_emotion
from .files import some
from .layouts import FACT_COLUMNS

MANIFEST_NAMES = ("manifest.csv", "manifest.tsv")
_EXAMPLE = "first line 'file,emotion,speaker', then a line a clip, such as 'clips/anna_1.wav,angry,anna'"
# What columns may be called, as `_key` leaves it; first the name that they get.
_NAMES = {
    "file": "file filename filepath path wav wavfile wavpath audio audiofile audiopath clip clippath sound soundfile "
    "fileid datei dateiname dateipfad pfad",
    "emotion": "emotion emotions emotionlabel emotionclass emotionname label labels class category target",
    "speaker": "speaker speakerid speakername spk spkid subject subjectid actor actorid participant participantid "
    "person personid talker talkerid sprecher",
    "gender": "gender sex geschlecht",
    **{name: name for name in ("corpus", "split", *FACT_COLUMNS)},
}
_SEPARATORS = ",;\t|"
# Who is not known, besides the cells that pandas takes for missing.
_NOBODY = ("unknown", "unk", "unbekannt", "none", "n.a.", "?", "-")
_GENDERS = {"f": "female", "female": "female", "woman": "female", "m": "male", "male": "male", "man": "male"}


def read_manifest(manifest: Path) -> list[dict[str, Any]]:
    """
    Read a table that names clips and their emotions.

    Parameters
    ----------
    manifest : Path
        Text file with a header, separated by commas, semicolons, tabs or bars, in UTF-8, or in UTF-16 with a byte order
        mark. A first line ``sep=;``, empty rows and empty columns, as Excel writes them, mean nothing. Columns ``file``
        and ``emotion`` are needed, ``speaker``, ``gender`` and ``corpus`` are understood, all others are kept as they
        are. Case and separators do not matter in their names, and usual ones such as ``path`` and ``label`` are
        understood, too. Paths are relative to the manifest's folder and may be written with backslashes.

    Returns
    -------
    list of dict
        One dict per row, in the manifest's order: ``file`` a Path, known spellings of emotions made canonical. Cells
        that pandas takes for missing, such as ``NA``, are missing; so are speakers called ``unknown``.

    Raises
    ------
    ValueError
        If the manifest is empty or not text, lacks a needed column or value, has two columns that may be meant or cells
        below no name, or names a file twice.
    FileNotFoundError
        If it names files that do not exist.
    """
    table = _read(manifest, _NAMES)
    _check_columns(manifest, table, ("file", "emotion"))
    _check_full(manifest, table, ("file", "emotion"))
    files = _files(manifest, table)
    _check_files(manifest, table, files)
    table["file"] = pd.Series(files, table.index, dtype=object)
    table["emotion"] = [canonical_emotion(label) for label in table["emotion"]]
    if "speaker" in table:
        table["speaker"] = _known(table["speaker"])
    if "gender" in table:
        table["gender"] = table["gender"].map(lambda text: _GENDERS.get(text.casefold(), text), "ignore")
    return [{str(column): cell for column, cell in row.items()} for row in table.to_dict("records")]


def read_speakers(manifest: Path, column: str) -> tuple[list[Path], list[str | None]]:
    """
    Read a table that names clips and who speaks.

    Parameters
    ----------
    manifest : Path
        As in `read_manifest`, but no emotions are needed.
    column : str
        Where the speakers stand.

    Returns
    -------
    files : list of Path
        The clips, which may be missing.
    speakers : list of str or None
        Who speaks; None where nothing is said.

    Raises
    ------
    ValueError
        If the table is empty or not text, lacks a file or one of the columns, or has cells below no name.
    """
    table = _read(manifest, {"file": _NAMES["file"], column: _key(column)})
    _check_columns(manifest, table, ("file", column))
    _check_full(manifest, table, ("file",))
    speakers = _known(table[column]).astype(object)
    return _files(manifest, table), speakers.where(speakers.notna(), None).tolist()


def _read(manifest: Path, known: Mapping[str, str]) -> pd.DataFrame:
    """Read a table; the csv module tells its lines, which become the index, and pandas its types."""
    lines, records = _records(manifest, known)
    columns = _named_columns(manifest, records[0], known)
    if len(records) == 1:
        raise ValueError(f"{manifest}: a header without rows. Write one row per clip.")
    for line, cells in zip(lines[1:], records[1:], strict=True):
        # The first column may lack a name: pandas writes the numbers of the rows there.
        for position in (position for position, cell in enumerate(cells) if cell and position not in {0, *columns}):
            raise ValueError(
                f"{manifest}: line {line} has {cells[position]!r} in column {position + 1}, which the header does not "
                "name. Put quotes around a cell that holds the separator, or name the column."
            )
    text = io.StringIO()
    rows = ((cells[position] if position < len(cells) else "" for position in columns) for cells in records[1:])
    csv.writer(text).writerows(rows)
    text.seek(0)
    types = dict.fromkeys(known, str)
    table = pd.read_csv(text, names=[*columns.values()], dtype=types, na_values=["#NV"], skip_blank_lines=False)
    return table.set_axis(lines[1:])


def _records(manifest: Path, known: Mapping[str, str]) -> tuple[list[int], list[list[str]]]:
    """Split a table into the stripped cells of all rows that are not empty, and tell the line that each begins in."""
    text = _decode(manifest)
    told = re.match(r'\s*"?sep=(.)"?[;,\t]*(?:\r\n?|\n)', text, re.IGNORECASE)  # Excel's own line, for itself
    n_above = 0 if told is None else len(told[0].splitlines())
    text = text if told is None else text[told.end() :]
    separator = told[1] if told else max(_SEPARATORS, key=lambda one: _n_known(text, one, known))
    lines, records, line = [], [], 1
    reader = _rows(text, separator)
    try:
        for cells in reader:
            if any(cells := [cell.strip() for cell in cells]):
                lines.append(n_above + line)
                records.append(cells)
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{manifest}: line {n_above + line}: {error}. Look at the quotes there.") from error
    if not records:
        raise ValueError(f"{manifest}: is empty. Expected: {_EXAMPLE}.")
    return lines, records


def _decode(manifest: Path) -> str:
    data = manifest.read_bytes()
    is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if data.startswith((b"PK\3\4", b"\xd0\xcf\x11\xe0")):
        raise ValueError(f"{manifest}: expected text, got a workbook. Save it as CSV UTF-8, and give that file.")
    if b"\0" in data and not is_utf16:
        raise ValueError(f"{manifest}: expected UTF-8 text, got binary data. Give a folder of clips, or a manifest.")
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{manifest}: expected UTF-8 text, got something else in line {line}. Save the table as CSV UTF-8."
        ) from error


def _rows(text: str, separator: str) -> Any:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)


def _n_known(text: str, separator: str, known: Mapping[str, str]) -> tuple[int, int]:
    """Count the known columns, then all columns, that a separator finds in the header."""
    try:
        header: list[str] = next((cells for cells in _rows(text, separator) if any(map(str.strip, cells))), [])
    except csv.Error:
        return 0, 0
    keys = [_key(name) for name in header]
    return sum(key in names.split() for names in known.values() for key in keys), len(header)


def _named_columns(manifest: Path, header: list[str], known: Mapping[str, str]) -> dict[int, str]:
    """Give the positions of the columns that have a name, and what they are called from here on."""
    columns = {position: name for position, name in enumerate(header) if name}
    for name, others in known.items():
        exact = [place for place, one in columns.items() if one == name]
        own = [place for place, one in columns.items() if _key(one) == _key(name)]
        found = exact or own or [place for place, one in columns.items() if _key(one) in others.split()]
        if len(found) > 1:
            both = " and ".join(repr(header[place]) for place in found)
            raise ValueError(f"{manifest}: the columns {both} may both be the {name}. Call the right one {name!r}.")
        columns |= dict.fromkeys(found, name)
    twice = [name for name in columns.values() if [*columns.values()].count(name) > 1]
    if twice:
        raise ValueError(
            f"{manifest}: {twice.count(twice[0])} columns are called {twice[0]!r}. Name each in its own way."
        )
    return columns


def _key(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _known(speakers: pd.Series[str]) -> pd.Series[str]:
    return speakers.mask(speakers.str.casefold().isin(_NOBODY))


def _files(manifest: Path, table: pd.DataFrame) -> list[Path]:
    return [manifest.parent / name.replace("\\", "/") for name in table["file"]]


def _check_columns(manifest: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in table:
            raise ValueError(
                f"{manifest}: no column {column!r} among {', '.join(map(repr, table.columns))}. Expected: {_EXAMPLE}."
            )


def _check_full(manifest: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    for column in columns:
        if empty := table.index[table[column].isna()].tolist():
            raise ValueError(f"{manifest}: no {column} in line {some(empty)}. Fill in or remove what is incomplete.")


def _check_files(manifest: Path, table: pd.DataFrame, files: Sequence[Path]) -> None:
    missing = [f"{file} (line {line})" for line, file in zip(table.index, files, strict=True) if not file.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{manifest}: {len(missing)} of its {len(files)} files do not exist: {some(missing)}. "
            "Relative paths start at the manifest's folder."
        )
    rows = defaultdict(list)
    for row, file in enumerate(files):
        rows[os.path.abspath(file)].append(row)  # noqa: PTH100 - many times faster than Path.resolve
    for same in (same for same in rows.values() if len(same) > 1):
        told = [f"line {table.index[row]} ({table['emotion'].iloc[row]})" for row in same]
        raise ValueError(f"{manifest}: names {files[same[0]]} more than once: {some(told)}. Keep one row per clip.")
