"""What each condition does to a clip, measured, and that nothing but the clip and the seed decides it."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
import soundfile as sf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import correlate, welch

from sersk import AudioError, FrameSequences
from sersk.audio import encode_audio, load_audio
from sersk.degradation import CLEAN, CONDITIONS, Condition, DegradedClip, degrade

SR = 16000
# All kinds, and levels that are not among the usual ones.
MORE = (*CONDITIONS, Condition("opus", 12), Condition("mp3", 64), Condition("vorbis", 10), Condition("noise", -5))
NAMES = [condition.name for condition in MORE]
CODECS = ("mp3-16", "mp3-24", "mp3-32", "mp3-48", "mp3-64", "mp3-160", "vorbis-0", "vorbis-10", "opus-12", "opus-64")


def degraded(name, waveform, sr=SR, seed=0):
    return degrade(waveform, sr, Condition.named(name), seed)


def tone(frequency, seconds=1.0, sr=SR, level=0.5):
    return (level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * sr)) / sr)).astype(np.float32)


def decibels(ratio):
    return 10 * np.log10(ratio)


def power(waveform):
    return np.square(waveform.astype(float)).mean()


# --- names


@pytest.mark.parametrize("condition", MORE, ids=NAMES)
def test_a_condition_is_made_of_its_name(condition):
    assert Condition.named(condition.name) == condition
    assert condition.description


def test_names_and_descriptions_are_these():
    assert [condition.name for condition in CONDITIONS] == [
        "clean", "noise-20", "noise-10", "noise-5", "noise-0", "telephone", "mp3-32", "mp3-16", "vorbis-0",
        "reverb-0.5", "reverb-1", "clip-10", "gain-20", "gain+20",
    ]  # fmt: skip
    told = [Condition.named(name).description for name in ("noise--5", "reverb-0.3", "gain+3", "clip-2.5", "mp3-24")]
    assert told == [
        "white noise, -5 dB SNR",
        "reverberation, RT60 0.3 s",
        "gain +3 dB",
        "2.5 % of the samples clipped",
        "MP3, 24 kbit/s",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nois-10", "There is no condition 'nois-10'; choose one of clean, noise, telephone, mp3, vorbis, opus"),
        ("", "There is no condition ''"),
        ("noise", "Condition 'noise': expected a level from -100 to 100, got None"),
        ("noise-", "Condition 'noise-': expected a number at its end, got ''"),
        ("noise-loud", "Condition 'noise-loud': expected a number at its end, got 'loud'"),
        ("noise-nan", "Condition 'noise': expected a level from -100 to 100, got nan"),
        ("mp3-8", "Condition 'mp3': expected a level from 16 to 160, got 8"),
        ("vorbis-11", "Condition 'vorbis': expected a level from 0 to 10, got 11"),
        ("reverb-0", r"Condition 'reverb': expected a level from 0\.01 to 10, got 0"),
        ("telephone-8", "Condition 'telephone' has no level, got 8"),
        ("clean-1", "Condition 'clean' has no level, got 1"),
    ],
)
def test_what_is_no_condition_is_refused(name, message):
    with pytest.raises(ValueError, match=message):
        Condition.named(name)


# --- noise and gain


@pytest.mark.parametrize("snr", [20, 10, 5, 0, -5])
def test_noise_is_white_and_of_the_ratio_asked_for(speechlike, snr):
    clip = speechlike(2.0)
    noise = degraded(f"noise-{snr}", clip) - clip
    assert decibels(power(clip) / power(noise)) == pytest.approx(snr, abs=0.15)
    spectrum = welch(noise, SR, nperseg=256)[1][2:-2]
    assert_allclose(decibels(spectrum / spectrum.mean()), 0, atol=1.5)


def test_at_another_ratio_the_noise_is_the_same_but_louder(speechlike):
    clip = speechlike(0.5)
    soft, loud = (degraded(name, clip) - clip for name in ("noise-20", "noise-0"))
    assert_allclose(loud, 10 * soft, atol=1e-5)


@pytest.mark.parametrize("level", [-20, 20, 6, -0.5])
def test_gain_is_in_decibels_and_clips_nothing(speechlike, level):
    clip = speechlike(0.3)
    louder = degraded(f"gain{level:+g}", clip)
    assert_allclose(louder, clip.astype(float) * 10 ** (level / 20), rtol=1e-6)
    assert np.abs(degraded("gain+20", clip)).max() > 1


# --- telephone


def kept(frequency, sr=SR):
    clip = tone(frequency, sr=sr)
    middle = slice(sr // 4, -sr // 4)
    return decibels(power(degraded("telephone", clip, sr)[middle]) / power(clip[middle]) + 1e-12)


@pytest.mark.parametrize("sr", [SR, 22050, 8000])
def test_a_telephone_keeps_its_band(sr):
    for frequency in (400, 1000, 2000, 3200):
        assert kept(frequency, sr) == pytest.approx(0, abs=0.2)
    for frequency in (300, 3400):
        assert kept(frequency, sr) == pytest.approx(-6, abs=0.5), "half the amplitude at the edges"
    for frequency in (50, 150, 200, 3600, 3900):
        assert kept(frequency, sr) < -25


def test_nothing_is_left_above_a_telephone_s_band():
    noise = (0.1 * np.random.default_rng(0).standard_normal(2 * SR)).astype(np.float32)
    frequencies, spectrum = welch(degraded("telephone", noise), SR, nperseg=1024)
    inside = spectrum[(frequencies > 500) & (frequencies < 3000)].mean()
    assert decibels(spectrum[frequencies > 4200].max() / inside) < -50
    assert decibels(spectrum[frequencies < 100].max() / inside) < -25, "but the noise of the 8 bits"


def test_mu_law_is_that_of_g711():
    ramp = np.linspace(-1, 1, 20001, dtype=np.float32)
    coded = load_audio(encode_audio(ramp, 8000, "WAV", "ULAW"), 8000)
    levels = np.unique(coded)
    assert len(levels) == 255  # two of the 256 codes mean 0
    assert_array_equal(levels, -levels[::-1])
    # The decoder's values of 14 bits: 8 segments of 16 steps, which double from one to the next.
    segments = [33 * 2**segment - 33 + step * 2 ** (segment + 1) for segment in range(8) for step in range(16)]
    assert segments[-1] == 8031
    assert_array_equal(np.round(levels[levels >= 0] * 8192), segments)
    assert (np.diff(coded) >= 0).all()
    audible = np.abs(ramp) > 0.05
    assert np.abs(coded[audible] / ramp[audible] - 1).max() < 0.04, "an error that falls with the level"


def test_a_telephone_rounds_to_eight_bits():
    clip = tone(1017.0, level=0.3)
    middle = slice(SR // 4, -SR // 4)
    error = degraded("telephone", clip)[middle] - clip[middle]
    assert 33 < decibels(power(clip[middle]) / power(error)) < 42, "mu-law has some 38 dB"


# --- compression


@pytest.mark.parametrize("sr", [8000, SR, 22050, 44100, 48000])
@pytest.mark.parametrize("name", CODECS)
def test_a_codec_leaves_every_sample_in_its_place(speechlike, name, sr):
    clip = speechlike(1.3, sr=sr)[: int(1.27 * sr)]
    coded = degraded(name, clip, sr)
    assert coded.shape == clip.shape
    lags = np.arange(1 - len(clip), len(clip))
    lag = lags[np.argmax(correlate(coded.astype(float), clip.astype(float), method="fft"))]
    assert abs(lag) <= sr / 8000
    assert decibels(power(clip) / power(coded - clip)) > 8
    loss = decibels(power(coded[-sr // 4 :]) / power(clip[-sr // 4 :]))
    assert abs(loss) < 1.5, "up to its end"


def test_more_bits_are_better_and_fewer_are_audible(speechlike):
    clip = speechlike(2.0)

    def errors(*names):
        return [power(degraded(name, clip) - clip) for name in names]

    for names in [("mp3-16", "mp3-32"), ("vorbis-0", "vorbis-5", "vorbis-10"), ("opus-6", "opus-12", "opus-64")]:
        assert (np.diff(errors(*names)) < 0).all()
    assert min(errors("mp3-16", "vorbis-0", "opus-6")) > 1e-3 * power(clip)


@pytest.mark.parametrize("rate", [16, 24, 32, 64, 128, 160])
def test_mp3_has_the_bit_rate_asked_for(speechlike, rate, monkeypatch):
    from sersk import degradation

    files = []
    monkeypatch.setattr(
        degradation, "encode_audio", lambda *args, **options: files.append(encode_audio(*args, **options)) or files[-1]
    )
    degraded(f"mp3-{rate}", speechlike(2.0))
    data = files[0].getvalue()
    assert data[:2] == b"\xff\xf3", "MPEG-2, layer III"
    rates = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    assert rates[(data[2] >> 4) - 1] == rate
    assert len(data) * 8 / 2.0 / 1000 == pytest.approx(rate, rel=0.12), "the same in every frame"


def test_a_libsndfile_that_cannot_is_named(speechlike, monkeypatch):
    monkeypatch.setattr(sf, "check_format", lambda container, subtype: container != "MP3")
    assert len(degraded("vorbis-5", speechlike(0.1)))
    with pytest.raises(AudioError, match=r"libsndfile [\d.]+ cannot write MP3 \(MPEG_LAYER_III\); that in soundfile's"):
        degraded("mp3-32", speechlike(0.1))


# --- rooms


def impulse(seconds=2.0, sr=SR):
    clip = np.zeros(int(seconds * sr), np.float32)
    clip[0] = 1
    return clip


@pytest.mark.parametrize("sr", [8000, SR, 44100])
@pytest.mark.parametrize("rt60", [0.2, 0.5, 1.0])
def test_a_room_s_energy_falls_by_60_db_in_the_time_asked_for(rt60, sr):
    response = degraded(f"reverb-{rt60}", impulse(sr=sr), sr).astype(float)
    left = np.cumsum(np.square(response)[:0:-1])[::-1]  # Schroeder 1965: backward integration, direct sound left out
    decay = decibels(left[left > 0] / left[0])
    first, last = (np.argmax(decay < level) for level in (-5, -35))  # T30 of ISO 3382
    assert 2 * (last - first) / sr == pytest.approx(rt60, rel=0.06)
    assert decibels(np.square(response[1:]).sum()) == pytest.approx(0, abs=0.1), "as much as the direct sound"
    assert response[0] == pytest.approx(1, abs=1e-6), "which stays where it is"


def test_rooms_differ_from_clip_to_clip():
    first, second = degraded("reverb-0.5", impulse()), degraded("reverb-0.5", 2 * impulse())
    assert np.corrcoef(first[1:], second[1:])[0, 1] < 0.1


def test_a_room_answers_each_sample_alike(speechlike):
    clip = speechlike(0.4)
    heard = degraded("reverb-0.3", clip).astype(float)
    # Whatever the room: divided by the clip's spectrum it is a response that begins with the direct sound.
    n_fft = 2**15
    response = np.fft.irfft(np.fft.rfft(np.pad(heard, (0, n_fft - len(heard)))) / np.fft.rfft(clip, n_fft))
    assert response.argmax() == 0
    assert len(heard) == len(clip)


# --- clipping


@pytest.mark.parametrize("percent", [1, 10, 50])
def test_the_share_asked_for_is_clipped(speechlike, percent):
    clip = np.pad(speechlike(1.0), SR)  # digital silence does not count
    clipped = degraded(f"clip-{percent}", clip)
    limit = np.abs(clipped).max()
    assert (np.abs(clip) > limit).sum() == pytest.approx(percent / 100 * SR, rel=0.02)
    assert_array_equal(clipped, np.clip(clip, -limit, limit))


# --- all of them


@pytest.mark.parametrize("name", NAMES)
def test_silence_stays_silent(name):
    assert_array_equal(degraded(name, np.zeros(1000, np.float32)), np.zeros(1000))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [1, 2, 63, 1023, 5001])
@pytest.mark.parametrize("sr", [8000, 22050])
def test_clips_of_any_length_stay_as_long_and_are_not_changed_themselves(name, length, sr):
    clip = (0.3 * np.random.default_rng(1).normal(size=length)).astype(np.float32)
    before = clip.copy()
    once = degraded(name, clip, sr)
    assert (once.dtype, once.shape) == (np.float32, clip.shape)
    assert np.isfinite(once).all()
    assert once.any() or length < 3
    assert_array_equal(clip, before)
    assert_array_equal(degraded(name, clip, sr), once)


def test_a_long_clip_can_be_encoded():
    minutes = np.tile(tone(200.0), 5 * 60)  # libvorbis overruns its stack if it gets this in one piece
    assert len(degraded("vorbis-0", minutes)) == len(minutes)


@pytest.mark.parametrize("name", ["noise-10", "reverb-0.5"])
def test_chance_depends_on_seed_kind_and_content_only(speechlike, name, tmp_path):
    clip = speechlike(0.4)
    sf.write(tmp_path / "a.wav", clip, SR, subtype="FLOAT")
    condition = Condition.named(name)
    expected = DegradedClip(clip, condition, seed=3).waveform(SR)
    for same in (clip.tolist(), (clip, SR), tmp_path / "a.wav", io.BytesIO((tmp_path / "a.wav").read_bytes())):
        assert_array_equal(DegradedClip(same, condition, seed=3).waveform(SR), expected)
    assert_array_equal(pickle.loads(pickle.dumps(DegradedClip(clip, condition, 3))).waveform(SR), expected)
    for other in (DegradedClip(clip, condition, seed=4), DegradedClip(clip * np.float32(1.0001), condition, seed=3)):
        assert np.abs(other.waveform(SR) - expected).max() > 1e-3


def test_features_do_not_depend_on_order_or_workers(speechlike):
    clips = [DegradedClip(speechlike(0.2, seed=k), condition, 0) for k in range(4) for condition in MORE]
    frames = FrameSequences(("log_mel",), deltas=0)
    expected = frames.transform(clips)
    assert_array_equal(frames.set_params(n_jobs=2).transform(clips[::-1]), expected[::-1])


def test_clean_is_the_clip_itself(speechlike):
    clip = speechlike(0.2)
    assert_array_equal(DegradedClip(clip, CLEAN, 0).waveform(SR), clip)


def test_a_clip_that_cannot_be_read_is_named(tmp_path):
    clip = DegradedClip(tmp_path / "gone.wav", CONDITIONS[1], 0)
    assert clip.name == str(tmp_path / "gone.wav")
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        clip.waveform(SR)
