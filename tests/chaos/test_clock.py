"""A clock that jumps, as a laptop's does when it wakes up: whatever waits, waits by another one."""

from __future__ import annotations

from tests.chaos.ends import computed, ends, held, settled
from tests.chaos.house import House
from tests.chaos.load import Publisher

DAY = 86400


async def test_a_workers_clock_may_jump_while_it_works(house: House) -> None:
    clock = house.folder / "clock"
    clock.write_text("0")
    worker = await house.worker(CHAOS_CLOCK=str(clock), NATS_MLX_WORKER_PRESENCE_INTERVAL="0.2")
    publisher = Publisher(await house.connect("publisher"))
    operator = await house.connect("operator")
    for number, offset in enumerate((DAY, -DAY, 30 * DAY, 0)):
        await publisher.send(f"slow{number}", f"SLOW 2.{number}")
        await held(operator, 1)
        draft = clock.with_suffix(".new")
        draft.write_text(str(offset))
        draft.replace(clock)
        await publisher.send_all([f"a{number}-{n}" for n in range(5)])
        await settled(operator, within=10)
    found = await ends(operator)
    assert found.faults(publisher.accepted) == []
    assert computed(house.trace) == len(publisher.accepted)
    times = [one["timings"] for one in found.analyses.values()]
    assert all(isinstance(spent, dict) and min(spent.values()) >= 0 for spent in times)
    assert {one["attempts"] for one in found.analyses.values()} == {1}
    assert worker.codes == []
