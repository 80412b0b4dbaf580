"""COSE_Sign1, COSE_Mac0 and x5chain: each part of another kind, a payload twice or never, a tag where none belongs."""

from collections.abc import Callable
from typing import Any

import cbor2
import pytest

from specs.encoding import cbor
from specs.keys.cose import (
    ALG,
    SIGN1_TAG,
    X5CHAIN,
    CoseError,
    build_mac0,
    build_sign1,
    parse_mac0,
    parse_sign1,
    parse_x5chain,
    verify_mac0,
    verify_sign1,
    x5chain_value,
)
from specs.keys.signer import generate_signer
from specs.refusal import ReasonCode

SIGNER = generate_signer("ES256")
PAYLOAD = b"what is signed"
KEY = bytes(32)
MALFORMED, NOT_ALLOWED = ReasonCode.COSE_MALFORMED, ReasonCode.ALGORITHM_NOT_ALLOWED


def signed(*, detached: bool = False) -> list[Any]:
    """A structure that verifies."""
    return build_sign1(PAYLOAD, signer=SIGNER, detached=detached)


def reason_of(read: Callable[[], object]) -> ReasonCode:
    """Why something is refused."""
    with pytest.raises(CoseError) as refused:
        read()
    return refused.value.reason


@pytest.mark.parametrize("alg", [None, -7.0, True, "ES256", [-7], -37, -6])
def test_a_signature_by_something_that_is_no_algorithm_of_ours_is_refused(alg: object) -> None:
    """RFC 9053 §2: a number, and none that merely equals one."""
    header = cbor2.dumps({} if alg is None else {ALG: alg})
    assert reason_of(lambda: parse_sign1([header, *signed()[1:]])) is NOT_ALLOWED


@pytest.mark.parametrize(
    ("allowed", "accepted"),
    [(None, True), (("ES256",), True), (("ES384", "ES256"), True), (("ES384",), False), ((), False)],
)
def test_only_an_allowed_algorithm_is_one(allowed: tuple[str, ...] | None, accepted: bool) -> None:
    if accepted:
        assert parse_sign1(signed(), allowed_algs=allowed).alg == "ES256"
    else:
        assert reason_of(lambda: parse_sign1(signed(), allowed_algs=allowed)) is NOT_ALLOWED


def test_a_tag_is_there_exactly_where_one_belongs() -> None:
    """RFC 9052 §2: the tag of another structure is none."""
    tagged = cbor2.CBORTag(SIGN1_TAG, signed())
    assert parse_sign1(tagged, tagged=True) == parse_sign1(tagged.value)
    for value in (tagged.value, cbor2.CBORTag(17, tagged.value), tagged.value[0], None):
        assert reason_of(lambda given=value: parse_sign1(given, tagged=True)) is MALFORMED  # type: ignore[misc]
    assert reason_of(lambda: parse_sign1(tagged)) is MALFORMED


def test_a_payload_is_attached_or_detached_and_never_both() -> None:
    """RFC 9052 §4.1: nil where it is detached."""
    attached, detached = parse_sign1(signed()), parse_sign1(signed(detached=True))
    assert (attached.payload, detached.payload) == (PAYLOAD, None)
    verify_sign1(attached, key=SIGNER.public_key)
    verify_sign1(detached, key=SIGNER.public_key, detached_payload=PAYLOAD)
    assert reason_of(lambda: verify_sign1(attached, key=SIGNER.public_key, detached_payload=PAYLOAD)) is MALFORMED
    assert reason_of(lambda: verify_sign1(detached, key=SIGNER.public_key)) is MALFORMED


def test_a_mac_is_over_a_payload_that_is_attached_or_detached() -> None:
    """RFC 9052 §6.1, §6.3."""
    attached = parse_mac0(cbor.decode(cbor2.dumps(build_mac0(PAYLOAD, key=KEY))))
    detached = parse_mac0(cbor.decode(cbor2.dumps(build_mac0(PAYLOAD, key=KEY, detached=True))))
    assert (attached.payload, detached.payload) == (PAYLOAD, None)
    verify_mac0(attached, key=KEY)
    verify_mac0(detached, key=KEY, detached_payload=PAYLOAD)
    assert reason_of(lambda: verify_mac0(attached, key=KEY, detached_payload=PAYLOAD)) is MALFORMED
    assert reason_of(lambda: verify_mac0(attached, key=b"another")) is ReasonCode.SIGNATURE_INVALID


@pytest.mark.parametrize(("chain", "value"), [((b"leaf",), b"leaf"), ((b"leaf", b"ca"), [b"leaf", b"ca"])])
def test_a_single_certificate_stands_alone_and_several_in_an_array(chain: tuple[bytes, ...], value: object) -> None:
    """RFC 9360 §2."""
    assert x5chain_value(chain) == value
    assert parse_x5chain({X5CHAIN: x5chain_value(chain)}) == chain  # type: ignore[dict-item]  # list is invariant
