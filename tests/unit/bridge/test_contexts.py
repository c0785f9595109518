"""The `nats` CLI's contexts that `up` writes: whose password is not known here has none."""

from __future__ import annotations

import json
from pathlib import Path

from bridge.credentials import USERS, Credentials
from bridge.up import contexts

HASH = "$2a$11$" + "x" * 53


def test_one_for_each_user_that_can_log_in(tmp_path: Path) -> None:
    folder = tmp_path / "contexts"
    contexts.write(
        folder, "nats://h:1", Credentials({f"{user.upper()}_PASSWORD": f"p{user}" for user in USERS})
    )
    assert {file.stem for file in folder.iterdir()} == set(USERS)
    found = json.loads((folder / "bridge.json").read_text())
    assert (found["url"], found["password"], found["inbox_prefix"]) == (
        "nats://h:1",
        "pbridge",
        "_INBOX.bridge",
    )

    contexts.write(folder, "nats://h:2", Credentials({"BRIDGE_PASSWORD": HASH, "WORKER_PASSWORD": "w"}))
    assert [file.name for file in folder.iterdir()] == ["worker.json"]
    assert json.loads((folder / "worker.json").read_text())["url"] == "nats://h:2"
