"""Application -> a process that listens until it is told to end."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from sersk.terminal import say

from .api import create_app
from .guard import check_token
from .service import Limits, Service

_GRACE = 10  # seconds for requests that are being worked off when the service is to end
_PATIENCE = 20  # seconds after that, when one hangs so that nothing else goes on


def run_server(
    models: Sequence[Path] = (),
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    page: bool = True,
    limits: Limits = Limits(),  # noqa: B008
    n_workers: int | None = None,
) -> None:
    """
    Serve models until Ctrl-C or SIGTERM.

    Parameters
    ----------
    models : sequence of Path, default=()
        Model files; the model that comes with the package where there is none.
    host : str, default="127.0.0.1"
        Address to listen at.
    port : int, default=8000
        And the port; with 0 any that is free, which is told on stderr.
    token : str, default=None
        What clients must know.
    page : bool, default=True
        Whether there is a page for people, too.
    limits : Limits, default=Limits()
        What requests may ask for.
    n_workers : int, default=None
        Processes that predict; None means as many as there are CPU cores to use.

    Raises
    ------
    OSError
        If the address is not to be had.
    ValueError
        If a model file cannot be used, or the token or the host is empty.
    KeyboardInterrupt
        After an end by Ctrl-C.
    """
    token = None if token is None else check_token(token)
    with _listen(host, port) as listener, _ending_by_sigterm():
        app = create_app(Service(models, limits=limits, n_workers=n_workers), token=token, page=page)
        if token is None and not _is_loopback(listener.getsockname()[0]):
            say("note: whoever reaches this address can use the service; --token keeps others out")
        logging.basicConfig(format="%(name)s: %(message)s", level=logging.WARNING)
        # No access log: paths and queries are the clients' own business.
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=_GRACE
        )
        name = f"[{host}]" if ":" in host else host
        say(f"sersk listens at http://{name}:{listener.getsockname()[1]}, with its description at /docs")
        _Server(config, app).run(sockets=[listener])


class _Server(uvicorn.Server):
    """End open pages before waiting for connections to end: they would take all of the grace, and more."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app
        self._end = threading.Timer(_GRACE + _PATIENCE, self._end_now)
        self._end.daemon = True

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            self._end.cancel()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if not self._end.ident:
            self._end.start()

    def _end_now(self) -> None:
        say("error: a request hangs; ended without it")
        self._app.state.clean_up()
        os._exit(1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.end_streams()
        await super().shutdown(sockets)


@contextlib.contextmanager
def _ending_by_sigterm() -> Iterator[None]:
    """Take SIGTERM for the end, and no failure: also as uvicorn raises it once more when all is in good order."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _listen(host: str, port: int) -> socket.socket:
    if not host.strip():  # which the system takes for all addresses
        raise ValueError("The host is empty: expected an address, such as 127.0.0.1, or 0.0.0.0 for all of them.")
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family)
    except OSError as error:
        raise OSError(f"cannot listen at {host}, port {port}: {error.strerror}") from error


def _is_loopback(address: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(address).is_loopback
    return False
