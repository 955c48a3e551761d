"""The answers of the service, as its description (OpenAPI) has them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

_EMOTION = "What the model predicts; null where there is too little speech."
_REASON = 'Why there is no emotion, "no speech"; null where there is one.'
_PROBABILITY = "Of that emotion; null where there is none, and for a model that gives none."
_PROBABILITIES = "Of all emotions, in the order of the model's classes; empty where there is none."


def _keep_summary(schema: dict[str, Any]) -> None:
    """Tell clients what a class is, without the parameters, which have descriptions of their own."""
    schema["description"] = schema["description"].partition("\n")[0]


class _Answer(BaseModel):
    model_config = ConfigDict(json_schema_extra=_keep_summary)


class PredictionAnswer(_Answer):
    """
    Tell the emotion of a clip.

    Parameters
    ----------
    model : str
        Name of the model.
    emotion : str or None
        What it predicts.
    reason : str or None
        Why there is no emotion.
    probability : float or None
        Of that emotion.
    probabilities : dict of str to float
        Of all emotions, in the model's order.
    speech : float or None
        How much of the clip is speech.
    seconds : float
        Length of the clip.
    """

    model: str
    emotion: str | None = Field(description=_EMOTION)
    reason: str | None = Field(description=_REASON)
    probability: float | None = Field(description=_PROBABILITY)
    probabilities: dict[str, float] = Field(description=_PROBABILITIES)
    speech: float | None = Field(description="How much of it is speech, from 0 to 1; null where that is unknown.")
    seconds: float = Field(description="Length of the clip.")


class WindowAnswer(_Answer):
    """
    Tell the emotion of a window of a recording.

    Parameters
    ----------
    start, end : float
        Seconds from the start of the recording.
    speech : float
        How much of it is speech.
    emotion : str or None
        What the model predicts.
    reason : str or None
        Why there is no emotion.
    probability : float or None
        Of that emotion.
    probabilities : dict of str to float
        Of all emotions, in the model's order.
    """

    start: float = Field(description="Seconds from the start of the recording.")
    end: float = Field(description="Seconds from the start of the recording.")
    speech: float = Field(description="How much of it is speech, from 0 to 1.")
    emotion: str | None = Field(description=_EMOTION)
    reason: str | None = Field(description=_REASON)
    probability: float | None = Field(description=_PROBABILITY)
    probabilities: dict[str, float] = Field(description=_PROBABILITIES)


class TimelineAnswer(_Answer):
    """
    Tell the emotions of a recording.

    Parameters
    ----------
    model : str
        Name of the model.
    windows : list of WindowAnswer
        In order.
    """

    model: str
    windows: list[WindowAnswer]


class Problem(_Answer):
    """
    Tell why there is no answer (RFC 9457).

    Parameters
    ----------
    type : str
        The kind, as a URN.
    title : str
        The kind, in words.
    status : int
        Of HTTP.
    detail : str
        What is wrong this time.
    kind : str
        What programs tell problems apart by.
    """

    type: str
    title: str
    status: int
    detail: str
    kind: str = Field(description="What programs tell problems apart by, such as too-long.")


class FailedClip(_Answer):
    """
    Tell of a clip of a batch that cannot be used.

    Parameters
    ----------
    error : Problem
        Why.
    """

    error: Problem


class ModelAnswer(_Answer):
    """
    Tell of a model, and what its card says of its training and of how well it does.

    Parameters
    ----------
    name : str
        What requests call it.
    classes : list of str
        Its emotions, in its order.
    gives_probabilities : bool
        Whether its predictions have any.
    corpora, n_clips, n_speakers, licence, metrics : object
        From the card; None where it does not say.
    """

    name: str
    classes: list[str]
    gives_probabilities: bool
    corpora: Any = None
    n_clips: Any = None
    n_speakers: Any = None
    licence: Any = None
    metrics: Any = Field(None, description="By corpus: the UAR, and the protocol by which it was estimated.")


class Status(_Answer):
    """
    Tell how the service is.

    Parameters
    ----------
    status : str
        In a word.
    """

    status: str
