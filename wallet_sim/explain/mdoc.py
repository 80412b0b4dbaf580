"""An mdoc: an issuer's, an answer of a device, or a device's engagement (ISO/IEC 18013-5)."""

from cryptography.hazmat.primitives.asymmetric import rsa

from specs.credentials import mdoc
from specs.credentials.mdoc_values import json_value
from specs.encoding import cbor, strict_json
from specs.encoding.cbor import CborMap
from specs.refusal import Refusal
from specs.trust.parsed_certificate import parse_certificate
from wallet_sim.explain.certificates import explain_chain
from wallet_sim.explain.explanation import Explanation, moment


def explain_cbor(data: bytes, *, now: int) -> Explanation:
    """CBOR, whatever it is for. now: seconds since the epoch.

    Raises:
        Malformed: no CBOR.
    """
    value = cbor.decode(data)
    if isinstance(value, dict):
        if "issuerAuth" in value:
            return _issued(data, now=now)
        if "documents" in value or "documentErrors" in value:
            return _response(data, now=now)
        if "docRequests" in value:
            return _request(value)
        if 1 in value and 0 in value:
            said = Explanation("device_engagement")
            said.fact("version", value[0])
            return said
    said = Explanation("cbor")
    said.fact("content", type(value).__name__)
    return said


def _issued(data: bytes, *, now: int) -> Explanation:
    said = Explanation("mdoc_issued")
    try:
        _explain_issuer_signed(mdoc.parse_issuer_signed(data), said, now=now)
    except Refusal as error:
        said.refused(error, "ISO/IEC 18013-5 §8.3.2.1.2.2")
    return said


def _response(data: bytes, *, now: int) -> Explanation:
    said = Explanation("device_response")
    try:
        for document in mdoc.parse_device_response(data).documents:
            part = Explanation("mdoc_document")
            part.fact("doctype", document.doc_type)
            said.parts.append(part)
            try:
                _explain_issuer_signed(document.issuer_signed, part, now=now)
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


def _explain_issuer_signed(issuer_signed: mdoc.IssuerSigned, said: Explanation, *, now: int) -> None:
    mso = mdoc.parse_mso(issuer_signed)
    said.fact("doctype", mso.doc_type)
    said.fact("not_before", moment(mso.validity.valid_from))
    said.fact("not_after", moment(mso.validity.valid_until))
    for name_space, items in issuer_signed.name_spaces.items():
        for item in items:
            name, value = mdoc.parse_item(item)
            said.fact("element", f"{name_space}/{name} = {strict_json.dumps(json_value(value)).decode()}")
    if mso.validity.valid_until < now:
        said.wrong("expired", moment(mso.validity.valid_until), "ISO/IEC 18013-5 §9.3.1")
    if mso.validity.valid_from > now:
        said.wrong("not_yet", moment(mso.validity.valid_from), "ISO/IEC 18013-5 §9.3.1")
    chain = mdoc.issuer_chain(issuer_signed)
    said.parts += explain_chain(chain, now=now)
    key = parse_certificate(chain[0]).key
    if isinstance(key, rsa.RSAPublicKey):
        said.wrong("algorithm", "RSA", "ISO/IEC 18013-5 §9.1.2.4")
        return
    try:
        mdoc.verify_issuer_signature(issuer_signed, key=key)
        said.fact("signature", "✓")
    except Refusal as error:
        said.wrong("signature", error.reason.value, "ISO/IEC 18013-5 §9.3.1")
    mdoc.verify_elements(issuer_signed, mso)
