"""Checks of the addresses on this machine: who listens there, and whether it is one of ours."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlsplit

import aiohttp
import msgspec

from bridge import keys
from bridge.doctor.finding import Finding, failed, ok, skipped, warning
from bridge.http.health import Live
from bridge.settings import Settings
from bridge.up.folder import running
from bridge.up.ports import choose
from schemas.errors import Unavailable

_PATIENCE = aiohttp.ClientTimeout(total=3)
_NATS_PORT = 4222


async def bridge(settings: Settings) -> Finding:
    found = running(settings.data_dir)
    if found is None and settings.port == 0:
        return skipped("bridge port", "any free port is taken")
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 - compared, not bound
    url = found.bridge_url if found else f"http://{host}:{settings.port}"
    if await _is_bridge(url):
        if not _has_keys(settings) and await _wants_a_key(url):
            said = f"the bridge at {url} refuses everybody: its last key was removed"
            return warning("bridge port", said, "start it again, or `nats-mlx keys new NAME --scope chat`")
        return ok("bridge port", f"the bridge answers at {url}")
    if found is not None:
        return failed("bridge port", f"the bridge of `up` does not answer at {url}", "see logs/bridge.log")
    return free("bridge port", settings.host, settings.port, "--port or NATS_MLX_BRIDGE_PORT")


def server(url: str) -> Finding:
    """Only asked when no NATS server answered at `url`."""
    place = urlsplit(url.split(",", maxsplit=1)[0].strip())
    host = place.hostname or "127.0.0.1"
    if not keys.is_loopback(host):
        return skipped("nats port", f"{host} is another machine")
    return free("nats port", host, place.port or _NATS_PORT, "--nats-port")


def free(name: str, host: str, port: int, option: str) -> Finding:
    try:
        choose((host, port, option))
    except Unavailable:
        return failed(
            name,
            f"{host}:{port} is used by something else, or may not be used",
            f"stop what uses it, or choose another with {option}",
        )
    return ok(name, f"{host}:{port} is free: nothing runs there")


def _has_keys(settings: Settings) -> bool:
    try:
        return bool(keys.KeyFile(keys.path(settings)).all())
    except Unavailable:
        return True  # its own check says what is wrong with them


async def _wants_a_key(url: str) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.get(f"{url}/v1/models") as response,
        ):
            return response.status == HTTPStatus.UNAUTHORIZED
    except (aiohttp.ClientError, TimeoutError):
        return False


async def _is_bridge(url: str) -> bool:
    try:
        async with (
            aiohttp.ClientSession(timeout=_PATIENCE) as session,
            session.get(f"{url}/healthz") as response,
        ):
            return msgspec.json.decode(await response.content.read(1024), type=Live) == Live()
    except (aiohttp.ClientError, TimeoutError, ValueError, msgspec.MsgspecError):
        return False
