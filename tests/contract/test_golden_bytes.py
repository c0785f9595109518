"""The bytes on the wire, written out: a reader in another language depends on each of them."""

import datetime as dt
import json

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from schemas.articles import Analysis, Article, ArticleRef, Timings
from schemas.codec import encode
from schemas.completion import (
    ChatChunk,
    ChatCompletion,
    Choice,
    ChoiceLogprobs,
    ChunkChoice,
    CompletionTokensDetails,
    Delta,
    FunctionDelta,
    PromptTokensDetails,
    ReplyMessage,
    TokenLogprob,
    ToolCallDelta,
    TopLogprob,
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
from schemas.tools import FunctionCall, ToolCall

MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=dt.UTC)
HEAD = b'{"id":"chatcmpl-r1","created":1767323045,"model":"m","choices":'
TAIL = b',"object":"chat.completion.chunk"'


def chunk(*choices: ChunkChoice, usage: Usage | UnsetType | None = UNSET) -> bytes:
    return encode(ChatChunk("chatcmpl-r1", 1767323045, "m", list(choices), usage=usage))


def test_a_completion() -> None:
    completion = ChatCompletion(
        id="chatcmpl-r1",
        created=1767323045,
        model="smollm2-135m-instruct",
        choices=[Choice(0, ReplyMessage("Paris \U0001f680 파리\n"), "stop")],
        usage=Usage(31, 7, 38),
    )
    assert encode(completion) == (
        b'{"id":"chatcmpl-r1","created":1767323045,"model":"smollm2-135m-instruct",'
        b'"choices":[{"index":0,"message":{"content":"Paris \xf0\x9f\x9a\x80 \xed\x8c\x8c\xeb\xa6\xac\\n",'
        b'"role":"assistant","refusal":null},"finish_reason":"stop","logprobs":null}],'
        b'"usage":{"prompt_tokens":31,"completion_tokens":7,"total_tokens":38,'
        b'"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},"object":"chat.completion"}'
    )


LOGPROBS = ChoiceLogprobs(
    [
        TokenLogprob("파", -0.5, [0xED, 0x8C, 0x8C], [TopLogprob("파", -0.5, [0xED, 0x8C, 0x8C])]),
        TokenLogprob("\ufffd", -1.25, [0xEB, 0xA6], []),
    ]
)
LOGPROBS_BYTES = (
    b'{"content":[{"token":"\xed\x8c\x8c","logprob":-0.5,"bytes":[237,140,140],'
    b'"top_logprobs":[{"token":"\xed\x8c\x8c","logprob":-0.5,"bytes":[237,140,140]}]},'
    b'{"token":"\xef\xbf\xbd","logprob":-1.25,"bytes":[235,166],"top_logprobs":[]}],"refusal":null}'
)


def test_a_choice_with_logprobs() -> None:
    assert encode(Choice(0, ReplyMessage("파"), "length", LOGPROBS)) == (
        b'{"index":0,"message":{"content":"\xed\x8c\x8c","role":"assistant","refusal":null},'
        b'"finish_reason":"length","logprobs":' + LOGPROBS_BYTES + b"}"
    )


def test_a_choice_that_calls() -> None:
    calls = [
        ToolCall("call_1", FunctionCall("add", '{"a":1}')),
        ToolCall("call_2", FunctionCall("now", "{}")),
    ]
    assert encode(Choice(1, ReplyMessage(None, tool_calls=calls), "tool_calls")) == (
        b'{"index":1,"message":{"content":null,"role":"assistant","refusal":null,"tool_calls":['
        b'{"type":"function","id":"call_1","function":{"name":"add","arguments":"{\\"a\\":1}"}},'
        b'{"type":"function","id":"call_2","function":{"name":"now","arguments":"{}"}}]},'
        b'"finish_reason":"tool_calls","logprobs":null}'
    )


def test_a_message_with_thoughts() -> None:
    assert encode(ReplyMessage("Yes.", reasoning_content="Hm.")) == (
        b'{"content":"Yes.","role":"assistant","refusal":null,"reasoning_content":"Hm."}'
    )


def test_usage_with_its_details() -> None:
    usage = Usage(31, 7, 38, PromptTokensDetails(16), CompletionTokensDetails(5))
    assert encode(usage) == (
        b'{"prompt_tokens":31,"completion_tokens":7,"total_tokens":38,'
        b'"prompt_tokens_details":{"cached_tokens":16},"completion_tokens_details":{"reasoning_tokens":5}}'
    )


def test_a_completion_of_several_choices() -> None:
    choices = [Choice(index, ReplyMessage(text), "stop") for index, text in enumerate("ab")]
    assert encode(ChatCompletion("c", 1, "m", choices, Usage(1, 2, 3))) == (
        b'{"id":"c","created":1,"model":"m","choices":['
        b'{"index":0,"message":{"content":"a","role":"assistant","refusal":null},"finish_reason":"stop","logprobs":null},'
        b'{"index":1,"message":{"content":"b","role":"assistant","refusal":null},"finish_reason":"stop","logprobs":null}],'
        b'"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3,"prompt_tokens_details":{"cached_tokens":0},'
        b'"completion_tokens_details":{"reasoning_tokens":0}},"object":"chat.completion"}'
    )


def test_the_first_chunk() -> None:
    assert chunk(ChunkChoice(0, Delta(role="assistant", content=""))) == (
        HEAD + b'[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"logprobs":null}]'
        + TAIL + b"}"
    )  # fmt: skip


