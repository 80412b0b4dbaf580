"""Looks at an installation of the issuer: each finding is one sentence, with the setting that changes it."""

import os
from collections.abc import Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlmodel import col, select

from issuer.catalog.loader import Catalog, load_catalog
from issuer.catalog.placed_yaml import CatalogError
from issuer.catalog.schema import CredentialFormat
from issuer.departures import ISSUER_INFO, Finding, Level, departures
from issuer.keys.certification import AUTHORITY_OF
from issuer.keys.tenant_pki import (
    REGISTRATION_CERTIFICATE,
    KeysError,
    TenantKeys,
    load_module,
    load_tenant_keys,
    tenant_folder,
)
from issuer.login.register import RegisterInvalid, load_citizen_register
from issuer.presets import UnknownPreset, load_preset
from issuer.sealing import SealError, open_data_key
from issuer.secrets_at_rest import MAC_FILE, MASTER_FILE, Secrets, SecretsError, load_secrets
from issuer.settings import IssuerSettings
from issuer.store.engine import Store
from issuer.store.migrate import is_current
from issuer.store.tables import Tenant
from issuer.tenant_file import check_tenant_files, load_tenant_files
from issuer.wallet_providers import load_wallet_providers
from specs.encoding import Malformed
from specs.keys.jose import parse_jws
from specs.profiles import Profile
from specs.refusal import Refusal
from specs.trust.anchors import AnchorKind, anchors_from_pem
from specs.trust.registration import JWT_TYP
from specs.trust.x509 import CertificateError
from verifier.trust_lists import ListState

CERTIFICATE_WARNING_DAYS = 60
CRL_WARNING_DAYS = 14
_DAY = 86400
_OTHERS = 0o077  # permission bits of everybody but the owner


async def examine(settings: IssuerSettings, *, now: int) -> list[Finding]:
    """Everything there is to say about an installation, without changing it. now: seconds since the epoch."""
    findings = [*_examine_address(settings), *_examine_demonstration(settings)]
    catalog = _load_catalog(settings, findings)
    findings += _examine_tenant_files(settings, catalog)
    findings += _examine_providers(settings)
    findings += _examine_provider_lists(settings, now=now)
    secrets = _load_secrets(settings, findings)
    tenants = await _load_tenants(settings, findings)
    for tenant in tenants:
        findings += _examine_tenant(tenant, settings=settings, secrets=secrets, catalog=catalog, now=now)
    return findings


def _examine_address(settings: IssuerSettings) -> Iterator[Finding]:
    if settings.public_url.startswith("http://"):
        yield Finding(
            Level.WARNING,
            "address",
            f"{settings.public_url} is plain http: every preset wants https except on one machine, for demonstrations.",
            "ISSUER_PUBLIC_URL",
        )
    else:
        yield Finding(Level.FINE, "address", f"Wallets reach the issuer at {settings.public_url}.")
    if settings.allow_loopback_http:
        yield Finding(
            Level.WARNING,
            "address",
            "Plain http on this machine is allowed: for demonstrations only.",
            "ISSUER_ALLOW_LOOPBACK_HTTP",
        )


def _examine_demonstration(settings: IssuerSettings) -> Iterator[Finding]:
    if settings.allow_test_types:
        yield Finding(
            Level.WARNING,
            "catalogue",
            "Credential types for tests are issued: never where real citizens are served.",
            "ISSUER_ALLOW_TEST_TYPES",
        )
    if settings.demo_login:
        yield Finding(
            Level.WARNING,
            "login",
            "Invented citizens can log in: never where real citizens are served.",
            "ISSUER_DEMO_LOGIN",
        )
        try:
            load_citizen_register(settings.test_register)
        except (RegisterInvalid, OSError) as error:
            yield Finding(
                Level.PROBLEM, "login", f"The register of invented citizens: {error}.", "ISSUER_TEST_REGISTER"
            )
    elif settings.test_register is not None:
        yield Finding(
            Level.WARNING,
            "login",
            "A register of invented citizens is named, but nobody can log in with it.",
            "ISSUER_DEMO_LOGIN",
        )


