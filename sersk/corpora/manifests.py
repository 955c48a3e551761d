"""Manifest file -> its rows."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .emotions import canonical_emotion
from .files import some
from .layouts import CLIP_COLUMNS, FACT_COLUMNS

MANIFEST_NAMES = ("manifest.csv", "manifest.tsv")
_NEEDED = " A manifest needs the columns 'file' and 'emotion'; 'speaker' is needed for evaluation on unseen speakers."
_GENDERS = {"f": "female", "female": "female", "woman": "female", "m": "male", "male": "male", "man": "male"}


def read_manifest(manifest: Path) -> list[dict[str, Any]]:
    """
    Read a table that names clips and their emotions.

    Parameters
    ----------
    manifest : Path
        Text file with a header, in UTF-8 with or without a byte order mark, separated by commas, semicolons or tabs.
        Columns ``file`` and ``emotion`` are needed, ``speaker``, ``gender`` and ``corpus`` are understood, all others
        are kept as they are. Paths are relative to the manifest's folder and may be written with backslashes.

    Returns
    -------
    list of dict
        One dict per row, in the manifest's order: ``file`` a Path, known spellings of emotions made canonical.

    Raises
    ------
    ValueError
        If the manifest is empty or not text, lacks a needed column or a needed value, or names a file twice.
    FileNotFoundError
        If it names files that do not exist.
    """
    table = _read(manifest, (*CLIP_COLUMNS, *FACT_COLUMNS))
    for column in ("file", "emotion"):
        _check_column(manifest, table, column, _NEEDED)
    files = _files(manifest, table)
    _check_files(manifest, files)
    table["file"] = pd.Series(files, table.index, dtype=object)
    table["emotion"] = [canonical_emotion(label) for label in table["emotion"].str.strip()]
    if "gender" in table:
        table["gender"] = table["gender"].map(lambda text: _GENDERS.get(text.strip().casefold(), text), "ignore")
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
        If the table is empty or not text, lacks a file or one of the columns.
    """
    table = _read(manifest, ("file", column))
    _check_column(manifest, table, "file")
    _check_column(manifest, table, column, full=False)
    speakers = table[column].astype(object)
    return _files(manifest, table), speakers.where(speakers.notna(), None).tolist()


def _read(manifest: Path, texts: Sequence[str]) -> pd.DataFrame:
    try:
        with manifest.open(encoding="utf-8-sig") as stream, warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # a row longer than the header would lose its end
            header = stream.readline()
            separator = max(",;\t", key=header.count)
            # An empty cell is missing; a speaker called "NA" is not.
            table = pd.read_csv(
                stream,
                sep=separator,
                names=[name.strip().strip('"') for name in header.split(separator)],
                index_col=False,
                dtype=dict.fromkeys(texts, str),
                keep_default_na=False,
                na_values=[""],
                skipinitialspace=True,
            )
    except (ValueError, pd.errors.ParserWarning) as error:
        raise ValueError(f"{manifest}: expected UTF-8 text, a header and one row per clip, got: {error}") from error
    return table


def _files(manifest: Path, table: pd.DataFrame) -> list[Path]:
    return [manifest.parent / name.strip().replace("\\", "/") for name in table["file"]]


def _check_column(manifest: Path, table: pd.DataFrame, column: str, cure: str = "", *, full: bool = True) -> None:
    if column not in table:
        raise ValueError(f"{manifest}: no column {column!r} among {', '.join(map(repr, table.columns))}.{cure}")
    empty = [str(row + 2) for row in np.flatnonzero(table[column].isna())] if full else []
    if empty:
        raise ValueError(f"{manifest}: no {column} in line {some(empty)}. Fill in or remove what is incomplete.")
    if table.empty:
        raise ValueError(f"{manifest}: a header without rows. Write one row per clip.")


def _check_files(manifest: Path, files: Sequence[Path]) -> None:
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise FileNotFoundError(
            f"{manifest}: {len(missing)} of its {len(files)} files do not exist: {some(missing)}. "
            "Relative paths start at the manifest's folder."
        )
    twice = [str(file) for file, times in Counter(files).items() if times > 1]
    if twice:
        raise ValueError(f"{manifest}: names {some(twice)} more than once. Keep one row per clip.")
