"""The README's table of settings, made of the settings themselves: `python -m tests.settings_table` writes it there."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from bridge.settings import Settings as BridgeSettings
from schemas.runtime.settings import CONFIG, Default, ProcessSettings
from tests.readme import ROOT
from worker.settings import Settings as WorkerSettings

HEADING = "## Settings\n\n"
_HEAD = "| setting | default | |\n|---|---|---|\n"
_CONFIG = (CONFIG, "`config.toml` in the platform's configuration folder", "the settings file, TOML")


def rows() -> Iterator[tuple[str, str, str]]:
    """Variable, default and meaning of each."""
    common = ProcessSettings.model_fields
    yield from (
        (str(field.validation_alias), _default(field), field.description or "") for field in common.values()
    )
    yield _CONFIG
    for kind in (WorkerSettings, BridgeSettings):
        for name, field in kind.model_fields.items():
            if name not in common:
                yield (
                    f"NATS_MLX_{kind.table.upper()}_{name.upper()}",
                    _default(field),
                    field.description or "",
                )


def table() -> str:
    return _HEAD + "".join(f"| `{name}` | {default} | {meaning} |\n" for name, default, meaning in rows())


def _default(field: FieldInfo) -> str:
    for one in field.metadata:
        if isinstance(one, Default):
            return one.words
    match field.default:
        case None:
            return "none"
        case bool() as switch:
            return f"`{str(switch).lower()}`"
        case ByteSize() as size:
            return size.human_readable(separator=" ").replace(".0 ", " ")
        case float() as number:
            return f"{number:g}"
        case str() as text:
            return f"`{text}`"
    return str(field.default)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    before, rest = readme.read_text("utf-8").split(HEADING, 1)
    _, after = rest.split("\n\n", 1)
    readme.write_text(f"{before}{HEADING}{table()}\n{after}", "utf-8")
