"""Models and corpora -> honest figures."""

from .protocols import PROTOCOLS, Protocol, make_protocol
from .report import EvaluationReport, evaluate

__all__ = ["PROTOCOLS", "EvaluationReport", "Protocol", "evaluate", "make_protocol"]
