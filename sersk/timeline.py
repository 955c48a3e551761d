"""Fitted model and recording -> emotion over time, as the recording comes in."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .audio import AudioError, source_name, stream_audio
from .extraction import clip_source
from .filterbanks import Array
from .inference import as_model, predict_clips
from .raw_audio import RawAudio
from .voice_activity import VoiceActivity

SHORTEST_WINDOW, SHORTEST_HOP = 1.0, 0.1  # seconds
# What is behind the last window has a window of its own, unless it is a smaller share of a window than this.
_CRUMB = 0.05
_BATCH = 32  # windows that are predicted at a time, where so many are there
_SR = 16000  # Hz, for a model that names no rate

Span = tuple[int, int]
FloatArray = npt.NDArray[np.float64]


class WindowEmotion(NamedTuple):
    """
    Tell the emotion of one window of a recording.

    Parameters
    ----------
    start, end : float
        Seconds from the start of the recording.
    speech : float
        How much of the window is speech, from 0 to 1.
    emotion : label or None
        What ``model.predict`` gives; None where there is too little speech.
    probability : float or None
        Of that emotion; None for a model that gives none.
    probabilities : tuple of float
        Of all emotions, in the order of ``model.classes_``; empty where there are none.
    """

    start: float
    end: float
    speech: float
    emotion: Any = None
    probability: float | None = None
    probabilities: tuple[float, ...] = ()


def stream_emotions(
    model: Any, source: Any, *, window: float = 3.0, hop: float = 1.0, min_speech: float = 0.25
) -> Iterator[WindowEmotion]:
    """
    Name the emotion of a recording window by window, as it comes in.

    Memory does not grow with the recording: hours are as good as seconds, and so is a microphone that never ends
    (`sersk.raw_audio.RawAudio`). A window is told as soon as its last sample is there.

    Parameters
    ----------
    model : Pipeline, path or None
        Fitted, a model file, or None for the model that comes with the package.
    source : path, file object, (waveform, sr) pair, waveform or RawAudio
        One recording; a waveform is at the model's own rate.
    window, hop : float, default=3.0 and 1.0
        Length of a window, and from the start of one to that of the next, in seconds; at least 1 and 0.1. A model was
        trained on clips of some length, and windows of about that length suit it.
    min_speech : float, default=0.25
        A window of which less than this is speech has no emotion (`sersk.voice_activity`); with 0 all have one.

    Yields
    ------
    WindowEmotion
        One a window, in order. A recording that is shorter than a window is one. The last window ends with the
        recording and begins when it must for that, unless less than a twentieth of a window would be left out.

    Raises
    ------
    AudioError
        If the recording cannot be read, or to its end only in part; what could be read was told before.
    ValueError
        If `window`, `hop` or `min_speech` is out of range, or the model file cannot be used.

    See Also
    --------
    predict_emotions : With `window` makes a table of the same.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk import AcousticFeatures, stream_emotions
    >>> from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    >>> from sklearn.pipeline import make_pipeline
    >>> time = np.arange(16000 * 4) / 16000
    >>> low, high = (np.sin(2 * np.pi * hz * (time + 0.02 * np.sin(9 * time))) for hz in (120, 240))
    >>> features = AcousticFeatures(("log_f0",), functionals=("mean",), deltas=0, clip_values=())
    >>> clips, emotions = [low, low[:9000], high], ["sad", "sad", "happy"]
    >>> model = make_pipeline(features, LinearDiscriminantAnalysis()).fit(clips, emotions)
    >>> recording = np.concatenate([high, np.zeros(48000), low])
    >>> for row in stream_emotions(model, recording, hop=2.0):
    ...     print(row.start, row.end, row.emotion)
    0.0 3.0 happy
    2.0 5.0 happy
    4.0 7.0 None
    6.0 9.0 sad
    8.0 11.0 sad
    """
    for name, value, lowest, highest in (
        ("window", window, SHORTEST_WINDOW, np.inf),
        ("hop", hop, SHORTEST_HOP, np.inf),
        ("min_speech", min_speech, 0.0, 1.0),
    ):
        if not lowest <= value <= highest or value == np.inf:
            limits = f"{lowest:g} or more seconds" if highest == np.inf else f"a share from {lowest:g} to {highest:g}"
            raise ValueError(f"{name}={value!r}: expected {limits}.")
    return _stream(_Predictor(as_model(model)), source, window, hop, min_speech)


def _stream(
    predictor: _Predictor, source: Any, window: float, hop: float, min_speech: float
) -> Iterator[WindowEmotion]:
    sr = predictor.sr
    is_read = isinstance(source, RawAudio) or hasattr(source, "read")
    pieces = stream_audio(source if is_read else clip_source(source, sr), sr)
    activity = VoiceActivity(sr)
    for part in cut_windows(pieces, round(window * sr), hop * sr):
        activity.forget(part.origin)
        activity.add(part.fresh)
        for first in range(0, len(part.spans), _BATCH):
            spans = part.spans[first : first + _BATCH]
            shares = [activity.share(*span) for span in spans]
            spoken = [span for span, share in zip(spans, shares, strict=True) if share >= min_speech]
            try:
                answers = dict(zip(spoken, predictor.predict(part, spoken), strict=True))
            except AudioError as error:
                raise AudioError(source_name(source), error.reason) from error
            for span, share in zip(spans, shares, strict=True):
                yield WindowEmotion(span[0] / sr, span[1] / sr, share, *answers.get(span, ()))


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
    firsts, lasts : ndarray of shape (n_windows,)
        What each window speaks for, which is within it.
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
    >>> from sersk.timeline import WindowEmotion, merge_windows
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


def cut_windows(pieces: Iterable[Array], n_window: int, hop: float) -> Iterator[Part]:
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

    Yields
    ------
    Part
        Whenever a window is complete. The last one holds the window that ends with the recording, unless another does
        so, or nearly so.

    Raises
    ------
    AudioError
        If `pieces` raises one, after the windows before.
    """
    kept, waiting = np.zeros(0, dtype=np.float32), []
    origin = n_there = covered = 0
    starts = (round(number * hop) for number in itertools.count())
    start = next(starts)
    fault = None
    try:
        for piece in pieces:
            waiting.append(piece)
            n_there += len(piece)
            spans = []
            while start + n_window <= n_there:
                covered = start + n_window
                spans.append((start, covered))
                start = next(starts)
            if spans or sum(map(len, waiting)) >= n_window:
                fresh, waiting = np.concatenate(waiting), []
                kept = np.concatenate([kept, fresh])
                yield Part(kept, origin, fresh, spans)
                left = max(origin, min(start, n_there - n_window))
                kept, origin = kept[left - origin :], left
    except AudioError as error:
        fault = error
    if n_there - covered > (_CRUMB * n_window if covered else 0):
        fresh = np.concatenate([kept[:0], *waiting])
        yield Part(np.concatenate([kept, fresh]), origin, fresh, [(max(0, n_there - n_window), n_there)])
    if fault is not None:
        raise fault


class _Predictor:
    """Ask a model about windows."""

    def __init__(self, model: Any) -> None:
        self._model = model
        parameters = model.get_params() if hasattr(model, "get_params") else {}
        rates = {int(value) for name, value in parameters.items() if name.rpartition("__")[2] == "sr"}
        self.sr = max(rates, default=_SR)
        self._names_rate = len(rates) > 1  # of several rates each takes the windows to its own

    def predict(self, part: Part, spans: list[Span]) -> Iterator[tuple[Any, float | None, tuple[float, ...]]]:
        """Give emotion, its probability and all probabilities of each window."""
        if not spans:
            return
        windows: list[Any] = part.windows(spans)
        if self._names_rate:
            windows = [(waveform, self.sr) for waveform in windows]
        labels, probabilities, errors = predict_clips(self._model, windows, n_jobs=None, memory=None, verbose=0)
        for reason in errors.values():
            raise AudioError("", reason)
        if probabilities is None:
            yield from ((label, None, ()) for label in labels.tolist())
            return
        classes = list(self._model.classes_.tolist())
        for label, row in zip(labels.tolist(), probabilities.tolist(), strict=True):
            yield label, row[classes.index(label)], tuple(row)
