"""Words on the command line -> checked values: the options that commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

# What the library takes, told here once more since asking it would import it for `--help`; a test holds them equal.
LAYOUTS = ("auto", "ravdess", "cremad", "tess", "savee", "emodb", "nemo", "folders", "names", "manifest")
NETWORKS = (
    "lstm", "cnn-lstm", "cnn", "lstm-256", "lstm-128", "lstm-512", "cnn-lstm-mfcc", "cnn-mel", "cnn-mfcc", "cnn-1d",
    "dual-cnn",
)  # fmt: skip
MODELS = ("svm", "mlp", "xgboost", "lda", "logistic", "forest", "ensemble", *NETWORKS)
PRESETS = ("default", "means-180", "mfcc-40", "mfcc-58")
SCALES = ("corpus", "speaker")
PROTOCOLS = (
    "auto", "ravdess-6", "loso", "speaker-folds", "speaker-split", "corpora", "statements", "split", "random",
    "random-split",
)  # fmt: skip
SEARCHES = ("grid", "halving", "random")
AUGMENTATIONS = ("noise", "stretch", "pitch", "speed", "shift", "gain", "time_mask", "frequency_mask")
NO_COPIES = "none"
RECIPES = ("seeds",)
# Columns of a corpus that models can be trained by.
BY = ("gender",)


def one_of(names: tuple[str, ...], text: str) -> Any:
    """
    Make an option that takes one of some names, and lists them in its help and in its refusal.

    Parameters
    ----------
    names : tuple of str
        What it takes.
    text : str
        Its help.

    Returns
    -------
    typer.models.OptionInfo
        For ``Annotated[str, ...]``.
    """

    def check(value: str | None) -> str | None:
        if value is not None and value not in names:
            raise typer.BadParameter(f"there is no {value!r}; choose one of {', '.join(names)}.")
        return value

    return typer.Option(callback=check, metavar="NAME", help=f"{text}: {', '.join(names)}.")


def some_of(names: tuple[str, ...], text: str) -> Any:
    """
    Make an option that takes some of some names, with commas, and lists them in its help and in its refusal.

    Parameters
    ----------
    names : tuple of str
        What it takes.
    text : str
        Its help.

    Returns
    -------
    typer.models.OptionInfo
        For ``Annotated[str, ...]``.
    """

    def check(value: str | None) -> str | None:
        for name in split_names(value or ""):
            if name not in names:
                raise typer.BadParameter(f"there is no {name!r}; choose some of {', '.join(names)}, with commas.")
        return value

    told = f"{text}, with commas: {', '.join(names)}."
    return typer.Option(callback=check, metavar="NAME,...", help=told, show_default=False)


def split_names(listed: str) -> list[str]:
    """
    Part names that are given with commas.

    Parameters
    ----------
    listed : str
        What an option was given.

    Returns
    -------
    list of str
        The names; what is empty is none.
    """
    return [name for name in listed.split(",") if name]


def check_model(model: str, features: str) -> None:
    """
    Find out that a model does not go with a feature set.

    Parameters
    ----------
    model : str
        One of ``MODELS``.
    features : str
        One of ``PRESETS``.

    Raises
    ------
    ValueError
        If it is a network, which has features of its own.
    """
    if model in NETWORKS and features != "default":
        raise ValueError(f"--features {features}: the network {model} has features of its own. Leave the option out.")


def split_methods(listed: str | None) -> list[str] | None:
    """
    Part what `--augment` was given.

    Parameters
    ----------
    listed : str or None
        Names with commas, or ``NO_COPIES``; None without the option.

    Returns
    -------
    list of str or None
        The names; None without the option.
    """
    if listed is None:
        return None
    return [] if listed == NO_COPIES else split_names(listed)


def _check_augment(value: str | None) -> str | None:
    for name in split_methods(value) or []:
        if name not in AUGMENTATIONS:
            known = ", ".join(AUGMENTATIONS)
            raise typer.BadParameter(f"there is no {name!r}; give {NO_COPIES}, or some of {known}, with commas.")
    return value


Corpora = Annotated[
    list[str], typer.Argument(metavar="CORPUS", help="Folders or manifests (CSV, TSV) of corpora, or the word demo.")
]
Layout = Annotated[str, one_of(LAYOUTS, "How the files are named")]
Model = Annotated[str, one_of(MODELS, "Classifier")]
Search = Annotated[str | None, one_of(SEARCHES, "Search the classifier's settings, on held-out speakers")]
Features = Annotated[str, one_of(PRESETS, "Feature set; networks have their own")]
Scale = Annotated[str, one_of(SCALES, "What features are scaled by: all training clips, or each speaker's own")]
Protocol = Annotated[str, one_of(PROTOCOLS, "Folds of the estimate")]
By = Annotated[str | None, one_of(BY, "A model for the voices of each, too, beside the mixed one, and a comparison")]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Seed of everything random.")]
Jobs = Annotated[int, typer.Option(metavar="N", help="Number of processes; -1 means all cores.")]
JobsOfTraining = Annotated[
    int, typer.Option(metavar="N", help="Number of processes; -1 means all cores, but one network at a time.")
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Let the workers of a Dask scheduler do the work, all of them; --jobs has no effect. They read clips by "
        "the same paths.",
        show_default=False,
    ),
]
Cache = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="Keep features here, for the next run.", show_default=False)
]
Augment = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,...",
        callback=_check_augment,
        help=f"Train on an altered copy of each clip, too, for each of: {', '.join(AUGMENTATIONS)}; or {NO_COPIES}. "
        "Without it a model gets what is best for it: lstm speed four times, others nothing.",
        show_default=False,
    ),
]
