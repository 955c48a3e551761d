"""Model files changed at random, the same ones for the same seed, and a process that opens them."""

from __future__ import annotations

import io
import json
import os
import random
import re
import select
import struct
import subprocess
import sys
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

Members = dict[str, Any]

NAMES = [
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "builtins.exec",
    "builtins.getattr",
    "builtins.open",
    "posix.system",
    "pickle.loads",
    "joblib.load",
    "ctypes.CDLL",
    "socket.socket",
    "shutil.rmtree",
    "importlib.import_module",
    "numpy.load",
    "numpy.ndarray",
    "numpy.int64",
    "numpy.dtype",
    "builtins.dict",
    "builtins.list",
    "builtins.str",
    "antigravity.x",
    "this.s",
    "http.server.x",
    "sklearn.svm._classes.SVC",
    "sklearn.datasets._base.load_files",
    "sklearn.pipeline.Pipeline",
    "sersk.stored_models.StoredTree",
    "sersk.features.AcousticFeatures",
    "sersk.models.boosting.XGBoostClassifier",
    "sersk.persistence.load_model",
    "sklearn.utils._bunch.Bunch",
    "sklearn.tree._tree.Tree",
    "scipy.sparse._csr.csr_matrix",
    "collections.OrderedDict",
    "functools.partial",
]
LOADERS = [
    "JsonNode",
    "TypeNode",
    "ListNode",
    "TupleNode",
    "DictNode",
    "NdArrayNode",
    "RandomStateNode",
    "ObjectNode",
    "SetNode",
    "FunctionNode",
    "ConstructorFromReduceNode",
    "PartialNode",
    "MethodNode",
    "OperatorFuncNode",
    "SparseMatrixNode",
    "MaskedArrayNode",
    "DTypeNode",
    "RandomGeneratorNode",
    "CachedNode",
    "TreeNode",
    "LossNode",
    "BytesNode",
    "SliceNode",
    "DefaultDictNode",
    "OrderedDictNode",
    "ShellNode",
]
VALUES = [
    None, True, 0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 10**4400, 0.5, 1e308, float("inf"), float("nan"), "", "x", [],
    {}, [[]], "1" * 5000, "[" * 5000, "[[],[],[],[]]", "9" * 20, "1e999", '"text"', "null", [0] * 1000,
]  # fmt: skip
SHAPES = [
    (), (0,), (1,), (2**31,), (2**40,), (2**62,), (0, 2**50), (2**50, 0), (-1,), (-1, -1), (3, 5), (1,) * 40, (1,) * 70,
    (2**20, 2**20), (2**32, 2**32), (2**64,),
]  # fmt: skip
DTYPES = [
    "<f8", "<f4", "<f2", ">f8", "<i8", "|i1", "|u1", "|b1", "<c16", "<U1", "<U0", "|S0", "|V0", "|V1", "<U500000000",
    "|O", "<M8[ns]", "<m8[s]", [("a", "<f8"), ("b", "|O")], [("a", "<f8", (2**20, 2**20))], [("a", "|V0")], "<f99", "x",
]  # fmt: skip


# Bytes of the file


def of_bytes(content: bytes, rng: random.Random) -> bytes:
    changed = bytearray(content)
    kind = rng.choice(["flip", "flip", "flips", "cut", "zeros", "twice", "swap", "directory", "ahead"])
    first, second = sorted(rng.randrange(len(changed)) for _ in range(2))
    second = min(second, first + 2000)
    if kind in ("flip", "flips"):
        for _ in range(1 if kind == "flip" else 30):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    elif kind == "cut":
        del changed[first : second if rng.random() < 0.5 else None]
    elif kind == "zeros":
        changed[first:second] = bytes(second - first)
    elif kind == "twice":
        changed[second:second] = changed[first:second]
    elif kind == "swap":
        changed[first:second] = changed[first:second][::-1]
    elif kind == "directory":  # sizes, offsets and times that the list of members tells
        start = changed.find(b"PK\x01\x02")
        for _ in range(rng.choice([1, 3])):
            struct.pack_into(
                "<I", changed, rng.randrange(start, len(changed) - 4), rng.choice([0, 1, 2**31, 2**32 - 1])
            )
    else:
        changed[:0] = changed[first:second]
    return bytes(changed)


