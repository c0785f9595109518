"""What people may set for the worker, as `NATS_MLX_WORKER_<NAME>` or under `[worker]` in the settings file."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from typing import ClassVar

import platformdirs
from pydantic import Field

from schemas.runtime.settings import ProcessSettings, section


def default_model() -> str:
    """The model that people come for where there is a GPU for it, else one that any machine runs."""
    apple_silicon = sys.platform == "darwin" and platform.machine() == "arm64"
    return "mlx-community/Qwen2.5-7B-Instruct-4bit" if apple_silicon else "starter"


class Settings(ProcessSettings):
    """Times in seconds, sizes in tokens."""

    table: ClassVar[str] = "worker"
    model_config = section("worker")

    name: str = Field(default_factory=platform.node, min_length=1, max_length=64)
    model: str = Field(default_factory=default_model, min_length=1)
    cache_dir: Path = Field(default_factory=lambda: platformdirs.user_cache_path("nats-mlx"))
    slots: int = Field(16, ge=1, le=256)  # articles computed together
    chat_slots: int = Field(4, ge=1, le=256)  # rows more, kept for chat
    max_waiting: int = Field(256, ge=1)  # chats that may wait for a row before others are refused
    prefill_rows: int = Field(1, ge=1)  # prompts computed side by side
    prefill_chunk: int = Field(256, ge=16)  # of each prompt between two decode steps
    prefix_bytes: int = Field(512 * 1024 * 1024, ge=0)  # of KV state kept for what prompts share
    default_max_tokens: int = Field(1024, ge=1)  # of an answer whose request names no limit
    wired_limit: bool = True  # let MLX raise the wired memory limit on macOS
    keep_alive: float = Field(5.0, gt=0)  # between two chunks of a silent stream
    abandon_grace: float = Field(5.0, ge=0)  # a vanished inbox is forgiven so long: a reconnect takes time
    presence_interval: float = Field(5.0, gt=0)
    shutdown_grace: float = Field(10.0, ge=0)  # running work gets so long to finish
