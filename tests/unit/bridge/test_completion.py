"""The shell completes `nats-mlx`: installed once, found again by a new shell."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("nats-mlx")
# As readline calls it: the line's words, and which of them is being typed.
TYPED = """
. ~/.bashrc
COMP_WORDS=(nats-mlx recipe t); COMP_CWORD=2
$(complete -p nats-mlx | sed 's/.*-F \\([^ ]*\\).*/\\1/') nats-mlx t recipe
echo "${COMPREPLY[@]}"
"""


def bash(script: str, home: Path) -> str:
    env = {"HOME": str(home), "PATH": f"{COMMAND.parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_bash_completes_what_was_installed(tmp_path: Path) -> None:
    # The shell that asks is the one that is found: it must not be replaced by its only command.
    assert "bash completion installed" in bash("nats-mlx --install-completion; true", tmp_path)
    assert bash(TYPED, tmp_path).strip() == "test"
