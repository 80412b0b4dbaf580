"""Who signed a national trusted list, when, and what of it; a bent signature is nobody's (ETSI TS 119 612 §5.7)."""

from dataclasses import replace

import pytest
from cryptography import x509

from specs.refusal import ReasonCode
from tests.specs.trust.drawing import DAY, NOW, Key, draw_leaf, draw_two, key
from tests.specs.trust.test_trusted_list_xml import at, document, read, reason_of, signed

UNTRUSTED = ReasonCode.TRUST_LIST_UNTRUSTED
LONG_AGO = NOW - 3000 * DAY


def dated(begin: int, end: int) -> tuple[Key, x509.Certificate]:
    """Who signs lists, with a certificate of these dates."""
    own, ca = key("tl signer", "RSA-2048"), draw_two().drawings[1]
    drawing = replace(draw_leaf("TL signer", own, by=ca.key), begin=begin, end=end)
    return own, x509.load_der_x509_certificate(drawing.signed(ca))


def test_only_the_time_that_is_given_counts() -> None:
    """The signer's certificate was held against the clock of the machine, too, so that no skew was left."""
    by = dated(LONG_AGO - DAY, LONG_AGO + DAY)
    old = document(issued=at(LONG_AGO - DAY), next_update=f"<dateTime>{at(LONG_AGO + 90 * DAY)}</dateTime>")
    assert read(signed(old, by), pinned=by[1], now=LONG_AGO).sequence == 71
    assert reason_of(signed(document(), by), pinned=by[1]) is UNTRUSTED


@pytest.mark.parametrize(
    ("begin", "end", "holds"),
    [
        (NOW + 60, NOW + DAY, True),
        (NOW + 61, NOW + DAY, False),
        (NOW - DAY, NOW - 60, True),
        (NOW - DAY, NOW - 61, False),
    ],
    ids=["just begun", "not begun", "just ended", "ended"],
)
def test_a_signers_certificate_holds_from_its_begin_to_its_end(begin: int, end: int, holds: bool) -> None:
    by = dated(begin, end)
    body = signed(document(), by)
    if holds:
        assert read(body, pinned=by[1]).sequence == 71
    else:
        assert reason_of(body, pinned=by[1]) is UNTRUSTED
