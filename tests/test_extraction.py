"""What a clip may be, who computes it, and what the progress bar shows; the cache has test_cache.py."""

from __future__ import annotations

import io
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import ClassVar

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import soundfile as sf
from cheap_clips import SR, features
from joblib._parallel_backends import ThreadingBackend
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from threadpoolctl import threadpool_info, threadpool_limits

from sersk import AcousticFeatures, AudioError, FrameSequences, load_audio
from sersk.clips import DerivedClip, check_clips, clip_source
from sersk.extraction import in_one_thread
from sersk.recipes import VectorRecipe


@dataclass(frozen=True, eq=False)
class Halved(DerivedClip):
    """A clip at half its level."""

    def waveform(self, sr):
        return load_audio(clip_source(self.clip, sr), sr) / 2


def entries(folder):
    """What is in a cache, and when each entry was computed."""
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("output.pkl")}


# --- what a clip may be ---


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(list, id="Paths"),
        pytest.param(lambda paths: tuple(map(str, paths)), id="tuple of str"),
        pytest.param(lambda paths: np.array([str(p) for p in paths]), id="array of str"),
        pytest.param(lambda paths: np.array([os.fsencode(p) for p in paths]), id="array of bytes"),
        pytest.param(lambda paths: np.array(paths, dtype=object), id="object array"),
        pytest.param(lambda paths: pd.Series([str(p) for p in paths], index=list("edcba")), id="Series"),
        pytest.param(lambda paths: pd.Series(paths).iloc[:], id="Series of Paths"),
        pytest.param(lambda paths: [p.open("rb") for p in paths], id="open files"),
        pytest.param(lambda paths: [io.BytesIO(p.read_bytes()) for p in paths], id="BytesIO"),
        pytest.param(lambda paths: [sf.read(p, dtype="float32") for p in paths], id="(waveform, sr) pairs"),
        pytest.param(lambda paths: [sf.read(p)[0] for p in paths], id="float64 waveforms"),
        pytest.param(lambda paths: [sf.read(p)[0].tolist() for p in paths], id="waveforms in lists"),
        pytest.param(lambda paths: pd.Series([sf.read(p)[0] for p in paths]), id="Series of waveforms"),
        pytest.param(lambda paths: [str(paths[0]), *[sf.read(p)[0] for p in paths[1:]]], id="a mixture"),
    ],
)
@pytest.mark.parametrize("memory", [False, True])
def test_all_kinds_of_clips_give_the_same(paths, expected, kind, memory, tmp_path):
    clips = kind(paths)
    assert_array_equal(features(memory=str(tmp_path) if memory else None).fit_transform(clips), expected)
    for clip in clips:
        if isinstance(clip, io.BufferedReader):
            clip.close()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int16, np.int32, np.uint8, ">f4"])
def test_rows_of_an_array_are_waveforms(waveforms, dtype):
    if np.dtype(dtype).kind == "f":
        array = np.array([y[:3000] for y in waveforms]).astype(dtype)
    else:
        array = (np.array([y[:3000] for y in waveforms]) * np.iinfo(dtype).max / 4).astype(dtype)
    rows = features().transform(array)
    assert_array_equal(features().transform(list(array)), rows)
    assert_array_equal(features().transform(array.tolist() if dtype == np.float64 else list(array)), rows)
    assert_array_equal(features().transform(pd.DataFrame(array)) if dtype != ">f4" else rows, rows)
    # A clip of another length in the same list changes nothing.
    assert_array_equal(features().transform([*array, array[0, :100]])[:-1], rows)


def test_integers_are_scaled_as_files_are(waveforms, expected):
    integers = [np.round(y * 2**31).astype(np.int32) for y in waveforms]
    np.testing.assert_allclose(features().transform(integers), expected, rtol=1e-4, atol=1e-4)


def test_pairs_are_resampled_and_bare_waveforms_are_not(speechlike):
    slow = speechlike(0.3, sr=8000)
    pair, bare = features().transform([(slow, 8000), slow])
    assert np.abs(pair - bare).max() > 1


