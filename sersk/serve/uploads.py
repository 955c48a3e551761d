"""Request -> clips in memory, counted while they come in; nothing of them touches a disk."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from .problems import Limits, ServiceProblem, too_large

# What a form may hold beside clips: its fields, and for each part a boundary and headers.
_MAX_FIELDS = 8
_MAX_FIELD_BYTES = 4096
_FRAME_BYTES = 1024


class _InMemory(MultiPartParser):
    """Starlette's parser, which would write parts of more than a megabyte to disk."""

    spool_max_size = sys.maxsize


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
        return (await _read_form(request, limits, "file", 1))[0]
    body = bytearray()
    async with _in_time(limits):
        async for chunk in _stream(request, limits, limits.max_bytes):
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
    if not _is_form(request):
        detail = "A batch is a form: multipart/form-data, with each clip in a field called files."
        raise ServiceProblem(415, "not-a-form", "Unsupported media type", detail)
    return await _read_form(request, limits, "files", limits.max_clips)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")


async def _read_form(request: Request, limits: Limits, field: str, max_files: int) -> list[bytes]:
    stream = _stream(request, limits, limits.max_bytes + (max_files + _MAX_FIELDS) * _FRAME_BYTES)
    parser = _InMemory(
        request.headers, stream, max_files=max_files, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
    )
    try:
        async with _in_time(limits):
            form = await parser.parse()
    except MultiPartException as error:
        raise ServiceProblem(400, "bad-form", "Unreadable form", error.message) from error
    clips = [await part.read() for part in form.getlist(field) if isinstance(part, UploadFile)]
    if not clips:
        detail = f"The form has no file in a field called {field}."
        raise ServiceProblem(422, "no-file", "No audio file", detail)
    return clips


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
