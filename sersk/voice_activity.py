"""Waveform -> how much of it is speech, as it comes in."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft

from .descriptors import pitch_frame_length
from .filterbanks import Array, FrameSettings
from .pitch import VOICED, Peaks, count_pitch_bins, find_peaks, join_peaks, periodicity, track_pitch

Mask = npt.NDArray[np.bool_]

# Frames of about 64 ms overlap by half. The numbers below were chosen on EmoDB, with noise added, and tried on RAVDESS
# and TESS (benchmarks/bench_timeline.py).
# Power is weighted by frequency, and below this none: rumble, an offset and most noise are strong there, where a little
# of them looks periodic; of a voice enough is left above.
_LOWEST = 70.0  # Hz
_FLOOR = 10 ** (-70 / 20)  # full scale is 1; nobody who speaks into a microphone is so quiet
_SHORTEST = 2  # voiced frames in a row; a single one is chance
# So many voiced frames after each other whose F0 stays within so many semitones are hum or a dial tone.
_STEADY, _STEADY_SEMITONES = 15, 0.4
_REACH = 6  # frames before and after voiced ones that count as speech, too: consonants, and what is between syllables
_BLOCK = 256

NO_SPEECH = "no speech"  # why a clip or a window has no emotion
CLIP_WINDOW = 3.0  # seconds; of a longer clip those that hold most speech count


class VoiceActivity:
    """
    Tell how much of any stretch of a recording is speech, while the recording comes in.

    Speech is where there is a voice, and shortly before and after: frames that are periodic, not next to silent, and
    whose pitch moves. Noise is not periodic, and hum and tones do not move. A whisper is missed; music, and voices in
    the background, pass for speech.

    Parameters
    ----------
    sr : int
        Sampling rate in Hz of what comes in.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.voice_activity import VoiceActivity
    >>> time = np.arange(32000) / 16000
    >>> glide = np.sin(2 * np.pi * 150 * time * (1 + time / 4))
    >>> activity = VoiceActivity(sr=16000)
    >>> activity.add(np.concatenate([glide, np.sin(2 * np.pi * 150 * time)]))
    >>> [round(activity.share(start, start + 32000), 1) for start in (0, 32000)]
    [1.0, 0.0]
    """

    def __init__(self, sr: int) -> None:
        self._sr = sr
        self._window, self._weight = _window_and_weight(sr)
        self._n_frame = len(self._window)
        self._hop = self._n_frame // 2
        self._waiting = np.zeros(0, dtype=np.float32)  # what the next frame begins with
        self._first = 0  # number of the first frame that is kept
        self._kept: list[tuple[Peaks, Array]] = []

    def add(self, piece: npt.ArrayLike) -> None:
        """
        Take what comes next.

        Parameters
        ----------
        piece : array-like of shape (n_samples,)
            The samples that follow those of the call before.
        """
        waiting = np.concatenate([self._waiting, np.asarray(piece, dtype=np.float32)])
        n_frames = max(len(waiting) // self._hop - 1, 0)
        for first in range(0, n_frames, _BLOCK):
            some = waiting[first * self._hop : (min(first + _BLOCK, n_frames) + 1) * self._hop]
            frames = np.lib.stride_tricks.sliding_window_view(some, self._n_frame)[:: self._hop]
            spectrum = scipy.fft.rfft(frames * self._window, overwrite_x=True)[:, : len(self._weight)]
            power = (np.square(spectrum.real) + np.square(spectrum.imag)) * self._weight
            level = np.sqrt(np.einsum("ij,ij->i", frames, frames) / np.float32(self._n_frame))
            self._kept.append((find_peaks(periodicity(power, self._sr, self._n_frame)), level))
        self._waiting = waiting[n_frames * self._hop :]

    def share(self, start: int, stop: int) -> float:
        """
        Tell how much of a stretch is speech.

        Parameters
        ----------
        start, stop : int
            Where it begins and ends, in samples from the start of the recording; not forgotten, and added already.

        Returns
        -------
        float
            From 0 to 1; 0 where the stretch is shorter than a frame.
        """
        found = self._find(start, stop)
        return float(found.mean()) if len(found) else 0.0

    def _find(self, start: int, stop: int) -> Mask:
        """Find the frames of a stretch that are speech."""
        first, end = -(-start // self._hop), (stop - self._n_frame) // self._hop + 1
        if end <= first:
            return np.zeros(0, dtype=bool)
        peaks, level = self._join()
        frames = slice(first - self._first, end - self._first)
        return speech_frames(peaks[frames], level[frames])

    def forget(self, before: int) -> None:
        """
        Drop what will not be asked for any more.

        Parameters
        ----------
        before : int
            No stretch to come begins before this sample.
        """
        n_old = before // self._hop - self._first
        if n_old > 0 and self._kept:
            peaks, level = self._join()
            self._kept = [(peaks[n_old:], level[n_old:])]
            self._first += n_old

    def _join(self) -> tuple[Peaks, Array]:
        """Give what was measured of all frames that are kept."""
        if len(self._kept) > 1:
            peaks, levels = zip(*self._kept, strict=True)
            self._kept = [(join_peaks(peaks), np.concatenate(levels))]
        return self._kept[0]


@lru_cache(maxsize=8)
def _window_and_weight(sr: int) -> tuple[Array, Array]:
    """Make the window of a frame, and what its power is weighted by."""
    n_frame = pitch_frame_length(FrameSettings(sr=sr))
    window = 0.5 - 0.5 * np.cos(2 * np.pi / n_frame * np.arange(n_frame))
    frequencies = np.fft.rfftfreq(n_frame, 1 / sr)[: count_pitch_bins(sr, n_frame)]
    weight = np.where(frequencies < _LOWEST, 0.0, frequencies / 1000)
    return window.astype(np.float32), weight.astype(np.float32)


def measure_speech(waveform: Array, sr: int) -> tuple[float, float]:
    """
    Compute how much of a clip is speech.

    Parameters
    ----------
    waveform : ndarray of shape (n_samples,)
        The clip.
    sr : int
        Its sampling rate in Hz.

    Returns
    -------
    share : float
        Of the clip, from 0 to 1.
    densest : float
        The same of the `CLIP_WINDOW` that hold most speech; of the clip where it is not longer.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk.voice_activity import measure_speech
    >>> time = np.arange(48000) / 16000
    >>> glide = np.sin(2 * np.pi * 150 * time * (1 + time / 4))
    >>> [round(share, 1) for share in measure_speech(np.concatenate([np.zeros(160000), glide]), 16000)]
    [0.2, 1.0]
    """
    activity = VoiceActivity(sr)
    activity.add(waveform)
    found = activity._find(0, len(waveform))
    if not len(found):
        return 0.0, 0.0
    n_frames = min((round(CLIP_WINDOW * sr) - activity._n_frame) // activity._hop + 1, len(found))
    counts = np.concatenate([[0], np.cumsum(found)])
    densest = (counts[n_frames:] - counts[: len(counts) - n_frames]).max() / n_frames
    return float(found.mean()), float(densest)


def speech_frames(peaks: Peaks, level: Array) -> Mask:
    """
    Tell the frames that are speech.

    Parameters
    ----------
    peaks : Peaks
        What `sersk.pitch.find_peaks` gives, for frames of about 64 ms that overlap by half.
    level : ndarray of shape (n_frames,)
        Root mean square of each.

    Returns
    -------
    ndarray of shape (n_frames,), bool
        Voices, and what is close to them.
    """
    f0, voicing = track_pitch(peaks).T
    voiced: Mask = (voicing > VOICED) & (level > _FLOOR)
    steady = _steady(voiced, 12 * np.log2(np.maximum(f0, 1)))
    return _near(_in_runs(voiced & ~steady, _SHORTEST), _REACH)


def _steady(voiced: Mask, semitones: Array) -> Mask:
    """Find voiced frames among which F0 stays where it is, whatever is between them."""
    found = voiced.copy()
    pitch = semitones[voiced]
    if len(pitch) < _STEADY:
        found[:] = False
        return found
    n_runs = len(pitch) - _STEADY + 1
    runs = np.lib.stride_tricks.sliding_window_view(pitch, n_runs)  # a column each
    found[voiced] = _cover(runs.max(axis=0) - runs.min(axis=0) < _STEADY_SEMITONES, _STEADY)
    return found


def _in_runs(mask: Mask, shortest: int) -> Mask:
    """Keep what is true so many times in a row."""
    return _cover(_begins(mask, shortest), shortest)[: len(mask)]


def _begins(mask: Mask, length: int) -> Mask:
    """Tell where a run of that length begins, which is all true."""
    return np.convolve(mask, np.ones(length), "valid") > length - 0.5


def _cover(begins: Mask, length: int) -> Mask:
    """Mark the frames of runs of one length, by where these begin."""
    return np.convolve(begins, np.ones(length)) > 0.5


def _near(mask: Mask, reach: int) -> Mask:
    """Mark what is no further than so many frames from what is true."""
    return _cover(mask, 2 * reach + 1)[reach : reach + len(mask)]
