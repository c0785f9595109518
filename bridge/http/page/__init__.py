"""The page for people at `/`: one document with all that it needs in it, which asks the bridge as any client does."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from typing import NamedTuple

from aiohttp import web

_SCRIPTS = ("kit.js", "work.js", "dead.js", "chat.js", "house.js")


class Document(NamedTuple):
    """`policy` is its Content-Security-Policy: it runs what is written in it, and asks nobody but the bridge."""

    html: str
    policy: str


def wanted(request: web.Request) -> bool:
    """A person's browser asks. The document tells nothing: what it shows it fetches, with a key where one is needed."""
    return request.path == "/" and "text/html" in request.headers.get("Accept", "")


def assemble() -> Document:
    """The document out of its files, which hold nothing of what is stored or who asks."""
    style = _read("page.css")
    script = "".join(map(_read, _SCRIPTS))
    html = _read("page.html").replace("{style}", style).replace("{script}", script)
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Document(html, policy)


def _read(name: str) -> str:
    return (resources.files(__name__) / name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
