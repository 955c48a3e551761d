"""Label of any corpus -> canonical emotion."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from types import MappingProxyType

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised", "bored")

# Spellings that mean the same emotion wherever they are met, as `label_key` leaves them: lower case, no separators,
# umlauts written out. One-letter and numeric codes mean different emotions in different corpora: they are in CODES.
_SPELLINGS = {
    "neutral": "neutral neutrality neutralitaet neu normal",
    "calm": "calm calmness ruhe ruhig gelassen gelassenheit",
    "happy": "happy happiness hap joy joyful freude froehlich froehlichkeit glueck gluecklich",
    "sad": "sad sadness trauer traurig traurigkeit",
    "angry": "angry anger ang aerger aergerlich wut wuetend zorn zornig",
    "fearful": "fearful fear fea afraid anxiety anxious anxietyfear fearanxiety angst aengstlich",
    "disgust": "disgust disgusted dis ekel",
    "surprised": "surprised surprise sur ps pleasantsurprise pleasantsurprised ueberraschung ueberrascht",
    "bored": "bored boredom langeweile gelangweilt",
}
_CANONICAL = {spelling: emotion for emotion, spellings in _SPELLINGS.items() for spelling in spellings.split()}
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})

# The codes in file names, in lower case, by layout. TESS spells its emotions out and needs none.
CODES = MappingProxyType(
    {
        "ravdess": {f"{number:02d}": emotion for number, emotion in enumerate(EMOTIONS[:8], start=1)},
        "cremad": {"neu": "neutral", "hap": "happy", "sad": "sad", "ang": "angry", "fea": "fearful", "dis": "disgust"},
        "savee": {
            "n": "neutral",
            "h": "happy",
            "sa": "sad",
            "a": "angry",
            "f": "fearful",
            "d": "disgust",
            "su": "surprised",
        },
        # Initials of Wut, Langeweile, Ekel, Angst, Freude, Trauer, neutral.
        "emodb": {
            "w": "angry",
            "l": "bored",
            "e": "disgust",
            "a": "fearful",
            "f": "happy",
            "t": "sad",
            "n": "neutral",
        },
    }
)


def label_key(label: str) -> str:
    """
    Bring the ways to write one label to one string.

    Parameters
    ----------
    label : str
        Any label.

    Returns
    -------
    str
        The label without case and separators, umlauts written out.
    """
    folded = unicodedata.normalize("NFKC", label).casefold().translate(_UMLAUTS)
    return re.sub(r"[\s_\-/]+", "", folded)


def canonical_emotion(label: str) -> str:
    """Translate a label into the canonical emotion that it names.

    Corpora spell one emotion in several ways (``fear``, ``Fearful``, ``Angst``; ``ps``, ``pleasant_surprise``); a
    classifier that keeps two spellings learns two classes. Case, white space, hyphens, slashes and underscores do not
    matter, in English nor in German.

    Parameters
    ----------
    label : str
        A label in words. One-letter codes are not labels: they mean different emotions in different corpora.

    Returns
    -------
    str
        One of `EMOTIONS`, or `label` itself, unchanged, where no canonical emotion is known for it.

    Examples
    --------
    >>> from sersk.corpora import canonical_emotion
    >>> canonical_emotion("Pleasant_Surprise"), canonical_emotion("Ärger"), canonical_emotion("confused")
    ('surprised', 'angry', 'confused')
    """
    return _CANONICAL.get(label_key(label), label)


def alike(labels: Iterable[str]) -> list[str]:
    """
    Find labels that differ in case, spaces, hyphens or underscores only.

    Parameters
    ----------
    labels : iterable of str
        Labels as `canonical_emotion` gives them.

    Returns
    -------
    list of str
        Each group of them, joined by `` = ``.
    """
    spellings: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        spellings.setdefault(label_key(label), []).append(repr(label))
    return [" = ".join(same) for same in spellings.values() if len(same) > 1]
