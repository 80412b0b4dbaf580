"""Defects of the issuer-signed JWT: its form, its header, its signature, its registered claims."""

import hmac
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

from specs.encoding import base64url, strict_json
from tests.defects import defect
from tests.verifier.sd_presentation import Jwt, SdPresentation, Sign, disclosure, twin
from tests.verifier.world import HOUR, VCT
from verifier import ReasonCode

PSYCHIC = bytes(64)


def unsigned(_data: bytes) -> bytes:
    return b""


def psychic(_data: bytes) -> bytes:
    return PSYCHIC


def keyed(secret: bytes) -> Sign:
    return lambda data: hmac.new(secret, data, sha256).digest()


def flipped(sign: Sign) -> Sign:
    def sign_wrongly(data: bytes) -> bytes:
        signature = bytearray(sign(data))
        signature[20] ^= 0x04
        return bytes(signature)

    return sign_wrongly


def with_signature_of(original: Jwt) -> Sign:
    """Signs the original, whatever is asked."""
    signature = base64url.decode(original.text().rpartition(".")[2])
    return lambda _data: signature


def without(claim: str, then: bytes) -> Callable[[SdPresentation], SdPresentation]:
    """A payload whose claim is written by hand."""

    def apply(shown: SdPresentation) -> SdPresentation:
        return shown.issuer_lacking(claim).issuer_writing(lambda payload: payload[:-1] + b"," + then + b"}")

    return apply


