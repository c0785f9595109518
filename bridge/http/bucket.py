"""A budget that refills evenly, a token bucket. Pure: the caller brings the clock."""

from __future__ import annotations


class Bucket:
    """`limit` a minute, all of it at once if it was saved up.

    Whoever finds something left may take more than that, for an answer's length is known only afterwards: the
    debt is waited out by the next one.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._seconds_each = 60 / limit
        # All that there is to remember: when it would be full again. Long ago for an unused one.
        self._full_at = float("-inf")

    def take(self, amount: float, now: float) -> None:
        """A negative amount is given back; more than full it never gets."""
        self._full_at = max(self._full_at, now) + amount * self._seconds_each

    def left(self, now: float) -> int:
        """What may still be taken at once; never below zero, though there may be debts."""
        return max(0, int(self.limit - self.refill(now) / self._seconds_each + _ROUNDING))

    def wait(self, now: float) -> float:
        """Seconds until at least one is left."""
        if self.left(now) >= 1:
            return 0.0
        return max(0.0, self.refill(now) - (self.limit - 1) * self._seconds_each)

    def refill(self, now: float) -> float:
        """Seconds until it is full."""
        return max(0.0, self._full_at - now)


# Of one. Clocks are floats: after exactly the wait that was asked for, one must be there.
_ROUNDING = 0.01
