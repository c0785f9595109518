"""Articles that kill whoever works on them: they end in DEAD, and nobody of their company with them."""

from __future__ import annotations

import asyncio

from schemas import streams
from tests.chaos.ends import ends, held, settled
from tests.chaos.house import House
from tests.chaos.load import Publisher


async def test_only_the_poison_dies(house: House) -> None:
    """First of its batch, the worst place: whatever order is kept, the others come after it."""
    publisher = await _ready(house)
    guilty = [f"poison{number}" for number in range(2)]
    for id in guilty:
        await publisher.send(id, f"POISON {id}")
    await publisher.send_all([f"a{number}" for number in range(15)])
    await asyncio.gather(*(house.worker(ready=False, CHAOS_ACK_WAIT="1") for _ in range(2)))
    operator = await house.connect("operator")
    await settled(operator, within=60)
    found = await ends(operator)
    assert found.faults(publisher.accepted, guilty) == []
    for id in guilty:
        letter = found.dead[id]
        assert (letter.reason, letter.attempts) == ("max_deliveries", streams.MAX_DELIVER)
    # At worst one was with each of them at a first and at a second delivery.
    assert max(int(str(one["attempts"])) for one in found.analyses.values()) <= 5


async def test_a_worker_that_has_died_begins_again_with_few(house: House) -> None:
    """Where workers die often, what is begun gets done, and what was not begun keeps its deliveries."""
    worker = await house.worker(CHAOS_ACK_WAIT="30")
    publisher = Publisher(await house.connect("publisher"))
    operator = await house.connect("operator")
    for number in range(30):
        await publisher.send(f"a{number}", "STUCK worker-1")
    await held(operator, 16)
    worker.kill()
    await worker.said("worker_died")
    await held(operator, 16 + 4)


async def _ready(house: House) -> Publisher:
    """The streams are there, and nobody works yet."""
    worker = await house.worker()
    await worker.stop()
    house.workers.remove(worker)
    return Publisher(await house.connect("publisher"))
