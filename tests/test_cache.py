"""What the cache of the transformers finds again, and what it computes anew."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest
from cheap_clips import SR, features
from numpy.testing import assert_array_equal

from sersk import AcousticFeatures, AudioError, FrameSequences, extraction
from sersk.augmentation import AlteredClip, alter_clips
from sersk.degradation import Condition, DegradedClip


def entries(folder):
    """What is in a cache, and when each entry was computed."""
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("output.pkl")}


def test_the_same_bytes_are_computed_once_whatever_they_are_called(paths, expected, computed, tmp_path):
    memory = str(tmp_path / "cache")
    other = tmp_path / "other.name"
    shutil.copy(paths[0], other)
    with paths[0].open("rb") as file:
        clips = [paths[0], str(paths[0]), other, io.BytesIO(other.read_bytes()), file]
        assert_array_equal(features(memory=memory).transform(clips), np.repeat(expected[:1], len(clips), axis=0))
    assert len(computed) == 1


def test_the_same_waveform_is_computed_once(waveforms, computed, tmp_path):
    y = waveforms[0].astype(float)
    rows = features(memory=str(tmp_path)).transform([y, y.tolist(), np.repeat(y, 2)[::2], (y, SR), (y, float(SR))])
    assert (rows == rows[0]).all()
    assert len(computed) == 1


@pytest.mark.parametrize("kind", [str, joblib.Memory], ids=["str", "Memory"])
def test_cached_rows_equal_computed_ones_to_the_bit(paths, computed, kind, tmp_path):
    transformer = AcousticFeatures(memory=str(tmp_path) if kind is str else joblib.Memory(tmp_path, verbose=0))
    expected = AcousticFeatures().transform(paths)
    computed.clear()
    for _ in range(3):
        assert_array_equal(transformer.transform(paths), expected)
    assert len(computed) == len(paths)


def test_a_memory_without_a_place_computes_each_time(waveforms, expected, computed):
    transformer = features(memory=joblib.Memory(None, verbose=0))
    for _ in range(2):
        assert_array_equal(transformer.transform(waveforms), expected)
    assert len(computed) == 2 * len(waveforms)


def test_sequences_are_cached_too(paths, tmp_path):
    sequences = FrameSequences(("zcr",), memory=str(tmp_path))
    first = sequences.transform(paths)
    before = entries(tmp_path)
    assert_array_equal(sequences.transform(paths), first)
    assert entries(tmp_path) == before
    assert len(before) == len(paths)


def test_of_sequences_only_what_changes_the_frames_of_a_clip_is_computed_anew(paths, tmp_path):
    cached = {"memory": str(tmp_path), "deltas": 0}
    FrameSequences(("zcr",), **cached).transform(paths)
    for same in ({"padding": 0.0}, {"padding": np.nan}, {"trim": np.False_}, {"on_error": "nan"}):
        FrameSequences(("zcr",), **cached, **same).transform(paths)
        assert len(entries(tmp_path)) == len(paths)
    for number, other in enumerate(({"trim": True}, {"max_frames": 5}, {"deltas": 1}, {"step": 2}), start=2):
        parameters = cached | other
        rows = FrameSequences(("zcr",), **parameters).transform(paths)
        assert_array_equal(rows, FrameSequences(("zcr",), **(parameters | {"memory": None})).transform(paths))
        assert len(entries(tmp_path)) == number * len(paths)


def test_changed_bytes_are_computed_anew(paths, expected, tmp_path):
    transformer = features(memory=str(tmp_path / "cache"))
    file = tmp_path / "clip.wav"
    for k in (0, 1, 0):
        stat = paths[k].stat()
        shutil.copy(paths[k], file)
        os.utime(file, (1e9, 1e9))  # neither size nor time of a file need to tell
        assert stat.st_size
        assert_array_equal(transformer.transform([file]), expected[k : k + 1])
    assert len(entries(tmp_path / "cache")) == 2


def test_a_sample_or_a_rate_makes_another_waveform(waveforms, computed, tmp_path):
    y = waveforms[0]
    changed = y.copy()
    changed[100] += 1e-3
    clips = [y, changed, y[:-1], (y, 8000), y.astype(np.float64), (np.c_[y, changed], SR)]
    transformer = features(memory=str(tmp_path))
    assert_array_equal(transformer.transform([clips[0]]), features().transform([clips[0]]))
    assert_array_equal(transformer.transform(clips), features().transform(clips))
    assert len(computed) == 1 + 2 * len(clips)  # once without the cache for each row, and once with it


@pytest.mark.parametrize(
    "changed",
    [
        {"functionals": ("mean",)},
        {"functionals": ("std", "mean")},
        {"deltas": 1},
        {"regions": ("active",)},
        {"clip_values": ("timing",)},
        {"sr": 8000},
        {"n_fft": 512},
        {"hop_length": 300},
        {"n_mels": 12},
        {"fmin": 50.0},
        {"fmax": 7000.0},
        {"offset": 0.01},
        {"duration": 0.1},
    ],
    ids=str,
)
def test_changed_parameters_are_computed_anew(paths, changed, tmp_path):
    features(memory=str(tmp_path)).transform(paths)
    rows = features(memory=str(tmp_path), **changed).transform(paths)
    assert_array_equal(rows, features(**changed).transform(paths))
    assert len(entries(tmp_path)) == 2 * len(paths)


@pytest.mark.parametrize(
    "same",
    [
        {"n_jobs": 1, "on_error": "nan"},
        {"functionals": ["mean", "std"]},
        {"functionals": np.array(["mean", "std"])},
        {"deltas": np.int64(0), "fmin": 0, "tuning": 0},
        {"functionals": tuple("".join(name) for name in (["me", "an"], ["st", "d"]))},
    ],
    ids=str,
)
def test_equal_parameters_find_the_same_entries(paths, computed, same, tmp_path):
    features(memory=str(tmp_path)).transform(paths)
    features(memory=str(tmp_path), **same).transform(paths)
    assert len(computed) == len(paths)


def test_another_feature_version_computes_anew(paths, computed, monkeypatch, tmp_path):
    transformer = features(memory=str(tmp_path))
    transformer.transform(paths)
    monkeypatch.setattr(extraction, "FEATURE_VERSION", extraction.FEATURE_VERSION + 1)
    transformer.transform(paths)
    assert len(computed) == 2 * len(paths)


def test_vectors_and_sequences_do_not_take_each_others_entries(paths, tmp_path):
    vectors = AcousticFeatures(("zcr",), memory=str(tmp_path)).transform(paths[:1])
    sequences = FrameSequences(("zcr",), memory=str(tmp_path)).transform(paths[:1])
    assert (vectors.ndim, sequences.ndim) == (2, 3)


def test_failures_are_not_cached(paths, expected, tmp_path):
    transformer = features(memory=str(tmp_path / "cache"), on_error="nan")
    file = tmp_path / "clip.wav"
    file.write_bytes(paths[0].read_bytes()[:500])
    for _ in range(2):
        with pytest.warns(UserWarning, match="is truncated"):
            assert np.isnan(transformer.transform([file])).all()
    assert not entries(tmp_path / "cache")
    shutil.copy(paths[0], file)
    assert_array_equal(transformer.transform([file]), expected[:1])


def test_a_file_that_only_python_cannot_read_fails_alone(paths, monkeypatch, tmp_path):
    def refuse(path):
        raise PermissionError(13, "not for you")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(AudioError, match=r"0\.wav: cannot be read \(.*not for you\)"):
        features(memory=str(tmp_path)).transform(paths[:1])


def test_workers_share_the_cache(paths, expected, tmp_path):
    clips = paths * 4  # each worker meets clips that the other has done
    transformer = features(memory=str(tmp_path), n_jobs=2)
    assert_array_equal(transformer.transform(clips), np.tile(expected, (4, 1)))
    before = entries(tmp_path)
    assert len(before) == len(paths)
    assert_array_equal(transformer.transform(clips), np.tile(expected, (4, 1)))
    assert entries(tmp_path) == before


def test_processes_share_the_cache(paths, tmp_path):
    script = """if True:
        import sys
        from sersk import AcousticFeatures
        print(AcousticFeatures(memory=sys.argv[1]).transform(sys.argv[2:]).sum())
    """
    command = [sys.executable, "-c", script, str(tmp_path / "cache")]
    copies = [shutil.copy(path, tmp_path / f"copy {path.name}") for path in paths]
    first = subprocess.run([*command, *map(str, paths)], check=True, capture_output=True, text=True)
    before = entries(tmp_path / "cache")
    second = subprocess.run([*command, *map(str, copies)], check=True, capture_output=True, text=True)
    assert first.stdout == second.stdout != ""
    assert entries(tmp_path / "cache") == before
    assert len(before) == len(paths)


def test_a_derived_clip_is_found_again_without_being_made(paths, waveforms, tmp_path, monkeypatch):
    """By its clip's bytes and by what is done to them, whichever way the clip is given."""
    limits = {"pitch": (-2.0, 2.0), "stretch": (0.8, 1.25), "gain": (-6.0, 6.0)}

    def derived(clips, seed=0):
        altered = [copy for method in limits for copy in alter_clips(clips, method, limits[method], seed)]
        return [*altered, *(DegradedClip(clip, Condition("noise", 10), seed) for clip in clips)]

    transformer = features(memory=str(tmp_path))
    expected = features().transform(derived(paths))
    assert_array_equal(transformer.transform(derived(paths)), expected)
    made = []
    for kind in (AlteredClip, DegradedClip):
        make = kind.waveform
        monkeypatch.setattr(kind, "waveform", lambda self, sr, make=make: made.append(self) or make(self, sr))
    renamed = [shutil.copy(path, tmp_path / f"other {path.name}") for path in paths]
    assert_array_equal(transformer.transform(derived(renamed)), expected)
    assert made == []
    others = derived(paths[:1], seed=1)
    assert_array_equal(transformer.transform(others), features().transform(others))
    assert len(made) == 2 * len(others)
    monkeypatch.setattr(AlteredClip, "version", 2)
    transformer.transform(derived(paths[:1]))
    assert len(made) == 2 * len(others) + len(limits)
