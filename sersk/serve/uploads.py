"""Request -> clips in memory, or in files of the page, counted while they come in."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncGenerator, Callable
from typing import Any, BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import Request

from .problems import Limits, ServiceProblem, too_large

# What a form may hold beside clips: other fields, and for each part a boundary and headers.
_MAX_FIELDS = 8
_MAX_HEAD_BYTES = 4096
_FRAME_BYTES = 8192


class _Form:
    """
    Take the files of one field of a form as it comes in, and write them to where their names belong.

    Starlette's own reader of forms would write files of more than a megabyte to disk.
    """

    def __init__(self, content_type: str, field: str, max_files: int, create: Callable[[str], BinaryIO]) -> None:
        self.files: list[BinaryIO] = []
        self._field, self._max_files, self._create = field.encode(), max_files, create
        self._n_fields = self._n_head = 0
        self._is_whole = False
        self._name, self._value, self._disposition = b"", b"", b""
        self._part: BinaryIO | None = None
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise _bad_form("The Content-Type has no boundary.")
        names = ("part_begin", "header_field", "header_value", "header_end", "headers_finished", "part_data", "end")
        callbacks: Any = {f"on_{name}": getattr(self, f"_on_{name}") for name in names}
        self._parser = MultipartParser(boundary, callbacks)

    def add(self, chunk: bytes) -> None:
        self._parser.write(chunk)

    def check_end(self) -> None:
        if not self._is_whole:
            raise _bad_form("It breaks off before its last boundary.")

    def _on_part_begin(self) -> None:
        self._n_head = 0
        self._disposition = b""
        self._part = None

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._count_head(end - start)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._count_head(end - start)

    def _count_head(self, n_bytes: int) -> None:
        self._n_head += n_bytes
        if self._n_head > _MAX_HEAD_BYTES:
            raise _bad_form("The headers of a part are too long.")

    def _on_header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        options = parse_options_header(self._disposition)[1]
        if options.get(b"name") != self._field or b"filename" not in options:
            self._n_fields += 1
            if self._n_fields > _MAX_FIELDS:
                raise _bad_form("It has too many fields.")
            return  # what is in it is nobody's business
        if len(self.files) == self._max_files:
            raise _bad_form(f"It has too many files; expected {self._max_files} at the most.")
        self._part = self._create(options[b"filename"].decode(errors="replace"))
        self.files.append(self._part)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part is not None:
            self._part.write(memoryview(data)[start:end])

    def _on_end(self) -> None:
        self._is_whole = True


async def read_clip(request: Request, limits: Limits) -> bytes:
    """
    Read the one clip of a request: the field ``file`` of a form, or the body.

    Parameters
    ----------
    request : Request
        Whose body has not been read.
    limits : Limits
        How long the upload may be, and how long it may take.

    Returns
    -------
    bytes
        The file.

    Raises
    ------
    ServiceProblem
        If it is too large or too slow, or the form has no such file.
    """
    if _is_form(request):
        return (await _keep_clips(request, limits, "file", 1))[0]
    return await read_body(request, limits, limits.max_bytes)


async def read_body(request: Request, limits: Limits, max_bytes: int) -> bytes:
    """
    Read all of a request.

    Parameters
    ----------
    request : Request
        Whose body has not been read.
    limits : Limits
        How long it may take.
    max_bytes : int
        How long it may be.

    Returns
    -------
    bytes
        The body.

    Raises
    ------
    ServiceProblem
        If it is too large or too slow.
    """
    body = bytearray()
    async with _in_time(limits):
        async for chunk in _stream(request, limits, max_bytes):
            body += chunk
    return bytes(body)


async def read_clips(request: Request, limits: Limits) -> list[bytes]:
    """
    Read the clips of a batch: the fields ``files`` of a form.

    Parameters
    ----------
    request : Request
        Whose body has not been read.
    limits : Limits
        How many clips there may be, how long they may be together, and how long that may take.

    Returns
    -------
    list of bytes
        The files, in order.

    Raises
    ------
    ServiceProblem
        If it is no form, there is no file in it, or too much of them.
    """
    return await _keep_clips(request, limits, "files", limits.max_clips)


async def store_clips(
    request: Request, limits: Limits, field: str, max_files: int, max_bytes: int, create: Callable[[str], BinaryIO]
) -> None:
    """
    Write the clips of a form to files as they come in.

    Parameters
    ----------
    request : Request
        Whose body has not been read.
    limits : Limits
        How long each clip may be, and how long the upload may take.
    field : str
        The field of the form, once for each clip.
    max_files, max_bytes : int
        How many clips there may be, and how long they may be together.
    create : callable
        Opens a file to write to, by the name that the client has for it.

    Raises
    ------
    ServiceProblem
        If it is no form, there is no file in it, or too much of them; what was written until then stays.
    """
    if not _is_form(request):
        detail = f"Send a form: multipart/form-data, with each clip in a field called {field}."
        raise ServiceProblem(415, "not-a-form", "Unsupported media type", detail)
    max_bytes += (max_files + _MAX_FIELDS) * _FRAME_BYTES
    try:
        form = _Form(request.headers["content-type"], field, max_files, create)
        async with _in_time(limits):
            async for chunk in _stream(request, limits, max_bytes):
                form.add(chunk)
                if form.files and form.files[-1].tell() > limits.max_bytes:
                    raise too_large(limits)
    except FormParserError as error:
        raise _bad_form("It is not what RFC 7578 says a form is.") from error
    form.check_end()
    if not form.files:
        detail = f"The form has no file in a field called {field}."
        raise ServiceProblem(422, "no-file", "No audio file", detail)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def _keep_clips(request: Request, limits: Limits, field: str, max_files: int) -> list[bytes]:
    clips: list[io.BytesIO] = []

    def create(_: str) -> BinaryIO:
        clips.append(io.BytesIO())
        return clips[-1]

    await store_clips(request, limits, field, max_files, limits.max_bytes, create)
    return [clip.getvalue() for clip in clips]


def _bad_form(detail: str) -> ServiceProblem:
    return ServiceProblem(400, "bad-form", "Unreadable form", detail)


@contextlib.asynccontextmanager
async def _in_time(limits: Limits) -> AsyncGenerator[None, None]:
    """Let an upload take some time, no more: slow ones would take all places in the service."""
    try:
        async with asyncio.timeout(limits.timeout):
            yield
    except TimeoutError:
        detail = f"The upload took more than {limits.timeout:g} s."
        raise ServiceProblem(408, "slow-upload", "Upload too slow", detail) from None


async def _stream(request: Request, limits: Limits, max_bytes: int) -> AsyncGenerator[bytes, None]:
    """Give a body piece by piece, as long as it keeps within its limit, whatever its header says."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        detail = "The body is compressed as a whole (Content-Encoding); send the file as it is, or as FLAC."
        raise ServiceProblem(415, "compressed", "Unsupported content encoding", detail)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large(limits)
    n_bytes = 0
    async for chunk in request.stream():
        n_bytes += len(chunk)
        if n_bytes > max_bytes:
            raise too_large(limits)
        yield chunk
