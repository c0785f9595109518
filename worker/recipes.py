"""How an article becomes a prompt: what people write into the bucket `llm_recipes`, checked before it is used."""

from __future__ import annotations

import json
from decimal import Decimal
from functools import cached_property
from importlib import resources
from typing import Annotated, Any, Self

import jinja2
import jsonschema
import msgspec
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from schemas.articles import Article
from schemas.chat import ChatRequest, JsonSchema, JsonSchemaFormat
from schemas.errors import BadRequest
from schemas.messages import SystemMessage, UserMessage

BUILT_IN = ("coin", "summary", "translate-ko")
# Two articles that have nothing in common: what their prompts share, all prompts of a recipe share.
PROBES = (Article(title="A", body="A"), Article(title="Z", body="Z", source="Z", lang="z"))

_templates = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
_Text = Annotated[str, StringConstraints(min_length=1)]


class _Exact(Decimal):
    """A number as it is written: in binary, 0.57 is no multiple of 0.01."""

    __repr__ = Decimal.__str__


class RecipeSampling(BaseModel):
    """Names and ranges as in a chat request. At temperature 0 the same article gets the same analysis."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=10)] | None = None


class Recipe(BaseModel):
    """`template` is Jinja; it sees the article's fields. `answer` is the JSON Schema of the result."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: _Text
    description: str = ""
    model: str | None = None
    system: _Text
    template: _Text
    answer: dict[str, Any]
    sampling: RecipeSampling = RecipeSampling()
    max_tokens: Annotated[int, Field(ge=1)] = 512

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        try:
            jsonschema.Draft202012Validator.check_schema(self.answer)
            _templates.from_string(self.template)
        except jsonschema.SchemaError as error:
            raise ValueError(f"answer is not a JSON Schema: {error.message}") from None
        except (jinja2.TemplateError, SyntaxError) as error:  # some of it only Python's compiler minds
            raise ValueError(f"template is not valid Jinja: {error}") from None
        except RecursionError:
            raise ValueError("template or answer is nested too deeply") from None
        return self

    def request(self, article: Article) -> ChatRequest:
        """The chat request that asks for this article's analysis. Raises BadRequest."""
        try:
            text = _templates.from_string(self.template).render(_fields(article))
        except Exception as error:  # a template computes: it may divide by zero or recurse for ever
            reason = f"The recipe's template cannot render this article: {_clause(str(error))}."
            raise BadRequest(reason, code="bad_recipe") from None
        sampling = self.sampling.model_dump(exclude_none=True)
        return ChatRequest(
            model=self.model,
            messages=[SystemMessage(content=self.system), UserMessage(content=text)],
            response_format=JsonSchemaFormat(JsonSchema(name="answer", schema=self.answer)),
            max_tokens=self.max_tokens,
            **sampling,
        )

    def result(self, text: str) -> Any:
        """The answer as data. Raises ValueError when it is not JSON that validates."""
        try:
            result = msgspec.json.decode(text)  # stricter than json: what it takes can be encoded again
            error = jsonschema.exceptions.best_match(self._validator.iter_errors(_exact(text)))
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if error is not None:
            raise ValueError(error.message)
        return result

    @cached_property
    def _validator(self) -> Any:
        return jsonschema.Draft202012Validator(_exact(json.dumps(self.answer)))


def parse(payload: bytes) -> Recipe:
    """Raises BadRequest with one sentence for all that is wrong with the recipe."""
    try:
        return Recipe.model_validate_json(payload)
    except ValidationError as error:
        faults = "; ".join(map(_fault, error.errors()))
        raise BadRequest(f"The recipe is not valid: {faults}.", code="bad_recipe") from None


def _fault(item: Any) -> str:
    where = _clause("".join(f"{key}." for key in item["loc"])[:-1])
    what = _clause(item["msg"].removeprefix("Value error, "))
    return f"{where}: {what}" if where else what


def _clause(text: str) -> str:
    """Without its full stop and line breaks, to stand inside a sentence."""
    return " ".join(text.split()).rstrip(".")


def _exact(text: str) -> Any:
    return json.loads(text, parse_float=_Exact)


def built_in(name: str) -> bytes:
    """The text of a recipe that ships with the project."""
    return resources.files("worker").joinpath("data", "recipes", f"{name}.json").read_bytes()


def _fields(article: Article) -> dict[str, Any]:
    return {name: getattr(article, name) for name in Article.__struct_fields__}
