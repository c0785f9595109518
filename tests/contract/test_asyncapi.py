"""`/asyncapi.json` is valid by the specification's own schema, and has every subject, header and stream there is."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bridge.http.asyncapi import CHANNELS, MESSAGES, document
from schemas import streams, subjects
from schemas.articles import DeadLetter
from tests.needed import unavailable

DOCUMENT: dict[str, Any] = json.loads(document())
# The schemas of AsyncAPI as its makers publish them.
PACKAGE = "@asyncapi/specs@6.11.1"


@pytest.fixture(scope="module")
def specification(tmp_path_factory: pytest.TempPathFactory) -> Any:
    npm = shutil.which("npm")
    if npm is None:
        unavailable("npm is needed for the schema of AsyncAPI.")
    folder = tmp_path_factory.mktemp("asyncapi")
    options = ["--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(
        [npm, "install", *options, PACKAGE], cwd=folder, check=True, stdin=subprocess.DEVNULL, timeout=200
    )
    schemas = folder / "node_modules" / "@asyncapi" / "specs" / "schemas"
    return json.loads(Path(schemas / "3.0.0-without-$id.json").read_text(encoding="utf-8"))


def test_it_is_valid(specification: Any) -> None:
    found = jsonschema.Draft7Validator(specification).iter_errors(DOCUMENT)
    assert [f"{error.json_path}: {error.message[:200]}" for error in found] == []


def refs(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [ref for item in value.values() for ref in refs(item)]
    return [ref for item in value for ref in refs(item)] if isinstance(value, list) else []


def test_each_reference_leads_somewhere() -> None:
    for ref in refs(DOCUMENT):
        found = DOCUMENT
        for step in ref.removeprefix("#/").split("/"):
            found = found[step]


def test_each_message_is_sent_somewhere() -> None:
    used = {name for channel in CHANNELS.values() for name in (*channel.messages, *channel.replies)}
    assert used == set(MESSAGES)


def test_each_header_of_the_contract_is_told() -> None:
    told = {name for message in MESSAGES.values() for name in message.headers}
    names = "REQUEST_ID CALLER DEADLINE SEQ KEEP_ALIVE FINISH REPLACE API TRACEPARENT ERROR ERROR_CODE RETRY_AFTER"
    assert told == {getattr(subjects, name) for name in names.split()} | set(
        DeadLetter.header_names().values()
    )


def test_each_subject_of_the_contract_is_told() -> None:
    addresses = {channel.address for channel in CHANNELS.values()}
    assert {
        subjects.CHAT,
        subjects.RECIPE,
        subjects.COMPLETIONS,
        subjects.cancel("{request}"),
        subjects.dead("{stream}", "{recipe}", "{id}"),
    } <= addresses
    for stream in (
        streams.ARTICLES,
        streams.ANALYSES,
        streams.DEAD,
        streams.BATCH_LINES,
        streams.BATCH_RESULTS,
    ):
        heads = {subject.split(".")[0] for subject in stream.subjects}
        assert any(address.split(".")[0] in heads for address in addresses)
