"""Who else is in the batch: requests that sample, keep to grammars, branch, are punished, or go away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas.chat import JsonObjectFormat, JsonSchema, JsonSchemaFormat
from schemas.messages import UserMessage
from schemas.tools import FunctionDefinition, Tool
from tests.fidelity.asking import Answer, Asker
from tests.fidelity.prompts import MARKERS, PROMPTS
from worker.jobs import Prepared

_COIN = {
    "type": "object",
    "properties": {
        "coin": {"enum": ["BTC", "ETH", "SOL"]},
        "importance": {"type": "integer", "minimum": 1, "maximum": 5},
        "reason": {"type": "string", "maxLength": 20},
    },
    "required": ["coin", "importance", "reason"],
    "additionalProperties": False,
}
_TOOL = Tool(
    FunctionDefinition("look_up", "Looks a coin up.", {"type": "object", "properties": {"coin": _COIN}})
)

_FIELDS: list[dict[str, Any]] = [
    {"temperature": 1.0, "seed": 7},
    {"temperature": 0.9, "top_p": 0.8, "top_k": 40},
    {"temperature": 0.8, "n": 2},
    {"temperature": 0, "presence_penalty": 1.5, "frequency_penalty": 0.5},
    {"temperature": 0.7, "repetition_penalty": 1.3, "min_p": 0.1},
    {"temperature": 0, "logit_bias": {"284": 5, "339": -100}},
    {"temperature": 1.0, "response_format": JsonSchemaFormat(JsonSchema("coin", _COIN))},
    {"temperature": 0, "response_format": JsonObjectFormat()},
    {"temperature": 0.7, "stop": [" the", "\n\n"]},
    {"temperature": 0, "logprobs": True, "top_logprobs": 5},
    {"temperature": 0, "tools": [_TOOL], "tool_choice": "required"},
]
# Words that no prompt has.
_MARKERS = MARKERS[len(PROMPTS) :]


@dataclass(frozen=True)
class Guest:
    """A request ready to run; one that `leaves` goes away in the middle of its answer."""

    marker: str
    work: Prepared
    leaves: bool

    async def visit(self, ask: Asker) -> Answer | None:
        if not self.leaves:
            return await ask.run(self.work)
        await ask.leave(self.work)
        return None


async def invite(ask: Asker, at: int) -> Guest:
    """The company's request number `at`."""
    fields = _FIELDS[at % len(_FIELDS)]
    marker = _MARKERS[at % len(_MARKERS)]
    text = (
        f"[{marker}] Tell me about number {at}, slowly and in many words. Start the answer with [{marker}]."
    )
    # More choices than slots never fit.
    fields = fields | ({"n": min(fields["n"], ask.width)} if "n" in fields else {})
    work = await ask.prepare([UserMessage(content=text)], max_tokens=16 + at % 16, **fields)
    return Guest(marker, work, leaves=at % 6 == 5)