# Members of the archive


def of_members(members: Members, rng: random.Random) -> None:
    one, other = rng.choice(list(members)), rng.choice(list(members))
    kind = rng.choice(["swap", "drop", "empty", "rename", "bomb", "more", "nested", "pickle", "text", "many"])
    if kind == "swap":
        members[one], members[other] = members[other], members[one]
    elif kind == "drop":
        del members[one]
    elif kind == "empty":
        members[one] = b""
    elif kind == "rename":
        members[rng.choice(["../x.npy", "1.npz", "sersk.json", "9" * 300 + ".npy", "x.py"])] = members.pop(one)
    elif kind == "bomb":
        members[one] = (b"[" if one.endswith("json") and rng.random() < 0.5 else b"\0") * rng.choice(
            [2**20, 2**22, 2**26]
        )
    elif kind == "more":
        members[f"{rng.randrange(10**6)}.npy"] = members[other]
    elif kind == "nested":
        members[one] = packed({"data.npy": bytes(rng.choice([100, 2**24])), "format.npy": b""})
    elif kind == "pickle":
        members[one] = b"cos\nsystem\n(S'true'\ntR."
    elif kind == "text":
        members[one] = rng.choice(
            [b"null", b"[]", b"{}", b"1", b'""', b"\xff\xfe", b'{"a":' * 20000, b"[" * 10**6, b"NaN"]
        )
    else:
        members.update({f"{k}.npy": b"" for k in range(rng.choice([100, 70000 if rng.random() < 0.05 else 1000]))})


# Nodes of the schema


def nodes_in(value: Any) -> Iterator[dict[str, Any]]:
    ahead = [value]
    while ahead:
        part = ahead.pop()
        if isinstance(part, dict):
            yield part
            ahead += part.values()
        elif isinstance(part, list):
            ahead += part


def leaf(value: Any = 1) -> dict[str, Any]:
    return {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": json.dumps(value)}


def doubling(depth: int, rng: random.Random) -> dict[str, Any]:
    """Lists that each hold the one before several times, told by its number only."""
    loader, kind = rng.choice([("ListNode", "list"), ("TupleNode", "tuple"), ("SetNode", "set")])
    part = leaf() | {"__id__": 10**6}
    for k in range(depth):
        again = {"__id__": 10**6 + k, "__loader__": rng.choice([loader, "CachedNode"])}
        again |= {"__class__": kind, "__module__": "builtins", "content": []}
        part = {"__class__": kind, "__module__": "builtins", "__loader__": loader, "__id__": 10**6 + k + 1} | {
            "content": [part, *[again] * rng.choice([1, 9])]
        }
    return part


def of_schema(schema: Any, rng: random.Random) -> None:
    every = list(nodes_in(schema))
    node, other = rng.choice(every), rng.choice(every)
    key = rng.choice(list(node)) if node else "content"
    kind = rng.choice(
        [
            "type",
            "type",
            "loader",
            "value",
            "value",
            "swap",
            "copy",
            "share",
            "double",
            "deep",
            "drop",
            "number",
            "wide",
        ]
    )
    if kind == "type":
        node["__module__"], _, node["__class__"] = rng.choice(NAMES).rpartition(".")
    elif kind == "loader":
        node["__loader__"] = rng.choice(LOADERS)
    elif kind == "value":
        node[key] = rng.choice(VALUES)
    elif kind == "swap":
        copied = dict(other)
        other.clear()
        other.update(json.loads(json.dumps(node)) if len(every) < 3000 else leaf())
        if node is not other:
            node.clear()
            node.update(copied)
    elif kind == "copy":
        node[key] = dict(other) if other is not node else leaf()
    elif kind == "share":
        node[key] = [{**leaf(), "__id__": other.get("__id__", 5)} for _ in range(rng.choice([1, 1000]))]
    elif kind == "double":
        node[key] = doubling(rng.choice([5, 40, 90]), rng)
    elif kind == "deep":
        part = leaf()
        for _ in range(rng.choice([50, 150, 400])):
            part = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [part]}
        node[key] = part
    elif kind == "drop":
        node.pop(key, None)
    elif kind == "number":
        leaves = [one for one in every if one.get("__loader__") == "JsonNode"]
        rng.choice(leaves or every)["content"] = json.dumps(rng.choice(VALUES))
    else:
        node[key] = [leaf()] * rng.choice([100, 10**4, 10**5 if rng.random() < 0.1 else 10])


