"""JetStream's own words: what both sides of the house have to know of its answers, and ask of it.

Source: nats-server's `server/errors.json`.
"""

from __future__ import annotations

# The header that lets a message in only behind this one of its subject; 0: as the first there ever was.
EXPECTED_LAST = "Nats-Expected-Last-Subject-Sequence"

# Codes: the subject has another last sequence than expected;
WRONG_LAST_SEQUENCE = 10071
# there is no such message, at the ends of a stream and between others;
NO_MESSAGE = frozenset({10037, 10043, 10057})
# the server has no room for it, or cannot even make the store of a stream;
NO_ROOM, NO_STORE = 10047, 10049
# a limit of the stream, or of the memory or disk of the server or the account.
STORE_FAILED = 10077
FULL = frozenset({STORE_FAILED, NO_ROOM, 10002, 10023, 10028})
