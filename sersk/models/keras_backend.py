"""Environment -> Keras and scikeras, on a backend that is chosen before they are imported."""

from __future__ import annotations

import importlib.util
import os
import sys

# Keras' own default would be TensorFlow. JAX trains an LSTM on CPU fastest, at a quarter of the size installed.
if "keras" not in sys.modules and importlib.util.find_spec("jax") is not None:
    os.environ.setdefault("KERAS_BACKEND", "jax")

try:
    import keras
    from scikeras.wrappers import KerasClassifier
except ImportError as error:
    raise ImportError(f"Networks need Keras and JAX ({error}): pip install 'sersk[keras]'") from error

__all__ = ["KerasClassifier", "keras"]
