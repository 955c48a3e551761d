"""Frames -> frames of comparable scale: what networks want, learned on training clips only."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin, _fit_context
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_array, check_is_fitted

Frames = npt.NDArray[np.float32]


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
            self.mean_ = valid.mean(axis=0, dtype=np.float64).astype(np.float32)
            spread = valid.std(axis=0, dtype=np.float64).astype(np.float32)
            self.scale_ = np.where(spread > 1e-6 * np.maximum(1, np.abs(self.mean_)), spread, np.float32(1))
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
            return (X - self.mean_) / self.scale_
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
        scaled: Frames = ((X - shift) / np.where(spread > 1e-6, spread, 1)).astype(np.float32)
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
