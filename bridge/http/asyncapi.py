"""`/asyncapi.json`: the NATS side as an AsyncAPI document, as the worker takes part in it; built once."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from bridge.http import errors
from schemas import __version__, streams, subjects
from schemas.articles import Analysis, Article, DeadLetter
from schemas.batches import LineResponse
from schemas.chat import ChatRequest
from schemas.codec import encode
from schemas.completion import ChatChunk, ChatCompletion
from schemas.errors import ErrorBody
from schemas.presence import Presence
from schemas.recipes import RecipePrompt, RecipeTrial
from schemas.text import TextCompletion, TextRequest

_Json = dict[str, Any]

_REF = "#/components/schemas/{name}"
_ABOUT = """What crosses NATS: chat and completions by request/reply, articles and lines of batches on JetStream, and \
what becomes of them. Operations are the worker's. nats.conf has the users; each has an inbox prefix of its own, \
`_INBOX.<user>`, and only inboxes are answered."""


@dataclass(frozen=True)
class Message:
    """`payload` is None for an empty one; `headers` are told by what they hold."""

    payload: Any
    headers: dict[str, str]
    about: str


@dataclass(frozen=True)
class Channel:
    """A subject; `does` is what the worker does there, and `replies` are those that go to the asker's inbox."""

    address: str
    about: str
    does: str
    messages: tuple[str, ...]
    replies: tuple[str, ...] = ()


_ID = {subjects.REQUEST_ID: "Of the request, 1 to 64 characters of ASCII without blanks and `. * >`."}
_CALLER = {subjects.TRACEPARENT: "The caller's trace, as W3C's Trace Context has it."}
_FROM = {
    subjects.CALLER: "A secret of the caller's: a cancellation with one stops only requests that came with the same."
}
_ASKED = (
    _ID | _CALLER | _FROM | {subjects.DEADLINE: "When the answer is of no more use: RFC 3339, with its zone."}
)
_TRACE = {subjects.TRACEPARENT: "Of the article, or a new one where it has none."}
_FAILED = {
    subjects.ERROR: "The error's sentence.",
    subjects.ERROR_CODE: "Its HTTP status.",
    subjects.RETRY_AFTER: "Seconds, where the same may work later.",
}
_FINISH = {subjects.FINISH: "Why the answer ended: `stop`, `length` or `tool_calls`."}
_SEQ = {subjects.SEQ: "1, 2, 3, ...: a gap is an error."}
_CHUNK = _SEQ | {subjects.KEEP_ALIVE: "`true` where it says nothing but that the model is at work."}
_LETTER = {
    name: f"Percent-encoded; `{field}` of a dead letter." for field, name in DeadLetter.header_names().items()
}

