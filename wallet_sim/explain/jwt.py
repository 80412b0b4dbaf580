"""Tokens by their `typ`: what kind they are, what they must hold and by which clause, their dates and signature."""

from dataclasses import dataclass

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import SIGNATURE_ALGS, PublicKey, parse_jwk, parse_x5c, verify_signature
from specs.refusal import Refusal
from specs.trust.x509 import CertificateProfile
from wallet_sim.explain.certificates import signing_key
from wallet_sim.explain.explanation import Explanation, Judging, moment
from wallet_sim.explain.lists import explain_status_list, explain_trust_list
from wallet_sim.explain.questions import explain_registration, explain_request
from wallet_sim.explain.trust import explain_vouching

SKEW = 60
_DATES = ("iat", "nbf", "exp")
_SHOWN = ("iss", "sub", "aud", "client_id", "vct", "nonce", "htm", "htu", "response_mode", "response_uri")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a kind of token must hold. header, claims: names. max_age: seconds, where it is made for one request.

    profile: what the certificate of its signer is for; None where trust has no place or comes from elsewhere.
    """

    kind: str
    clause: str
    header: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    max_age: int | None = None
    profile: CertificateProfile | None = None


RULES = {
    "oauth-authz-req+jwt": Rules(
        "request_object",
        "OpenID4VP 1.0 §5; HAIP 1.0 §5",
        ("x5c",),
        ("client_id", "nonce", "response_type", "response_mode", "dcql_query", "aud"),
        profile=CertificateProfile.ACCESS,
    ),
    "dc+sd-jwt": Rules(
        "sd_jwt_vc", "SD-JWT VC §3.2; HAIP 1.0 §6.1", ("x5c",), ("vct", "cnf"), profile=CertificateProfile.EAA
    ),
    "vc+sd-jwt": Rules(
        "sd_jwt_vc", "SD-JWT VC §3.2; HAIP 1.0 §6.1", ("x5c",), ("vct", "cnf"), profile=CertificateProfile.EAA
    ),
    "kb+jwt": Rules("key_binding", "RFC 9901 §4.3", (), ("iat", "aud", "nonce", "sd_hash"), max_age=300),
    "statuslist+jwt": Rules(
        "status_list",
        "Token Status List §5.1",
        ("x5c",),
        ("sub", "iat", "status_list"),
        profile=CertificateProfile.STATUS,
    ),
    "oauth-client-attestation+jwt": Rules(
        "client_attestation",
        "attestation-based-client-auth-07 §5.1; HAIP 1.0 §4.4.1",
        ("x5c",),
        ("sub", "exp", "cnf"),
        profile=CertificateProfile.ATTESTER,
    ),
    "oauth-client-attestation-pop+jwt": Rules(
        "client_attestation_pop", "attestation-based-client-auth-07 §5.2", (), ("iss", "aud", "jti", "iat"), max_age=300
    ),
    "dpop+jwt": Rules("dpop", "RFC 9449 §4.2", ("jwk",), ("jti", "htm", "htu", "iat"), max_age=300),
    "openid4vci-proof+jwt": Rules("key_proof", "OpenID4VCI 1.0 App. F.1", (), ("aud", "iat"), max_age=300),
    "key-attestation+jwt": Rules(
        "key_attestation",
        "OpenID4VCI 1.0 App. D.1; HAIP 1.0 §4.5.1",
        ("x5c",),
        ("iat", "attested_keys"),
        profile=CertificateProfile.ATTESTER,
    ),
    "openidvci-issuer-metadata+jwt": Rules(
        "signed_metadata", "OpenID4VCI 1.0 §12.2.3", ("x5c",), ("sub", "iat"), profile=CertificateProfile.ACCESS
    ),
    "rc-wrp+jwt": Rules(
        "registration_certificate",
        "ETSI TS 119 475 §5.2",
        ("x5c",),
        ("sub", "iat"),
        profile=CertificateProfile.REGISTRATION,
    ),
    "verifier-attestation+jwt": Rules("verifier_attestation", "OpenID4VP 1.0 §12", (), ("iss", "sub", "exp", "cnf")),
    "trustlist+jwt": Rules("trust_list", "ETSI TS 119 602 §6", ("x5c",), (), profile=CertificateProfile.TRUST_LIST),
}
_ANY = Rules("jwt", "RFC 7519")


def explain_jwt(token: str, *, judging: Judging) -> Explanation:
    """A compact JWS, whatever it is for."""
    head, body, tail = token.split(".")
    try:
        header = strict_json.parse_object(base64url.decode(head))
    except Malformed as error:
        said = Explanation("jwt")
        said.wrong("unreadable", f"header: {error}", "RFC 7515 §5.2")
        return said
    typ = header.get("typ")
    rules = RULES.get(typ, _ANY) if isinstance(typ, str) else _ANY
    claims = _claims(body)
    if rules is _ANY and claims is not None and {"LoTE", "loTE"} & claims.keys():
        rules = RULES["trustlist+jwt"]
    said = Explanation(rules.kind)
    said.fact("typ", typ if typ is not None else "–")
    said.fact("alg", header.get("alg", "–"))
    if claims is None:
        said.wrong("unreadable", "payload", "RFC 7519 §7.2")
    else:
        _explain_claims(claims, rules, said, now=judging.now)
    for name in rules.header:
        if name not in header:
            said.wrong("header_missing", name, rules.clause)
    if rules is _ANY and typ is None:
        said.wrong("typ_missing", "", "RFC 8725 §3.11")
    _explain_signature(header, f"{head}.{body}", tail, said, rules, judging=judging)
    if rules.kind == "status_list" and said.is_good and claims is not None:
        explain_status_list(token, claims.get("sub"), said, judging=judging)
    if claims is not None:
        _explain_content(claims, rules, said, judging=judging)
    return said


def own_key(header: JsonObject) -> PublicKey | None:
    """The key that a token brings along: of its first certificate, or its `jwk`.

    Raises:
        Refusal: it can't be used.
    """
    if "x5c" in header:
        return signing_key(parse_x5c(header)[0])
    if isinstance(header.get("jwk"), dict):
        return parse_jwk(header["jwk"])
    return None


def _claims(body: str) -> JsonObject | None:
    try:
        return strict_json.parse_object(base64url.decode(body))
    except Malformed:
        return None


def _explain_claims(claims: JsonObject, rules: Rules, said: Explanation, *, now: int) -> None:
    for name in _SHOWN:
        if name in claims:
            said.fact(name, _short(claims[name]))
    for name in _DATES:
        if name in claims:
            said.fact(name, moment(claims[name]))
    for name in rules.claims:
        if name not in claims:
            said.wrong("member_missing", name, rules.clause)
    issued, begins, ends = (_seconds(claims, name, said) for name in _DATES)
    if ends is not None and ends <= now - SKEW:
        said.wrong("expired", moment(ends), "RFC 7519 §4.1.4")
    if begins is not None and begins > now + SKEW:
        said.wrong("not_yet", moment(begins), "RFC 7519 §4.1.5")
    if issued is not None and issued > now + SKEW:
        said.wrong("from_the_future", moment(issued), "RFC 7519 §4.1.6")
    if issued is not None and rules.max_age is not None and issued < now - rules.max_age:
        said.wrong("stale", moment(issued), rules.clause)


def _explain_content(claims: JsonObject, rules: Rules, said: Explanation, *, judging: Judging) -> None:
    if rules.kind == "trust_list":
        explain_trust_list(claims, said, judging=judging)
    elif rules.kind == "registration_certificate":
        explain_registration(claims, said)
    elif rules.kind == "request_object":
        explain_request(claims, said, inside=lambda token: explain_jwt(token, judging=judging))


def _seconds(claims: JsonObject, name: str, said: Explanation) -> float | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        said.wrong("no_time", name, "RFC 7519 §2 (NumericDate)")
        return None
    return float(value)


def _explain_signature(
    header: JsonObject, signed: str, tail: str, said: Explanation, rules: Rules, *, judging: Judging
) -> None:
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in SIGNATURE_ALGS:
        said.wrong("algorithm", str(alg), "RFC 8725 §3.1, §3.2; HAIP 1.0 §7")
        return
    try:
        if "x5c" in header:
            explain_vouching(parse_x5c(header), said, profile=rules.profile, judging=judging)
        elif judging.anchors and (rules.profile is not None or rules is _ANY):
            said.wrong("nobody_vouches", "", "RFC 7515 §4.1.6")
        key = own_key(header)
        if key is None:
            said.fact("signature", "?")
            return
        verify_signature(alg, key, signed.encode("ascii"), base64url.decode(tail))
        said.fact("signature", "✓")
    except Refusal as error:
        said.wrong("signature", error.reason.value, "RFC 7515 §5.2")
    except Malformed:
        said.wrong("unreadable", "signature", "RFC 7515 §5.2")


def _short(value: JsonValue) -> str:
    return value if isinstance(value, str) else strict_json.dumps(value).decode()
