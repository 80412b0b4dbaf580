"""Wycheproof: signatures, key agreement and JOSE as attackers bend them. What is "acceptable" there we refuse."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.encoding import base64url
from specs.keys.jose import CURVE_OF_ALG, JoseError, parse_jwk, parse_jws, verify_jws, verify_signature
from specs.keys.jwe import DecryptionKey, decrypt
from tests.vectors import vectors_path

SIGNATURE_FILES = {
    "ES256": "ecdsa_secp256r1_sha256_p1363_test.json",
    "ES384": "ecdsa_secp384r1_sha384_p1363_test.json",
    "ES512": "ecdsa_secp521r1_sha512_p1363_test.json",
    "EdDSA": "ed25519_test.json",
}


def groups(name: str) -> Iterator[dict[str, Any]]:
    """The groups of a file."""
    yield from json.loads(vectors_path("wycheproof", name).read_text())["testGroups"]


@pytest.mark.parametrize("alg", SIGNATURE_FILES)
def test_signatures_are_judged_as_published(alg: str) -> None:
    judged = 0
    for group in groups(SIGNATURE_FILES[alg]):
        key = _public_key(group, alg)
        for case in group["tests"]:
            assert _holds(alg, key, case) is (case["result"] == "valid"), (alg, case["tcId"], case["comment"])
            judged += 1
    assert judged > 100


def _public_key(group: dict[str, Any], alg: str) -> Any:
    if alg == "EdDSA":
        return parse_jwk({name: group["publicKeyJwk"][name] for name in ("kty", "crv", "x")})
    point = bytes.fromhex(group["publicKey"]["uncompressed"])
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVE_OF_ALG[alg].curve, point)


def _holds(alg: str, key: Any, case: dict[str, Any]) -> bool:
    try:
        verify_signature(alg, key, bytes.fromhex(case["msg"]), bytes.fromhex(case["sig"]))
    except JoseError:
        return False
    return True


def test_a_key_of_our_curve_is_taken_exactly_if_it_is_a_point_of_it() -> None:
    refused = 0
    for group in groups("ecdh_secp256r1_ecpoint_test.json"):
        for case in group["tests"]:
            public = bytes.fromhex(case["public"])
            jwk = _jwk(public)
            if case["result"] == "valid":
                key = parse_jwk(jwk, for_encryption=True)
                assert isinstance(key, ec.EllipticCurvePublicKey)
                private = ec.derive_private_key(int(case["private"], 16), ec.SECP256R1())
                assert private.exchange(ec.ECDH(), key).hex() == case["shared"], case["tcId"]
            elif jwk is not None:
                with pytest.raises(JoseError):
                    parse_jwk(jwk, for_encryption=True)
                refused += 1
    assert refused > 5


def _jwk(point: bytes) -> dict[str, str] | None:
    """The JWK of an uncompressed point; what is written otherwise can't be said in a JWK."""
    if not point.startswith(b"\x04") or len(point) % 2 == 0:
        return None
    half = len(point) // 2
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": base64url.encode(point[1 : half + 1]),
        "y": base64url.encode(point[half + 1 :]),
    }


@dataclass(frozen=True)
class Verified:
    """How a JWS was judged."""

    tc_id: int
    expected: bool
    ours: bool


@pytest.mark.parametrize(
    "name", ["json_web_signature_test.json", "json_web_crypto_test.json", "json_web_key_test.json"]
)
def test_no_bent_jws_is_accepted_and_each_good_one_of_ours_is(name: str) -> None:
    judged = [verdict for group in groups(name) for verdict in _judged(group)]
    assert judged
    for verdict in judged:
        assert verdict.ours <= verdict.expected, verdict  # never accepted where the vector says no
    ours = [verdict for group in groups(name) if _is_ours(group) for verdict in _judged(group)]
    for verdict in ours:
        assert verdict.ours == verdict.expected, verdict


def _judged(group: dict[str, Any]) -> Iterator[Verified]:
    for case in group["tests"]:
        if "jws" in case:
            yield Verified(case["tcId"], case["result"] == "valid", _jws_holds(group, case["jws"]))


def _is_ours(group: dict[str, Any]) -> bool:
    """One elliptic curve key for signatures: the only kind that we hold."""
    public = group.get("public")
    return isinstance(public, dict) and public.get("kty") == "EC" and public.get("use", "sig") == "sig"


def _jws_holds(group: dict[str, Any], token: object) -> bool:
    if not isinstance(token, str):
        return False  # the JSON serialisations are no compact JWS
    try:
        key = parse_jwk({**group.get("public", {})})
        # these tokens carry no typ; the signature is what is looked at here
        jws = parse_jws(token, expected_typ=(None, "JWT"))
        verify_jws(jws, key)
    except JoseError:
        return False
    return True


def test_no_bent_jwe_is_opened() -> None:
    judged = 0
    for group in groups("json_web_encryption_test.json"):
        key = _decryption_key(group["private"])
        for case in group["tests"]:
            if key is None or not isinstance(case["jwe"], str):
                continue
            judged += 1
            assert _opened(case["jwe"], key) in (None, case["pt"] if case["result"] == "valid" else None), case["tcId"]
    assert judged > 10


def _opened(token: str, key: DecryptionKey) -> str | None:
    try:
        return decrypt(token, keys={key.kid: key}).payload.hex()
    except JoseError:
        return None


def _decryption_key(private: dict[str, Any]) -> DecryptionKey | None:
    if private.get("kty") != "EC" or private.get("crv") != "P-256":
        return None
    secret = int.from_bytes(base64url.decode(private["d"]), "big")
    return DecryptionKey(private.get("kid", ""), ec.derive_private_key(secret, ec.SECP256R1()))
