"""Hostile files: nothing in them is ever run, and each gets a clear error."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import random
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import skops.io
from forgery import fitted_pipeline, forge, forge_packed, members_of, write_zip
from mutations import run
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sersk import archives, model_reader
from sersk.persistence import load_model, read_card, save_model
from sersk.stored_models import parts


@pytest.fixture(scope="module")
def model() -> Pipeline:
    return fitted_pipeline()


@pytest.fixture(scope="module")
def saved(model: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(model, tmp_path_factory.mktemp("models") / "good.sersk", card={"n_clips": 18})


class Bomb:
    """Run a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.fixture
def sentinel(tmp_path: Path):
    """A file that hostile code would make; it must not be there at the end."""
    file = tmp_path / "sentinel"
    yield file
    assert not file.exists()


@pytest.mark.parametrize("dump", [pickle.dump, joblib.dump], ids=["pickle", "joblib"])
@pytest.mark.parametrize("reader", [read_card, load_model])
def test_pickles_are_not_opened(dump, reader, sentinel, tmp_path):
    file = tmp_path / "m.sersk"
    with file.open("wb") as opened:
        dump(Bomb(f"touch {sentinel}"), opened)
    with pytest.raises(ValueError, match=r"m\.sersk: is no sersk model file .*Pickle"):
        reader(file)


def node(loader: str, name: str, **more: Any) -> dict[str, Any]:
    module, _, attribute = name.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": attribute} | more


def text(value: Any) -> dict[str, Any]:
    return node("JsonNode", "builtins.str", content=json.dumps(value), is_json=True)


def hostile_nodes(command: str) -> dict[str, dict[str, Any]]:
    call = node("TupleNode", "builtins.tuple", content=[text(command)])
    system = node("FunctionNode", "os.system")
    eval_ = node("TypeNode", "builtins.eval")
    nothing = node("TupleNode", "builtins.tuple", content=[])
    empty = node("DictNode", "builtins.dict", key_types=node("ListNode", "builtins.list", content=[]), content={})
    parted = {"func": system, "args": call, "kwds": empty, "namespace": empty}
    keys = node("ListNode", "builtins.list", content=[system])
    features = node("ObjectNode", "sersk.features.AcousticFeatures")
    shell = f"__import__('os').system({command!r})"
    return {
        "function": system,
        "type": eval_,
        "popen": node("ConstructorFromReduceNode", "subprocess.Popen", content=call),
        "posix": node("ConstructorFromReduceNode", "posix.system", content=call),
        "object": node("ObjectNode", "subprocess.Popen", content=empty),
        "list": node("ListNode", "os.system", content=[text(command)]),
        "set": node("SetNode", "builtins.exec", content=[text(shell)]),
        "tuple": node("TupleNode", "builtins.eval", content=[text(shell)]),
        "dict": node("DictNode", "os.system", key_types=keys, content={}),
        "dict-key": node("DictNode", "builtins.dict", key_types=keys, content={command: text(1)}),
        "defaultdict": node(
            "DefaultDictNode", "collections.defaultdict", content={"main": empty, "default_factory": system}
        ),
        "partial": node("PartialNode", "functools.partial", content=parted),
        "method": node(
            "MethodNode", "sersk.features.AcousticFeatures", content={"obj": features, "func": "set_output"}
        ),
        "method-of-another": node("MethodNode", "os.system", content={"obj": features, "func": "system"}),
        "methodcaller": node("OperatorFuncNode", "operator.methodcaller", attrs=call),
        "attrgetter-of-os": node("OperatorFuncNode", "os.system", attrs=call),
        "array": node("NdArrayNode", "os.system", type="json", content=[], shape=nothing),
        "loss": node("LossNode", "os.system", content=empty, **{"__reduce__": {"args": call}}),
        "tree": node("TreeNode", "sklearn.tree._tree.Tree", content=empty, **{"__reduce__": {"args": nothing}}),
        "generator": node(
            "RandomGeneratorNode",
            "numpy.random._generator.Generator",
            content={"bit_generator": empty | {"content": {"bit_generator": text("seed")}}, "seed_seq": empty},
        ),
        "random-state": node("RandomStateNode", "os.system", content=empty),
        "sklearn-function": node("FunctionNode", "sklearn.datasets._base.load_files"),
        "sklearn-helper": node("ConstructorFromReduceNode", "sklearn.utils._bunch.eval", content=call),
        "joblib": node("ListNode", "joblib.load", content=[text(command)]),
        "cached": node("CachedNode", "builtins.object", **{"__id__": 7}),
        "unknown-loader": node("ShellNode", "os.system", content=command),
    }


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, -1, True, "2", None])
@pytest.mark.parametrize("name", hostile_nodes(""))
def test_no_type_or_function_of_a_file_is_used(name, protocol, saved, sentinel, tmp_path):
    root = hostile_nodes(f"touch {sentinel}")[name]
    schema = root | {"protocol": protocol, "_skops_version": "0.13.0"}
    file = forge(saved, tmp_path / "m.sersk", **{"schema.json": schema})
    with pytest.raises(ValueError, match=r"m\.sersk: (holds types|is no sersk model file, or is damaged)"):
        load_model(file)
    listed = node("ListNode", "builtins.list", content=[text(1), root]) | {"protocol": 2}
    with pytest.raises(ValueError, match=r"m\.sersk: (holds types|is no sersk model file, or is damaged)"):
        load_model(forge(saved, file, **{"schema.json": listed}))


