"""`mlx_lm.server` on the worker's model and BLAS, fresh for each run, and asked over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from bridge.bench.child import child
from bridge.up import ports
from bridge.up.child import last_line
from bridge.up.programs import HOST, python
from schemas.codec import encode
from schemas.completion import Usage
from schemas.errors import EngineFailed, Unavailable

_LOOK_EVERY = 0.2


class Reference:
    """A running `mlx_lm.server`; all its options are the defaults."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def ask_all(self, bodies: Sequence[dict[str, Any]], at_once: int) -> list[Usage]:
        """So many under way at once, in their order."""
        free = asyncio.Semaphore(at_once)

        async def one(body: dict[str, Any]) -> Usage:
            async with free:
                return await self._ask(body)

        return await asyncio.gather(*map(one, bodies))

    async def _ask(self, body: dict[str, Any]) -> Usage:
        async with self._session.post("/v1/chat/completions", data=encode(body)) as response:
            answer = await response.read()
        if response.status != 200:
            raise EngineFailed(f"mlx_lm.server said {response.status}: {answer[:200].decode()}")
        return msgspec.convert(msgspec.json.decode(answer)["usage"], Usage)


@contextlib.asynccontextmanager
async def reference(folder: str) -> AsyncIterator[Reference]:
    """One that has loaded the model and served nobody yet."""
    [port] = ports.choose((HOST, 0, "--port"))
    command = python("worker.engine.reference", "--model", folder, "--host", HOST, "--port", str(port))
    with tempfile.NamedTemporaryFile(prefix="mlx-lm-server-", suffix=".log") as log:
        async with (
            child(command, os.environ, stdin=DEVNULL, stdout=log, stderr=log) as process,
            _session(f"http://{HOST}:{port}") as session,
        ):
            while not await _loaded(session):
                if process.returncode is not None:
                    raise Unavailable(f"mlx_lm.server does not start: {last_line(Path(log.name))}")
                await asyncio.sleep(_LOOK_EVERY)
            yield Reference(session)


def _session(url: str) -> aiohttp.ClientSession:
    """As patient and as wide as it takes."""
    return aiohttp.ClientSession(
        url, timeout=aiohttp.ClientTimeout(total=None), connector=aiohttp.TCPConnector(limit=0)
    )


async def _loaded(session: aiohttp.ClientSession) -> bool:
    """It listens before it has its model: a token tells."""
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    try:
        async with session.post("/v1/chat/completions", data=encode(body)) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False