def test_offset_and_duration_apply_to_every_kind(paths, waveforms):
    part = features(offset=0.05, duration=0.1)
    cut = features().transform([y[800:2400] for y in waveforms])
    assert_array_equal(part.transform(paths), cut)
    assert_array_equal(part.transform(waveforms), cut)
    assert_array_equal(part.transform([(y, SR) for y in waveforms]), cut)


# --- clips that are made of others ---


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(lambda path: path, id="Path"),
        pytest.param(str, id="str"),
        pytest.param(lambda path: io.BytesIO(path.read_bytes()), id="BytesIO"),
        pytest.param(lambda path: path.open("rb"), id="open file"),
        pytest.param(lambda path: sf.read(path, dtype="float32"), id="(waveform, sr) pair"),
        pytest.param(lambda path: sf.read(path)[0], id="waveform"),
        pytest.param(lambda path: sf.read(path)[0].tolist(), id="waveform in a list"),
    ],
)
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_derived_clips_are_made_of_all_kinds(paths, waveforms, kind, n_jobs):
    clips = [kind(path) for path in paths]
    halves = features().transform([y / 2 for y in waveforms])
    transformer = features(n_jobs=n_jobs)
    for _ in range(2):  # file objects from their start, each time
        assert_array_equal(transformer.transform([Halved(clip) for clip in clips]), halves)
        quarters = transformer.transform(pd.Series([Halved(Halved(clip)) for clip in clips]))
        assert_array_equal(quarters, features().transform([y / 4 for y in waveforms]))
    for clip in clips:
        if isinstance(clip, io.BufferedReader):
            clip.close()


def test_derived_clips_among_others(paths, waveforms, expected):
    mixed = features().transform([paths[0], Halved(paths[0]), waveforms[1]])
    assert_array_equal(mixed[[0, 2]], expected[:2])
    assert_array_equal(mixed[1], features().transform([waveforms[0] / 2])[0])
    assert not np.allclose(mixed[1], mixed[0])


def test_derived_clips_are_made_at_the_rate_of_the_transformer(paths, speechlike):
    clip = speechlike(0.3, sr=8000)
    pair, bare = features().transform([Halved((clip, 8000)), Halved(clip)])
    assert_array_equal(pair, features().transform([load_audio((clip, 8000), SR) / 2])[0])
    assert_array_equal(bare, features().transform([clip / 2])[0])


def test_a_part_of_a_derived_clip(waveforms):
    part = features(offset=0.05, duration=0.1)
    assert_array_equal(part.transform([Halved(waveforms[0])]), part.transform([waveforms[0] / 2]))


def test_derived_clips_are_made_when_their_turn_comes(tmp_path):
    features().fit([Halved(tmp_path / "gone.wav")])
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        features().transform([Halved(tmp_path / "gone.wav")])
    with pytest.raises(AudioError, match=r"X\[1\] <ndarray>: expected a path, or a 1-D waveform"):
        features().transform([np.zeros(9), Halved(np.zeros((3, 3)))])
    with pytest.raises(AudioError, match=r"X\[0\] <StringIO>: cannot be read as a binary file object"):
        features().transform([Halved(io.StringIO("text"))])


def test_derived_clips_are_cached_by_what_they_are_made_of(waveforms, computed, tmp_path):
    transformer = features(memory=str(tmp_path))
    halves = transformer.transform([Halved(waveforms[0]), Halved(Halved(2 * waveforms[0])), waveforms[0] / 2])
    assert (halves == halves[0]).all()
    transformer.transform([Halved(waveforms[0].copy()), Halved(Halved(2 * waveforms[0]))])
    assert len(computed) == 3
    assert (transformer.transform([waveforms[0]]) != halves[0]).any()


