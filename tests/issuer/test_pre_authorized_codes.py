"""Codes that nobody stores: good for one arming of one offer of one tenant, until their end, and for nothing else."""

import pytest

from issuer.grants.pre_authorized_codes import ArmedCode, mint_code, read_code
from specs.encoding import base64url

NOW, KEY = 1_800_000_000, bytes(range(32))
ARMED = ArmedCode("AAECAwQFBgcICQoLDA0ODw", 7, NOW + 60, asks_tx_code=True)


def test_a_code_says_what_it_is_good_for() -> None:
    code = mint_code(ARMED, tenant_id="leipzig", key=KEY)
    assert read_code(code, tenant_id="leipzig", key=KEY, now=NOW + 59) == ARMED


def test_no_two_codes_are_the_same() -> None:
    assert len({mint_code(ARMED, tenant_id="leipzig", key=KEY) for _ in range(100)}) == 100


def test_a_code_is_nothing_at_its_end_for_another_tenant_or_under_another_key() -> None:
    code = mint_code(ARMED, tenant_id="leipzig", key=KEY)
    assert read_code(code, tenant_id="leipzig", key=KEY, now=NOW + 60) is None
    assert read_code(code, tenant_id="dresden", key=KEY, now=NOW) is None
    assert read_code(code, tenant_id="leipzig", key=bytes(32), now=NOW) is None


def test_a_code_with_one_bit_changed_is_nothing() -> None:
    raw = base64url.decode(mint_code(ARMED, tenant_id="leipzig", key=KEY))
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert read_code(base64url.encode(bytes(changed)), tenant_id="leipzig", key=KEY, now=NOW) is None


@pytest.mark.parametrize("code", ["", "A", "AAAA", "ä", "A" * 72, "A" * 10_000])
def test_what_is_no_code_is_nothing(code: str) -> None:
    assert read_code(code, tenant_id="leipzig", key=KEY, now=NOW) is None
