"""Corpus -> folds, with a name that says what they measure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.utils import Bunch

from sersk.clips import speaker_names
from sersk.models.folds import Folds, speaker_folds

Labels = npt.NDArray[Any]
PROTOCOLS = (
    "auto", "ravdess-6", "loso", "speaker-folds", "speaker-split", "corpora", "statements", "split", "random",
    "random-split",
)  # fmt: skip
# Test actors of the six folds that the literature uses for RAVDESS (EmoBox, Ma et al. 2024, doi
# 10.21437/Interspeech.2024-788).
RAVDESS_FOLDS = (
    ("01", "11", "20", "21"),
    ("04", "10", "12", "14"),
    ("08", "09", "19", "23"),
    ("03", "05", "07", "24"),
    ("02", "15", "16", "18"),
    ("06", "13", "17", "22"),
)
_N_FOLDS = 6
_MOST_LOSO = 12


@dataclass(frozen=True)
class Protocol:
    """
    Hold folds and what they mean.

    Parameters
    ----------
    name : str
        One of ``PROTOCOLS`` but "auto".
    description : str
        One line for reports.
    speaker_independent : bool
        Whether no speaker of a test fold is in its training fold.
    folds : list of (train, test)
        Indices of clips.
    """

    name: str
    description: str
    speaker_independent: bool
    folds: Folds


def make_protocol(corpus: Bunch, name: str = "auto") -> Protocol:
    """
    Split a corpus.

    Clips of unknown speakers may be of anybody in their corpus. Folds of whole speakers neither test them nor train on
    them where a speaker of their corpus is tested.

    Parameters
    ----------
    corpus : Bunch
        What `load_corpus` gives: `data`, `target`, `groups`, and for some protocols `frame`.
    name : str, default="auto"
        "ravdess-6": the literature's six folds of RAVDESS. "loso": leave one speaker out. "speaker-folds": six folds of
        whole speakers. "speaker-split": a fifth of the speakers is tested, once, which is quick; with fewer than five,
        each in turn. "corpora": leave one corpus out; of it those emotions are tested that the others have.
        "statements": up to six folds of whole statements. "split": train and test as the column of that name tells.
        "random": five folds that mix speakers, which says nothing about a new voice. "random-split": a random fifth of
        the clips is tested, as notebooks do, which says as little. "auto": the first that fits
        RAVDESS; else "loso" up to 12 speakers and "speaker-folds" above; "random" only if there are not two known
        speakers.

    Returns
    -------
    Protocol
        Folds, and what to call them.

    Raises
    ------
    ValueError
        If the protocol is unknown or the corpus does not allow it.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"There is no protocol {name!r}; choose one of {', '.join(PROTOCOLS)}.")
    target = np.asarray(corpus.target)
    groups = None if corpus.groups is None else np.asarray(corpus.groups)
    names = None if groups is None else speaker_names(groups)
    if names is not None and "" in names:
        groups = names
    speakers = [] if groups is None else sorted({*groups} - {""})
    is_ravdess = groups is not None and {*groups} == {f"ravdess:{actor}" for fold in RAVDESS_FOLDS for actor in fold}
    frame = corpus.get("frame")
    corpora = (
        np.zeros(len(target)) if frame is None or "corpus" not in frame else frame["corpus"].astype(str).to_numpy()
    )
    if name == "auto":
        if is_ravdess:
            name = "ravdess-6"
        elif len(speakers) < 2:
            name = "random"
        else:
            name = "loso" if len(speakers) <= _MOST_LOSO else "speaker-folds"
    if name in ("corpora", "statements", "split"):
        protocol = _split_by_column(name, target, names, corpora, frame)
    else:
        protocol = _split(name, target, groups, speakers, is_ravdess)
        if names is not None and "" in names and protocol.speaker_independent:
            protocol = _set_apart(protocol, names, corpora)
    if not protocol.folds:
        raise ValueError("There are emotions of one clip, so that none can be held out. Leave them out, or add clips.")
    for number, (train, _) in enumerate(protocol.folds, 1):
        emotions = np.unique(target[train])
        if len(emotions) < 2:
            raise ValueError(
                f"Protocol {name!r} would train fold {number} on {', '.join(map(repr, emotions.tolist()))} only; "
                "a classifier needs two emotions or more. Add clips, or take another protocol."
            )
    return protocol


