"""OpenAI's legacy completions: a raw prompt goes on, without a template around it. Request, answer and chunks.

Source: OpenAI's API reference, `POST /v1/completions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from schemas.codec import decode
from schemas.completion import Usage
from schemas.errors import BadRequest
from schemas.generation import Generation

_Token = Annotated[int, Meta(ge=0)]
_Text = Annotated[str, Meta(min_length=1)]
_Tokens = Annotated[list[_Token], Meta(min_length=1)]
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_TOKEN: dict[str, Any] = {"type": "integer", "minimum": 0}
_MOST_PROMPTS = 128
# msgspec knows no union of lists: what it lets pass too much is refused below.
_LISTS: dict[str, Any] = {
    "items": {},
    "anyOf": [
        {"items": _TEXT, "maxItems": _MOST_PROMPTS},
        {"items": _TOKEN},
        {"items": {"type": "array", "items": _TOKEN, "minItems": 1}, "maxItems": _MOST_PROMPTS},
    ],
}


class TextRequest(Generation, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The body of a completion. The last group is accepted only at the values that mean "do not"."""

    asks_in: ClassVar[str] = "prompt"
    usual_limit: ClassVar[int | None] = 16

    prompt: _Text | Annotated[list[_Text | _Token | _Tokens], Meta(min_length=1, extra_json_schema=_LISTS)]
    logprobs: Annotated[int, Meta(ge=0, le=5)] | None = None
    echo: Annotated[bool, Meta(extra_json_schema={"enum": [False]})] | None = None
    suffix: Annotated[str, Meta(extra_json_schema={"maxLength": 0})] | None = None
    best_of: Annotated[int, Meta(ge=1, le=128)] | None = None

    @property
    def prompts(self) -> Sequence[str | list[int]]:
        """Each of them: text, or tokens."""
        if isinstance(self.prompt, list) and not isinstance(self.prompt[0], int):
            return cast(list[str | list[int]], self.prompt)
        return [cast(str | list[int], self.prompt)]

    @property
    def parts(self) -> Sequence[Self]:
        return [
            msgspec.structs.replace(self, prompt=prompt if isinstance(prompt, str) else list(prompt))
            for prompt in self.prompts
        ]

    @property
    def alternatives(self) -> int | None:
        return self.logprobs

    def check(self) -> None:
        super().check()
        if isinstance(self.prompt, list) and len({type(part) for part in self.prompt}) > 1:
            reason = (
                "`prompt` is a text, tokens, a list of texts or a list of lists of tokens, not a mixture."
            )
            raise BadRequest(reason, param="prompt", code="invalid_value")
        if len(self.prompts) > _MOST_PROMPTS:
            reason = f"`prompt` has {len(self.prompts)} prompts, and the limit is {_MOST_PROMPTS}."
            raise BadRequest(reason, param="prompt", code="array_above_max_length")
        if self.echo:
            raise _unsupported("echo", "the prompt is not said again")
        if self.suffix:
            raise _unsupported("suffix", "no model here is asked to fill a gap")
        if self.best_of is not None and self.best_of != (self.n or 1):
            raise _unsupported("best_of", "all choices are given back, so that it can only be `n`")


def decode_text_request(payload: bytes) -> TextRequest:
    """Decode and check a request. Raises BadRequest naming the field in `param`."""
    request = decode(TextRequest, payload)
    request.check()
    return request


def _unsupported(name: str, why: str) -> BadRequest:
    reason = f"`{name}` is not supported by this server ({why}); leave it out."
    return BadRequest(reason, param=name, code="unsupported_parameter")


class TextLogprobs(msgspec.Struct, frozen=True):
    """Of each token that the text shows: where it begins (characters of this choice's whole text), itself, its
    natural logarithm of probability, and the most likely ones at its place, itself included. A token that is no
    whole character is written `bytes:\\xe2\\x80`.
    """

    text_offset: list[int]
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]


class TextChoice(msgspec.Struct, frozen=True):
    """A whole one, or a part of one; `finish_reason` is null until it ends."""

    index: int
    text: str
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: TextLogprobs | None = None


class TextCompletion(msgspec.Struct, frozen=True):
    """The answer; a streamed one is many of these, and `usage` is in the last one, if asked for."""

    id: str
    created: int
    model: str
    choices: list[TextChoice]
    object: str = "text_completion"
    usage: Usage | UnsetType | None = UNSET
