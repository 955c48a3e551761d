"""Folder of features -> fitted pipeline, and what it does on unseen speakers, a part in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.class_weight import compute_class_weight

from .corpora.loading import as_columns
from .evaluation.crossvalidation import CrossValidation, Predicted, Progress, predict_fold
from .evaluation.protocols import make_protocol
from .evaluation.report import report_on
from .feature_table import FeatureTable, open_feature_table
from .models.boosting import Batch, XGBoostClassifier
from .models.calibration import calibrated, class_scores
from .models.classical import classifier
from .models.discriminant import ShrinkageLDA
from .models.folds import count_speakers, inner_folds
from .training import TrainedModel

# Passes of stochastic gradient descent, and its step by the number of features, whose squares add up to that number:
# chosen on inner speaker folds of RAVDESS and EmoDB, among 3, 5 and 10 passes and steps from 0.5 to 8.
_EPOCHS = 5
_STEP = 2.0

MODELS = ("lda", "logistic", "xgboost")

Labels = npt.NDArray[Any]
Rows = npt.NDArray[np.intp]
Batches = Callable[..., Iterator[Batch]]
Learner = Callable[[Any, Batches, Labels], Pipeline]


def train_on_table(
    folder: str | os.PathLike[str],
    model: str = "lda",
    *,
    protocol: str = "auto",
    random_state: int | None = 0,
    n_jobs: int | None = None,
    progress: Progress = lambda folds, total: folds,
) -> TrainedModel:
    """
    Evaluate a model on unseen speakers, then fit it on all clips, from features that are read a part at a time.

    Scaling, and what it is told of the emotions' numbers, are of training clips only. Probabilities are calibrated on a
    fifth of the training speakers, who are held out from a first fit.

    Parameters
    ----------
    folder : path
        What `sersk.feature_table.write_feature_table` has written, of a corpus.
    model : {"lda", "logistic", "xgboost"}, default="lda"
        As in `sersk.emotion_pipeline`, with the settings of that. "lda" comes of one pass, and is the classifier that
        all clips in memory would give. "logistic" is trained by stochastic gradient descent, one emotion against the
        others (`SGDClassifier`), in five passes. "xgboost" holds the bins of all values, a quarter of the table's size;
        the others hold one file at a time.
    protocol : str, default="auto"
        As in `evaluate`; "auto" tests a fifth of the speakers ("speaker-split"), or of the clips ("random-split") if
        there are not two known speakers.
    random_state : int, default=0
        Seed of what is drawn at random.
    n_jobs : int, default=None
        Threads of "xgboost".
    progress : callable, default=no progress
        Wraps the finished folds as they come, given their number.

    Returns
    -------
    TrainedModel
        Pipeline, which takes clips, and report.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If the folder holds no table, or not the whole of it, or none of a corpus; if there is no such model; or if the
        clips do not allow the protocol.

    See Also
    --------
    sersk.train_model : The same in memory, of all models.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import AcousticFeatures, make_emotional_speech
    >>> from sersk.feature_table import write_feature_table
    >>> from sersk.out_of_core import train_on_table
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=4, n_repetitions=2)
    ...     features = AcousticFeatures.from_preset("means-180")
    ...     failures = write_feature_table(corpus.data, corpus.frame, features, f"{folder}/table", part_size=5)
    ...     trained = train_on_table(f"{folder}/table")
    >>> trained.report.description, list(trained.pipeline.named_steps)
    ('leave one speaker out, 4 speakers', ['features', 'scale', 'classifier'])
    """
    if model not in MODELS:
        raise ValueError(f"{model} needs all clips in memory; from features in a folder learn {', '.join(MODELS)}.")
    table = open_feature_table(folder)
    corpus = _corpus(table)
    y, groups = corpus.target, corpus.groups
    if protocol == "auto":
        protocol = "speaker-split" if count_speakers(groups) > 1 else "random-split"
    chosen = make_protocol(corpus, protocol)
    tests = [np.sort(test) for _, test in chosen.folds]

    learners: dict[str, Learner] = {
        "lda": _fit_lda,
        "logistic": partial(_fit_logistic, random_state=random_state),
        "xgboost": partial(_fit_xgboost, n_jobs=n_jobs),
    }
    template = classifier(model, len(table.names), random_state)[0].estimator

    def fit(rows: Rows) -> Pipeline:
        return _fit_calibrated(partial(learners[model], template), table, y, groups, rows)

    def results() -> Iterator[Predicted]:
        for (train, _), test in zip(chosen.folds, tests, strict=True):
            yield _predict(fit(np.sort(train)), table, test)

    # Of the clips there are positions only: the rows that it would hold lie in the table.
    everything = np.arange(len(y))
    folds = CrossValidation(chosen, None, None, None, y, groups, everything, corpus)
    report = report_on(folds, tests, progress(results(), len(tests)))
    fitted = fit(everything)
    return TrainedModel(
        pipeline=Pipeline([("features", table.features), *fitted.steps]),
        report=report,
        failures=[],
        best_params={},
        n_clips=len(y),
        n_speakers=count_speakers(groups),
    )


def _corpus(table: FeatureTable) -> Bunch:
    frame = table.facts()
    if not {"file", "emotion", "speaker", "corpus"} <= {*frame}:
        raise ValueError(
            f"{table.folder}: tells no emotions. Write the table with `sersk features CORPUS --layout auto`, which "
            "adds what is known of a corpus."
        )
    return Bunch(**as_columns(frame))


def _fit_calibrated(
    learner: Callable[[Batches, Labels], Pipeline],
    table: FeatureTable,
    y: Labels,
    groups: Labels | None,
    rows: Rows,
) -> Pipeline:
    """Fit on some clips, and measure how sure to be on speakers of theirs that a first fit has not heard."""

    def fit(part: Rows) -> Pipeline:
        def batches(random: np.random.RandomState | None = None) -> Iterator[Batch]:
            for clips, vectors in table.batches(part, random):
                yield np.searchsorted(part, clips), vectors

        return learner(batches, y[part])

    classes = np.unique(y[rows])
    scores: list[npt.NDArray[np.float64]] = [np.empty((0, len(classes)))]
    held_out: list[Rows] = [np.empty(0, dtype=np.intp)]
    for train, test in inner_folds(y[rows], None if groups is None else groups[rows], 5)[:1]:
        first = fit(rows[train])
        for clips, vectors in table.batches(rows[test]):
            scores.append(class_scores(first, vectors, classes))
            held_out.append(clips)
    target = np.searchsorted(classes, y[np.concatenate(held_out)])
    fitted = fit(rows)
    sure = calibrated(fitted[-1], np.concatenate(scores), target)
    return Pipeline([*fitted.steps[:-1], ("classifier", sure)])


def _predict(model: Pipeline, table: FeatureTable, rows: Rows) -> Predicted:
    parts = [predict_fold(model, vectors, None, np.arange(len(vectors))) for _, vectors in table.batches(rows)]
    labels, probabilities = zip(*parts, strict=True)
    return np.concatenate(labels), pd.concat(probabilities, ignore_index=True)


def _fit_lda(template: ShrinkageLDA, batches: Batches, y: Labels) -> Pipeline:
    """Sum up the moments of each emotion, which is all that it takes."""
    classes, target, counts = np.unique(y, return_inverse=True, return_counts=True)
    weights = 1.0 / (counts * len(classes))
    scaler = StandardScaler()
    shift: Any = None
    for clips, vectors in batches():
        scaler.partial_fit(vectors)
        rows, of_class = vectors.astype(np.float64), target[clips]
        if shift is None:  # near the mean, so that the sums of squares keep their digits
            shift = rows.mean(axis=0)
            sums, scatter = np.zeros((len(classes), len(shift))), np.zeros((len(shift), len(shift)))
        rows -= shift
        for number in np.unique(of_class):
            sums[number] += rows[of_class == number].sum(axis=0)
        rows *= np.sqrt(weights[of_class])[:, None]
        scatter += rows.T @ rows
    means = sums / counts[:, None]
    scatter -= means.T @ means / len(classes)
    scatter /= np.outer(scaler.scale_, scaler.scale_)
    lda = clone(template).fit_moments(classes, (means + shift - scaler.mean_) / scaler.scale_, scatter)
    return Pipeline([("scale", scaler), ("classifier", lda)])


def _fit_logistic(template: LogisticRegression, batches: Batches, y: Labels, random_state: Any) -> Pipeline:
    scaler = StandardScaler()
    for _, vectors in batches():
        scaler.partial_fit(vectors)
    classes = np.unique(y)
    sgd = SGDClassifier(
        "log_loss",
        alpha=1.0 / (template.C * len(y)),
        class_weight=dict(zip(classes, compute_class_weight("balanced", classes=classes, y=y), strict=True)),
        learning_rate="constant",
        eta0=_STEP / scaler.n_features_in_,
        average=True,
        random_state=random_state,
    )
    random = check_random_state(random_state)
    for _ in range(_EPOCHS):
        for clips, vectors in batches(random):
            sgd.partial_fit(scaler.transform(vectors), y[clips], classes)
    return Pipeline([("scale", scaler), ("classifier", sgd)])


def _fit_xgboost(template: XGBoostClassifier, batches: Batches, y: Labels, n_jobs: int | None) -> Pipeline:
    return Pipeline([("classifier", clone(template).set_params(n_jobs=n_jobs).fit_batches(batches, y))])
