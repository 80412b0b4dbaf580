"""SD-JWT VC: a credential with a type in SD-JWT form (draft-ietf-oauth-sd-jwt-vc-13, with HAIP 1.0 §6.1).

Reading goes in steps: `parse_issuer_jwt` (who says so?), the caller validates the chain, `read_sd_jwt_vc` (what is
said?). Then `check_validity` and `holder_key` answer for time and holder. Writing: `build_sd_jwt_vc`.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from specs.credentials.sd_jwt import (
    DEFAULT_LIMITS,
    DEFAULT_SD_ALG,
    Limits,
    Processed,
    SdJwt,
    SdJwtError,
    read_payload,
)
from specs.credentials.sd_jwt_issue import (
    Claim,
    Claims,
    IssuerHeader,
    RandomBytes,
    Sd,
    UnsignedSdJwt,
    issuer_header,
    prepare_sd_jwt,
)
from specs.encoding import Malformed, numeric_date
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import SIGNATURE_ALGS, JoseError, Jws, PublicKey, parse_jwk, parse_jws, verify_jws, x5c_header
from specs.keys.signer import Signer, SigningIdentity
from specs.refusal import ReasonCode

TYP = "dc+sd-jwt"
FORMER_TYP = "vc+sd-jwt"
MEDIA_TYPE = "application/dc+sd-jwt"

NEVER_DISCLOSABLE = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"})
"""Claims that, with all inside them, are permanent (§3.2.2.2; `aka_vcts` and the inside: draft-18 §2.2.2.3)."""


class IssuerJwt(NamedTuple):
    """The issuer-signed JWT with a plausible header; its signature is not checked. chain: DER, leaf first."""

    jws: Jws
    chain: tuple[bytes, ...]
    sd_jwt: SdJwt


class SdJwtVc(NamedTuple):
    """A credential whose issuer's signature holds, with its registered claims typed.

    expires_at, not_before, issued_at: seconds since the epoch. status: the claim as it stands, an object.
    """

    processed: Processed
    vct: str
    aka_vcts: tuple[str, ...]
    vct_integrity: str | None
    issuer: str | None
    expires_at: int | float | None
    not_before: int | float | None
    issued_at: int | float | None
    confirmation: JsonObject | None
    status: JsonObject | None


def parse_issuer_jwt(
    sd_jwt: SdJwt, *, allow_former_typ: bool = False, allowed_algs: Collection[str] = SIGNATURE_ALGS
) -> IssuerJwt:
    """Read the header: `typ`, `alg`, and the certificate chain in `x5c` (§3.2.1, §3.5; HAIP §6.1.1).

    No other way to an issuer's key is known here; `jwk`, `kid`, `jku`, `x5u` are not looked at. allow_former_typ: let
    `vc+sd-jwt` pass, which earlier drafts wrote.

    Raises:
        JoseError: malformed, another `typ`, an algorithm that is not allowed, any `crit`, no chain.
    """
    expected = (TYP, FORMER_TYP) if allow_former_typ else TYP
    content = None if sd_jwt.texts is None else sd_jwt.texts.values[0]
    jws = parse_jws(sd_jwt.parts[0], expected_typ=expected, allowed_algs=allowed_algs, content=content)
    return IssuerJwt(jws, jws.protected.chain(), sd_jwt)


def read_sd_jwt_vc(issuer_jwt: IssuerJwt, *, issuer_key: PublicKey, limits: Limits = DEFAULT_LIMITS) -> SdJwtVc:
    """Check the issuer's signature, put the disclosures in their places, type the registered claims (§3.2.2, §3.4).

    issuer_key: of the leaf certificate, after its chain was validated.

    Raises:
        JoseError: the signature does not hold or its algorithm is not the key's.
        SdJwtError: a rule of RFC 9901 §7.1 or of SD-JWT VC is broken.
    """
    verify_jws(issuer_jwt.jws, issuer_key)
    return read_claims(read_payload(issuer_jwt.sd_jwt, issuer_jwt.jws, limits=limits))


def read_claims(processed: Processed) -> SdJwtVc:
    """Type the registered claims of a processed payload (§3.2.2).

    Raises:
        SdJwtError: a claim that must be permanent came as a disclosure, or has a value that it can't have.
    """
    for place in processed.places:
        if place[0] in NEVER_DISCLOSABLE:
            raise SdJwtError(ReasonCode.CLAIM_NOT_DISCLOSABLE, str(place[0]))
    claims = processed.claims
    vct = claims.get("vct")
    if type(vct) is not str or not vct:
        raise SdJwtError(ReasonCode.CLAIM_INVALID, "vct")
    status = _object(claims, "status", ReasonCode.STATUS_MALFORMED) if "status" in claims else None
    return SdJwtVc(
        processed,
        vct,
        _further_types(claims, vct) if "aka_vcts" in claims else (),
        _text(claims, "vct#integrity") if "vct#integrity" in claims else None,
        _text(claims, "iss") if "iss" in claims else None,
        _date(claims, "exp") if "exp" in claims else None,
        _date(claims, "nbf") if "nbf" in claims else None,
        _date(claims, "iat") if "iat" in claims else None,
        _object(claims, "cnf", ReasonCode.HOLDER_KEY_INVALID) if "cnf" in claims else None,
        status,
    )


def check_validity(credential: SdJwtVc, *, now: int, skew: int = 60) -> None:
    """Is it valid at this moment, and issued by now (RFC 7519 §4.1.4 to §4.1.6)?

    now: seconds since the epoch. skew: seconds that our clock may be off.

    Raises:
        SdJwtError: CREDENTIAL_EXPIRED or CREDENTIAL_NOT_YET_VALID.
    """
    if credential.expires_at is not None and credential.expires_at <= now - skew:
        raise SdJwtError(ReasonCode.CREDENTIAL_EXPIRED)
    if credential.not_before is not None and credential.not_before > now + skew:
        raise SdJwtError(ReasonCode.CREDENTIAL_NOT_YET_VALID)
    if credential.issued_at is not None and credential.issued_at > now + skew:
        raise SdJwtError(ReasonCode.CREDENTIAL_NOT_YET_VALID, "iat")


def holder_key(credential: SdJwtVc) -> PublicKey:
    """The key that the issuer bound the credential to: `cnf.jwk`, and nothing else (§3.4; HAIP §6.1).

    Raises:
        SdJwtError: HOLDER_KEY_MISSING, or HOLDER_KEY_INVALID: another method, a private key, not a point of its curve.
    """
    if credential.confirmation is None:
        raise SdJwtError(ReasonCode.HOLDER_KEY_MISSING)
    if "jwk" not in credential.confirmation:
        raise SdJwtError(ReasonCode.HOLDER_KEY_INVALID, "cnf without jwk")
    try:
        return parse_jwk(credential.confirmation["jwk"])
    except JoseError as error:
        raise SdJwtError(ReasonCode.HOLDER_KEY_INVALID, error.detail) from error


@dataclass(frozen=True, slots=True)
class VcIssuer:
    """A signer with its header, chain included, encoded once."""

    signer: Signer
    header: IssuerHeader


def vc_issuer(identity: SigningIdentity, *, header: Mapping[str, JsonValue] | None = None) -> VcIssuer:
    """Prepare an identity for minting. header: members beside `alg`, `typ` and `x5c`."""
    x5c: list[JsonValue] = [*x5c_header(identity.chain)]
    return VcIssuer(
        identity.signer, issuer_header(alg=identity.signer.alg, typ=TYP, header={**(header or {}), "x5c": x5c})
    )


def prepare_sd_jwt_vc(
    claims: Claims,
    *,
    issuer: VcIssuer,
    vct: str,
    holder_jwk: Mapping[str, JsonValue] | Mapping[str, str] | None,
    issued_at: int | Sd | None = None,
    not_before: int | None = None,
    expires_at: int | None = None,
    status: Mapping[str, JsonValue] | None = None,
    vct_integrity: str | None = None,
    iss: str | None = None,
    sd_alg: str = DEFAULT_SD_ALG,
    decoys: int = 0,
    rng: RandomBytes = secrets.token_bytes,
) -> UnsignedSdJwt:
    """Write a credential up to its signature (§3.2.2), so that a batch can be signed by one call of `Signer.sign_many`.

    claims: what is said about the holder, disclosable ones marked with `Sd`. holder_jwk: the public key for `cnf`.
    issued_at, not_before, expires_at: seconds since the epoch. status: the claim, as the status list gives it.

    Raises:
        SdJwtError: `claims` holds one of the registered claims that have arguments here; and as `prepare_sd_jwt`.
    """
    if not NEVER_DISCLOSABLE.isdisjoint(claims) or (issued_at is not None and "iat" in claims):
        raise SdJwtError(ReasonCode.CLAIM_INVALID, "a registered claim among the claims to issue")
    payload: dict[str, Claim] = {"vct": vct}
    if vct_integrity is not None:
        payload["vct#integrity"] = vct_integrity
    if iss is not None:
        payload["iss"] = iss
    if issued_at is not None:
        payload["iat"] = issued_at
    if not_before is not None:
        payload["nbf"] = not_before
    if expires_at is not None:
        payload["exp"] = expires_at
    if holder_jwk is not None:
        payload["cnf"] = {"jwk": holder_jwk}
    if status is not None:
        payload["status"] = status
    payload.update(claims)
    return prepare_sd_jwt(payload, header=issuer.header, sd_alg=sd_alg, decoys=decoys, rng=rng)


def build_sd_jwt_vc(
    claims: Claims,
    *,
    issuer: VcIssuer,
    vct: str,
    holder_jwk: Mapping[str, JsonValue] | Mapping[str, str] | None,
    issued_at: int | Sd | None = None,
    not_before: int | None = None,
    expires_at: int | None = None,
    status: Mapping[str, JsonValue] | None = None,
    vct_integrity: str | None = None,
    iss: str | None = None,
    sd_alg: str = DEFAULT_SD_ALG,
    decoys: int = 0,
    rng: RandomBytes = secrets.token_bytes,
) -> str:
    """Mint one credential; arguments and errors as `prepare_sd_jwt_vc`."""
    unsigned = prepare_sd_jwt_vc(
        claims,
        issuer=issuer,
        vct=vct,
        holder_jwk=holder_jwk,
        issued_at=issued_at,
        not_before=not_before,
        expires_at=expires_at,
        status=status,
        vct_integrity=vct_integrity,
        iss=iss,
        sd_alg=sd_alg,
        decoys=decoys,
        rng=rng,
    )
    return unsigned.with_signature(issuer.signer.sign(unsigned.signing_input))


def _text(claims: JsonObject, name: str) -> str:
    value = claims[name]
    if isinstance(value, str):
        return value
    raise SdJwtError(ReasonCode.CLAIM_INVALID, name)


def _date(claims: JsonObject, name: str) -> int | float:
    try:
        return numeric_date.parse(claims[name])
    except Malformed as error:
        raise SdJwtError(ReasonCode.CLAIM_INVALID, name) from error


def _object(claims: JsonObject, name: str, reason: ReasonCode) -> JsonObject:
    value = claims[name]
    if not isinstance(value, dict):
        raise SdJwtError(reason, f"{name} is an object")
    return value


def _further_types(claims: JsonObject, vct: str) -> tuple[str, ...]:
    value = claims["aka_vcts"]
    if isinstance(value, list) and value:
        types = tuple(item for item in value if isinstance(item, str))
        if len(types) == len(value) and vct not in types:
            return types
    raise SdJwtError(ReasonCode.CLAIM_INVALID, "aka_vcts")
