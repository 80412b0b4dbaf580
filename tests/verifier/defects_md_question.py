"""Defects against the question, and of an mdoc's status: another type, element, value or authority; revoked."""

from dataclasses import replace

from cryptography import x509

from specs.credentials.status_list import compress
from specs.encoding import base64url
from specs.keys.cose import TYP
from specs.keys.signer import generate_signer
from specs.protocols.dcql import parse_dcql
from tests.defects import defect
from tests.verifier.mdoc_presentation import OTHER_NAME_SPACE, MdocPresentation, Stage, twin
from tests.verifier.world import DOC_TYPE, NAME_SPACE, STATUS_URI
from verifier import ReasonCode

SUB, EXP, STATUS_LIST = 2, 4, 65533


@defect("md-082", refused_as=ReasonCode.TYPE_MISMATCH)
def another_type(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §8.6: a driving licence where a PID was asked for."""
    shown.doc_type = "org.iso.18013.5.1.mDL"
    return shown


@defect("md-083", refused_as=ReasonCode.CLAIMS_MISSING)
def in_another_name_space(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §7.2: an element is one of its name space."""
    city = shown.elements[NAME_SPACE].pop("resident_city")
    shown.elements[OTHER_NAME_SPACE] = {"resident_city": city}
    return shown


def asking_for_a_city(shown: MdocPresentation) -> MdocPresentation:
    """The question admits two cities."""
    return shown.asking(
        {"path": [NAME_SPACE, "family_name"]},
        {"path": [NAME_SPACE, "resident_city"], "values": ["LEIPZIG", "MARKKLEEBERG"]},
    )


@defect("md-084", refused_as=ReasonCode.CLAIM_VALUE_MISMATCH)
@twin(asking_for_a_city)
def another_value(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §6.4: none of the values that were asked for."""
    shown.elements[NAME_SPACE]["resident_city"] = "DRESDEN"
    return shown


@defect("md-085", refused_as=ReasonCode.QUERY_ID_UNKNOWN)
def unknown_query_id(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §8.6: nobody asked this."""
    return shown.at(Stage.VP_TOKEN, lambda token: {"other": token["pid"]})


def asking_for_an_authority(shown: MdocPresentation) -> MdocPresentation:
    """The question names the authority whose key is the anchor's."""
    return asking_authority(shown, authority_key(shown))


def authority_key(shown: MdocPresentation) -> bytes:
    """The key identifier of the authority that certified the signer."""
    leaf = x509.load_der_x509_certificate(shown.identity.chain[0])
    found = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert found is not None
    return found


def asking_authority(shown: MdocPresentation, identifier: bytes) -> MdocPresentation:
    """The question names an authority."""
    return shown.asking(
        {"path": [NAME_SPACE, "family_name"]},
        {"path": [NAME_SPACE, "resident_city"]},
        trusted_authorities=[{"type": "aki", "values": [base64url.encode(identifier)]}],
    )


@defect("md-086", refused_as=ReasonCode.TRUSTED_AUTHORITY_MISMATCH)
@twin(asking_for_an_authority)
def another_authority(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §6.1.1.1: none of the chain is the named authority's."""
    return asking_authority(shown, bytes(20))


def asking_twice(shown: MdocPresentation) -> MdocPresentation:
    """Two credentials are asked for, and shown."""
    entries = [
        {
            "id": name,
            "format": "mso_mdoc",
            "meta": {"doctype_value": DOC_TYPE},
            "claims": [{"path": [NAME_SPACE, "family_name"]}, {"path": [NAME_SPACE, "resident_city"]}],
        }
        for name in ("pid", "second")
    ]
    shown.query = parse_dcql({"credentials": entries})  # type: ignore[dict-item]  # JSON values
    second = MdocPresentation(shown.world).text()
    return shown.at(Stage.VP_TOKEN, lambda token: {**token, "second": [second]})


@defect("md-087", refused_as=ReasonCode.DEVICE_AUTHENTICATION_INVALID)
@twin(asking_twice)
def second_of_another_session(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §14.1: one presentation of another session refuses the whole answer."""
    foreign = MdocPresentation(shown.world).transcribed(nonce="another nonce").text()
    return shown.at(Stage.VP_TOKEN, lambda token: {**token, "second": [foreign]})


@defect("md-088", refused_as=ReasonCode.STATUS_REVOKED)
def revoked(shown: MdocPresentation) -> MdocPresentation:
    """Token Status List §8.3: index 7 of a list with two bits says INVALID."""
    return shown.set(Stage.STATUS_CLAIMS, STATUS_LIST, "lst", to=compress(b"\x00\x40" + bytes(248)))


@defect("md-089", refused_as=ReasonCode.STATUS_LIST_MALFORMED)
def list_of_another_typ(shown: MdocPresentation) -> MdocPresentation:
    """Token Status List §5.2: the type says what it is."""
    return shown.set(Stage.STATUS_PROTECTED, TYP, to="application/cwt")


@defect("md-090", refused_as=ReasonCode.STATUS_LIST_MISMATCH)
def list_of_another_address(shown: MdocPresentation) -> MdocPresentation:
    """Token Status List §8.3: its subject is the address that the credential names."""
    return shown.set(Stage.STATUS_CLAIMS, SUB, to=STATUS_URI + "2")


@defect("md-090b", refused_as=ReasonCode.STATUS_LIST_EXPIRED)
def list_expired(shown: MdocPresentation) -> MdocPresentation:
    """Token Status List §8.3: past its own end."""
    return shown.set(Stage.STATUS_CLAIMS, EXP, to=shown.now - 60)


@defect("md-090c", refused_as=ReasonCode.STATUS_LIST_EXPIRED)
def copy_outlived_its_ttl(shown: MdocPresentation) -> MdocPresentation:
    """Token Status List §8.3: a copy is good for `ttl` seconds from when it was fetched."""
    shown.fetched_at = shown.now - 300 - 61
    return shown


@defect("md-091", refused_as=ReasonCode.STATUS_LIST_UNTRUSTED)
def list_signed_by_another(shown: MdocPresentation) -> MdocPresentation:
    """Token Status List §8.3: signed by another key than the certificate's."""
    shown.status_sign = generate_signer().sign
    return shown


@defect("md-091b", refused_as=ReasonCode.STATUS_LIST_UNTRUSTED)
def list_without_anchors(shown: MdocPresentation) -> MdocPresentation:
    """Contract: a domain without status anchors believes no list, not even its issuers'."""
    shown.domain = replace(shown.domain, status_anchors=())
    return shown


@defect("md-092", refused_as=ReasonCode.STATUS_INDEX_OUT_OF_RANGE)
def index_beyond(shown: MdocPresentation) -> MdocPresentation:
    """Token Status List §8.3: the list has 1000 places, the first is 0."""
    return shown.set(Stage.MSO, "status", "status_list", "idx", to=1000)


@defect("md-093", refused_as=ReasonCode.STATUS_MALFORMED)
def index_negative(shown: MdocPresentation) -> MdocPresentation:
    """Token Status List §6.3: unsigned."""
    return shown.set(Stage.MSO, "status", "status_list", "idx", to=-1)


@defect("md-093b", refused_as=ReasonCode.STATUS_MALFORMED)
def status_null(shown: MdocPresentation) -> MdocPresentation:
    """Token Status List §6.3: a status that says nothing is no credential without one."""
    return shown.set(Stage.MSO, "status", to=None)
