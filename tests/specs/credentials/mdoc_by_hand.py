"""An mdoc put together by hand, part by part, so that any part can be made wrong before it is digested or signed."""

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials import mdoc
from specs.credentials.mdoc_device import DeviceAuthenticated, verify_device_auth
from specs.credentials.session_transcript import openid4vp_transcript
from specs.keys.signer import FileSigner, generate_private_key

NOW = 1_795_500_000  # 24 November 2026
DAY = 86_400
DOC_TYPE = "org.example.residence.1"
NAME_SPACE = "org.example.residence.1.de"
OTHER_NAME_SPACE = "org.example.extra.1"
PHONE = "org.example.phone.1"
CERTIFICATE = b"\x30\x03\x02\x01\x05"  # no path is validated here

ISSUER_KEY, DEVICE_KEY, READER_KEY = generate_private_key(), generate_private_key(), generate_private_key()
ISSUER, DEVICE = FileSigner(ISSUER_KEY), FileSigner(DEVICE_KEY)
ES256_HEADER, HMAC_HEADER = b"\xa1\x01\x26", b"\xa1\x01\x05"

TRANSCRIPT = openid4vp_transcript(
    client_id="x509_hash:3pGx", nonce="o1XfQ7vSgd", jwk_thumbprint=b"\x07" * 32, response_uri="https://town.example/r"
)

Part = dict[Any, Any]


def encoded(value: object) -> cbor2.CBORTag:
    """Tag 24 around the encoding of a value."""
    return cbor2.CBORTag(24, cbor2.dumps(value))


def tdate(text: str) -> cbor2.CBORTag:
    """A point in time."""
    return cbor2.CBORTag(0, text)


def key_map(key: ec.EllipticCurvePublicKey) -> Part:
    """A COSE_Key on P-256."""
    numbers = key.public_numbers()
    return {1: 2, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}


def ec_public(key: ec.EllipticCurvePrivateKey | object) -> ec.EllipticCurvePublicKey:
    """The public half of one of our keys."""
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.public_key()


def item(digest_id: int, element: str, value: object) -> Part:
    """An IssuerSignedItem."""
    return {
        "digestID": digest_id,
        "random": bytes([digest_id]) * 16,
        "elementIdentifier": element,
        "elementValue": value,
    }


def _items() -> dict[str, list[Part]]:
    return {
        NAME_SPACE: [item(0, "city", "Grünau"), item(7, "since", cbor2.CBORTag(1004, "2019-04-01"))],
        OTHER_NAME_SPACE: [item(0, "zone", -3)],
    }


def _validity() -> Part:
    return {
        "signed": tdate("2026-11-20T00:00:00Z"),
        "validFrom": tdate("2026-11-20T00:00:00Z"),
        "validUntil": tdate("2026-12-04T00:00:00Z"),
    }


def _mso() -> Part:
    return {
        "version": "1.0",
        "digestAlgorithm": "SHA-256",
        "deviceKeyInfo": {
            "deviceKey": key_map(ec_public(DEVICE_KEY)),
            "keyAuthorizations": {"nameSpaces": [PHONE], "dataElements": {NAME_SPACE: ["position"]}},
        },
        "docType": DOC_TYPE,
        "validityInfo": _validity(),
    }


@dataclass
class Hand:
    """What one answer is made of. Digests, signatures and what carries them are made of these parts when asked for."""

    items: dict[str, list[Part]] = field(default_factory=_items)
    mso: Part = field(default_factory=_mso)
    issuer_header: bytes = ES256_HEADER
    issuer_unprotected: Part = field(default_factory=lambda: {33: CERTIFICATE})
    device_elements: object = field(default_factory=dict)
    device_header: bytes = ES256_HEADER
    device_unprotected: Part = field(default_factory=dict)

    def value_digests(self) -> dict[str, dict[int, bytes]]:
        """The digests of all items under their own ids."""
        return {
            name_space: {part["digestID"]: sha256(cbor2.dumps(encoded(part))).digest() for part in items}
            for name_space, items in self.items.items()
        }

    def issuer_auth(self, payload: bytes | None = None) -> list[object]:
        """COSE_Sign1 over the MSO, or over another payload."""
        if payload is None:
            mso = {"valueDigests": self.value_digests(), **self.mso}
            payload = cbor2.dumps(encoded({name: value for name, value in mso.items() if value is not ...}))
        signature = ISSUER.sign(cbor2.dumps(["Signature1", self.issuer_header, b"", payload]))
        return [self.issuer_header, self.issuer_unprotected, payload, signature]

    def device_signed(self) -> Part:
        """DeviceSigned with a signature."""
        name_spaces = encoded(self.device_elements)
        to_sign = cbor2.dumps(["Signature1", self.device_header, b"", device_authentication(name_spaces)])
        signature = [self.device_header, self.device_unprotected, None, DEVICE.sign(to_sign)]
        return {"nameSpaces": name_spaces, "deviceAuth": {"deviceSignature": signature}}

    def document(self) -> Part:
        """One document."""
        return {
            "docType": DOC_TYPE,
            "issuerSigned": {
                "nameSpaces": {name: [encoded(part) for part in items] for name, items in self.items.items()},
                "issuerAuth": self.issuer_auth(),
            },
            "deviceSigned": self.device_signed(),
        }

    def response(self) -> Part:
        """The whole answer."""
        return {"version": "1.0", "documents": [self.document()], "status": 0}


def device_authentication(name_spaces: cbor2.CBORTag, doc_type: str = DOC_TYPE) -> bytes:
    """DeviceAuthenticationBytes (ISO/IEC 18013-5 §9.1.3.4), by a plain encoder."""
    return cbor2.dumps(encoded(["DeviceAuthentication", cbor2.loads(TRANSCRIPT), doc_type, name_spaces]))


def document_of(response: Part) -> mdoc.Document:
    """The one document of a response, read."""
    return mdoc.sole_document(mdoc.parse_device_response(cbor2.dumps(response)))


def device_judged(document: mdoc.Document, *, transcript: bytes = TRANSCRIPT) -> DeviceAuthenticated:
    """The device's side of a document whose MSO is read."""
    return verify_device_auth(document, mdoc.parse_mso(document.issuer_signed), session_transcript=transcript)


def check(mso: mdoc.Mso, *, doc_type: str = DOC_TYPE, now: int = NOW) -> None:
    """Type and dates, with a certificate of one year."""
    mdoc.check_mso(
        mso, expected_doc_type=doc_type, signer_not_before=NOW - 30 * DAY, signer_not_after=NOW + 335 * DAY, now=now
    )


def judged(response: Part) -> tuple[mdoc.IssuedElements, DeviceAuthenticated]:
    """All steps, in a verifier's order."""
    document = document_of(response)
    mso = mdoc.parse_mso(document.issuer_signed)
    mdoc.verify_issuer_signature(document.issuer_signed, key=ISSUER.public_key)
    check(mso)
    issued = mdoc.verify_elements(document.issuer_signed, mso)
    return issued, device_judged(document)


Change = Callable[[Part], None]
