"""Models and corpora -> honest figures."""

from .importance import family_importance
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
    "family_importance",
    "make_protocol",
]
