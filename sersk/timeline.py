"""Fitted model and recording -> emotion over time, as the recording comes in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline

from .audio import AudioError, source_name, stream_audio
from .clips import clip_source
from .descriptors import pitch_frame_length
from .extraction import check_features, clip_faults, in_one_thread
from .features import AcousticFeatures
from .filterbanks import Array
from .inference import as_model, predict_clips, predict_rows
from .raw_audio import RawAudio
from .recipes import VectorRecipe
from .voice_activity import VoiceActivity
from .windows import Part, Span, cut_windows

_SHORTEST_WINDOW, _SHORTEST_HOP = 1.0, 0.1  # seconds
_BATCH = 64  # windows that are predicted at a time, where so many are there
_SR = 16000  # Hz, for a model that names no rate


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

    Returns
    -------
    iterator of WindowEmotion
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
        ("window", window, _SHORTEST_WINDOW, np.inf),
        ("hop", hop, _SHORTEST_HOP, np.inf),
        ("min_speech", min_speech, 0.0, 1.0),
    ):
        if not lowest <= value <= highest or value == np.inf:
            limits = f"{lowest:g} or more seconds" if highest == np.inf else f"a share from {lowest:g} to {highest:g}"
            raise ValueError(f"{name}={value!r}: expected {limits}.")
    return _stream(_Predictor(as_model(model), window), source, window, hop, min_speech)


def _stream(
    predictor: _Predictor, source: Any, window: float, hop: float, min_speech: float
) -> Iterator[WindowEmotion]:
    sr = predictor.sr
    is_read = isinstance(source, RawAudio) or hasattr(source, "read")
    pieces = stream_audio(source if is_read else clip_source(source, sr), sr)
    activity = VoiceActivity(sr)
    for part in cut_windows(pieces, round(window * sr), hop * sr, **predictor.needs):
        with in_one_thread():
            activity.forget(part.origin)
            activity.add(part.fresh)
        for first in range(0, len(part.spans), _BATCH):
            spans = part.spans[first : first + _BATCH]
            with in_one_thread():
                shares = [activity.share(*span) for span in spans]
                spoken = [span for span, share in zip(spans, shares, strict=True) if share >= min_speech]
                try:
                    answers = dict(zip(spoken, predictor.predict(part, spoken), strict=True))
                except AudioError as error:
                    raise AudioError(source_name(source), error.reason) from error
            for span, share in zip(spans, shares, strict=True):
                yield WindowEmotion(span[0] / sr, span[1] / sr, share, *answers.get(span, ()))


class _Predictor:
    """Ask a model about windows."""

    def __init__(self, model: Any, window: float) -> None:
        self._model = model
        self.needs: dict[str, int] = {}  # of `cut_windows`
        self._recipe = _shared_recipe(model, window)
        if self._recipe is not None:  # windows begin with a frame, and see half a frame of what is around them
            settings = self._recipe.settings
            half = max(settings.n_fft, pitch_frame_length(settings)) // 2
            grid = settings.hop_length
            # The flux of a frame needs the one before.
            self.sr, self.needs = settings.sr, {"grid": grid, "before": (-(-half // grid) + 1) * grid, "after": half}
            return
        parameters = model.get_params() if hasattr(model, "get_params") else {}
        rates = {int(value) for name, value in parameters.items() if name.rpartition("__")[2] == "sr"}
        self.sr = max(rates, default=_SR)
        self._names_rate = len(rates) > 1  # of several rates each takes the windows to its own

    def predict(self, part: Part, spans: list[Span]) -> Iterator[tuple[Any, float | None, tuple[float, ...]]]:
        """Give emotion, its probability and all probabilities of each window."""
        if not spans:
            return
        if self._recipe is not None:
            labels, probabilities = predict_rows(self._model, self._describe(self._recipe, part, spans))
        else:
            windows: list[Any] = part.windows(spans)
            if self._names_rate:
                windows = [(waveform, self.sr) for waveform in windows]
            labels, probabilities, errors = predict_clips(self._model, windows, n_jobs=None, memory=None, verbose=0)
            for reason in errors.values():
                raise AudioError("", reason)
        if probabilities is None:
            yield from ((label, None, ()) for label in labels.tolist())
            return
        classes = self._model.classes_.tolist()
        for label, row in zip(labels.tolist(), probabilities.tolist(), strict=True):
            yield label, row[classes.index(label)], tuple(row)

    def _describe(self, recipe: VectorRecipe, part: Part, spans: list[Span]) -> Array:
        """Compute the vectors of windows; what is between those that are far from each other is not looked at."""
        runs: list[list[Span]] = []
        for span in spans:
            if runs and span[0] <= runs[-1][-1][1] and span[1] - span[0] == runs[-1][0][1] - runs[-1][0][0]:
                runs[-1].append(span)
            else:
                runs.append([span])
        grid, before, after = self.needs.values()
        rows = []
        for run in runs:
            first = max(part.origin, run[0][0] - before)
            waveform = part.waveform[first - part.origin : run[-1][1] + after - part.origin]
            starts = [(start - first) // grid for start, _ in run]
            with clip_faults(""):
                rows.append(check_features("", recipe.compute_windows(waveform, starts, run[0][1] - run[0][0])))
        return np.concatenate(rows)


def _shared_recipe(model: Any, window: float) -> VectorRecipe | None:
    """Give the recipe of vectors whose windows can share what is measured; None for any other model."""
    front = model[0] if isinstance(model, Pipeline) else None
    if type(front) is not AcousticFeatures:  # one derived from it may do other things
        return None
    recipe = front._recipe()
    is_whole = recipe.offset == 0 and (recipe.duration is None or recipe.duration >= window)
    return recipe if is_whole and recipe.settings.tuning is not None else None
