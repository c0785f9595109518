"""How a batch goes on: OpenAI's states, each reached from few others. Pure; times are Unix seconds."""

from __future__ import annotations

from msgspec.structs import replace

from schemas.batches import Batch, BatchError, BatchErrors, KeptBatch, RequestCounts, Status
from schemas.errors import Conflict
from schemas.responses.response import ResponseUsage

NEXT: dict[Status, frozenset[Status]] = {
    "validating": frozenset({"failed", "in_progress", "cancelling"}),
    "in_progress": frozenset({"finalizing", "cancelling", "failed"}),
    "finalizing": frozenset({"completed", "expired", "failed"}),
    "cancelling": frozenset({"cancelled", "failed"}),
    "failed": frozenset(),
    "completed": frozenset(),
    "expired": frozenset(),
    "cancelled": frozenset(),
}


def may(batch: Batch, status: Status) -> bool:
    """Whether it may get there from where it is. What is not may has happened already, or somebody cancelled."""
    return status in NEXT[batch.status]


def failed(kept: KeptBatch, faults: list[BatchError], now: int) -> KeptBatch:
    return _to(kept, "failed", failed_at=now, errors=BatchErrors(faults))


def in_progress(kept: KeptBatch, total: int, refused: int, model: str | None, now: int) -> KeptBatch:
    counts = RequestCounts(total, 0, refused)
    found = _to(kept, "in_progress", in_progress_at=now, request_counts=counts, model=model)
    return replace(found, refused=refused) if found is not kept else kept


def counted(
    kept: KeptBatch, sent: int, completed: int, failed: int, usage: ResponseUsage | None
) -> KeptBatch:
    """`failed` are those that ran. What a keeper who lagged behind says of an older time changes nothing."""
    before = kept.batch.request_counts
    counts = RequestCounts(before.total, completed, failed + kept.refused)
    batch = kept.batch
    if batch.status == "in_progress" and counts.completed + counts.failed >= before.completed + before.failed:
        batch = replace(batch, request_counts=counts, usage=usage)
    return replace(kept, batch=batch, sent=max(kept.sent, sent))


def finalizing(kept: KeptBatch, now: int) -> KeptBatch:
    return _to(kept, "finalizing", finalizing_at=now)


def cancelling(kept: KeptBatch, now: int) -> KeptBatch:
    """Raises Conflict where it is too late."""
    if kept.batch.status == "cancelling":
        return kept
    if not may(kept.batch, "cancelling"):
        raise Conflict(f"A batch that is `{kept.batch.status}` cannot be cancelled.", param="id")
    return _to(kept, "cancelling", cancelling_at=now)


def over(
    kept: KeptBatch, counts: RequestCounts, output: str | None, error: str | None, now: int
) -> KeptBatch:
    """With its files; completed if all lines have ended."""
    files = {"request_counts": counts, "output_file_id": output, "error_file_id": error}
    if kept.batch.status == "cancelling":
        return _to(kept, "cancelled", cancelled_at=now, **files)
    if counts.completed + counts.failed < counts.total:
        return _to(kept, "expired", expired_at=now, **files)
    return _to(kept, "completed", completed_at=now, **files)


def _to(kept: KeptBatch, status: Status, **fields: object) -> KeptBatch:
    if not may(kept.batch, status):
        return kept
    return replace(kept, batch=replace(kept.batch, status=status, **fields))
