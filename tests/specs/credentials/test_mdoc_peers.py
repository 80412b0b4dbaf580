"""The libraries `isomdoc` and `pymdoccbor` read what we mint and present, and we read what they mint.

Where one of them is at odds with the standard, a test says so with the clause, and what we do instead.
"""

import logging
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from isomdoc import create_mdoc, verify_device_response
from pymdoccbor.mdoc.issuer import MdocCborIssuer
from pymdoccbor.mdoc.verifier import MdocCbor

from specs.credentials import mdoc
from specs.credentials.mdoc_device import build_device_response, build_document, verify_device_auth
from specs.credentials.mdoc_issue import build_issuer_signed, mdoc_identity
from specs.credentials.mdoc_values import full_date
from specs.credentials.session_transcript import openid4vp_transcript
from specs.credentials.status_list import StatusReference, parse_status_reference
from specs.encoding import base64url
from specs.encoding.cbor import CborValue
from specs.keys.signer import FileSigner, SigningIdentity, generate_private_key, generate_signer
from specs.refusal import ReasonCode
from specs.trust.certificates import SubjectName, build_document_signer, serial_number
from tests.specs.credentials import mdoc_by_hand
from tests.specs.credentials.mdoc_by_hand import Hand, ec_public, encoded
from tests.verifier.world import signing_authority

pytestmark = pytest.mark.interop

NOW = int(time.time())  # pymdoccbor holds certificates against the clock
DAY = 86_400
DOC_TYPE = "org.iso.18013.5.1.mDL"
NAME_SPACE = "org.iso.18013.5.1"
EXTRA = "org.example.extra.1"
TRANSCRIPT = openid4vp_transcript(
    client_id="x509_hash:Xa9", nonce="4rT0pQ", jwk_thumbprint=b"\x11" * 32, response_uri="https://town.example/r"
)
CLAIMS: Mapping[str, Mapping[str, object]] = {
    NAME_SPACE: {
        "family_name": "Weiß-Ågren",
        "birth_date": full_date(date(1988, 2, 29)),
        "portrait": bytes(range(256)) * 3,
        "age_over_18": True,
        "nationality": ["DE", "SE"],
        "height": 171,
    },
    EXTRA: {"zone": -7, "district": {"name": "Grünau", "number": 4}},
}
AUTHORITY = signing_authority("Peers' Root", now=NOW)
ROOT = x509.load_der_x509_certificate(AUTHORITY.certificate)


def own_key(alg: str = "ES256") -> ec.EllipticCurvePrivateKey:
    key = generate_private_key(alg)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


ISSUER_KEY, DEVICE_KEY = own_key(), own_key()
DEVICE = FileSigner(DEVICE_KEY)


def certified(key: ec.EllipticCurvePublicKey) -> bytes:
    return build_document_signer(
        authority=AUTHORITY,
        public_key=key,
        subject=SubjectName(common_name="Peers' Signer", country="DE"),
        serial=serial_number(bytes(range(20))),
        now=NOW,
        issuer_uri="https://issuer.example",
        crl_url="https://issuer.example/crl",
    )


CERTIFICATE = certified(ISSUER_KEY.public_key())
OURS = SigningIdentity(FileSigner(ISSUER_KEY), (CERTIFICATE,))


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """No warnings of what is tested here on purpose."""
    logger = logging.getLogger("pymdoccbor")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    yield
    logger.setLevel(before)


# they read ours


def minted(identity: SigningIdentity = OURS, *, digest_algorithm: str = "SHA-256") -> bytes:
    return build_issuer_signed(
        mdoc_identity(identity),
        doc_type=DOC_TYPE,
        claims=CLAIMS,
        device_key=DEVICE_KEY.public_key(),
        validity=mdoc.Validity(NOW, NOW, NOW + 14 * DAY, NOW + 7 * DAY),
        status=StatusReference("https://issuer.example/status/1", 4711),
        digest_algorithm=digest_algorithm,
    )


EVERYTHING = frozenset((name_space, element) for name_space, elements in CLAIMS.items() for element in elements)


