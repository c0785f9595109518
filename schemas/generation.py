"""What OpenAI's requests for text have in common, be they chats or completions, as far as it is honoured here.

Source: OpenAI's API reference; `top_k`, `min_p` and `repetition_penalty` are the extensions that other local
servers share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Self

import msgspec
from msgspec import Meta

from schemas.errors import BadRequest

_Unit = Annotated[float, Meta(ge=0, le=1)]
_Penalty = Annotated[float, Meta(ge=-2, le=2)]
_Bias = Annotated[float, Meta(ge=-100, le=100)]
_StopText = Annotated[str, Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1)]


class StreamOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    include_usage: bool = False
    include_obfuscation: bool | None = None


class Generation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One request for text. `asks_in` is the field that holds what is asked."""

    asks_in: ClassVar[str]
    usual_limit: ClassVar[int | None] = None  # of an answer's tokens; None: the worker's setting

    model: str | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: _Unit | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    min_p: _Unit | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    repetition_penalty: Annotated[float, Meta(ge=0.01, le=10)] | None = None
    logit_bias: dict[str, _Bias] | None = None
    max_tokens: Count | None = None
    stop: _StopText | Annotated[list[_StopText], Meta(max_length=4)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    # It cannot change an answer: accepted without effect, and the README says so.
    user: str | None = None

    @property
    def parts(self) -> Sequence[Self]:
        """The same as requests of one prompt each; their choices are counted through."""
        return [self]

    @property
    def stops(self) -> tuple[str, ...]:
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def limit(self) -> int | None:
        """Most new tokens of a choice."""
        return self.max_tokens

    @property
    def limit_name(self) -> str:
        return "max_tokens"

    @property
    def alternatives(self) -> int | None:
        """How many likely tokens are told beside each one of the answer; None when no logprobs are wanted."""
        return None

    @property
    def grammar_of(self) -> str:
        """The field that a grammar for the answer comes from."""
        return self.asks_in

    def check(self) -> None:
        """What single fields cannot tell. Raises BadRequest."""
        if self.stream_options is not None and not self.stream:
            raise needs("stream_options", "stream: true")


def needs(name: str, other: str) -> BadRequest:
    return BadRequest(f"`{name}` needs `{other}`.", param=name, code="invalid_value")
