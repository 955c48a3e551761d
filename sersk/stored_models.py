"""Fitted model -> what of it is stored, and back."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator

if TYPE_CHECKING:
    from sklearn.tree._tree import Tree

# Settings of work on one machine, and what they go back to.
WORK_SETTINGS = {"n_jobs": None, "memory": None, "verbose": False, "checkpoint": None, "callbacks": None}


def pack(model: Any) -> Any:
    """
    Copy a model without what only concerns its training and work with it, its decision trees as plain arrays.

    Parameters
    ----------
    model : estimator
        Fitted; it is not changed.

    Returns
    -------
    estimator
        What goes into a file.
    """
    from sklearn.tree._tree import Tree

    packed = copy.deepcopy(model)
    _reset(packed)
    for part in parts(packed):
        if isinstance(getattr(part, "tree_", None), Tree):
            part.tree_ = StoredTree(part.tree_)
    return packed


def unpack(model: Any) -> Any:
    """
    Make a packed model, which may come from anywhere, one that predicts.

    Parameters
    ----------
    model : estimator
        What a file held; it is changed.

    Returns
    -------
    estimator
        The same object.

    Raises
    ------
    ValueError
        If a decision tree in it is none.
    """
    _reset(model)  # in a foreign file `memory` would name a folder of pickles
    for part in parts(model):
        if isinstance(getattr(part, "tree_", None), StoredTree):
            part.tree_ = part.tree_.build(part.n_features_in_)
    return model


def parts(model: Any) -> Iterator[Any]:
    """
    Walk a model and all that it is made of, each once.

    Parameters
    ----------
    model : object
        Where to start.

    Yields
    ------
    object
        The model itself, what its attributes hold, and so on.
    """
    seen: dict[int, Any] = {}
    ahead = [model]
    while ahead:
        part = ahead.pop()
        if id(part) in seen or isinstance(part, type | ModuleType):
            continue
        seen[id(part)] = part
        yield part
        if isinstance(part, dict):
            ahead += part.values()
        elif isinstance(part, list | tuple | set):
            ahead += part
        elif isinstance(part, np.ndarray) and part.dtype == object:
            ahead += part.ravel().tolist()
        ahead += getattr(part, "__dict__", {}).values()


class StoredTree:
    """
    Keep a decision tree as plain arrays.

    scikit-learn's own ``Tree`` is built and read by compiled code that believes every index in it, which is why skops
    does not trust it. Here the arrays are checked before such a tree is made of them.

    Parameters
    ----------
    tree : sklearn.tree._tree.Tree
        The tree of a fitted estimator.
    """

    def __init__(self, tree: Tree) -> None:
        _, (self.n_features, self.n_classes, self.n_outputs), self.state = tree.__reduce__()

    def build(self, n_features: int) -> Tree:
        """
        Make the tree again.

        Parameters
        ----------
        n_features : int
            Number of features of the estimator that the tree belongs to.

        Returns
        -------
        Tree
            One that compiled code can walk without leaving its arrays.

        Raises
        ------
        ValueError
            If the arrays are of no such tree.
        """
        from sklearn.tree._tree import Tree

        nodes, values = self.state["nodes"], self.state["values"]
        left, right, feature = nodes["left_child"], nodes["right_child"], nodes["feature"]
        own = np.arange(len(nodes))
        inner = left != -1
        children_follow = (left > own) & (left < len(nodes)) & (right > own) & (right < len(nodes))
        sound = (
            self.n_features == n_features
            and self.n_classes.shape == (self.n_outputs,)
            and (self.n_classes > 0).all()
            and self.state["node_count"] == len(nodes) > 0
            and values.shape == (len(nodes), self.n_outputs, self.n_classes.max())
            and (children_follow & (feature >= 0) & (feature < n_features))[inner].all()
        )
        if not sound:
            raise ValueError("a decision tree points outside of itself")
        tree = Tree(self.n_features, self.n_classes, self.n_outputs)
        tree.__setstate__(self.state)
        return tree


def _reset(model: Any) -> None:
    """Leave out, everywhere in a model, what does not matter to its predictions."""
    for part in parts(model):
        if isinstance(part, BaseEstimator):
            state = vars(part)
            state.pop("_metadata_request", None)  # scikit-learn makes it anew; it leads back to its owner, a circle
            if "_optimizer" in state:
                from sklearn.neural_network._stochastic_optimizers import BaseOptimizer

                if isinstance(state["_optimizer"], BaseOptimizer):
                    del state["_optimizer"]  # two thirds of a perceptron's size, and of use to its training only
            state.update({name: value for name, value in WORK_SETTINGS.items() if name in state})
