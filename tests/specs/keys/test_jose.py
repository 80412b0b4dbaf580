"""JWK, JWS and the signer: round trips, and each rule of reading broken once."""

import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.cose import X5CHAIN, CoseError, parse_x5chain
from specs.keys.jose import (
    MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES,
    MAX_HEADER_BYTES,
    JoseError,
    build_jws,
    jwk_from_public_key,
    key_thumbprint,
    parse_jwk,
    parse_jws,
    parse_x5c,
    thumbprint,
    verify_jws,
    x5c_header,
)
from specs.keys.signer import generate_private_key, generate_signer, load_signer
from specs.refusal import ReasonCode

ALGS = ("ES256", "ES384", "ES512", "EdDSA")
# RFC 7638 §3.1 is an RSA key; this is the P-256 key of RFC 7515 A.3 with its thumbprint as RFC 7638 orders the members
P256 = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
}
RFC7515_A3 = (
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
Bend = Callable[[dict[str, object]], object]


def test_the_example_of_rfc_7515_verifies() -> None:
    jws = parse_jws(RFC7515_A3, expected_typ=(None,))
    verify_jws(jws, parse_jwk(P256))
    assert jws.claims()["iss"] == "joe"


@pytest.mark.parametrize("alg", ALGS)
def test_each_algorithm_signs_verifies_and_travels_as_jwk(alg: str) -> None:
    signer = generate_signer(alg)
    jws = parse_jws(build_jws(b'{"a":1}', signer=signer, typ="test"), expected_typ="test")
    verify_jws(jws, parse_jwk(jwk_from_public_key(signer.public_key)))
    with pytest.raises(JoseError) as refused:
        verify_jws(jws, generate_signer(alg).public_key)
    assert refused.value.reason is ReasonCode.SIGNATURE_INVALID
    other = generate_signer("ES384" if alg != "ES384" else "ES256")
    with pytest.raises(JoseError) as refused:
        verify_jws(jws, other.public_key)
    assert refused.value.reason is ReasonCode.ALGORITHM_NOT_ALLOWED
    assert len(signer.sign_many([b"1", b"2"])) == 2


def _moved(jwk: dict[str, object]) -> dict[str, object]:
    x, y = (base64url.decode(str(jwk[name])) for name in "xy")
    return {**jwk, "x": base64url.encode(x[:-1]), "y": base64url.encode(x[-1:] + y)}


BENT_KEYS: dict[str, Bend] = {
    "no object": lambda _jwk: "key",
    "private": lambda jwk: {**jwk, "d": jwk["x"]},
    "symmetric": lambda jwk: {"kty": "oct", "k": jwk["x"]},
    "another curve": lambda jwk: {**jwk, "crv": "secp256k1"},
    "curve of another length": lambda jwk: {**jwk, "crv": "P-384"},
    "no curve": lambda jwk: {name: value for name, value in jwk.items() if name != "crv"},
    "x missing": lambda jwk: {name: value for name, value in jwk.items() if name != "x"},
    "x no text": lambda jwk: {**jwk, "x": 5},
    "x not base64url": lambda jwk: {**jwk, "x": f"{jwk['x']}="},
    "x with a leading zero": lambda jwk: {**jwk, "x": base64url.encode(b"\0" + base64url.decode(str(jwk["x"])))},
    "a byte moved from x to y": lambda jwk: _moved(jwk),
    "not on the curve": lambda jwk: {**jwk, "y": jwk["x"]},
    "alg of another curve": lambda jwk: {**jwk, "alg": "ES384"},
    "alg a list": lambda jwk: {**jwk, "alg": ["ES256"]},
    "alg an object": lambda jwk: {**jwk, "alg": {}},
    "for encryption": lambda jwk: {**jwk, "use": "enc"},
    "for other operations": lambda jwk: {**jwk, "key_ops": ["deriveKey"]},
    "operations as a text": lambda jwk: {**jwk, "key_ops": "verify"},
    "another kind": lambda jwk: {**jwk, "kty": "OKP"},
    "a list of curves": lambda jwk: {**jwk, "crv": ["P-256"]},
    "a curve of another kind": lambda jwk: {**jwk, "crv": "Ed25519"},
}


@pytest.mark.parametrize("bent", BENT_KEYS)
def test_a_bent_key_is_refused(bent: str) -> None:
    parse_jwk({**P256, "kid": "1", "use": "sig", "key_ops": ["verify"], "alg": "ES256"})
    with pytest.raises(JoseError) as refused:
        parse_jwk(BENT_KEYS[bent]({**P256}))
    assert refused.value.reason is ReasonCode.KEY_INVALID


@pytest.mark.parametrize(
    ("members", "for_encryption"),
    [
        ({"key_ops": ["verify"]}, False),
        ({"key_ops": ["encrypt", "verify"]}, False),
        ({"use": "sig"}, False),
        ({"key_ops": ["deriveKey"]}, True),
        ({"key_ops": []}, True),
        ({"use": "enc"}, True),
    ],
)
def test_a_key_may_say_that_it_is_for_what_we_use_it_for(members: dict[str, object], for_encryption: bool) -> None:
    """RFC 7517 §4.2, §4.3: either member alone; a public key that others agree with does nothing by itself."""
    assert parse_jwk({**P256, **members}, for_encryption=for_encryption) == parse_jwk(P256)


def test_a_thumbprint_is_that_of_the_standards() -> None:
    """RFC 8037 A.3, RFC 9449 §6.1."""
    okp = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    assert thumbprint(okp) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert base64url.encode(key_thumbprint(parse_jwk(okp))) == thumbprint(okp)
    p256 = {
        "kty": "EC",
        "crv": "P-256",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
    }
    assert thumbprint(p256) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def test_a_thumbprint_does_not_depend_on_what_else_a_key_says() -> None:
    assert thumbprint({**P256, "kid": "x", "use": "sig"}) == thumbprint(dict(reversed(P256.items())))
    assert thumbprint(P256) != thumbprint({**P256, "x": P256["y"]})


@pytest.mark.parametrize("name", ["crv", "kty", "x", "y"])
@pytest.mark.parametrize("value", [None, 5, ["x"]])
def test_a_key_without_what_its_thumbprint_is_made_of_has_none(name: str, value: object) -> None:
    with pytest.raises(JoseError) as refused:
        thumbprint({**P256, name: value})
    assert refused.value.reason is ReasonCode.KEY_INVALID


def token(header: dict[str, object], payload: bytes = b"{}") -> str:
    """A JWS with any header and a signature that nobody checks."""
    return ".".join(
        (base64url.encode(json.dumps(header).encode()), base64url.encode(payload), base64url.encode(b"s" * 64))
    )


GOOD: dict[str, object] = {"alg": "ES256", "typ": "test"}
BENT_TOKENS = {
    "two parts": ("a.b", ReasonCode.JWT_MALFORMED),
    "four parts": (token(GOOD) + ".x", ReasonCode.JWT_MALFORMED),
    "header no JSON": (f"{base64url.encode(b'x')}.e30.AA", ReasonCode.JWT_MALFORMED),
    "header a list": (f"{base64url.encode(b'[]')}.e30.AA", ReasonCode.JWT_MALFORMED),
    "repeated alg": (
        base64url.encode(b'{"alg":"ES256","alg":"none","typ":"test"}') + ".e30.AA",
        ReasonCode.JWT_MALFORMED,
    ),
    "alg none": (token({**GOOD, "alg": "none"}), ReasonCode.ALGORITHM_NOT_ALLOWED),
    "alg HS256": (token({**GOOD, "alg": "HS256"}), ReasonCode.ALGORITHM_NOT_ALLOWED),
    "alg a list": (token({**GOOD, "alg": ["ES256"]}), ReasonCode.ALGORITHM_NOT_ALLOWED),
    "alg missing": (token({"typ": "test"}), ReasonCode.ALGORITHM_NOT_ALLOWED),
    "typ another": (token({**GOOD, "typ": "JWT"}), ReasonCode.TYP_MISMATCH),
    "typ missing": (token({"alg": "ES256"}), ReasonCode.TYP_MISMATCH),
    "crit": (token({**GOOD, "crit": ["exp"]}), ReasonCode.CRITICAL_HEADER_UNKNOWN),
    "crit empty": (token({**GOOD, "crit": []}), ReasonCode.CRITICAL_HEADER_UNKNOWN),
    "payload padded": (token(GOOD).replace(".e30.", ".e30=."), ReasonCode.JWT_MALFORMED),
    "header huge": (token({**GOOD, "x": "a" * 200_000}), ReasonCode.LIMIT_EXCEEDED),
}


@pytest.mark.parametrize("bent", BENT_TOKENS)
def test_a_bent_token_is_refused(bent: str) -> None:
    parse_jws(token(GOOD), expected_typ="test")
    text, reason = BENT_TOKENS[bent]
    with pytest.raises(JoseError) as refused:
        parse_jws(text, expected_typ="test")
    assert refused.value.reason is reason


def headed(size: int) -> str:
    """A token whose header has so many bytes."""
    return token({**GOOD, "x": "a" * (size - len(json.dumps({**GOOD, "x": ""})))})


def test_a_header_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert parse_jws(headed(MAX_HEADER_BYTES), expected_typ="test")
    with pytest.raises(JoseError) as refused:
        parse_jws(headed(MAX_HEADER_BYTES + 1), expected_typ="test")
    assert refused.value.reason is ReasonCode.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        ({"crit": ["exp"], "exp": 1}, True),
        ({"crit": ["exp", "b64"], "exp": 1, "b64": True}, True),
        ({"crit": ["exp"]}, False),
        ({"crit": ["exp", "exp"], "exp": 1}, False),
        ({"crit": ["exp", "other"], "exp": 1, "other": 1}, False),
        ({"crit": [["exp"]], "exp": 1}, False),
        ({"crit": "exp", "exp": 1}, False),
        ({"crit": [], "exp": 1}, False),
    ],
)
def test_what_is_critical_must_be_there_and_understood(header: dict[str, object], accepted: bool) -> None:
    """RFC 7515 §4.1.11: a list without repetition of names that stand in the header."""
    bent, understood = token({**GOOD, **header}), frozenset({"exp", "b64"})
    if accepted:
        assert parse_jws(bent, expected_typ="test", understood=understood).header["exp"] == 1
        return
    with pytest.raises(JoseError) as refused:
        parse_jws(bent, expected_typ="test", understood=understood)
    assert refused.value.reason is ReasonCode.CRITICAL_HEADER_UNKNOWN


