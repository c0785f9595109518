"""What lines may ask for: each endpoint's request as one that workers know, and their answer as the endpoint's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from bridge.responses import answered, asked, faults
from schemas.codec import decode, encode
from schemas.completion import ChatCompletion
from schemas.errors import BadRequest, ErrorBody
from schemas.responses.request import ResponseRequest, decode_request


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a batch. What is made of it twice must be the same: a keeper may die, and another one goes on."""

    batch_id: str
    number: int

    def name(self, prefix: str) -> str:
        """A unique id of something that belongs to the line."""
        return f"{prefix}_{hashlib.sha256(f'{self.batch_id}.{self.number}'.encode()).hexdigest()[:32]}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`request` makes one to the worker's `api` of a line's body, and raises BadRequest for what never can be one.
    `answer` makes a body of the endpoint of the worker's one, `error` the same where that is an error.
    """

    api: str
    request: Callable[[bytes], bytes]
    answer: Callable[[Place, bytes, bytes], bytes]
    error: Callable[[bytes], bytes]


def _as_it_is(body: bytes) -> bytes:
    return body


def _asked_for(body: bytes) -> ResponseRequest:
    """Nothing of a batch is kept but its files."""
    wanted = decode_request(body)
    if wanted.store:
        raise _only_in_files(
            "`store: true` is for single requests; what a batch answers is in its output file.", "store"
        )
    if wanted.previous_response_id is not None:
        reason = "`previous_response_id` is not supported in a batch: send the whole conversation as `input`."
        raise _only_in_files(reason, "previous_response_id")
    return replace(wanted, store=False)


def _only_in_files(reason: str, param: str) -> BadRequest:
    return BadRequest(reason, param=param, code="unsupported_parameter")


def _response_chat(body: bytes) -> bytes:
    wanted = _asked_for(body)
    return encode(asked.chat(wanted, wanted.items))


def _response(place: Place, body: bytes, answer: bytes) -> bytes:
    completion = decode(ChatCompletion, answer)
    begun = asked.begun(_asked_for(body), place.name("resp"), completion.created)
    return encode(answered.whole(begun, completion, completion.created))


def _response_error(answer: bytes) -> bytes:
    return encode(ErrorBody(faults.told(answer)))


def _answer_as_it_is(_place: Place, _body: bytes, answer: bytes) -> bytes:
    return answer


ENDPOINTS = {
    "/v1/chat/completions": Endpoint("chat", _as_it_is, _answer_as_it_is, _as_it_is),
    "/v1/completions": Endpoint("completions", _as_it_is, _answer_as_it_is, _as_it_is),
    "/v1/responses": Endpoint("chat", _response_chat, _response, _response_error),
}


class Told(msgspec.Struct, frozen=True):
    """What a line's body says that the whole batch has to agree on. Of any type: the worker is strict."""

    model: object = None
    stream: object = None
