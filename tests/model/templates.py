"""Tokenizers of other families: the starter's, with chat templates and tokens as those have them."""

from __future__ import annotations

import copy
import functools
import importlib
from pathlib import Path
from typing import Any

from mlx_lm.tokenizer_utils import TokenizerWrapper, load
from tokenizers import AddedToken

_OPEN = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
PLAIN = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}" + _OPEN
NAMED = PLAIN.replace("{{ m.role }}", "{{ m.role }} {{ m.name }}")

# In the manner of Hermes: tools as JSON in a first turn of their own, calls in marks, results as a role.
HERMES = (
    "{% if tools %}<|im_start|>system\nTools:{% for t in tools %}\n{{ t | tojson }}{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}"
    "{% for tool_call in m.tool_calls or [] %}{% set tool_call = tool_call.function %}\n<tool_call>\n"
    '{"name": "{{ tool_call.name }}", "arguments": {{ ARGUMENTS }}}\n</tool_call>{% endfor %}'
    "<|im_end|>\n{% endfor %}" + _OPEN
).replace("ARGUMENTS", "tool_call.arguments | tojson")
TEXTUAL = HERMES.replace("tool_call.arguments | tojson", "'' + tool_call.arguments")
NINE = (
    "{% for m in messages %}{% for c in m.tool_calls or [] %}{% if c.id | length != 9 %}"
    "{{ raise_exception('nine characters') }}{% endif %}{% endfor %}{% endfor %}" + HERMES
)
THINKING = (
    HERMES + "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}"
    "<think>\n\n</think>\n\n{% endif %}"
)
OPENED = HERMES + "{% if add_generation_prompt %}<think>\n{% endif %}"
EFFORT = "{% if reasoning_effort is defined %}Effort: {{ reasoning_effort }}\n{% endif %}" + PLAIN


class Families:
    """Makes tokenizers out of the starter's, each once."""

    def __init__(self, folder: Path) -> None:
        self._plain = load(folder)
        self.make = functools.cache(self._make)

    def __call__(self, *parts: str | None, **more: str | None) -> TokenizerWrapper:
        return self.make(*parts, **more)

    def _make(
        self, template: str, parser: str | None = None, special: str = "", added: str = ""
    ) -> TokenizerWrapper:
        """`special` and `added` list tokens that the vocabulary gets; `parser` is one of mlx-lm's."""
        tokenizer: Any = copy.deepcopy(self._plain._tokenizer)
        tokenizer.chat_template = template
        tokenizer.add_tokens(
            [AddedToken(text, special=True) for text in special.split()], special_tokens=True
        )
        tokenizer.add_tokens([AddedToken(text, special=False) for text in added.split()])
        parts: dict[str, Any] = {}
        if parser:
            module = importlib.import_module(f"mlx_lm.tool_parsers.{parser}")
            parts = {"tool_parser": module.parse_tool_call}
            parts |= {name: getattr(module, name) for name in ("tool_call_start", "tool_call_end")}
        return TokenizerWrapper(tokenizer, eos_token_ids=self._plain.eos_token_ids, **parts)
