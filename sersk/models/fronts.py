"""Pipeline -> what depends on the clip alone, and what learns."""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags


def split_stateless(model: Any) -> tuple[Pipeline | None, Any]:
    """
    Part a pipeline where it begins to learn.

    What comes before depends on the clip alone and can be computed once for all folds without any leak.

    Parameters
    ----------
    model : estimator
        Usually a Pipeline that starts with a stateless transformer.

    Returns
    -------
    front : Pipeline or None
        The leading steps that need no fitting.
    back : estimator
        The rest.
    """
    if not isinstance(model, Pipeline):
        return None, model
    n_front = 0
    while n_front < len(model.steps) - 1 and is_stateless(model.steps[n_front][1]):
        n_front += 1
    return (model[:n_front], model[n_front:]) if n_front else (None, model)


def is_stateless(step: Any) -> bool:
    """
    Tell whether a step of a pipeline depends on each clip alone.

    Parameters
    ----------
    step : transformer, None or "passthrough"
        What stands in a pipeline.

    Returns
    -------
    bool
        Whether it needs no fitting.
    """
    return step is None or step == "passthrough" or not get_tags(step).requires_fit
