"""Table of measured clips -> what a user of the corpus ought to know."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd

from .emotions import alike
from .files import some

SEVERITIES = ("error", "warning", "note")
_QUIET_PEAK = 0.01
_CLIPPED_SHARE = 0.001
_SILENT_SHARE = 0.9
_SHORT_S, _LONG_S = 0.3, 30.0
_UNBALANCED = 3.0
# A medium effect, for two kinds of file, by Cohen 1988, "Statistical power analysis for the behavioral sciences".
_ASSOCIATED = 0.3


@dataclass(frozen=True)
class Finding:
    """
    Hold one remark on a corpus, or on a model.

    Parameters
    ----------
    severity : {"error", "warning", "note"}
        An error makes figures wrong, or clips useless; a warning may; a note is good to know.
    kind : str
        What was found, in one word for programs, such as ``"clipped"``.
    message : str
        What was found, in words.
    cure : str
        What to do.
    clips : tuple of tuple of str
        The files that it is about, if it is about files. Those that hold the same audio stand together.
    """

    severity: str
    kind: str
    message: str
    cure: str
    clips: tuple[tuple[str, ...], ...] = ()

    @property
    def n_clips(self) -> int:
        """Number of the files."""
        return sum(map(len, self.clips))


def find_all(clips: pd.DataFrame) -> list[Finding]:
    """
    Look at a corpus with every rule there is.

    Parameters
    ----------
    clips : DataFrame of shape (n_clips, n_columns)
        `sersk.corpora.CorpusAudit.clips`.

    Returns
    -------
    list of Finding
        The gravest first.
    """
    found = [finding for rule in _RULES for finding in rule(clips)]
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))


def association(first: pd.Series[Any], second: pd.Series[Any]) -> float:
    """
    Tell how far one column of names tells another one: Cramer's V, less what chance gives.

    Parameters
    ----------
    first, second : Series of length n_clips
        Values; where one of them is missing, the clip does not count.

    Returns
    -------
    float
        0 for columns that know nothing of each other, 1 for one that tells the other in full.

    References
    ----------
    Bergsma 2013, "A bias-correction for Cramer's V and Tschuprow's T", doi 10.1016/j.jkss.2012.10.002.
    """
    counts = pd.crosstab(first, second).to_numpy()
    total = counts.sum()
    n_rows, n_columns = counts.shape
    if min(n_rows, n_columns) < 2 or total < 2:
        return 0.0
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / total
    squared = ((counts - expected) ** 2 / expected).sum() / total
    squared = max(squared - (n_rows - 1) * (n_columns - 1) / (total - 1), 0.0)
    rows, columns = (size - (size - 1) ** 2 / (total - 1) for size in (n_rows, n_columns))
    smaller = min(rows, columns) - 1
    return float(np.sqrt(min(squared / smaller, 1.0))) if smaller > 0 else 0.0


def _about(severity: str, kind: str, rows: pd.DataFrame, message: str, cure: str) -> Iterator[Finding]:
    """Remark on single clips, if there are such."""
    if len(rows):
        yield Finding(severity, kind, message, cure, tuple((file,) for file in rows["file"]))


def _values(rows: pd.DataFrame, column: str) -> list[str]:
    return sorted(rows[column].dropna().unique())


# --- equal audio


def _equal_audio(clips: pd.DataFrame) -> Iterator[Finding]:
    groups = [rows for _, rows in clips.dropna(subset="equal_audio").groupby("equal_audio")]
    conflicts = [rows for rows in groups if len(_values(rows, "emotion")) > 1]
    shared = [rows for rows in groups if len(_values(rows, "speaker")) > 1]
    rest = [rows for rows in groups if max(len(_values(rows, name)) for name in ("emotion", "speaker")) < 2]
    told = Counter(" and ".join(_values(rows, "emotion")) for rows in conflicts)
    if conflicts:
        yield _of_groups(
            "error",
            "equal-audio-emotions",
            conflicts,
            f"equal audio with different emotions: {some([*told])}",
            "Listen to it and keep the true label; a model cannot learn both.",
        )
    if shared:
        yield _of_groups(
            "error",
            "equal-audio-speakers",
            shared,
            f"equal audio under different speakers: {_who_shares(shared)}",
            "If they are one person, give one name; else remove the copies. A test on unseen speakers hears them.",
        )
    if rest:
        yield _of_groups(
            "warning",
            "equal-audio",
            rest,
            "equal audio under different file names",
            "Keep one of each: copies count twice, and a random split tests on what it trained on.",
        )


def _of_groups(severity: str, kind: str, groups: list[pd.DataFrame], message: str, cure: str) -> Finding:
    return Finding(severity, kind, message, cure, tuple(tuple(rows["file"]) for rows in groups))


def _who_shares(groups: list[pd.DataFrame]) -> str:
    """Name pairs of speakers; what they share twice is no mistake of a single file."""
    pairs = Counter(pair for rows in groups for pair in combinations(_values(rows, "speaker"), 2))
    told = [
        f"{first} = {second}" + (f" ({times} times; one voice under two names?)" if times > 1 else "")
        for (first, second), times in pairs.most_common()
    ]
    return some(told)


# --- single clips


def _loudness(clips: pd.DataFrame) -> Iterator[Finding]:
    quiet = clips["peak"] < _QUIET_PEAK
    silent = ~quiet & (clips["silence"] > _SILENT_SHARE)
    yield from _about(
        "warning",
        "quiet",
        clips[quiet],
        f"nearly silent: no sample is above {_QUIET_PEAK} of full scale (-40 dB)",
        "Listen to them; leave out what holds no speech.",
    )
    yield from _about(
        "warning",
        "silent",
        clips[silent],
        f"silence, 40 dB below the loudest part, in more than {_SILENT_SHARE:.0%} of the clip",
        "Cut the silence off, or leave out what holds no speech.",
    )
    yield from _about(
        "warning",
        "clipped",
        clips[clips["clipped"] > _CLIPPED_SHARE],
        f"clipped: more than {_CLIPPED_SHARE:.1%} of the samples are in flat tops at full scale",
        "Record or export them anew at a lower level; distortion looks like a strained voice.",
    )


def _lengths(clips: pd.DataFrame) -> Iterator[Finding]:
    yield from _about(
        "warning",
        "short",
        clips[clips["duration"] < _SHORT_S],
        f"shorter than {_SHORT_S} s, hardly a word",
        "Listen to them; leave out what was cut by mistake.",
    )
    yield from _about(
        "warning",
        "long",
        clips[clips["duration"] > _LONG_S],
        f"longer than {_LONG_S:.0f} s, more than one utterance",
        "Cut them into utterances; a label is taken to hold for the whole clip.",
    )


# --- files


def _files(clips: pd.DataFrame) -> Iterator[Finding]:
    rates = clips["sr"].value_counts()
    if len(rates) > 1:
        told = [f"{rate:g} Hz ({n_clips})" for rate, n_clips in rates.items()]
        yield Finding(
            "warning",
            "sample-rates",
            f"different sampling rates: {some(told)}",
            "Convert all to the lowest one: above half of it a model hears in some clips what others lack.",
        )
    extensions = clips["file"].map(lambda file: PurePath(file).suffix.lower())
    facts = {"sampling rate": clips["sr"], "number of channels": clips["channels"], "file type": extensions}
    for name, values in facts.items():
        strength = association(clips["emotion"], values)
        if strength >= _ASSOCIATED:
            yield Finding(
                "warning",
                "file-tells-emotion",
                f"the {name} goes along with the emotion (Cramer's V {strength:.2f})",
                "Bring all files to one format: a model can tell emotions by the file instead of the voice.",
            )


# --- emotions


def _alike(clips: pd.DataFrame) -> Iterator[Finding]:
    if same := alike(clips["emotion"]):
        yield Finding(
            "warning",
            "emotions-alike",
            f"labels that differ in case or spaces only: {some(same)}",
            "Write each in one way: a model learns them as different emotions.",
        )


def _balance(clips: pd.DataFrame) -> Iterator[Finding]:
    counts = clips["emotion"].value_counts()
    most, least = counts.iloc[0], counts.iloc[-1]
    if len(counts) == 1:
        message = f"all clips are {counts.index[0]!r}"
        yield Finding("error", "one-emotion", message, "Add clips of others: a classifier needs two or more.")
    elif most / least >= _UNBALANCED:
        yield Finding(
            "warning",
            "unbalanced",
            f"unbalanced emotions: {most} clips are {counts.index[0]!r}, {least} are {counts.index[-1]!r}",
            "Judge by UAR, not by accuracy, which the frequent ones rule; add clips of the rare ones.",
        )


def _confounded(clips: pd.DataFrame) -> Iterator[Finding]:
    left = clips
    for column in ("corpus", "speaker", "gender"):
        values = left.groupby("emotion")[column].unique().map(lambda found: [one for one in found if pd.notna(one)])
        only = values[values.map(len) == 1]
        if clips[column].nunique() > 1 and len(only):
            left = left[~left["emotion"].isin(only.index)]  # one speaker is of one gender, too: tell once
            told = [f"{emotion} ({found[0]})" for emotion, found in only.items()]
            yield Finding(
                "warning",
                f"one-{column}",
                f"emotions of one {column} only: {some(told)}",
                f"Add clips of others, or leave these emotions out: a model can tell the {column} instead.",
            )


def _missing(clips: pd.DataFrame) -> Iterator[Finding]:
    """Look for speakers that lack emotions of their corpus; one emotion's only speaker is told of elsewhere."""
    told, n_speakers = [], clips["speaker"].nunique()
    for _, corpus in clips.groupby("corpus"):
        counts = pd.crosstab(corpus["speaker"], corpus["emotion"])
        lacking = (counts == 0) & ((counts > 0).sum() > 1)
        told += [f"{name} lacks {', '.join(row.index[row])}" for name, row in lacking.iterrows() if row.any()]
    if told:
        yield Finding(
            "warning",
            "missing-emotions",
            f"{len(told)} of {n_speakers} speakers lack emotions: {some(told)}",
            "Add clips, or judge by the recalls of the emotions: who lacks some tells less in a test fold.",
        )


