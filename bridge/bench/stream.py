"""`bench bridge`: streamed chunks per second to HTTP clients, beside nats-py receiving the same answers."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

from bridge.bench import hall
from bridge.bench.figures import Series, at_least, ratio, rotated
from bridge.bench.house import House
from bridge.bench.report import Report
from bridge.bench.say import Say
from bridge.client import Client, receive
from schemas.errors import EngineFailed

_BRIDGE, _PLAIN = "bridge", "nats-py"
_EVENT = b"data: {"


async def measure(clients: int, chunks: int, repeats: int, say: Say) -> Report:
    """All clients at once; the first round, in which everybody warms up, does not count."""

    async def job(house: House) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {_BRIDGE: [], _PLAIN: []}
        await hall.ready(house)
        async with house.client("publisher") as nc:
            for turn in range(-1, repeats):
                for way in rotated((_PLAIN, _BRIDGE), turn + 1):
                    rate = await _round(way, nc, house, clients, chunks)
                    if turn >= 0:
                        found[way].append(rate)
                        say.line(f"round {turn + 1} of {repeats}: {way}: {rate:,.0f} chunks/s")
        return found

    found = await hall.use(job, say, "bridge.client.emitter")
    series = [Series(way, "chunks/s", rates) for way, rates in found.items()]
    figure = ratio("chunks/s, bridge ÷ nats-py", found[_BRIDGE], found[_PLAIN], at_least(0.5))
    settings = {"clients": clients, "chunks": chunks, "repeats": repeats}
    notes = ["server, emitter, bridge and readers share this machine's cores"]
    return Report("bridge", settings, series, [figure], notes)


async def _round(way: str, nc: Client, house: House, clients: int, chunks: int) -> float:
    started = time.monotonic()
    if way == _BRIDGE:
        readers = [_sse(house.bridge_url or "", hall.request(chunks)) for _ in range(clients)]
    else:
        readers = [receive.count(nc, hall.request(chunks)) for _ in range(clients)]
    counts = await asyncio.gather(*readers)
    seconds = time.monotonic() - started
    if counts != [chunks] * clients:
        raise EngineFailed(f"Of {chunks} chunks each client should have, {way} brought {counts}.")
    return clients * chunks / seconds


async def _sse(url: str, body: bytes) -> int:
    """Over a bare socket: an HTTP library would be slower than what is measured."""
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    try:
        answer = await reader.read()
    finally:
        writer.close()
    return answer.count(_EVENT)
