"""Model and clips -> predictions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_consistent_length

from .audio import AudioError, source_name
from .extraction import Clips, check_clips
from .inference import as_model, predict_clips
from .timeline import WindowEmotion, stream_emotions


def predict_emotions(
    model: Any,
    clips: Clips,
    *,
    speakers: Sequence[Any] | None = None,
    window: float | None = None,
    hop: float = 1.0,
    min_speech: float = 0.25,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """
    Name the emotion of every clip, with its probability, or of every window of long recordings.

    A clip that cannot be read gets a row that says why, and the others are predicted all the same.

    Parameters
    ----------
    model : Pipeline, path or None
        Fitted, a model file, or None for the model that comes with the package. It is not changed.
    clips : clips
        List of paths or waveforms, or array of shape (n_clips, n_samples).
    speakers : sequence of shape (n_clips,), default=None
        Who speaks, for a model that scales by speaker (`sersk.SpeakerScaler`); others have no use for it. Without it,
        and for a speaker of few clips, such a model scales as it does its training clips. Not with `window`.
    window : float, default=None
        Length in seconds of the windows that each clip, a long recording then, is cut into, as `stream_emotions` does.
        None takes every clip as a whole.
    hop : float, default=1.0
        From the start of one window to that of the next, in seconds.
    min_speech : float, default=0.25
        A window of which less than this is speech has no emotion; with 0 all have one.
    n_jobs : int, default=None
        Workers that compute the features, by joblib; None leaves it to the model. With `window` each works off
        recordings.
    verbose : int, default=0
        Progress bar over clips on stderr if positive; there is none over windows.

    Returns
    -------
    DataFrame of shape (n_clips or n_windows, n_columns)
        In the order of the clips:

        file : str or int
            Path as it was given, or the position of a waveform.
        start, end : float
            With `window` only: where it lies in the recording, in seconds.
        speech : float
            With `window` only: how much of it is speech, from 0 to 1.
        emotion : label
            What ``model.predict`` gives; missing where the clip cannot be read, or a window has too little speech.
        probability : float
            Of that emotion. This column and the next are there if the model has `predict_proba`.
        *model.classes_* : float
            One column a class, in the model's order: its probability.
        error : str
            What is wrong with the clip; missing where nothing is. A recording that breaks off has a row for this below
            its windows.

    Raises
    ------
    ValueError
        If `clips` are no clips at all, there are not as many speakers, the model file cannot be used, or `window`,
        `hop` and `min_speech` are out of the range that `stream_emotions` tells.
    AudioError
        If a clip cannot be read and the model's first step has no ``extract``, as those of sersk have.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import AcousticFeatures, make_emotional_speech, predict_emotions
    >>> from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    >>> from sklearn.pipeline import make_pipeline
    >>> features = AcousticFeatures(("mfcc",), functionals=("mean",), deltas=0, regions=("all",), clip_values=())
    >>> model = make_pipeline(features, LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5))
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("angry", "sad"), n_speakers=2, n_repetitions=2)
    ...     table = predict_emotions(model.fit(corpus.data, corpus.target), [corpus.data[0], "missing.wav"])
    >>> table[["emotion", "error"]]
      emotion         error
    0   angry          <NA>
    1    <NA>  no such file
    >>> table.columns.tolist()
    ['file', 'emotion', 'probability', 'angry', 'sad', 'error']
    """
    model = as_model(model)
    sources = check_clips(clips, all_finite=False)
    check_consistent_length(sources, speakers)
    if window is not None:
        if speakers is not None:
            raise ValueError("speakers: windows cannot be scaled by speaker, since who speaks changes. Leave it out.")
        settings = {"window": window, "hop": hop, "min_speech": min_speech}
        found = Parallel(n_jobs=n_jobs)(delayed(_work_off)(model, source, settings) for source in sources)
        return tabulate_windows(model, [rows for rows, _ in found], _names(sources), [error for _, error in found])
    # As objects: NaN beside names would become a name.
    groups = None if speakers is None else np.asarray(speakers, dtype=object)
    work = {"verbose": verbose, **({} if n_jobs is None else {"n_jobs": n_jobs})}
    labels, probabilities, errors = predict_clips(model, clips, groups, **work)
    good = [position for position in range(len(sources)) if position not in errors]
    columns: list[Any] = [
        pd.Series(_names(sources), name="file", dtype=object),
        pd.Series(labels, index=good, name="emotion").convert_dtypes(),
    ]
    if probabilities is not None:
        table = pd.DataFrame(probabilities, index=good, columns=model.classes_)
        chosen = probabilities[np.arange(len(good)), table.columns.get_indexer(pd.Index(labels))]
        columns += [pd.Series(chosen, index=good, name="probability"), table]
    columns.append(pd.Series(errors, name="error", dtype="string"))
    return pd.concat(columns, axis=1)


def tabulate_windows(
    model: Any, windows: Sequence[Sequence[WindowEmotion]], names: Sequence[Any], errors: Sequence[str | None]
) -> pd.DataFrame:
    """
    Make the table of `predict_emotions` of what `stream_emotions` gave.

    Parameters
    ----------
    model : estimator
        Fitted, which gave it.
    windows : sequence of sequences of WindowEmotion
        For each recording its windows.
    names : sequence of str or int
        What each recording is called.
    errors : sequence of str or None
        What is wrong with each; None where nothing is.

    Returns
    -------
    DataFrame of shape (n_windows, n_columns)
        A row a window, and one for every error.
    """
    rows: list[tuple[Any, ...]] = []
    told: list[str | None] = []
    for name, own, error in zip(names, windows, errors, strict=True):
        rows += [(name, *window) for window in own]
        told += [None] * len(own)
        if error is not None:
            rows.append((name, np.nan, np.nan, np.nan, None, None, ()))
            told.append(error)
    files, starts, ends, speech, emotions, chosen, probabilities = zip(*rows, strict=True)
    columns: list[Any] = [pd.Series(files, name="file", dtype=object)]
    times = {"start": starts, "end": ends, "speech": speech}
    columns += [pd.Series(values, name=name, dtype=float) for name, values in times.items()]
    columns.append(pd.Series(emotions, name="emotion", dtype=object).convert_dtypes())
    if hasattr(model, "predict_proba"):
        classes = model.classes_
        columns.append(pd.Series(chosen, name="probability", dtype=float))
        table = np.array([row or (np.nan,) * len(classes) for row in probabilities], dtype=float)
        columns.append(pd.DataFrame(table, columns=classes))
    columns.append(pd.Series(told, name="error", dtype="string"))
    return pd.concat(columns, axis=1)


def _work_off(model: Any, source: Any, settings: dict[str, float]) -> tuple[list[WindowEmotion], str | None]:
    """Give the windows of a recording, and what is wrong with it."""
    windows: list[WindowEmotion] = []
    try:
        windows.extend(stream_emotions(model, source, **settings))
    except AudioError as error:
        return windows, error.reason
    return windows, None


def _names(sources: Sequence[Any]) -> list[Any]:
    return [source_name(source) if _is_file(source) else position for position, source in enumerate(sources)]


def _is_file(source: object) -> bool:
    return isinstance(source, str | os.PathLike) or hasattr(source, "read")
