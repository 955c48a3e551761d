"""Network in training -> file, and back: plain arrays only."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from sersk.atomic_files import replace_file
from sersk.filterbanks import Array

from .keras_backend import keras


def save_state(file: Path, network: Any, told: dict[str, Any], best: list[Array] | None) -> None:
    """
    Write everything that the next epoch depends on, at once or not at all.

    Parameters
    ----------
    file : Path
        Replaced; its folder is made.
    network : keras.Model
        Compiled.
    told : dict
        What JSON has.
    best : list of ndarray or None
        The best weights so far.
    """
    arrays: dict[str, Any] = {"told": np.frombuffer(json.dumps(told).encode(), dtype=np.uint8)}
    arrays |= {f"best_{k}": value for k, value in enumerate(best or [])}
    arrays |= {f"state_{k}": plain_value(variable) for k, variable in enumerate(_variables(network))}
    file.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(file) as draft, draft.open("wb") as opened:  # numpy would add an extension to the name
        np.savez(opened, **arrays)


def load_state(file: Path, network: Any) -> tuple[dict[str, Any], list[Array] | None] | None:
    """
    Bring a network back to where it was.

    Parameters
    ----------
    file : Path
        What `save_state` wrote.
    network : keras.Model
        Compiled, of the same kind; it is changed only if the file is whole.

    Returns
    -------
    (dict, list of ndarray or None) or None
        What was told, and the best weights; None if there is no whole file.
    """
    if not file.is_file():
        return None
    variables = _variables(network)
    try:
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as held:  # numpy leaves a cut one open
            if sum(member.file_size for member in held.zip.infolist()) > file.stat().st_size:
                raise ValueError("it is packed, as np.savez does not pack")
            arrays = dict(held)
        told = json.loads(arrays.pop("told").tobytes())
        values = [arrays.pop(f"state_{k}") for k in range(len(variables))]
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, MemoryError, RecursionError):
        # Cut by a full disk, say.
        return None
    if any(value.shape != tuple(variable.shape) for variable, value in zip(variables, values, strict=True)):
        return None
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return told, [arrays[f"best_{k}"] for k in range(len(arrays))] or None


def _variables(network: Any) -> list[Any]:
    """All that training changes: weights, seeds of dropout, and what the optimiser remembers."""
    return [*network.variables, *network.optimizer.variables]


def plain_value(variable: Any) -> Any:
    """
    Copy a variable.

    Parameters
    ----------
    variable : keras.Variable
        On any device.

    Returns
    -------
    ndarray
        Its value.
    """
    return np.array(keras.ops.convert_to_numpy(variable.value))


def plain_weights(network: Any) -> list[Array]:
    """
    Copy the weights of a network.

    Parameters
    ----------
    network : keras.Model
        On any device.

    Returns
    -------
    list of ndarray
        What its `set_weights` takes. Its own `get_weights` warns under numpy 2 (Keras 3.15 on JAX).
    """
    return [plain_value(weight) for weight in network.weights]


def fingerprint(*parts: Any) -> str:
    """
    Tell one training from another.

    Parameters
    ----------
    *parts : ndarray, function, object with ``get_config`` or with a telling repr
        Everything that the outcome depends on; of a function, its name.

    Returns
    -------
    str
        Hexadecimal digits, good for a file name.
    """
    digest = hashlib.sha256(f"{keras.backend.backend()} {keras.__version__} {sys.byteorder}".encode())
    for part in parts:
        is_numbers = isinstance(part, np.ndarray) and part.dtype != object
        digest.update(f"{part.shape} {part.dtype}".encode() if is_numbers else _told(part).encode())
        digest.update(np.ascontiguousarray(part).tobytes() if is_numbers else b"")
    return digest.hexdigest()[:32]


def _told(part: Any) -> str:
    """Say what it is, in words that are the same in another process."""
    if isinstance(part, dict):
        return str({name: _told(value) for name, value in part.items()})
    if hasattr(part, "get_config"):
        return f"{type(part).__name__} {part.get_config() | {'name': None}}"  # Keras counts its names
    name = getattr(part, "__qualname__", "<")  # those made inside functions have names like others
    return repr(part) if "<" in name else f"{part.__module__}.{name}"
