"""What became of each article: looked up in the streams themselves, which is the truth that people see."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from nats.aio.client import Client
from nats.errors import Error as NatsError

from bridge.client import stored
from schemas import streams
from schemas.articles import DeadLetter
from schemas.errors import LlmError
from tests.until import until


@dataclass
class Ends:
    """Ids by their end. `stored` is how many analyses ANALYSES ever took."""

    analyses: dict[str, dict[str, object]] = field(default_factory=dict)
    dead: dict[str, DeadLetter] = field(default_factory=dict)
    stored: int = 0

    def faults(self, accepted: Iterable[str], guilty: Iterable[str] = ()) -> list[str]:
        """Every way in which the promise was broken, in words; `guilty` are those that ought to be dead."""
        ids, guilty = set(accepted), set(guilty)
        lost = ids - self.analyses.keys() - self.dead.keys()
        both = self.analyses.keys() & self.dead.keys()
        found = {
            "lost": lost,
            "doubled": both,
            "innocent dead": self.dead.keys() - guilty,
            "guilty alive": guilty & self.analyses.keys(),
            "from nowhere": (self.analyses.keys() | self.dead.keys()) - ids,
        }
        faults = [f"{len(some)} {what}: {sorted(some)[:10]}" for what, some in found.items() if some]
        if self.stored > len(self.analyses):
            faults.append(f"{self.stored - len(self.analyses)} analyses stored twice")
        return faults


async def ends(nc: Client) -> Ends:
    """`nc` is an operator's."""
    found = Ends()
    async for message in stored.read(nc, streams.ANALYSES.name, "analyses.>"):
        found.analyses[message.subject.split(".")[-1]] = json.loads(message.data)
    async for message in stored.read(nc, streams.DEAD.name, "dead.>"):
        found.dead[message.subject.split(".")[-1]] = DeadLetter.from_headers(message.headers)
    found.stored = (await stored.api(nc, f"STREAM.INFO.{streams.ANALYSES.name}"))["state"]["last_seq"]
    return found


async def settled(nc: Client, within: float) -> None:
    """Wait until nothing waits any more: no article, and nothing to move to DEAD."""
    deadline = time.monotonic() + within
    left: dict[str, int] = {}
    while time.monotonic() < deadline:
        try:
            left = {
                stream.name: await _messages(nc, stream.name)
                for stream in (streams.ARTICLES, streams.DEAD_EVENTS)
            }
            if not any(left.values()):
                return
        except (LlmError, NatsError, KeyError):
            pass  # the server is on its way back
        await asyncio.sleep(0.1)
    raise AssertionError(f"after {within:g} s there is still something: {left}; {await _consumers(nc)}")


async def held(nc: Client, count: int, within: float = 20) -> None:
    """Wait until workers have so many articles in work."""

    async def pending() -> int:
        info = await stored.api(nc, f"CONSUMER.INFO.{streams.ARTICLES.name}.articles-norm")
        found: int = info["num_ack_pending"]
        return found

    await until(pending, count, within)


async def _messages(nc: Client, stream: str) -> int:
    messages: int = (await stored.api(nc, f"STREAM.INFO.{stream}"))["state"]["messages"]
    return messages


async def _consumers(nc: Client) -> str:
    keys = ("num_ack_pending", "num_redelivered", "num_pending", "num_waiting")
    infos = [
        (
            consumer.durable_name,
            await stored.api(nc, f"CONSUMER.INFO.{consumer.stream}.{consumer.durable_name}"),
        )
        for consumer in streams.CONSUMERS
    ]
    return "; ".join(f"{name} " + ", ".join(f"{key} {info.get(key)}" for key in keys) for name, info in infos)


def computed(trace: Path) -> int:
    """Inferences so far, in all workers' lives."""
    return len(trace.read_text().splitlines()) if trace.exists() else 0
