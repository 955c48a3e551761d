"""Interrupt commands at random moments while all cores are busy: exit codes, seconds to the end, what is kept.

Usage: python benchmarks/bench_interrupt.py [RUNS]

RUNS (5) are made of each moment. A network is trained by one command that is interrupted, and resumed from its
checkpoint by the next one, time and again; what was reached must never be lost.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np
from _publish import publish

from sersk.corpora import make_emotional_speech

FIT = "fit clips --model lstm --resume --cache cache --jobs 1"
# Moment: command, what its stderr says by then, most seconds that pass after it, signals.
MOMENTS = {
    "fit, start": (FIT, "", 3.0, [signal.SIGINT]),
    "fit, features by two processes": (
        "fit clips --model lstm --jobs 2 --out other.sersk",
        "clips, ",
        4.0,
        [signal.SIGINT],
    ),
    "fit, compilation and first epoch": (FIT, "fold 1", 6.0, [signal.SIGINT]),
    "fit, epochs": (FIT, "epoch", 10.0, [signal.SIGINT]),
    "fit, epochs, Ctrl-C twice": (FIT, "epoch", 10.0, [signal.SIGINT, signal.SIGINT]),
    "fit, epochs, SIGTERM": (FIT, "epoch", 10.0, [signal.SIGTERM]),
    "features by two processes": ("features many --jobs 2", "clips", 3.0, [signal.SIGINT]),
    "evaluate by two processes": (
        "evaluate many --model svm --jobs 2 --cache cache",
        "evaluation",
        3.0,
        [signal.SIGINT],
    ),
    "benchmark": ("benchmark many --models lda,svm --jobs 2 --cache cache", "clips, ", 6.0, [signal.SIGINT]),
}


def epochs_kept(folder):
    """How many epochs the checkpoints hold, each of which must be whole."""
    n_epochs = 0
    for file in folder.glob("[!.]*.npz"):
        try:
            with file.open("rb") as opened, np.load(opened) as held:
                arrays = dict(held)
        except FileNotFoundError:  # the training is done
            return 0
        n_epochs += len(json.loads(arrays["told"].tobytes())["history"]["loss"])
    return n_epochs


def processes_of(leader):
    """List the processes of a session that still run."""
    rows = [row.split() for row in subprocess.check_output(["/bin/ps", "-eo", "sess=,stat="], text=True).splitlines()]
    return [row for row in rows if row[0] == str(leader) and not row[1].startswith("Z")]


def interrupt(command, said, longest, signals, folder, draw):
    """Run a command, and interrupt it: exit code, seconds, whether what was reached is kept, what is left."""
    checkpoint = folder / ".model.sersk.checkpoint"
    before = epochs_kept(checkpoint)
    log = folder / "stderr"
    with log.open("wb") as stderr:
        running = subprocess.Popen(
            [sys.executable, "-m", "sersk", *command.split()],
            stdout=stderr,
            stderr=stderr,
            cwd=folder,
            start_new_session=True,
        )
    end = time.monotonic() + 600
    if said == "epoch":
        while epochs_kept(checkpoint) <= before and running.poll() is None and time.monotonic() < end:
            time.sleep(0.2)
    else:
        while said not in log.read_text() and running.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
    time.sleep(draw.uniform(0, longest))
    kept = epochs_kept(checkpoint)
    if running.poll() is not None:
        return None
    start = time.monotonic()
    for number in signals:
        os.killpg(running.pid, number)
        time.sleep(0.2 if len(signals) > 1 else 0)
    try:
        code = running.wait(120)
    except subprocess.TimeoutExpired:
        code = "none"
        running.kill()
    seconds = time.monotonic() - start
    time.sleep(0.5)
    left = len(processes_of(running.pid))
    drafts = [
        str(file.relative_to(folder)) for file in folder.rglob(".*") if not file.is_dir() and "cache" not in file.parts
    ]
    said = log.read_text()
    faults = [*(["worker left"] * left), *drafts, *(["traceback"] if re.search("Traceback|Fatal", said) else [])]
    if running.returncode and epochs_kept(checkpoint) < kept:
        faults.append("epochs lost")
    if faults or code not in (130, 143):
        print(code, f"{seconds:.1f}", faults, said[-3000:], file=sys.stderr, flush=True)
    return code, seconds, faults


def main():
    n_runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    chosen = sys.argv[2:] or list(MOMENTS)
    draw = random.Random(0)  # noqa: S311
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in os.sched_getaffinity(0)]
    rows = []
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_emotional_speech(
                folder / "clips", emotions=["angry", "happy", "sad"], n_speakers=3, n_repetitions=2, duration=0.6
            )
            make_emotional_speech(folder / "many", n_speakers=6, n_repetitions=8, duration=1.0)
            for moment in chosen:
                runs = [interrupt(*MOMENTS[moment], folder, draw) for _ in range(n_runs)]
                runs = [run for run in runs if run is not None]  # those that were done before
                codes = Counter(str(code) for code, _, _ in runs)
                seconds = [second for _, second, _ in runs]
                faults = Counter(fault for _, _, found in runs for fault in found)
                rows.append(
                    {
                        "interrupted": moment,
                        "runs": len(runs),
                        "exit codes": ", ".join(f"{n} x {code}" for code, n in codes.items()),
                        "s, median": f"{median(seconds):.2f}" if seconds else "-",
                        "s, most": f"{max(seconds, default=0):.2f}",
                        "faults": ", ".join(f"{n} x {fault}" for fault, n in faults.items()) or "-",
                    }
                )
                print(rows[-1], flush=True)
    finally:
        for process in busy:
            process.kill()
    return rows


if __name__ == "__main__":
    rows = main()
    if not os.environ.get("NOPUBLISH"):
        publish("interrupt", "Interrupted commands", rows)
