"""What the service does -> figures for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from .service import Service

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """
    Count requests and what comes of them, in a registry of its own.

    Parameters
    ----------
    service : Service
        What else is told of.
    """

    def __init__(self, service: Service) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_OfService(service))
        labels = ("method", "route")
        self._requests = Counter(
            "sersk_requests", "Requests that were answered.", (*labels, "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "sersk_request_seconds",
            "Time from the head of a request to the end of its answer.",
            labels,
            buckets=_SECONDS,
            registry=self._registry,
        )

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """
        Take note of a request.

        Parameters
        ----------
        method : str
            Of HTTP.
        route : str
            The template of its path, of which there are a few only.
        status : int
            Of the answer.
        seconds : float
            How long it took.
        """
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """
        Write all figures down.

        Returns
        -------
        bytes
            In the text format of Prometheus.
        """
        return generate_latest(self._registry)


class _OfService(Collector):
    """Ask the service for what it counts itself."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        service = self._service
        yield GaugeMetricFamily("sersk_in_flight", "Requests in the service now.", service.n_inside)
        yield CounterMetricFamily("sersk_audio_seconds", "Length of what was predicted.", service.audio_seconds)
        yield CounterMetricFamily("sersk_workers_restarted", "Workers that were replaced.", service.n_restarted)
