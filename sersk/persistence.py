"""Fitted pipeline -> one model file, and back."""

from __future__ import annotations

import io
import json
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from numbers import Integral
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
import sklearn
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.utils.validation import check_is_fitted

from . import __version__
from .archives import CARD, SCHEMA_VERSION, brief, check_archive, check_arrays, damaged, read_archive, read_schema
from .atomic_files import replace_file
from .extraction import FEATURE_VERSION
from .features import AcousticFeatures
from .model_reader import read_known
from .plain import to_plain
from .sequences import FrameSequences
from .stored_models import WORK_SETTINGS, pack, parts, unpack

# Every type that may stand in a model file beside those that skops trusts itself (scikit-learn's public estimators,
# numpy's arrays and ufuncs, Python's plain containers). Full names only; each was looked at for what building it from
# foreign state can do. scikit-learn's Tree is not among them: its compiled code follows the indices in it unchecked, so
# that `StoredTree` stands in for it.
TRUSTED_TYPES = (
    "sersk.features.AcousticFeatures",
    "sersk.models.boosting.XGBoostClassifier",
    "sersk.models.calibration.SpeakerCalibratedClassifier",
    "sersk.models.discriminant.ShrinkageLDA",
    "sersk.models.keras_classifier.KerasSequenceClassifier",
    "sersk.normalization.FrameScaler",
    "sersk.normalization.SpeakerScaler",
    "sersk.sequences.FrameSequences",
    "sersk.stored_models.StoredTree",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
    "sklearn.utils._bunch.Bunch",
)

# scikit-learn's estimators, which skops trusts itself, in the models that have names here.
_USUAL_TYPES = (
    "sklearn.ensemble._forest.ExtraTreesClassifier",
    "sklearn.ensemble._voting.VotingClassifier",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.neural_network._multilayer_perceptron.MLPClassifier",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.preprocessing._label.LabelBinarizer",
    "sklearn.preprocessing._label.LabelEncoder",
    "sklearn.svm._classes.SVC",
    "sklearn.tree._classes.ExtraTreeClassifier",
)

# What a card tells of the training.
_TRAINING = ("corpora", "n_clips", "n_speakers", "licence", "metrics")
# How far probabilities may be off after a change of scikit-learn: rounding apart, they should be the same.
_TOLERANCE = 0.01


def save_model(model: Any, path: str | os.PathLike[str], *, card: Mapping[str, Any] | None = None) -> Path:
    """
    Write a fitted model and its card into one file that is safe to open.

    The file holds what the model needs to predict. How it was worked with is left out: `n_jobs`, `verbose`, `memory`
    and `checkpoint` (whose paths are nobody else's business) and `callbacks` go back to their defaults, and metadata
    requests, which matter to `fit` only, are dropped, as is the state of an optimizer. The model itself is not changed.

    Parameters
    ----------
    model : classifier
        Fitted, such as what `sersk.emotion_pipeline` gives; of clips, frames, vectors or columns of a table. Of a
        search, give its ``best_estimator_``.
    path : path
        Where to, commonly with the extension ``.sersk``. The file is replaced at once or not at all; folders are made.
    card : mapping, default=None
        What cannot be read off the model: ``corpora``, ``n_clips``, ``n_speakers``, ``licence``, ``metrics``, and
        anything else worth telling. Arrays and numpy's scalars become lists and numbers, NaN and infinity null.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    ValueError
        If the model is not fitted (`NotFittedError`), no classifier or a search, if it holds what cannot be stored
        without pickle or more than `load_model` reads, or if the card cannot be written as JSON or contradicts what
        the model says of itself.

    Warns
    -----
    UserWarning
        If the model holds types that `load_model` will refuse without ``trusted``.

    See Also
    --------
    load_model : Read it back.
    read_card : Read the card alone.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    >>> from sersk import load_model, save_model
    >>> X, y = np.eye(4), ["happy", "sad", "happy", "sad"]
    >>> model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.5).fit(X, y)
    >>> with TemporaryDirectory() as folder:
    ...     file = save_model(model, f"{folder}/model.sersk", card={"corpora": ["toy"], "n_clips": 4})
    ...     print(load_model(file).predict(X[:2]))
    ['happy' 'sad']
    """
    import skops.io

    file = Path(path)
    check_is_fitted(model)
    if not (hasattr(model, "predict") and hasattr(model, "classes_")):
        raise ValueError(f"Expected a fitted classifier, got {model!r}, which has no predict or no classes_.")
    if search := next((part for part in parts(model) if hasattr(part, "best_estimator_")), None):
        name = type(search).__name__
        what = "Save" if search is model else f"Put in the place of {name}, and save,"
        raise ValueError(f"A search ({name}) is not saved, only the model that it found. {what} its best_estimator_.")
    facts = _facts(model) | dict.fromkeys(_TRAINING)
    if taken := sorted({*(card or {})} & {*facts} - {*_TRAINING}):
        raise ValueError(f"card: {', '.join(taken)} are told by the model itself. Use other names.")
    text = json.dumps(to_plain(facts | dict(card or {}), "card"), indent=1, ensure_ascii=False)
    try:
        packed = pack(model)
        stored = skops.io.dumps(packed, compression=ZIP_DEFLATED)
        unknown = set(skops.io.get_untrusted_types(data=stored)) - {*TRUSTED_TYPES}
    except Exception as error:
        raise ValueError(
            f"{type(model).__name__} holds something that cannot be stored without pickle "
            f"({type(error).__name__}: {error}). Estimators of scikit-learn and sersk can be stored, with numbers, "
            "text, arrays and functions of numpy in them. Replace what is none of these."
        ) from error
    if unknown:
        names = sorted(unknown)
        warnings.warn(f"{file}: can only be loaded by load_model(..., trusted={names}).", stacklevel=2)
    content = _with_card(stored, text)
    try:
        _check_size(file, content)
    except ValueError:  # arrays that are zeros for the most part; as they are, they are no more than the file
        content = _with_card(skops.io.dumps(packed, compression=ZIP_STORED), text)
        _check_size(file, content)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(file) as draft:
        draft.write_bytes(content)
    return file


