"""Names on the wire: subjects, headers, and the tokens that make them up."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from schemas.errors import BadRequest

Lane = Literal["high", "norm"]
LANES: tuple[Lane, ...] = ("high", "norm")

SERVICE = "llm"
STATS = f"$SRV.STATS.{SERVICE}"  # what each worker has counted
CHAT = "llm.v1.chat"
COMPLETIONS = "llm.v1.completions"
CANCEL_ALL = "llm.v1.cancel.*"
RECIPE = "llm.v1.recipe"

REQUEST_ID = "Llm-Request-Id"
CALLER = "Llm-Caller"  # a cancellation that says it ends requests that said the same, of no other caller
DEADLINE = "Llm-Deadline"
SEQ = "Llm-Seq"
KEEP_ALIVE = "Llm-Keep-Alive"  # on a chunk that says nothing but that the model is at work
FINISH = "Llm-Finish"
TOKENS = "Llm-Tokens"  # of prompt and answer, on the last message: whoever passes bytes on can still count
REPLACE = "Llm-Replace"
API = "Llm-Api"  # on a line of a batch: what its request is to, `chat` (or nothing) or `completions`
EARLIER_ATTEMPTS = "Llm-Earlier-Attempts"
EARLIER_REASON = "Llm-Earlier-Reason"
FIRST_PUBLISHED = "Llm-First-Published"
TRACEPARENT = "traceparent"
ERROR = "Nats-Service-Error"
ERROR_CODE = "Nats-Service-Error-Code"
RETRY_AFTER = "Retry-After"

# A subject's token: whatever NATS takes there, kept to a length that a person can still read. U+FFFD stands for
# bytes that were no text: which ones, nobody knows any more.
_CHARACTER = r"[^\s.*>\x00-\x1f\x7f\ufffd]"
_TOKEN = re.compile(rf"{_CHARACTER}{{1,64}}")
_INBOX = re.compile(rf"_INBOX(?:\.{_CHARACTER}+)+")
# A line of the protocol has at most 4096 bytes, and holds more than this.
_LONGEST_INBOX = 512


def is_token(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None


def is_request_id(text: str) -> bool:
    """It becomes a token of a subject, and a header in HTTP too."""
    return is_token(text) and text.isascii()


def is_inbox(subject: str) -> bool:
    """Whether an answer may go there. Whoever asks names the place: it could be one where we may write and they
    may not, or one for which the server ends our connection.
    """
    return len(subject) <= _LONGEST_INBOX and _INBOX.fullmatch(subject) is not None


def model_token(model: str) -> str:
    """The model's name as a subject token: lower case, everything outside `a-z 0-9 _ -` becomes `-`."""
    return re.sub(r"[^a-z0-9_-]", "-", model.lower())


def answers_to(names: Iterable[str], model: str) -> bool:
    """Whether a model with these names is the one that is asked for: as in a subject."""
    return model_token(model) in map(model_token, names)


def of_model(subject: str, model: str) -> str:
    """Where the workers of one model are asked, and nobody else."""
    return f"{subject}.{model_token(model)}"


def key(bucket: str, name: str) -> str:
    """Where a key of a bucket is put and read."""
    return f"$KV.{bucket}.{name}"


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
    if not all(map(is_token, parts)):
        raise BadRequest(
            f"Recipe and id in `{subject}` must have 1 to 64 characters, none of them blank or * >.",
            code="invalid_subject",
        )
    return ArticleSubject(*parts[1:])


def batch(batch_id: str) -> str:
    """The job of looking after a batch."""
    return f"batches.{batch_id}"


def batch_line(batch_id: str, line: int | str) -> str:
    """`line` counts from 1; `*` are all that wait."""
    return f"batches.{batch_id}.{line}"


def batch_result(batch_id: str, line: int | str) -> str:
    return f"results.{batch_id}.{line}"


def result_of(line_subject: str) -> str:
    """Where the line of this subject ends."""
    return line_subject.replace("batches.", "results.", 1)


def dead_article(stream: str, subject: str) -> str:
    """Where the article of `subject` lies when it is dead: what cannot be a token there is hashed as ids are."""
    _, _, recipe, token = subject.split(".", 3)
    return dead(stream, id_token(recipe), id_token(token))
