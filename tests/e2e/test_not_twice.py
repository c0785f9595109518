"""The same work under other ids, from outside: computed once, remembered across restarts, anew on request."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

from nats.aio.client import Client

from tests.e2e.conftest import House
from tests.e2e.test_articles import outcome, waiting, worker_pids
from tests.until import until

ARTICLE = {"title": "Solana falls", "body": "Solana fell by 7 percent after its network stood still."}


async def publish(nc: Client, article_id: str, lane: str = "norm", **headers: str) -> None:
    subject = f"articles.{lane}.coin.{article_id}"
    await nc.jetstream().publish(subject, json.dumps(ARTICLE).encode(), headers=headers or None)


def answer(analysis: dict[str, Any]) -> tuple[Any, Any]:
    return analysis["result"], analysis["usage"]


async def restarted(nc: Client) -> None:
    """End the worker, and come back when its successor is there."""
    [pid] = await worker_pids(nc)
    presence = await nc.subscribe("$KV.llm_workers.>")
    await nc.flush()
    os.kill(pid, signal.SIGTERM)
    while not (beat := (await presence.next_msg(60)).data) or json.loads(beat)["pid"] == pid:
        pass
    await presence.unsubscribe()


async def test_a_chat_is_not_kept_unless_somebody_wishes_for_it(house: House) -> None:
    nc = await house.connect("operator")
    body = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "temperature": 0}
    replies = [await nc.request("llm.v1.chat", json.dumps(body).encode(), timeout=60) for _ in range(2)]
    first, again = [json.loads(reply.data) for reply in replies]
    assert first["choices"][0]["finish_reason"] == "stop"
    assert again["choices"] == first["choices"]
    assert again["usage"]["prompt_tokens_details"]["cached_tokens"] < again["usage"]["prompt_tokens"]
    await nc.close()


async def test_the_same_article_under_other_ids_is_analysed_once(house: House) -> None:
    nc = await house.connect("operator")
    js = nc.jetstream()
    ids = [f"same-{n}" for n in range(4)]
    await asyncio.gather(*(publish(nc, one) for one in ids[:3]), publish(nc, ids[3], "high"))
    found = [await outcome(nc, one) for one in ids]
    [computed] = [one for one in found if not one["cached"]]
    assert sorted(one["id"] for one in found) == ids
    for one in found:
        assert answer(one) == answer(computed)
        if one["cached"]:
            timings = one["timings"]
            assert timings["prefill"] == timings["decode"] == 0 and timings["total"] == timings["queued"]

    await restarted(nc)
    await publish(nc, "after-restart")
    later = await outcome(nc, "after-restart")
    assert later["cached"] and answer(later) == answer(computed)
    assert later["worker"] != computed["worker"]

    await until(lambda: waiting(js, "after-restart"), 0)
    analyses = await nc.subscribe("analyses.coin.after-restart")
    await nc.flush()
    await publish(nc, "after-restart", **{"Llm-Replace": "true"})
    anew = json.loads((await analyses.next_msg(120)).data)
    assert not anew["cached"] and anew["timings"]["decode"] > 0
    # How much of the prompt was found ready may differ, and is part of the usage.
    assert anew["result"] == computed["result"]
    assert (await js.stream_info("DEAD", subjects_filter="dead.*.coin.same-*")).state.subjects in (None, {})
    await nc.close()
