"""What the engine may take of the machine; the worker's settings say it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from worker.engine import device


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes in bytes where they say so, else in tokens; times in seconds."""

    rows: int  # computed together at most
    chat_rows: int  # of these, kept for chat
    bulk_share: float  # of rows and of prompt tokens that articles have, however much chat there is
    prefill_chunk: int  # of a prompt computed at a time: in between, chat may come in
    live_chunk: int  # the same of articles' prompts, while there is chat
    prefill_stretch: int  # of prompts between two decode steps, while no chat is decoded
    prefix_bytes: int  # of KV state kept for what prompts share, if the others leave so much
    kv_bytes: int  # of KV state of all rows
    memory_limit: int  # bytes of weights and of all KV state
    idle_unload: float  # until the weights of a model without work go; 0: never
    step_limit: float  # a step that takes longer hangs
    default_max_tokens: int  # of an answer whose request names no limit
    wired_limit: bool = True  # let MLX raise the wired memory limit on macOS
    trust_remote_code: bool = False  # of models that bring their own
    overlap: bool = field(default_factory=device.overlaps)  # Python and the device work at the same time

    @property
    def bulk_rows(self) -> int:
        """Rows that chat never takes from articles."""
        return math.ceil(self.rows * self.bulk_share)
