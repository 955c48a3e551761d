"""What is measured of a clip, against signals of known length, level, flat tops and pauses."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile as sf
from joblib import parallel_config
from numpy.testing import assert_array_equal

from sersk.audio import AudioError, read_samples
from sersk.corpora import measurements
from sersk.corpora.measurements import LOWEST_DB, measure_clip, measure_clips

SR = 16000
TIME = np.arange(SR) / SR
TONE = np.sin(2 * np.pi * 200 * TIME)


def test_samples_are_read_as_they_are_stored(tmp_path):
    stereo = np.stack([TONE / 2, -TONE / 4], axis=1).astype(np.float32)
    sf.write(tmp_path / "a.wav", stereo, 22050, subtype="FLOAT")
    samples, sr = read_samples(tmp_path / "a.wav")
    assert_array_equal(samples, stereo)
    assert sr == 22050
    assert read_samples((TONE, 8000))[0].shape == (SR, 1)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ((np.zeros(0), SR), "holds no samples"),
        ((np.array([[0.0, 0.0], [0.0, np.nan]]), SR), r"holds NaN or infinity \(first at sample 1\)"),
        ("missing.wav", "no such file"),
    ],
)
def test_samples_that_cannot_be_read_are_told(source, reason):
    with pytest.raises(AudioError, match=reason):
        read_samples(source)


def test_length_rate_channels_peak_and_level_are_those_of_the_file(tmp_path):
    sf.write(tmp_path / "a.wav", np.stack([TONE / 2, np.zeros(SR)], axis=1), 8000, subtype="FLOAT")
    measured = measure_clip(tmp_path / "a.wav")
    assert (measured.duration, measured.sr, measured.channels) == (2.0, 8000, 2)
    assert measured.peak == pytest.approx(0.5)
    assert measured.level == pytest.approx(10 * np.log10(0.5**2 / 2 / 2), abs=1e-4)
    assert measure_clip((np.ones(SR), SR)).level == 0


def test_three_equal_samples_in_a_row_at_full_scale_are_clipped():
    quiet = np.full(100, 0.1)
    assert measure_clip((TONE, SR)).clipped == 0, "full scale alone is none"
    for wave, n_clipped in [
        ([1, 1], 0),
        ([1, 1, 1], 3),
        ([-1, -1, -1, -1, 0, 1, 1], 4),
        ([1, 1, -1, -1], 0),
        ([0.98, 0.98, 0.98], 0),
        ([127 / 128] * 3, 3),
    ]:
        clip = np.concatenate([quiet, wave, quiet])
        assert measure_clip((clip, SR)).clipped == pytest.approx(n_clipped / len(clip)), wave


def test_a_clipped_channel_counts_by_itself():
    stereo = np.stack([np.ones(100), TONE[:100]], axis=1)
    assert measure_clip((stereo, SR)).clipped == 0.5


def test_frames_far_below_the_loudest_are_silence():
    pause = np.zeros(SR)
    assert measure_clip((np.concatenate([TONE, pause, pause, pause]), SR)).silence == pytest.approx(0.75)
    assert measure_clip((np.concatenate([TONE, TONE / 50]), SR)).silence == 0, "34 dB"
    assert measure_clip((np.concatenate([TONE, TONE / 200]), SR)).silence == pytest.approx(0.5), "46 dB"
    assert measure_clip((TONE[:10], SR)).silence == 0, "shorter than a frame"
    nothing = measure_clip((pause, SR))
    assert (nothing.silence, nothing.peak, nothing.level) == (1, 0, LOWEST_DB)


def test_equal_samples_have_an_equal_digest_in_every_format_without_loss(tmp_path):
    pcm = np.round(TONE * 20000).astype(np.int16)
    for name in ("a.wav", "a.flac", "a.aiff"):
        sf.write(tmp_path / name, pcm, SR)
    sf.write(tmp_path / "stereo.wav", np.stack([pcm, pcm], axis=1), SR)
    sf.write(tmp_path / "24.wav", pcm.astype(np.int32) << 16, SR, subtype="PCM_24")
    assert len({measure_clip(file).digest for file in tmp_path.iterdir()}) == 1
    one = measure_clip((pcm, SR)).digest
    assert one == measure_clip(tmp_path / "a.flac").digest
    assert measure_clip((np.array([0.0, 0.5]), SR)).digest == measure_clip((np.array([-0.0, 0.5]), SR)).digest
    others = [(pcm, 8000), (pcm[:-1], SR), (pcm + np.int16(1), SR)]
    assert one not in {measure_clip(other).digest for other in others}


def test_clips_are_measured_in_order_and_errors_stand_in_their_place(tmp_path):
    clips = [(TONE[: 1000 + k], SR) for k in range(40)]
    clips[7] = str(tmp_path / "missing.wav")
    file = io.BytesIO()
    sf.write(file, TONE, SR, format="WAV")
    clips[8] = file
    measured = list(measure_clips(clips, n_jobs=1))
    assert isinstance(measured[7], AudioError)
    assert measured[8].duration == 1
    assert [round(one.duration * SR) for one in measured[9:]] == list(range(1009, 1040))
    with parallel_config("threading", n_jobs=2):
        again = list(measure_clips(clips))
    assert again[:7] + again[8:] == measured[:7] + measured[8:]


def test_what_a_clip_does_to_its_measurement_is_its_error(monkeypatch):
    def fail(mono, size):
        if len(mono) == 1001:
            raise FloatingPointError("overflow")
        return 0.0

    monkeypatch.setattr(measurements, "_silence", fail)
    first, second, third = measure_clips([(TONE[:1000], SR), (TONE[:1001], SR), (1e18 * TONE, SR)])
    assert first.duration == 1000 / SR
    assert isinstance(second, AudioError)
    assert "FloatingPointError: overflow" in str(second)
    assert isinstance(third, AudioError)


def test_progress_is_told_on_stderr(capsys):
    assert len(list(measure_clips([(TONE, SR)], verbose=1))) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "audit" in told.err
    assert "1/1" in told.err
