"""What load_audio reads equals librosa.load; what it cannot use is named with the cause."""

from __future__ import annotations

import inspect
import io
import os
import pickle
import struct
import threading
import tracemalloc
import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile as sf

import sersk.audio
from sersk import RawAudio
from sersk.audio import AudioError, fit_length, load_audio, stream_audio

FORMATS = [
    ("wav", "WAV", "PCM_16"),
    ("wav", "WAV", "PCM_U8"),
    ("wav", "WAV", "PCM_24"),
    ("wav", "WAV", "PCM_32"),
    ("wav", "WAV", "FLOAT"),
    ("wav", "WAV", "DOUBLE"),
    ("wav", "WAVEX", "PCM_24"),
    ("flac", "FLAC", "PCM_S8"),
    ("flac", "FLAC", "PCM_16"),
    ("flac", "FLAC", "PCM_24"),
    ("ogg", "OGG", "VORBIS"),
    ("opus", "OGG", "OPUS"),
    ("mp3", "MP3", "MPEG_LAYER_III"),
    ("aiff", "AIFF", "PCM_16"),
    ("aiff", "AIFF", "PCM_24"),
    ("aiff", "AIFF", "FLOAT"),
]
KINDS = [kind for kind in FORMATS if kind[1:] not in [("WAVEX", "PCM_24"), ("FLAC", "PCM_S8"), ("AIFF", "PCM_24")]]
SHORT = [(fmt, subtype) for _, fmt, subtype in KINDS]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n"
MP4 = b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00M4A mp42isom" + bytes(500)


def signal(n=8000, channels=1, sr=16000):
    """A tone and noise, another in every channel, (n, channels)."""
    t = np.arange(n)[:, None] / sr
    tones = np.sin(2 * np.pi * 220 * np.arange(1, channels + 1) * t)
    return 0.3 * tones + 0.02 * np.random.default_rng(0).standard_normal((n, channels))


@pytest.fixture
def write(tmp_path):
    """Write a clip under any name, in any format."""

    def write_clip(samples, sr=16000, name="clip.wav", fmt="WAV", subtype="PCM_16"):
        path = tmp_path / name
        with path.open("wb") as file:
            sf.write(file, samples, sr, format=fmt, subtype=subtype)
        return path

    return write_clip


@pytest.fixture
def dump(tmp_path):
    """Write bytes under any name."""

    def write_bytes(content, name="clip.wav"):
        path = tmp_path / name
        path.write_bytes(bytes(content))
        return path

    return write_bytes


class Pipe:
    """What a socket or a pipe offers: bytes, once."""

    name = "upload.wav"

    def __init__(self, content):
        self._file = io.BytesIO(content)
        self.read = self._file.read


def assert_equals_librosa(path, sr=16000, **part):
    y = load_audio(path, sr=sr, **part)
    with warnings.catch_warnings():  # librosa imports audioread, which imports what Python is going to drop
        warnings.simplefilter("ignore", DeprecationWarning)
        reference, _ = librosa.load(path, sr=sr, **part)
    assert y.dtype == np.float32
    assert y.ndim == 1
    assert y.shape == reference.shape
    np.testing.assert_allclose(y, reference, atol=1e-6)
    return y


def assert_refused(source, *words, **part):
    with pytest.raises(AudioError) as caught:
        load_audio(source, **part)
    message = str(caught.value)
    for word in (caught.value.source, *words):
        assert word in message
    if isinstance(source, str | os.PathLike):
        assert message.startswith(f"{source}: ")
    return message


# What is read


@pytest.mark.parametrize(("extension", "fmt", "subtype"), FORMATS)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_equals_librosa(write, extension, fmt, subtype, channels):
    path = write(signal(8000, channels, 48000), 48000, f"clip.{extension}", fmt, subtype)
    y = assert_equals_librosa(path)
    assert np.corrcoef(y, signal(8000, channels, 48000).mean(axis=1)[::3][: len(y)])[0, 1] > 0.9


