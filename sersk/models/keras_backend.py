"""Environment -> Keras and scikeras, on a backend that is chosen before they are imported."""

from __future__ import annotations

import importlib.util
import os
import sys

# Keras' own default would be TensorFlow. JAX trains an LSTM on CPU fastest, at a quarter of the size installed.
if "keras" not in sys.modules and not os.environ.get("KERAS_BACKEND") and importlib.util.find_spec("jax") is not None:
    os.environ["KERAS_BACKEND"] = "jax"

try:
    import keras
    from scikeras.wrappers import KerasClassifier
except (ImportError, ValueError) as error:
    chosen = os.environ.get("KERAS_BACKEND")
    if isinstance(error, ImportError) and error.name == chosen != "jax":
        raise ImportError(
            f"KERAS_BACKEND={chosen}: {chosen} is not installed. Unset KERAS_BACKEND for JAX, or: pip install {chosen}"
        ) from error
    if isinstance(error, ValueError):  # what Keras says of a name that it does not know
        raise ImportError(f"KERAS_BACKEND={chosen}: expected jax, tensorflow or torch. Unset it for JAX.") from error
    raise ImportError(f"Networks need Keras and JAX ({error}): pip install 'sersk[keras]'") from error

__all__ = ["KerasClassifier", "keras"]
