"""Models and corpora -> honest figures."""

from .importance import family_importance
from .protocols import PROTOCOLS, Protocol, make_protocol
from .report import EvaluationReport, evaluate

__all__ = [
    "PROTOCOLS",
    "EvaluationReport",
    "Protocol",
    "evaluate",
    "family_importance",
    "make_protocol",
]
