"""From token to text that may be shown: whole characters only, and never any part of a stop string."""

from __future__ import annotations

from typing import Protocol

BROKEN = "\ufffd"


class Detokenizer(Protocol):
    """As mlx_lm has it: text grows with each token, whole characters at a time."""

    last_segment: str

    def add_token(self, token: int) -> None: ...

    def finalize(self) -> None: ...


class Stops:
    """Holds back what may still become a stop string, and cuts the text exactly where one begins."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""
        self.hit = False

    def push(self, text: str) -> str:
        """Text that is safe to show. After `hit` there is no more."""
        text = self._held + text
        # The one that is complete first counts, as it would character by character: any split shows the same.
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self.hit, self._held = True, ""
            _, start = min(found)
            return text[:start]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        cut = len(text) - keep
        self._held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """What was held back, once the text has ended without a stop string."""
        text, self._held = self._held, ""
        return text


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)


class Transcript:
    """One row's answer as it grows."""

    def __init__(self, detokenizer: Detokenizer, stops: tuple[str, ...]) -> None:
        self._detokenizer = detokenizer
        self._stops = Stops(stops)

    @property
    def stopped(self) -> bool:
        return self._stops.hit

    def push(self, token: int) -> str:
        self._detokenizer.add_token(token)
        return self._stops.push(self._detokenizer.last_segment)

    def end(self) -> str:
        """The rest. A character whose last bytes never came is left out rather than shown broken."""
        self._detokenizer.finalize()
        rest = self._stops.push(self._detokenizer.last_segment.rstrip(BROKEN))
        return rest if self.stopped else rest + self._stops.flush()
