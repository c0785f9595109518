"""Requests that are nearly right, made ready by the real tokenizer and compiler: a prompt, or an error with a code."""

from __future__ import annotations

import sys
from random import Random
from typing import Any

import pytest

from schemas.chat import ChatRequest, JsonSchema, JsonSchemaFormat, decode_request
from schemas.errors import BadRequest, LlmError
from schemas.messages import UserMessage
from schemas.tools import FunctionDefinition, Tool
from tests.malformed import good, wrong
from tests.model.conftest import SHAPE
from worker.engine.catalog import Catalog, Entry
from worker.engine.models import Models
from worker.jobs import Prepared

SEED, REQUESTS = 1, 1500
# Its compiler cuts a complaint after 100 bytes, and panics where that is inside a character.
PANICS: dict[str, Any] = {"type": "object", "required": "🚀" * 50}


@pytest.fixture(scope="module")
def models(entry: Entry) -> Models:
    return Models(Catalog([entry]), SHAPE)


def test_any_of_them_is_made_ready_or_refused(models: Models) -> None:
    sys.stdout.write(f"seed {SEED}\n")
    random = Random(SEED)
    for _ in range(REQUESTS):
        body = wrong.payload(random, good.REQUESTS)
        try:
            request = decode_request(body)
        except BadRequest:
            continue
        try:
            assert isinstance(models.prepare(request), Prepared), body
        except LlmError as error:
            assert error.status < 500, body
            assert error.code, body


def test_a_schema_on_which_the_compiler_panics_is_refused(models: Models) -> None:
    """A panic is no `Exception`: it passed all that answers, and the request was never answered."""
    hi = [UserMessage("hi")]
    for request in (
        ChatRequest(messages=hi, response_format=JsonSchemaFormat(JsonSchema("a", PANICS))),
        ChatRequest(messages=hi, tools=[Tool(FunctionDefinition("a", None, PANICS))]),
    ):
        with pytest.raises(BadRequest) as caught:
            models.prepare(request)
        assert caught.value.code == "unsupported_schema"
        assert caught.value.param == ("tools" if request.tools else "response_format")
