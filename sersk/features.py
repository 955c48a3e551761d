"""Clips -> vectors: the scikit-learn transformer for everything that takes a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._set_output import _get_output_config

from .audio import AudioError
from .clip_transformer import NAMES, ClipTransformer, column_names, make_recipe
from .clip_values import CLIP_VALUES
from .clips import Clips
from .extraction import stack_rows, warn_of_failures
from .filterbanks import Array
from .recipes import PRESETS, VectorRecipe


class AcousticFeatures(ClipTransformer):
    """
    Describe every clip by one vector of fixed length.

    Frames are described by their spectrum, level and pitch (the descriptors), and each descriptor by its statistics
    over the clip (the functionals); openSMILE's two levels (Eyben 2016, doi 10.1007/978-3-319-27299-3), with librosa's
    definitions and numbers. The vector of a clip depends on that clip and the parameters only.

    Parameters
    ----------
    descriptors : sequence of str, default=all but mel, log_mel, rms and f0
        Families out of "mfcc", "chroma", "mel", "log_mel", "rms", "log_rms", "zcr", "centroid", "bandwidth", "rolloff",
        "flatness", "flux", "contrast", "f0", "log_f0", "voicing". F0 is taken over voiced frames whatever the regions.
    functionals : sequence of str, default=("mean", "std", "p5", "p50", "p95", "slope")
        Out of "mean", "std", "min", "max", "range", "iqr", "skewness", "kurtosis", "slope" (per second), "p1" to "p99".
    deltas : {0, 1, 2}, default=1
        Whether functionals are also taken of the first, and of the second deltas.
    regions : sequence of {"all", "active", "voiced"}, default=("active", "voiced")
        Frames over which functionals are taken: all, those within 40 dB of the loudest, or the periodic ones of these
        (in a clip without any: those within 40 dB).
    clip_values : sequence of str, default=all of them
        Values of the whole clip out of "timing" (duration, voiced and pause ratio, speech rate), "band_covariance",
        "band_delta_covariance", "mfcc_covariance" (matrix logarithms), "thirds" (the course of spectrum and pitch) and
        "modulation" (spectrum of the fluctuation of 16 bands).
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
        Cache folder. A clip's vector is found again by the clip's bytes and the parameters, whatever its path.
    on_error : {"raise", "skip", "nan"}, default="raise"
        What becomes of a clip that cannot be read: an `AudioError`, no row, or a row of NaN. The last two warn with
        the list of such clips; `extract` gives it to programs.
    verbose : int, default=0
        Progress bar on stderr if positive.

    See Also
    --------
    FrameSequences : The descriptors themselves, for sequence models.

    Notes
    -----
    Clips are a list or 1-D array of paths, a list of 1-D waveforms at `sr` (of any lengths), or a 2-D array whose rows
    are waveforms; binary file objects and (waveform, sr) pairs may stand in a list, too. Integers are scaled to
    [-1, 1] by the range of their type.

    Unless `regions` has "all", silence before and after speech is not looked at, since nothing but the duration
    depends on it; that saves much of the work where clips begin and end with pauses.

    The columns depend on the parameters only, so that there is no `n_features_in_`: clips are of any length.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk import AcousticFeatures
    >>> tone = np.sin(2 * np.pi * 150 * np.arange(16000) / 16000)
    >>> features = AcousticFeatures(("mfcc", "log_f0"), functionals=("mean",), deltas=0, clip_values=())
    >>> features.fit_transform([tone, tone[:8000]]).shape
    (2, 41)
    >>> features.get_feature_names_out()[[0, 20, 40]].tolist()
    ['mfcc_1_active_mean', 'mfcc_1_voiced_mean', 'log_f0_mean']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ClipTransformer._parameter_constraints,
        "functionals": NAMES,
        "regions": NAMES,
        "clip_values": NAMES,
    }

    def __init__(
        self,
        descriptors: Sequence[str] = (
            "mfcc", "chroma", "log_rms", "zcr", "centroid", "bandwidth", "rolloff", "flatness", "flux",
            "contrast", "voicing", "log_f0",
        ),
        *,
        functionals: Sequence[str] = ("mean", "std", "p5", "p50", "p95", "slope"),
        deltas: int = 1,
        regions: Sequence[str] = ("active", "voiced"),
        clip_values: Sequence[str] = tuple(CLIP_VALUES),
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
    ) -> None:  # fmt: skip
        self.descriptors = descriptors
        self.functionals = functionals
        self.deltas = deltas
        self.regions = regions
        self.clip_values = clip_values
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

    @classmethod
    def from_preset(cls, name: str = "default", **parameters: Any) -> Self:
        """
        Make a named feature set.

        Parameters
        ----------
        name : {"default", "means-180", "mfcc-40", "mfcc-58"}
            The general set; the means of 40 MFCC, 12 chroma and 128 mel bands that many notebooks use (librosa's
            defaults with ``tuning=0.0``); the means of 40 or 58 MFCC over 3 s from 0.5 s on.
        **parameters : dict
            Parameters to set besides, such as `n_jobs`.

        Returns
        -------
        AcousticFeatures
            The transformer.

        Raises
        ------
        ValueError
            If there is no such preset.
        """
        if name not in PRESETS:
            raise ValueError(f"There is no preset {name!r}; choose one of {', '.join(PRESETS)}.")
        return cls(**(PRESETS[name] | parameters))

    def _recipe(self) -> VectorRecipe:
        return make_recipe(
            VectorRecipe,
            functionals=tuple(map(str, self.functionals)),
            regions=tuple(map(str, self.regions)),
            clip_values=tuple(map(str, self.clip_values)),
            **self._framing(),
        )

    def _rows(
        self, X: Clips, fail_fast: bool, speech: list[tuple[float, float]] | None = None
    ) -> tuple[Array, list[tuple[int, AudioError]]]:
        clips, recipe = self._check(X, all_finite=fail_fast)
        return stack_rows(self._extract(clips, recipe, fail_fast, speech), len(clips), len(column_names(recipe)))

    def transform(self, X: Clips) -> Any:
        """
        Compute the vectors of clips.

        Parameters
        ----------
        X : clips
            List of paths or waveforms, or array of shape (n_clips, n_samples).

        Returns
        -------
        ndarray of shape (n_clips, n_features), float32
            One row a clip; without those that failed if ``on_error="skip"``.

        Raises
        ------
        AudioError
            If a clip cannot be read and ``on_error="raise"``.
        """
        vectors, failures = self._rows(X, fail_fast=self.on_error == "raise")
        warn_of_failures(failures, self.on_error, len(vectors))
        gone = [index for index, _ in failures] if self.on_error == "skip" else []
        kept = np.delete(vectors, gone, axis=0) if gone else vectors
        if hasattr(X, "iloc") and _get_output_config("transform", self)["dense"] == "pandas":
            import pandas as pd

            # scikit-learn would give the table X's whole index, skipped clips included (1.7.0: none of a Series').
            return pd.DataFrame(kept, index=X.index.delete(gone))
        return kept
