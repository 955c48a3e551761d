"""Values of the whole clip: on frames made by hand, and on signals whose pauses, syllables and course are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import logm

from sersk.clip_values import CLIP_VALUES, ClipFrames, active_frames, active_span, clip_value_names
from sersk.features import AcousticFeatures
from sersk.functionals import delta

STEP = 0.01
SR = 16000


def make_clip(n_frames=90, n_mels=32, n_mfcc=20, *, level=None, voicing=0.9, log_f0=None):
    """Frames as the descriptors give them, a descriptor a row."""
    random = np.random.default_rng(n_frames)
    frames = {
        "log_mel": random.normal(-40, 15, (n_mels, n_frames)),
        "mfcc": random.normal(0, 20, (n_mfcc, n_frames)),
        "log_rms": np.full((1, n_frames), -20.0) if level is None else np.reshape(level, (1, -1)),
        "log_f0": random.normal(24, 3, (1, n_frames)) if log_f0 is None else np.reshape(log_f0, (1, -1)),
        "voicing": np.broadcast_to(voicing, (1, n_frames)),
    }
    return ClipFrames({name: rows.astype(np.float32) for name, rows in frames.items()}, STEP, n_frames * STEP)


def measure(waveform, name, **parameters):
    """Name -> value, from the waveform itself."""
    features = AcousticFeatures((), clip_values=(name,), **parameters)
    return dict(zip(features.get_feature_names_out(), features.transform([waveform])[0].tolist(), strict=True))


def tone(seconds, hz=150.0):
    t = np.arange(int(seconds * SR)) / SR
    return np.sum([np.sin(2 * np.pi * hz * k * t) / k for k in range(1, 8)], axis=0).astype(np.float32) * 0.2


def silence(seconds):
    return np.random.default_rng(0).normal(0, 1e-5, int(seconds * SR)).astype(np.float32)


@pytest.mark.parametrize("name", CLIP_VALUES)
@pytest.mark.parametrize(("n_mels", "n_mfcc"), [(32, 20), (16, 16), (40, 3), (7, 5), (1, 1)])
def test_every_value_has_a_name_of_its_own(name, n_mels, n_mfcc):
    values = CLIP_VALUES[name](make_clip(n_mels=n_mels, n_mfcc=n_mfcc))
    names = clip_value_names(name, n_mels, n_mfcc)
    assert len(set(names)) == len(names) == len(values)


@pytest.mark.parametrize("name", CLIP_VALUES)
@pytest.mark.parametrize(
    "clip",
    [
        pytest.param(make_clip(1), id="one frame"),
        pytest.param(make_clip(2), id="two frames"),
        pytest.param(make_clip(4), id="four frames"),
        pytest.param(make_clip(voicing=0.0), id="unvoiced"),
        pytest.param(make_clip(level=np.full(90, -100.0), voicing=0.0), id="silence"),
        pytest.param(make_clip(level=np.r_[np.full(89, -100.0), 0.0]), id="one active frame"),
        pytest.param(make_clip(500), id="longer than the modulation window"),
    ],
)
def test_always_finite(name, clip):
    assert np.isfinite(CLIP_VALUES[name](clip)).all()


@pytest.mark.parametrize("name", CLIP_VALUES)
@pytest.mark.parametrize("hop_length", [16, 8000, 40000])
def test_finite_whatever_the_step_between_frames(name, hop_length):
    assert np.isfinite(list(measure(tone(0.3), name, hop_length=hop_length).values())).all()


def test_frames_are_active_down_to_40_db_below_the_loudest():
    clip = make_clip(4, level=[-10.0, -50.0, -50.5, -90.0])
    assert_array_equal(clip.active, [True, True, False, False])
    assert_array_equal(clip.region("active"), clip.active)
    assert clip.span == slice(0, 2)


@pytest.mark.parametrize(
    ("level", "active", "span"),
    [
        ([-90.0, -10.0, -60.0, -49.9, -50.1], [0, 1, 0, 1, 0], slice(1, 4)),  # silence in between stays
        ([-120.0] * 3, [1, 1, 1], slice(0, 3)),
        ([3.0], [1], slice(0, 1)),
    ],
    ids=["speech", "silence", "one-frame"],
)
def test_speech_goes_from_the_first_active_frame_to_the_last(level, active, span):
    level = np.array(level, dtype=np.float32)
    assert_array_equal(active_frames(level), np.array(active, dtype=bool))
    assert active_span(level) == span
    assert make_clip(len(level), level=level).span == span


def test_voiced_frames_are_active_too():
    clip = make_clip(4, level=[-10, -10, -90, -90], voicing=np.array([0.9, 0.2, 0.9, 0.2]))
    assert_array_equal(clip.region("voiced"), [True, False, False, False])


def test_without_voiced_frames_the_active_ones_stand_in():
    clip = make_clip(4, level=[-10, -10, -90, -90], voicing=0.1)
    assert not clip.voiced.any()
    assert_array_equal(clip.region("voiced"), clip.active)


def test_region_all_takes_every_frame():
    rows = np.arange(4)
    assert_array_equal(rows[make_clip(4, level=[0, -90, -90, 0]).region("all")], rows)


@pytest.mark.parametrize("n_mels", [5, 16, 20, 32, 64])
def test_bands_are_means_of_neighbours(n_mels):
    clip = make_clip(n_mels=n_mels)
    assert len(clip.bands) == min(n_mels, 16)
    if n_mels % 16 == 0:
        assert_allclose(clip.bands, clip.log_mel.reshape(16, n_mels // 16, -1).mean(axis=1), rtol=1e-5)
    if n_mels < 16:
        assert_array_equal(clip.bands, clip.log_mel)


def test_timing_of_frames_is_exact():
    level = np.full(100, -90.0)
    level[10:40] = level[50:70] = -10.0  # 0.3 s and 0.2 s with a pause of 0.1 s
    voicing = np.where(np.arange(100) < 65, 0.9, 0.1)  # the last 5 active frames are unvoiced
    values = dict(
        zip(
            clip_value_names("timing", 1, 1),
            CLIP_VALUES["timing"](make_clip(100, level=level, voicing=voicing)),
            strict=True,
        )
    )
    assert values["duration"] == pytest.approx(1.0)
    assert values["active_duration"] == pytest.approx(0.6)
    assert values["pause_ratio"] == pytest.approx(0.1 / 0.6)
    assert values["voiced_ratio"] == pytest.approx(45 / 50)
    assert values["voiced_segment_rate"] == pytest.approx(2 / 0.6)
    assert values["voiced_segment_mean"] == pytest.approx((0.3 + 0.15) / 2)
    assert values["voiced_segment_std"] == pytest.approx((0.3 - 0.15) / 2)


def test_timing_of_tone_bursts():
    values = measure(np.concatenate([silence(0.5), tone(0.8), silence(0.4), tone(0.4), silence(0.7)]), "timing")
    assert values["duration"] == pytest.approx(2.8)
    assert values["active_duration"] == pytest.approx(1.6, abs=0.08)  # a frame of 64 ms hears a burst at its ends
    assert values["pause_ratio"] == pytest.approx(0.4 / 1.6, abs=0.05)
    assert values["voiced_segment_rate"] == pytest.approx(2 / 1.6, rel=0.06)
    assert values["voiced_segment_mean"] == pytest.approx(0.6, abs=0.06)
    assert values["voiced_segment_std"] == pytest.approx(0.2, abs=0.03)
    assert values["voiced_ratio"] > 0.9


@pytest.mark.parametrize("rate", [2.0, 4.0, 6.0])
def test_speech_rate_counts_syllables(rate):
    envelope = 0.55 - 0.45 * np.cos(2 * np.pi * rate * np.arange(2 * SR) / SR)
    assert measure(tone(2.0) * envelope, "timing")["speech_rate"] == pytest.approx(rate, abs=0.3)


@pytest.mark.parametrize("gain", [0.01, 0.1, 4.0])
def test_gain_leaves_timing_alone(gain):
    envelope = 0.55 + 0.45 * np.cos(2 * np.pi * 4 * np.arange(SR) / SR)  # loudest at the ends
    waveform = tone(1.0) * envelope
    assert measure(gain * waveform, "timing") == pytest.approx(measure(waveform, "timing"))


@pytest.mark.filterwarnings("ignore:logm result may be inaccurate")  # by 1e-12
@pytest.mark.parametrize(
    ("name", "floor", "rows"),
    [
        ("band_covariance", 1.0, lambda clip: clip.bands),
        ("band_delta_covariance", 0.05, lambda clip: delta(clip.bands)),
        ("mfcc_covariance", 1.0, lambda clip: clip.frames["mfcc"][:16]),
    ],
)
@pytest.mark.parametrize("n_frames", [3, 200])
def test_covariance_equals_scipys_matrix_logarithm(name, floor, rows, n_frames):
    level = np.where(np.arange(n_frames) % 5 == 1, -90.0, -10.0)  # frames that do not count
    clip = make_clip(n_frames, level=level)
    covariance = np.cov(rows(clip)[:, clip.active].astype(np.float64), bias=True)
    expected = logm(covariance + floor * np.eye(len(covariance)))
    values = CLIP_VALUES[name](clip)
    row, column = np.triu_indices(len(expected))
    assert_allclose(values, expected[row, column] * np.where(row == column, 1, np.sqrt(2)), atol=1e-4)
    assert np.linalg.norm(values) == pytest.approx(np.linalg.norm(expected), rel=1e-5)  # distances are kept


def test_covariance_of_one_frame_is_that_of_the_floor():
    assert_allclose(CLIP_VALUES["band_covariance"](make_clip(1)), 0.0, atol=1e-12)  # log of the identity matrix


def test_thirds_are_relative_to_the_whole():
    log_f0 = np.repeat([20.0, 23.0, 29.0], 30)
    clip = make_clip(90, n_mels=8, log_f0=log_f0)
    values = CLIP_VALUES["thirds"](clip)
    thirds = values[:24].reshape(3, 8)
    assert_allclose(thirds.sum(axis=0), 0.0, atol=1e-4)
    assert_allclose(thirds[1], clip.log_mel[:, 30:60].mean(axis=1) - clip.log_mel.mean(axis=1), atol=1e-4)
    assert_allclose(values[24:], [-4, -1, 5], atol=1e-4)


def test_a_third_without_voice_has_no_course_of_f0():
    clip = make_clip(9, n_mels=2, log_f0=np.arange(9.0), voicing=np.repeat([0.9, 0.0, 0.9], 3))
    assert_allclose(CLIP_VALUES["thirds"](clip)[6:], [-3, 0, 3], atol=1e-5)


@pytest.mark.parametrize(("hz", "expected"), [(1.0, 1), (2.0, 2), (4.0, 3), (6.0, 4), (10.0, 5), (18.0, 6)])
def test_modulation_is_strongest_where_the_signal_fluctuates(hz, expected):
    envelope = 1 + 0.5 * np.sin(2 * np.pi * hz * np.arange(3 * SR) / SR)
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * SR)
    values = np.array(list(measure(noise * envelope, "modulation").values())).reshape(6, 16)
    assert np.argmax(values.mean(axis=1)) + 1 == expected
