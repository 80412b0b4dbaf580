"""The libraries `isomdoc` and `pymdoccbor` read what we mint, and we read what they mint; where they err, we say so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
import isomdoc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pymdoccbor.mdoc.issuer import MdocCborIssuer
from pymdoccbor.mdoc.verifier import MdocCbor

from specs.credentials import mdoc
from specs.credentials.mdoc_device import DeviceAuthMethod, build_device_response, build_document, verify_device_auth
from specs.credentials.mdoc_issue import build_issuer_signed, mdoc_identity
from specs.encoding.cbor import CborValue
from specs.keys.signer import FileSigner, SigningIdentity, generate_signer
from specs.refusal import ReasonCode
from tests.specs.credentials.mdoc_drawing import ALL, CLAIMS, DOC_TYPE, NAME_SPACE, TRANSCRIPT

pytestmark = pytest.mark.interop

NOW = int(datetime.now(UTC).timestamp()) // 3600 * 3600  # the peers read the clock themselves
ISSUER_KEY = ec.generate_private_key(ec.SECP256R1())
DEVICE_KEY = ec.generate_private_key(ec.SECP256R1())
NAMES = x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"), x509.NameAttribute(NameOID.COMMON_NAME, "Signer")])
CERTIFICATE = (
    x509.CertificateBuilder(NAMES, NAMES, ISSUER_KEY.public_key(), x509.random_serial_number())
    .not_valid_before(datetime.fromtimestamp(NOW, UTC) - timedelta(days=1))
    .not_valid_after(datetime.fromtimestamp(NOW, UTC) + timedelta(days=400))
    .sign(ISSUER_KEY, SHA256())
)
VALIDITY = mdoc.Validity(NOW, NOW, NOW + 14 * 86400)


def issued(validity: mdoc.Validity = VALIDITY) -> bytes:
    chain = (CERTIFICATE.public_bytes(Encoding.DER),)
    return build_issuer_signed(
        mdoc_identity(SigningIdentity(FileSigner(ISSUER_KEY), chain)),
        doc_type=DOC_TYPE,
        claims=CLAIMS,
        device_key=DEVICE_KEY.public_key(),
        validity=validity,
    )


def answered(issuer_signed: bytes, *, by: FileSigner | None = None, doc_type: str = DOC_TYPE) -> bytes:
    held = mdoc.parse_issuer_signed(issuer_signed)
    shown = [(ns, mdoc.parse_item(item)[0]) for ns, items in held.name_spaces.items() for item in items]
    document = build_document(
        held,
        doc_type=doc_type,
        disclose=shown,
        session_transcript=TRANSCRIPT,
        device_key=by or FileSigner(DEVICE_KEY),
    )
    return build_device_response([document])


def judged(response: bytes) -> dict[str, dict[str, CborValue]]:
    """Issuer and device, without a path: the peers' certificate stands for itself."""
    document = mdoc.sole_document(mdoc.parse_device_response(response))
    mso = mdoc.parse_mso(document.issuer_signed)
    mdoc.verify_issuer_signature(document.issuer_signed, key=ISSUER_KEY.public_key())
    if document.device_signed is not None:
        device = verify_device_auth(document, mso, session_transcript=TRANSCRIPT)
        assert device.method is DeviceAuthMethod.SIGNATURE
    return mdoc.verify_elements(document.issuer_signed, mso).claims


# isomdoc


def read_by_isomdoc(response: bytes) -> Any:
    read: Any = isomdoc.verify_device_response(response, cbor2.loads(TRANSCRIPT))
    return read.documents[0]


def test_isomdoc_believes_our_answer() -> None:
    document = read_by_isomdoc(answered(issued()))
    for name_space, element in ALL - {(NAME_SPACE, "birth_date"), (NAME_SPACE, "issued_at")}:
        assert document.issuer_signed.get_element_value(name_space, element) == CLAIMS[name_space][element]
    assert document.issuer_signed.get_element_value(NAME_SPACE, "birth_date").isoformat() == "1991-03-07"
    assert document.issuer_signed.validity_info.valid_until == datetime.fromtimestamp(VALIDITY.valid_until, UTC)
    assert document.issuer_signed.device_key == DEVICE_KEY.public_key()


def test_we_believe_what_isomdoc_mints() -> None:
    """It numbers digests in the order of the claims, so that an id tells its element; ours are drawn by lot."""
    peer = isomdoc.create_mdoc("d.1", [CERTIFICATE], ISSUER_KEY)
    peer.add_data_item("n.1", "family_name", "Müller")
    peer.add_data_item("n.1", "age_over_18", True)
    peer.add_data_item("n.1", "portrait", bytes(300))
    minted = peer.generate_credential(DEVICE_KEY.public_key())

    elements = judged(answered(minted, doc_type="d.1"))

    assert elements == {"n.1": {"family_name": "Müller", "age_over_18": True, "portrait": bytes(300)}}


