"""Model and corpus -> what the model still gets right when the clips it is tested on are degraded."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.parallel import Parallel, delayed

from sersk.audio import AudioError
from sersk.degradation import CLEAN, CONDITIONS, Condition, DegradedClip
from sersk.models.augmented import takes_clips

from .crossvalidation import CrossValidation, Progress, cross_validation, fit_fold, predict_fold
from .report import EvaluationReport, report_on

Failures = list[tuple[int, AudioError]]


@dataclass(frozen=True)
class RobustnessReport:
    """
    Hold what came of the same test clips under several conditions, by models that were trained on clean ones.

    Parameters
    ----------
    conditions : tuple of Condition
        In the order of the table; the first is clean.
    reports : dict of str to EvaluationReport
        What came of each, by its name, but of those under which no clip could be tested.
    failures : dict of str to list of (int, AudioError)
        By the name of each condition the clips, by their number, that could not be tested under it.

    See Also
    --------
    evaluate_robustness : Makes one.
    """

    conditions: tuple[Condition, ...]
    reports: dict[str, EvaluationReport]
    failures: dict[str, Failures]

    @property
    def clean(self) -> EvaluationReport:
        """What `evaluate` gives."""
        return self.reports[CLEAN.name]

    @property
    def protocol(self) -> str:
        """Name of the folds."""
        return self.clean.protocol

    @property
    def description(self) -> str:
        """What they are, in one line."""
        return self.clean.description

    @property
    def speaker_independent(self) -> bool:
        """Whether all tested speakers were unseen."""
        return self.clean.speaker_independent

    @property
    def table(self) -> pd.DataFrame:
        """
        Give the figures of each condition.

        A row for each: ``condition`` (its name), ``kind``, ``level`` (NaN for a kind without any), ``description``,
        ``n_clips``, ``uar`` with ``uar_low`` and ``uar_high`` (95 %, over speakers), ``wa``, and ``drop``: how far the
        UAR is below that of clean clips. NaN where no clip could be tested.
        """
        rows = []
        for condition in self.conditions:
            row = [condition.name, condition.kind, condition.level, condition.description]
            report = self.reports.get(condition.name)
            if report is None:
                rows.append([*row, 0, *[np.nan] * 5])
                continue
            limits = report.intervals()["uar"]
            rows.append([*row, len(report.predictions), report.uar, *limits, report.wa, self.clean.uar - report.uar])
        columns = ["condition", "kind", "level", "description", "n_clips", "uar", "uar_low", "uar_high", "wa", "drop"]
        return pd.DataFrame(rows, columns=columns).astype({"level": float})


def evaluate_robustness(
    model: Any,
    corpus: Bunch,
    *,
    conditions: Sequence[Condition] = CONDITIONS,
    protocol: str = "auto",
    random_state: Any = 0,
    n_jobs: int | None = None,
    progress: Progress = lambda folds, total: folds,
    on_condition: Callable[[Condition], object] = lambda condition: None,
) -> RobustnessReport:
    """
    Cross-validate a model that is trained on clips as they are, and tested on degraded ones.

    Each fold is fitted once, as by `evaluate`; its test clips are then predicted under one condition after the other.

    Parameters
    ----------
    model : estimator
        Pipeline that takes clips; it is not changed.
    corpus : Bunch
        With `data` (clips), `target` and `groups`, as `load_corpus` gives it.
    conditions : sequence of Condition, default=CONDITIONS
        Noise at four ratios, telephone, compression, reverberation, clipping and gain; clean clips are tested first
        whether they are named or not.
    protocol : str, default="auto"
        As in `evaluate`.
    random_state : int, RandomState or None, default=0
        Seed of what is drawn for the conditions. With an int, a clip is degraded in the same way wherever it stands
        and with any number of workers.
    n_jobs : int, default=None
        Number of folds fitted at a time. Features are computed as the model's own transformer says.
    progress : callable, default=no progress
        Wraps the fitted folds as they come, given their number.
    on_condition : callable, default=nothing
        Called with each condition before clips are degraded.

    Returns
    -------
    RobustnessReport
        A report for each condition, and a table.

    Raises
    ------
    ValueError
        If the model takes no clips, or for the reasons of `evaluate`.
    AudioError
        If a clip cannot be read as it is.

    Warns
    -----
    UserWarning
        If clips cannot be tested under a condition; they are left out of it.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import emotion_pipeline, make_emotional_speech
    >>> from sersk.degradation import Condition
    >>> from sersk.evaluation import evaluate_robustness
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=3, n_repetitions=2)
    ...     model = emotion_pipeline("lda", features="mfcc-40")
    ...     report = evaluate_robustness(model, corpus, conditions=[Condition("noise", 20), Condition("telephone")])
    >>> report.table["condition"].tolist()
    ['clean', 'noise-20', 'telephone']
    """
    if not takes_clips(model):
        raise ValueError(
            f"Only clips can be degraded, and {type(model).__name__} takes none: no step of it has a sampling rate "
            "`sr`. Give the whole pipeline, features included, such as emotion_pipeline(...)."
        )
    folds = cross_validation(model, corpus, protocol)
    return evaluate_degraded(folds, corpus.data, conditions, random_state, n_jobs, progress, on_condition)


def evaluate_degraded(
    folds: CrossValidation,
    clips: Sequence[Any],
    conditions: Sequence[Condition],
    random_state: Any,
    n_jobs: int | None,
    progress: Progress,
    on_condition: Callable[[Condition], object],
) -> RobustnessReport:
    """
    Fit every fold once, and predict its test clips under one condition after the other.

    Parameters
    ----------
    folds : CrossValidation
        What `evaluate` would fit and test; its front takes clips, unless its learner does.
    clips : sequence
        The clips that its rows were made of.
    conditions : sequence of Condition
        As in `evaluate_robustness`.
    random_state : int, RandomState or None
        As in `evaluate_robustness`.
    n_jobs : int or None
        As in `evaluate_robustness`.
    progress : callable
        As in `evaluate_robustness`.
    on_condition : callable
        As in `evaluate_robustness`.

    Returns
    -------
    RobustnessReport
        A report for each condition, and a table.

    Warns
    -----
    UserWarning
        If clips cannot be tested under a condition.
    """
    seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
    work = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(fit_fold)(clone(folds.learner), folds.rows, folds.emotions, folds.speakers, folds.sources, train)
        for train, _ in folds.protocol.folds
    )
    models = list(progress(work, len(folds.protocol.folds)))
    conditions = (CLEAN, *(one for one in dict.fromkeys(conditions) if one != CLEAN))
    reports, failures = {}, {}
    for condition in conditions:
        rows, failed = folds.rows, Failures()
        if condition != CLEAN:
            on_condition(condition)
            rows, failed = _compute(folds, [DegradedClip(clip, condition, seed) for clip in clips])
        kept = np.delete(np.arange(len(clips)), [index for index, _ in failed])
        if failed:
            what = f"{len(failed)} of {len(clips)} clips could not be tested and were left out"
            warnings.warn(f"{condition.name}: {what}; the first: {failed[0][1]}", stacklevel=3)
        if len(kept):
            reports[condition.name] = _test(folds, models, rows, kept)
        failures[condition.name] = failed
    return RobustnessReport(conditions, reports, failures)


def _compute(folds: CrossValidation, clips: list[DegradedClip]) -> tuple[Any, Failures]:
    """Give what the learner takes of the clips that do not fail, and those that do."""
    front = folds.front
    if front is None:
        return clips, []
    if not hasattr(front[0], "extract"):  # the user's own: whatever fails is raised
        return front.transform(clips), []
    rows, failed = front[0].extract(clips)
    rows = np.delete(rows, [index for index, _ in failed], axis=0)
    if hasattr(folds.rows, "columns"):  # set_output: the learner knows the columns by their names
        rows = pd.DataFrame(rows, columns=front[0].get_feature_names_out())
    return front[1:].transform(rows) if len(front) > 1 and len(rows) else rows, failed


def _test(folds: CrossValidation, models: list[Any], rows: Any, kept: npt.NDArray[np.intp]) -> EvaluationReport:
    """Let each model predict the clips of its test fold, as far as they are among those that have rows."""
    groups = None if folds.groups is None else folds.groups[kept]
    tests = [test[np.isin(test, kept)] for _, test in folds.protocol.folds]
    results = (
        predict_fold(model, rows, groups, np.searchsorted(kept, test)) if len(test) else None
        for model, test in zip(models, tests, strict=True)
    )
    return report_on(folds, tests, results)
