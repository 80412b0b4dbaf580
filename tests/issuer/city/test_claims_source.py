"""Claims pulled from a register: asked with a signature, answered with one, compared, and never from elsewhere."""

import pytest
from sqlmodel import select, update

from issuer.housekeeping import sweep
from issuer.store.tables import Credential, Offer, OfferConfiguration
from specs.keys.signer import generate_signer
from tests.defects import Defect, defect, defects
from tests.issuer.city.desk import Desk, asking_for, disclosed
from tests.issuer.city.register_server import HUNDRED_MEGABYTES, Register
from tests.issuer.wallet_api.world import CLAIMS, SD_JWT, SUBJECT

UNAVAILABLE, INVALID, REFUSED = "claims_source_unavailable", "claims_source_invalid", "claims_refused"


async def test_credential_carries_what_the_register_says_when_it_is_issued(desk: Desk, register: Register) -> None:
    offer = await desk.offer()
    assert not register.questions, "the register is asked when the credential is made"
    register.claims = {**CLAIMS, "valid_until_month": "2098-01"}
    answer = await desk.issue(desk.wallet(), offer)
    assert answer.status_code == 200, answer.text
    claims = disclosed(answer.json()["credentials"][0]["credential"])
    assert claims["valid_until_month"] == "2098-01"
    (question,) = register.questions
    assert (question["sub"], question["credential_type"]) == (SUBJECT, "leipzig_pass")
    assert question["iss"] == desk.world.issuer_url()
    assert "Stadt Leipzig" in register.askers[0]
    assert "category" not in question["claims"], "what the catalogue fixes is not asked"  # type: ignore[operator]


async def test_claims_by_value_are_taken_as_they_were_sent(desk: Desk, register: Register) -> None:
    offer = await desk.offer(claims={"leipzig_pass": {**CLAIMS, "given_name": "Value"}})
    answer = await desk.issue(desk.wallet(), offer)
    assert disclosed(answer.json()["credentials"][0]["credential"])["given_name"] == "Value"
    assert not register.questions


async def test_person_is_kept_sealed_and_only_as_long_as_the_register_may_be_asked(desk: Desk) -> None:
    offer = await desk.offer()
    async with desk.store.reading() as session:
        kept = (await session.exec(select(Offer.sealed_subject).where(Offer.id == offer["id"]))).one()
    assert kept is not None
    assert SUBJECT.encode() not in kept
    assert (await desk.issue(desk.wallet(), offer)).status_code == 200
    desk.clock.now += 601
    async with desk.store.transaction() as session:
        await sweep(session, now=desk.clock())
    async with desk.store.reading() as session:
        assert (await session.exec(select(Offer.sealed_subject).where(Offer.id == offer["id"]))).one() is None


async def test_cancelling_forgets_the_person(desk: Desk) -> None:
    offer = await desk.offer()
    assert (await desk.call("DELETE", f"/offers/{offer['id']}")).status_code == 200
    async with desk.store.reading() as session:
        assert (await session.exec(select(Offer.sealed_subject).where(Offer.id == offer["id"]))).one() is None


async def test_tenant_without_a_register_needs_the_claims(desk: Desk) -> None:
    answer = await desk.make_offer(tenant="dresden")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/claims/leipzig_pass")


async def test_where_nothing_may_come_later_the_claims_are_there_before_the_offer(
    desk: Desk, register: Register
) -> None:
    offer = await desk.offer(tenant="bund")
    assert len(register.questions) == 1
    register.is_silent = True
    answer = await desk.issue(desk.wallet("bund"), offer)
    assert answer.status_code == 200, answer.text
    assert len(register.questions) == 1


async def test_register_that_stumbles_is_asked_again(desk: Desk, register: Register) -> None:
    register.failures = 2
    assert (await desk.make_offer(tenant="bund")).status_code == 201
    assert len(register.questions) == 3
    assert len({str(question["jti"]) for question in register.questions}) == 1


@defect("is-018", refused_as=UNAVAILABLE)
def silent(register: Register) -> Register:
    """Contract 3: no answer within the budget."""
    register.is_silent = True
    return register


@defect("is-018b", refused_as=UNAVAILABLE)
def failing(register: Register) -> Register:
    """Contract 3: 503 as often as it is asked."""
    register.failures = 1000
    return register


@defect("is-018c", refused_as=INVALID)
def another_person(register: Register) -> Register:
    """Another person's data, well signed."""
    register.changes = {"sub": "sozialamt-4712"}
    return register


@defect("is-018d", refused_as=INVALID)
def redirected(register: Register) -> Register:
    """A redirect to a private address is never followed."""
    register.redirect = "http://169.254.169.254/latest/meta-data"
    return register


@defect("is-018e", refused_as=INVALID)
def hundred_megabytes(register: Register) -> Register:
    """An answer beyond the cap."""
    register.is_endless = True
    return register


@defect("is-018f", refused_as=INVALID)
def other_key(register: Register) -> Register:
    """RFC 7515 §5.2: signed with a key that the tenant's file does not name."""
    register.signing_key = generate_signer()
    return register


@defect("is-018g", refused_as=INVALID)
def other_question(register: Register) -> Register:
    """An old answer played back: it names another question."""
    register.changes = {"request": "x" * 22}
    return register


@defect("is-018h", refused_as=INVALID)
def other_type(register: Register) -> Register:
    """The answer is about another credential type."""
    register.changes = {"credential_type": "pid_mock"}
    return register


