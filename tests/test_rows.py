"""Rows to predict from: the checks of scikit-learn, but for what needs none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator

from sersk.models import rows
from sersk.models.rows import check_rows


class Fitted(BaseEstimator):
    """Was fitted on three features."""

    def __init__(self, names=None):
        self.names = names
        self.n_features_in_ = 3
        if names:
            self.feature_names_in_ = np.array(names, dtype=object)


@pytest.fixture
def long_way(monkeypatch):
    """How often scikit-learn is asked."""
    asked = []
    theirs = rows.validate_data
    monkeypatch.setattr(rows, "validate_data", lambda *a, **k: asked.append(1) or theirs(*a, **k))
    return asked


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_plain_rows_are_taken_as_they_are(dtype, order, long_way):
    X = np.ones((4, 3), dtype=dtype, order=order)
    assert check_rows(Fitted(), X) is X
    assert not long_way


def test_the_rest_goes_the_long_way(long_way):
    for X in ([[1, 2, 3]], np.ones((1, 3), dtype=int), np.ones((1, 3), np.float16), pd.DataFrame(np.eye(3))):
        assert type(check_rows(Fitted(), X)) is np.ndarray
    assert check_rows(Fitted(), np.ones((1, 3)), (np.float32,)).dtype == np.float32
    huge = np.full((2, 3), 3e38, dtype=np.float32)  # finite, though its sum is not
    assert check_rows(Fitted(), huge) is huge
    assert len(long_way) == 6


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((2, 4)), "X has 4 features, but Fitted is expecting 3 features"),
        (np.ones((0, 3)), "0 sample"),
        (np.ones(3), "Expected 2D array"),
        (np.array([[1, np.nan, 0]]), "NaN"),
        (np.array([[np.inf, 1, 0]]), "infinity"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_in_scikit_learns_words(X, message):
    with pytest.raises(ValueError, match=message):
        check_rows(Fitted(), X)


def test_names_are_compared():
    names = ["a", "b", "c"]
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        check_rows(Fitted(names), np.ones((1, 3)))
    with pytest.raises(ValueError, match="feature names should match"):
        check_rows(Fitted(names), pd.DataFrame(np.ones((1, 3)), columns=names[::-1]))
