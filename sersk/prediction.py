"""Model and clips -> predictions."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_consistent_length

from .audio import AudioError, source_name
from .clips import Clips, check_clips
from .inference import as_model, predict_clips
from .voice_activity import NO_SPEECH

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .timeline import WindowEmotion


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

    A clip that cannot be read, or holds no speech, gets a row that says so, and the others are predicted all the same.

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
        A window of which less than this share is speech has no emotion. So has a clip, if less than this share of any
        3 s of it is speech, or of all of it where it is shorter. With 0 all have one.
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
            How much of the clip, or of the window, is speech, from 0 to 1; missing where it cannot be read.
        emotion : label
            What ``model.predict`` gives; missing where the clip cannot be read, or there is too little speech.
        probability : float
            Of that emotion. This column and the next are there if the model has `predict_proba`.
        *model.classes_* : float
            One column a class, in the model's order: its probability.
        reason : str
            "no speech" where this is why there is no emotion; missing elsewhere.
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
    >>> import numpy as np
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
    ['file', 'speech', 'emotion', 'probability', 'angry', 'sad', 'reason', 'error']
    >>> predict_emotions(model, [np.zeros(16000)])[["speech", "emotion", "reason"]]
       speech emotion     reason
    0     0.0    <NA>  no speech
    """
    model = as_model(model)
    sources = check_clips(clips, all_finite=False)
    files = [source_name(source) if _is_file(source) else position for position, source in enumerate(sources)]
    if window is not None:
        if speakers is not None:
            raise ValueError("speakers: windows cannot be scaled by speaker, since who speaks changes. Leave it out.")
        return _predict_windows(model, sources, files, n_jobs, window=window, hop=hop, min_speech=min_speech)
    if speakers is not None:
        check_consistent_length(sources, speakers)
    # As objects: NaN beside names would become a name.
    groups = None if speakers is None else np.asarray(speakers, dtype=object)
    settings = {"verbose": verbose} | ({} if n_jobs is None else {"n_jobs": n_jobs})
    found = predict_clips(model, clips, groups, min_speech=min_speech, **settings)
    return _table(files, {"speech": found.speech}, *found[:3], np.asarray(model.classes_))


def _predict_windows(
    model: Any, sources: Sequence[Any], files: list[Any], n_jobs: int | None, **settings: float
) -> pd.DataFrame:
    """Work off recordings, each by one worker."""
    from sklearn.utils.parallel import Parallel, delayed

    found = Parallel(n_jobs=n_jobs)(delayed(_work_off)(model, source, settings) for source in sources)
    return tabulate_windows(model, files, [windows for windows, _ in found], [error for _, error in found])


def _work_off(model: Any, source: Any, settings: dict[str, float]) -> tuple[list[WindowEmotion], str | None]:
    """Give the windows of a recording, and what is wrong with it."""
    from .timeline import stream_emotions

    windows: list[WindowEmotion] = []
    try:
        windows.extend(stream_emotions(model, source, **settings))
    except AudioError as error:
        return windows, error.reason
    return windows, None


def tabulate_windows(
    model: Any, files: Sequence[Any], windows: Sequence[Sequence[WindowEmotion]], errors: Sequence[str | None]
) -> pd.DataFrame:
    """
    Make the table of `predict_emotions` of what `stream_emotions` gave.

    Parameters
    ----------
    model : estimator
        Fitted, which gave it.
    files : sequence of str or int
        What each recording is called.
    windows : sequence of sequences of WindowEmotion
        For each recording its windows.
    errors : sequence of str or None
        What is wrong with each; None where nothing is.

    Returns
    -------
    DataFrame of shape (n_windows, n_columns)
        A row a window, and one for every error.
    """
    rows: list[tuple[Any, WindowEmotion | None, str | None]] = []
    for file, own, error in zip(files, windows, errors, strict=True):
        rows += [(file, window, None) for window in own]
        rows += [(file, None, error)] if error is not None else []
    spoken = [window for _, window, _ in rows if window is not None and window.emotion is not None]
    silent = {at: error for at, (_, one, error) in enumerate(rows) if one is None or one.emotion is None}
    classes = np.asarray(model.classes_)
    labels = np.array([window.emotion for window in spoken], dtype=classes.dtype)
    chances = None
    if hasattr(model, "predict_proba"):
        chances = np.array([window.probabilities for window in spoken], dtype=float).reshape(-1, len(classes))
    facts = {
        name: np.array([np.nan if window is None else getattr(window, name) for _, window, _ in rows], dtype=float)
        for name in ("start", "end", "speech")
    }
    return _table([file for file, _, _ in rows], facts, labels, chances, silent, classes)


def _table(
    files: list[Any],
    facts: Mapping[str, NDArray[np.floating]],
    labels: NDArray[Any],
    probabilities: NDArray[np.floating] | None,
    others: Mapping[int, str | None],
    classes: NDArray[Any],
) -> pd.DataFrame:
    """Put emotions in their places among rows without any; all columns at once, since pandas takes longer to join."""
    labels = np.asarray(labels)
    names: list[Any] = ["emotion"]
    columns: list[Any] = [pd.array(labels)]
    if probabilities is not None:
        of_label = (labels[:, np.newaxis] == classes).argmax(axis=1)
        names += ["probability", *classes.tolist()]
        columns += [probabilities[np.arange(len(labels)), of_label], *probabilities.T]
    positions = range(len(files))
    if others:
        rows = np.full(len(files), -1)  # none
        rows[np.delete(np.arange(len(files)), list(others))] = np.arange(len(labels))
        columns = [pd.api.extensions.take(column, rows, allow_fill=True) for column in columns]
    names = ["file", *facts, *names, "reason", "error"]
    columns = [pd.Series(files, dtype=object), *facts.values(), *columns]
    columns += [
        pd.array([NO_SPEECH if others.get(position, "") is None else None for position in positions], dtype="string"),
        pd.array([others.get(position) for position in positions], dtype="string"),
    ]
    table = pd.DataFrame(dict(enumerate(columns)))
    table.columns = _header(*names).view()  # an emotion may be called as another column is
    return table


@functools.lru_cache(maxsize=8, typed=True)
def _header(*names: Any) -> pd.Index[Any]:
    return pd.Index(names)


def _is_file(source: object) -> bool:
    return isinstance(source, str | os.PathLike) or hasattr(source, "read")
