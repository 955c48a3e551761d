"""Where a pipeline begins to learn."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from sersk.models.fronts import split_stateless

X = np.arange(6.0).reshape(3, 2)


def test_where_a_pipeline_is_parted():
    model = make_pipeline(FunctionTransformer(), "passthrough", None, StandardScaler(), FunctionTransformer(), SVC())
    front, back = split_stateless(model)
    assert (len(front), len(back)) == (3, 3)
    assert_array_equal(front.transform(X), X)
    assert split_stateless(make_pipeline(StandardScaler(), SVC()))[0] is None
    front, back = split_stateless(make_pipeline(FunctionTransformer(), FunctionTransformer()))
    assert (len(front), len(back)) == (1, 1)  # whatever it is, the last step is the model
    bare = SVC()
    assert split_stateless(bare) == (None, bare)
