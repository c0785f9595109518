"""nats-py's client, for which no message is too odd: one that it cannot read would end its reading without a word.

Whoever may publish one subject that a worker listens to could make it deaf, and an article would do it to each
worker in turn. The server takes any bytes but blanks and line ends in a subject, and any in headers.
"""

from __future__ import annotations

import re
from typing import Any

from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.protocol import parser

# nats-py's own patterns end a subject at \v and \f too, which the server does not.
parser.MSG_RE = re.compile(rb"\AMSG[ \t]+([^ \t\r\n]+)[ \t]+([0-9]+)[ \t]+(([^ \t\r\n]+)[ \t]+)?(\d+)\r\n")
parser.HMSG_RE = re.compile(
    rb"\AHMSG[ \t]+([^ \t\r\n]+)[ \t]+([0-9]+)[ \t]+(([^ \t\r\n]+)[ \t]+)?(\d+)[ \t]+(\d+)\r\n"
)

# What the server says of a delivery stands here; the same words in a stored message would pass for its own.
_SERVERS_OWN = ("Status", "Description")


class Client(NatsClient):
    """Takes every message: what is no text in its subjects becomes U+FFFD, headers that are none are left out."""

    async def _process_headers(self, headers: bytes) -> dict[str, str] | None:
        try:
            found: dict[str, str] | None = await super()._process_headers(headers)
        except (UnicodeDecodeError, IndexError):
            return None
        return found

    def _build_message(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: dict[str, str] | None
    ) -> Msg:
        if headers and not subject.startswith(self._inbox_prefix):
            headers = {name: value for name, value in headers.items() if name not in _SERVERS_OWN} or None
        message: Msg = super()._build_message(sid, _text(subject), _text(reply), data, headers)
        return message


def _text(subject: Any) -> bytes:
    return bytes(subject).decode(errors="replace").encode()
