"""Path -> checked bytes of a model file."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, is_zipfile

from . import __version__

SCHEMA_VERSION = 1
CARD, TYPES = "sersk.json", "schema.json"

# What skops names its members; none is ever unpacked to disk.
_MEMBER = re.compile(r"schema\.json|sersk\.json|\d+\.np[yz]|[0-9a-f-]{36}\.bin", re.ASCII)
_LIMITS = {CARD: 2**20, TYPES: 2**26}
_MAX_BYTES = 2**30


def read_archive(file: Path) -> tuple[bytes, dict[str, Any]]:
    """
    Read a model file at once, so that what was checked is what is used.

    Parameters
    ----------
    file : Path
        Of any content.

    Returns
    -------
    content : bytes
        A zip archive whose members are of the names and sizes that a model has.
    card : dict
        What the model file says of itself.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no model file, damaged, too large, or of a newer schema.
    """
    if not file.exists():
        raise FileNotFoundError(f"{file}: no such model file. Check the path; `sersk fit` or save_model makes one.")
    if not file.is_file():
        raise ValueError(f"{file}: is no file but a folder or a device. Give the model file.")
    if file.stat().st_size > _MAX_BYTES:
        raise ValueError(f"{file}: expected a model file of at most {_MAX_BYTES >> 20} MiB.")
    content = file.read_bytes()
    if not is_zipfile(io.BytesIO(content)):
        raise ValueError(
            f"{file}: is no sersk model file (no zip archive, or a cut one). Pickle and joblib files are not read, for "
            "to open one is to run what is in it; save the model with save_model."
        )
    with damaged(file), ZipFile(io.BytesIO(content)) as archive:
        card = json.loads(_read_member(archive, CARD))
        version = card["schema_version"]
        if type(version) is not int or version < 1:
            raise ValueError(f"schema_version is {version!r}")
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"{file}: is written in schema {version}; this sersk ({__version__}) reads up to schema {SCHEMA_VERSION}. "
            "Install a newer sersk."
        )
    with damaged(file), ZipFile(io.BytesIO(content)) as archive:
        _check_members(archive)
    return content, card


@contextmanager
def damaged(file: Path) -> Iterator[None]:
    """
    Turn whatever a file of any content sets off into one clear error; a missing extra tells its own cure.

    Parameters
    ----------
    file : Path
        What the error names.

    Yields
    ------
    None
        For a ``with`` block.

    Raises
    ------
    ValueError
        In place of any exception but ImportError.
    """
    try:
        yield
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(
            f"{file}: is no sersk model file, or is damaged ({type(error).__name__}: {error}). Fetch it again, or save "
            "the model again with save_model."
        ) from error


def _check_members(archive: ZipFile) -> None:
    """Refuse an archive that skops would not have written, or that is small only as long as it is packed."""
    sizes: dict[Any, int] = {}
    for member in archive.infolist():
        odd = member.filename in sizes or not _MEMBER.fullmatch(member.filename) or member.flag_bits & 1
        if odd or member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"its member {member.filename!r} is out of place")
        sizes[member.filename] = member.file_size
    used: list[Any] = list(sizes)  # a member costs its size again each time that the types name it
    json.loads(_read_member(archive, TYPES), object_hook=lambda node: used.append(node.get("file")))
    if (total := sum(sizes.get(name, 0) for name in used)) > _MAX_BYTES:
        raise ValueError(f"it unpacks to {total} bytes")


def _read_member(archive: ZipFile, name: str) -> bytes:
    size = archive.getinfo(name).file_size  # zipfile unpacks no more than that
    if size > _LIMITS[name]:
        raise ValueError(f"its member {name} unpacks to {size} bytes")
    return archive.read(name)
