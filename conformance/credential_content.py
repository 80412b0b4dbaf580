"""What a credential says and how it was made, read from the outside: SD-JWT VC and mdoc alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import rsa

from conformance.check import Failed, NotApplicable
from specs.credentials import mdoc
from specs.credentials.mdoc_values import json_value
from specs.credentials.sd_jwt import SdJwt
from specs.credentials.sd_jwt_present import parse_issued
from specs.credentials.sd_jwt_vc import IssuerJwt, SdJwtVc, parse_issuer_jwt, read_sd_jwt_vc
from specs.credentials.status_list import StatusReference, parse_status_reference
from specs.encoding import base64url, cbor, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import PublicKey, key_thumbprint, parse_jwk
from specs.trust.anchors import TrustAnchor
from specs.trust.parsed_certificate import ParsedCertificate, parse_certificate
from specs.trust.x509 import CertificateProfile, validate_path

MDL = "org.iso.18013.5.1.mDL"
SD_JWT, MDOC = "dc+sd-jwt", "mso_mdoc"


@dataclass(frozen=True, slots=True)
class Content:
    """One credential, read. holder: thumbprint of the key that it is bound to, None without one. times: its dates, in
    seconds since the epoch, by name. claims: all it says; salts: of its disclosures or items."""

    form: str
    holder: bytes | None
    times: Mapping[str, float]
    claims: JsonObject = field(repr=False)
    salts: tuple[str, ...] = field(repr=False)
    status: StatusReference | None


@dataclass(frozen=True, slots=True)
class ReadSdJwt:
    """An SD-JWT VC taken apart, its signature checked by the certificate that came along."""

    sd_jwt: SdJwt
    issuer_jwt: IssuerJwt
    credential: SdJwtVc
    payload: JsonObject = field(repr=False)


def read_sd_jwt(text: str) -> ReadSdJwt:
    """An SD-JWT VC as a wallet reads it.

    Raises:
        SdJwtError, CertificateError, JoseError: it breaks a rule of its form, or its signature does not hold.
    """
    sd_jwt = parse_issued(text)
    issuer_jwt = parse_issuer_jwt(sd_jwt)
    payload = strict_json.parse_object(base64url.decode(sd_jwt.issuer_jwt.split(".")[1]))
    return ReadSdJwt(sd_jwt, issuer_jwt, read_sd_jwt_vc(issuer_jwt, issuer_key=leaf_key(issuer_jwt.chain)), payload)


def read_mdoc(text: str) -> tuple[mdoc.IssuerSigned, mdoc.Mso]:
    """An mdoc as a wallet reads it; its signature is not checked.

    Raises:
        Malformed, MdocError: it breaks a rule of its form.
    """
    issuer_signed = mdoc.parse_issuer_signed(base64url.decode(text))
    return issuer_signed, mdoc.parse_mso(issuer_signed)


def content_of(text: str, form: str) -> Content:
    """What both kinds of credentials have in common."""
    return _sd_jwt_content(text) if form == SD_JWT else _mdoc_content(text)


def _sd_jwt_content(text: str) -> Content:
    read = read_sd_jwt(text)
    confirmation = read.credential.confirmation or {}
    jwk = confirmation.get("jwk")
    times = {
        name: float(value)
        for name in ("iat", "nbf", "exp")
        if isinstance(value := read.payload.get(name), (int, float))
    }
    status = read.credential.status
    return Content(
        SD_JWT,
        key_thumbprint(parse_jwk(jwk)) if jwk is not None else None,
        times,
        {
            name: value
            for name, value in read.credential.processed.claims.items()
            if name not in (*times, "cnf", "status")
        },
        tuple(str(_salt(each)) for each in read.sd_jwt.disclosures),
        parse_status_reference(status) if status is not None and "status_list" in status else None,
    )


def _salt(disclosure: str) -> JsonValue:
    content = strict_json.parse(base64url.decode(disclosure))
    return content[0] if isinstance(content, list) and content else None


def _mdoc_content(text: str) -> Content:
    issuer_signed, mso = read_mdoc(text)
    validity = mso.validity
    times = {"signed": validity.signed, "validFrom": validity.valid_from, "validUntil": validity.valid_until}
    claims: JsonObject = {}
    salts: list[str] = []
    for name_space, items in issuer_signed.name_spaces.items():
        elements: JsonObject = {}
        for item in items:
            name, value = mdoc.parse_item(item)
            elements[name] = json_value(value)
            salts.append(_random_of(item))
        claims[name_space] = elements
    status = mso.status
    return Content(
        MDOC,
        key_thumbprint(mso.device_key),
        {name: float(value) for name, value in times.items()},
        claims,
        tuple(salts),
        parse_status_reference(status) if isinstance(status, dict) and "status_list" in status else None,
    )


def _random_of(item: bytes) -> str:
    return bytes(cbor.decode_map(item).get("random", b"")).hex()  # type: ignore[arg-type]


# certificates


def leaf_key(chain: Sequence[bytes]) -> PublicKey:
    """The key of the first certificate.

    Raises:
        Failed: there is none that credentials are signed with.
    """
    if not chain:
        raise Failed("a certificate chain", "none")
    key = parse_certificate(chain[0]).key
    if isinstance(key, rsa.RSAPublicKey):
        raise Failed("a key of an elliptic curve", "an RSA key")
    return key


def checked_chain(
    chain: Sequence[bytes], *, anchors: Sequence[TrustAnchor], profile: CertificateProfile, now: int, is_haip: bool
) -> str:
    """The chain leads to an anchor, where one is known; under HAIP no leaf is self-signed, no anchor in it.

    Raises:
        Failed, CertificateError: it does not.
    """
    certificates: list[ParsedCertificate] = [parse_certificate(each) for each in chain]
    if not certificates:
        raise Failed("a certificate chain", "none")
    leaf = certificates[0]
    if is_haip and leaf.issuer == leaf.subject:
        raise Failed("a leaf that is not self-signed", "a self-signed one")
    if is_haip and len(certificates) > 1 and certificates[-1].issuer == certificates[-1].subject:
        raise Failed("no trust anchor in the chain", "a self-signed certificate at its end")
    if not leaf.not_before - 60 <= now <= leaf.not_after + 60:
        raise Failed("a certificate that is valid now", "one that is not")
    if anchors:
        validate_path(chain, anchors=anchors, profile=profile, now=now, anchor_in_chain_allowed=not is_haip)
        return f"{len(chain)} certificates, to a trusted root"
    return f"{len(chain)} certificates; no root was given to compare with"


def mdl_elements(claims: Mapping[str, object]) -> None:
    """The data elements that an mDL must have (ISO/IEC 18013-5 Table 5).

    Raises:
        Failed: one is missing. NotApplicable: nothing is there to look at.
    """
    wanted = {
        "family_name", "given_name", "birth_date", "issue_date", "expiry_date", "issuing_country", "issuing_authority",
        "document_number", "portrait", "driving_privileges", "un_distinguishing_sign",
    }  # fmt: skip
    elements = claims.get("org.iso.18013.5.1")
    if not isinstance(elements, dict):
        raise NotApplicable("no name space of mDL")
    missing = sorted(wanted - elements.keys())
    if missing:
        raise Failed("all mandatory elements", f"none of {', '.join(missing)}")
