"""What a worker knows of its models before any is loaded, and that a faulty one hurts nobody but itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import LlmError, NotFound, Unavailable
from worker.__main__ import main as worker
from worker.app import shape_of
from worker.engine import identity, store
from worker.engine.catalog import Catalog, Entry
from worker.engine.store import Located
from worker.settings import Settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NATS_MLX_CONFIG", "/dev/null")
    monkeypatch.delenv("NATS_MLX_WORKER_MODELS", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def model(folder: Path, size: int = 100, config: Any = None) -> Path:
    folder.mkdir()
    text = json.dumps({"max_position_embeddings": 2048} if config is None else config)
    (folder / "config.json").write_text(text)
    (folder / "model-1.safetensors").write_bytes(bytes(size))
    return folder


def adapter(folder: Path, size: int = 10) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapters.safetensors").write_bytes(bytes(size))
    return folder


def load(tmp_path: Path, default: Path | str, **models: Any) -> Catalog:
    return Catalog.load(Settings.load(model=str(default), models=models, cache_dir=tmp_path))


def refused(catalog: Catalog, name: str) -> LlmError:
    error = catalog.find(name).error
    assert error is not None
    return error


def test_a_model_is_described_by_its_files(tmp_path: Path) -> None:
    folder = model(tmp_path / "large", 100)
    (folder / "model-2.safetensors").write_bytes(bytes(50))
    (folder / "adapters.safetensors").write_bytes(bytes(7))  # nothing that mlx_lm loads as weights
    lora = adapter(tmp_path / "lora", 10)
    catalog = load(
        tmp_path,
        "mine",
        mine={"path": str(folder), "aliases": ["gpt-4o"], "adapter": str(lora)},
    )
    told = identity.of(folder, lora)
    assert list(catalog) == [Entry("mine", ("gpt-4o",), folder, lora, 2048, 160, preload=True, identity=told)]


def test_the_length_of_a_text_model_inside_another_is_its_own(tmp_path: Path) -> None:
    inner = {"max_position_embeddings": 10, "text_config": {"max_position_embeddings": 20}}
    outer = {"max_position_embeddings": 10, "text_config": {"vocab_size": 3}}
    catalog = load(
        tmp_path,
        model(tmp_path / "a", config=inner),
        b={"path": str(model(tmp_path / "b", config=outer))},
    )
    assert [entry.context for entry in catalog] == [20, 10]


def test_each_is_found_by_name_and_alias_and_nothing_else(tmp_path: Path) -> None:
    catalog = load(
        tmp_path,
        model(tmp_path / "Qwen2.5"),
        b={"path": str(model(tmp_path / "x")), "aliases": ["Gpt.4"]},
    )
    assert catalog.find(None) is catalog.default
    assert catalog.find("qwen2-5") is catalog.default
    assert catalog.default.name == "Qwen2.5"
    assert catalog.find("GPT-4").name == "b"
    with pytest.raises(NotFound) as caught:
        catalog.find("x")
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
    assert "Qwen2.5, b" in caught.value.message


def _spoilt(folder: Path, what: str) -> dict[str, Any]:
    match what:
        case "config":
            (model(folder) / "config.json").write_text("{")
        case "context":
            model(folder, config={})
        case "list":
            model(folder, config=[])
        case "weights":
            (model(folder) / "model-1.safetensors").unlink()
        case "adapter":
            lora = adapter(folder.with_name("half"))
            (lora / "adapters.safetensors").unlink()
            return {"path": str(model(folder)), "adapter": str(lora)}
    return {"path": str(folder)}


@pytest.mark.parametrize("what", ["config", "context", "list", "weights", "adapter", "folder"])
def test_a_faulty_model_says_so_and_the_others_serve(tmp_path: Path, what: str) -> None:
    catalog = load(tmp_path, model(tmp_path / "good"), bad=_spoilt(tmp_path / "bad", what))
    catalog.fetch_missing(tmp_path)
    assert catalog.default.error is None
    error = refused(catalog, "bad")
    assert (error.status, error.param, error.code) == (503, "model", "model_unavailable")
    assert str(tmp_path) in error.message
    assert refused(catalog, "bad") is not error


@pytest.mark.parametrize("what", ["config", "weights", "adapter"])
def test_a_faulty_default_model_stops_the_start(tmp_path: Path, what: str) -> None:
    with pytest.raises(Unavailable, match="`bad` cannot be served"):
        load(tmp_path, "bad", bad=_spoilt(tmp_path / "bad", what))


def test_a_default_model_that_is_nowhere_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load(tmp_path, tmp_path / "nowhere")


def test_a_further_model_is_fetched_behind_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def fetch(source: str, cache: Path) -> Located:
        if source == str(tmp_path / "good"):
            return Located("good", (), tmp_path / "good")
        seen.append(refused(catalog, source).message)
        if source == "org/broken":
            raise RuntimeError("the hub's client has a fault of its own")
        return Located(source, (), tmp_path / "good")

    monkeypatch.setattr(store, "fetch", fetch)
    model(tmp_path / "good")
    catalog = load(tmp_path, tmp_path / "good", **{"org/broken": {}, "org/later": {"preload": True}})
    assert seen == []
    catalog.fetch_missing(tmp_path)
    assert all("still being fetched" in message for message in seen)
    assert len(seen) == 2
    later = catalog.find("org/later")
    assert (later.error, later.bytes, later.preload) == (None, 100, True)
    assert "could not be fetched" in refused(catalog, "org/broken").message
    assert [entry.name for entry in catalog] == ["good", "org/broken", "org/later"]


def test_what_cannot_be_fetched_says_why(tmp_path: Path) -> None:
    catalog = load(tmp_path, model(tmp_path / "good"), **{"org/never-fetched": {}})
    catalog.fetch_missing(tmp_path)
    error = refused(catalog, "org/never-fetched")
    assert error.status == 503
    assert "HF_HUB_OFFLINE" in error.message


def test_the_list_of_local_models_uses_the_names_of_the_settings(tmp_path: Path) -> None:
    folder = model(tmp_path / "x")
    settings = Settings.load(
        model=str(folder), models={"mine": {"path": str(folder), "aliases": ["m"]}, "gone": {"path": "/gone"}}
    )
    found = [(one.name, one.aliases) for one in store.local(settings.wanted, tmp_path)]
    assert found[:2] == [("x", ()), ("mine", ("m",))]
    assert "gone" not in dict(found)


def told_to_doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    monkeypatch.setattr("sys.argv", ["worker", "doctor"])
    code, said = worker(), capsys.readouterr()
    return code, json.loads(said.out) if said.out else said.err


def test_doctor_is_told_what_the_worker_reckons_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lora = model(tmp_path / "mine", 100), adapter(tmp_path / "lora", 10)
    (folder / "consolidated.safetensors").write_bytes(bytes(70))  # mlx_lm does not load it
    models = {"mine": {"path": str(folder), "adapter": str(lora)}}
    for name, value in {"MODEL": "mine", "MODELS": json.dumps(models), "MEMORY_LIMIT": "3GiB"}.items():
        monkeypatch.setenv(f"NATS_MLX_WORKER_{name}", value)
    code, told = told_to_doctor(monkeypatch, capsys)
    settings = Settings.load()
    shape = shape_of(settings)
    assert code == 0
    assert told["weights"] == Catalog.load(settings).default.bytes == 110
    assert (told["kv"], told["prefixes"]) == (shape.kv_bytes, shape.prefix_bytes) == (3 * 2**29, 2**29)
    assert told["limit"] == shape.memory_limit
    (lora / "adapters.safetensors").unlink()
    code, told = told_to_doctor(monkeypatch, capsys)
    assert code == 1
    assert "its adapter" in told
