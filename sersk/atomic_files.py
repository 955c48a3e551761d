"""What is written beside a file or folder -> takes its place at once or not at all."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DRAFTS: set[Path] = set()
_EXCHANGE = threading.Lock()


def remove_drafts() -> None:
    """Remove what is being written, for a process that is about to end; a folder that is half in place gets there."""
    _EXCHANGE.acquire(timeout=1.0)  # for good
    for draft in tuple(_DRAFTS):
        with suppress(OSError):
            shutil.rmtree(draft) if draft.is_dir() else draft.unlink()


@contextmanager
def replace_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """
    Give an empty file to write to, which takes the place of another when all of it is written.

    Parameters
    ----------
    path : path
        The file to replace; it need not be there, its folder must.

    Yields
    ------
    Path
        A new empty file in the same folder, under a name that nobody can guess and with the permissions of any new
        file. It is removed if the block is left by an exception, KeyboardInterrupt included; `path` is unchanged then.

    Raises
    ------
    OSError
        If the new file cannot be made, written or put in place: of the same subclass and ``errno``, with `path` as its
        ``filename`` and "cannot be written (No space left on device)" as its ``strerror``. An error that names another
        file passes unchanged.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk.atomic_files import replace_file
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "table.csv"
    ...     with replace_file(file) as draft:
    ...         written = draft.write_text("clip,emotion")
    ...     print([file.name for file in Path(folder).iterdir()])
    ['table.csv']
    """
    target, draft = Path(path), _draft_of(path)
    _DRAFTS.add(draft)
    try:
        with _named(target, draft):
            draft.touch(exist_ok=False)  # so that a link under this name is not followed
            yield draft
            draft.replace(target)
    finally:
        with suppress(OSError):
            draft.unlink()
        _DRAFTS.discard(draft)


@contextmanager
def replace_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """
    Give an empty folder to write to, which takes the place of another when all of it is written.

    Parameters
    ----------
    path : path
        The folder to replace with all that is in it; it need not be there, the one above must.

    Yields
    ------
    Path
        A new empty folder beside it. See `replace_file`.

    Raises
    ------
    OSError
        As of `replace_file`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from sersk.atomic_files import replace_folder
    >>> with TemporaryDirectory() as above:
    ...     with replace_folder(f"{above}/report") as draft:
    ...         written = (draft / "report.json").write_text("{}")
    ...     print([folder.name for folder in Path(above).iterdir()])
    ['report']
    """
    target, draft = Path(path), _draft_of(path)
    _DRAFTS.add(draft)
    try:
        with _named(target, draft):
            draft.mkdir()
            yield draft
            with _EXCHANGE:
                _exchange(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        _DRAFTS.discard(draft)


def _draft_of(path: str | os.PathLike[str]) -> Path:
    """Name a draft in the same folder; a file system takes 255 bytes, and a letter may have four."""
    return Path(path).with_name(f".{Path(path).name[:40]}.{os.urandom(16).hex()}.part")


@contextmanager
def _named(target: Path, draft: Path) -> Iterator[None]:
    """Let errors of writing name the target."""
    try:
        yield
    except OSError as error:
        named = str(error.filename or draft)
        if named != str(target) and not named.startswith(str(draft)):
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(error.errno, f"cannot be written ({reason})", str(target)) from error


def _exchange(draft: Path, target: Path) -> None:
    """Put a folder in the place of another, which is put back if that fails."""
    if not target.exists():
        draft.rename(target)
        return
    old = draft.with_suffix(".old")
    target.rename(old)
    try:
        draft.rename(target)
    except BaseException:
        old.rename(target)
        raise
    shutil.rmtree(old)
