"""Registration certificates: what a relying party is registered to ask, an issuer to issue (ETSI TS 119 475 V1.2.1).

A WRPRC is a JWT or CWT by the registrar. It is bound to no key: it belongs to whoever's access certificate (WRPAC)
bears the same identifier. Reading, for wallets and for the party itself: `verify_registration`. What it allows:
`check_registered`.
"""

from collections.abc import Callable, Mapping, Sequence

import cbor2

from specs.encoding import Malformed, cbor, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.cose import (
    TYP,
    X5CHAIN,
    CoseError,
    build_sign1,
    parse_sign1,
    parse_x5chain,
    verify_sign1,
    x5chain_value,
)
from specs.keys.jose import JoseError, PublicKey, build_jws, parse_jws, parse_x5c, verify_jws, x5c_header
from specs.keys.signer import SigningIdentity
from specs.protocols.dcql import ClaimsQuery, CredentialQuery, DcqlQuery, MdocMeta, SdJwtVcMeta
from specs.refusal import ReasonCode
from specs.trust.registration_claims import (
    RegisteredClaim,
    RegisteredCredential,
    Registration,
    RegistrationError,
    read_registration,
    write_registration,
)
from specs.trust.x509 import CertificateError, CertificateProfile, TrustAnchor, validate_path

JWT_TYP, CWT_TYP = "rc-wrp+jwt", "rc-wrp+cwt"
INFO_FORMAT = "registration_cert"  # of an entry of `verifier_info` (ETSI TS 119 472-2)
SERVICE_PROVIDER = "https://uri.etsi.org/19475/Entitlement/Service_Provider"

MAX_BYTES = 64 * 1024
MAX_SECONDS = 366 * 24 * 60 * 60  # GEN-5.2.4-08: twelve months
MAX_SECONDS_WITHOUT_STATUS = 24 * 60 * 60  # RPRC_01a

_CWT_NAMES: Mapping[str | int | bytes, str] = {2: "sub", 4: "exp", 6: "iat", 65535: "status"}
_CWT_LABELS: Mapping[str, object] = {name: label for label, name in _CWT_NAMES.items()}


def parse_registration(token: str | bytes) -> Registration:
    """Read what a certificate says without believing it: for a party's own, which it got from the registrar.

    Raises:
        RegistrationError: REGISTRATION_MALFORMED.
    """
    return read_registration(_opened(token)[0])


def verify_registration(
    token: str | bytes,
    *,
    anchors: Sequence[TrustAnchor],
    expected_subject: str | None,
    now: int,
    skew: int = 60,
) -> Registration:
    """Check a certificate as a wallet does: signature, chain, times, whose it is (TS 119 475 §5.2; RPRC_07, RPRC_17).

    token: JWT as text, CWT as bytes. anchors: of registrars. expected_subject: the organizationIdentifier of the access
    certificate that came along; one without has no registration. now, skew: seconds since the epoch; seconds. Its
    `status` is still to be looked up.

    Raises:
        RegistrationError: REGISTRATION_MALFORMED, REGISTRATION_UNTRUSTED, REGISTRATION_EXPIRED, REGISTRATION_MISMATCH.
    """
    claims, chain, verify = _opened(token)
    try:
        path = validate_path(chain, anchors=anchors, profile=CertificateProfile.REGISTRATION, now=now, skew=skew)
        verify(path.leaf_key)
    except (CertificateError, JoseError, CoseError) as error:
        raise RegistrationError(ReasonCode.REGISTRATION_UNTRUSTED, f"{error.reason}: {error.detail}") from error
    registration = read_registration(claims)
    check_times(registration, now=now, skew=skew)
    if registration.subject != expected_subject:
        raise RegistrationError(ReasonCode.REGISTRATION_MISMATCH)
    return registration


def check_times(registration: Registration, *, now: int, skew: int = 60) -> None:
    """Check when a certificate is valid (GEN-5.2.4-08, RPRC_01a). now, skew: seconds since the epoch; seconds.

    Raises:
        RegistrationError: REGISTRATION_EXPIRED: from the future, past its end, or without the end or status it needs.
    """
    end = registration.expires_at
    if registration.issued_at > now + skew:
        raise RegistrationError(ReasonCode.REGISTRATION_EXPIRED, "from the future")
    if end is not None and end <= now - skew:
        raise RegistrationError(ReasonCode.REGISTRATION_EXPIRED, "past its end")
    if end is not None and end > registration.issued_at + MAX_SECONDS:
        raise RegistrationError(ReasonCode.REGISTRATION_EXPIRED, "valid for longer than a year")
    short = end is not None and end - registration.issued_at <= MAX_SECONDS_WITHOUT_STATUS
    if not short and registration.status is None:
        raise RegistrationError(ReasonCode.REGISTRATION_EXPIRED, "valid for longer than a day, without a status")


