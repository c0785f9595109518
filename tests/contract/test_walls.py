"""The rules of the repository as tests: who may import what, how long things may get, what no file names."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "worker", "bridge")
SOURCES = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
CODE = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]
TEXTS = {".py", ".toml", ".md", ".conf", ".json", ".yml", ".yaml", ".sh", ".html", ".js", ".css", ""}
ENGINE = {"mlx", "mlx_lm", "llguidance", "huggingface_hub", "transformers", "tokenizers"}
RUNTIME = {"structlog", "pydantic", "pydantic_settings", "platformdirs", "nats", "uvloop", "opentelemetry"}
# What running the tests leaves behind, and git (in a second worktree it is a file).
MADE = {"__pycache__", ".hypothesis", "node_modules", ".git"}
# Put together so that this file does not name them.
NOT_NAMED = ["/" + "work/", ".." + "/shared", "/" + "tmp/w/"]


def name(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


each_source = pytest.mark.parametrize("file", SOURCES, ids=name)
each_code = pytest.mark.parametrize("file", CODE, ids=name)


def imports(file: Path) -> set[str]:
    """Top-level names of all that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module
            found.add(node.module)
    return {module.partition(".")[0] for module in found}


def foreign(file: Path) -> set[str]:
    return imports(file) - set(sys.stdlib_module_names)


def inside(file: Path, *places: str) -> bool:
    return any(name(file) == place or name(file).startswith(f"{place}/") for place in places)


@pytest.mark.parametrize("file", [file for file in SOURCES if inside(file, "schemas")], ids=name)
def test_schemas_need_nothing_but_msgspec(file: Path) -> None:
    allowed = {"schemas", "msgspec"} | (RUNTIME if inside(file, "schemas/runtime") else set())
    assert foreign(file) <= allowed


@pytest.mark.parametrize("file", [file for file in SOURCES if inside(file, "schemas")], ids=name)
def test_the_contract_does_not_know_the_processes(file: Path) -> None:
    if not inside(file, "schemas/runtime"):
        assert "schemas.runtime" not in file.read_text(encoding="utf-8")


@each_source
def test_worker_and_bridge_never_import_each_other(file: Path) -> None:
    other = {"worker": "bridge", "bridge": "worker"}.get(file.relative_to(ROOT).parts[0])
    assert other not in imports(file)


@each_source
def test_nats_is_spoken_in_few_places(file: Path) -> None:
    if not inside(
        file,
        "worker/transport",
        "worker/app.py",
        "bridge/client",
        "schemas/runtime/client.py",
        "schemas/runtime/connection.py",
        "schemas/runtime/presence.py",
    ):
        assert "nats" not in imports(file)


@each_source
def test_only_the_engine_knows_the_model(file: Path) -> None:
    if not inside(file, "worker/engine"):
        assert not imports(file) & ENGINE


@pytest.mark.parametrize("module", ["scheduler", "jobs"])
def test_who_runs_next_is_decided_without_the_world(module: str) -> None:
    pure = imports(ROOT / "worker" / f"{module}.py")
    assert not pure & {"asyncio", "time", "datetime", "threading", "random", "os"}
    assert foreign(ROOT / "worker" / f"{module}.py") <= {"worker", "schemas"}


def test_a_nas_needs_no_model_code() -> None:
    """The bridge in a fresh process: what it imports must be in the base install."""
    missing = f"import sys; sys.modules.update(dict.fromkeys({sorted(ENGINE | {'jsonschema', 'numpy'})!r}))"
    done = subprocess.run(
        [sys.executable, "-c", f"{missing}; import bridge.app, bridge.cli"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@each_code
def test_a_module_says_what_it_is_for(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    if not source and inside(file, "tests"):
        return  # only there so that two tests may have one name
    text = ast.get_docstring(ast.parse(source))
    assert text
    assert text.splitlines()[0].rstrip().endswith((".", "?", ":", ","))


@each_source
def test_a_file_is_no_longer_than_300_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300


def functions(file: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            yield f"{name(file)}: {node.name}", node.end_lineno - node.lineno + 1


@each_source
def test_a_function_is_no_longer_than_50_lines(file: Path) -> None:
    assert [(where, lines) for where, lines in functions(file) if lines > 50] == []


def test_most_functions_are_short() -> None:
    lengths = sorted(lines for file in SOURCES for _, lines in functions(file))
    assert lengths[len(lengths) // 2] <= 8


def shipped() -> Iterator[Path]:
    places = [ROOT / package for package in (*PACKAGES, "tests", ".ci")]
    files = [file for place in places for file in place.rglob("*")] + list(ROOT.glob("*"))
    for file in files:
        if file.is_file() and file.suffix in TEXTS and not MADE & set(file.parts):
            yield file


@pytest.mark.parametrize("words", NOT_NAMED)
def test_no_file_names_a_place_of_one_machine(words: str) -> None:
    assert [name(file) for file in shipped() if words in file.read_text(encoding="utf-8")] == []


@each_source
def test_no_source_gives_up_on_types_wholesale(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "# mypy: ignore" not in text
    assert "# type: ignore\n" not in text
    assert "# noqa\n" not in text
