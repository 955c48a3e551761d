"""Formats are recognised by their first bytes; what is no audio is not taken for any."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
import soundfile as sf

from sersk.audio_formats import (
    AUDIO_EXTENSIONS,
    LIBSNDFILE_EXTENSIONS,
    OTHER_EXTENSIONS,
    PYAV_EXTENSIONS,
    recognise_format,
)

NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 16000)


def written(container, subtype=None):
    file = io.BytesIO()
    sf.write(file, NOISE, 16000, format=container, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize(
    ("container", "name"),
    [
        ("WAV", "WAV"), ("WAVEX", "WAV"), ("RF64", "RF64"), ("W64", "W64"), ("AIFF", "AIFF"), ("AU", "AU"),
        ("FLAC", "FLAC"), ("OGG", "Ogg"), ("CAF", "CAF"), ("NIST", "NIST SPHERE"), ("VOC", "VOC"), ("SVX", "8SVX"),
        ("MP3", "MP2/MP3"),
    ],
)  # fmt: skip
def test_what_libsndfile_writes_is_recognised(container, name):
    assert recognise_format(written(container)[:4096]) == name


def test_a_tag_is_not_the_format():
    tag = b"ID3\x04\x00\x00\x00\x00\x00\x14" + bytes(20)
    assert recognise_format(tag + written("MP3")) == "MP2/MP3"
    assert recognise_format(tag + written("FLAC")) == "FLAC"
    assert recognise_format(tag) == "MP2/MP3"  # what it stands before is not in these bytes


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "MP4/M4A"),
        (b"\0\0\0\x14ftypqt  \0\0\0\0", "MP4/M4A"),
        (b"\0\0\0\x18ftyp3gp4\0\0\0\0", "3GP"),
        (b"\0\0\x10\0moov\0\0\0\x6cmvhd", "MP4/M4A"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm", "WebM/Matroska"),
        (b"#!AMR\n\x3c", "AMR"),
        (b"#!AMR-WB\n\x44", "AMR"),
        (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "WMA (ASF)"),
        (bytes.fromhex("fff15080021ffc") + bytes(9) + bytes.fromhex("fff15080021ffc"), "ADTS AAC"),
        (bytes.fromhex("fffd8004") + bytes(413) + bytes.fromhex("fffd8004"), "MP2/MP3"),
    ],
)  # fmt: skip
def test_phone_and_browser_formats_are_recognised(head, name):
    assert recognise_format(head) == name


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"R",
        b"The free lunch is free, and moov is no word.",
        "file,emotion\nx.wav,häppy\n".encode("utf-16"),  # begins with FF FE
        "ÿûä, as a text".encode("latin-1") * 100,
        b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01",
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
        b"GIF89a",
        b"RIFF\x24\x00\x00\x00WEBPVP8 ",
        b"RIFF\x24\x00\x00\x00AVI LIST",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        b"\0\0\0\x20ftypavif\0\0\0\0",
        b"%PDF-1.7\n",
        b"#EXTM3U\n#EXTINF:10,\nhttp://localhost/x.aac\n",
        b"ffconcat version 1.0\nfile x.wav\n",
        b"#!/bin/sh\n",
        bytes(4096),
        b"\xff" * 4096,
        np.random.default_rng(0).bytes(4096),
    ],
)
def test_what_is_no_audio_has_no_format(head):
    assert recognise_format(head) is None


def test_an_archive_has_no_format():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.wav", written("WAV"))
    assert recognise_format(file.getvalue()) is None


def test_every_extension_is_read_by_one_or_none():
    kinds = LIBSNDFILE_EXTENSIONS, PYAV_EXTENSIONS, OTHER_EXTENSIONS
    assert sum(map(len, kinds)) == len(AUDIO_EXTENSIONS)
    assert all(one.startswith(".") and one == one.lower() for one in AUDIO_EXTENSIONS)
