"""Files are opened whatever they are called, and read in blocks; what is written is what soundfile writes."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile as sf

from sersk.audio import load_audio
from sersk.sound_files import AudioError, check_path, encode_audio, open_sound

SAMPLES = (0.3 * np.sin(np.arange(8000) / 10) + 0.02 * np.random.default_rng(0).standard_normal(8000)).astype(
    np.float32
)


@pytest.fixture
def clip(tmp_path):
    path = tmp_path / "clip.wav"
    sf.write(path, np.stack([SAMPLES, -SAMPLES], axis=1), 16000, subtype="FLOAT")
    return path


def test_a_file_is_read_from_where_one_is_on(clip):
    with open_sound("clip", clip) as sound:
        assert (sound.rate, sound.n_channels, sound.n_samples) == (16000, 2, 8000)
        np.testing.assert_array_equal(sound.read(100)[:, 0], SAMPLES[:100])
        sound.skip(50)
        np.testing.assert_array_equal(sound.read()[:, 1], -SAMPLES[150:])
        assert sound.read(10).shape == (0, 2)
        sound.skip(10**9)
        sound.check_end()


@pytest.mark.parametrize("name", ["clip.raw", "clip.RAW", "clip.au", "clip"])
def test_an_open_file_may_have_any_name(clip, name):
    other = clip.with_name(name)
    other.write_bytes(clip.read_bytes())
    with other.open("rb") as opened, open_sound(name, opened) as sound:
        assert len(sound.read()) == 8000
    with open_sound(name, other) as sound:
        assert len(sound.read()) == 8000


def test_a_file_object_stays_open(clip):
    file = io.BytesIO(clip.read_bytes())
    with open_sound("clip", file):
        pass
    assert not file.closed


def test_what_comes_through_a_pipe_is_kept_on_disk_if_it_is_long(clip, monkeypatch):
    monkeypatch.setattr("sersk.sound_files._KEPT_BYTES", 1000)

    class Pipe:
        def __init__(self):
            self.read = io.BytesIO(clip.read_bytes()).read

    with open_sound("pipe", Pipe()) as sound:
        np.testing.assert_array_equal(sound.read()[:, 0], SAMPLES)
        sound.check_end()


def test_a_file_that_cannot_be_opened(tmp_path):
    (tmp_path / "void").touch()
    for path, reason in (
        (tmp_path / "none", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "void", "is empty"),
    ):
        with pytest.raises(AudioError, match=reason):
            check_path("it", path)


# --- files in memory


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("WAV", "ULAW"), ("OGG", "VORBIS")])
def test_a_file_in_memory_is_what_soundfile_writes(container, subtype):
    waveform = SAMPLES
    file = io.BytesIO()
    sf.write(file, waveform, 16000, format=container, subtype=subtype)
    file.seek(0)
    np.testing.assert_array_equal(load_audio(encode_audio(waveform, 16000, container, subtype)), load_audio(file))


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "ULAW"), ("WAV", "FLOAT"), ("MP3", "MPEG_LAYER_III")])
def test_a_file_in_memory_holds_nothing_beyond_full_scale(container, subtype):
    loud = 30 * SAMPLES
    files = [encode_audio(one, 16000, container, subtype) for one in (loud, np.clip(loud, -1, 1))]
    assert files[0].getvalue() == files[1].getvalue()


def test_options_reach_the_encoder():
    waveform = np.tile(SAMPLES, 4)
    sizes = [
        len(encode_audio(waveform, 16000, "OGG", "VORBIS", compression_level=level).getvalue()) for level in (0.0, 1.0)
    ]
    assert sizes[1] < 0.7 * sizes[0]