def presented(issuer_signed: bytes, disclose: frozenset[tuple[str, str]] = EVERYTHING) -> bytes:
    document = build_document(
        mdoc.parse_issuer_signed(issuer_signed),
        doc_type=DOC_TYPE,
        disclose=disclose,
        session_transcript=TRANSCRIPT,
        device_key=DEVICE,
    )
    return build_device_response([document])


def by_isomdoc(response: bytes, *, transcript: bytes = TRANSCRIPT) -> Any:
    """The documents that isomdoc believes; it says one where it means a list."""
    return verify_device_response(response, cbor2.loads(transcript)).documents


@pytest.mark.parametrize("digest_algorithm", list(mdoc.DIGESTS))
@pytest.mark.parametrize("disclose", [EVERYTHING, frozenset({(NAME_SPACE, "age_over_18")}), frozenset()])
def test_isomdoc_believes_what_we_present(digest_algorithm: str, disclose: frozenset[tuple[str, str]]) -> None:
    response = presented(minted(digest_algorithm=digest_algorithm), disclose)
    (document,) = by_isomdoc(response)
    shown = {
        (name_space, item.element_identifier): item.element_value
        for name_space, items in document.issuer_signed.namespaces.items()
        for item in items
    }
    assert shown.keys() == disclose
    for (name_space, element), value in shown.items():
        expected = CLAIMS[name_space][element]
        assert value == (date(1988, 2, 29) if element == "birth_date" else expected)
    assert document.issuer_signed.validity_info.signed == datetime.fromtimestamp(NOW, UTC)
    assert document.issuer_signed.validity_info.expected_update == datetime.fromtimestamp(NOW + 7 * DAY, UTC)


def test_isomdoc_and_we_refuse_the_same_changes() -> None:
    response = presented(minted())
    other = openid4vp_transcript(
        client_id="x509_hash:Xa9", nonce="4rT0pR", jwk_thumbprint=b"\x11" * 32, response_uri="https://town.example/r"
    )
    with pytest.raises(InvalidSignature):
        by_isomdoc(response, transcript=other)
    with pytest.raises(mdoc.MdocError, match=ReasonCode.DEVICE_AUTHENTICATION_INVALID):
        judge(response, transcript=other)

    changed = response.replace(b"district", b"District")
    with pytest.raises(RuntimeError, match="Digest"):
        by_isomdoc(changed)
    with pytest.raises(mdoc.MdocError, match=ReasonCode.DIGEST_MISMATCH):
        judge(changed)


def test_pymdoccbor_believes_what_we_present() -> None:
    reader = MdocCbor()
    reader.loads(presented(minted()))
    assert reader.verify(trusted_root_certs=[ROOT])
    (document,) = reader.documents
    assert document.hash_verification["verified"] == len(EVERYTHING)
    assert document.issuersigned.issuer_auth.payload_as_dict["status"]["status_list"]["idx"] == 4711
    shown = reader.disclosure_map
    assert shown[NAME_SPACE]["family_name"] == "Weiß-Ågren"
    assert shown[NAME_SPACE]["portrait"] == CLAIMS[NAME_SPACE]["portrait"]
    assert shown[EXTRA] == CLAIMS[EXTRA]


def test_pymdoccbor_and_we_refuse_a_changed_element() -> None:
    changed = presented(minted()).replace(b"district", b"District")
    reader = MdocCbor()
    reader.loads(changed)
    assert not reader.verify(trusted_root_certs=[ROOT])
    with pytest.raises(mdoc.MdocError, match=ReasonCode.DIGEST_MISMATCH):
        judge(changed)


# we read theirs


def judge(response: bytes, *, transcript: bytes = TRANSCRIPT) -> mdoc.IssuedElements:
    """All our steps; the certificate is one of our own authority's."""
    document = mdoc.sole_document(mdoc.parse_device_response(response))
    elements = judge_issuer(document.issuer_signed)
    mso = mdoc.parse_mso(document.issuer_signed)
    verify_device_auth(document, mso, session_transcript=transcript)
    return elements


