"""What JSON has, and what it has not."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from sersk.plain import to_plain


def test_arrays_and_numbers_of_numpy_become_lists_and_numbers():
    value = {1: np.arange(2), "a": (np.float64(0.5), np.bool_(True), None, "text", [math.nan, -math.inf, np.nan])}
    plain = to_plain(value, "it")
    assert plain == {"1": [0, 1], "a": [0.5, True, None, "text", [None, None, None]]}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_what_json_has_not_is_named_by_its_place():
    with pytest.raises(ValueError, match=r"^card\.a\[1\]: expected what JSON has \(text, .*\), got \{1\}\.$"):
        to_plain({"a": [0, {1}]}, "card")
