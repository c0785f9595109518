"""The one line that the log has of a request or an article, whatever became of it."""

from __future__ import annotations

from schemas.articles import Timings
from schemas.completion import Usage
from worker.jobs import Durations


def fields(usage: Usage, spent: Durations | Timings) -> dict[str, int | float]:
    """What it took; seconds to the millisecond."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.prompt_tokens_details.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "queued": round(spent.queued, 3),
        "prefill": round(spent.prefill, 3),
        "decode": round(spent.decode, 3),
        "total": round(spent.total, 3),
    }
