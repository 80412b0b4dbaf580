"""What a COSE_Key may say of its type and curve (RFC 9053 §7): whole numbers, and none that merely equal one."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from specs.keys.cose import CoseError, cose_key_from_public_key, parse_cose_key
from specs.refusal import ReasonCode

KEY_TYPE, CURVE, X, Y = 1, -1, -2, -3


@pytest.mark.parametrize(
    ("label", "value"),
    [
        (KEY_TYPE, 2.0),
        (KEY_TYPE, True),
        (KEY_TYPE, "EC2"),
        (KEY_TYPE, None),
        (KEY_TYPE, 1),
        (CURVE, 1.0),
        (CURVE, True),
        (CURVE, "P-256"),
        (CURVE, None),
        (CURVE, 2),
        (X, b""),
        (X, "x" * 32),
        (X, [*range(32)]),
        (Y, "y" * 32),
        (Y, True),
        (Y, bytes(32)),
    ],
)
def test_a_key_with_a_member_of_another_kind_is_refused(label: int, value: object) -> None:
    """A key type of 2.0 was once read as 2: Python finds them equal, CBOR does not."""
    public_key = ec.generate_private_key(ec.SECP256R1()).public_key()
    key = cose_key_from_public_key(public_key)
    assert parse_cose_key(key) == public_key
    with pytest.raises(CoseError) as refused:
        parse_cose_key({**key, label: value})
    assert refused.value.reason is ReasonCode.KEY_INVALID


def test_coordinates_are_each_as_long_as_the_curve_says() -> None:
    """Joined, the two are the point of the key also if a byte of one stands in the other."""
    key = cose_key_from_public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    x, y = key[X], key[Y]
    assert isinstance(x, bytes)
    assert isinstance(y, bytes)
    for moved in ({X: x[:-1], Y: x[-1:] + y}, {X: x + y[:1], Y: y[1:]}, {X: x + y, Y: b""}):
        with pytest.raises(CoseError) as refused:
            parse_cose_key({**key, **moved})
        assert refused.value.reason is ReasonCode.KEY_INVALID


@pytest.mark.parametrize(
    ("label", "value"),
    [(KEY_TYPE, 2), (CURVE, 7), (X, bytes(31)), (X, bytes(33)), (X, "x" * 32), (X, [*range(32)]), (X, None)],
)
def test_an_octet_key_pair_with_another_member_is_refused(label: int, value: object) -> None:
    """RFC 9053 §7.2: kty OKP, crv Ed25519, x its 32 bytes."""
    public_key = ed25519.Ed25519PrivateKey.generate().public_key()
    key = cose_key_from_public_key(public_key)
    assert parse_cose_key(key) == public_key
    with pytest.raises(CoseError) as refused:
        parse_cose_key({**key, label: value})
    assert refused.value.reason is ReasonCode.KEY_INVALID


def test_a_type_that_equals_that_of_another_kind_is_no_okp() -> None:
    """True equals 1, which is the type OKP."""
    with pytest.raises(CoseError):
        parse_cose_key({KEY_TYPE: True, CURVE: 6, X: bytes(32)})
