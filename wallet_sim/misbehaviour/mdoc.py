"""Wrong in showing an mdoc (ISO/IEC 18013-5 §9.1, OpenID4VP 1.0 App. B.2), over the network and on the spot."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec

from specs.encoding import cbor
from specs.keys.signer import generate_signer
from wallet_sim.conduct import DEVICE_RESPONSE, DOCUMENT, MDOC, PRESENTATION, Endpoint, ShownMdoc
from wallet_sim.misbehaviour.registry import MDOC_ONLY, Phase, Reaction, misbehaviour, not_believed, refused

_PHASES = (Phase.PRESENTATION, Phase.PROXIMITY)
_TO = (Endpoint.ANSWER, Endpoint.READER)
_DEVICE = "ISO/IEC 18013-5 §9.1.3; OpenID4VP 1.0 App. B.2.6"
_ISSUER = "ISO/IEC 18013-5 §9.1.2.4, §9.3.1"
_DEEP = 2000


@misbehaviour(
    "device-other-session",
    *_PHASES,
    at=MDOC,
    to=_TO,
    clause=f"{_DEVICE} (SessionTranscript)",
    met_by=not_believed("device_authentication_invalid"),
    formats=MDOC_ONLY,
)
def _(shown: ShownMdoc) -> ShownMdoc:
    """The device signed for another session: another nonce, or another verifier who passes it on."""
    return replace(shown, transcript=cbor.encode([None, None, ["OpenID4VPHandover", sha256(b"another").digest()]]))


@misbehaviour(
    "device-other-key",
    *_PHASES,
    at=MDOC,
    to=_TO,
    clause=_DEVICE,
    met_by=not_believed("device_authentication_invalid"),
    formats=MDOC_ONLY,
)
def _(shown: ShownMdoc) -> ShownMdoc:
    """Another device than the one that the credential is bound to signs: a copied credential."""
    return replace(shown, device_key=generate_signer())


@misbehaviour(
    "device-mac-unasked",
    Phase.PRESENTATION,
    at=MDOC,
    to=Endpoint.ANSWER,
    clause="ISO/IEC 18013-5 §9.1.3.5; OpenID4VP 1.0 App. B.2.6",
    met_by=not_believed("device_mac_not_allowed"),
    formats=MDOC_ONLY,
)
def _(shown: ShownMdoc) -> ShownMdoc:
    """The device authenticates itself by a MAC, for a key that the verifier does not have."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    return replace(shown, device_key=keys[0], reader_key=keys[1].public_key())


@misbehaviour(
    "device-signature",
    *_PHASES,
    at=DOCUMENT,
    to=_TO,
    clause=_DEVICE,
    met_by=not_believed("device_authentication_invalid"),
    formats=MDOC_ONLY,
)
def _(document: bytes) -> bytes:
    """The device's signature is spoilt."""

    def spoil(members: Any) -> None:
        signature = members["deviceSigned"]["deviceAuth"]["deviceSignature"]
        signature[3] = _flipped(signature[3])

    return _changed(document, spoil)


@misbehaviour(
    "device-authentication-missing",
    *_PHASES,
    at=DOCUMENT,
    to=_TO,
    clause="ISO/IEC 18013-5 §8.3.2.1.2.2, §9.1.3",
    met_by=not_believed("device_authentication_missing"),
    formats=MDOC_ONLY,
)
def _(document: bytes) -> bytes:
    """No device authenticates itself."""

    def remove(members: Any) -> None:
        members["deviceSigned"]["deviceAuth"] = {}

    return _changed(document, remove)


@misbehaviour(
    "device-claim-invented",
    *_PHASES,
    at=DOCUMENT,
    to=_TO,
    clause="ISO/IEC 18013-5 §9.1.2.4 (KeyAuthorizations), §9.1.3",
    met_by=refused(Endpoint.ANSWER, 400),
    formats=MDOC_ONLY,
)
def _(document: bytes) -> bytes:
    """The device states an element itself that the issuer did not let it state."""

    def add(members: Any) -> None:
        stated = cbor.encode({members["docType"]: {"entitled": True}})
        members["deviceSigned"]["nameSpaces"] = cbor2.CBORTag(24, stated)

    return _changed(document, add)


