"""Requests for the page -> Gradio, or a refusal: only what the page itself asks for, only files that it was given."""

from __future__ import annotations

import asyncio
import contextlib
import json
import mimetypes
import os
import re
import secrets
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, BinaryIO

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .guard import as_response
from .problems import Limits, ServiceProblem
from .uploads import read_body, store_clips

# What is let through to Gradio; all of its other routes are refused, those of later versions, too.
PAGE = re.compile(
    r"/|/favicon\.ico|/manifest\.json|/robots\.txt|/theme\.css|/(assets|static)/[!-[\]-~]{1,200}|/gradio_api/app_id"
)
STREAMS = re.compile(r"/gradio_api/(heartbeat/\w+|queue/data)")
EVENTS = "/gradio_api/queue/join"
# What is answered here, without Gradio: its own routes take what they can get.
UPLOADS = "/gradio_api/upload"
FILES = "/gradio_api/file="

_MOST_OF_AN_EVENT = 2**20  # bytes
_LOOK_AGAIN = 2**20  # bytes of an upload until the folder is measured once more
_LEAST = 2**16  # bytes that a file counts: many small ones are a burden, too


class PageGate:
    """
    Stand before Gradio, which takes any path or address that a client names for an upload of its own.

    Parameters
    ----------
    app : ASGI application
        Gradio's, as it is mounted.
    blocks : gradio.Blocks
        The page, by whose components the values of an event are checked.
    folder : Path
        Where the page's uploads and examples lie, and nothing else; free of links.
    limits : Limits
        Of uploads.
    most_bytes : int
        Of all uploads together.
    most_seconds : float
        That an upload may take.
    """

    def __init__(
        self, app: ASGIApp, *, blocks: Any, folder: Path, limits: Limits, most_bytes: int, most_seconds: float
    ) -> None:
        self._app = app
        self._blocks = blocks
        self._folder = folder
        self._limits = replace(limits, timeout=most_seconds)
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
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        reads = scope["method"] in ("GET", "HEAD")
        try:
            if reads and PAGE.fullmatch(path) and ".." not in path:
                await self._app({**scope, "query_string": b""}, receive, send)
            elif reads and STREAMS.fullmatch(path):
                await self._app(scope, receive, send)
            elif reads and path.startswith(FILES):
                await self._file(path.removeprefix(FILES))(scope, receive, send)
            elif scope["method"] == "POST" and path == EVENTS:
                await self._app(*await self._event(scope, receive), send)
            elif scope["method"] == "POST" and path == UPLOADS:
                await (await self._upload(scope, receive))(scope, receive, send)
            else:
                raise _unknown()
        except ServiceProblem as problem:
            await as_response(problem)(scope, receive, send)

    def _file(self, name: str) -> Response:
        """Answer with a file of the page's folder, in a way that no browser takes for a document."""
        file = self._find(name)
        if not file.is_file():
            raise _unknown()
        kind = mimetypes.guess_type(file.name)[0] or ""
        return FileResponse(
            file,
            media_type=kind if kind.startswith(("audio/", "video/")) else "application/octet-stream",
            headers={"X-Content-Type-Options": "nosniff"},
        )

    async def _upload(self, scope: Scope, receive: Receive) -> Response:
        """Put the files of a form where nobody can guess, and say where."""
        files: list[Path] = []
        n_bytes = 0

        def create(name: str) -> BinaryIO:
            files.append(self._folder / secrets.token_hex(16) / plain_name(name))
            files[-1].parent.mkdir(mode=0o700)
            return opened.enter_context(files[-1].open("xb"))

        async def receive_while_there_is_room() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > _LOOK_AGAIN:
                n_bytes = 0
                await asyncio.to_thread(self._check_room)
            return message

        await asyncio.to_thread(self._check_room)
        request = Request(scope, receive_while_there_is_room)
        limits = self._limits
        try:
            with contextlib.ExitStack() as opened:
                await store_clips(request, limits, "files", limits.max_clips, self._most_bytes, create)
        except BaseException:
            for file in files:
                shutil.rmtree(file.parent, ignore_errors=True)
            raise
        return JSONResponse([file.relative_to(self._folder).as_posix() for file in files])

    def _check_room(self) -> None:
        used = 0
        for path in _all_in(self._folder):
            with contextlib.suppress(OSError):  # it was removed meanwhile
                used += max(_LEAST, os.stat(path).st_size)  # noqa: PTH116
        if used > self._most_bytes:
            detail = "Too many recordings are here at once; they are removed after some minutes."
            raise ServiceProblem(503, "busy", "Too much to do", detail, retry_after=60)

    async def _event(self, scope: Scope, receive: Receive) -> tuple[Scope, Receive]:
        """Read what is done on the page, and write it anew from what was understood: Gradio sees nothing else."""
        request = Request(scope, receive)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise ServiceProblem(415, "not-json", "Unsupported media type", "An event of the page is JSON.")
        body = await read_body(request, self._limits, _MOST_OF_AN_EVENT)
        try:
            told = json.loads(body.decode())
            event = json.dumps(self._understand(told)).encode()
        except (ValueError, TypeError, KeyError, RecursionError):
            raise ServiceProblem(422, "bad-event", "Unusable event", "The page itself sends no such thing.") from None
        headers = [(name, value) for name, value in scope["headers"] if name not in _OF_A_BODY]
        messages = [{"type": "http.request", "body": event, "more_body": False}]

        async def receive_event() -> Message:
            return messages.pop() if messages else await receive()

        headers.append((b"content-length", str(len(event)).encode()))
        return {**scope, "headers": headers, "query_string": b""}, receive_event

    def _understand(self, told: dict[str, Any]) -> dict[str, Any]:
        number, trigger, session = told["fn_index"], told.get("trigger_id"), told["session_hash"]
        if not (type(number) is int and type(trigger) in (int, type(None)) and re.fullmatch(r"\w{1,64}", session)):
            raise ValueError
        values = zip(self._blocks.fns[number].inputs, told["data"], strict=True)
        data = [self._value(component, value) for component, value in values]
        return {"data": data, "fn_index": number, "trigger_id": trigger, "session_hash": session}

    def _value(self, component: Any, value: Any) -> Any:
        """Check a value by the component that it is for; what is of a file is made anew of its path."""
        if value is None or component.stateful:
            return None
        if component.get_block_name() in ("audio", "file"):
            many = getattr(component, "file_count", "single") != "single"
            return [self._reference(one["path"]) for one in value] if many else self._reference(value["path"])
        choices = getattr(component, "choices", None)
        if value in [one for _, one in choices] if choices else isinstance(value, int | float):
            return value
        raise ValueError

    def _reference(self, name: str) -> dict[str, Any]:
        file = self._find(name)
        return {"path": str(file), "orig_name": file.name, "meta": {"_type": "gradio.FileData"}}

    def _find(self, name: str) -> Path:
        """Give the file of the page's folder that a client names, there or gone; others are not even looked at."""
        path = PurePath(name)
        if path.is_absolute() and path.is_relative_to(self._folder):
            path = path.relative_to(self._folder)
        if path.is_absolute() or len(path.parts) != 2 or ".." in path.parts:
            raise _unknown()
        file = self._folder / path
        try:
            if file.resolve() == file and (file.is_file() or not file.exists()):
                return file
        except (OSError, ValueError):  # no system would have a file of this name
            pass
        raise _unknown()


