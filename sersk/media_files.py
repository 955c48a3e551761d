"""Bytes of phone and browser formats -> samples as they are stored, by PyAV: only what is handed over, nothing else."""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Generator, Iterator
from typing import Any, NoReturn, Self

import numpy as np

from .audio_formats import wav_chunk
from .sounds import AudioError, Samples, Sound

# What FFmpeg says of files, PyAV gives to this logger, in older versions by default: nothing of it on stderr.
logging.getLogger("libav").addHandler(logging.NullHandler())

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
# The longest page of an Ogg stream (RFC 3533).
OGG_PAGE = 65307
# A recorder that writes to a pipe cannot know the length; it leaves one of the largest values in a WAV header.
UNKNOWN_LENGTH = 0x7FFF0000
# Where an ASF file says how long it is.
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
# Boxes of ISO media files that hold boxes, of those that matter here.
_NESTS = (b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl", b"moof", b"traf")
# FFmpeg goes through a track once for each of its edits; a recorder leaves one or two.
_MOST_EDITS = 100
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
        self._name, self._file, self._kind = name, file, kind
        if kind not in _DEMUXERS:
            raise AudioError(name, f"is {self._what}, which is not read; convert it to WAV or FLAC")
        try:
            import av
        except ImportError:
            cure = "pip install av, or convert it to WAV or FLAC"
            raise AudioError(name, f"is {self._what}, which needs PyAV: {cure}") from None
        self._fault = av.error.FFmpegError
        is_in_fragments = _DEMUXERS[kind] == "mp4" and self._check_tables()
        file.seek(0)
        try:
            # Titles and the like may be in any encoding; from 19.0 on PyAV takes them so.
            lenient = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
            self._container = av.open(
                file, format=_DEMUXERS[kind], container_options=_OPTIONS, io_open=_refuse, **lenient
            )
        except self._fault as error:
            raise self._refusal(f"truncated or damaged ({error.strerror})") from error
        try:
            self._stream = self._choose_stream()
            context = self._stream.codec_context
            rate, n_channels = context.sample_rate, context.layout.nb_channels
            if not (rate and n_channels):
                raise self._refusal("truncated or damaged (no rate or no channels)")
            super().__init__(name, rate, n_channels, self._declared_length(is_in_fragments))
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

    def _check_tables(self) -> bool:
        """Refuse an ISO media file whose tables make FFmpeg fill the memory; tell whether it comes in fragments."""
        # Packets of each track, and whether its samples are of one step each: then FFmpeg's entries are of chunks.
        tracks: list[tuple[int, bool | None]] = [(0, None)]
        kinds, most_edits = set(), 0
        for n_boxes, (kind, start, _) in enumerate(_boxes(self._file)):
            if n_boxes == _MOST_PARTS:
                raise AudioError(self._name, f"is {self._what}, damaged (it has over {_MOST_PARTS} boxes)")
            kinds.add(kind)
            self._file.seek(start)
            # A box of these kinds has 4 bytes of version and flags before its content.
            first, second, third = struct.unpack(">4xIII", self._file.read(16).ljust(16, b"\0"))
            n, is_pcm = tracks[-1]
            if kind == b"trak":
                tracks.append((0, None))
            elif kind == b"stts":
                tracks[-1] = n, first == third == 1 and is_pcm is not False
            elif kind in (b"stsz", b"stz2", b"trun"):
                tracks[-1] = n + (first if kind == b"trun" else second), is_pcm and kind != b"trun"
            elif kind == b"elst":
                most_edits = max(most_edits, first)
        if sum(n for n, is_pcm in tracks if not is_pcm) > _size(self._file) // 2 or most_edits > _MOST_EDITS:
            raise self._refusal("truncated or damaged (its tables promise more than it can hold)")
        return b"moof" in kinds

    def _choose_stream(self) -> Any:
        streams = self._container.streams
        if not streams.audio:
            raise self._refusal("without audio" + " (video only)" * bool(streams.video))
        codec = getattr(streams.audio[0].codec_context, "name", None)
        if codec not in _DECODERS:
            raise self._refusal(f"and its codec ({codec or 'unknown'}) is not read; convert it to WAV or FLAC")
        return streams.audio[0]

    def _refusal(self, reason: str) -> AudioError:
        """Say what is wrong with the file; whatever it is comes of the cut, where it is cut."""
        if _is_cut(self._file, self._kind):
            reason = "truncated: it ends before its last part does"
        return AudioError(self._name, f"is {self._what}, {reason}")

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
                    raise AudioError(self._name, f"is {self._what}, truncated within a packet")
                for frame in packet.decode():
                    yield self._samples(frame)
        except self._fault as error:
            raise self._refusal(f"truncated or damaged ({error.strerror})") from error

    def _samples(self, frame: Any) -> Samples:
        """Turn a frame into an array."""
        n_channels = frame.layout.nb_channels
        if frame.sample_rate != self.rate or n_channels != self.n_channels:
            now, before = f"{n_channels} x {frame.sample_rate} Hz", f"{self.n_channels} x {self.rate} Hz"
            raise AudioError(self._name, f"changes from {before} to {now} on the way; convert it to WAV or FLAC")
        array = frame.to_ndarray()
        array = array.T if frame.format.is_planar else array.reshape(-1, n_channels)
        scale = _SCALES.get(frame.format.name.removesuffix("p"))
        if scale is not None:
            array = (array - np.float32(scale[0])) / np.float32(scale[1])
        return array.astype(np.float32, copy=False)

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
            raise self._refusal("truncated")
        # The last packet may be rounded, never missing.
        if self._n_missing > max(self.rate // 10, 2048):
            decoded = f"{self._n_read} of {self.n_samples} samples could be decoded"
            raise AudioError(self._name, f"is {self._what}, truncated: {decoded}")


def _refuse(url: str, *_: object) -> NoReturn:
    raise PermissionError(f"refused to open {url}, which a file refers to")


def _is_cut(file: Any, kind: str) -> bool:
    """Tell whether a part of a file reaches beyond its end."""
    n_bytes = _size(file)
    if kind in ("MP4/M4A", "3GP"):
        return any(end > n_bytes for _, _, end in _boxes(file))
    if kind == "WebM/Matroska":
        return _matroska_end(file, n_bytes) > n_bytes
    if kind == "WMA (ASF)":
        file.seek(0)
        head = file.read(2**16)
        at = head.find(_ASF_FILE)
        is_live = at < 0 or len(head) < at + 92 or head[at + 88] & 1
        return not is_live and int.from_bytes(head[at + 40 : at + 48], "little") > n_bytes
    if kind == "Ogg":
        file.seek(max(n_bytes - OGG_PAGE, 0))
        return not last_ogg_page(file.read(OGG_PAGE))
    if kind == "WAV":
        file.seek(0)
        at, size = wav_chunk(file.read(4096), b"data")
        return size < UNKNOWN_LENGTH and at + 8 + size > n_bytes
    return False


def last_ogg_page(tail: bytes) -> bytes:
    """
    Find the last page of an Ogg stream (RFC 3533).

    Parameters
    ----------
    tail : bytes
        The file's last bytes, as many as a page may have.

    Returns
    -------
    bytes
        The page; none if it is cut.
    """
    page = tail[tail.rfind(b"OggS") :]
    length = 27 + page[26] + sum(page[27 : 27 + page[26]]) if len(page) > 27 else 0
    return page[:length] if length <= len(page) else b""


def _size(file: Any) -> int:
    n_bytes: int = file.seek(0, os.SEEK_END)
    return n_bytes


def _boxes(file: Any) -> Iterator[tuple[bytes, int, int]]:
    """List the boxes of an ISO media file: the kind, where its content starts, and where it ends."""
    n_bytes, at = _size(file), 0
    while at < n_bytes:  # no file goes to any place that a box may name
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head[:8])
        n_head = 8
        if size == 1:
            size, n_head = int.from_bytes(head[8:], "big"), 16
        if size == 0:  # the last, of any length
            size = n_bytes - at
        if size < n_head:
            return
        yield kind, at + n_head, at + size
        at += n_head if kind in _NESTS else size


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
