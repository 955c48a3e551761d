"""Folder -> its audio files, and which of them hold the same bytes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

from sersk.audio_formats import AUDIO_EXTENSIONS, recognise_format

# What lies beside clips in great numbers and need not be opened to know that it is no audio.
_OTHER_EXTENSIONS = frozenset(
    (
        *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".md", ".html", ".pdf", ".log", ".py"),
        *(".lab", ".textgrid", ".eaf", ".rttm", ".ctm", ".stm", ".trs", ".srt", ".vtt", ".sersk"),
        *(".npy", ".npz", ".h5", ".parquet", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".zip", ".gz", ".tar"),
    )
)

_SAMPLE_BYTES = 4096


def find_audio(root: Path) -> tuple[list[Path], list[str]]:
    """List the audio files at any depth below a folder.

    A file is audio by its extension or, where that is an unusual one or none, by its first bytes. Hidden files and
    folders are passed over, and with them macOS' resource forks (``._name.wav``), which are not audio. Links to folders
    are followed, each folder once.

    Parameters
    ----------
    root : Path
        Folder to search.

    Returns
    -------
    files : list of Path
        Audio files, in the order of their paths relative to `root`, which is the same on every machine.
    problems : list of str
        What cannot be looked into, and what has the name of an audio file but is none, such as a named pipe, with the
        reason.
    """
    files, problems, seen = [], [], set()

    def note(error: OSError) -> None:
        problems.append(f"{error.filename}: cannot be read ({error.strerror})")

    for folder, subfolders, names in os.walk(root, followlinks=True, onerror=note):
        here = Path(folder)
        if here.resolve() in seen:
            subfolders.clear()
            continue
        seen.add(here.resolve())
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for file in (here / name for name in names if not name.startswith(".")):
            suffix = file.suffix.lower()
            try:
                if suffix in AUDIO_EXTENSIONS:
                    if _is_special(file):
                        problems.append(f"{file}: is no regular file")
                    else:
                        files.append(file)
                elif suffix not in _OTHER_EXTENSIONS and _begins_as_audio(file):
                    files.append(file)
            except OSError as error:
                note(error)
    return sorted(files, key=lambda file: file.relative_to(root).as_posix()), problems


def same_bytes(files: Sequence[Path]) -> list[tuple[int, ...]]:
    """Group the files that hold the same bytes.

    What cannot be read is in no group. Whole files are read only where their sizes agree and so does a piece from their
    middles, so that a corpus of several gigabytes costs little more than listing it.

    Parameters
    ----------
    files : sequence of Path
        Files to compare.

    Returns
    -------
    list of tuple of int
        Groups of two or more positions in `files`, ascending.
    """
    groups = [tuple(range(len(files)))]
    for signature in (_size, _middle, _digest):
        parts: dict[Hashable, list[int]] = defaultdict(list)
        for number, group in enumerate(groups):
            for position in group:
                with contextlib.suppress(OSError):  # a broken link, say, which fails as a clip
                    parts[number, signature(files[position])].append(position)
        groups = [tuple(part) for part in parts.values() if len(part) > 1]
    return groups


def some(items: Sequence[object], limit: int = 3) -> str:
    """Name the first few of many things in a message.

    Parameters
    ----------
    items : sequence
        What there is to name.
    limit : int, default=3
        How many to name.

    Returns
    -------
    str
        Names with commas between, and how many more there are.
    """
    names = ", ".join(str(item) for item in items[:limit])
    return names if len(items) <= limit else f"{names} and {len(items) - limit} more"


def _is_special(file: Path) -> bool:
    """Tell what must not be opened: a pipe waits for somebody who writes into it. A broken link fails as a clip."""
    try:
        return not stat.S_ISREG(file.stat().st_mode)
    except OSError:
        return False


def _begins_as_audio(file: Path) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return recognise_format(stream.read(_SAMPLE_BYTES)) is not None


def _size(file: Path) -> int:
    return file.stat().st_size


def _middle(file: Path) -> bytes:
    # The start of a recording is a header and silence, alike in many files.
    with file.open("rb") as stream:
        stream.seek(_size(file) // 2)
        return stream.read(_SAMPLE_BYTES)


def _digest(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()
