"""What every client is asked (answers of few tokens, the same each time), and its checks: one line of JSON each."""

import asyncio
import contextlib
import inspect
import json
import sys
import traceback
from collections.abc import Callable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

URL = sys.argv[1]
QUESTION = "What is the capital of France?"
ANSWER = "The capital of France is Paris."
WEATHER = "What is the weather in Paris?"


class Capital(BaseModel):
    """The capital of a country."""

    # Where more is allowed, the starter model goes on to its limit.
    model_config = ConfigDict(extra="forbid")

    city: Literal["Paris", "Rome"]


def get_weather(city: Literal["Paris", "Rome"]) -> str:
    """Tells the weather of a city."""
    return f"sunny in {city}"


_checks: list[Callable[[], Any]] = []


def check(function: Callable[[], Any]) -> Callable[[], Any]:
    """Of a function or a coroutine without arguments."""
    _checks.append(function)
    return function


def tell() -> None:
    """Some clients keep their connections with the loop, so that all checks have one."""
    with asyncio.Runner() as runner:
        for function in _checks:
            error = None
            try:
                # Some clients have hints to print.
                with contextlib.redirect_stdout(sys.stderr):
                    found = function()
                    if inspect.iscoroutine(found):
                        runner.run(found)
            except Exception:
                error = traceback.format_exc()
            sys.stdout.write(json.dumps({"name": function.__name__, "error": error}) + "\n")
