"""The bridge as a process: starts at once, waits for NATS, and ends in order."""

from __future__ import annotations

import asyncio
import signal
import sys

from aiohttp import web

from bridge import keys
from bridge.client import Client
from bridge.http import routes
from bridge.http.door import Site
from bridge.settings import Settings
from schemas import __version__
from schemas.errors import BadSettings, LlmError, Unavailable
from schemas.runtime import log, loop, spans
from schemas.runtime.connection import connect

_log = log.get("bridge")


def main() -> int:
    """Run until told to stop. 0: stopped; 1: failed; 2: wrong settings."""
    try:
        chosen = Settings.load()
        keys.need(chosen)
        log.setup(chosen.log_level, chosen.log_format, chosen.kept_log)
    except LlmError as error:
        sys.stderr.write(f"error: {error.message}\n")
        return loop.BAD_SETTINGS if isinstance(error, BadSettings) else 1
    spans.setup("nats-mlx bridge")
    return loop.live(_code(chosen))


async def _code(chosen: Settings) -> int:
    try:
        await run(chosen)
    except LlmError as error:
        _log.error("stopped", reason=error.message)
        return 1
    return 0


async def run(chosen: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises Unavailable when the port or NATS is denied to us."""
    stop, over = asyncio.Event(), asyncio.Event()
    _stop_on_signals(stop)
    nc = Client()
    runner = await listen(chosen, nc)
    # HTTP is up before NATS is: a probe then gets the reason instead of a refused connection.
    link = asyncio.create_task(_stay_connected(chosen, nc, over))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({link, stopped}, return_when=asyncio.FIRST_COMPLETED)
        _log.info("stopping")
    finally:
        # In this order: no new request, the running ones to their end, and then their way out.
        await runner.cleanup()
        stopped.cancel()
        if not link.done():
            await _disconnect(nc, link)
    if link.done() and not link.cancelled():
        link.result()


def _stop_on_signals(stop: asyncio.Event) -> None:
    """The second signal of a kind finds its default again: it kills."""
    running = asyncio.get_running_loop()

    def once(number: signal.Signals) -> None:
        running.remove_signal_handler(number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, once, number)


async def listen(chosen: Settings, nc: Client) -> web.AppRunner:
    runner = web.AppRunner(
        routes.build(chosen, nc),
        handler_cancellation=True,  # a client that hangs up must free its slot
        # aiohttp waits this long twice: for the handlers, then for what their cancellation does.
        shutdown_timeout=chosen.shutdown_timeout / 2,
    )
    await runner.setup()
    try:
        await Site(runner, chosen).start()
    except OSError as error:
        await runner.cleanup()
        where = f"{chosen.host}:{chosen.port}"
        raise Unavailable(
            f"Cannot listen on {where}: {error.strerror or error}; choose another port."
        ) from None
    _log.info("listening", url=address(runner), version=__version__, loop=loop.name())
    return runner


def address(runner: web.AppRunner) -> str:
    """The real address: the port may have been chosen by the system."""
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _stay_connected(chosen: Settings, nc: Client, over: asyncio.Event) -> None:
    """Connect, and raise Unavailable once the connection is over for good."""
    await connect(
        chosen.nats_url,
        chosen.nats_user,
        chosen.password,
        name="nats-mlx bridge",
        wait=True,
        tls=chosen.tls,
        closed=over.set,
        client=nc,
    )
    _log.info("nats_connected")
    await over.wait()
    raise Unavailable("NATS closed the connection for good; its log and the line before this one tell why.")


async def _disconnect(nc: Client, link: asyncio.Task[None]) -> None:
    link.cancel()
    await asyncio.wait({link})
    if nc.is_connected:
        await nc.drain()
    elif not nc.is_closed:
        await nc.close()


if __name__ == "__main__":
    sys.exit(main())
