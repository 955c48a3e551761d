"""Request -> application, or a problem: who may ask, what is counted, and how errors are told."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import logging
import time
import traceback
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import Metrics
from .problems import ServiceProblem

_log = logging.getLogger("sersk.serve")

_FREE = ("/healthz", "/readyz")
_LINGER = 1.0  # seconds
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


def as_response(problem: ServiceProblem, **more: object) -> JSONResponse:
    """
    Write a problem as RFC 9457 has it.

    Parameters
    ----------
    problem : ServiceProblem
        What to tell.
    **more : dict
        Further members.

    Returns
    -------
    JSONResponse
        ``application/problem+json``.
    """
    headers = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
    body = as_dict(problem) | more
    response = JSONResponse(body, problem.status, headers, media_type="application/problem+json")
    if problem.status == 401:
        # A line each: Chromium sees the first of a line only.
        for scheme in ("Bearer", 'Basic realm="sersk", charset="UTF-8"'):
            response.headers.append("WWW-Authenticate", scheme)
    return response


def as_dict(problem: ServiceProblem) -> dict[str, object]:
    """
    Give the members of a problem.

    Parameters
    ----------
    problem : ServiceProblem
        What to tell.

    Returns
    -------
    dict
        As RFC 9457 names them, and ``kind``.
    """
    return {
        "type": f"urn:problem:sersk:{problem.kind}",
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "kind": problem.kind,
    }


def check_token(token: str) -> str:
    """
    Refuse a token that keeps nobody out.

    Parameters
    ----------
    token : str
        What clients are to know.

    Returns
    -------
    str
        Without the spaces and line ends around it, which a header would not keep.

    Raises
    ------
    ValueError
        If nothing is left of it.
    """
    if not token.strip():
        raise ValueError("The token is empty: expected some text, or None (no --token, no SERSK_TOKEN) to let all in.")
    return token.strip()


class Guard:
    """
    Stand around the whole application: nothing gets in without the token, and no error out unless as a problem.

    Parameters
    ----------
    app : ASGI application
        What is guarded.
    token : str or None
        What clients must know; None lets all in.
    metrics : Metrics
        Where requests are counted.
    routes : collection of str
        The paths that are counted by themselves; all others are one.
    """

    def __init__(self, app: ASGIApp, token: str | None, metrics: Metrics, routes: Collection[str]) -> None:
        self._app = app
        self._token = None if token is None else token.encode()
        self._metrics = metrics
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """
        Answer a request.

        Parameters
        ----------
        scope : dict
            Its head.
        receive : callable
            Gives its body.
        send : callable
            Takes the answer.
        """
        if scope["type"] != "http":
            if scope["type"] == "lifespan" or self._may_enter(scope):
                await self._app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        start = time.perf_counter()
        exchange = _Exchange(scope, receive, send)
        try:
            await self._answer(scope, exchange)
        finally:
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = getattr(scope.get("route"), "path", "")
            known = route if route in self._routes else "other"
            self._metrics.count(method, known, exchange.status, time.perf_counter() - start)

    async def _answer(self, scope: Scope, exchange: _Exchange) -> None:
        try:
            if self._may_enter(scope):
                await self._app(scope, exchange.receive, exchange.send)
                return
            problem = ServiceProblem(
                401, "unauthorised", "Unauthorised", "Send the header Authorization: Bearer TOKEN."
            )
        except ClientDisconnect:
            exchange.status = 499
            return
        except Exception as error:
            # Where it happened, and not what it says: that may be of the request.
            place = traceback.extract_tb(error.__traceback__)[-1]
            _log.error("%s at %s:%s", type(error).__name__, place.filename, place.lineno)
            if exchange.has_begun:
                raise RuntimeError("an answer broke off") from None
            problem = ServiceProblem(500, "failed", "Failed", "The service has a fault that this request brings out.")
        await as_response(problem)(scope, exchange.receive, exchange.send)

    def _may_enter(self, scope: Scope) -> bool:
        if self._token is None or scope["path"] in _FREE:
            return True
        scheme, _, given = Headers(scope=scope).get("authorization", "").encode("latin-1").partition(b" ")
        sent = given.strip()
        if scheme.lower() == b"basic":  # which browsers know: any user, the token for a password
            with contextlib.suppress(binascii.Error):
                sent = base64.b64decode(sent).partition(b":")[2].strip()
        elif scheme.lower() != b"bearer":
            sent = b""
        as_latin = sent.decode("latin-1").encode()  # as some clients write what others write in UTF-8
        return hmac.compare_digest(sent, self._token) | hmac.compare_digest(as_latin, self._token)


class _Exchange:
    """
    One request and its answer.

    An answer that comes before the request is all there, such as a refusal, is sent at once, and the connection closed
    behind it; not before the client had a moment to notice, or it would see a broken connection in place of the answer.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        self._has_more = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        self._receive, self._send = receive, send
        self.status = 500
        self.has_begun = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._has_more = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            self.status = message["status"]
            if self._has_more:
                MutableHeaders(scope=message)["Connection"] = "close"
        elif message["type"] == "http.response.body" and self._has_more and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LINGER):
                    while self._has_more:
                        await self.receive()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)
