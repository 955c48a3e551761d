"""First bytes -> name of the audio format."""

from __future__ import annotations

from typing import Literal

# How a file of a format begins, and where. Containers of several kinds, and MPEG streams, are looked at more closely.
_MAGIC = (
    (b"fLaC", "FLAC"),
    (b"OggS", "Ogg"),
    (b"caff\x00\x01", "CAF"),
    (b".snd", "AU"),
    (b"dns.", "AU"),
    (b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb", "W64"),
    (b"NIST_1A", "NIST SPHERE"),
    (b"Creative Voice File\x1a", "VOC"),
    (b"#!AMR", "AMR"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", "WMA (ASF)"),
    (b"\x0b\x77", "AC-3"),
    (b"wvpk", "WavPack"),
    (b"MAC \x96\x0f", "Monkey's Audio"),
    (b"TTA1", "TTA"),
    (b"MPCK", "Musepack"),
    (b".ra\xfd", "RealAudio"),
    (b".RMF", "RealAudio"),
    (b"\x02dss", "DSS"),
    (b"\x03dss", "DSS"),
)
# Chunked files: the kind stands behind the size.
_CHUNKED = {
    (b"RIFF", b"WAVE"): "WAV",
    (b"RIFX", b"WAVE"): "WAV",
    (b"RF64", b"WAVE"): "RF64",
    (b"BW64", b"WAVE"): "RF64",
    (b"FORM", b"AIFF"): "AIFF",
    (b"FORM", b"AIFC"): "AIFF",
    (b"FORM", b"8SVX"): "8SVX",
    (b"FORM", b"16SV"): "8SVX",
}
# Brands of ISO media files that hold pictures.
_IMAGES = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis", b"crx ", b"jp2 ")
# kbit/s of MPEG audio by version (1, or 2 and 2.5) and layer, from the standard's tables.
_BIT_RATES = {
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_RATES = (44100, 48000, 32000)

# Format tags of WAV (RFC 2361) that libsndfile reads, and names of others.
_EXTENSIBLE = 0xFFFE
_SNDFILE_TAGS = (0x0001, 0x0002, 0x0003, 0x0006, 0x0007, 0x0011, 0x0031, 0x0038, 0x0040, 0x0055)
_WAV_CODECS = {
    0x0010: "OKI ADPCM",
    0x0020: "Yamaha ADPCM",
    0x0022: "TrueSpeech",
    0x0042: "G.723.1",
    0x0045: "G.726",
    0x0050: "MP2",
    0x0064: "G.726",
    0x0065: "G.722",
    0x0083: "G.729",
    0x0092: "AC-3",
    0x00FF: "AAC",
    0x0130: "ACELP.net",
    0x0160: "WMA",
    0x0161: "WMA",
    0x0162: "WMA",
    0x1610: "AAC",
    0x2000: "AC-3",
    0xA109: "Speex",
}
_OGG_CODECS = {b"\x7fFLAC": "FLAC", b"Speex   ": "Speex", b"\x80theora": "video", b"fishead\0": "several streams"}
_SNDFILE_CAF = (b"lpcm", b"ulaw", b"alaw", b"alac")

# Formats by who reads them: PyAV, an extra; nobody; libsndfile all others.
PYAV_FORMATS = frozenset(("MP4/M4A", "3GP", "WebM/Matroska", "AMR", "ADTS AAC", "WMA (ASF)"))
OTHER_FORMATS = frozenset(("AC-3", "WavPack", "Monkey's Audio", "TTA", "Musepack", "RealAudio", "DSS"))

# Extensions, likewise.
LIBSNDFILE_EXTENSIONS = frozenset(
    (
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2"),
        *(".aiff", ".aif", ".aifc", ".au", ".snd", ".caf", ".sph", ".nist", ".voc"),
    )
)
PYAV_EXTENSIONS = frozenset(
    (
        *(".m4a", ".m4b", ".mp4", ".m4v", ".mov", ".qta", ".3gp", ".3g2", ".3ga", ".webm", ".weba", ".mka", ".mkv"),
        *(".aac", ".adts", ".amr", ".awb", ".wma", ".asf", ".spx"),
    )
)
OTHER_EXTENSIONS = frozenset((".ac3", ".wv", ".ape", ".tta", ".mpc", ".ra", ".dss", ".ds2"))
AUDIO_EXTENSIONS = LIBSNDFILE_EXTENSIONS | PYAV_EXTENSIONS | OTHER_EXTENSIONS


def recognise_format(head: bytes) -> str | None:
    r"""
    Name the audio format of a file by how it begins.

    A container that may hold video, such as MP4, is named whatever it holds; text, images and archives are not.

    Parameters
    ----------
    head : bytes
        The file's first bytes; 4096 are enough, fewer may leave a doubt.

    Returns
    -------
    str or None
        Such as "WAV", "MP4/M4A" or "WebM/Matroska"; None if it is no audio that is known by name.

    Examples
    --------
    >>> from sersk.audio_formats import recognise_format
    >>> recognise_format(b"RIFF\x24\x00\x00\x00WAVEfmt ")
    'WAV'
    >>> recognise_format(b"#!AMR-WB\n")
    'AMR'
    >>> recognise_format(b"a,b\n1,2\n") is None
    True
    """
    if head.startswith(b"ID3"):  # a tag, mostly before MPEG audio
        tag = id3_length(head)
        return (recognise_format(head[tag:]) if len(head) > tag + 16 else None) or "MP2/MP3"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    chunked = _CHUNKED.get((head[:4], head[8:12]))
    return chunked or _iso_media(head) or _matroska(head) or _mpeg(head)


def id3_length(head: bytes) -> int:
    """
    Tell how long the ID3 tag at the start of a file is.

    Parameters
    ----------
    head : bytes
        The file's first ten bytes, or more.

    Returns
    -------
    int
        Number of bytes; 0 if there is no tag.
    """
    if not head.startswith(b"ID3") or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def foreign_codec(kind: str | None, head: bytes) -> str | None:
    """
    Name the codec of a container that libsndfile opens, if it does not read the codec.

    Parameters
    ----------
    kind : str or None
        What `recognise_format` says.
    head : bytes
        The file's first bytes.

    Returns
    -------
    str or None
        Such as "G.726"; None if libsndfile may read it.
    """
    if kind == "WAV":
        at, size = wav_chunk(head, b"fmt ")
        tag = int.from_bytes(head[at + 8 : at + 10], "little")
        if tag == _EXTENSIBLE:  # the tag proper comes later
            tag = int.from_bytes(head[at + 32 : at + 34], "little")
        is_known = size < 16 or head.startswith(b"RIFX") or tag in _SNDFILE_TAGS
        return None if is_known else _WAV_CODECS.get(tag, f"the codec 0x{tag:04X}")
    if kind == "Ogg" and len(head) > 27:
        packet = head[27 + head[26] :]
        if not packet or packet.startswith((b"\x01vorbis", b"OpusHead")):
            return None
        return next((name for magic, name in _OGG_CODECS.items() if packet.startswith(magic)), "another codec")
    if kind == "CAF" and head[8:12] == b"desc":
        codec = head[28:32]
        return None if codec in _SNDFILE_CAF else codec.decode("latin-1").strip().upper()
    return None


def open_end(kind: str | None, head: bytes, n_bytes: int) -> int | None:
    """
    Find the length in a WAV header that says 0 bytes though samples follow.

    Recorders that write to a pipe, or were cut off, leave such headers. A file that is as long as its header says does
    hold no samples.

    Parameters
    ----------
    kind : str or None
        What `recognise_format` says.
    head : bytes
        The file's first bytes.
    n_bytes : int
        Length of the file.

    Returns
    -------
    int or None
        Where in the file the length stands, in four bytes; None if it is true.
    """
    at, size = wav_chunk(head, b"data") if kind == "WAV" else (0, 0)
    is_whole = n_bytes - 8 in (int.from_bytes(head[4:8], "little"), int.from_bytes(head[4:8], "big"))
    return at + 4 if at and not size and n_bytes > at + 8 and not is_whole else None


def wav_chunk(head: bytes, name: bytes) -> tuple[int, int]:
    """
    Find a chunk of a WAV file.

    Parameters
    ----------
    head : bytes
        The file's first bytes.
    name : bytes
        Four letters.

    Returns
    -------
    position : int
        Where its header of eight bytes starts; 0 if it is not in `head`.
    size : int
        How many bytes follow by that header; 0 if it is not in `head`.
    """
    order: Literal["little", "big"] = "big" if head.startswith(b"RIFX") else "little"
    at = 12
    while at + 8 <= len(head):
        size = int.from_bytes(head[at + 4 : at + 8], order)
        if head[at : at + 4] == name:
            return at, size
        at += 8 + size + size % 2
    return 0, 0


def _iso_media(head: bytes) -> str | None:
    """Recognise MP4 and its kin by the brand, and QuickTime, which may have none."""
    kind, brand = head[4:8], head[8:12]
    if kind == b"ftyp":
        if brand in _IMAGES:
            return None
        return "3GP" if brand.startswith((b"3gp", b"3g2", b"3ge", b"3gg", b"3gs")) else "MP4/M4A"
    # The first four bytes are the size; text has no such small ones.
    return "MP4/M4A" if kind in (b"moov", b"mdat", b"wide", b"free", b"skip") and head[0] < 9 else None


def _matroska(head: bytes) -> str | None:
    is_matroska = head.startswith(b"\x1a\x45\xdf\xa3") and (b"webm" in head[:64] or b"matroska" in head[:64])
    return "WebM/Matroska" if is_matroska else None


def _mpeg(head: bytes) -> str | None:
    """Recognise MPEG audio and ADTS AAC by the header of a frame, and by another one behind that frame."""
    length = _adts_length(head)
    name, follows = "ADTS AAC", _adts_length
    if not length:
        name, follows, length = "MP2/MP3", _mpeg_length, _mpeg_length(head)
    if not length:
        return None
    return name if len(head) < length + 7 or follows(head[length:]) else None


def _adts_length(head: bytes) -> int:
    """Compute the length of an AAC frame from its header; 0 if it is none."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 0xF > 12:
        return 0
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    return length if length > 7 else 0


def _mpeg_length(head: bytes) -> int:
    """Compute the length of a frame of MPEG audio from its header; 0 if it is none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return 0
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bits, rate = head[2] >> 4, head[2] >> 2 & 3
    # Nobody has layer I, and in UTF-16 text begins with FF FE.
    if version == 1 or layer not in (2, 3) or bits in (0, 15) or rate == 3:
        return 0
    lower = {3: 1, 2: 2, 0: 4}[version]
    bit_rate = 1000 * _BIT_RATES[min(lower, 2), layer][bits - 1]
    per_frame = 144 if layer == 2 or lower == 1 else 72
    return per_frame * bit_rate * lower // _MPEG_RATES[rate] + (head[2] >> 1 & 1)
