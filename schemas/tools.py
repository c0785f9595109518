"""Functions that a model may call, and the calls it made, as OpenAI's API writes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

# Python's `$` lets a line feed follow.
FunctionName = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9_-]{1,64}$(?!\n)")]


class FunctionDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`parameters` is a JSON Schema; without it the function takes none. Forced calls always validate, so
    that `strict` matters only where the model is free to call: there it has the arguments forced as well.
    """

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="function", tag_field="type"):
    """OpenAI's other kinds (`custom`) are refused by their type."""

    function: FunctionDefinition


class ChosenFunction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str


class NamedChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="function", tag_field="type"):
    """The one function that has to be called."""

    function: ChosenFunction


ToolChoice = Literal["none", "auto", "required"] | NamedChoice


class FunctionCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`arguments` is JSON as text."""

    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="function", tag_field="type"):
    """A call in a message, be it in the conversation so far or in the answer."""

    id: str
    function: FunctionCall
