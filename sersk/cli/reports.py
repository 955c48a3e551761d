"""What came of experiments -> report folders; heavy imports stand inside the functions."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sersk.outputs import check_folder
from sersk.terminal import say, show_folds, visible

if TYPE_CHECKING:
    from sersk.evaluation import EvaluationReport, ReportSection
    from sersk.experiments import Experiment

# Parameters of a command that have no say in what comes of it.
_HOW = ("corpus", "out", "cache", "jobs")


def check_folders(out: Path, parts: Sequence[str] | None) -> None:
    """Find out that reports cannot be written; `parts` are the names of the models, None for a single one."""
    if parts is not None and out.is_dir() and (strange := sorted({file.name for file in out.iterdir()} - {*parts})):
        raise ValueError(
            f"--out {out}: there is {strange[0]!r} in it, which is no folder of one of {', '.join(parts)}. "
            "Give a folder that is empty, or not there yet."
        )
    for part in [None] if parts is None else parts:
        check_folder("--out", _folder_of_part(out, part))


def _folder_of_part(out: Path, part: str | None) -> Path:
    return out if part is None else (out / "any").with_name(part)  # which refuses what is no name


def learning_section(experiment: Experiment, seed: int, *, in_lines: bool) -> list[ReportSection]:
    """Train an experiment's model on fewer speakers, if these can be kept apart from those that are tested."""
    from sersk.evaluation import ReportSection, learning_curve
    from sersk.evaluation.plots import plot_learning_curve

    try:
        table = learning_curve(
            experiment.learner,
            experiment.corpus,
            protocol=experiment.protocol,
            random_state=seed,
            n_jobs=experiment.n_jobs,
            progress=functools.partial(show_folds, in_lines=in_lines, what="learning curve"),
        )
    except ValueError as error:  # what has been evaluated is not to be lost for it
        say(f"--learning-curve: {error}")
        return []
    text = (
        "What is right after learning from fewer speakers, drawn at random, on the same test clips; the bars are one "
        "standard deviation of the draws. A curve that still rises says that more speakers would help."
    )
    return [ReportSection("learning_curve", "By number of speakers", text, table, plot_learning_curve)]


def robustness_section(experiment: Experiment, seed: int, *, in_lines: bool) -> list[ReportSection]:
    """Test an experiment's model on degraded clips."""
    from sersk.evaluation import ReportSection
    from sersk.evaluation.plots import plot_robustness

    report = experiment.evaluate_robustness(
        random_state=seed,
        progress=functools.partial(show_folds, in_lines=in_lines, what="robustness"),
        on_condition=lambda condition: say(f"{condition.name}: {condition.description}"),
    )
    text = "What is right when the clips that are tested are degraded; trained on clips as they are."
    return [ReportSection("robustness", "In noise and worse", text, report.table, lambda _: plot_robustness(report))]


def _comparison_section(
    experiments: Mapping[str, Experiment], reports: Mapping[str, EvaluationReport]
) -> ReportSection:
    """Set the models of parts against the mixed one."""
    from sersk.evaluation import ReportSection
    from sersk.parts import compare_reports

    table = compare_reports(experiments, reports).rename_axis("part").reset_index()
    text = "The same clips, by this model of all clips (mixed) and by a model of their own."
    return ReportSection("comparison", "Against models of parts", text, table)


def write_reports(
    parameters: Mapping[str, Any],
    experiments: Mapping[str, Experiment],
    reports: Mapping[str, EvaluationReport],
    sections: Mapping[str, Sequence[ReportSection]],
) -> None:
    """Write a folder for each experiment of a command with these parameters, and say so."""
    from sersk.evaluation import write_report
    from sersk.experiments import MIXED

    given = {name: one for name, one in parameters.items() if name not in _HOW}
    options = {name: one for name, one in given.items() if one is not None and one is not False}
    words = ["sersk", "evaluate", *parameters["corpus"]]
    for name, one in options.items():
        words += [f"--{name.replace('_', '-')}", *([] if one is True else [str(one)])]
    for name, experiment in experiments.items():
        part = name if len(experiments) > 1 else None
        folder = _folder_of_part(Path(parameters["out"]), part)  # older Typers keep it as text
        compared = [_comparison_section(experiments, reports)] if part == MIXED else []
        write_report(
            reports[name],
            folder,
            card={"command": shlex.join(words), "part": part, **options},
            failures=experiment.failures,
            sections=[*sections[name], *compared],
        )
        say(f"report: {visible(folder / 'report.html')}")