_OF_A_BODY = (b"content-length", b"transfer-encoding")


def plain_name(name: str) -> str:
    """
    Make a file name of what a client calls a file.

    Parameters
    ----------
    name : str
        Anything.

    Returns
    -------
    str
        What is left of its last part without signs that mean something to a system, a spreadsheet or a browser.
    """
    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    plain = PurePath(re.sub(r"[^\w .,-]", "", last).lstrip(" .-") or "clip")
    stem = plain.stem.encode()[:150].decode(errors="ignore")
    return stem + plain.suffix[:12]


def remove_old(folder: Path, seconds: float) -> None:
    """
    Remove the files of a folder that are older than so long, and empty folders in it.

    Parameters
    ----------
    folder : Path
        It stays itself.
    seconds : float
        Since a file was last written or named.
    """
    last = time.time() - seconds
    remove: Callable[[Path], None]
    for path in map(Path, _all_in(folder)):
        remove = Path.rmdir if path.is_dir() else Path.unlink
        with contextlib.suppress(OSError):  # it is gone, or not empty
            if path.lstat().st_ctime < last:
                remove(path)


def _all_in(folder: Path) -> Iterator[str]:
    """List what is in a folder before the folder, whatever is removed meanwhile: `Path.rglob` fails then."""
    for parent, folders, files in os.walk(folder, topdown=False):
        yield from (os.path.join(parent, name) for name in (*files, *folders))  # noqa: PTH118


def _unknown() -> ServiceProblem:
    return ServiceProblem(404, "not-found", "Not Found", "The page has nothing of that name.")
