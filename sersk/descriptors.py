"""Waveform -> frames: every descriptor, by family."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .filterbanks import Array, FrameSettings, cosine_matrix
from .measures import AMIN, contrast_bands, count_frames, measure_frames
from .pitch import PITCH_SECONDS, find_peaks, track_pitch

_TOP_DB = 80.0
_SEMITONE_ZERO = 27.5  # Hz; the reference of eGeMAPS (Eyben et al. 2016, doi 10.1109/TAFFC.2015.2457417)


def power_to_db(power: Array) -> Array:
    """
    Convert power to decibels as ``librosa.power_to_db`` does: floor at 1e-10 and at 80 dB below the loudest value.

    Parameters
    ----------
    power : ndarray
        Power, of any shape; the loudest value of the whole array sets the floor.

    Returns
    -------
    ndarray of the same shape, float32
        Decibels relative to 1.
    """
    db = np.log10(np.maximum(power, np.float32(AMIN)))
    db *= np.float32(10.0)
    return np.maximum(db, db.max() - np.float32(_TOP_DB), out=db)


def pitch_frame_length(settings: FrameSettings) -> int:
    """
    Choose the frame for F0: the shared one where its length suits, else about 64 ms.

    Parameters
    ----------
    settings : FrameSettings
        Sampling rate and shared frame length.

    Returns
    -------
    int
        Samples.
    """
    shortest, longest = PITCH_SECONDS
    if shortest <= settings.n_fft / settings.sr <= longest:
        return settings.n_fft
    return int(2 ** np.round(np.log2(0.072 * settings.sr)))


# Family -> the measure that it is made from, and the number of its descriptors (1: the family's own name).
FAMILIES = (
    "mfcc", "chroma", "mel", "log_mel", "rms", "log_rms", "zcr", "centroid", "bandwidth", "rolloff", "flatness", "flux",
    "contrast", "f0", "log_f0", "voicing",
)  # fmt: skip
_MEASURED_BY = {"mfcc": "mel", "log_mel": "mel", "log_rms": "rms", "f0": "pitch", "log_f0": "pitch", "voicing": "pitch"}


def describe(waveform: npt.ArrayLike, families: Sequence[str], settings: FrameSettings) -> dict[str, Array]:
    """
    Compute the descriptors of one clip.

    Framing is librosa's: centred frames, zeros beyond the ends, 1 + n_samples // hop_length frames. MFCC, chroma, mel,
    RMS, zero-crossing rate, centroid, bandwidth, roll-off, flatness and contrast are the numbers of librosa 0.11's
    functions of like name with the same parameters.

    Parameters
    ----------
    waveform : array-like of shape (n_samples,)
        One clip at ``settings.sr`` Hz.
    families : sequence of str
        Names out of ``FAMILIES``.
    settings : FrameSettings
        Framing and filterbanks.

    Returns
    -------
    dict of str to ndarray of shape (n_frames, n_descriptors of the family), float32
        Frames, in the order asked for. Hz for f0, centroid, bandwidth and roll-off; semitones above 27.5 Hz for
        log_f0; dB for log_mel, log_rms and contrast; f0 holds its best candidate also where `voicing` is low.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.descriptors import describe
    >>> from sersk.filterbanks import FrameSettings
    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
    >>> frames = describe(tone, ["mfcc", "f0"], FrameSettings(sr=16000))
    >>> frames["mfcc"].shape
    (63, 20)
    >>> round(float(np.median(frames["f0"])))
    200
    """
    return finish(measure(waveform, families, settings), families, settings)


def measure(
    waveform: npt.ArrayLike, families: Sequence[str], settings: FrameSettings, run: slice = slice(None)
) -> dict[str, Any]:
    """
    Measure every frame by itself, before anything is related to the clip as a whole.

    So frames that clips share need to be measured once: `finish` takes any run of them for a clip.

    Parameters
    ----------
    waveform : array-like of shape (n_samples,)
        At ``settings.sr`` Hz.
    families : sequence of str
        What is to be finished: names out of ``FAMILIES``.
    settings : FrameSettings
        Framing and filterbanks.
    run : slice, default=slice(None)
        Which of the frames.

    Returns
    -------
    dict of str to ndarray of shape (n_frames, n_values), float32, or Peaks
        Raw measures by name; the pitch's are its candidates. A slice of each is of a run of frames.
    """
    y = np.ascontiguousarray(waveform, dtype=np.float32)
    wanted = {_MEASURED_BY.get(family, family) for family in families}
    if "chroma" in wanted and settings.tuning is None:
        settings = replace(settings, tuning=estimate_tuning(y, settings))
    measured: dict[str, Any] = {}
    if "pitch" in wanted and pitch_frame_length(settings) != settings.n_fft:
        wanted.remove("pitch")
        longer = replace(settings, n_fft=pitch_frame_length(settings))
        run_of_all = slice(*run.indices(count_frames(len(y), settings)))
        measured = measure_frames(y, {"pitch"}, longer, run_of_all)
    measured |= measure_frames(y, wanted, settings, run)
    if "pitch" in measured:
        measured["pitch"] = find_peaks(measured["pitch"])
    return measured


def finish(measured: Mapping[str, Any], families: Sequence[str], settings: FrameSettings) -> dict[str, Array]:
    """
    Make descriptors of what was measured: decibels relative to the clip's loudest frame, F0 near its speaker's.

    Parameters
    ----------
    measured : mapping of str to ndarray of shape (n_frames, n_values), or Peaks
        What `measure` gives, or a run of these frames.
    families : sequence of str
        Names out of ``FAMILIES``.
    settings : FrameSettings
        Framing and filterbanks.

    Returns
    -------
    dict of str to ndarray of shape (n_frames, n_descriptors of the family), float32
        As `describe` gives them.
    """
    known = dict(measured)
    if "pitch" in known:
        known["pitch"] = track_pitch(known["pitch"])
    if {"mfcc", "log_mel"} & {*families}:
        known["log_mel"] = power_to_db(known["mel"])
    return {family: _finish(family, known, settings) for family in families}


def _finish(family: str, known: Mapping[str, Any], settings: FrameSettings) -> Array:
    """Make one family."""
    if family == "mfcc":
        return known["log_mel"] @ cosine_matrix(settings.n_mels, settings.n_mfcc)
    if family == "log_rms":
        return power_to_db(known["rms"] ** 2)
    if family == "contrast":
        n_bands = known["contrast"].shape[1] // 2
        return power_to_db(known["contrast"][:, :n_bands]) - power_to_db(known["contrast"][:, n_bands:])
    if family == "log_f0":
        return np.float32(12.0) * np.log2(np.maximum(known["pitch"][:, :1] / np.float32(_SEMITONE_ZERO), 1.0))
    if family in ("f0", "voicing"):
        column = ("f0", "voicing").index(family)
        return known["pitch"][:, column : column + 1]
    return known[family]


def estimate_tuning(y: Array, settings: FrameSettings) -> float:
    """
    Ask librosa how far a clip is off A440; it costs more than all the rest, and is only asked for by ``tuning=None``.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        One clip at ``settings.sr`` Hz.
    settings : FrameSettings
        Framing and number of pitch classes.

    Returns
    -------
    float
        Deviation in fractions of a chroma bin, as in ``librosa.estimate_tuning``.
    """
    import librosa

    with warnings.catch_warnings():  # that a clip is short, or has no pitch to tune to (then 0): both are legal here
        warnings.simplefilter("ignore", UserWarning)
        power = np.abs(librosa.stft(y, n_fft=settings.n_fft, hop_length=settings.hop_length)) ** 2
        return float(librosa.estimate_tuning(S=power, sr=settings.sr, bins_per_octave=settings.n_chroma))


def descriptor_names(families: Sequence[str], settings: FrameSettings) -> dict[str, list[str]]:
    """
    Name the descriptors of each family.

    Parameters
    ----------
    families : sequence of str
        Names out of ``FAMILIES``.
    settings : FrameSettings
        Where the numbers of coefficients and bands come from.

    Returns
    -------
    dict of str to list of str
        For instance ``{"mfcc": ["mfcc_1", "mfcc_2", ...], "rms": ["rms"]}``.
    """
    sizes = {
        "mfcc": settings.n_mfcc,
        "chroma": settings.n_chroma,
        "mel": settings.n_mels,
        "log_mel": settings.n_mels,
        "contrast": len(contrast_bands(settings)),
    }
    return {f: [f"{f}_{i + 1}" for i in range(sizes[f])] if f in sizes else [f] for f in families}