@pytest.mark.parametrize(("fmt", "subtype"), SHORT)
@pytest.mark.parametrize("extension", ["wav", "mp3", "au", "gsm", "raw", "RAW", "txt", ""])
def test_content_tells_the_format_whatever_the_extension(write, fmt, subtype, extension):
    right = write(signal(), name="clip", fmt=fmt, subtype=subtype)
    wrong = write(signal(), name=f"clip.{extension}", fmt=fmt, subtype=subtype)
    np.testing.assert_array_equal(load_audio(wrong), load_audio(str(right)))


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24414, 44100, 48000, 96000])
@pytest.mark.parametrize("sr", [8000, 16000, 22050, 48000])
@pytest.mark.parametrize("n", [1, 441, 5001])
def test_every_sampling_rate_equals_librosa(write, rate, sr, n):
    assert_equals_librosa(write(signal(n, sr=rate), rate), sr=sr)


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize(
    ("fmt", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_24"), ("AIFF", "FLOAT"), ("OGG", "VORBIS")]
)
def test_channels_are_averaged(write, channels, fmt, subtype):
    y = assert_equals_librosa(write(signal(channels=channels), fmt=fmt, subtype=subtype))
    if fmt != "OGG":
        np.testing.assert_allclose(y, signal(channels=channels).mean(axis=1), atol=1e-4)


@pytest.mark.parametrize(
    "part", [{"offset": 0.1}, {"duration": 0.25}, {"offset": 0.2001, "duration": 0.1}, {"duration": 9}]
)
@pytest.mark.parametrize(
    ("fmt", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")]
)
def test_offset_and_duration_equal_librosa(write, fmt, subtype, part):
    assert_equals_librosa(write(signal(12000, 2, 24000), 24000, fmt=fmt, subtype=subtype), **part)


@pytest.mark.parametrize("part", [{}, {"offset": 0.1}, {"offset": 0.1, "duration": 0.2}])
def test_a_pair_is_read_like_a_file(write, part):
    samples = signal(12000, 2, 24000).astype(np.float32)
    path = write(samples, 24000, subtype="FLOAT")
    np.testing.assert_array_equal(load_audio((samples, 24000), **part), load_audio(path, **part))


@pytest.mark.parametrize(
    ("waveform", "expected"),
    [
        (np.array([-32768, 0, 16384], np.int16), [-1, 0, 0.5]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1, 0, 0.5]),
        (np.array([0, 128, 192], np.uint8), [-1, 0, 0.5]),
        (np.array([-1, 0, 0.5], np.float64), [-1, 0, 0.5]),
        (np.array([[-1, -1], [1, -1], [0, 1]], np.float16), [-1, 0, 0.5]),
        (np.array([[-32768, 0], [0, 0]], np.int16), [-0.5, 0]),
        ([0.25, 0.5], [0.25, 0.5]),
    ],
)
@pytest.mark.parametrize("rate", [16000, 16000.0, np.int64(16000), np.float32(16000)])
def test_pairs_of_any_number_type_are_scaled(waveform, expected, rate):
    y = load_audio((waveform, rate))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y, expected)


@pytest.mark.parametrize(("fmt", "subtype"), SHORT)
def test_file_objects_are_read_like_files(write, fmt, subtype):
    path = write(signal(), fmt=fmt, subtype=subtype)
    expected, content = load_audio(path), path.read_bytes()
    with path.open("rb") as opened:
        for source in (opened, io.BytesIO(content), Pipe(content)):
            np.testing.assert_array_equal(load_audio(source), expected)


def test_a_file_object_is_read_from_its_start_each_time(write):
    path = write(signal())
    file = io.BytesIO(path.read_bytes())
    file.seek(0, os.SEEK_END)
    for _ in range(2):
        np.testing.assert_array_equal(load_audio(file), load_audio(path))


