"""An SD-JWT, with or without key binding: issuer-signed part, disclosures, who binds it to what (RFC 9901)."""

from specs.credentials.key_binding import parse_key_binding
from specs.credentials.sd_jwt import SdJwt, digests_of, parse_sd_jwt
from specs.credentials.sd_jwt_present import read_as_holder
from specs.credentials.sd_jwt_vc import holder_key, read_claims
from specs.encoding import Malformed, base64url, strict_json
from specs.keys.jose import verify_jws
from specs.refusal import Refusal
from wallet_sim.explain.explanation import Explanation, Judging
from wallet_sim.explain.jwt import explain_jwt

_TYPS = ("dc+sd-jwt", "vc+sd-jwt")


def explain_sd_jwt(text: str, *, judging: Judging) -> Explanation:
    """A compact SD-JWT."""
    said = Explanation("sd_jwt_presentation" if not text.endswith("~") else "sd_jwt_issued")
    first = text.partition("~")[0]
    if first.count(".") == 2:
        said.parts.append(explain_jwt(first, judging=judging))
    try:
        sd_jwt = parse_sd_jwt(text)
        for disclosure in sd_jwt.parts[1:-1]:
            said.fact("disclosure", _content(disclosure))
        _explain_rules(sd_jwt, said)
        if sd_jwt.kb_jwt is not None:
            said.parts.append(explain_jwt(sd_jwt.parts[-1].decode("ascii"), judging=judging))
    except Refusal as error:
        said.refused(error, "RFC 9901 §7")
    return said


def _explain_rules(sd_jwt: SdJwt, said: Explanation) -> None:
    credential = read_claims(read_as_holder(sd_jwt, expected_typ=_TYPS))
    said.fact("vct", credential.vct)
    if credential.status is None and credential.expires_at is None:
        said.wrong("unbounded", "", "HAIP 1.0 §6.1")
    key = holder_key(credential)
    if sd_jwt.kb_jwt is None:
        return
    binding = parse_key_binding(sd_jwt)
    try:
        verify_jws(binding.jws, key)
    except Refusal:
        said.wrong("other_holder", "", "RFC 9901 §7.3 (5)")
    if binding.claims.get("sd_hash") != digests_of((sd_jwt.hashed_part,), sd_alg=credential.processed.sd_alg)[0]:
        said.wrong("sd_hash", "", "RFC 9901 §7.3 (5g)")


def _content(disclosure: bytes) -> str:
    try:
        value = strict_json.parse(base64url.decode(disclosure))
    except Malformed:
        return "?"
    return strict_json.dumps(value[1:] if isinstance(value, list) else value).decode()
