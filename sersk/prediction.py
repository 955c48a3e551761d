"""Model and clips -> predictions."""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_consistent_length

from .audio import source_name
from .extraction import Clips, check_clips
from .models.decision import predict_both
from .persistence import default_model_path, load_model

if TYPE_CHECKING:
    from numpy.typing import NDArray


def predict_emotions(
    model: Any,
    clips: Clips,
    *,
    speakers: Sequence[Any] | None = None,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """
    Name the emotion of every clip, with its probability.

    A clip that cannot be read gets a row that says why, and the others are predicted all the same.

    Parameters
    ----------
    model : Pipeline, path or None
        Fitted, a model file, or None for the model that comes with the package. It is not changed.
    clips : clips
        List of paths or waveforms, or array of shape (n_clips, n_samples).
    speakers : sequence of shape (n_clips,), default=None
        Who speaks, for a model that scales by speaker (`sersk.SpeakerScaler`); others have no use for it. Without it,
        and for a speaker of few clips, such a model scales as it does its training clips.
    n_jobs : int, default=None
        Workers that compute the features, by joblib; None leaves it to the model.
    verbose : int, default=0
        Progress bar on stderr if positive.

    Returns
    -------
    DataFrame of shape (n_clips, n_columns)
        In the order of the clips:

        file : str or int
            Path as it was given, or the position of a waveform.
        emotion : label
            What ``model.predict`` gives; missing where the clip cannot be read.
        probability : float
            Of that emotion. This column and the next are there if the model has `predict_proba`.
        *model.classes_* : float
            One column a class, in the model's order: its probability.
        error : str
            What is wrong with the clip; missing where nothing is.

    Raises
    ------
    ValueError
        If `clips` are no clips at all, there are not as many speakers, or the model file cannot be used.
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
    if model is None or isinstance(model, str | os.PathLike):
        model = load_model(default_model_path() if model is None else model)
    sources = check_clips(clips, all_finite=False)
    if speakers is not None:
        check_consistent_length(sources, speakers)
    # As objects: NaN beside names would become a name.
    groups = None if speakers is None else np.asarray(speakers, dtype=object)
    labels, probabilities, errors = _predict(model, clips, groups, n_jobs, verbose)
    files = [source_name(source) if _is_file(source) else position for position, source in enumerate(sources)]
    return _table(files, np.asarray(labels), probabilities, np.asarray(model.classes_), errors)


def _predict(
    model: Any,
    clips: Clips,
    speakers: NDArray[np.object_] | None,
    n_jobs: int | None,
    verbose: int,
) -> tuple[NDArray[Any], NDArray[np.floating] | None, dict[int, str]]:
    """Give labels and probabilities of the readable clips, and what is wrong with the others, by position."""
    rows, errors = clips, {}
    front: Any = model[0] if isinstance(model, Pipeline) else None
    if hasattr(front, "extract"):
        wanted = {"verbose": verbose} | ({} if n_jobs is None else {"n_jobs": n_jobs})
        if any(getattr(front, name, None) != value for name, value in wanted.items()):
            front = copy.copy(front).set_params(**wanted)
        rows, failures = front.extract(clips)
        errors = {position: error.reason for position, error in failures}
        if errors:
            rows = np.delete(rows, list(errors), axis=0)
            speakers = None if speakers is None else np.delete(speakers, list(errors))
        model = model[1:]
        if hasattr(model, "feature_names_in_"):  # it was fitted on a table
            rows = pd.DataFrame(rows, columns=front.get_feature_names_out())
        if not len(rows):
            nothing = np.empty((0, len(model.classes_)))
            return model.classes_[:0], nothing if hasattr(model, "predict_proba") else None, errors
    return *predict_both(model, rows, speakers), errors


def _table(
    files: list[Any],
    labels: NDArray[Any],
    probabilities: NDArray[np.floating] | None,
    classes: NDArray[Any],
    errors: dict[int, str],
) -> pd.DataFrame:
    """Put the predictions of readable clips in their places; all columns at once, since pandas takes longer to join."""
    names: list[Any] = ["file", "emotion"]
    columns: list[Any] = [pd.Series(files, dtype=object), pd.array(labels)]
    if probabilities is not None:
        of_label = (labels[:, np.newaxis] == classes).argmax(axis=1)
        names += ["probability", *classes.tolist()]
        columns += [probabilities[np.arange(len(labels)), of_label], *probabilities.T]
    if errors:
        rows = np.full(len(files), -1)  # none
        rows[np.delete(np.arange(len(files)), list(errors))] = np.arange(len(labels))
        columns[1:] = [pd.api.extensions.take(column, rows, allow_fill=True) for column in columns[1:]]
    names.append("error")
    columns.append(pd.array([errors.get(position) for position in range(len(files))], dtype="string"))
    table = pd.DataFrame(dict(enumerate(columns)))
    table.columns = _header(*names).view()  # an emotion may be called as another column is
    return table


@functools.lru_cache(maxsize=8, typed=True)
def _header(*names: Any) -> pd.Index[Any]:
    return pd.Index(names)


def _is_file(source: object) -> bool:
    return isinstance(source, str | os.PathLike) or hasattr(source, "read")
