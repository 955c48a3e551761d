"""Service -> application: the routes, and what they answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from sersk.sound_files import readable_extensions
from sersk.version import __version__

from .guard import Guard, as_dict, as_response, check_token
from .metrics import Metrics
from .problems import ServiceProblem
from .schemas import FailedClip, ModelAnswer, PredictionAnswer, Status, TimelineAnswer
from .service import Prediction, ServedModel, Service

_CARD = ("corpora", "n_clips", "n_speakers", "licence", "metrics")
_DIGITS = 6  # as `sersk predict --json` tells them

_KINDS = " ".join(kind[1:] for kind in readable_extensions())
_BINARY = {
    "schema": {"type": "string", "format": "binary", "description": f"Audio, told by its content; read are {_KINDS}."}
}
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}

ModelName = Annotated[str | None, Query(description="Name of the model, of those of /v1/models.", max_length=256)]
MinSpeech = Annotated[
    float,
    Query(
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of speech that an emotion needs; 0 names one of silence, too.",
    ),
]


def create_app(service: Service, *, token: str | None = None, page: bool = True) -> FastAPI:
    """
    Make the application that serves predictions over HTTP.

    Parameters
    ----------
    service : Service
        What predicts; it is started and stopped with the application.
    token : str, default=None
        What clients must send as ``Authorization: Bearer``; None lets all in.
    page : bool, default=True
        Whether there is a page for people, too.

    Returns
    -------
    FastAPI
        To run under uvicorn.

    Raises
    ------
    ValueError
        If the token is empty or blank.
    """
    if token is not None:
        token = check_token(token)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        try:
            yield
        finally:
            await service.stop()

    metrics = Metrics(service)
    # FastAPI's own pages load their scripts from elsewhere; these have them with them.
    app = FastAPIOffline(
        redoc_url=None,
        title="sersk",
        version=__version__,
        summary="Emotions of speech, by models whose cards tell how well they do.",
        lifespan=lifespan,
        # Described here, checked by the guard.
        dependencies=[] if token is None else [Security(HTTPBearer(auto_error=False))],
    )
    app.add_exception_handler(ServiceProblem, _tell_problem)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_exception_handler(HTTPException, _tell_refusal)
    _add_predictions(app, service)
    _add_facts(app, service, metrics)
    routes = {"/v1/predict", "/v1/predict/batch", "/v1/models", "/healthz", "/readyz", "/metrics"}
    app.state.end_streams = lambda: None  # what the server calls before it waits for open connections to end ...
    app.state.clean_up = lambda: None  # ... and when it waits no longer
    if page:
        from .page import mount_page

        mount_page(app, service)
    app.add_middleware(Guard, token=token, metrics=metrics, routes=routes)  # the last: around all others
    return app


def _add_predictions(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/predict",
        response_model=PredictionAnswer | TimelineAnswer,
        responses=_problems(400, 401, 404, 408, 413, 415, 422, 500, 503, 504),
        openapi_extra=_body("file", _BINARY["schema"], raw=True),
        summary="Name the emotion of a clip, or of a recording window by window.",
    )
    async def predict(
        request: Request,
        model: ModelName = None,
        timeline: Annotated[bool, Query(description="Whether it is a recording, told window by window.")] = False,
        window: Annotated[
            float | None,
            Query(ge=1, le=3600, allow_inf_nan=False, description="With timeline: seconds of a window; 3 by default."),
        ] = None,
        hop: Annotated[
            float | None,
            Query(
                ge=0.1, le=3600, allow_inf_nan=False, description="With timeline: seconds to the next; 1 by default."
            ),
        ] = None,
        min_speech: MinSpeech = 0.25,
    ) -> Response:
        from .uploads import read_clip

        settings = {"window": window, "hop": hop}
        given = {name: value for name, value in settings.items() if value is not None}
        if given and not timeline:
            detail = f"{', '.join(given)}: for timeline=true only."
            raise ServiceProblem(422, "bad-request", "Unusable request", detail)
        asked = service.find(model)
        with service.admit():
            audio = await read_clip(request, service.limits)
            if timeline:
                windows = await service.timeline(audio, asked.name, min_speech=min_speech, **given)
                return JSONResponse(_timeline(asked, windows))
            return JSONResponse(_prediction(await service.predict(audio, asked.name, min_speech=min_speech)))

    @app.post(
        "/v1/predict/batch",
        response_model=list[PredictionAnswer | FailedClip],
        responses=_problems(400, 401, 404, 408, 413, 415, 422, 500, 503),
        openapi_extra=_body("files", {"type": "array", "items": _BINARY["schema"]}, raw=False),
        summary="Name the emotion of each clip, in order; one that cannot be used has an error instead.",
    )
    async def predict_batch(request: Request, model: ModelName = None, min_speech: MinSpeech = 0.25) -> Response:
        from .uploads import read_clips

        asked = service.find(model)
        places = asyncio.Semaphore(service.n_workers)  # others have their turns between the clips of a batch

        async def one(clip: bytes) -> dict[str, Any]:
            try:
                async with places:
                    return _prediction(await service.predict(clip, asked.name, min_speech=min_speech))
            except ServiceProblem as problem:
                return {"error": as_dict(problem)}

        with service.admit():
            clips = await read_clips(request, service.limits)
            return JSONResponse(await asyncio.gather(*map(one, clips)))


def _add_facts(app: FastAPI, service: Service, metrics: Metrics) -> None:
    @app.get("/v1/models", responses=_problems(401), summary="Tell the models, and what their cards say.")
    async def models() -> list[ModelAnswer]:
        return [
            ModelAnswer(
                name=model.name,
                classes=[*model.classes],
                gives_probabilities=model.gives_probabilities,
                **{key: model.card.get(key) for key in _CARD},
            )
            for model in service.models
        ]

    @app.get("/healthz", summary="Tell that the process is alive.")
    async def healthz() -> Status:
        return Status(status="alive")

    @app.get("/readyz", responses=_problems(503), summary="Tell whether a worker has loaded the models.")
    async def readyz() -> Status:
        if not service.is_ready:
            raise ServiceProblem(503, "not-ready", "Not ready", "No worker has loaded the models yet.", retry_after=1)
        return Status(status="ready")

    @app.get(
        "/metrics",
        response_class=Response,
        responses=_problems(401) | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        summary="Tell figures to Prometheus.",
    )
    async def figures() -> Response:
        return Response(metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _prediction(found: Prediction) -> dict[str, Any]:
    chances = {emotion: round(chance, _DIGITS) for emotion, chance in found.probabilities.items()}
    return {
        "model": found.model,
        "emotion": found.emotion,
        "reason": found.reason,
        "probability": chances.get(found.emotion or ""),
        "probabilities": chances,
        "speech": None if found.speech is None else round(found.speech, _DIGITS),
        "seconds": round(found.seconds, _DIGITS),
    }


def _timeline(model: ServedModel, windows: list[Any]) -> dict[str, Any]:
    rows = []
    for window in windows:
        row = {name: round(getattr(window, name), _DIGITS) for name in ("start", "end", "speech")}
        chances = dict(zip(model.classes, (round(chance, _DIGITS) for chance in window.probabilities), strict=False))
        row |= {"emotion": window.emotion, "reason": window.reason}
        rows.append(row | {"probability": chances.get(window.emotion), "probabilities": chances})
    return {"model": model.name, "windows": rows}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"description": HTTPStatus(status).phrase, "content": _PROBLEM} for status in statuses}


def _body(field: str, schema: dict[str, Any], *, raw: bool) -> dict[str, Any]:
    """Describe a body that the routes read themselves."""
    form = {"type": "object", "properties": {field: schema}, "required": [field]}
    content: dict[str, Any] = {"multipart/form-data": {"schema": form}}
    if raw:
        content |= {"application/octet-stream": _BINARY, "audio/*": _BINARY}
    return {"requestBody": {"required": True, "content": content}}


async def _tell_problem(_: Request, problem: Exception) -> Response:
    assert isinstance(problem, ServiceProblem)  # noqa: S101
    return as_response(problem)


async def _tell_invalid(_: Request, error: Exception) -> Response:
    """Name the parameters that are wrong, without what was sent for them."""
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = [{"parameter": str(fault["loc"][-1]), "fault": fault["msg"]} for fault in error.errors()]
    detail = "; ".join(f"{fault['parameter']}: {fault['fault']}" for fault in faults)
    return as_response(ServiceProblem(422, "bad-request", "Unusable request", f"{detail}."), errors=faults)


async def _tell_refusal(_: Request, error: Exception) -> Response:
    """Say as a problem what the framework refuses: unknown paths, other methods."""
    assert isinstance(error, HTTPException)  # noqa: S101
    phrase = HTTPStatus(error.status_code).phrase
    kind = phrase.lower().replace(" ", "-")
    response = as_response(ServiceProblem(error.status_code, kind, phrase, str(error.detail)))
    response.headers.update(error.headers or {})
    return response
