"""What each alteration does to a clip, and what chance is left in it."""

from __future__ import annotations

import io
import pickle
import warnings

import librosa
import numpy as np
import pytest
import soundfile as sf
import soxr
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kurtosis

from sersk import AudioError
from sersk.augmentation import WAVEFORM_METHODS, AlteredClip, alter_clips, count_frames, generator, mask_frames

SR = 16000
# Limits that leave much and limits that leave nothing to chance.
WIDE = {
    "noise": (0.0, 30.0),
    "stretch": (0.5, 2.0),
    "pitch": (-6.0, 6.0),
    "speed": (0.5, 2.0),
    "shift": (-0.1, 0.1),
    "gain": (-20.0, 20.0),
}


def alter(method, waveform, limits, sr=SR, seed=0):
    limits = limits if isinstance(limits, tuple) else (limits, limits)
    return WAVEFORM_METHODS[method](waveform, sr, np.random.default_rng(seed), limits)


def tone(frequency, seconds=1.0, sr=SR):
    return np.sin(2 * np.pi * frequency * np.arange(int(seconds * sr)) / sr).astype(np.float32)


def frequency_of(waveform, sr=SR):
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 2**18))
    return np.argmax(spectrum) * sr / 2**18


# --- each method ---


@pytest.mark.parametrize("snr", [-5.0, 0.0, 10.0, 30.0])
def test_noise_has_the_ratio_asked_for_and_is_white_and_gaussian(speechlike, snr):
    clip = speechlike(2.0)
    noise = (alter("noise", clip, snr) - clip).astype(float)
    assert 10 * np.log10(np.square(clip.astype(float)).mean() / np.square(noise).mean()) == pytest.approx(snr, abs=0.1)
    spectrum = np.square(np.abs(np.fft.rfft(noise))[1:]).reshape(8, -1).mean(axis=1)
    assert_allclose(spectrum, spectrum.mean(), rtol=0.1)
    assert kurtosis(noise) == pytest.approx(0, abs=0.1)


def test_digital_silence_is_no_signal(speechlike):
    clip = speechlike(1.0)
    padded = np.pad(clip, (len(clip), len(clip)))
    noise = alter("noise", padded, 10.0) - padded
    assert noise.std() == pytest.approx((alter("noise", clip, 10.0) - clip).std(), rel=0.02)
    assert not alter("noise", np.zeros(100, np.float32), -20.0).any()


# librosa 1.0 warns of what its effects do inside; ours, of the same numbers, must not.
def reference(effect, *arguments, **options):
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", FutureWarning)
        return effect(*arguments, **options)


@pytest.mark.parametrize("rate", [0.8, 1.0, 1.25])
def test_stretching_changes_the_length_and_not_the_pitch(rate):
    clip = tone(220.0)
    stretched = alter("stretch", clip, rate)
    assert len(stretched) == round(len(clip) / rate)
    assert frequency_of(stretched) == pytest.approx(220.0, rel=0.002)
    assert_array_equal(
        stretched, reference(librosa.effects.time_stretch, clip, rate=float(np.exp(np.log(rate))), n_fft=1024)
    )
    if rate == 1:
        assert_allclose(stretched, clip, atol=1e-3)


@pytest.mark.parametrize("semitones", [-2.0, 0.0, 1.5])
def test_pitch_changes_and_the_length_does_not(semitones):
    clip = tone(220.0)
    shifted = alter("pitch", clip, semitones)
    assert len(shifted) == len(clip)
    assert frequency_of(shifted) == pytest.approx(220.0 * 2 ** (semitones / 12), rel=0.002)
    assert_array_equal(shifted, reference(librosa.effects.pitch_shift, clip, sr=SR, n_steps=semitones, n_fft=1024))


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_speed_changes_length_and_pitch_together(factor):
    clip = tone(220.0)
    faster = alter("speed", clip, factor)
    assert len(faster) == int(np.ceil(len(clip) / factor))
    assert frequency_of(faster) == pytest.approx(220.0 * factor, rel=0.002)
    expected = soxr.resample(clip, SR * factor, SR, quality="HQ")
    assert_allclose(faster[: len(expected)], expected[: len(faster)], atol=1e-5)
    assert_array_equal(alter("speed", clip, 1.0), clip)


