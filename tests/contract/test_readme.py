"""The README is the product's face: what it lists is what there is."""

import re
from pathlib import Path

import pytest

from schemas.chat import REFUSED, ChatRequest
from schemas.responses.request import REFUSED as REFUSED_OF_RESPONSES
from schemas.responses.request import ResponseRequest
from schemas.text import TextRequest
from tests import settings_table
from tests.contract.test_schema_drift import ONLY_OFF, WITHOUT_EFFECT

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def verdicts(begin: str = "### As an OpenAI client", end: str = "#### Responses") -> dict[str, str]:
    """What the table of request fields says of each: its second column by the names in its first."""
    table = README.partition(begin)[2].partition(end)[0]
    rows = [line.split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    return {name: verdict.strip() for names, verdict in rows for name in re.findall("`([^`]+)`", names)}


@pytest.mark.parametrize("name", ChatRequest.__struct_fields__)
def test_every_field_of_a_request_is_listed(name: str) -> None:
    expected = "no effect" if name in WITHOUT_EFFECT else 'only `["text"]`' if name in ONLY_OFF else "yes"
    assert verdicts()[name] == expected


@pytest.mark.parametrize("name", REFUSED)
def test_every_field_that_is_refused_is_listed(name: str) -> None:
    assert verdicts()[name] == "refused"


def test_no_other_field_is_listed() -> None:
    known = {*ChatRequest.__struct_fields__, *REFUSED, "messages[].name"}
    assert set(verdicts()) == known


RESPONSE_ONLY = {"background": "only `false`", "truncation": "only `disabled`"}
RESPONSE_WITHOUT_EFFECT = {*WITHOUT_EFFECT, "stream_options", "max_tool_calls"} - {"metadata", "store"}


def test_every_field_of_a_response_is_listed() -> None:
    expected = {
        name: "no effect" if name in RESPONSE_WITHOUT_EFFECT else RESPONSE_ONLY.get(name, "yes")
        for name in ResponseRequest.__struct_fields__
    }
    refused = dict.fromkeys(REFUSED_OF_RESPONSES, "refused")
    assert verdicts("#### Responses", "#### Completions") == expected | refused


def test_every_field_of_a_completion_is_listed() -> None:
    other = dict.fromkeys(("echo", "suffix", "best_of"), "only off") | {"user": "no effect"}
    expected = {name: other.get(name, "yes") for name in TextRequest.__struct_fields__}
    assert verdicts("#### Completions", "### As an operator") == expected


def test_the_table_of_settings_is_made_of_the_settings() -> None:
    """`python -m tests.settings_table` writes it."""
    assert f"{settings_table.HEADING}{settings_table.table()}\n" in README
    assert all(meaning for _, _, meaning in settings_table.rows())


def test_ci_runs_the_commands_that_it_prints() -> None:
    ci = (ROOT / ".ci" / "run").read_text()
    for command in (".venv/bin/pip install -e '.[worker,test]'", ".venv/bin/nats-mlx up --sample"):
        assert command in README
        assert command in ci


def test_nothing_is_left_to_fill_in() -> None:
    assert "@@" not in README


def test_it_answers_in_this_order() -> None:
    """What it is stands on top of all."""
    order = "Why|Two commands|Use it|Run the parts apart|Settings|Open it to others|Security|Numbers"
    order += "|When something is wrong|How it is built|Changes|Licence"
    assert re.findall("^## (.*)$", README, re.MULTILINE) == order.split("|")
    ways = ["### As a publisher", "### As a chat caller", "### As an OpenAI client", "### As an operator"]
    assert [line for line in README.splitlines() if line in ways] == ways
    assert README.count("```mermaid") == 1
