"""Spans as a collector sees them: a tiny one listens, and a chat goes through bridge and worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import aiohttp
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from schemas import trace
from schemas.articles import Timings
from schemas.completion import Usage
from schemas.errors import NotFound
from schemas.runtime import log, spans
from tests.broker.bridge.quick import served
from worker.transport import line


class Collector:
    """Takes OTLP over HTTP."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                assert self.path == "/v1/traces"
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Not on the terminal."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, request: Any) -> None:
        for resource in request.resource_spans:
            about = {one.key: one.value.string_value for one in resource.resource.attributes}
            self.services.add(about["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def tree(self) -> dict[str, tuple[str, str]]:
        """Of each span, by name: its trace, and who called it."""
        names = {one.span_id.hex(): one.name for one in self.spans}
        return {
            one.name: (one.trace_id.hex(), names.get(one.parent_span_id.hex(), one.parent_span_id.hex()))
            for one in self.spans
        }


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    found = Collector()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.setattr(spans, "_exporter", None)
    spans.setup("nats-mlx test")
    yield found
    spans.stop()
    found.server.shutdown()
    thread.join()
    found.server.server_close()


async def test_a_chat_is_one_tree_from_its_caller_to_its_tokens(
    nats_server: str, collector: Collector
) -> None:
    given = trace.new()
    body = {"messages": [{"role": "user", "content": "hi"}]}
    headers = {"traceparent": str(given)}
    with served(nats_server) as url:
        async with (
            aiohttp.ClientSession(url) as http,
            http.post("/v1/chat/completions", json=body, headers=headers) as got,
        ):
            assert got.status == 200
            async with http.get("/readyz") as probed:
                assert probed.status == 200
    spans.stop()
    mine, asked = given.trace_id, "POST /v1/chat/completions"
    assert collector.tree() == {
        asked: (mine, given.span_id),
        "chat": (mine, asked),
        **dict.fromkeys(("queue", "prefill", "decode"), (mine, "chat")),
    }
    assert collector.services == {"nats-mlx test"}
    chat = next(one for one in collector.spans if one.name == "chat")
    said = {one.key: one.value.string_value or one.value.int_value for one in chat.attributes}
    assert said["gen_ai.response.model"] == "quick"
    assert said["gen_ai.usage.output_tokens"] == 2


def test_an_articles_span_begins_when_it_was_published(collector: Collector) -> None:
    caller = trace.new()
    span = spans.of(caller.headers)
    line.tell(log.get("x"), "article", span, Usage(4, 2, 6), Timings(30.0, 1.0, 2.0, 33.0), id="a")
    spans.stop()
    found = {one.name: one for one in collector.spans}
    seconds = {name: (one.end_time_unix_nano - one.start_time_unix_nano) / 1e9 for name, one in found.items()}
    assert seconds == pytest.approx({"article": 33.0, "queue": 30.0, "prefill": 1.0, "decode": 2.0}, abs=1e-3)
    assert found["prefill"].start_time_unix_nano == found["queue"].end_time_unix_nano
    assert found["article"].parent_span_id.hex() == caller.span_id


def test_what_failed_says_so(collector: Collector) -> None:
    line.failed(log.get("x"), "article", spans.of({}), 2.0, NotFound("No.", code="unknown_recipe"), id="a")
    spans.stop()
    (found,) = collector.spans
    said = {one.key: one.value.string_value or one.value.int_value for one in found.attributes}
    assert said == {"nats_mlx.id": "a", "nats_mlx.outcome": 404, "error.type": "unknown_recipe"}
    assert found.parent_span_id == b""


def test_a_trace_that_its_caller_does_not_sample_is_not_told(collector: Collector) -> None:
    caller = trace.new()._replace(flags="00")
    line.tell(log.get("x"), "article", spans.of(caller.headers), Usage(4, 2, 6), Timings(1.0, 1.0, 1.0, 3.0))
    spans.stop()
    assert collector.spans == []


def test_without_an_endpoint_nothing_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.setattr(spans, "_exporter", None)
    spans.setup("nobody")
    caller = trace.new()
    assert spans.of(caller.headers) == spans.Span(caller, caller)  # whoever comes next is its caller's
