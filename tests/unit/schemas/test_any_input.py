"""Every decoder, given anything: a value that survives its own encoding, or the one error that is documented."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import subjects
from schemas.articles import Analysis, Article, CachedAnswer, DeadLetter, decode_article
from schemas.chat import ChatRequest, decode_request
from schemas.codec import decode, encode
from schemas.completion import ChatChunk, ChatCompletion
from schemas.errors import BadRequest, ErrorBody
from schemas.messages import Message
from schemas.presence import Presence
from schemas.tools import NamedChoice, Tool, ToolCall
from tests.unit.schemas import any_value
from tests.unit.schemas.test_codec import json_values

Decoder = Callable[[bytes], Any]

KINDS: list[Any] = [
    ChatRequest, Message, Tool, NamedChoice, ToolCall, Article, Analysis, CachedAnswer, ChatCompletion, ChatChunk,
    ErrorBody, Presence,
]  # fmt: skip
# A request and an article are held to more than their shape.
STRICTER: dict[Any, Decoder] = {ChatRequest: decode_request, Article: decode_article}

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: getattr(kind, "__name__", "Message"))
few = settings(max_examples=40, suppress_health_check=list(HealthCheck))


def decoder_of(kind: Any) -> Decoder:
    return STRICTER.get(kind) or (lambda payload: decode(kind, payload))


def value_or_bad_request(decoder: Decoder, payload: bytes) -> Any:
    try:
        value = decoder(payload)
    except BadRequest as error:
        assert error.code
        assert error.message.endswith((".", "…"))
        assert "Traceback" not in error.message
        assert len(encode(error.body())) < 16_384
        return None
    again = decoder(encode(value))
    assert again == value
    return value


@each_kind
@few
@given(payload=st.binary(max_size=60) | json_values.map(json.dumps).map(str.encode))
def test_any_bytes_and_any_json(kind: Any, payload: bytes) -> None:
    value_or_bad_request(decoder_of(kind), payload)


@each_kind
def test_what_its_type_allows(kind: Any) -> None:
    """All is taken but what no type can say."""
    decoder = decoder_of(kind)

    @few
    @given(any_value.of(kind))
    def holds(value: object) -> None:
        value_or_bad_request(decoder, json.dumps(value).encode())

    holds()


@each_kind
def test_what_is_nearly_what_its_type_allows(kind: Any) -> None:
    decoder = decoder_of(kind)

    @few
    @given(any_value.of(kind), st.data())
    def holds(value: object, data: st.DataObject) -> None:
        payload = bytearray(json.dumps(value).encode())
        for _ in range(data.draw(st.integers(1, 3))):
            at = data.draw(st.integers(0, len(payload)))
            payload[at : at + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
        value_or_bad_request(decoder, bytes(payload))

    holds()


HUGE = {
    "nested": b"[" * 500_000,
    "objects": b'{"a":' * 200_000,
    "digits": b'{"seed":%b}' % (b"9" * 1_000_000),
    "fraction": b'{"temperature":0.%b}' % (b"1" * 1_000_000),
    "exponent": b'{"temperature":1e%b}' % (b"9" * 1_000_000),
    "name": b'{"%b":1}' % (b"a" * 1_000_000),
    "path in a name": b'{"%b":1}' % (b" - at `$.a`" * 90_000),
    "backticks": b'{"%b":1}' % (b"`" * 1_000_000),
    "keys": b"{%b}" % b",".join(b'"%d":1' % at for at in range(80_000)),
    "the same key": b"{%b}" % b",".join([b'"title":"a"'] * 80_000),
    "escapes": b'{"title":"%b"}' % (b"\\u0000" * 160_000),
    "blanks": b" " * 1_000_000,
    "messages": b'{"messages":[%b]}' % b",".join([b'{"role":"user","content":"a"}'] * 30_000),
    "calls": encode({"messages": [{"role": "assistant", "tool_calls": [
        {"id": str(at), "type": "function", "function": {"name": "f", "arguments": ""}} for at in range(10_000)
    ]}, *({"role": "tool", "tool_call_id": str(at), "content": ""} for at in reversed(range(10_000)))]}),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_a_megabyte_of_anything_takes_no_longer_than_others(name: str) -> None:
    started = time.process_time()
    for kind in (ChatRequest, Article, Presence):
        value_or_bad_request(decoder_of(kind), HUGE[name])
    assert time.process_time() - started < 2


header_names = st.sampled_from([*DeadLetter.__struct_fields__]).map(
    lambda name: "Llm-" + "-".join(part.capitalize() for part in name.split("_"))
)
LETTER = {
    "Llm-Subject": "articles.norm.coin.a", "Llm-Stream": "ARTICLES", "Llm-Sequence": "1", "Llm-Reason": "r",
    "Llm-Error": "e", "Llm-Attempts": "1", "Llm-Worker": "w", "Llm-Failed-At": "2026-01-02T12:00:00Z",
}  # fmt: skip


@given(st.dictionaries(header_names | st.text(max_size=8), st.text(max_size=30), max_size=9), st.booleans())
def test_any_headers_are_a_dead_letter_or_refused(headers: dict[str, str], near: bool) -> None:
    try:
        letter = DeadLetter.from_headers(LETTER | headers if near else headers)
    except BadRequest as error:
        assert error.code == "invalid_letter"
    else:
        assert DeadLetter.from_headers(letter.headers()) == letter


@given(st.text(max_size=80) | st.lists(st.text(max_size=70), max_size=6).map(".".join))
def test_any_subject_is_an_articles_or_refused(subject: str) -> None:
    for text in (subject, f"articles.norm.{subject}", f"articles.high.coin.{subject}"):
        try:
            found = subjects.parse_article(text)
        except BadRequest as error:
            assert error.code == "invalid_subject"
        else:
            assert f"articles.{'.'.join(found)}" == text
            assert subjects.dead_article("ARTICLES", text) == subjects.dead("ARTICLES", *found[1:])


@given(st.text(max_size=80))
def test_any_text_is_a_token_a_request_id_an_inbox_or_not(text: str) -> None:
    if subjects.is_request_id(text):
        assert subjects.is_token(text)
        assert subjects.cancel(text).split(".")[3:] == [text]
    if subjects.is_inbox(text):
        assert all(text.split("."))
    assert subjects.is_inbox(f"_INBOX.{text}") <= ("*" not in text and ">" not in text)