@pytest.mark.parametrize("name", ["function", "popen", "list", "partial", "method", "sklearn-function", "joblib"])
def test_the_refused_types_are_named(name, saved, sentinel, tmp_path):
    root = hostile_nodes(f"touch {sentinel}")[name]
    file = forge(saved, tmp_path / "m.sersk", **{"schema.json": root | {"protocol": 2}})
    wanted = {"partial": "functools.partial, os.system", "method": "sersk.features.AcousticFeatures.set_output"}
    named = wanted.get(name, f"{root['__module__']}.{root['__class__']}")
    with pytest.raises(ValueError, match=rf"holds types that a sersk model does not need: {named}\. None of them"):
        load_model(file)


def test_no_module_is_imported_for_a_refused_type(saved, sentinel, tmp_path, monkeypatch):
    (tmp_path / "evil_module.py").write_text(f"open({str(sentinel)!r}, 'w').close()\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    root = node("ObjectNode", "evil_module.Thing") | {"protocol": 2}
    with pytest.raises(ValueError, match=r"evil_module\.Thing"):
        load_model(forge(saved, tmp_path / "m.sersk", **{"schema.json": root}))
    assert "evil_module" not in sys.modules


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_pickles_inside_of_arrays_are_not_opened(kind, saved, sentinel, tmp_path):
    buffer = io.BytesIO()
    array = np.array([Bomb(f"touch {sentinel}")], dtype=object)
    if kind == "npy":
        np.save(buffer, array, allow_pickle=True)
        root = node("NdArrayNode", "numpy.ndarray", type="numpy", file="1.npy")
    else:
        np.savez(buffer, format=np.array(b"csr"), data=array, indices=array, indptr=array, shape=array)
        root = node("SparseMatrixNode", "scipy.sparse._matrix.spmatrix", type="scipy", file="1.npz")
    file = forge(saved, tmp_path / "m.sersk", **{"schema.json": root | {"protocol": 2}, f"1.{kind}": buffer.getvalue()})
    with pytest.raises(ValueError, match=r"m\.sersk: .*allow_pickle=False"):
        load_model(file)


@pytest.mark.parametrize("content", [b"", b"\0" * 100, random.Random(0).randbytes(5000), b"PK\x03\x04", b"PK\x05\x06"])
@pytest.mark.parametrize("reader", [read_card, load_model])
def test_what_is_no_archive_is_refused(content, reader, tmp_path):
    file = tmp_path / "m.sersk"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"m\.sersk: is no sersk model file"):
        reader(file)


