"""Onto a work queue: what waits there is not put there twice, a full queue and an absent server are waited for."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from nats.aio.client import Client

from bridge.client import stored
from bridge.client.gate import Gate, GaveUp
from schemas.errors import LlmError, TooLarge, Unavailable
from schemas.jetstream import FULL, STORE_FAILED

_TOO_LARGE = 10054
_UNAVAILABLE = 503


class _Answer(msgspec.Struct, frozen=True):
    """JetStream's answer to a publication."""

    class Fault(msgspec.Struct, frozen=True):
        code: int
        err_code: int = 0
        description: str = "no reason given"

    seq: int = 0
    error: Fault | None = None


async def publish(
    nc: Client, subject: str, payload: bytes, headers: Mapping[str, str], gate: Gate
) -> int | None:
    """Its sequence on the queue, or None when something waits there under this subject already.

    A full queue and an absent server are waited for at the gate. Raises GaveUp.
    """
    while True:
        answer = await _ask(nc, subject, payload, headers, gate)
        if answer.error is None or _waits_already(answer.error):
            gate.moved()
            return None if answer.error else answer.seq
        if answer.error.err_code in FULL:
            await gate.full(answer.error.description)
        elif answer.error.code == _UNAVAILABLE:
            await gate.hold(f"the queue is not available ({answer.error.description})")
        else:
            raise _refusal(answer.error)


async def _ask(nc: Client, subject: str, payload: bytes, headers: Mapping[str, str], gate: Gate) -> _Answer:
    """The server's answer. Raises Unavailable when it gives none and never gave one."""
    while True:
        try:
            reply = await stored.request(nc, subject, payload, headers, gate.reconnect)
            return msgspec.json.decode(reply.data, type=_Answer)
        except GaveUp:
            raise
        except Unavailable as error:
            if nc.is_closed or not (gate.passed or gate.patient):
                raise
            # It did take messages: a full disk ends JetStream, and a restart takes its time.
            full = "the queue does not answer: it starts, or its disk is full, as its log says then"
            await gate.hold(full if gate.passed else error.message.removesuffix("."))


def _waits_already(fault: _Answer.Fault) -> bool:
    """The server has one code for all limits of a stream; only its words tell them apart."""
    return fault.err_code == STORE_FAILED and "per subject" in fault.description


def _refusal(fault: _Answer.Fault) -> LlmError:
    if fault.err_code == _TOO_LARGE:
        return TooLarge("It is larger than the queue takes: shorten it.", param="body")
    return Unavailable(f"The queue refused it: {fault.description}.")
