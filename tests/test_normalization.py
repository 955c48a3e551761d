"""Frames on a common scale: numpy's own statistics over the frames of speech, and nothing of the padding."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted, validate_data
from speakers import scikit_learns_checks

from sersk import FrameScaler

SCOPES = ("corpus", "clip", "range")
LENGTHS = (7, 1, 12, 4)


class TableScaler(FrameScaler):
    """scikit-learn's checks know tables only: here a row is a clip of one frame."""

    def fit(self, X, y=None):
        return super().fit(self._frames(X, reset=True))

    def transform(self, X):
        check_is_fitted(self)
        return super().transform(self._frames(X, reset=False))[:, 0]

    def _frames(self, X, reset):
        return validate_data(self, X, dtype=np.float32, ensure_all_finite="allow-nan", reset=reset)[:, None]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


SCALERS = [TableScaler(scope) for scope in SCOPES]
HOLES = dict.fromkeys(
    ("check_estimators_pickle", "check_estimators_pickle(readonly_memmap=True)"),
    "puts NaN into a part of a frame, where it cannot be padding: that is an error, which names the clip",
)
NAMES, CHECKS, KEYWORDS = scikit_learns_checks(SCALERS, expected={str(scaler): HOLES for scaler in SCALERS})


@pytest.mark.parametrize(NAMES, CHECKS, **KEYWORDS)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def padded(clips, n_frames=None):
    """One array of clips of any lengths, NaN after their ends."""
    out = np.full((len(clips), n_frames or max(map(len, clips)), clips[0].shape[1]), np.nan, np.float32)
    for row, clip in zip(out, clips, strict=True):
        row[: len(clip)] = clip
    return out


@pytest.fixture
def clips():
    """Descriptors of very different scales: level in dB, a share, a power."""
    random = np.random.default_rng(0)
    scale, shift = np.array([15, 0.1, 1e4]), np.array([-60, 0.5, 3e5])
    return [(random.normal(size=(length, 3)) * scale + shift).astype(np.float32) for length in LENGTHS]


def test_corpus_is_mean_and_deviation_of_all_frames(clips):
    scaler = FrameScaler().fit(padded(clips))
    frames = np.concatenate(clips).astype(np.float64)
    assert_allclose(scaler.mean_, frames.mean(axis=0), rtol=1e-6)
    assert_allclose(scaler.scale_, frames.std(axis=0), rtol=1e-6)
    assert (scaler.mean_.dtype, scaler.scale_.dtype) == (np.float32, np.float32)
    scaled = scaler.transform(padded(clips))
    for row, clip in zip(scaled, clips, strict=True):
        assert_allclose(row[: len(clip)], (clip - frames.mean(axis=0)) / frames.std(axis=0), atol=1e-5)
    # What was learned is what counts, not what is transformed.
    assert_array_equal(scaler.transform(padded(clips[:1])), scaled[:1, :7])


def test_clip_is_mean_and_deviation_of_each_clip(clips):
    scaled = FrameScaler("clip").fit_transform(padded(clips))
    for row, clip in zip(scaled, clips, strict=True):
        whole = clip.astype(np.float64)
        spread = whole.std(axis=0) if len(clip) > 1 else 1
        assert_allclose(row[: len(clip)], (whole - whole.mean(axis=0)) / spread, atol=1e-5)


def test_range_is_from_0_to_1_in_each_clip(clips):
    scaled = FrameScaler("range").fit_transform(padded(clips))
    for row, clip in zip(scaled, clips, strict=True):
        whole = clip.astype(np.float64)
        assert_allclose(row[: len(clip)], (whole - whole.min()) / np.ptp(whole), atol=1e-6)
        assert (row[: len(clip)].min(), row[: len(clip)].max()) == (0, 1)


@pytest.mark.parametrize("scope", SCOPES)
def test_padding_counts_nowhere_and_stays(scope, clips):
    short = FrameScaler(scope).fit_transform(padded(clips))
    long = FrameScaler(scope).fit_transform(padded(clips, n_frames=40))
    assert_array_equal(long[:, :12], short)
    assert np.isnan(long[:, 12:]).all()
    assert_array_equal(np.isnan(short), np.isnan(padded(clips)))
    assert short.dtype == long.dtype == np.float32


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("level", [0.0, -80.1, 3e5])
def test_a_descriptor_that_never_changes_becomes_zero(scope, level):
    """Not noise of rounding, blown up to a deviation of 1."""
    X = np.random.default_rng(0).normal(size=(2, 400, 2)).astype(np.float32)
    X[:, :, 0] = level
    if scope == "range":
        X[:, :, 1] = level
    X[1, 300:] = np.nan
    scaled = FrameScaler(scope).fit_transform(X)
    assert_allclose(scaled[..., 0][~np.isnan(X[..., 0])], 0, atol=1e-6)
    if scope != "range":
        assert_allclose(np.nanstd(scaled[..., 1]), 1, rtol=0.05)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("factor", [1e-20, 1e-8, 1e8])
