"""Lists and registration certificates with any one value replaced by any other: read, or refused with a reason."""

import copy
import random
from dataclasses import replace

from cryptography.hazmat.primitives.serialization import Encoding

from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.dcql import parse_dcql
from specs.refusal import Refusal
from specs.trust.registration import check_registered
from specs.trust.registration_claims import read_registration, write_registration
from specs.trust.trust_list import PID_PROVIDERS, trusted_services, verify_trust_list
from specs.trust.trusted_list_xml import verify_trusted_list_xml
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.specs.trust.drawing import NOW, draw_two
from tests.specs.trust.lists import ISSUANCE, Published, entity, plain_list, publisher
from tests.specs.trust.test_registration import VALID, WITHIN
from tests.specs.trust.test_trusted_list_xml import VALID as XML_VALID
from tests.specs.trust.test_trusted_list_xml import signer

STRANGE: list[JsonValue] = [
    None, True, False, 0, -1, 2**63, 1.5, "", "x", "\ud7ff", "2026-01-01T00:00:00Z", [], [None], [[]], {}, {"x": 1},
    {"lang": "en", "value": "x"}, [{"path": []}], "A" * 3000,
]  # fmt: skip


def places(value: JsonValue, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The way to every value inside."""
    if isinstance(value, dict):
        return [at, *(place for name, member in value.items() for place in places(member, (*at, name)))]
    if isinstance(value, list):
        return [at, *(place for index, member in enumerate(value) for place in places(member, (*at, index)))]
    return [at]


def bent(value: JsonObject, chance: random.Random) -> JsonObject:
    """One value replaced, taken away, or doubled."""
    changed = copy.deepcopy(value)
    *way, last = chance.choice(places(changed)[1:])
    node: JsonValue = changed
    for step in way:
        node = node[step]  # type: ignore[index]
    if chance.random() < 0.1:
        del node[last]  # type: ignore[union-attr,arg-type]
    else:
        node[last] = chance.choice(STRANGE)  # type: ignore[index]
    return changed


def test_a_bent_trust_list_is_read_or_refused() -> None:
    leaf, ca = draw_two().certificates()
    chance = random.Random(11)
    valid = Published(publisher(), plain_list(entity("One", ca, status=(leaf,)), entity("Two", leaf)))
    read, refused = 0, 0
    for _ in range(400):
        published = replace(valid, bend=lambda claims: bent(claims, chance))
        try:
            found = verify_trust_list(
                published.text(), signers=[valid.pinned], expected_type=PID_PROVIDERS, now=NOW, newest_known=(5, 0)
            )
            for each in found.entities:
                trusted_services(found, each, service_type=ISSUANCE, now=NOW)
            read += 1
        except Refusal:
            refused += 1
    assert min(read, refused) > 20


def test_a_bent_registration_is_read_or_refused() -> None:
    chance = random.Random(12)
    claims = write_registration(VALID)
    asked = parse_dcql(WITHIN["a registered claim"])
    read, refused = 0, 0
    for _ in range(1500):
        try:
            check_registered(asked, read_registration(bent(claims, chance)))
            read += 1
        except Refusal:
            refused += 1
    assert min(read, refused) > 20


def test_a_broken_xml_list_is_refused_or_says_what_was_signed() -> None:
    chance = random.Random(13)
    pinned = [TrustAnchor(AnchorKind.LISTED, signer()[1].public_bytes(Encoding.DER), "agency")]
    expected = verify_trusted_list_xml(XML_VALID, signers=pinned, expected_territory="DE", now=NOW)
    refused = 0
    for _ in range(80):
        broken = bytearray(XML_VALID)
        broken[chance.randrange(len(broken))] = chance.randrange(256)
        try:
            assert verify_trusted_list_xml(bytes(broken), signers=pinned, expected_territory="DE", now=NOW) == expected
        except Refusal:
            refused += 1
    assert refused > 40
