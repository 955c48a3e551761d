"""Model and corpus -> what each family of descriptors adds on unseen speakers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.parallel import Parallel, delayed

from sersk.clip_values import CLIP_VALUES, clip_value_names
from sersk.descriptors import FAMILIES
from sersk.models.augmented import ClipAugmenter
from sersk.models.folds import predict_with_speakers
from sersk.models.fronts import split_stateless

from .comparison import uar_difference
from .crossvalidation import cross_validation, fit_fold
from .metrics import count_by, interval_over_speakers, number_speakers, uar_of

Codes = npt.NDArray[np.intp]
_TIMING = frozenset(clip_value_names("timing", 1, 1))


def family_of(name: str) -> str:
    """
    Tell what family a column of `AcousticFeatures` belongs to.

    Parameters
    ----------
    name : str
        Such as mfcc_1_delta_active_mean.

    Returns
    -------
    str
        The descriptor's family, whatever its deltas, regions and functionals; the entry of `clip_values`; the name
        itself if it is none of these.

    Examples
    --------
    >>> from sersk.evaluation.importance import family_of
    >>> [family_of(name) for name in ("mfcc_1_delta_active_mean", "mfcc_covariance_1_1", "speech_rate", "age")]
    ['mfcc', 'mfcc_covariance', 'timing', 'age']
    """
    if name in _TIMING:
        return "timing"
    if name.startswith("third_"):
        return "thirds"
    known = [family for family in (*FAMILIES, *CLIP_VALUES) if f"{name}_".startswith(f"{family}_")]
    return max(known, key=len, default=name)


def family_importance(
    model: Any,
    corpus: Bunch,
    *,
    names: Sequence[str] | None = None,
    protocol: str = "auto",
    n_repeats: int = 10,
    random_state: Any = 0,
    n_jobs: int | None = None,
    progress: Callable[[Iterable[Any], int], Iterable[Any]] = lambda folds, total: folds,
) -> pd.DataFrame:
    """
    Tell how much UAR a model loses when a family of descriptors tells it nothing.

    In each test fold all columns of a family are permuted together among the clips, so that they keep their
    distribution and each other but not the emotion. Models are fitted on training folds only and not again for each
    family; features are computed once.

    Parameters
    ----------
    model : estimator
        As in `evaluate`; it learns from vectors.
    corpus : Bunch
        As in `evaluate`.
    names : sequence of str, default=None
        Name of each column, where ``corpus.data`` holds vectors; None asks the model's features for them. Those with
        the same `family_of` are permuted together.
    protocol : str, default="auto"
        As in `evaluate`.
    n_repeats : int, default=10
        How often each family is permuted.
    random_state : int, RandomState or None, default=0
        Seed of the permutations, which are the same for all families and any `n_jobs`.
    n_jobs : int, default=None
        Number of folds worked on at a time.
    progress : callable, default=no progress
        Wraps the finished folds as they come, given their number.

    Returns
    -------
    DataFrame of shape (n_families, 6)
        A row a family, the most important first: ``n_features``; ``importance``, the mean drop in UAR over all tested
        clips together; ``std`` of the drop over the repeats; ``low`` and ``high``, limits of the importance for
        speakers of the kind at 95 % confidence, by drawing whole speakers (clips, where these are unknown);
        ``permuted_uar``, what is left. Importance and what is left add up to the UAR of `evaluate`.

    Raises
    ------
    ValueError
        If the model learns from sequences, the columns have no names, `n_repeats` is not positive, or for the reasons
        of `evaluate`.

    Notes
    -----
    This is what the fitted models use, not what the emotion shows in: of two families that tell the same, each may
    look unimportant, since the other is left. Importances do not add up, therefore.

    References
    ----------
    Breiman 2001, "Random forests", doi 10.1023/A:1010933404324. Gregorutti et al. 2015, "Grouped variable importance
    with random forests and application to multiple functional data analysis", doi 10.1016/j.csda.2015.04.002.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk import emotion_pipeline, make_emotional_speech
    >>> from sersk.evaluation import family_importance
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=3, n_repetitions=2)
    ...     table = family_importance(emotion_pipeline("lda", features="means-180"), corpus, n_repeats=2)
    >>> table["n_features"].sort_index()
    family
    chroma     12
    mel       128
    mfcc       40
    Name: n_features, dtype: int64
    """
    if n_repeats < 1:
        raise ValueError(f"n_repeats: expected 1 or more, got {n_repeats}.")
    columns = _columns(_feature_names(model) if names is None else names)
    folds = cross_validation(model, corpus, protocol)
    X = _check_vectors(folds.rows, sum(map(len, columns.values())))
    seeds = check_random_state(random_state).randint(np.iinfo(np.int32).max, size=len(folds.protocol.folds))
    work = Parallel(n_jobs=n_jobs, return_as="generator")(
        delayed(_permute_fold)(
            clone(folds.learner),
            X,
            folds.emotions,
            folds.speakers,
            folds.sources,
            train,
            test,
            [*columns.values()],
            n_repeats,
            seed,
            folds.labels,
        )
        for (train, test), seed in zip(folds.protocol.folds, seeds, strict=True)
    )
    intact, permuted = (np.concatenate(parts, axis=-1) for parts in zip(*progress(work, len(seeds)), strict=True))
    tested = np.concatenate([test for _, test in folds.protocol.folds])
    who = tested if folds.groups is None else number_speakers(folds.groups[tested])
    rows = _drops(np.searchsorted(folds.labels, folds.emotions[tested]), intact, permuted, who)
    table = pd.DataFrame(rows, index=pd.Index([*columns], name="family"))
    table.insert(0, "n_features", [*map(len, columns.values())])
    return table.sort_values("importance", ascending=False, kind="stable")


def _feature_names(model: Any) -> Sequence[str]:
    front: Any = split_stateless(model.estimator if isinstance(model, ClipAugmenter) else model)[0]
    try:
        return front.get_feature_names_out()
    except (AttributeError, NotFittedError) as error:
        raise ValueError(
            "names: this model does not tell what its columns are called, as a pipeline that begins with "
            "AcousticFeatures does. Give the name of each column."
        ) from error


def _columns(names: Sequence[str]) -> dict[str, Codes]:
    """Positions of the columns of each family, in the order of their first ones."""
    families = pd.Series([family_of(name) for name in names])
    return {str(family): np.asarray(at) for family, at in families.groupby(families, sort=False).indices.items()}


def _check_vectors(X: Any, n_names: int) -> npt.NDArray[Any]:
    vectors = np.asarray(X)
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu":
        raise ValueError(
            f"Families are permuted in vectors; this model learns from {vectors.dtype} data of shape {vectors.shape}. "
            "Sequences of different lengths cannot change places: take a model of vectors, such as 'lda'."
        )
    if vectors.shape[1] != n_names:
        raise ValueError(f"names: expected one for each of the {vectors.shape[1]} columns, got {n_names}.")
    return vectors


def _permute_fold(
    model: Any,
    X: npt.NDArray[Any],
    y: npt.NDArray[Any],
    groups: npt.NDArray[Any] | None,
    sources: Codes,
    train: Codes,
    test: Codes,
    columns: list[Codes],
    n_repeats: int,
    seed: int,
    labels: npt.NDArray[Any],
) -> tuple[Codes, Codes]:
    """Positions in `labels` of what is predicted: (n_test,) as it is, (n_families, n_repeats, n_test) permuted."""
    fit_fold(model, X, y, groups, sources, train)
    speakers = None if groups is None else groups[test]

    def predict(vectors: npt.NDArray[Any]) -> Codes:
        return np.searchsorted(labels, predict_with_speakers(model, vectors, speakers))

    clips = X[test]
    random = check_random_state(seed)
    orders = [random.permutation(len(test)) for _ in range(n_repeats)]
    permuted = np.empty((len(columns), n_repeats, len(test)), dtype=np.intp)
    changed = clips.copy()
    for said, of_family in zip(permuted, columns, strict=True):
        own = clips[:, of_family]
        for repeat, order in enumerate(orders):
            changed[:, of_family] = own[order]
            said[repeat] = predict(changed)
        changed[:, of_family] = own
    return predict(clips), permuted


def _drops(emotions: Codes, intact: Codes, permuted: Codes, who: npt.NDArray[Any]) -> list[dict[str, float]]:
    """Figures of each family."""
    codes = np.arange(max(emotions.max(), intact.max(), permuted.max()) + 1)
    before = count_by(emotions, intact, who, codes)[1]
    rows = []
    for repeats in permuted:
        after, uars = np.zeros_like(before), []
        for said in repeats:
            counts = count_by(emotions, said, who, codes)[1]
            after += counts / len(repeats)
            uars.append(uar_of(counts.sum(axis=0)))
        # Each emotion has as many clips in every repeat: the UAR of the mean counts is the mean of the UARs.
        pairs = np.stack([before, after], axis=1)
        low, high = interval_over_speakers(uar_difference, pairs)
        drop, left = float(uar_difference(pairs.sum(axis=0))), float(np.mean(uars))
        spread = float(np.std(uars))
        rows.append({"importance": drop, "std": spread, "low": low, "high": high, "permuted_uar": left})
    return rows
