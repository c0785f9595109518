"""Where articles end: exactly one analysis or one dead letter per id, stored before the article is let go."""

from __future__ import annotations

import datetime as dt

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from schemas import streams, subjects
from schemas.articles import Analysis, DeadLetter, Earlier, wants_replacement
from schemas.codec import encode
from schemas.errors import LlmError
from schemas.runtime import log as logs

log = logs.get("worker.ledger")

EXPECTED_LAST = "Nats-Expected-Last-Subject-Sequence"
# The server's code for "this subject has another last sequence than expected".
WRONG_LAST_SEQUENCE = 10071
_ACK_TRIES = 3


class Ledger:
    """Writes to ANALYSES and DEAD. Every write waits for the server's acknowledgement."""

    def __init__(self, js: JetStreamContext, worker: str) -> None:
        self._js = js
        self._worker = worker

    async def has_analysis(self, recipe: str, token: str) -> bool:
        try:
            await self._js.get_last_msg(streams.ANALYSES.name, subjects.analysis(recipe, token), direct=True)
        except NotFoundError:
            return False
        return True

    async def analysis(self, token: str, analysis: Analysis, *, replace: bool) -> None:
        """Store an analysis; one that is there already stays and counts as stored, unless `replace`."""
        headers = None if replace else {EXPECTED_LAST: "0"}
        try:
            subject = subjects.analysis(analysis.recipe, token)
            await self._js.publish(subject, encode(analysis), headers=headers, timeout=10)
        except APIError as error:
            if error.err_code != WRONG_LAST_SEQUENCE:
                raise
            log.info("analysis_exists", id=analysis.id, recipe=analysis.recipe)

    async def dead(self, msg: Msg, error: LlmError, reason: str) -> None:
        """Store an article's original payload with the reason why it ends here."""
        earlier = Earlier.of(msg.headers)
        letter = DeadLetter(
            subject=msg.subject,
            stream=streams.ARTICLES.name,
            sequence=msg.metadata.sequence.stream,
            reason=reason,
            error=error.message,
            attempts=earlier.attempts + (msg.metadata.num_delivered or 1),
            worker=self._worker,
            failed_at=dt.datetime.now(dt.UTC),
            first_published=earlier.first_published or msg.metadata.timestamp,
            replace=wants_replacement(msg.headers),
        )
        subject = subjects.dead_article(streams.ARTICLES.name, msg.subject)
        await self._js.publish(subject, msg.data, headers=letter.headers(), timeout=10)
        log.warning("article_dead", subject=msg.subject, reason=reason, error=error.message)

    async def settle(self, msg: Msg) -> None:
        """Let the article go. If that cannot be confirmed it comes again, and ends at "already there"."""
        for _ in range(_ACK_TRIES):
            try:
                await msg.ack_sync(timeout=5)
                return
            except NatsError as error:
                log.warning("ack_unconfirmed", subject=msg.subject, error=str(error))
