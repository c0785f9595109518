"""What MLX holds of a test's arrays."""

from __future__ import annotations

import gc

import worker.engine  # noqa: F401 - puts the BLAS in place

import mlx.core as mx  # isort: skip

PAGES = 2**14  # it takes whole ones


def held() -> int:
    """Bytes that are alive."""
    gc.collect()
    return mx.get_active_memory()
