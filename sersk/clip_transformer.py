"""Parameters -> estimator: what the transformers of clips share."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_memory

from .audio import AudioError
from .clips import Clips, check_clips
from .extraction import extract
from .filterbanks import Array, FrameSettings
from .recipes import Recipe

NAMES: list[Any] = [list, tuple, np.ndarray]  # in order, as the columns are: no set


# These are kept: checking parameters and naming columns takes a good part of a clip's time, and often there is but one.
@functools.lru_cache(maxsize=32)
def make_recipe(kind: type[Recipe], **fields: Any) -> Any:
    """
    Make a recipe, or find the one that was made of the same.

    Parameters
    ----------
    kind : type
        Of the recipe.
    **fields : dict
        Its fields.

    Returns
    -------
    Recipe
        The recipe.
    """
    return kind(**fields)


@functools.lru_cache(maxsize=32)
def column_names(recipe: Recipe) -> tuple[str, ...]:
    """
    Name the columns that a recipe gives.

    Parameters
    ----------
    recipe : Recipe
        What is computed.

    Returns
    -------
    tuple of str
        One name a column.
    """
    return tuple(recipe.names())


@functools.lru_cache(maxsize=32, typed=True)
def _check_values(kind: type[ClipTransformer], *values: Any) -> None:
    kind(**dict(zip(kind._parameter_constraints, values, strict=True)))._validate_params()


class ClipTransformer(TransformerMixin, BaseEstimator, ABC):
    """Keep the parameters of framing and of work; nothing is learned from clips."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "descriptors": NAMES,
        "deltas": [Interval(Integral, 0, 2, closed="both")],
        "sr": [Interval(Integral, 1000, None, closed="left")],
        "n_fft": [Interval(Integral, 16, None, closed="left")],
        "hop_length": [Interval(Integral, 1, None, closed="left")],
        "n_mfcc": [Interval(Integral, 1, None, closed="left")],
        "n_mels": [Interval(Integral, 1, None, closed="left")],
        "n_chroma": [Interval(Integral, 1, None, closed="left")],
        "fmin": [Interval(Real, 0, None, closed="left")],
        "fmax": [Interval(Real, 0, None, closed="neither"), None],
        "tuning": [Interval(Real, -0.5, 0.5, closed="both"), None],
        "offset": [Interval(Real, 0, None, closed="left")],
        "duration": [Interval(Real, 0, None, closed="neither"), None],
        "n_jobs": [Integral, None],
        "memory": [str, HasMethods(["cache"]), None],
        "on_error": [StrOptions({"raise", "skip", "nan"})],
        "verbose": ["verbose"],
    }

    @abstractmethod
    def _recipe(self) -> Recipe:
        """Check the parameters that must fit each other, and say what they come to."""

    def _framing(self) -> dict[str, Any]:
        """Gather the fields that all recipes have, as plain Python values: equal parameters share a cache entry."""
        whole = {
            name: int(getattr(self, name)) for name in ("sr", "n_fft", "hop_length", "n_mfcc", "n_mels", "n_chroma")
        }
        real = {
            name: None if (value := getattr(self, name)) is None else float(value)
            for name in ("fmin", "fmax", "tuning", "offset", "duration")
        }
        return {
            "offset": real.pop("offset"),
            "duration": real.pop("duration"),
            "settings": FrameSettings(**whole, **real),  # type: ignore[arg-type]  # fmin is never None
            "descriptors": tuple(map(str, self.descriptors)),
            "deltas": int(self.deltas),
        }

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Clips, y: object = None) -> Self:
        """
        Check the parameters; nothing is learned.

        Parameters
        ----------
        X : clips
            Not opened.
        y : None
            Ignored.

        Returns
        -------
        self
            The transformer.
        """
        self._check(X, all_finite=self.on_error == "raise")
        return self

    def _check(self, X: Clips, all_finite: bool) -> tuple[Sequence[Any], Any]:
        """Give the clips, and what is to be computed of each."""
        self._check_parameters()
        recipe = self._recipe()
        return check_clips(X, all_finite=all_finite), recipe

    def _check_parameters(self) -> None:
        """Do what scikit-learn does of it, once for equal parameters: there is no `fit` that would have done so."""
        values = [getattr(self, name) for name in self._parameter_constraints]
        try:
            _check_values(type(self), *values)
        except TypeError:  # lists cannot be looked up; the error for wrong parameters is of this type, too
            self._validate_params()

    @abstractmethod
    def _rows(
        self, X: Clips, fail_fast: bool, speech: list[tuple[float, float]] | None = None
    ) -> tuple[Array, list[tuple[int, AudioError]]]:
        """Compute what `extract` gives; how much of each clip is speech is appended to `speech`."""

    def _extract(
        self, clips: Sequence[Any], recipe: Recipe, fail_fast: bool, speech: list[tuple[float, float]] | None
    ) -> Iterator[Array | AudioError]:
        memory = self.memory
        if memory is not None:  # as an absolute path: workers may be in another folder
            memory = check_memory(str(Path(memory).absolute()) if isinstance(memory, str) else memory)
        settings = {"n_jobs": self.n_jobs, "memory": memory, "verbose": int(self.verbose)}
        results = extract(clips, recipe, fail_fast=fail_fast, with_speech=speech is not None, **settings)
        if speech is None:
            yield from results
            return
        for result in results:
            row, shares = (result, (np.nan, np.nan)) if isinstance(result, AudioError) else result
            speech.append(shares)
            yield row

    def extract(self, X: Clips, *, return_speech: bool = False) -> Any:
        """
        Do what `transform` does, and tell apart the clips that fail; `on_error` does not matter here.

        Parameters
        ----------
        X : clips
            List of paths or waveforms, or array of shape (n_clips, n_samples).
        return_speech : bool, default=False
            Whether to find out how much of each clip is speech, too, of the same waveform.

        Returns
        -------
        rows : ndarray of shape (n_clips, ...), float32
            What `transform` gives; NaN where a clip failed.
        failures : list of (int, AudioError)
            Index of every clip that failed, and what is wrong with it.
        speech : ndarray of shape (n_clips, 2)
            With `return_speech` only: how much of the clip is speech, from 0 to 1, and how much of its 3 s that hold
            most; NaN where a clip failed.
        """
        speech: list[tuple[float, float]] | None = [] if return_speech else None
        rows, failures = self._rows(X, False, speech)
        return (rows, failures, np.array(speech)) if return_speech else (rows, failures)

    def get_feature_names_out(self, input_features: object = None) -> npt.NDArray[np.object_]:
        """
        Name the columns; they depend on the parameters only.

        Parameters
        ----------
        input_features : None
            Ignored: clips have no named columns.

        Returns
        -------
        ndarray of str objects
            One name a column.
        """
        self._check_parameters()
        return np.array(column_names(self._recipe()), dtype=object)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
