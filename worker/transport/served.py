"""The subjects of a service that each model has a part in: one for any model, one for each name of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from schemas import subjects
from worker.engine.catalog import Entry
from worker.transport.micro import Endpoint, Handler


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
            place = f"{subject}.{token}"
            found[place] = Endpoint(f"{name}-{token}", place, answer, metadata)
    return list(found.values())
