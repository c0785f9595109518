"""Names on the wire: subjects, headers, and the tokens that make them up."""

from __future__ import annotations

import hashlib
import re
from typing import Literal, NamedTuple

from schemas.errors import BadRequest

Lane = Literal["high", "norm"]
LANES: tuple[Lane, ...] = ("high", "norm")

SERVICE = "llm"
CHAT = "llm.v1.chat"
CANCEL_ALL = "llm.v1.cancel.*"
INBOX = "_INBOX."  # every user's answers are below it

REQUEST_ID = "Llm-Request-Id"
DEADLINE = "Llm-Deadline"
SEQ = "Llm-Seq"
FINISH = "Llm-Finish"
REPLACE = "Llm-Replace"
TRACEPARENT = "traceparent"
ERROR = "Nats-Service-Error"
ERROR_CODE = "Nats-Service-Error-Code"
RETRY_AFTER = "Retry-After"

# A subject's token: whatever NATS takes there, kept to a length that a person can still read.
_TOKEN = re.compile(r"[^\s.*>\x00-\x1f\x7f]{1,64}")


def is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def model_token(model: str) -> str:
    """The model's name as a subject token: lower case, everything outside `a-z 0-9 _ -` becomes `-`."""
    return re.sub(r"[^a-z0-9_-]", "-", model.lower())


def chat_model(model: str) -> str:
    return f"{CHAT}.{model_token(model)}"


def cancel(request_id: str) -> str:
    return f"llm.v1.cancel.{request_id}"


def id_token(article_id: str) -> str:
    """The article's id when it is a valid token, else the first 32 hex digits of its SHA-256."""
    if is_token(article_id):
        return article_id
    return hashlib.sha256(article_id.encode()).hexdigest()[:32]


def article(lane: Lane, recipe: str, token: str) -> str:
    return f"articles.{lane}.{recipe}.{token}"


def analysis(recipe: str, token: str) -> str:
    return f"analyses.{recipe}.{token}"


def dead(stream: str, recipe: str, token: str) -> str:
    return f"dead.{stream}.{recipe}.{token}"


class ArticleSubject(NamedTuple):
    lane: str
    recipe: str
    token: str


def parse_article(subject: str) -> ArticleSubject:
    """Split `articles.<lane>.<recipe>.<id>`. Raises BadRequest when it has another shape."""
    parts = subject.split(".")
    if len(parts) != 4 or parts[0] != "articles" or parts[1] not in LANES:
        raise BadRequest(
            f"`{subject}` is not a subject of the form articles.<lane>.<recipe>.<id>.", code="invalid_subject"
        )
    return ArticleSubject(*parts[1:])
