"""Values of Python and numpy -> what JSON has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def to_plain(value: Any, name: str) -> Any:
    """
    Turn a value into what JSON has.

    Parameters
    ----------
    value : object
        Text, numbers, lists, tuples, mappings, arrays, and these in each other.
    name : str
        Where the value is, for the message.

    Returns
    -------
    object
        Lists for arrays and tuples, numbers for numpy's scalars, None for NaN and infinity; keys are text.

    Raises
    ------
    ValueError
        If there is something else in it.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): to_plain(item, f"{name}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item, f"{name}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError(f"{name}: expected what JSON has (text, numbers, lists, mappings), got {value!r}.")
