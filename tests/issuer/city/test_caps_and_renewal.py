"""So many live credentials per person and no more, and further copies of one before it ends."""

import asyncio
from pathlib import Path

import pytest
from sqlmodel import select

from issuer.housekeeping import sweep
from issuer.store.city_tables import PersonSlot
from issuer.store.tables import Credential, CredentialCopy, RefreshToken
from specs.encoding.strict_json import JsonObject
from tests.issuer.city.desk import Desk, code_of, disclosed
from tests.issuer.city.register_server import Register
from tests.issuer.city.types import write_types
from tests.issuer.wallet_api.world import CLAIMS, MDOC, SD_JWT, SUBJECT

DAY = 86400
OTHER = "sozialamt-4712"


@pytest.fixture
def catalog_dir(tmp_path: Path) -> Path:
    """Two live Leipzig-Passes per person."""
    return write_types(tmp_path / "types", {}, own="per_person: 2")


async def credential_ids(desk: Desk, subject: str = SUBJECT) -> list[str]:
    """The credentials of a person."""
    found = await desk.call("POST", "/credentials/search", {"subject_reference": subject})
    return [str(entry["id"]) for entry in found.json()["credentials"]]


async def test_person_gets_as_many_as_the_city_allows(desk: Desk) -> None:
    spare = [await desk.offer() for _ in range(3)]
    for offer in spare[:2]:
        assert (await desk.issue(desk.wallet(), offer)).status_code == 200
    refused = await desk.issue(desk.wallet(), spare[2])
    assert (refused.status_code, refused.json()["error"]) == (400, "credential_request_denied")
    early = await desk.make_offer()
    assert (early.status_code, early.json()["code"]) == (409, "cap_reached")
    assert (await desk.make_offer(subject=OTHER)).status_code == 201, "another person has places of their own"
    mdoc = await desk.offer(formats=["mso_mdoc"])
    assert (await desk.issue(desk.wallet(), mdoc, configuration=MDOC)).status_code == 200, "by format"

    held = (await desk.call("POST", "/credentials/search", {"subject_reference": SUBJECT})).json()["credentials"]
    lost = next(entry["id"] for entry in held if entry["format"] == "dc+sd-jwt")
    assert (await desk.call("POST", f"/credentials/{lost}/revoke", {"reason": "lost"})).status_code == 200
    assert (await desk.make_offer()).status_code == 201, "its place is free"


async def test_places_are_free_again_when_their_credentials_have_ended(desk: Desk) -> None:
    for _ in range(2):
        assert (await desk.issue(desk.wallet(), await desk.offer())).status_code == 200
    desk.clock.now += 31 * DAY
    assert (await desk.issue(desk.wallet(), await desk.offer())).status_code == 200
    async with desk.store.transaction() as session:
        await sweep(session, now=desk.clock())
    async with desk.store.reading() as session:
        assert len((await session.exec(select(PersonSlot))).all()) == 1


async def test_parallel_requests_never_get_more_than_the_cap(desk: Desk) -> None:
    offers = [await desk.offer() for _ in range(6)]
    wallets = [desk.wallet() for _ in offers]
    tokens = [await desk.token(wallet, offer) for wallet, offer in zip(wallets, offers, strict=True)]
    bodies = [await wallet.request_body() for wallet in wallets]
    answers = await asyncio.gather(
        *(wallet.credential(token, body) for wallet, token, body in zip(wallets, tokens, bodies, strict=True))
    )
    assert sorted(answer.status_code for answer in answers) == [200] * 2 + [400] * 4
    async with desk.store.reading() as session:
        assert len((await session.exec(select(Credential))).all()) == 2, "who is refused leaves nothing"


async def test_repeats_and_renewals_take_no_further_place(desk: Desk) -> None:
    offer, wallet = await desk.offer(), desk.wallet()
    token = await desk.token(wallet, offer)
    for _ in range(3):
        assert (await wallet.credential(token, await wallet.request_body())).status_code == 200
    async with desk.store.reading() as session:
        assert len((await session.exec(select(PersonSlot))).all()) == 1


