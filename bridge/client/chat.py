"""Chat and completions over NATS: the worker's bytes pass through untouched; an answer is whole, or it is an error."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import NamedTuple

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error, NoRespondersError
from nats.errors import TimeoutError as NatsTimeout

from schemas import subjects, wire
from schemas.codec import encode
from schemas.errors import DeadlineExceeded, ErrorBody, ErrorDetail, LlmError, TooLarge, Unavailable
from schemas.runtime import connection

# A reader slower than the model: past this much its answer is given up. A message is an object of its own,
# far larger than the few bytes of a token.
_MAX_PENDING_BYTES = 4 * 1024 * 1024
_OVERHEAD = 1024
# So much is handed on at once: what a reader of ours does with it is bounded too.
_BATCH_BYTES = 64 * 1024
_ERROR_CODE = re.compile(r"[45][0-9]{2}")
_TOKENS = re.compile(r"[0-9]{1,12}")
_SECONDS = re.compile(r"[0-9]{1,5}")


class NoResponder(Unavailable):
    """Nobody listens on the subject."""

    default_code = "no_worker"


class Interrupted(Unavailable):
    """A part of a streamed answer is missing."""

    default_code = "answer_interrupted"


class Reply(NamedTuple):
    """One message of a worker: an answer or a chunk at status 200, else OpenAI's error body.

    `retry_after` is in seconds: before that, the same request would fail again. `tokens` is what the answer
    cost, prompt included, where this message says so. One that is `busy` says nothing but that.
    """

    status: int
    body: bytes
    retry_after: int | None = None
    tokens: int | None = None
    busy: bool = False

    @property
    def ok(self) -> bool:
        return self.status == HTTPStatus.OK


async def ask(nc: Client, subject: str, payload: bytes, headers: Mapping[str, str], timeout: float) -> Reply:
    """The whole answer. Whoever stops waiting, by timeout or cancellation, cancels the request."""
    check(nc, payload, headers)
    try:
        with _as_ours():
            message = await nc.request(subject, payload, timeout, headers=dict(headers))
    except NoResponder:
        raise
    except BaseException:
        await cancel(nc, headers)
        raise
    return _reply(message)


@contextlib.asynccontextmanager
async def stream(
    nc: Client, subject: str, payload: bytes, headers: Mapping[str, str], *, first: float, idle: float
) -> AsyncIterator[Reader]:
    """The chunks of a streamed answer, then at most one error; leaving before its end cancels the request.

    `first` and `idle` are the seconds that the first and each further message may take.
    """
    check(nc, payload, headers)
    with _as_ours():
        # No request() here: it keeps only the first reply.
        reader = Reader(first, idle, functools.partial(cancel, nc, headers))
        inbox = await nc.subscribe(nc.new_inbox(), cb=reader.take)
    try:
        with _as_ours():
            await nc.publish(subject, payload, reply=inbox.subject, headers=dict(headers))
        yield reader
    finally:
        await _leave(nc, inbox, None if reader.ended else headers)


async def cancel(nc: Client, headers: Mapping[str, str]) -> None:
    """The request with these. Best effort: without a connection the worker notices the dead inbox by itself."""
    caller = headers.get(subjects.CALLER)
    with contextlib.suppress(Error):
        await nc.publish(
            subjects.cancel(headers[subjects.REQUEST_ID]),
            headers={subjects.CALLER: caller} if caller else None,
        )


def check(nc: Client, payload: bytes, headers: Mapping[str, str]) -> None:
    """Refuse what could not arrive. A message over the server's limit would close the connection for good."""
    connection.require(nc)
    if (size := wire.size(payload, headers)) > nc.max_payload:
        raise TooLarge(f"The request has {size} bytes; the NATS server takes {nc.max_payload} at most.")


