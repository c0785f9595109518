"""Articles and dead letters: ids that are derived, fields that are refused, headers that survive the wire."""

import datetime as dt
import hashlib
import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas.articles import MAX_DELIVERIES, Article, DeadLetter, Earlier, article_id, decode_article
from schemas.errors import BadRequest

NOON = dt.datetime(2026, 1, 2, 12, 0, 0, tzinfo=dt.UTC)
LETTER = DeadLetter(
    subject="articles.norm.coin.a1",
    stream="ARTICLES",
    sequence=7,
    reason="bad_json",
    error="The payload is not valid JSON in UTF-8.",
    attempts=1,
    worker="mac",
    failed_at=NOON,
)


def over_the_wire(headers: dict[str, str]) -> dict[str, str]:
    """As a NATS client writes and reads them: one line each, blanks around a value gone."""
    for name, value in headers.items():
        assert (name + value).isascii()
        assert (name + value).isprintable()
    lines = [f"{name}: {value}" for name, value in headers.items()]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def refused(**fields: object) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        decode_article(json.dumps({"title": "t", "body": "b", **fields}).encode())
    return caught.value


def test_a_title_and_a_body_are_enough() -> None:
    assert decode_article(b'{"title": "t", "body": "b"}') == Article(title="t", body="b")


@pytest.mark.parametrize("field", ["title", "body"])
def test_title_and_body_are_needed_and_not_empty(field: str) -> None:
    fields = {"title": "t", "body": "b"}
    del fields[field]
    with pytest.raises(BadRequest) as caught:
        decode_article(json.dumps(fields).encode())
    assert (caught.value.message, caught.value.param) == (f"Missing field `{field}`.", field)
    assert refused(**{field: ""}).param == field
    assert refused(**{field: None}).param == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 5),
        ("id", ""),
        ("url", 1),
        ("source", []),
        ("lang", {}),
        ("meta", []),
        ("meta", "x"),
        ("published_at", "yesterday"),
        ("published_at", "2026-01-02"),
        ("published_at", "2026-01-02T12:00:00"),
        ("published_at", 1767355200),
    ],
)
def test_a_wrong_value_is_named(field: str, value: object) -> None:
    assert (refused(**{field: value}).param, refused(**{field: value}).code) == (field, "invalid_value")


def test_an_unknown_field_is_told_where_it_belongs() -> None:
    error = refused(author="Kim")
    assert error.message == "Unknown field `author`: put what has no field of its own under `meta`."
    assert (error.param, error.code) == ("author", "unknown_parameter")


@pytest.mark.parametrize("moment", ["2026-01-02T12:00:00Z", "2026-01-02T21:00:00+09:00"])
def test_a_moment_has_its_zone(moment: str) -> None:
    article = decode_article(json.dumps({"title": "t", "body": "b", "published_at": moment}).encode())
    assert article.published_at == NOON


class TestId:
    def test_its_own(self) -> None:
        assert article_id(Article(title="t", body="b", id="a 1", url="https://e.org/")) == "a 1"

    def test_else_of_the_url(self) -> None:
        expected = hashlib.sha256(b"https://e.org/").hexdigest()[:32]
        assert article_id(Article(title="t", body="b", url="https://e.org/")) == expected
        assert article_id(Article(title="another", body="text", url="https://e.org/")) == expected

    @pytest.mark.parametrize("url", [None, ""])
    def test_else_of_the_text(self, url: str | None) -> None:
        expected = hashlib.sha256("제목\n본문".encode()).hexdigest()[:32]
        assert article_id(Article(title="제목", body="본문", url=url)) == expected
        assert article_id(Article(title="제목", body="본문 2", url=url)) != expected


