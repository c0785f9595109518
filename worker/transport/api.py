"""The endpoints of OpenAI's API that are answered over NATS: where, what they take, and how their answers look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from schemas import subjects
from schemas.chat import ChatRequest, decode_request
from schemas.completion import ChatChunk, ChatCompletion
from schemas.text import TextCompletion, TextRequest, decode_text_request
from worker.jobs import Request
from worker.transport.assembly import ChatStyle
from worker.transport.served import schemas_of
from worker.transport.style import Style
from worker.transport.texts import TextStyle


@dataclass(frozen=True, slots=True)
class Api:
    """`prefix` is that of an answer's id; the types are for the schemas that are told of it."""

    name: str
    subject: str
    prefix: str
    decode: Callable[[bytes], Request]
    style: type[Style]
    request: type[msgspec.Struct]
    response: type[msgspec.Struct]
    chunk: type[msgspec.Struct]

    @property
    def metadata(self) -> dict[str, str]:
        return schemas_of(request=self.request, response=self.response, chunk=self.chunk)


CHAT = Api(
    "chat", subjects.CHAT, "chatcmpl", decode_request, ChatStyle, ChatRequest, ChatCompletion, ChatChunk
)
COMPLETIONS = Api(
    "completions",
    subjects.COMPLETIONS,
    "cmpl",
    decode_text_request,
    TextStyle,
    TextRequest,
    TextCompletion,
    TextCompletion,
)

# What a line of a batch may ask for, by the name in its header.
APIS = {api.name: api for api in (CHAT, COMPLETIONS)}
