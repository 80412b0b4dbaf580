"""Where settings and catalogue make a tenant differ from its preset: one sentence each, with clause and setting."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from issuer.catalog.loader import Catalog
from issuer.settings import IssuerSettings
from specs.profiles import OVERLAYS, ClientAuthentication, Profile

ISSUER_INFO = "issuer_info"
_DAY = 86400


class Level(StrEnum):
    """How much a finding matters."""

    FINE = "fine"
    WARNING = "warning"  # works, but differs from the preset, or will not work for long
    PENDING = "pending"  # a step that is still to be done before it works
    PROBLEM = "problem"  # does not work, or is not safe


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing seen.

    about: the part of the installation. setting: the environment variable that changes it. clause: of the standard
    that wants it otherwise.
    """

    level: Level
    about: str
    sentence: str
    setting: str | None = None
    clause: str | None = None


def departures(about: str, profile: Profile, *, settings: IssuerSettings, catalog: Catalog | None) -> Iterator[Finding]:
    """What there is to say about a tenant and its preset. about: how findings call the tenant."""
    yield Finding(Level.FINE, about, f"Its preset is {profile.name}.")
    yield from _client_authentication(about, profile, settings)
    if settings.batch_limit < profile.copies.most:
        yield Finding(
            Level.WARNING,
            about,
            f"Departs from {profile.name}: {settings.batch_limit} copies at most instead of {profile.copies.most}.",
            "ISSUER_BATCH_LIMIT",
            "HAIP 1.0 §4",
        )
    for kind in catalog.types.values() if catalog is not None else ():
        if kind.alg not in profile.credential_algs:
            yield Finding(
                Level.WARNING,
                about,
                f"{kind.type} is not issued: {profile.name} does not allow {kind.alg}; change `alg` in its file.",
                "ISSUER_CATALOG_DIR",
                "HAIP 1.0 §7",
            )
        longest = profile.refresh_tokens.warn_beyond
        if longest is not None and kind.refresh_days * _DAY > longest:
            yield Finding(
                Level.WARNING,
                about,
                f"{kind.type} is renewed for {kind.refresh_days} days, longer than the {longest // _DAY} of "
                f"{profile.name}; change `refresh_days` in its file.",
                "ISSUER_CATALOG_DIR",
                "HAIP 1.0 §4.4",
            )
    if profile.name in OVERLAYS:
        yield Finding(
            Level.WARNING, about, f"The preset {profile.name} is for tests: never where real citizens are served."
        )


def _client_authentication(about: str, profile: Profile, settings: IssuerSettings) -> Iterator[Finding]:
    rule = profile.client_authentication
    is_always_public = ClientAuthentication.NONE in rule.methods
    is_public_by_setting = ClientAuthentication.NONE in rule.by_setting and settings.allow_public_clients
    if is_public_by_setting:
        yield Finding(
            Level.WARNING,
            about,
            f"Departs from {profile.name}: wallets without attestation are served.",
            "ISSUER_ALLOW_PUBLIC_CLIENTS",
            "HAIP 1.0 §4.4.1",
        )
    elif settings.allow_public_clients and not is_always_public:
        yield Finding(
            Level.WARNING,
            about,
            f"{profile.name} never serves wallets without attestation, although the setting says so.",
            "ISSUER_ALLOW_PUBLIC_CLIENTS",
            "HAIP 1.0 §4.4.1",
        )
    is_nobody_trusted = settings.wallet_provider_anchors is None and settings.wallet_provider_lists is None
    if is_nobody_trusted and not (is_always_public or is_public_by_setting):
        yield Finding(
            Level.PENDING,
            about,
            f"Still to do before a wallet can collect: {profile.name} wants attested wallets, and no wallet provider "
            "is trusted yet; put the providers' certificates (PEM) into a file and name it.",
            "ISSUER_WALLET_PROVIDER_ANCHORS",
            "HAIP 1.0 §4.4.1",
        )
