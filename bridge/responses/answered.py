"""A chat's answer as a response: whole, and how either ends."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from schemas.completion import ChatCompletion, Choice, Finish, Usage
from schemas.responses.items import (
    CallItem,
    OutputItem,
    OutputMessage,
    OutputText,
    ReasoningItem,
    ReasoningText,
    Status,
)
from schemas.responses.response import (
    IncompleteDetails,
    InputTokensDetails,
    OutputTokensDetails,
    Response,
    ResponseUsage,
)


def whole(begun: Response, completion: ChatCompletion, now: int) -> Response:
    (choice,) = completion.choices
    response = replace(begun, model=completion.model, output=_output(begun.id, choice))
    return ended(response, choice.finish_reason, completion.usage, now)


def ended(response: Response, finish: Finish, usage: Usage | None, now: int) -> Response:
    told = usage and _usage(usage)
    if finish == "length":
        return replace(response, status="incomplete", incomplete_details=IncompleteDetails(), usage=told)
    return replace(response, status="completed", completed_at=now, usage=told)


def last_status(finish: Finish) -> Status:
    """Of the item that was written when the answer ended; those before it are complete."""
    return "incomplete" if finish == "length" else "completed"


def item_id(response_id: str, kind: str, index: int) -> str:
    """`kind` is OpenAI's prefix; the rest makes it unique among all items there are."""
    return f"{kind}_{response_id.rpartition('_')[2]}{index:03}"


def _output(response_id: str, choice: Choice) -> list[OutputItem]:
    message = choice.message
    found: list[OutputItem] = []

    def name(kind: str) -> str:
        return item_id(response_id, kind, len(found))

    if message.reasoning_content is not UNSET:
        thought = [ReasoningText(message.reasoning_content)]
        found.append(ReasoningItem(id=name("rs"), content=thought, status="completed"))
    if message.content or not (found or message.tool_calls):  # an answer of no words is an answer
        logprobs = (choice.logprobs and choice.logprobs.content) or []
        text = OutputText(message.content or "", logprobs=logprobs)
        found.append(OutputMessage(id=name("msg"), status="completed", content=[text]))
    for call in message.tool_calls or []:
        function = call.function
        item = CallItem(call_id=call.id, name=function.name, arguments=function.arguments, id=name("fc"))
        found.append(replace(item, status="completed"))
    found[-1] = replace(found[-1], status=last_status(choice.finish_reason))
    return found


def _usage(usage: Usage) -> ResponseUsage:
    return ResponseUsage(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        InputTokensDetails(usage.prompt_tokens_details.cached_tokens),
        OutputTokensDetails(usage.completion_tokens_details.reasoning_tokens),
    )
