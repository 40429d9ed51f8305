"""OpenTelemetry spans, where the extra `otel` is installed and an exporter is configured by its own variables, `OTEL_…`: one for each
request, a child of the caller's where it says so by `traceparent`, and one below it for each read of the store. No span holds a value.

A server that sends no traces has none of this in its way: `tracing()` is None then, and nothing that makes spans is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from featurestore.errors import NotInstalledError, SettingsError, did_you_mean

from .http import Request

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_CONFIGURED = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER")
_EXPORTERS = {
    "otlp": ("OpenTelemetry with its exporter", "opentelemetry.exporter.otlp.proto.http"),
    "console": ("OpenTelemetry", "opentelemetry.sdk"),
}
"""Where traces may go, and which package has to be there for it."""

_CARRIED = ("traceparent", "tracestate")


class Tracing:
    """Makes spans and sends them."""

    def __init__(self, exporter: str) -> None:
        """Args: exporter: as `chosen_exporter` gives it."""
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import SpanKind
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = TracerProvider(resource=Resource.create({SERVICE_NAME: os.environ.get("OTEL_SERVICE_NAME", "featurestore")}))
        self._provider.add_span_processor(BatchSpanProcessor(_exporter(exporter)))
        self._tracer = self._provider.get_tracer("featurestore.server")
        self._server, self._client = SpanKind.SERVER, SpanKind.CLIENT
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, request: Request, endpoint: str) -> Iterator[Span]:
        """The span of one request; what happens inside is below it."""
        context = self._propagator.extract(_carried(request.headers))
        attributes = {"http.request.method": request.method, "http.route": endpoint, "featurestore.request_id": request.id}
        with self._tracer.start_as_current_span(
            f"{request.method} {endpoint}", context, self._server, attributes, record_exception=False
        ) as span:
            yield span

    def answered(self, span: Span, request: Request, status: int) -> None:
        """What became of the request."""
        span.set_attribute("http.response.status_code", status)
        span.set_attribute("featurestore.rows", request.rows)
        if request.service:
            span.set_attribute("featurestore.service", request.service)
        if status >= 500:
            from opentelemetry.trace import StatusCode

            span.set_status(StatusCode.ERROR)

    @contextmanager
    def store_read(self, keys: int) -> Iterator[None]:
        """The span of one read, as the request saw it: waiting for others that are read with it is part of it."""
        attributes: dict[str, str | int] = {"db.operation.name": "read", "db.operation.batch.size": keys}
        with self._tracer.start_as_current_span("online store read", None, self._client, attributes, record_exception=False):
            yield

    def close(self) -> None:
        """Send what waits."""
        self._provider.shutdown()


def tracing(environment: Mapping[str, str]) -> Tracing | None:
    """How traces are sent. Raises what `chosen_exporter` does."""
    exporter = chosen_exporter(environment)
    return None if exporter is None else Tracing(exporter)


def chosen_exporter(environment: Mapping[str, str]) -> str | None:
    """Where traces go, as OpenTelemetry's own variables say; None where they say nothing, or `none`.

    Raises SettingsError for an exporter that there is none of, NotInstalledError where its package is missing. Imports nothing.
    """
    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none":
        return None
    if not any(environment.get(name) for name in _CONFIGURED):
        return None
    if exporter not in _EXPORTERS:
        known = (*_EXPORTERS, "none")
        raise SettingsError(f"OTEL_TRACES_EXPORTER: traces cannot be sent to {exporter!r}.{did_you_mean(exporter, known)}")
    package, module = _EXPORTERS[exporter]
    if not (_installed("opentelemetry.sdk") and _installed(module)):
        raise NotInstalledError(package, "otel", "Sending traces")
    return exporter


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _exporter(name: str) -> Any:
    if name == "console":
        import sys

        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(out=sys.stderr, formatter=lambda span: span.to_json(indent=None) + "\n")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _carried(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    found = {name: headers.get(name.encode()) for name in _CARRIED}
    return {name: value.decode("latin-1") for name, value in found.items() if value is not None}
