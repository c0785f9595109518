"""The one line that the log has of a request or of an article's delivery, and the spans that say the same."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from structlog.stdlib import BoundLogger

from schemas.articles import Timings
from schemas.completion import Usage
from schemas.errors import LlmError
from schemas.runtime import spans
from schemas.runtime.spans import Span
from worker.jobs import Durations

# What nobody waits for.
_QUEUED = ("article", "line")


def tell(
    log: BoundLogger, name: str, span: Span, usage: Usage, spent: Durations | Timings, **said: Any
) -> None:
    """It is answered now. `name` is what it was, a chat for one."""
    log.info(name, **said, **_fields(usage, spent))
    ended = time.time()
    spans.told(
        name, span, spent.total, ended, _kind(name), **_about(said), nats_mlx__outcome=said.get("outcome"),
        gen_ai__usage__input_tokens=usage.prompt_tokens, gen_ai__usage__output_tokens=usage.completion_tokens,
    )  # fmt: skip
    over = ended - spent.total
    for phase, seconds in (("queue", spent.queued), ("prefill", spent.prefill), ("decode", spent.decode)):
        over += seconds
        spans.told(phase, span.child(), seconds, over)


def failed(log: BoundLogger, name: str, span: Span, total: float, error: LlmError, **said: Any) -> None:
    """It has no answer, after so many seconds."""
    log.info(name, **said, outcome=error.status, error=error.message, total=round(total, 3))
    spans.told(
        name, span, total, time.time(), _kind(name), **_about(said), nats_mlx__outcome=error.status,
        error__type=error.code or error.type,
    )  # fmt: skip


def _kind(name: str) -> spans.Kind:
    return "CONSUMER" if name in _QUEUED else "SERVER"


def _about(said: Mapping[str, Any]) -> dict[str, Any]:
    return {"gen_ai__response__model": said.get("model"), "nats_mlx__id": said.get("id")}


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