def _load_catalog(settings: IssuerSettings, findings: list[Finding]) -> Catalog | None:
    try:
        catalog = load_catalog(settings.catalog_dir, allow_test_types=settings.allow_test_types)
    except (CatalogError, OSError) as error:
        findings.append(Finding(Level.PROBLEM, "catalogue", str(error), "ISSUER_CATALOG_DIR"))
        return None
    if not catalog.types:
        findings.append(Finding(Level.PROBLEM, "catalogue", "There is no credential type.", "ISSUER_CATALOG_DIR"))
    else:
        findings.append(
            Finding(Level.FINE, "catalogue", f"{len(catalog.types)} credential types: {', '.join(catalog.types)}.")
        )
    return catalog


def _examine_tenant_files(settings: IssuerSettings, catalog: Catalog | None) -> Iterator[Finding]:
    if settings.tenant_dir is None:
        return
    try:
        files = load_tenant_files(settings.tenant_dir)
        if catalog is not None:
            check_tenant_files(files, catalog=catalog)
    except (CatalogError, OSError) as error:
        yield Finding(Level.PROBLEM, "tenant files", str(error), "ISSUER_TENANT_DIR")
        return
    for tenant, file in files.items():
        plain = [name for name, register in file.registers.items() if register.url.startswith("http://")]
        for name in plain:
            sentence = f"The register {name} of {tenant} is asked over plain http."
            yield Finding(Level.WARNING, "tenant files", sentence, "ISSUER_TENANT_DIR")


def _examine_provider_lists(settings: IssuerSettings, *, now: int) -> Iterator[Finding]:
    about, setting = "wallet providers", "ISSUER_WALLET_PROVIDER_LISTS"
    try:
        standings = load_wallet_providers(settings, clock=lambda: now, only_look=True).standings(now=now)
    except CatalogError as error:
        yield Finding(Level.PROBLEM, about, f"The lists cannot be followed: {error}.", setting)
        return
    for each in standings:
        if each.state is ListState.IN_FORCE:
            sentence = f"The list {each.url}, number {each.sequence}, is in force."
            yield Finding(Level.FINE, about, sentence)
        else:
            sentence = f"The list {each.url} speaks for nobody: it is {each.state.value} as far as it was fetched."
            yield Finding(Level.WARNING, about, sentence, setting)


def _examine_providers(settings: IssuerSettings) -> Iterator[Finding]:
    path = settings.wallet_provider_anchors
    if path is None:
        return
    try:
        anchors = anchors_from_pem(path.read_bytes(), kind=AnchorKind.CA, name="wallet provider")
    except (CertificateError, OSError) as error:
        yield Finding(
            Level.PROBLEM,
            "wallet providers",
            f"{path} cannot be read as certificates: {error}.",
            "ISSUER_WALLET_PROVIDER_ANCHORS",
        )
    else:
        yield Finding(Level.FINE, "wallet providers", f"{len(anchors)} certificates of wallet providers are trusted.")


def _load_secrets(settings: IssuerSettings, findings: list[Finding]) -> Secrets | None:
    folder = settings.data_dir / "secrets"
    try:
        secrets = load_secrets(folder)
    except SecretsError as error:
        findings.append(Finding(Level.PROBLEM, "secrets", f"{error}."))
        return None
    open_files = [*_open_to_others(settings.data_dir), *_open_to_others(folder)]
    open_files += [each for name in (MASTER_FILE, MAC_FILE) for each in _open_to_others(folder / name)]
    findings += open_files or [
        Finding(Level.FINE, "secrets", f"The secrets in {folder} are there, for this user alone.")
    ]
    return secrets


def _open_to_others(path: Path) -> Iterator[Finding]:
    mode = path.stat().st_mode
    if os.name == "posix" and mode & _OTHERS:
        yield Finding(
            Level.PROBLEM, "secrets", f"{path} is open to others; `chmod {700 if path.is_dir() else 600} {path}`."
        )