def load_model(path: str | os.PathLike[str], *, trusted: Sequence[str] = ()) -> Any:
    """
    Read a model; nothing that a file says is run.

    A file holds names of types and plain arrays, no pickle. Unless all of its types are among scikit-learn's public
    estimators or `TRUSTED_TYPES`, not one of them is imported. Nothing is built of a file that is small only as long
    as it is packed: its arrays may take 16 MiB and 64 times its own size, 1 GiB at most. What the numbers in a file
    make of the predictions is another matter, and code that predicts in C (libsvm, XGBoost) may crash on numbers made
    up for that.

    Parameters
    ----------
    path : path
        What `save_model` wrote.
    trusted : sequence of str, default=()
        Full names of further types that may be built, such as those of your own estimators. Only name what you know:
        whoever wrote the file chooses what they are built from.

    Returns
    -------
    classifier
        The model that was saved, usually a scikit-learn Pipeline. `read_card` tells the rest.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ImportError
        If the model needs an extra that is not installed.
    ValueError
        If it is no model file, damaged, too large, holds other types, or was made by versions that do not fit.

    Notes
    -----
    Versions. A newer schema or other feature numbers (`FEATURE_VERSION`) are refused. So is another major version of
    scikit-learn, or a newer minor one than is installed: an old version cannot know what a new one left out. What an
    older minor version saved is loaded without scikit-learn's warnings, since it comes with a proof: when it is saved,
    a model answers made-up clips, frames or vectors, and it is refused if it now answers otherwise by more than 0.01 of
    probability. A model of the columns of a table has no such proof.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.svm import SVC
    >>> from sersk import load_model, save_model
    >>> model = SVC().fit(np.eye(2), ["happy", "sad"])
    >>> with TemporaryDirectory() as folder:
    ...     loaded = load_model(save_model(model, f"{folder}/model.sersk"))
    >>> loaded.predict(np.eye(2)).tolist()
    ['happy', 'sad']
    """
    if isinstance(trusted, str) or not all(isinstance(name, str) for name in trusted):
        raise ValueError(f"trusted: expected a list of full names of types, got {trusted!r}.")
    file = Path(path)
    content, card = read_archive(file)
    older = _check_versions(file, card)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        with damaged(file):
            stored = read_known(content, {*TRUSTED_TYPES, *_USUAL_TYPES})
        if stored is None:
            stored = _read_any(file, content, trusted)
    with damaged(file):
        model = unpack(stored)
        if not hasattr(model, "predict") or _differ(model.classes_, card.get("classes")):
            raise ValueError("the model is not the one that its card describes")
    if older:
        _check_answers(file, model, card.get("answers"), older)
    return model


