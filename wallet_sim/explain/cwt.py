"""Tokens in CBOR (COSE_Sign1): status lists, registration certificates and others, by their `typ`."""

import cbor2

from specs.credentials.status_list import CWT_TYP
from specs.encoding import Malformed, cbor
from specs.encoding.cbor import CborMap, CborValue
from specs.keys.cose import CoseSign1, parse_sign1, parse_x5chain, verify_sign1
from specs.refusal import Refusal
from specs.trust.x509 import CertificateProfile
from wallet_sim.explain.certificates import signing_key
from wallet_sim.explain.explanation import Explanation, Judging, moment
from wallet_sim.explain.lists import explain_status_list
from wallet_sim.explain.trust import explain_vouching

TAG_SIGN1, SKEW = 18, 60
_TYP, _X5CHAIN = 16, 33
_ISS, _SUB, _EXP, _NBF, _IAT = 1, 2, 4, 5, 6
_NAMES = {_ISS: "iss", _SUB: "sub", _IAT: "iat", _NBF: "nbf", _EXP: "exp"}
_KINDS = {
    CWT_TYP: ("status_list", CertificateProfile.STATUS),
    "rc-wrp+cwt": ("registration_certificate", CertificateProfile.REGISTRATION),
}


def is_sign1(value: CborValue) -> bool:
    """Whether it has the form of a COSE_Sign1 (RFC 9052 §4.2)."""
    if isinstance(value, cbor2.CBORTag):
        return value.tag == TAG_SIGN1
    return isinstance(value, list) and len(value) == 4 and isinstance(value[0], bytes) and isinstance(value[3], bytes)


def explain_cwt(data: bytes, value: CborValue, *, judging: Judging) -> Explanation:
    """A signed token in CBOR, whatever it is for. value: `data`, decoded."""
    said = Explanation("cwt")
    try:
        sign1 = parse_sign1(value, tagged=isinstance(value, cbor2.CBORTag))
        typ = sign1.protected_header.get(_TYP)
        said.kind, profile = _KINDS.get(str(typ), ("cwt", None))
        said.fact("typ", typ if typ is not None else "–")
        said.fact("alg", sign1.alg)
        claims = cbor.decode_map(sign1.payload or b"")
        _explain_claims(claims, said, judging=judging)
        _explain_signature(sign1, said, profile, judging=judging)
    except Refusal as error:
        said.refused(error, "RFC 9052 §4.2, RFC 8392")
        return said
    except Malformed as error:
        said.wrong("unreadable", str(error), "RFC 8392 §3")
        return said
    if said.kind == "status_list" and said.is_good:
        explain_status_list(data, claims.get(_SUB), said, judging=judging)
    return said


def _explain_claims(claims: CborMap, said: Explanation, *, judging: Judging) -> None:
    for label, name in _NAMES.items():
        if label in claims:
            value = claims[label]
            said.fact(name, moment(value) if label in (_IAT, _NBF, _EXP) else value)
    ends, begins = claims.get(_EXP), claims.get(_NBF)
    if isinstance(ends, int | float) and ends <= judging.now - SKEW:
        said.wrong("expired", moment(ends), "RFC 8392 §3.1.4")
    if isinstance(begins, int | float) and begins > judging.now + SKEW:
        said.wrong("not_yet", moment(begins), "RFC 8392 §3.1.5")


def _explain_signature(
    sign1: CoseSign1, said: Explanation, profile: CertificateProfile | None, *, judging: Judging
) -> None:
    header = sign1.protected_header if _X5CHAIN in sign1.protected_header else sign1.unprotected
    if _X5CHAIN not in header:
        said.wrong("header_missing", "x5chain", "RFC 9360 §2")
        return
    chain = parse_x5chain(header)
    explain_vouching(chain, said, profile=profile, judging=judging)
    try:
        verify_sign1(sign1, key=signing_key(chain[0]))
        said.fact("signature", "✓")
    except Refusal as error:
        said.wrong("signature", error.reason.value, "RFC 9052 §4.4")