@pytest.mark.parametrize("seconds", [-0.25, -1 / SR, 0.0, 1 / SR, 0.25])
def test_shifting_moves_the_samples_and_zeros_move_in(speechlike, seconds):
    clip = speechlike(1.0)
    moved, later = alter("shift", clip, seconds), round(seconds * SR)
    expected = [clip[k - later] if 0 <= k - later < len(clip) else 0 for k in range(len(clip))]
    assert_array_equal(moved, np.array(expected, np.float32))


@pytest.mark.parametrize(("seconds", "expected"), [(9.0, [0, 0, 1, 2, 3]), (-9.0, [3, 4, 5, 0, 0])])
def test_half_of_a_clip_stays_however_far_it_is_to_move(seconds, expected):
    assert alter("shift", np.arange(1, 6, dtype=np.float32), seconds).tolist() == expected
    assert alter("shift", np.ones(1, np.float32), seconds).tolist() == [1]


def test_gain_is_in_decibels_and_clips_nothing():
    assert_allclose(alter("gain", tone(100.0), 20.0), 10 * tone(100.0), rtol=1e-6)
    assert_allclose(alter("gain", tone(100.0), -20.0), 0.1 * tone(100.0), rtol=1e-6)


@pytest.mark.parametrize("method", WAVEFORM_METHODS)
@pytest.mark.parametrize("length", [1, 2, 63, 1023, 5000])
@pytest.mark.parametrize("sr", [8000, 44100])
def test_clips_of_any_length_stay_clips_and_are_not_changed_themselves(method, length, sr):
    clip = np.random.default_rng(1).normal(size=length).astype(np.float32)
    before = clip.copy()
    for seed in range(3):
        altered = alter(method, clip, WIDE[method], sr, seed)
        assert (altered.dtype, altered.ndim) == (np.float32, 1)
        assert np.isfinite(altered).all()
        if method in ("stretch", "speed"):
            assert max(length // 2, 1) <= len(altered) <= 2 * length
        else:
            assert len(altered) == length
    assert_array_equal(clip, before)


def measured(method, clip, altered):
    """What was drawn."""
    if method == "noise":
        return 10 * np.log10(np.square(clip[clip != 0]).mean() / np.square(altered - clip).mean())
    if method in ("stretch", "speed"):
        return len(clip) / len(altered)
    if method == "pitch":
        return 12 * np.log2(frequency_of(altered) / frequency_of(clip))
    if method == "shift":
        return (np.flatnonzero(altered)[0] - np.flatnonzero(clip)[0]) / SR
    return 20 * np.log10(np.abs(altered).max() / np.abs(clip).max())


@pytest.mark.parametrize("method", WAVEFORM_METHODS)
def test_what_is_drawn_fills_the_limits(method):
    clip = np.pad(tone(400.0, 0.3), 2000)
    low, high = WIDE[method]
    drawn = np.sort([measured(method, clip, alter(method, clip, (low, high), seed=seed)) for seed in range(60)])
    slack = 0.02 * (high - low)
    assert drawn[0] >= low - slack
    assert drawn[-1] <= high + slack
    place = (drawn - low) / (high - low)
    if method in ("stretch", "speed"):  # as often faster as slower
        place = np.log(drawn / low) / np.log(high / low)
    assert place[0] < 0.15
    assert place[-1] > 0.85
    assert np.median(place) == pytest.approx(0.5, abs=0.15)


# --- clips that are altered when their turn comes ---


@pytest.mark.parametrize("method", WAVEFORM_METHODS)
def test_a_copy_depends_on_seed_method_number_and_content_only(speechlike, method, tmp_path):
    clip = speechlike(0.4)
    sf.write(tmp_path / "a.wav", clip, SR, subtype="FLOAT")
    copy = AlteredClip(clip, method, WIDE[method], seed=3).waveform(SR)
    memory = io.BytesIO((tmp_path / "a.wav").read_bytes())
    for same in (clip, clip.tolist(), (clip, SR), tmp_path / "a.wav", str(tmp_path / "a.wav"), memory):
        assert_array_equal(AlteredClip(same, method, WIDE[method], seed=3).waveform(SR), copy)
    assert_array_equal(pickle.loads(pickle.dumps(AlteredClip(clip, method, WIDE[method], 3))).waveform(SR), copy)
    louder = clip * np.float32(1.0001)
    for other in (
        AlteredClip(clip, method, WIDE[method], seed=4),
        AlteredClip(clip, method, WIDE[method], seed=3, copy=1),
        AlteredClip(louder, method, WIDE[method], seed=3),
    ):
        waveform = other.waveform(SR)
        assert len(waveform) != len(copy) or not np.allclose(waveform, copy, rtol=1e-3)


def test_methods_draw_apart_from_each_other():
    clip = tone(200.0, 0.1)
    gain = 20 * np.log10(AlteredClip(clip, "gain", (0.0, 1.0), 0).waveform(SR).max() / clip.max())
    shift = np.flatnonzero(AlteredClip(np.ones(40000), "shift", (0.0, 1.0), 0).waveform(SR))[0] / SR
    assert abs(gain - shift) > 0.01
    assert generator(0, "gain", 0, clip).uniform() != generator(0, "shift", 0, clip).uniform()


def test_a_copy_of_a_copy():
    once = AlteredClip(np.ones(4), "gain", (20.0, 20.0), 0)
    assert_allclose(AlteredClip(once, "gain", (20.0, 20.0), 0).waveform(SR), 100, rtol=1e-6)


def test_a_clip_is_read_at_the_rate_asked_for(speechlike):
    clip = speechlike(0.4)
    assert len(AlteredClip((clip, SR), "gain", (0.0, 0.0), 0).waveform(8000)) == len(clip) / 2
    assert len(AlteredClip(clip, "gain", (0.0, 0.0), 0).waveform(8000)) == len(clip)


def test_a_clip_that_cannot_be_read_is_named(tmp_path):
    clip = AlteredClip(tmp_path / "gone.wav", "gain", (0.0, 0.0), 0)
    assert clip.name == str(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        clip.waveform(SR)


def test_copies_are_no_matter_of_equality():
    clips = alter_clips([np.zeros(3)] * 2, "gain", (0.0, 0.0), 0)
    assert clips[0] != clips[1]
    assert len({*clips}) == 2


def test_nothing_is_opened_before_its_turn():
    clips = alter_clips(["gone.wav", "gone, too.wav"], "noise", (0.0, 1.0), seed=5, copy=2)
    assert [(c.clip, c.method, c.limits, c.seed, c.copy) for c in clips] == [
        ("gone.wav", "noise", (0.0, 1.0), 5, 2),
        ("gone, too.wav", "noise", (0.0, 1.0), 5, 2),
    ]


def test_librosa_is_compiled_before_workers_could_do_so_at_once(monkeypatch):
    from sersk import augmentation

    compiled = []
    monkeypatch.setattr(augmentation, "_compile_vocoder", lambda: compiled.append(True))
    for method in ("noise", "speed", "shift", "gain"):
        alter_clips([], method, WIDE[method], 0)
    assert compiled == []
    for method in ("stretch", "pitch"):
        alter_clips([], method, WIDE[method], 0)
    assert compiled == [True, True]


def test_the_vocoder_is_compiled_once(monkeypatch):
    from sersk import augmentation

    calls = []
    vocode = augmentation._vocode
    monkeypatch.setattr(augmentation, "_vocode", lambda *arguments: calls.append(1) or vocode(*arguments))
    augmentation._compile_vocoder.cache_clear()
    for _ in range(3):
        alter_clips([], "pitch", (0.0, 0.0), 0)
    assert calls == [1]


# --- masks ---


def numbered(n_frames, n_descriptors, padding=0, dtype=np.float32):
    frames = np.arange(1.0, n_frames * n_descriptors + 1).reshape(n_frames, n_descriptors)
    return np.pad(frames, ((0, padding), (0, 0)), constant_values=np.nan).astype(dtype)


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_stripe_of_frames_and_one_of_descriptors_are_hidden(padding, dtype):
    frames = numbered(20, 10, padding, dtype)
    before = frames.copy()
    widths = set()
    for seed in range(300):
        masked = mask_frames(frames, np.random.default_rng(seed), time=0.25, frequency=0.3, fill=-1.0)
        assert masked.dtype == dtype
        assert np.isnan(masked[20:]).all()
        hidden = masked[:20] == -1
        rows, columns = hidden.all(axis=1), hidden.all(axis=0)
        assert_array_equal(hidden, rows[:, None] | columns)
        assert_array_equal(masked[:20][~hidden], frames[:20][~hidden])
        for stripe in (np.flatnonzero(rows), np.flatnonzero(columns)):
            assert_array_equal(np.diff(stripe), 1)
        widths.add((rows.sum(), columns.sum()))
    assert widths == {(t, f) for t in range(6) for f in range(4)}
    assert_array_equal(frames, before)


def test_stripes_lie_anywhere():
    hidden = np.zeros((8, 6), int)
    for seed in range(500):
        hidden += mask_frames(numbered(8, 6), np.random.default_rng(seed), 0.25, 0.0) == 0
    assert (hidden > 20).all()  # the first and last frame half as often as those between


@pytest.mark.parametrize(("time", "frequency"), [(0.0, 0.0), (0.09, 0.19)])
def test_shares_of_less_than_a_frame_hide_nothing(time, frequency):
    frames = numbered(10, 5, 2)
    for seed in range(20):
        assert_array_equal(mask_frames(frames, np.random.default_rng(seed), time, frequency), frames)


def test_the_whole_clip_may_be_hidden():
    frames = numbered(2, 1, 1)
    hidden = {tuple(mask_frames(frames, np.random.default_rng(k), 1.0, 0.0)[:2, 0]) for k in range(50)}
    assert hidden == {(1, 2), (0, 2), (1, 0), (0, 0)}


def test_the_mean_of_each_descriptor_hides_as_zero_does_once_it_is_taken_away():
    frames = numbered(20, 10, 3) ** 1.5
    mean = frames[:20].mean(axis=0)
    for seed in range(10):
        with_mean = mask_frames(frames, np.random.default_rng(seed), 0.5, 0.5, fill=None)
        with_zero = mask_frames(frames - mean, np.random.default_rng(seed), 0.5, 0.5)
        assert_allclose(with_mean - mean, with_zero, atol=1e-3)


def test_padding_does_not_count():
    for seed in range(20):
        short = mask_frames(numbered(9, 4), np.random.default_rng(seed), 0.5, 0.5, fill=None)
        padded = mask_frames(numbered(9, 4, 30), np.random.default_rng(seed), 0.5, 0.5, fill=None)
        assert_array_equal(padded[:9], short)
    assert count_frames(numbered(9, 4, 30)) == count_frames(numbered(9, 4)) == 9


@pytest.mark.parametrize("fill", [0.0, None])
@pytest.mark.parametrize("n_frames", [0, 3])
def test_a_clip_of_padding_alone_is_left_alone(fill, n_frames):
    frames = np.full((n_frames, 2), np.nan, np.float32)
    assert_array_equal(mask_frames(frames, np.random.default_rng(0), 1.0, 1.0, fill), frames)
