"""Pieces of a recording -> windows, as soon as they are complete."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .audio import AudioError
from .filterbanks import Array

# What is behind the last window has a window of its own, unless it is a smaller share of a window than this.
_CRUMB = 0.05

Span = tuple[int, int]


@dataclass(frozen=True)
class Part:
    """
    Hold a part of a recording that completes some windows.

    Parameters
    ----------
    waveform : ndarray of shape (n_samples,)
        All that the windows need.
    origin : int
        Where it begins, in samples from the start of the recording.
    fresh : ndarray of shape (n_new,)
        Its end, which was in no part before; one after another these are the recording.
    spans : list of (int, int)
        Windows, by their first sample and the one behind their last, from the start of the recording.
    """

    waveform: Array
    origin: int
    fresh: Array
    spans: list[Span]

    def windows(self, spans: Iterable[Span]) -> list[Array]:
        """
        Give the waveforms of windows.

        Parameters
        ----------
        spans : iterable of (int, int)
            Out of `spans`.

        Returns
        -------
        list of ndarray
            Views.
        """
        return [self.waveform[start - self.origin : stop - self.origin] for start, stop in spans]


def cut_windows(
    pieces: Iterable[Array], n_window: int, hop: float, *, grid: int = 1, before: int = 0, after: int = 0
) -> Iterator[Part]:
    """
    Find the windows that are complete, as the pieces of a recording come in.

    Parameters
    ----------
    pieces : iterable of ndarray of shape (n_samples,)
        The recording.
    n_window : int
        Length of a window in samples.
    hop : float
        From the start of one to that of the next, in samples; starts are rounded, so that they do not drift.
    grid : int, default=1
        What the starts of windows and parts are multiples of.
    before, after : int, default=0
        How much of the recording a part holds on both sides of its windows, as far as there is so much.

    Yields
    ------
    Part
        Whenever a window is complete, and what is after it. The last one holds the window that ends with the recording,
        unless another does so, or nearly so.

    Raises
    ------
    AudioError
        If `pieces` raises one, after the windows before.
    """
    kept, waiting = np.zeros(0, dtype=np.float32), []
    origin = n_there = n_waiting = covered = 0
    starts = (round(number * hop / grid) * grid for number in itertools.count())
    start = next(starts)
    fault = None
    is_over = False
    pieces = iter(pieces)
    while not is_over:
        try:
            piece = next(pieces)
            waiting.append(piece)
            n_waiting += len(piece)
            n_there += len(piece)
        except StopIteration:
            is_over = True
        except AudioError as error:
            fault, is_over = error, True
        spans = []
        while start + n_window + (0 if is_over else after) <= n_there:
            covered = start + n_window
            spans.append((start, covered))
            start = next(starts)
        if is_over and n_there - covered > (_CRUMB * n_window if covered else 0):
            spans.append((max(0, -((n_window - n_there) // grid) * grid), n_there))
        if spans or n_waiting >= n_window:
            fresh, waiting, n_waiting = np.concatenate([kept[:0], *waiting]), [], 0
            kept = np.concatenate([kept, fresh])
            yield Part(kept, origin, fresh, spans)
            left = max(origin, (min(start, n_there - n_window) - before) // grid * grid)
            kept, origin = kept[left - origin :], left
    if fault is not None:
        raise fault
