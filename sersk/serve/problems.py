"""What the service takes, and how it says that it does not."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """
    Say what one request, and all of them at once, may ask for.

    Parameters
    ----------
    max_bytes : int, default=26214400
        Length of one upload; of all clips of a batch together.
    max_seconds : float, default=120.0
        Length of a clip that is taken as a whole.
    max_recording_seconds : float, default=3600.0
        Length of a recording that is told window by window.
    timeout : float, default=60.0
        Seconds: of work for a clip or recording, of waiting for a worker before it, of sending an upload.
    max_clips : int, default=64
        Clips of a batch.
    max_waiting : int, default=64
        Requests in the service at once; one more is refused.
    """

    max_bytes: int = 25 * 2**20
    max_seconds: float = 120.0
    max_recording_seconds: float = 3600.0
    timeout: float = 60.0
    max_clips: int = 64
    max_waiting: int = 64


class ServiceProblem(Exception):  # noqa: N818
    """
    Say why a request has no answer, in the terms of RFC 9457.

    Parameters
    ----------
    status : int
        Of HTTP.
    kind : str
        What programs tell problems apart by, such as ``"too-long"``.
    title : str
        The kind, in words.
    detail : str
        What is wrong this time, and what to do.
    retry_after : int, default=None
        Seconds after which it may be worth another try.
    """

    def __init__(self, status: int, kind: str, title: str, detail: str, retry_after: int | None = None) -> None:
        super().__init__(status, kind, title, detail, retry_after)
        self.status = status
        self.kind = kind
        self.title = title
        self.detail = detail
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.title}: {self.detail}"


def too_large(limits: Limits) -> ServiceProblem:
    """
    Refuse an upload for its bytes.

    Parameters
    ----------
    limits : Limits
        What it goes beyond.

    Returns
    -------
    ServiceProblem
        To raise.
    """
    size = f"{limits.max_bytes / 2**20:.3g} MiB"
    return ServiceProblem(413, "too-large", "Upload too large", f"An upload has at most {size}; send less, or as FLAC.")
