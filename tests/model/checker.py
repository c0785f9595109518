"""Whether the grammar of a request with tools takes a text."""

from typing import Any

from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer

from schemas.chat import ChatRequest
from schemas.messages import UserMessage
from schemas.tools import FunctionDefinition, Tool
from worker.engine.prompt import PromptTemplate

CLOSED = {"additionalProperties": False}
CITY: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"$ref": "#/$defs/c"}},
    "required": ["city"],
    **CLOSED,
}
CITY["$defs"] = {"c": {"enum": ["Rome", 'Pa"ris </tool_call>']}}
TOOLS = [Tool(FunctionDefinition("get", None, CITY)), Tool(FunctionDefinition("get_all"))]


class Checker:
    """Feeds texts to the grammar of a request, as the tokens that the tokenizer makes of them."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.template = PromptTemplate(tokenizer)
        eos = sorted(tokenizer.eos_token_ids)
        self.known: LLTokenizer = from_tokenizer(
            tokenizer._tokenizer, n_vocab=max(len(tokenizer), 49152), eos_token=eos
        )

    def grammar(self, **fields: Any) -> str | None:
        known: dict[str, Any] = {"messages": [UserMessage(content="Hi")], "tools": TOOLS}
        request = ChatRequest(**known | fields)
        return self.template.render(request).grammar

    def matcher(self, **fields: Any) -> LLMatcher:
        grammar = self.grammar(**fields)
        assert grammar is not None
        matcher = LLMatcher(self.known, grammar, log_level=0)
        assert not matcher.is_error(), matcher.get_error()
        return matcher

    def takes(self, text: str, **fields: Any) -> bool:
        """Whether the answer may be this text and then end."""
        matcher = self.matcher(**fields)
        tokens = self.tokenizer.encode(text, add_special_tokens=False)
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()
