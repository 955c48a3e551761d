"""Reports of a benchmark -> tables."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from .atomic_files import replace_file
from .audio import AudioError
from .evaluation import EvaluationReport
from .evaluation.comparison import Ranking, compare, rank_models
from .models.network_recipes import NETWORKS

ARROW = " -> "  # between the corpus that is trained on and the one that is tested
_PACKAGES = ("sersk", "scikit-learn", "librosa", "numpy", "xgboost")


@dataclass(frozen=True)
class Cell:
    """
    Name one estimate of a benchmark.

    Parameters
    ----------
    model, features : str
        As in `emotion_pipeline`.
    corpus : str
        Its name; ``"A -> B"`` is trained on the one and tested on the other.
    protocol : str
        As in `evaluate`.
    """

    model: str
    features: str
    corpus: str
    protocol: str

    @property
    def folder(self) -> str:
        """Name of the folder with its report."""
        words = (self.corpus.replace(ARROW, "-to-"), self.protocol, self.model, self.features)
        plain = "_".join("".join(c if c.isalnum() or c in "-." else "-" for c in word) for word in words)
        told = hashlib.sha256("\n".join(words).encode()).hexdigest()[:6]  # two names may look alike when made plain
        return f"{plain}_{told}"


@dataclass(frozen=True)
class Benchmark:
    """
    Hold the reports of a benchmark.

    Parameters
    ----------
    reports : dict of Cell to EvaluationReport
        Those that could be made.
    refused : dict of Cell to str
        Why the others could not.
    seconds : dict of Cell to float
        What each report took, features apart.
    failures : dict of str to AudioError
        Clips that could not be read and were left out, as far as clips were read this time.
    unwritten : list of OSError
        What kept reports from being written, such as a full disk.

    See Also
    --------
    run_benchmark : Makes one.
    """

    reports: dict[Cell, EvaluationReport]
    refused: dict[Cell, str]
    seconds: dict[Cell, float]
    failures: dict[str, AudioError] = field(default_factory=dict)
    unwritten: list[OSError] = field(default_factory=list)

    @property
    def table(self) -> pd.DataFrame:
        """A row for each cell: names, number of clips, UAR with its interval, other figures, seconds."""
        rows = []
        for cell in [*self.reports, *self.refused]:
            row: dict[str, Any] = vars(cell).copy()
            if cell in self.reports:
                report = self.reports[cell]
                interval = report.intervals()["uar"]
                row |= {"clips": len(report.predictions), "uar": report.uar, "low": interval.low, "high": interval.high}
                row |= {"wa": report.wa, "macro_f1": report.macro_f1, "ece": report.calibration_error}
                row |= {"unseen_speakers": report.speaker_independent, "seconds": self.seconds[cell]}
            row["note"] = self.refused.get(cell, "")
            rows.append(row)
        return pd.DataFrame(rows)

    def against_best(self) -> pd.DataFrame:
        """
        Compare, for each corpus and protocol, the best model with each other one on the same clips.

        Returns
        -------
        DataFrame of shape (n_comparisons, 8)
            Names: corpus, protocol, best, other; the ``difference`` of UAR with its interval ``low`` to ``high`` over
            speakers, and the ``p_value`` of McNemar's test.
        """
        rows = []
        for (corpus, protocol), cells in self._by_place().items():
            best, *others = sorted(cells, key=lambda cell: -self.reports[cell].uar)
            for other in others:
                try:
                    found = compare(self.reports[best], self.reports[other])
                except ValueError:  # one of them could not take some clip
                    continue
                names = {"corpus": corpus, "protocol": protocol, "best": _called(best), "other": _called(other)}
                figures = {"difference": found.difference, "low": found.interval.low, "high": found.interval.high}
                rows.append(names | figures | {"p_value": found.p_value})
        columns = ["corpus", "protocol", "best", "other", "difference", "low", "high", "p_value"]
        return pd.DataFrame(rows, columns=columns)

    def matrix(self, model: str, features: str = "default") -> pd.DataFrame:
        """
        Set the UAR of one model across corpora into a square.

        Parameters
        ----------
        model, features : str
            As in `Cell`.

        Returns
        -------
        DataFrame of shape (n_corpora, n_corpora)
            What is trained on down, what is tested across, with the emotions that both have; on the diagonal each
            corpus by itself, with all its emotions. NaN where there is no report.
        """
        uars: dict[tuple[str, str], float] = {}
        for cell, report in self.reports.items():
            if (cell.model, cell.features) == (model, features):
                source, _, target = cell.corpus.partition(ARROW)
                uars.setdefault((source, target or source), report.uar)  # of several protocols the first
        index = pd.MultiIndex.from_tuples(list(uars), names=["trained on", "tested on"])
        return pd.Series([*uars.values()], index).unstack()

    def ranking(self, protocol: str) -> Ranking:
        """
        Rank the models over the corpora by UAR.

        Parameters
        ----------
        protocol : str
            Whose figures.

        Returns
        -------
        Ranking
            Friedman's and Nemenyi's tests.

        Raises
        ------
        ValueError
            If there are fewer than two corpora or three models, or a figure is missing.
        """
        cells = [cell for cell in self.reports if cell.protocol == protocol and ARROW not in cell.corpus]
        rows = [(cell.corpus, _called(cell), self.reports[cell].uar) for cell in cells]
        table = pd.DataFrame(rows, columns=["corpus", "model", "uar"])
        return rank_models(table.pivot_table(index="corpus", columns="model", values="uar"))

    def _by_place(self) -> dict[tuple[str, str], list[Cell]]:
        places: dict[tuple[str, str], list[Cell]] = {}
        for cell in self.reports:
            places.setdefault((cell.corpus, cell.protocol), []).append(cell)
        return places


def _called(cell: Cell) -> str:
    return cell.model if cell.features == "default" else f"{cell.model} ({cell.features})"


def write_tables(found: Benchmark, folder: Path, command: str) -> Path:
    """
    Sum up a benchmark in ``benchmark.csv`` and ``benchmark.md``.

    Parameters
    ----------
    found : Benchmark
        What is summed up.
    folder : Path
        Where to write.
    command : str
        What made it, for the reader.

    Returns
    -------
    Path
        The Markdown file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    table = found.table
    with replace_file(folder / "benchmark.csv") as draft:
        table.to_csv(draft, index=False)
    shown = table.drop(columns=["low", "high"], errors="ignore")
    if "uar" in table:
        shown.insert(6, "95 %", [_limits(low, high) for low, high in zip(table["low"], table["high"], strict=True)])
    parts = ["# Benchmark", _markdown(shown), _NOTES]
    against = found.against_best()
    if len(against):
        against["95 %"] = [_limits(low, high) for low, high in zip(against["low"], against["high"], strict=True)]
        parts += [
            "## Each model beside the best one, on the same clips",
            _markdown(against.drop(columns=["low", "high"])),
        ]
    for model, features in {(cell.model, cell.features): None for cell in found.reports if ARROW in cell.corpus}:
        square = found.matrix(model, features).reset_index()
        title = f"## {_called(Cell(model, features, '', ''))}: UAR trained on a row, tested on a column"
        parts += [title, _markdown(square), "Between two corpora: the emotions that both have. On the diagonal: all."]
    for protocol in table["protocol"].unique():
        try:
            ranking = found.ranking(protocol)
        except ValueError:  # too few corpora or models, or gaps
            continue
        ranks = ranking.ranks.sort_values().rename_axis("model").reset_index(name="mean rank")
        told = (
            f"Friedman's test: p = {ranking.p_value:.3g}. Mean ranks that are more than "
            f"{ranking.critical_difference:.2f} apart differ at the 5 % level (Nemenyi)."
        )
        parts += [f"## Ranks over the corpora, protocol {protocol}", _markdown(ranks), told]
    networks = ("keras", "jax") if any(cell.model in NETWORKS for cell in found.reports) else ()
    versions = ", ".join(f"{package} {version(package)}" for package in (*_PACKAGES, *networks))
    parts.append(f"Made by `{command}` on Python {platform.python_version()}, {versions}.\n")
    file = folder / "benchmark.md"
    with replace_file(file) as draft:
        draft.write_text("\n\n".join(parts), encoding="utf-8")
    return file


_NOTES = (
    "uar: unweighted average recall, with its 95 % interval over speakers. wa: weighted accuracy. ece: expected\n"
    "calibration error. unseen_speakers: whether no tested speaker was trained on; where it is False, the figures say\n"
    "nothing of new voices. seconds: of training and testing, features apart."
)


def _limits(low: float, high: float) -> str:
    return "" if pd.isna(low) else f"{low:.3f} to {high:.3f}"


def _markdown(table: pd.DataFrame) -> str:
    cells = [[str(name) for name in table], *([_cell(value) for value in row] for row in table.to_numpy(dtype=object))]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else str(int(value)) if value.is_integer() and value > 1 else f"{value:.3f}"
    return str(value).replace("|", "/").replace("\n", " ")
