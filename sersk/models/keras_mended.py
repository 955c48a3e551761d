"""Scikeras' classifier -> one that scikit-learn accepts: names, tags, routing of parameters."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import ClassifierTags

from .keras_backend import KerasClassifier, keras

# Parameters of scikeras that nothing here reads.
_HIDDEN = frozenset(
    ("model", "build_fn", "loss", "warm_start", "validation_batch_size", "validation_split", "shuffle", "run_eagerly")
)
_DEFAULTS = {name: one.default for name, one in inspect.signature(KerasClassifier).parameters.items()} | {
    "loss": "categorical_crossentropy"
}


class MendedKerasClassifier(KerasClassifier):
    """
    Mend what scikeras 0.13 lacks for scikit-learn 1.7 and later; nothing of sequences is in it.

    Parameters
    ----------
    **kwargs : dict
        Those of scikeras.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def _get_param_names(self) -> list[str]:
        return sorted(
            name for name in vars(self) if not (name.endswith("_") or name.startswith("_") or name in _HIDDEN)
        )

    # scikeras prints all parameters, a line each; scikit-learn those that are not at their default.
    __repr__ = BaseEstimator.__repr__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # scikeras names its bases in an order in which scikit-learn takes it for no classifier.
        tags.estimator_type = "classifier"
        tags.classifier_tags = ClassifierTags()
        tags.target_tags.required = True
        tags.input_tags.three_d_array = True
        tags.non_deterministic = self.random_state is None
        return tags

    def _check_names(self) -> None:
        """Refuse parameters that nothing reads: scikeras' `__init__` takes any."""
        own = inspect.signature(type(self).__init__).parameters
        given = [*self.get_params(deep=False), *(name for name in _HIDDEN if getattr(self, name) != _DEFAULTS[name])]
        if strange := [name for name in given if name not in own and not name.startswith(("model__", "optimizer__"))]:
            raise ValueError(
                f"Unknown parameters: {', '.join(sorted(strange))}. Those of the network start with model__, those of "
                "the optimizer with optimizer__."
            )

    def _routed(self, destination: str) -> dict[str, Any]:
        prefix = f"{destination}__"
        return {
            name.removeprefix(prefix): value
            for name, value in self.get_params(deep=False).items()
            if name.startswith(prefix)
        }

    def _get_compile_kwargs(self) -> dict[str, Any]:
        optimizer = self.optimizer
        if isinstance(optimizer, str):
            optimizer = type(keras.optimizers.get(optimizer))(**self._routed("optimizer"))
        else:  # a fresh one: what it learned in another fit is not for this one
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)  # Keras, numpy 2
                optimizer = optimizer.from_config(optimizer.get_config())
        return {"optimizer": optimizer, "loss": "categorical_crossentropy", "metrics": list(self.metrics or ())}

    # scikeras' own would encode the labels anew.
    score = ClassifierMixin.score

    @property
    def partial_fit(self) -> Any:
        """Not offered: speakers cannot be held out from what comes in pieces; see `checkpoint`."""
        raise AttributeError(
            "KerasSequenceClassifier has no partial_fit; an interrupted fit goes on with checkpoint=FOLDER."
        )

    @property
    def initialize(self) -> Any:
        """Not offered: a network without weights of its own has nothing to say."""
        raise AttributeError("KerasSequenceClassifier has no initialize; call fit.")
