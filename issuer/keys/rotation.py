"""Changes a tenant's signing keys with overlap: the next one is there, and published, before the present one retires.

`next/` holds keys that were prepared, with the certificates of the tenant's own root or, after a certificate request,
those of a certification authority outside. Activating one moves it in place; the certificate before it goes to
`retired/`, without its key, so that what it signed can be checked as long as it is good.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from issuer.catalog.schema import SigningAlgorithm
from issuer.keys.certification import (
    AUTHORITY_OF,
    TenantIdentity,
    TokenHome,
    certify,
    make_key,
    signer_names,
    write_certificate,
)
from issuer.keys.tenant_pki import KeysError, has_key, load_chain, load_identity, public_key_of, read_private
from issuer.keys.token_keys import Module
from issuer.minting.window import HOUR

NEXT, RETIRED = "next", "retired"
_HASHES = {"secp384r1": SHA384(), "secp521r1": SHA512()}


class Place(StrEnum):
    """Where a key is in its life."""

    PREPARED = "prepared"
    PRESENT = "present"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class KeyState:
    """A signer's key. certificate: none yet while a request for one is on its way."""

    name: str
    place: Place
    in_token: bool
    certificate: x509.Certificate | None


def states(folder: Path) -> Iterator[KeyState]:
    """All signers of a tenant, by name, the prepared before the present before the retired.

    Raises:
        KeysError: a certificate can't be read.
    """
    for name in signer_names(list(SigningAlgorithm)):
        for place, where in ((Place.PREPARED, folder / NEXT), (Place.PRESENT, folder)):
            if has_key(where, name):
                path = where / f"{name}.crt.pem"
                certificate = load_chain(path)[0] if path.exists() else None
                yield KeyState(name, place, (where / f"{name}.key.uri").exists(), certificate)
        for path in sorted((folder / RETIRED).glob(f"{name}.*.crt.pem")):
            yield KeyState(name, Place.RETIRED, False, load_chain(path)[0])


def prepare(folder: Path, name: str, identity: TenantIdentity, *, now: int, home: TokenHome | None = None) -> None:
    """Make the next key of a signer, certified by the tenant's own root. now: seconds since the epoch.

    Raises:
        KeysError: no such signer, one is prepared already, or the root's key isn't there.
    """
    place = _fresh_place(folder, name)
    public_key = make_key(place, name, identity.tenant_id, home=home)
    write_certificate(place, name, certify(folder, name, identity, public_key=public_key, now=now))
    _say_changed(folder)


def request_certificate(folder: Path, name: str, identity: TenantIdentity) -> bytes:
    """Make the next key of a signer in a file, and a request (PKCS#10, PEM) for an authority outside to certify it.

    Raises:
        KeysError: no such signer, or one is prepared already.
    """
    place = _fresh_place(folder, name)
    make_key(place, name, identity.tenant_id, home=None)
    key = load_pem_private_key(read_private(place / f"{name}.key.pem"), None)
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, identity.country),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, identity.name[:64]),
            x509.NameAttribute(NameOID.COMMON_NAME, identity.name[:64]),
        ]
    )
    hashed = _HASHES.get(key.curve.name, SHA256()) if isinstance(key, ec.EllipticCurvePrivateKey) else None
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashed)  # type: ignore[arg-type]
    return request.public_bytes(Encoding.PEM)


def install_certificate(folder: Path, name: str, chain: Path) -> None:
    """Put the certificates (PEM, leaf first) of an authority outside beside the prepared key they are for.

    Raises:
        KeysError: no key is prepared, the certificate is another key's, or the chain can't be read.
    """
    place = folder / NEXT
    certificates = load_chain(chain)
    if not has_key(place, name):
        raise KeysError(f"no key of {name} is prepared; `keys request` makes one")
    path = place / f"{name}.key.pem"
    if path.exists():
        own = load_pem_private_key(read_private(path), None).public_key()
        if own != public_key_of(certificates[0]):
            raise KeysError(f"{chain} is the certificate of another key than the one prepared for {name}")
    (place / f"{name}.crt.pem").unlink(missing_ok=True)
    write_certificate(place, name, *(certificate.public_bytes(Encoding.DER) for certificate in certificates))
    _say_changed(folder)


def activate(folder: Path, name: str, *, now: int, module: Module | None = None) -> None:
    """Sign with the prepared key from now on; the present one retires. now: seconds since the epoch.

    Raises:
        KeysError: none is prepared, it has no certificate, they don't belong together, or the certificate does not
            cover the present hour.
    """
    place = folder / NEXT
    if not has_key(place, name) or not (place / f"{name}.crt.pem").exists():
        raise KeysError(f"no key of {name} with a certificate is prepared; `keys prepare` makes one")
    load_identity(place, name, module)
    certificate = load_chain(place / f"{name}.crt.pem")[0]
    if certificate.not_valid_before_utc.timestamp() > now - now % HOUR:
        raise KeysError(
            f"the certificate of {name} begins at {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; "
            "it can be used from the full hour after that"
        )
    if certificate.not_valid_after_utc.timestamp() <= now:
        raise KeysError(f"the certificate of {name} has ended already")
    present = folder / f"{name}.crt.pem"
    if present.exists():
        retired = folder / RETIRED
        retired.mkdir(mode=0o700, exist_ok=True)
        serial = f"{load_chain(present)[0].serial_number:x}"
        present.rename(retired / f"{name}.{serial}.crt.pem")
    for suffix in ("key.pem", "key.uri"):
        (folder / f"{name}.{suffix}").unlink(missing_ok=True)
    for suffix in ("key.pem", "key.uri", "crt.pem"):
        prepared = place / f"{name}.{suffix}"
        if prepared.exists():
            prepared.rename(folder / f"{name}.{suffix}")
    _say_changed(folder)


def _say_changed(folder: Path) -> None:
    """Running workers look at the folder's time, and load again what they find."""
    os.utime(folder)


def _fresh_place(folder: Path, name: str) -> Path:
    if name.partition(".")[0] not in AUTHORITY_OF or name not in signer_names(list(SigningAlgorithm)):
        raise KeysError(f"there is no signer {name}; there are {', '.join(signer_names(list(SigningAlgorithm)))}")
    place = folder / NEXT
    place.mkdir(mode=0o700, exist_ok=True)
    if has_key(place, name):
        raise KeysError(f"a key of {name} is prepared already; `keys activate` puts it to use")
    return place
