"""Model and corpus -> folds, what is fitted on them, and its predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch, _safe_indexing
from sklearn.utils.parallel import Parallel, delayed

from sersk.clips import clip_numbers, speaker_names
from sersk.models.augmented import ClipAugmenter
from sersk.models.decision import predict_both
from sersk.models.folds import Folds, fit_with_speakers, wants_speakers
from sersk.models.fronts import split_stateless
from sersk.models.search import SpeakerSearch

from .protocols import Protocol, make_protocol

# What a corpus may know of a clip, beside its speaker, that figures are parted by.
FACTS = ("gender", "corpus")

Progress = Callable[[Iterable[Any], int], Iterable[Any]]
Predicted = tuple[npt.NDArray[Any], pd.DataFrame | None]


@dataclass(frozen=True)
class CrossValidation:
    """
    Hold a corpus in folds, the features being computed.

    Parameters
    ----------
    protocol : Protocol
        Its folds are of clips.
    front : Pipeline or None
        What depends on the clip alone, if that can be computed apart.
    learner : estimator
        The rest: what is fitted on every fold.
    rows : array-like of length n_rows
        What `learner` takes, of all clips; behind them, if it learns from altered copies, of these.
    emotions : ndarray of shape (n_clips,)
        Those of the clips.
    speakers : ndarray of shape (n_clips,) or None
        Speakers of the clips, as training gets them.
    sources : ndarray of shape (n_rows,)
        Number k of a clip itself, ~k of an altered copy of it.
    corpus : Bunch
        With `data`, `target` and `groups` of the clips; `files` names them where `data` holds something else.

    See Also
    --------
    cross_validation : Makes one.
    """

    protocol: Protocol
    front: Pipeline | None
    learner: Any
    rows: Any
    emotions: npt.NDArray[Any]
    speakers: npt.NDArray[Any] | None
    sources: npt.NDArray[np.intp]
    corpus: Bunch

    @property
    def labels(self) -> npt.NDArray[Any]:
        """All emotions."""
        return np.unique(self.corpus.target)

    @property
    def groups(self) -> npt.NDArray[Any] | None:
        """Give the speakers of the clips."""
        return None if self.corpus.groups is None else np.asarray(self.corpus.groups)

    def tabulate(self, tests: Sequence[npt.NDArray[np.intp]], results: Iterable[Predicted | None]) -> pd.DataFrame:
        """
        Set what was predicted beside what is true.

        Parameters
        ----------
        tests : sequence of ndarray
            Clips that were tested in each fold.
        results : iterable of (ndarray, DataFrame or None), or None
            What came of them; None where there were none.

        Returns
        -------
        DataFrame of shape (n_tested_clips, n_columns)
            ``predictions`` of an `EvaluationReport`.
        """
        y, parts = np.asarray(self.corpus.target), []
        for fold, (test, result) in enumerate(zip(tests, results, strict=True)):
            if result is None:
                continue
            predicted, probabilities = result
            part = pd.DataFrame({"fold": fold + 1, "emotion": y[test], "predicted": predicted}, index=test)
            if probabilities is not None:  # an emotion that a training fold lacks has no chance
                part = part.join(probabilities.set_axis(test).reindex(columns=self.labels, fill_value=0.0))
            parts.append(part)
        predictions = pd.concat(parts).sort_index()
        return _describe_clips(self.corpus, predictions.index.to_numpy()).join(predictions)

    def run(self, folds: Folds | None = None, n_jobs: int | None = None) -> Iterator[Predicted]:
        """
        Train and test what learns on each of some folds.

        Parameters
        ----------
        folds : list of (train, test), default=None
            Indices of clips; those of the protocol without it.
        n_jobs : int, default=None
            Number of folds fitted at a time.

        Returns
        -------
        iterator of (predicted, probabilities)
            Of each fold, in their order, as they are done; probabilities are None for a model that gives none.
        """
        return Parallel(n_jobs=n_jobs, return_as="generator")(
            delayed(_fit_and_test)(
                clone(self.learner), self.rows, self.emotions, self.speakers, self.sources, train, test
            )
            for train, test in (self.protocol.folds if folds is None else folds)
        )


def cross_validation(model: Any, corpus: Bunch, protocol: str) -> CrossValidation:
    """
    Split a corpus, and compute what depends on the clip alone: features and, behind them, those of altered copies.

    Parameters
    ----------
    model : estimator
        As in `evaluate`.
    corpus : Bunch
        As in `evaluate`.
    protocol : str
        As in `evaluate`.

    Returns
    -------
    CrossValidation
        Ready to be fitted.

    Raises
    ------
    ValueError
        If the corpus does not allow the protocol, or clips are skipped by the features.
    AudioError
        If a clip cannot be read.
    """
    chosen = make_protocol(corpus, protocol)
    emotions = np.asarray(corpus.target)
    # A random split is what comes of not caring who speaks: what ends training early is drawn at random, too.
    careless = chosen.name.startswith("random") and not wants_speakers(model, "predict")
    speakers = None if corpus.groups is None or careless else np.asarray(corpus.groups)
    rows, sources = corpus.get("rows", corpus.data), corpus.get("sources", np.arange(len(emotions)))
    if isinstance(model, ClipAugmenter):
        front, learner = split_stateless(model.estimator)
        if front is None:  # then it alters the clips of each training fold itself
            learner = model
        else:
            rows, sources = clone(model).with_copies(rows)
    elif isinstance(model, SpeakerSearch):
        front, learner = model.without_front()
    else:
        front, learner = split_stateless(model)
    if front is not None:
        rows = front.transform(rows)
    if len(rows) != len(sources):
        raise ValueError(
            f"The features gave {len(rows)} rows for {len(sources)} clips: use on_error='raise' to see which of them "
            "fail, and leave those out of the corpus."
        )
    if wants_speakers(learner, "predict"):
        how = "SPEAKERS UNKNOWN: as the training clips" if corpus.groups is None else "uses unlabelled test clips"
        chosen = replace(chosen, description=f"{chosen.description}; per-speaker normalisation ({how})")
    return CrossValidation(chosen, front, learner, rows, emotions, speakers, sources, corpus)


def fit_fold(
    model: Any,
    X: Any,
    y: npt.NDArray[Any],
    groups: npt.NDArray[Any] | None,
    sources: npt.NDArray[np.intp],
    train: npt.NDArray[np.intp],
) -> Any:
    """
    Fit an estimator on some clips and on their altered copies.

    Parameters
    ----------
    model : estimator
        It is fitted itself, no copy.
    X : array-like of length n_rows
        What it takes: clips, and behind them copies.
    y : ndarray of shape (n_clips,)
        Emotions.
    groups : ndarray of shape (n_clips,) or None
        Speakers.
    sources : ndarray of shape (n_rows,)
        Number k of a clip itself, ~k of an altered copy of it.
    train : ndarray of int
        The clips.

    Returns
    -------
    estimator
        The fitted model.
    """
    copies = np.flatnonzero(sources < 0)
    rows = np.concatenate([train, copies[np.isin(~sources[copies], train)]])
    clip = clip_numbers(sources[rows])
    speakers = None if groups is None else groups[clip]
    return fit_with_speakers(model, _safe_indexing(X, rows), y[clip], speakers, sources=sources[rows])


def predict_fold(model: Any, X: Any, groups: npt.NDArray[Any] | None, test: npt.NDArray[np.intp]) -> Predicted:
    """
    Predict some rows.

    Parameters
    ----------
    model : estimator
        Fitted.
    X : array-like
        What it takes.
    groups : ndarray or None
        Speakers.
    test : ndarray of int
        The rows.

    Returns
    -------
    predicted : ndarray of shape (n_tested,)
        Emotions.
    probabilities : DataFrame of shape (n_tested, n_known_classes) or None
        A column for each emotion that the model knows; None for a model that gives none.
    """
    predicted, probabilities = predict_both(model, _safe_indexing(X, test), None if groups is None else groups[test])
    return predicted, None if probabilities is None else pd.DataFrame(
        probabilities, columns=model.classes_, dtype=float
    )


def _fit_and_test(
    model: Any,
    X: Any,
    y: npt.NDArray[Any],
    groups: npt.NDArray[Any] | None,
    sources: npt.NDArray[np.intp],
    train: npt.NDArray[np.intp],
    test: npt.NDArray[np.intp],
) -> Predicted:
    return predict_fold(fit_fold(model, X, y, groups, sources, train), X, groups, test)


def _describe_clips(corpus: Bunch, rows: npt.NDArray[np.intp]) -> pd.DataFrame:
    """Give file and speaker of some clips, and those of `FACTS` that are known of any."""
    files = corpus.get("files", corpus.data)
    clips: dict[str, Any] = {"file": [str(files[row]) for row in rows]}
    clips["speaker"] = None if corpus.groups is None else np.asarray(corpus.groups)[rows]
    if corpus.groups is not None and (unknown := speaker_names(clips["speaker"]) == "").any():
        clips["speaker"] = np.where(unknown, None, clips["speaker"].astype(object))
    frame = corpus.get("frame")
    for name in FACTS:
        if frame is not None and name in frame and (values := frame[name].iloc[rows].astype(object)).notna().any():
            clips[name] = values.where(values.notna(), None).to_numpy()
    return pd.DataFrame(clips, index=rows)
