"""An issuer elsewhere: its authority and signers, and a running service of other people's packages under them."""

import base64
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from specs.encoding.strict_json import JsonObject
from specs.trust.anchors import AnchorKind, TrustAnchor
from specs.trust.certificates import (
    Authority,
    SubjectName,
    build_access_certificate,
    build_attestation_signer,
    build_document_signer,
    build_iaca_root,
    serial_number,
)
from tests.interop.house import private_jwk
from tests.interop.javascript import running_program

URI = "https://elsewhere.example"
VCT, DOC_TYPE = "urn:example:elsewhere:pass:1", "example.elsewhere.pass.1"
CLAIMS: JsonObject = {"given_name": "Ada", "number": 7, "address": {"locality": "Halle"}}
ELEMENTS: JsonObject = {"given_name": "Ada", "number": 7}


@dataclass(frozen=True, slots=True)
class Signer:
    """A key with its certificate, as other people's programs take them."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    certificate: bytes

    def to_json(self) -> JsonObject:
        """As JWK and x5c."""
        return {"jwk": private_jwk(self.key), "x5c": [base64.b64encode(self.certificate).decode("ascii")]}


class Elsewhere:
    """An authority of somewhere else, with a signer for each purpose."""

    def __init__(self) -> None:
        self.now = int(time.time())
        key = _new_key()
        root = build_iaca_root(
            key=key,
            subject=SubjectName(common_name="Elsewhere Root", country="DE"),
            serial=_serial(),
            now=self.now,
            issuer_uri=URI,
            crl_url=f"{URI}/crl",
        )
        self._authority = Authority(root, key)

    @property
    def anchors(self) -> tuple[TrustAnchor, ...]:
        """Its root."""
        return (TrustAnchor(AnchorKind.CA, self._authority.certificate, "elsewhere"),)

    @property
    def pem(self) -> str:
        """Its root, PEM."""
        root = load_der_x509_certificate(self._authority.certificate)
        return root.public_bytes(Encoding.PEM).decode("ascii")

    def sd_jwt_signer(self) -> Signer:
        """Signs SD-JWT VCs."""
        key = _new_key()
        return Signer(
            key,
            build_attestation_signer(
                authority=self._authority,
                public_key=key.public_key(),
                subject=SubjectName(common_name="Elsewhere Signer", country="DE"),
                serial=_serial(),
                now=self.now,
            ),
        )

    def document_signer(self) -> Signer:
        """Signs mdocs."""
        key = _new_key()
        return Signer(
            key,
            build_document_signer(
                authority=self._authority,
                public_key=key.public_key(),
                subject=SubjectName(common_name="Elsewhere Document Signer", country="DE"),
                serial=_serial(),
                now=self.now,
                issuer_uri=URI,
                crl_url=f"{URI}/crl",
            ),
        )

    def access_signer(self) -> Signer:
        """Signs metadata and questions."""
        key = _new_key()
        return Signer(
            key,
            build_access_certificate(
                authority=self._authority,
                public_key=key.public_key(),
                subject=SubjectName(common_name="Elsewhere Access", country="DE"),
                serial=_serial(),
                now=self.now,
                dns_names=["elsewhere.example"],
                uris=[],
            ),
        )


@dataclass(frozen=True, slots=True)
class ForeignIssuer:
    """The running service. url: its credential issuer identifier; offers: where tests get offers, of no standard."""

    url: str
    offers: str
    elsewhere: Elsewhere

    def offer(self, **wish: object) -> tuple[str, str | None]:
        """A fresh offer, and its transaction code. wish: `configuration`, `grant`, `txCode`."""
        made = httpx.post(self.offers, json=wish).raise_for_status().json()
        return str(made["offer"]), made.get("tx_code")


@contextmanager
def running_foreign_issuer(folder: Path, *, provider_anchors: Sequence[str] | None = None) -> Iterator[ForeignIssuer]:
    """An issuer of the OpenWallet Foundation's packages on this machine, over plain http.

    provider_anchors: PEM of whom wallets must be attested by; None: wallets do not authenticate.
    """
    elsewhere = Elsewhere()
    task: JsonObject = {
        "signer": elsewhere.sd_jwt_signer().to_json(),
        "documentSigner": elsewhere.document_signer().to_json(),
        "metadataSigner": elsewhere.access_signer().to_json(),
        "areAttested": provider_anchors is not None,
        "providerAnchors": [*(provider_anchors or ())],
        "vct": VCT,
        "claims": CLAIMS,
        "docType": DOC_TYPE,
        "nameSpaces": {DOC_TYPE: ELEMENTS},
    }
    with running_program("issuer", task, folder=folder) as said:
        yield ForeignIssuer(str(said["url"]), f"{said['base']}/offers", elsewhere)


@dataclass(frozen=True, slots=True)
class ForeignVerifier:
    """The running service. base: its address; anchors: of its access certificate."""

    base: str
    anchors: tuple[TrustAnchor, ...]

    def ask(self, query: JsonObject, *, mode: str = "direct_post.jwt", method: str = "get") -> tuple[str, str]:
        """A fresh question: its id, and the link for the wallet."""
        wish = {"query": query, "mode": mode, "method": method}
        made = httpx.post(f"{self.base}/questions", json=wish).raise_for_status().json()
        return str(made["id"]), str(made["request"])

    def result(self, question: str) -> JsonObject:
        """What became of a question: `accepted` with what was seen, `refused` with the packages' words, or nothing."""
        result: JsonObject = httpx.get(f"{self.base}/results/{question}").raise_for_status().json()
        return result


@contextmanager
def running_foreign_verifier(folder: Path, *, issuer_roots: Sequence[str]) -> Iterator[ForeignVerifier]:
    """A verifier of the OpenWallet Foundation's packages on this machine, over plain http.

    issuer_roots: PEM of whose credentials it believes.
    """
    elsewhere = Elsewhere()
    task: JsonObject = {"identity": elsewhere.access_signer().to_json(), "issuerAnchors": [*issuer_roots]}
    with running_program("verifier", task, folder=folder) as said:
        yield ForeignVerifier(str(said["base"]), elsewhere.anchors)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _serial() -> int:
    return serial_number(secrets.token_bytes(20))
