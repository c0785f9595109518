"""What people set, given anything: settings, or one line that names the mistake and never shows a value."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.settings import Settings as BridgeSettings
from schemas.errors import BadSettings
from schemas.runtime.settings import CONFIG, ProcessSettings, _key, _variable
from worker.settings import Settings as WorkerSettings

KINDS: list[type[ProcessSettings]] = [BridgeSettings, WorkerSettings]
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
# What an environment can hold: any bytes but NUL, which Python shows as surrogates where they are no text.
values = (
    st.binary(max_size=20).filter(lambda raw: b"\0" not in raw).map(lambda raw: raw.decode(errors="surrogateescape"))
    | st.sampled_from(["nan", "inf", "-1", "1e999", "9" * 5000, "{}", '{"a":1}', '{"":{}}', "[" * 2000, "1GB"])
)  # fmt: skip


def loaded(kind: type[ProcessSettings]) -> None:
    try:
        kind.load()
    except BadSettings as error:
        assert "\n" not in error.message
        assert error.message.endswith(".")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.table)
@shared
@given(data=st.data())
def test_any_value_of_any_variable(kind: type[ProcessSettings], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(kind.model_fields)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_variable(kind, _key(kind, name)), data.draw(values))
        loaded(kind)


toml_values = st.sampled_from(
    [
        "1",
        "-1",
        "1.5",
        "nan",
        "inf",
        '"x"',
        "true",
        "[]",
        "{}",
        "{a = 1}",
        "1979-05-27",
        "9" * 5000,
        "[" * 3000,
        "'''",
    ]
)
keys = st.sampled_from(
    [
        "nats_url",
        "log_level",
        "[worker]",
        "[bridge]",
        "slots",
        "port",
        "models",
        "[worker.models.a]",
        "path",
        "x",
        "",
    ]
)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.table)
@shared
@given(text=st.binary(max_size=60) | st.lists(st.tuples(keys, toml_values)).map(
    lambda lines: "\n".join(key if key.startswith("[") else f"{key} = {value}" for key, value in lines).encode()
))  # fmt: skip
@example(text=b"slots = " + b"9" * 5000)
@example(text=b"slots = " + b"[" * 100_000)
@example(text=b"[worker]\nslots = " + b"9" * 300)
def test_any_settings_file(kind: type[ProcessSettings], text: bytes, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CONFIG, str(file))
        loaded(kind)
