"""An issuer elsewhere: its authority and signers, and a running service of other people's packages under them."""

import base64
import json
import secrets
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer

import httpx
from cryptography.hazmat.primitives.asymmetric import ec

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
from tests.interop.javascript import STEP_SECONDS, node_program
from tests.services import node

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

    def metadata_signer(self) -> Signer:
        """Signs metadata."""
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
    task = {
        "signer": elsewhere.sd_jwt_signer().to_json(),
        "documentSigner": elsewhere.document_signer().to_json(),
        "metadataSigner": elsewhere.metadata_signer().to_json(),
        "areAttested": provider_anchors is not None,
        "providerAnchors": list(provider_anchors or ()),
        "vct": VCT,
        "claims": CLAIMS,
        "docType": DOC_TYPE,
        "nameSpaces": {DOC_TYPE: ELEMENTS},
    }
    log = folder / "foreign-issuer.log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [node_program(), str(node.FOLDER / "issuer.mjs"), json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    watch = Timer(STEP_SECONDS, process.kill)
    watch.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text(encoding="utf-8")[-2000:]
        said = json.loads(line)
        yield ForeignIssuer(said["url"], f"{said['base']}/offers", elsewhere)
    finally:
        watch.cancel()
        process.communicate()


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _serial() -> int:
    return serial_number(secrets.token_bytes(20))
