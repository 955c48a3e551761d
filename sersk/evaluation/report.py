"""Model and corpus -> what it gets right on speakers that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import (
    accuracy_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    log_loss,
)
from sklearn.utils import Bunch

from .crossvalidation import CrossValidation, Predicted, Progress, cross_validation
from .metrics import (
    Counts,
    Interval,
    calibration_bins,
    calibration_error,
    count_by,
    interval_over_speakers,
    macro_f1_of,
    uar_of,
    wa_of,
)


@dataclass(frozen=True)
class EvaluationReport:
    """
    Hold the predictions of a cross-validation and what they come to.

    Parameters
    ----------
    protocol : str
        Name of the folds.
    description : str
        What they are, in one line.
    speaker_independent : bool
        Whether all tested speakers were unseen.
    labels : ndarray of shape (n_classes,)
        Emotions, in the order of the probabilities.
    predictions : DataFrame of shape (n_clips, n_columns)
        A row for each tested clip, by its number in the corpus: ``file``, ``speaker``, of ``gender`` and ``corpus``
        what is known of any clip, ``fold``, ``emotion``, ``predicted``, and a probability for each emotion if the model
        gives any.

    Examples
    --------
    >>> import pandas as pd
    >>> from sersk import EvaluationReport
    >>> table = pd.DataFrame({"emotion": ["sad", "happy"], "predicted": ["sad", "sad"]})
    >>> EvaluationReport("loso", "leave one speaker out", True, ["happy", "sad"], table).uar
    0.5
    """

    protocol: str
    description: str
    speaker_independent: bool
    labels: npt.NDArray[np.str_]
    predictions: pd.DataFrame

    @property
    def uar(self) -> float:
        """Unweighted average recall over all tested clips together, of the emotions that were tested."""
        return float(uar_of(self.confusion))

    @property
    def wa(self) -> float:
        """Weighted accuracy: share of the clips that are right."""
        return float(accuracy_score(self.predictions["emotion"], self.predictions["predicted"]))

    @property
    def macro_f1(self) -> float:
        """Mean F1 score of the emotions that were tested or named."""
        return float(f1_score(self.predictions["emotion"], self.predictions["predicted"], average="macro"))

    @property
    def log_loss(self) -> float:
        """Mean negative logarithm of the true emotion's probability; NaN for a model without probabilities."""
        return self._of_probabilities(log_loss)

    @property
    def brier_score(self) -> float:
        """Mean squared distance of the probabilities from 1 and 0, summed over the emotions; NaN without any."""
        return self._of_probabilities(brier_score_loss, scale_by_half=False)

    @property
    def calibration_error(self) -> float:
        """Expected calibration error in ten bins; NaN for a model without probabilities."""
        return self._of_probabilities(calibration_error)

    @property
    def calibration(self) -> pd.DataFrame | None:
        """What `sersk.evaluation.metrics.calibration_bins` gives; None for a model without probabilities."""
        chances = self._probabilities()
        return None if chances is None else calibration_bins(self.predictions["emotion"], chances, self.labels)

    def _of_probabilities(self, figure: Callable[..., float], **options: Any) -> float:
        chances = self._probabilities()
        if chances is None:
            return float("nan")
        return float(figure(self.predictions["emotion"], chances, labels=self.labels, **options))

    def _probabilities(self) -> npt.NDArray[np.float64] | None:
        if not {*self.labels} <= {*self.predictions.columns}:
            return None
        chances = self.predictions[list(self.labels)].to_numpy()
        # Single floats, as networks give them, add up to one less exactly than scikit-learn's figures want.
        return chances / chances.sum(axis=1, keepdims=True)

    def intervals(self, confidence: float = 0.95) -> dict[str, Interval]:
        """
        Tell how far UAR, WA and macro F1 may be off for other speakers of the kind.

        Parameters
        ----------
        confidence : float, default=0.95
            How often such limits hold.

        Returns
        -------
        dict of str to Interval
            ``"uar"``, ``"wa"`` and ``"macro_f1"``, by drawing whole speakers; where these are unknown, clips.
        """
        counts = self._counts("speaker")[1]
        figures = {"uar": uar_of, "wa": wa_of, "macro_f1": macro_f1_of}
        return {name: interval_over_speakers(one, counts, confidence=confidence) for name, one in figures.items()}

    def by(self, column: str) -> pd.DataFrame:
        """
        Part the figures by speaker, gender, fold or whatever else the predictions have a column for.

        Parameters
        ----------
        column : str
            Of `predictions`.

        Returns
        -------
        DataFrame of shape (n_values, 3)
            ``clips``, ``uar`` over the emotions that each value has, and ``wa``.

        Raises
        ------
        ValueError
            If there is no such column, or nothing in it.
        """
        if column not in self.predictions or self.predictions[column].isna().all():
            raise ValueError(f"by: nothing is known of the {column} of these clips.")
        names, counts = self._counts(column)
        figures = {"clips": counts.sum(axis=(1, 2)).astype(int), "uar": uar_of(counts), "wa": wa_of(counts)}
        return pd.DataFrame(figures, index=pd.Index(names, name=column))

    def _counts(self, column: str) -> tuple[npt.NDArray[Any], Counts]:
        groups = self.predictions[column]
        known = groups.notna()
        if not known.any():
            groups, known = pd.Series(np.arange(len(groups)), groups.index), ~known
        rows = self.predictions[known]
        return count_by(rows["emotion"], rows["predicted"], groups[known], self.labels)

    @property
    def recalls(self) -> dict[str, float]:
        """Recall of each emotion; NaN for one that was never tested, which says nothing about it."""
        counts = self.confusion.to_numpy()
        rows = zip(self.labels, counts.diagonal(), counts.sum(axis=1), strict=True)
        return {str(label): right / clips if clips else float("nan") for label, right, clips in rows}

    @property
    def confusion(self) -> pd.DataFrame:
        """Counts, true emotions down and predicted ones across."""
        counts = confusion_matrix(self.predictions["emotion"], self.predictions["predicted"], labels=self.labels)
        return pd.DataFrame(counts, index=self.labels, columns=self.labels)

    def to_dict(self) -> dict[str, Any]:
        """
        Sum up for a model's card or a JSON file.

        Returns
        -------
        dict
            Protocol, UAR, WA, recalls (None for an emotion that was never tested), number of clips.
        """
        return {
            "protocol": self.protocol,
            "description": self.description,
            "speaker_independent": self.speaker_independent,
            "uar": round(self.uar, 4),
            "wa": round(self.wa, 4),
            "recalls": {name: None if np.isnan(one) else round(one, 4) for name, one in self.recalls.items()},
            "n_clips": len(self.predictions),
        }


