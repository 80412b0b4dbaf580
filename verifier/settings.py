"""Every setting of the verifier service: its unit, its default, its meaning. Read once at start, passed down.

Each field is set by an environment variable of its name in capitals with the prefix VERIFIER_. A VERIFIER_ variable
that no field knows is an error, so that a misspelt one is noticed.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from specs.protocols.openid4vp.addresses import is_loopback

PREFIX = "VERIFIER_"


class SettingsError(ValueError):
    """The environment does not describe a verifier; the message is for the operator and shows no values."""


class VerifierSettings(BaseSettings):
    """The verifier service's settings."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: `load_settings` alone looks at the environment, where it can refuse unknown names."""
        return (init_settings,)

    data_dir: Path = Path("var/verifier")
    """Folder of the sealing key and, by default, the database and the tenants' files."""

    tenants_dir: Path | None = None
    """Folder with one folder a tenant: tenant.yaml and procedures/*.yaml. None: `tenants` in data_dir."""

    database_url: str = ""
    """SQLAlchemy URL, such as `postgresql+psycopg://user@host/name`. Empty: the SQLite file verifier.db in data_dir."""

    public_url: str = "http://127.0.0.1:8703"
    """Address under which wallets and portals reach this service: scheme, host and port, no path."""

    allow_loopback_http: bool = False
    """Accept plain http for this machine itself: public_url, and what credentials refer to. For demonstrations."""

    allow_test_anchors: bool = False
    """Let tenants pin single certificates of test domains. Never where real citizens are served."""

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: int = Field(default=8703, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""

    body_limit: int = Field(default=1 << 20, ge=1024)
    """Largest body of a call to the API in bytes; answers of wallets have a limit of their own."""

    idempotency_lifetime: int = Field(default=86400, ge=3600)
    """Seconds that the answer to an Idempotency-Key is kept."""

    housekeeping_interval: int = Field(default=30, ge=1)
    """Seconds between two sweeps that erase what has expired."""

    @field_validator("public_url")
    @classmethod
    def _origin_only(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.path or parts.query or parts.fragment:
            raise ValueError("must be scheme, host and port only, such as https://verifier.example.org")
        return value

    @model_validator(mode="after")
    def _https_or_loopback(self) -> "VerifierSettings":
        parts = urlsplit(self.public_url)
        if parts.scheme == "http" and not (self.allow_loopback_http and is_loopback(parts.hostname or "")):
            raise ValueError(
                "public_url must be https; plain http is possible for this machine alone, "
                "with VERIFIER_ALLOW_LOOPBACK_HTTP=true"
            )
        return self

    @property
    def effective_database_url(self) -> str:
        """The database: as set, or the SQLite file in data_dir."""
        return self.database_url or f"sqlite:///{self.data_dir / 'verifier.db'}"

    @property
    def effective_tenants_dir(self) -> Path:
        """Where the tenants' files are."""
        return self.tenants_dir or self.data_dir / "tenants"


def load_settings(environment: Mapping[str, str] | None = None) -> VerifierSettings:
    """Read the settings from the environment, once.

    Raises:
        SettingsError: a VERIFIER_ variable is unknown, or a value does not fit; the message names the variables.
    """
    environment = os.environ if environment is None else environment
    known = {f"{PREFIX}{name.upper()}" for name in VerifierSettings.model_fields}
    given = {name for name in environment if name.startswith(PREFIX)}
    if unknown := sorted(given - known):
        raise SettingsError(f"unknown setting: {', '.join(unknown)}")
    values = {name[len(PREFIX) :].lower(): environment[name] for name in given}
    try:
        return VerifierSettings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(item["loc"], item["msg"]) for item in error.errors())) from None


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    name = f"{PREFIX}{'.'.join(str(part) for part in location).upper()}: " if location else ""
    return name + message.removeprefix("Value error, ")
