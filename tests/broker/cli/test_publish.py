"""The publisher's way over a real server: every line ends as an analysis, a dead letter or a clear refusal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from bridge.client import Client, articles, letters, outcomes, queue, stored
from bridge.client.articles import Target
from bridge.client.census import Census
from bridge.client.gate import Gate
from bridge.client.letters import Wanted
from bridge.publication import Line, Publication
from schemas import streams, trace
from schemas.articles import DeadLetter
from schemas.errors import LlmError
from tests.broker.cli.publishing import PLAIN, Report, article, lines, run

if TYPE_CHECKING:
    from conftest import Mover, Server


async def test_each_article_gets_its_analysis(server: Server, moving: Mover, publisher: Client) -> None:
    keys = [f"a{n}" for n in range(120)] + ["한국-1", "a.b c"]
    tally, report = await run(publisher, *map(article, keys))
    assert (tally.published, tally.done, tally.dead, tally.open) == (122, 122, 0, 0)
    assert {outcome.id for outcome in report.outcomes} == set(keys)
    assert all(json.loads(outcome.analysis or b"")["id"] == outcome.id for outcome in report.outcomes)
    assert server.denied == []


async def test_bad_lines_are_named_and_the_others_go_on(mover: Mover, publisher: Client) -> None:
    big = article("big", body="x" * streams.ARTICLES.max_msg_size)
    texts = [b"{", b'{"body":"b"}', article("ok"), article("odd", extra=1), b'{"title":1,"body":"b"}', big]
    tally, report = await run(publisher, *texts, article("fine"), wait=False)
    assert report.refused == [
        ("f:1", None), ("f:2", "title"), ("f:4", "extra"), ("f:5", "title"), ("f:6", "body"),
    ]  # fmt: skip
    assert (tally.published, tally.bad, tally.failed) == (2, 5, True)
    assert publisher.is_connected


async def test_the_largest_article_that_is_sent_is_taken(mover: Mover, publisher: Client) -> None:
    """Ours and the server's arithmetic agree to the byte, with and without headers."""
    for target in (PLAIN, Target(replace=True)):
        room = streams.ARTICLES.max_msg_size - len(article("x", body=""))
        while True:
            try:
                articles.prepare(article("x", body="y" * room), target)
                break
            except LlmError:
                room -= 1
        payload = article("x", body="y" * room)
        headers = {"Nats-Msg-Id": f"{room:032}"} | trace.new().headers
        headers |= {"Llm-Replace": "true"} if target.replace else {}
        subject = "articles.norm.coin." + "xy"[target.replace]
        reply = await publisher.request(subject, payload, headers=dict(headers))
        assert "seq" in json.loads(reply.data)
        over = await publisher.request("articles.norm.coin.z", payload + b" ", headers=dict(headers))
        assert json.loads(over.data)["error"]["err_code"] == 10054


async def test_what_waits_already_is_no_error(mover: Mover, publisher: Client) -> None:
    await run(publisher, article("a"), wait=False)
    tally, report = await run(publisher, article("a"), wait=False)
    assert (tally.waited, tally.published, report.sequences, tally.failed) == (1, 0, [None], False)


async def test_what_waited_already_is_waited_for(mover: Mover, publisher: Client) -> None:
    await run(publisher, article("a"), wait=False)
    report = Report()
    publication = Publication(publisher, PLAIN, report)
    waiting = asyncio.create_task(publication.publish_and_wait(lines(article("a"))))
    await asyncio.wait_for(report.first_sent.wait(), 10)
    async with mover.at_work():
        await waiting
    tally = publication.tally
    assert (tally.waited, tally.done, mover.taken) == (1, 1, ["articles.norm.coin.a"])


async def test_a_dead_letter_ends_the_waiting(moving: Mover, publisher: Client) -> None:
    moving.verdict = lambda message: "too long" if message.subject.endswith(".b") else None
    tally, report = await run(publisher, *map(article, "abc"))
    assert (tally.done, tally.dead, tally.failed) == (2, 1, True)
    assert [outcome.dead.error for outcome in report.outcomes if outcome.dead] == ["too long"]


async def test_an_old_dead_letter_does_not_count(moving: Mover, publisher: Client) -> None:
    moving.verdict = lambda _: "no"
    await run(publisher, article("a"))
    moving.verdict = lambda _: None
    tally, _ = await run(publisher, article("a"))
    assert (tally.done, tally.dead) == (1, 0)


async def test_an_old_dead_letter_does_not_count_for_what_waited_already(
    mover: Mover, publisher: Client
) -> None:
    mover.verdict = lambda _: "no"
    async with mover.at_work():
        await run(publisher, article("a"))
    await run(publisher, article("a"), wait=False)
    before = await outcomes.send(publisher, articles.prepare(article("a"), PLAIN), Gate(print))
    assert before.sequence is None
    assert before.old_dead == 1
    waiting = asyncio.create_task(run(publisher, article("a")))
    mover.verdict = lambda _: "no again"
    async with mover.at_work():
        _, report = await waiting
    assert [outcome.dead.error for outcome in report.outcomes if outcome.dead] == ["no again"]


async def test_replace_waits_for_a_new_analysis(moving: Mover, publisher: Client) -> None:
    await run(publisher, article("a", title="old"))
    tally, report = await run(publisher, article("a", title="new"), target=Target(replace=True))
    assert tally.done == 1
    assert json.loads(report.outcomes[0].analysis or b"")["article"]["title"] == "new"


async def test_without_replace_an_old_analysis_is_the_answer(mover: Mover, publisher: Client) -> None:
    async with mover.at_work():
        await run(publisher, article("a"))
    tally, _ = await run(publisher, article("a"))  # nobody works now
    assert tally.done == 1


