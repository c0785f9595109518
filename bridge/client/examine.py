"""What the doctor asks of NATS. Each question is harmless: nothing is stored, moved or changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from nats.aio.client import Client
from nats.errors import Error, NoRespondersError

from schemas import streams

_PATIENCE = 2.0
# A stream by another name is named on purpose: the server refuses the article by this header, and stores nothing.
_NOT_STORED = {"Nats-Expected-Stream": "doctor"}
# For each user, what it needs first of all.
_PROBES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "publisher": ("articles.norm.doctor.doctor", _NOT_STORED),
    "bridge": (f"$JS.API.STREAM.INFO.{streams.ARTICLES.name}", {}),
    "worker": (f"$JS.API.STREAM.INFO.{streams.ARTICLES.name}", {}),
    "operator": ("$JS.API.STREAM.NAMES", {}),
}


class Account(NamedTuple):
    """JetStream as the account sees it, in bytes; `limit` is None when the account has none of its own."""

    used: int
    limit: int | None


class Stamp(NamedTuple):
    """The server's clock, and ours before and after it was read."""

    asked: dt.datetime
    server: dt.datetime
    answered: dt.datetime


def version(nc: Client) -> str:
    found = nc.connected_server_version
    return f"{found.major}.{found.minor}.{found.patch}"


def payload(nc: Client) -> int:
    """Bytes that a message may have."""
    return nc.max_payload


async def may(nc: Client, user: str) -> bool | None:
    """Whether `user` has the right that it needs first; None for one that is not ours."""
    if user not in _PROBES:
        return None
    subject, headers = _PROBES[user]
    try:
        await nc.request(subject, b"", timeout=_PATIENCE, headers=dict(headers) or None)
    except NoRespondersError:  # it may ask, and there is no stream yet
        return True
    except (Error, TimeoutError):  # a denied message has no answer
        return False
    return True


async def account(nc: Client) -> Account | None:
    """None where JetStream does not answer."""
    answer = await _api(nc, "INFO")
    if answer is None or "error" in answer:
        return None
    most = answer.get("limits", {}).get("max_storage", -1)
    return Account(answer.get("storage", 0), most if most > 0 else None)


async def stream(nc: Client, name: str) -> tuple[dict[str, Any], Stamp] | None:
    """Its configuration, and the server's clock beside it; None where there is none."""
    asked = _now()
    answer = await _api(nc, f"STREAM.INFO.{name}")
    answered = _now()
    if answer is None or "error" in answer:
        return None
    return answer["config"], Stamp(asked, msgspec.convert(answer["ts"], dt.datetime), answered)


async def consumer(nc: Client, stream: str, name: str) -> dict[str, Any] | None:
    """Its configuration; None where there is none."""
    answer = await _api(nc, f"CONSUMER.INFO.{stream}.{name}")
    if answer is None or "error" in answer:
        return None
    config: dict[str, Any] = answer["config"]
    return config | {"paused": answer.get("paused", False)}


async def _api(nc: Client, name: str) -> dict[str, Any] | None:
    try:
        reply = await nc.request(f"$JS.API.{name}", timeout=_PATIENCE)
    except (Error, TimeoutError):
        return None
    answer: dict[str, Any] = msgspec.json.decode(reply.data)
    return answer


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
