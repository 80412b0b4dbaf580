"""An mdoc: an issuer's, an answer of a device, or a device's engagement (ISO/IEC 18013-5)."""

from specs.credentials import mdoc
from specs.credentials.mdoc_values import json_value
from specs.encoding import cbor, strict_json
from specs.encoding.cbor import CborMap
from specs.refusal import Refusal
from specs.trust.x509 import CertificateProfile
from wallet_sim.explain.certificates import signing_key
from wallet_sim.explain.cwt import explain_cwt, is_sign1
from wallet_sim.explain.explanation import Explanation, Judging, moment
from wallet_sim.explain.trust import explain_vouching

_MDL = "org.iso.18013.5.1.mDL"


def explain_cbor(data: bytes, *, judging: Judging) -> Explanation:
    """CBOR, whatever it is for.

    Raises:
        Malformed: no CBOR.
    """
    value = cbor.decode(data)
    if isinstance(value, dict):
        if "issuerAuth" in value:
            return _issued(data, judging=judging)
        if "documents" in value or "documentErrors" in value:
            return _response(data, judging=judging)
        if "docRequests" in value:
            return _request(value)
        if 1 in value and 0 in value:
            said = Explanation("device_engagement")
            said.fact("version", value[0])
            return said
    if is_sign1(value):
        return explain_cwt(data, value, judging=judging)
    said = Explanation("cbor")
    said.fact("content", type(value).__name__)
    return said


def _issued(data: bytes, *, judging: Judging) -> Explanation:
    said = Explanation("mdoc_issued")
    try:
        _explain_issuer_signed(mdoc.parse_issuer_signed(data), said, judging=judging)
    except Refusal as error:
        said.refused(error, "ISO/IEC 18013-5 §8.3.2.1.2.2")
    return said


def _response(data: bytes, *, judging: Judging) -> Explanation:
    said = Explanation("device_response")
    try:
        for document in mdoc.parse_device_response(data).documents:
            part = Explanation("mdoc_document")
            part.fact("doctype", document.doc_type)
            said.parts.append(part)
            try:
                _explain_issuer_signed(document.issuer_signed, part, judging=judging)
            except Refusal as error:
                part.refused(error, "ISO/IEC 18013-5 §9.1.2")
    except Refusal as error:
        said.refused(error, "ISO/IEC 18013-5 §8.3.2.1.2.2")
    return said


def _request(value: CborMap) -> Explanation:
    said = Explanation("device_request")
    said.fact("version", value.get("version"))
    requests = value.get("docRequests")
    said.fact("documents", len(requests) if isinstance(requests, list) else 0)
    return said


def _explain_issuer_signed(issuer_signed: mdoc.IssuerSigned, said: Explanation, *, judging: Judging) -> None:
    mso = mdoc.parse_mso(issuer_signed)
    said.fact("doctype", mso.doc_type)
    said.fact("not_before", moment(mso.validity.valid_from))
    said.fact("not_after", moment(mso.validity.valid_until))
    for name_space, items in issuer_signed.name_spaces.items():
        for item in items:
            name, value = mdoc.parse_item(item)
            said.fact("element", f"{name_space}/{name} = {strict_json.dumps(json_value(value)).decode()}")
    if mso.validity.valid_until < judging.now:
        said.wrong("expired", moment(mso.validity.valid_until), "ISO/IEC 18013-5 §9.3.1")
    if mso.validity.valid_from > judging.now:
        said.wrong("not_yet", moment(mso.validity.valid_from), "ISO/IEC 18013-5 §9.3.1")
    chain = mdoc.issuer_chain(issuer_signed)
    profile = CertificateProfile.ISO_MDL if mso.doc_type == _MDL else CertificateProfile.EAA
    explain_vouching(chain, said, profile=profile, judging=judging)
    try:
        mdoc.verify_issuer_signature(issuer_signed, key=signing_key(chain[0]))
        said.fact("signature", "✓")
    except Refusal as error:
        said.wrong("signature", error.reason.value, "ISO/IEC 18013-5 §9.3.1")
    mdoc.verify_elements(issuer_signed, mso)
