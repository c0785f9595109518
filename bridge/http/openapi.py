"""`/openapi.json`: the table of endpoints and the Structs of the contract as an OpenAPI document, built once."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import msgspec
from aiohttp import web

from bridge.http import auth, errors
from bridge.http.endpoint import Content, Endpoint, Parameter
from bridge.http.endpoints import ENDPOINTS
from schemas import __version__
from schemas.codec import encode
from schemas.completion import ChatChunk
from schemas.errors import ErrorBody, Forbidden, LlmError, Overloaded, TooSlow, Unauthorized, Unavailable

_Json = dict[str, Any]

# They are put in before the strict decoding.
_MAY_LEAVE_OUT_THEIR_TYPE = ("InputMessage",)
_REF = "#/components/schemas/{name}"
_ABOUT = """OpenAI's API over workers behind NATS. Every error is an `ErrorBody`, as OpenAI has it; an unknown path \
is a 404 and another method a 405, with `Allow`. Every answer has an `X-Request-Id`: the request's own where it is \
1 to 64 characters of ASCII without blanks and `. * >`."""
_REQUEST_ID = {"description": "Follows the request from here to the worker.", "schema": {"type": "string"}}
_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key (`nats-mlx keys new`). None is needed on loopback while there are none.",
}
_RETRY_AFTER = {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}


async def index(_: web.Request) -> web.Response:
    return errors.json(document())


@functools.cache
def document() -> bytes:
    """The bytes that are served."""
    shapes = {content.shape for one in ENDPOINTS for content in _contents(one) if content.shape is not str}
    kinds = [*sorted(shapes, key=str), ErrorBody, ChatChunk]
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_REF)
    for name in _MAY_LEAVE_OUT_THEIR_TYPE:
        schemas[name]["required"].remove("type")
    paths: _Json = {}
    for one in ENDPOINTS:
        paths.setdefault(one.path, {})[one.method] = _operation(one)
    return encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "nats-mlx",
                "version": __version__,
                "description": _ABOUT,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {"schemas": schemas, "securitySchemes": {"key": _KEY}},
        }
    )


def _contents(one: Endpoint) -> Iterable[Content]:
    return (*one.gives, *_taken(one))


def _taken(one: Endpoint) -> Iterable[Content]:
    return (one.takes, *one.also) if one.takes else ()


def _operation(one: Endpoint) -> _Json:
    found: _Json = {
        "operationId": _name(one),
        "summary": one.summary,
        "parameters": [*map(_parameter, one.parameters), *_query(one.query)],
        "responses": {str(one.status): _answer("The answer.", one.gives)}
        | {str(status): _refusal(kinds) for status, kinds in _by_status(_faults(one)).items()},
    }
    if one.path not in auth.OPEN:
        found["security"] = [{"key": []}, {}]
    if one.takes:
        found["requestBody"] = {"required": True, "content": _bodies(_taken(one))}
    return found


def _name(one: Endpoint) -> str:
    """`get_v1_models_id`: a name for the code that generators make."""
    words = one.path.replace("{", "").replace("}", "").replace(".", "/").split("/")
    return "_".join([one.method, *filter(None, words)])


def _parameter(one: Parameter) -> _Json:
    return {
        "name": one.name,
        "in": one.place,
        "required": one.place == "path",
        "description": one.about,
        "schema": one.schema,
        "example": one.example,
    }


def _query(kind: type[msgspec.Struct] | None) -> Iterable[_Json]:
    """A parameter for each field. One that is left out is not null, which no query can say."""
    if kind is None:
        return
    _, schemas = msgspec.json.schema_components([kind], ref_template=_REF)
    for name, field in schemas[kind.__name__]["properties"].items():
        default = {key: field[key] for key in ("default",) if field.get(key) is not None}
        schema = next(one for one in field.get("anyOf", [field]) if one != {"type": "null"})
        about = {key: schema[key] for key in ("description",) if key in schema}
        yield {"name": name, "in": "query", "schema": schema | default} | about


def _faults(one: Endpoint) -> set[type[LlmError]]:
    """Its own, and those of what every request goes through."""
    found: set[type[LlmError]] = {LlmError, *one.errors}
    if one.path not in auth.OPEN:
        found |= {Unauthorized, Forbidden}
    if one.takes:
        found.add(TooSlow)
    return found


def _by_status(kinds: Iterable[type[LlmError]]) -> dict[int, list[type[LlmError]]]:
    found: dict[int, list[type[LlmError]]] = {}
    for kind in sorted(kinds, key=lambda kind: (kind.status, kind.__name__)):
        found.setdefault(kind.status, []).append(kind)
    return found


def _refusal(kinds: list[type[LlmError]]) -> _Json:
    """One status; its examples are told apart by their code."""
    about = " ".join(_sentence(kind) for kind in kinds)
    example = encode(kinds[-1](_sentence(kinds[-1])).body())
    answer = _answer(about, [Content(ErrorBody, msgspec.json.decode(example))])
    if set(kinds) & {Overloaded, Unavailable}:
        answer["headers"]["Retry-After"] = _RETRY_AFTER
    return answer


def _sentence(kind: type[LlmError]) -> str:
    if kind is LlmError:
        return "A fault of ours; the log tells why."
    return (kind.__doc__ or "").partition("\n")[0]


def _answer(about: str, contents: Iterable[Content]) -> _Json:
    return {
        "description": about,
        "headers": {"X-Request-Id": _REQUEST_ID},
        "content": _bodies(contents),
    }


def _bodies(contents: Iterable[Content]) -> _Json:
    return {content.media: {"schema": _schema(content), "example": content.example} for content in contents}


def _schema(content: Content) -> _Json:
    if content.shape is str:
        # What reads a stream of events for itself, as browsers do, has objects of them, not one text.
        kind = {} if content.media == "text/event-stream" else {"type": "string"}
        return kind | ({"description": content.about} if content.about else {})
    (found,), _ = msgspec.json.schema_components([content.shape], ref_template=_REF)
    return found
