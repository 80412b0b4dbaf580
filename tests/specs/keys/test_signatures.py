"""Raw signatures: which algorithm is which key's, and how r and s become the DER that the library checks."""

from dataclasses import replace
from itertools import product

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from specs.keys.jose import (
    CURVE_OF_NAME,
    JoseError,
    PublicKey,
    alg_fits_key,
    ecdsa_signature,
    verify_signature,
)
from specs.refusal import ReasonCode

ED25519 = ed25519.Ed25519PrivateKey.generate()
KEYS: dict[str, PublicKey] = {
    "P-256": ec.generate_private_key(ec.SECP256R1()).public_key(),
    "P-384": ec.generate_private_key(ec.SECP384R1()).public_key(),
    "P-521": ec.generate_private_key(ec.SECP521R1()).public_key(),
    "secp256k1": ec.generate_private_key(ec.SECP256K1()).public_key(),
    "Ed25519": ED25519.public_key(),
}
FITTING = {
    ("ES256", "P-256"),
    ("ES384", "P-384"),
    ("ES512", "P-521"),
    ("EdDSA", "Ed25519"),
    ("Ed25519", "Ed25519"),
}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "EdDSA", "Ed25519", "ES256K", "HS256", "none"])
def test_an_algorithm_is_of_one_kind_of_key(alg: str, kind: str) -> None:
    """RFC 7518 §3.4, RFC 8037 §3.1, RFC 9864 §2.2."""
    key, message = KEYS[kind], b"message"
    fits = (alg, kind) in FITTING
    assert alg_fits_key(alg, key) is fits
    if fits and kind == "Ed25519":
        verify_signature(alg, key, message, ED25519.sign(message))
        return
    with pytest.raises(JoseError) as refused:
        verify_signature(alg, key, message, ED25519.sign(message))
    assert refused.value.reason is (ReasonCode.SIGNATURE_INVALID if fits else ReasonCode.ALGORITHM_NOT_ALLOWED)


NUMBERS = [
    *(0, 1, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000),
    *((1 << bits) - 1 for bits in (240, 247, 248, 255, 256)),
    *(1 << bits for bits in (240, 247, 248, 254, 255)),
]
LONG_NUMBERS = [(1 << bits) - 1 for bits in (480, 487, 488, 495, 496, 503, 521)]


@pytest.mark.parametrize(("size", "numbers"), [(32, NUMBERS), (66, LONG_NUMBERS)])
def test_a_raw_signature_becomes_the_der_of_its_numbers(size: int, numbers: list[int]) -> None:
    """RFC 3279 §2.2.3, X.690: as few bytes as they need, one in front of a set bit, 128 bytes counted in two."""
    for r, s in product(numbers, repeat=2):
        assert ecdsa_signature(r.to_bytes(size, "big") + s.to_bytes(size, "big")) == encode_dss_signature(r, s)


@pytest.mark.parametrize(
    ("name", "openssl_name"), [("P-256", "secp256r1"), ("P-384", "secp384r1"), ("P-521", "secp521r1")]
)
def test_a_curve_knows_how_its_keys_are_written(name: str, openssl_name: str) -> None:
    """RFC 5480 §2: the head of a key says its curve, the rest is its point."""
    curve = replace(CURVE_OF_NAME[name])  # made anew
    der = KEYS[name].public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert (curve.openssl_name, curve.der_head) == (openssl_name, der[: len(der) - 2 * curve.coordinate_size])
