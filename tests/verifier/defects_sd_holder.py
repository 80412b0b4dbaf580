"""Defects of the holder's proof: the key binding, the key it is made with, the question it is made for."""

from dataclasses import replace

from specs.encoding import base64url, strict_json
from specs.keys.jose import jwk_from_public_key
from specs.keys.signer import generate_signer
from tests.defects import defect
from tests.verifier.defects_sd_form import keyed, psychic, unsigned
from tests.verifier.sd_presentation import GIVEN_NAME, SdPresentation, digest, twin
from tests.verifier.world import CLIENT_ID, DAY, NONCE, RESPONSE_URI
from verifier import DcApi, ReasonCode

ORIGIN = "https://stadt.example"


def over_the_api(shown: SdPresentation) -> SdPresentation:
    """The answer came through the Digital Credentials API."""
    return replace(shown, binding=DcApi(ORIGIN)).holder_saying(aud=f"origin:{ORIGIN}")


def proof_not_needed(shown: SdPresentation) -> SdPresentation:
    """The question asks for no proof of possession, and there is one."""
    return shown.asking(
        {"path": ["family_name"]}, {"path": ["address", "locality"]}, require_cryptographic_holder_binding=False
    )


def by_somebody(shown: SdPresentation) -> SdPresentation:
    """Another key signs."""
    return shown.holder_signing(generate_signer().sign)


