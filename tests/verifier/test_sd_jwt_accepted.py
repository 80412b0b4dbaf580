"""What strict code often refuses wrongly: valid SD-JWT VC presentations of all kinds, each accepted."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from specs.credentials.status_list import build_status_list
from specs.encoding import base64url
from specs.keys.signer import generate_signer
from specs.protocols.openid4vp.transaction_data import build_transaction_data
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.specs.trust.drawing import Scene, draw_ca, draw_leaf, draw_three, draw_two, key
from tests.verifier.defects_sd_holder import over_the_api, proof_not_needed
from tests.verifier.defects_sd_question import FAMILY_NAME
from tests.verifier.sd_presentation import (
    FIRST_NATIONALITY,
    GIVEN_NAME,
    IDX,
    Prepare,
    SdPresentation,
    bound_to,
    dcql,
    digest,
    disclosure,
    held_by,
    valid_presentation,
)
from tests.verifier.world import DAY, HOUR, VCT, World
from verifier import ReasonCode

SALT = "salt-of-something------"
CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519"}
PORTRAIT = "data:image/jpeg;base64," + "/9j/4AAQ" * 15_000


@pytest.fixture(scope="module")
def valid() -> SdPresentation:
    return valid_presentation(World())


def hashed_with(shown: SdPresentation, alg: str) -> SdPresentation:
    """All digests by another hash."""
    emptied = shown.issuer_saying(_sd_alg=alg, _sd=[], address={}, nationalities=[], age_equal_or_over={})
    name, locality = shown.disclosures
    return emptied.digesting(name).digesting(locality, under=("address",))


def decoys_everywhere(shown: SdPresentation) -> SdPresentation:
    """Digests that stand for nothing, among members and among elements."""
    elements = [{"...": digest(text)} for text in ("decoy 1", FIRST_NATIONALITY, "decoy 2")]
    return (
        shown.issuer_saying(nationalities=elements)
        .digesting("decoy 3", "decoy 4")
        .digesting("decoy 5", under=("address",))
        .showing(FIRST_NATIONALITY)
        .asking(FAMILY_NAME, {"path": ["nationalities", None]})
    )


def nothing_disclosable(shown: SdPresentation) -> SdPresentation:
    """No digest at all, and no `_sd_alg`."""
    plain = shown.issuer_lacking("_sd", "_sd_alg").issuer_saying(
        family_name="LINDENAU", address={"locality": "LEIPZIG"}, nationalities=["DE"], age_equal_or_over={"18": True}
    )
    return replace(plain, disclosures=())


def nested(shown: SdPresentation, levels: int) -> SdPresentation:
    """A claim inside a claim, each in its own disclosure."""
    value: object = "core"
    texts: list[str] = []
    for level in range(levels):
        texts.append(disclosure([f"salt {level}", "in", value]))
        value = {"_sd": [digest(texts[-1])]}
    return shown.digesting(texts[-1]).showing(*texts).asking(FAMILY_NAME, {"path": ["in"] * levels, "values": ["core"]})


def written_oddly(shown: SdPresentation) -> SdPresentation:
    """White space, escapes, members in any order: the digest is over the text as sent."""
    odd = base64url.encode(b'\n[ "s\\u00e4lz\\/chen" ,\t"given\\u005fname",\r\n  "MILA \\ud83d\\ude00 J" ] ')
    return shown.hiding_texts(odd).asking({"path": ["family_name"]})


def with_values(shown: SdPresentation) -> SdPresentation:
    """Values that a careless program takes for nothing."""
    values: dict[str, object] = {
        "none": None,
        "zero": 0,
        "no": False,
        "empty": "",
        "object": {},
        "array": [],
        "large": 2**64 - 1,
        "x": 0.5,
    }
    contents = [[f"salt of {name}", name, value] for name, value in values.items()]
    return shown.hiding(*contents).asking(FAMILY_NAME, *({"path": [name]} for name in values))


def issued_by(shown: SdPresentation, alg: str) -> SdPresentation:
    """The issuer signs with this algorithm."""
    leaf, root = key("leaf", CURVES[alg]), key("root")
    return shown.drawn(Scene((draw_leaf("Signer", leaf, by=root), draw_ca("Root", root, path_length=0))))


def of_listed_certificate(shown: SdPresentation) -> SdPresentation:
    """A trust list names the signer's own certificate."""
    scene = replace(draw_two(), believed=lambda chain: [TrustAnchor(AnchorKind.LISTED, chain[0], "listed")])
    return shown.drawn(scene)


