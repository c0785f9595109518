"""The items that a response was made of, as they are listed: each with an id, and its content as parts."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from schemas.responses.items import (
    CallItem,
    CallOutput,
    InputItem,
    InputMessage,
    InputText,
    OutputText,
    ReasoningItem,
)

_PREFIXES = {InputMessage: "msg", CallItem: "fc", CallOutput: "fco", ReasoningItem: "rs"}


def listed(response_id: str, items: Sequence[InputItem]) -> list[InputItem]:
    """In their order; who asks again finds the same ids."""
    return [_listed(response_id.removeprefix("resp_"), at, item) for at, item in enumerate(items)]


def _listed(of: str, at: int, item: InputItem) -> InputItem:
    name = item.id or f"{_PREFIXES[type(item)]}_{of}{at:04}"
    item = replace(item, id=name, status=item.status or "completed")
    if isinstance(item, InputMessage) and isinstance(item.content, str):
        kind = OutputText if item.role == "assistant" else InputText
        return replace(item, content=[kind(item.content)])
    return item
