"""Clips -> padded sequences of frames: the scikit-learn transformer for models of sequences."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from .audio import AudioError
from .clip_transformer import ClipTransformer, column_names, make_recipe
from .clips import Clips
from .extraction import warn_of_failures
from .filterbanks import Array
from .recipes import SequenceRecipe


# Three dimensions are no table: there is no set_output.
class FrameSequences(ClipTransformer, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """
    Describe every clip by its frames, for models of sequences.

    Parameters
    ----------
    descriptors : sequence of str, default=("mfcc", "log_rms", "zcr", "flatness", "log_f0", "voicing")
        Families, as in `AcousticFeatures`.
    deltas : {0, 1, 2}, default=1
        Whether first, and second deltas are appended.
    max_frames : int, default=None
        Longer clips are cut and all clips padded to this length; None pads to the longest clip of the batch.
    padding : float, default=NaN
        Value of the frames after a clip's end. By NaN `FrameScaler` and `KerasSequenceClassifier` tell where it is.
    trim : bool, default=False
        Whether silence (40 dB below the loudest frame) before and after speech is left out.
    step : int, default=1
        How many frames are averaged into one, deltas included; the last one may have fewer.
    sr : int, default=16000
        Sampling rate in Hz that clips are brought to.
    n_fft : int, default=1024
        Length of a frame in samples.
    hop_length : int, default=256
        Step between frames in samples.
    n_mfcc : int, default=20
        Number of cepstral coefficients.
    n_mels : int, default=32
        Number of mel bands.
    n_chroma : int, default=12
        Number of pitch classes.
    fmin : float, default=0.0
        Lower edge of the mel bands in Hz.
    fmax : float, default=None
        Upper edge of the mel bands in Hz; None means sr / 2.
    tuning : float, default=0.0
        Deviation from A440 in chroma bins; None estimates it for each clip as librosa does, at several times the cost.
    offset : float, default=0.0
        Where a clip starts, in seconds.
    duration : float, default=None
        How much of a clip is used at the most, in seconds; None means all.
    n_jobs : int, default=None
        Number of parallel workers, by joblib.
    memory : str or joblib.Memory, default=None
        Cache folder, as in `AcousticFeatures`.
    on_error : {"raise", "skip", "nan"}, default="raise"
        What becomes of a clip that cannot be read, as in `AcousticFeatures`.
    verbose : int, default=0
        Progress bar on stderr if positive.

    See Also
    --------
    AcousticFeatures : One vector a clip.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk import FrameSequences
    >>> tone = np.sin(2 * np.pi * 150 * np.arange(16000) / 16000)
    >>> FrameSequences(("mfcc",), deltas=0).fit_transform([tone, tone[:8000]]).shape
    (2, 63, 20)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClipTransformer._parameter_constraints,
        "max_frames": [Interval(Integral, 1, None, closed="left"), None],
        "padding": [Real],
        "trim": ["boolean"],
        "step": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        descriptors: Sequence[str] = ("mfcc", "log_rms", "zcr", "flatness", "log_f0", "voicing"),
        *,
        deltas: int = 1,
        max_frames: int | None = None,
        padding: float = float("nan"),
        trim: bool = False,
        step: int = 1,
        sr: int = 16000,
        n_fft: int = 1024,
        hop_length: int = 256,
        n_mfcc: int = 20,
        n_mels: int = 32,
        n_chroma: int = 12,
        fmin: float = 0.0,
        fmax: float | None = None,
        tuning: float | None = 0.0,
        offset: float = 0.0,
        duration: float | None = None,
        n_jobs: int | None = None,
        memory: Any = None,
        on_error: str = "raise",
        verbose: int = 0,
    ) -> None:
        self.descriptors = descriptors
        self.deltas = deltas
        self.max_frames = max_frames
        self.padding = padding
        self.trim = trim
        self.step = step
        self.sr = sr
        self.n_fft = n_fft
        self.hop_length = hop_length
        self.n_mfcc = n_mfcc
        self.n_mels = n_mels
        self.n_chroma = n_chroma
        self.fmin = fmin
        self.fmax = fmax
        self.tuning = tuning
        self.offset = offset
        self.duration = duration
        self.n_jobs = n_jobs
        self.memory = memory
        self.on_error = on_error
        self.verbose = verbose

    def _recipe(self) -> SequenceRecipe:
        longest = None if self.max_frames is None else int(self.max_frames)
        return make_recipe(
            SequenceRecipe, max_frames=longest, trim=bool(self.trim), step=int(self.step), **self._framing()
        )

    def transform(self, X: Clips) -> Array:
        """
        Compute the frames of clips.

        Parameters
        ----------
        X : clips
            List of paths or waveforms, or array of shape (n_clips, n_samples).

        Returns
        -------
        ndarray of shape (n_clips, n_frames, n_descriptors), float32
            Frames, padded at their end.

        Raises
        ------
        AudioError
            If a clip cannot be read and ``on_error="raise"``.
        """
        sequences, failures = self._rows(X, fail_fast=self.on_error == "raise")
        warn_of_failures(failures, self.on_error, len(sequences))
        gone = [index for index, _ in failures] if self.on_error == "skip" else []
        return np.delete(sequences, gone, axis=0) if gone else sequences

    def _rows(
        self, X: Clips, fail_fast: bool, speech: list[tuple[float, float]] | None = None
    ) -> tuple[Array, list[tuple[int, AudioError]]]:
        clips, recipe = self._check(X, all_finite=fail_fast)
        rows = list(self._extract(clips, recipe, fail_fast, speech))
        failures = [(index, row) for index, row in enumerate(rows) if isinstance(row, AudioError)]
        n_frames = recipe.max_frames or max((len(row) for row in rows if not isinstance(row, AudioError)), default=0)
        out = np.full((len(rows), n_frames, len(column_names(recipe))), self.padding, dtype=np.float32)
        for sequence, row in zip(out, rows, strict=True):
            if isinstance(row, AudioError):
                sequence[:] = np.nan
            else:
                sequence[: len(row)] = row
        return out, failures
