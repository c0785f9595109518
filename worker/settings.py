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

from schemas.runtime.settings import Default, ProcessSettings, from_json, section
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

    name: Annotated[str, Default("the machine's")] = Field(
        default_factory=platform.node,
        min_length=1,
        max_length=64,
        description="in presence, letters and logs",
    )
    model: Annotated[str, Default("see [Two commands](#two-commands)")] = Field(
        default_factory=default_model,
        min_length=1,
        description="the default model: a Hugging Face name, a folder, `starter`, or one of the models below",
    )
    preload: bool = Field(True, description="load it at start, not when it is first asked for")
    models: Annotated[_Models, Default("none")] = Field(
        default_factory=dict,
        description="further models by name, as JSON; in the file tables `[worker.models.<name>]`, see below",
    )
    cache_dir: Annotated[Path, Default("the platform's")] = Field(
        default_factory=lambda: platformdirs.user_cache_path("nats-mlx"), description="for the starter model"
    )
    trust_remote_code: bool = Field(False, description="run Python files that come with a model")
    memory_limit: Annotated[ByteSize | None, Default("3/4 of the machine's RAM")] = Field(
        None,
        gt=0,
        description="of weights, KV state and kept prefixes; the least recently used model without work makes room "
        "(in a container with less memory, set it)",
    )
    kv_bytes: ByteSize = Field(
        ByteSize(2 * 1024**3),
        gt=0,
        description="of KV state that running requests may hold, at most half of the memory limit",
    )
    idle_unload: float = Field(
        0.0, ge=0, description="seconds after which an unused model leaves memory; 0: never"
    )
    step_limit: float = Field(
        120.0,
        gt=0,
        description="seconds: a step that takes longer hangs, and the process ends with code 70, to be started again",
    )
    slots: int = Field(16, ge=1, le=256, description="articles computed together: rows of the batch")
    chat_slots: int = Field(4, ge=1, le=256, description="rows more, kept for chat")
    max_waiting: int = Field(256, ge=1, description="chats that may wait before others get 429")
    bulk_share: float = Field(
        0.1,
        ge=0,
        le=0.9,
        description="of rows, prompts and time that articles have, however much chat there is; 0: chat may starve them",
    )
    prefill_chunk: Annotated[int, Default("64, on macOS 256")] = Field(
        default_factory=default_chunk,
        ge=16,
        description="tokens of a prompt computed at a time: a chat that comes in waits so long",
    )
    live_chunk: Annotated[int, Default("32, on macOS 128")] = Field(
        default_factory=default_live_chunk,
        ge=16,
        description="the same of articles' prompts while there is chat, and for 10 seconds after; never more than the "
        "one before",
    )
    prefill_stretch: int = Field(
        256,
        ge=16,
        description="tokens of articles' prompts between two decode steps, while no chat is decoded",
    )
    prefix_bytes: ByteSize = Field(
        ByteSize(512 * 1024**2),
        ge=0,
        description="of KV state kept for what prompts begin with, of all models together; less where weights and "
        "running requests leave less of the memory limit",
    )
    default_max_tokens: int = Field(1024, ge=1, description="of an answer whose request names no limit")
    wired_limit: bool = Field(True, description="let MLX raise the wired memory limit on macOS")
    keep_awake: bool = Field(True, description="on macOS, on power: no sleep while there is work")
    cache_chats: bool = Field(
        False, description="keep chats' repeatable answers in `llm_cache`, across restarts"
    )
    keep_alive: float = Field(5.0, gt=0, description="seconds between two chunks of a silent stream")
    abandon_grace: float = Field(
        5.0, ge=0, description="seconds until a vanished inbox ends its request: a reconnect takes time"
    )
    replicas: int = Field(
        1, ge=1, le=5, description="copies of each stream in a cluster; a stream that has more keeps them"
    )
    presence_interval: float = Field(5.0, gt=0, le=15, description="seconds between two signs of life")
    shutdown_grace: float = Field(
        10.0, ge=0, le=60, description="seconds for running work at the end, which takes 4 more at most"
    )

    @property
    def memory(self) -> int:
        """The limit in force: three quarters of the machine, the rest is the system's and MLX's freed buffers."""
        return self.memory_limit or machine_memory() * 3 // 4

    @property
    def kv(self) -> int:
        """Bytes of KV state in force: on a small machine the weights need their share, too."""
        return min(self.kv_bytes, self.memory // 2)

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """All models, the default first."""
        return wanted(self.model, self.preload, self.models)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Settings:
        wanted(self.model, self.preload, self.models)
        return self
