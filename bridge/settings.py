"""What people may set for the bridge, as `NATS_MLX_BRIDGE_<NAME>` or under `[bridge]` in the settings file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from schemas.runtime.settings import Default, ProcessSettings, from_json, section

# A request and the headers beside it must pass the server's max_payload of 1 MB.
_MAX_BODY = 1024 * 1024 - 8 * 1024


_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#\s*,]+")


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise ValueError("an origin is such as https://example.org, with its port, without a path")
    return text


_Origins = Annotated[list[Annotated[str, AfterValidator(_origin)]], NoDecode, BeforeValidator(from_json)]


class Settings(ProcessSettings):
    """Times in seconds, sizes in bytes."""

    table: ClassVar[str] = "bridge"
    model_config = section("bridge")

    host: str = Field("127.0.0.1", min_length=1, description="where HTTP is served")
    port: int = Field(8787, ge=0, le=65535, description="0 is any free one, which the log names")
    request_timeout: float = Field(600.0, gt=0, description="seconds until the first reply")
    idle_timeout: float = Field(120.0, gt=0, description="seconds between two messages of a stream")
    shutdown_timeout: float = Field(
        20.0,
        ge=0,
        le=60,
        description="seconds at the end: half for running requests to finish, half for their end",
    )
    max_body: Annotated[int, Default("1016 KiB")] = Field(
        _MAX_BODY, ge=1, le=_MAX_BODY, description="bytes of a request; NATS takes 1 MiB with headers"
    )
    max_messages: int = Field(2048, ge=1, description="of a request")
    client_timeout: float = Field(
        30.0,
        gt=0,
        description="seconds for a client to send its head, to send its body, and to read what waits for it",
    )
    keys_file: Annotated[Path | None, Default("`keys.json` in the data folder")] = Field(
        None, description="the API keys, see [Open it to others](#open-it-to-others)"
    )
    cors_origins: Annotated[_Origins, Default("none")] = Field(
        default_factory=list, description='as JSON: `["https://example.org"]`'
    )
