"""What each key has used of its limits, in this process: requests at a time, requests and tokens a minute."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator

from bridge.http.bucket import Bucket
from bridge.keys import Key
from schemas.errors import Overloaded

# Somebody else's answer may end at any moment.
_RETRY_SOON = 1


class Meter:
    """Of one key."""

    def __init__(self, key: Key, clock: Callable[[], float]) -> None:
        self._key = key
        self._clock = clock
        self._active = 0
        self._requests = Bucket(key.rpm) if key.rpm else None
        self._tokens = Bucket(key.tpm) if key.tpm else None

    @contextlib.contextmanager
    def visit(self) -> Iterator[Visit]:
        """One request, until its answer is complete. Raises Overloaded before it begins; that costs nothing."""
        now = self._clock()
        if self._key.concurrent is not None and self._active >= self._key.concurrent:
            raise _over(f"{self._key.concurrent} requests at a time", _RETRY_SOON)
        for bucket, what in ((self._requests, "requests"), (self._tokens, "tokens")):
            if bucket is not None and bucket.left(now) < 1:
                raise _over(f"{bucket.limit} {what} per minute", bucket.wait(now))
        if self._requests is not None:
            self._requests.take(1, now)
        self._active += 1
        try:
            yield Visit(self)
        finally:
            self._active -= 1

    def take_tokens(self, amount: int) -> None:
        if self._tokens is not None:
            self._tokens.take(amount, self._clock())

    def headers(self) -> dict[str, str]:
        """As OpenAI's API has them, of the limits that this key has."""
        now = self._clock()
        found = {}
        for bucket, what in ((self._requests, "requests"), (self._tokens, "tokens")):
            if bucket is not None:
                found[f"x-ratelimit-limit-{what}"] = str(bucket.limit)
                found[f"x-ratelimit-remaining-{what}"] = str(bucket.left(now))
                found[f"x-ratelimit-reset-{what}"] = span(bucket.refill(now))
        return found


class Visit:
    """One request on its meter."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._paid = 0

    def pay(self, total: int) -> None:
        """It has cost `total` tokens so far; what was paid before is part of it, and a smaller one gives back."""
        self._meter.take_tokens(total - self._paid)
        self._paid = total


class Meters:
    """A key whose limits were changed, or that was made anew under its old name, starts afresh."""

    def __init__(self, known: Callable[[], list[Key]], clock: Callable[[], float] = time.monotonic) -> None:
        self._known = known
        self._clock = clock
        self._meters: dict[Key, Meter] = {}

    def of(self, key: Key) -> Meter:
        found = self._meters.get(key)
        if found is None:
            kept = set(self._known())
            self._meters = {one: meter for one, meter in self._meters.items() if one in kept}
            found = self._meters[key] = Meter(key, self._clock)
        return found


def span(seconds: float) -> str:
    """As OpenAI writes it: `120ms`, `8.64s`, `6m0s`."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1000:g}s"
    return f"{milliseconds // 60_000}m{milliseconds % 60_000 // 1000}s"


def _over(limit: str, seconds: float) -> Overloaded:
    after = max(1, math.ceil(seconds))
    return Overloaded(
        f"This API key has a limit of {limit}, and has reached it; try again in {after} s.",
        code="rate_limit_exceeded",
        retry_after=after,
    )
