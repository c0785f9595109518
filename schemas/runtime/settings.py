"""What people may set: environment, then a TOML file, then defaults; a mistake stops the start with one line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar

import msgspec
import platformdirs
from pydantic import ByteSize, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from schemas.errors import BadSettings
from schemas.runtime.log import File
from schemas.runtime.tls import Tls

CONFIG = "NATS_MLX_CONFIG"
_PREFIX = "NATS_MLX_"
_TLS = "tls://"
_SECTIONS = ("worker", "bridge")

S = TypeVar("S", bound="ProcessSettings")


class Default(NamedTuple):
    """What stands in a setting's place, in words: the machine decides."""

    words: str


def section(name: str) -> SettingsConfigDict:
    """The pydantic configuration of a process whose variables start with `NATS_MLX_<NAME>_`."""
    return SettingsConfigDict(
        env_prefix=f"{_PREFIX}{name.upper()}_",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,
    )


def from_json(value: Any) -> Any:
    """Tables and lists are JSON in the environment (`NoDecode`): a mistake in it is a bad value like any other."""
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("it is not valid JSON, or nested too deeply") from None


class ProcessSettings(BaseSettings):
    """The keys that all processes share; each has an alias, which is its environment variable."""

    table: ClassVar[str]

    nats_url: str = Field(
        "nats://127.0.0.1:4222",
        validation_alias="NATS_URL",
        min_length=1,
        description="where NATS is; of a cluster several, with commas; `tls://...` wants TLS",
    )
    nats_user: str | None = Field(
        None, validation_alias="NATS_USER", description="as the `nats` CLI has it; set with its password"
    )
    nats_password: SecretStr | None = Field(
        None, validation_alias="NATS_PASSWORD", description="of that user"
    )
    nats_ca: Path | None = Field(
        None,
        validation_alias="NATS_CA",
        description="PEM file: who may vouch for the server, else the system's",
    )
    nats_cert: Path | None = Field(None, validation_alias="NATS_CERT", description="PEM file: who we are")
    nats_key: Path | None = Field(None, validation_alias="NATS_KEY", description="PEM file: the key of that")
    data_dir: Annotated[Path, Default("the platform's")] = Field(
        default_factory=lambda: platformdirs.user_data_path("nats-mlx"),
        validation_alias="NATS_MLX_DATA_DIR",
        description="folder for passwords, queue, keys and logs",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", validation_alias="NATS_MLX_LOG_LEVEL", description="`debug`, `info`, `warning` or `error`"
    )
    log_format: Literal["auto", "console", "json"] = Field(
        "auto",
        validation_alias="NATS_MLX_LOG_FORMAT",
        description="on stderr: `console`, `json`, or `auto`: for people on a terminal, JSON lines elsewhere",
    )
    log_file: Annotated[Path | None, Default("none, in `up` `<data dir>/logs`")] = Field(
        None,
        validation_alias="NATS_MLX_LOG_FILE",
        description="JSON lines of a worker or bridge by itself; a new one each day and at a tenth of the next setting",
    )
    log_bytes: ByteSize = Field(
        ByteSize(200 * 1024**2),
        validation_alias="NATS_MLX_LOG_BYTES",
        ge=10_000,
        description="of all log files in that folder together: the oldest go first",
    )
    log_days: float = Field(
        14.0, validation_alias="NATS_MLX_LOG_DAYS", gt=0, description="for so long at most an old one is kept"
    )

    @model_validator(mode="after")
    def _credentials_are_whole(self: S) -> S:
        if (self.nats_user is None) != (self.nats_password is None):
            raise ValueError("NATS_USER and NATS_PASSWORD belong together; set both or neither")
        if (self.nats_cert is None) != (self.nats_key is None):
            raise ValueError("NATS_CERT and NATS_KEY belong together; set both or neither")
        if (self.nats_ca or self.nats_cert) and _TLS not in self.nats_url:
            raise ValueError("NATS_CA, NATS_CERT and NATS_KEY need a NATS_URL that begins with tls://")
        return self

    @property
    def kept_log(self) -> File | None:
        return None if self.log_file is None else File(self.log_file, int(self.log_bytes), self.log_days)

    @property
    def password(self) -> str | None:
        return None if self.nats_password is None else self.nats_password.get_secret_value()

    @property
    def tls(self) -> Tls | None:
        """None is plain text: the address decides."""
        return Tls(self.nats_ca, self.nats_cert, self.nats_key) if _TLS in self.nats_url else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _Toml(cls)

    @classmethod
    def load(cls: type[S], **values: Any) -> S:
        """The settings; `values` (field names) come before every other source. Raises BadSettings."""
        _check_environment(cls, os.environ)
        try:
            return cls(**{_key(cls, name): value for name, value in values.items()})
        except ValidationError as error:
            raise BadSettings(_sentence(cls, error)) from None