class TestDeadLetter:
    def test_its_headers(self) -> None:
        assert LETTER.headers() == {
            "Llm-Subject": "articles.norm.coin.a1",
            "Llm-Stream": "ARTICLES",
            "Llm-Sequence": "7",
            "Llm-Reason": "bad_json",
            "Llm-Error": "The payload is not valid JSON in UTF-8.",
            "Llm-Attempts": "1",
            "Llm-Worker": "mac",
            "Llm-Failed-At": "2026-01-02T12:00:00Z",
        }

    @pytest.mark.parametrize(
        "error",
        [
            "The title `가격` is 너무 길어요 🚀.",
            "one\ntwo\r\nthree",
            "Llm-Attempts: 99\r\n\r\n",
            "100%",
            "%41",
            "a+b",
            " blanks around ",
            "\ttab\t",
            "",
            "\x00\x7f\x85\u2028",
            "café",
        ],
        ids=repr,
    )
    def test_any_error_survives_its_header(self, error: str) -> None:
        letter = msgspec.structs.replace(LETTER, error=error)
        assert DeadLetter.from_headers(over_the_wire(letter.headers())) == letter

    def test_english_stays_readable(self) -> None:
        error = 'Unknown field `x`: put what has no field of its own under `meta` (see "README").'
        assert msgspec.structs.replace(LETTER, error=error).headers()["Llm-Error"] == error

    @given(
        st.builds(
            DeadLetter,
            subject=st.text(max_size=20),
            stream=st.text(max_size=20),
            sequence=st.integers(0, 2**63 - 1),
            reason=st.text(max_size=20),
            error=st.text(max_size=60),
            attempts=st.integers(0, 100),
            worker=st.text(max_size=20),
            failed_at=st.datetimes(timezones=st.just(dt.UTC)),
            first_published=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
            replace=st.booleans(),
        )
    )
    @example(msgspec.structs.replace(LETTER, worker="12", error="1e5"))
    def test_a_round_trip(self, letter: DeadLetter) -> None:
        assert DeadLetter.from_headers(over_the_wire(letter.headers())) == letter

    def test_other_headers_do_not_matter(self) -> None:
        headers = LETTER.headers() | {"Nats-Msg-Id": "x", "Llm-Request-Id": "y"}
        assert DeadLetter.from_headers(headers) == LETTER

    @pytest.mark.parametrize("name", LETTER.headers())
    def test_without_one_of_them_it_is_no_letter(self, name: str) -> None:
        headers = LETTER.headers()
        del headers[name]
        with pytest.raises(BadRequest, match="is not a dead letter"):
            DeadLetter.from_headers(headers)

    @pytest.mark.parametrize(
        ("name", "value"), [("Llm-Sequence", "seven"), ("Llm-Attempts", ""), ("Llm-Failed-At", "noon")]
    )
    def test_with_one_of_another_type_it_is_no_letter(self, name: str, value: str) -> None:
        with pytest.raises(BadRequest, match="is not a dead letter"):
            DeadLetter.from_headers(LETTER.headers() | {name: value})

    def test_its_address(self) -> None:
        assert LETTER.address == ("norm", "coin", "a1")


class TestEarlier:
    def test_what_a_letter_gives_along(self) -> None:
        letter = msgspec.structs.replace(LETTER, attempts=8, reason=MAX_DELIVERIES, first_published=NOON)
        assert letter.earlier.headers() == {
            "Llm-Earlier-Attempts": "8",
            "Llm-Earlier-Reason": "max_deliveries",
            "Llm-First-Published": "2026-01-02T12:00:00Z",
        }
        assert letter.earlier.killed
        assert not LETTER.earlier.killed

    @given(
        st.builds(
            Earlier,
            attempts=st.integers(0, 999_999),
            reason=st.none() | st.text(min_size=1, max_size=20),
            first_published=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
        )
    )
    def test_a_round_trip(self, earlier: Earlier) -> None:
        assert Earlier.of(over_the_wire(earlier.headers())) == earlier

    @given(st.fixed_dictionaries({}, optional=dict.fromkeys(LETTER.earlier.headers(), st.text(max_size=30))))
    def test_anybody_may_write_nonsense(self, headers: dict[str, str]) -> None:
        earlier = Earlier.of(headers)
        assert 0 <= earlier.attempts < 1_000_000

    def test_without_them_it_is_the_first_life(self) -> None:
        assert Earlier.of(None) == Earlier.of({"Llm-Replace": "true"}) == Earlier()
