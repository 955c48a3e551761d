"""The transformer of clips into padded sequences of frames."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cheap_clips import SR
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from speakers import scikit_learns_checks

from sersk import AcousticFeatures, AudioError, FrameScaler, FrameSequences
from sersk.functionals import delta

ESTIMATORS = [FrameSequences(), FrameSequences(max_frames=4), FrameSequences(("mfcc",), trim=True, padding=0.0)]
# A clip's number of samples is its length, not a number of features: clips of other lengths must not be refused.
NO_NUMBER_OF_FEATURES = {
    "check_n_features_in": "clips have a length each; fit learns none of them, so there is no n_features_in_",
    "check_n_features_in_after_fitting": "clips of another length than those given to fit are legal",
}
NAMES, CHECKS, KEYWORDS = scikit_learns_checks(
    ESTIMATORS, expected={str(estimator): NO_NUMBER_OF_FEATURES for estimator in ESTIMATORS}
)


@pytest.mark.parametrize(NAMES, CHECKS, **KEYWORDS)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_sequences_are_no_table():
    assert not hasattr(FrameSequences(), "set_output")


# --- length and padding ---


@pytest.mark.parametrize("padding", [np.nan, 0.0, -7], ids=str)
def test_sequences_are_padded_to_the_longest(waveforms, padding):
    sequences = FrameSequences(("zcr", "mfcc"), padding=padding)
    together = sequences.transform(waveforms)
    lengths = [1 + len(y) // 256 for y in waveforms]
    assert together.shape == (5, max(lengths), 2 * 21)
    assert together.dtype == np.float32
    for row, length, waveform in zip(together, lengths, waveforms, strict=True):
        assert_array_equal(row[:length], sequences.transform([waveform])[0])
        assert_array_equal(row[length:], np.full((max(lengths) - length, 42), padding))


def test_padding_is_not_a_number_by_default(waveforms):
    default = FrameSequences(("zcr",))
    assert_array_equal(default.transform(waveforms), FrameSequences(("zcr",), padding=np.nan).transform(waveforms))
    assert np.isnan(default.transform(waveforms)[0, -1]).all()
    # It is what scalers and networks tell the end of a clip by, and a parameter like others.
    assert FrameScaler().fit_transform(default.transform(waveforms)).shape == default.transform(waveforms).shape
    assert "padding" not in repr(clone(default))
    assert repr(clone(FrameSequences(padding=0.0))) == "FrameSequences(padding=0.0)"
    with pytest.raises(ValueError, match="'padding' parameter of FrameSequences must be an instance of 'float'"):
        FrameSequences(padding=None).fit(waveforms)


@pytest.mark.parametrize("max_frames", [1, 15, 100])
def test_sequences_are_cut_and_padded_to_max_frames(waveforms, max_frames):
    cut = FrameSequences(max_frames=max_frames, padding=0.0).transform(waveforms)
    whole = FrameSequences(padding=0.0).transform(waveforms)
    assert cut.shape[1] == max_frames
    n_frames = min(max_frames, whole.shape[1])
    assert_array_equal(cut[:, :n_frames], whole[:, :n_frames])
    assert (cut[:, n_frames:] == 0).all()
    with_nan = FrameSequences(max_frames=max_frames).transform(waveforms)
    assert np.isnan(with_nan[:, n_frames:]).all()
    assert_array_equal(np.nan_to_num(with_nan), cut)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_sequences_depend_on_nothing_but_their_clip(waveforms, n_jobs):
    sequences = FrameSequences(max_frames=20, n_jobs=n_jobs)
    together = sequences.transform(waveforms[::-1])[::-1]
    assert_array_equal(together, np.concatenate([FrameSequences(max_frames=20).transform([y]) for y in waveforms]))


def test_frames_are_those_that_vectors_are_made_of(waveforms):
    means = AcousticFeatures(("mfcc", "zcr"), functionals=("mean",), deltas=1, regions=("all",), clip_values=())
    frames = FrameSequences(("mfcc", "zcr"), deltas=1).transform(waveforms)
    assert_allclose(np.nanmean(frames, axis=1, dtype=np.float64), means.transform(waveforms), atol=1e-4)


# --- silence left out ---


def framed(waveform):
    """Silence, speech, silence."""
    hush = np.random.default_rng(0).normal(0, 1e-6, 6000).astype(np.float32)
    return np.concatenate([hush, waveform, hush[:4000]])


@pytest.mark.parametrize("deltas", [0, 1])
@pytest.mark.parametrize("names", [("mfcc", "zcr"), ("zcr", "log_rms", "mfcc")], ids=["without-level", "with-level"])
def test_trim_leaves_out_frames_40_db_below_the_loudest_at_both_ends(speechlike, names, deltas):
    clip = framed(speechlike(0.8))
    level = FrameSequences(("rms",), deltas=0).transform([clip])[0, :, 0].astype(np.float64)
    loud = np.flatnonzero(20 * np.log10(level / level.max()) >= -40)
    whole = FrameSequences(names, deltas=0).transform([clip])[0]
    speech = whole[loud[0] : loud[-1] + 1]
    assert 10 < len(speech) < len(whole) - 25, "this clip has silence at its ends"
    assert len(loud) < len(speech), "and in between, which stays"
    trimmed = FrameSequences(names, deltas=deltas, trim=True)
    frames = trimmed.transform([clip])[0]
    assert_array_equal(frames[:, : whole.shape[1]], speech)
    assert frames.shape[1] == len(trimmed.get_feature_names_out()) == (1 + deltas) * whole.shape[1]
    if deltas:  # of what is left: nothing of the silence comes in by its slope
        assert_allclose(frames[:, whole.shape[1] :], delta(speech.T).T, atol=1e-4)


def test_trimmed_clips_are_cut_and_padded_after_that(speechlike):
    clips = [framed(speechlike(0.4)), speechlike(0.8, seed=1)]
    trimmed = FrameSequences(("mfcc",), trim=True)
    long, short = (trimmed.transform([clip])[0] for clip in reversed(clips))
    together = trimmed.transform(clips)
    assert together.shape[1] == len(long) > len(short)
    assert_array_equal(together[0, : len(short)], short)
    assert np.isnan(together[0, len(short) :]).all()
    cut = FrameSequences(("mfcc",), trim=True, max_frames=7, deltas=0).transform(clips)
    assert_array_equal(cut, np.stack([short[:7, :20], long[:7, :20]]))


@pytest.mark.parametrize("clip", [np.zeros(8000), np.full(1, 0.5), np.zeros(1)], ids=["silence", "sample", "zero"])
def test_of_a_clip_of_silence_every_frame_is_left(clip):
    assert_array_equal(
        FrameSequences(("log_rms", "mfcc"), trim=True).transform([clip]),
        FrameSequences(("log_rms", "mfcc")).transform([clip]),
    )


def test_trim_is_yes_or_no(waveforms):
    with pytest.raises(ValueError, match="'trim' parameter of FrameSequences must be an instance of 'bool'"):
        FrameSequences(trim=40).fit(waveforms)


# --- frames that are averaged ---


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_frames_are_averaged_with_their_deltas_and_the_last_ones_among_themselves(waveforms, step):
    whole = FrameSequences(("mfcc", "zcr"), deltas=1).transform(waveforms[:1])[0].astype(np.float64)
    windows = [whole[first : first + step] for first in range(0, len(whole), step)]
    assert len(windows[-1]) < step or step == 1, "this clip has a remainder"
    averaged = FrameSequences(("mfcc", "zcr"), deltas=1, step=step)
    frames = averaged.transform(waveforms[:1])
    assert frames.dtype == np.float32
    assert_allclose(frames[0], [window.mean(axis=0) for window in windows], rtol=1e-4, atol=1e-5)
    assert_array_equal(averaged.get_feature_names_out(), FrameSequences(("mfcc", "zcr")).get_feature_names_out())


def test_they_are_averaged_after_trimming_and_before_they_are_cut_and_padded(speechlike):
    clips = [framed(speechlike(0.4)), speechlike(0.8, seed=1)]
    short, long = (FrameSequences(("mfcc",), trim=True, deltas=0).transform([clip])[0] for clip in clips)
    together = FrameSequences(("mfcc",), trim=True, deltas=0, step=2).transform(clips)
    assert together.shape[1] == -(-len(long) // 2)
    assert_allclose(together[0, 3], short[6:8].mean(axis=0), rtol=1e-4)
    assert np.isnan(together[0, -(-len(short) // 2) :]).all()
    cut = FrameSequences(("mfcc",), trim=True, deltas=0, step=2, max_frames=4).transform(clips)
    assert_array_equal(cut, together[:, :4])


def test_a_step_is_one_frame_or_more(waveforms):
    with pytest.raises(ValueError, match="'step' parameter of FrameSequences must be an int in the range"):
        FrameSequences(step=0).fit(waveforms)


# --- clips that fail ---


@pytest.mark.parametrize("on_error", ["raise", "skip", "nan"])
@pytest.mark.parametrize("padding", [np.nan, 0.0], ids=str)
def test_extract_tells_failures_to_programs_whatever_on_error(paths, tmp_path, on_error, padding):
    (tmp_path / "text.wav").write_text("no audio " * 20)
    some_bad = [paths[0], tmp_path / "missing.wav", paths[1], tmp_path / "text.wav", paths[2]]
    frames, failures = FrameSequences(("zcr",), on_error=on_error, padding=padding).extract(some_bad)
    assert [(index, error.source) for index, error in failures] == [(k, str(some_bad[k])) for k in (1, 3)]
    assert [type(error) for _, error in failures] == [AudioError, AudioError]
    assert np.isnan(frames[[1, 3]]).all()
    assert_array_equal(frames[[0, 2, 4]], FrameSequences(("zcr",), padding=padding).transform(paths[:3]))


def test_extract_of_nothing_but_failures_has_no_frames():
    frames, failures = FrameSequences(("zcr",)).extract(["a.wav", "b.wav"])
    assert frames.shape == (2, 0, 2)
    assert [re.sub(r".*: ", "", str(error)) for _, error in failures] == ["no such file"] * 2
    assert FrameSequences(("zcr",), max_frames=3).extract(["a.wav"])[0].shape == (1, 3, 2)


def test_a_clip_of_nan_in_an_array_is_one_failure(waveforms):
    array = np.array([y[:3000] for y in waveforms])
    expected = FrameSequences(("zcr",)).transform(array)
    array[2, 7] = np.nan
    frames, failures = FrameSequences(("zcr",)).extract(array)
    assert [index for index, _ in failures] == [2]
    assert_array_equal(np.delete(frames, 2, axis=0), np.delete(expected, 2, axis=0))


def test_sampling_rate_and_part_of_a_clip(waveforms):
    sequences = FrameSequences(("mfcc",), offset=0.05, duration=0.1)
    assert_array_equal(
        sequences.transform(waveforms), FrameSequences(("mfcc",)).transform([y[800:2400] for y in waveforms])
    )
    assert sequences.transform([(waveforms[0], 2 * SR)]).shape == (1, 4, 40)