def of_card(card: Any, rng: random.Random) -> None:
    if not isinstance(card, dict):
        return
    kind = rng.choice(["older", "older", "version", "value", "deep", "classes"])
    if kind == "older" and isinstance(card.get("versions"), dict):
        card["versions"]["scikit-learn"] = "1.8.0"
    elif kind == "version" and isinstance(card.get("versions"), dict):
        card["versions"]["scikit-learn"] = rng.choice(
            ["", "1", "1.x", "99.0", "1.8.0.post1", None, 1.8, "9" * 5000 + ".1"]
        )
    elif kind == "value":
        card[rng.choice(list(card))] = rng.choice(VALUES)
    elif kind == "classes":
        card["classes"] = rng.choice([[], ["x"], [["x"]], "sad", {}, [None] * 10**4])
    else:
        part: Any = []
        for _ in range(rng.choice([100, 900])):
            part = [part]
        card["answers"] = part


# Arrays


def of_array(content: bytes, rng: random.Random) -> bytes:
    header = np.lib.format
    stream = io.BytesIO(content)
    try:
        header.read_magic(stream)
        shape, order, dtype = header.read_array_header_1_0(stream)
    except (ValueError, TokenError):  # changed before
        return content[: len(content) // 2]
    descr = header.dtype_to_descr(dtype)
    body = bytearray(content[stream.tell() :])
    kind = rng.choice(["shape", "shape", "dtype", "order", "body", "body", "cut", "raw", "version", "grow"])
    if kind == "shape":
        shape = rng.choice(SHAPES)
    elif kind == "dtype":
        descr = rng.choice(DTYPES)
        if rng.random() < 0.5:
            shape = rng.choice(SHAPES)
    elif kind == "order":
        order = not order
    elif kind == "body" and body:
        if rng.random() < 0.5:
            body[rng.randrange(len(body))] = rng.randrange(256)
        else:  # a number of eight bytes
            value = rng.choice([0, 2**63, 2**64 - 1, 0x7FF0000000000000, 0x7FF8000000000000, 2**31, 0x7FEFFFFFFFFFFFFF])
            start = rng.randrange(max(len(body) // 8, 1)) * 8
            body[start : start + 8] = struct.pack("<Q", value)
    elif kind == "cut":
        del body[rng.randrange(len(body) + 1) :]
    elif kind == "raw":
        changed = bytearray(content)
        changed[rng.randrange(min(len(changed), 128))] = rng.randrange(256)
        return bytes(changed)
    elif kind == "version":
        return content[:6] + bytes([rng.choice([0, 2, 3, 9])]) + content[7:]
    elif kind == "grow":
        shape, body = (2**24,), bytearray(2**24 * min(dtype.itemsize, 16))
    text = repr({"descr": descr, "fortran_order": order, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(body)


def unpacked(content: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members: Members) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def mutate(content: bytes, rng: random.Random) -> bytes:
    """Change a model file, mostly in one place."""
    sys.set_int_max_str_digits(0)  # of this process, which makes numbers that no other should read
    level = rng.choice(["bytes", "members", "schema", "schema", "schema", "array", "array", "card"])
    if level == "bytes":
        return of_bytes(content, rng)
    members = unpacked(content)
    for _ in range(rng.choice([1, 1, 1, 3])):
        if level == "members":
            of_members(members, rng)
            break
        if level == "array" and (arrays := [name for name in members if name.endswith(".npy")]):
            name = rng.choice(arrays)
            members[name] = of_array(members[name], rng)
        elif level != "array":
            name, change = ("schema.json", of_schema) if level == "schema" else ("sersk.json", of_card)
            tree = json.loads(members[name])
            change(tree, rng)
            members[name] = as_json(tree)
    if rng.random() < 0.3:  # a model that is asked when it is opened
        card = json.loads(members["sersk.json"]) if members.get("sersk.json", b"")[:1] == b"{" else None
        if isinstance(card, dict) and isinstance(card.get("versions"), dict):
            card["versions"]["scikit-learn"] = "1.8.0"
            members["sersk.json"] = as_json(card)
    return packed(members)


def as_json(tree: Any) -> str:
    try:
        return json.dumps(tree)
    except (RecursionError, ValueError):  # too deep for Python, or a node within itself
        return '{"a":' * 2000 + "1" + "}" * 2000


# The process that opens them

# What no opening of a model file may do.
FORBIDDEN = re.compile(
    r"os\.(system|exec|posix_spawn|fork|remove|rename|mkdir|rmdir|chmod|link|symlink|putenv|kill|startfile)"
    r"|subprocess\.Popen|pickle\.find_class|socket\..*|shutil\..*|ctypes\.dlopen|urllib\..*|webbrowser\..*|pty\.spawn"
)


def watch(seen: list[str]) -> Callable[[str, tuple[Any, ...]], None]:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & {*"wax+"}
        if writes or FORBIDDEN.fullmatch(event):
            seen.append(f"{event} {arguments}"[:200])

    return hook


def peak() -> float:
    """Give the peak of memory since the last `forget_peak`, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) / 1024


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def tell(found: dict[str, Any]) -> None:
    sys.stdout.write(f"{json.dumps(found)}\n")
    sys.stdout.flush()


def open_what_comes() -> None:
    """Open the files that stdin names, a line each, of which the first is a good one."""
    import skops.io  # which imports all of scikit-learn

    from sersk.persistence import load_model

    assert skops.io.loads(skops.io.dumps([1])) == [1]
    warnings.simplefilter("ignore")
    good = sys.stdin.readline().rstrip("\n")
    load_model(good)
    start = time.process_time()  # the second time, everything is imported
    load_model(good)
    tell({"seconds": round(time.process_time() - start, 3)})
    done: list[str] = []
    sys.addaudithook(watch(done))
    for line in sys.stdin:
        file = line.rstrip("\n")
        forget_peak()
        modules, before, start = {*sys.modules}, peak(), time.process_time()
        done.clear()
        told = ""
        try:
            load_model(file)
            outcome = "loaded"
        except ValueError as error:
            told = str(error)
            outcome = "refused" if file in told and len(told) < 20_000 else "unclear"
        except BaseException as error:  # whatever it is, it is a fault
            told, outcome = f"{type(error).__name__}: {error}", "crashed"
        found = {"outcome": outcome, "seconds": round(time.process_time() - start, 3), "done": done[:3]}
        found |= {"megabytes": round(peak() - before, 1), "told": told[:300]}
        tell(found | {"modules": sorted({*sys.modules} - modules)})


class Opener:
    """A process that opens model files, made anew when it has ended."""

    def __init__(self, good: Path, timeout: float = 120) -> None:
        self.good, self.timeout = good, timeout
        self.start()

    def start(self) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "PYTHONFAULTHANDLER": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-B", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.write(str(self.good))
        self.seconds = self.read()["seconds"]

    def write(self, text: str) -> None:
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def read(self) -> Any:
        if not select.select([self.process.stdout], [], [], self.timeout)[0]:
            return None
        line = self.process.stdout.readline()
        return json.loads(line) if line else None

    def open(self, file: Path) -> dict[str, Any]:
        """Open a file; a process that does not answer is ended."""
        try:
            self.write(str(file))
            found = self.read()
        except BrokenPipeError:
            found = None
        if found is None:
            code = self.process.poll()
            self.close()
            self.start()
            return {"outcome": "ended" if code else "hung", "told": str(code)}
        return found

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> Opener:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def run(good: Path, numbers: range, seed: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Change a good file again and again, and tell what becomes of each."""
    content, place = good.read_bytes(), folder / "mutated.sersk"
    with Opener(good) as opener:
        for number in numbers:
            changed = mutate(content, random.Random(f"{seed} {number}"))
            place.write_bytes(changed)
            yield {"number": number, "size": len(changed), "good": opener.seconds} | opener.open(place)


if __name__ == "__main__":
    open_what_comes()
