"""Bytes of phone and browser formats -> samples as they are stored, by PyAV: only what is handed over, nothing else."""

from __future__ import annotations

import os
import struct
from collections.abc import Generator, Iterator
from typing import Any, NoReturn, Self

import numpy as np

from .sounds import AudioError, Samples, Sound

# FFmpeg's demuxers by our names of formats. No others: some open files and addresses that they find in a file.
_DEMUXERS = {
    "MP4/M4A": "mp4",
    "3GP": "mp4",
    "WebM/Matroska": "matroska",
    "AMR": "amr",
    "ADTS AAC": "aac",
    "WMA (ASF)": "asf",
    "Ogg": "ogg",
    "WAV": "wav",
    "CAF": "caf",
}
# FFmpeg's decoders. No others: the fewer, the less there is to attack; and none of video.
_DECODERS = frozenset(
    (
        *("aac", "ac3", "alac", "amrnb", "amrwb", "eac3", "flac", "g722", "g723_1", "g726", "g726le", "g729", "gsm"),
        *("gsm_ms", "mp2", "mp2float", "mp3", "mp3float", "opus", "speex", "truespeech", "vorbis"),
        *("wmalossless", "wmapro", "wmav1", "wmav2", "wmavoice"),
        *("adpcm_g722", "adpcm_g726", "adpcm_g726le", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms", "adpcm_yamaha"),
        *("pcm_alaw", "pcm_f32be", "pcm_f32le", "pcm_f64be", "pcm_f64le", "pcm_mulaw", "pcm_s16be", "pcm_s16le"),
        *("pcm_s24be", "pcm_s24le", "pcm_s32be", "pcm_s32le", "pcm_s8", "pcm_u8"),
    )
)
_OPTIONS = {
    "codec_whitelist": ",".join(sorted(_DECODERS)),
    "protocol_whitelist": "none",
    "enable_drefs": "0",
    "max_streams": "64",
}
# Sample formats of FFmpeg's frames: the zero, and full scale.
_SCALES = {"u8": (128.0, 2.0**7), "s16": (0.0, 2.0**15), "s32": (0.0, 2.0**31), "s64": (0.0, 2.0**63)}
# Ids of elements of Matroska whose content is looked into: they may be of unknown size.
_SEGMENT, _CLUSTER = b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"
# Where an ASF file says how long it is.
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
# So many parts of a file are followed, which are years of a recording.
_MOST_PARTS = 1_000_000


class MediaSound(Sound):
    """
    Read the first audio stream of a file.

    Parameters
    ----------
    name : str
        What messages call it.
    file : binary file object
        That can go back.
    kind : str
        Name of the format, by `sersk.audio_formats.recognise_format`.
    codec : str or None, default=None
        Name of the codec, where it tells more.

    Raises
    ------
    AudioError
        If PyAV is not installed, or this is none of what it reads here.
    """

    def __init__(self, name: str, file: Any, kind: str, codec: str | None = None) -> None:
        self._what = kind if codec is None else f"{kind} with {codec}"
        self._file, self._kind = file, kind
        try:
            import av
        except ImportError:
            cure = "pip install av, or convert it to WAV or FLAC"
            raise AudioError(name, f"is {self._what}, which needs PyAV: {cure}") from None
        self._fault = av.error.FFmpegError
        if kind not in _DEMUXERS:
            raise AudioError(name, f"is {self._what}, which is not read; convert it to WAV or FLAC")
        is_in_fragments = _DEMUXERS[kind] == "mp4" and any(box == b"moof" for box, _ in _boxes(file))
        file.seek(0)
        try:
            self._container = av.open(
                file, format=_DEMUXERS[kind], container_options=_OPTIONS, metadata_errors="replace", io_open=_refuse
            )
        except self._fault as error:
            raise AudioError(name, f"is {self._what}, truncated or damaged ({error.strerror})") from error
        try:
            self._stream = self._choose_stream(name)
            context = self._stream.codec_context
            super().__init__(
                name, context.sample_rate, len(context.layout.channels), self._declared_length(is_in_fragments)
            )
        except BaseException:
            self._container.close()
            raise
        self._frames = self._decode_frames()
        self._rest = np.zeros((0, self.n_channels), dtype=np.float32)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.close()
        self._container.close()

    def _choose_stream(self, name: str) -> Any:
        streams = self._container.streams
        if not streams.audio:
            raise AudioError(name, f"is {self._what} without audio" + " (video only)" * bool(streams.video))
        codec = getattr(streams.audio[0].codec_context, "name", None)
        if codec not in _DECODERS:
            reason = f"is {self._what}, and its codec ({codec or 'unknown'}) is not read; convert it to WAV or FLAC"
            raise AudioError(name, reason)
        return streams.audio[0]

    def _declared_length(self, is_in_fragments: bool) -> int | None:
        """Compute the length where the header has it to the sample: the last packet is filled up with silence."""
        stream = self._stream
        if _DEMUXERS[self._kind] != "mp4" or not stream.duration or is_in_fragments:
            return None
        return round(stream.duration * stream.time_base * stream.codec_context.sample_rate)

    def _decode_frames(self) -> Generator[Samples, None, None]:
        """Decode packet after packet into arrays of shape (n_samples, n_channels)."""
        try:
            for packet in self._container.demux(self._stream):
                if packet.is_corrupt:
                    raise AudioError(self._name, f"is truncated: {self._what}, cut within a packet")
                for frame in packet.decode():
                    yield self._samples(frame)
        except self._fault as error:
            raise AudioError(self._name, f"is {self._what}, truncated or damaged ({error.strerror})") from error

    def _samples(self, frame: Any) -> Samples:
        """Turn a frame into an array."""
        n_channels = len(frame.layout.channels)
        if frame.sample_rate != self.rate or n_channels != self.n_channels:
            now, before = f"{n_channels} x {frame.sample_rate} Hz", f"{self.n_channels} x {self.rate} Hz"
            raise AudioError(self._name, f"changes from {before} to {now} on the way; convert it to WAV or FLAC")
        array = frame.to_ndarray()
        array = array.T if frame.format.is_planar else array.reshape(-1, n_channels)
        zero, full_scale = _SCALES.get(frame.format.name.removesuffix("p"), (0.0, 1.0))
        return ((array - np.float32(zero)) / np.float32(full_scale)).astype(np.float32, copy=False)

    def _decode(self, n_samples: int) -> Samples:
        pieces, n = [self._rest], len(self._rest)
        while n < n_samples and (piece := next(self._frames, None)) is not None:
            pieces.append(piece)
            n += len(piece)
        samples = np.concatenate(pieces) if len(pieces) > 1 else pieces[0]
        self._rest = samples[n_samples:]
        samples = np.ascontiguousarray(samples[:n_samples])
        return samples[:, 0] if self.n_channels == 1 else samples

    def check_end(self) -> None:
        """
        Find out, when all that is wanted has been read, that there should have been more.

        Raises
        ------
        AudioError
            If the file is truncated.
        """
        if _is_cut(self._file, self._kind):
            raise AudioError(self._name, f"is truncated: {self._what} that ends before its last part does")
        # The last packet may be rounded, never missing.
        if self._n_missing > max(self.rate // 10, 2048):
            decoded = f"{self._n_read} of {self.n_samples} samples could be decoded"
            raise AudioError(self._name, f"is truncated: {decoded}")


def _refuse(url: str, *_: object) -> NoReturn:
    raise PermissionError(f"refused to open {url}, which a file refers to")


def _is_cut(file: Any, kind: str) -> bool:
    """Tell whether a part of a file reaches beyond its end."""
    n_bytes = file.seek(0, os.SEEK_END)
    if kind in ("MP4/M4A", "3GP"):
        return any(end > n_bytes for _, end in _boxes(file))
    if kind == "WebM/Matroska":
        return _matroska_end(file, n_bytes) > n_bytes
    if kind == "WMA (ASF)":
        file.seek(0)
        head = file.read(2**16)
        at = head.find(_ASF_FILE)
        is_live = at < 0 or len(head) < at + 92 or head[at + 88] & 1
        return not is_live and int.from_bytes(head[at + 40 : at + 48], "little") > n_bytes
    return False


def _boxes(file: Any) -> Iterator[tuple[bytes, int]]:
    """List the outermost boxes of an ISO media file, and where each ends."""
    n_bytes, at = file.seek(0, os.SEEK_END), 0
    for _ in range(_MOST_PARTS):
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head[:8])
        if size == 1:
            size = int.from_bytes(head[8:], "big")
        if size == 0:  # the last, of any length
            size = n_bytes - at
        if size < 8:
            return
        at += size
        yield kind, at


def _matroska_end(file: Any, n_bytes: int) -> int:
    """Find where the last element ends."""
    at = 0
    for _ in range(_MOST_PARTS):
        if at >= n_bytes:
            break
        file.seek(at)
        head = file.read(12)
        n_id = 9 - head[0].bit_length()
        n_size = 9 - head[n_id].bit_length() if len(head) > n_id else 9
        if n_id > 4 or len(head) < n_id + n_size:
            return n_bytes + 1 if n_id <= 4 else at
        size = int.from_bytes(head[n_id : n_id + n_size], "big") & (1 << 7 * n_size) - 1
        is_open = size == (1 << 7 * n_size) - 1
        at += n_id + n_size
        if not is_open:
            if at + size > n_bytes:
                return at + size
            at += size
        elif head[:4] not in (_SEGMENT, _CLUSTER):
            return at
    return at
