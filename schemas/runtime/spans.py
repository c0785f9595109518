"""Spans for OpenTelemetry, where an endpoint is named and the extra `otel` is installed; else nothing is done."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from schemas import __version__, subjects, trace
from schemas.runtime import log
from schemas.trace import Trace

_log = log.get("otel")
# OpenTelemetry's own names, as are all its settings.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# Seconds that the last spans get at the end: their collector may be away.
_LAST_WORDS = 2.0

Kind = Literal["SERVER", "CONSUMER", "INTERNAL"]
Said = str | int | float | None  # `__` in its name stands for a dot

_exporter: _Exporter | None = None


def setup(service: str) -> None:
    """Export from now on, if this process is to."""
    global _exporter  # noqa: PLW0603 - as the root logger: a process has one, and its parts need not hand it on
    if not any(map(os.environ.get, _ENDPOINTS)):
        return
    try:
        _exporter = _Exporter(service)
    except ImportError:
        _log.warning(
            "otel_not_installed", hint="pip install 'nats-mlx[otel]', or unset OTEL_EXPORTER_OTLP_ENDPOINT"
        )


def stop() -> None:
    """Send what is left, if that can be done quickly."""
    if _exporter is not None:
        sender = threading.Thread(target=_exporter.provider.shutdown, daemon=True)
        sender.start()
        sender.join(_LAST_WORDS)


class Span(NamedTuple):
    """Work that somebody asked us for: its own place in the trace, and who asked."""

    here: Trace
    caller: Trace | None

    def child(self) -> Span:
        """A part of it."""
        return Span(self.here.child(), self.here)


def of(headers: Mapping[str, str]) -> Span:
    """What came in with these headers. Its place is a span of its own, or the caller's when nobody would hear of it:
    whoever comes after us must not hang on a span that is nowhere.
    """
    caller = trace.parse(headers.get(subjects.TRACEPARENT))
    if caller is None:
        return Span(trace.new(), None)
    return Span(caller if _exporter is None else caller.child(), caller)


def told(name: str, span: Span, seconds: float, ended: float, kind: Kind = "INTERNAL", **said: Said) -> None:
    """Work that took so long was over at `ended` (seconds since 1970). From one thread alone."""
    if _exporter is not None:
        _exporter.export(name, span, (ended - seconds, ended), kind, said)


class _Exporter:
    """What is told becomes spans of the SDK, which samples, batches and sends them on a thread of its own."""

    def __init__(self, service: str) -> None:
        # Nobody needs to have it.
        from opentelemetry import trace as api  # noqa: PLC0415
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator  # noqa: PLC0415

        class Known(RandomIdGenerator):
            """The ids that are in our messages already."""

            here: Trace

            def generate_trace_id(self) -> int:
                return int(self.here.trace_id, 16)

            def generate_span_id(self) -> int:
                return int(self.here.span_id, 16)

        self._api = api
        self._ids = Known()
        about = {"service.name": os.environ.get("OTEL_SERVICE_NAME", service), "service.version": __version__}
        self.provider = TracerProvider(id_generator=self._ids, resource=Resource.create(about))
        self.provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self.provider.get_tracer("nats-mlx", __version__)

    def export(
        self, name: str, span: Span, times: tuple[float, float], kind: Kind, said: Mapping[str, Said]
    ) -> None:
        self._ids.here = span.here
        began, ended = (int(moment * 1e9) for moment in times)
        self._tracer.start_span(
            name,
            context=self._context(span.caller),
            kind=self._api.SpanKind[kind],
            attributes={key.replace("__", "."): value for key, value in said.items() if value is not None},
            start_time=began,
        ).end(ended)

    def _context(self, caller: Trace | None) -> Any:
        if caller is None:
            return self._api.set_span_in_context(self._api.INVALID_SPAN)
        parent = self._api.SpanContext(
            int(caller.trace_id, 16),
            int(caller.span_id, 16),
            is_remote=True,
            trace_flags=self._api.TraceFlags(int(caller.flags, 16)),
        )
        return self._api.set_span_in_context(self._api.NonRecordingSpan(parent))