def test_a_chunk_of_text() -> None:
    assert chunk(ChunkChoice(0, Delta(content="파"))) == (
        HEAD + b'[{"index":0,"delta":{"content":"\xed\x8c\x8c"},"finish_reason":null,"logprobs":null}]'
        + TAIL + b"}"
    )  # fmt: skip


def test_a_chunk_of_another_choice() -> None:
    assert chunk(ChunkChoice(2, Delta(content="a"))) == (
        HEAD + b'[{"index":2,"delta":{"content":"a"},"finish_reason":null,"logprobs":null}]' + TAIL + b"}"
    )


def test_a_chunk_of_text_with_its_logprobs() -> None:
    assert chunk(ChunkChoice(0, Delta(content="파"), logprobs=LOGPROBS)) == (
        HEAD + b'[{"index":0,"delta":{"content":"\xed\x8c\x8c"},"finish_reason":null,"logprobs":'
        + LOGPROBS_BYTES + b"}]" + TAIL + b"}"
    )  # fmt: skip


def test_a_chunk_of_thoughts() -> None:
    assert chunk(ChunkChoice(0, Delta(reasoning_content="Hm."))) == (
        HEAD + b'[{"index":0,"delta":{"reasoning_content":"Hm."},"finish_reason":null,"logprobs":null}]'
        + TAIL + b"}"
    )  # fmt: skip


def test_the_first_chunk_of_a_call() -> None:
    call = ToolCallDelta(0, FunctionDelta("add", ""), "call_1", "function")
    assert chunk(ChunkChoice(0, Delta(tool_calls=[call]))) == (
        HEAD + b'[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"add","arguments":""},'
        b'"id":"call_1","type":"function"}]},"finish_reason":null,"logprobs":null}]' + TAIL + b"}"
    )  # fmt: skip


def test_a_chunk_of_arguments() -> None:
    more = ToolCallDelta(1, FunctionDelta(arguments='{"a"'))
    assert chunk(ChunkChoice(0, Delta(tool_calls=[more]))) == (
        HEAD + b'[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{\\"a\\""}}]},'
        b'"finish_reason":null,"logprobs":null}]' + TAIL + b"}"
    )  # fmt: skip


def test_the_end_of_calls() -> None:
    assert chunk(ChunkChoice(0, Delta(), "tool_calls")) == (
        HEAD + b'[{"index":0,"delta":{},"finish_reason":"tool_calls","logprobs":null}]' + TAIL + b"}"
    )


def test_a_keep_alive() -> None:
    assert chunk(ChunkChoice(0, Delta())) == (
        HEAD + b'[{"index":0,"delta":{},"finish_reason":null,"logprobs":null}]' + TAIL + b"}"
    )


def test_the_last_chunk() -> None:
    assert chunk(ChunkChoice(0, Delta(), "length")) == (
        HEAD + b'[{"index":0,"delta":{},"finish_reason":"length","logprobs":null}]' + TAIL + b"}"
    )


def test_a_chunk_where_usage_was_asked_for() -> None:
    assert chunk(ChunkChoice(0, Delta(content="a")), usage=None) == (
        HEAD + b'[{"index":0,"delta":{"content":"a"},"finish_reason":null,"logprobs":null}]'
        + TAIL + b',"usage":null}'
    )  # fmt: skip


def test_the_chunk_of_usage() -> None:
    assert chunk(usage=Usage(31, 7, 38)) == (
        HEAD + b"[]" + TAIL + b',"usage":{"prompt_tokens":31,"completion_tokens":7,"total_tokens":38,'
        b'"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}}}'
    )


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
        models=[ModelCard("smollm2-135m-instruct", ["starter"], 2048)],
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
        b'"models":[{"name":"smollm2-135m-instruct","aliases":["starter"],"context":2048}],'
        b'"slots":16,"running":3,"waiting":5,"prompt_tokens_per_second":285.0,'
        b'"decode_tokens_per_second":128.5,"memory_bytes":600000000,'
        b'"started_at":"2026-01-02T03:04:05.600000Z","updated_at":"2026-01-02T03:04:05.600000Z"}'
    )


def test_what_is_written_can_be_read() -> None:
    assert msgspec.json.decode(encode(analysis()), type=Analysis) == analysis()


def test_the_sdk_of_openai_reads_them() -> None:
    """Its models are what clients in the wild check against."""
    from openai.types.chat import ChatCompletion as SdkCompletion
    from openai.types.chat import ChatCompletionChunk

    calls = [ToolCall("call_1", FunctionCall("add", "{}"))]
    choices = [
        Choice(0, ReplyMessage("x", reasoning_content="Hm."), "stop", LOGPROBS),
        Choice(1, ReplyMessage(None, tool_calls=calls), "tool_calls"),
    ]
    completion = ChatCompletion("c", 1, "m", choices, Usage(1, 2, 3))
    read = SdkCompletion.model_validate(json.loads(encode(completion)), strict=True)
    assert read.choices[0].message.content == "x"
    assert read.choices[0].logprobs is not None
    assert read.choices[1].message.tool_calls is not None
    for payload in (
        chunk(ChunkChoice(0, Delta(role="assistant", content=""))),
        chunk(ChunkChoice(0, Delta(content="a"), logprobs=LOGPROBS)),
        chunk(ChunkChoice(0, Delta(tool_calls=[ToolCallDelta(0, FunctionDelta("f", ""), "c", "function")]))),
        chunk(ChunkChoice(1, Delta(tool_calls=[ToolCallDelta(0, FunctionDelta(arguments="{"))]))),
        chunk(ChunkChoice(0, Delta(), "tool_calls"), usage=None),
        chunk(usage=Usage(1, 2, 3)),
    ):
        ChatCompletionChunk.model_validate(json.loads(payload), strict=True)
