"""A request's trace as W3C's Trace Context has it: one id from the publisher or HTTP client to the analysis."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from schemas import subjects

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = "01"


class Trace(NamedTuple):
    """A place in a trace: `span_id` is who asks for what comes next."""

    trace_id: str
    span_id: str
    flags: str = _SAMPLED

    def __str__(self) -> str:
        """The header's value."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    def child(self) -> Trace:
        """A piece of work of its own in the same trace."""
        return self._replace(span_id=secrets.token_hex(8))

    @property
    def headers(self) -> dict[str, str]:
        return {subjects.TRACEPARENT: str(self)}


def new() -> Trace:
    return Trace(secrets.token_hex(16), secrets.token_hex(8))


def parse(text: str | None) -> Trace | None:
    """None of what is no traceparent: W3C has it ignored."""
    found = _FORM.fullmatch(text.strip()) if text else None
    if found is None or found[1] == "ff" or not int(found[2], 16) or not int(found[3], 16):
        return None
    return Trace(*found.groups()[1:])


def of(headers: Mapping[str, str] | None) -> Trace:
    """The one that a message brings along, else a new one."""
    return parse((headers or {}).get(subjects.TRACEPARENT)) or new()
