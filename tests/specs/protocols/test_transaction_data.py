"""Transaction data: what an entry is, for which credentials, and by which hash a holder agrees to it."""

import json
from typing import Any

import pytest

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonValue
from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.protocols.openid4vp import (
    ErrorCode,
    RequestError,
    build_transaction_data,
    choose_hash,
    hash_transaction_data,
    parse_transaction_data,
)
from tests.specs.protocols.asker import QUERY, Json

MAX_ENTRIES = 20
MAX_ENTRY = 64 * 1024  # characters of base64url
MAX_BYTES = MAX_ENTRY // 4 * 3  # that they stand for

GOOD = build_transaction_data("pay", credential_ids=["pid"], members={})


def written(**members: object) -> str:
    return base64url.encode(json.dumps({"type": "pay", "credential_ids": ["pid"], **members}).encode())


def test_transaction_data_is_hashed_as_it_was_sent() -> None:
    entry = build_transaction_data("pay", credential_ids=["pid"], members={"amount": "5"}, hash_algs=["sha-256"])
    (parsed,) = parse_transaction_data([entry], query=QUERY, known_types=["pay"])
    assert (parsed.encoded, parsed.credential_ids, parsed.members["amount"]) == (entry, ("pid",), "5")
    # §B.3.3.1, RFC 6234: over the text, not over what it encodes
    assert hash_transaction_data("abc") == "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"
    with pytest.raises(RequestError):
        hash_transaction_data("abc", alg="md5")


@pytest.mark.parametrize(
    ("offers", "chosen"),
    [
        ([], "sha-256"),
        ([None], "sha-256"),
        ([["sha-256"]], "sha-256"),
        ([["sha-512"]], "sha-512"),
        ([["sha-512", "sha-256"], ["sha-256", "sha-512"]], "sha-512"),
        ([["sha-512", "sha-256"], None], "sha-256"),
        ([["sha3-256", "sha-384"], ["sha3-256", "sha-384"]], "sha-384"),
        ([["sha-256"], ["sha-512"]], None),
        ([["sha-512"], None], None),
        ([["sha3-256"]], None),
    ],
)
def test_one_hash_serves_all_entries_the_first_ones_favourite_first(
    offers: list[list[str] | None], chosen: str | None
) -> None:
    """§5.1, §B.3.3.1: an entry that names none allows sha-256 only."""
    entries: list[JsonValue] = [
        build_transaction_data("pay", credential_ids=["pid"], members={}, hash_algs=algs) for algs in offers
    ]
    parsed = parse_transaction_data(entries, query=QUERY) if entries else ()
    if chosen is not None:
        assert choose_hash(parsed) == chosen
        return
    with pytest.raises(RequestError) as caught:
        choose_hash(parsed)
    assert caught.value.error is ErrorCode.INVALID_TRANSACTION_DATA


BROKEN: dict[str, tuple[str, Any]] = {
    "none": ("not a non-empty array", []),
    "a text": ("not a non-empty array", GOOD),
    "a number": ("not a non-empty array", 7),
    "an object": ("not a non-empty array", {GOOD: True}),
    "one too many": ("not a non-empty array", [GOOD] * (MAX_ENTRIES + 1)),
    "an entry an object": ("an entry is a text", [{}]),
    "an entry too long": ("an entry is a text", [base64url.encode(b" " * (MAX_BYTES - 1) + b"{}")]),
    "an entry not base64url": ("an entry is the base64url of a JSON object", ["%"]),
    "an entry of an array": ("an entry is the base64url of a JSON object", [base64url.encode(b"[]")]),
    "type missing": ("type", [base64url.encode(b'{"credential_ids":["pid"]}')]),
    "type a number": ("type", [written(type=7)]),
    "credential_ids missing": ("credential_ids", [base64url.encode(b'{"type":"pay"}')]),
    "credential_ids empty": ("credential_ids", [written(credential_ids=[])]),
    "credential_ids a text": ("credential_ids", [written(credential_ids="pid")]),
    "credential_ids an object": ("credential_ids", [written(credential_ids={"pid": True})]),
    "credential_ids a number": ("credential_ids", [written(credential_ids=7)]),
    "nobody's id": ("credential_ids names a credential that is not asked for", [written(credential_ids=["nobody"])]),
    "an id a list": ("credential_ids names a credential that is not asked for", [written(credential_ids=[["pid"]])]),
    "algorithms a text": ("transaction_data_hashes_alg", [written(transaction_data_hashes_alg="sha-256")]),
    "algorithms empty": ("transaction_data_hashes_alg", [written(transaction_data_hashes_alg=[])]),
    "an algorithm a number": ("transaction_data_hashes_alg", [written(transaction_data_hashes_alg=["sha-256", 7])]),
}


@pytest.mark.parametrize(("said", "value"), BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("known_types", [["pay"], None], ids=["wallet", "verifier"])
def test_broken_transaction_data_have_their_own_error(said: str, value: Any, known_types: list[str] | None) -> None:
    with pytest.raises(RequestError) as caught:
        parse_transaction_data(value, query=QUERY, known_types=known_types)
    assert caught.value.error is ErrorCode.INVALID_TRANSACTION_DATA
    assert caught.value.description == f"transaction_data: {said}"


def test_a_type_that_the_wallet_does_not_know_is_refused() -> None:
    """§8.4; a verifier that reads its own question again knows what it asked."""
    gift: list[JsonValue] = [written(type="gift")]
    assert parse_transaction_data(gift, query=QUERY)[0].type == "gift"
    with pytest.raises(RequestError, match=r"transaction_data: type$"):
        parse_transaction_data(gift, query=QUERY, known_types=["pay"])


def test_transaction_data_may_be_as_many_and_as_long_as_the_limits() -> None:
    frame = strict_json.dumps({"type": "pay", "credential_ids": ["pid"], "note": ""})
    longest = build_transaction_data("pay", credential_ids=["pid"], members={"note": "x" * (MAX_BYTES - len(frame))})
    assert len(longest) == MAX_ENTRY
    assert len(parse_transaction_data([longest, *[GOOD] * (MAX_ENTRIES - 1)], query=QUERY)) == MAX_ENTRIES


def unbound(credential_format: str, meta: Json) -> DcqlQuery:
    entry: Json = {"id": "pid", "format": credential_format, "meta": meta}
    return parse_dcql({"credentials": [{**entry, "require_cryptographic_holder_binding": False}]})


def test_who_proves_no_possession_agrees_to_nothing() -> None:
    """§B.3.3: the key binding of an SD-JWT VC carries the agreement; a device signs each mdoc (§B.2.1)."""
    with pytest.raises(RequestError, match="holder binding"):
        parse_transaction_data([GOOD], query=unbound("dc+sd-jwt", {"vct_values": ["t"]}))
    assert parse_transaction_data([GOOD], query=unbound("mso_mdoc", {"doctype_value": "d"}))
