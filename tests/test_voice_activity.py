"""Voices are speech; silence, noise, hum and tones are not, in whatever pieces they come."""

from __future__ import annotations

import numpy as np
import pytest

from sersk import load_audio, make_emotional_speech
from sersk.voice_activity import VoiceActivity, measure_speech

SR = 16000


def seconds(n, sr=SR):
    return np.arange(int(n * sr)) / sr


def noise(n=3.0, slope=0.0):
    """Noise whose spectrum falls with frequency."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(int(n * SR)))
    frequencies = np.fft.rfftfreq(int(n * SR), 1 / SR)
    spectrum *= np.where(frequencies < 20, 0, np.maximum(frequencies, 20) ** -slope)
    waveform = np.fft.irfft(spectrum)
    return waveform / waveform.std()


def hum(hz, n=3.0):
    return sum(np.sin(2 * np.pi * hz * k * seconds(n) + k) / k for k in range(1, 12))


def share(waveform, sr=SR, start=0, stop=None):
    activity = VoiceActivity(sr)
    activity.add(waveform)
    return activity.share(start, len(waveform) if stop is None else stop)


@pytest.mark.parametrize("sr", [8000, 16000, 22050, 48000])
@pytest.mark.parametrize("level", [1.0, 0.01])
def test_a_voice_is_speech_whatever_the_rate_and_the_level(speechlike, sr, level):
    assert share(level * speechlike(3.0, sr, seed=1), sr) > 0.6


@pytest.mark.parametrize(
    "waveform",
    [
        np.zeros(48000),
        np.full(48000, 0.1),
        1e-4 * noise(),
        0.1 * noise(),
        0.1 * noise(slope=0.5),
        0.1 * noise(slope=1.0),
        0.1 + 0.003 * noise(),
        0.3 * np.sin(2 * np.pi * 8 * seconds(3)) + 0.003 * noise(),
        *(0.1 * hum(hz) for hz in (50, 60, 100, 120)),
        0.1 * hum(60) + 0.03 * noise(),
        np.sin(2 * np.pi * 425 * seconds(3)),
    ],
    ids=[
        "zeros",
        "offset",
        "room",
        "white",
        "pink",
        "brown",
        "offset and noise",
        "rumble and noise",
        "50 Hz",
        "60 Hz",
        "100 Hz",
        "120 Hz",
        "hum and noise",
        "dial tone",
    ],
)
def test_what_is_no_voice_is_no_speech(waveform):
    assert share(waveform) < 0.1


def test_a_voice_is_found_in_noise_and_hum(speechlike):
    voice = speechlike(3.0, seed=1)
    level = voice.std()
    assert share(voice + 0.3 * level * noise()) > 0.5
    assert share(voice + 0.5 * level * hum(100)) > 0.5


def test_a_voice_next_to_silence_is_not_heard(speechlike):
    assert share(1e-4 * speechlike(3.0, seed=1)) == 0


def test_a_stretch_is_told_by_itself(speechlike):
    waveform = np.concatenate([speechlike(2.0, seed=1), np.zeros(2 * SR), speechlike(1.0, seed=2)])
    inside = [share(waveform, start=start * SR, stop=(start + 1) * SR) for start in range(5)]
    assert min(inside[0], inside[1], inside[4]) > 0.5
    assert max(inside[2:4]) < 0.2
    assert inside[0] == share(waveform[:SR])
    # Only the first half second of this stretch is speech, and what is close to it.
    assert 0.1 < share(waveform, start=int(1.5 * SR), stop=4 * SR) < 0.4


@pytest.mark.parametrize("size", [100, 512, 5000, 30000])
def test_it_does_not_matter_in_what_pieces_it_comes(speechlike, size):
    waveform = np.concatenate([speechlike(2.0, seed=1), 0.01 * noise(1.0), speechlike(2.0, seed=3)])
    whole, parts = VoiceActivity(SR), VoiceActivity(SR)
    whole.add(waveform)
    stop = 0
    for first in range(0, len(waveform), size):
        parts.add(waveform[first : first + size])
        while stop + 8000 <= first + size and stop + 8000 <= len(waveform):
            stop += 8000
            start = max(0, stop - 24000)
            parts.forget(start)
            assert parts.share(start, stop) == whole.share(start, stop)
    assert stop == 80000


@pytest.mark.parametrize(("n", "expected"), [(0, 0.0), (1023, 0.0), (1024, 0.0), (3000, 0.0)])
def test_stretches_of_a_few_frames(n, expected):
    assert share(np.zeros(n)) == expected
    glide = np.sin(2 * np.pi * 150 * seconds(2) * (1 + seconds(2)))
    assert share(glide[:3000]) == 1.0


@pytest.mark.parametrize("sr", [8000, 22050])
def test_a_long_clip_is_told_by_its_densest_window(speechlike, sr):
    pause = np.zeros(4 * sr)
    waveform = np.concatenate([pause, speechlike(1.0, sr, seed=1), pause, speechlike(2.0, sr, seed=1), pause])
    whole, densest = measure_speech(waveform, sr)
    assert whole == share(waveform, sr)
    windows = [share(waveform, sr, start, start + 3 * sr) for start in range(0, len(waveform) - 3 * sr, sr // 10)]
    assert densest == pytest.approx(max(windows), abs=0.05)
    assert whole < 0.3 < densest


def test_a_short_clip_is_its_own_window(speechlike):
    for n in (0.1, 1.0, 3.0):
        waveform = speechlike(n, seed=1)
        assert measure_speech(waveform, SR) == (share(waveform), share(waveform))
    assert measure_speech(np.zeros(1000), SR) == (0.0, 0.0)


def test_the_monotonous_voices_of_the_demo_are_speech(tmp_path):
    corpus = make_emotional_speech(tmp_path, emotions=("sad", "bored"), n_speakers=4, n_repetitions=2)
    assert min(measure_speech(load_audio(file), SR)[1] for file in corpus.data) > 0.3