async def _load_tenants(settings: IssuerSettings, findings: list[Finding]) -> list[Tenant]:
    if (missing := _missing_file(settings)) is not None:
        findings.append(missing)
        return []
    try:
        store = Store(settings.effective_database_url)
        try:
            if not await is_current(store):
                sentence = "It lacks this version's tables; `stadtnachweis issuer migrate` makes them."
                findings.append(Finding(Level.PROBLEM, "database", sentence))
                return []
            async with store.reading() as session:
                tenants = list((await session.exec(select(Tenant).order_by(col(Tenant.id)))).all())
        finally:
            await store.close()
    except (SQLAlchemyError, OSError) as error:
        kind = type(getattr(error, "orig", None) or error).__name__
        findings.append(Finding(Level.PROBLEM, "database", f"It cannot be used ({kind}).", "ISSUER_DATABASE_URL"))
        return []
    findings.append(Finding(Level.FINE, "database", "It is reachable and has this version's tables."))
    if not tenants:
        findings.append(
            Finding(Level.PENDING, "tenants", "Nobody issues yet; `stadtnachweis issuer tenant add` makes a tenant.")
        )
    return tenants


def _missing_file(settings: IssuerSettings) -> Finding | None:
    """Looking at an SQLite database that isn't there would make it."""
    try:
        url = make_url(settings.effective_database_url)
    except ArgumentError:
        return Finding(Level.PROBLEM, "database", "Its address is not a SQLAlchemy URL.", "ISSUER_DATABASE_URL")
    if url.get_backend_name() != "sqlite" or Path(url.database or "").is_file():
        return None
    sentence = f"{url.database} is missing; `stadtnachweis issuer init` makes it."
    return Finding(Level.PROBLEM, "database", sentence, "ISSUER_DATABASE_URL")


def _examine_tenant(
    tenant: Tenant, *, settings: IssuerSettings, secrets: Secrets | None, catalog: Catalog | None, now: int
) -> Iterator[Finding]:
    about = f"tenant {tenant.id}"
    try:
        profile = load_preset(tenant.preset)
    except UnknownPreset as error:
        yield Finding(Level.PROBLEM, about, f"{error}.")
        return
    else:
        yield from departures(about, profile, settings=settings, catalog=catalog)
        yield from _examine_registration(about, tenant.id, profile, settings=settings, now=now)
    if secrets is not None:
        try:
            open_data_key(tenant.sealed_data_key, wrapping_key=secrets.wrapping_key, tenant_id=tenant.id)
        except SealError as error:
            yield Finding(Level.PROBLEM, about, f"Its data key does not open with {MASTER_FILE}: {error}.")
    try:
        keys = load_tenant_keys(settings.data_dir, tenant.id, module=load_module(settings))
        folder = tenant_folder(settings.data_dir, tenant.id)
    except KeysError as error:
        yield Finding(Level.PROBLEM, about, f"{error}.")
        return
    yield Finding(Level.FINE, about, f"Its keys in {folder} load and fit their certificates.")
    for path in sorted(folder.glob("*.key.pem")):
        yield from _open_to_others(path)
    yield from _examine_signers(about, keys, catalog, profile)
    for path in sorted(folder.glob("*.crt.pem")):
        yield from _examine_certificate(about, path, now=now)
    yield from _examine_crl(about, tenant.id, keys.crl, root=folder / "iaca.crt.pem", now=now)


def _examine_registration(
    about: str, tenant_id: str, profile: Profile, *, settings: IssuerSettings, now: int
) -> Iterator[Finding]:
    """Whether what the registrar says about the issuer is there to be published, where the preset wants it."""
    path = settings.data_dir / "keys" / tenant_id / REGISTRATION_CERTIFICATE
    if ISSUER_INFO in profile.metadata_extras and not path.exists():
        sentence = f"Departs from {profile.name}: no registration certificate is published; put it at {path}."
        yield Finding(Level.WARNING, about, sentence, clause="ETSI TS 119 472-3 §4.2.3")
    if path.exists():
        yield from _examine_registration_end(about, path, now=now)


