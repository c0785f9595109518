"""Checks of what NATS tells: the server, the queue as the workers laid it out, who works, and the clock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.client.examine import Account, Stamp
from bridge.doctor.finding import Finding, failed, ok, skipped, warning
from schemas import __version__, streams
from schemas.presence import Presence

_PAYLOAD = 1024 * 1024
# Deadlines are told in clock time: more than this is felt.
_SKEW = 5.0
_START = "start a worker (`nats-mlx up`), it brings it to what is wanted"


def server(address: str, version: str, payload: int) -> Finding:
    said = f"nats-server {version} at {address}"
    if payload < _PAYLOAD:
        return failed(
            "server",
            f"{said} takes messages of {payload} bytes at most",
            "set max_payload: 1MB as in nats.conf",
        )
    return ok("server", said)


def jetstream(found: Account | None) -> Finding:
    if found is None:
        return failed(
            "jetstream",
            "JetStream does not answer this user",
            "start the server with the project's nats.conf",
        )
    said = f"{found.used / 1e9:.2f} GB stored"
    if found.limit is None:
        return ok("jetstream", said)
    said += f" of {found.limit / 1e9:.2f} GB"
    if found.used > 0.9 * found.limit:
        return warning("jetstream", said, "raise the account's limit, or remove what is old")
    return ok("jetstream", said)


def layout(name: str, wanted: streams.Stream | streams.Bucket, found: Mapping[str, Any] | None) -> Finding:
    """Of one stream, or of the stream that a bucket is."""
    check = f"stream {name}"
    if found is None:
        return failed(check, "it is not there", "start a worker once (`nats-mlx up`), it makes it")
    known = (found.get("metadata") or {}).get(streams.LAYOUT_KEY, "0")
    if not known.isdecimal() or int(known) > streams.LAYOUT:
        return failed(
            check,
            f"laid out by a newer nats-mlx (layout {known}; {__version__} knows {streams.LAYOUT})",
            "install that version here, too",
        )
    if wrong := streams.differences(wanted, found):
        return warning(check, f"set otherwise than wanted: {', '.join(wrong)}", _START)
    if int(known) < streams.LAYOUT:
        return warning(check, f"of an older layout ({known})", _START)
    return ok(check, f"as wanted, layout {known}")


def consumer(wanted: streams.Consumer, found: Mapping[str, Any] | None) -> Finding:
    check = f"consumer {wanted.durable_name}"
    if found is None:
        return failed(check, f"{wanted.stream} has no such consumer", "start a worker once (`nats-mlx up`)")
    if found["paused"]:
        resume = f"`nats consumer resume {wanted.stream} {wanted.durable_name}`"
        return warning(check, "it is paused: nobody is given its work", resume)
    if wrong := streams.differences(wanted, found):
        return warning(check, f"set otherwise than wanted: {', '.join(wrong)}", _START)
    return ok(check, "as wanted")


def workers(present: list[Presence]) -> list[Finding]:
    if not present:
        return [failed("workers", "none is present", "`nats-mlx up`, or `nats-mlx worker` on the Mac")]
    return [_worker(one) for one in present]


def _worker(one: Presence) -> Finding:
    check = f"worker {one.worker}"
    if one.version != __version__:
        return warning(
            check, f"it runs {one.version}, this is {__version__}", "install the same version on both"
        )
    loaded = [card.name for card in one.models if card.loaded]
    if not loaded:
        return warning(
            check, "it has no model in memory", "it loads one at the first request; see its log if that fails"
        )
    return ok(check, f"{', '.join(loaded)} loaded, {one.running} running, {one.waiting} waiting")


def clock(found: Stamp | None) -> Finding:
    """The server's time lies between the two of ours, as far as the clocks agree."""
    if found is None:
        return skipped("clock", "there is no stream whose state would tell the server's time")
    late = max((found.server - found.answered).total_seconds(), (found.asked - found.server).total_seconds())
    if late <= _SKEW:
        return ok("clock", "the server's and this machine's agree")
    return warning(
        "clock",
        f"this machine's and the server's are {late:.0f} s apart: deadlines are missed or come late",
        "let both set their clock by the network (NTP)",
    )
