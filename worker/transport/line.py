"""The one line that the log has of an answered request or article, and the spans that say the same."""

from __future__ import annotations

import time
from typing import Any

from structlog.stdlib import BoundLogger

from schemas.articles import Timings
from schemas.completion import Usage
from schemas.errors import LlmError
from schemas.runtime import spans
from schemas.runtime.spans import Span
from worker.jobs import Durations


def tell(
    log: BoundLogger, name: str, span: Span, usage: Usage, spent: Durations | Timings, **said: Any
) -> None:
    """It is over now. `name` is what it was, a chat for one."""
    log.info(name, **said, **_fields(usage, spent))
    ended = time.time()
    spans.told(
        name, span, spent.total, ended, "CONSUMER" if name == "article" else "SERVER",
        gen_ai__response__model=said.get("model"),
        gen_ai__usage__input_tokens=usage.prompt_tokens,
        gen_ai__usage__output_tokens=usage.completion_tokens,
        nats_mlx__outcome=said.get("outcome"),
        nats_mlx__id=said.get("id"),
    )  # fmt: skip
    over = ended - spent.total
    for phase, seconds in (("queue", spent.queued), ("prefill", spent.prefill), ("decode", spent.decode)):
        over += seconds
        spans.told(phase, span.child(), seconds, over)


def failed(log: BoundLogger, name: str, span: Span, total: float, error: LlmError, model: str | None) -> None:
    """It has ended without an answer, after so many seconds."""
    log.info(name, model=model, outcome=error.status, error=error.message, total=total)
    spans.told(
        name, span, total, time.time(), "SERVER",
        gen_ai__response__model=model, nats_mlx__outcome=error.status, error__type=error.code or error.type,
    )  # fmt: skip


def _fields(usage: Usage, spent: Durations | Timings) -> dict[str, int | float]:
    """Seconds to the millisecond."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "cached_tokens": usage.prompt_tokens_details.cached_tokens,
        "completion_tokens": usage.completion_tokens,
        "queued": round(spent.queued, 3),
        "prefill": round(spent.prefill, 3),
        "decode": round(spent.decode, 3),
        "total": round(spent.total, 3),
    }
