"""A service on a port of this machine, in a thread of the tests' own process, and clips to send to it."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import soundfile as sf
import uvicorn
from clusters import wait_until

from sersk.serve.api import create_app
from sersk.serve.service import Service


@contextmanager
def served(service: Service, **options: Any) -> Iterator[httpx.Client]:
    """Serve until the end of the block, by default without the page; what comes is a client of it."""
    app = create_app(service, **({"page": False} | options))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, timeout_graceful_shutdown=5))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started and service.is_ready)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=300, trust_env=False) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def as_file(waveform: Any, sr: int = 16000, container: str = "WAV", subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    sf.write(file, waveform, sr, subtype, format=container)
    return file.getvalue()


def speech(seconds: float = 0.5, hz: float = 150.0) -> np.ndarray:
    """Something that moves as a voice does."""
    time = np.arange(int(seconds * 16000)) / 16000
    return 0.3 * np.sin(2 * np.pi * hz * (time + 0.02 * np.sin(9 * time)))


def problem_of(answer: httpx.Response) -> tuple[int, str]:
    """Check that an answer is a problem as RFC 9457 has it; give status and kind."""
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"] == f"urn:problem:sersk:{told['kind']}"
    assert told["title"]
    assert told["detail"]
    return told["status"], told["kind"]