@defect("sd-004", refused_as=ReasonCode.SD_JWT_MALFORMED)
def many_dots(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §3.1: three parts; a hundred thousand dots are counted, not split."""
    return replace(shown, edit=lambda text: "." * 100_000 + text)


@defect("sd-005", refused_as=ReasonCode.SIGNATURE_INVALID)
def signature_bit_flipped(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 2.b: the issuer's signature holds or nothing does."""
    return shown.issuer_signing(flipped(shown.issuer_jwt.sign))


@defect("sd-006", refused_as=ReasonCode.SIGNATURE_INVALID)
def payload_changed_after_signing(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §9.1: one second more than was signed."""
    end = shown.issuer_jwt.claims["exp"]
    assert isinstance(end, int)
    return shown.issuer_saying(exp=end + 1).issuer_signing(with_signature_of(shown.issuer_jwt))


@defect("sd-007", refused_as=ReasonCode.SIGNATURE_INVALID)
def signature_of_zeros(shown: SdPresentation) -> SdPresentation:
    """RFC 7518 §3.4: r and s are not zero."""
    return shown.issuer_signing(psychic)


@defect("sd-008", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def alg_none(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 2.a: an unsigned credential is nobody's."""
    return shown.issuer_heading(alg="none").issuer_signing(unsigned)


@defect("sd-009", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def alg_none_in_another_case(shown: SdPresentation) -> SdPresentation:
    """RFC 8725 §2.1: none, however it is spelt."""
    return shown.issuer_heading(alg="nOnE").issuer_signing(unsigned)


@defect("sd-010", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def alg_mac_with_the_certificate(shown: SdPresentation) -> SdPresentation:
    """RFC 8725 §2.1: a public certificate is no secret."""
    return shown.issuer_heading(alg="HS256").issuer_signing(keyed(shown.world.sd_jwt_identity.chain[0]))


@defect("sd-016", refused_as=ReasonCode.CRITICAL_HEADER_UNKNOWN)
def crit_empty(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.11: crit is not empty."""
    return shown.issuer_heading(crit=[])


@defect("sd-016b", refused_as=ReasonCode.CRITICAL_HEADER_UNKNOWN)
def crit_unknown(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.11: what is critical must be understood."""
    return shown.issuer_heading(crit=["b64"], b64=True)


@defect("sd-017", refused_as=ReasonCode.TYP_MISMATCH)
def typ_missing(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.1: typ is dc+sd-jwt."""
    return shown.issuer_headless("typ")


@defect("sd-018", refused_as=ReasonCode.TYP_MISMATCH)
def typ_jwt(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.1: typ is dc+sd-jwt."""
    return shown.issuer_heading(typ="JWT")


@defect("sd-018b", refused_as=ReasonCode.TYP_MISMATCH)
def typ_of_earlier_drafts(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.1: vc+sd-jwt was the name before; a setting lets it pass."""
    return shown.issuer_heading(typ="vc+sd-jwt")


@defect("sd-018c", refused_as=ReasonCode.TYP_MISMATCH)
def typ_in_another_case(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.1: one spelling."""
    return shown.issuer_heading(typ="DC+SD-JWT")


@defect("sd-018d", refused_as=ReasonCode.TYP_MISMATCH)
def typ_in_an_array(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.9: typ is a text."""
    return shown.issuer_heading(typ=["dc+sd-jwt"])


@defect("sd-019", refused_as=ReasonCode.TYP_MISMATCH)
def typ_of_a_key_binding(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §9.11: a holder's token is no issuer's."""
    return shown.issuer_heading(typ="kb+jwt")


@defect("sd-020", refused_as=ReasonCode.JWT_MALFORMED)
def exp_twice(shown: SdPresentation) -> SdPresentation:
    """RFC 7519 §4: claim names are unique; the first end is to come, the last has passed."""
    past = b',"exp":%d}' % (shown.world.now - HOUR)
    return shown.issuer_writing(lambda payload: payload[:-1] + past)


@defect("sd-021", refused_as=ReasonCode.JWT_MALFORMED)
def vct_twice(shown: SdPresentation) -> SdPresentation:
    """RFC 7519 §4: claim names are unique; ours: no last one wins."""
    return shown.issuer_writing(lambda payload: b'{"vct":"urn:example:other",' + payload[1:])


@defect("sd-022", refused_as=ReasonCode.CREDENTIAL_NOT_YET_VALID)
def nbf_in_an_hour(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 6, RFC 7519 §4.1.5: not before its time."""
    return shown.issuer_saying(nbf=shown.world.now + HOUR)


@defect("sd-023", refused_as=ReasonCode.JWT_MALFORMED)
def exp_nan(shown: SdPresentation) -> SdPresentation:
    """RFC 8259 §6: NaN is not JSON."""
    return without("exp", b'"exp":NaN')(shown)


@defect("sd-024", refused_as=ReasonCode.JWT_MALFORMED)
def exp_infinity(shown: SdPresentation) -> SdPresentation:
    """RFC 8259 §6: Infinity is not JSON."""
    return without("exp", b'"exp":Infinity')(shown)


@defect("sd-024b", refused_as=ReasonCode.JWT_MALFORMED)
def exp_beyond_doubles(shown: SdPresentation) -> SdPresentation:
    """RFC 8259 §6: a number that becomes infinity is as little an end."""
    return without("exp", b'"exp":1e999')(shown)


@defect("sd-025", refused_as=ReasonCode.CLAIM_INVALID)
def exp_null(shown: SdPresentation) -> SdPresentation:
    """RFC 7519 §2: a NumericDate is a number."""
    return shown.issuer_saying(exp=None)


@defect("sd-025b", refused_as=ReasonCode.CLAIM_INVALID)
def exp_as_text(shown: SdPresentation) -> SdPresentation:
    """RFC 7519 §2: a NumericDate is a number."""
    return shown.issuer_saying(exp=str(shown.world.now + HOUR))


@defect("sd-025c", refused_as=ReasonCode.CLAIM_INVALID)
def nbf_true(shown: SdPresentation) -> SdPresentation:
    """RFC 7519 §2: true is no number, though Python says it is one."""
    return shown.issuer_saying(nbf=True)


def ending_without_status(shown: SdPresentation) -> SdPresentation:
    """Nobody can withdraw it, it ends by itself."""
    return shown.issuer_lacking("status")


@defect("sd-026", refused_as=ReasonCode.VALIDITY_UNBOUNDED)
@twin(ending_without_status)
def exp_withheld(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §9.7: an end that can be withheld is none; ours: there must be an end or a status."""
    end = disclosure(["salt-of-exp------------", "exp", shown.issuer_jwt.claims["exp"]])
    return shown.issuer_lacking("exp").digesting(end)


@defect("sd-027", refused_as=ReasonCode.CLAIM_NOT_DISCLOSABLE)
def exp_disclosed(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.2.2: exp is permanent."""
    return disclosing(shown, "exp")


@defect("sd-028", refused_as=ReasonCode.TYPE_MISMATCH)
def vct_not_asked(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §B.3.5: the type is one of vct_values."""
    return shown.issuer_saying(vct="urn:eudi:pid:fr:1")


@defect("sd-029", refused_as=ReasonCode.CLAIM_INVALID)
def vct_array(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.2.1: vct is a text."""
    return shown.issuer_saying(vct=[VCT])


@defect("sd-030", refused_as=ReasonCode.TYPE_MISMATCH)
def vct_in_another_case(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.2.1: case counts."""
    return shown.issuer_saying(vct=VCT.upper())


@defect("sd-031", refused_as=ReasonCode.CLAIM_NOT_DISCLOSABLE)
def vct_disclosed(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.2.2: vct is permanent."""
    return disclosing(shown, "vct")


@defect("sd-032", refused_as=ReasonCode.CLAIM_NOT_DISCLOSABLE)
def cnf_disclosed(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.2.2, RFC 9901 §9.7: the holder does not choose whether it is bound."""
    return disclosing(shown, "cnf")


@defect("sd-032b", refused_as=ReasonCode.CLAIM_NOT_DISCLOSABLE)
def inside_of_cnf_disclosed(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.2.2: what is inside a permanent claim is permanent."""
    cnf = shown.issuer_jwt.claims["cnf"]
    assert isinstance(cnf, dict)
    return shown.issuer_saying(cnf={}).hiding(["salt-of-jwk------------", "jwk", cnf["jwk"]], under=("cnf",))


@defect("sd-033", refused_as=ReasonCode.CLAIM_NOT_DISCLOSABLE)
def status_disclosed(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC §3.2.2.2: status is permanent."""
    return disclosing(shown, "status")


@defect("sd-149", refused_as=ReasonCode.JWT_MALFORMED)
def newline_inside(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4: the serialisation has no white space."""
    return replace(shown, edit=lambda text: text.replace(".", ".\n", 1))


@defect("sd-149b", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def space_in_a_disclosure(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4: the serialisation has no white space, signed for or not."""
    return shown.hiding_texts(disclosure(["salt-of-space----------", "space", "none"]) + " ")


@defect("sd-149c", refused_as=ReasonCode.KEY_BINDING_MALFORMED)
def newline_at_the_end(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4: nothing follows."""
    return replace(shown, edit=lambda text: text + "\n")


@defect("sd-150", refused_as=ReasonCode.SD_JWT_MALFORMED)
def four_parts(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §3.1: a compact JWS has three parts."""
    return replace(shown, edit=lambda text: text.replace("~", ".AAAA~", 1))


@defect("sd-151", refused_as=ReasonCode.JWT_MALFORMED)
def header_not_json(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §5.2: the header is a JSON object."""
    return replace(shown, issuer_jwt=replace(shown.issuer_jwt, raw_header=b"alg=ES256&typ=dc+sd-jwt"))


@defect("sd-151b", refused_as=ReasonCode.JWT_MALFORMED)
def header_with_alg_twice(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4: header names are unique."""
    header = strict_json.dumps(shown.issuer_jwt.header)
    return replace(shown, issuer_jwt=replace(shown.issuer_jwt, raw_header=b'{"alg":"none",' + header[1:]))


@defect("sd-903", refused_as=ReasonCode.CREDENTIAL_EXPIRED)
def expired(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 6, RFC 7519 §4.1.4: it ended an hour ago."""
    return shown.issuer_saying(exp=shown.world.now - HOUR)


@defect("sd-903b", refused_as=ReasonCode.CREDENTIAL_NOT_YET_VALID)
def not_yet_valid(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 6: it begins in two minutes, more than our clock may be off."""
    return shown.issuer_saying(nbf=shown.world.now + 120)


@defect("sd-903c", refused_as=ReasonCode.CREDENTIAL_NOT_YET_VALID)
def issued_in_two_minutes(shown: SdPresentation) -> SdPresentation:
    """RFC 7519 §4.1.6, RFC 9901 §7.1 6: nobody has issued it yet."""
    return shown.issuer_saying(iat=shown.world.now + 120)


def disclosing(shown: SdPresentation, claim: str) -> SdPresentation:
    """A permanent claim comes as a disclosure."""
    value = shown.issuer_jwt.claims[claim]
    return shown.issuer_lacking(claim).hiding(["salt-of-permanent------", claim, value])