def test_isomdoc_refuses_another_device_as_we_do() -> None:
    """§9.1.3: the device signature is the phone's own, or nothing holds."""
    stolen = answered(issued(), by=generate_signer())
    with pytest.raises(Exception):  # noqa: B017  # it lets the exceptions of its libraries through
        read_by_isomdoc(stolen)
    with pytest.raises(mdoc.MdocError) as refusal:
        judged(stolen)
    assert refusal.value.reason is ReasonCode.DEVICE_AUTHENTICATION_INVALID


def test_isomdoc_takes_an_expired_mdoc() -> None:
    """§9.3.1 has the reader compare validUntil with the current time; it leaves that to its caller. We refuse."""
    old = mdoc.Validity(NOW - 7200, NOW - 7200, NOW - 3600)
    response = answered(issued(old))
    assert read_by_isomdoc(response).issuer_signed.get_element_value(NAME_SPACE, "entitled") is True
    mso = mdoc.parse_mso(mdoc.sole_document(mdoc.parse_device_response(response)).issuer_signed)
    with pytest.raises(mdoc.MdocError) as refusal:
        mdoc.check_mso(
            mso, expected_doc_type=DOC_TYPE, signer_not_before=NOW - 86400, signer_not_after=NOW + 86400, now=NOW
        )
    assert refusal.value.reason is ReasonCode.CREDENTIAL_EXPIRED


# pymdoccbor


def read_by_pymdoccbor(response: bytes) -> tuple[bool, dict[str, dict[str, object]]]:
    peer = MdocCbor()
    peer.loads(response)
    return peer.verify([CERTIFICATE]), peer.disclosure_map


def minted_by_pymdoccbor(**more: object) -> bytes:
    private, device = ISSUER_KEY.private_numbers(), DEVICE_KEY.public_key().public_numbers()
    public = private.public_numbers
    key = {"KTY": "EC2", "CURVE": "P_256", "ALG": "ES256", "KID": b"1", "D": octets(private.private_value)}
    peer = MdocCborIssuer(private_key={**key, "X": octets(public.x), "Y": octets(public.y)}, alg="ES256")
    peer.new(
        doctype="d.1",
        data={"n.1": {"family_name": "Müller", "birth_date": "1991-03-07", "nationality": ["DE"]}},
        validity={"issuance_date": "2026-01-01", "expiry_date": f"{datetime.now(UTC).year + 1}-12-31"},
        devicekeyinfo={"KTY": "EC2", "CURVE": "P_256", "X": octets(device.x), "Y": octets(device.y)},
        x509_chain=[CERTIFICATE],
        **more,
    )
    dumped: bytes = peer.dump()
    return dumped


def octets(number: int) -> bytes:
    return number.to_bytes(32, "big")


def test_pymdoccbor_believes_our_answer() -> None:
    believed, claims = read_by_pymdoccbor(answered(issued()))
    assert believed
    assert claims[NAME_SPACE]["family_name"] == CLAIMS[NAME_SPACE]["family_name"]
    assert claims[NAME_SPACE]["address"] == CLAIMS[NAME_SPACE]["address"]
    assert claims["de.leipzig.extra.1"] == {"zone": -7}


def test_we_believe_what_pymdoccbor_mints() -> None:
    status = {"status_list": {"idx": 3, "uri": "https://city.example/lists/1"}}
    response = minted_by_pymdoccbor(revocation=status)
    document = mdoc.sole_document(mdoc.parse_device_response(response))

    assert mdoc.parse_mso(document.issuer_signed).status == status
    assert judged(response) == {
        "n.1": {"family_name": "Müller", "birth_date": cbor2.CBORTag(1004, "1991-03-07"), "nationality": ["DE"]}
    }


def test_what_pymdoccbor_mints_can_be_shown_by_our_holder() -> None:
    document = mdoc.sole_document(mdoc.parse_device_response(minted_by_pymdoccbor()))
    sign1 = document.issuer_signed.issuer_auth
    handed_out = cbor2.dumps(
        {
            "nameSpaces": {
                name_space: [cbor2.CBORTag(24, item) for item in items]
                for name_space, items in document.issuer_signed.name_spaces.items()
            },
            "issuerAuth": [sign1.protected, sign1.unprotected, sign1.payload, sign1.signature],
        }
    )
    assert judged(answered(handed_out, doc_type="d.1"))["n.1"]["family_name"] == "Müller"


def test_pymdoccbor_does_not_look_at_the_device() -> None:
    """§9.1.3 has the reader authenticate the device; it never does, so it takes a copy from any phone. We refuse."""
    stolen = answered(issued(), by=generate_signer())
    assert read_by_pymdoccbor(stolen)[0]
    with pytest.raises(mdoc.MdocError) as refusal:
        judged(stolen)
    assert refusal.value.reason is ReasonCode.DEVICE_AUTHENTICATION_INVALID


def test_pymdoccbor_puts_a_status_where_none_belongs() -> None:
    """Its argument `status` replaces the response's own status code (§8.3.2.1.2.2: uint) and never reaches the MSO."""
    response = minted_by_pymdoccbor(status={"status_list": {"idx": 3, "uri": "https://city.example/lists/1"}})
    with pytest.raises(mdoc.MdocError) as refusal:
        mdoc.parse_device_response(response)
    assert refusal.value.reason is ReasonCode.MDOC_MALFORMED
