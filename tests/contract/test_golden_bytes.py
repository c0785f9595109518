"""The bytes on the wire, written out: a reader in another language depends on each of them."""

import datetime as dt

import msgspec
import pytest

from schemas.articles import Analysis, Article, ArticleRef, Timings
from schemas.codec import encode
from schemas.completion import (
    Usage,
)
from schemas.errors import (
    BadRequest,
    Cancelled,
    ContextLengthExceeded,
    DeadlineExceeded,
    EngineFailed,
    LlmError,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
)
from schemas.presence import ModelCard, Presence

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=dt.UTC)


def test_an_error() -> None:
    assert encode(BadRequest("Unknown field `x`.", param="x", code="unknown_parameter").body()) == (
        b'{"error":{"message":"Unknown field `x`.","type":"invalid_request_error","param":"x",'
        b'"code":"unknown_parameter"}}'
    )
    assert encode(BadRequest("No.").body()) == (
        b'{"error":{"message":"No.","type":"invalid_request_error","param":null,"code":null}}'
    )


@pytest.mark.parametrize(
    ("kind", "status", "type_", "code"),
    [
        (BadRequest, 400, "invalid_request_error", None),
        (ContextLengthExceeded, 400, "invalid_request_error", "context_length_exceeded"),
        (NotFound, 404, "invalid_request_error", None),
        (TooLarge, 413, "invalid_request_error", "payload_too_large"),
        (Overloaded, 429, "rate_limit_error", "overloaded"),
        (Cancelled, 499, "request_cancelled", "cancelled"),
        (EngineFailed, 500, "server_error", "engine_error"),
        (Unavailable, 503, "server_error", "unavailable"),
        (DeadlineExceeded, 504, "timeout_error", "deadline_exceeded"),
    ],
)
def test_each_error_has_its_status_type_and_code(
    kind: type[LlmError], status: int, type_: str, code: str | None
) -> None:
    error = kind("Said.")
    detail = error.body().error
    assert (error.status, detail.type, detail.code, detail.message) == (status, type_, code, "Said.")


def test_an_article() -> None:
    assert encode(Article(title="t", body="b", id="a1", published_at=MOMENT, meta={"n": 1})) == (
        b'{"title":"t","body":"b","id":"a1","published_at":"2026-01-02T03:04:05.600000Z","meta":{"n":1}}'
    )
    assert encode(Article(title="t", body="b")) == b'{"title":"t","body":"b"}'


def analysis() -> Analysis:
    return Analysis(
        id="a1",
        recipe="coin",
        recipe_version="1",
        article=ArticleRef("비트코인", "https://example.org/1", None, MOMENT),
        model="smollm2-135m-instruct",
        result={"sentiment": "bullish", "coins": ["BTC"], "importance": 3, "confidence": 0.57},
        usage=Usage(420, 61, 481),
        timings=Timings(0.5, 1.25, 2.0, 3.75),
        attempts=1,
        worker="mac",
        finished_at=MOMENT,
    )


def test_an_analysis() -> None:
    assert encode(analysis()) == (
        b'{"id":"a1","recipe":"coin","recipe_version":"1",'
        b'"article":{"title":"\xeb\xb9\x84\xed\x8a\xb8\xec\xbd\x94\xec\x9d\xb8","url":"https://example.org/1",'
        b'"source":null,"published_at":"2026-01-02T03:04:05.600000Z"},'
        b'"model":"smollm2-135m-instruct",'
        b'"result":{"sentiment":"bullish","coins":["BTC"],"importance":3,"confidence":0.57},'
        b'"usage":{"prompt_tokens":420,"completion_tokens":61,"total_tokens":481,'
        b'"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},'
        b'"timings":{"queued":0.5,"prefill":1.25,"decode":2.0,"total":3.75},'
        b'"attempts":1,"worker":"mac","finished_at":"2026-01-02T03:04:05.600000Z","cached":false}'
    )


def test_a_presence() -> None:
    presence = Presence(
        worker="mac",
        version="0.1.0",
        pid=4711,
        host="mac.local",
        models=[ModelCard("smollm2-135m-instruct", ["starter"], 2048, True)],
        slots=16,
        running=3,
        waiting=5,
        prompt_tokens_per_second=285.0,
        decode_tokens_per_second=128.5,
        memory_bytes=600_000_000,
        started_at=MOMENT,
        updated_at=MOMENT,
    )
    assert encode(presence) == (
        b'{"worker":"mac","version":"0.1.0","pid":4711,"host":"mac.local",'
        b'"models":[{"name":"smollm2-135m-instruct","aliases":["starter"],"context":2048,"loaded":true}],'
        b'"slots":16,"running":3,"waiting":5,"prompt_tokens_per_second":285.0,'
        b'"decode_tokens_per_second":128.5,"memory_bytes":600000000,'
        b'"started_at":"2026-01-02T03:04:05.600000Z","updated_at":"2026-01-02T03:04:05.600000Z"}'
    )


def test_what_is_written_can_be_read() -> None:
    assert msgspec.json.decode(encode(analysis()), type=Analysis) == analysis()
