"""Classifier -> the same classifier, trained on altered copies of the clips as well."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, _fit_context, clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_consistent_length, validate_data

from sersk.augmentation import WAVEFORM_METHODS, alter_clips, count_frames, generator, mask_frames
from sersk.clips import Clips, check_clips, clip_numbers
from sersk.normalization import check_frames

from .decision import Delegates
from .folds import fit_with_speakers
from .rows import leave_out_weightless

MASKS = ("time_mask", "frequency_mask")
_LIMITS = {method: method for method in WAVEFORM_METHODS} | {"noise": "snr"}
_RATIOS = ("stretch", "speed")


class ClipAugmenter(Delegates, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """
    Train a classifier on altered copies of the clips besides the clips themselves.

    What is predicted and scored is never altered. A copy has the emotion, the speaker and the weight of its clip, and
    stays with it where training clips are split again. Whatever takes ``sources`` in `fit`, as calibration and scaling
    by speaker do, measures nothing on copies.

    Parameters
    ----------
    estimator : classifier
        To alter waveforms, a pipeline that begins with features of clips, such as `emotion_pipeline` gives; to mask
        frames, what takes these.
    methods : sequence of str, default=("noise", "pitch")
        One copy of each clip for each entry; an entry may stand twice. Of clips: "noise", "stretch", "pitch", "speed",
        "shift", "gain"; of frames: "time_mask", "frequency_mask".
    snr : (float, float), default=(10.0, 30.0)
        Limits of the signal-to-noise ratio of "noise" in dB, the noise being white and Gaussian.
    stretch : (float, float), default=(0.8, 1.25)
        Limits of the tempo, which leaves the pitch alone; above 1 is faster.
    pitch : (float, float), default=(-2.0, 2.0)
        Limits of the shift of pitch in semitones, which leaves the tempo alone.
    speed : (float, float), default=(0.85, 1.18)
        Limits of the speed, which changes tempo and pitch together; above 1 is faster.
    shift : (float, float), default=(-0.2, 0.2)
        Limits of the shift in time in seconds; above 0 is later. Zeros move in.
    gain : (float, float), default=(-6.0, 6.0)
        Limits of the gain in dB.
    time_mask : float, default=0.15
        Share of a clip's frames that are hidden at the most.
    frequency_mask : float, default=0.15
        Share of the descriptors that are hidden at the most.
    random_state : int, RandomState or None, default=None
        Seed. With an int, a clip gets the same copies wherever it stands, in every fold and with any number of workers.

    Attributes
    ----------
    estimator_ : classifier
        Fitted on clips and copies.
    classes_ : ndarray of shape (n_classes,)
        Emotions.
    n_features_in_ : int
        Number of features seen by `fit`, if the estimator tells it.

    Notes
    -----
    Copies are made when they are extracted, one at a time: no waveforms are kept. Stretch and pitch are librosa's phase
    vocoder, speed is soxr's resampler: both are here anyway, and draw nothing themselves. audiomentations was weighed.
    It offers more, but draws from the global generators of Python and numpy (0.43.1; its issue 362), so that what a
    clip gets would depend on the order of the clips and on the number of workers.

    Masks hide with the mean of each descriptor over the clip, which is what 0 is to the standardised frames of
    SpecAugment (Park et al. 2019, doi 10.21437/Interspeech.2019-2680).

    Examples
    --------
    >>> import numpy as np
    >>> from sersk import ClipAugmenter, emotion_pipeline
    >>> clips = [0.1 * np.random.RandomState(k).randn(4000) for k in range(8)]
    >>> model = ClipAugmenter(emotion_pipeline("lda"), methods=("noise", "gain"), random_state=0)
    >>> model.fit(clips, ["happy", "sad"] * 4, groups=[0, 0, 1, 1, 2, 2, 3, 3]).predict_proba(clips[:2]).shape
    (2, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "methods": [list, tuple],
        "snr": [list, tuple],
        "stretch": [list, tuple],
        "pitch": [list, tuple],
        "speed": [list, tuple],
        "shift": [list, tuple],
        "gain": [list, tuple],
        "time_mask": [Interval(Real, 0, 1, closed="both")],
        "frequency_mask": [Interval(Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
    }
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": True, "sources": True}

    def __init__(
        self,
        estimator: Any,
        methods: Sequence[str] = ("noise", "pitch"),
        *,
        snr: tuple[float, float] = (10.0, 30.0),
        stretch: tuple[float, float] = (0.8, 1.25),
        pitch: tuple[float, float] = (-2.0, 2.0),
        speed: tuple[float, float] = (0.85, 1.18),
        shift: tuple[float, float] = (-0.2, 0.2),
        gain: tuple[float, float] = (-6.0, 6.0),
        time_mask: float = 0.15,
        frequency_mask: float = 0.15,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.methods = methods
        self.snr = snr
        self.stretch = stretch
        self.pitch = pitch
        self.speed = speed
        self.shift = shift
        self.gain = gain
        self.time_mask = time_mask
        self.frequency_mask = frequency_mask
        self.random_state = random_state

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Clips,
        y: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        sources: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> Self:
        """
        Fit the classifier on clips and copies.

        Parameters
        ----------
        X : clips, or array of shape (n_clips, n_frames, n_descriptors)
            What the estimator takes.
        y : array-like of shape (n_clips,)
            Emotions.
        groups : array-like of shape (n_clips,), default=None
            Speakers.
        sources : array-like of shape (n_clips,), default=None
            Which of them are altered copies already, if any: k for clip k itself, ~k for a copy of it.
        sample_weight : array-like of shape (n_clips,), default=None
            Weights of the clips, for an estimator that takes them.

        Returns
        -------
        self
            The fitted classifier.

        Raises
        ------
        ValueError
            If the methods do not fit X or the estimator.
        TypeError
            If there are weights, and the estimator takes none.
        """
        y = np.asarray(validate_data(self, y=y))  # X is the estimator's affair: it may be clips
        check_classification_targets(y)
        check_consistent_length(X, y, groups, sources)
        weight, y, X, groups, sources = leave_out_weightless(sample_weight, y, X, groups, sources)
        rows, made_of = self.with_copies(X)
        clip = clip_numbers(made_of)
        own = np.arange(len(y)) if sources is None else np.asarray(sources)
        self.estimator_ = fit_with_speakers(
            clone(self.estimator),
            rows,
            y[clip],
            None if groups is None else np.asarray(groups)[clip],
            sources=np.where(made_of < 0, ~clip_numbers(own)[clip], own[clip]),
            sample_weight=None if weight is None else weight[clip],
        )
        self.classes_ = self.estimator_.classes_
        return self

    def alter(self, X: Clips) -> list[Any]:
        """
        Alter every clip once for each method.

        Parameters
        ----------
        X : clips, or array of shape (n_clips, n_frames, n_descriptors)
            Not changed.

        Returns
        -------
        list
            For each method, altered clips in the order of X: a list that any transformer of clips takes, or an array of
            frames.
        """
        return self._alter(self._check(X))

    def with_copies(self, X: Clips) -> tuple[Any, npt.NDArray[np.intp]]:
        """
        Put the altered clips behind the clips.

        Parameters
        ----------
        X : clips, or array of shape (n_clips, n_frames, n_descriptors)
            Not changed.

        Returns
        -------
        X : list or array
            All clips, then all copies by the first method, and so on.
        sources : ndarray of int
            Number k of a clip itself, ~k of a copy of it.
        """
        X = self._check(X)
        parts = [X, *self._alter(X)]
        clips = np.arange(_num_samples(X))
        sources = np.concatenate([clips, np.tile(~clips, len(parts) - 1)])
        if len(parts) == 1:
            return X, sources
        return np.concatenate(parts) if _are_frames(X) else [clip for part in parts for clip in part], sources

    def _check(self, X: Clips) -> Any:
        """Give the clips, or the frames, if the methods are for them and the estimator can take what comes of them."""
        self._validate_params()
        for method, name in _LIMITS.items():
            _check_limits(name, getattr(self, name), positive=method in _RATIOS)
        unknown = [method for method in self.methods if method not in (*WAVEFORM_METHODS, *MASKS)]
        if unknown:
            known = ", ".join((*WAVEFORM_METHODS, *MASKS))
            raise ValueError(f"methods: expected names out of {known}; unknown: {', '.join(map(repr, unknown))}.")
        if not self.methods:
            return X
        of_clips = ", ".join(repr(method) for method in self.methods if method in WAVEFORM_METHODS)
        of_frames = ", ".join(repr(method) for method in self.methods if method in MASKS)
        got = f"an array of shape {X.shape}" if hasattr(X, "shape") else f"a {type(X).__name__}"
        if of_clips and of_frames:
            raise ValueError(
                f"{of_clips} alter clips and {of_frames} frames: use an augmenter for each. "
                "ClipAugmenter(make_pipeline(FrameSequences(), ClipAugmenter(network, masks)), methods)"
            )
        if of_frames:
            if not _are_frames(X):
                raise ValueError(
                    f"{of_frames} alter frames: expected an array of shape (n_clips, n_frames, n_descriptors), got "
                    f"{got}. Put the augmenter behind the frames: make_pipeline(FrameSequences(), ClipAugmenter(...))."
                )
            return check_frames(X)
        if _are_frames(X):
            raise ValueError(f"{of_clips} alter clips: expected paths or waveforms, got {got}. Frames take {MASKS}.")
        if not takes_clips(self.estimator):
            raise ValueError(
                f"{of_clips} alter clips, and {type(self.estimator).__name__} takes none: no step of it has a sampling "
                "rate `sr`. Put the augmenter around the whole pipeline, features included: "
                "ClipAugmenter(emotion_pipeline(...))."
            )
        return check_clips(X, all_finite=False)  # a clip that cannot be read is the features' affair

    def _alter(self, X: Any) -> list[Any]:
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        used: Counter[str] = Counter()
        altered: list[Any] = []
        for method in self.methods:
            copy = used[method]
            used[method] += 1
            if method in WAVEFORM_METHODS:
                low, high = getattr(self, _LIMITS[method])
                altered.append(alter_clips(X, method, (float(low), float(high)), seed, copy))
            else:
                shares = (self.time_mask, 0.0) if method == "time_mask" else (0.0, self.frequency_mask)
                altered.append(_mask_clips(X, method, shares, seed, copy))
        return altered


def takes_clips(model: Any) -> bool:
    """
    Tell whether an estimator takes clips: a part of it has a sampling rate then.

    Parameters
    ----------
    model : estimator
        Fitted or not.

    Returns
    -------
    bool
        Whether it, or what it is made of, has a parameter ``sr``.
    """
    return any(name.rpartition("__")[2] == "sr" for name in model.get_params())


def _mask_clips(X: Any, method: str, shares: tuple[float, float], seed: int, copy: int) -> Any:
    """Mask each clip; what is drawn depends on its frames, but not on how far it is padded."""
    masked = np.empty_like(X)
    for out, frames in zip(masked, X, strict=True):
        random = generator(seed, method, copy, frames[: count_frames(frames)])
        out[:] = mask_frames(frames, random, *shares, fill=None)
    return masked


def _check_limits(name: str, limits: Sequence[Any], positive: bool) -> None:
    lowest = 0.0 if positive else -np.inf
    numbers = len(limits) == 2 and all(isinstance(limit, Real) for limit in limits)
    if not (numbers and lowest < limits[0] <= limits[1] < np.inf):
        wanted = "two numbers above 0" if positive else "two numbers"
        raise ValueError(f"{name}: expected {wanted}, the lower one first, got {limits!r}.")


def _are_frames(X: Any) -> bool:
    return getattr(X, "ndim", 0) == 3
