"""An offer from its making to its end, and how long its claims are kept."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from issuer.grants.pre_authorized import RedemptionRefused, redeem
from issuer.grants.pre_authorized_codes import ArmedCode, mint_code
from issuer.housekeeping import sweep
from issuer.restore import void_after_restore
from issuer.store.tables import (
    AccessToken,
    IdempotencyRecord,
    Offer,
    OfferConfiguration,
    OfferState,
    StatusListRow,
)
from tests.issuer.collecting import TOKEN_LIFETIME, authorize, collect, fetch, stored_offer
from tests.issuer.house import SUBJECT, House, offer_body, open_house, settings_for

SD_JWT, MDOC = "leipzig_pass-sd-jwt", "leipzig_pass-mdoc"
BOTH = [SD_JWT, MDOC]
MANY = 66_000  # more than the 65,535 values that PostgreSQL takes in a statement
_BEING_COLLECTED = (
    """
    INSERT INTO offers (id, tenant_id, origin, state, "grant", delivery, locale, created_at, expires_at, generation,
        tx_code_length, tx_code_tries)
    SELECT 'o' || n, 'leipzig', 'city', 'issued', 'pre-authorized_code', 'value', 'de', :now, :later, 0, 0, 0
    FROM generate_series(1, :many) n
    """,
    """
    INSERT INTO offer_configurations (offer_id, configuration_id, dataset, tenant_id, credential_type, format)
    SELECT 'o' || n, 'leipzig_pass-sd-jwt', '', 'leipzig', 'leipzig_pass', 'dc+sd-jwt' FROM generate_series(1, :many) n
    UNION ALL SELECT 'o1', 'leipzig_pass-mdoc', '', 'leipzig', 'leipzig_pass', 'mso_mdoc'
    """,
    """
    INSERT INTO access_tokens (digest, tenant_id, offer_id, configuration_ids, credential_identifiers, detailed, uses,
        max_uses, created_at, expires_at)
    SELECT sha256(convert_to('o' || n, 'UTF8')), 'leipzig', 'o' || n, '["leipzig_pass-sd-jwt"]', '{}', false, 0, 100,
        :now, :later
    FROM generate_series(1, :many) n
    """,
)


async def keep_house(house: House) -> None:
    """Run the sweep that every worker runs now and then."""
    async with house.store.transaction() as session:
        await sweep(session, now=house.clock())


async def kept_claims(house: House, offer_id: str) -> set[str]:
    """The configurations of an offer whose claims are still there."""
    async with house.store.reading() as session:
        rows = (await session.exec(select(OfferConfiguration).where(OfferConfiguration.offer_id == offer_id))).all()
    assert all((row.sealed_claims is None) == (row.erased_at is not None) for row in rows)
    return {row.configuration_id for row in rows if row.sealed_claims is not None}


async def state(house: House, offer_id: str) -> str:
    """The state that the city sees."""
    return str((await house.call("GET", f"/offers/{offer_id}")).json()["state"])


async def test_a_fetch_opens_an_offer(house: House) -> None:
    made = await house.offer()
    await fetch(house, made)
    assert await state(house, str(made["id"])) == "opened"


async def test_an_offer_expires_to_the_second_and_its_claims_with_it(house: House) -> None:
    offer_id = str((await house.offer(expires_in=600))["id"])
    house.clock.now += 599
    assert await state(house, offer_id) == "created"
    house.clock.now += 1
    assert await state(house, offer_id) == "expired"
    assert await kept_claims(house, offer_id) == set(BOTH)
    await keep_house(house)
    assert await state(house, offer_id) == "expired"
    assert await kept_claims(house, offer_id) == set()


async def test_a_cancelled_offer_keeps_nothing_and_stays_cancelled(house: House) -> None:
    made = await house.offer(tx_code=True)
    answer = await house.call("DELETE", f"/offers/{made['id']}")
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert await kept_claims(house, str(made["id"])) == set()
    assert (await house.call("DELETE", f"/offers/{made['id']}")).status_code == 200
    assert (await house.call("POST", f"/offers/{made['id']}/rearm", {})).status_code == 409
    page = await house.http.get(str(made["page"]))
    assert page.status_code == 404


async def test_the_answer_kept_for_a_repeat_goes_with_its_offer(house: House) -> None:
    made = (await house.call("POST", "/offers", offer_body(tx_code=True), key="1b7e-repeat")).json()
    await house.call("DELETE", f"/offers/{made['id']}")
    async with house.store.reading() as session:
        assert [row.sealed_answer for row in await session.exec(select(IdempotencyRecord))] == [None]
    again = await house.call("POST", "/offers", offer_body(tx_code=True), key="1b7e-repeat")
    assert (again.status_code, again.json()["code"]) == (409, "idempotency_answer_erased")


async def test_rearming_changes_every_secret_and_ends_the_old_ones(house: House) -> None:
    made = await house.offer(tx_code=True)
    offer_id = str(made["id"])
    await fetch(house, made)
    await authorize(house, offer_id, configurations=BOTH)
    before = await stored_offer(house, offer_id)
    armed = (await house.call("POST", f"/offers/{offer_id}/rearm", {"expires_in": 7200})).json()
    after = await stored_offer(house, offer_id)
    assert (armed["id"], armed["state"]) == (offer_id, "created")
    assert armed["page"] != made["page"]
    assert armed["offer_uri"] != made["offer_uri"]
    assert after.tx_code_mac != before.tx_code_mac
    assert (after.redeemed_at, after.tx_code_tries, after.expires_at) == (None, 0, house.clock() + 7200)
    async with house.store.reading() as session:
        assert all(token.revoked_at for token in await session.exec(select(AccessToken)))
    assert (await house.http.get(str(made["page"]))).status_code == 404
    assert (await house.http.get(str(armed["page"]))).status_code == 200


async def test_a_locked_offer_can_be_armed_anew_within_its_term(house: House) -> None:
    offer_id = str((await house.offer(tx_code=True))["id"])
    async with house.store.transaction() as session:
        offer = (await session.exec(select(Offer).where(Offer.id == offer_id))).one()
        offer.state, offer.tx_code_tries = OfferState.LOCKED, 5
        session.add(offer)
    await keep_house(house)
    assert (await house.call("POST", f"/offers/{offer_id}/rearm", {})).status_code == 200
    assert await state(house, offer_id) == "created"


async def test_claims_of_a_locked_offer_go_with_its_term(house: House) -> None:
    offer_id = str((await house.offer(tx_code=True))["id"])
    async with house.store.transaction() as session:
        offer = (await session.exec(select(Offer).where(Offer.id == offer_id))).one()
        offer.state = OfferState.LOCKED
        session.add(offer)
    house.clock.now += 3600
    await keep_house(house)
    assert await kept_claims(house, offer_id) == set()
    assert (await house.call("POST", f"/offers/{offer_id}/rearm", {})).status_code == 409


async def test_nothing_is_armed_or_cancelled_once_something_was_issued(house: House) -> None:
    offer_id = str((await house.offer())["id"])
    await authorize(house, offer_id, configurations=BOTH)
    await collect(house, offer_id, SD_JWT)
    assert (await house.call("POST", f"/offers/{offer_id}/rearm", {})).status_code == 409
    assert (await house.call("DELETE", f"/offers/{offer_id}")).status_code == 409


async def test_an_offer_is_issued_with_the_first_and_closed_with_the_last_credential(house: House) -> None:
    offer_id = str((await house.offer())["id"])
    await authorize(house, offer_id, configurations=BOTH)
    await collect(house, offer_id, SD_JWT)
    assert await state(house, offer_id) == "issued"
    await collect(house, offer_id, MDOC)
    shown = (await house.call("GET", f"/offers/{offer_id}")).json()
    assert shown["state"] == "closed"
    assert {(each["type"], each["format"], each["status"]) for each in shown["credentials"]} == {
        ("leipzig_pass", "dc+sd-jwt", "valid"),
        ("leipzig_pass", "mso_mdoc", "valid"),
    }


async def test_claims_stay_while_a_token_can_ask_for_them_and_go_when_none_can(house: House) -> None:
    offer_id = str((await house.offer())["id"])
    await authorize(house, offer_id, configurations=[SD_JWT])
    await collect(house, offer_id, SD_JWT)
    await keep_house(house)
    assert await kept_claims(house, offer_id) == {SD_JWT}
    house.clock.now += TOKEN_LIFETIME
    await keep_house(house)
    assert await kept_claims(house, offer_id) == set()
    assert await state(house, offer_id) == "closed"
    async with house.store.reading() as session:
        assert (await session.exec(select(AccessToken))).all() == []


@pytest.mark.long
@pytest.mark.postgres
async def test_sweep_takes_any_number_of_offers_that_are_being_collected(
    fresh_postgres_url: str, tmp_path: Path
) -> None:
    """More of them than a statement takes values ended every sweep, and so all erasing."""
    house = await open_house(settings_for(tmp_path, database_url=fresh_postgres_url))
    async with house.store.engine.begin() as connection:
        for statement in _BEING_COLLECTED:
            values = {"many": MANY, "now": house.clock(), "later": house.clock() + 60}
            await connection.execute(text(statement), values)
    await keep_house(house)
    async with house.store.reading() as session:
        kept = select(OfferConfiguration.configuration_id).where(col(OfferConfiguration.erased_at).is_(None))
        names = list(await session.exec(kept))
    assert (len(names), set(names)) == (MANY, {SD_JWT})
    await house.http.aclose()
    await house.store.close()


async def test_what_stays_of_a_person_is_found_by_the_citys_reference_alone(house: House) -> None:
    offer_id = str((await house.offer())["id"])
    await authorize(house, offer_id, configurations=BOTH)
    await collect(house, offer_id, SD_JWT)
    await collect(house, offer_id, MDOC)
    first = (await house.call("POST", "/credentials/search", {"subject_reference": SUBJECT, "limit": 1})).json()
    second = (
        await house.call(
            "POST",
            "/credentials/search",
            {"subject_reference": SUBJECT, "limit": 1, "cursor": first["next_cursor"]},
        )
    ).json()
    found = [*first["credentials"], *second["credentials"]]
    assert {each["format"] for each in found} == {"dc+sd-jwt", "mso_mdoc"}
    assert "next_cursor" not in second
    elsewhere = await house.call("POST", "/credentials/search", {"subject_reference": SUBJECT}, tenant="dresden")
    assert elsewhere.json() == {"credentials": []}


async def test_after_a_restore_old_codes_are_dead_and_lists_closed(house: House) -> None:
    made = await house.offer()
    await fetch(house, made)
    other = str((await house.offer())["id"])
    await authorize(house, other, configurations=BOTH)
    await collect(house, other, SD_JWT)
    async with house.store.transaction() as session:
        await void_after_restore(session, now=house.clock())
    async with house.store.reading() as session:
        assert all(token.revoked_at for token in await session.exec(select(AccessToken)))
        assert not any(row.open for row in await session.exec(select(StatusListRow)))
    assert (await house.http.get(str(made["page"]))).status_code == 404
    assert (await house.call("POST", f"/offers/{made['id']}/rearm", {})).status_code == 200


@pytest.mark.parametrize("lang", ["de", "en"])
async def test_the_citizens_page_is_in_both_languages_without_script(lang: str, house: House) -> None:
    made = await house.offer(tx_code=True)
    page = await house.http.get(f"{made['page']}?lang={lang}")
    assert page.status_code == 200
    assert f'<html lang="{lang}">' in page.text
    assert page.headers["content-language"] == lang
    assert "<script" not in page.text
    assert "style=" not in page.text
    assert "script-src" not in page.headers["content-security-policy"]
    assert str(made["tx_code"]) not in page.text
    for path, media_type in (("qr.svg", "image/svg+xml"), ("qr.png", "image/png")):
        picture = await house.http.get(f"{made['page']}/{path}")
        assert picture.headers["content-type"] == media_type
    assert (await house.http.get("/collect/pages.css")).headers["content-type"].startswith("text/css")


@pytest.mark.parametrize("is_restored", [False, True])
async def test_a_code_made_since_the_backup_fits_no_offer_that_is_armed_anew(is_restored: bool, house: House) -> None:
    """Codes are stored nowhere: after a restore, arming must not come to a generation that was there before."""
    offer_id, now = str((await house.offer())["id"]), house.clock()
    key = house.service.secrets.code_key
    since_backup = mint_code(ArmedCode(offer_id, 1, now + 3600, asks_tx_code=False), tenant_id="leipzig", key=key)
    if is_restored:
        async with house.store.transaction() as session:
            await void_after_restore(session, now=now)
    assert (await house.call("POST", f"/offers/{offer_id}/rearm", {})).status_code == 200
    async with house.store.transaction() as session:
        outcome = await redeem(
            session,
            tenant_id="leipzig",
            code=since_backup,
            tx_code=None,
            tx_code_mac=lambda _offer, _code: b"",
            max_tries=5,
            code_key=key,
            now=now,
        )
    assert isinstance(outcome, RedemptionRefused) == is_restored