@defect("is-018i", refused_as=INVALID)
def for_another_issuer(register: Register) -> Register:
    """RFC 7519 §4.1.3: the answer is for another tenant."""
    register.changes = {"aud": "http://127.0.0.1:8701/t/dresden"}
    return register


@defect("is-018j", refused_as=INVALID)
def over(register: Register) -> Register:
    """RFC 7519 §4.1.4: expired this second."""
    register.changes = {"exp": register.clock()}
    return register


@defect("is-018k", refused_as=INVALID)
def dated_ahead(register: Register) -> Register:
    """RFC 7519 §4.1.6: dated later than any clock skew explains."""
    register.changes = {"iat": register.clock() + 61}
    return register


@defect("is-018l", refused_as=INVALID)
def other_typ(register: Register) -> Register:
    """RFC 8725 §3.11: a JWT for something else, with the right key."""
    register.typ = "JWT"
    return register


@defect("is-018m", refused_as=INVALID)
def misfit(register: Register) -> Register:
    """A claim that the type does not know."""
    register.claims = {**CLAIMS, "income": 1200}
    return register


@defect("is-018n", refused_as=INVALID)
def born_tomorrow(register: Register) -> Register:
    """is-015 from a register: a birth date in the future."""
    register.claims = {**CLAIMS, "birthdate": "2999-01-01"}
    return register


@defect("is-018o", refused_as=INVALID)
def two_outcomes(register: Register) -> Register:
    """Claims and a refusal at once."""
    register.outcome = {"claims": register.claims, "refused": "not_entitled"}
    return register


@defect("is-018p", refused_as=INVALID)
def unsigned_status(register: Register) -> Register:
    """A good body under a status that says otherwise."""
    register.status = 404
    return register


@defect("is-018q", refused_as=UNAVAILABLE)
def not_yet(register: Register) -> Register:
    """The register says when to come again."""
    register.outcome = {"retry_after": 120}
    return register


@defect("is-018r", refused_as=REFUSED)
def not_entitled(register: Register) -> Register:
    """The register says no."""
    register.outcome = {"refused": "not_entitled"}
    return register


SOURCE_DEFECTS = [case for case in defects("is") if case.id.startswith("is-018")]


@pytest.mark.parametrize("case", SOURCE_DEFECTS, ids=str)
async def test_register_with_one_defect_makes_no_offer(case: Defect[Register], desk: Desk, register: Register) -> None:
    case.apply(register)
    answer = await desk.make_offer(tenant="bund")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == case.refused_as
    assert answer.status_code == {UNAVAILABLE: 503, INVALID: 502, REFUSED: 422}[case.refused_as]
    assert ("retry-after" in answer.headers) == (case.refused_as == UNAVAILABLE)
    assert "sozialamt" not in answer.text
    assert "income" not in answer.text
    async with desk.store.reading() as session:
        assert (await session.exec(select(Offer))).first() is None
    assert register.sent < HUNDRED_MEGABYTES


async def test_wallet_gets_nothing_that_a_register_did_not_say(desk: Desk, register: Register) -> None:
    offer = await desk.offer()
    wallet = desk.wallet()
    token = await desk.token(wallet, offer)
    register.changes = {"sub": "sozialamt-4712"}
    answer = await wallet.credential(token, await wallet.request_body())
    assert (answer.status_code, answer.json()["error"]) == (400, "credential_request_denied")
    assert "4712" not in answer.text
    async with desk.store.reading() as session:
        assert (await session.exec(select(Credential))).first() is None
        assert (await session.exec(select(OfferConfiguration.sealed_claims))).all() == [None]
    register.changes = {}
    again = await wallet.credential(token, await wallet.request_body())
    assert again.status_code == 200, "the register was mended, and the token lives"


async def test_repeated_request_never_reaches_the_register(desk: Desk, register: Register) -> None:
    wallet = desk.wallet()
    token = await desk.token(wallet, await desk.offer())
    body = await wallet.request_body()
    headers = {"Authorization": f"DPoP {token}", **wallet.dpop_header("/credential", token)}
    assert (await wallet.credential(token, body, headers=headers)).status_code == 200
    assert len(register.questions) == 1
    same_proof = await wallet.credential(token, await wallet.request_body(), headers=headers)
    same_nonce = await wallet.credential(token, body)
    assert (same_proof.status_code, same_proof.json()["error"]) == (401, "invalid_dpop_proof")
    assert (same_nonce.status_code, same_nonce.json()["error"]) == (400, "invalid_nonce")
    assert len(register.questions) == 1


async def test_register_that_does_not_answer_costs_the_wallet_no_nonce(desk: Desk, register: Register) -> None:
    """Where something may come later it is deferred; where not, the same nonce is as good as before."""
    register.outcome = {"retry_after": 5}
    wallet = desk.wallet()
    token = await desk.token(wallet, await desk.offer())
    assert (await wallet.credential(token, await wallet.request_body())).status_code == 202

    register.outcome = None
    german = desk.wallet("bund")
    token, identifiers = await desk.granted(german, await desk.offer(tenant="bund"))
    async with desk.store.transaction() as session:  # as after a renewal, when the register has to be asked anew
        await session.exec(update(OfferConfiguration).values(sealed_claims=None))
    body = await asking_for(german, SD_JWT, identifiers)
    register.outcome = {"retry_after": 5}
    late = await german.credential(token, body)
    assert (late.status_code, "retry-after" in late.headers) == (503, True)
    register.outcome = None
    assert (await german.credential(token, body)).status_code == 200
