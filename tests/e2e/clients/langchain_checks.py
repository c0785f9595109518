"""`langchain-openai`: ChatOpenAI whole, streamed, as an object, with tools, and by `/v1/responses`."""

from typing import Any

from kit import ANSWER, QUESTION, URL, WEATHER, Capital, check, get_weather, tell
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


def chat(**given: Any) -> ChatOpenAI:
    return ChatOpenAI(model="starter", base_url=URL, api_key="none", temperature=0, max_tokens=60, **given)


@check
def an_answer() -> None:
    found = chat().invoke(QUESTION)
    assert found.content == ANSWER
    assert found.usage_metadata["output_tokens"] > 0
    assert found.response_metadata["finish_reason"] == "stop"


@check
async def an_answer_as_a_coroutine() -> None:
    assert (await chat().ainvoke(QUESTION)).content == ANSWER


@check
def a_stream() -> None:
    found = list(chat(stream_usage=True).stream(QUESTION))
    assert "".join(chunk.content for chunk in found) == ANSWER
    assert len(found) > 4
    tokens = chat().invoke(QUESTION).usage_metadata["output_tokens"]
    told = [chunk.usage_metadata["output_tokens"] for chunk in found if chunk.usage_metadata]
    assert told == [tokens]


@check
def an_object() -> None:
    for method in ("json_schema", "function_calling"):
        wanted = chat().with_structured_output(Capital, method=method)
        assert isinstance(wanted.invoke(QUESTION), Capital)


@check
def a_tool_goes_round() -> None:
    weather = tool(get_weather)
    asked = HumanMessage(WEATHER)
    called = chat().bind_tools([weather], tool_choice="get_weather", strict=True).invoke([asked])
    (call,) = called.tool_calls
    told = weather.invoke(call)
    assert told.content == f"sunny in {call['args']['city']}"
    assert chat().bind_tools([weather], tool_choice="none").invoke([asked, called, told]).content


@check
def by_responses() -> None:
    by = chat(use_responses_api=True)
    first = by.invoke(QUESTION)
    assert first.text == ANSWER
    assert "".join(chunk.text for chunk in by.stream(QUESTION)) == ANSWER
    goes_on = by.invoke("And of Italy?", previous_response_id=first.response_metadata["id"])
    assert goes_on.text == by.invoke([("human", QUESTION), first, ("human", "And of Italy?")]).text
    assert isinstance(by.with_structured_output(Capital).invoke(QUESTION), Capital)


tell()
