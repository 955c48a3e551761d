"""Checked bytes of a model file -> the model, where it is made of nothing but known types."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Collection
from typing import Any
from zipfile import ZipFile

import numpy as np

from .archives import read_array, read_schema

# The version of skops' format that is read here.
_PROTOCOL = 2
# The nodes of skops' schema that are read here, and the types that each may build. Beside these there are nodes of
# estimators, whose types the caller knows.
_PLAIN = {
    "JsonNode": {"builtins.str"},
    "TypeNode": {"builtins.str"},
    "ListNode": {"builtins.list"},
    "TupleNode": {"builtins.tuple"},
    "DictNode": {"builtins.dict", "sklearn.utils._bunch.Bunch"},
    "NdArrayNode": {"numpy.ndarray", "numpy.float32", "numpy.float64", "numpy.int64"},
    "RandomStateNode": {"numpy.random.mtrand.RandomState"},
}


def read_known(content: bytes, known: Collection[str]) -> Any:
    """
    Build a stored model as skops does, if that takes plain values and known types only.

    skops imports all of scikit-learn, to learn the names of its estimators: half of the time of a prediction in a new
    process. The files of sersk's own models can do without.

    Parameters
    ----------
    content : bytes
        What `read_archive` gives.
    known : collection of str
        Full names of the estimators, and of the like, that may be built.

    Returns
    -------
    object or None
        What is stored. None if there is anything else in the file; then nothing of it was imported or built.
    """
    schema = read_schema(content)
    types: dict[str, Collection[str]] = {**_PLAIN, "ObjectNode": known}
    # It is asked about every node, wherever it stands; what is none of these is not built.
    if schema.root["protocol"] != _PROTOCOL or not all(name in types.get(loader, ()) for loader, name in schema.kinds):
        return None
    with ZipFile(io.BytesIO(content)) as archive:
        return _build(schema.root, archive, {})


def _build(node: dict[str, Any], archive: ZipFile, built: dict[Any, Any]) -> Any:
    """Make the value of a node; one that stands at several places is the same one at all of them."""
    key = node.get("__id__")
    if key not in built:
        value = _make(node, archive, built)
        if key is None:
            return value
        built[key] = value
    return built[key]


def _make(node: dict[str, Any], archive: ZipFile, built: dict[Any, Any]) -> Any:
    def of(part: dict[str, Any]) -> Any:
        return _build(part, archive, built)

    match node["__loader__"]:
        case "JsonNode":
            return json.loads(node["content"])
        case "TypeNode":
            return str
        case "ListNode":
            return [of(item) for item in node["content"]]
        case "TupleNode":
            return tuple(of(item) for item in node["content"])
        case "DictNode":  # its keys are of type str, since there is no other type in the file
            mapping = _type(node)()
            mapping.update({name: of(item) for name, item in node["content"].items()})
            return mapping
        case "NdArrayNode":
            array = read_array(archive, node["file"])
            return array if node["__class__"] == "ndarray" else _type(node)(array)
        case "RandomStateNode":
            random = np.random.RandomState()
            random.set_state(of(node["content"]))
            return random
    kind = _type(node)
    estimator = kind.__new__(kind)
    if hasattr(estimator, "__setstate__"):
        estimator.__setstate__(of(node["content"]))
    else:
        vars(estimator).update(of(node["content"]))
    return estimator


def _type(node: dict[str, Any]) -> Any:
    return getattr(importlib.import_module(node["__module__"]), node["__class__"])