# --- speakers


def _speakers(clips: pd.DataFrame) -> Iterator[Finding]:
    unknown, names = clips["speaker"].isna(), _values(clips, "speaker")
    cure = "Give a manifest with the columns file, emotion and speaker."
    if not names:
        message = "speakers are unknown: nothing can be tested on unseen ones, and a speaker may be on both sides"
        yield Finding("warning", "unknown-speakers", message, cure)
        return
    message = (
        "speakers of some clips are unknown: they may be of one who is trained on, so folds of whole speakers leave "
    )
    yield from _about("warning", "unknown-speakers", clips[unknown], f"{message}them out", cure)
    if len(names) < 3:
        few = "one speaker" if len(names) == 1 else "two speakers"
        message = f"{few} only: figures say " + ("nothing" if len(names) == 1 else "next to nothing") + " of new voices"
        yield Finding("warning", "few-speakers", message, "Add corpora of other speakers.")
    alike: dict[str, list[str]] = {}
    for name in names:
        alike.setdefault(_plain(name), []).append(name)
    if twins := [" = ".join(spellings) for spellings in alike.values() if len(spellings) > 1]:
        yield Finding(
            "warning",
            "speakers-alike",
            f"names that differ in case, zeros or separators only: {some(twins)}",
            "If they are one person, give one name; else a test on unseen speakers hears a known one.",
        )


def _plain(name: str) -> str:
    """Leave out of a name what people write in different ways."""
    corpus, _, speaker = name.rpartition(":")
    letters = re.sub(r"[\W_]+", "", speaker.casefold())
    return corpus + ":" + re.sub(r"(?<!\d)0+(?=\d)", "", letters)


_RULES: tuple[Callable[[pd.DataFrame], Iterable[Finding]], ...] = (
    _equal_audio,
    _speakers,
    _alike,
    _confounded,
    _missing,
    _balance,
    _files,
    _loudness,
    _lengths,
)