def judge_issuer(issuer_signed: mdoc.IssuerSigned) -> mdoc.IssuedElements:
    mso = mdoc.parse_mso(issuer_signed)
    leaf = x509.load_der_x509_certificate(mdoc.issuer_chain(issuer_signed)[0])
    leaf.verify_directly_issued_by(ROOT)
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    mdoc.verify_issuer_signature(issuer_signed, key=key)
    mdoc.check_mso(
        mso,
        expected_doc_type=DOC_TYPE,
        signer_not_before=int(leaf.not_valid_before_utc.timestamp()),
        signer_not_after=int(leaf.not_valid_after_utc.timestamp()),
        now=int(time.time()),
    )
    return mdoc.verify_elements(issuer_signed, mso)


def minted_by_isomdoc(**dates: datetime) -> bytes:
    maker = create_mdoc(DOC_TYPE, [x509.load_der_x509_certificate(CERTIFICATE)], ISSUER_KEY)
    add: Any = maker.add_data_item  # takes more kinds of values than it says
    for name_space, elements in CLAIMS.items():
        for element, value in elements.items():
            add(name_space, element, value)
    begin = datetime.fromtimestamp(NOW, UTC)
    made = {"signed_datetime": begin, "valid_from_datetime": begin, "valid_until_datetime": begin + timedelta(days=14)}
    credential = maker.generate_credential(DEVICE_KEY.public_key(), **(made | dates))
    assert isinstance(credential, bytes)
    return credential


def test_we_believe_and_present_what_isomdoc_mints() -> None:
    credential = minted_by_isomdoc(expected_update_datetime=datetime.fromtimestamp(NOW + DAY, UTC))
    issuer_signed = mdoc.parse_issuer_signed(credential)
    assert judge_issuer(issuer_signed).claims == CLAIMS
    mso = mdoc.parse_mso(issuer_signed)
    assert mso.validity == mdoc.Validity(NOW, NOW, NOW + 14 * DAY, NOW + DAY)
    assert mso.device_key == DEVICE_KEY.public_key()

    chosen = frozenset({(NAME_SPACE, "family_name"), (EXTRA, "zone")})
    response = presented(credential, chosen)
    assert frozenset(judge(response).disclosed) == chosen
    assert len(by_isomdoc(response)) == 1


def pymdoccbor_issuer(key: ec.EllipticCurvePrivateKey = ISSUER_KEY, alg: str = "ES256") -> MdocCborIssuer:
    size = (key.key_size + 7) // 8
    private = {
        "KTY": "EC2",
        "CURVE": f"P_{key.key_size}",
        "ALG": alg,
        "D": key.private_numbers().private_value.to_bytes(size, "big"),
        "KID": b"signer",
    }
    return MdocCborIssuer(private_key=private, alg=alg)


def minted_by_pymdoccbor(
    issuer: MdocCborIssuer | None = None, *, certificate: bytes = CERTIFICATE, device: object = None, **more: Any
) -> bytes:
    """A whole DeviceResponse, as pymdoccbor makes of what it mints, without a device's part."""
    issuer = issuer or pymdoccbor_issuer()
    point = DEVICE_KEY.public_key().public_numbers()
    coordinates = {"X": point.x.to_bytes(32, "big"), "Y": point.y.to_bytes(32, "big")}
    begin = datetime.fromtimestamp(NOW, UTC).date()
    issuer.new(
        data={
            NAME_SPACE: {**CLAIMS[NAME_SPACE], "birth_date": "1988-02-29"},  # it adds tag 1004 by the name
            EXTRA: {**CLAIMS[EXTRA]},
        },
        doctype=DOC_TYPE,
        validity={"issuance_date": begin.isoformat(), "expiry_date": (begin + timedelta(days=14)).isoformat()},
        devicekeyinfo=device or {"KTY": "EC2", "CURVE": "P_256", "ALG": "ES256", **coordinates},
        x509_chain=[x509.load_der_x509_certificate(certificate)],
        **more,
    )
    response = issuer.dump()
    assert isinstance(response, bytes)
    return response