@pytest.mark.parametrize("length", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x80000000])
def test_a_streamed_wav_of_unknown_length_is_read_to_its_end(write, dump, length):
    path = write(signal())
    expected, content = load_audio(path), bytearray(path.read_bytes())
    assert content[36:40] == b"data"
    content[4:8] = content[40:44] = struct.pack("<I", length)
    np.testing.assert_array_equal(load_audio(dump(content)), expected)
    np.testing.assert_array_equal(load_audio(Pipe(content)), expected)


@pytest.mark.parametrize(("fmt", "subtype"), SHORT)
@pytest.mark.parametrize("n", [1, 2, 100])
def test_short_and_silent_clips_are_legal(write, fmt, subtype, n):
    y = load_audio(write(np.zeros(n), 48000, fmt=fmt, subtype=subtype))
    assert len(y) == -(-n // 3)
    assert np.abs(y).max() < 1e-3


@pytest.mark.parametrize("peak", [2.0**15, 2.0**31, 1e10])
def test_values_on_another_scale_are_legal(write, peak):
    waveform = peak * np.cos(np.arange(100) / 3)
    for source in ((waveform, 16000), write(waveform, subtype="FLOAT")):
        np.testing.assert_array_equal(load_audio(source), waveform.astype(np.float32))


# What is refused


def test_missing(tmp_path):
    assert_refused(tmp_path / "no.wav", "no such file")
    assert_refused(str(tmp_path / "no.wav"), "no such file")


def test_folder(tmp_path):
    assert_refused(tmp_path, "is a folder")


@pytest.mark.parametrize("name", ["clip.wav", "clip.mp3", "clip.raw"])
def test_empty(dump, name):
    assert_refused(dump(b"", name), "is empty (0 bytes)")


@pytest.mark.parametrize("source", [io.BytesIO(), Pipe(b"")], ids=["seekable", "pipe"])
def test_empty_file_object(source):
    assert_refused(source, "is empty (0 bytes)")


@pytest.mark.parametrize(("fmt", "subtype"), [("WAV", "PCM_16"), ("AIFF", "PCM_16"), ("WAV", "FLOAT")])
def test_zero_samples(write, fmt, subtype):
    assert_refused(write(np.zeros(0), fmt=fmt, subtype=subtype), "holds no samples")
    assert_refused((np.zeros(0), 16000), "holds no samples")


@pytest.mark.parametrize("extension", ["wav", "flac", "mp3", "au", "snd", "gsm", "vox", "raw", ""])
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"hello, this is no audio at all\n" * 20, "is not audio in a format that can be read"),
        (POINTER, "git-lfs pointer"),
        (MP4, "MP4/M4A"),
    ],
    ids=["text", "git-lfs pointer", "mp4"],
)
def test_not_audio_whatever_the_extension(dump, extension, content, cause):
    path = dump(content, f"clip.{extension}")
    assert_refused(path, cause)
    assert_refused(io.BytesIO(content), cause)


@pytest.mark.parametrize(
    ("extension", "fmt", "subtype"), [*KINDS, ("rf64", "RF64", "PCM_16"), ("caf", "CAF", "PCM_16")]
)
@pytest.mark.parametrize("share", [0.93, 0.5, 0.1])
def test_truncated(write, dump, extension, fmt, subtype, share):
    content = write(signal(32000), fmt=fmt, subtype=subtype).read_bytes()
    path = dump(content[: int(share * len(content))], f"cut.{extension}")
    assert_refused(path, "truncated")
    assert_refused(Pipe(path.read_bytes()), "upload.wav", "truncated")


@pytest.mark.parametrize(("fmt", "subtype"), SHORT)
def test_cut_within_the_header(write, dump, fmt, subtype):
    assert_refused(dump(write(signal(), fmt=fmt, subtype=subtype).read_bytes()[:20]))


def mp3_without_count(write):
    """An MP3 of which the first frame, the one that counts the others, is cut off; its length is guessed too high."""
    loud_middle = np.repeat([0, 1, 0], 20000) * np.random.default_rng(0).standard_normal(60000) * 0.3
    content = write(loud_middle, fmt="MP3", subtype="MPEG_LAYER_III").read_bytes()
    count = max(content.find(b"Xing"), content.find(b"Info"))
    assert 0 < count < 200
    return content[content.index(content[:2], count) :]


