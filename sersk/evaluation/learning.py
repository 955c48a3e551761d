"""Model and corpus -> what it gets right after it has learned from fewer speakers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.utils import Bunch, check_random_state

from sersk.clips import speaker_names
from sersk.models.folds import Folds

from .crossvalidation import Progress, cross_validation
from .metrics import count_by, uar_of
from .protocols import make_protocol

FRACTIONS = (0.1, 0.25, 0.5, 1.0)


def learning_curve(
    model: Any,
    corpus: Bunch,
    *,
    sizes: Sequence[float] = FRACTIONS,
    n_draws: int = 3,
    protocol: str = "auto",
    random_state: Any = 0,
    n_jobs: int | None = None,
    progress: Progress = lambda folds, total: folds,
) -> pd.DataFrame:
    """
    Measure what more speakers to learn from are worth.

    The folds are those of `evaluate`, and the same clips are tested after learning from few speakers and from many; of
    the training speakers whole ones are drawn, the fewer of a draw being among the more. Those that are drawn have all
    the emotions that the fold can learn, which may take more of them than asked for. Features that depend on the clip
    alone are computed once.

    Parameters
    ----------
    model : estimator
        As in `evaluate`.
    corpus : Bunch
        As in `evaluate`, of known speakers.
    sizes : sequence of float or int, default=(0.1, 0.25, 0.5, 1.0)
        How many of each fold's training speakers to learn from: a float is a share of them, an int their number, or all
        where a fold has fewer.
    n_draws : int, default=3
        How often speakers are drawn.
    protocol : str, default="auto"
        As in `evaluate`, but with unseen speakers only.
    random_state : int, RandomState or None, default=0
        Seed of the draws.
    n_jobs : int, default=None
        Number of folds fitted at a time.
    progress : callable, default=no progress
        Wraps the finished folds of all sizes and draws as they come, given their number.

    Returns
    -------
    DataFrame of shape (n_sizes, 5)
        In the order of `sizes`: ``speakers`` and ``clips`` learned from, means over folds and draws; ``uar``, mean over
        the draws, and ``uar_std``, their standard deviation, NaN for one draw; ``draws``, one where all speakers are
        taken.

    Raises
    ------
    ValueError
        If a size is none, speakers are unknown, or the protocol does not keep them apart.
    AudioError
        If a clip cannot be read.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import emotion_pipeline, make_emotional_speech
    >>> from sersk.evaluation import learning_curve
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=3, n_repetitions=2)
    ...     table = learning_curve(emotion_pipeline("lda", features="mfcc-40"), corpus, sizes=(1, 1.0))
    >>> table["speakers"].tolist()
    [1.0, 2.0]
    """
    if bad := [size for size in sizes if not (size >= 1 if isinstance(size, int | np.integer) else 0 < size <= 1)]:
        raise ValueError(f"sizes: expected shares above 0 up to 1.0, or whole numbers of speakers, got {bad[0]!r}.")
    chosen = make_protocol(corpus, protocol)
    if not chosen.speaker_independent:
        raise ValueError(
            f"A learning curve needs known speakers, and folds of unseen ones; these are {chosen.description}. Give a "
            "manifest with a column 'speaker', or take another protocol."
        )
    y, groups = np.asarray(corpus.target), np.asarray(corpus.groups)
    known = speaker_names(groups) != ""
    whole = [(train[known[train]], test) for train, test in chosen.folds]
    random = check_random_state(random_state)
    # The training clips of every run, in the order of draws, sizes and folds.
    runs: dict[tuple[int, int], Folds] = {}
    for draw in range(n_draws):
        orders = [_order(y[train], groups[train], random) for train, _ in whole]
        for place, size in enumerate(sizes):
            drawn = [order[: max(_number(size, len(order)), n_enough)] for order, n_enough in orders]
            if draw and all(len(few) == len(order) for few, (order, _) in zip(drawn, orders, strict=True)):
                continue  # all speakers are the same ones in every draw
            runs[place, draw] = [
                (train[np.isin(groups[train], few)], test) for (train, test), few in zip(whole, drawn, strict=True)
            ]
    folds = [fold for run in runs.values() for fold in run]
    predicted = iter(
        [one for one, _ in progress(cross_validation(model, corpus, protocol).run(folds, n_jobs), len(folds))]
    )
    rows = []
    for (place, _), run in runs.items():
        said = np.concatenate([next(predicted) for _ in run])
        truth = np.concatenate([y[test] for _, test in run])
        _, counts = count_by(truth, said, np.zeros(len(truth)), np.unique(y))
        speakers = np.mean([len(np.unique(groups[train])) for train, _ in run])
        rows.append((place, speakers, np.mean([len(train) for train, _ in run]), float(uar_of(counts[0]))))
    parts = pd.DataFrame(rows, columns=["size", "speakers", "clips", "uar"]).groupby("size")
    table = parts.mean()
    return table.assign(uar_std=parts["uar"].std(), draws=parts.size()).rename_axis(None)


def _number(size: float, n_speakers: int) -> int:
    return min(int(size), n_speakers) if isinstance(size, int | np.integer) else max(1, round(size * n_speakers))


def _order(y: npt.NDArray[Any], groups: npt.NDArray[Any], random: Any) -> tuple[npt.NDArray[Any], int]:
    """Shuffle speakers; those who have all emotions between them come first, and their number is told."""
    shuffled = random.permutation(np.unique(groups))
    emotions = {speaker: {*y[groups == speaker].tolist()} for speaker in shuffled.tolist()}
    first: list[Any] = []
    known: set[Any] = set()
    for speaker, of_speaker in emotions.items():
        if not of_speaker <= known:
            first.append(speaker)
            known |= of_speaker
    return np.array([*first, *(speaker for speaker in emotions if speaker not in first)]), len(first)