def iat_and_sub_withheld(shown: SdPresentation) -> SdPresentation:
    """When and about whom is for the holder to say."""
    iat = disclosure([SALT, "iat", shown.world.now - HOUR])
    return shown.issuer_lacking("iat").digesting(iat, disclosure([SALT, "sub", "somebody"]))


def iat_and_sub_shown(shown: SdPresentation) -> SdPresentation:
    """When and about whom, said."""
    return shown.issuer_lacking("iat").hiding([SALT, "iat", shown.world.now - HOUR], [SALT, "sub", "somebody"])


def second_claim_set(shown: SdPresentation) -> SdPresentation:
    """The first combination is not to be had, the second is."""
    return shown.asking(
        {"id": "code", "path": ["address", "postal_code"]},
        {"id": "city", "path": ["address", "locality"]},
        {"id": "name", "path": ["family_name"]},
        claim_sets=[["code", "name"], ["city", "name"]],
    )


def option(shown: SdPresentation, answered: tuple[str, ...]) -> SdPresentation:
    """One of three ways to answer."""
    query = {
        "credentials": [
            {"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [FAMILY_NAME]}
            for name in ("a", "b", "c", "d")
        ],
        "credential_sets": [{"options": [["a"], ["b", "c"], ["d"]]}],
    }
    return replace(shown, query=dcql(query), entries=lambda text: {name: [text] for name in answered})


def several(shown: SdPresentation) -> SdPresentation:
    """Two credentials where as many as there are were asked for."""
    asked = shown.asking(FAMILY_NAME, multiple=True)
    other = asked.issuer_saying(iat=shown.world.now - 2 * HOUR)
    return replace(asked, entries=lambda text: {"pid": [text, other.text()]})


def several_types(shown: SdPresentation) -> SdPresentation:
    """The second of three types."""
    vcts = ("urn:eudi:pid:fr:1", VCT, "urn:eudi:pid:at:1")
    return replace(shown, vcts=vcts).asking(FAMILY_NAME)


def last_index(shown: SdPresentation, bits: int) -> SdPresentation:
    """The last place of a list in which all others are revoked."""
    size = 40
    statuses = build_status_list(bits=bits, size=size, statuses=dict.fromkeys(range(size - 1), 1))
    return shown.pointing(idx=size - 1).status_listing(statuses.raw, bits=bits)


def agreed(shown: SdPresentation) -> SdPresentation:
    """Consent hashed by an algorithm that was offered."""
    entry = build_transaction_data(
        "urn:stadt:consent", credential_ids=["pid"], members={"fee": "1"}, hash_algs=["sha-512", "sha-256"]
    )
    return bound_to(shown, entry, alg="sha-512")


ACCEPTED: dict[str, Prepare] = {
    "nothing disclosed": lambda shown: replace(shown.asking({"path": ["address", "country"]}), disclosures=()),
    "nothing asked that could be hidden": lambda shown: replace(shown.asking(), disclosures=()),
    "nothing disclosable": nothing_disclosable,
    "all disclosed": lambda shown: shown.showing(
        GIVEN_NAME,
        FIRST_NATIONALITY,
        disclosure(["salt-of-street---------", "street_address", "BEISPIELGASSE 7"]),
        disclosure(["salt-of-18-------------", "18", True]),
        disclosure(["salt-of-second---------", "FR"]),
    ),
    "disclosures in another order": lambda shown: replace(shown, disclosures=shown.disclosures[::-1]),
    "nested 24 levels deep": lambda shown: nested(shown, 24),
    "decoys": decoys_everywhere,
    "an empty _sd": lambda shown: shown.issuer_saying(more={"_sd": []}, _sd=[digest(shown.disclosures[0])]),
    "no _sd_alg": lambda shown: shown.issuer_lacking("_sd_alg"),
    "sha-256": lambda shown: hashed_with(shown, "sha-256"),
    "sha-384": lambda shown: hashed_with(shown, "sha-384"),
    "sha-512": lambda shown: hashed_with(shown, "sha-512"),
    "issuer with ES256": lambda shown: issued_by(shown, "ES256"),
    "issuer with ES384": lambda shown: issued_by(shown, "ES384"),
    "issuer with ES512": lambda shown: issued_by(shown, "ES512"),
    "issuer with EdDSA": lambda shown: issued_by(shown, "EdDSA"),
    "issuer with Ed25519, fully specified": lambda shown: issued_by(shown, "EdDSA").issuer_heading(alg="Ed25519"),
    "holder with ES384": lambda shown: held_by(shown, generate_signer("ES384")),
    "holder with ES512": lambda shown: held_by(shown, generate_signer("ES512")),
    "holder with EdDSA": lambda shown: held_by(shown, generate_signer("EdDSA")),
    "an intermediate": lambda shown: shown.drawn(draw_three()),
    "a listed signer": of_listed_certificate,
    "a portrait of 120 kB": lambda shown: shown.hiding([SALT, "picture", PORTRAIT]).asking(
        FAMILY_NAME, {"path": ["picture"]}
    ),
    "odd white space and escapes": written_oddly,
    "values like nothing": with_values,
    "a salt that is empty": lambda shown: shown.hiding(["", "given_name", "MILA"]),
    "unknown header members": lambda shown: shown.issuer_heading(
        kid="1", vctm=["e30"], jku="https://attacker.example/"
    ).holder_heading(kid="2", x="y"),
    "unknown claims in the key binding": lambda shown: shown.holder_saying(
        jti="1", more={"a": [1]}, exp=shown.world.now + 9
    ),
    "hashes of a transaction that nobody asked for": lambda shown: shown.holder_saying(transaction_data_hashes=["x"]),
    "unknown members in cnf": lambda shown: shown.issuer_saying(
        cnf={**_object(shown.issuer_jwt.claims["cnf"]), "kid": "1"}
    ),
    "iss that names another host": lambda shown: shown.issuer_saying(iss="https://issuer.example"),
    "iat and sub withheld": iat_and_sub_withheld,
    "iat and sub shown": iat_and_sub_shown,
    "no exp but a status": lambda shown: shown.issuer_lacking("exp"),
    "no status but exp": lambda shown: shown.issuer_lacking("status"),
    "no nbf and no iat": lambda shown: shown.issuer_lacking("nbf", "iat"),
    "exp with a fraction": lambda shown: shown.issuer_saying(exp=shown.world.now + 0.5),
    "exp half a minute ago, within the skew": lambda shown: shown.issuer_saying(exp=shown.world.now - 30),
    "nbf in half a minute, within the skew": lambda shown: shown.issuer_saying(nbf=shown.world.now + 30),
    "a date far away": lambda shown: shown.issuer_saying(exp=2**62),
    "several vct_values": several_types,
    "list of 1 bit, last index": lambda shown: last_index(shown, 1),
    "list of 2 bits, last index": lambda shown: last_index(shown, 2),
    "list of 4 bits, last index": lambda shown: last_index(shown, 4),
    "list of 8 bits, last index": lambda shown: last_index(shown, 8),
    "list without ttl and exp": lambda shown: replace(shown, status_list=shown.status_list.lacking("ttl", "exp")),
    "unknown members in the status": lambda shown: shown.issuer_saying(
        status={**_object(shown.issuer_jwt.claims["status"]), "another_mechanism": {}}
    ),
    "content type with a parameter": lambda shown: replace(
        shown, http=replace(shown.http, content_type="Application/StatusList+JWT; charset=utf-8")
    ),
    "any 2xx": lambda shown: replace(shown, http=replace(shown.http, status=203)),
    "key binding 30 s ahead": lambda shown: shown.holder_saying(iat=shown.world.now + 30),
    "key binding 4 minutes old": lambda shown: shown.holder_saying(iat=shown.world.now - 240),
    "key binding with a fraction": lambda shown: shown.holder_saying(iat=shown.world.now - 0.25),
    "holder binding not required and absent": lambda shown: proof_not_needed(shown).unbound(),
    "holder binding not required, no cnf": lambda shown: proof_not_needed(shown).issuer_lacking("cnf").unbound(),
    "holder binding not required but there": proof_not_needed,
    "over the Digital Credentials API": over_the_api,
    "unsigned over the Digital Credentials API": lambda shown: replace(over_the_api(shown), client_id=None),
    "second option of claim_sets": second_claim_set,
    "first option of credential_sets": lambda shown: option(shown, ("a",)),
    "second option of credential_sets": lambda shown: option(shown, ("b", "c")),
    "third option of credential_sets": lambda shown: option(shown, ("d",)),
    "more than one option of credential_sets": lambda shown: option(shown, ("a", "d")),
    "multiple": several,
    "transaction data": agreed,
}


@pytest.mark.parametrize("prepare", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_what_is_valid_is_accepted(prepare: Prepare, valid: SdPresentation) -> None:
    verdict = prepare(valid).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert verdict.discarded == ()


def test_hidden_elements_vanish_and_shown_ones_stay(valid: SdPresentation) -> None:
    verdict = decoys_everywhere(valid).judged()
    assert verdict.claims("pid")["nationalities"] == ["DE"]


def test_values_like_nothing_arrive_as_they_are(valid: SdPresentation) -> None:
    claims = with_values(valid).judged().claims("pid")
    assert (claims["none"], claims["zero"], claims["no"], claims["empty"]) == (None, 0, False, "")
    assert claims["no"] is False
    assert claims["large"] == 2**64 - 1


def test_escapes_are_read(valid: SdPresentation) -> None:
    shown = written_oddly(valid).asking({"path": ["given_name"]})
    assert shown.judged().claims("pid")["given_name"] == "MILA 😀 J"


def test_no_digest_or_disclosure_gets_through(valid: SdPresentation) -> None:
    claims = decoys_everywhere(valid).judged().claims("pid")
    assert not {"_sd", "_sd_alg", "..."} & _names(claims)


def test_both_of_several_are_handed_on(valid: SdPresentation) -> None:
    assert [credential.query_id for credential in several(valid).judged().credentials] == ["pid", "pid"]


def test_what_no_option_needs_is_dropped_and_named(valid: SdPresentation) -> None:
    verdict = option(valid, ("a", "d")).judged()
    assert [credential.query_id for credential in verdict.credentials] == ["a"]
    assert verdict.unneeded == ("d",)


Boundary = Callable[[SdPresentation, int], SdPresentation]
EDGES: dict[str, tuple[Boundary, int, int, ReasonCode]] = {
    "exp": (
        lambda shown, at: shown.issuer_saying(exp=shown.world.now + at),
        -59,
        -60,
        ReasonCode.CREDENTIAL_EXPIRED,
    ),
    "nbf": (
        lambda shown, at: shown.issuer_saying(nbf=shown.world.now + at),
        60,
        61,
        ReasonCode.CREDENTIAL_NOT_YET_VALID,
    ),
    "key binding ahead": (
        lambda shown, at: shown.holder_saying(iat=shown.world.now + at),
        60,
        61,
        ReasonCode.KEY_BINDING_NOT_YET_VALID,
    ),
    "key binding back": (
        lambda shown, at: shown.holder_saying(iat=shown.world.now + at),
        -300,
        -301,
        ReasonCode.KEY_BINDING_EXPIRED,
    ),
    "end of the key binding": (
        lambda shown, at: shown.holder_saying(exp=shown.world.now + at),
        -59,
        -60,
        ReasonCode.KEY_BINDING_EXPIRED,
    ),
    "begin of the key binding": (
        lambda shown, at: shown.holder_saying(nbf=shown.world.now + at),
        60,
        61,
        ReasonCode.KEY_BINDING_NOT_YET_VALID,
    ),
    "end of the list": (
        lambda shown, at: shown.status_saying(exp=shown.world.now + at),
        -59,
        -60,
        ReasonCode.STATUS_LIST_EXPIRED,
    ),
    "index": (lambda shown, at: shown.pointing(idx=at), 999, 1000, ReasonCode.STATUS_INDEX_OUT_OF_RANGE),
}


@pytest.mark.parametrize(("bend", "last", "beyond", "reason"), EDGES.values(), ids=EDGES.keys())
def test_the_last_second_counts_and_the_next_does_not(
    bend: Boundary, last: int, beyond: int, reason: ReasonCode, valid: SdPresentation
) -> None:
    assert bend(valid, last).judged().accepted
    assert bend(valid, beyond).judged().reason is reason


def test_the_index_of_the_plain_presentation_is_the_one_that_the_defects_revoke(valid: SdPresentation) -> None:
    assert _object(valid.issuer_jwt.claims["status"])["status_list"] == {"idx": IDX, "uri": valid.status_uri}
    assert valid.issuer_jwt.claims["exp"] == valid.world.now + 14 * DAY


def _object(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _names(node: object) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_names, node))
    if hasattr(node, "items"):
        return {*node, *set().union(*map(_names, node.values()))}  # type: ignore[attr-defined,misc]
    return set()