async def test_a_full_queue_is_waited_for(mover: Mover, publisher: Client, operator: Client) -> None:
    js = operator.jetstream()
    info = await js.stream_info("ARTICLES")
    info.config.max_msgs = 1
    await js.update_stream(info.config)
    report = Report()
    publication = Publication(publisher, PLAIN, report)
    task = asyncio.create_task(publication.publish_and_wait(lines(article("a"), article("b"))))
    await asyncio.wait_for(report.first_wait.wait(), 10)
    assert "full" in report.waits[0]
    async with mover.at_work():
        await asyncio.wait_for(task, 20)
    assert (publication.tally.published, publication.tally.done) == (2, 2)


async def test_outcomes_look_at_many_in_turn(mover: Mover, publisher: Client) -> None:
    """More are outstanding than one round looks at: the last one is still found."""
    waiting = outcomes.Outcomes(publisher, Gate(print))
    for number in range(2500):
        waiting.add(outcomes.Expected(articles.prepare(article(f"n{number}"), PLAIN), 1))
    analysis = {"id": "n2499"}
    await mover.nc.jetstream().publish("analyses.coin.n2499", json.dumps(analysis).encode())
    async with asyncio.timeout(30):
        first = await anext(aiter(waiting))
    assert first.id == "n2499"


async def test_streams_are_read_in_batches_and_followed(mover: Mover, operator: Client) -> None:
    js = mover.nc.jetstream()
    for number in range(1203):
        await js.publish(f"analyses.{'coin' if number % 2 else 'other'}.k{number}", b"{}")
    found = [one.sequence async for one in stored.read(operator, "ANALYSES", "analyses.coin.*")]
    assert found == list(range(2, 1204, 2))
    feed = aiter(stored.follow(operator, "ANALYSES", "analyses.coin.*", 1202))
    assert (await anext(feed)).sequence == 1202
    await js.publish("analyses.coin.new", b"{}")
    assert (await asyncio.wait_for(anext(feed), 10)).subject == "analyses.coin.new"


async def test_a_dead_letter_is_read_sent_again_and_gone(
    mover: Mover, publisher: Client, operator: Client
) -> None:
    mover.verdict = lambda _: "not today — nie"
    async with mover.at_work():
        await run(publisher, article("a", title="비트코인"), article("b"))
    assert [one.id async for one in letters.every(operator, Wanted())] == ["a", "b"]
    letter = await letters.find(operator, Wanted("coin"), "a")
    assert isinstance(letter.letter, DeadLetter)
    assert letter.letter.error == "not today — nie"
    assert await letters.retry(operator, letter, Gate(print)) == "sent again"
    await letters.remove(operator, await letters.find(operator, Wanted(), "b"))
    assert [one async for one in letters.every(operator, Wanted("coin"))] == []
    state = await queue.state(operator, Census(operator))
    assert (state.done, state.dead, [lane.waiting for lane in state.lanes]) == (0, 0, [0, 1])
    again = await stored.last(operator, "ARTICLES", "articles.norm.coin.a")
    assert again is not None
    assert json.loads(again.data)["title"] == "비트코인"


async def test_an_article_survives_that_the_server_goes_away(mover: Mover, publisher: Client) -> None:
    """The connection ends in the middle; the publisher goes on by itself."""
    texts = [article(f"r{n}") for n in range(60)]

    async def slowly() -> AsyncGenerator[list[Line]]:
        for number, text in enumerate(texts, 1):
            if number == 30:
                assert publisher._transport is not None
                publisher._transport.close()  # as if the cable was pulled
            yield [Line(f"f:{number}", text)]

    report = Report()
    publication = Publication(publisher, PLAIN, report)
    async with asyncio.timeout(30):
        await publication.publish(slowly())
    assert (publication.tally.published, publication.tally.waited) == (60, 0)  # what was sent twice is known
    info = await mover.nc.jetstream().stream_info("ARTICLES")
    assert info.state.messages == 60


async def test_texts_are_not_kept_while_their_outcomes_are_awaited(mover: Mover, publisher: Client) -> None:
    """A file of gigabytes may be outstanding; only what may have to go again is kept."""
    waiting = outcomes.Outcomes(publisher, Gate(print))
    sent = articles.prepare(article("a"), PLAIN)
    for expected in (
        outcomes.Expected(sent, 1),
        outcomes.Expected(sent, 1, old_dead=3),
        outcomes.Expected(sent, None, old_analysis=3),
        outcomes.Expected(sent, None, old_dead=3),
    ):
        waiting.add(expected)
    assert [bool(one.article.payload) for one in waiting._waiting] == [False, False, False, True]


async def test_what_is_read_together_goes_with_its_like_in_length(
    publisher: Client, operator: Client
) -> None:
    """Rows of a batch are as wide as the longest: a queue in this order is padded least."""

    async def file() -> AsyncGenerator[list[Line]]:
        for block in (("a", 300), ("b", 100), ("c", 200)), (("d", 20), ("e", 10)):
            yield [Line(key, article(key, body="x" * size)) for key, size in block]

    publication = Publication(publisher, PLAIN, Report())
    publication._free = asyncio.Semaphore(1)  # one after another, or their order would be chance
    await publication.publish(file())
    info = await operator.jetstream().stream_info("ARTICLES")
    stored = [
        (await operator.jetstream().get_msg("ARTICLES", at)).subject
        for at in range(info.state.last_seq - 4, info.state.last_seq + 1)
    ]
    assert [subject.rpartition(".")[2] for subject in stored] == ["b", "c", "a", "e", "d"]
