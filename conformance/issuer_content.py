"""Checks of issued credentials: form, signature, dates, binding, status."""

import hashlib
import time
from urllib.parse import urlsplit

from conformance.check import HIGH_ASSURANCE, Failed, NotApplicable, Registry
from conformance.credential_content import (
    MDL,
    MDOC,
    SD_JWT,
    Content,
    ReadSdJwt,
    checked_chain,
    content_of,
    leaf_key,
    mdl_elements,
    read_mdoc,
    read_sd_jwt,
)
from conformance.exchange import JSON
from conformance.issuer_session import Collected, collected, kept
from conformance.issuer_target import IssuerTarget, shown
from specs.credentials import mdoc
from specs.credentials.status_list import (
    Status,
    StatusListToken,
    StatusReference,
    parse_status_list_jwt,
    verify_status_list,
)
from specs.credentials.type_metadata import check_claims, check_integrity, load_type
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import key_thumbprint
from specs.trust.x509 import CertificateProfile

CONTENT_CHECKS: Registry[IssuerTarget] = Registry()
_check = CONTENT_CHECKS.check
_STATUS_TYPE = "application/statuslist+jwt"
_SKEW = 60


def _collected(target: IssuerTarget, form: str) -> Collected:
    return collected(target, form)


def _sd_jwt(target: IssuerTarget) -> ReadSdJwt:
    return read_sd_jwt(_collected(target, SD_JWT).credentials[0])


def _mdoc(target: IssuerTarget) -> tuple[mdoc.IssuerSigned, mdoc.Mso]:
    return read_mdoc(_collected(target, MDOC).credentials[0])


def _is_haip(target: IssuerTarget) -> bool:
    return target.profile in HIGH_ASSURANCE


# SD-JWT VC


@_check("sdjwt-form", "RFC 9901 §4, §7.1; SD-JWT VC §2.2.1, §2.2.2")
def sdjwt_form(target: IssuerTarget) -> str:
    """An SD-JWT VC reads as one: typ dc+sd-jwt, ends with ~, disclosures fit, the certificate's key verifies it."""
    read = _sd_jwt(target)
    return f"{len(read.sd_jwt.disclosures)} disclosures, {read.issuer_jwt.jws.alg}"


@_check("sdjwt-vct", "SD-JWT VC §2.2.2.1; OpenID4VCI 1.0 App. A.3.2")
def sdjwt_vct(target: IssuerTarget) -> str:
    """Vct is the one of the metadata."""
    vct, wanted = _sd_jwt(target).credential.vct, target.configurations[target.configuration(SD_JWT)].get("vct")
    if vct != wanted:
        raise Failed(shown(wanted), vct)
    return vct


@_check("sdjwt-dates", "SD-JWT VC §2.2.2.2; RFC 7519 §4.1")
def sdjwt_dates(target: IssuerTarget) -> str:
    """Iat and nbf are not ahead, exp is."""
    payload, now = _sd_jwt(target).payload, time.time()
    for name in ("iat", "nbf", "exp"):
        value = payload.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise Failed(f"{name}, a number", shown(value))
        is_right = value > now if name == "exp" else value <= now + _SKEW
        if not is_right:
            raise Failed(f"{name} {'ahead' if name == 'exp' else 'not ahead'}", shown(value))
    return ", ".join(name for name in ("iat", "nbf", "exp") if name in payload)


@_check("sdjwt-cnf", "SD-JWT VC §2.2.2.2; RFC 7800 §3.2")
def sdjwt_cnf(target: IssuerTarget) -> str:
    """Cnf holds the public key that was proved, and nothing else."""
    confirmation = _sd_jwt(target).credential.confirmation
    got = _collected(target, SD_JWT)
    if confirmation is None:
        raise NotApplicable("the credential is bound to no key")
    jwk = confirmation.get("jwk")
    if not isinstance(jwk, dict) or "d" in jwk:
        raise Failed("cnf.jwk, a public key", shown(sorted(confirmation)))
    _bound_to_ours(content_of(got.credentials[0], SD_JWT), got)
    return "the key that was proved"


