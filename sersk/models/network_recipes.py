"""Name -> what belongs to a network: features, scaling, architecture and training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sklearn.preprocessing import StandardScaler

from sersk.features import AcousticFeatures
from sersk.normalization import FrameScaler
from sersk.sequences import FrameSequences

from .classical import Grid


@dataclass(frozen=True)
class NetworkRecipe:
    """
    Hold what a named network is made of.

    Parameters
    ----------
    architecture : str
        Key of ``sersk.models.networks.ARCHITECTURES``.
    sequences : dict or None
        Parameters of `FrameSequences`; None for a network over vectors.
    preset : str or None
        Preset of `AcousticFeatures`, for a network over vectors.
    scope : str or None
        How frames are scaled, as in `FrameScaler`; for vectors "corpus" means `StandardScaler`. None leaves them.
    training : dict
        Parameters of `KerasSequenceClassifier`.
    copies : tuple of str
        What it is best trained with, by the names of `ClipAugmenter`.
    grid : dict
        What to search, by the classifier's parameter names.
    """

    architecture: str
    sequences: dict[str, Any] | None = None
    preset: str | None = None
    scope: str | None = "corpus"
    training: dict[str, Any] = field(default_factory=dict)
    copies: tuple[str, ...] = ()
    grid: Grid = field(default_factory=dict)

    def front(self) -> Any:
        """
        Make what describes the clips.

        Returns
        -------
        transformer
            Not fitted.
        """
        return AcousticFeatures.from_preset(self.preset) if self.preset else FrameSequences(**(self.sequences or {}))

    def scaler(self) -> Any:
        """
        Make what scales the descriptors.

        Returns
        -------
        transformer or "passthrough"
            Not fitted.
        """
        if self.scope is None:
            return "passthrough"
        if self.preset:
            return StandardScaler()
        return FrameScaler(self.scope)


_DESCRIPTORS: dict[str, Any] = {
    "descriptors": ("mfcc", "log_mel", "chroma", "log_rms", "zcr", "flatness", "log_f0", "voicing"),
    "deltas": 1,
    "n_mels": 64,
    "trim": True,
    "step": 4,
}
_SPECTRUM: dict[str, Any] = {"descriptors": ("log_mel",), "deltas": 0, "n_mels": 64, "trim": True, "step": 2}
_TRAINING: dict[str, Any] = {"optimizer__weight_decay": 0.01, "epochs": 30}

# What the notebooks leave to Keras: no held-out clips, no weights, no masks, no limit of the gradient.
_PLAIN: dict[str, Any] = {
    "optimizer": "adam",
    "schedule": "plateau",
    "optimizer__learning_rate": 1e-3,
    "optimizer__clipnorm": None,
    "validation_fraction": 0.0,
    "label_smoothing": 0.0,
    "time_mask": 0.0,
    "frequency_mask": 0.0,
    "class_weight": None,
}
# librosa's defaults, pictures of 165 frames (3.8 s) that are filled up with zeros.
_PICTURE = {
    "deltas": 0,
    "sr": 22050,
    "n_fft": 2048,
    "hop_length": 512,
    "n_mels": 128,
    "max_frames": 165,
    "padding": 0.0,
}
_STOPPED = {"validation_fraction": 0.2, "patience": 10}

NETWORKS: dict[str, NetworkRecipe] = {
    "lstm": NetworkRecipe(
        "lstm",
        _DESCRIPTORS,
        training=_TRAINING
        | {"epochs": 8, "n_networks": 3, "time_mask": 0.2, "frequency_mask": 0.1, "model__dropout": 0.5},
        copies=("speed",) * 4,
        grid={"model__units": [48, 64, 96], "optimizer__learning_rate": [1e-3, 2e-3]},
    ),
    "cnn-lstm": NetworkRecipe(
        "cnn-lstm",
        _SPECTRUM,
        training=_TRAINING | {"time_mask": 0.15, "frequency_mask": 0.12},
        grid={"model__units": [48, 64], "optimizer__learning_rate": [1e-3, 2e-3]},
    ),
    "cnn": NetworkRecipe(
        "cnn",
        _SPECTRUM,
        training=_TRAINING | {"optimizer__learning_rate": 3e-3, "time_mask": 0.15, "frequency_mask": 0.12},
        grid={"model__dropout": [0.3, 0.5], "optimizer__learning_rate": [1e-3, 3e-3]},
    ),
    # The notebooks' networks as they are: their layers, features and epochs.
    "lstm-256": NetworkRecipe(
        "lstm-dense",
        preset="mfcc-40",
        scope=None,
        training=_PLAIN | {"model__units": 256, "epochs": 50, "batch_size": 32},
    ),
    "lstm-128": NetworkRecipe(
        "lstm-dense",
        preset="mfcc-40",
        scope=None,
        training=_PLAIN | {"model__units": 128, "epochs": 50, "batch_size": 32},
    ),
    "lstm-512": NetworkRecipe(
        "lstm-dense",
        preset="mfcc-40",
        scope=None,
        training=_PLAIN
        | {
            "model__units": 512,
            "model__state_dropout": 0.2,
            "model__hidden": (256, 128, 64, 32),
            "epochs": 30,
            "batch_size": 100,
        },
    ),
    "cnn-lstm-mfcc": NetworkRecipe(
        "cnn-lstm-series", preset="mfcc-40", scope=None, training=_PLAIN | {"epochs": 50, "batch_size": 32}
    ),
    "cnn-mel": NetworkRecipe(
        "cnn-picture",
        _PICTURE | {"descriptors": ("log_mel",)},
        scope="range",
        training=_PLAIN | _STOPPED | {"epochs": 100, "batch_size": 64},
    ),
    "cnn-mfcc": NetworkRecipe(
        "cnn-picture",
        _PICTURE | {"descriptors": ("mfcc",)},
        scope="range",
        training=_PLAIN
        | _STOPPED
        | {"model__kernel_size": 2, "model__hidden": (256, 128), "epochs": 100, "batch_size": 64},
    ),
    "cnn-1d": NetworkRecipe(
        "cnn-series", preset="mfcc-58", training=_PLAIN | _STOPPED | {"epochs": 100, "batch_size": 64}
    ),
    "dual-cnn": NetworkRecipe(
        "dual-cnn",
        _PICTURE | {"n_mels": 64, "descriptors": ("log_mel", "mfcc")},
        scope="corpus",
        training=_PLAIN | _STOPPED | {"epochs": 60, "batch_size": 32},
    ),
}
