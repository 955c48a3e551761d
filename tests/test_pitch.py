"""F0 of tones of known F0, and none where there is no voice."""

from __future__ import annotations

import numpy as np
import pytest

from sersk.descriptors import describe
from sersk.filterbanks import FrameSettings
from sersk.measures import measure_frames
from sersk.pitch import VOICED, find_peaks, join_peaks, periodicity, track_pitch

SPECTRA = {
    "1/k": lambda hz, k: 1.0 / k,
    "flat": lambda hz, k: np.ones(len(k)),
    "formants": lambda hz, k: sum(
        gain / (1 + ((hz - centre) / width) ** 2)
        for centre, width, gain in [(600, 80, 1.0), (1200, 100, 0.6), (2500, 150, 0.3)]
    ),
    "weak fundamental": lambda hz, k: np.where(k == 1, 0.05, 1.0 / k),
    "telephone band": lambda hz, k: np.where((hz > 300) & (hz < 3400), 1.0 / k, 0.0),
}


def harmonic(f0, sr, spectrum="1/k", snr=20.0):
    """Tone whose F0 is `f0`, in Hz, at each sample, with random phases and white noise."""
    rng = np.random.default_rng(int(np.mean(f0) * 100))
    k = np.arange(1, int(min(0.95 * sr / 2, 4000) / np.max(f0)) + 1)
    amplitude = SPECTRA[spectrum](k * np.mean(f0), k)
    angle = np.outer(2 * np.pi * np.cumsum(f0) / sr, k) + rng.uniform(0, 2 * np.pi, len(k))
    tone = np.sin(angle) @ amplitude
    noise = rng.standard_normal(len(tone)) * 10 ** (-snr / 20)
    return (0.1 * (tone / tone.std() + noise)).astype(np.float32)