def read_card(path: str | os.PathLike[str]) -> dict[str, Any]:
    """
    Tell what a model file says of itself, without opening the model.

    Parameters
    ----------
    path : path
        What `save_model` wrote.

    Returns
    -------
    dict
        ``schema_version``; ``created`` (UTC); ``versions`` of sersk, scikit-learn, numpy and skops; ``classes`` in the
        order of the probabilities; ``features`` (the type and parameters of what describes the clips), ``sr`` (in Hz)
        and ``feature_version``, None for a model that takes vectors; ``answers`` to made-up clips (see `load_model`);
        then what was told when saving: ``corpora``, ``n_clips``, ``n_speakers``, ``licence``, ``metrics``, and more.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no model file, damaged, or of a newer schema.

    Examples
    --------
    >>> import numpy as np
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.svm import SVC
    >>> from sersk.persistence import read_card, save_model
    >>> with TemporaryDirectory() as folder:
    ...     file = save_model(SVC().fit(np.eye(2), ["happy", "sad"]), f"{folder}/m.sersk", card={"n_clips": 2})
    ...     card = read_card(file)
    >>> card["classes"], card["n_clips"]
    (['happy', 'sad'], 2)
    """
    return read_archive(Path(path))[1]


def default_model_path() -> Path:
    """
    Find the model that comes with the package.

    Returns
    -------
    Path
        ``artifacts/default.sersk`` in the installed package, or in the checkout.

    Raises
    ------
    FileNotFoundError
        If there is none.

    Examples
    --------
    >>> from sersk.persistence import default_model_path, load_model
    >>> model = load_model(default_model_path())  # doctest: +SKIP
    """
    package = Path(__file__).parent
    candidates = [folder / "artifacts" / "default.sersk" for folder in (package, package.parent)]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f"The default model is not there; looked for {' and '.join(map(str, candidates))}. Install sersk again, or "
        "name a model file of your own."
    )


def _with_card(stored: bytes, text: str) -> bytes:
    """Put a card beside what skops has stored."""
    buffer = io.BytesIO(stored)
    with ZipFile(buffer, "a", ZIP_DEFLATED) as archive:
        archive.writestr(CARD, text)
    return buffer.getvalue()


def _check_size(file: Path, content: bytes) -> None:
    """Refuse to write what `load_model` would refuse to read."""
    try:
        check_archive(file, content)
        read_schema(content)
    except ValueError as error:
        raise ValueError(f"{file}: load_model would refuse this model ({brief(error)}). Save a smaller one.") from error


def _read_any(file: Path, content: bytes, trusted: Sequence[str]) -> Any:
    """Let skops look at the types of a file, and build what is stored if each of them may be."""
    import skops.io

    allowed = [*TRUSTED_TYPES, *trusted]
    with damaged(file):
        check_arrays(content)
        unknown = sorted(set(skops.io.get_untrusted_types(data=content)) - {*allowed})
    if unknown:
        names = [brief(name) for name in unknown[:20]]
        more = f" and {len(unknown) - 20} more" if len(unknown) > 20 else ""
        raise ValueError(
            f"{file}: holds types that a sersk model does not need: {', '.join(names)}{more}. None of them was "
            f"imported. If you know who made the file and trust each of these types, load it with trusted={names}."
        )
    with damaged(file):
        return skops.io.loads(content, trusted=allowed)


def _differ(classes: Any, told: Any) -> bool:
    """Compare classes with those of a card, without making a list that is longer than the card's."""
    if isinstance(classes, list | tuple) or (isinstance(classes, np.ndarray) and classes.ndim):
        same_length = isinstance(told, list) and len(told) == len(classes)
        return not same_length or any(map(_differ, classes, told))
    return bool(to_plain(classes, "classes") != told)


