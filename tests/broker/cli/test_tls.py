"""TLS with client certificates, as the README has it: nothing in plain text, and nobody without a certificate."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import nats
import pytest
from nats.aio.client import Client

from bridge.settings import Settings
from schemas.errors import BadSettings, Unavailable
from schemas.runtime.connection import Refused, connect
from tests.broker.cli.blocks import lay_out, make_certificates
from tests.broker.cli.conftest import Server, serving
from worker.transport import topology


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("tls")
    make_certificates(found)
    return found


@pytest.fixture(scope="module")
def secured(folder: Path) -> Iterator[Server]:
    with serving(folder, lay_out(folder, "tls.conf")) as found:
        found.url = found.url.replace("nats://", "tls://")
        yield found


def files(folder: Path, *names: str) -> dict[str, str]:
    """Settings for the files of these names."""
    known = {"nats_ca": "ca.pem", "nats_cert": "mac.pem", "nats_key": "mac.key"}
    return {name: str(folder / known[name]) for name in names}


async def join(server: Server, *, wait: bool = False, **values: str) -> Client:
    """As the processes of this project do."""
    login = {"nats_user": "worker", "nats_password": server.credentials.password("worker")}
    chosen = Settings.load(nats_url=server.url, **(login | values))
    opening = connect(chosen.nats_url, chosen.nats_user, chosen.password, name="t", wait=wait, tls=chosen.tls)
    return await asyncio.wait_for(opening, 10)


async def test_who_has_a_certificate_does_its_work(secured: Server, folder: Path) -> None:
    nc = await join(secured, **files(folder, "nats_ca", "nats_cert", "nats_key"))
    await topology.ensure(nc.jetstream())
    await nc.close()


async def test_a_command_takes_them_from_the_environment(secured: Server, folder: Path) -> None:
    nc = await join(secured, **files(folder, "nats_ca", "nats_cert", "nats_key"))
    await topology.ensure(nc.jetstream())
    await nc.close()
    names = {key.upper(): value for key, value in files(folder, "nats_ca", "nats_cert", "nats_key").items()}
    mine = {name: value for name, value in os.environ.items() if not name.startswith("NATS_")}
    login = {"NATS_USER": "publisher", "NATS_PASSWORD": secured.credentials.password("publisher")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "bridge.cli", "publish", "-"],
        env=mine | names | login | {"NATS_URL": secured.url, "NATS_MLX_DATA_DIR": str(folder)},
        input='{"title":"t","body":"b"}\n',
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout[:12]) == (0, "1 published "), done.stderr


@pytest.mark.parametrize("wait", [True, False])
async def test_without_a_certificate_nobody_comes_in(secured: Server, folder: Path, wait: bool) -> None:
    with pytest.raises(Refused, match="NATS_CERT and NATS_KEY"):
        await join(secured, wait=wait, **files(folder, "nats_ca"))


@pytest.mark.parametrize("wait", [True, False])
async def test_a_server_that_nobody_vouches_for_gets_no_password(secured: Server, wait: bool) -> None:
    with pytest.raises(Refused, match="NATS_CA"):
        await join(secured, wait=wait)


async def test_a_server_in_plain_text_gets_no_password(folder: Path, server: Server) -> None:
    """nats-py by itself would go on in plain text there."""
    server.url = server.url.replace("nats://", "tls://")
    with pytest.raises(Refused, match="handshake_first"):
        await join(server, **files(folder, "nats_ca"))


async def test_a_client_in_plain_text_hears_nothing(secured: Server) -> None:
    address = urlsplit(secured.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(b"CONNECT {}\r\nPING\r\n")
    heard = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert b"INFO" not in heard and b"PONG" not in heard


async def test_a_client_in_plain_text_is_told_what_it_lacks(secured: Server) -> None:
    plain = Server(secured.url.replace("tls://", "nats://"), secured.credentials, secured.process)
    with pytest.raises(Unavailable, match="tls://"):
        await join(plain)


async def test_any_nats_client_comes_in_with_them(secured: Server, folder: Path) -> None:
    tls = Settings.load(nats_url="tls://x", **files(folder, "nats_ca", "nats_cert", "nats_key")).tls
    assert tls is not None
    login = {"user": "operator", "password": secured.credentials.password("operator")}
    nc = await nats.connect(secured.url, tls=tls.context(), tls_handshake_first=True, **login)
    await nc.flush()
    await nc.close()


async def test_a_certificate_is_no_password(secured: Server, folder: Path) -> None:
    with pytest.raises(Refused, match="NATS_PASSWORD"):
        await join(secured, nats_password="wrong", **files(folder, "nats_ca", "nats_cert", "nats_key"))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"nats_cert": "c"}, "NATS_CERT and NATS_KEY belong together"),
        ({"nats_ca": "c", "nats_url": "nats://x"}, "tls://"),
    ],
)
def test_half_of_it_is_a_bad_setting(values: dict[str, str], said: str) -> None:
    with pytest.raises(BadSettings, match=said):
        Settings.load(**{"nats_url": "tls://x"} | values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"nats_ca": "gone.pem"}, "NATS_CA: cannot read .*gone.pem"),
        ({"nats_ca": "nats.conf"}, "NATS_CA: .*nats.conf cannot be used"),
        ({"nats_cert": "mac.pem", "nats_key": "ca.key"}, "NATS_CERT and NATS_KEY: .* mismatch"),
    ],
)
async def test_a_file_that_cannot_be_used_is_named(
    secured: Server, folder: Path, values: dict[str, str], said: str
) -> None:
    with pytest.raises(Unavailable, match=said):
        await join(secured, **{name: str(folder / file) for name, file in values.items()})
