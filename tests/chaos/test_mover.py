"""Articles whose deliveries are used up, and nobody lived to say so: what moves them to DEAD, and what must not."""

from __future__ import annotations

import json
import signal

from nats.aio.client import Client

from schemas import streams, subjects
from tests.chaos.ends import ends, settled
from tests.chaos.house import House, Process
from tests.chaos.load import Publisher
from tests.until import until

WAIT = 1.0  # the ack wait of these tests


async def test_the_next_worker_moves_what_killed_the_last(house: House) -> None:
    """Nobody is alive to report, and the server tells only when somebody asks: DEAD_EVENTS keeps it until then."""
    operator, worker = await _closed(house)
    await _publish(house, "poison", "POISON")
    await _use_up(operator, streams.MAX_DELIVER - 1)
    lives = len(worker.codes)
    worker.start()

    async def died() -> bool:
        return len(worker.codes) > lives

    await until(died, True)  # perhaps before it said that it is ready
    await worker.stop()
    assert (await ends(operator)).dead == {}
    await until(lambda: _events(operator), 1)
    house.server.kill()  # it keeps it over its own death, too
    await _start(worker)
    await settled(operator, within=20)
    letter = (await ends(operator)).dead["poison"]
    assert (letter.reason, letter.attempts) == ("max_deliveries", 8)
    assert letter.worker != "" and letter.sequence == 1


async def test_an_article_with_an_end_does_not_get_a_second_one(house: House) -> None:
    """Its last worker died after it had stored the analysis, and before it let the article go."""
    operator, worker = await _closed(house)
    await _publish(house, "a")
    await _use_up(operator, streams.MAX_DELIVER)
    await operator.jetstream().publish(subjects.analysis("coin", "a"), b'{"attempts": 8}')
    await until(lambda: _events(operator), 1)
    await _start(worker)
    await settled(operator, within=20)
    assert (await ends(operator)).faults(["a"]) == []


async def test_a_lost_advisory_loses_no_article(house: House) -> None:
    """The server died when it had given the article up, and before it had stored that it did."""
    operator, worker = await _closed(house)
    await _publish(house, "a")
    await _use_up(operator, streams.MAX_DELIVER)
    await until(lambda: _events(operator), 1)
    await operator.jetstream().purge_stream(streams.DEAD_EVENTS.name)
    await _publish(house, "b")
    await _start(worker)
    await settled(operator, within=20)
    found = await ends(operator)
    assert found.faults(["a", "b"], guilty=["a"]) == []
    assert found.dead["a"].attempts == 8


async def test_an_advisory_that_nobody_can_read_stands_in_nobodys_way(house: House) -> None:
    operator, worker = await _closed(house)
    await operator.publish(
        "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.ARTICLES.articles-norm", b"no advisory"
    )
    await _publish(house, "a")
    await _use_up(operator, streams.MAX_DELIVER)
    await until(lambda: _events(operator), 2)
    await _start(worker)
    await settled(operator, within=20)
    assert list((await ends(operator)).dead) == ["a"]


async def test_a_worker_that_sleeps_through_the_end_of_its_article_adds_nothing(house: House) -> None:
    """The closed lid at the last delivery: the second worker moves it to DEAD, then the first wakes up."""
    operator, sleeper = await _closed(house)
    await _publish(house, "a", "SLOW 2")
    await _use_up(operator, streams.MAX_DELIVER - 1)
    await _start(sleeper)
    await _delivered(operator, streams.MAX_DELIVER)
    sleeper.signal(signal.SIGSTOP)
    await house.worker(CHAOS_ACK_WAIT=str(WAIT))
    await settled(operator, within=20)
    sleeper.signal(signal.SIGCONT)
    await sleeper.said("ended_elsewhere", within=10)
    assert (await ends(operator)).faults(["a"], guilty=["a"]) == []


async def _closed(house: House) -> tuple[Client, Process]:
    """An operator, and a worker that has made the streams and does not run."""
    worker = await house.worker(CHAOS_ACK_WAIT=str(WAIT))
    await worker.stop()
    return await house.connect("operator"), worker


async def _start(worker: Process) -> None:
    times = worker.count("worker_ready")
    worker.start()
    await worker.said("worker_ready", times + 1)


async def _publish(house: House, id: str, body: str = "") -> None:
    await Publisher(await house.connect("publisher")).send(id, body)


async def _use_up(operator: Client, times: int) -> None:
    """As workers do that take it and give it back; the last one keeps it."""
    pull = await operator.jetstream().pull_subscribe_bind("articles-norm", streams.ARTICLES.name)
    for number in range(1, times + 1):
        (msg,) = await pull.fetch(1, timeout=5)
        assert msg.metadata.num_delivered == number
        if number < streams.MAX_DELIVER:
            await msg.nak()
    await pull.unsubscribe()
    await operator.flush()


async def _delivered(operator: Client, times: int) -> None:
    """Wait until it was; one that was given back counts as in work until then."""

    async def delivered() -> int:
        info = await operator.jetstream().consumer_info(streams.ARTICLES.name, "articles-norm")
        return info.delivered.consumer_seq if info.delivered else 0

    await until(delivered, times, within=20)


async def _pull(operator: Client) -> None:
    """As a worker would; there is nothing to have."""
    query = json.dumps({"batch": 1, "no_wait": True}).encode()
    answer = await operator.request("$JS.API.CONSUMER.MSG.NEXT.ARTICLES.articles-norm", query, timeout=5)
    assert (answer.headers or {}).get("Status") == "404", answer.data


async def _events(operator: Client) -> int:
    """The server tells of what is used up when somebody asks for more."""
    await _pull(operator)
    info = await operator.jetstream().stream_info(streams.DEAD_EVENTS.name)
    return info.state.messages