@misbehaviour(
    "element-tampered",
    *_PHASES,
    at=DOCUMENT,
    to=_TO,
    clause=f"{_ISSUER} (digest)",
    met_by=not_believed("digest_mismatch"),
    formats=MDOC_ONLY,
)
def _(document: bytes) -> bytes:
    """The value of an element is another than the one that was signed."""

    def tamper(item: dict[str, object]) -> None:
        item["elementValue"] = "tampered"

    return _with_first_item(document, tamper)


@misbehaviour(
    "element-added",
    *_PHASES,
    at=DOCUMENT,
    to=_TO,
    clause=f"{_ISSUER} (digest)",
    met_by=not_believed("digest_missing"),
    formats=MDOC_ONLY,
)
def _(document: bytes) -> bytes:
    """An element is added that the issuer never signed."""

    def add(members: Any) -> None:
        items = _items(members)
        item = {"digestID": 4095, "random": bytes(32), "elementIdentifier": "everything", "elementValue": True}
        items.append(cbor2.CBORTag(24, cbor.encode(item)))

    return _changed(document, add)


@misbehaviour(
    "element-twice",
    *_PHASES,
    at=DOCUMENT,
    to=_TO,
    clause="ISO/IEC 18013-5 §8.3.2.1.2.2",
    met_by=not_believed("element_repeated"),
    formats=MDOC_ONLY,
)
def _(document: bytes) -> bytes:
    """One element is there twice."""

    def repeat(members: Any) -> None:
        items = _items(members)
        items.append(items[0])

    return _changed(document, repeat)


@misbehaviour(
    "element-missing",
    *_PHASES,
    at=MDOC,
    to=_TO,
    clause="OpenID4VP 1.0 §6.4.1; ISO/IEC 18013-5 §8.3.2.1.2.2",
    met_by=not_believed("claims_missing"),
    formats=MDOC_ONLY,
)
def _(shown: ShownMdoc) -> ShownMdoc:
    """One of the elements that were asked for is not shown."""
    return replace(shown, disclose=shown.disclose[1:])


@misbehaviour(
    "element-unasked",
    *_PHASES,
    at=MDOC,
    to=_TO,
    clause="OpenID4VP 1.0 §6.4.1; ISO/IEC 18013-5 §8.3.2.1.2.2",
    met_by=Reaction(Endpoint.ANSWER, (200, 400), is_refusal=False),
    formats=MDOC_ONLY,
)
def _(shown: ShownMdoc) -> ShownMdoc:
    """All elements are shown; a verifier drops what it did not ask for, or refuses."""
    return replace(shown, disclose=_everything(shown))


@misbehaviour(
    "document-issuer-signature",
    *_PHASES,
    at=DOCUMENT,
    to=_TO,
    clause=_ISSUER,
    met_by=not_believed("signature_invalid"),
    formats=MDOC_ONLY,
)
def _(document: bytes) -> bytes:
    """The issuer's signature is spoilt."""

    def spoil(members: Any) -> None:
        auth = members["issuerSigned"]["issuerAuth"]
        auth[3] = _flipped(auth[3])

    return _changed(document, spoil)


@misbehaviour(
    "document-prolonged",
    *_PHASES,
    at=DOCUMENT,
    to=_TO,
    clause=_ISSUER,
    met_by=not_believed("signature_invalid"),
    formats=MDOC_ONLY,
)
def _(document: bytes) -> bytes:
    """The end of the credential's validity is moved to the year 2099."""

    def prolong(members: Any) -> None:
        auth = members["issuerSigned"]["issuerAuth"]
        mso = cbor.decode_map(_inner(auth[2]))
        validity = mso["validityInfo"]
        assert isinstance(validity, dict)
        validity["validUntil"] = cbor2.CBORTag(0, "2099-01-01T00:00:00Z")
        auth[2] = cbor.tag24(cbor.encode(mso))

    return _changed(document, prolong)


