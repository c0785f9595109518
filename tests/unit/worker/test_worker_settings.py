"""Several models by name: what people write, in the file or as JSON, and the names that must stay apart."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import platformdirs
import pytest

from schemas.errors import BadSettings
from worker import settings as module
from worker.app import shape_of
from worker.settings import Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("NATS_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(platformdirs, "user_config_path", lambda _: tmp_path / "config")
    monkeypatch.setattr(module, "default_model", lambda: "starter")


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    def write(text: str) -> Settings:
        path = tmp_path / "my.toml"
        path.write_text(text)
        monkeypatch.setenv("NATS_MLX_CONFIG", str(path))
        return Settings.load()

    return write


def models(monkeypatch: pytest.MonkeyPatch, **tables: Any) -> Settings:
    monkeypatch.setenv("NATS_MLX_WORKER_MODELS", json.dumps(tables))
    return Settings.load()


TABLES = """
[worker]
model = "GPT-4o"
[worker.models."org/Large-4bit"]
preload = true
[worker.models.small]
path = "starter"
aliases = ["gpt-4o", "mini"]
adapter = "~/lora"
"""


def test_the_default_comes_first_whether_by_name_or_by_alias(written: Any) -> None:
    small, large = written(TABLES).wanted
    assert (small.name, small.aliases, small.source) == ("small", ("gpt-4o", "mini"), "starter")
    assert small.adapter == Path("~/lora")
    assert (large.name, large.aliases, large.source) == ("org/Large-4bit", (), "org/Large-4bit")
    assert small.preload  # the default is loaded at start
    assert large.preload


def test_the_default_may_wait_for_its_first_request(written: Any) -> None:
    small, _ = written(TABLES.replace("[worker]", "[worker]\npreload = false")).wanted
    assert not small.preload


def test_a_default_that_is_no_table_joins_the_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = models(monkeypatch, other={"path": "org/x"}).wanted
    assert (first.name, first.aliases) == ("smollm2-135m-instruct", ("starter",))
    assert second.name == "other"


def test_a_table_without_a_path_is_called_as_it_would_be_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    [only] = models(monkeypatch, starter={"aliases": ["STARTER", "mini"]}).wanted
    assert (only.name, only.aliases, only.source) == (
        "smollm2-135m-instruct",
        ("starter", "mini"),
        "starter",
    )


def test_the_environment_takes_the_place_of_the_file(monkeypatch: pytest.MonkeyPatch, written: Any) -> None:
    monkeypatch.setenv("NATS_MLX_WORKER_MODELS", '{"gpt-4o": {"path": "starter"}}')
    assert [model.name for model in written(TABLES).wanted] == ["gpt-4o"]


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"a": {"path": "x/a"}, "b": {"path": "x/b", "aliases": ["A"]}}, "`A`"),
        ({"q2.5": {}, "q2-5": {}}, "`q2-5`"),
        ({"a": {"aliases": ["starter"]}, "b": {"aliases": ["Starter"]}}, "`Starter`"),
        ({"starter": {}, "smollm2-135m-instruct": {}}, "`smollm2-135m-instruct`"),
        ({"tiny": {"aliases": ["smollm2-135m-instruct"]}}, "`smollm2-135m-instruct`"),
    ],
)
def test_two_models_never_answer_to_one_name(
    monkeypatch: pytest.MonkeyPatch, tables: dict[str, Any], said: str
) -> None:
    with pytest.raises(BadSettings) as caught:
        models(monkeypatch, **tables)
    assert said in caught.value.message
    assert "both answer" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{", "NATS_MLX_WORKER_MODELS: it is not valid JSON"),
        ("[]", "NATS_MLX_WORKER_MODELS: Input should be a valid dictionary"),
        ('{"a": {"pth": "x"}}', "NATS_MLX_WORKER_MODELS.a.pth: Extra inputs are not permitted"),
        ('{"a": {"aliases": [""]}}', "NATS_MLX_WORKER_MODELS.a.aliases.0: "),
        ('{"": {}}', "NATS_MLX_WORKER_MODELS."),
    ],
)
def test_a_mistake_in_a_table_is_found(monkeypatch: pytest.MonkeyPatch, value: str, said: str) -> None:
    monkeypatch.setenv("NATS_MLX_WORKER_MODELS", value)
    with pytest.raises(BadSettings) as caught:
        Settings.load()
    assert said in caught.value.message


def test_an_unknown_key_of_a_table_in_the_file_is_found(written: Any) -> None:
    with pytest.raises(BadSettings, match=r"NATS_MLX_WORKER_MODELS\.small\.pth"):
        written('[worker.models.small]\npth = "x"\n')


@pytest.mark.parametrize(("text", "size"), [("1000", 1000), ("4GB", 4 * 10**9), ("1.5 GiB", 3 * 2**29)])
def test_sizes_in_bytes_may_have_a_unit(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    for name in ("MEMORY_LIMIT", "KV_BYTES", "PREFIX_BYTES"):
        monkeypatch.setenv(f"NATS_MLX_WORKER_{name}", text)
    found = Settings.load()
    assert (found.memory, found.kv_bytes, found.prefix_bytes) == (size, size, size)


@pytest.mark.parametrize("text", ["-1", "4XB", "lots"])
def test_a_size_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NATS_MLX_WORKER_KV_BYTES", text)
    with pytest.raises(BadSettings, match="NATS_MLX_WORKER_KV_BYTES"):
        Settings.load()


def test_a_quarter_of_the_machine_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.machine_memory() > 2**28
    monkeypatch.setattr(module, "machine_memory", lambda: 16 * 2**30)
    assert Settings.load().memory == 12 * 2**30


def test_a_step_beside_chat_is_never_longer_than_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_MLX_WORKER_PREFILL_CHUNK", "16")
    monkeypatch.setenv("NATS_MLX_WORKER_LIVE_CHUNK", "128")
    assert shape_of(Settings.load()).live_chunk == 16
