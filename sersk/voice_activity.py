"""Waveform -> how much of it is speech, as it comes in."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .descriptors import finish, measure, pitch_frame_length
from .filterbanks import Array, FrameSettings
from .pitch import VOICED

Mask = npt.NDArray[np.bool_]

# Frames of about 64 ms overlap by half. The numbers below were chosen on EmoDB, with noise added, and tried on RAVDESS
# and TESS (benchmarks/bench_timeline.py).
_FLOOR = 10 ** (-70 / 20)  # full scale is 1; nobody who speaks into a microphone is so quiet
_SHORTEST = 2  # voiced frames in a row; a single one is chance
# So many voiced frames after each other whose F0 stays within so many semitones are hum or a dial tone.
_STEADY, _STEADY_SEMITONES = 15, 0.8
_REACH = 6  # frames before and after voiced ones that count as speech, too: consonants, and what is between syllables


class VoiceActivity:
    """
    Tell how much of any stretch of a recording is speech, while the recording comes in.

    Speech is where there is a voice, and shortly before and after: frames that are periodic, not next to silent, and
    whose pitch moves. Noise is not periodic, hum and tones do not move. What is far from the microphone, a whisper, and
    music are not told from speech as people do it.

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
        n_frame = pitch_frame_length(FrameSettings(sr=sr))
        self._settings = FrameSettings(sr=sr, n_fft=n_frame, hop_length=n_frame // 2)
        self._waiting = np.zeros(0, dtype=np.float32)  # what the next frame begins with
        self._first = 0  # number of the first frame that is kept
        self._measured: list[dict[str, Array]] = []

    def add(self, piece: npt.ArrayLike) -> None:
        """
        Take what comes next.

        Parameters
        ----------
        piece : array-like of shape (n_samples,)
            The samples that follow those of the call before.
        """
        waiting = np.concatenate([self._waiting, np.asarray(piece, dtype=np.float32)])
        n_frames = len(waiting) // self._settings.hop_length - 1
        if n_frames > 0:  # those that are whole: the first and the last of centred frames are not
            self._measured.append(measure(waiting, ("log_rms", "voicing"), self._settings, slice(1, 1 + n_frames)))
            waiting = waiting[n_frames * self._settings.hop_length :]
        self._waiting = waiting

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
        hop, n_frame = self._settings.hop_length, self._settings.n_fft
        first, end = -(-start // hop), (stop - n_frame) // hop + 1
        if end <= first:
            return 0.0
        kept = slice(first - self._first, end - self._first)
        measured = {name: values[kept] for name, values in self._join().items()}
        return float(speech_frames(measured, self._settings).mean())

    def forget(self, before: int) -> None:
        """
        Drop what will not be asked for any more.

        Parameters
        ----------
        before : int
            No stretch to come begins before this sample.
        """
        n_old = before // self._settings.hop_length - self._first
        if n_old > 0 and self._measured:
            self._measured = [{name: values[n_old:] for name, values in self._join().items()}]
            self._first += n_old

    def _join(self) -> dict[str, Array]:
        """Give what was measured of all frames that are kept."""
        if len(self._measured) > 1:
            parts = self._measured
            self._measured = [{name: np.concatenate([part[name] for part in parts]) for name in parts[0]}]
        return self._measured[0]


def speech_frames(measured: Mapping[str, Array], settings: FrameSettings) -> Mask:
    """
    Tell the frames that are speech.

    Parameters
    ----------
    measured : mapping of str to ndarray of shape (n_frames, n_values)
        What `sersk.descriptors.measure` gives for "log_rms" and "voicing".
    settings : FrameSettings
        Frames of about 64 ms that overlap by half.

    Returns
    -------
    ndarray of shape (n_frames,), bool
        Voices, and what is close to them.
    """
    finished = finish(measured, ("f0", "voicing"), settings)
    voiced: Mask = (finished["voicing"][:, 0] > VOICED) & (measured["rms"][:, 0] > _FLOOR)
    steady = _steady(voiced, 12 * np.log2(np.maximum(finished["f0"][:, 0], 1)))
    return _near(_in_runs(voiced & ~steady, _SHORTEST), _REACH)


def _steady(voiced: Mask, semitones: Array) -> Mask:
    """Find voiced frames among which F0 stays where it is, whatever is between them."""
    found = voiced.copy()
    pitch = semitones[voiced]
    if len(pitch) < _STEADY:
        found[:] = False
        return found
    runs = np.lib.stride_tricks.sliding_window_view(pitch, _STEADY)
    found[voiced] = _cover(runs.max(axis=1) - runs.min(axis=1) < _STEADY_SEMITONES, _STEADY)
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