def test_an_mp3_whose_length_is_a_guess_is_not_truncated(write, dump):
    path = dump(mp3_without_count(write), "clip.mp3")
    assert sf.info(path).frames > 70000
    assert len(load_audio(path)) == pytest.approx(60000, abs=2000)


def test_an_mp3_is_truncated_behind_an_id3_tag_too(write, dump):
    content = write(signal(32000), fmt="MP3", subtype="MPEG_LAYER_III").read_bytes()
    tag = b"ID3\x04\x00\x00" + bytes([0, 0, 3, 17]) + bytes(3 * 128 + 17)
    np.testing.assert_array_equal(load_audio(dump(tag + content)), load_audio(io.BytesIO(content)))
    assert_refused(dump(tag + content[: int(0.8 * len(content))]), "truncated")


def test_an_mp3_may_lack_one_frame_of_its_count(write, dump):
    content = write(signal(32000), fmt="MP3", subtype="MPEG_LAYER_III").read_bytes()
    assert 30000 < len(load_audio(dump(content[: int(0.98 * len(content))]))) < 32000


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_of_which_only_the_end_mark_is_missing_is_read(write, dump, subtype):
    path = write(signal(64000), fmt="OGG", subtype=subtype)
    expected, content = load_audio(path), bytearray(path.read_bytes())
    last = content.rindex(b"OggS")
    content[last + 5] &= ~4
    content[last + 22 : last + 26] = ogg_checksum(content[last : last + 22] + bytes(4) + content[last + 26 :])
    for source in (dump(content), io.BytesIO(content), Pipe(content)):
        np.testing.assert_array_equal(load_audio(source), expected)
    cut_between = load_audio(dump(content[:last]))  # nor can the end of a recorder that was stopped be told from this
    assert 0.5 * len(expected) < len(cut_between) < len(expected)
    assert_refused(dump(content[: last + 40]), "truncated")


def ogg_checksum(page):
    """CRC-32 as RFC 3533 has it: not reflected, from 0."""
    value = 0
    for byte in page:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value >> 31 else value << 1) & 0xFFFFFFFF
    return struct.pack("<I", value)


def streamed_flac(content):
    """Take the count of samples away: the last 36 bits before the checksum of STREAMINFO."""
    return content[:21] + bytes([content[21] & 0xF0]) + bytes(4) + content[26:]


@pytest.mark.parametrize("channels", [1, 2])
def test_a_streamed_flac_of_unknown_length_is_read_to_its_end(write, dump, small_blocks, channels):
    path = write(signal(18025, channels), fmt="FLAC")
    streamed = dump(streamed_flac(path.read_bytes()))
    for source in (streamed, io.BytesIO(streamed.read_bytes()), Pipe(streamed.read_bytes())):
        np.testing.assert_array_equal(load_audio(source), load_audio(path))
    np.testing.assert_array_equal(load_audio(streamed, offset=0.5, duration=0.25), load_audio(path)[8000:12000])
    np.testing.assert_array_equal(np.concatenate([*stream_audio(streamed)]), load_audio(path))
    assert_refused(streamed, "it lasts 1.13 s", offset=2.0)
    assert_refused(dump(streamed.read_bytes()[:-100]), "truncated")


@pytest.mark.parametrize("order", ["RIFF", "RIFX"])
@pytest.mark.parametrize("riff", [0, 36, 0xFFFFFFFF])
def test_a_wav_that_says_0_bytes_is_read_to_its_end(write, dump, small_blocks, order, riff):
    content = bytearray(write(signal()).read_bytes())
    if order == "RIFX":
        file = io.BytesIO()
        sf.write(file, signal(), 16000, "PCM_16", "BIG", "WAV")
        content = bytearray(file.getvalue())
    expected = load_audio(io.BytesIO(content))
    content[4:8], content[40:44] = struct.pack("<I" if order == "RIFF" else ">I", riff), bytes(4)
    for source in (dump(content), io.BytesIO(content), Pipe(content)):
        np.testing.assert_array_equal(load_audio(source), expected)
    np.testing.assert_array_equal(np.concatenate([*stream_audio(dump(content))]), expected)
    assert len(load_audio(dump(content), offset=0.25)) == 4000


