"""The engine of the chaos tests can all that the worker asks of the real one: else they fail, one by one and late."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from tests.chaos import stub
from worker import app
from worker.engine.engine import Engine
from worker.settings import Settings

WORKER = Path(app.__file__).parent


def asked(file: Path) -> set[str]:
    """Names of what a module uses of an `engine`."""
    attributes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)]
    return {one.attr for one in attributes if ast.unparse(one.value) in ("engine", "self._engine")}


def test_it_has_all_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_MLX_WORKER_NAME", "worker-1")
    pretended = stub.Engine(stub.Catalog(), app.shape_of(Settings.load()))
    names = set().union(*map(asked, [WORKER / "app.py", *(WORKER / "transport").glob("*.py")]))
    assert {"prepare", "run", "shape"} <= names
    assert [name for name in sorted(names) if not hasattr(pretended, name)] == []


@pytest.mark.parametrize("name", ["start", "head", "prepare", "text", "run", "stop"])
def test_it_is_asked_in_the_same_way(name: str) -> None:
    def parameters(engine: type) -> list[tuple[str, object, object]]:
        found = inspect.signature(getattr(engine, name)).parameters.values()
        return [(one.name, one.kind, one.default) for one in found]

    assert parameters(stub.Engine) == parameters(Engine)
