"""Features and frames -> the same on a comparable scale: of the training clips, or of each speaker by himself."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_consistent_length, check_is_fitted, validate_data

from .clips import speaker_names, unaltered_rows

Features = npt.NDArray[np.floating]
Frames = npt.NDArray[np.float32]


class SpeakerScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """
    Bring the features of every speaker to mean 0 and standard deviation 1.

    What remains is how a clip differs from the speaker's others, which says more of emotion than his voice does. A
    speaker is scaled by the clips of his that are given together; of a test speaker these are test clips. That needs
    none of their labels, but must be told beside a figure, and several clips of various emotions must be at hand. Where
    the speaker is unknown, or has fewer clips than `min_clips`, mean and standard deviation are those of the training
    clips. Altered copies (`sersk.ClipAugmenter`) are scaled among themselves, as if the speakers had been recorded so:
    unaltered clips are scaled in training as they are in use.

    Parameters
    ----------
    min_clips : int, default=5
        Clips that a speaker needs to be scaled by himself.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_features,)
        Of the training clips of all speakers together: mean, and standard deviation or 1 where that is 0.
    n_features_in_ : int
        Number of features.

    Notes
    -----
    Speakers reach it as ``groups``, in `fit` and in `transform`, and so in `predict` of a pipeline around it, by
    scikit-learn's metadata routing: ``sklearn.set_config(enable_metadata_routing=True)``. The scorers of scikit-learn
    1.7 do not hand them on to what predicts, so that its cross_val_score would scale test clips as the training clips;
    `sersk.evaluate` and `sersk.models.SpeakerSearch` do with every version.

    References
    ----------
    Busso et al. 2011, "Iterative feature normalization for emotional speech detection", doi
    10.1109/ICASSP.2011.5947652.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk import SpeakerScaler
    >>> X = np.array([[1.0], [3.0], [11.0], [13.0]])
    >>> SpeakerScaler(min_clips=2).fit_transform(X, groups=["ann", "ann", "bob", "bob"]).ravel()
    array([-1.,  1., -1.,  1.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"min_clips": [Interval(Integral, 2, None, closed="left")]}
    __metadata_request__fit: ClassVar[dict[str, Any]] = {"groups": True, "sources": True}
    __metadata_request__transform: ClassVar[dict[str, Any]] = {"groups": True}

    def __init__(self, *, min_clips: int = 5) -> None:
        self.min_clips = min_clips

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: npt.ArrayLike,
        y: object = None,
        groups: npt.ArrayLike | None = None,
        sources: npt.ArrayLike | None = None,
    ) -> Self:
        """
        Learn mean and standard deviation for unknown speakers.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.
        y : None
            Ignored.
        groups : array-like of shape (n_clips,), default=None
            Speakers, whose own figures are not learned: they are those of the clips to be scaled.
        sources : array-like of shape (n_clips,), default=None
            Which rows are altered copies, if any: k for clip k itself, ~k for a copy of it.

        Returns
        -------
        self
            The fitted scaler.
        """
        features: Features = validate_data(self, X, dtype=[np.float64, np.float32])
        check_consistent_length(features, groups, sources)
        self.mean_, self.scale_ = _mean_and_scale(features[unaltered_rows(len(features), sources)])
        return self

    def transform(self, X: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Features:
        """
        Scale each speaker's clips by what they have in common.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.
        groups : array-like of shape (n_clips,), default=None
            Speakers; None, NaN, NA or an empty name stand for one who is unknown.

        Returns
        -------
        ndarray of shape (n_clips, n_features)
            The same features on the other scale.
        """
        check_is_fitted(self)
        return self._scale(self._check(X, groups), groups, self.mean_, self.scale_)

    def fit_transform(
        self,
        X: npt.ArrayLike,
        y: object = None,
        groups: npt.ArrayLike | None = None,
        sources: npt.ArrayLike | None = None,
    ) -> Features:
        """
        Learn what unknown speakers are scaled by, and scale.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_features)
            Features.
        y : None
            Ignored.
        groups : array-like of shape (n_clips,), default=None
            Speakers.
        sources : array-like of shape (n_clips,), default=None
            Which rows are altered copies, if any: k for clip k itself, ~k for a copy of it.

        Returns
        -------
        ndarray of shape (n_clips, n_features)
            The same features on the other scale.
        """
        features: Features = self.fit(X, y, groups, sources)._check(X, groups)
        clips = unaltered_rows(len(features), sources)
        copies = np.setdiff1d(np.arange(len(features)), clips)
        scaled = np.empty_like(features)
        scaled[clips] = self._scale(features[clips], _take(groups, clips), self.mean_, self.scale_)
        if len(copies):
            scaled[copies] = self._scale(features[copies], _take(groups, copies), *_mean_and_scale(features[copies]))
        return scaled

    def _check(self, X: npt.ArrayLike, groups: npt.ArrayLike | None) -> Features:
        features: Features = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        check_consistent_length(features, groups)
        return features

    def _scale(self, X: Features, groups: npt.ArrayLike | None, mean: Features, scale: Features) -> Features:
        """Scale each speaker by himself, and by what is given those who are unknown or have few clips."""
        scaled: Features = (X - mean) / scale
        names = np.array([]) if groups is None else speaker_names(groups).astype(str)
        for speaker in np.unique(names[names != ""]):
            rows = names == speaker
            if np.count_nonzero(rows) >= self.min_clips:
                own_mean, own_scale = _mean_and_scale(X[rows])
                scaled[rows] = (X[rows] - own_mean) / own_scale
        return scaled

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _take(groups: npt.ArrayLike | None, rows: npt.NDArray[np.intp]) -> npt.NDArray[Any] | None:
    return None if groups is None else np.asarray(groups)[rows]


def _mean_and_scale(X: Features) -> tuple[Features, Features]:
    """Mean, and standard deviation or 1 where there is none but rounding."""
    mean = X.mean(axis=0, dtype=np.float64)
    spread = X.std(axis=0, dtype=np.float64)
    return mean.astype(X.dtype), _divisor(spread, mean, X.dtype).astype(X.dtype)


def _divisor(spread: Features, level: Features, dtype: Any) -> Features:
    """Give the spread, or 1 where it is no more than the rounding of values at that level, as StandardScaler does."""
    number = np.finfo(dtype)
    return np.where(spread > np.maximum(10 * number.eps * np.abs(level), number.tiny), spread, 1)


class FrameScaler(OneToOneFeatureMixin, TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """
    Bring the descriptors of padded frames to a common scale.

    scikit-learn's own scalers take tables only, and would take the padding for speech. Frames after the end of a clip
    are NaN, as `FrameSequences` leaves them: they count nowhere and stay as they are.

    Parameters
    ----------
    scope : {"corpus", "clip", "range"}, default="corpus"
        "corpus": mean 0 and standard deviation 1 of each descriptor over all frames of the clips given to `fit`.
        "clip": the same over the frames of each clip by itself, which takes the speaker's and the channel's average
        away, and with it what it says of emotion (level, mean pitch). "range": every clip from 0 to 1 by its own least
        and greatest value, as pictures are.

    Attributes
    ----------
    mean_, scale_ : ndarray of shape (n_descriptors,)
        With scope "corpus": what is subtracted, and divided by.
    n_features_in_ : int
        Number of descriptors.

    See Also
    --------
    FrameSequences : Gives such frames.

    Examples
    --------
    >>> import numpy as np
    >>> from sersk import FrameScaler
    >>> X = np.array([[[1.0], [3.0]], [[5.0], [np.nan]]])
    >>> FrameScaler().fit_transform(X)[..., 0]
    array([[-1.2247448,  0.       ],
           [ 1.2247448,        nan]], dtype=float32)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"scope": [StrOptions({"corpus", "clip", "range"})]}

    def __init__(self, scope: str = "corpus") -> None:
        self.scope = scope

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: npt.ArrayLike, y: object = None) -> Self:
        """
        Learn mean and standard deviation of each descriptor.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_frames, n_descriptors)
            Frames, NaN after the end of a clip.
        y : None
            Ignored.

        Returns
        -------
        self
            The fitted scaler.

        Raises
        ------
        ValueError
            If X has not three dimensions, holds infinity, or NaN in a part of a frame.
        """
        X = check_frames(X)
        self.n_features_in_ = X.shape[2]
        if self.scope == "corpus":
            valid = X[~np.isnan(X[..., 0])]
            if not len(valid):
                raise ValueError("Expected frames to learn from; every clip is padding from its start.")
            self.mean_, self.scale_ = _mean_and_scale(valid)
        return self

    def transform(self, X: npt.ArrayLike) -> Frames:
        """
        Scale frames.

        Parameters
        ----------
        X : array-like of shape (n_clips, n_frames, n_descriptors)
            Frames, NaN after the end of a clip.

        Returns
        -------
        ndarray of shape (n_clips, n_frames, n_descriptors), float32
            The same frames on the other scale.
        """
        check_is_fitted(self)
        X = check_frames(X)
        if X.shape[2] != getattr(self, "n_features_in_", X.shape[2]):
            raise ValueError(f"X has {X.shape[2]} descriptors, but FrameScaler was fitted with {self.n_features_in_}.")
        if self.scope == "corpus":
            return ((X - self.mean_) / self.scale_).astype(np.float32, copy=False)
        axes = 1 if self.scope == "clip" else (1, 2)
        padding = np.isnan(X)
        if self.scope == "clip":
            n_frames = np.maximum((~padding).sum(axis=axes, keepdims=True), 1)
            shift = np.where(padding, 0, X).sum(axis=axes, keepdims=True, dtype=np.float64) / n_frames
            centred = np.where(padding, 0, X - shift)
            spread = np.sqrt(np.square(centred).sum(axis=axes, keepdims=True) / n_frames)
        else:
            shift = np.where(padding, np.inf, X).min(axis=axes, keepdims=True, initial=np.inf)
            spread = np.where(padding, -np.inf, X).max(axis=axes, keepdims=True, initial=-np.inf) - shift
        scaled: Frames = ((X - shift) / _divisor(spread, shift, np.float32)).astype(np.float32)
        return scaled

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.requires_fit = self.scope == "corpus"
        return tags


def check_frames(X: npt.ArrayLike) -> Frames:
    """
    Accept padded frames, and refuse the rest with the cure.

    Parameters
    ----------
    X : array-like of shape (n_clips, n_frames, n_descriptors)
        Frames, NaN after the end of a clip.

    Returns
    -------
    ndarray of shape (n_clips, n_frames, n_descriptors), float32
        The same.

    Raises
    ------
    ValueError
        If X has not three dimensions, holds infinity, or NaN in a part of a frame or between frames.
    """
    frames: Frames = np.asarray(
        check_array(X, dtype=np.float32, allow_nd=True, ensure_2d=False, ensure_all_finite="allow-nan", input_name="X")
    )
    if frames.ndim != 3:
        raise ValueError(
            f"Expected frames of shape (n_clips, n_frames, n_descriptors), got an array of shape {frames.shape}; "
            "FrameSequences gives them."
        )
    missing = np.isnan(frames)
    padding: npt.NDArray[np.bool_] = np.asarray(missing.all(axis=2))
    odd = (missing.any(axis=2) != padding).any(axis=1) | (padding[:, :-1] & ~padding[:, 1:]).any(axis=1)
    if odd.any():
        raise ValueError(
            f"X[{np.flatnonzero(odd)[0]}]: NaN is for whole frames after the end of a clip, and stands elsewhere here."
        )
    return frames