@misbehaviour(
    "document-other-type",
    *_PHASES,
    at=DOCUMENT,
    to=_TO,
    clause="ISO/IEC 18013-5 §9.3.1 (docType of MSO and document)",
    met_by=refused(Endpoint.ANSWER, 400),
    formats=MDOC_ONLY,
)
def _(document: bytes) -> bytes:
    """The document says that it is a driving licence."""

    def rename(members: Any) -> None:
        members["docType"] = "org.iso.18013.5.1.mDL"

    return _changed(document, rename)


@misbehaviour(
    "response-version",
    *_PHASES,
    at=DEVICE_RESPONSE,
    to=_TO,
    clause="ISO/IEC 18013-5 §8.3.2.1.2.2 (version)",
    met_by=not_believed("version_not_supported"),
    formats=MDOC_ONLY,
)
def _(response: bytes) -> bytes:
    """The DeviceResponse is of a version that does not exist."""
    return _changed(response, lambda members: members.update(version="9.9"))


@misbehaviour(
    "response-two-documents",
    Phase.PRESENTATION,
    at=DEVICE_RESPONSE,
    to=Endpoint.ANSWER,
    clause="HAIP 1.0 §5.3.1; OpenID4VP 1.0 App. B.2.5",
    met_by=refused(Endpoint.ANSWER, 400),
    formats=MDOC_ONLY,
)
def _(response: bytes) -> bytes:
    """One DeviceResponse holds the document twice, though each is to be alone."""
    return _changed(response, lambda members: members["documents"].append(members["documents"][0]))


@misbehaviour(
    "response-deep",
    *_PHASES,
    at=DEVICE_RESPONSE,
    to=_TO,
    clause="RFC 8949 §10",
    met_by=not_believed("cbor_malformed"),
    formats=MDOC_ONLY,
)
def _(_response: bytes) -> bytes:
    """The DeviceResponse is two thousand arrays inside each other."""
    return b"\x81" * _DEEP + b"\xf6"


@misbehaviour(
    "response-bytes-behind",
    *_PHASES,
    at=DEVICE_RESPONSE,
    to=_TO,
    clause="RFC 8949 §5.1; ISO/IEC 18013-5 §8.3.2.1.2.2",
    met_by=not_believed("cbor_malformed"),
    formats=MDOC_ONLY,
)
def _(response: bytes) -> bytes:
    """There are bytes behind the DeviceResponse."""
    return response + b"\x00"


@misbehaviour(
    "response-padded",
    Phase.PRESENTATION,
    at=PRESENTATION,
    to=Endpoint.ANSWER,
    clause="OpenID4VP 1.0 App. B.2.5 (base64url without padding)",
    met_by=refused(Endpoint.ANSWER, 400),
    formats=MDOC_ONLY,
)
def _(presentation: str) -> str:
    """The DeviceResponse has the padding of base64 behind it."""
    return presentation + "=" * (-len(presentation) % 4 or 4)


def _everything(shown: ShownMdoc) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name_space, str(cbor.decode_map(item)["elementIdentifier"]))
        for name_space, items in shown.issuer_signed.name_spaces.items()
        for item in items
    )


def _changed(encoded: bytes, change: Callable[[Any], object]) -> bytes:
    members: Any = cbor.decode_map(encoded)
    change(members)
    return cbor.encode(members)


def _items(members: Any) -> list[cbor2.CBORTag]:
    first: list[cbor2.CBORTag] = next(iter(members["issuerSigned"]["nameSpaces"].values()))
    return first


def _with_first_item(document: bytes, change: Callable[[dict[str, object]], None]) -> bytes:
    def tamper(members: Any) -> None:
        items = _items(members)
        item: dict[str, object] = cbor2.loads(items[0].value)
        change(item)
        items[0] = cbor2.CBORTag(24, cbor.encode(item))

    return _changed(document, tamper)


def _inner(tagged: bytes) -> bytes:
    tag: cbor2.CBORTag = cbor2.loads(tagged)
    inner: bytes = tag.value
    return inner


def _flipped(signature: bytes) -> bytes:
    return signature[:-1] + bytes((signature[-1] ^ 1,))
