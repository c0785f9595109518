"""The bytes of an answer to a chat, whole and in pieces: what every client of OpenAI's API reads."""

import json

from msgspec import UNSET, UnsetType

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
from schemas.tools import FunctionCall, ToolCall

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