class _Toml(PydanticBaseSettingsSource):
    """The settings file: common keys on top, a process's own in the table of its name."""

    def __init__(self, kind: type[ProcessSettings]) -> None:
        super().__init__(kind)
        self._kind = kind

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        """Part of pydantic's interface; the file is read as a whole instead."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        return {_key(self._kind, name): value for name, value in _file_values(self._kind)}


def _key(kind: type[ProcessSettings], name: str) -> str:
    """The name under which pydantic expects the field `name`."""
    alias = kind.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else name


def _variable(kind: type[ProcessSettings], key: str) -> str:
    """The environment variable of a field, from its key."""
    own = key in kind.model_fields
    return f"{_PREFIX}{kind.table.upper()}_{key.upper()}" if own else key


def _check_environment(kind: type[ProcessSettings], environment: Mapping[str, str]) -> None:
    known = {CONFIG} | {_variable(kind, _key(kind, name)) for name in kind.model_fields}
    others = tuple(f"{_PREFIX}{table.upper()}_" for table in _SECTIONS if table != kind.table)
    for name in sorted(environment):
        if name.startswith(_PREFIX) and not name.startswith(others) and name not in known:
            raise BadSettings(f"Unknown setting {name} in the environment; remove it or correct its name.")


def _sentence(kind: type[ProcessSettings], error: ValidationError) -> str:
    """One line for all mistakes, never with a value: it may be a password."""
    parts = []
    for item in error.errors(include_input=False, include_url=False):
        what = item["msg"].removeprefix("Value error, ").rstrip(".")
        key, *inside = map(str, item["loc"] or ("",))
        parts.append(f"{'.'.join((_variable(kind, key), *inside))}: {what}" if key else what)
    return f"Bad setting: {'; '.join(parts)}."


def _file_values(kind: type[ProcessSettings]) -> Iterator[tuple[str, Any]]:
    """Field names and values from the settings file. Raises BadSettings for a key that nobody knows."""
    path = _path()
    if path is None:
        return
    common = set(ProcessSettings.model_fields)
    own = set(kind.model_fields) - common
    for key, value in _read(path).items():
        if key in common:
            yield key, value
        elif key == kind.table and isinstance(value, dict):
            yield from _own_values(kind, value, own, path)
        elif key == kind.table or key not in _SECTIONS:
            raise BadSettings(f"Unknown setting `{key}` in {path}; remove it or correct its name.")


def _own_values(
    kind: type[ProcessSettings], table: dict[str, Any], own: set[str], path: Path
) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if key not in own:
            raise BadSettings(
                f"Unknown setting `{key}` under [{kind.table}] in {path}; remove or correct it."
            )
        yield key, value


def _path() -> Path | None:
    """The file that was asked for, else the default one if it is there."""
    if named := os.environ.get(CONFIG):
        return Path(named).expanduser()
    default = platformdirs.user_config_path("nats-mlx") / "config.toml"
    return default if default.is_file() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadSettings(f"Cannot read the settings file {path}: {error.strerror}.") from None
    except RecursionError:
        raise BadSettings(f"The settings file {path} is nested too deeply.") from None
    except ValueError as error:  # a number of thousands of digits is one without being a fault in TOML
        raise BadSettings(f"The settings file {path} is not valid TOML: {error}.") from None