def test_a_wav_without_samples_may_have_chunks_behind_them(write, dump):
    content = bytearray(write(np.zeros(0)).read_bytes()) + b"LIST" + struct.pack("<I", 4) + b"INFO"
    content[4:8] = struct.pack("<I", len(content) - 8)
    assert_refused(dump(content), "holds no samples")


@pytest.mark.parametrize(
    ("subtype", "channels"),
    [
        ("GSM610", 1), ("G721_32", 1), ("NMS_ADPCM_16", 1), ("NMS_ADPCM_24", 1), ("NMS_ADPCM_32", 1),
        ("IMA_ADPCM", 1), ("IMA_ADPCM", 2), ("MS_ADPCM", 1), ("MS_ADPCM", 2), ("ULAW", 2),
    ],
)  # fmt: skip
def test_telephone_codecs_in_wav_are_read(write, small_blocks, subtype, channels):
    path = write(signal(18025, channels), fmt="WAV", subtype=subtype)
    y = load_audio(path)
    assert len(y) == pytest.approx(18025, abs=700)
    assert np.corrcoef(y[:18025], signal(18025, channels).mean(axis=1)[: len(y)])[0, 1] > 0.8
    np.testing.assert_array_equal(np.concatenate([*stream_audio(path)]), y)
    np.testing.assert_array_equal(load_audio(path, offset=0.5, duration=0.25), y[8000:12000])
    np.testing.assert_array_equal(load_audio(Pipe(path.read_bytes())), y)
    assert len(load_audio(path, offset=0.9)) == len(y) - 14400


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_24"])
def test_telephone_codecs_in_wav_are_truncated(write, dump, subtype):
    content = write(signal(18025), fmt="WAV", subtype=subtype).read_bytes()
    assert_refused(dump(content[: int(0.7 * len(content))]), "truncated")


# What one header may not do


@pytest.mark.parametrize("rate", [1, 99, 1_000_001, 2**31 - 1])
def test_a_rate_that_no_recording_has(write, dump, rate):
    content = bytearray(write(signal()).read_bytes())
    content[24:28] = struct.pack("<I", rate)
    for source in (dump(content), io.BytesIO(content), (signal(), rate)):
        message = assert_refused(source, f"a sampling rate of {rate:g} Hz")
        with pytest.raises(AudioError) as caught:
            list(stream_audio(source))
        assert str(caught.value) == message


@pytest.mark.parametrize("peak", [1e18, -1e18, 1e38, 2e10])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_peak_that_no_audio_has(write, peak, channels):
    waveform = signal(9001, channels)
    waveform[5003] = peak
    for source in (write(waveform, subtype="FLOAT"), (waveform, 16000)):
        assert_refused(source, f"no audio ({abs(peak):.3g} at sample 5003)")
        with pytest.raises(AudioError, match="at sample 5003"):
            list(stream_audio(source, sr=8000))


def test_a_flac_promises_more_than_it_holds(write, dump):
    content = bytearray(write(signal(), fmt="FLAC").read_bytes())
    content[21], content[22:26] = content[21] | 0x0F, b"\xff" * 4
    path = dump(content)
    tracemalloc.start()
    try:
        assert_refused(path, "truncated")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**24
    with pytest.raises(AudioError, match="truncated"):
        list(stream_audio(path))


def test_channels_without_end(write, dump):
    content = bytearray(write(np.zeros((100, 2))).read_bytes())
    content[22:24] = struct.pack("<H", 0xFFFF)
    assert_refused(dump(content))


# Pipes by their paths


