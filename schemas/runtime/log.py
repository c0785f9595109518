"""Logs for people on a terminal and JSON lines for everything else; libraries speak through the same pipe."""

from __future__ import annotations

import errno
import logging
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, cast

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from schemas.errors import BadSettings, Unavailable
from schemas.runtime.logfile import LogFile

# What is wrong with a path, and not with the moment.
_FOR_GOOD = {
    errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EROFS,
    errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


class File(NamedTuple):
    """Where JSON lines are kept: `total` bytes of all log files in its folder, none of them for longer than `days`."""

    path: Path
    total: int
    days: float


def setup(level: str, form: str, file: File | None = None) -> None:
    """Send all logs of this process to stderr; `form` is auto, console or json. With a `file` they go there as
    JSON, and to stderr only where a person sees it. Raises BadSettings for one that can never be, else Unavailable.
    """
    seen = sys.stderr.isatty()
    handlers: list[logging.Handler] = []
    if file is None or seen:
        handlers.append(_formatted(logging.StreamHandler(sys.stderr), form))
    if file is not None:
        handlers.append(_formatted(_opened(file, captured=not seen), "json"))
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level.upper())
    # aiohttp's access log would be a second line for each request, asyncio's debug lines are noise.
    logging.getLogger("aiohttp.access").disabled = True
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _opened(file: File, *, captured: bool) -> LogFile:
    try:
        return LogFile(*file, captured=captured)
    except OSError as error:
        sentence = f"The log file {file.path} cannot be opened ({error.strerror})"
        if error.errno in _FOR_GOOD:
            raise BadSettings(f"{sentence}: choose another with NATS_MLX_LOG_FILE.") from None
        raise Unavailable(f"{sentence}; a later start may find it otherwise.") from None


def _formatted(handler: logging.Handler, form: str) -> logging.Handler:
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=_renderers(form))
    )
    return handler


def bound(**fields: str) -> AbstractContextManager[None]:
    """Each line said inside has these fields, also those of the tasks that are begun there."""
    return cast(AbstractContextManager[None], structlog.contextvars.bound_contextvars(**fields))


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that speaks through stdlib's from the start: nothing reaches stdout, set up or not."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    return logger


def _renderers(form: str) -> list[Processor]:
    drop = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if form == "console" or (form == "auto" and sys.stderr.isatty()):
        return [drop, _plain, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    return [drop, structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]


# C0, DEL and C1.
_CONTROL = dict.fromkeys((*range(32), *range(127, 160)), "?")


def _plain(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """On a terminal: no request may move the cursor or write a line of its own. Tracebacks keep theirs."""
    for name, value in event.items():
        if isinstance(value, str) and name != "exception":
            event[name] = value.translate(_CONTROL)
    return event
