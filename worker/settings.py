"""What people may set for the worker, as `NATS_MLX_WORKER_<NAME>` or under `[worker]` in the settings file."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import Annotated, ClassVar

import platformdirs
from pydantic import BeforeValidator, ByteSize, Field, model_validator
from pydantic_settings import NoDecode

from schemas.runtime.settings import ProcessSettings, from_json, section
from worker.wanted import ModelSettings, Name, Wanted, wanted


def default_model() -> str:
    """The model that people come for where there is a GPU for it, else one that any machine runs."""
    apple_silicon = sys.platform == "darwin" and platform.machine() == "arm64"
    return "mlx-community/Qwen2.5-7B-Instruct-4bit" if apple_silicon else "starter"


def default_chunk() -> int:
    """Long enough to keep the device busy, short enough for a chat that comes in just then."""
    return 256 if sys.platform == "darwin" else 64


def default_live_chunk() -> int:
    """What costs a device little more than half as long."""
    return default_chunk() // 2


def machine_memory() -> int:
    """Bytes of RAM of the whole machine, as the C library says; a container's own limit is not in it."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# [worker.models.<name>] in the file, JSON in the environment.
_Models = Annotated[dict[Name, ModelSettings], NoDecode, BeforeValidator(from_json)]


class Settings(ProcessSettings):
    """Times in seconds, sizes in tokens or, where it says so, in bytes: a number or such as `512MiB`."""

    table: ClassVar[str] = "worker"
    model_config = section("worker")

    name: str = Field(default_factory=platform.node, min_length=1, max_length=64)
    model: str = Field(default_factory=default_model, min_length=1)  # the default; may be one of `models`
    preload: bool = True  # load the default model at start, not when it is first asked for
    models: _Models = Field(default_factory=dict)  # further ones, by name
    cache_dir: Path = Field(default_factory=lambda: platformdirs.user_cache_path("nats-mlx"))
    trust_remote_code: bool = False  # run Python files that come with a model
    memory_limit: ByteSize | None = Field(None, gt=0)  # bytes of weights and KV state; see `memory`
    kv_bytes: ByteSize = Field(ByteSize(2 * 1024**3), gt=0)  # of KV state that running requests may hold
    idle_unload: float = Field(0.0, ge=0)  # an unused model's weights leave memory after this; 0: never
    step_limit: float = Field(120.0, gt=0)  # a step that takes longer hangs: the process ends with code 70
    slots: int = Field(16, ge=1, le=256)  # articles computed together
    chat_slots: int = Field(4, ge=1, le=256)  # rows more, kept for chat
    max_waiting: int = Field(256, ge=1)  # chats that may wait for a row before others are refused
    bulk_share: float = Field(0.1, ge=0, le=0.9)  # of rows and prompt tokens, that chat leaves to articles
    prefill_chunk: int = Field(
        default_factory=default_chunk, ge=16
    )  # of a prompt at a time: chat waits so long
    live_chunk: int = Field(
        default_factory=default_live_chunk, ge=16
    )  # of articles' prompts, while there is chat
    prefill_stretch: int = Field(256, ge=16)  # of articles' prompts between two decode steps
    prefix_bytes: ByteSize = Field(ByteSize(512 * 1024**2), ge=0)  # of KV state kept for what prompts share
    default_max_tokens: int = Field(1024, ge=1)  # of an answer whose request names no limit
    wired_limit: bool = True  # let MLX raise the wired memory limit on macOS
    keep_awake: bool = True  # on macOS, on power: no sleep while there is work
    cache_chats: bool = False  # keep chats' repeatable answers in the bucket of results, as articles' are
    keep_alive: float = Field(5.0, gt=0)  # between two chunks of a silent stream
    abandon_grace: float = Field(5.0, ge=0)  # a vanished inbox is forgiven so long: a reconnect takes time
    replicas: int = Field(1, ge=1, le=5)  # copies of each stream in a cluster; what has more keeps them
    presence_interval: float = Field(5.0, gt=0)
    shutdown_grace: float = Field(10.0, ge=0)  # running work gets so long to finish

    @property
    def memory(self) -> int:
        """The limit in force: three quarters of the machine, the rest is the system's and MLX's buffers."""
        return self.memory_limit or machine_memory() * 3 // 4

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """All models, the default first."""
        return wanted(self.model, self.preload, self.models)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Settings:
        wanted(self.model, self.preload, self.models)
        return self