@pytest.fixture
def fifo(tmp_path):
    """Give a FIFO into which somebody writes the bytes; it is read to its end."""
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no FIFOs")
    threads = []

    def make(content):
        path = tmp_path / "pipe.wav"
        if not path.exists():
            os.mkfifo(path)
        threads.append(threading.Thread(target=path.write_bytes, args=(bytes(content),), daemon=True))
        threads[-1].start()
        return path

    yield make
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(("fmt", "subtype"), SHORT)
def test_a_pipe_may_be_given_by_its_path(write, fifo, fmt, subtype):
    path = write(signal(40000), fmt=fmt, subtype=subtype)
    np.testing.assert_array_equal(load_audio(fifo(path.read_bytes())), load_audio(path))
    np.testing.assert_array_equal(np.concatenate([*stream_audio(fifo(path.read_bytes()))]), load_audio(path))


def test_raw_samples_may_come_from_a_pipe_by_its_path(fifo):
    samples = (signal(40000)[:, 0] * 2**15).astype("<i2")
    pieces = [*stream_audio(RawAudio(fifo(samples.tobytes()), 16000))]
    np.testing.assert_array_equal(np.concatenate(pieces), load_audio((samples, 16000)))


def test_an_empty_pipe(fifo):
    assert_refused(fifo(b""), "is empty (0 bytes)")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="this system has no /dev/zero")
def test_a_device_is_no_file():
    assert_refused("/dev/zero", "is a device")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_nan_and_infinity(write, bad, channels):
    samples = signal(channels=channels)
    samples[100, 0] = bad
    for sr in (16000, 22050):
        assert_refused(write(samples, subtype="FLOAT"), "NaN or infinity (first at sample 100)", sr=sr)
        assert_refused((samples, 16000), "NaN or infinity (first at sample 100)", sr=sr)


@pytest.mark.parametrize("waveform", [[np.inf, 0, -np.inf], [[np.inf, -np.inf]], [1e300, 0.0]])
def test_infinities_that_cancel_or_come_of_rounding(waveform):
    assert_refused((np.array(waveform), 16000), "NaN or infinity (first at sample 0)")


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "Input/output error")])
def test_unreadable(write, monkeypatch, error):
    path = write(signal())

    def refuse(*args, **kwargs):
        raise error

    monkeypatch.setattr(Path, "open", refuse)
    assert_refused(path, f"cannot be read ({error.strerror})")


@pytest.mark.parametrize("name", ["x" * 300 + ".wav", "nul\0byte.wav", "clip.wav/clip.wav"])
def test_impossible_paths(write, name):
    assert_refused(write(signal()).parent / name)


def test_closed_file_object(write):
    with write(signal()).open("rb") as file:
        pass
    assert_refused(file, "cannot be read", "closed file")


@pytest.mark.parametrize("part", [{"offset": 0.5}, {"offset": 7.0, "duration": 1.0}, {"offset": 0.1, "duration": 1e-6}])
def test_a_part_without_samples(write, part):
    for source in (write(signal()), write(signal(), fmt="FLAC"), (signal(), 16000)):
        assert_refused(source, f"{part['offset']:g} s", "it lasts 0.5 s", **part)


@pytest.mark.parametrize("part", [{"offset": -0.1}, {"offset": np.nan}, {"duration": 0}, {"duration": -1.0}, {"sr": 0}])
def test_impossible_parameters_are_not_the_audios_fault(write, part):
    for source in (write(signal()), (signal(), 16000)):
        with pytest.raises(ValueError, match="expected sr > 0") as caught:
            load_audio(source, **part)
        assert not isinstance(caught.value, AudioError)


@pytest.mark.parametrize("source", [None, 3, b"clip.wav", [0.1, 0.2], np.zeros(100), io.StringIO("text")], ids=type)
def test_wrong_types(source):
    assert_refused(source, f"got {type(source).__name__}")


