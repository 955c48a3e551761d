"""Corpus -> its parts, by a column of its table."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.utils import Bunch, _safe_indexing

from .files import some
from .loading import describe


def split_corpus(corpus: Bunch, by: str = "gender") -> dict[str, Bunch]:
    """Part a corpus by what a column of its table says of the clips.

    A model for women's voices and one for men's are trained on the parts by gender. Emotions, speakers and table of a
    part belong to its clips, in the order of the corpus.

    Parameters
    ----------
    corpus : Bunch
        What `load_corpus` gives: `data`, `target`, `groups`, `frame`.
    by : str, default="gender"
        Column of `frame`.

    Returns
    -------
    dict of str to Bunch
        A part for each value of the column, in the order of the alphabet, with `data`, `target`, `groups` (None where
        no speaker of the part is known), `frame` (its rows numbered anew) and `DESCR`. Clips without a value are in
        none.

    Raises
    ------
    ValueError
        If there is no such column, or it has no value for any clip.

    Warns
    -----
    UserWarning
        If clips are left out since the column has no value for them.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk.corpora import make_emotional_speech, split_corpus
    >>> with TemporaryDirectory() as folder:
    ...     corpus = make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=3, n_repetitions=1)
    >>> {gender: sorted(set(part.groups.tolist())) for gender, part in split_corpus(corpus).items()}
    {'female': ['synthetic:F1', 'synthetic:F2'], 'male': ['synthetic:M1']}
    """
    frame = corpus.frame
    cure = f"Give a manifest (CSV or TSV) with the columns file, emotion and {by}."
    if by not in frame:
        raise ValueError(f"by={by!r}: no such column among {', '.join(map(repr, frame))}. {cure}")
    column = frame[by]
    if column.isna().all():
        raise ValueError(f"by={by!r}: no clip of this corpus has a known {by}. {cure}")
    if unknown := column.isna().sum():
        files = some(frame["file"][column.isna()].tolist())
        warnings.warn(
            f"clips whose {by} is unknown, in no part: {unknown} of {len(frame)}: {files}", UserWarning, stacklevel=2
        )
    parts = {}
    for value in sorted(column.dropna().unique(), key=str):
        positions = np.flatnonzero(column.isin([value]))
        rows = frame.iloc[positions].reset_index(drop=True)
        nobody_known = corpus.groups is None or rows["speaker"].isna().all()
        parts[str(value)] = Bunch(
            data=_safe_indexing(corpus.data, positions),
            target=np.asarray(corpus.target)[positions],
            groups=None if nobody_known else np.asarray(corpus.groups)[positions],
            frame=rows,
            DESCR=f"Only the clips whose {by} is {value}.\n{describe(rows)}",
        )
    return parts