def _facts(model: Any) -> dict[str, Any]:
    """Tell of a model what it knows itself."""
    import skops

    front = _clip_step(model)
    features = None
    if front is not None:
        parameters = front.get_params(deep=False).items()
        features = {
            "type": f"{type(front).__module__}.{type(front).__name__}",
            **{name: value for name, value in parameters if name not in WORK_SETTINGS},
        }
    packages = {"sersk": __version__, "scikit-learn": sklearn.__version__}
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": packages | {"numpy": np.__version__, "skops": skops.__version__},
        "classes": model.classes_,
        "features": features,
        "sr": None if front is None else front.sr,
        "feature_version": None if front is None else FEATURE_VERSION,
        "answers": _answers(model),
    }


def _clip_step(model: Any) -> AcousticFeatures | FrameSequences | None:
    """Find what describes the clips, wherever in the model it is; None in a model that takes vectors."""
    return next((part for part in parts(model) if isinstance(part, AcousticFeatures | FrameSequences)), None)


def _answers(model: Any) -> Any:
    """Ask the model about made-up input, the same at any time; None if it takes what cannot be made up."""
    made_up = _made_up(model)
    if made_up is None:
        return None
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        return to_plain((model.predict_proba if hasattr(model, "predict_proba") else model.predict)(made_up), "answers")


def _made_up(model: Any) -> Any:
    """Make clips (gliding harmonics, steady and in bursts), frames or vectors up, whatever the model takes."""
    front = _clip_step(model)
    by_column = any(type(part).__name__ == "ColumnTransformer" for part in parts(model))
    if by_column and (front is not None or hasattr(model, "feature_names_in_")):  # columns may be of any kind
        return None
    if front is not None:
        time = np.arange(int((front.offset + 0.5) * front.sr)) / front.sr
        glide = sum(np.sin(2 * np.pi * k * (110 + 40 * time) * time) / k for k in range(1, 8)) / 4
        return [glide, glide * (np.sin(20 * time) > 0)]
    shapes = (part.input_shape_ for part in parts(model) if getattr(part, "takes_frames_", False))
    shape = next(shapes, None) or (getattr(model, "n_features_in_", None),)
    return None if None in shape else np.sin(np.arange(3.0 * math.prod(shape))).reshape(3, *shape)


def _check_answers(file: Path, model: Any, before: Any, version: str) -> None:
    """Refuse a model that another scikit-learn reads as another model."""
    try:
        if not _is_cheap(model):
            raise ValueError("it takes too much for a check")
        now = _answers(model)
        same = now == before or np.allclose(now, before, rtol=0, atol=_TOLERANCE)
        said = "answers otherwise"
    except Exception as error:
        same, said = False, f"fails ({brief(error)})"
    if not same:
        raise ValueError(
            f"{file}: was saved by scikit-learn {version}, and {said} under {sklearn.__version__}. "
            f"Install scikit-learn {version}, or train the model again."
        )


def _is_cheap(model: Any) -> bool:
    """Tell whether made-up input is of an ordinary size, whatever the file says."""
    front = _clip_step(model)
    if front is None:
        shapes = [part.input_shape_ for part in parts(model) if getattr(part, "takes_frames_", False)]
        return max(map(math.prod, [*shapes, (getattr(model, "n_features_in_", 0),)])) <= 2**20
    front._check_parameters()
    sizes = [value for value in front.get_params(deep=False).values() if isinstance(value, Integral)]
    n_frames = (front.offset + 0.5) * front.sr / front.hop_length
    return max(sizes) <= 2**18 and n_frames * front.n_fft <= 2**24 and front.n_mels * front.n_fft <= 2**24


def _check_versions(file: Path, card: dict[str, Any]) -> str | None:
    """Refuse what cannot fit; give scikit-learn's version if an older one than this saved the model."""
    with damaged(file):
        version, features = brief(card["versions"]["scikit-learn"]), card["feature_version"]
        saved, here = _minor(version), _minor(sklearn.__version__)
    if saved > here or saved[0] != here[0]:
        raise ValueError(
            f"{file}: was saved by scikit-learn {version}, which {sklearn.__version__} cannot read. "
            f"Install scikit-learn {version}, or train the model again."
        )
    if features not in (None, FEATURE_VERSION):
        raise ValueError(
            f"{file}: was trained on feature numbers of version {brief(features)}; this sersk ({__version__}) computes "
            f"version {FEATURE_VERSION}. Install sersk {brief(card['versions'].get('sersk'))}, which saved it, or "
            "train the model again."
        )
    return version if saved < here else None


def _minor(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)
