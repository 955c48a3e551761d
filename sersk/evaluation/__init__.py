"""Models and corpora -> honest figures."""

from .importance import family_importance
from .learning import learning_curve
from .protocols import PROTOCOLS, Protocol, make_protocol
from .report import EvaluationReport, evaluate
from .report_folder import check_report_folder, read_report, write_report
from .robustness import RobustnessReport, evaluate_robustness
from .summary import ReportSection

__all__ = [
    "PROTOCOLS",
    "EvaluationReport",
    "Protocol",
    "ReportSection",
    "RobustnessReport",
    "check_report_folder",
    "evaluate",
    "evaluate_robustness",
    "family_importance",
    "learning_curve",
    "make_protocol",
    "read_report",
    "write_report",
]
