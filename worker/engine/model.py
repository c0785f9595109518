"""All that a model's own files say of it but its weights: template, context, vocabulary, recommended sampling."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from mlx_lm.utils import load_config, load_tokenizer

from schemas.errors import BadRequest, ContextLengthExceeded
from schemas.text import TextRequest
from worker.alike import shared
from worker.engine import raw
from worker.engine.catalog import Entry
from worker.engine.cost import KvCost
from worker.engine.grammar import Grammars
from worker.engine.prompt import PromptTemplate, Rendered
from worker.engine.text import Detokenizer
from worker.jobs import AnswerForm, Prepared, Request, Sampling

# Its hints about lengths go to stderr as plain text, between our lines; the lengths are checked here.
transformers.logging.set_verbosity_error()


_RECOMMENDED = ("temperature", "top_p", "top_k", "min_p")


class Limits:
    """What any request may take: rows of the batch, bytes of KV state, tokens of an answer without a limit."""

    def __init__(self, rows: int, kv_bytes: int, default_max_tokens: int) -> None:
        self.rows = rows
        self.kv_bytes = kv_bytes
        self.default_max_tokens = default_max_tokens


class Model:
    """Makes requests ready for its weights, which may come and go. Used by one thread at a time."""

    def __init__(self, entry: Entry, limits: Limits) -> None:
        config = load_config(entry.folder)
        self.name = entry.name
        self.context = entry.context
        self.tokenizer: Any = load_tokenizer(entry.folder, eos_token_ids=config.get("eos_token_id"))
        if not self.tokenizer.has_chat_template:
            raise BadRequest(f"{entry.name} has no chat template; choose an instruction-tuned model.")
        self.vocabulary: int = config.get("text_config", config)["vocab_size"]
        self.eos = frozenset[int](self.tokenizer.eos_token_ids)
        self.grammars = Grammars(self.tokenizer._tokenizer, sorted(self.eos), self.vocabulary)
        self.cost: KvCost | None = None  # known once its weights have been in memory
        self._limits = limits
        self._recommended = _recommended(entry.folder)
        self._template = PromptTemplate(self.tokenizer)
        self._something: list[int] = self.tokenizer.encode("a", add_special_tokens=False)

    def head(self, first: Request, second: Request) -> list[int]:
        """The tokens with which the prompts of both requests begin."""
        tokens, others = self._rendered(first).tokens, self._rendered(second).tokens
        return tokens[: shared(np.array(tokens), np.array(others))]

    def prepare(self, request: Request, head: Sequence[int] = ()) -> Prepared:
        """Tokenise and check a request; `head` is what its prompt probably shares with others.

        Raises BadRequest naming the field, also ContextLengthExceeded.
        """
        rendered = self._rendered(request)
        prompt, grammar = rendered.tokens, rendered.grammar
        work = Prepared(
            model=self.name,
            prompt=prompt,
            max_tokens=self._max_tokens(len(prompt), request),
            sampling=self._sampling(request),
            form=rendered.form,
            grammar=grammar,
            # Each tool's schema has been compiled alone by now, so that its own error names it.
            grammar_of=request.grammar_of,
            choices=self._choices(request),
            alternatives=request.alternatives,
            # A token of its own has to be left, or there would be nothing to compute.
            head=len(head) if prompt[: len(head)] == list(head) and len(head) < len(prompt) else 0,
            pinned=bool(head),
        )
        if grammar is not None:
            self.grammars.compile(grammar, work.grammar_of)
        self.check_memory(work)
        return work

    def is_too_large(self, work: Prepared) -> bool:
        """Even alone. Only for a model that has been loaded: before, nobody knows."""
        assert self.cost is not None
        return self.cost(work.choices, work.width) > self._limits.kv_bytes

    def check_memory(self, work: Prepared) -> None:
        """Raises ContextLengthExceeded for what would not fit even if it were alone."""
        if self.cost is not None and self.is_too_large(work):
            megabytes = self.cost(work.choices, work.width) // 2**20
            raise ContextLengthExceeded(
                f"Prompt and answer of {work.width} tokens, {work.choices} times, need {megabytes} MB of KV state;"
                f" this worker has {self._limits.kv_bytes // 2**20} MB. Ask for fewer `max_tokens` or choices.",
                param="max_tokens",
            )

    def detokenizer(self, form: AnswerForm) -> Detokenizer:
        """For one answer. mlx_lm's drop a blank at the beginning of all text: what goes on is not there."""
        found: Detokenizer = self.tokenizer.detokenizer
        if form.goes_on:
            for token in self._something:
                found.add_token(token)
            _ = found.last_segment
        return found

    def _rendered(self, request: Request) -> Rendered:
        if isinstance(request, TextRequest):
            return raw.render(self.tokenizer, self.vocabulary, request)
        return self._template.render(request)

    def _choices(self, request: Request) -> int:
        wanted = request.n or 1
        if wanted > self._limits.rows:
            raise BadRequest(
                f"`n` may be at most {self._limits.rows} here: so many rows are computed together.",
                param="n",
                code="invalid_value",
            )
        return wanted

    def _max_tokens(self, prompt_tokens: int, request: Request) -> int:
        room = self.context - prompt_tokens
        asked = request.limit
        # OpenAI's first words: LiteLLM and others tell this error from others by them.
        need = (
            f"This model's maximum context length is {self.context} tokens; the prompt needs {prompt_tokens}"
        )
        if room < 1:
            raise ContextLengthExceeded(
                f"{need} and leaves none for the answer.",
                param=request.asks_in,
            )
        if asked is not None and asked > room:
            raise ContextLengthExceeded(
                f"{need}, so that at most {room} are left for the answer, and {asked} were asked for.",
                param=request.limit_name,
            )
        return asked or min(room, request.usual_limit or self._limits.default_max_tokens)

    def _sampling(self, request: Request) -> Sampling:
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


def _recommended(folder: Path) -> dict[str, Any]:
    """The sampling that the model's makers ship in generation_config.json, for fields a request leaves open."""
    path = folder / "generation_config.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    # Where somebody set none, transformers writes null.
    return {name: known[name] for name in _RECOMMENDED if known.get(name) is not None}
