"""Files and folders that are replaced at once or not at all, where others may write, too."""

from __future__ import annotations

import ast
import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sersk import atomic_files
from sersk.atomic_files import replace_file, replace_folder

PACKAGE = Path(atomic_files.__file__).parent
# Methods and functions that write a file.
WRITERS = {"write_text", "write_bytes", "savez", "save", "write_table", "to_parquet"}
# Made-up clips, which lie in a new folder.
NO_RESULTS = {"synthetic.py"}


def write(kind: str, target: Path, content: str) -> None:
    if kind == "file":
        with replace_file(target) as draft:
            draft.write_text(content)
    else:
        with replace_folder(target) as draft:
            (draft / "inside").write_text(content)


def content_of(target: Path) -> str:
    return (target / "inside" if target.is_dir() else target).read_text()


@pytest.fixture(params=["file", "folder"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def replace(kind):
    return replace_file if kind == "file" else replace_folder


def test_it_takes_the_place_of_the_old(kind, tmp_path):
    for content in ("old", "new"):
        write(kind, tmp_path / "target", content)
        assert content_of(tmp_path / "target") == content
        assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("there", [True, False])
def test_nothing_is_left_of_what_failed_and_the_old_stays(error, there, kind, replace, tmp_path):
    if there:
        write(kind, tmp_path / "target", "old")

    def fail() -> None:
        with replace(tmp_path / "target") as draft:
            (draft if kind == "file" else draft / "inside").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["target"] * there
    assert not there or content_of(tmp_path / "target") == "old"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EFBIG, None])
def test_the_error_names_the_target(number, replace, tmp_path):
    inner = OSError("as a library says it") if number is None else OSError(number, "as a library says it")
    with pytest.raises(OSError, match="cannot be written") as caught, replace(tmp_path / "target"):
        raise inner
    reason = os.strerror(number) if number else "as a library says it"
    assert caught.value.filename == str(tmp_path / "target")
    assert (caught.value.errno, caught.value.strerror) == (number, f"cannot be written ({reason})")
    assert type(caught.value) is type(inner)


def test_a_folder_that_is_not_there_is_named_by_what_was_to_be_in_it(replace, tmp_path):
    target = tmp_path / "none" / "target"
    with pytest.raises(FileNotFoundError, match=r"cannot be written \(No such file") as caught, replace(target):
        pass
    assert caught.value.filename == str(target)


def test_an_error_of_another_file_is_not_changed(replace, tmp_path):
    with pytest.raises(FileNotFoundError, match="No such file") as caught, replace(tmp_path / "target"):
        (tmp_path / "other").read_bytes()
    assert (caught.value.filename, caught.value.strerror) == (str(tmp_path / "other"), "No such file or directory")


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o007])
def test_it_has_the_permissions_of_any_new_one(umask, kind, tmp_path):
    before = os.umask(umask)
    try:
        write(kind, tmp_path / "target", "content")
    finally:
        os.umask(before)
    everyone = 0o666 if kind == "file" else 0o777
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == everyone & ~umask


@pytest.mark.parametrize("name", ["x" * 255, "ä" * 127, "\N{GRINNING FACE}" * 63, ".x", "a b\nc", "target.csv.gz"])
def test_a_name_that_a_file_may_have_is_not_too_long_for_its_draft(name, kind, tmp_path):
    write(kind, tmp_path / name, "content")
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_draft_lies_beside_it_under_a_name_that_nobody_guesses(replace, tmp_path):
    names = []
    for _ in range(2):
        with replace(tmp_path / "target") as draft:
            names.append(draft.name)
        assert draft.parent == tmp_path
    assert all(len(name.removeprefix(".target.").removesuffix(".part")) == 32 for name in names)
    assert names[0] != names[1]


def test_a_link_that_lies_in_wait_is_not_followed(kind, replace, tmp_path, monkeypatch):
    """Were the name guessed, nothing would be written."""
    monkeypatch.setattr(atomic_files.os, "urandom", bytes)
    (tmp_path / f".target.{bytes(16).hex()}.part").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError, match="cannot be written"):
        write(kind, tmp_path / "target", "content")
    assert not (tmp_path / "victim").exists()
    assert not (tmp_path / "target").exists()


def test_the_old_folder_is_put_back_if_the_new_cannot_take_its_place(tmp_path, monkeypatch):
    write("folder", tmp_path / "target", "old")
    rename = Path.rename

    def refuse(self, target):
        if self.suffix == ".part":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(KeyboardInterrupt):
        write("folder", tmp_path / "target", "new")
    assert content_of(tmp_path / "target") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


FULL = """
import resource
import signal
import sys
from pathlib import Path

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from sersk.atomic_files import replace_file
from sersk.outputs import write_picture, write_text
from sersk.persistence import save_model


def arrays(file):
    with replace_file(file) as draft, draft.open("wb") as opened:
        np.savez(opened, a=np.zeros(100000), b=np.zeros(3))


def model(file):
    save_model(LinearDiscriminantAnalysis().fit(np.random.RandomState(0).randn(900, 90), [0, 1] * 450), file)


def parquet(file):
    import pyarrow
    import pyarrow.parquet

    with replace_file(file) as draft:
        pyarrow.parquet.write_table(pyarrow.table({"x": np.random.RandomState(0).randn(9000)}), draft)


def text(file):
    write_text("text" * 10000, file)


signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for write in (arrays, model, parquet, text):
    try:
        write(Path(sys.argv[1]))
    except OSError as error:
        print(error.filename, error.strerror)
    except ImportError:
        print("skipped")
"""


def test_a_disk_that_is_full_is_told_by_the_name_of_the_file(tmp_path):
    """The limit of a file's size stands for the end of the disk."""
    target = tmp_path / "target"
    arguments = [sys.executable, "-B", "-c", FULL, str(target)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) == 4, done.stderr
    assert {*lines} <= {f"{target} cannot be written (File too large)", "skipped"}
    assert lines.count("skipped") <= 1
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_without_a_draft():
    """Find what writes files; the module must make them by `replace_file` or `replace_folder`."""
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        called = {getattr(call.func, "attr", "") for call in ast.walk(ast.parse(text)) if isinstance(call, ast.Call)}
        if WRITERS & called:
            assert "atomic_files" in text or path.name in NO_RESULTS, f"{path} writes a file: use replace_file"
