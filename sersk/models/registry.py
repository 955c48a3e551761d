"""Name or estimator -> a plain scikit-learn Pipeline that takes clips."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sersk.features import AcousticFeatures
from sersk.normalization import SpeakerScaler

from .classical import CLASSICAL_NAMES, Grid, classifier
from .network_recipes import NETWORKS

MODEL_NAMES = (*CLASSICAL_NAMES, *NETWORKS)
SCALES = ("corpus", "speaker")


def emotion_pipeline(
    model: Any = "lda", *, features: Any = "default", scale: str = "corpus", random_state: Any = None
) -> Pipeline:
    """
    Make a pipeline from clips to emotions: features, scaling, classifier.

    Parameters
    ----------
    model : {"svm", "mlp", "xgboost", "lda", "logistic", "forest", "ensemble"}, name of a network or estimator
        A name gives the classifier with probabilities calibrated on held-out speakers; an estimator is used as it is.
        The networks are "lstm", "cnn-lstm" and "cnn", and those of well-known notebooks as they are: "lstm-256",
        "lstm-128", "lstm-512", "cnn-lstm-mfcc", "cnn-mel", "cnn-mfcc", "cnn-1d" and "dual-cnn". The default is "lda".
    features : str or transformer, default="default"
        A preset of `AcousticFeatures`, or any transformer of clips. Networks bring their own with "default".
    scale : {"corpus", "speaker"}, default="corpus"
        What features are scaled by: all training clips, or each speaker's own (`sersk.SpeakerScaler`), which is for
        vectors, and needs to know whose the clips are when the model is used, too.
    random_state : int, RandomState or None, default=None
        Seed of a named model.

    Returns
    -------
    Pipeline
        Steps "features", "scale" and "classifier", not fitted. Its `fit` takes the speakers as ``groups`` under
        ``sklearn.set_config(enable_metadata_routing=True)``, or (all but "ensemble") as ``classifier__groups`` without.

    Raises
    ------
    ValueError
        If there is no model, or no preset, of that name; if a named model is to follow a transformer of yours that
        cannot name its columns before it is fitted; if a network is to follow a preset of vectors, or to be scaled by
        speaker; or if `scale` is none of these.
    ImportError
        If a network is asked for, and Keras is not installed.

    See Also
    --------
    parameter_grid : What to search for a named model.

    Examples
    --------
    >>> from sersk import emotion_pipeline
    >>> list(emotion_pipeline("svm").named_steps)
    ['features', 'scale', 'classifier']
    """
    if scale not in SCALES:
        raise ValueError(f"scale={scale!r}: expected one of {', '.join(map(repr, SCALES))}.")
    if isinstance(model, str) and model in NETWORKS:
        if scale != "corpus":
            raise ValueError(f"scale={scale!r} is for vectors; the network {model!r} scales frames. Leave it out.")
        return _network_pipeline(model, features, random_state)
    front = AcousticFeatures.from_preset(features) if isinstance(features, str) else clone(features)
    back = _named(model, front, random_state)[0] if isinstance(model, str) else clone(model)
    scaler = StandardScaler() if scale == "corpus" else SpeakerScaler()
    return Pipeline([("features", front), ("scale", scaler), ("classifier", back)])


def parameter_grid(model: str, *, features: Any = "default") -> Grid:
    """
    Give the grid to search for a named model.

    Parameters
    ----------
    model : str
        Name as in `emotion_pipeline`.
    features : str or transformer, default="default"
        As in `emotion_pipeline`; regularisation goes with the number of features.

    Returns
    -------
    dict of str to list
        For ``GridSearchCV(emotion_pipeline(model), ...)``.

    Raises
    ------
    ValueError
        If there is no model of that name.

    Examples
    --------
    >>> from sersk.models import parameter_grid
    >>> parameter_grid("lda")["classifier__estimator__shrinkage"]
    [0.5, 0.7, 0.85]
    """
    if model in NETWORKS:
        grid: Grid = NETWORKS[model].grid
    else:
        front = AcousticFeatures.from_preset(features) if isinstance(features, str) else features
        grid = _named(model, front, None)[1]
    return {f"classifier__{name}": values for name, values in grid.items()}


def training_copies(model: Any) -> tuple[str, ...]:
    """
    Name the altered copies of clips that a model is best trained with, besides the clips themselves.

    A corpus has few speakers, and a network learns their clips by heart. At another speed a clip is another voice's:
    pitch and formants move together (Ko et al. 2015, "Audio augmentation for speech recognition", Interspeech).

    Parameters
    ----------
    model : str or estimator
        As in `emotion_pipeline`.

    Returns
    -------
    tuple of str
        `methods` of `ClipAugmenter`; none for an estimator of yours.

    See Also
    --------
    sersk.ClipAugmenter : Makes the copies.

    Examples
    --------
    >>> from sersk import ClipAugmenter, emotion_pipeline
    >>> from sersk.models import training_copies
    >>> training_copies("lstm"), training_copies("lda")
    (('speed', 'speed', 'speed', 'speed'), ())
    >>> model = ClipAugmenter(emotion_pipeline("lda"), training_copies("lda"), random_state=0)
    """
    return NETWORKS[model].copies if isinstance(model, str) and model in NETWORKS else ()


def _network_pipeline(model: str, features: Any, random_state: Any) -> Pipeline:
    from .keras_classifier import KerasSequenceClassifier

    recipe = NETWORKS[model]
    if isinstance(features, str) and features != "default":
        raise ValueError(
            f"Network {model!r} brings its own features and takes no preset of vectors, such as {features!r}. Leave "
            "`features` out, or give a FrameSequences."
        )
    front = recipe.front() if isinstance(features, str) else clone(features)
    network = KerasSequenceClassifier(recipe.architecture, random_state=random_state, **recipe.training)
    return Pipeline([("features", front), ("scale", recipe.scaler()), ("classifier", network)])


def _named(model: str, front: Any, random_state: Any) -> tuple[Any, Grid]:
    if model not in MODEL_NAMES:
        raise ValueError(f"There is no model {model!r}; choose one of {', '.join(MODEL_NAMES)}, or give an estimator.")
    try:
        n_features = len(front.get_feature_names_out())
    except AttributeError as error:  # also what an unfitted scaler, say, raises
        raise ValueError(
            f"The regularisation of {model!r} goes with the number of features, which {type(front).__name__} cannot "
            "tell before it is fitted: give an estimator, or a transformer with get_feature_names_out."
        ) from error
    return classifier(model, n_features, random_state)
