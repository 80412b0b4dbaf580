"""Type metadata: read with its integrity, extended without circles, and held against what was presented."""

import hashlib
import json
from base64 import b64encode

import pytest

from specs.credentials.sd_jwt import UNDISCLOSED, Processed
from specs.credentials.type_metadata import (
    ClaimDisplay,
    Disclosability,
    check_claims,
    check_integrity,
    integrity_of,
    load_type,
    parse_type_metadata,
)
from specs.refusal import ReasonCode, Refusal

BASE, CITY, PASS = "urn:example:base:1", "urn:example:city:1", "urn:example:pass:1"


def document(vct: str, **members: object) -> bytes:
    """A type metadata document."""
    return json.dumps({"vct": vct, **members}).encode()


def claim(*path: object, **members: object) -> dict[str, object]:
    """An entry of `claims`."""
    return {"path": list(path), **members}


def test_a_document_is_read_and_unknown_members_are_ignored() -> None:
    metadata = parse_type_metadata(
        document(
            PASS,
            name="Leipzig-Pass",
            later=1,
            display=[{"locale": "de", "name": "Leipzig-Pass", "rendering": {"simple": {}}}],
            claims=[
                claim("name", sd="always", mandatory=True, svg_id="name", display=[{"locale": "de", "label": "Name"}]),
                claim("nationalities", None, display=[{"locale": "de", "label": "Staaten", "description": "alle"}]),
            ],
        ),
        expected_vct=PASS,
    )

    assert metadata.display is not None
    assert metadata.display[0].name == "Leipzig-Pass"
    assert metadata.claims[0].display == (ClaimDisplay("de", "Name", None),)
    assert metadata.claims[0].sd is Disclosability.ALWAYS
    assert metadata.claims[1].path == ("nationalities", None)
    assert metadata.claims[1].display == (ClaimDisplay("de", "Staaten", "alle"),)
    assert metadata.claims[1].sd is Disclosability.ALLOWED