# --- what is no clip ---


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        pytest.param(Halved("a.wav"), r"got a single one: a\.wav", id="derived clip"),
        pytest.param("a.wav", r"got a single one: a\.wav\. Put it into a list", id="path"),
        pytest.param(Path("a.wav"), r"got a single one: a\.wav", id="Path"),
        pytest.param(b"a.wav", r"got a single one: <bytes>", id="bytes"),
        pytest.param(io.BytesIO(b""), "got a single one: <BytesIO>", id="file object"),
        pytest.param((np.zeros(9), SR), r"got a single one: <\(waveform, sr\) pair>", id="pair"),
        pytest.param(np.zeros(9), r"got 1-D data of type float64\. .* Reshape your data", id="waveform"),
        pytest.param([0.1, 0.2], "got 1-D data of type float", id="waveform in a list"),
        pytest.param(pd.Series([0.1, 0.2]), "got 1-D data of type float", id="waveform in a Series"),
        pytest.param(np.array([None, 1], dtype=object), "got 1-D data of type NoneType", id="objects"),
        pytest.param(np.float32(1), "Expected 2D array, got scalar", id="scalar"),
        pytest.param([], "Expected at least one clip, got none", id="empty list"),
        pytest.param((), "Expected at least one clip", id="empty tuple"),
        pytest.param(np.array([], dtype=str), "Expected at least one clip", id="empty array"),
        pytest.param(pd.Series([], dtype=object), "Expected at least one clip", id="empty Series"),
        pytest.param(np.zeros((0, 9)), "0 sample", id="no rows"),
        pytest.param(np.zeros((9, 0)), "0 feature", id="no columns"),
        pytest.param(np.zeros((2, 3, 4)), "dim 3", id="three dimensions"),
        pytest.param(np.array([["a.wav"], ["b.wav"]]), r"paths in a list or 1-D array, got .*\(2, 1\)", id="column"),
        pytest.param(pd.DataFrame({"file": ["a.wav", "b.wav"]}), r"got an array of shape \(2, 1\)", id="DataFrame"),
        pytest.param((f for f in ["a.wav"]), r"got a generator\. Make it a list", id="generator"),
        pytest.param(np.array([[1j, 2]]), "Complex data not supported", id="complex"),
        pytest.param(np.array([[1.0, np.nan]]), "X contains NaN", id="NaN"),
        pytest.param(np.array([[1.0, np.inf]]), "X contains infinity", id="infinity"),
    ],
)
def test_what_is_no_list_of_clips_is_refused(clips, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        features().fit(clips)
    with pytest.raises(ValueError, match=f"(?s){message}"):
        features().transform(clips)


def test_sparse_matrices_are_refused():
    for call in (features().fit, features().transform):
        with pytest.raises(TypeError, match="Sparse data was passed"):
            call(scipy.sparse.csr_matrix(np.eye(3)))


def test_arrays_are_not_copied():
    array = np.zeros((2, 100))
    assert np.shares_memory(check_clips(array), array)


class Unseekable(io.RawIOBase):
    """A pipe."""

    def __init__(self, data):
        self.data = data

    def readable(self):
        return True

    def read(self, size=-1):
        data, self.data = self.data, b""
        return data


@pytest.mark.parametrize("memory", [False, True])
def test_file_objects_are_read_from_their_start_each_time(paths, expected, memory, tmp_path):
    transformer = features(memory=str(tmp_path) if memory else None)
    with paths[0].open("rb") as file:
        file.seek(100)
        for _ in range(2):
            assert_array_equal(transformer.transform([file]), expected[:1])
    assert_array_equal(transformer.transform([Unseekable(paths[0].read_bytes())]), expected[:1])


def bad_clips(folder):
    """Clips that fail, each with what is said of it."""
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("no audio " * 20)
    closed = (folder / "text.wav").open("rb")
    closed.close()
    return [
        (folder / "missing.wav", r"missing\.wav: no such file"),
        (str(folder / "empty.wav"), r"empty\.wav: is empty"),
        (folder / "text.wav", r"text\.wav: is not audio"),
        (folder, "is a folder"),
        ("nul\0.wav", "cannot be read"),
        (closed, r"text\.wav: cannot be read .*closed"),
        (io.StringIO("text"), r"X\[0\] <StringIO>: cannot be read as a binary file object"),
        (np.array([0.1, np.nan]), r"X\[0\] <ndarray>: holds NaN or infinity"),
        (np.zeros((5, 2)), r"X\[0\] <ndarray>: expected a path, or a 1-D waveform at 16000 Hz, got shape \(5, 2\)"),
        (np.array([1j, 2]), r"X\[0\] .*complex128"),
        ([[0.1, 0.2], [0.3]], r"X\[0\] <list>: expected a 1-D waveform"),
        (None, r"X\[0\] <NoneType>: expected a path, or a 1-D waveform at 16000 Hz, got NoneType"),
        (b"bytes", r"X\[0\] <bytes>: expected a path"),
        ([], r"X\[0\] <list>: holds no samples"),
        ((np.zeros(9),), r"X\[0\] .* got a tuple of 1"),
        ((np.zeros(9), None), r"X\[0\] .*sr=None"),
        ((np.zeros(9), -1), r"X\[0\] .*sr=-1"),
        (([[1, 2], [3]], SR), r"X\[0\] .*numpy can hold"),
    ]


@pytest.mark.parametrize("number", range(18))
@pytest.mark.parametrize("memory", [False, True])
def test_a_bad_clip_is_told_with_its_cause(tmp_path, speechlike, number, memory):
    clip, message = bad_clips(tmp_path)[number]
    transformer = features(memory=str(tmp_path / "cache") if memory else None)
    with pytest.raises(AudioError, match=message):
        transformer.transform([clip, speechlike(0.1)])
    rows, failures = transformer.extract([clip, speechlike(0.1)])
    assert [index for index, _ in failures] == [0]
    assert np.isnan(rows[0]).all()
    assert_array_equal(rows[1], features().transform([speechlike(0.1)])[0])
    assert len(entries(tmp_path / "cache")) == memory


def test_the_first_bad_clip_ends_the_work(waveforms, computed):
    clips = [waveforms[0], "missing.wav", *waveforms * 20]
    with pytest.raises(AudioError, match=r"missing\.wav"):
        features().transform(clips)
    assert len(computed) < 20


def broken(monkeypatch, n_samples, outcome):
    """Let the clip of this length break its extraction."""
    compute = VectorRecipe.compute

    def compute_or_break(self, waveform):
        if len(waveform) != n_samples:
            return compute(self, waveform)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(VectorRecipe, "compute", compute_or_break)


FAULTS = {
    "LinAlgError": np.linalg.LinAlgError("Eigenvalues did not converge"),
    "FloatingPointError": FloatingPointError("underflow"),
    "OverflowError": OverflowError("too large"),
    "ZeroDivisionError": ZeroDivisionError("division by zero"),
    "MemoryError": MemoryError(),
    "NaN": np.full(34, np.nan, np.float32),
    "infinite": np.full(34, np.inf, np.float32),
    "not one frame": np.zeros((0, 34), np.float32),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("memory", [False, True])
def test_what_a_clip_does_to_its_extraction_is_its_error(
    waveforms, paths, expected, monkeypatch, tmp_path, name, memory
):
    broken(monkeypatch, len(waveforms[2]), FAULTS[name])
    transformer = features(memory=str(tmp_path) if memory else None)
    with pytest.raises(AudioError, match=name) as caught:
        transformer.transform(paths)
    assert caught.value.source == str(paths[2])
    assert caught.value.__cause__ is (FAULTS[name] if isinstance(FAULTS[name], Exception) else None)
    rows, ((index, error),) = transformer.extract(paths)
    assert (index, str(error)) == (2, str(caught.value))
    assert_array_equal(np.delete(rows, 2, axis=0), np.delete(expected, 2, axis=0))
    with pytest.warns(UserWarning, match=r"1 of 5 clips .*\n.*2\.wav"):
        kept = transformer.set_params(on_error="skip").transform(paths)
    assert_array_equal(kept, np.delete(expected, 2, axis=0))


@pytest.mark.parametrize(
    "error", [TypeError("a"), IndexError("a"), KeyError("a"), AttributeError("a"), ValueError("a")]
)
def test_an_error_of_the_program_is_not_blamed_on_a_clip(waveforms, monkeypatch, error):
    broken(monkeypatch, len(waveforms[2]), error)
    with pytest.raises(type(error)) as caught:
        features().extract(waveforms)
    assert not isinstance(caught.value, AudioError)


@pytest.mark.parametrize(
    "transformer",
    [
        pytest.param(AcousticFeatures(), id="default"),
        pytest.param(AcousticFeatures.from_preset("means-180"), id="means-180"),
        pytest.param(AcousticFeatures(("mel",), regions=("all",), clip_values=()), id="mel"),
        pytest.param(FrameSequences(), id="frames"),
    ],
)
@pytest.mark.parametrize("peak", [1e10, 1e18, 3e38, 1e-38])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_numbers_far_from_audio_are_an_error_or_features(waveforms, transformer, peak, n_jobs):
    strange = (waveforms[0].astype(float) * peak / np.abs(waveforms[0]).max()).astype(np.float32)
    clips = [(waveforms[1], SR), (strange, SR), (waveforms[2], SR)]
    rows, failures = clone(transformer).set_params(n_jobs=n_jobs).extract(clips)
    assert {index for index, _ in failures} <= {1}
    assert bool(failures) or np.isfinite(rows[1][: 1 if rows.ndim == 3 else None]).all()
    assert bool(failures) or peak < 1e18
    alone, _ = transformer.extract([clips[0]])
    assert_array_equal(rows[0][: len(alone[0])] if rows.ndim == 3 else rows[0], alone[0])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_pipe_given_by_its_path_is_read_once_and_here(paths, expected, tmp_path, n_jobs):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(paths[1].read_bytes(),), daemon=True)
    writer.start()
    assert_array_equal(features(n_jobs=n_jobs).transform([paths[0], pipe, *paths[2:]]), expected)
    writer.join(10)


# --- who computes ---


@pytest.mark.parametrize("n_jobs", [None, 1, 2])
def test_rows_depend_on_nothing_but_their_clip(waveforms, paths, expected, n_jobs):
    transformer = features(n_jobs=n_jobs)
    order = [3, 0, 4, 4, 1, 2] * 6  # more than a batch
    assert_array_equal(transformer.transform([waveforms[k] for k in order]), expected[order])
    assert_array_equal(transformer.transform([paths[k] for k in order]), expected[order])
    for k, waveform in enumerate(waveforms):
        assert_array_equal(features().transform([waveform])[0], expected[k])


def test_neighbours_do_not_change_a_bit_of_the_default_features(waveforms):
    together = AcousticFeatures().transform(waveforms)
    assert_array_equal(AcousticFeatures(n_jobs=2).transform(waveforms[::-1])[::-1], together)
    assert_array_equal(np.vstack([AcousticFeatures().transform([y]) for y in waveforms]), together)


def test_bad_neighbours_change_nothing_either(waveforms, expected):
    rows, failures = features(n_jobs=2).extract(["missing.wav", *waveforms, "missing.wav"])
    assert [index for index, _ in failures] == [0, len(waveforms) + 1]
    assert_array_equal(rows[1:-1], expected)


def test_open_files_and_errors_travel_to_other_processes(paths, expected):
    with paths[0].open("rb") as file:
        rows, failures = features(n_jobs=2).extract([*[file] * 20, io.StringIO("text")])
    assert_array_equal(rows[:20], np.repeat(expected[:1], 20, axis=0))
    assert [index for index, _ in failures] == [20]


class AllAtOnce(ThreadingBackend):
    """A backend that cannot give results one after the other, as multiprocessing and ray."""

    supports_return_generator = False


@pytest.mark.parametrize("backend", ["threading", "loky", "all at once"])
def test_any_joblib_backend_will_do(waveforms, expected, backend):
    joblib.register_parallel_backend("all at once", AllAtOnce)
    with joblib.parallel_config(backend=backend, n_jobs=2):
        # Threads share one setting of BLAS, whose kernels add in another order with more of them.
        assert_allclose(features().transform(waveforms * 8), np.tile(expected, (8, 1)), rtol=1e-5)


class Everywhere(ThreadingBackend):
    """A backend that has the workers it has, as Dask, whatever number is asked for."""

    started: ClassVar[list] = []

    def effective_n_jobs(self, n_jobs):
        return 2

    def configure(self, n_jobs=1, parallel=None, **arguments):
        self.started.append(n_jobs)
        return super().configure(n_jobs=2, parallel=parallel, **arguments)


def test_a_backend_that_is_asked_for_gets_the_work_of_one_job_too(waveforms, expected):
    joblib.register_parallel_backend("everywhere", Everywhere)
    with joblib.parallel_config(backend="everywhere"):
        assert_allclose(features(n_jobs=1).transform(waveforms * 8), np.tile(expected, (8, 1)), rtol=1e-5)
    assert Everywhere.started == [1]


@pytest.mark.parametrize("n_jobs", [None, 1])
def test_one_worker_alone_is_no_affair_of_joblibs(waveforms, expected, monkeypatch, n_jobs):
    monkeypatch.setattr("sersk.extraction.Parallel", None)
    assert_array_equal(features(n_jobs=n_jobs).transform(waveforms), expected)


def blas_threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_matrix_products_keep_to_one_thread_meanwhile(waveforms, monkeypatch):
    seen = set()
    compute = VectorRecipe.compute
    monkeypatch.setattr(VectorRecipe, "compute", lambda self, y: seen.update(blas_threads()) or compute(self, y))
    with threadpool_limits(2, user_api="blas"):
        features().transform(waveforms)
        assert blas_threads() == {2}
    assert seen == {1}


def test_threads_that_overlap_leave_the_limit_as_it_was():
    """One enters, another enters, the first leaves, the second leaves."""
    in_second, first_is_out = Event(), Event()

    def second():
        with in_one_thread():
            in_second.set()
            assert first_is_out.wait(60)

    limits = threadpool_limits(2, user_api="blas")  # no block, which would hold the libraries for this thread
    try:
        with ThreadPoolExecutor(1) as pool:
            for _ in range(2):
                in_second.clear()
                first_is_out.clear()
                with in_one_thread(), in_one_thread():
                    assert blas_threads() == {1}
                    done = pool.submit(second)
                    assert in_second.wait(60)
                first_is_out.set()
                done.result()
                assert blas_threads() == {2}
        with pytest.raises(KeyboardInterrupt), in_one_thread():
            raise KeyboardInterrupt
        assert blas_threads() == {2}
    finally:
        limits.restore_original_limits()


# --- progress ---


@pytest.mark.parametrize("verbose", [1, True])
def test_progress_goes_to_stderr(waveforms, expected, capfd, verbose):
    assert_array_equal(features(verbose=verbose).transform(waveforms), expected)
    out, err = capfd.readouterr()
    assert out == ""
    assert "features" in err
    assert "5/5" in err


@pytest.mark.parametrize("verbose", [0, False])
def test_without_verbose_nothing_is_printed(waveforms, capfd, verbose):
    features(verbose=verbose).transform(waveforms)
    assert capfd.readouterr() == ("", "")


def test_progress_ends_with_an_error(waveforms, capfd):
    with pytest.raises(AudioError, match="missing"):
        features(verbose=1).transform([*waveforms, "missing.wav"])
    assert capfd.readouterr().out == ""
    features(verbose=1).transform(waveforms)  # a bar left on the screen would refuse a second one


def test_librosa_is_compiled_before_workers_could_do_so_at_once(monkeypatch):
    import sersk.extraction

    asked = []
    monkeypatch.setattr(sersk.extraction, "estimate_tuning", lambda y, settings: asked.append(settings.tuning))
    clip = np.zeros(4000, dtype=np.float32)
    AcousticFeatures(("chroma",), tuning=0.0, clip_values=(), regions=("all",)).transform([clip])
    assert asked == []
    AcousticFeatures(("chroma",), tuning=None, clip_values=(), regions=("all",)).transform([clip])
    assert asked == [None]
