"""Uploads of the page -> Gradio, or a refusal: what lies in its folder is bounded."""

from __future__ import annotations

import contextlib
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from .guard import as_response
from .problems import ServiceProblem

_ROUTE = "/gradio_api/upload"


class UploadGate:
    """
    Refuse uploads while there are too many: Gradio bounds each, but not all of them, and this folder lies in memory.

    Parameters
    ----------
    app : ASGI application
        What takes the uploads.
    folder : Path
        Where they lie.
    most_bytes : int
        Of all of them.
    """

    def __init__(self, app: ASGIApp, folder: Path, most_bytes: int) -> None:
        self._app = app
        self._folder = folder
        self._most_bytes = most_bytes

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
        if scope["type"] == "http" and scope["path"].rstrip("/") == _ROUTE and self._used() > self._most_bytes:
            detail = "Too many recordings are here at once; they are removed after some minutes."
            problem = ServiceProblem(503, "busy", "Too much to do", detail, retry_after=60)
            await as_response(problem)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _used(self) -> int:
        total = 0
        for file in self._folder.rglob("*"):
            with contextlib.suppress(OSError):  # it was removed meanwhile
                total += file.stat().st_size
        return total
