"""First bytes -> name of the audio format."""

from __future__ import annotations

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

# Extensions of what is read or known by name. libsndfile reads the first; PyAV, an extra, the second; nobody the third.
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
