"""The work queue's messages: an article goes in, an analysis or a dead letter comes out."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import urllib.parse
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from schemas import subjects
from schemas.codec import decode
from schemas.completion import Usage
from schemas.errors import BadRequest

_Text = Annotated[str, Meta(min_length=1)]
Moment = Annotated[dt.datetime, Meta(tz=True)]


class Article(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a NAS publishes. Anything that has no field of its own belongs in `meta`."""

    title: _Text
    body: _Text
    id: _Text | None = None
    url: str | None = None
    source: str | None = None
    published_at: Moment | None = None
    lang: str | None = None
    meta: dict[str, Any] | None = None


def decode_article(payload: bytes) -> Article:
    """Raises BadRequest naming the field; an unknown one is told where it belongs."""
    try:
        return decode(Article, payload)
    except BadRequest as error:
        if error.code == "unknown_parameter":
            message = f"Unknown field `{error.param}`: put what has no field of its own under `meta`."
            raise BadRequest(message, param=error.param, code=error.code) from None
        raise


def article_id(article: Article) -> str:
    """Its own id, else one derived from the url, else from the text."""
    if article.id is not None:
        return article.id
    text = article.url or f"{article.title}\n{article.body}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class ArticleRef(msgspec.Struct, frozen=True):
    """What an analysis repeats of its article."""

    title: str
    url: str | None
    source: str | None
    published_at: dt.datetime | None


class Timings(msgspec.Struct, frozen=True):
    """Seconds."""

    queued: float
    prefill: float
    decode: float
    total: float


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one article; `result` validates against the recipe's schema."""

    id: str
    recipe: str
    recipe_version: str
    article: ArticleRef
    model: str
    result: Any
    usage: Usage
    timings: Timings
    attempts: int
    worker: str
    finished_at: dt.datetime
    cached: bool = False


class CachedAnswer(msgspec.Struct, frozen=True):
    """What the bucket `llm_cache` holds of an inference: the answer as the model wrote it, and its cost then."""

    text: str
    usage: Usage
    created: dt.datetime


# Why an article is dead that no worker lived to report: it may have killed them.
MAX_DELIVERIES = "max_deliveries"


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """What an article that died and was sent again brings along of its earlier life, as headers.

    The server counts its deliveries from 1 again; all that people read counts on.
    """

    attempts: int = 0
    reason: str | None = None
    first_published: dt.datetime | None = None

    @property
    def killed(self) -> bool:
        """Whether it may have killed its workers: then it runs alone from its first delivery on."""
        return self.reason == MAX_DELIVERIES

    def headers(self) -> dict[str, str]:
        """The most important first: a large article may have room for some only."""
        headers = {subjects.EARLIER_ATTEMPTS: str(self.attempts)}
        if self.reason is not None:
            headers[subjects.EARLIER_REASON] = _line(self.reason)
        if self.first_published is not None:
            headers[subjects.FIRST_PUBLISHED] = str(msgspec.to_builtins(self.first_published))
        return headers

    @classmethod
    def of(cls, headers: Mapping[str, str] | None) -> Earlier:
        """Whoever publishes may write these: what cannot be read counts as not there."""
        found = headers or {}
        attempts = found.get(subjects.EARLIER_ATTEMPTS, "")
        reason = found.get(subjects.EARLIER_REASON)
        return cls(
            attempts=int(attempts) if _COUNT.fullmatch(attempts) else 0,
            reason=urllib.parse.unquote(reason) if reason else None,
            first_published=_moment(found.get(subjects.FIRST_PUBLISHED)),
        )


def wants_replacement(headers: Mapping[str, str] | None) -> bool:
    """Whether the article asks for a new analysis of what may have one."""
    return (headers or {}).get(subjects.REPLACE, "").lower() == "true"


_COUNT = re.compile(r"[0-9]{1,6}")


def _moment(text: str | None) -> dt.datetime | None:
    try:
        return msgspec.convert(text, Moment | None)
    except msgspec.ValidationError:
        return None


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """Why an article ended without an analysis.

    It travels as headers, the original payload beside it byte for byte: a payload that needs escapes
    would outgrow the server's 1 MB inside JSON, and sending it again is a plain publish. `attempts` are those
    of all its lives, `sequence` that of the last one.
    """

    subject: str
    stream: str
    sequence: int
    reason: str
    error: str
    attempts: int
    worker: str
    failed_at: dt.datetime
    first_published: dt.datetime | None = None
    replace: bool = False

    @classmethod
    def header_names(cls) -> dict[str, str]:
        """The header of each field."""
        return {name: _header(name) for name in cls.__struct_fields__}

    def headers(self) -> dict[str, str]:
        values = msgspec.to_builtins(self, str_keys=True)
        values["replace"] = "true" if self.replace else None
        return {_header(name): _line(str(value)) for name, value in values.items() if value is not None}

    @property
    def earlier(self) -> Earlier:
        """What goes along when the article is sent again."""
        return Earlier(attempts=self.attempts, reason=self.reason, first_published=self.first_published)

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> DeadLetter:
        """Raises BadRequest when a header is missing or not of its type."""
        names = {header: name for name, header in cls.header_names().items()}
        values = {names[k]: urllib.parse.unquote(v) for k, v in headers.items() if k in names}
        try:
            return msgspec.convert(values, cls, strict=False)
        except msgspec.ValidationError:
            raise BadRequest("This message in DEAD is not a dead letter.", code="invalid_letter") from None

    @property
    def address(self) -> subjects.ArticleSubject:
        return subjects.parse_article(self.subject)


# Header values are one line of Latin text: readable for a person, the rest percent-encoded.
_SAFE = " !\"#$&'()*+,/:;<=>?@[]^`{|}~"
_EDGES = re.compile(r"^ +| +$")


def _line(text: str) -> str:
    """Clients strip the blanks around a header's value: those are encoded too."""
    return _EDGES.sub(lambda blanks: "%20" * len(blanks[0]), urllib.parse.quote(text, _SAFE))


def _header(name: str) -> str:
    """`failed_at` as `Llm-Failed-At`."""
    return "Llm-" + "-".join(part.capitalize() for part in name.split("_"))
