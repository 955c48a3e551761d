"""Windows of a recording -> segments of one emotion, which do not overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .timeline import WindowEmotion

FloatArray = npt.NDArray[np.float64]


class Segment(NamedTuple):
    """
    Tell a stretch of a recording in which one emotion prevails.

    Parameters
    ----------
    start, end : float
        Seconds from the start of the recording.
    emotion : label
        That of all its windows.
    probability : float or None
        Mean over these windows; None for a model that gives none.
    """

    start: float
    end: float
    emotion: Any
    probability: float | None


def part_time(starts: npt.ArrayLike, ends: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """
    Share the time of a recording among windows that overlap: each moment is of the window whose centre is nearest.

    Parameters
    ----------
    starts, ends : array-like of shape (n_windows,)
        In seconds, in order.

    Returns
    -------
    firsts : ndarray of shape (n_windows,)
        Where what a window speaks for begins, which is within it.
    lasts : ndarray of shape (n_windows,)
        Where it ends.
    """
    starts, ends = np.asarray(starts, dtype=float), np.asarray(ends, dtype=float)
    centres = (starts + ends) / 2
    between = (centres[1:] + centres[:-1]) / 2
    return np.maximum(starts, [*starts[:1], *between]), np.minimum(ends, [*between, *ends[-1:]])


def merge_windows(windows: Sequence[WindowEmotion]) -> list[Segment]:
    """
    Join successive windows of one emotion.

    Parameters
    ----------
    windows : sequence of WindowEmotion
        Of one recording, in order.

    Returns
    -------
    list of Segment
        In order; nothing where there is too little speech.

    Examples
    --------
    >>> from sersk.segments import merge_windows
    >>> from sersk.timeline import WindowEmotion
    >>> calm = [WindowEmotion(start, start + 3.0, 1.0, "calm", 0.5) for start in range(3)]
    >>> for segment in merge_windows([*calm, WindowEmotion(3.0, 6.0, 0.0), WindowEmotion(4.0, 7.0, 0.9, "sad", 0.75)]):
    ...     print(segment.start, segment.end, segment.emotion, segment.probability)
    0.0 4.0 calm 0.5
    5.0 7.0 sad 0.75
    """
    firsts, lasts = part_time([one.start for one in windows], [one.end for one in windows])
    spans = zip(firsts.tolist(), lasts.tolist(), windows, strict=True)
    found: list[list[tuple[float, float, WindowEmotion]]] = []
    for span in spans:
        if span[2].emotion is None:
            continue
        if found and found[-1][-1][2].emotion == span[2].emotion and found[-1][-1][1] == span[0]:
            found[-1].append(span)
        else:
            found.append([span])
    segments = []
    for spans_of_one in found:
        chances = [window.probability for *_, window in spans_of_one if window.probability is not None]
        chance = sum(chances) / len(chances) if chances else None
        segments.append(Segment(spans_of_one[0][0], spans_of_one[-1][1], spans_of_one[0][2].emotion, chance))
    return segments