def pitch_of(y, sr=16000, n_fft=1024, hop_length=256):
    frames = describe(y, ["f0", "voicing"], FrameSettings(sr=sr, n_fft=n_fft, hop_length=hop_length))
    return frames["f0"][:, 0], frames["voicing"][:, 0]


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize(
    ("sr", "n_fft", "hop_length"), [(8000, 512, 128), (16000, 1024, 256), (24414, 512, 300), (48000, 8192, 960)]
)
def test_f0_of_harmonic_tones_is_within_two_percent_at_20_db(spectrum, sr, n_fft, hop_length):
    for hz in np.geomspace(70, 450, 9):
        f0, voicing = pitch_of(harmonic(np.full(sr // 2, hz), sr, spectrum), sr, n_fft, hop_length)
        voiced = voicing > VOICED
        assert voiced.mean() > 0.85, f"{hz:.0f} Hz: a frame with a clip's edge in it may count as unvoiced, no other"
        assert np.mean(np.abs(f0[voiced] / hz - 1) < 0.02) >= 0.95, f"{hz:.0f} Hz"


@pytest.mark.parametrize(("first", "last"), [(100, 220), (400, 180), (75, 140)])
def test_f0_follows_a_glide(first, last):
    sr, hop_length = 16000, 256
    course = np.geomspace(first, last, 2 * sr)
    f0, voicing = pitch_of(harmonic(course, sr, "formants"), sr, 1024, hop_length)
    centres = np.minimum(np.arange(len(f0)) * hop_length, len(course) - 1)
    voiced = voicing > VOICED
    assert voiced.mean() > 0.95
    assert np.mean(np.abs(f0[voiced] / course[centres][voiced] - 1) < 0.02) >= 0.95


@pytest.mark.parametrize("gain", [1e-4, 1.0, 100.0])
def test_gain_leaves_f0_and_voicing_alone(gain):
    y = harmonic(np.full(8000, 130.0), 16000)
    np.testing.assert_allclose(np.stack(pitch_of(gain * y)), np.stack(pitch_of(y)), rtol=1e-4, atol=1e-4)


def test_a_constant_offset_leaves_f0_alone():
    f0, _ = pitch_of(harmonic(np.full(8000, 130.0), 16000) + np.float32(0.05))
    assert np.mean(np.abs(f0 / 130 - 1) < 0.02) >= 0.95


@pytest.mark.parametrize("level", [1.0, 1e-6])
@pytest.mark.parametrize(("sr", "n_fft"), [(8000, 512), (16000, 1024), (16000, 4096), (48000, 2048)])
def test_noise_is_mostly_unvoiced(level, sr, n_fft):
    noise = level * np.random.default_rng(0).standard_normal(2 * sr)
    f0, voicing = pitch_of(noise, sr, n_fft)
    assert np.mean(voicing > VOICED) < 0.02
    assert np.isfinite(f0).all()


@pytest.mark.parametrize("y", [np.zeros(5000), np.full(5000, 0.3)], ids=["silence", "constant"])
def test_what_has_no_period_has_no_f0(y):
    f0, voicing = pitch_of(y)
    assert not f0.any()
    assert not voicing.any()


@pytest.mark.parametrize("y", [np.ones(1), np.eye(1, 8000, 4000)[0]], ids=["one sample", "click"])
def test_a_click_is_finite_and_unvoiced(y):
    f0, voicing = pitch_of(y)
    assert np.isfinite(f0).all()
    assert voicing.max() < VOICED


def test_a_periodic_frame_peaks_at_one_whatever_its_f0():
    n_fft, sr = 1024, 16000
    for hz in (80, 200, 400):
        frame = np.hanning(n_fft + 1)[:-1] * harmonic(np.full(n_fft, hz), sr, snr=80)
        power = (np.abs(np.fft.rfft(frame)) ** 2).astype(np.float32)[None]
        voicing = track_pitch(find_peaks(periodicity(power, sr, n_fft)))[0, 1]
        assert voicing == pytest.approx(1.0, abs=0.02)


def test_the_octave_of_a_single_frame_is_corrected_by_the_rest_of_the_clip():
    sr = 16000
    y = harmonic(np.full(sr, 220.0), sr, snr=60)
    middle = slice(7000, 8400)
    y[middle] += 0.35 * 0.1 * np.sin(2 * np.pi * 110 * np.arange(sr) / sr)[middle].astype(np.float32)
    f0, _ = pitch_of(y)
    assert np.all(np.abs(f0 / 220 - 1) < 0.02)


def test_frames_without_a_peak_leave_the_other_frames_alone():
    y = np.concatenate([harmonic(np.full(8000, hz), 16000) for hz in (90.0, 330.0)])
    power = np.abs(np.fft.rfft(np.lib.stride_tricks.sliding_window_view(y, 1024)[::256] * np.hanning(1025)[:-1])) ** 2
    correlation = periodicity(power.astype(np.float32), 16000, 1024)
    falling = np.linspace(0.99, 0.5, correlation.shape[1], dtype=np.float32)  # as of a hum below all voices
    both = find_peaks(np.concatenate([correlation, np.tile(falling, (500, 1))]))
    pitch = track_pitch(both)
    np.testing.assert_array_equal(pitch[: len(correlation)], track_pitch(find_peaks(correlation)))
    assert not pitch[len(correlation) :].any()


def test_a_frame_without_any_peak_has_no_pitch_whatever_its_neighbours_have():
    lags = np.arange(23, 202.0)  # at 12 kHz, as `periodicity` has them
    voiced = np.cos(2 * np.pi * lags / 80)
    rumble = 1 - (lags / 512) ** 2  # the top of a slow wave, at a lag of 0
    f0, voicing = track_pitch(find_peaks(np.stack([voiced, rumble, voiced]).astype(np.float32))).T
    np.testing.assert_allclose(f0, [150, 0, 150], rtol=0.01)
    np.testing.assert_allclose(voicing, [1, 0, 1], atol=0.01)


def test_peaks_of_a_run_of_frames_are_a_slice(speechlike):
    y = np.concatenate([speechlike(1.0, seed=1), np.zeros(4000, np.float32), speechlike(1.0, seed=2)])
    correlation = measure_frames(y, {"pitch"}, FrameSettings(sr=16000))["pitch"]
    peaks = find_peaks(correlation)
    joined = join_peaks([peaks[:1], peaks[1:40], peaks[40:]])
    assert len(joined) == len(peaks) == len(correlation)
    for run in (slice(0, 30), slice(25, 90), slice(100, None), slice(None)):
        expected = track_pitch(find_peaks(correlation[run]))
        assert len(peaks[run]) == len(expected)
        np.testing.assert_array_equal(track_pitch(peaks[run]), expected)
        np.testing.assert_array_equal(track_pitch(joined[run]), expected)