@defect("sd-059", refused_as=ReasonCode.KEY_BINDING_SIGNATURE_INVALID)
def another_key(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.c: the key that the issuer named."""
    return by_somebody(shown)


@defect("sd-060", refused_as=ReasonCode.KEY_BINDING_SIGNATURE_INVALID)
def another_key_in_the_header(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.3.2: the header does not choose the key."""
    thief = generate_signer()
    return shown.holder_heading(jwk=jwk_from_public_key(thief.public_key)).holder_signing(thief.sign)


@defect("sd-061", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def alg_none(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.b: not none."""
    return shown.holder_heading(alg="none").holder_signing(unsigned)


@defect("sd-062", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def alg_mac_with_the_public_key(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.b: a public key is no secret."""
    cnf = shown.issuer_jwt.claims["cnf"]
    assert isinstance(cnf, dict)
    return shown.holder_heading(alg="HS256").holder_signing(keyed(strict_json.dumps(cnf["jwk"])))


@defect("sd-063", refused_as=ReasonCode.KEY_BINDING_SIGNATURE_INVALID)
def signature_of_zeros(shown: SdPresentation) -> SdPresentation:
    """RFC 7518 §3.4: r and s are not zero."""
    return shown.holder_signing(psychic)


@defect("sd-064", refused_as=ReasonCode.TYP_MISMATCH)
def typ_jwt(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.d: typ is kb+jwt."""
    return shown.holder_heading(typ="JWT")


@defect("sd-065", refused_as=ReasonCode.CRITICAL_HEADER_UNKNOWN)
def crit_unknown(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.11: what is critical must be understood."""
    return shown.holder_heading(crit=["urn:example:must"], **{"urn:example:must": True})


@defect("sd-066", refused_as=ReasonCode.NONCE_MISMATCH)
def nonce_of_another_question(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.f, OpenID4VP §14.1: an answer to another question."""
    return shown.holder_saying(nonce="0123456789abcdefghijkl")


@defect("sd-067", refused_as=ReasonCode.NONCE_MISMATCH)
def nonce_with_a_space(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.f: the nonce, and nothing more."""
    return shown.holder_saying(nonce=NONCE + " ")


@defect("sd-067b", refused_as=ReasonCode.NONCE_MISMATCH)
def nonce_not_ascii(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.f: text that a comparison in constant time may choke on."""
    return shown.holder_saying(nonce=NONCE + "ü")


@defect("sd-068", refused_as=ReasonCode.NONCE_MISMATCH)
def nonce_missing(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.3: the nonce is required."""
    return shown.holder_lacking("nonce")


@defect("sd-069", refused_as=ReasonCode.NONCE_MISMATCH)
def nonce_array(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.3: the nonce is a text."""
    return shown.holder_saying(nonce=[NONCE])


@defect("sd-070", refused_as=ReasonCode.AUDIENCE_MISMATCH)
def aud_of_another_verifier(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.f, OpenID4VP §14.1: made for somebody else."""
    return shown.holder_saying(aud="x509_hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU")


@defect("sd-071", refused_as=ReasonCode.AUDIENCE_MISMATCH)
def aud_response_uri(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §B.3.6: the audience is the client id."""
    return shown.holder_saying(aud=RESPONSE_URI)


@defect("sd-072", refused_as=ReasonCode.AUDIENCE_MISMATCH)
def aud_array(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.3: one audience, as a text."""
    return shown.holder_saying(aud=[CLIENT_ID])


@defect("sd-073", refused_as=ReasonCode.AUDIENCE_MISMATCH)
def aud_missing(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.3: the audience is required."""
    return shown.holder_lacking("aud")


@defect("sd-074", refused_as=ReasonCode.AUDIENCE_MISMATCH)
def aud_prefix(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.f: the audience is compared, not searched."""
    return shown.holder_saying(aud=CLIENT_ID[:-1])


@defect("sd-074b", refused_as=ReasonCode.AUDIENCE_MISMATCH)
def aud_longer(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.f: nor may it only begin rightly."""
    return shown.holder_saying(aud=CLIENT_ID + "A")


@defect("sd-075", refused_as=ReasonCode.AUDIENCE_MISMATCH)
@twin(over_the_api)
def aud_client_id_over_the_api(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §A.4: over the API the audience is the origin."""
    return shown.holder_saying(aud=CLIENT_ID)


@defect("sd-076", refused_as=ReasonCode.AUDIENCE_MISMATCH)
@twin(over_the_api)
def aud_sibling_origin(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §A.4: this origin, not one below it."""
    return shown.holder_saying(aud="origin:https://fremd.stadt.example")


@defect("sd-077", refused_as=ReasonCode.KEY_BINDING_NOT_YET_VALID)
def made_in_a_year(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.e: made now."""
    return shown.holder_saying(iat=shown.world.now + 365 * DAY)


@defect("sd-078", refused_as=ReasonCode.KEY_BINDING_EXPIRED)
def made_a_year_ago(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.e: made now."""
    return shown.holder_saying(iat=shown.world.now - 365 * DAY)


@defect("sd-079", refused_as=ReasonCode.KEY_BINDING_NOT_YET_VALID)
def made_in_ten_minutes(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.e; ours: clocks may differ by a minute."""
    return shown.holder_saying(iat=shown.world.now + 600)


@defect("sd-080", refused_as=ReasonCode.KEY_BINDING_MALFORMED)
def iat_text(shown: SdPresentation) -> SdPresentation:
    """RFC 7519 §2: a NumericDate is a number."""
    return shown.holder_saying(iat=str(shown.world.now))


@defect("sd-080b", refused_as=ReasonCode.KEY_BINDING_MALFORMED)
def iat_missing(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.3: iat is required."""
    return shown.holder_lacking("iat")


@defect("sd-081", refused_as=ReasonCode.KEY_BINDING_EXPIRED)
def own_end_in_the_past(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.h: a JWT that says it has ended has."""
    return shown.holder_saying(exp=shown.world.now - 120)


@defect("sd-082", refused_as=ReasonCode.SD_HASH_MISMATCH)
def hash_wrong(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.g: over this presentation."""
    return shown.holder_saying(sd_hash=digest("something else"))


@defect("sd-082b", refused_as=ReasonCode.SD_HASH_MISMATCH)
def hash_null(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.3: sd_hash is a text."""
    return shown.holder_saying(sd_hash=None)


@defect("sd-083", refused_as=ReasonCode.SD_HASH_MISMATCH)
def hash_by_another_algorithm(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.3.1: by the credential's own algorithm."""
    frozen = fixed(shown)
    return frozen.holder_saying(sd_hash=digest(frozen.hashed_part, alg="sha-512"))


@defect("sd-084", refused_as=ReasonCode.SD_HASH_MISMATCH)
def hash_over_the_issuer_jwt_alone(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.3.1: over the disclosures too."""
    frozen = fixed(shown)
    return frozen.holder_saying(sd_hash=digest(frozen.issuer_jwt.text()))


@defect("sd-085", refused_as=ReasonCode.SD_HASH_MISMATCH)
@twin(lambda shown: shown.showing(GIVEN_NAME))
def disclosure_removed(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §9.10: what was bound stays together."""
    return replace(shown, edit=lambda text: text.replace(f"~{GIVEN_NAME}", ""))


@defect("sd-086", refused_as=ReasonCode.SD_HASH_MISMATCH)
def of_another_credential(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §9.10: a proof for another credential of the same holder."""
    other = shown.hiding(["salt-of-other----------", "given_name", "MILA"])
    return shown.holder_saying(sd_hash=digest(other.hashed_part))


@defect("sd-087", refused_as=ReasonCode.SD_JWT_MALFORMED)
def two_key_bindings(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4: one key binding, at the end."""
    return replace(shown, edit=lambda text: f"{text}~{text.rpartition('~')[2]}")


@defect("sd-088", refused_as=ReasonCode.HOLDER_KEY_INVALID)
def key_not_on_its_curve(shown: SdPresentation) -> SdPresentation:
    """RFC 7518 §6.2: a point of the curve."""
    jwk = jwk_from_public_key(shown.world.holder.public_key)
    y = bytearray(base64url.decode(jwk["y"]))
    y[31] ^= 1
    return shown.issuer_saying(cnf={"jwk": {**jwk, "y": base64url.encode(bytes(y))}})


@defect("sd-089", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def key_symmetric(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3 5.b: a proof of possession is a signature."""
    secret = b"thirty-two bytes of a secret key"
    return (
        shown.issuer_saying(cnf={"jwk": {"kty": "oct", "k": base64url.encode(secret)}})
        .holder_heading(alg="HS256")
        .holder_signing(keyed(secret))
    )


@defect("sd-090", refused_as=ReasonCode.HOLDER_KEY_INVALID)
def key_private(shown: SdPresentation) -> SdPresentation:
    """RFC 7800 §3.2: a public key; ours: one that everybody has proves nothing."""
    jwk = jwk_from_public_key(shown.world.holder.public_key)
    return shown.issuer_saying(cnf={"jwk": {**jwk, "d": base64url.encode(bytes(31) + b"\x07")}})


@defect("sd-090b", refused_as=ReasonCode.HOLDER_KEY_INVALID)
def key_by_reference(shown: SdPresentation) -> SdPresentation:
    """HAIP §6.1: cnf holds the key itself; an address or a name is no key."""
    return shown.issuer_saying(cnf={"jku": "https://attacker.example/keys.json", "kid": "1"})


@defect("sd-090c", refused_as=ReasonCode.HOLDER_KEY_INVALID)
def cnf_text(shown: SdPresentation) -> SdPresentation:
    """RFC 7800 §3.1: cnf is an object."""
    return shown.issuer_saying(cnf="jwk")


@defect("sd-091", refused_as=ReasonCode.KEY_BINDING_SIGNATURE_INVALID)
@twin(proof_not_needed)
def needless_proof_is_wrong(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3; ours: a proof that nobody asked for must hold if it is there."""
    return by_somebody(shown)


@defect("sd-901", refused_as=ReasonCode.KEY_BINDING_MISSING)
def key_binding_missing(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.3: whoever shows it must hold it."""
    return shown.unbound()


@defect("sd-902", refused_as=ReasonCode.HOLDER_KEY_MISSING)
def cnf_missing(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §B.3: a credential bound to nobody is proven by nobody."""
    return by_somebody(shown.issuer_lacking("cnf"))


def fixed(shown: SdPresentation) -> SdPresentation:
    """The same with one issuer's signature for good, as ECDSA gives another each time."""
    signature = base64url.decode(shown.issuer_jwt.text().rpartition(".")[2])
    return shown.issuer_signing(lambda _data: signature)
