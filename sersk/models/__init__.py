"""Vectors and sequences -> emotions: classifiers under one estimator interface."""

from .augmented import ClipAugmenter
from .boosting import XGBoostClassifier
from .calibration import SpeakerCalibratedClassifier
from .discriminant import ShrinkageLDA
from .folds import fit_with_speakers, speaker_folds
from .registry import MODEL_NAMES, emotion_pipeline, parameter_grid, training_copies
from .search import SpeakerSearch

__all__ = [
    "MODEL_NAMES",
    "ClipAugmenter",
    "ShrinkageLDA",
    "SpeakerCalibratedClassifier",
    "SpeakerSearch",
    "XGBoostClassifier",
    "emotion_pipeline",
    "fit_with_speakers",
    "parameter_grid",
    "speaker_folds",
    "training_copies",
]
