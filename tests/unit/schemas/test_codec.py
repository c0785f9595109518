"""Decoding refuses with a sentence that names the field, and never with anything but a BadRequest."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.articles import Article, decode_article
from schemas.chat import ChatRequest, decode_request
from schemas.codec import decode, encode
from schemas.errors import BadRequest, LlmError

HI = {"role": "user", "content": "hi"}
NOT_JSON = "The payload is not valid JSON in UTF-8."

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
# Objects that come close to what is wanted reach deeper than random bytes do.
near_requests = st.fixed_dictionaries(
    {"messages": st.lists(st.just(HI) | json_values, max_size=2)},
    optional=dict.fromkeys(sorted({*ChatRequest.__struct_fields__, "unknown"} - {"messages"}), json_values),
)
near_articles = st.fixed_dictionaries(
    {"title": st.text(max_size=8), "body": st.text(max_size=8)},
    optional=dict.fromkeys((*Article.__struct_fields__[2:], "unknown"), json_values),
)


def request(**fields: object) -> bytes:
    return json.dumps({"messages": [HI], **fields}).encode()


def refusal(payload: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        decode_request(payload)
    return caught.value


def said(payload: bytes) -> tuple[str, str | None, str | None]:
    error = refusal(payload)
    return error.message, error.param, error.code


def test_an_unknown_field_is_named() -> None:
    assert said(request(colour="red")) == ("Unknown field `colour`.", "colour", "unknown_parameter")


def test_an_unknown_field_inside_is_named_with_its_path() -> None:
    payload = json.dumps({"messages": [HI, {**HI, "colour": 1}]}).encode()
    assert said(payload) == (
        "Unknown field `messages[1].colour`.",
        "messages[1].colour",
        "unknown_parameter",
    )


def test_a_missing_field_is_named() -> None:
    assert said(b"{}") == ("Missing field `messages`.", "messages", "missing_required_parameter")


def test_a_missing_field_inside_is_named_with_its_path() -> None:
    payload = b'{"messages": [{"role": "user"}]}'
    assert said(payload) == (
        "Missing field `messages[0].content`.",
        "messages[0].content",
        "missing_required_parameter",
    )


def test_a_wrong_type_is_named() -> None:
    assert said(request(max_tokens="many")) == (
        "Invalid value for `max_tokens`: Expected `int | null`, got `str`.",
        "max_tokens",
        "invalid_value",
    )


def test_a_wrong_type_inside_is_named_with_its_path() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": 1}]
    payload = json.dumps({"messages": [{"role": "user", "content": content}]}).encode()
    assert refusal(payload).param == "messages[0].content[1].text"


@pytest.mark.parametrize("payload", [b"[]", b"null", b"1", b'"text"'])
def test_another_kind_of_json_is_refused_without_a_field(payload: bytes) -> None:
    error = refusal(payload)
    assert error.message.startswith("Invalid value: Expected `object`, got ")
    assert (error.param, error.code) == (None, "invalid_value")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b" ",
        b"{",
        b"not json",
        b"{'messages': []}",
        request()[:-1] + b",}",
        request() + b" and more",
        b"\xef\xbb\xbf" + request(),
        b"\xff\xfe",
        b'{"model": "\xff", "messages": []}',
        b'{"model": "\xed\xa0\x80", "messages": []}',
        b'{"model": "\\ud800", "messages": []}',
        b'{"model": "\\udc00\\ud800", "messages": []}',
        b'{"model": NaN, "messages": []}',
        request()[:-2],
    ],
    ids=repr,
)
def test_what_is_not_json_in_utf8_is_said_so(payload: bytes) -> None:
    assert said(payload) == (NOT_JSON, None, "invalid_json")


def test_a_pair_of_surrogates_is_one_character() -> None:
    payload = b'{"messages": [{"role": "user", "content": "\\ud83d\\ude80"}]}'
    assert decode_request(payload).messages[0].content == "🚀"


@pytest.mark.parametrize("depth", [2_000, 200_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    schema = b'{"a":' * depth + b"1" + b"}" * depth
    head = b'{"messages": [{"role": "user", "content": "hi"}], "response_format": {"type": "json_schema", '
    payload = head + b'"json_schema": {"name": "x", "schema": ' + schema + b"}}}"
    assert said(payload) == ("The payload is nested too deeply.", None, "invalid_json")


@pytest.mark.parametrize("digits", [20, 400, 5_000])
@pytest.mark.parametrize("field", ["seed", "max_tokens", "temperature"])
def test_a_huge_number_is_refused_by_its_field(field: str, digits: int) -> None:
    payload = b'{"%s": %s, "messages": [{"role": "user", "content": "hi"}]}' % (field.encode(), b"9" * digits)
    if field == "max_tokens" and digits < 5_000:
        assert decode_request(payload).max_tokens == int("9" * digits)  # the context refuses it later
    else:
        assert (refusal(payload).param, refusal(payload).code) == (field, "invalid_value")


def test_a_huge_number_in_free_data_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        decode_article(b'{"title": "t", "body": "b", "meta": {"n": %s}}' % (b"9" * 5_000))
    assert caught.value.param == "meta[...]"


@pytest.mark.parametrize("name", ["", " ", "a.b", "wei`rd", "line\nbreak", "가격", "a - at `b`", "%s", "{}"])
def test_an_unknown_field_of_any_name_is_repeated(name: str) -> None:
    assert said(request(**{name: 1})) == (f"Unknown field `{name}`.", name, "unknown_parameter")


def test_a_message_is_short_whatever_the_caller_sent() -> None:
    """It travels in a header: payload and headers over the server's 1 MB end the connection for good."""
    for payload in (
        request(**{"가" * 300_000: 1}),
        request(response_format={"type": "x" * 900_000}),
        json.dumps({"messages": [{"role": "x" * 900_000, "content": ""}]}).encode(),
    ):
        body = encode(refusal(payload).body())
        assert len(body) < 8_192


