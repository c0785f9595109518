"""What is right: requests and articles that are asked as they are, before anything about them is made wrong."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

HI = {"role": "user", "content": "Hi"}
_ADD = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "number"}}, "required": ["a"]},
    },
}
_CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
_SCHEMA = {
    "type": "object",
    "properties": {
        "s": {"type": "string", "pattern": "^[a-z]{1,4}$"},
        "n": {"type": "integer", "minimum": 1, "maximum": 9},
        "l": {"type": "array", "items": {"enum": ["a", "b"]}, "maxItems": 3},
    },
    "required": ["s", "n"],
    "additionalProperties": False,
}

REQUESTS: list[Json] = [
    {"messages": [HI]},
    {"messages": [HI], "stream": True, "stream_options": {"include_usage": True}},
    {"messages": [{"role": "system", "content": "Be short."}, HI], "temperature": 0.5, "top_p": 0.9, "seed": 7},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "안녕"}], "name": "kim"}], "top_k": 5},
    {"messages": [HI], "stop": ["a", "비트"], "presence_penalty": 1, "frequency_penalty": -1, "min_p": 0.1},
    {"messages": [HI], "logprobs": True, "top_logprobs": 3, "logit_bias": {"5": -100, "7": 1.5}, "n": 2},
    {
        "messages": [HI],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": _SCHEMA, "strict": True}},
    },
    {"messages": [HI], "response_format": {"type": "json_object"}, "repetition_penalty": 1.1},
    {"messages": [HI], "tools": [_ADD], "tool_choice": "auto", "parallel_tool_calls": False},
    {
        "messages": [
            HI,
            {"role": "assistant", "content": None, "tool_calls": [_CALL]},
            {"role": "tool", "content": "2", "tool_call_id": "call_1"},
        ],
        "tools": [_ADD],
        "tool_choice": {"type": "function", "function": {"name": "add"}},
    },
    {"messages": [HI], "model": "starter", "user": "u", "metadata": {"a": "b"}, "store": False},
    {"messages": [HI, {"role": "assistant", "content": "Yes.", "refusal": None}, HI], "modalities": ["text"]},
    {"messages": [HI], "reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}},
]  # fmt: skip

ARTICLES: list[Json] = [
    {"title": "Bitcoin rises", "body": "Bitcoin rose 5 percent today."},
    {
        "title": "비트코인",
        "body": "올랐다.",
        "id": "a1",
        "url": "https://example.org/1",
        "source": "s",
        "published_at": "2026-11-23T01:02:03Z",
        "lang": "ko",
        "meta": {"n": [1, 2.5, None]},
    },
]

RESPONSES: list[Json] = [
    {"input": "Hi", "max_output_tokens": 1},
    {"input": [{"role": "user", "content": "Hi"}], "instructions": "Be short.", "stream": True, "store": False},
    {"input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]}], "metadata": {}},
    {"input": "Hi", "previous_response_id": "resp_1", "text": {"format": {"type": "text"}}, "temperature": 0.5},
    {"input": "Hi", "tools": [{"type": "function"} | _ADD["function"]], "tool_choice": "auto", "include": []},
]  # fmt: skip
COMPLETIONS: list[Json] = [
    {"prompt": "Hi", "max_tokens": 1, "model": "starter"},
    {
        "prompt": [[5, 1], [49_151]],
        "max_tokens": 1,
        "n": 2,
        "best_of": 2,
        "suffix": None,
        "logit_bias": {"5": -1},
    },
    {
        "prompt": [5, 6],
        "max_tokens": 1,
        "temperature": 0.5,
        "top_p": 0.9,
        "min_p": 0.1,
        "seed": 7,
        "user": "u",
    },
    {"prompt": ["Hi", "Ho"], "max_tokens": 1, "stream": True, "echo": False, "logprobs": 2, "stop": ["a"]},
]

# An article that turns out valid costs a token or two of the model.
RECIPE: Json = {
    "version": "1",
    "system": "Answer.",
    "template": "{{ title }}",
    "answer": {"enum": [1, 2]},
    "max_tokens": 4,
}
