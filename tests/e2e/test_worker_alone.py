"""A worker whose NATS server is away: it waits for it, for days if need be, and still ends when it is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests import loops


@loops.BOTH
def test_it_ends_while_it_waits(tmp_path: Path, loop: str) -> None:
    settings = {
        "NATS_URL": "nats://127.0.0.1:1",
        "NATS_MLX_WORKER_MODEL": "starter",
        "NATS_MLX_LOG_FORMAT": "json",
        "NATS_MLX_DATA_DIR": str(tmp_path),
    }
    worker = subprocess.Popen(
        [sys.executable, "-m", "worker"],
        env={k: v for k, v in os.environ.items() if not k.startswith("NATS_")}
        | settings
        | loops.environment(loop, tmp_path),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert worker.stderr is not None
    try:
        for line in worker.stderr:
            if "nats_error" in line:
                break
        worker.send_signal(signal.SIGTERM)
        worker.communicate(timeout=30)
        assert worker.returncode == 0
    finally:
        worker.kill()
        worker.wait()
