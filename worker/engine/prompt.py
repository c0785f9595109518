"""From messages to tokens by the model's own template; what a person wrote stays text, whatever it looks like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jinja2

from schemas.chat import DeveloperMessage, Message, SystemMessage, TextPart
from schemas.errors import BadRequest

# Noncharacters of Unicode: no text needs them, so one is free to mark where a control token is to be broken.
_MARKS = [chr(code) for code in range(0xFDD0, 0xFDF0)]


class PromptTemplate:
    """Renders conversations. The text of a control token inside a message (`<|im_end|>`) never becomes one."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        # Added tokens that are not special stand for ordinary text, such as Gemma's runs of newlines.
        added = tokenizer.added_tokens_decoder.values()
        control = sorted({token.content for token in added if token.special}, key=len)
        self._control = re.compile("|".join(re.escape(text) for text in reversed(control)) or r"(?!)")

    def tokens(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the rendered conversation. Raises BadRequest where the template refuses it."""
        plain = [_plain(message) for message in messages]
        mark = _free_mark("".join(text for message in plain for text in message.values()))
        broken = [{key: self._break(text, mark) for key, text in message.items()} for message in plain]
        pieces = self._render(broken).split(mark)
        return [token for piece in pieces for token in self._encode(piece)]

    def _break(self, text: str, mark: str) -> str:
        return self._control.sub(lambda found: found[0][0] + mark + found[0][1:], text)

    def _render(self, messages: list[dict[str, str]]) -> str:
        try:
            text: str = self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except jinja2.TemplateError as error:
            reason = f"The model's chat template refuses these messages: {error}"
            raise BadRequest(reason, param="messages", code="invalid_value") from None
        return text

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids


def _plain(message: Message) -> dict[str, str]:
    role = "system" if isinstance(message, SystemMessage | DeveloperMessage) else type(message).__name__
    plain = {"role": role.removesuffix("Message").lower(), "content": _text(message.content)}
    return plain | ({"name": message.name} if message.name else {})


def _text(content: str | list[TextPart]) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _free_mark(text: str) -> str:
    for mark in _MARKS:
        if mark not in text:
            return mark
    raise BadRequest("The messages hold every noncharacter of Unicode; leave one out.", param="messages")
