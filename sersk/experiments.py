"""Corpus and the name of a model -> features of all clips, and what learns from them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, _safe_indexing

from .audio import AudioError
from .clips import clip_numbers
from .corpora import split_corpus
from .degradation import CONDITIONS, Condition
from .evaluation import EvaluationReport, RobustnessReport, evaluate, make_protocol
from .evaluation.crossvalidation import Progress, cross_validation, fit_fold
from .evaluation.robustness import evaluate_degraded
from .models import ClipAugmenter, SpeakerSearch, emotion_pipeline, parameter_grid, training_copies
from .models.augmented import MASKS
from .sequences import FrameSequences

# What the experiment with all clips is called beside those with a part of them.
MIXED = "mixed"


@dataclass(frozen=True)
class Experiment:
    """
    Hold what learns, and what from, the features being computed.

    Parameters
    ----------
    front : transformer
        Clips -> features, with settings of work.
    learner : estimator
        What is fitted, search and altered copies included.
    copies : tuple of str
        Altered copies that each training clip has, by the names of `ClipAugmenter`.
    corpus : Bunch
        Of the clips that could be read: `data` (what `learner` takes), `target`, `groups`, `files` (the clips
        themselves), `frame` and `positions` in the corpus. `rows` holds `data` and, behind it, what `learner` takes of
        altered copies; of them `sources` has k for clip k itself and ~k for a copy of it.
    failures : list of (str, AudioError)
        Clips that could not be read and were left out.
    protocol : str
        As in `evaluate`.
    n_jobs : int or None
        Number of folds fitted at a time.

    See Also
    --------
    prepare_experiments : Makes them.
    """

    front: Any
    learner: Any
    copies: tuple[str, ...]
    corpus: Bunch
    failures: list[tuple[str, AudioError]]
    protocol: str
    n_jobs: int | None

    def evaluate(self, progress: Progress = lambda folds, total: folds) -> EvaluationReport:
        """
        Cross-validate what learns.

        Parameters
        ----------
        progress : callable, default=no progress
            Wraps the finished folds as they come, given their number.

        Returns
        -------
        EvaluationReport
            All predictions.
        """
        return evaluate(self.learner, self.corpus, protocol=self.protocol, n_jobs=self.n_jobs, progress=progress)

    def evaluate_robustness(
        self,
        conditions: Sequence[Condition] = CONDITIONS,
        *,
        random_state: int = 0,
        progress: Progress = lambda folds, total: folds,
        on_condition: Callable[[Condition], object] = lambda condition: None,
    ) -> RobustnessReport:
        """
        Cross-validate what learns, and test it on degraded clips, too.

        Parameters
        ----------
        conditions : sequence of Condition, default=CONDITIONS
            As in `sersk.evaluation.evaluate_robustness`.
        random_state : int, default=0
            Seed of what is drawn for them.
        progress : callable, default=no progress
            Wraps the fitted folds as they come, given their number.
        on_condition : callable, default=nothing
            Called with each condition before clips are degraded.

        Returns
        -------
        RobustnessReport
            A report for each condition, and a table.
        """
        folds = cross_validation(self.learner, self.corpus, self.protocol)
        steps = [("features", self.front), *([] if folds.front is None else folds.front.steps)]
        folds, clips, n_jobs = replace(folds, front=Pipeline(steps)), self.corpus.files, self.n_jobs
        return evaluate_degraded(folds, clips, conditions, random_state, n_jobs, progress, on_condition)

    def fit(self) -> tuple[Pipeline, dict[str, Any]]:
        """
        Fit on all clips.

        Returns
        -------
        pipeline : Pipeline
            Takes clips; without settings of work.
        best_params : dict
            What the search chose; empty without a search.
        """
        corpus = self.corpus
        everything = np.arange(len(corpus.target))
        fitted = fit_fold(clone(self.learner), corpus.rows, corpus.target, corpus.groups, corpus.sources, everything)
        best_params = {}
        if isinstance(fitted, SpeakerSearch):  # it knows the classifier by the names of what is wrapped around it, too
            found = fitted.best_params_.items()
            best_params = {"classifier__" + name.partition("classifier__")[2]: value for name, value in found}
            fitted = fitted.best_estimator_
        while not isinstance(fitted, Pipeline):  # it was trained on altered copies
            fitted = fitted.estimator_
        if _is_network(fitted[-1]):
            fitted[-1].set_params(checkpoint=None, verbose=0)
        front = clone(self.front).set_params(n_jobs=None, memory=None, verbose=0)
        return Pipeline([("features", front), *fitted.steps]), best_params


def prepare_experiments(
    corpus: Bunch,
    model: Any = "lda",
    *,
    by: str | None = None,
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
) -> dict[str, Experiment]:
    """
    Refuse what does not fit, and compute the features of every clip, once for all experiments.

    Parameters
    ----------
    corpus : Bunch
        What `load_corpus` gives.
    model : str or classifier, default="lda"
        As in `emotion_pipeline`.
    by : str, default=None
        Column of ``corpus.frame``: besides the experiment with all clips there is one for each of its values, with
        these clips only.
    features : str, default="default"
        As in `emotion_pipeline`.
    scale : {"corpus", "speaker"}, default="corpus"
        As in `emotion_pipeline`.
    search : {"grid", "halving", "random"}, default=None
        Search the model's grid on inner folds of whole speakers.
    augment : sequence of str, default=None
        As in `ClipAugmenter`: one altered copy of each training clip for each entry. Nothing altered is tested on, nor
        is a setting chosen by it. None gives a named model what it is best trained with
        (`sersk.models.training_copies`), most of them nothing.
    checkpoint : path, default=None
        Folder where a network keeps how far its training has come; of no effect for other models.
    protocol : str, default="auto"
        As in `evaluate`; each experiment has folds of its own.
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

    Returns
    -------
    dict of str to Experiment
        ``"mixed"`` with all clips, then those of the values of `by` in the order of the alphabet.

    Raises
    ------
    ValueError
        If no clip can be read, one emotion only is left, the corpus or a part of it does not allow the protocol, the
        corpus cannot be parted, or the model has no grid to search or takes no such copies.

    Warns
    -----
    UserWarning
        If clips are in no part, or altered copies of readable clips yield no features.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import make_emotional_speech
    >>> from sersk.experiments import prepare_experiments
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=4, n_repetitions=2)
    ...     experiments = prepare_experiments(corpus, "lda", by="gender", features="means-180")
    >>> {name: one.evaluate().description for name, one in experiments.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'mixed': 'leave one speaker out, 4 speakers',
     'female': 'leave one speaker out, 2 speakers',
     'male': 'leave one speaker out, 2 speakers'}
    """
    pipeline = emotion_pipeline(model, features=features, scale=scale, random_state=random_state)
    n_fits = n_jobs
    if _is_network(pipeline[-1]):
        n_fits = max(n_jobs or 1, 1)  # -1 would take more memory than there may be, above all on a GPU
        told = verbose if n_fits == 1 else 0  # several bars at a time would write into each other
        pipeline[-1].set_params(checkpoint=None if checkpoint is None else str(checkpoint), verbose=told)
    copies = training_copies(model) if augment is None else tuple(augment)
    copier, learner = _with_copies(pipeline, copies, random_state)
    if search is not None:
        if not isinstance(model, str):
            raise ValueError("Only named models have a grid to search; wrap your own estimator in a GridSearchCV.")
        grid = parameter_grid(model, features=features)
        if not grid:
            raise ValueError(f"{model} has no settings to search: it is taken as it was published.")
        prefix = "estimator__" if isinstance(learner, ClipAugmenter) else ""
        learner = SpeakerSearch(learner, {prefix + name: few for name, few in grid.items()}, strategy=search)
    parts = _parts(corpus, by)
    for name, part in parts.items():
        _check(part, protocol, "clips", _which(name, by))  # what does not fit is told now, not after the extraction
    front = clone(pipeline[0]).set_params(n_jobs=n_jobs, memory=memory, verbose=verbose)
    rows, sources, errors = _extract(front, copier, corpus)
    experiments = {}
    for name, part in parts.items():
        kept = np.array([position not in errors for position in part.data])
        failures = [(str(corpus.data[position]), errors[position]) for position in part.data[~kept]]
        if not kept.any():
            clips = f"the {len(kept)} clips{_which(name, by)}"
            raise ValueError(f"None of {clips} could be read; the first: {failures[0][1]}")
        readable = Bunch(
            **take_rows(rows, sources, part.data[kept]),
            target=part.target[kept],
            groups=None if part.groups is None else part.groups[kept],
            files=[corpus.data[position] for position in part.data[kept]],
            frame=None if part.frame is None else part.frame[kept].reset_index(drop=True),
            positions=part.data[kept],
        )
        _check(readable, protocol, "readable clips", _which(name, by))
        experiments[name] = Experiment(
            front=front,
            learner=learner,
            copies=copies,
            corpus=readable,
            failures=failures,
            protocol=protocol,
            n_jobs=n_fits,
        )
    return experiments


def _is_network(classifier: Any) -> bool:
    """Tell what is trained in epochs, without importing Keras."""
    return "checkpoint" in classifier.get_params(deep=False)


def take_rows(rows: Any, sources: npt.NDArray[np.intp], clips: npt.NDArray[np.intp]) -> dict[str, Any]:
    """
    Take what belongs to some clips: their rows and those of their altered copies.

    Parameters
    ----------
    rows : array-like of length n_rows
        Features.
    sources : ndarray of shape (n_rows,)
        Number k of a clip itself, ~k of a copy of it; a clip that is taken has a row.
    clips : ndarray of int
        Numbers of the clips.

    Returns
    -------
    dict
        ``rows``, the clips first; ``sources``, the clips numbered anew; and ``data``, the rows of the clips.
    """
    number = np.full(clip_numbers(sources).max() + 1, -1)
    number[clips] = np.arange(len(clips))
    own = np.full(len(number), -1)
    own[sources[sources >= 0]] = np.flatnonzero(sources >= 0)
    copies = np.flatnonzero((sources < 0) & (number[clip_numbers(sources)] >= 0))
    taken = _safe_indexing(rows, np.concatenate([own[clips], copies]))
    anew = np.concatenate([np.arange(len(clips)), ~number[~sources[copies]]])
    return {"data": taken[: len(clips)], "rows": taken, "sources": anew}


def _with_copies(pipeline: Pipeline, augment: Sequence[str], random_state: int | None) -> tuple[Any, Any]:
    """Give what alters clips, or None, and what learns from features: the steps after these, masks around them."""
    masks, methods = [name for name in augment if name in MASKS], [name for name in augment if name not in MASKS]
    if masks and not isinstance(pipeline[0], FrameSequences):
        raise ValueError(f"{', '.join(masks)}: this model learns from vectors, and masks hide frames of sequences.")
    copier = ClipAugmenter(pipeline, methods, random_state=random_state) if methods else None
    return copier, ClipAugmenter(pipeline[1:], masks, random_state=random_state) if masks else pipeline[1:]


def _which(name: str, by: str | None) -> str:
    return "" if name == MIXED else f" of {by} {name!r}"


def _parts(corpus: Bunch, by: str | None) -> dict[str, Bunch]:
    """Give the whole corpus and its parts, the positions of the clips in place of these."""
    places = np.arange(len(corpus.data))
    groups = None if corpus.groups is None else np.asarray(corpus.groups)
    whole = Bunch(data=places, target=np.asarray(corpus.target), groups=groups, frame=corpus.get("frame"))
    if by is None:
        return {MIXED: whole}
    parts = split_corpus(whole, by)
    if len(parts) == 1 and len(next(iter(parts.values())).data) == len(places):
        raise ValueError(f"The {by} of all clips is {next(iter(parts))!r}; a model of these is the mixed one already.")
    if MIXED in parts:
        raise ValueError(f"{MIXED!r} is what the model of all clips is called: give that {by} another name.")
    return {MIXED: whole, **parts}


def _check(part: Bunch, protocol: str, clips: str, which: str) -> None:
    emotions = np.unique(part.target)
    if len(emotions) < 2:
        raise ValueError(f"All {clips}{which} are {str(emotions[0])!r}; a classifier needs two emotions or more.")
    try:
        make_protocol(part, protocol)
    except ValueError as error:
        raise ValueError(f"{clips}{which}: {error}" if which else str(error)) from error


def _extract(
    front: Any, copier: ClipAugmenter | None, corpus: Bunch
) -> tuple[Any, npt.NDArray[np.intp], dict[int, AudioError]]:
    """Compute the features of all clips and, behind them, of their copies; tell which clips failed."""
    n_clips = len(corpus.data)
    clips, sources = (corpus.data, np.arange(n_clips)) if copier is None else copier.with_copies(corpus.data)
    rows, failures = front.extract(clips)
    errors = {index: error for index, error in failures if index < n_clips}
    lost = [index for index, _ in failures if index >= n_clips]
    if n_lost := sum(~sources[index] not in errors for index in lost):
        warnings.warn(f"altered copies without features, left out: {n_lost} of {len(clips) - n_clips}", stacklevel=3)
    return (np.delete(rows, lost, axis=0), np.delete(sources, lost), errors) if lost else (rows, sources, errors)