def test_we_believe_and_present_what_pymdoccbor_mints() -> None:
    reference = {"status_list": {"idx": 8, "uri": "https://issuer.example/status/2"}}
    response = minted_by_pymdoccbor(revocation=reference)
    document = mdoc.sole_document(mdoc.parse_device_response(response))
    mso = mdoc.parse_mso(document.issuer_signed)
    assert judge_issuer(document.issuer_signed).claims == CLAIMS
    assert mso.device_key == DEVICE_KEY.public_key()
    assert parse_status_reference(mso.status) == StatusReference("https://issuer.example/status/2", 8)

    parts: dict[str, Any] = cbor2.loads(response)
    credential = cbor2.dumps(parts["documents"][0]["issuerSigned"])
    chosen = frozenset({(NAME_SPACE, "birth_date"), (EXTRA, "district")})
    assert judge(presented(credential, chosen)).claims == {
        name_space: {element: CLAIMS[name_space][element]} for name_space, element in chosen
    }


def test_a_response_of_pymdoccbor_alone_lacks_the_devices_part() -> None:
    """§8.3.2.1.2.2: deviceSigned is a member of every document; pymdoccbor makes and believes documents without."""
    response = minted_by_pymdoccbor()
    reader = MdocCbor()
    reader.loads(response)
    assert reader.verify(trusted_root_certs=[ROOT])
    with pytest.raises(mdoc.MdocError, match=ReasonCode.DEVICE_AUTHENTICATION_MISSING):
        judge(response)


# where they are at odds with the standard


def test_isomdoc_does_not_look_at_dates() -> None:
    """§9.3.1: validFrom and validUntil are to be compared with the current time."""
    past = datetime.fromtimestamp(NOW, UTC) - timedelta(hours=2)
    credential = minted_by_isomdoc(
        signed_datetime=past, valid_from_datetime=past, valid_until_datetime=past + timedelta(hours=1)
    )
    response = presented(credential)
    assert by_isomdoc(response)
    with pytest.raises(mdoc.MdocError, match=ReasonCode.CREDENTIAL_EXPIRED):
        judge(response)


def test_isomdoc_digests_an_item_as_it_would_write_it_itself() -> None:
    """§9.1.2.5: the digest is over the bytes as sent, however their sender wrote the length of an item."""
    hand = Hand(issuer_unprotected={33: certified(ec_public(mdoc_by_hand.ISSUER_KEY))})
    short = [cbor2.dumps(encoded(part)) for items in hand.items.values() for part in items]
    written = {item: b"\xd8\x18\x5a\x00\x00\x00" + item[3:] for item in short}  # a length in four bytes
    assert all(item[:3] == b"\xd8\x18\x58" for item in short)
    hand.mso["valueDigests"] = {
        name_space: {part["digestID"]: sha256(written[cbor2.dumps(encoded(part))]).digest() for part in items}
        for name_space, items in hand.items.items()
    }
    response = cbor2.dumps(hand.response())
    for item, longer in written.items():
        response = response.replace(item, longer)

    with pytest.raises(RuntimeError, match="Digest"):
        by_isomdoc(response, transcript=mdoc_by_hand.TRANSCRIPT)
    document = mdoc.sole_document(mdoc.parse_device_response(response))
    mso = mdoc.parse_mso(document.issuer_signed)
    mdoc.verify_issuer_signature(document.issuer_signed, key=mdoc_by_hand.ISSUER.public_key)
    verify_device_auth(document, mso, session_transcript=mdoc_by_hand.TRANSCRIPT)
    assert len(mdoc.verify_elements(document.issuer_signed, mso).disclosed) == len(short)


def test_isomdoc_does_not_read_a_mac() -> None:
    """§9.1.3.5: a device may answer with a MAC for the reader's key."""
    reader = own_key()
    document = build_document(
        mdoc.parse_issuer_signed(minted()),
        doc_type=DOC_TYPE,
        disclose=EVERYTHING,
        session_transcript=TRANSCRIPT,
        device_key=DEVICE_KEY,
        reader_key=reader.public_key(),
    )
    response = build_device_response([document])
    with pytest.raises(RuntimeError, match="deviceSignature"):
        by_isomdoc(response)
    read = mdoc.sole_document(mdoc.parse_device_response(response))
    mso = mdoc.parse_mso(read.issuer_signed)
    verify_device_auth(read, mso, session_transcript=TRANSCRIPT, mac_key=reader)