def _examine_registration_end(about: str, path: Path, *, now: int) -> Iterator[Finding]:
    try:
        end = parse_jws(path.read_text(encoding="ascii").strip(), expected_typ=JWT_TYP).claims().get("exp")
    except (Refusal, Malformed, ValueError, OSError):
        return  # the keys can't be loaded with it, which is said below
    if not isinstance(end, int):
        return  # it names no end (ETSI TS 119 475 §5.2.4)
    days = (end - now) // _DAY
    if end <= now:
        yield Finding(Level.PROBLEM, about, f"{path.name} has ended; put a new one in its place.")
    elif days < CERTIFICATE_WARNING_DAYS:
        yield Finding(Level.WARNING, about, f"{path.name} ends in {days} days; put a new one in its place.")
    else:
        yield Finding(Level.FINE, about, f"{path.name} is good for {days} days.")


def _examine_signers(about: str, keys: TenantKeys, catalog: Catalog | None, profile: Profile) -> Iterator[Finding]:
    kinds = catalog.types.values() if catalog is not None else ()
    wanted = sorted({kind.alg for kind in kinds if kind.alg in profile.credential_algs})
    for form in CredentialFormat:
        for alg in wanted:
            try:
                keys.credential_signer(form, alg)
            except KeysError as error:
                yield Finding(Level.PROBLEM, about, f"A credential type cannot be issued: {error}.")


def _examine_certificate(about: str, path: Path, *, now: int) -> Iterator[Finding]:
    try:
        certificates = x509.load_pem_x509_certificates(path.read_bytes())
    except (ValueError, OSError):
        yield Finding(Level.PROBLEM, about, f"{path} cannot be read as certificates.")
        return
    first_end = min(certificate.not_valid_after_utc for certificate in certificates)
    begin = max(certificate.not_valid_before_utc for certificate in certificates)
    days = int((first_end.timestamp() - now) // _DAY)
    if begin.timestamp() > now:
        yield Finding(Level.PROBLEM, about, f"{path.name} is not valid before {begin:%Y-%m-%d}.")
    elif first_end.timestamp() <= now:
        yield Finding(Level.PROBLEM, about, f"{path.name} ended on {first_end:%Y-%m-%d}; {_remedy(path)}.")
    elif days < CERTIFICATE_WARNING_DAYS:
        yield Finding(
            Level.WARNING, about, f"{path.name} ends in {days} days, on {first_end:%Y-%m-%d}; {_remedy(path)}."
        )
    else:
        yield Finding(Level.FINE, about, f"{path.name} is good for {days} days.")


def _remedy(path: Path) -> str:
    """What to do about a certificate that ends."""
    name = path.name.removesuffix(".crt.pem")
    if name.partition(".")[0] in AUTHORITY_OF:
        return f"`stadtnachweis issuer keys rotate {path.parent.name} {name}` makes a new one"
    return "put a new one in its place"


def _examine_crl(about: str, tenant_id: str, crl: bytes, *, root: Path, now: int) -> Iterator[Finding]:
    renewal = f"`stadtnachweis issuer tenant crl {tenant_id}` signs it anew"
    try:
        revocation_list = x509.load_der_x509_crl(crl)
        key = x509.load_pem_x509_certificate(root.read_bytes()).public_key()
    except (ValueError, OSError):
        yield Finding(Level.PROBLEM, about, f"The revocation list or its root cannot be read; {renewal}.")
        return
    if not isinstance(key, ec.EllipticCurvePublicKey) or not revocation_list.is_signature_valid(key):
        yield Finding(Level.PROBLEM, about, f"The revocation list is not signed by {root.name}; {renewal}.")
        return
    end = revocation_list.next_update_utc
    days = -1 if end is None else int((end.timestamp() - now) // _DAY)
    if days < 0:
        yield Finding(Level.PROBLEM, about, f"The revocation list is out of date: verifiers refuse mdocs; {renewal}.")
    elif days < CRL_WARNING_DAYS:
        yield Finding(Level.WARNING, about, f"The revocation list is good for {days} days; {renewal}.")
    else:
        yield Finding(Level.FINE, about, f"The revocation list is good for {days} days.")
