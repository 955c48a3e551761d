"""What phones and browsers record is read like any clip, by PyAV; it opens nothing but the bytes it is handed."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from media import encode, needs_pyav

from sersk import AudioError, load_audio, media_files
from sersk.audio import stream_audio
from sersk.audio_formats import PYAV_EXTENSIONS
from sersk.media_files import MediaSound
from sersk.sound_files import open_sound

RATE = 16000
# Container, codec, options, and by how many samples the length may differ: the frames of codecs that do not say more.
FORMATS = {
    "m4a-aac": ("ipod", "aac", {}, 0),
    "m4a-alac": ("ipod", "alac", {}, 0),
    "mp4-faststart": ("mp4", "aac", {"movflags": "faststart"}, 0),
    "mp4-fragmented": ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}, 2048),
    "mov-pcm": ("mov", "pcm_s16le", {}, 0),
    "3gp-aac": ("3gp", "aac", {}, 0),
    "webm-opus": ("webm", "libopus", {}, 0),
    "webm-live": ("webm", "libopus", {"live": "1"}, 0),
    "mka-aac": ("matroska", "aac", {}, 2048),
    "aac": ("adts", "aac", {}, 2048),
    "wma": ("asf", "wmav2", {"bit_rate": 64000}, 2048),
    "ogg-flac": ("ogg", "flac", {}, 0),
    "wav-yamaha": ("wav", "adpcm_yamaha", {}, 2048),
    "caf-ima": ("caf", "adpcm_ima_qt", {}, 64),
}

pytestmark = needs_pyav


def speech(n=RATE, channels=1, rate=RATE):
    """A tone that rises and falls, with some noise, (n, channels); a place in it is told by any piece of it."""
    t = np.arange(n)[:, None] / rate
    tone = np.sin(2 * np.pi * (300 * t + 40 * np.sin(2 * np.pi * 3 * t)) * np.arange(1, channels + 1))
    return 0.3 * tone + 0.01 * np.random.default_rng(0).standard_normal((n, channels))


def encoded(name, n=RATE, channels=1, rate=RATE):
    container, codec, options, _ = FORMATS[name]
    return encode(speech(n, channels, rate), rate, container, codec, **options)


class Pipe:
    name = "upload"

    def __init__(self, content):
        self.read = io.BytesIO(content).read


def refusal(source, **part):
    with pytest.raises(AudioError) as caught:
        load_audio(source, **part)
    return str(caught.value)


# --- what is read


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16000, 48000])
@pytest.mark.parametrize("name", FORMATS)
def test_the_waveform_is_that_which_was_encoded(name, rate, channels):
    y = load_audio(io.BytesIO(encoded(name, rate, channels, rate)), sr=rate)
    assert y.dtype == np.float32
    assert len(y) == pytest.approx(rate, abs=FORMATS[name][3])
    expected = speech(rate, channels, rate).mean(axis=1)
    piece = expected[rate // 3 : rate // 2]
    reach = 2048 if FORMATS[name][3] else 0  # the delay of an encoder that its container does not tell
    around = y[rate // 3 - reach : rate // 2 + reach]
    lag = int(np.argmax(np.correlate(around, piece, "valid")))
    assert np.corrcoef(piece, around[lag : lag + len(piece)])[0, 1] > 0.9


@pytest.mark.parametrize("name", FORMATS)
def test_any_source_and_any_part_gives_the_same_samples(name, tmp_path, monkeypatch):
    monkeypatch.setattr("sersk.audio._BLOCK", 1500)
    rate = 48000 if "opus" in FORMATS[name][1] else RATE
    content = encoded(name, rate, channels=2, rate=rate)
    path = tmp_path / "clip.wav"  # the content tells the format
    path.write_bytes(content)
    expected = load_audio(path, rate)
    for source in (str(path), io.BytesIO(content), Pipe(content)):
        np.testing.assert_array_equal(load_audio(source, rate), expected)
    quarter = rate // 4
    np.testing.assert_array_equal(load_audio(path, rate, 0.25, 0.5), expected[quarter : 3 * quarter])
    np.testing.assert_array_equal(load_audio(path, rate, 0.25), expected[quarter:])
    pieces = [*stream_audio(path, rate)]
    assert len(pieces) > 5
    np.testing.assert_array_equal(np.concatenate(pieces), expected)
    assert "it lasts" in refusal(path, offset=9.0)


@pytest.mark.parametrize(
    ("head", "frame", "rate"),
    [(b"#!AMR\n", b"\x3c" + 31 * b"\x55", 8000), (b"#!AMR-WB\n", b"\x44" + 60 * b"\x55", 16000)],
)
def test_amr_is_read(head, frame, rate):
    content = head + 40 * frame
    assert len(load_audio(io.BytesIO(content), sr=rate)) == 40 * rate // 50
    assert "truncated" in refusal(io.BytesIO(content[:-10]))


def test_a_tag_may_stand_before_aac():
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x14" + bytes(20)
    content = encoded("aac")
    np.testing.assert_array_equal(load_audio(io.BytesIO(tag + content)), load_audio(io.BytesIO(content)))


def test_a_title_may_be_in_any_encoding():
    content = encoded("m4a-aac")
    at = content.index(b"Lavf")
    strange = content[:at] + b"\xff\xfe\xe4\xfc" + content[at + 4 :]
    np.testing.assert_array_equal(load_audio(io.BytesIO(strange)), load_audio(io.BytesIO(content)))


def test_the_first_audio_track_of_a_video_is_read():
    for container in ("mp4", "matroska", "mov"):
        with_picture = encode(speech(), RATE, container, "aac", video=True)
        alone = encode(speech(), RATE, container, "aac")
        np.testing.assert_array_equal(load_audio(io.BytesIO(with_picture)), load_audio(io.BytesIO(alone)))


def test_a_video_without_audio_is_named_so():
    for container in ("mp4", "matroska"):
        message = refusal(io.BytesIO(encode(speech(), RATE, container, None, video=True)))
        assert "without audio (video only)" in message


def test_a_codec_that_nobody_reads_is_named():
    wav = encoded("wav-yamaha")
    unknown = wav.replace(b"fmt \x12\0\0\0\x20\0", b"fmt \x12\0\0\0\x34\x12")
    assert unknown != wav
    message = refusal(io.BytesIO(unknown))
    assert "WAV with the codec 0x1234" in message
    assert "damaged" not in message


@pytest.mark.parametrize("magic", [b"wvpk", b"MAC \x96\x0f", b".RMF", b"\x02dss"])
def test_a_format_that_nobody_reads_is_named(magic):
    assert "which is not read; convert it to WAV or FLAC" in refusal(io.BytesIO(magic + bytes(500)))


def test_what_libsndfile_reads_is_left_to_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    for container, subtype in (("WAV", "PCM_16"), ("FLAC", None), ("OGG", "VORBIS"), ("MP3", None), ("CAF", "ALAC_16")):
        file = io.BytesIO()
        sf.write(file, speech()[:, 0], RATE, format=container, subtype=subtype)
        assert len(load_audio(file)) >= RATE


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("m4a-aac", "MP4/M4A"), ("webm-opus", "WebM/Matroska"), ("aac", "ADTS AAC"), ("wma", "WMA (ASF)"),
        ("3gp-aac", "3GP"), ("ogg-flac", "Ogg with FLAC"), ("wav-yamaha", "WAV with Yamaha ADPCM"),
    ],
)  # fmt: skip
def test_without_the_extra_the_message_names_format_and_cure(name, said, monkeypatch, tmp_path):
    path = tmp_path / "clip"
    path.write_bytes(encoded(name))
    monkeypatch.setitem(sys.modules, "av", None)
    cure = "pip install av, or convert it to WAV or FLAC"
    assert refusal(path) == f"{path}: is {said}, which needs PyAV: {cure}"


# --- limits


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.93, 0.995])
@pytest.mark.parametrize("name", sorted({*FORMATS} - {"wav-yamaha"}))
def test_truncated(name, share, tmp_path):
    content = encoded(name, channels=2)
    path = tmp_path / "cut"
    path.write_bytes(content[: int(share * len(content))])
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert "truncated" in message
    with pytest.raises(AudioError, match="truncated"):
        list(stream_audio(path))


def test_a_recording_comes_in_blocks_at_level_memory(monkeypatch):
    monkeypatch.setattr("sersk.audio._BLOCK", 2**15)
    peaks = []
    for seconds in (10, 60):
        file = io.BytesIO(encoded("m4a-alac", seconds * RATE))
        tracemalloc.start()
        try:
            n = sum(map(len, stream_audio(file, sr=RATE)))
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert n == seconds * RATE
    assert peaks[1] < 1.2 * peaks[0]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="this system does not list open files")
@pytest.mark.parametrize("name", ["m4a-aac", "webm-opus", "ogg-flac", "aac"])
def test_a_stream_that_is_left_leaves_nothing_open(name, tmp_path, monkeypatch):
    monkeypatch.setattr("sersk.audio._BLOCK", 1500)
    path = tmp_path / "clip"
    path.write_bytes(encoded(name))
    closed = []

    def open_files():
        links = []
        for file in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):  # that of this list
                links.append(file.readlink())
        return [link for link in links if link == path]

    close = MediaSound.__exit__
    monkeypatch.setattr(MediaSound, "__exit__", lambda *a: closed.append(close(*a)))
    gc.disable()
    try:
        pieces = stream_audio(path)
        next(pieces)
        assert open_files()
        pieces.close()
        assert not open_files()
        load_audio(path)
        refusal(path, offset=99.0)
        path.write_bytes(path.read_bytes()[:2000])
        refusal(path)
        assert not open_files()
    finally:
        gc.enable()
    assert len(closed) >= 3


# --- what a hostile file may not do


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nfile://{path}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{path}'\n",
    "sdp": "v=0\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file://{path}</BaseURL></MPD>',
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("extension", sorted(PYAV_EXTENSIONS)[:4])
def test_a_list_of_files_is_no_audio(kind, extension, tmp_path):
    secret = tmp_path / "secret.aac"
    secret.write_bytes(encoded("aac"))
    path = tmp_path / f"clip{extension}"
    path.write_text(PLAYLISTS[kind].format(path=secret))
    assert "is not audio" in refusal(path)


def box(kind, content):
    return struct.pack(">I4s", 8 + len(content), kind) + content


def rebuilt(content, tables):
    """Write an ISO media file anew, with the content of some boxes made of what it was."""
    out, at = b"", 0
    while at < len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        inside = content[at + 8 : at + size]
        if kind in tables:
            inside = tables[kind](inside)
        elif kind in (b"moov", b"trak", b"edts", b"mdia", b"minf", b"dinf", b"stbl", b"moof", b"traf"):
            inside = rebuilt(inside, tables)
        out, at = out + box(kind, inside), at + size
    return out


def full(*numbers):
    return bytes(4) + struct.pack(f">{len(numbers)}I", *numbers)


def references(path):
    """The ways in which QuickTime says that the samples lie in another file."""
    name, folder = path.name.encode(), path.parent.name.encode()[:27]
    record = bytes(10) + bytes([len(folder)]) + folder.ljust(27, b"\0") + bytes(12)
    record += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + struct.pack(">HH", 1, 1) + bytes(16)
    absolute = str(path).encode()
    record += struct.pack(">HH", 2, len(absolute)) + absolute + bytes(len(absolute) % 2) + struct.pack(">HH", 0xFFFF, 0)
    return {"alis": box(b"alis", bytes(4) + record), "url ": box(b"url ", bytes(4) + f"file://{path}\0".encode())}


@pytest.mark.parametrize("kind", ["alis", "url "])
def test_samples_in_another_file_are_not_fetched(kind, tmp_path):
    secret = tmp_path / "secret.wav"
    sf.write(secret, 0.9 * np.ones(RATE), RATE)
    entry = references(secret)[kind]
    path = tmp_path / "clip.m4a"
    path.write_bytes(rebuilt(encoded("mov-pcm"), {b"dref": lambda _: full(1) + entry}))
    try:
        assert np.abs(load_audio(path)).max() < 0.6  # its own samples
    except AudioError as error:
        assert "MP4/M4A" in str(error)  # noqa: PT017
    # FFmpeg would read the other file, if it were asked to: this is such a file.
    if kind == "alis":
        import av

        with av.open(str(path), container_options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
            assert max(np.abs(frame.to_ndarray()).max() for frame in container.decode(audio=0)) > 29000


def test_only_known_demuxers_and_decoders_are_asked_and_only_for_bytes(monkeypatch, tmp_path):
    import av

    files = {}
    for name in FORMATS:
        files[name] = tmp_path / name
        files[name].write_bytes(encoded(name))
    asked = []
    real = av.open
    monkeypatch.setattr(av, "open", lambda file, **options: asked.append((file, options)) or real(file, **options))
    for path in files.values():
        asked.clear()
        load_audio(path)
        ((file, options),) = asked
        assert not isinstance(file, str | os.PathLike)
        assert not hasattr(file, "name")
        assert options["format"] in {"mp4", "matroska", "amr", "aac", "asf", "ogg", "wav", "caf"}
        with pytest.raises(PermissionError):
            options["io_open"]("/etc/passwd", 1, {})


MANY = 400_000_000
TABLES = {
    "packets-of-one-size": {
        b"stsz": lambda _: full(1, MANY),
        b"stts": lambda _: full(1, MANY, 1024),
        b"stsc": lambda _: full(1, 1, MANY, 1),
    },
    "a-table-of-steps-behind-another": {
        b"stsz": lambda _: full(1, MANY),
        b"stts": lambda _: full(1, MANY, 1),
        b"stsc": lambda _: full(1, 1, MANY, 1) + box(b"stts", full(1, MANY, 1024)),
    },
    "a-table-of-sizes": {b"stsz": lambda content: full(0, MANY) + content[12:]},
    "tables-of-steps": {b"stts": lambda content: full(MANY) + content[8:]},
    "long-steps": {b"stts": lambda _: full(1, 17, 2**31 - 1)},
    "many-edits": {b"elst": lambda _: full(10**6) + 10**6 * struct.pack(">IiI", 1000, 0, 0x10000)},
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_promise_much_are_refused_before_memory_is_taken(name):
    import resource

    content = rebuilt(encoded("m4a-aac"), TABLES[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    message = refusal(io.BytesIO(content))
    assert "MP4/M4A" in message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**18  # kB: 256 MB


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("box", [b"moov", b"mdia", b"stsz", b"mdat"])
def test_a_box_longer_than_any_file_is_an_audio_error(box, size, tmp_path):
    content = encoded("mp4-faststart")
    at = content.index(box)
    path = tmp_path / "x.m4a"
    path.write_bytes(content[: at - 4] + struct.pack(">I4sQ", 1, box, size) + content[at + 12 :])
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(AudioError, match="truncated"):
            load_audio(source)


def test_more_boxes_than_a_recording_has_are_refused(monkeypatch):
    monkeypatch.setattr(media_files, "_MOST_PARTS", 1000)
    content = encoded("mp4-faststart")
    boxes = struct.pack(">I4s", 8, b"free")
    assert len(load_audio(io.BytesIO(content + 900 * boxes)))
    assert "damaged (it has over 1000 boxes)" in refusal(io.BytesIO(content + 1001 * boxes))


def test_fragments_that_promise_much_are_refused():
    content = rebuilt(encoded("mp4-fragmented"), {b"trun": lambda _: struct.pack(">II", 1, MANY) + bytes(8)})
    assert "promise more than it can hold" in refusal(io.BytesIO(content))


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_files_are_an_error_or_a_waveform(name):
    random = np.random.default_rng(0)
    content = encoded(name, RATE // 4)
    for _ in range(60):
        damaged = bytearray(content)
        for at in random.integers(0, random.choice([100, 1000, len(content)]), random.integers(1, 8)):
            damaged[at : at + 4] = random.choice([bytes(4), b"\xff" * 4, random.bytes(4)])[: len(damaged) - at]
        try:
            assert np.isfinite(load_audio(io.BytesIO(damaged))).all()
        except AudioError as error:
            assert str(error).startswith("<BytesIO>: ")  # noqa: PT017


def test_nothing_is_printed(capfd):
    for name in FORMATS:
        content = encoded(name)
        load_audio(io.BytesIO(content))
        refusal(io.BytesIO(content[: len(content) // 2]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["m4a-aac", "webm-opus", "aac", "ogg-flac"])
def test_the_length_is_known_or_counted(name):
    content = encoded(name)
    with open_sound("clip", io.BytesIO(content)) as sound:
        assert sound.count(10**9) == len(load_audio(io.BytesIO(content), sr=sound.rate))
    with open_sound("clip", io.BytesIO(encoded(name, 8 * RATE))) as sound:
        assert sound.n_samples is not None or sound.rate < sound.count(sound.rate) < 6 * sound.rate
