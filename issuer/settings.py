"""Every setting of the issuer: its unit, its default, its meaning. Read once at start, passed down.

Each field is set by an environment variable of its name in capitals with the prefix ISSUER_. An ISSUER_ variable that
no field knows is an error, so that a misspelt one is noticed.
"""

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "ISSUER_"


class SettingsError(ValueError):
    """The environment does not describe an issuer; the message is for the operator and shows no values."""


class IssuerSettings(BaseSettings):
    """The issuer's settings."""

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

    data_dir: Path = Path("var/issuer")
    """Folder of keys, secrets and, by default, the database. Everything in it belongs to the issuer's user alone."""

    database_url: str = ""
    """SQLAlchemy URL, such as `postgresql+psycopg://user@host/name`. Empty: the SQLite file issuer.db in data_dir."""

    public_url: str = "http://127.0.0.1:8701"
    """Address under which wallets and cities reach this service: scheme, host and port, no path."""

    allow_loopback_http: bool = False
    """Accept a public_url with plain http if its host is the local machine. For demonstrations."""

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: int = Field(default=8701, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""

    trusted_proxies: str = ""
    """Addresses and networks of reverse proxies, separated by commas: their X-Forwarded-For, -Proto and -Host count.

    Empty: nobody's do.
    """

    pkcs11_library: Path | None = None
    """The PKCS#11 library of a security module that holds keys (extra `hsm`). None: keys are in files alone."""

    pkcs11_pin_file: Path | None = None
    """File with the user PIN of the module's tokens, for the issuer's user alone."""

    catalog_dir: Path | None = None
    """Folder of credential types (YAML). None: the types that come with the program."""

    tenant_dir: Path | None = None
    """Folder of `<tenant>.yaml` files: the registers and logins that each city arranged. None: nothing is arranged."""

    allow_test_types: bool = False
    """Issue types marked `test_only` as well. Never where real citizens are served."""

    test_register: Path | None = None
    """YAML file of invented citizens who can log in, if demo_login is on."""

    demo_login: bool = False
    """Offer the login of the test register. Never where real citizens are served."""

    wallet_provider_anchors: Path | None = None
    """PEM file with the certificates of wallet providers whose attestations are trusted. None: there is none."""

    wallet_provider_lists: Path | None = None
    """YAML file with published lists of wallet providers and their signers; they count beside the file above."""

    allow_public_clients: bool = False
    """Accept wallets without client attestation where the preset leaves it to a setting."""

    require_dpop_nonce: bool = False
    """Take DPoP proofs with a nonce of ours only: clocks of wallets then don't matter, but each has to come twice."""

    require_credential_encryption: bool = False
    """Take and send credentials encrypted only, where the preset leaves the choice to the wallet."""

    offer_lifetime: int = Field(default=3600, ge=60)
    """Seconds until an offer expires if the request names no `expires_in`."""

    offer_lifetime_max: int = Field(default=30 * 86400, ge=60)
    """Longest `expires_in` in seconds: 30 days, for letters."""

    code_lifetime: int = Field(default=3600, ge=60, le=3600)
    """Seconds that a pre-authorized code lives, at most."""

    tx_code_length: int = Field(default=6, ge=4, le=12)
    """Digits of a transaction code."""

    tx_code_tries: int = Field(default=5, ge=1, le=10)
    """Wrong transaction codes that lock an offer."""

    request_uri_lifetime: int = Field(default=60, ge=10, le=599)
    """Seconds until a pushed request must have been opened."""

    login_lifetime: int = Field(default=600, ge=60)
    """Seconds that one login may take."""

    authorization_code_lifetime: int = Field(default=60, ge=10, le=60)
    """Seconds that an authorization code lives."""

    nonce_lifetime: int = Field(default=300, ge=10, le=300)
    """Seconds that c_nonce, DPoP nonce and attestation challenge are good.

    A proof that names one is remembered for the preset's `proof_age`: a nonce that lived longer would let it in twice.
    """

    access_token_lifetime: int = Field(default=600, ge=30, le=3600)
    """Seconds that an access token lives; a Bearer token never lives longer than 300."""

    rotate_refresh_tokens: bool = True
    """Give a new refresh token at each use where the preset rotates them; where it does not, this changes nothing."""

    access_token_uses: int = Field(default=100, ge=1)
    """Credential requests that one access token may make."""

    city_token_lifetime: int = Field(default=600, ge=30, le=3600)
    """Seconds that a City API token from client credentials lives."""

    idempotency_lifetime: int = Field(default=86400, ge=3600)
    """Seconds that the answer to an Idempotency-Key is kept."""

    clock_skew: int = Field(default=60, ge=0, le=300)
    """Seconds by which other people's clocks may be ahead."""

    proof_age: int = Field(default=300, ge=30)
    """Seconds that a key proof may be old; for DPoP and attestation proofs the preset says it."""

    status_ttl: int = Field(default=300, ge=1)
    """Seconds after which a verifier should fetch a status list again."""

    status_lifetime: int = Field(default=86400, ge=60)
    """Seconds until a status token expires."""

    status_list_size: int = Field(default=1 << 20, ge=256, le=1 << 24)
    """Entries of a new status list, a power of two."""

    body_limit: int = Field(default=1 << 20, ge=1024)
    """Largest request body in bytes."""

    header_limit: int = Field(default=16384, ge=4096)
    """Largest request head in bytes."""

    body_timeout: int = Field(default=20, ge=1)
    """Seconds within which a request body must have arrived."""

    json_depth: int = Field(default=32, ge=4)
    """Deepest nesting of a JSON body."""

    batch_limit: int = Field(default=20, ge=1, le=100)
    """Most copies a credential type may offer."""

    housekeeping_interval: int = Field(default=30, ge=1)
    """Seconds between two sweeps that end what has expired and erase what nobody can ask for any more."""

    webhook_interval: int = Field(default=2, ge=1)
    """Seconds between two looks for webhooks that are due."""

    webhook_attempts: int = Field(default=14, ge=1, le=50)
    """Tries until a webhook is a dead letter; pauses double from 5 seconds to 6 hours, so that 14 take about a day."""

    event_lifetime: int = Field(default=30 * 86400, ge=86400)
    """Seconds that events, delivered webhooks and dead letters are kept."""

    @field_validator("public_url")
    @classmethod
    def _origin_only(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname or parts.path or parts.query or parts.fragment:
            raise ValueError("must be scheme, host and port only, such as https://issuer.example.org")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        try:
            _networks_of(value)
        except ValueError:
            raise ValueError("must be IP addresses or networks, separated by commas") from None
        return value

    @field_validator("status_list_size")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError("must be a power of two")
        return value

    @model_validator(mode="after")
    def _https_or_loopback(self) -> "IssuerSettings":
        parts = urlsplit(self.public_url)
        if parts.scheme == "http" and not (self.allow_loopback_http and _is_loopback(parts.hostname or "")):
            raise ValueError(
                "public_url must be https; plain http is possible for this machine alone, "
                "with ISSUER_ALLOW_LOOPBACK_HTTP=true"
            )
        return self

    @property
    def proxy_networks(self) -> tuple[IPv4Network | IPv6Network, ...]:
        """The networks of `trusted_proxies`."""
        return _networks_of(self.trusted_proxies)

    @property
    def is_public(self) -> bool:
        """Whether the public address is https and not of this machine."""
        parts = urlsplit(self.public_url)
        return parts.scheme == "https" and not _is_loopback(parts.hostname or "")

    @property
    def effective_database_url(self) -> str:
        """The database: as set, or the SQLite file in data_dir."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'issuer.db'}"


def load_settings(environment: Mapping[str, str] | None = None) -> IssuerSettings:
    """Read the settings from the environment, once.

    Raises:
        SettingsError: an ISSUER_ variable is unknown, or a value does not fit; the message names the variables.
    """
    environment = os.environ if environment is None else environment
    known = {f"{PREFIX}{name.upper()}" for name in IssuerSettings.model_fields}
    given = {name for name in environment if name.startswith(PREFIX)}
    if unknown := sorted(given - known):
        raise SettingsError(f"unknown setting: {', '.join(unknown)}")
    values = {name[len(PREFIX) :].lower(): environment[name] for name in given}
    try:
        return IssuerSettings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(item["loc"], item["msg"]) for item in error.errors())) from None


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    name = f"{PREFIX}{'.'.join(str(part) for part in location).upper()}: " if location else ""
    return name + message.removeprefix("Value error, ")


def _networks_of(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
