"""Folder -> its audio files, and which of them hold the same bytes."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

from sersk.audio_formats import AUDIO_EXTENSIONS

_SAMPLE_BYTES = 4096


def find_audio(root: Path) -> list[Path]:
    """List the audio files at any depth below a folder.

    Hidden files and folders are passed over, and with them macOS' resource forks (``._name.wav``), which are not
    audio. Links to folders are followed, each folder once.

    Parameters
    ----------
    root : Path
        Folder to search.

    Returns
    -------
    list of Path
        Files below `root`, in the order of their paths relative to it, which is the same on every machine.
    """
    files, seen = [], set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        here = Path(folder)
        if here.resolve() in seen:
            subfolders.clear()
            continue
        seen.add(here.resolve())
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files += [here / name for name in names if not name.startswith(".")]
    audio = [file for file in files if file.suffix.lower() in AUDIO_EXTENSIONS]
    return sorted(audio, key=lambda file: file.relative_to(root).as_posix())


def same_bytes(files: Sequence[Path]) -> list[tuple[int, ...]]:
    """Group the files that hold the same bytes.

    Whole files are read only where their sizes agree and so does a piece from their middles, so that a corpus of
    several gigabytes costs little more than listing it.

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
