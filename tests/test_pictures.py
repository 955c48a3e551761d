"""Pictures of the page."""

from __future__ import annotations

import io

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs an extra: pip install 'sersk[serve]'")
pytest.importorskip("matplotlib", reason="needs an extra: pip install 'sersk[plot]'")

import matplotlib.image
from numpy.testing import assert_allclose, assert_array_equal

from sersk import load_audio
from sersk.serve.pictures import draw_clip, draw_timeline, trace_waveform
from sersk.sound_files import AudioError, encode_audio
from sersk.timeline import WindowEmotion


class Model:
    classes_ = np.array(["a rather long name", "sad"])

    def predict_proba(self, X):
        raise NotImplementedError


def recording(speechlike, seconds=8.0):
    return encode_audio(speechlike(seconds), 16000, "WAV", "PCM_16").getvalue()


def pixels(png):
    return matplotlib.image.imread(io.BytesIO(png), format="png")


def frame_of(image):
    """First and last column of the axes' bottom line, the longest dark one; a colour bar's may go on beside it."""
    dark = image[:, :, :3].max(axis=2) < 0.2
    columns = np.flatnonzero(dark[dark.sum(axis=1).argmax()])
    line = max(np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1), key=len)
    return line[0] / image.shape[1], line[-1] / image.shape[1]


def test_a_clip_is_drawn(speechlike):
    image = pixels(draw_clip(recording(speechlike, 1.0), ("waveform", "f0")))
    assert image.shape[1] == 990
    assert image[:, :, :3].std() > 0.05


def test_what_is_no_audio_is_not_drawn():
    with pytest.raises(AudioError, match="not audio"):
        draw_clip(b"no audio at all" * 10, ("waveform",))


def test_a_moment_is_in_the_same_place_above_and_below(speechlike):
    windows = [WindowEmotion(start, start + 3.0, 1.0, "sad", 0.7, (0.3, 0.7)) for start in np.arange(6.0)]
    waveform, timeline = map(pixels, draw_timeline(Model(), recording(speechlike), windows))
    assert waveform.shape[1] == timeline.shape[1]
    assert_allclose(frame_of(waveform), frame_of(timeline), atol=0.004)


@pytest.mark.parametrize("n_samples", [1, 15, 16, 100_000])
def test_a_trace_has_the_extremes_of_the_whole_recording(speechlike, n_samples):
    audio = encode_audio(speechlike(8.0)[:n_samples], 16000, "WAV", "PCM_16").getvalue()
    waveform = load_audio(io.BytesIO(audio), 16000)
    lows, highs = trace_waveform(audio).reshape(-1, 2).T
    starts = np.arange(0, n_samples, 16)
    assert_array_equal(lows, np.minimum.reduceat(waveform, starts))
    assert_array_equal(highs, np.maximum.reduceat(waveform, starts))
