"""`llm`, the command: a model in `extra-openai-models.yaml`, then chat, a conversation, and a schema."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from kit import ANSWER, QUESTION, URL, Capital, check, tell

MODELS = f"""
- model_id: starter
  model_name: starter
  api_base: "{URL}"
  supports_schema: true
"""
FOLDER = tempfile.TemporaryDirectory()
Path(FOLDER.name, "extra-openai-models.yaml").write_text(MODELS, encoding="utf-8")


def llm(*arguments: str) -> str:
    done = subprocess.run(
        [
            Path(sys.executable).with_name("llm"),
            *arguments,
            "-o",
            "temperature",
            "0",
            "-o",
            "max_tokens",
            "20",
        ],
        env=os.environ | {"LLM_USER_PATH": FOLDER.name},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@check
def a_conversation() -> None:
    assert llm("-m", "starter", QUESTION) == ANSWER
    assert llm("-m", "starter", "--no-stream", QUESTION) == ANSWER
    assert "Italy" in llm("-c", "And of Italy?")


@check
def a_schema() -> None:
    schema = json.dumps(Capital.model_json_schema())
    Capital.model_validate_json(llm("-m", "starter", "--schema", schema, QUESTION))


tell()