@_check("sdjwt-cnf-minimal", "RFC 7800 §3.2; RFC 7517 §4", is_advice=True)
def sdjwt_cnf_minimal(target: IssuerTarget) -> str:
    """Cnf names the key and nothing that tells more of the wallet."""
    confirmation = _sd_jwt(target).credential.confirmation or {}
    jwk = confirmation.get("jwk")
    if not isinstance(jwk, dict):
        raise NotApplicable("the credential is bound to no key")
    extra = sorted((confirmation.keys() - {"jwk"}) | (jwk.keys() - {"kty", "crv", "x", "y", "alg", "use", "kid"}))
    if extra:
        raise Failed("jwk with kty, crv, x, y", f"also {', '.join(extra)}")
    return "jwk alone"


def _bound_to_ours(content: Content, got: Collected) -> None:
    if content.holder not in {key_thumbprint(key.public_key) for key in got.keys}:
        raise Failed("the key that was proved", "another key")


@_check("sdjwt-salts", "RFC 9901 §9.3")
def sdjwt_salts(target: IssuerTarget) -> str:
    """Each disclosure has a salt of its own, of 128 bits or more."""
    salts = content_of(_collected(target, SD_JWT).credentials[0], SD_JWT).salts
    if len(set(salts)) != len(salts):
        raise Failed("salts that differ", "one twice")
    if any(len(salt) < 22 for salt in salts):
        raise Failed("salts of 128 bits or more", "a shorter one")
    return f"{len(salts)} salts"


@_check("sdjwt-certificates", "HAIP 1.0 §6.1.1; RFC 7515 §4.1.6")
def sdjwt_certificates(target: IssuerTarget) -> str:
    """The certificates of an SD-JWT VC lead to its trust anchor, which is not among them."""
    chain = _sd_jwt(target).issuer_jwt.chain
    return checked_chain(
        chain, anchors=target.anchors, profile=CertificateProfile.EAA, now=int(time.time()), is_haip=_is_haip(target)
    )


@_check("sdjwt-hidden-claims", "SD-JWT VC §2.2.2.2; RFC 9901 §9.7")
def sdjwt_hidden_claims(target: IssuerTarget) -> str:
    """iss, nbf, exp, cnf, vct and status can't be left out by the holder."""
    read = _sd_jwt(target)
    fixed = {"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"}
    hidden = sorted({str(place[0]) for place in read.credential.processed.places if place} & fixed)
    if hidden:
        raise Failed("none of these disclosable", ", ".join(hidden))
    return "none of them is disclosable"


@_check("sdjwt-type-metadata", "SD-JWT VC §4, §6.2")
def sdjwt_type_metadata(target: IssuerTarget) -> str:
    """Where vct is an https URL its type metadata are there, and the credential keeps to them."""
    read = _sd_jwt(target)
    if urlsplit(read.credential.vct).scheme not in ("https", "http"):
        raise NotApplicable("vct is no URL")
    documents: dict[str, bytes] = {}
    answer = target.get(read.credential.vct)
    if answer.status != 200 or answer.media_type != JSON:
        raise Failed(f"200 {JSON} at the vct", answer.described)
    documents[read.credential.vct] = answer.body
    if read.credential.vct_integrity is not None:
        check_integrity(answer.body, read.credential.vct_integrity)
    metadata = load_type(read.credential.vct, integrity=read.credential.vct_integrity, documents=documents)
    check_claims(metadata, read.credential.processed)
    return "kept to"


@_check("credential-ends", "HAIP 1.0 §6.1", is_advice=True)
def credential_ends(target: IssuerTarget) -> str:
    """A credential has an end or a status."""
    content = content_of(_collected(target, SD_JWT).credentials[0], SD_JWT)
    if "exp" not in content.times and content.status is None:
        raise Failed("exp or status", "neither")
    return ", ".join(["exp"] * ("exp" in content.times) + ["status"] * (content.status is not None))


# mdoc


@_check("mdoc-form", "OpenID4VCI 1.0 App. A.2.4; ISO/IEC 18013-5 §8.3.2.1.2.2")
def mdoc_form(target: IssuerTarget) -> str:
    """An mdoc is IssuerSigned in base64url without padding."""
    text = _collected(target, MDOC).credentials[0]
    if "=" in text or "+" in text or "/" in text:
        raise Failed("base64url without padding", "another encoding")
    issuer_signed, mso = _mdoc(target)
    return f"{sum(map(len, issuer_signed.name_spaces.values()))} elements of {mso.doc_type}"