def test_a_decoder_is_built_once() -> None:
    from schemas import codec

    assert codec._decoder(ChatRequest) is codec._decoder(ChatRequest)


def test_a_refused_field_says_its_own_sentence() -> None:
    with pytest.raises(BadRequest) as caught:
        decode(Article, b'{"title": "t", "body": "b", "old": 1}', {"old": "`old` is gone; use `new`."})
    assert (caught.value.message, caught.value.param) == ("`old` is gone; use `new`.", "old")
    assert caught.value.code == "unsupported_parameter"


def only_bad_request(decoder: object, payload: bytes) -> None:
    try:
        value = decoder(payload)  # type: ignore[operator]
    except LlmError as error:
        assert type(error) is BadRequest
        assert error.message.endswith(".")
        assert error.code
        encode(error.body())
    else:
        text = encode(value)
        again = decoder(text)  # type: ignore[operator]
        assert again == value
        assert encode(again) == text


@given(st.binary(max_size=200))
@example(b'{"title":"a","body":"b","published_at":"0001-01-01T00:00:00+14:00"}')
@example(b'{"title":"a","body":"b","published_at":"2016-12-31T23:59:60Z"}')
@example(
    b'{"title":"a","body":"b","meta":{"x":-0.0,"y":1e-400,"z":1234567890123456789012345678901234567890}}'
)
def test_any_bytes_give_a_value_or_a_bad_request(payload: bytes) -> None:
    only_bad_request(decode_request, payload)
    only_bad_request(decode_article, payload)


@given(near_requests)
def test_what_looks_like_a_request_gives_a_value_or_a_bad_request(value: object) -> None:
    only_bad_request(decode_request, json.dumps(value).encode())


@given(near_articles)
def test_what_looks_like_an_article_gives_a_value_or_a_bad_request(value: object) -> None:
    only_bad_request(decode_article, json.dumps(value).encode())


@given(st.data())
def test_a_flipped_byte_gives_a_value_or_a_bad_request(data: st.DataObject) -> None:
    payload = bytearray(request(temperature=0.5, stop=["a", "나"], stream=True, seed=7, user="u"))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] = data.draw(st.integers(0, 255))
    only_bad_request(decode_request, bytes(payload))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"tool_choice": "any"}, "`auto`, `none` or `required`"),
        ({"tool_choice": {"type": "x"}}, "`function`"),
        (
            {"messages": [{"role": "x", "content": "a"}]},
            "`system`, `developer`, `user`, `assistant` or `tool`",
        ),
        ({"tools": [{"type": "custom"}]}, "`function`"),
        ({"response_format": {"type": "x"}}, "`text`, `json_object` or `json_schema`"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "`text`"),
    ],
)
def test_a_word_that_is_none_of_a_few_is_told_them(body: dict[str, object], words: str) -> None:
    error = refusal(json.dumps({"messages": [{"role": "user", "content": "hi"}]} | body).encode())
    assert error.message.endswith(f". It takes {words}.")