@pytest.mark.parametrize("reader", [read_card, load_model])
def test_what_is_no_file_is_refused(reader, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.sersk: no such model file"):
        reader(tmp_path / "none.sersk")
    with pytest.raises(ValueError, match="is no file but a folder"):
        reader(tmp_path)
    with (tmp_path / "huge.sersk").open("wb") as opened:
        opened.truncate(2**30 + 1)
    with pytest.raises(ValueError, match=r"huge\.sersk: expected a model file of at most 1024 MiB"):
        reader(tmp_path / "huge.sersk")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.999])
def test_a_cut_file_is_refused(keep, saved, tmp_path):
    content = saved.read_bytes()
    file = tmp_path / "m.sersk"
    file.write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(ValueError, match=r"m\.sersk: is no sersk model file"):
        load_model(file)


NO_CARDS = {
    "missing": None,
    "empty": b"",
    "no-text": b"\xff\xfe",
    "no-json": "no json",
    "list": [],
    "no-version": {},
    "number": "1",
    "text-version": {"schema_version": "1"},
    "version-0": {"schema_version": 0},
    "version-true": {"schema_version": True},
    "bottomless": "[" * 100_000,
    "huge": b" " * (2**20 + 1),
}


@pytest.mark.parametrize("card", NO_CARDS.values(), ids=NO_CARDS)
def test_a_card_that_is_none_is_refused(card, saved, tmp_path):
    members: dict[str, Any] = members_of(saved)
    del members["sersk.json"]
    if card is not None:
        members["sersk.json"] = card
    file = write_zip(tmp_path / "m.sersk", members)
    for reader in (read_card, load_model):
        with pytest.raises(ValueError, match=r"m\.sersk: is no sersk model file, or is damaged"):
            reader(file)


@pytest.mark.parametrize(
    "card",
    [{"classes": ["x"]}, {"classes": None}, {"versions": None}, {"versions": {"scikit-learn": "new"}}],
)
def test_a_card_of_another_model_is_refused(card, saved, tmp_path):
    with pytest.raises(ValueError, match="is damaged"):
        load_model(forge(saved, tmp_path / "m.sersk", card=card))


@pytest.mark.parametrize(
    "name", ["../evil.npy", "/tmp/1.npy", "a\\1.npy", "1.npy\n", "\N{FULLWIDTH DIGIT ONE}.npy", "C:1.npy", "folder/"]
)
def test_members_of_other_names_are_refused(name, saved, tmp_path):
    file = forge(saved, tmp_path / "m.sersk", **{name: b""})
    with pytest.raises(ValueError, match=r"its member .* is out of place"):
        load_model(file)
    assert [path.name for path in tmp_path.iterdir()] == ["m.sersk"]


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(compression, saved, tmp_path):
    file = forge(saved, tmp_path / "m.sersk")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("1.npy", b"0", compress_type=compression)
    with pytest.raises(ValueError, match=r"its member '1\.npy' is out of place"):
        load_model(file)


def test_encrypted_and_repeated_members_are_refused(saved, tmp_path):
    for change in ("encrypted", "repeated"):
        file = forge(saved, tmp_path / "m.sersk")
        with zipfile.ZipFile(file, "a") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile's own of the repeated name
            archive.writestr("schema.json" if change == "repeated" else "1.npy", b"{}")
            if change == "encrypted":
                archive.infolist()[-1].flag_bits |= 1
        with pytest.raises(ValueError, match="is out of place"):
            load_model(file)


@pytest.mark.parametrize("name", ["1.npy", "schema.json", "sersk.json"])
def test_what_unpacks_to_too_much_is_refused_unopened(name, saved, tmp_path):
    file = forge(saved, tmp_path / "m.sersk", **{"1.npy": b""})
    with zipfile.ZipFile(file, "a") as archive:
        archive.getinfo(name).file_size = 2**31
        archive.writestr("2.npy", b"")  # so that the directory is written anew
    with pytest.raises(ValueError, match=r"unpacks to 2\d{9} bytes"):
        load_model(file)


