"""Nothing -> example clips of synthetic speech for the page."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from sersk.corpora import make_emotional_speech

_EMOTIONS = ("angry", "happy", "neutral", "sad")


def write_examples(folder: Path) -> list[Path]:
    """
    Write a clip an emotion, by two synthetic voices in turn.

    Parameters
    ----------
    folder : Path
        Where to write; it is made.

    Returns
    -------
    list of Path
        WAV files called by emotion and voice.
    """
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as parts:
        corpus = make_emotional_speech(parts, emotions=_EMOTIONS, n_speakers=2, n_repetitions=1, duration=2.0)
        files = []
        for number, emotion in enumerate(_EMOTIONS):
            rows = corpus.frame[corpus.frame["emotion"] == emotion]
            row = rows.iloc[number % len(rows)]
            file = folder / f"{emotion}, {row['gender']} voice.wav"
            shutil.copy(row["file"], file)
            files.append(file)
    return files