MESSAGES = {
    "chatRequest": Message(ChatRequest, _ASKED, "The body of OpenAI's `POST /v1/chat/completions`."),
    "chatCompletion": Message(ChatCompletion, _ID | _FINISH, "The whole answer."),
    "chatChunk": Message(ChatChunk, _ID | _CHUNK, "A part of a streamed answer."),
    "textRequest": Message(TextRequest, _ASKED, "The body of OpenAI's `POST /v1/completions`."),
    "textCompletion": Message(TextCompletion, _ID | _FINISH, "The whole answer."),
    "textChunk": Message(TextCompletion, _ID | _CHUNK, "A part of a streamed answer."),
    "end": Message(None, _ID | _SEQ | _FINISH | _FAILED, "Empty: the end of a streamed answer, good or bad."),
    "error": Message(ErrorBody, _ID | _FAILED, "OpenAI's error object."),
    "recipeTrial": Message(RecipeTrial, {}, "A recipe to be checked, and maybe an article for it."),
    "recipePrompt": Message(RecipePrompt, _ID, "What the recipe asks of its model."),
    "cancel": Message(None, _FROM, "Whatever it holds, the request of this id stops."),
    "article": Message(
        Article, _CALLER | {subjects.REPLACE: "`true`: analyse it again."}, "What a publisher sends."
    ),
    "analysis": Message(Analysis, _TRACE, "The answer to one article."),
    "deadLetter": Message(
        Article, _LETTER | _TRACE, "The original bytes, whatever they are; why it is dead is in the headers."
    ),
    "chatLine": Message(ChatRequest, _TRACE, "A line that asks for a chat, not streamed."),
    "textLine": Message(TextRequest, _TRACE | {subjects.API: "`completions`."}, "A line that asks for a completion."),
    "chatResult": Message(LineResponse[ChatCompletion], _TRACE, "How a line ended; a failed one has an `ErrorBody`."),
    "textResult": Message(LineResponse[TextCompletion], _TRACE, "The same for a completion."),
    "presence": Message(Presence, {}, "Renewed every few seconds."),
}  # fmt: skip
_ENDS = ("end", "error")
_CHAT = ("chatCompletion", "chatChunk", *_ENDS)
_TEXT = ("textCompletion", "textChunk", *_ENDS)
_TRIED = ("recipePrompt", "error")
_BY_ANY, _BY_SOME = "By any worker, as a queue group.", "By the workers of one model."
CHANNELS = {
    "chat": Channel(subjects.CHAT, _BY_ANY, "receive", ("chatRequest",), _CHAT),
    "chatOfModel": Channel(f"{subjects.CHAT}.{{model}}", _BY_SOME, "receive", ("chatRequest",), _CHAT),
    "completions": Channel(subjects.COMPLETIONS, _BY_ANY, "receive", ("textRequest",), _TEXT),
    "completionsOfModel": Channel(
        f"{subjects.COMPLETIONS}.{{model}}", _BY_SOME, "receive", ("textRequest",), _TEXT
    ),
    "recipe": Channel(subjects.RECIPE, "Checked by any worker.", "receive", ("recipeTrial",), _TRIED),
    "recipeOfModel": Channel(
        f"{subjects.RECIPE}.{{model}}", "Checked by the workers of one model.", "receive", ("recipeTrial",), _TRIED
    ),
    "cancel": Channel(subjects.cancel("{request}"), "Heard by every worker.", "receive", ("cancel",)),
    "articles": Channel(
        "articles.{lane}.{recipe}.{id}", streams.ARTICLES.description, "receive", ("article",)
    ),
    "analyses": Channel(subjects.analysis("{recipe}", "{id}"), streams.ANALYSES.description, "send", ("analysis",)),
    "dead": Channel(subjects.dead("{stream}", "{recipe}", "{id}"), streams.DEAD.description, "send", ("deadLetter",)),
    "lines": Channel(
        subjects.batch_line("{batch}", "{line}"), streams.BATCH_LINES.description, "receive", ("chatLine", "textLine")
    ),
    "results": Channel(
        subjects.batch_result("{batch}", "{line}"),
        streams.BATCH_RESULTS.description,
        "send",
        ("chatResult", "textResult"),
    ),
    "presence": Channel(
        subjects.key(streams.WORKERS.bucket, "{worker}"), streams.WORKERS.description, "send", ("presence",)
    ),
}  # fmt: skip
_PARAMETERS: dict[str, _Json] = {
    "model": {"description": "Its name in lower case, other characters than `a-z 0-9 _ -` as `-`."},
    "request": {"description": f"The header `{subjects.REQUEST_ID}` of the request."},
    "lane": {"enum": list(subjects.LANES), "description": "`high` goes first."},
    "recipe": {"description": "A key of the bucket `llm_recipes`."},
    "id": {"description": "A token of 1 to 64 characters; another id as 32 hex digits of its SHA-256."},
    "batch": {"description": "The `id` of a batch."},
    "line": {"description": "Its number in the input file, from 1."},
    "stream": {"enum": [streams.ARTICLES.name], "description": "Where it was given up."},
    "worker": {"description": "Its own name for itself."},
}


async def index(_: web.Request) -> web.Response:
    return errors.json(document())


@functools.cache
def document() -> bytes:
    """The bytes that are served."""
    kinds = [message.payload for message in MESSAGES.values() if message.payload is not None]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    return encode(
        {
            "asyncapi": "3.0.0",
            "info": {"title": "nats-mlx", "version": __version__, "description": _ABOUT},
            "servers": {"nats": {"host": "127.0.0.1:4222", "protocol": "nats"}},
            "channels": {name: _channel(one) for name, one in CHANNELS.items()} | {"inbox": _inbox()},
            "operations": {name: _operation(name, one) for name, one in CHANNELS.items()},
            "components": {
                "messages": {name: _message(name, one) for name, one in MESSAGES.items()},
                "schemas": _plain(schemas),
            },
        }
    )


def _channel(one: Channel) -> _Json:
    named = {name: about for name, about in _PARAMETERS.items() if f"{{{name}}}" in one.address}
    told = {"address": one.address, "description": one.about, "messages": _messages(one.messages)}
    return told | ({"parameters": named} if named else {})


def _inbox() -> _Json:
    about = "The reply subject of a request, below the asker's inbox prefix."
    return {
        "address": None,
        "description": about,
        "messages": _messages(dict.fromkeys((*_CHAT, *_TEXT, *_TRIED))),
    }


def _messages(names: Iterable[str]) -> _Json:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _operation(name: str, one: Channel) -> _Json:
    found: _Json = {"action": one.does, "channel": {"$ref": f"#/channels/{name}"}, "summary": one.about}
    if one.replies:
        found["reply"] = {
            "channel": {"$ref": "#/channels/inbox"},
            "messages": [{"$ref": f"#/channels/inbox/messages/{reply}"} for reply in one.replies],
        }
    return found


def _message(name: str, one: Message) -> _Json:
    told: _Json = {"name": name, "summary": one.about}
    if one.headers:
        properties = {
            header: {"type": "string", "description": about} for header, about in one.headers.items()
        }
        told["headers"] = {"type": "object", "properties": properties}
    if one.payload is not None:
        (schema,), _ = msgspec.json.schema_components([one.payload], ref_template=_REF)
        told |= {"contentType": "application/json", "payload": schema}
    return told


def _plain(value: Any) -> Any:
    """Without OpenAPI's `discriminator`, which AsyncAPI writes otherwise; each tag is a constant anyway."""
    if isinstance(value, dict):
        return {
            key: _plain(item)
            for key, item in value.items()
            if key != "discriminator" or "mapping" not in item
        }
    return [_plain(item) for item in value] if isinstance(value, list) else value