async def test_certification_tenant_has_no_caps(desk: Desk) -> None:
    """Contract 3, `oidf`: the suite asks again and again for one person."""
    claims = {"leipzig_pass": CLAIMS}
    for _ in range(3):
        offer = await desk.offer(tenant="pruef", claims=claims, formats=["mso_mdoc"])
        answer = await desk.issue(desk.wallet("pruef"), offer, configuration=MDOC)
        assert answer.status_code == 200, answer.text


async def test_capped_type_needs_to_know_for_whom_it_is(desk: Desk) -> None:
    body: JsonObject = {"credential_types": ["leipzig_pass"], "claims": {"leipzig_pass": CLAIMS}}
    nobody = await desk.call("POST", "/offers", body)
    assert (nobody.status_code, nobody.json()["errors"][0]["pointer"]) == (422, "/subject")


async def test_expiring_credential_is_found_renewed_and_stays_the_same(desk: Desk, register: Register) -> None:
    assert (await desk.issue(desk.wallet(), await desk.offer())).status_code == 200
    (known,) = await credential_ids(desk)
    assert (await desk.call("POST", "/credentials/expiring", {"within_days": 7})).json() == {"credentials": []}
    desk.clock.now += 25 * DAY
    (entry,) = (await desk.call("POST", "/credentials/expiring", {"within_days": 7})).json()["credentials"]
    assert (entry["id"], set(entry)) == (known, {"id", "type", "format", "status", "expires_at"})

    register.claims = {**register.claims, "valid_until_month": "2097-03"}
    body: JsonObject = {"subject": {"reference": SUBJECT}, "delivery": "value"}
    made = await desk.call("POST", f"/credentials/{known}/renew", body)
    assert made.status_code == 201, made.text
    offer = made.json() | {"code": code_of(made.json()["offer_uri"])}
    assert (await desk.call("POST", "/credentials/expiring", {})).json() == {"credentials": []}, "an offer renews it"
    assert (await desk.state(offer))["credentials"] == []
    answer = await desk.issue(desk.wallet(), offer)
    assert disclosed(answer.json()["credentials"][0]["credential"])["valid_until_month"] == "2097-03"
    shown = await desk.state(offer)
    assert (shown["state"], [each["id"] for each in shown["credentials"]]) == ("closed", [known])  # type: ignore[union-attr,index,call-overload]
    assert await credential_ids(desk) == [known]
    async with desk.store.reading() as session:
        copies = (await session.exec(select(CredentialCopy.credential_id))).all()
        places = (await session.exec(select(PersonSlot))).all()
    assert (set(copies), len(copies), len(places)) == ({known}, 2, 1)

    assert (await desk.call("POST", f"/credentials/{known}/revoke", {"reason": "moved"})).status_code == 200
    late = await desk.call("POST", f"/credentials/{known}/renew", body)
    assert (late.status_code, late.json()["code"]) == (409, "state_conflict")


async def test_renewal_is_for_the_same_person_of_the_same_tenant(desk: Desk) -> None:
    assert (await desk.issue(desk.wallet(), await desk.offer())).status_code == 200
    (known,) = await credential_ids(desk)
    wrong = await desk.call("POST", f"/credentials/{known}/renew", {"subject": {"reference": OTHER}})
    assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (422, "subject_mismatch")
    foreign = await desk.call(
        "POST", f"/credentials/{known}/renew", {"subject": {"reference": SUBJECT}}, tenant="dresden"
    )
    assert foreign.status_code == 404


async def test_live_refresh_token_lets_the_register_be_asked_anew(desk: Desk, register: Register) -> None:
    """Contract 4: after the claims by value are gone, a renewal pulls; the person stays known as long as it can."""
    offer, wallet = await desk.offer(), desk.wallet()
    token = await desk.token(wallet, offer)
    assert (await wallet.credential(token, await wallet.request_body())).status_code == 200
    async with desk.store.transaction() as session:
        session.add(
            RefreshToken(
                digest=b"refresh",
                tenant_id="leipzig",
                offer_id=str(offer["id"]),
                family="f",
                configuration_ids=[SD_JWT],
                created_at=desk.clock(),
                expires_at=desk.clock() + 30 * DAY,
            )
        )
        await sweep(session, now=desk.clock())
    asked = len(register.questions)
    again = await wallet.credential(token, await wallet.request_body())
    assert again.status_code == 200, again.text
    assert len(register.questions) == asked + 1
