"""Events in, OpenAI's legacy completions out."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion as SdkCompletion

from schemas.codec import encode
from schemas.completion import TokenLogprob, TopLogprob, Usage
from worker.jobs import Ended, Text
from worker.transport.style import Head
from worker.transport.texts import TextStyle

HEAD = Head("cmpl-1", 1795383095, "org/tiny")
USAGE = Usage(3, 2, 5)


def token(raw: bytes, *others: bytes) -> TokenLogprob:
    told = [TopLogprob(one.decode(errors="replace"), -2.0, list(one)) for one in others]
    return TokenLogprob(raw.decode(errors="replace"), -0.5, list(raw), told)


def whole(*events: Text | Ended, choices: int = 1, logprobs: bool = False) -> dict[str, Any]:
    style = TextStyle(choices, logprobs)
    for event in events:
        style.add(event)
    found: dict[str, Any] = json.loads(encode(style.whole(HEAD, USAGE)))
    SdkCompletion.model_validate(found, strict=True)
    return found


def test_a_whole_answer() -> None:
    assert encode(TextStyle(0, False).chunk(HEAD, [TextStyle(1, False).part(Text(" a"))], USAGE)) == (
        b'{"id":"cmpl-1","created":1795383095,"model":"org/tiny","choices":[{"index":0,"text":" a",'
        b'"finish_reason":null,"logprobs":null}],"object":"text_completion","usage":{"prompt_tokens":3,'
        b'"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0},'
        b'"completion_tokens_details":{"reasoning_tokens":0}}}'
    )
    answer = whole(Text(" a", 1), Text("x"), Text("b", 1), Ended("length", 1), Ended("stop"), choices=2)
    assert answer["choices"] == [
        {"index": 0, "text": "x", "finish_reason": "stop", "logprobs": None},
        {"index": 1, "text": " ab", "finish_reason": "length", "logprobs": None},
    ]


def test_logprobs_tell_where_each_token_begins() -> None:
    han = "한".encode()
    events = (
        Text(" Pa", logprobs=(token(b" Pa", b" Lo"),)),
        Text("한", logprobs=(token(han[:1]), token(han[1:]))),
        Text("!", logprobs=(token(b"!", b"!"),)),
        Ended("length"),
    )
    [choice] = whole(*events, logprobs=True)["choices"]
    assert choice["logprobs"] == {
        "text_offset": [0, 3, 3, 4],
        "tokens": [" Pa", r"bytes:\xed", r"bytes:\x95\x9c", "!"],
        "token_logprobs": [-0.5] * 4,
        "top_logprobs": [
            {" Lo": -2.0, " Pa": -0.5},
            {r"bytes:\xed": -0.5},
            {r"bytes:\x95\x9c": -0.5},
            {"!": -0.5},
        ],
    }


def test_an_answer_of_no_tokens_has_logprobs_of_none() -> None:
    [choice] = whole(Ended("stop"), logprobs=True)["choices"]
    assert choice["text"] == ""
    assert choice["logprobs"] == {"text_offset": [], "tokens": [], "token_logprobs": [], "top_logprobs": []}


def test_the_parts_of_a_stream_count_on_each_choice_by_itself() -> None:
    style = TextStyle(2, logprobs=True)
    parts = [
        style.part(Text(text, at, (token(text.encode()),))) for text, at in (("ab", 0), ("c", 1), ("d", 0))
    ]
    assert [part.logprobs and part.logprobs.text_offset for part in parts] == [[0], [0], [2]]
    for part in (style.opening(1), style.nothing(0), style.part(Ended("stop", 1))):
        assert part.text == "" and part.logprobs is None


@given(st.text(min_size=1, max_size=20), st.lists(st.integers(1, 3), min_size=1, max_size=70))
def test_tokens_are_where_the_text_says_it(text: str, sizes: list[int]) -> None:
    """However the bytes are cut, each token that begins with a character begins there."""
    raw, tokens = text.encode(), list[TokenLogprob]()
    for size in sizes:
        tokens.append(token(raw[:size]))
        raw = raw[size:]
    tokens = [one for one in [*tokens, token(raw)] if one.bytes]
    [choice] = whole(Text(text, logprobs=tuple(tokens)), Ended("stop"), logprobs=True)["choices"]
    for at, one in zip(choice["logprobs"]["text_offset"], tokens, strict=True):
        if (found := bytes(one.bytes)[:1]) and not 0x80 <= found[0] < 0xC0:
            assert text[at].encode()[:1] == found
