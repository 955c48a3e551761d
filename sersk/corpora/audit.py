"""Corpus -> what is in it, and what is wrong with it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from sersk.audio import AudioError

from .findings import Finding, find_all
from .layouts import CLIP_COLUMNS
from .measurements import ClipMeasures, measure_clips

UNKNOWN = "unknown"
_MEASURES = [name for name in ClipMeasures._fields if name != "digest"]


@dataclass(frozen=True)
class CorpusAudit:
    """
    Hold what every clip of a corpus is like, and what is to be said of them all.

    Parameters
    ----------
    clips : DataFrame of shape (n_clips, 13)
        A row for each clip, in the order of the corpus: ``file``, ``emotion``, ``speaker``, ``gender``, ``corpus``;
        what `sersk.corpora.measurements.ClipMeasures` tells (``duration`` in seconds, ``sr`` in Hz, ``channels``,
        ``peak``, ``level`` in dB, ``clipped``, ``silence``), missing where a clip could not be read; ``equal_audio``, a
        number that those have in common whose samples are equal.
    failures : list of (str, AudioError)
        Clips that could not be read.
    findings : list of Finding
        The gravest first.

    See Also
    --------
    audit_corpus : Makes one.
    """

    clips: pd.DataFrame
    failures: list[tuple[str, AudioError]]
    findings: list[Finding]

    def counts(self, column: str) -> pd.DataFrame:
        """
        Count clips by emotion and something else.

        Parameters
        ----------
        column : str
            Of `clips`, such as ``"gender"``.

        Returns
        -------
        DataFrame of shape (n_emotions, n_values)
            Clips, unreadable ones included; where nothing is known, those are ``"unknown"``.
        """
        return pd.crosstab(self.clips["emotion"], _known(self.clips[column]))

    def by(self, column: str) -> pd.DataFrame:
        """
        Sum the measures up by emotion, speaker, gender or corpus.

        Parameters
        ----------
        column : str
            Of `clips`.

        Returns
        -------
        DataFrame of shape (n_values, 9)
            ``clips``; ``unreadable``; ``speakers``; ``seconds``, of all; the medians ``duration``, ``peak``, ``level``
            and ``silence``; ``clipped``, the number of clips with flat tops.
        """
        rows = self.clips.assign(unreadable=self.clips["duration"].isna(), tops=self.clips["clipped"] > 0)
        return rows.groupby(_known(rows[column])).agg(
            clips=("file", "size"),
            unreadable=("unreadable", "sum"),
            speakers=("speaker", "nunique"),
            seconds=("duration", "sum"),
            duration=("duration", "median"),
            peak=("peak", "median"),
            level=("level", "median"),
            silence=("silence", "median"),
            clipped=("tops", "sum"),
        )

    def files(self) -> pd.DataFrame:
        """
        Count clips by the facts of their files.

        Returns
        -------
        DataFrame of shape (n_kinds, 3)
            ``sr`` in Hz, ``channels``, ``clips``; the most frequent first.
        """
        counts = self.clips.value_counts(["sr", "channels"])
        return counts.rename("clips").reset_index()

    def to_dict(self) -> dict[str, Any]:
        """
        Sum up for a JSON file.

        Returns
        -------
        dict
            Numbers of clips, counts, measures by emotion, speaker, gender and corpus, files, unreadable clips and
            findings.
        """
        columns = ("emotion", "speaker", "gender", "corpus")
        return {
            "n_clips": len(self.clips),
            "n_speakers": int(self.clips["speaker"].nunique()) or None,
            "counts": {column: self.counts(column).T.to_dict() for column in columns[1:]},
            "measures": {column: self.by(column).round(4).to_dict("index") for column in columns},
            "files": self.files().to_dict("records"),
            "unreadable": [{"file": file, "reason": error.reason} for file, error in self.failures],
            "findings": [asdict(finding) for finding in self.findings],
        }


def audit_corpus(corpus: Bunch, *, n_jobs: int | None = None, verbose: int = 0) -> CorpusAudit:
    """
    Read every clip of a corpus once, measure it, and look for what makes figures wrong.

    Found are clips that cannot be read; equal audio under different names, speakers or emotions; clips that are nearly
    silent, clipped, very short or very long; emotions that are missing or rare, or go along with one speaker, gender,
    corpus or kind of file; speakers that are unknown, too few, or spelled in two ways.

    Audio is equal where all samples are, in whatever format without loss. A clip that was cut, amplified, resampled,
    rounded anew or stored as MP3 is another one. A speaker of whom other clips are under another name is found by the
    spelling of the names only: what is heard does not tell two names of one person from two persons alike.

    Parameters
    ----------
    corpus : Bunch
        What `load_corpus` gives: `data` and `frame`.
    n_jobs : int, default=None
        Number of clips worked on at a time; -1 means all cores.
    verbose : int, default=0
        Progress bar on stderr if positive.

    Returns
    -------
    CorpusAudit
        Measures of every clip, and findings.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk.corpora import audit_corpus, make_emotional_speech
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=2, n_repetitions=1)
    ...     audit = audit_corpus(corpus)
    >>> audit.counts("gender")
    gender   female  male
    emotion
    happy         1     1
    sad           1     1
    >>> [finding.message for finding in audit.findings]
    ['two speakers only: figures say next to nothing of new voices']
    """
    rows: list[Any] = []
    failures = []
    for clip, measured in zip(corpus.data, measure_clips(corpus.data, n_jobs=n_jobs, verbose=verbose), strict=True):
        rows.append((None,) * len(ClipMeasures._fields) if isinstance(measured, AudioError) else measured)
        failures += [(str(clip), measured)] if isinstance(measured, AudioError) else []
    measures = pd.DataFrame(rows, columns=ClipMeasures._fields)
    facts = corpus.frame[list(CLIP_COLUMNS)].reset_index(drop=True)
    clips = facts.join(measures[_MEASURES].astype(float).astype({"channels": "Int64"}))
    clips["equal_audio"] = _number_equals(measures)
    findings = find_all(clips)
    if failures:
        findings.insert(0, _tell_unreadable(failures))
    return CorpusAudit(clips, failures, findings)


def _known(values: pd.Series[Any]) -> pd.Series[Any]:
    return values.astype(object).fillna(UNKNOWN)


def _number_equals(measures: pd.DataFrame) -> pd.Series[Any]:
    """Give equal clips a number, from 1 on; pure silence is equal to any other, and is told of as silence."""
    digest = measures["digest"].where(measures["peak"].astype(float) > 0)
    twice = digest.notna() & digest.duplicated(keep=False)
    codes = pd.Series(pd.factorize(digest[twice])[0] + 1, index=digest.index[twice])
    return codes.reindex(digest.index).astype("Int64")


def _tell_unreadable(failures: list[tuple[str, AudioError]]) -> Finding:
    return Finding(
        "error",
        "unreadable",
        f"clips that cannot be read; the first: {failures[0][1].reason}",
        "Replace them, or take them out of the corpus.",
        tuple((file,) for file, _ in failures),
    )
