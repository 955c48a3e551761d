"""Clips -> a folder of Parquet files with their features, and back, a part at a time."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from .atomic_files import replace_file
from .audio import AudioError
from .extraction import FEATURE_VERSION
from .features import AcousticFeatures
from .filterbanks import Array
from .plain import to_plain
from .version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

# Rows of a file: some 30 MB of the default features, and half a minute of work that an interruption may cost.
PART_SIZE = 4096
# Rows that are handed on at a time, since those who take them make copies.
_BATCH_SIZE = 1024
_PART = re.compile(r"part-(\d+)-of-(\d+)\.parquet")
# Where the schema of every file tells what the features are.
_KEY = b"sersk"
# What the schema tells, without which there is no reading.
_NEEDED = {"sersk", "feature_version", "features"}
# Parameters that are numbers of columns, and the largest that a file may name.
_COUNTS, _MOST = ("n_mfcc", "n_mels", "n_chroma"), 2**12
# What a file may unpack to: so many bytes, and so many more for each of its own.
_FREE, _PER_BYTE = 2**26, 64
# How features are computed, which does not matter to what they are.
_WORK = ("n_jobs", "memory", "on_error", "verbose")


def write_feature_table(
    clips: Sequence[str | os.PathLike[str]],
    facts: pd.DataFrame,
    features: AcousticFeatures,
    folder: str | os.PathLike[str],
    *,
    part_size: int = PART_SIZE,
    tell: Callable[[str], object] = lambda text: None,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda parts, total: parts,
) -> list[tuple[str, AudioError]]:
    """
    Write the features of clips to a folder of Parquet files, of which one at a time is in memory.

    The files are read as one table by ``pandas.read_parquet(folder)``, ``dask.dataframe.read_parquet(folder)`` and
    others. Each of them is there as a whole or not at all: the same call goes on where it was interrupted.

    Parameters
    ----------
    clips : sequence of path
        Clips.
    facts : DataFrame of shape (n_clips, n_facts)
        What is told of each clip before its features, such as the frame that `load_corpus` gives. It has a column
        ``file``, which names clips that cannot be read.
    features : AcousticFeatures
        What is computed.
    folder : path
        Where to. It is made if it is not there.
    part_size : int, default=4096
        Clips of a file.
    tell : callable, default=no word
        Is given a line if some files are there already.
    progress : callable, default=no progress
        Wraps the files to be written, given their number.

    Returns
    -------
    list of (str, AudioError)
        Clips that could not be read, and have no row.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If there are no clips, or if the folder holds something else: features of other clips or with other settings,
        or no features at all.

    See Also
    --------
    FeatureTable : Reads it.

    Examples
    --------
    >>> import pandas as pd
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import AcousticFeatures, make_emotional_speech
    >>> from sersk.feature_table import write_feature_table
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=2, n_repetitions=1)
    ...     features = AcousticFeatures.from_preset("mfcc-40")
    ...     failures = write_feature_table(corpus.data, corpus.frame, features, f"{folder}/table", part_size=3)
    ...     pd.read_parquet(f"{folder}/table")[["emotion", "speaker"]]
      emotion       speaker
    0   happy  synthetic:F1
    1     sad  synthetic:F1
    2   happy  synthetic:M1
    3     sad  synthetic:M1
    """
    if not len(clips):
        raise ValueError("Expected at least one clip, got none.")
    target = Path(folder)
    starts = range(0, len(clips), part_size)
    names = [f"part-{number:05d}-of-{len(starts):05d}.parquet" for number in range(len(starts))]
    schema = _schema(facts, features)
    settings = _settings(features)
    keys = [_digest(clips[first : first + part_size], facts[first : first + part_size], settings) for first in starts]
    there = _check_folder(target, dict(zip(names, keys, strict=True)))
    if there:
        tell(f"{len(there)} of {len(names)} files are in {target} already")
    target.mkdir(parents=True, exist_ok=True)
    for draft in target.glob(".part-*.part"):  # left by a process that was killed
        draft.unlink(missing_ok=True)
    failures = {name: _failures(told) for name, told in there.items()}
    missing = [part for part in zip(names, keys, starts, strict=True) if part[0] not in there]
    for name, key, first in progress(missing, len(missing)):
        rows = slice(first, first + part_size)
        vectors, failed = features.extract(clips[rows])
        # Reset, so that the failures' numbers are those of the rows.
        part = facts[rows].reset_index(drop=True)
        told = [[part["file"][index], error.reason] for index, error in failed]
        table = pd.concat([part, pd.DataFrame(vectors, columns=features.get_feature_names_out())], axis=1)
        table = table.drop(index=[index for index, _ in failed])
        head = settings | {"sersk": __version__, "part": key, "failures": told}
        _write_part(table, schema, head, target / name)
        failures[name] = _failures({"failures": told})
    return [failure for name in names for failure in failures[name]]


def is_feature_table(folder: str | os.PathLike[str]) -> bool:
    """
    Tell whether a folder holds features.

    Parameters
    ----------
    folder : path
        Whatever was given in place of a corpus.

    Returns
    -------
    bool
        Whether `write_feature_table` has written into it.
    """
    return Path(folder).is_dir() and any(_PART.fullmatch(file.name) for file in Path(folder).iterdir())


@dataclass(frozen=True)
class FeatureTable:
    """
    Hold a folder of features that need not fit into memory.

    Parameters
    ----------
    folder : Path
        The folder.
    parts : tuple of Path
        Its files.
    n_clips : tuple of int
        Rows of each.
    features : AcousticFeatures
        What the columns are; not fitted.
    names : tuple of str
        The columns.

    See Also
    --------
    open_feature_table : Opens one.
    """

    folder: Path
    parts: tuple[Path, ...]
    n_clips: tuple[int, ...]
    features: AcousticFeatures
    names: tuple[str, ...]

    def facts(self) -> pd.DataFrame:
        """
        Read what is told of the clips, all at once.

        Returns
        -------
        DataFrame of shape (n_clips, n_facts)
            All columns but the features.
        """
        pq = _parquet()
        columns = [name for name in pq.read_schema(self.parts[0]).names if name not in {*self.names}]
        tables = [pq.ParquetFile(part).read(columns=columns).to_pandas() for part in self.parts]
        return pd.concat(tables, ignore_index=True)

    def batches(
        self, rows: npt.NDArray[np.intp], random: np.random.RandomState | None = None
    ) -> Iterator[tuple[npt.NDArray[np.intp], Array]]:
        """
        Read the features of some clips, file by file, and hand on 1024 at a time.

        Parameters
        ----------
        rows : ndarray of int
            Which ones, in ascending order.
        random : RandomState, default=None
            Shuffles the files, and the clips of each; without it they come in order.

        Yields
        ------
        (ndarray of shape (n_clips,), ndarray of shape (n_clips, n_features))
            Which clips, and their features, float32.
        """
        pq = _parquet()
        ends = np.cumsum(self.n_clips)
        order = range(len(self.parts)) if random is None else random.permutation(len(self.parts))
        for number in order:
            first = ends[number] - self.n_clips[number]
            wanted = rows[np.searchsorted(rows, first) : np.searchsorted(rows, ends[number])]
            if not len(wanted):
                continue
            if random is not None:
                wanted = random.permutation(wanted)
            table = pq.ParquetFile(self.parts[number]).read(columns=list(self.names))
            columns = np.empty((len(self.names), table.num_rows), dtype=np.float32)
            for column, values in zip(columns, table.columns, strict=True):
                column[:] = values.to_numpy()
            del table, values
            for start in range(0, len(wanted), _BATCH_SIZE):
                clips = wanted[start : start + _BATCH_SIZE]
                yield clips, columns.T[clips - first]


def open_feature_table(folder: str | os.PathLike[str]) -> FeatureTable:
    """
    Open a folder of features.

    Parameters
    ----------
    folder : path
        What `write_feature_table`, or ``sersk features --out FOLDER``, has written.

    Returns
    -------
    FeatureTable
        Nothing but the heads of the files is read yet.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If files are missing, or were written with different settings or by a version of sersk that computes other
        numbers.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import AcousticFeatures, make_emotional_speech
    >>> from sersk.feature_table import open_feature_table, write_feature_table
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=2, n_repetitions=1)
    ...     features = AcousticFeatures.from_preset("mfcc-40")
    ...     failures = write_feature_table(corpus.data, corpus.frame, features, f"{folder}/table", part_size=3)
    ...     table = open_feature_table(f"{folder}/table")
    ...     for clips, vectors in table.batches(clips := np.array([0, 2, 3])):
    ...         print(clips, vectors.shape)
    [0 2] (2, 40)
    [3] (1, 40)
    """
    pq = _parquet()
    home = Path(folder)
    found = sorted(file for file in home.iterdir() if _PART.fullmatch(file.name))
    totals = {_PART.fullmatch(file.name)[2] for file in found}  # type: ignore[index]  # it matched before
    if not found:
        raise ValueError(f"{home}: holds no features. Write them with `sersk features --layout auto --out {home}`.")
    if len(totals) > 1 or len(found) < int(max(totals)):
        raise ValueError(
            f"{home}: {len(found)} of {int(max(totals))} files are there. Let `sersk features` finish its work first."
        )
    heads = [pq.ParquetFile(file) for file in found]
    told = [_told(head.schema_arrow) for head in heads]
    for file, one in zip(found, told, strict=True):
        if not {*one} >= _NEEDED or one["features"] != told[0]["features"]:
            raise ValueError(f"{file}: is not of the table that it lies in. Write the features anew.")
        if one["feature_version"] != FEATURE_VERSION:
            raise ValueError(
                f"{file}: holds feature numbers of version {one['feature_version']}; this sersk ({__version__}) "
                f"computes version {FEATURE_VERSION}. Install sersk {one['sersk']}, which wrote it, or write the "
                "features anew."
            )
    try:
        parameters = told[0]["features"].items()
        if large := [name for name, value in parameters if name in _COUNTS and value > _MOST]:
            raise ValueError(f"{large[0]} is above {_MOST}")
        features = AcousticFeatures().set_params(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in parameters}
        )
        names = tuple(features.get_feature_names_out())
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"{found[0]}: is damaged ({error}). Write the features anew.") from error
    for file, head in zip(found, heads, strict=True):
        if 4 * len(names) * head.metadata.num_rows > _FREE + _PER_BYTE * file.stat().st_size:
            raise ValueError(f"{file}: claims to hold {head.metadata.num_rows} clips. Write the features anew.")
    sizes = tuple(head.metadata.num_rows for head in heads)
    return FeatureTable(home, tuple(found), sizes, features, names)


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'sersk[parquet]'") from error
    return pyarrow.parquet


def _settings(features: AcousticFeatures) -> dict[str, Any]:
    """Tell what the numbers depend on besides the clip, in what JSON has."""
    parameters = {name: value for name, value in features.get_params(deep=False).items() if name not in _WORK}
    plain = to_plain(parameters, "features")
    return {"feature_version": FEATURE_VERSION, "features": plain}


def _digest(clips: Sequence[Any], facts: pd.DataFrame, settings: dict[str, Any]) -> str:
    """Sum up what a file is made of: names and sizes of clips, what is told of them, settings."""
    sizes = [os.stat(clip).st_size if os.path.exists(clip) else None for clip in clips]  # noqa: PTH110, PTH116 - a Path each is slow
    rows = facts.astype(object).where(facts.notna(), None).to_numpy().tolist()
    text = json.dumps([sizes, [*facts.columns], rows, settings], default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _schema(facts: pd.DataFrame, features: AcousticFeatures) -> pa.Schema:
    """Give the types of all columns, which are the same in each file whatever is missing there."""
    _parquet()
    import pyarrow as pa

    told = pa.Schema.from_pandas(facts, preserve_index=False)
    known = [field.with_type(pa.string()) if pa.types.is_null(field.type) else field for field in told]
    return pa.schema([*known, *(pa.field(name, pa.float32()) for name in features.get_feature_names_out())])


def _write_part(table: pd.DataFrame, schema: pa.Schema, head: dict[str, Any], file: Path) -> None:
    import pyarrow as pa

    columns = pa.Table.from_pandas(table, schema=schema, preserve_index=False)
    columns = columns.replace_schema_metadata((columns.schema.metadata or {}) | {_KEY: json.dumps(head).encode()})
    words = [field.name for field in schema if not pa.types.is_floating(field.type)]
    with replace_file(file) as draft:
        _parquet().write_table(columns, draft, use_dictionary=words)  # numbers that never come twice gain nothing


def _told(schema: pa.Schema) -> dict[str, Any]:
    """Give what a file says of itself; nothing if it is somebody else's."""
    try:
        told = json.loads((schema.metadata or {}).get(_KEY, b"{}").decode())
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def _failures(told: dict[str, Any]) -> list[tuple[str, AudioError]]:
    return [(name, AudioError(name, reason)) for name, reason in told["failures"]]


def _check_folder(folder: Path, keys: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Give the files that are there already with what they say; refuse a folder where something else is."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: this is a file. Give the name of a folder.")
    there = {}
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        if file.name.startswith("."):  # also what an interruption has left
            continue
        told = _told(_parquet().read_schema(file)) if file.name in keys else {}
        if told.get("part") != keys.get(file.name, ""):
            raise ValueError(
                f"{file}: is no part of this table; it may be of other clips, or of other settings. Give another "
                "folder, or remove what is in this one."
            )
        there[file.name] = told
    return there
