"""Emotions of a model -> groups of them, as a page shows them, with a sign each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

ALL, SIX, THREE = "all", "six", "three"

# Which canonical emotions (`sersk.corpora.EMOTIONS`) count as one. Six are those of the well-known picture-network
# application that this page replaces; anger and disgust share most of their signs and are told apart late (Jack, Garrod
# & Schyns 2014, doi 10.1016/j.cub.2013.11.064). Three are by valence; a surprise counts as a good one there.
_GROUPS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        SIX: {
            "angry": ("angry", "disgust"),
            "fearful": ("fearful",),
            "happy": ("happy",),
            "neutral": ("neutral", "calm", "bored"),
            "sad": ("sad",),
            "surprised": ("surprised",),
        },
        THREE: {
            "positive": ("happy", "surprised"),
            "neutral": ("neutral", "calm", "bored"),
            "negative": ("angry", "fearful", "sad", "disgust"),
        },
    }
)
VIEWS = (ALL, *_GROUPS)

_SIGNS = MappingProxyType(
    {
        "neutral": "😐",
        "calm": "😌",
        "happy": "😊",
        "sad": "😢",
        "angry": "😠",
        "fearful": "😨",
        "disgust": "🤢",
        "surprised": "😲",
        "bored": "🥱",
        "positive": "🙂",
        "negative": "🙁",
    }
)


def sign_of(name: str) -> str:
    """
    Give the emoji of an emotion or a group.

    Parameters
    ----------
    name : str
        As `group_emotions` names it.

    Returns
    -------
    str
        One emoji; that of a voice for a label of somebody's own.
    """
    return _SIGNS.get(name, "🗣️")


def group_emotions(classes: Sequence[str], view: str) -> dict[str, tuple[str, ...]]:
    """
    Part the emotions of a model for a view.

    Parameters
    ----------
    classes : sequence of str
        Its emotions, in its order.
    view : str
        "all", "six" or "three" ("positive", "neutral", "negative").

    Returns
    -------
    dict of str to tuple of str
        For each group the emotions of the model in it; every emotion is in one. What is no canonical emotion stays by
        itself, and groups without any emotion are left out.

    Raises
    ------
    ValueError
        If there is no such view.

    Examples
    --------
    >>> from sersk.serve.views import group_emotions
    >>> group_emotions(("angry", "calm", "happy", "neutral", "puzzled"), "three")
    {'negative': ('angry',), 'neutral': ('calm', 'neutral'), 'positive': ('happy',), 'puzzled': ('puzzled',)}
    """
    if view not in VIEWS:
        raise ValueError(f"view={view!r}: expected one of {', '.join(VIEWS)}.")
    group_of = {emotion: name for name, emotions in _GROUPS.get(view, {}).items() for emotion in emotions}
    groups: dict[str, tuple[str, ...]] = {}
    for emotion in classes:
        name = group_of.get(emotion, emotion)
        groups[name] = (*groups.get(name, ()), emotion)
    return groups


def sum_probabilities(probabilities: Mapping[str, float], view: str) -> dict[str, float]:
    """
    Add up the probabilities of the emotions that a view takes for one.

    Parameters
    ----------
    probabilities : mapping of str to float
        By emotion.
    view : str
        As in `group_emotions`.

    Returns
    -------
    dict of str to float
        By group.

    Examples
    --------
    >>> from sersk.serve.views import sum_probabilities
    >>> sum_probabilities({"calm": 0.25, "neutral": 0.25, "sad": 0.5}, "six")
    {'neutral': 0.5, 'sad': 0.5}
    """
    groups = group_emotions(tuple(probabilities), view)
    return {name: sum(probabilities[emotion] for emotion in emotions) for name, emotions in groups.items()}
