"""COSE Sign1 as published by gluecose: what it signed we verify and take apart; RSA is no algorithm of ours."""

import json
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from specs.encoding import base64url, cbor
from specs.keys.cose import CoseError, build_sign1, parse_sign1, signature_input, verify_sign1
from specs.keys.jose import CURVE_OF_ALG, parse_jwk
from specs.keys.signer import FileSigner
from specs.refusal import ReasonCode
from tests.vectors import vectors_path

EC_CASES, RSA_CASES = range(4), range(4, 7)


def case(kind: str, number: int) -> dict[str, Any]:
    """One published case."""
    found: dict[str, Any] = json.loads(vectors_path("cose", f"sign1-{kind}-{number:04}.json").read_text())
    return found


def public_key(published: dict[str, Any]) -> Any:
    """The key of a case, its public members."""
    return parse_jwk({name: published["key"][name] for name in ("kty", "crv", "x", "y")})


@pytest.mark.parametrize("number", EC_CASES)
def test_published_signatures_verify(number: int) -> None:
    published = case("verify", number)
    told = published["sign1::verify"]
    sign1 = parse_sign1(cbor.decode(bytes.fromhex(told["taggedCOSESign1"]["cborHex"])), tagged=True)
    external = bytes.fromhex(told.get("external", ""))
    assert told["shouldVerify"]
    verify_sign1(sign1, key=public_key(published), external_aad=external)
    with pytest.raises(CoseError) as refused:
        verify_sign1(sign1, key=public_key(published), external_aad=external + b"x")
    assert refused.value.reason is ReasonCode.SIGNATURE_INVALID


@pytest.mark.parametrize("number", RSA_CASES)
def test_rsa_is_not_an_algorithm_of_ours(number: int) -> None:
    value = cbor.decode(bytes.fromhex(case("verify", number)["sign1::verify"]["taggedCOSESign1"]["cborHex"]))
    with pytest.raises(CoseError) as refused:
        parse_sign1(value, tagged=True)
    assert refused.value.reason is ReasonCode.ALGORITHM_NOT_ALLOWED


@pytest.mark.parametrize("number", EC_CASES)
def test_what_is_signed_is_byte_for_byte_the_published_structure(number: int) -> None:
    told = case("sign", number)["sign1::sign"]
    protected = bytes.fromhex(told["protectedHeaders"]["cborHex"])
    made = signature_input(
        "Signature1", protected, bytes.fromhex(told.get("external", "")), bytes.fromhex(told["payload"])
    )
    assert made.hex() == told["tbsHex"]["cborHex"].lower()


@pytest.mark.parametrize("number", EC_CASES)
def test_our_signature_by_the_published_key_verifies(number: int) -> None:
    published = case("sign", number)
    told = published["sign1::sign"]
    secret = int.from_bytes(base64url.decode(published["key"]["d"]), "big")
    signer = FileSigner(ec.derive_private_key(secret, CURVE_OF_ALG[published["alg"]].curve))
    further = cbor.decode_map(bytes.fromhex(told["protectedHeaders"]["cborHex"]))
    del further[1]  # the algorithm is the signer's to write
    made = build_sign1(bytes.fromhex(told["payload"]), signer=signer, protected=further)  # type: ignore[arg-type]
    parsed = parse_sign1(cbor.decode(cbor2.dumps(made)))
    assert parsed.protected == bytes.fromhex(told["protectedHeaders"]["cborHex"])
    verify_sign1(parsed, key=public_key(published))
