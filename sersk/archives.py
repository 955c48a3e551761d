"""Path -> checked bytes and schema of a model file."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo, is_zipfile

import numpy as np
import numpy.typing as npt

from . import __version__

SCHEMA_VERSION = 1
CARD, TYPES = "sersk.json", "schema.json"

# What skops names its members; none is ever unpacked to disk.
_MEMBER = re.compile(r"schema\.json|sersk\.json|\d+\.np[yz]|[0-9a-f-]{36}\.bin", re.ASCII)
_LIMITS = {CARD: 2**20, TYPES: 2**26}
_MAX_BYTES = 2**30
_MAX_MEMBERS = 2**16
# What a file may unpack to: so many bytes, and so many more for each of its own. Arrays of a model take hundreds of
# bytes of a packed file only where they are all zeros.
_FREE, _PER_BYTE = 2**24, 64
# What the signs of JSON take in memory as dicts, lists, and what is in them, in bytes, at most.
_COSTS = {b"{": 300, b"[": 64, b",": 64}
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


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
    return content, check_archive(file, content)


def check_archive(file: Path, content: bytes) -> dict[str, Any]:
    """
    Refuse bytes that are no model file.

    Parameters
    ----------
    file : Path
        What errors name.
    content : bytes
        Anything.

    Returns
    -------
    dict
        What the model file says of itself.

    Raises
    ------
    ValueError
        For the reasons of `read_archive`.
    """
    if not is_zipfile(io.BytesIO(content)):
        raise ValueError(
            f"{file}: is no sersk model file (no zip archive, or a cut one). Pickle and joblib files are not read, for "
            "to open one is to run what is in it; save the model with save_model."
        )
    with damaged(file):
        if content.count(b"PK\x01\x02") > _MAX_MEMBERS:  # each member of an archive has this mark
            raise ValueError(f"it has more than {_MAX_MEMBERS} members")
        archive = ZipFile(io.BytesIO(content))
        if archive.getinfo(CARD).file_size > _LIMITS[CARD]:
            raise ValueError(f"its member {CARD} unpacks to {archive.getinfo(CARD).file_size} bytes")
        card = json.loads(archive.read(CARD).decode())  # zipfile unpacks no more than that
        version = card["schema_version"]
        if type(version) is not int or version < 1:
            raise ValueError(f"schema_version is {version!r}")
    if version > SCHEMA_VERSION:
        raise ValueError(
            f"{file}: is written in schema {version}; this sersk ({__version__}) reads up to schema {SCHEMA_VERSION}. "
            "Install a newer sersk."
        )
    with damaged(file):
        _check_members(content, archive)
    return card


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
            f"{file}: is no sersk model file, or is damaged ({brief(error)}). Fetch it again, or save the model again "
            "with save_model."
        ) from error


def brief(error: object) -> str:
    """
    Say in one line what is wrong, whatever a file says.

    Parameters
    ----------
    error : Exception or str
        An error, or a name from a file.

    Returns
    -------
    str
        At most 300 characters, all of them printable; of an exception, its type first.
    """
    text = f"{type(error).__name__}: {error}" if isinstance(error, Exception) else str(error)
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text[:300])
    return line if len(line) <= 300 else f"{line[:297]}..."


class Node(dict[str, Any]):
    """A part of a schema that knows how much is in it."""

    __slots__ = ("weight",)
    weight: int


class Schema(NamedTuple):
    """
    Hold what a model file is made of.

    Parameters
    ----------
    root : dict
        The outermost node.
    kinds : set of (str, str)
        Loader and full name of the type of every node.
    """

    root: Node
    kinds: set[tuple[str, str]]


def read_schema(content: bytes) -> Schema:
    """
    Read what a model file is made of, if it is no larger than what is written there.

    skops writes an object in full at each place where it stands, with the same ``__id__``, and the first of them is
    built. So a node of few bytes could stand for a large one, in large numbers, one within the other: it is refused.

    Parameters
    ----------
    content : bytes
        What `read_archive` gives.

    Returns
    -------
    Schema
        Of which nothing is built yet.

    Raises
    ------
    ValueError
        If it would take too much memory, or holds nodes that stand for more than what is written there.
    """
    with ZipFile(io.BytesIO(content)) as archive:
        sizes = {member.filename: _unpacked_size(archive, member) for member in archive.infolist()}
        text = archive.read(TYPES)
    cost = 2 * len(text) + sum(text.count(sign) * n_bytes for sign, n_bytes in _COSTS.items())
    if cost > 2 * _FREE + _PER_BYTE * len(content):
        raise ValueError(f"its schema would take {cost} bytes of memory")
    weights: dict[Any, int] = {}
    kinds: set[tuple[str, str]] = set()

    def weigh(pairs: list[tuple[str, Any]]) -> Node:
        node = Node(pairs)
        if len(node) < len(pairs):
            raise ValueError("a node of its schema has two values of one name")
        node.weight = 1 + sum(map(_weight, node.values()))
        if "file" in node:  # a member costs its size again each time that the types name it
            node.weight += sizes.get(node["file"], 0)
        if "__loader__" in node:
            of_numbers = node.get("type", "numpy") == "numpy"  # an array of objects is another matter
            kinds.add((node["__loader__"] if of_numbers else "", f"{node['__module__']}.{node['__class__']}"))
        if "__id__" in node and weights.setdefault(node["__id__"], node.weight) != node.weight:
            raise ValueError("a node of its schema stands for another one")
        return node

    root = json.loads(text.decode(), object_pairs_hook=weigh)
    if root.weight > _allowed(content):
        raise ValueError(f"it unpacks to {root.weight} bytes")
    return Schema(root, kinds)


def _weight(value: Any) -> int:
    if isinstance(value, Node):
        return value.weight
    if isinstance(value, list):
        return 1 + sum(map(_weight, value))
    return len(value) if isinstance(value, str) else 1


def read_array(archive: ZipFile, name: str) -> npt.NDArray[Any]:
    """
    Read an array of numbers or text.

    Parameters
    ----------
    archive : ZipFile
        With the array.
    name : str
        Its member.

    Returns
    -------
    ndarray
        What numpy's ``read_array`` gives.

    Raises
    ------
    ValueError
        If its header promises another number of bytes than there are, or it holds objects.
    """
    content = archive.read(name)
    stream = io.BytesIO(content)
    shape, fortran_order, dtype = _read_header(stream, len(content))
    order: Any = "F" if fortran_order else "C"
    return np.ndarray(shape, dtype, content, stream.tell(), order=order).copy(order)


def check_arrays(content: bytes) -> None:
    """
    Refuse a file with an array that promises another number of bytes than there are.

    Parameters
    ----------
    content : bytes
        What `read_archive` gives.

    Raises
    ------
    ValueError
        If there is one, or one of objects.
    """
    with ZipFile(io.BytesIO(content)) as archive:
        _check_arrays_of(archive)
        for name in archive.namelist():
            if name.endswith(".npz"):  # of scipy, an archive of arrays
                with archive.open(name) as opened, ZipFile(opened) as inner:
                    _check_arrays_of(inner)


def _check_arrays_of(archive: ZipFile) -> None:
    for member in archive.infolist():
        if member.filename.endswith(".npy"):
            with archive.open(member) as stream:
                _read_header(stream, member.file_size)


def _read_header(stream: IO[bytes], n_bytes: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array, if as many bytes follow as it promises."""
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"an array is of numpy's format {version}")
    shape, fortran_order, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded when allow_pickle=False")
    n_bytes -= stream.tell()
    # An array without any item, or of items without any byte, could still have many rows.
    n_items, n_rows = math.prod(shape), math.prod(max(length, 1) for length in shape)
    if min(shape, default=0) < 0 or n_items * dtype.itemsize != n_bytes or n_rows > max(n_bytes, 2**16):
        raise ValueError(f"an array of {n_bytes} bytes claims to be of shape {shape}, {dtype}")
    return shape, fortran_order, dtype


