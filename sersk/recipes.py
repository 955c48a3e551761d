"""Waveform -> vector, or frames: what the transformers' parameters come to for one clip."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .clip_values import CLIP_VALUES, ClipFrames, Mask, active_span, clip_value_names
from .descriptors import FAMILIES, describe, descriptor_names, finish, measure, power_to_db
from .filterbanks import Array, FrameSettings
from .functionals import DELTA_REACH, FUNCTIONALS, delta, is_functional, summarize

REGIONS = ("all", "active", "voiced")
# Meaningless where nobody voices: these are summarised over voiced frames whatever the regions.
_OF_VOICED_FRAMES = ("f0", "log_f0")
_ORDERS = ("", "_delta", "_delta2")

# Name -> parameters of AcousticFeatures.
PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    "means-180": {
        "descriptors": ("mfcc", "chroma", "mel"),
        "functionals": ("mean",),
        "deltas": 0,
        "regions": ("all",),
        "clip_values": (),
        "sr": 22050,
        "n_fft": 2048,
        "hop_length": 512,
        "n_mfcc": 40,
        "n_mels": 128,
    },
}
PRESETS["mfcc-40"] = PRESETS["means-180"] | {"descriptors": ("mfcc",), "offset": 0.5, "duration": 3.0}
PRESETS["mfcc-58"] = PRESETS["mfcc-40"] | {"n_mfcc": 58}


@dataclass(frozen=True)
class Recipe(ABC):
    """
    Hold what every recipe says: which part of the audio, which descriptors. It is hashed for the cache.

    Parameters
    ----------
    settings : FrameSettings
        Sampling rate, framing and filterbanks.
    offset : float
        Where a clip starts, in seconds.
    duration : float or None
        How much of it is used at the most, in seconds.
    descriptors : tuple of str
        Families out of ``FAMILIES``.
    deltas : int
        How many orders of deltas are added.

    Raises
    ------
    ValueError
        If parameters are unknown or do not fit each other.
    """

    settings: FrameSettings
    offset: float
    duration: float | None
    descriptors: tuple[str, ...]
    deltas: int

    def __post_init__(self) -> None:
        _check_names("descriptors", self.descriptors, FAMILIES)
        s = self.settings
        if not s.fmin < (s.sr / 2 if s.fmax is None else s.fmax) <= s.sr / 2:
            raise ValueError(f"Expected fmin < fmax <= sr / 2, got fmin={s.fmin}, fmax={s.fmax}, sr={s.sr}.")
        if "mfcc" in self.families and s.n_mfcc > s.n_mels:
            raise ValueError(f"Expected n_mfcc <= n_mels, got n_mfcc={s.n_mfcc}, n_mels={s.n_mels}.")
        if not self.names():
            raise ValueError("These parameters ask for no features at all; name a descriptor and what to take of it.")

    @property
    def sr(self) -> int:
        """Sampling rate in Hz."""
        return self.settings.sr

    @property
    @abstractmethod
    def families(self) -> list[str]:
        """Give the families to compute."""

    @abstractmethod
    def names(self) -> list[str]:
        """
        Name the columns.

        Returns
        -------
        list of str
            One name a column.
        """

    @abstractmethod
    def compute(self, waveform: Array) -> Array:
        """
        Turn one clip into its array.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,)
            The clip at `sr` Hz.

        Returns
        -------
        ndarray of shape (n_columns,) or (n_frames, n_columns), float32
            Row of a feature matrix, or frames.
        """

    def _descriptor_names(self, families: Sequence[str]) -> list[str]:
        by_family = descriptor_names(families, self.settings)
        return [name for family in families for name in by_family[family]]

    def _orders(self, series: Array) -> Iterator[Array]:
        """Descriptors, a row each, and their deltas as far as they are asked for."""
        yield series
        for _ in range(self.deltas):
            series = delta(series)
            yield series


@dataclass(frozen=True)
class VectorRecipe(Recipe):
    """
    Turn a waveform into a vector.

    Parameters
    ----------
    settings : FrameSettings
        Sampling rate, framing and filterbanks.
    offset : float
        Where a clip starts, in seconds.
    duration : float or None
        How much of it is used at the most, in seconds.
    descriptors : tuple of str
        Families out of ``FAMILIES``.
    deltas : int
        How many orders of deltas are added.
    functionals : tuple of str
        What is taken of each descriptor.
    regions : tuple of str
        Frames that it is taken over, out of ``REGIONS``.
    clip_values : tuple of str
        Keys of ``CLIP_VALUES``.
    """

    functionals: tuple[str, ...]
    regions: tuple[str, ...]
    clip_values: tuple[str, ...]

    def __post_init__(self) -> None:
        known = (*FUNCTIONALS, *filter(is_functional, self.functionals))
        _check_names("functionals", self.functionals, known, said=f"{', '.join(FUNCTIONALS)}, p1 to p99")
        _check_names("regions", self.regions, REGIONS)
        _check_names("clip_values", self.clip_values, tuple(CLIP_VALUES))
        super().__post_init__()

    @property
    def families(self) -> list[str]:
        """Give what to compute: those asked for, and what regions and clip values are told from."""
        needed = dict.fromkeys(self.descriptors)
        if self.clip_values or {*self.regions} != {"all"} or {*_OF_VOICED_FRAMES} & {*self.descriptors}:
            needed |= dict.fromkeys(("log_rms", "voicing"))
        if self.clip_values:
            needed |= dict.fromkeys(("log_mel", "log_f0"))
        if "mfcc_covariance" in self.clip_values:
            needed["mfcc"] = None
        return list(needed)

    def _parted(self) -> tuple[list[str], list[str]]:
        """Part the families into those whose functionals are taken over regions, and over voiced frames, or none."""
        over_regions = [family for family in self.descriptors if family not in _OF_VOICED_FRAMES]
        return over_regions, [family for family in self.descriptors if family in _OF_VOICED_FRAMES]

    def names(self) -> list[str]:
        """
        Name the values.

        Returns
        -------
        list of str
            Such as mfcc_1_delta_active_mean; the region "all" is not named.
        """
        names = []
        over_regions, over_voiced = self._parted()
        for families, regions in ((over_regions, self.regions), (over_voiced, (None,))):
            of_descriptors = self._descriptor_names(families)
            for order in _ORDERS[: self.deltas + 1]:
                for region in regions:
                    suffix = order if region in (None, "all") else f"{order}_{region}"
                    names += [
                        f"{name}{suffix}_{functional}" for name in of_descriptors for functional in self.functionals
                    ]
        for value in self.clip_values:
            names += clip_value_names(value, self.settings.n_mels, self.settings.n_mfcc)
        return names

    def compute(self, waveform: Array) -> Array:
        """
        Describe a clip: functionals of its descriptors, then its clip values.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,)
            The clip at `sr` Hz.

        Returns
        -------
        ndarray of shape (n_features,), float32
            Row of the feature matrix.
        """
        y = np.ascontiguousarray(waveform, dtype=np.float32)
        families = self.families
        run, level = slice(None), {}
        if "log_rms" in families:
            level = measure(y, ["log_rms"], self.settings)
            run = self._run(level["rms"])
            families.remove("log_rms")
        measured = measure(y, families, self.settings, run) | {name: values[run] for name, values in level.items()}
        return self._describe(measured, len(y))

    def compute_windows(self, waveform: Array, starts: Sequence[int], n_samples: int) -> Array:
        """
        Describe windows of a recording; what they have in common is measured once.

        The frames at a window's edges see what is beyond it, where those of a clip see silence.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples of the recording,)
            At `sr` Hz.
        starts : sequence of int
            Where windows start, in steps between frames.
        n_samples : int
            Length of a window.

        Returns
        -------
        ndarray of shape (n_windows, n_features), float32
            A row a window.
        """
        measured = measure(waveform, self.families, self.settings)
        n_frames = 1 + n_samples // self.settings.hop_length
        vectors = []
        for start in starts:
            window = {name: values[start : start + n_frames] for name, values in measured.items()}
            run = self._run(window["rms"]) if "log_rms" in self.families else slice(None)
            vectors.append(self._describe({name: values[run] for name, values in window.items()}, n_samples))
        return np.stack(vectors)

    def _run(self, rms: Array) -> slice:
        """Frames that anything asked for depends on: silence before and after speech is left out where it may be."""
        if "all" in self.regions:
            return slice(None)
        span = active_span(power_to_db(rms[:, 0] ** 2))
        margin = DELTA_REACH * max(self.deltas, 1) + 1  # the flux of a frame needs one frame more
        return slice(max(span.start - margin, 0), span.stop + margin)

    def _describe(self, measured: Mapping[str, Any], n_samples: int) -> Array:
        """Make the vector of a clip of so many samples."""
        step = self.settings.hop_length / self.settings.sr
        finished = finish(measured, self.families, self.settings)
        frames = {family: array.T for family, array in finished.items()}
        clip = ClipFrames(frames, step, n_samples / self.settings.sr)
        parts = self._functionals_of(clip) if self.descriptors else []
        parts += [CLIP_VALUES[name](clip).astype(np.float32) for name in self.clip_values]
        return np.concatenate(parts)

    def _functionals_of(self, clip: ClipFrames) -> list[Array]:
        """Take the functionals; the columns go by order, then by region, then by descriptor."""
        over_regions, over_voiced = self._parted()
        series = np.concatenate([clip.frames[family] for family in (*over_regions, *over_voiced)])
        # All orders of all descriptors in one array, since most of the time of small arrays goes into calls.
        orders = np.concatenate([*self._orders(series)])
        shape = self.deltas + 1, len(series), len(self.functionals)

        def table(where: Mask | slice) -> Array:
            return summarize(orders[:, where], self.functionals, clip.seconds_per_frame).reshape(shape)

        tables = {region: table(clip.region(region)) for region in self.regions if over_regions}
        n_first = sum(len(clip.frames[family]) for family in over_regions)
        parts = []
        if over_regions:
            parts.append(np.stack([of_region[:, :n_first] for of_region in tables.values()], axis=1).ravel())
        if over_voiced:
            known = tables.get("voiced") if clip.voiced.any() else None  # the region is another where there are none
            parts.append((table(clip.voiced) if known is None else known)[:, n_first:].ravel())
        return parts


@dataclass(frozen=True)
class SequenceRecipe(Recipe):
    """
    Turn a waveform into frames.

    Parameters
    ----------
    settings : FrameSettings
        Sampling rate, framing and filterbanks.
    offset : float
        Where a clip starts, in seconds.
    duration : float or None
        How much of it is used at the most, in seconds.
    descriptors : tuple of str
        Families out of ``FAMILIES``.
    deltas : int
        How many orders of deltas are added.
    max_frames : int or None
        Where longer clips are cut.
    trim : bool
        Whether silence before and after speech is left out.
    step : int
        How many frames are averaged into one.
    """

    max_frames: int | None
    trim: bool
    step: int

    @property
    def families(self) -> list[str]:
        """Give what to compute: those asked for, and the level that silence is told by."""
        return list(dict.fromkeys((*self.descriptors, *(("log_rms",) if self.trim else ()))))

    def names(self) -> list[str]:
        """
        Name the descriptors.

        Returns
        -------
        list of str
            Such as mfcc_1_delta.
        """
        names = self._descriptor_names(self.descriptors)
        return [f"{name}{order}" for order in _ORDERS[: self.deltas + 1] for name in names]

    def compute(self, waveform: Array) -> Array:
        """
        Describe a clip frame by frame.

        Parameters
        ----------
        waveform : ndarray of shape (n_samples,)
            The clip at `sr` Hz.

        Returns
        -------
        ndarray of shape (n_frames, n_descriptors), float32
            Descriptors, then their deltas.
        """
        frames = describe(waveform, self.families, self.settings)
        series = np.concatenate([frames[family].T for family in self.descriptors])
        if self.trim:
            series = np.ascontiguousarray(series[:, active_span(frames["log_rms"][:, 0])])
        series = np.concatenate(list(self._orders(series)))
        if self.step > 1:
            starts = np.arange(0, series.shape[1], self.step)
            sizes = np.diff(np.append(starts, series.shape[1]))
            series = np.add.reduceat(series, starts, axis=1) / sizes.astype(np.float32)
        return np.ascontiguousarray(series.T[: self.max_frames])


def _check_names(parameter: str, given: Sequence[str], known: Sequence[str], said: str = "") -> None:
    """Refuse unknown names, and names given twice, which would name two columns alike."""
    wrong = [name for name, count in Counter(given).items() if count > 1 or name not in known]
    if wrong:
        raise ValueError(
            f"{parameter}: expected different names out of {said or ', '.join(known)}; "
            f"unknown or repeated: {', '.join(map(repr, wrong))}."
        )