def test_what_was_read_together_with_other_payloads_is_not_read_again() -> None:
    said: JsonObject = {"iss": "joe"}
    assert parse_jws(token(GOOD, b'{"iss":"joe"}'), expected_typ="test", content=said).claims() is said


def test_a_list_as_typ_is_none_of_several_expected() -> None:
    with pytest.raises(JoseError) as refused:
        parse_jws(token({**GOOD, "typ": ["test"]}), expected_typ={"test", "other"})
    assert refused.value.reason is ReasonCode.TYP_MISMATCH


@pytest.mark.parametrize(
    ("x5c", "reason"),
    [
        (None, ReasonCode.ISSUER_KEY_MISSING),
        ([], ReasonCode.CERTIFICATE_MALFORMED),
        ("MIIB", ReasonCode.CERTIFICATE_MALFORMED),
        ([5], ReasonCode.CERTIFICATE_MALFORMED),
        (["MII-"], ReasonCode.CERTIFICATE_MALFORMED),
        (["MIIÄ"], ReasonCode.CERTIFICATE_MALFORMED),
        (["MIIB"] * 5, ReasonCode.LIMIT_EXCEEDED),
        (["A" * 24_000], ReasonCode.LIMIT_EXCEEDED),
    ],
)
def test_a_chain_that_is_none_is_refused(x5c: object, reason: ReasonCode) -> None:
    assert parse_x5c({"x5c": ["MIIB"]})
    with pytest.raises(JoseError) as refused:
        parse_x5c({} if x5c is None else {"x5c": x5c})
    assert refused.value.reason is reason


