"""Corpus and model -> how much a random split promises too much, and what in a model leaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, clone
from sklearn.utils import Bunch, _safe_indexing, get_tags

from .corpora import CorpusAudit, Finding
from .evaluation import EvaluationReport, make_protocol
from .evaluation.comparison import Comparison, compare
from .evaluation.crossvalidation import Progress
from .experiments import MIXED, Experiment, prepare_experiments
from .models.fronts import split_stateless

RANDOM, UNSEEN = "random", "unseen"
_N_ASKED = 4


@dataclass(frozen=True)
class LeakAudit:
    """
    Hold what one model comes to on a random split and on unseen speakers.

    Parameters
    ----------
    reports : dict of str to EvaluationReport
        ``"random"`` with folds that mix speakers; ``"unseen"`` with the protocol "auto", but for corpora without two
        known speakers.
    equal_clips : dict of str to int
        For each report, how many tested clips have their equal among the clips that their fold was trained on.
    findings : list of Finding
        What in the model leaks.

    See Also
    --------
    audit_leak : Makes one.
    """

    reports: dict[str, EvaluationReport]
    equal_clips: dict[str, int]
    findings: list[Finding]

    @property
    def comparison(self) -> Comparison | None:
        """UAR of the random split less that on unseen speakers, with its interval; None without the latter."""
        return compare(self.reports[RANDOM], self.reports[UNSEEN]) if UNSEEN in self.reports else None

    def to_dict(self) -> dict[str, Any]:
        """
        Sum up for a JSON file.

        Returns
        -------
        dict
            Both reports, the difference of UAR with its interval, findings.
        """
        reports = {
            name: report.to_dict()
            | {"uar_interval": _limits(report.intervals()["uar"]), "equal_clips": self.equal_clips[name]}
            for name, report in self.reports.items()
        }
        compared = self.comparison
        return {
            "reports": reports,
            "uar_difference": None if compared is None else round(compared.difference, 4),
            "uar_difference_interval": None if compared is None else _limits(compared.interval),
            "findings": [asdict(finding) for finding in self.findings],
        }


def audit_leak(
    corpus: Bunch,
    audit: CorpusAudit,
    model: Any = "lda",
    *,
    random_state: int | None = 0,
    n_jobs: int | None = None,
    memory: Any = None,
    verbose: int = 0,
    progress: Progress = lambda folds, total: folds,
) -> LeakAudit:
    """
    Evaluate one model twice: on a random split, and on unseen speakers.

    On a random split a model has heard the speakers, and the twins, of the clips that it is tested on. How much of its
    figures comes from there is the difference. The features are computed once.

    Parameters
    ----------
    corpus : Bunch
        What `load_corpus` gives.
    audit : CorpusAudit
        What `audit_corpus` gives of it.
    model : str or classifier, default="lda"
        As in `emotion_pipeline`.
    random_state : int, default=0
        Seed of the model.
    n_jobs : int, default=None
        As in `prepare_experiments`.
    memory : str or joblib.Memory, default=None
        Cache of features.
    verbose : int, default=0
        Progress bar of the extraction on stderr if positive.
    progress : callable, default=no progress
        As in `evaluate`.

    Returns
    -------
    LeakAudit
        Two reports, or one where there are not two known speakers, and what `find_leaks` finds.

    Raises
    ------
    ValueError
        If there are fewer than two emotions, or one of a single clip.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk.auditing import audit_leak
    >>> from sersk.corpora import audit_corpus, make_emotional_speech
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=2, n_repetitions=2)
    ...     audited = audit_leak(corpus, audit_corpus(corpus))
    >>> {name: report.protocol for name, report in audited.reports.items()}
    {'random': 'random', 'unseen': 'loso'}
    >>> audited.equal_clips
    {'random': 0, 'unseen': 0}
    """
    experiment = prepare_experiments(
        corpus, model, protocol=RANDOM, random_state=random_state, n_jobs=n_jobs, memory=memory, verbose=verbose
    )[MIXED]
    experiments = {RANDOM: experiment}
    if make_protocol(experiment.corpus, "auto").speaker_independent:
        experiments[UNSEEN] = replace(experiment, protocol="auto")
    equal = audit.clips["equal_audio"].iloc[experiment.corpus.positions]
    return LeakAudit(
        reports={name: one.evaluate(progress) for name, one in experiments.items()},
        equal_clips={
            name: _count_equals(one, equal.to_numpy(float, na_value=np.nan)) for name, one in experiments.items()
        },
        findings=find_leaks(experiment.learner, experiment.corpus.data),
    )


def find_leaks(model: Any, X: Any) -> list[Finding]:
    """
    Look for parts of a model that know clips which they were not trained on in a fold.

    `sersk.evaluate` fits copies of a model to training folds only, so that a scaler within it is fitted anew and leaks
    nothing. Two kinds of step escape that: those that stay fitted when they are copied, as in
    `sklearn.frozen.FrozenEstimator`; and those that say that they need no fitting, but make of a clip something else
    when there are other clips beside it, such as a function that scales what it is given. A model of which neither can
    be said may still leak what was done to `X` before.

    Parameters
    ----------
    model : estimator
        What `sersk.evaluate` takes.
    X : clips or array of shape (n_clips, n_features)
        Whatever the model takes.

    Returns
    -------
    list of Finding
        ``"fitted-before"`` and ``"needs-other-clips"``; empty if all is well.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.naive_bayes import GaussianNB
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from sersk.auditing import find_leaks
    >>> X = np.arange(12.0).reshape(6, 2)
    >>> find_leaks(make_pipeline(StandardScaler(), GaussianNB()), X)
    []
    >>> planted = make_pipeline(FrozenEstimator(StandardScaler().fit(X)), GaussianNB())
    >>> [finding.kind for finding in find_leaks(planted, X)]
    ['fitted-before']
    """
    return [*_fitted_before(clone(model)), *_needs_other_clips(split_stateless(model)[0], X)]


def _fitted_before(copied: Any) -> Iterator[Finding]:
    parts: Mapping[str, Any] = {"the model": copied, **copied.get_params(deep=True)}
    names = [name for name, part in parts.items() if isinstance(part, BaseEstimator) and _is_fitted(part)]
    if names:
        yield Finding(
            "error",
            "fitted-before",
            f"fitted before the evaluation, and not anew in each fold: {', '.join(names)}",
            "Give it unfitted, unless it was fitted on other clips than those that are tested.",
        )


def _is_fitted(part: BaseEstimator) -> bool:
    """Tell whether an estimator holds what scikit-learn's convention marks as learned."""
    return get_tags(part).requires_fit and any(name.endswith("_") and not name.startswith("_") for name in vars(part))


