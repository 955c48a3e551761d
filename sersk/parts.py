"""Reports on a corpus and on its parts -> one comparison."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from .evaluation import EvaluationReport
from .experiments import MIXED, Experiment
from .models.search import uar


def compare_reports(experiments: Mapping[str, Experiment], reports: Mapping[str, EvaluationReport]) -> pd.DataFrame:
    """
    Set the models of parts against the mixed one, on the same test clips.

    Every clip is tested by models that had not heard its speaker, if the folds are such. What a model learned from
    differs: the mixed one from clips of all parts.

    Parameters
    ----------
    experiments : mapping of str to Experiment
        What `prepare_experiments` gives.
    reports : mapping of str to EvaluationReport
        What came of each.

    Returns
    -------
    DataFrame of shape (n_experiments, 6)
        A row for all clips, ``"all"``, and one for those of each part that both models were tested on: ``clips``;
        ``mixed_uar`` and ``mixed_wa`` of the mixed model's predictions for them; ``own_uar`` and ``own_wa`` of the
        part's own model, NaN for all clips; ``protocol`` of that model.
    """
    told = {name: reports[name].predictions for name in experiments}
    tested = {name: one.corpus.positions[told[name].index] for name, one in experiments.items()}
    table = {}
    for name in experiments:
        mixed, own = told[MIXED][np.isin(tested[MIXED], tested[name])], told[name][np.isin(tested[name], tested[MIXED])]
        figures = (*_figures(mixed), *((np.nan, np.nan) if name == MIXED else _figures(own)))
        table["all" if name == MIXED else name] = (len(mixed), *figures, reports[name].protocol)
    columns = ["clips", "mixed_uar", "mixed_wa", "own_uar", "own_wa", "protocol"]
    return pd.DataFrame.from_dict(table, orient="index", columns=columns)


def _figures(predictions: pd.DataFrame) -> tuple[float, float]:
    """UAR and WA; an emotion that is predicted but not there counts as an error, without the warning."""
    if predictions.empty:
        return np.nan, np.nan
    emotions, predicted = predictions["emotion"], predictions["predicted"]
    return uar(emotions, predicted), float((emotions == predicted).mean())
