"""The subjects of a service that each model has a part in: one for any model, one for each name of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from schemas import subjects
from schemas.codec import encode
from worker.engine.catalog import Entry
from worker.transport.micro import Endpoint, Handler


def schemas_of(**kinds: type[msgspec.Struct]) -> dict[str, str]:
    """JSON Schemas as text: a micro service's metadata holds nothing else."""
    return {f"{name}_schema": encode(msgspec.json.schema(kind)).decode() for name, kind in kinds.items()}


def per_model(
    catalog: Iterable[Entry],
    name: str,
    subject: str,
    handler: Callable[[str | None], Handler],
    metadata: dict[str, str],
) -> list[Endpoint]:
    """`handler` is asked for one by the model that the subject names, None for any."""
    found = {subject: Endpoint(name, subject, handler(None), metadata)}
    # One that cannot be loaded is among them: it answers why.
    for entry in catalog:
        answer = handler(entry.name)
        for alias in entry.names:
            token = subjects.model_token(alias)
            place = subjects.of_model(subject, alias)
            found[place] = Endpoint(f"{name}-{token}", place, answer, metadata)
    return list(found.values())
