"""The answers of the service, as its description (OpenAPI) has them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class PredictionAnswer(BaseModel):
    """The emotion of a clip."""

    model: str
    emotion: str
    probability: float | None = Field(description="Of that emotion; null for a model that gives none.")
    probabilities: dict[str, float] = Field(description="Of all emotions, in the order of the model's classes.")
    seconds: float = Field(description="Length of the clip.")


class WindowAnswer(BaseModel):
    """The emotion of a window of a recording."""

    start: float = Field(description="Seconds from the start of the recording.")
    end: float
    speech: float = Field(description="How much of it is speech, from 0 to 1.")
    emotion: str | None = Field(description="Null where there is too little speech.")
    probability: float | None
    probabilities: dict[str, float] = Field(description="Empty where there is no emotion.")


class TimelineAnswer(BaseModel):
    """The emotions of a recording."""

    model: str
    windows: list[WindowAnswer]


class Problem(BaseModel):
    """Why there is no answer (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    kind: str = Field(description="What programs tell problems apart by, such as too-long.")


class FailedClip(BaseModel):
    """A clip of a batch that has no emotion."""

    error: Problem


class ModelAnswer(BaseModel):
    """A model, and what its card says: what it was trained on, and how well it does on speakers it has not heard."""

    name: str
    classes: list[str]
    gives_probabilities: bool
    corpora: Any = None
    n_clips: Any = None
    n_speakers: Any = None
    licence: Any = None
    metrics: Any = Field(None, description="By corpus: the UAR, and the protocol by which it was estimated.")


class Status(BaseModel):
    """How the service is."""

    status: str
