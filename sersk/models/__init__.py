"""Vectors and sequences -> emotions: classifiers under one estimator interface."""

import lazy_loader as _lazy

# The names of __init__.pyi, each imported when it is used: to predict, few of these modules are needed.
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