def test_the_unit_of_a_descriptor_does_not_matter(scope, factor, clips):
    X = padded(clips)
    expected = FrameScaler(scope).fit_transform(X)
    scaled = FrameScaler(scope).fit_transform(X * np.float32(factor))
    several = [len(clip) > 1 for clip in clips]  # the deviation within one frame is 0, or rounding
    assert_allclose(scaled[several], expected[several], atol=1e-4)


@pytest.mark.parametrize("scope", ["clip", "range"])
def test_clips_do_not_touch_each_other(scope, clips):
    together = FrameScaler(scope).fit_transform(padded(clips))
    for k, clip in enumerate(clips):
        assert_array_equal(FrameScaler(scope).fit_transform(clip[None])[0], together[k, : len(clip)])
    # Nothing is learned, so nothing needs to be fitted; a clip that could not be read stays NaN.
    assert not get_tags(FrameScaler(scope)).requires_fit
    lost = np.concatenate([padded(clips), np.full((1, 12, 3), np.nan, np.float32)])
    assert_array_equal(FrameScaler(scope).transform(lost)[:-1], together)
    assert np.isnan(FrameScaler(scope).transform(lost)[-1]).all()


def test_scale_is_learned_of_the_training_clips_only(clips):
    scaler = FrameScaler()
    with pytest.raises(NotFittedError):
        scaler.transform(padded(clips))
    assert get_tags(scaler).requires_fit
    learned = scaler.fit(padded(clips[:2])).scale_
    assert (learned != FrameScaler().fit(padded(clips)).scale_).all()
    with pytest.raises(ValueError, match="every clip is padding from its start"):
        scaler.fit(np.full((2, 3, 1), np.nan))


@pytest.mark.parametrize("scope", SCOPES)
def test_copies_and_lists_do_the_same(scope, clips):
    X = padded(clips)
    scaler = FrameScaler(scope).fit(X)
    expected = scaler.transform(X)
    for copy in (clone(scaler).fit(X), pickle.loads(pickle.dumps(scaler))):
        assert_array_equal(copy.transform(X.tolist()), expected)
    assert scaler.n_features_in_ == 3
    assert_array_equal(scaler.get_feature_names_out(), ["x0", "x1", "x2"])
    assert_array_equal(X, padded(clips), "the frames themselves are not changed")
    assert not hasattr(scaler, "set_output")


BAD = {
    "table": (np.zeros((4, 3)), r"Expected frames of shape .*, got an array of shape \(4, 3\); FrameSequences gives"),
    "series": (np.zeros(4), r"got an array of shape \(4,\)"),
    "infinity": (np.full((2, 3, 1), np.inf), "X contains infinity"),
    "hole": ([[[1.0], [1.0]], [[np.nan], [1.0]]], r"X\[1\]: NaN is for whole frames after the end of a clip"),
    "part": ([[[1.0, 1.0]], [[1.0, 1.0]], [[np.nan, 1.0]]], r"X\[2\]: NaN is for whole frames"),
    "last-part": ([[[1.0, 1.0], [1.0, np.nan]]], r"X\[0\]: NaN is for whole frames"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("scope", SCOPES)
def test_what_are_no_padded_frames_is_refused(scope, name):
    X, message = BAD[name]
    for call in (FrameScaler(scope).fit, FrameScaler(scope).fit(np.ones((1, 1, np.shape(X)[-1]))).transform):
        with pytest.raises(ValueError, match=message):
            call(X)


def test_other_descriptors_and_scopes_are_refused(clips):
    with pytest.raises(ValueError, match="X has 2 descriptors, but FrameScaler was fitted with 3"):
        FrameScaler().fit(padded(clips)).transform(padded(clips)[:, :, :2])
    with pytest.raises(ValueError, match="'scope' parameter of FrameScaler must be a str among"):
        FrameScaler("speaker").fit(padded(clips))
