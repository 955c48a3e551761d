"""Corpus folder or manifest -> clips, emotions, speakers."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from .emotions import EMOTIONS, alike
from .files import find_audio, same_bytes, some
from .layouts import CLIP_COLUMNS, FACT_COLUMNS, LAYOUTS, parse_folder, parse_name
from .manifests import MANIFEST_NAMES, read_manifest

LAYOUT_NAMES = ("auto", *LAYOUTS, "folders", "names", "manifest")

_Row = dict[str, Any]


def load_corpus(root: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], layout: str = "auto") -> Bunch:
    """List the clips of one or more corpora with their emotions and speakers.

    No audio is decoded. What file names say becomes columns, and every spelling of an emotion its canonical label, so
    that corpora can be joined. A file whose name says nothing is listed in ``unparsed``, files that hold the same bytes
    in ``duplicates``, and one warning sums both up: a clip on both sides of a split is an evaluation that lies.

    Parameters
    ----------
    root : path or sequence of paths
        Folder of a corpus, at any depth, or a manifest; several join into one corpus.
    layout : {"auto", "ravdess", "cremad", "tess", "savee", "emodb", "nemo", "folders", "names", "manifest"}, \
            default="auto"
        How the files are named.

        - A corpus' name: as its authors published it (see `LAYOUTS`), whatever the audio format.
        - ``"folders"``: the folder of a clip is its emotion, ``angry`` or ``05_Anger``; speakers are unknown.
        - ``"names"``: file names begin with the speaker and a known emotion, as ``anna_anger_1.wav``.
        - ``"manifest"``: a CSV or TSV file, or a folder that holds a ``manifest.csv`` or ``manifest.tsv``, with the
          columns ``file`` (relative to the manifest) and ``emotion``, and as wanted ``speaker``, ``gender``, ``corpus``
          and any others. Usual other names of these are understood, such as ``path``, ``label`` and ``speaker_id``.
          Labels that are no known spelling of an emotion stay as they are.
        - ``"auto"``: a file, or a folder that holds a manifest, is ``"manifest"``. Otherwise each clip belongs to the
          published corpus that its name fits, so one folder may hold several of them; where at least half of the
          clips fit none, the folder is ``"folders"``, provided that at least half lie in folders named for emotions.

    Returns
    -------
    Bunch
        With the attributes:

        data : ndarray of shape (n_clips,)
            Paths of the clips, as str (dtype object).
        target : ndarray of shape (n_clips,)
            Emotions, as str.
        groups : ndarray of shape (n_clips,) or None
            Speakers, as ``corpus:speaker``; None where no speaker at all is known. Beside known ones the name of an
            unknown speaker is empty. That is no speaker: sersk's own folds neither test such clips nor train on them
            where a speaker of their corpus is tested; leave them out before you split by these groups yourself.
        frame : DataFrame of shape (n_clips, n_columns)
            Columns ``file``, ``emotion``, ``speaker`` (as in `groups`, missing where unknown), ``gender``, ``corpus``,
            then the facts of the corpora: ``modality``, ``channel`` (speech or song), ``intensity``, ``statement``,
            ``repetition``, ``version``, as published; then the other columns of manifests.
        unparsed : list of str
            Audio files that are not in `data`, since their names do not fit the layout.
        duplicates : list of tuple of str
            Groups of files that hold the same bytes. Of those which also agree in file name, emotion and speaker
            (nested copies, as RAVDESS and TESS are often downloaded) only the one with the shortest path is in `data`;
            all others are.
        DESCR : str
            What the corpora are, whom to cite, their licences, counts.

    Raises
    ------
    ValueError
        If the layout is unknown or not recognised, no clip is found or fits, a root is given twice, a manifest is
        incomplete, or a folder holds what cannot be looked into or has the name of an audio file but is none, such as a
        named pipe.
    FileNotFoundError
        If a root, or a file that a manifest names, does not exist.

    Warns
    -----
    UserWarning
        If files do not parse or hold the same bytes, speakers of some clips are unknown, or labels differ in case or
        spaces only.

    Notes
    -----
    Speakers of published corpora are the same persons in every copy (``ravdess:01``). For ``"folders"`` and manifests
    the prefix is the ``corpus`` column or else the name of the root, numbered when roots share it (``calls``,
    ``calls-2``). Clips are in the order of the roots, then of their paths or of the manifest's rows.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk.corpora import load_corpus, make_emotional_speech
    >>> with TemporaryDirectory() as folder:
    ...     _ = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=2, n_repetitions=1)
    ...     corpus = load_corpus(folder)
    >>> corpus.target.tolist()
    ['happy', 'sad', 'happy', 'sad']
    >>> sorted(set(corpus.groups.tolist()))
    ['synthetic:F1', 'synthetic:M1']
    """
    if layout not in LAYOUT_NAMES:
        raise ValueError(f"layout={layout!r} is unknown. Choose one of {', '.join(LAYOUT_NAMES)}.")
    roots = [Path(one).expanduser() for one in ([root] if isinstance(root, str | os.PathLike) else root)]
    rows: list[_Row] = []
    unparsed: list[Path] = []
    names = set(LAYOUTS)
    for one in _check_roots(roots):
        new, odd = _read_root(one, layout)
        unparsed += odd
        name = _unique_name(one, names)
        rows += [_identified(row, name) for row in new]
    frame = _as_frame(rows)
    duplicates, copies = _find_copies(frame)
    frame = frame.drop(index=copies).reset_index(drop=True)
    frame["file"] = frame["file"].map(str).astype("string")
    _warn(unparsed, duplicates, len(copies), frame)
    return Bunch(
        **as_columns(frame),
        unparsed=[str(file) for file in unparsed],
        duplicates=[tuple(map(str, group)) for group in duplicates],
        DESCR=describe(frame),
    )


def as_columns(frame: pd.DataFrame) -> dict[str, Any]:
    """Take the columns of a frame of clips that estimators are given.

    Parameters
    ----------
    frame : DataFrame of shape (n_clips, n_columns)
        With the columns ``file``, ``emotion``, ``speaker`` and ``corpus`` of `load_corpus`.

    Returns
    -------
    dict
        ``data``, ``target``, ``groups`` and ``frame``, as `load_corpus` gives them.
    """
    speaker = frame["speaker"]
    return {
        "data": np.array(frame["file"].tolist(), dtype=object),
        "target": np.array(frame["emotion"].tolist(), dtype=str),
        "groups": None if speaker.isna().all() else np.array(speaker.fillna("").tolist()),
        "frame": frame,
    }


def _check_roots(roots: list[Path]) -> list[Path]:
    if not roots:
        raise ValueError("No corpus: the list of roots is empty. Give a folder, a manifest, or several of them.")
    for root, times in Counter(root.resolve() for root in roots).items():
        if not root.exists():
            raise FileNotFoundError(f"{root}: no such file or folder. Check the path of the corpus.")
        if times > 1:
            raise ValueError(f"{root}: given {times} times. Give each corpus once.")
    return roots


def _read_root(root: Path, layout: str) -> tuple[list[_Row], list[Path]]:
    """Read one root: rows of its clips, and the audio files that do not parse."""
    manifests = [root] if root.is_file() else [root / name for name in MANIFEST_NAMES if (root / name).is_file()]
    if layout == "manifest" and not manifests:
        raise FileNotFoundError(f"{root}: holds no {' or '.join(MANIFEST_NAMES)}. Give the manifest's own path.")
    if layout in ("auto", "manifest") and len(manifests) > 1:
        raise ValueError(f"{root}: holds {' and '.join(MANIFEST_NAMES)}. Give the path of the one that counts.")
    if layout == "manifest" or (layout == "auto" and manifests):
        return read_manifest(manifests[0]), []
    if root.is_file():
        raise ValueError(f"{root}: layout={layout!r} reads a folder, this is a file. Give the folder, or no layout.")
    files, problems = find_audio(root)
    if problems:
        raise ValueError(f"{some(problems)}. Repair or remove what is named.")
    if not files:
        raise ValueError(f"{root}: no audio files at any depth. Give the folder that holds the clips, or a manifest.")
    parsed = _parse(root, files, layout)
    unparsed = [file for file, row in zip(files, parsed, strict=True) if row is None]
    return [row | {"file": file} for file, row in zip(files, parsed, strict=True) if row], unparsed


def _parse(root: Path, files: list[Path], layout: str) -> Sequence[_Row | None]:
    """Parse file names by a layout, or by the ones that fit most of them; None for a name that says nothing."""
    corpora = [row for row in LAYOUTS.values() if layout in ("auto", row.name)]
    # SAVEE's speaker may be the root itself, so that its true name counts ("." has none).
    absolute = [root.resolve() / file.relative_to(root) for file in files]
    named = [next(filter(None, (corpus.parse(file) for corpus in corpora)), None) for file in absolute]
    n_named = sum(row is not None for row in named)
    if n_named and (layout != "auto" or 2 * n_named >= len(files)):
        return named
    spoken = [parse_name(file) for file in files]
    if layout == "names" and any(spoken):
        return spoken
    emotions = [parse_folder(file.parent.name) if file.parent != root else "" for file in files]
    n_emotions = sum(emotion in EMOTIONS for emotion in emotions)
    if (layout == "folders" and any(emotions)) or (layout == "auto" and 2 * n_emotions >= len(files)):
        return [{"emotion": emotion} if emotion else None for emotion in emotions]
    fits = Counter(corpus.name for corpus in LAYOUTS.values() for file in absolute if corpus.parse(file))
    position = next((position for position, row in enumerate(spoken) if row), 0)
    guess = spoken[position] or {"emotion": "angry", "speaker": "anna"}
    names = [file.relative_to(root).as_posix() for file in files]
    tables = sorted(file.name for file in root.iterdir() if file.suffix.lower() in (".csv", ".tsv"))
    raise ValueError(
        f"{root}: layout={layout!r} does not fit its {len(files)} audio files, such as {some(names)}. File names that "
        f"fit a published corpus: {dict(fits) or 'none'}; clips in folders named for emotions: {n_emotions}; names "
        f"such as SPEAKER_EMOTION_1 (layout 'names'): {sum(map(bool, spoken))}. Pass layout= one of "
        f"{', '.join(LAYOUT_NAMES[1:])}, or "
        + (f"give {some(tables)} if that is a manifest, or " if tables else "")
        + f"write a manifest (CSV): first line 'file,emotion,speaker', then a line a clip, such as "
        f"'{names[position]},{guess['emotion']},{guess['speaker']}'."
    )


def _unique_name(root: Path, taken: set[str]) -> str:
    """Name a root whose corpus has no name of its own, as no other root is named."""
    root = root.resolve()
    stem = root.parent.name if root.name in MANIFEST_NAMES else root.stem if root.is_file() else root.name
    numbered = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    name = next(candidate for candidate in numbered if candidate not in taken)
    taken.add(name)
    return name


def _identified(row: _Row, name: str) -> _Row:
    corpus = row["corpus"] if isinstance(row.get("corpus"), str) else name
    speaker = f"{corpus}:{row['speaker']}" if isinstance(row.get("speaker"), str) else None
    return row | {"corpus": corpus, "speaker": speaker}


def _as_frame(rows: list[_Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    facts = [column for column in FACT_COLUMNS if column in frame]
    others = [column for column in frame if column not in (*CLIP_COLUMNS, *facts)]
    frame = frame.reindex(columns=[*CLIP_COLUMNS, *facts, *others])
    return frame.astype(dict.fromkeys((*CLIP_COLUMNS[1:], *facts), "string"))


def _find_copies(frame: pd.DataFrame) -> tuple[list[tuple[Path, ...]], list[int]]:
    """Find the groups of files of the same bytes, and the rows that are nested copies of another."""
    shortest_first = frame["file"].sort_values(key=lambda files: files.map(_path_length)).index.to_numpy()
    files = frame["file"][shortest_first].tolist()
    duplicates, copies = [], []
    for group in same_bytes(files):
        seen = set()
        for row in shortest_first[list(group)]:
            identity = (frame["file"][row].name, frame["emotion"][row], str(frame["speaker"][row]))
            copies += [row] if identity in seen else []
            seen.add(identity)
        duplicates.append(tuple(files[position] for position in group))
    return duplicates, copies


def _path_length(file: Path) -> tuple[int, int, str]:
    return len(file.parts), len(str(file)), str(file)


def _warn(unparsed: list[Path], duplicates: list[tuple[Path, ...]], n_copies: int, frame: pd.DataFrame) -> None:
    messages = []
    unknown = frame["speaker"].isna()
    if unknown.any() and not unknown.all():
        messages.append(
            f"clips without a speaker: {unknown.sum()} of {len(frame)}, any of which may be of a tested speaker; "
            "estimates on unseen speakers do not test them, and do not train on them where their corpus is tested: "
            f"{some(frame['file'][unknown].tolist())}"
        )
    if same := alike(frame["emotion"]):
        messages.append(f"labels that differ in case or spaces only, each an emotion of its own: {some(same)}")
    if unparsed:
        messages.append(
            f"audio files whose names do not fit the layout, left out: {len(unparsed)} (all in .unparsed): "
            f"{some(unparsed)}"
        )
    if duplicates:
        groups = some([" = ".join(map(str, group)) for group in duplicates])
        left_out = f"nested copies left out: {n_copies}" if n_copies else "all kept, since their names differ"
        messages.append(
            f"groups of files with the same bytes: {len(duplicates)}; {left_out} (all in .duplicates): {groups}"
        )
    if messages:
        warnings.warn("; ".join(messages), UserWarning, stacklevel=3)


def describe(frame: pd.DataFrame) -> str:
    """Say what the clips of a corpus are: its DESCR.

    Parameters
    ----------
    frame : DataFrame of shape (n_clips, n_columns)
        With the columns ``corpus``, ``emotion`` and ``speaker`` of `load_corpus`.

    Returns
    -------
    str
        For each corpus its name, counts, whom to cite and its licence.
    """
    parts = []
    for corpus, rows in frame.groupby("corpus", sort=False):
        known = LAYOUTS.get(str(corpus))
        emotions = rows["emotion"].value_counts().sort_index()
        parts.append(known.title if known else f"Corpus {str(corpus)!r}")
        if "synthetic" in rows and rows["synthetic"].eq(True).any():
            parts.append(
                "SYNTHETIC speech, made by sersk.corpora.make_emotional_speech: nobody's voice, for trials only."
            )
        parts.append(f"{len(rows)} clips, {rows['speaker'].nunique() or 'unknown'} speakers")
        parts.append(", ".join(f"{emotion} {count}" for emotion, count in emotions.items()))
        if known:
            parts.append(f"Cite: {known.reference}\nLicence of the recordings: {known.licence}")
        parts.append("")
    return "\n".join(parts)
