"""A loaded model and all that its own files say of it: template, context, vocabulary, recommended sampling."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import transformers
from mlx_lm import load

from schemas.chat import ChatRequest, JsonObjectFormat, JsonSchemaFormat
from schemas.errors import BadRequest, ContextLengthExceeded
from worker.engine.grammar import ANY_OBJECT, Grammars, dump
from worker.engine.prefix import common
from worker.engine.prompt import PromptTemplate
from worker.jobs import Prepared, Sampling

# Its hints about lengths go to stderr as plain text, between our lines; the lengths are checked here.
transformers.logging.set_verbosity_error()

_Loaded = tuple[Any, Any, dict[str, Any]]


class Model:
    """Weights and tokenizer. Everything but the weights may be used from a second thread."""

    def __init__(self, name: str, folder: Path, default_max_tokens: int) -> None:
        self.name = name
        self.weights, self.tokenizer, config = cast(_Loaded, load(str(folder), return_config=True))
        if not self.tokenizer.has_chat_template:
            raise BadRequest(f"{name} has no chat template; choose an instruction-tuned model.")
        text_config = config.get("text_config", config)
        self.context: int = text_config["max_position_embeddings"]
        self.vocabulary: int = text_config["vocab_size"]
        self._default_max_tokens = default_max_tokens
        self._recommended = _recommended(folder)
        self._template = PromptTemplate(self.tokenizer)
        self.grammars = Grammars(self.tokenizer._tokenizer, self.eos, self.vocabulary)

    @property
    def eos(self) -> list[int]:
        return sorted(self.tokenizer.eos_token_ids)

    def head(self, first: ChatRequest, second: ChatRequest) -> list[int]:
        """The tokens with which the prompts of both requests begin."""
        return common(self._template.tokens(first.messages), self._template.tokens(second.messages))

    def prepare(self, request: ChatRequest, head: Sequence[int] = ()) -> Prepared:
        """Tokenise and check a request; `head` is what its prompt probably shares with others.

        Raises BadRequest naming the field, also ContextLengthExceeded.
        """
        prompt = self._template.tokens(request.messages)
        schema = _schema(request)
        if schema is not None:
            self.grammars.compile(schema)
        return Prepared(
            prompt=prompt,
            max_tokens=self._max_tokens(len(prompt), request),
            sampling=self._sampling(request),
            grammar=schema,
            stops=request.stops,
            # A token of its own has to be left, or there would be nothing to compute.
            head=len(head) if prompt[: len(head)] == list(head) and len(head) < len(prompt) else 0,
        )

    def _max_tokens(self, prompt_tokens: int, request: ChatRequest) -> int:
        room = self.context - prompt_tokens
        asked = request.limit
        if room < 1 or (asked is not None and asked > room):
            wanted = f" and {asked} for the answer" if asked else ""
            raise ContextLengthExceeded(
                f"This model's context is {self.context} tokens; the messages need {prompt_tokens}{wanted}.",
                param="messages",
            )
        return asked or min(room, self._default_max_tokens)

    def _sampling(self, request: ChatRequest) -> Sampling:
        names = [name for name in Sampling.__dataclass_fields__ if name != "logit_bias"]
        asked = {name: getattr(request, name) for name in names if getattr(request, name) is not None}
        bias = tuple(self._bias(request.logit_bias or {}))
        return Sampling(**(self._recommended | asked), logit_bias=bias)

    def _bias(self, bias: dict[str, float]) -> list[tuple[int, float]]:
        """Ids are checked here: one outside the vocabulary is a memory error inside MLX."""
        checked = []
        for key, value in bias.items():
            if not (key.isascii() and key.isdigit() and len(key) < 20 and int(key) < self.vocabulary):
                reason = f"`{key}` is not a token id of this model (0 to {self.vocabulary - 1})."
                raise BadRequest(reason, param="logit_bias", code="invalid_value")
            checked.append((int(key), value))
        return checked


def _schema(request: ChatRequest) -> str | None:
    match request.response_format:
        case JsonSchemaFormat(json_schema=wanted):
            return dump(wanted.schema)
        case JsonObjectFormat():
            return dump(ANY_OBJECT)
        case _:
            return None


def _recommended(folder: Path) -> dict[str, Any]:
    """The sampling that the model's makers ship in generation_config.json, for fields a request leaves open."""
    path = folder / "generation_config.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    return {name: known[name] for name in ("temperature", "top_p", "top_k", "min_p") if name in known}
