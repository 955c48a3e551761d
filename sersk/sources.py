"""Arguments of the command line -> clips and corpora."""

from __future__ import annotations

import glob
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .terminal import count, say, visible

if TYPE_CHECKING:
    from sklearn.utils import Bunch

DEMO_FOLDER = Path("sersk-demo")
# Bytes of a file name that are no text.
_NO_TEXT = re.compile("[\ud800-\udfff]")


def read_corpora(roots: list[str], layout: str, seed: int) -> Bunch:
    """
    Load corpora, or make the synthetic one.

    Parameters
    ----------
    roots : list of str
        Folders and manifests, or the word demo alone.
    layout : str
        As in `load_corpus`.
    seed : int
        Of the synthetic corpus.

    Returns
    -------
    Bunch
        What `load_corpus` gives; its size is told on stderr.

    Raises
    ------
    ValueError
        If the word demo stands beside others, or for the reasons of `load_corpus`.
    """
    if roots == ["demo"]:
        from .corpora import make_emotional_speech

        say(f"writing a small corpus of SYNTHETIC speech to {DEMO_FOLDER}{os.sep}")
        corpus = make_emotional_speech(DEMO_FOLDER, random_state=seed)
    elif "demo" in roots:
        raise ValueError("'demo' stands alone. If you mean a folder of that name, write ./demo.")
    else:
        from .corpora import load_corpus

        corpus = load_corpus(roots, layout=layout)
    unknown = corpus.frame["speaker"].isna()
    speakers = "speakers unknown"
    if not unknown.all():
        without = f"; {count(unknown.sum(), 'clip')} without a speaker" if unknown.any() else ""
        speakers = count(corpus.frame["speaker"].nunique(), "speaker") + without
    say(f"{count(len(corpus.data), 'clip')}, {count(len(set(corpus.target)), 'emotion')}, {speakers}")
    return corpus


def find_spoken(tables: list[str], column: str) -> tuple[list[str], list[str | None]]:
    """
    Give the clips that tables name, and whose they are.

    Parameters
    ----------
    tables : list of str
        CSV or TSV files with a column ``file``, relative to the table's folder.
    column : str
        Where the speakers stand; one of that name in another table is another speaker.

    Returns
    -------
    sources : list of str
        What `load_audio` takes.
    speakers : list of str or None
        None where the table says nothing.

    Raises
    ------
    ValueError
        If an argument is no such table.
    """
    from .corpora.manifests import read_speakers

    sources: list[str] = []
    speakers: list[str | None] = []
    for table in tables:
        if not Path(table).is_file():
            raise ValueError(f"{table}: --speaker-column needs CSV or TSV files in place of clips; this is none.")
        files, names = read_speakers(Path(table), column)
        sources += map(str, files)
        speakers += [None if name is None else f"{table}: {name}" for name in names]
    return sources, speakers


def find_clips(given: list[str]) -> tuple[list[Any], int]:
    """
    Give files as named or matched, those in folders, and stdin; tell what is none of these, and count it.

    Parameters
    ----------
    given : list of str
        Names of files and folders, patterns, ``"-"`` for stdin.

    Returns
    -------
    sources : list of str and file objects
        What `load_audio` takes.
    n_bad : int
        Number of arguments and files that are no clips; each was told on stderr.

    Raises
    ------
    ValueError
        If stdin is asked for, and nothing is piped into it.
    """
    from .corpora.files import find_audio

    sources: list[Any] = []
    bad = []
    for one in given:
        found: list[Any] = [one]  # a file, or a name that will be told as missing
        if one == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise ValueError("- reads audio from stdin, and there is none. Pipe a file into it.")
            found = [sys.stdin.buffer]
        elif Path(one).is_dir():
            files, problems = find_audio(Path(one))
            found = [str(file) for file in files]
            bad += problems or ([] if found else [f"{one}: the folder holds no audio files"])
        elif glob.has_magic(one) and not Path(one).exists():
            found = [match for match in sorted(glob.glob(one, recursive=True)) if not Path(match).is_dir()]  # noqa: PTH207
            bad += [] if found else [f"{one}: no file matches the pattern"]
            pipes = [match for match in found if Path(match).exists() and not Path(match).is_file()]
            found = [match for match in found if match not in pipes]
            bad += [f"{pipe}: is no regular file" for pipe in pipes]
        for source in found:
            if isinstance(source, str) and _NO_TEXT.search(source):  # no table could hold it
                bad.append(f"{source}: its name is no valid text; rename it")
            else:
                sources.append(source)
    for problem in bad:
        say(f"error: {visible(problem)}")
    return sources, len(bad)
