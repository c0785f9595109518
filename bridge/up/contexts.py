"""A context of the `nats` CLI for each user: `nats --context FILE` then needs no address and no password."""

from __future__ import annotations

from pathlib import Path

from bridge import private
from bridge.credentials import USERS, Credentials
from schemas.codec import encode
from schemas.errors import Unavailable


def write(folder: Path, nats_url: str, credentials: Credentials) -> None:
    """`<user>.json` in `folder`: the CLI's own folder is the person's, whose contexts may have the same names."""
    folder.mkdir(mode=0o700, exist_ok=True)
    for user in USERS:
        file = folder / f"{user}.json"
        try:
            password = credentials.password(user)
        except Unavailable:  # only its hash is known here
            file.unlink(missing_ok=True)
            continue
        context = {
            "description": f"nats-mlx as {user}, written by `nats-mlx up`",
            "url": nats_url,
            "user": user,
            "password": password,
            "inbox_prefix": f"_INBOX.{user}",
        }
        private.write(file, encode(context).decode() + "\n")