def believed_by_pymdoccbor(response: bytes) -> bool:
    reader = MdocCbor()
    reader.loads(response)
    return bool(reader.verify(trusted_root_certs=[ROOT]))


def test_pymdoccbor_believes_elements_of_a_name_space_that_nobody_signed() -> None:
    """§9.3.1: each element is held against its digest in the MSO; one without a digest is refused."""
    parts = cbor2.loads(presented(minted()))
    parts["documents"][0]["issuerSigned"]["nameSpaces"]["org.example.forged.1"] = [
        encoded({"digestID": 0, "random": bytes(32), "elementIdentifier": "entitled", "elementValue": True})
    ]
    forged = cbor2.dumps(parts)
    assert believed_by_pymdoccbor(forged)
    with pytest.raises(RuntimeError, match="namespace"):
        by_isomdoc(forged)
    with pytest.raises(mdoc.MdocError, match=ReasonCode.DIGEST_MISSING):
        judge(forged)


def test_pymdoccbor_does_not_look_at_the_devices_signature() -> None:
    """§9.1.3, §9.3.1: without it anybody who ever saw the answer can show it again."""
    parts = cbor2.loads(presented(minted()))
    parts["documents"][0]["deviceSigned"]["deviceAuth"]["deviceSignature"][3] = bytes(64)
    copied = cbor2.dumps(parts)
    assert believed_by_pymdoccbor(copied)
    with pytest.raises(mdoc.MdocError, match=ReasonCode.DEVICE_AUTHENTICATION_INVALID):
        judge(copied)


def test_pymdoccbor_knows_one_digest_only_when_it_reads() -> None:
    """§9.1.2.5 has SHA-256, SHA-384 and SHA-512; what it mints with ES384 it does not believe itself, but we do."""
    reader = MdocCbor()
    reader.loads(presented(minted(digest_algorithm="SHA-512")))
    assert not reader.verify()

    key = own_key("ES384")
    response = minted_by_pymdoccbor(pymdoccbor_issuer(key, "ES384"), certificate=certified(key.public_key()))
    document = mdoc.sole_document(mdoc.parse_device_response(response))
    assert mdoc.parse_mso(document.issuer_signed).digest_algorithm == "SHA-384"
    assert judge_issuer(document.issuer_signed).claims == CLAIMS
    again = MdocCbor()
    again.loads(response)
    assert not again.verify()


def pem(key: Any) -> str:
    return base64url.encode(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)) + "=="


def test_pymdoccbor_drops_zeros_of_a_device_key() -> None:
    """RFC 9053 §7.1.1: leading zero octets of a coordinate must be preserved."""
    key = DEVICE_KEY.public_key()
    while key.public_numbers().x >> 248:
        key = own_key().public_key()
    document = mdoc.sole_document(mdoc.parse_device_response(minted_by_pymdoccbor(device=pem(key))))
    with pytest.raises(mdoc.MdocError, match=ReasonCode.HOLDER_KEY_INVALID):
        mdoc.parse_mso(document.issuer_signed)


def test_pymdoccbor_names_the_curve_of_ed25519_in_words() -> None:
    """RFC 9053 §7.1: the curve's identifier is the number 6."""
    key = generate_signer("EdDSA").public_key
    document = mdoc.sole_document(mdoc.parse_device_response(minted_by_pymdoccbor(device=pem(key))))
    with pytest.raises(mdoc.MdocError, match=ReasonCode.HOLDER_KEY_INVALID):
        mdoc.parse_mso(document.issuer_signed)


def test_pymdoccbor_puts_a_credentials_status_where_the_responses_stands() -> None:
    """§8.3.2.1.2.2: the member status of a DeviceResponse is an unsigned integer; nobody signed this one."""
    reference: Mapping[str, CborValue] = {"status_list": {"idx": 8, "uri": "https://issuer.example/status/2"}}
    response = minted_by_pymdoccbor(status=dict(reference))
    reader = MdocCbor()
    reader.loads(response)
    assert reader.verify()
    with pytest.raises(mdoc.MdocError, match=ReasonCode.MDOC_MALFORMED):
        mdoc.parse_device_response(response)
