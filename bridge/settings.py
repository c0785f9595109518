"""What people may set for the bridge, as `NATS_MLX_BRIDGE_<NAME>` or under `[bridge]` in the settings file."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from schemas.runtime.settings import ProcessSettings, section

# A request and the headers beside it must pass the server's max_payload of 1 MB.
_MAX_BODY = 1024 * 1024 - 8 * 1024


class Settings(ProcessSettings):
    """Times in seconds, sizes in bytes."""

    table: ClassVar[str] = "bridge"
    model_config = section("bridge")

    host: str = Field("127.0.0.1", min_length=1)
    port: int = Field(8787, ge=0, le=65535)  # 0: any free one, which the log names
    request_timeout: float = Field(600.0, gt=0)  # until the first reply
    idle_timeout: float = Field(120.0, gt=0)  # between two messages of a stream
    shutdown_timeout: float = Field(20.0, ge=0)  # half for running requests to finish, half for their end
    max_body: int = Field(_MAX_BODY, ge=1, le=_MAX_BODY)
