"""A client that no library would be: bytes as they are, at a pace of its own."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, NamedTuple

import aiohttp


class Answer(NamedTuple):
    """`headers` with their names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["error"]
        assert set(found) == {"message", "type", "param", "code"}
        return found


class Raw:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, http: aiohttp.ClientSession, window: int | None = None) -> Raw:
        """To the bridge of a session. `window` keeps the kernel from reading on behalf of a client that stalls."""
        base = http._base_url
        assert base is not None
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if window is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (base.host, base.port))
        reader, writer = await asyncio.open_connection(sock=sock, limit=4096 if window else 2**20)
        return cls(reader, writer)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> Answer:
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(first.split()[1]), headers, body)

    async def over(self) -> None:
        """Until the other side has hung up."""
        async with asyncio.timeout(5):
            try:
                while await self.reader.read(65536):
                    pass
            except ConnectionError:
                pass

    async def close(self) -> None:
        self.writer.transport.abort()


def post(body: bytes, *headers: str, path: str = "/v1/chat/completions") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