@pytest.mark.parametrize(
    "broken",
    [
        b"[]",
        b'{"vct":"urn:example:pass:1","vct":"urn:example:pass:1"}',
        document(CITY),
        document(PASS, extends=1),
        document(PASS, display={}),
        document(PASS, display=[{"name": "x"}]),
        document(PASS, claims=[{}]),
        document(PASS, claims=[claim()]),
        document(PASS, claims=[claim("a", sd="sometimes")]),
        document(PASS, claims=[claim("a", sd=["always"])]),
        document(PASS, claims=[claim("a", mandatory="yes")]),
        document(PASS, claims=[claim("a", -1)]),
        document(PASS, claims=[claim("a", True)]),
        document(PASS, claims=[claim("a"), claim("a")]),
        document(PASS, claims=[claim("a", svg_id="1a")]),
        document(PASS, claims=[claim("a", svg_id="x"), claim("b", svg_id="x")]),
        document(PASS, claims=[claim("a", display=[{"locale": "de", "name": "x"}])]),
        b"{}",
        document(PASS, name=""),
        document(PASS, name=1),
        document(PASS, description=None),
        document(PASS, **{"extends": CITY, "extends#integrity": 1}),
        document(PASS, display=["x"]),
        document(PASS, display=[{"locale": "de"}]),
        document(PASS, display=[{"locale": "de", "name": "x", "description": 1}]),
        document(PASS, display=[{"locale": "de", "name": "x", "rendering": "y"}]),
        document(PASS, claims={}),
        document(PASS, claims=["a"]),
        document(PASS, claims=[{"path": "a"}]),
        document(PASS, claims=[claim("a", 1.0)]),
        document(PASS, claims=[claim("a", ["b"])]),
        document(PASS, claims=[claim("a", mandatory=None)]),
        document(PASS, claims=[claim("a", svg_id="")]),
        document(PASS, claims=[claim("a", svg_id="\u00e4")]),
        document(PASS, claims=[claim("a", svg_id="a b")]),
        document(PASS, claims=[claim("a", display={})]),
        document(PASS, claims=[claim("a", display=[{"label": "x"}])]),
    ],
    ids=lambda raw: raw[:60].decode(),
)
def test_a_broken_document_is_refused(broken: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        parse_type_metadata(broken, expected_vct=PASS)

    assert refused.value.reason is ReasonCode.TYPE_METADATA_INVALID


def test_integrity_is_over_the_octets_and_the_strongest_hash_decides() -> None:
    raw = document(PASS)
    sha256 = "sha256-" + b64encode(hashlib.sha256(raw).digest()).decode()
    sha512 = "sha512-" + b64encode(hashlib.sha512(raw).digest()).decode()
    wrong = "sha512-" + b64encode(bytes(64)).decode()

    assert integrity_of(raw) == sha256
    for good in (sha256, sha512, f"{sha256} {sha512}", f"md5-x {sha256}", f"{wrong} {sha512}", f"{sha256}?x"):
        check_integrity(raw, good)
    for bad in (
        "",
        "md5-x",
        "sha256-\u00e4",
        f"{sha256} {wrong}",
        sha256.replace("sha256", "sha384"),
        "sha256-_w==",
        sha256.replace("-", "-!"),
        "sha256",
        f"{sha256} sha512-_w==",
    ):
        with pytest.raises(Refusal):
            check_integrity(raw, bad)
    with pytest.raises(Refusal):
        check_integrity(raw + b" ", sha256)


def test_a_chain_is_merged_child_over_parent() -> None:
    base = document(BASE, name="base", display=[{"locale": "de", "name": "Basis"}], claims=[claim("a"), claim("b")])
    city = document(CITY, **{"extends": BASE, "extends#integrity": integrity_of(base)}, claims=[claim("a", sd="never")])
    leaf = document(PASS, extends=CITY, claims=[claim("c", mandatory=True)])

    metadata = load_type(PASS, integrity=integrity_of(leaf), documents={BASE: base, CITY: city, PASS: leaf})

    assert metadata.lineage == (PASS, CITY, BASE)
    assert {entry.path: entry.sd for entry in metadata.claims}[("a",)] is Disclosability.NEVER
    assert len(metadata.claims) == 3
    assert metadata.display is not None
    assert metadata.display[0].name == "Basis"
    assert metadata.name is None


@pytest.mark.parametrize(
    "documents",
    [
        {PASS: document(PASS, extends=PASS)},
        {PASS: document(PASS, extends=CITY), CITY: document(CITY, extends=PASS)},
        {PASS: document(PASS, extends=CITY)},
        {},
        {PASS: document(PASS, **{"extends": CITY, "extends#integrity": "sha256-AAAA"}), CITY: document(CITY)},
        {PASS: document(PASS, extends="n1"), **{f"n{n}": document(f"n{n}", extends=f"n{n + 1}") for n in range(1, 20)}},
        {
            PASS: document(PASS, extends=CITY, claims=[claim("a", sd="never")]),
            CITY: document(CITY, claims=[claim("a", sd="always")]),
        },
        {
            PASS: document(PASS, extends=CITY, claims=[claim("a")]),
            CITY: document(CITY, claims=[claim("a", sd="never")]),
        },
        {
            PASS: document(PASS, extends=CITY, claims=[claim("a")]),
            CITY: document(CITY, claims=[claim("a", mandatory=True)]),
        },
    ],
    ids=["itself", "circle", "missing parent", "missing", "integrity", "too long", "flipped", "loosened", "optional"],
)
def test_a_chain_that_does_not_hold_is_refused(documents: dict[str, bytes]) -> None:
    with pytest.raises(Refusal) as refused:
        load_type(PASS, integrity=None, documents=documents)

    assert refused.value.reason is ReasonCode.TYPE_METADATA_INVALID


def test_a_circle_is_not_walked_twice() -> None:
    documents = {PASS: document(PASS, extends=CITY), CITY: document(CITY, extends=PASS)}
    asked: list[str] = []

    def find(vct: str) -> bytes:
        asked.append(vct)
        return documents[vct]

    with pytest.raises(Refusal):
        load_type(PASS, integrity=None, documents=find)

    assert asked == [PASS, CITY]


def test_a_chain_may_be_eight_long_and_no_longer() -> None:
    def chain(length: int) -> dict[str, bytes]:
        extending = {f"n{n}": document(f"n{n}", extends=f"n{n + 1}") for n in range(1, length)}
        return {**extending, f"n{length}": document(f"n{length}")}

    assert len(load_type("n1", integrity=None, documents=chain(8)).lineage) == 8
    with pytest.raises(Refusal):
        load_type("n1", integrity=None, documents=chain(9))


def test_a_child_may_narrow_what_its_parent_allows() -> None:
    city = document(CITY, claims=[claim("a", sd="always", mandatory=True), claim("b")])
    leaf = document(
        PASS,
        extends=CITY,
        claims=[claim("a", sd="always", mandatory=True), claim("b", sd="never", mandatory=True)],
        display=[{"locale": "de", "name": "Pass"}],
    )

    metadata = load_type(PASS, integrity=None, documents={PASS: leaf, CITY: city})

    assert [(entry.sd, entry.mandatory) for entry in metadata.claims] == [
        (Disclosability.ALWAYS, True),
        (Disclosability.NEVER, True),
    ]
    assert metadata.display is not None
    assert metadata.display[0].name == "Pass"


def test_integrity_can_be_required_of_each_reference() -> None:
    city = document(CITY)
    unvouched = document(PASS, extends=CITY)
    vouched = document(PASS, **{"extends": CITY, "extends#integrity": integrity_of(city)})

    assert load_type(
        PASS, integrity=integrity_of(vouched), documents={PASS: vouched, CITY: city}, require_integrity=True
    ).lineage == (PASS, CITY)
    for document_, integrity in ((unvouched, integrity_of(unvouched)), (vouched, None)):
        with pytest.raises(Refusal):
            load_type(PASS, integrity=integrity, documents={PASS: document_, CITY: city}, require_integrity=True)


def test_an_oversized_document_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        parse_type_metadata(document(PASS, name="x" * 300_000), expected_vct=PASS)

    assert refused.value.reason is ReasonCode.LIMIT_EXCEEDED

    longest = 256 * 1024 - len(document(PASS, name=""))
    assert parse_type_metadata(document(PASS, name="x" * longest), expected_vct=PASS).name == "x" * longest
    with pytest.raises(Refusal):
        parse_type_metadata(document(PASS, name="x" * (longest + 1)), expected_vct=PASS)


def presented() -> Processed:
    """A credential with one disclosed member, one disclosed object, a permanent one, and elements of both kinds."""
    claims = {"name": "Erika", "address": {"city": "Leipzig"}, "entitled": True, "children": [{"name": "A"}, {}, "C"]}
    issued = {**claims, "languages": [UNDISCLOSED, "de"]}
    places = (("name",), ("address",), ("children", 0), ("languages", 1))
    return Processed(claims, issued, places, (b"d1", b"d2", b"d3", b"d4"), "sha-256")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entry", "holds"),
    [
        (claim("name", sd="always"), True),
        (claim("name", sd="never"), False),
        (claim("name", sd="allowed"), True),
        (claim("entitled", sd="always"), False),
        (claim("entitled", sd="never"), True),
        (claim("address", "city", sd="always"), True),
        (claim("absent", sd="always", mandatory=True), True),
        (claim("absent", sd="never", mandatory=True), False),
        (claim("absent", mandatory=True), True),
        (claim("absent", sd="never"), True),
        (claim("address", "street", sd="never", mandatory=True), False),
        (claim("absent", "street", sd="never", mandatory=True), True),
        (claim("entitled", sd="never", mandatory=True), True),
        (claim("children", 0, sd="always"), True),
        (claim("children", 1, sd="always"), False),
        (claim("children", 0, sd="never"), False),
        (claim("children", 1, sd="never"), True),
        (claim("children", None, sd="never"), False),
        (claim("children", None, sd="always"), False),
        (claim("children", None, "name", sd="always"), True),
        (claim("children", "name", sd="always"), True),
        (claim("children", 0, "name", sd="never", mandatory=True), True),
        (claim("children", 1, "name", sd="never", mandatory=True), False),
        (claim("children", 7, sd="always"), True),
        (claim("children", "name", sd="never", mandatory=True), True),
        (claim("languages", None, sd="always"), True),
        (claim("languages", 0, sd="always"), True),
        (claim("languages", 1, sd="never"), False),
        (claim("entitled", "name", sd="never", mandatory=True), True),
        (claim("entitled", None, sd="always"), True),
        (claim("entitled", 0, sd="always"), True),
        (claim(None, sd="always"), True),
    ],
    ids=str,
)
def test_a_credential_is_held_against_its_type(entry: dict[str, object], holds: bool) -> None:
    metadata = parse_type_metadata(document(PASS, claims=[entry]), expected_vct=PASS)
    if holds:
        check_claims(metadata, presented())
        return

    with pytest.raises(Refusal) as refused:
        check_claims(metadata, presented())

    assert refused.value.reason is ReasonCode.TYPE_METADATA_INVALID
