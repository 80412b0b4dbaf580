"""Credentials that the suite mints for itself, good ones and ones with one thing wrong, for wallets that it plays."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from conformance.bent_token import Bend, opened, straight
from conformance.identity import Member, SuiteIdentity
from conformance.settings import TestCredential
from specs.credentials import mdoc
from specs.credentials.mdoc_issue import build_issuer_signed, mdoc_identity
from specs.credentials.sd_jwt_issue import mark_disclosable
from specs.credentials.sd_jwt_vc import build_sd_jwt_vc, vc_issuer
from specs.credentials.status_list import StatusReference, status_reference_claim
from specs.encoding import base64url
from specs.keys.jose import PrivateKey, jwk_from_public_key
from specs.keys.signer import FileSigner, generate_private_key
from wallet_sim.store import StoredCredential

SD_JWT, MDOC = "dc+sd-jwt", "mso_mdoc"
HOUR, DAY = 3600, 86400


@dataclass(frozen=True, slots=True)
class Mint:
    """Makes credentials. begins, ends: seconds from the full hour begun to the dates. issuer: who signs.

    status: where their state stands.
    """

    identity: SuiteIdentity
    credential: TestCredential
    begins: int = 0
    ends: int = 14 * DAY
    issuer: Member | None = None
    bend: Bend = straight
    status: StatusReference | None = None

    def sd_jwt(self) -> StoredCredential:
        """An SD-JWT VC with each claim disclosable, and one that nobody asks for."""
        key, hour = generate_private_key(), _hour()
        identity = (self.issuer or self.identity.issuer).identity
        claims = {**self.credential.claims, "x_not_asked": "hidden"}
        content = build_sd_jwt_vc(
            mark_disclosable(claims, paths=[(name,) for name in claims]),  # type: ignore[arg-type]  # JSON values
            issuer=vc_issuer(identity),
            vct=self.credential.vct,
            holder_jwk=_minimal(key),
            issued_at=hour + min(self.begins, 0),
            not_before=hour + self.begins,
            expires_at=hour + self.ends,
            status=None if self.status is None else status_reference_claim(self.status),  # type: ignore[arg-type]
            iss="https://issuer.example",
        )
        if self.bend is not straight:
            jwt, tilde, rest = content.partition("~")
            signer = identity.signer
            assert isinstance(signer, FileSigner)
            content = f"{self.bend(opened(jwt, signer))}{tilde}{rest}"
        return _stored(SD_JWT, self.credential.vct, content, key)

    def mdoc(self) -> StoredCredential:
        """An mdoc."""
        key, hour = generate_private_key(), _hour()
        member = self.issuer or self.identity.issuer
        signer = member.document or member.identity
        begins = hour + self.begins
        content = build_issuer_signed(
            mdoc_identity(signer),
            doc_type=self.credential.doctype,
            claims=_with_extra(self.credential.elements),
            device_key=key.public_key(),
            validity=mdoc.Validity(begins, begins, hour + self.ends),
            status=self.status,
        )
        return _stored(MDOC, self.credential.doctype, base64url.encode(content), key)

    def of(self, form: str) -> StoredCredential:
        """A credential of a format."""
        return self.sd_jwt() if form == SD_JWT else self.mdoc()

    def stranger(self) -> "Mint":
        """The same by an issuer that nobody trusts."""
        return replace(self, issuer=self.identity.stranger)


def _with_extra(elements: Mapping[str, Mapping[str, object]]) -> dict[str, dict[str, object]]:
    found = {name: dict(each) for name, each in elements.items()}
    first = next(iter(found), "org.example")
    found.setdefault(first, {})["x_not_asked"] = "hidden"
    return found


def _minimal(key: PrivateKey) -> dict[str, str]:
    return jwk_from_public_key(key.public_key())


def _hour() -> int:
    return int(time.time()) // HOUR * HOUR


def _stored(form: str, kind: str, content: str, key: PrivateKey) -> StoredCredential:
    return StoredCredential(
        id=secrets.token_hex(8),
        batch=secrets.token_hex(8),
        format=form,
        type=kind,
        name="test credential",
        issuer="Conformance",
        content=content,
        key=key,
        collected_at=int(time.time()),
    )
