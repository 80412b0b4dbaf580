"""SD-JWTs drawn by hand: payloads and disclosures as a test wants them, digests and signatures by the plain book."""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from specs.credentials.key_binding import build_key_binding
from specs.credentials.sd_jwt import SdJwt, parse_sd_jwt
from specs.keys.jose import jwk_from_public_key
from specs.keys.signer import FileSigner, generate_signer

NOW = 1_795_000_000
NONCE = "n-0S6_WzA2Mj"
AUDIENCE = "x509_san_dns:portal.leipzig.example"

ISSUER = generate_signer()
HOLDER = generate_signer()
STRANGER = generate_signer()


def b64(data: bytes) -> str:
    """base64url without padding, by the standard library."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def disclosure(*content: object) -> str:
    """A disclosure of this content, written as Python writes JSON."""
    return b64(json.dumps(content).encode())


def digest(text: str, name: str = "sha256") -> str:
    """The digest of a disclosure."""
    return b64(hashlib.new(name, text.encode()).digest())


def signed(payload: bytes, *, signer: FileSigner = ISSUER, header: Mapping[str, object] | None = None) -> str:
    """A compact JWS over any bytes with any header; the same one each time."""
    return _signed(payload, signer, json.dumps({"alg": signer.alg, "typ": "dc+sd-jwt", **(header or {})}))


@lru_cache(maxsize=1000)
def _signed(payload: bytes, signer: FileSigner, header: str) -> str:
    # ECDSA signs differently each time, but a defect must be the only difference between two drawings
    signing_input = f"{b64(header.encode())}.{b64(payload)}"
    return f"{signing_input}.{b64(signer.sign(signing_input.encode()))}"


GIVEN_NAME = disclosure("2GLC42sKQveCfGfryNRN9w", "given_name", "Erika")
CITY = disclosure("eluV5Og3gSNII8EYnsxA_A", "locality", "Leipzig")
ADDRESS = disclosure("6Ij7tM-a5iVPGboS5tmvVA", "address", {"_sd": [digest(CITY)], "country": "DE"})
NATION = disclosure("lklxF5jMYlGTPUovMNIvCA", "DE")


def valid_payload() -> dict[str, Any]:
    """A payload with a disclosable member, a recursive one, a disclosable element and decoys."""
    return {
        "vct": "urn:example:leipzig:pass:1",
        "exp": NOW + 86400,
        "cnf": {"jwk": jwk_from_public_key(HOLDER.public_key)},
        "_sd_alg": "sha-256",
        "_sd": [digest(GIVEN_NAME), digest(ADDRESS), digest("decoy")],
        "nationalities": [{"...": digest("decoy element")}, {"...": digest(NATION)}, "FR"],
    }


@dataclass(frozen=True)
class Drawn:
    """A presentation in parts; each can be replaced before it is put together."""

    payload: dict[str, Any] = field(default_factory=valid_payload)
    disclosures: tuple[str, ...] = (GIVEN_NAME, CITY, ADDRESS, NATION)
    raw_payload: bytes | None = None
    header: Mapping[str, object] = field(default_factory=dict)

    def with_payload(self, **members: object) -> "Drawn":
        """The same with members of the payload added or replaced."""
        return replace(self, payload={**self.payload, **members})

    def with_hidden(self, *disclosures: str) -> "Drawn":
        """The same with further disclosures whose digests stand in the payload's `_sd`."""
        digests = [*self.payload["_sd"], *map(digest, disclosures)]
        return replace(self, payload={**self.payload, "_sd": digests}, disclosures=(*self.disclosures, *disclosures))

    def issuer_jwt(self) -> str:
        """The issuer-signed JWT."""
        raw = json.dumps(self.payload).encode() if self.raw_payload is None else self.raw_payload
        return signed(raw, header=self.header)

    def text(self) -> str:
        """The compact SD-JWT."""
        return "~".join((self.issuer_jwt(), *self.disclosures, ""))

    def bound(self) -> SdJwt:
        """The SD-JWT+KB of the rightful holder, made now for us."""
        return build_key_binding(
            parse_sd_jwt(self.text()), signer=HOLDER, nonce=NONCE, audience=AUDIENCE, issued_at=NOW
        )
