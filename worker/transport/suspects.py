"""What deliveries tell of an article: whoever had it before may have died of it, or only with it."""

from __future__ import annotations

import time

from nats.aio.msg import Msg

from schemas.articles import Earlier
from worker.jobs import ANY_COMPANY

SMALL_COMPANY = 4
_ALONE_FROM = 3


def deliveries(msg: Msg) -> int:
    """How often it was delivered, this time included."""
    return msg.metadata.num_delivered or 1


def age(msg: Msg) -> float:
    """Seconds since it was published."""
    return time.time() - msg.metadata.timestamp.timestamp()


def attempts(msg: Msg) -> int:
    """The deliveries of all its lives: one that was dead may have been sent again."""
    return Earlier.of(msg.headers).attempts + deliveries(msg)


def alone(msg: Msg) -> bool:
    """Whether it may only be computed by itself."""
    return deliveries(msg) >= _ALONE_FROM or Earlier.of(msg.headers).killed


def company(msg: Msg) -> int:
    """The most rows that are computed together with it, itself included."""
    if alone(msg):
        return 1
    return ANY_COMPANY if deliveries(msg) == 1 else SMALL_COMPANY
