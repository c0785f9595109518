"""Pairs of schema and prompt through the engine, and the verdict of `jsonschema` on what came back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import jsonschema

from schemas.chat import JsonSchema, JsonSchemaFormat
from schemas.errors import BadRequest
from schemas.messages import UserMessage
from tests.fidelity.asking import Asker
from tests.fidelity.building import Schema
from tests.fidelity.random_schemas import examples
from tests.fidelity.shapes import SHAPES

MAX_TOKENS = 160
_ASKED = [
    "Fill in this form with an example: {name}.",
    "Write JSON for {name}.",
    "I need test data for {name}. Answer with JSON only.",
    "{name}에 맞는 예시를 JSON으로 써 주세요.",
    "Forget JSON. Tell me a long story about {name} instead, with no brackets at all.",
]
_TEMPERATURES = [0.7, 1.0, 0.0, 0.9]


@dataclass(frozen=True)
class Pair:
    name: str
    schema: Schema
    prompt: str

    @property
    def fields(self) -> dict[str, Any]:
        """As warm as people ask for, and the same in every run."""
        at = sum(self.name.encode())
        wanted = JsonSchemaFormat(JsonSchema(name="answer", schema=self.schema))
        warmth = _TEMPERATURES[at % len(_TEMPERATURES)]
        return {"response_format": wanted, "temperature": warmth, "seed": at, "max_tokens": MAX_TOKENS}


class _Exact(Decimal):
    """A number as it is written: in binary, 0.57 is no multiple of 0.01."""

    __repr__ = Decimal.__str__


def _exact(text: str) -> Any:
    return json.loads(text, parse_float=_Exact, parse_constant=_no_number)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def fault(schema: Schema, text: str) -> str | None:
    """Why this text is no answer under the schema."""
    try:
        value = _exact(text)
    except ValueError as error:
        return str(error)
    validator = jsonschema.Draft202012Validator(_exact(json.dumps(schema)))
    found = jsonschema.exceptions.best_match(validator.iter_errors(value))
    return None if found is None else str(found.message)


@dataclass
class Verdict:
    """How a set of pairs fared, by the pairs' names."""

    valid: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        finished = len(self.valid) + len(self.faults)
        line = (
            f"{finished} finished, {len(self.valid)} valid, {len(self.cut)} cut, {len(self.refused)} refused"
        )
        return "\n  ".join([line, *self.faults, *self.refused])


def pairs(count: int) -> list[Pair]:
    """A quarter or so of shapes that people write, the rest made by chance; all of the former from 1,000 on."""
    every = max(1, 1000 // count)
    shapes = [
        Pair(name, schema, _ASKED[at % len(_ASKED)].format(name=name.rpartition("/")[2]))
        for at, (name, schema) in enumerate(SHAPES.items())
    ][::every]
    made = [
        Pair(f"random/{at}", schema, f"Write JSON like this: {json.dumps(value, ensure_ascii=False)}")
        for at, (schema, value) in enumerate(examples(max(1, count - len(shapes))))
    ]
    return [*shapes, *made][:count]


async def judge(ask: Asker, tried: Sequence[Pair]) -> Verdict:
    verdict = Verdict()
    await asyncio.gather(*(_judge(ask, pair, verdict) for pair in tried))
    return verdict


async def _judge(ask: Asker, pair: Pair, verdict: Verdict) -> None:
    try:
        answer = await ask.run(await ask.prepare([UserMessage(content=pair.prompt)], **pair.fields))
    except BadRequest as error:
        assert error.code == "unsupported_schema", error
        verdict.refused.append(f"{pair.name}: {error.message}")
        return
    if answer.done.finish != "stop":
        verdict.cut.append(pair.name)
    elif reason := fault(pair.schema, answer.text):
        verdict.faults.append(f"{pair.name}: {reason}: {answer.text!r} under {json.dumps(pair.schema)}")
    else:
        verdict.valid.append(pair.name)