@pytest.mark.parametrize(
    ("pair", "cause"),
    [
        ((np.zeros(9),), "a tuple of 1"),
        ((np.zeros(9), 16000, 2), "a tuple of 3"),
        ((16000, np.zeros(9)), "sr=array("),
        ((np.zeros(9), "16000"), "sr='16000'"),
        ((np.zeros(9), None), "sr=None"),
        ((np.zeros(9), 0), "sr=0"),
        ((np.zeros(9), np.nan), "sr=nan"),
        ((np.zeros(9), 16000 + 1j), "sr=(16000+1j)"),
        ((np.zeros((3, 3, 3)), 16000), "of shape (3, 3, 3)"),
        ((np.float32(1), 16000), "of shape ()"),
        ((np.zeros((9, 0)), 16000), "of shape (9, 0)"),
        ((np.zeros(9, complex), 16000), "complex128"),
        ((np.zeros(9, bool), 16000), "bool"),
        ((["a", "b"], 16000), "<U1"),
        (([[0.1, 0.2], [0.3]], 16000), "hold as an array"),
    ],
)
def test_wrong_pairs(pair, cause):
    assert_refused(pair, "<(waveform, sr) pair>", cause)


def test_an_error_keeps_its_parts_between_processes():
    error = pickle.loads(pickle.dumps(AudioError("clip.wav", "is empty")))
    assert (error.source, error.reason, str(error)) == ("clip.wav", "is empty", "clip.wav: is empty")


@pytest.mark.parametrize(
    ("source", "name"), [(Pipe(b""), "upload.wav"), (io.BytesIO(), "<BytesIO>"), ("a/b.wav", "a/b.wav")]
)
def test_source_name(source, name):
    assert sersk.audio.source_name(source) == name


# Real oddities


@pytest.mark.corpus
def test_tess_as_it_really_circulates(real_corpora):
    rates = {}
    for path in sorted((real_corpora / "tess_oddities").iterdir()):
        rates[path.name] = sf.info(path).samplerate
        y = assert_equals_librosa(path)
        assert 0.5 < len(y) / 16000 < 4
        np.testing.assert_array_equal(load_audio(io.BytesIO(path.read_bytes())), y)
    assert sf.info(real_corpora / "tess_oddities" / "YAF_germ_angry.wav").format == "AIFF"
    assert 96000 in rates.values()


@pytest.mark.corpus
@pytest.mark.parametrize("pattern", ["ravdess/Actor_01/*-01.flac", "tess/OAF_angry/*.flac", "emodb/03*.flac"])
def test_real_clips_equal_librosa(real_corpora, pattern):
    for path in sorted(real_corpora.glob(pattern))[:3]:
        assert_equals_librosa(path)


def test_a_length_is_cut_or_filled_up():
    waveform = np.arange(1, 4, dtype=np.float32)
    assert fit_length(waveform, 2).tolist() == [1, 2]
    assert fit_length(waveform, 5).tolist() == [1, 2, 3, 0, 0]
    assert fit_length(waveform, 3).tolist() == [1, 2, 3]


# --- recordings, piece by piece


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(sersk.audio, "_BLOCK", 1500)


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("fmt", "subtype"), SHORT)
def test_the_pieces_of_a_recording_are_the_clip(write, small_blocks, fmt, subtype, channels, rate):
    path = write(signal(9001, channels, rate), rate, fmt=fmt, subtype=subtype)
    pieces = list(stream_audio(path))
    assert len(pieces) >= 5
    assert {(piece.dtype, piece.ndim) for piece in pieces} == {(np.dtype(np.float32), 1)}
    same = slice(None, -400 if subtype == "OPUS" else None)  # libsndfile's end of Opus depends on how it is read
    np.testing.assert_allclose(np.concatenate(pieces)[same], load_audio(path)[same], atol=1e-5)


@pytest.mark.parametrize("sr", [16000, 22050])
def test_pairs_and_file_objects_come_in_pieces_too(write, small_blocks, sr):
    path = write(signal(9001), subtype="FLOAT")
    expected = load_audio(path, sr)
    samples = signal(9001)[:, 0].astype(np.float32)
    for source in (Pipe(path.read_bytes()), io.BytesIO(path.read_bytes()), (samples, 16000)):
        np.testing.assert_array_equal(np.concatenate(list(stream_audio(source, sr))), expected)