@_check("mdoc-signature", "ISO/IEC 18013-5 §9.1.2.4")
def mdoc_signature(target: IssuerTarget) -> str:
    """The certificate in the unprotected x5chain verifies the signature."""
    issuer_signed, _ = _mdoc(target)
    chain = mdoc.issuer_chain(issuer_signed)
    mdoc.verify_issuer_signature(issuer_signed, key=leaf_key(chain))
    return f"verified, {len(chain)} certificates"


@_check("mdoc-certificates", "ISO/IEC 18013-5 §9.3.1, Annex B; HAIP 1.0 §6.1.1")
def mdoc_certificates(target: IssuerTarget) -> str:
    """The certificates of an mdoc lead to its trust anchor, which is not among them."""
    issuer_signed, mso = _mdoc(target)
    profile = CertificateProfile.ISO_MDL if mso.doc_type == MDL else CertificateProfile.EAA
    chain = mdoc.issuer_chain(issuer_signed)
    return checked_chain(chain, anchors=target.anchors, profile=profile, now=int(time.time()), is_haip=_is_haip(target))


@_check("mdoc-digests", "ISO/IEC 18013-5 §9.1.2.4, §9.1.2.5")
def mdoc_digests(target: IssuerTarget) -> str:
    """Each element's digest stands in the MSO."""
    elements = mdoc.verify_elements(*_mdoc(target))
    return f"{len(elements.disclosed)} digests"


@_check("mdoc-doctype", "OpenID4VCI 1.0 App. A.2.2")
def mdoc_doctype(target: IssuerTarget) -> str:
    """DocType is the one of the metadata."""
    doctype, wanted = _mdoc(target)[1].doc_type, target.configurations[target.configuration(MDOC)].get("doctype")
    if doctype != wanted:
        raise Failed(shown(wanted), doctype)
    return doctype


@_check("mdoc-device-key", "OpenID4VCI 1.0 §8.2; ISO/IEC 18013-5 §9.1.2.4")
def mdoc_device_key(target: IssuerTarget) -> str:
    """The device key is the one that was proved."""
    got = _collected(target, MDOC)
    _bound_to_ours(content_of(got.credentials[0], MDOC), got)
    return "the key that was proved"


@_check("mdoc-dates", "ISO/IEC 18013-5 §9.1.2.4")
def mdoc_dates(target: IssuerTarget) -> str:
    """Signed and validFrom are not ahead, validUntil is."""
    validity, now = _mdoc(target)[1].validity, time.time()
    if validity.signed > now + _SKEW or validity.valid_from > now + _SKEW or validity.valid_until <= now:
        raise Failed("signed ≤ now, validFrom ≤ now < validUntil", "other dates")
    return "valid now"


@_check("mdoc-salts", "ISO/IEC 18013-5 §9.1.2.5")
def mdoc_salts(target: IssuerTarget) -> str:
    """Each element has a random of its own, of 16 bytes or more."""
    salts = content_of(_collected(target, MDOC).credentials[0], MDOC).salts
    if len(set(salts)) != len(salts) or any(len(salt) < 32 for salt in salts):
        raise Failed("randoms of 16 bytes or more that differ", "others")
    return f"{len(salts)} randoms"


@_check("mdoc-status-mechanism", "HAIP 1.0 §5.3.1; ISO/IEC 18013-5 §9.1.2.6")
def mdoc_status_mechanism(target: IssuerTarget) -> str:
    """The MSO's status is a status list or an identifier list."""
    status = _mdoc(target)[1].status
    if status is None:
        raise NotApplicable("the MSO has no status")
    if not isinstance(status, dict) or not status.keys() & {"status_list", "identifier_list"}:
        raise Failed("status_list or identifier_list", "something else")
    return ", ".join(sorted(map(str, status)))


@_check("mdoc-mdl-elements", "ISO/IEC 18013-5 §7.2.1, Table 5")
def mdoc_mdl_elements(target: IssuerTarget) -> str:
    """A driving licence has all elements that one must have."""
    if _mdoc(target)[1].doc_type != MDL:
        raise NotApplicable("the mdoc is no mDL")
    mdl_elements(content_of(_collected(target, MDOC).credentials[0], MDOC).claims)
    return "all there"