def _split(name: str, target: Labels, groups: Labels | None, speakers: list[Any], is_ravdess: bool) -> Protocol:
    if name == "random":
        folds = speaker_folds(target, None, 5)
        description = f"{len(folds)} random folds, SPEAKER-DEPENDENT: says nothing of new voices"
        return Protocol(name, description, False, folds)
    if name == "random-split":
        enough = np.unique(target, return_counts=True)[1].min() > 1
        everything = np.arange(len(target))
        folds = [tuple(train_test_split(everything, test_size=0.2, random_state=0, stratify=target))] if enough else []
        return Protocol(name, "a random fifth is tested, SPEAKER-DEPENDENT: says nothing of new voices", False, folds)
    if groups is None or len(speakers) < 2:
        raise ValueError(f"Protocol {name!r} needs two known speakers or more; this corpus has {len(speakers)}.")
    if name == "ravdess-6":
        if not is_ravdess:
            raise ValueError("Protocol 'ravdess-6' needs the 24 actors of RAVDESS and no other speakers; try 'auto'.")
        tests = [np.isin(groups, [f"ravdess:{actor}" for actor in fold]) for fold in RAVDESS_FOLDS]
        return Protocol(name, "six fixed folds of RAVDESS, unseen speakers", True, _from_masks(tests))
    if name == "speaker-split" and len(speakers) >= 5:
        folds = speaker_folds(target, groups, 5)[:1]
        n_tested = sum(len(np.unique(groups[test])) for _, test in folds)
        return Protocol(name, f"{n_tested} of {len(speakers)} speakers are tested, unseen speakers", True, folds)
    if name in ("loso", "speaker-split"):
        tests = [groups == speaker for speaker in speakers]
        return Protocol(name, f"leave one speaker out, {len(speakers)} speakers", True, _from_masks(tests))
    folds = speaker_folds(target, groups, _N_FOLDS)
    return Protocol(name, f"{len(folds)} folds of whole speakers, {len(speakers)} speakers", True, folds)


def _set_apart(protocol: Protocol, names: Labels, corpora: Labels) -> Protocol:
    """Train on clips of unknown speakers, which are not tested, only where no speaker of their corpus is tested."""
    unknown = names == ""
    folds = []
    for _, test in protocol.folds:
        near = np.isin(names, names[test]) | (unknown & np.isin(corpora, corpora[test]))
        folds.append((np.flatnonzero(~near), test))
    told = f"{protocol.description}; not tested: {unknown.sum()} clips without a speaker"
    return replace(protocol, description=told, folds=folds)


def _split_by_column(
    name: str, target: Labels, names: Labels | None, corpora: Labels, frame: pd.DataFrame | None
) -> Protocol:
    column = {"corpora": "corpus", "statements": "statement", "split": "split"}[name]
    if frame is None or column not in frame or frame[column].isna().any():
        raise ValueError(f"Protocol {name!r} needs the {column} of every clip, as a manifest may tell it; try 'auto'.")
    values = frame[column].astype(str).to_numpy()
    known = np.unique(values)
    if name == "split":
        if not {"train", "test"} <= set(known):
            raise ValueError(f"Protocol 'split' needs clips for 'train' and for 'test'; found {', '.join(known)}.")
        folds = [(np.flatnonzero(values == "train"), np.flatnonzero(values == "test"))]
        return _describe(name, "the split of the manifest", folds, names, corpora)
    if len(known) < 2:
        raise ValueError(f"Protocol {name!r} needs two of them or more; every {column} here is {known[0]!r}.")
    if name == "corpora":
        everything = _from_masks([values == one for one in known])
        folds = [(train, test[np.isin(target[test], target[train])]) for train, test in everything]
        n_left = len(target) - sum(len(test) for _, test in folds)
        left = f"; {n_left} clips of emotions that the others lack are not tested" if n_left else ""
        folds = [(train, test) for train, test in folds if len(test)]
        if not folds:
            raise ValueError("The corpora have no emotion in common, so that no clip can be tested.")
        return _describe(name, f"leave one corpus out, {len(known)} corpora{left}", folds, names, corpora)
    folds = speaker_folds(target, values, _N_FOLDS)
    return _describe(name, f"{len(folds)} folds of whole statements, {len(known)} statements", folds, names, corpora)


def _describe(name: str, description: str, folds: Folds, names: Labels | None, corpora: Labels) -> Protocol:
    """Look whether a speaker is, or may be, on both sides, and say so."""
    apart = names is not None and not any(_share_speakers(names, corpora, *fold) for fold in folds)
    dependent = "SPEAKERS UNKNOWN" if names is None or "" in names else "SPEAKER-DEPENDENT"
    told = "unseen speakers" if apart else f"{dependent}: says nothing of new voices"
    return Protocol(name, f"{description}, {told}", apart, folds)


def _share_speakers(names: Labels, corpora: Labels, train: Labels, test: Labels) -> bool:
    """Tell whether a speaker may be on both sides; an unknown one may be anybody of the corpus."""
    nobody = [rows[names[rows] == ""] for rows in (train, test)]
    known = test[names[test] != ""]
    return bool(
        np.isin(names[known], names[train]).any()
        or np.isin(corpora[nobody[1]], corpora[train]).any()
        or np.isin(corpora[nobody[0]], corpora[test]).any()
    )


def _from_masks(masks: list[npt.NDArray[np.bool_]]) -> Folds:
    return [(np.flatnonzero(~mask), np.flatnonzero(mask)) for mask in masks]
