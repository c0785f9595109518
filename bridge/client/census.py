"""The dead letters that there are, by reason: one reading of what came since, not of all of them each time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

from nats.aio.client import Client

from bridge.client import stored
from bridge.client.stored import Stored
from schemas import streams
from schemas.articles import DeadLetter
from schemas.errors import BadRequest

# A letter carries its article: so many are read in one go, the others the next time.
_MOST_READ = 2000
UNREAD, NO_LETTER = "not_read_yet", "no_letter"


class Census:
    """Remembers the reason of each letter, which never changes; what is there is the stream's to say."""

    def __init__(self, nc: Client) -> None:
        self._nc = nc
        self._reasons: dict[int, str] = {}
        self._seen = 0
        self._alone = asyncio.Lock()  # two at a time would take each other's older word for another stream's

    async def take(self) -> tuple[dict[str, int], int]:
        """Letters by reason, and how many there ever were. Raises Unavailable."""
        async with self._alone:
            return await self._take()

    async def _take(self) -> tuple[dict[str, int], int]:
        state = await self._state()
        await self._read(state["last_seq"])
        # Newer ones may have come meanwhile: they are of the next time.
        gone = set(state.get("deleted") or ())
        self._reasons = {
            sequence: reason
            for sequence, reason in self._reasons.items()
            if sequence >= state["first_seq"] and sequence not in gone
        }
        counts = Counter(self._reasons.values())
        counts[UNREAD] = max(0, state["messages"] - counts.total())
        return dict(+counts), int(state["last_seq"])

    async def _state(self) -> Mapping[str, Any]:
        answer = await stored.info(self._nc, f"STREAM.INFO.{streams.DEAD.name}", {"deleted_details": True})
        state: Mapping[str, Any] = answer["state"]
        if state["last_seq"] < self._seen:  # another stream under its name
            self._reasons, self._seen = {}, 0
        return state

    async def _read(self, end: int) -> None:
        left = _MOST_READ
        async for letter in stored.read(self._nc, streams.DEAD.name, "dead.>", self._seen + 1, end):
            self._reasons[letter.sequence] = _reason(letter)
            self._seen = letter.sequence
            left -= 1
            if not left:
                return
        self._seen = end


def _reason(found: Stored) -> str:
    try:
        return DeadLetter.from_headers(found.headers).reason
    except BadRequest:
        return NO_LETTER