# status


def _reference(target: IssuerTarget, form: str) -> StatusReference:
    reference = content_of(_collected(target, form).credentials[0], form).status
    if reference is None:
        raise NotApplicable("the credential refers to no status list")
    return reference


def _first_reference(target: IssuerTarget) -> StatusReference:
    for form in (SD_JWT, MDOC):
        try:
            return _reference(target, form)
        except NotApplicable:
            continue
    raise NotApplicable("no credential refers to a status list")


def _status_list(target: IssuerTarget) -> StatusListToken:
    def make() -> StatusListToken:
        reference = _first_reference(target)
        answer = target.get(reference.uri, accept=_STATUS_TYPE)
        if answer.status != 200 or answer.media_type != _STATUS_TYPE:
            raise Failed(f"200 {_STATUS_TYPE}", answer.described)
        signed = parse_status_list_jwt(answer.body.strip())
        return verify_status_list(signed, key=leaf_key(signed.chain), expected_uri=reference.uri, now=int(time.time()))

    return kept(target, "status list", make)


@_check("status-list", "Token Status List §5.1, §8.2, §8.3")
def status_list(target: IssuerTarget) -> str:
    """The status list is there with its media type, is of its own address, and signed."""
    reference = _first_reference(target)
    answer = target.get(reference.uri, accept=_STATUS_TYPE)
    if answer.status != 200 or answer.media_type != _STATUS_TYPE:
        raise Failed(f"200 {_STATUS_TYPE}", answer.described)
    signed = parse_status_list_jwt(answer.body.strip())
    token = verify_status_list(signed, key=leaf_key(signed.chain), expected_uri=reference.uri, now=int(time.time()))
    target.kept["status list"] = token
    return f"{token.statuses.bits} bits each"


@_check("status-valid", "Token Status List §8.3")
def status_valid(target: IssuerTarget) -> str:
    """A fresh credential's entry is there, and says VALID."""
    token, reference = _status_list(target), _first_reference(target)
    if token.statuses[reference.idx] != Status.VALID:
        raise Failed("VALID", str(int(token.statuses[reference.idx])))
    return "VALID"


@_check("status-certificates", "HAIP 1.0 §6.1; Token Status List §11.3", profiles=HIGH_ASSURANCE)
def status_certificates(target: IssuerTarget) -> str:
    """The certificates of the status list lead to its trust anchor, which is not among them."""
    reference = _first_reference(target)
    signed = parse_status_list_jwt(target.get(reference.uri, accept=_STATUS_TYPE).body.strip())
    return checked_chain(
        signed.chain,
        anchors=target.status_anchors,
        profile=CertificateProfile.STATUS,
        now=int(time.time()),
        is_haip=True,
    )


@_check("status-no-cookies", "Token Status List §12.1, §12.4", is_advice=True)
def status_no_cookies(target: IssuerTarget) -> str:
    """A status list is served to anybody, without cookies."""
    answer = target.get(_first_reference(target).uri, accept=_STATUS_TYPE)
    if "set-cookie" in answer.headers:
        raise Failed("no cookie", "one")
    return "without cookies"


@_check("credential-times-linkable", "OpenID4VCI 1.0 §15.4; HAIP 1.0 §6.1", is_advice=True)
def times_linkable(target: IssuerTarget) -> str:
    """The dates of a credential don't tell to the second when it was made."""
    seen = 0
    for form in (SD_JWT, MDOC):
        try:
            got = _collected(target, form)
        except NotApplicable:
            continue
        seen += 1
        times = content_of(got.credentials[0], form).times
        exact = sorted(name for name, value in times.items() if value % 60)
        if exact:
            raise Failed("dates without seconds", f"{', '.join(exact)} in {form}")
    if not seen:
        raise NotApplicable("no credential was collected")
    return "rounded"


def digest_of(claims: JsonObject) -> str:
    """What tells one set of claims from another, for comparisons that show nothing."""
    return base64url.encode(hashlib.sha256(repr(sorted(claims.items())).encode()).digest())
