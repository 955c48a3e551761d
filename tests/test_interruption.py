"""Ctrl-C ends a command at once, and keeps what can be gone on from."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from conftest import needs_keras

pytestmark = pytest.mark.skipif(
    os.name == "nt" or shutil.which("ps") is None, reason="needs SIGINT, process groups and ps"
)

TESTS = Path(__file__).parent
# Two workers and the main process, each in the middle of a call that no exception ends; a file is half written.
BUSY = """
import sys, time
from pathlib import Path
from sersk.interruption import end_on_signals, set_checkpoint
end_on_signals()
set_checkpoint(Path("checkpoint"))
from joblib import Parallel, delayed
from sersk.atomic_files import replace_file, replace_folder
with replace_file("model.sersk") as file, replace_folder("report") as folder:
    for draft in (file, folder / "report.json"):
        draft.write_text("half")
    with Parallel(2) as workers:
        workers(delayed(abs)(number) for number in range(8))
        print("begun")
        try:
            workers(delayed(time.sleep)(600) for _ in range(2))
        finally:
            time.sleep(600)
"""
TRAINING = """
from pathlib import Path
from sersk.interruption import end_on_signals, set_checkpoint
end_on_signals()
set_checkpoint(Path("checkpoint"))
from conftest import padded_speech, tiny_network
X, y, _ = padded_speech()
tiny_network(epochs=100_000, checkpoint="checkpoint").fit(X, y)
"""


def wait_for(condition, running) -> None:
    end = time.monotonic() + 240  # a machine may be busy
    while not condition():
        assert running.poll() is None, "it ended by itself"
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def session(leader: int) -> list[str]:
    """Give the processes of a session that still run; the dead ones may wait for whoever started them."""
    table = subprocess.run(["ps", "-eo", "sess=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in table.splitlines()]
    return [row[2] for row in rows if row[0] == str(leader) and not row[1].startswith("Z")]


def interrupt(arguments, folder, when, *signals, whole_group=True):
    """Run Python until `when` gives True, send signals, and give exit code and stderr."""
    path = os.pathsep.join([str(TESTS), str(TESTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    with (folder / "err").open("wb") as stderr, (folder / "out").open("wb") as stdout:
        running = subprocess.Popen(
            [sys.executable, "-u", *arguments],
            stdout=stdout,
            stderr=stderr,
            cwd=folder,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )
    try:
        wait_for(lambda: when(running), running)
        for number in signals:
            os.killpg(running.pid, number) if whole_group else running.send_signal(number)
        code = running.wait(120)
        end = time.monotonic() + 60
        while session(running.pid):
            assert time.monotonic() < end, f"left: {session(running.pid)}"
            time.sleep(0.1)
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
    (folder / "out").unlink()
    said = (folder / "err").read_text()
    (folder / "err").unlink()
    return code, said


@pytest.mark.parametrize(
    ("signals", "whole_group", "expected"),
    [
        ([signal.SIGINT], True, (130, "interrupted\n")),
        ([signal.SIGINT, signal.SIGINT], False, (130, "interrupted\n")),
        ([signal.SIGTERM], False, (143, "terminated\n")),
    ],
    ids=["terminal", "kill-twice", "SIGTERM"],
)
def test_a_signal_ends_the_process_its_workers_and_its_drafts(signals, whole_group, expected, tmp_path):
    def begun(running):
        return (tmp_path / "out").read_text() and len(session(running.pid)) > 2

    assert interrupt(["-c", BUSY], tmp_path, begun, *signals, whole_group=whole_group) == expected
    assert not list(tmp_path.iterdir())


@needs_keras
def test_an_interrupted_training_keeps_a_whole_checkpoint(tmp_path):
    def goes_on(_running):
        return list(tmp_path.glob("checkpoint/[!.]*"))

    code, said = interrupt(["-c", TRAINING], tmp_path, goes_on, signal.SIGINT)
    assert (code, said.splitlines()[-1]) == (130, "interrupted; the same command with --resume goes on from there")
    (file,) = (tmp_path / "checkpoint").iterdir()
    with np.load(file) as held:
        arrays = dict(held)  # reads all of it, and compares checksums
    assert len(json.loads(arrays["told"].tobytes())["history"]["loss"]) >= 1


def test_processes_started_later_get_no_interrupt():
    """Whoever starts the resource tracker of multiprocessing unblocks SIGINT for all that is started after it."""
    script = """
import signal
from multiprocessing import resource_tracker
from sersk.interruption import end_on_signals, raise_on_signals
end_on_signals()
resource_tracker.ensure_running()
print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
raise_on_signals()
print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\nFalse\n", "")


def test_a_command_is_ended_with_its_workers(tmp_path):
    random = np.random.default_rng(0)
    for number in range(60):
        emotion = tmp_path / "clips" / ("angry", "happy", "sad")[number % 3]
        emotion.mkdir(parents=True, exist_ok=True)
        sf.write(emotion / f"{number}.wav", 0.1 * random.standard_normal(16000), 16000)
    command = ["-m", "sersk", "fit", "clips", "--model", "ensemble", "--jobs", "2"]
    code, said = interrupt(command, tmp_path, lambda running: len(session(running.pid)) > 3, signal.SIGINT)
    assert (code, said.splitlines()[-1]) == (130, "interrupted")
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]


def test_a_command_in_the_background_of_a_shell_is_left_alone(tmp_path):
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from sersk.interruption import end_on_signals; end_on_signals()\n"
        "signal.raise_signal(signal.SIGINT); print('goes on')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("goes on\n", "")
