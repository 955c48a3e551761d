"""Model files of known types: what skops would build, and nothing else."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import skops.io
from forgery import fitted_pipeline
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import Bunch
from test_archives import hostile_nodes, node, text

from sersk import model_reader
from sersk.model_reader import read_known
from sersk.persistence import _USUAL_TYPES, TRUSTED_TYPES
from sersk.stored_models import StoredTree

KNOWN = {*TRUSTED_TYPES, *_USUAL_TYPES}


def schema_of(root: Any, **more: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", json.dumps(root | {"protocol": 2} | more))
    return buffer.getvalue()


def assert_equal(first: Any, second: Any) -> None:
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert list(first) == list(second)
        for name in first:
            assert_equal(first[name], second[name])
    elif isinstance(first, list | tuple):
        for one, other in zip(first, second, strict=True):
            assert_equal(one, other)
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    elif isinstance(first, np.random.RandomState):
        assert first.randint(1 << 30) == second.randint(1 << 30)
    elif hasattr(first, "__dict__"):
        assert_equal(vars(first), vars(second))
    else:
        assert first == second


def test_it_builds_what_skops_builds():
    tree = DecisionTreeClassifier(random_state=0).fit(np.eye(4), [0, 1, 1, 0])
    random = np.random.RandomState(7)
    random.randint(5, size=9)
    stored = {
        "plain": [None, True, -3, 0.1, float("inf"), "ä\n\ud800", ()],
        "type": str,
        "nested": (([1, (2,)], {"": {}}), Bunch(a=1, b=[2])),
        "arrays": [np.arange(6.0).reshape(2, 3), np.array(["happy", "sad"]), np.zeros((0, 2), np.float32)],
        "scalars": [np.float64(0.3), np.float32(0.1), np.int64(7)],
        "random": random,
        "tree": StoredTree(tree.tree_),
        "model": fitted_pipeline()[1],
    }
    content = skops.io.dumps(stored)
    assert_equal(read_known(content, KNOWN), skops.io.loads(content, trusted=[*KNOWN]))


def test_what_stands_at_two_places_is_one_thing():
    shared, array = [1], np.arange(3)
    first, second, numbers, same = read_known(skops.io.dumps([shared, shared, array, array]), KNOWN)
    assert first is second
    assert numbers is same


@pytest.mark.parametrize("name", _USUAL_TYPES)
def test_it_knows_no_type_of_scikit_learn_that_skops_does_not_trust(name):
    state = node("DictNode", "builtins.dict", content={}, key_types=node("ListNode", "builtins.list", content=[]))
    content = schema_of(node("ObjectNode", name, content=state))
    assert skops.io.get_untrusted_types(data=content) == []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        estimator = read_known(content, KNOWN)
    assert f"{type(estimator).__module__}.{type(estimator).__name__}" == name


@pytest.fixture
def nothing_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Building anything fails the test."""

    def refuse(*args: Any) -> None:
        raise AssertionError("something was to be built")

    monkeypatch.setattr(model_reader, "_build", refuse)


@pytest.mark.parametrize("name", hostile_nodes(""))
def test_there_is_nothing_else_that_it_builds(name, nothing_built):
    hostile = hostile_nodes("true")[name]
    known = node("ObjectNode", "sklearn.pipeline.Pipeline")
    beside = node("ListNode", "builtins.list", content=[known, hostile])
    for root in (hostile, beside, known | {"content": hostile}, known | {"unread": [{"deep": hostile}]}):
        assert read_known(schema_of(root), KNOWN) is None


@pytest.mark.parametrize(
    "stored",
    [
        {1: "a"},
        {"type": int},
        {"dtype": np.dtype("f4")},
        OrderedDict(a=1),
        {1, 2},
        b"bytes",
        np.array(["text", None], dtype=object),
        np.tanh,
        np.float16(1),
        slice(2),
    ],
    ids=repr,
)
def test_the_rest_is_left_to_skops(stored, nothing_built):
    assert read_known(skops.io.dumps([stored]), KNOWN) is None


@pytest.mark.parametrize("protocol", [0, 1, 3, "2", None])
def test_other_versions_of_the_format_are_left_to_skops(protocol, nothing_built):
    assert read_known(schema_of(text(1), protocol=protocol), KNOWN) is None


def test_types_are_known_to_the_caller_only(nothing_built):
    assert read_known(skops.io.dumps(fitted_pipeline()), {"sklearn.pipeline.Pipeline"}) is None


@pytest.mark.parametrize(
    "root",
    [
        {},
        {"__loader__": "JsonNode"},
        node("JsonNode", "builtins.str"),
        node("ListNode", "builtins.list"),
        node("ListNode", "builtins.list", content=[{"content": "1"}]),
        node("ListNode", "builtins.list", content=[1]),
        node("DictNode", "builtins.dict", content=[text(1)]),
        node("NdArrayNode", "numpy.ndarray"),
        node("NdArrayNode", "numpy.ndarray", file="1.npy"),
        node("RandomStateNode", "numpy.random.mtrand.RandomState", content=text(1)),
        node("ObjectNode", "sklearn.svm._classes.SVC", content=text(1)),
        node("ObjectNode", "sersk.stored_models.StoredTree", content=text(1)),
        text(1) | {"__id__": []},
        node(["JsonNode"], "builtins.str"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_an_error(root):
    with pytest.raises((KeyError, TypeError, AttributeError, ValueError)):
        read_known(schema_of(root), KNOWN)