class Reader:
    """Reads one inbox in order. nats-py's own next_msg() makes a task for each message; here many cost one wake-up.

    `give_up` is called as soon as too much waits to be read. `tokens` is there after the end.
    """

    def __init__(self, first: float, idle: float, give_up: Callable[[], Awaitable[None]]) -> None:
        self.ended = False
        self.tokens: int | None = None
        self._give_up = give_up
        self._full = False
        self._arrived: deque[Msg] = deque()
        self._bytes = 0
        self._wakes = asyncio.Event()
        self._patience = first
        self._idle = idle
        self._seq = 0
        self._fault: LlmError | None = None

    async def take(self, message: Msg) -> None:
        """Called by the subscription."""
        if self._full:
            return
        if self._bytes > _MAX_PENDING_BYTES:
            self._full = True
            await self._give_up()  # now: whoever reads so slowly may take minutes to come back to us
        else:
            self._bytes += len(message.data) + _OVERHEAD
            self._arrived.append(message)
        self._wakes.set()

    def __aiter__(self) -> Reader:
        return self

    async def __anext__(self) -> Reply:
        if self._fault is not None:
            raise self._fault
        if self.ended:
            raise StopAsyncIteration
        if not self._arrived:
            await self._more()
        if self._fault is not None:
            raise self._fault
        return self._read()

    def fail(self, fault: LlmError) -> None:
        """What is read next is this, whatever comes."""
        self._fault = fault
        self._wakes.set()

    def ready(self) -> list[Reply]:
        """Of what has arrived meanwhile, a batch, without waiting. A fault in it is raised by the next read."""
        found: list[Reply] = []
        size = 0
        while self._arrived and size < _BATCH_BYTES and not (self.ended or self._fault):
            try:
                found.append(self._read())
                size += len(found[-1].body)
            except StopAsyncIteration:
                break
            except LlmError as fault:
                self._fault = fault
        return found

    async def _more(self) -> None:
        if self._full:
            raise Interrupted("The answer was read too slowly and has been given up; send the request again.")
        self._wakes.clear()
        try:
            async with asyncio.timeout(self._patience):
                await self._wakes.wait()
        except TimeoutError:
            raise _too_late() from None

    def _read(self) -> Reply:
        message = self._arrived.popleft()
        self._bytes -= len(message.data) + _OVERHEAD
        self._patience = self._idle
        if (message.headers or {}).get("Status") == "503":
            self.ended = True
            raise _nobody()
        reply = _reply(message)
        self.ended = not (reply.ok and reply.body)
        if reply.ok:
            self._in_order(message)
        if reply.ok and self.ended:
            self.tokens = reply.tokens
            raise StopAsyncIteration
        return reply

    def _in_order(self, message: Msg) -> None:
        """The end need not carry a number, but one that it carries must be the next."""
        self._seq += 1
        found = (message.headers or {}).get(subjects.SEQ)
        if found == str(self._seq) or (found is None and self.ended):
            return
        raise Interrupted(f"Part {self._seq} of the answer was lost on its way; send the request again.")


async def _leave(nc: Client, inbox: Subscription, unfinished: Mapping[str, str] | None) -> None:
    if unfinished is not None:
        await cancel(nc, unfinished)
    with contextlib.suppress(Error):
        await inbox.unsubscribe()


def _reply(message: Msg) -> Reply:
    headers = message.headers or {}
    reason = headers.get(subjects.ERROR)
    code = headers.get(subjects.ERROR_CODE)
    if reason is None and code is None:
        tokens = _number(_TOKENS, headers.get(subjects.TOKENS))
        return Reply(HTTPStatus.OK, message.data, tokens=tokens, busy=subjects.KEEP_ALIVE in headers)
    status = int(code) if code is not None and _ERROR_CODE.fullmatch(code) else LlmError.status
    detail = ErrorDetail(reason or "The worker failed.", LlmError.type, None, None)
    seconds = _number(_SECONDS, headers.get(subjects.RETRY_AFTER))
    return Reply(status, message.data or encode(ErrorBody(detail)), seconds)


def _number(form: re.Pattern[str], text: str | None) -> int | None:
    return int(text) if text is not None and form.fullmatch(text) else None


@contextlib.contextmanager
def _as_ours() -> Iterator[None]:
    """nats-py's errors as ours."""
    try:
        yield
    except NoRespondersError:
        raise _nobody() from None
    except NatsTimeout:
        raise _too_late() from None
    except Error as error:
        raise Unavailable("The connection to NATS was lost; try again in a few seconds.") from error


def _nobody() -> NoResponder:
    return NoResponder("No worker answers at the moment; start one or try again later.")


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The worker did not answer in time; try again later.")
