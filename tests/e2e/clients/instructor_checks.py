"""`instructor`: an object in the modes TOOLS and JSON_SCHEMA, whole and in parts (JSON alone is up to the model)."""

import instructor
from kit import QUESTION, URL, Capital, check, tell
from openai import OpenAI

ASKED = {"model": "starter", "temperature": 0, "max_tokens": 60, "max_retries": 0, "response_model": Capital}
MESSAGES = [{"role": "user", "content": QUESTION}]


def whole_and_in_parts(mode: instructor.Mode) -> None:
    client = instructor.from_openai(OpenAI(base_url=URL, api_key="none", max_retries=0), mode=mode)
    whole = client.chat.completions.create(**ASKED, messages=MESSAGES)
    assert isinstance(whole, Capital)
    *_, last = client.chat.completions.create_partial(**ASKED, messages=MESSAGES)
    assert last.model_dump() == whole.model_dump()


@check
def by_a_tool() -> None:
    whole_and_in_parts(instructor.Mode.TOOLS)


@check
def by_a_schema() -> None:
    whole_and_in_parts(instructor.Mode.JSON_SCHEMA)


tell()
