"""`/openapi.json`: valid, whole, and true, which schemathesis tries by asking what it allows and what it does not."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, cast

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from nats.aio.client import Client
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.specs.openapi import checks

from bridge.http import routes
from bridge.http.endpoint import Content
from bridge.http.endpoints import ENDPOINTS
from bridge.http.openapi import document
from bridge.settings import Settings
from schemas.codec import encode
from schemas.errors import LlmError
from tests.broker.bridge import quick

DOCUMENT: dict[str, Any] = json.loads(document())
OPERATIONS = [result.ok() for result in schemathesis.openapi.from_dict(DOCUMENT).get_all_operations()]
SEED = 6
EXAMPLES = {"/v1/chat/completions": 80, "/v1/responses": 40}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
WAYS = [
    (operation, mode)
    for operation in OPERATIONS
    for mode in GenerationMode
    # Without a body or a query there is nothing that could be wrong: any text is a path or a header.
    if (mode.is_positive or operation.body or operation.query)
    # It ends when its reader leaves.
    and operation.path not in ("/analyses/stream", "/overview/stream")
]


def examples(count: int) -> settings:
    return settings(
        max_examples=count,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_it_has_each_route_and_no_other() -> None:
    app = routes.build(Settings.load(), cast(Client, None))
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    told = {(method, path) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert told == served


def bodies() -> Iterator[Content]:
    for one in ENDPOINTS:
        yield from (*one.gives, *([one.takes] if one.takes else []), *one.also)


@pytest.mark.parametrize(
    "body", [body for body in bodies() if body.shape is not str], ids=lambda body: str(body.shape)
)
def test_its_examples_are_of_their_shapes(body: Content) -> None:
    found = msgspec.json.decode(encode(body.example), type=body.shape)
    told, given = json.loads(encode(found)), body.example
    assert {name: told[name] for name in given} | given == {name: told[name] for name in given} | given
    assert set(given) <= set(told)


def test_each_error_of_the_tree_is_told_somewhere() -> None:
    told = {
        status for path in DOCUMENT["paths"].values() for one in path.values() for status in one["responses"]
    }
    statuses = {
        str(kind.status)
        for kind in [LlmError, *LlmError.__subclasses__()]
        if kind.__module__ == "schemas.errors"
    }
    assert told == statuses | {"200", "202"}


@pytest.fixture(scope="module")
def url(nats_server: str) -> Iterator[str]:
    with quick.served(nats_server) as url:
        yield url


@pytest.mark.parametrize(("operation", "mode"), WAYS, ids=lambda one: getattr(one, "label", "") or one.value)
def test_it_keeps_to_what_it_says(url: str, operation: Any, mode: GenerationMode) -> None:
    """A `Failure` prints the curl command that shows it; the seed repeats all of them."""
    sys.stdout.write(f"seed {SEED}\n")

    @seed(SEED)
    @examples(EXAMPLES.get(operation.path, 15))
    @given(case=operation.as_strategy(generation_mode=mode))
    def holds(case: schemathesis.Case) -> None:
        case.validate_response(case.call(base_url=url, timeout=20), checks=CHECKS)

    holds()
