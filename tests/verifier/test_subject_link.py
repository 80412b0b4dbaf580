"""One person, one account: through a city credential beside a PID that has no number of its own."""

import base64
import hmac
import struct
from dataclasses import replace

import pytest

from specs.trust.x509 import AnchorKind
from verifier import AcceptedCredential, Check, Policy, ReasonCode, SameClaim, Verdict
from verifier.subject_link import NotLinkable, SubjectRule, check_rule, subject_pseudonym

KEY = bytes(range(32))
RULE = SubjectRule("account", ("person", "number"), person_query_id="pid")
COMPARED = Policy(same_person=(SameClaim({"pid": ("birthdate",), "account": ("birthdate",)}),))


def credential(query_id: str, **claims: object) -> AcceptedCredential:
    return AcceptedCredential(
        query_id,
        "dc+sd-jwt",
        f"urn:example:{query_id}:1",
        "Stadt Leipzig",
        "leipzig",
        "root",
        AnchorKind.CA,
        (Check.SIGNATURE, Check.SAME_PERSON),
        claims,  # type: ignore[arg-type]  # JSON values
    )


ACCOUNT = credential("account", person={"number": "4711"}, birthdate="1991-03-07")
PID = credential("pid", family_name="LINDENAU", birthdate="1991-03-07")
VERDICT = Verdict(True, (PID, ACCOUNT))


def pseudonym(verdict: Verdict = VERDICT, *, party: str = "portal", key: bytes = KEY, rule: SubjectRule = RULE) -> str:
    return subject_pseudonym(verdict, rule=rule, relying_party=party, key=key)


def test_the_same_person_comes_back_to_the_same_account() -> None:
    renewed = replace(PID, claims={"family_name": "LINDENAU-PLAGWITZ", "birthdate": "1991-03-07"})
    assert pseudonym() == pseudonym(Verdict(True, (ACCOUNT, renewed)))
    assert len(pseudonym()) == 43


def test_an_account_outlives_the_software() -> None:
    """Each part with its length in four bytes, under HMAC-SHA-256: any other way parts people from their accounts."""
    named = ("portal", "leipzig", "dc+sd-jwt", "urn:example:account:1", "person/number", "4711")
    message = b"".join(struct.pack(">I", len(part)) + part.encode() for part in named)
    assert pseudonym() == base64.urlsafe_b64encode(hmac.digest(KEY, message, "sha256")).decode().rstrip("=")


@pytest.mark.parametrize(
    "other",
    [
        replace(ACCOUNT, claims={"person": {"number": "4712"}}),
        replace(ACCOUNT, trust_domain="halle"),
        replace(ACCOUNT, type="urn:example:account:2"),
        replace(ACCOUNT, format="mso_mdoc"),
    ],
    ids=["another number", "another issuer", "another type", "another format"],
)
def test_another_identifier_is_another_account(other: AcceptedCredential) -> None:
    assert pseudonym(Verdict(True, (PID, other))) != pseudonym()


def test_two_relying_parties_can_not_compare() -> None:
    assert pseudonym(party="library") != pseudonym(party="portal")
    assert pseudonym(key=bytes(32)) != pseudonym()


def test_a_credential_alone_is_enough_where_the_rule_says_so() -> None:
    alone = replace(ACCOUNT, checks=(Check.SIGNATURE,))
    assert pseudonym(Verdict(True, (alone,)), rule=replace(RULE, person_query_id=None)) == pseudonym()


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(False, reason=ReasonCode.STATUS_REVOKED, where="pid[0]"),
        Verdict(True, (ACCOUNT,)),
        Verdict(True, (PID,)),
        Verdict(True, (PID, ACCOUNT, ACCOUNT)),
        Verdict(True, (replace(PID, checks=(Check.SIGNATURE,)), ACCOUNT)),
        Verdict(True, (PID, replace(ACCOUNT, checks=(Check.SIGNATURE,)))),
        Verdict(True, (PID, replace(ACCOUNT, claims={}))),
        Verdict(True, (PID, replace(ACCOUNT, claims={"person": {"number": ""}}))),
        Verdict(True, (PID, replace(ACCOUNT, claims={"person": {"number": 4711}}))),
        Verdict(True, (PID, replace(ACCOUNT, claims={"person": "4711"}))),
    ],
)
def test_whatever_is_not_whole_leads_to_no_account(verdict: Verdict) -> None:
    with pytest.raises(NotLinkable):
        pseudonym(verdict)


def test_a_short_key_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        pseudonym(key=b"short")


def test_two_credentials_are_linked_only_where_they_are_compared() -> None:
    check_rule(RULE, policy=COMPARED)
    check_rule(replace(RULE, person_query_id=None), policy=Policy())
    alone = [Policy(same_person=(SameClaim({name: ("birthdate",)}),)) for name in ("pid", "account")]
    beside = [Policy(same_person=(SameClaim({name: ("x",), "other": ("x",)}),)) for name in ("pid", "account")]
    for policy in (Policy(), *alone, *beside):
        with pytest.raises(ValueError, match="same-person"):
            check_rule(RULE, policy=policy)


def test_an_account_outlives_a_new_name_of_its_issuer() -> None:
    """A listed entity is known by its registration, not by what it is called on display."""
    listed = replace(ACCOUNT, issuer_id="VATDE-123456789")
    renamed = replace(listed, trust_domain="Stadt Leipzig, Sozialamt (neu)")
    assert pseudonym(Verdict(True, (PID, renamed))) == pseudonym(Verdict(True, (PID, listed)))
    another = replace(listed, issuer_id="VATDE-987654321")
    assert pseudonym(Verdict(True, (PID, another))) != pseudonym(Verdict(True, (PID, listed)))