@pytest.mark.parametrize(("rate", "channels"), [(500, 1), (500, 2), (96000, 2)])
def test_pieces_are_no_longer_than_about_a_minute_and_of_no_more_numbers_than_a_block(rate, channels):
    seconds = 30 if rate > 500 else 200
    pieces = list(stream_audio((np.zeros((seconds * rate, channels), np.int16), rate), rate))
    assert sum(map(len, pieces)) == seconds * rate
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= min(64 * rate, sersk.audio._BLOCK / channels)


@pytest.mark.parametrize("rate", [8000, 16000])
def test_samples_without_a_header_come_as_they_arrive(rate):
    samples = (signal(6000)[:, 0] * 2**15).astype("<i2")
    content = samples.tobytes()

    class Microphone:
        given = 0

        def read1(self, n_bytes):
            self.given += 1000
            return content[self.given - 1000 : self.given]

    microphone = Microphone()
    pieces, arrived = [], []
    for piece in stream_audio(RawAudio(microphone, rate)):
        pieces.append(piece)
        arrived.append(microphone.given / 2 / rate)
    np.testing.assert_array_equal(np.concatenate(pieces), load_audio((samples, rate)))
    ends = np.cumsum([len(piece) for piece in pieces]) / 16000
    assert np.all(np.array(arrived) - ends < 0.12)


def test_what_could_be_read_comes_before_the_error(write, dump, small_blocks):
    def given(source, *words):
        pieces = []
        with pytest.raises(AudioError) as caught:
            pieces.extend(stream_audio(source, sr=8000))
        assert all(word in str(caught.value) for word in words)
        return np.concatenate(pieces) if pieces else np.zeros(0)

    whole = write(signal(9000))
    expected = load_audio(whole, sr=8000)
    cut = given(dump(whole.read_bytes()[:12044], "cut.wav"), "cut.wav", "truncated")
    assert len(cut) == 3000
    np.testing.assert_allclose(cut[:2500], expected[:2500], atol=1e-6)
    bad = signal(9000)
    bad[5003] = np.nan
    assert len(given(write(bad, subtype="FLOAT"), "first at sample 5003")) == 2502
    content = write(signal(64000), fmt="OGG", subtype="VORBIS").read_bytes()
    assert len(given(dump(content[: content.rindex(b"OggS") + 40]), "last Ogg page")) > 0
    for empty in (write(np.zeros(0)), (np.zeros(0), 16000), RawAudio(io.BytesIO(), 16000)):
        assert not len(given(empty, "holds no samples"))
    assert not len(given("none.wav", "no such file"))
    assert not len(given(dump(POINTER), "git-lfs pointer"))


def test_a_stream_has_a_rate(write):
    with pytest.raises(ValueError, match="expected sr > 0"):
        next(stream_audio(write(signal()), sr=0))


@pytest.mark.parametrize("kind", ["file", "raw"])
def test_a_stream_that_is_left_closes_its_file(write, dump, small_blocks, monkeypatch, kind):
    opened = []

    def noting(make):
        return lambda *args, **kwargs: opened.append(make(*args, **kwargs)) or opened[-1]

    monkeypatch.setattr(sf, "SoundFile", noting(sf.SoundFile))
    monkeypatch.setattr(Path, "open", noting(Path.open))
    # What is held here is not closed for want of a reference.
    monkeypatch.setattr(sersk.audio, "_blocks", noting(sersk.audio._blocks))
    monkeypatch.setattr(RawAudio, "blocks", noting(RawAudio.blocks))
    source = write(signal(9000)) if kind == "file" else RawAudio(dump(bytes(2**20), "x.pcm"), 8000)
    opened.clear()
    pieces = stream_audio(source)
    next(pieces)
    assert len(opened) >= 2
    pieces.close()
    assert all(one.gi_frame is None if inspect.isgenerator(one) else one.closed for one in opened)
