"""What makes two requests the same work: a hash over everything that can change the answer."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from schemas.codec import encode
from worker.jobs import Prepared


def fingerprint(work: Prepared, weights_identity: str) -> str | None:
    """A key of 64 hex digits, or None where the same work may be answered in another way.

    A new field of Prepared counts unless it is taken out here.
    """
    if not _repeatable(work):
        return None
    # How much of the prompt is found ready or kept, and whose fault a bad grammar is, is no part of the answer.
    counting = replace(work, head=0, pinned=False, grammar_of="")
    return hashlib.sha256(encode([weights_identity, counting])).hexdigest()


def _repeatable(work: Prepared) -> bool:
    drawn = work.sampling.temperature > 0 and work.sampling.seed is None
    calls = work.form.calls
    read_by_code = calls is not None and calls.parse is not None  # and code has no hash
    return not (drawn or read_by_code)