def test_a_member_named_over_and_over_counts_each_time(saved, tmp_path):
    array = node("NdArrayNode", "numpy.ndarray", type="numpy", file="1.npy")
    root = node("ListNode", "builtins.list", content=[array] * 1100) | {"protocol": 2}
    file = forge(saved, tmp_path / "m.sersk", **{"schema.json": root, "1.npy": bytes(2**20)})
    with pytest.raises(ValueError, match="it unpacks to 1153"):
        load_model(file)


def test_an_array_header_that_asks_for_too_much_memory_is_refused(saved, tmp_path):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (2**50,)})
    root = node("NdArrayNode", "numpy.ndarray", type="numpy", file="1.npy") | {"protocol": 2}
    file = forge(saved, tmp_path / "m.sersk", **{"schema.json": root, "1.npy": buffer.getvalue()})
    with pytest.raises(ValueError, match="is damaged"):
        load_model(file)


def test_a_bottomless_schema_is_refused(saved, tmp_path):
    root = '{"a":' * 50_000 + "1" + "}" * 50_000
    with pytest.raises(ValueError, match=r"is damaged \(RecursionError"):
        load_model(forge(saved, tmp_path / "m.sersk", **{"schema.json": root}))


def test_something_else_than_a_classifier_is_refused(saved, tmp_path):
    for other in ([1, 2], {"predict": 1}, StandardScaler().fit(np.eye(2))):
        with pytest.raises(ValueError, match="the model is not the one that its card describes"):
            load_model(forge_packed(saved, tmp_path / "m.sersk", other))


def test_changed_schemas_give_a_model_or_a_clear_error(saved, sentinel, tmp_path):
    """Parts of a good schema exchanged with one another and with hostile ones."""
    good, rng = json.loads(members_of(saved)["schema.json"]), random.Random(0)
    hostile = list(hostile_nodes(f"touch {sentinel}").values())
    for _ in range(150):
        schema = copy.deepcopy(good)
        places = [(part, key) for part in parts(schema) if isinstance(part, dict) for key in part]
        pool = [part for part in parts(schema) if isinstance(part, dict)] + hostile + [1, "x", None, [], {}]
        for _ in range(rng.choice([1, 3])):
            part, key = rng.choice(places)
            part[key] = copy.deepcopy(rng.choice(pool))
        try:
            file = forge(saved, tmp_path / "m.sersk", **{"schema.json": schema})
        except (RecursionError, ValueError):  # a part within itself
            continue
        try:
            load_model(file)
        except ValueError as error:
            assert str(file) in str(error)  # noqa: PT017


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux does")
def test_changed_files_give_a_model_or_a_clear_error(saved, tmp_path):
    """What benchmarks/fuzz_model_files.py does with more files, and with models of every kind."""
    outcomes = set()
    for found in run(saved, range(100), 0, tmp_path):
        outcomes.add(found["outcome"])
        assert found["outcome"] in ("loaded", "refused"), found
        assert not found["done"], found  # no command, no pickle, nothing written
        assert all(name.startswith(("sersk.", "sklearn.")) for name in found["modules"]), found
        assert found["megabytes"] < 200, found
        assert found["seconds"] < 1 + found["good"], found
    assert outcomes == {"loaded", "refused"}


# Files that are small, and would take a lot


def listed(content: list[Any], identity: int | None = None, loader: str = "List") -> dict[str, Any]:
    kind = node(f"{loader}Node", f"builtins.{loader.lower()}", content=content)
    return kind if identity is None else kind | {"__id__": identity}


def doubled(loader: str, again: str) -> dict[str, Any]:
    """Nest lists that each hold the one before in full, and then by its number."""
    part = listed([text(1)], 1, loader)
    for k in range(1, 40):
        part = listed([part, node(again, "builtins.list", content=[]) | {"__id__": k}], k + 1, loader)
    return part


def zeros_in(kind: str) -> bytes:
    buffer = io.BytesIO()
    zeros = np.zeros(2**22)
    if kind == "npy":
        np.save(buffer, zeros)
    else:
        np.savez_compressed(buffer, format=np.array(b"csr"), data=zeros, indices=zeros, indptr=zeros)
    return buffer.getvalue()


