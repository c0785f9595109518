"""What may go wrong, chosen by a seed, and done to a house. A plan is only data: the same seed is the same plan."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from tests.chaos.house import ACK_WAIT, House, Process
from tests.chaos.proxy import Proxy

KINDS = {
    "kill_worker": 6,
    "kill_server": 3,
    "kill_bridge": 2,
    "kill_all": 1,
    "close_lid": 3,
    "cut": 4,
    "reset": 4,
    "delay": 2,
    "roll": 2,
    "hire": 1,
}


@dataclass(frozen=True)
class Fault:
    """`who` picks one of those it can befall, `seconds` is how long it lasts, `pause` is until the next begins."""

    kind: str
    who: float
    seconds: float
    pause: float

    def __str__(self) -> str:
        return f"{self.kind} {self.who:.2f} for {self.seconds:.2f} s, then {self.pause:.2f} s"


def plan(seed: int, count: int) -> Iterator[Fault]:
    """Every kind comes before any is repeated by chance."""
    chance = random.Random(seed)
    first = list(KINDS)
    chance.shuffle(first)
    for number in range(count):
        drawn = chance.choices(list(KINDS), list(KINDS.values()))[0]
        kind = first[number] if number < len(first) else drawn
        seconds = chance.uniform(1.2, 2.0) * ACK_WAIT if kind == "close_lid" else chance.uniform(0.1, 2.0)
        yield Fault(kind, chance.random(), seconds, chance.uniform(0.3, 2.0))


class Chaos:
    """Does it. Faults of different processes overlap; one process suffers one at a time."""

    def __init__(self, house: House) -> None:
        self.done: dict[str, int] = dict.fromkeys(KINDS, 0)
        self.ended_badly: list[str] = []  # processes that were told to end, and did it in another way
        self._house = house
        self._locks: dict[str, asyncio.Lock] = {}

    async def run(self, faults: Iterator[Fault]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for fault in faults:
                tasks.create_task(self._do(fault))
                await asyncio.sleep(fault.pause)

    async def _do(self, fault: Fault) -> None:
        act: Callable[[Fault], Awaitable[None]] = getattr(self, f"_{fault.kind}")
        await act(fault)
        self.done[fault.kind] += 1

    def _worker(self, fault: Fault) -> Process:
        return self._house.workers[int(fault.who * len(self._house.workers))]

    def _lock(self, process: Process) -> asyncio.Lock:
        return self._locks.setdefault(process.name, asyncio.Lock())

    async def _kill_worker(self, fault: Fault) -> None:
        async with self._lock(worker := self._worker(fault)):
            worker.kill()

    async def _kill_server(self, fault: Fault) -> None:
        async with self._lock(server := self._house.server):
            server.pause = fault.seconds
            server.kill()

    async def _kill_bridge(self, fault: Fault) -> None:
        if self._house.bridge is not None:
            self._house.bridge.kill()

    async def _kill_all(self, fault: Fault) -> None:
        for process in (*self._house.workers, self._house.server):
            process.kill()
        await self._kill_bridge(fault)

    async def _close_lid(self, fault: Fault) -> None:
        async with self._lock(worker := self._worker(fault)):
            worker.signal(signal.SIGSTOP)
            await asyncio.sleep(fault.seconds)
            worker.signal(signal.SIGCONT)

    async def _cut(self, fault: Fault) -> None:
        wire = self._wire(fault)
        wire.cut()
        await asyncio.sleep(fault.seconds)
        wire.heal()

    async def _reset(self, fault: Fault) -> None:
        self._wire(fault).reset()

    async def _delay(self, fault: Fault) -> None:
        wire = self._wire(fault)
        wire.delay = 0.05
        await asyncio.sleep(fault.seconds)
        wire.delay = 0.0

    def _wire(self, fault: Fault) -> Proxy:
        wires = list(self._house.wires.values())
        return wires[int(fault.who * len(wires))]

    async def _roll(self, fault: Fault) -> None:
        """Each worker in turn, while the others go on."""
        for worker in list(self._house.workers):
            async with self._lock(worker):
                # Before it catches signals there is nothing to end in order.
                if worker.pid is None or not worker.says("worker_ready"):
                    continue
                code = await worker.stop()
                if code not in (0, -signal.SIGKILL):
                    self.ended_badly.append(f"{worker.name}: {code}")
                worker.start()

    async def _hire(self, fault: Fault) -> None:
        """One more worker for a while."""
        if len(self._house.workers) > 3:
            return
        worker = await self._house.worker(ready=False)
        await asyncio.sleep(fault.seconds + 3)
        async with self._lock(worker):
            self._house.workers.remove(worker)
            await worker.stop()
