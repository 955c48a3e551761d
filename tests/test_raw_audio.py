"""Samples without a header are told by what is said of them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from sersk import AudioError, RawAudio


def read(raw):
    return np.concatenate(list(raw.blocks()))


@pytest.mark.parametrize(("encoding", "full"), [("s16le", 2**15), ("s32le", 2**31), ("f32le", 1)])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_every_encoding(tmp_path, encoding, full, n_channels):
    kind = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}[encoding]
    samples = np.array([[-1.0, 0.5, 0.0], [0.25, -0.5, 0.125]])[:, :n_channels]
    content = (samples * full).astype(kind).tobytes()
    path = tmp_path / "a.raw"
    path.write_bytes(content)
    for file in (io.BytesIO(content), path, str(path)):
        raw = RawAudio(file, 8000, n_channels, encoding)
        np.testing.assert_array_equal(read(raw), samples)
        assert next(RawAudio(path, 8000, n_channels, encoding).blocks()).dtype == np.float32
    assert RawAudio(path, 8000).name == str(path)


def test_a_pipe_may_part_a_sample():
    class Pipe:
        name = "pipe"
        left = iter([b"\x00", b"\x40\x00", b"\xc0\x00", b"\x20"])

        def read(self, n_bytes):
            return next(self.left, b"")

    assert read(RawAudio(Pipe(), 8000)).tolist() == [[0.5], [-0.5], [0.25]]


def test_an_end_within_a_sample_may_mean_that_it_is_another_kind():
    blocks = RawAudio(io.BytesIO(bytes(7)), 8000, 2).blocks()
    assert next(blocks).tolist() == [[0, 0]]
    with pytest.raises(AudioError, match=r"ends within a sample: are its samples 2 x s16le, 4 bytes\?"):
        next(blocks)


def test_what_cannot_be_read(tmp_path):
    closed = io.BytesIO(b"12")
    closed.close()
    for file, reason in (
        (tmp_path / "none.raw", "no such file"),
        (tmp_path, "is a folder"),
        (closed, "cannot be read"),
        (io.StringIO("text"), "expected bytes from StringIO, got str"),
        (3, "expected bytes from int, got NoneType"),
    ):
        with pytest.raises(AudioError, match=reason):
            read(RawAudio(file, 8000))


@pytest.mark.parametrize("wrong", [{"sr": 0}, {"sr": 8000.5}, {"n_channels": 0}, {"encoding": "s24le"}])
def test_what_cannot_be(wrong):
    with pytest.raises(ValueError, match="expected sr > 0"):
        RawAudio(Path("a.raw"), **({"sr": 8000} | wrong))
