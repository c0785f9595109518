"""Chats over HTTP all the time: each ends whole or as an error, whatever happens to those who answer."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import aiohttp

PIECES = 20
_BODY = {"messages": [{"role": "user", "content": f"COUNT {PIECES}"}], "stream": True}
_WHOLE = "".join(f"{number} " for number in range(1, PIECES + 1))


@dataclass
class Talk:
    """How they ended. `silent` are those that ended as if they were whole, and were not, or not at all."""

    url: str
    patience: float = 30.0
    whole: int = 0
    errors: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)

    async def go_on(self, over: asyncio.Event, every: float = 0.3) -> None:
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
            while not over.is_set():
                tasks.create_task(self.ask(session))
                await asyncio.sleep(every)

    async def ask(self, session: aiohttp.ClientSession) -> None:
        lines: list[str] = []
        try:
            async with asyncio.timeout(self.patience):
                async with session.post(f"{self.url}/v1/chat/completions", json=_BODY) as response:
                    lines = [line.decode().strip() async for line in response.content]
                    if response.status != 200:
                        self.errors.append(" ".join(lines))
                        return
        except TimeoutError:
            self.silent.append(f"no end after {self.patience} s: {lines[-1:]}")
        except aiohttp.ClientError as error:  # the bridge itself was killed
            self.errors.append(repr(error))
        else:
            self._judge([line.removeprefix("data: ") for line in lines if line.startswith("data: ")])

    def _judge(self, frames: list[str]) -> None:
        parts = [json.loads(frame) for frame in frames if frame != "[DONE]"]
        if any("error" in part for part in parts):
            self.errors.append(frames[-1])
            return
        said = "".join(choice["delta"].get("content") or "" for part in parts for choice in part["choices"])
        if frames[-1:] == ["[DONE]"] and said == _WHOLE:
            self.whole += 1
        else:
            self.silent.append(f"{said!r} ended by {frames[-1:]}")