def array_node(number: int | None = None) -> dict[str, Any]:
    return node("NdArrayNode", "numpy.ndarray", type="numpy", file="1.npy") | (
        {} if number is None else {"__id__": number}
    )


OTHER = "a node of its schema stands for another one"
SPARSE = node("SparseMatrixNode", "scipy.sparse._matrix.spmatrix", type="scipy", file="1.npz")
BOMBS: dict[str, Callable[[], tuple[Any, bytes, str]]] = {
    "lists": lambda: (doubled("List", "ListNode"), b"", OTHER),
    "tuples-in-a-set": lambda: (listed([doubled("Tuple", "ListNode")], 99, "Set"), b"", OTHER),
    "cached": lambda: (doubled("List", "CachedNode"), b"", OTHER),
    "circle": lambda: (listed([listed([], 1)], 1), b"", OTHER),
    "text": lambda: (listed([text("x" * 10**5) | {"__id__": 1}, *[text("") | {"__id__": 1}] * 99]), b"", OTHER),
    "shared-array": lambda: (listed([array_node(1), *[text(1) | {"__id__": 1}] * 99]), bytes(9), OTHER),
    "two-values": lambda: ('{"content": [], "content": []}', b"", "two values of one name"),
    "brackets": lambda: ("[" + "[]," * 10**6 + "[]]", b"", r"its schema would take 134\d{6} bytes"),
    "dicts": lambda: ("[" + "{}," * 10**6 + "{}]", b"", r"its schema would take 370\d{6} bytes"),
    "numbers": lambda: ("[" + "0," * 10**6 + "0]", b"", r"its schema would take 68\d{6} bytes"),
    "in-text": lambda: (text([[]] * 10**6), b"", r"its schema would take 136\d{6} bytes"),
    "zeros": lambda: (array_node(), zeros_in("npy"), r"it unpacks to 33\d{6} bytes"),
    "zeros-in-an-archive": lambda: (SPARSE, zeros_in("npz"), r"it unpacks to 100\d{6} bytes"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_take_a_lot_is_refused_before_it_is_built(name, saved, tmp_path, monkeypatch):
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("something was to be built")

    monkeypatch.setattr(model_reader, "_build", refuse)
    monkeypatch.setattr(skops.io, "get_untrusted_types", refuse)
    root, array, message = BOMBS[name]()
    if isinstance(root, dict):
        root |= {"protocol": 2}
    member = "1.npz" if name.endswith("archive") else "1.npy"
    file = forge(saved, tmp_path / "m.sersk", **{"schema.json": root, member: array})
    assert file.stat().st_size < 600_000
    with pytest.raises(ValueError, match=rf"m\.sersk: .*{message}"):
        load_model(file)


def test_a_file_that_repeats_in_full_what_stands_at_two_places_is_read(saved, tmp_path):
    part = listed([text("x" * 100) | {"__id__": 1}, array_node(2)], 3)
    packed = io.BytesIO()
    np.save(packed, np.zeros(1000))
    members = {"schema.json": listed([part] * 50) | {"protocol": 2}, "1.npy": packed.getvalue()}
    content = forge(saved, tmp_path / "m.sersk", **members).read_bytes()
    lists = model_reader.read_known(content, ())
    assert len(lists) == 50
    assert all(one is lists[0] for one in lists)


def test_too_many_members_are_refused(saved, tmp_path):
    file = forge(saved, tmp_path / "m.sersk", **{f"{k}.npy": b"" for k in range(2**16)})
    for reader in (read_card, load_model):
        with pytest.raises(ValueError, match="it has more than 65536 members"):
            reader(file)


def test_members_that_lie_one_upon_the_other_are_refused(saved, tmp_path):
    file = forge(saved, tmp_path / "m.sersk", **{"1.npy": random.Random(0).randbytes(10000)})
    with zipfile.ZipFile(file, "a") as archive:
        for k in range(2, 100):  # many names in the directory for one member
            other = copy.copy(archive.getinfo("1.npy"))
            other.filename = f"{k}.npy"
            archive.filelist.append(other)
        archive.writestr("0.npy", b"")  # so that the directory is written anew
    with pytest.raises(ValueError, match="its members lie one upon the other"):
        load_model(file)


ARRAYS = {
    "rows-that-are-not-there": ("<f8", (2**40,), 80),
    "rows-of-nothing": ("<f8", (2**40, 0), 0),
    "nothing-of-rows": ("<f8", (0, 2**40), 0),
    "items-without-bytes": ("|V0", (2**40,), 0),
    "text-without-letters": ("<U0", (2**40,), 0),
    "negative": ("<f8", (-1,), 8),
    "negative-twice": ("<f8", (-1, -1), 8),
    "more-bytes": ("<f8", (1,), 16),
    "long-text": ("<U1000000000", (1,), 4),
    "objects": ("|O", (1,), 8),
    "fields": ([("a", "<f8", (2**20, 2**20))], (1,), 8),
}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_that_is_not_what_its_header_says_is_refused(name, known, saved, tmp_path):
    descr, shape, n_bytes = ARRAYS[name]
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    buffer.write(bytes(n_bytes))
    root = array_node() if known else listed([array_node()], 1, "Set")  # skops reads what is of other kinds
    file = forge(saved, tmp_path / "m.sersk", **{"schema.json": root | {"protocol": 2}, "1.npy": buffer.getvalue()})
    with pytest.raises(
        ValueError, match=r"claims to be of shape|Object arrays cannot be loaded|is damaged \(ValueError"
    ):
        load_model(file)


def test_an_array_in_an_archive_of_its_own_is_looked_at_too(saved, tmp_path):
    header, inner = io.BytesIO(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("data.npy", header.getvalue())
    file = forge(saved, tmp_path / "m.sersk", **{"schema.json": SPARSE | {"protocol": 2}, "1.npz": inner.getvalue()})
    with pytest.raises(ValueError, match=r"an array of 0 bytes claims to be of shape \(1099511627776,\)"):
        load_model(file)


def test_other_versions_of_arrays_are_refused(saved, tmp_path):
    root = array_node() | {"protocol": 2}
    file = forge(saved, tmp_path / "m.sersk", **{"schema.json": root, "1.npy": b"\x93NUMPY\x03\x00" + bytes(100)})
    with pytest.raises(ValueError, match=r"an array is of numpy's format \(3, 0\)"):
        load_model(file)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.zeros((0, 3)),
        np.array(3),
        np.array(["a", "bc"]),
        np.array([("a", 1)], "U3,>i2"),
    ],
    ids=["numbers", "empty", "scalar", "text", "fields"],
)
def test_arrays_are_read_as_numpy_reads_them(array, order, tmp_path):
    buffer = io.BytesIO()
    np.save(buffer, np.asarray(array, order=order))
    file = write_zip(tmp_path / "m.zip", {"1.npy": buffer.getvalue()})
    buffer.seek(0)
    expected = np.load(buffer)
    with zipfile.ZipFile(file) as archive:
        found = archives.read_array(archive, "1.npy")
    np.testing.assert_array_equal(found, expected)
    assert (found.dtype, found.flags.f_contiguous) == (expected.dtype, expected.flags.f_contiguous)
    assert found.flags.writeable


@pytest.mark.parametrize("name", ["x\x1b[2J\n", "x" * 10**5])
def test_what_a_file_says_stays_one_short_line(name, saved, tmp_path):
    types = listed([node("ListNode", f"os.{name}{k}", content=[]) for k in range(50)])
    damaged = node("NdArrayNode", "numpy.ndarray", type="numpy", file=name)
    versions = {"versions": {"scikit-learn": f"99.0{name}", "sersk": "1"}}
    for card, root in (({}, types), ({}, damaged), (versions, types), ({"feature_version": name}, types)):
        file = forge(saved, tmp_path / "m.sersk", card=card, **{"schema.json": root | {"protocol": 2}})
        with pytest.raises(ValueError, match=r"m\.sersk: ") as caught:
            load_model(file)
        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 20_000


def test_limits_are_what_the_documentation_says():
    assert archives._MAX_BYTES == 2**30