def test_a_chain_may_be_as_long_as_the_limits_in_both_forms() -> None:
    certificate = bytes(MAX_CERTIFICATE_BYTES)
    longest = (certificate,) * MAX_CERTIFICATES
    assert parse_x5c({"x5c": x5c_header(longest)}) == parse_x5chain({X5CHAIN: [*longest]}) == longest
    for beyond in ((b"x",) * (MAX_CERTIFICATES + 1), (certificate + bytes(1),)):
        with pytest.raises(JoseError) as in_jose:
            parse_x5c({"x5c": x5c_header(beyond)})
        with pytest.raises(CoseError) as in_cose:
            parse_x5chain({X5CHAIN: [*beyond]})
        assert in_jose.value.reason is in_cose.value.reason is ReasonCode.LIMIT_EXCEEDED


def test_a_key_file_opens_with_its_password_only() -> None:
    key = generate_private_key("ES256")
    plain = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert load_signer(plain).alg == "ES256"
    closed = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    assert load_signer(closed, password=b"word").alg == "ES256"
    for pem, password in ((closed, None), (closed, b"other"), (b"no key", None), (plain, b"word")):
        with pytest.raises(JoseError):
            load_signer(pem, password=password)


@pytest.mark.parametrize(
    "other", [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256K1())], ids=["rsa", "secp256k1"]
)
def test_a_key_of_a_kind_that_we_do_not_sign_with_is_refused(
    other: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    with pytest.raises(JoseError):
        load_signer(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(JoseError):
        generate_private_key("RS256")
