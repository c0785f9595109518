"""What articles may take of the device while there is chat: over all models, for they share it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

# Seconds after a chat in which the next one is expected: people talk in turns.
LIVE = 10.0


class Pace:
    """`share` of the time is the articles' while others wait for the first token of a chat. `clock` tells seconds of
    work done.
    """

    def __init__(self, share: float, clock: Callable[[], float]) -> None:
        self._share = share
        self._clock = clock
        self._chat_at = -math.inf
        self._owed = 0.0  # seconds, to models that have articles alone

    def heard(self) -> None:
        """There is chat now."""
        self._chat_at = time.monotonic()

    @property
    def live(self) -> bool:
        """Whether there is chat, or may be any moment."""
        return time.monotonic() - self._chat_at < LIVE

    def turns(self, chats: Sequence[T], others: Sequence[T]) -> Iterator[T]:
        """Who makes a step while somebody waits for a first token: all that have chat, the others only when they have
        not had their share. A step lasts until the next one is asked for.
        """
        if not others:
            self._owed = 0.0
            yield from chats
            return
        started = self._clock()
        yield from chats
        now = self._clock()
        self._owed += (now - started) * self._share / (1 - self._share)
        if self._owed > 0:
            yield from others
            self._owed -= self._clock() - now