def check_registered(query: DcqlQuery, registration: Registration, *, credential_ids: Sequence[str] = ()) -> None:
    """Check that a question asks for nothing that is not registered (RPRC_21).

    credential_ids: the queries that the certificate speaks for; empty is all. A registered path covers what lies below
    it. A query without `claims` lets wallets show whatever they like, so only a registration without a list covers it.

    Raises:
        RegistrationError: REQUEST_NOT_REGISTERED; the detail names the query's id, and the type or path.
    """
    if SERVICE_PROVIDER not in registration.entitlements:
        raise RegistrationError(ReasonCode.REQUEST_NOT_REGISTERED, "the party is not registered to ask at all")
    for credential in query.credentials:
        if credential_ids and credential.id not in credential_ids:
            continue
        for wanted in _types(credential):
            fitting = [
                entry
                for entry in registration.credentials
                if entry.format == credential.format and wanted in entry.types
            ]
            _check_credential(credential, wanted, fitting)


def build_registration_jwt(registration: Registration, *, identity: SigningIdentity) -> str:
    """Write a certificate as a registrar does, as JWT, in the spelling of V1.2.1."""
    return build_jws(
        strict_json.dumps(write_registration(registration)),
        signer=identity.signer,
        typ=JWT_TYP,
        header={"x5c": x5c_header(identity.chain)},
    )


def build_registration_cwt(registration: Registration, *, identity: SigningIdentity) -> bytes:
    """Write a certificate as a registrar does, as CWT (COSE_Sign1)."""
    claims = {_CWT_LABELS.get(name, name): value for name, value in write_registration(registration).items()}
    sign1 = build_sign1(
        cbor.encode(claims),
        signer=identity.signer,
        protected={TYP: CWT_TYP},
        unprotected={X5CHAIN: x5chain_value(identity.chain)},
    )
    return cbor.encode(sign1)


def _check_credential(credential: CredentialQuery, wanted: str, fitting: Sequence[RegisteredCredential]) -> None:
    if not fitting:
        raise _not_registered(f"{credential.id}: {wanted}")
    registered: list[RegisteredClaim] = []
    for entry in fitting:
        if entry.claims is None:
            return
        registered += entry.claims
    if not credential.claims:
        raise _not_registered(f"{credential.id}: no claims are named, and not all are registered")
    for claim in credential.claims:
        if not any(_covers(each, claim) for each in registered):
            raise _not_registered(f"{credential.id}: {'/'.join(str(step) for step in claim.path)}")


def _covers(registered: RegisteredClaim, asked: ClaimsQuery) -> bool:
    if len(registered.path) > len(asked.path):
        return False
    for own, step in zip(registered.path, asked.path, strict=False):
        if own != step and not (own is None and type(step) is int):  # every element covers each of them
            return False
    if registered.values is None:
        return True
    if asked.values is None or len(registered.path) != len(asked.path):
        return False
    return {(type(value), value) for value in asked.values} <= {(type(value), value) for value in registered.values}


def _types(credential: CredentialQuery) -> tuple[str, ...]:
    match credential.meta:
        case SdJwtVcMeta(vct_values=types):
            return types
        case MdocMeta(doctype_value=doc_type):
            return (doc_type,)
    raise _not_registered(f"{credential.id}: {credential.format}")


def _opened(token: str | bytes) -> tuple[JsonObject, tuple[bytes, ...], Callable[[PublicKey], None]]:
    """Claims and chain, believed by nobody yet, and how to verify the signature."""
    if len(token) > MAX_BYTES:
        raise _malformed("above the limit")
    try:
        if isinstance(token, str):
            jws = parse_jws(token, expected_typ=JWT_TYP)
            return jws.claims(), parse_x5c(jws.header), lambda key: verify_jws(jws, key)
        value = cbor.decode(token)
        sign1 = parse_sign1(value, tagged=isinstance(value, cbor2.CBORTag))
        if sign1.protected_header.get(TYP) != CWT_TYP:
            raise _malformed("typ")
        header = sign1.protected_header if X5CHAIN in sign1.protected_header else sign1.unprotected
        named = {_CWT_NAMES.get(label, label): value for label, value in cbor.decode_map(sign1.payload or b"").items()}
        return _json_object(named), parse_x5chain(header), lambda key: verify_sign1(sign1, key=key)
    except (JoseError, CoseError, Malformed) as error:
        raise _malformed(str(error)) from error


def _json_object(value: object) -> JsonObject:
    """A CBOR map that could be a JSON object, which is all that a CWT of this kind holds."""
    return strict_json.parse_object(strict_json.dumps(_with_text_names(value)))


def _with_text_names(value: object) -> object:
    if isinstance(value, dict):
        if not all(type(name) is str for name in value):
            raise _malformed("a label that is no text")
        return {name: _with_text_names(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_text_names(member) for member in value]
    if value is None or type(value) in (str, int, float, bool):
        return value
    raise _malformed("values that JSON does not have")


def _not_registered(detail: str) -> RegistrationError:
    return RegistrationError(ReasonCode.REQUEST_NOT_REGISTERED, detail)


def _malformed(detail: str) -> RegistrationError:
    return RegistrationError(ReasonCode.REGISTRATION_MALFORMED, detail)
