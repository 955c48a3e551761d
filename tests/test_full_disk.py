"""What cannot be written costs no result, and the file is named."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import needs_keras, padded_speech, tiny_network
from typer.testing import CliRunner

from sersk.cli import app
from sersk.corpora import make_emotional_speech

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    make_emotional_speech(folder, emotions=("angry", "happy", "sad"), n_speakers=3, n_repetitions=1, duration=1.0)
    return folder


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """Let nothing be put in its place in the current folder."""
    monkeypatch.chdir(tmp_path)
    replace, rename = Path.replace, Path.rename

    def refuse(self, target):
        if tmp_path in Path(target).resolve().parents:
            raise FULL
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(Path, "rename", refuse)
    yield tmp_path
    monkeypatch.setattr(Path, "rename", rename)


def sersk(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "file", "shown"),
    [
        (["fit", "--out", "model.sersk"], "model.sersk", "UAR 0."),
        (["evaluate", "--out", "report"], "report", "UAR 0."),
        (["importance", "--repeats", 1, "--out", "table.csv"], "table.csv", "UAR 0."),
        (["robustness", "--conditions", "gain-20", "--out", "table.csv"], "table.csv", "gain-20"),
        (["benchmark", "--models", "lda", "--out", "folder"], "folder", "lda"),
        (["audit", "--no-leak", "--out", "table.csv"], "table.csv", "9 clips"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_full_disk_costs_no_estimate_and_the_file_is_named(arguments, file, shown, corpus, full_disk):
    features = [] if arguments[0] in ("audit", "benchmark") else ["--features", "mfcc-40"]
    more = ["--features", "mfcc-40"] if arguments[0] == "benchmark" else []
    result = sersk(arguments[0], corpus, *arguments[1:], *features, *more, "--jobs", 1)
    assert result.exit_code == 2
    assert shown in result.stdout
    lines = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert lines
    for line in lines:
        assert file in line
        assert line.endswith("cannot be written (No space left on device)")
    assert not [path for path in full_disk.rglob("*") if path.name.endswith(".part")], "no draft is left"


def test_a_full_disk_is_noticed_before_the_work(corpus, tmp_path, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_error):
            return False

        def write(self, _content):
            raise FULL

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_options: Full())
    result = sersk("fit", corpus)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: --out model.sersk: cannot write to the folder . (No space left on device).\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    "arguments", [["audit", "--no-leak", "--jobs", "1"], ["features", "--out", "-", "--features", "mfcc-40"]]
)
def test_stdout_on_a_full_disk_is_named(arguments, corpus, tmp_path):
    command = [sys.executable, "-m", "sersk", arguments[0], str(corpus), *arguments[1:]]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=buffered, check=False
        )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "error: stdout: No space left on device"
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell closes it")
def test_a_closed_stdout_keeps_nothing_from_being_written(corpus, tmp_path):
    clip = min(corpus.rglob("*.wav"))
    script = 'exec "$0" -m sersk features "$1" --out table.csv >&- 2>&-'
    done = subprocess.run(["sh", "-c", script, sys.executable, clip], cwd=tmp_path, check=False)
    assert done.returncode == 0
    script = 'exec "$0" -m sersk predict "$1" --out clips.csv >&-'
    command = ["sh", "-c", script, sys.executable, clip]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (0, "1 clip: clips.csv\n")
    assert {file.name: len(file.read_text().splitlines()) for file in tmp_path.iterdir()} == {
        "table.csv": 2,
        "clips.csv": 2,
    }


@pytest.mark.skipif(os.name == "nt", reason="needs limits of processes")
def test_a_file_that_may_grow_no_further_is_named(corpus, tmp_path):
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000)); sys.argv[0] = 'sersk'\n"
        "from sersk.__main__ import main; main()\n"
    )
    command = [sys.executable, "-c", script, "fit", str(corpus), "--features", "mfcc-40", "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, "UAR 0." in done.stdout) == (2, True), done.stderr
    assert done.stderr.splitlines()[-1] == "error: model.sersk: cannot be written (File too large)"
    assert not list(tmp_path.iterdir())


@needs_keras
def test_a_training_goes_on_without_its_checkpoint(full_disk):
    X, y, _ = padded_speech()
    with pytest.warns(
        UserWarning, match=r"checkpoint .*: cannot be written \(No space left on device\); training goes on"
    ):
        model = tiny_network(checkpoint=full_disk).fit(X, y)
    assert len(model.history_["loss"]) == 2
    assert not list(full_disk.iterdir())
