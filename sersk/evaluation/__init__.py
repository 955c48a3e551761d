"""Models and corpora -> honest figures."""

from .crossvalidation import split_stateless
from .protocols import PROTOCOLS, Protocol, make_protocol
from .report import EvaluationReport, evaluate
from .robustness import RobustnessReport, evaluate_robustness

__all__ = [
    "PROTOCOLS",
    "EvaluationReport",
    "Protocol",
    "RobustnessReport",
    "evaluate",
    "evaluate_robustness",
    "make_protocol",
    "split_stateless",
]
