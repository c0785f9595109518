"""`instructor`: an object in the modes TOOLS, JSON_SCHEMA and JSON, whole and in parts."""

import instructor
from kit import QUESTION, URL, Capital, check, tell
from openai import OpenAI
from pydantic import BaseModel

ASKED = {"model": "starter", "temperature": 0, "max_tokens": 60, "max_retries": 0}
MESSAGES = [{"role": "user", "content": QUESTION}]


class Anything(BaseModel):
    """In the mode JSON the schema is only told, and the starter model is too small to keep to one."""

    city: str | None = None


def whole_and_in_parts(mode: instructor.Mode, kind: type[BaseModel]) -> None:
    client = instructor.from_openai(OpenAI(base_url=URL, api_key="none", max_retries=0), mode=mode)
    whole = client.chat.completions.create(**ASKED, messages=MESSAGES, response_model=kind)
    assert isinstance(whole, kind)
    *_, last = client.chat.completions.create_partial(**ASKED, messages=MESSAGES, response_model=kind)
    assert last.model_dump() == whole.model_dump()


@check
def by_a_tool() -> None:
    whole_and_in_parts(instructor.Mode.TOOLS, Capital)


@check
def by_a_schema() -> None:
    whole_and_in_parts(instructor.Mode.JSON_SCHEMA, Capital)


@check
def by_json_alone() -> None:
    whole_and_in_parts(instructor.Mode.JSON, Anything)


tell()
