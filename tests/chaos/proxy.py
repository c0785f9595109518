"""A wire that can be cut: a TCP proxy in front of nats-server, one for each client that is to have a bad network."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER of zero: close() sends RST instead of FIN


class _Link:
    """One client's connection, both ways."""

    def __init__(self, *writers: asyncio.StreamWriter) -> None:
        self.writers = writers
        self.lossy = False  # bytes were dropped: what follows makes no sense to its reader

    def reset(self) -> None:
        for writer in self.writers:
            sock: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Forwards to `port` on this machine. Everything is as it should be until somebody says otherwise."""

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self.passed = asyncio.Event()  # set by each piece that goes from the server to the client
        self._to = port
        self._dark = False
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        self.reset()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Swallow everything, and tell nobody: a lid that closes, a cable that is pulled."""
        self._dark = True

    def heal(self) -> None:
        """New connections work again. Those that lost bytes are reset, as the two ends would find out."""
        self._dark = False
        for link in [link for link in self._links if link.lossy]:
            link.reset()

    def reset(self) -> None:
        for link in list(self._links):
            link.reset()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._dark:  # connected, and nothing comes; the client gives up or is reset by heal()
            link = _Link(writer)
            link.lossy = True
            self._links.add(link)
            with contextlib.suppress(OSError):
                while await reader.read(65536):
                    pass
            self._end(link)
            return
        try:
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, their_writer)
        self._links.add(link)
        try:
            await asyncio.gather(
                self._pump(reader, their_writer, link), self._pump(their_reader, writer, link, inward=True)
            )
        finally:
            self._end(link)

    def _end(self, link: _Link) -> None:
        self._links.discard(link)
        for writer in link.writers:
            writer.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, inward: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self._dark or link.lossy:
                    link.lossy = True
                    continue
                writer.write(piece)
                await writer.drain()
                if inward:
                    self.passed.set()
        link.reset()
