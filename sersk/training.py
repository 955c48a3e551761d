"""Corpus -> fitted pipeline, and what it does on unseen speakers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from .audio import AudioError
from .evaluation import EvaluationReport
from .evaluation.crossvalidation import Progress
from .experiments import MIXED, Experiment, prepare_experiments
from .models.folds import count_speakers


@dataclass(frozen=True)
class TrainedModel:
    """
    Hold a fitted pipeline with the evidence for it.

    Parameters
    ----------
    pipeline : Pipeline
        Takes clips, fitted on the whole corpus.
    report : EvaluationReport
        Cross-validation of the same pipeline, search included.
    failures : list of (str, AudioError)
        Clips that could not be read and were left out.
    best_params : dict
        What the search chose on the whole corpus; empty without a search.
    n_clips, n_speakers : int
        Size of what it was trained on; no speakers if they are unknown.

    See Also
    --------
    train_model : Makes one.

    Examples
    --------
    >>> from sersk import TrainedModel
    >>> sorted(TrainedModel.__dataclass_fields__)
    ['best_params', 'failures', 'n_clips', 'n_speakers', 'pipeline', 'report']
    """

    pipeline: Pipeline
    report: EvaluationReport
    failures: list[tuple[str, AudioError]]
    best_params: dict[str, Any]
    n_clips: int
    n_speakers: int


def train_model(
    corpus: Bunch,
    model: Any = "lda",
    *,
    features: str = "default",
    scale: str = "corpus",
    search: str | None = None,
    augment: Sequence[str] | None = None,
    checkpoint: Any = None,
    protocol: str = "auto",
    random_state: int | None = 0,
    n_jobs: int | None = None,
    memory: Any = None,
    verbose: int = 0,
    progress: Progress = lambda folds, total: folds,
) -> TrainedModel:
    """
    Evaluate a model on unseen speakers, then fit it on the whole corpus.

    The features of a clip, and of its altered copies, are computed once for all of it. Clips that cannot be read are
    left out and listed.

    Parameters
    ----------
    corpus : Bunch
        What `load_corpus` gives.
    model : str or classifier, default="lda"
        As in `emotion_pipeline`.
    features : str, default="default"
        As in `emotion_pipeline`.
    scale : {"corpus", "speaker"}, default="corpus"
        As in `emotion_pipeline`.
    search : {"grid", "halving", "random"}, default=None
        Search the model's grid on inner folds of whole speakers, anew in every fold of the evaluation.
    augment : sequence of str, default=None
        As in `ClipAugmenter`: one altered copy of each training clip for each entry. Nothing altered is tested on, nor
        is a setting chosen by it. Masks of frames are for networks. None gives a named model what it is best trained
        with (`sersk.models.training_copies`).
    checkpoint : path, default=None
        Folder where a network keeps how far its training has come, in every fold: the same call goes on from there. It
        has no effect for other models.
    protocol : str, default="auto"
        As in `evaluate`.
    random_state : int, default=0
        Seed of the model and of the altered copies.
    n_jobs : int, default=None
        Number of clips, and of folds, worked on at a time; -1 means all cores, but one network at a time, which alone
        may take all of them, or the GPU.
    memory : str or joblib.Memory, default=None
        Cache of features.
    verbose : int, default=0
        Progress bar of the extraction, and of the epochs of networks that are fitted one at a time, on stderr if
        positive.
    progress : callable, default=no progress
        Wraps the finished folds as they come, given their number.

    Returns
    -------
    TrainedModel
        Pipeline, report, and what was left out.

    Raises
    ------
    ValueError
        If no clip can be read, one emotion only is left, the corpus does not allow the protocol, or the model has no
        grid to search or takes no such copies.

    See Also
    --------
    sersk.experiments.prepare_experiments : The same for the parts of a corpus, such as the voices of one gender.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import make_emotional_speech, train_model
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=3, n_repetitions=2)
    ...     trained = train_model(corpus, "lda")
    >>> trained.n_clips, trained.report.speaker_independent
    (12, True)
    """
    experiments = prepare_experiments(
        corpus,
        model,
        features=features,
        scale=scale,
        search=search,
        augment=augment,
        checkpoint=checkpoint,
        protocol=protocol,
        random_state=random_state,
        n_jobs=n_jobs,
        memory=memory,
        verbose=verbose,
    )
    return train_experiment(experiments[MIXED], progress)


def train_experiment(experiment: Experiment, progress: Progress = lambda folds, total: folds) -> TrainedModel:
    """
    Evaluate what has been prepared, then fit it on all its clips.

    Parameters
    ----------
    experiment : Experiment
        One of those that `prepare_experiments` gives.
    progress : callable, default=no progress
        Wraps the finished folds as they come, given their number.

    Returns
    -------
    TrainedModel
        Pipeline, report, and what was left out.
    """
    report = experiment.evaluate(progress)
    pipeline, best_params = experiment.fit()
    return TrainedModel(
        pipeline=pipeline,
        report=report,
        failures=experiment.failures,
        best_params=best_params,
        n_clips=len(experiment.corpus.target),
        n_speakers=count_speakers(experiment.corpus.groups),
    )