def evaluate(
    model: Any,
    corpus: Bunch,
    *,
    protocol: str = "auto",
    n_jobs: int | None = None,
    progress: Progress = lambda folds, total: folds,
) -> EvaluationReport:
    """
    Cross-validate a model on speakers that it was not trained on.

    Features that depend on the clip alone are computed once; everything that learns, scaling included, sees training
    folds only. Speakers reach the inner folds of calibration, too. Of altered copies (`sersk.ClipAugmenter`) a fold
    trains on those of its training clips; what is tested is never altered.

    Parameters
    ----------
    model : estimator
        Pipeline that takes clips (or whatever ``corpus.data`` holds); it is not changed.
    corpus : Bunch
        With `data`, `target`, `groups` (None if speakers are unknown), as `load_corpus` gives it; `files` names the
        clips where `data` holds something else. Gender and corpus of the clips are taken from `frame`, if it is there.
    protocol : str, default="auto"
        Which folds; see `sersk.evaluation.make_protocol`.
    n_jobs : int, default=None
        Number of folds fitted at a time.
    progress : callable, default=no progress
        Wraps the finished folds as they come, given their number.

    Returns
    -------
    EvaluationReport
        All predictions, UAR, WA, recalls, confusion matrix.

    Raises
    ------
    ValueError
        If the corpus does not allow the protocol, or clips are skipped by the features.
    AudioError
        If a clip cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import emotion_pipeline, evaluate, make_emotional_speech
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=3, n_repetitions=2)
    ...     report = evaluate(emotion_pipeline("lda"), corpus)
    >>> report.description
    'leave one speaker out, 3 speakers'
    """
    folds = cross_validation(model, corpus, protocol)
    tested = [test for _, test in folds.protocol.folds]
    return report_on(folds, tested, progress(folds.run(n_jobs=n_jobs), len(tested)))


def report_on(
    folds: CrossValidation, tests: Sequence[npt.NDArray[np.intp]], results: Iterable[Predicted | None]
) -> EvaluationReport:
    """
    Make a report of what was predicted for folds.

    Parameters
    ----------
    folds : CrossValidation
        What was tested, and how.
    tests : sequence of ndarray
        Clips that were tested in each fold.
    results : iterable of (ndarray, DataFrame or None), or None
        What came of them; None where there were none.

    Returns
    -------
    EvaluationReport
        All predictions.
    """
    told, predictions = folds.protocol, folds.tabulate(tests, results)
    return EvaluationReport(told.name, told.description, told.speaker_independent, folds.labels, predictions)
