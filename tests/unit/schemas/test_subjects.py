"""Tokens of subjects: what is one, what becomes one, and how an article's subject is taken apart."""

import hashlib
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from schemas import subjects
from schemas.errors import BadRequest


@pytest.mark.parametrize("text", ["a", "A-1_b", "=?#$", "비트코인", "🚀", "a" * 64, "가" * 64])
def test_a_token(text: str) -> None:
    assert subjects.is_token(text)
    assert subjects.id_token(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        ".",
        "*",
        ">",
        "a*",
        "a>",
        " ",
        "a b",
        "a\tb",
        "a\n",
        "\r",
        "\x00",
        "\x7f",
        "a\u00a0b",
        "\u3000",
    ]
    + ["a" * 65, "가" * 65],
)
def test_no_token(text: str) -> None:
    assert not subjects.is_token(text)
    assert subjects.id_token(text) == hashlib.sha256(text.encode()).hexdigest()[:32]


@given(st.text())
@example("a" * 64)
@example("a" * 65)
@example("a\n")
def test_an_id_always_gives_a_valid_token(text: str) -> None:
    token = subjects.id_token(text)
    assert subjects.is_token(token)
    assert 1 <= len(token) <= 64
    assert not set(token) & set(string.whitespace + ".*>")
    assert subjects.id_token(token) == token


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_ids_share_no_token(one: str, other: str) -> None:
    assert (subjects.id_token(one) == subjects.id_token(other)) == (one == other)


@pytest.mark.parametrize(
    ("model", "token"),
    [
        ("starter", "starter"),
        ("mlx-community/Qwen2.5-7B-Instruct-4bit", "mlx-community-qwen2-5-7b-instruct-4bit"),
        ("a_b-c", "a_b-c"),
        ("org/모델:v1 *>", "org----v1---"),
        ("ÄÖ", "--"),
        ("", ""),
    ],
)
def test_a_models_token(model: str, token: str) -> None:
    assert subjects.model_token(model) == token
    assert subjects.of_model(subjects.CHAT, model) == f"llm.v1.chat.{token}"


@given(st.text(min_size=1, max_size=64))
def test_a_models_token_has_only_what_the_contract_allows(model: str) -> None:
    token = subjects.model_token(model)
    assert set(token) <= set(string.ascii_lowercase + string.digits + "_-")
    assert subjects.model_token(token) == token


def test_the_subjects_of_the_contract() -> None:
    assert subjects.CHAT == "llm.v1.chat"
    assert subjects.cancel("r1") == "llm.v1.cancel.r1"
    assert subjects.cancel("*") == subjects.CANCEL_ALL
    assert subjects.article("high", "coin", "a1") == "articles.high.coin.a1"
    assert subjects.analysis("coin", "a1") == "analyses.coin.a1"
    assert subjects.dead("ARTICLES", "coin", "a1") == "dead.ARTICLES.coin.a1"
    assert subjects.LANES == ("high", "norm")


def test_the_headers_of_the_contract() -> None:
    assert subjects.REQUEST_ID == "Llm-Request-Id"
    assert subjects.DEADLINE == "Llm-Deadline"
    assert subjects.SEQ == "Llm-Seq"
    assert subjects.FINISH == "Llm-Finish"
    assert subjects.REPLACE == "Llm-Replace"
    assert subjects.TRACEPARENT == "traceparent"
    assert subjects.ERROR == "Nats-Service-Error"
    assert subjects.ERROR_CODE == "Nats-Service-Error-Code"


@pytest.mark.parametrize("lane", subjects.LANES)
@pytest.mark.parametrize("token", ["a1", "가격", "a" * 64])
def test_an_articles_subject_comes_apart_as_it_was_put_together(lane: subjects.Lane, token: str) -> None:
    assert subjects.parse_article(subjects.article(lane, "coin", token)) == (lane, "coin", token)


@pytest.mark.parametrize(
    "subject",
    [
        "",
        "articles",
        "articles.norm.coin",
        "articles.norm.coin.a.b",
        "articles.low.coin.a",
        "articles.NORM.coin.a",
        "dead.norm.coin.a",
        "articles.*.coin.a",
    ],
)
def test_another_subject_is_refused(subject: str) -> None:
    with pytest.raises(BadRequest) as caught:
        subjects.parse_article(subject)
    assert caught.value.message == (
        f"`{subject}` is not a subject of the form articles.<lane>.<recipe>.<id>."
    )


@pytest.mark.parametrize("odd", ["a" * 65, "", "a b", "a\x0bb", "\x00", "*", ">", "\ufffd"])
def test_a_subject_whose_parts_are_no_tokens_is_refused_and_has_a_place_among_the_dead(odd: str) -> None:
    for subject in (f"articles.norm.coin.{odd}", f"articles.norm.{odd}.a"):
        with pytest.raises(BadRequest) as caught:
            subjects.parse_article(subject)
        assert caught.value.code == "invalid_subject"
        assert all(map(subjects.is_token, subjects.dead_article("ARTICLES", subject).split(".")))
    assert subjects.dead_article("ARTICLES", f"articles.norm.coin.{odd}") == subjects.dead(
        "ARTICLES", "coin", subjects.id_token(odd)
    )


@pytest.mark.parametrize("text", ["", "a" * 65, "é", "a b", "a.b", "a\n", "*"])
def test_no_request_id(text: str) -> None:
    assert not subjects.is_request_id(text)
    assert subjects.is_request_id("req_1-A")


@pytest.mark.parametrize("inbox", ["_INBOX.a", "_INBOX.publisher.a.b", "_INBOX.가", "_INBOX." + "a" * 500])
def test_an_inbox(inbox: str) -> None:
    assert subjects.is_inbox(inbox)


@pytest.mark.parametrize(
    "reply",
    ["", "_INBOX", "_INBOX.", "_INBOX.a.", "_INBOX..a", "_INBOX.*", "_INBOX.a.>", "_INBOX.a\n", "_INBOXES.a"]
    + ["$KV.llm_recipes.coin", "analyses.coin.a", "x_INBOX.a", "_INBOX." + "a" * 506, "_INBOX.\ufffd"],
)
def test_no_inbox(reply: str) -> None:
    assert not subjects.is_inbox(reply)
