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
    """In their order; who asks again finds the same ids. An id that came in twice is only the first one's."""
    found: dict[str, InputItem] = {}
    for at, item in enumerate(items):
        ours = f"{_PREFIXES[type(item)]}_{response_id.removeprefix('resp_')}{at:04}"
        name = item.id if item.id and item.id not in found else ours
        found[name] = _whole(replace(item, id=name, status=item.status or "completed"))
    return list(found.values())


def _whole(item: InputItem) -> InputItem:
    """Its content as parts."""
    if isinstance(item, InputMessage) and isinstance(item.content, str):
        kind = OutputText if item.role == "assistant" else InputText
        return replace(item, content=[kind(item.content)])
    return item
