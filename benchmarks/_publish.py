"""Rows -> a table on the screen and in artifacts/, with the command and the versions that made it."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
CORPORA = Path(__file__).parents[2] / "shared" / "corpora"
PACKAGES = ("sersk", "scikit-learn", "librosa", "numpy", "scipy", "soundfile", "soxr", "xgboost", "keras", "jax")

MODULES = {"scikit-learn": "sklearn"}  # those that are imported by another name


def kept_rows(name):
    """Rows of earlier runs in artifacts/NAME.csv, by what stands in their first column."""
    file = ARTIFACTS / f"{name}.csv"
    rows = pd.read_csv(file, dtype=str).to_dict("records") if file.exists() else []
    return {next(iter(row.values())): row for row in rows}


def publish_kept(name, title, rows, notes=""):
    """Publish rows, and keep them for the next run, which may measure some of them only."""
    table = pd.DataFrame(rows).fillna("-")
    table.to_csv(ARTIFACTS / f"{name}.csv", index=False)
    first = table.columns[0].upper()
    publish(name, title, table, f"{notes} Rows may be of several runs.", arguments=[f"[{first} ...]"])


def versions():
    """Python and the packages that are installed, with their versions."""
    found = [package for package in PACKAGES if find_spec(MODULES.get(package, package))]
    return ", ".join([f"Python {platform.python_version()}", *(f"{package} {version(package)}" for package in found)])


def machine():
    """How many cores are to be had, and what they are."""
    named = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="ascii"), re.MULTILINE)
    return f"{len(os.sched_getaffinity(0))} cores ({named[1] if named else platform.machine()})"


def peak_megabytes():
    """Peak resident memory of this process; getrusage would tell that of the process that started it, if larger."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) // 1024


def publish(name, title, rows, notes="", arguments=sys.argv[1:]):
    """Print rows as a table and write it to artifacts/NAME.md."""
    table = pd.DataFrame(rows)
    widths = [max(len(str(value)) for value in [column, *table[column]]) for column in table]
    lines = ["| " + " | ".join(str(c).ljust(w) for c, w in zip(table, widths, strict=True)) + " |"]
    lines.append("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    lines += [
        "| " + " | ".join(str(v).ljust(w) for v, w in zip(row, widths, strict=True)) + " |"
        for row in table.itertuples(index=False)
    ]
    command = f"python benchmarks/{Path(sys.argv[0]).name}" + "".join(f" {argument}" for argument in arguments)
    text = "\n".join(
        [
            f"# {title}",
            "",
            *lines,
            "",
            *([notes, ""] if notes else []),
            f"Made by `{command}` on {machine()}, {versions()}.",
            "",
        ]
    )
    print(text)
    (ARTIFACTS / f"{name}.md").write_text(text, encoding="utf-8")
