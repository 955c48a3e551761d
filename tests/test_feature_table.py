"""Features in a folder: the same numbers, each file whole or absent, and nothing done twice."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cheap_clips import features
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal
from test_cli import errors, sersk

from sersk import feature_table, load_corpus, make_emotional_speech
from sersk.feature_table import is_feature_table, open_feature_table, write_feature_table

pq = pytest.importorskip("pyarrow.parquet", reason="needs an extra: pip install 'sersk[parquet]'")


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speech")
    make_emotional_speech(folder, emotions=("happy", "sad"), n_speakers=3, n_repetitions=2, duration=0.4)
    return folder


@pytest.fixture
def corpus(original, tmp_path):
    """Twelve clips that a test may damage, and facts of which some are known of none, or of the last only."""
    shutil.copytree(original, tmp_path / "speech")
    corpus = load_corpus(tmp_path / "speech")
    corpus.frame["age"] = pd.array([None] * 11 + [33], dtype="Int64")
    corpus.frame["remark"] = None
    return corpus


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "table"


def write(corpus, folder, *, features=features(), **options):  # noqa: B008 - it is not fitted
    return write_feature_table(corpus.data, corpus.frame, features, folder, **({"part_size": 5} | options))


def names_in(folder):
    return sorted(file.name for file in folder.iterdir())


THREE = [f"part-0000{number}-of-00003.parquet" for number in range(3)]


# --- the table


def test_a_table_holds_what_is_known_of_the_clips_and_their_features(corpus, folder):
    assert write(corpus, folder) == []
    assert names_in(folder) == THREE
    expected = features().transform(corpus.data)
    table = pd.read_parquet(folder)
    names = features().get_feature_names_out()
    assert table.columns.tolist() == [*corpus.frame.columns, *names]
    assert_array_equal(table[names].to_numpy(), expected)
    assert (table[names].dtypes == "float32").all()
    assert_frame_equal(table[[*corpus.frame.columns[:5], "age"]], corpus.frame[[*corpus.frame.columns[:5], "age"]])
    assert table["remark"].isna().all()
    assert len({pq.read_schema(folder / name).remove_metadata().to_string() for name in THREE}) == 1
    opened = open_feature_table(folder)
    assert (opened.n_clips, opened.names) == ((5, 5, 2), (*names,))
    assert_frame_equal(opened.facts(), table[corpus.frame.columns])


def test_the_table_knows_what_its_columns_are(corpus, folder):
    odd = features(functionals=["mean", "p5"], fmax=7000.0, n_mels=8, n_jobs=2, on_error="nan", verbose=1)
    write(corpus, folder, features=odd)
    found = open_feature_table(folder).features
    assert found.get_params() == features(functionals=("mean", "p5"), fmax=7000.0, n_mels=8).get_params()
    assert_array_equal(found.transform(corpus.data[:2]), odd.transform(corpus.data[:2]))


@pytest.mark.parametrize("rows", [range(12), [0], [4, 5], [11], [1, 2, 3, 10], []])
def test_batches_give_the_clips_that_are_asked_for(rows, corpus, folder):
    write(corpus, folder)
    expected = features().transform(corpus.data)
    batches = [*open_feature_table(folder).batches(np.array(rows, dtype=int))]
    assert [*np.concatenate([np.empty(0), *(clips for clips, _ in batches)])] == [*rows]
    for clips, vectors in batches:
        assert vectors.flags.c_contiguous
        assert_array_equal(vectors, expected[clips])
        assert len({*(clips // 5)}) == 1, "of one file"


def test_batches_may_be_shuffled_as_a_seed_says(corpus, folder):
    write(corpus, folder, part_size=4)
    table, expected = open_feature_table(folder), features().transform(corpus.data)

    def read(seed):
        return [*table.batches(np.arange(1, 12), np.random.RandomState(seed))]

    for clips, vectors in read(0):
        assert_array_equal(vectors, expected[clips])
    orders = [np.concatenate([clips for clips, _ in read(seed)]).tolist() for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == [*range(1, 12)] != orders[0]


def test_files_without_wanted_clips_are_not_read(corpus, folder):
    write(corpus, folder)
    table = open_feature_table(folder)
    (folder / THREE[0]).unlink()
    assert [clips.tolist() for clips, _ in table.batches(np.array([6, 11]))] == [[6], [11]]


# --- what goes wrong


def test_clips_that_cannot_be_read_are_told_by_a_run_that_finds_them_done_too(corpus, folder, computed):
    for number in (0, 5, 6, 7, 8, 9):
        Path(corpus.data[number]).write_bytes(b"")
    for n_computed in (6, 6):
        failures = write(corpus, folder)
        assert [(name, str(error)) for name, error in failures] == [
            (corpus.data[number], f"{corpus.data[number]}: is empty (0 bytes)") for number in (0, 5, 6, 7, 8, 9)
        ]
        assert len(computed) == n_computed
    table = open_feature_table(folder)
    assert table.n_clips == (4, 0, 2)
    assert pd.read_parquet(folder)["file"].tolist() == table.facts()["file"].tolist()
    assert table.facts()["file"].tolist() == [*corpus.data[1:5], *corpus.data[10:]]


def test_an_interrupted_run_goes_on_where_it_was(corpus, folder, computed):
    def interrupt(parts, total):
        assert total == 3
        yield parts[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(corpus, folder, progress=interrupt)
    assert names_in(folder) == THREE[:1]
    with pytest.raises(ValueError, match=r"1 of 3 files are there\. Let `sersk features` finish"):
        open_feature_table(folder)
    (folder / f".{THREE[1]}.{'0' * 32}.part").write_text("left by a process that was killed")
    told = []
    write(corpus, folder, tell=told.append)
    assert len(computed) == 12
    assert told == [f"1 of 3 files are in {folder} already"]
    assert names_in(folder) == THREE
    assert_array_equal(
        pd.read_parquet(folder)[features().get_feature_names_out()].to_numpy(), features().transform(corpus.data)
    )


def test_a_file_that_cannot_be_written_is_not_there(corpus, folder, monkeypatch):
    def fail(table, file, **options):
        Path(file).write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", fail)
    with pytest.raises(OSError, match="No space left"):
        write(corpus, folder)
    assert names_in(folder) == []


def other_settings(corpus, folder):
    return {"features": features(n_mels=17)}


def other_facts(corpus, folder):
    corpus.frame.loc[3, "emotion"] = "angry"


def other_clips(corpus, folder):
    corpus.data[11] = corpus.data[3]


def other_audio(corpus, folder):
    with Path(corpus.data[2]).open("ab") as file:
        file.write(b"more")


def other_sizes(corpus, folder):
    return {"part_size": 4}


def other_files(corpus, folder):
    (folder / "notes.txt").write_text("mine")


def other_tables(corpus, folder):
    pd.DataFrame({"mine": [1]}).to_parquet(folder / THREE[1])


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (other_settings, THREE[0]),
        (other_facts, THREE[0]),
        (other_clips, THREE[2]),
        (other_audio, THREE[0]),
        (other_sizes, THREE[0]),
        (other_files, "notes.txt"),
        (other_tables, THREE[1]),
    ],
)
def test_a_folder_with_something_else_is_refused(change, name, corpus, folder):
    write(corpus, folder)
    options = change(corpus, folder) or {}
    before = {file: file.read_bytes() for file in folder.iterdir()}
    with pytest.raises(ValueError, match=rf"{folder}/{name}: is no part of this table"):
        write(corpus, folder, **options)
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


def test_a_file_in_place_of_a_folder_and_no_clips_are_refused(corpus, folder):
    folder.write_text("mine")
    with pytest.raises(ValueError, match=r"this is a file\. Give the name of a folder"):
        write(corpus, folder)
    with pytest.raises(ValueError, match="at least one clip"):
        write_feature_table([], corpus.frame[:0], features(), folder)


def retold(file, change):
    """Write a file again with other words about its features."""
    table = pq.read_table(file)
    told = json.loads(table.schema.metadata[b"sersk"])
    said = change(told) or told
    content = said if isinstance(said, bytes) else json.dumps(said).encode()
    pq.write_table(table.replace_schema_metadata({b"sersk": content}), file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda told: b"[" * 200_000, "is not of the table that it lies in"),
        (lambda told: b"\xff", "is not of the table that it lies in"),
        (lambda told: [1], "is not of the table that it lies in"),
        (lambda told: {"features": {}}, "is not of the table that it lies in"),
        (lambda told: told["features"].update(n_mfcc=10**9), "n_mfcc is above 4096"),
        (lambda told: told["features"].update(n_mfcc="x"), "is damaged"),
        (lambda told: told["features"].update(other=1), "is damaged"),
        (lambda told: told.update(features=[]), "is damaged"),
    ],
)
def test_a_file_that_says_something_else_is_refused(change, message, corpus, folder):
    write(corpus, folder, part_size=100)
    retold(folder / "part-00000-of-00001.parquet", change)
    with pytest.raises(ValueError, match=rf"part-00000-of-00001\.parquet: .*{message}"):
        open_feature_table(folder)


def test_a_file_of_more_rows_than_it_can_hold_is_refused(corpus, folder, monkeypatch):
    write(corpus, folder, part_size=100)
    monkeypatch.setattr(feature_table, "_FREE", 0)
    monkeypatch.setattr(feature_table, "_PER_BYTE", 0.001)
    with pytest.raises(ValueError, match=rf"claims to hold {len(corpus.data)} clips"):
        open_feature_table(folder)


def test_what_is_no_table_is_not_opened(corpus, folder, monkeypatch):
    folder.mkdir()
    with pytest.raises(ValueError, match="holds no features"):
        open_feature_table(folder)
    write(corpus, folder)
    write(corpus, folder.with_name("other"), features=features(n_mels=17))
    monkeypatch.setattr(feature_table, "FEATURE_VERSION", 99)
    with pytest.raises(ValueError, match=r"feature numbers of version \d+; this sersk .* computes version 99. Install"):
        open_feature_table(folder)
    monkeypatch.undo()
    shutil.copy(folder.with_name("other") / THREE[1], folder)
    with pytest.raises(ValueError, match=r"part-00001-of-00003\.parquet: is not of the table"):
        open_feature_table(folder)
    pd.DataFrame({"mine": [1]}).to_parquet(folder / THREE[0])
    with pytest.raises(ValueError, match=r"part-00000-of-00003\.parquet: is not of the table"):
        open_feature_table(folder)
    (folder / THREE[0]).rename(folder / "part-00000-of-00007.parquet")
    with pytest.raises(ValueError, match="3 of 7 files"):
        open_feature_table(folder)


def test_a_folder_is_known_by_its_files(corpus, folder):
    assert not is_feature_table(folder)
    folder.mkdir()
    assert not is_feature_table(folder)
    write(corpus, folder)
    assert is_feature_table(str(folder))
    assert not is_feature_table(folder / THREE[0])


def test_parquet_is_an_extra(corpus, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"Parquet needs pyarrow: pip install 'sersk\[parquet\]'"):
        write(corpus, folder)
    folder.mkdir()
    with pytest.raises(ImportError, match=r"Parquet needs pyarrow: pip install 'sersk\[parquet\]'"):
        open_feature_table(folder)


# --- the command


@pytest.mark.parametrize("part_size", [4, 4096])
def test_features_in_a_folder(part_size, corpus, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(feature_table, "PART_SIZE", part_size)
    Path(corpus.data[3]).write_bytes(b"")
    command = ["features", "speech", "--layout", "auto", "--features", "means-180", "--jobs", 1, "--out"]
    for number in range(2):
        result = sersk(*command, "table/")
        assert (result.exit_code, result.stdout) == (1, "")
        name = Path(corpus.data[3]).relative_to(tmp_path)
        assert errors(result) == [f"error: {name}: is empty (0 bytes)"]
        assert "11 clips, 180 features: table\n" in result.stderr
        assert ("files are in table already" in result.stderr) == bool(number)
    assert sersk(*command, "table.csv").exit_code == 1
    whole = pd.read_csv("table.csv", dtype={"repetition": str})
    assert_frame_equal(pd.read_parquet("table"), whole, check_dtype=False, check_column_type=False, rtol=1e-6)
    assert open_feature_table("table").n_clips == ((3, 4, 4) if part_size == 4 else (11,))


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("notes").write_text("mine")
    result = sersk("features", "none.wav", "--out", "notes")
    refused = "this is a file. Give a name that ends in .csv or .parquet, or a folder."
    assert errors(result) == [f"error: --out notes: {refused}"]
    (line,) = errors(sersk("features", "-", "--out", "table", input=b"audio"))
    assert line.startswith("error: - cannot be read again")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = sersk("features", "none.wav", "--out", "some/table")
    assert errors(result) == ["error: Parquet needs pyarrow: pip install 'sersk[parquet]'"]
