"""What proofs of possession have in common: claims of one form, edges of time, announced algorithms, keys."""

import pytest

from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import JoseError, key_thumbprint
from specs.keys.signer import generate_signer
from specs.protocols.jwt_claims import ClaimError, check_validity, public_key, required_string, usable_algs
from tests.specs.protocols.tokens import NOW, jwk

SKEW = 60
SIGNER = generate_signer()
JWK = jwk(SIGNER)


@pytest.mark.parametrize("value", ["", None, 1, ["a"], True])
def test_claim_that_is_no_filled_text_is_refused(value: JsonValue) -> None:
    assert required_string({"jti": "a"}, "jti") == "a"
    with pytest.raises(ClaimError, match="jti is not a text"):
        required_string({"jti": value}, "jti")


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": NOW - SKEW + 1}, None),
        ({"exp": NOW - SKEW + 0.5}, None),
        ({"exp": NOW - SKEW}, "credential_expired"),
        ({"nbf": NOW + SKEW}, None),
        ({"nbf": NOW + SKEW + 0.5}, "credential_not_yet_valid"),
        ({"nbf": NOW + SKEW + 1}, "credential_not_yet_valid"),
        ({}, None),
    ],
)
def test_token_holds_from_its_begin_and_ends_at_its_end(claims: JsonObject, reason: str | None) -> None:
    """RFC 7519 §4.1.4: not on or after `exp`; §4.1.5: not before `nbf`."""
    if reason is None:
        check_validity(claims, now=NOW, skew=SKEW)
    else:
        with pytest.raises(ClaimError, match=reason):
            check_validity(claims, now=NOW, skew=SKEW)


@pytest.mark.parametrize(
    ("announced", "usable"),
    [
        (["ES256"], {"ES256"}),
        (["EdDSA"], {"EdDSA", "Ed25519"}),
        (["Ed25519", "ES384"], {"EdDSA", "Ed25519", "ES384"}),
        (["RS256", "none", "ES512"], {"ES512"}),
        ([], set()),
    ],
)
def test_announced_algorithms_are_usable_if_we_verify_them(announced: list[str], usable: set[str]) -> None:
    """RFC 9864 §2.2: one key, two names."""
    assert usable_algs(announced) == usable_algs(frozenset(announced)) == usable


@pytest.mark.parametrize("members", [{}, {"kid": 5}, {"kid": None}, {"key_ops": ["verify"]}, {"ext": True, "iat": 1}])
def test_key_is_read_whatever_else_is_said_of_it(members: JsonObject) -> None:
    assert public_key(JWK | members)[1] == key_thumbprint(SIGNER.public_key)


@pytest.mark.parametrize("members", [{"use": 1}, {"use": "enc"}, {"key_ops": ["sign"]}, {"d": 1}, {"d": "AQ"}], ids=str)
def test_key_for_another_use_is_refused_of_whatever_type_what_says_so(members: JsonObject) -> None:
    with pytest.raises(JoseError):
        public_key(JWK | members)


FILLED = JWK | {"use": "sig", "alg": "ES256", "kid": "k"}
SAID = sum(len(str(value)) for value in FILLED.values())


@pytest.mark.parametrize(
    ("key", "is_kept"),
    [
        pytest.param(JWK, True, id="required members"),
        pytest.param(FILLED, True, id="all members"),
        pytest.param(FILLED | {"kid": "k" * (512 - SAID + 1)}, True, id="512 characters"),
        pytest.param(FILLED | {"kid": "k" * (512 - SAID + 2)}, False, id="513 characters"),
        pytest.param(JWK | {"x5u": "https://wallet.example"}, False, id="a member that nobody reads"),
    ],
)
def test_key_that_comes_again_is_loaded_once_unless_it_would_fill_the_memory(key: JsonObject, is_kept: bool) -> None:
    assert (public_key(key)[0] is public_key(dict(key))[0]) is is_kept
