"""How a batch begins: of a file that is there, and looked after by whichever bridge takes its job."""

from __future__ import annotations

import time
import uuid

from bridge.client import Client, batches, files
from schemas.batches import WINDOW, Batch, BatchRequest, KeptBatch
from schemas.errors import BadRequest, NotFound
from schemas.files import LONGEST_LIFE


async def begin(nc: Client, wanted: BatchRequest) -> Batch:
    """Raises BadRequest for a file that is not there, or is none of requests."""
    try:
        told, where = await files.content(nc, wanted.input_file_id)
    except NotFound as error:
        raise BadRequest(error.message, param="input_file_id", code=error.code) from None
    if told.purpose != "batch":
        reason = f"The file's purpose is `{told.purpose}`; the input of a batch is a file with the purpose `batch`."
        raise BadRequest(reason, param="input_file_id", code="invalid_value")
    lasts = wanted.output_expires_after
    seconds = lasts.seconds if lasts else LONGEST_LIFE
    kept = KeptBatch(batch=_begun(wanted), input=where, output_seconds=seconds)
    await batches.create(nc, kept)
    return kept.batch


def _begun(wanted: BatchRequest) -> Batch:
    now = int(time.time())
    return Batch(
        id=f"batch_{uuid.uuid4().hex}",
        endpoint=wanted.endpoint,
        input_file_id=wanted.input_file_id,
        completion_window=wanted.completion_window,
        status="validating",
        created_at=now,
        expires_at=now + WINDOW,
        metadata=wanted.metadata,
    )