def _check_members(content: bytes, archive: ZipFile) -> None:
    """Refuse an archive that skops would not have written, or that is small only as long as it is packed."""
    names = set()
    for member in archive.infolist():
        odd = member.filename in names or not _MEMBER.fullmatch(member.filename) or member.flag_bits & 1
        if odd or member.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError(f"its member {member.filename!r} is out of place")
        if member.file_size > _LIMITS.get(member.filename, _MAX_BYTES):
            raise ValueError(f"its member {member.filename} unpacks to {member.file_size} bytes")
        names.add(member.filename)
    if sum(member.compress_size for member in archive.infolist()) > len(content):
        raise ValueError("its members lie one upon the other")
    if (total := sum(member.file_size for member in archive.infolist())) > _allowed(content):
        raise ValueError(f"it unpacks to {total} bytes")


def _unpacked_size(archive: ZipFile, member: ZipInfo) -> int:
    """Give the size of a member, and of what an archive in it unpacks to."""
    if not member.filename.endswith(".npz"):
        return member.file_size
    with archive.open(member) as opened, ZipFile(opened) as inner:
        return sum(one.file_size for one in inner.infolist())


def _allowed(content: bytes) -> int:
    """Give the number of bytes that a file may unpack to."""
    return min(_FREE + _PER_BYTE * len(content), _MAX_BYTES)
