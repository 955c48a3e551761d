"""Models and corpora -> honest figures."""

from .learning import learning_curve
from .protocols import PROTOCOLS, Protocol, make_protocol
from .report import EvaluationReport, evaluate, split_stateless
from .report_folder import check_report_folder, read_report, write_report
from .summary import ReportSection

__all__ = [
    "PROTOCOLS",
    "EvaluationReport",
    "Protocol",
    "ReportSection",
    "check_report_folder",
    "evaluate",
    "learning_curve",
    "make_protocol",
    "read_report",
    "split_stateless",
    "write_report",
]