def _needs_other_clips(front: Any, X: Any) -> Iterator[Finding]:
    if front is None:
        return
    asked = np.linspace(0, len(X) - 1, _N_ASKED).astype(int)
    together = np.asarray(front.transform(_safe_indexing(X, asked)))
    alone = np.concatenate([np.asarray(front.transform(_safe_indexing(X, [position]))) for position in asked])
    if together.shape != alone.shape or not _nearly_equal(together, alone):
        yield Finding(
            "error",
            "needs-other-clips",
            f"what should depend on the clip alone changes with the clips beside it: {', '.join(front.named_steps)}",
            "Take a transformer that learns in fit, such as scikit-learn's StandardScaler in place of a function.",
        )


def _nearly_equal(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> bool:
    """Overlook what sums in another order differ by."""
    size = np.nanmax(np.abs(first), initial=0.0)
    return bool(np.allclose(first, second, rtol=1e-3, atol=1e-5 * size, equal_nan=True))


def _count_equals(experiment: Experiment, equal: npt.NDArray[np.float64]) -> int:
    """Count the tested clips that have their equal in the training fold."""
    folds = make_protocol(experiment.corpus, experiment.protocol).folds
    return int(sum(np.isin(equal[test], equal[train][~np.isnan(equal[train])]).sum() for train, test in folds))


def _limits(interval: tuple[float, float]) -> list[float] | None:
    return None if np.isnan(interval).any() else [round(float(limit), 4) for limit in interval]
