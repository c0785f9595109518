"""Which subjects the service answers on, and which model a request is for there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from nats.aio.client import Client

from schemas.chat import ChatRequest
from schemas.errors import BadRequest, NotFound
from schemas.messages import UserMessage
from worker.engine.catalog import Catalog, Entry
from worker.engine.engine import Engine
from worker.settings import Settings
from worker.transport.inference import Inference
from worker.transport.runs import Runs


class Connection:
    def new_inbox(self) -> str:
        return "_INBOX.x"


class Idle:
    """An engine of two models, one of which cannot be loaded."""

    catalog = Catalog(
        [Entry("Org/Big-1.0", ("big",), Path("big")), Entry("small", ("big-1",), Path("small"), fault="No.")]
    )


@pytest.fixture
def inference() -> Inference:
    engine = cast(Engine, Idle())
    return Inference(cast(Client, Connection()), engine, Runs(engine, None), Settings.load())


def request(model: str | None) -> ChatRequest:
    return ChatRequest(messages=[UserMessage("hi")], model=model)


def addressed(inference: Inference, model: str | None, subject: str | None) -> Any:
    return inference._addressed(request(model), subject).model


def test_each_name_and_alias_has_a_subject(inference: Inference) -> None:
    assert [(endpoint.name, endpoint.subject) for endpoint in inference.endpoints()] == [
        ("chat", "llm.v1.chat"),
        ("chat-org-big-1-0", "llm.v1.chat.org-big-1-0"),
        ("chat-big", "llm.v1.chat.big"),
        ("chat-small", "llm.v1.chat.small"),
        ("chat-big-1", "llm.v1.chat.big-1"),
        ("completions", "llm.v1.completions"),
        ("completions-org-big-1-0", "llm.v1.completions.org-big-1-0"),
        ("completions-big", "llm.v1.completions.big"),
        ("completions-small", "llm.v1.completions.small"),
        ("completions-big-1", "llm.v1.completions.big-1"),
    ]


def test_a_subject_names_the_model_where_the_request_does_not(inference: Inference) -> None:
    assert addressed(inference, None, "small") == "small"
    assert addressed(inference, None, None) is None


@pytest.mark.parametrize("name", ["Org/Big-1.0", "org-big-1-0", "big", "BIG"])
def test_a_request_may_name_the_model_of_its_subject_by_any_name(inference: Inference, name: str) -> None:
    assert addressed(inference, name, "Org/Big-1.0") == name


def test_a_request_that_names_another_model_than_its_subject_is_refused(inference: Inference) -> None:
    with pytest.raises(BadRequest) as caught:
        addressed(inference, "small", "Org/Big-1.0")
    assert (caught.value.param, caught.value.code) == ("model", "model_mismatch")
    assert addressed(inference, "small", None) == "small"


def test_a_model_that_nobody_has_is_not_found(inference: Inference) -> None:
    with pytest.raises(NotFound) as caught:
        addressed(inference, "gpt-4", "small")
    assert caught.value.code == "model_not_found"
