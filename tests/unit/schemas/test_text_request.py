"""A completion's request: what a prompt may be, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import encode
from schemas.errors import BadRequest
from schemas.text import TextRequest, decode_text_request


def decoded(**fields: Any) -> TextRequest:
    return decode_text_request(json.dumps({"prompt": "a"} | fields).encode())


def refused(**fields: Any) -> tuple[str | None, str | None]:
    with pytest.raises(BadRequest) as caught:
        decoded(**fields)
    return caught.value.param, caught.value.code


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [[1, 2]]),
        ([[1, 2], [3]], [[1, 2], [3]]),
    ],
)
def test_a_prompt_is_one_or_many_as_text_or_tokens(prompt: Any, prompts: list[Any]) -> None:
    request = decoded(prompt=prompt, n=2)
    assert request.prompts == prompts
    assert [part.prompts for part in request.parts] == [[one] for one in prompts]
    assert {part.n for part in request.parts} == {2}


@pytest.mark.parametrize(
    "prompt", ["", [], [""], [[]], [[1], []], ["a", 1], [1, "a"], ["a", [1]], [1, [1]], [-1], [1.5], {}, None, True]
)  # fmt: skip
def test_anything_else_is_no_prompt(prompt: Any) -> None:
    param, code = refused(prompt=prompt)
    assert str(param).startswith("prompt")
    assert code == "invalid_value"


def test_a_list_has_at_most_128_prompts_and_a_prompt_any_number_of_tokens() -> None:
    assert len(decoded(prompt=["a"] * 128).parts) == 128
    assert refused(prompt=["a"] * 129) == ("prompt", "array_above_max_length")
    assert len(decoded(prompt=[1] * 5000).parts) == 1


@pytest.mark.parametrize("fields", [{"echo": True}, {"suffix": "x"}, {"best_of": 2}, {"best_of": 1, "n": 2}])
def test_what_is_not_supported_is_refused_by_name(fields: dict[str, Any]) -> None:
    assert refused(**fields) == (next(iter(fields)), "unsupported_parameter")


@pytest.mark.parametrize(
    "fields", [{"echo": False}, {"suffix": None}, {"best_of": 2, "n": 2}, {"best_of": 1}]
)
def test_but_not_where_it_means_nothing(fields: dict[str, Any]) -> None:
    assert decoded(**fields)


@pytest.mark.parametrize(
    "name", ["messages", "response_format", "top_logprobs", "max_completion_tokens", "x"]
)
def test_an_unknown_field_is_refused(name: str) -> None:
    assert refused(**{name: 1}) == (name, "unknown_parameter")


def test_logprobs_are_a_number() -> None:
    assert decoded().alternatives is None
    assert decoded(logprobs=0).alternatives == 0
    assert decoded(logprobs=5).alternatives == 5
    for wrong in (6, -1, True):
        assert refused(logprobs=wrong) == ("logprobs", "invalid_value")


def test_an_answer_has_16_tokens_unless_it_is_told() -> None:
    assert (decoded().limit, decoded().usual_limit) == (None, 16)
    assert decoded(max_tokens=3).limit == 3


def test_stream_options_need_a_stream() -> None:
    assert refused(stream_options={"include_usage": True}) == ("stream_options", "invalid_value")


pieces = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
values = pieces | st.lists(pieces | st.lists(pieces, max_size=2), max_size=3)


@given(st.dictionaries(st.sampled_from([*TextRequest.__struct_fields__, "x"]), values, max_size=4), values)
def test_whatever_comes_is_a_request_or_refused(fields: dict[str, Any], prompt: Any) -> None:
    try:
        request = decode_text_request(json.dumps(fields | {"prompt": prompt}).encode())
    except BadRequest as error:
        assert error.code
    else:
        assert decode_text_request(encode(request)) == request
        assert len(request.parts) >= 1
