"""What workers do: tasks over loaded models, of bytes that nobody trusts."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sersk.audio import AudioError
from sersk.inference import predict_clips
from sersk.persistence import load_model
from sersk.sound_files import encode_audio, open_sound
from sersk.sounds import HIGHEST_RATE, LOWEST_RATE
from sersk.timeline import WindowEmotion, stream_emotions

from .problems import ServiceProblem

# A clip may be so many numbers for each second that it may last: two channels at 96 kHz.
_NUMBERS_A_SECOND = 192_000


def load_models(files: Mapping[str, Path]) -> dict[str, Any]:
    """
    Load models and let each predict once, after which it has imported and prepared what it needs.

    Parameters
    ----------
    files : mapping of str to Path
        The model files by the models' names.

    Returns
    -------
    dict of str to estimator
        Fitted.

    Raises
    ------
    ValueError
        If a file cannot be used, or its model takes no clips.
    """
    models = {name: load_model(file) for name, file in files.items()}
    time = np.arange(16000) / 16000
    glide = (0.3 * np.sin(2 * np.pi * (150 + 40 * time) * time)).astype(np.float32)
    audio = encode_audio(glide, 16000, "WAV", "PCM_16").getvalue()
    for name in models:
        try:
            predict(models, name, audio, np.inf)
        except Exception as error:
            if isinstance(error, ServiceProblem):  # a model may want longer clips than that
                continue
            raise ValueError(f"{files[name]}: the model cannot predict clips ({error}).") from error
    return models


def predict(models: Mapping[str, Any], name: str, audio: bytes, max_seconds: float) -> tuple[Any, ...]:
    """
    Name the emotion of a clip, with the numbers of `sersk.predict_emotions`.

    Parameters
    ----------
    models : mapping of str to estimator
        Fitted, by name.
    name : str
        Which of them.
    audio : bytes
        The clip as a file.
    max_seconds : float
        How long it may be.

    Returns
    -------
    tuple of (str, list of float or None, float)
        The emotion, the probabilities of all in the model's order, and the clip's length in seconds.

    Raises
    ------
    ServiceProblem
        If the clip cannot be used.
    """
    seconds = _check(audio, max_seconds, whole=True)
    labels, probabilities, errors = predict_clips(models[name], [io.BytesIO(audio)], n_jobs=1, verbose=0)
    for reason in errors.values():
        raise _unusable(reason)
    return str(labels[0]), None if probabilities is None else probabilities[0].tolist(), seconds


def timeline(
    models: Mapping[str, Any],
    name: str,
    audio: bytes,
    max_seconds: float,
    settings: Mapping[str, float],
) -> list[tuple[Any, ...]]:
    """
    Name the emotions of a recording window by window, with the numbers of `sersk.stream_emotions`.

    Parameters
    ----------
    models : mapping of str to estimator
        Fitted, by name.
    name : str
        Which of them.
    audio : bytes
        The recording as a file.
    max_seconds : float
        How long it may be.
    settings : mapping of str to float
        The parameters ``window``, ``hop`` and ``min_speech``.

    Returns
    -------
    list of tuple
        The fields of `sersk.timeline.WindowEmotion`, with plain values.

    Raises
    ------
    ServiceProblem
        If the recording or the settings cannot be used.
    """
    _check(audio, max_seconds, whole=False)
    try:
        windows = stream_emotions(models[name], io.BytesIO(audio), **settings)
    except ValueError as error:
        raise ServiceProblem(422, "bad-window", "Unusable windows", str(error)) from error
    return [
        (
            float(one.start),
            float(one.end),
            float(one.speech),
            None if one.emotion is None else str(one.emotion),
            one.probability,
            tuple(one.probabilities),
        )
        for one in windows
    ]


def draw(models: Mapping[str, Any], audio: bytes, panels: Sequence[str], max_seconds: float) -> bytes:
    """
    Draw a clip.

    Parameters
    ----------
    models : mapping of str to estimator
        None of them is needed.
    audio : bytes
        The clip as a file.
    panels : sequence of str
        What `sersk.clip_plots.plot_clip` draws.
    max_seconds : float
        How long it may be.

    Returns
    -------
    bytes
        PNG.

    Raises
    ------
    ServiceProblem
        If the clip cannot be used.
    """
    from .pictures import draw_clip

    _check(audio, max_seconds, whole=True)
    return draw_clip(audio, panels)


def draw_over_time(
    models: Mapping[str, Any], name: str, audio: bytes, max_seconds: float, windows: Sequence[WindowEmotion]
) -> tuple[bytes, bytes]:
    """
    Draw a recording and its emotion over time.

    Parameters
    ----------
    models : mapping of str to estimator
        Fitted, by name.
    name : str
        Which of them named the emotions.
    audio : bytes
        The recording as a file.
    max_seconds : float
        How long it may be.
    windows : sequence of WindowEmotion
        What the task ``"timeline"`` gave.

    Returns
    -------
    tuple of (bytes, bytes)
        Waveform and timeline, PNG.

    Raises
    ------
    ServiceProblem
        If the recording cannot be used.
    """
    from .pictures import draw_timeline

    _check(audio, max_seconds, whole=False)
    return draw_timeline(models[name], audio, windows)


# A task takes and gives plain values, such as numbers, str, bytes, lists, tuples and dicts of them: the service builds
# nothing else of what a worker sends, which a hostile file may have taken over.
TASKS: dict[str, Callable[..., Any]] = {
    "predict": predict,
    "timeline": timeline,
    "draw": draw,
    "draw_over_time": draw_over_time,
}


def perform(models: Mapping[str, Any], task: str, arguments: tuple[Any, ...]) -> tuple[str, Any]:
    """
    Work off a task, whatever comes of it.

    Parameters
    ----------
    models : mapping of str to estimator
        Fitted, by name.
    task : str
        A key of `TASKS`.
    arguments : tuple
        What it takes beside the models.

    Returns
    -------
    tuple of (str, object)
        ``"done"`` and what it gave, ``"problem"`` and the parameters of a `ServiceProblem`, or ``"failed"`` and the
        type of an error that nobody foresaw.
    """
    try:
        return "done", TASKS[task](models, *arguments)
    except ServiceProblem as problem:
        return "problem", problem.args
    except AudioError as error:
        return "problem", _unusable(error.reason).args
    except Exception as error:
        return "failed", type(error).__name__


def _check(audio: bytes, max_seconds: float, *, whole: bool) -> float:
    """Refuse what would take too much time or memory to decode, by its header where that says it; tell its seconds."""
    if not audio:
        raise ServiceProblem(422, "empty", "Empty upload", "The upload has 0 bytes; expected an audio file.")
    try:
        with open_sound("clip", io.BytesIO(audio)) as sound:
            rate, n_channels = sound.rate, sound.n_channels
            if not LOWEST_RATE <= rate <= HIGHEST_RATE:
                raise ServiceProblem(422, "odd-rate", "Unusable sampling rate", f"Its header says {rate} Hz.")
            n_samples = sound.count(max_seconds * rate)
    except AudioError as error:
        raise ServiceProblem(422, "not-audio", "Not a readable audio file", f"The upload {error.reason}.") from error
    seconds = n_samples / rate
    if seconds > max_seconds:
        cure = " Ask for a timeline, which takes longer recordings." if whole else ""
        detail = f"It lasts {seconds:.0f} s by its header, and may last {max_seconds:g} s.{cure}"
        raise ServiceProblem(413, "too-long", "Recording too long", detail)
    if whole and n_samples * n_channels > _NUMBERS_A_SECOND * max_seconds:
        detail = f"It has {n_channels} channels at {rate} Hz, too many numbers to decode; mix it down."
        raise ServiceProblem(413, "too-long", "Recording too long", detail)
    return seconds


def _unusable(reason: str) -> ServiceProblem:
    return ServiceProblem(422, "unusable-audio", "Unusable audio", f"The upload {reason}.")
