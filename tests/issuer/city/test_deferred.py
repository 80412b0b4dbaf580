"""Credentials that come later (OpenID4VCI §9): kept with their keys, asked for again, handed out once."""

import asyncio
from pathlib import Path

import httpx
import pytest
from sqlmodel import select

from issuer.housekeeping import sweep
from issuer.restore import void_after_restore
from issuer.store.tables import Credential, DeferredTransaction, OfferConfiguration
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import jwk_from_public_key
from specs.keys.jwe import decrypt, new_decryption_key
from specs.keys.signer import generate_signer
from specs.protocols.key_proof import build_key_proof
from tests.issuer.city.desk import Desk, asking_for, disclosed
from tests.issuer.city.register_server import Register
from tests.issuer.city.types import write_types
from tests.issuer.wallet_api.test_encryption import post, sealed
from tests.issuer.wallet_api.world import CLAIMS, SD_JWT, Wallet

JSON = {"Accept": "application/json"}
FORMATS = {"sd-jwt": "dc+sd-jwt", "mdoc": "mso_mdoc"}
LATER, APPROVED = "later_pass", "approved_pass"
BY_VALUE = {"later_pass": {"later_pass": CLAIMS}, "approved_pass": {"approved_pass": CLAIMS}}


@pytest.fixture
def catalog_dir(tmp_path: Path) -> Path:
    """A type that always comes after half a minute, and one that the city approves."""
    return write_types(
        tmp_path / "types",
        {
            LATER: "deferral: {when: always, ready_after: 30, interval: 7, lifetime_hours: 1}",
            APPROVED: "deferral: {when: approval, interval: 60}",
        },
    )


class Waiting:
    """A wallet that was told to come back."""

    def __init__(self, wallet: Wallet, token: str, answer: httpx.Response) -> None:
        self.wallet, self.token, self.answer = wallet, token, answer

    @property
    def transaction_id(self) -> str:
        """What it asks for."""
        return str(self.answer.json()["transaction_id"])

    async def poll(self, **members: object) -> httpx.Response:
        """Ask again."""
        headers = {
            "Authorization": f"DPoP {self.token}",
            **self.wallet.dpop_header("/deferred_credential", self.token),
        }
        body = {"transaction_id": self.transaction_id} | members
        return await self.wallet.http.post(f"{self.wallet.issuer_url}/deferred_credential", json=body, headers=headers)


async def ask(
    desk: Desk, credential_type: str = "leipzig_pass", *, tenant: str = "leipzig", form: str = "sd-jwt"
) -> Waiting:
    """An offer redeemed and its credential asked for."""
    members = {} if credential_type == "leipzig_pass" else {"claims": BY_VALUE[credential_type]}
    offer = await desk.offer(tenant=tenant, credential_types=[credential_type], formats=[FORMATS[form]], **members)
    wallet = desk.wallet(tenant)
    token, identifiers = await desk.granted(wallet, offer)
    request = await asking_for(wallet, f"{credential_type}-{form}", identifiers)
    answer = await wallet.credential(token, request)
    return Waiting(wallet, token, answer)


async def waiting_at_the_city(desk: Desk) -> JsonObject:
    """The one that waits for approval."""
    answer = await desk.call("GET", "/deferred")
    (only,) = answer.json()["deferred"]
    found: JsonObject = only
    return found


async def test_slow_register_defers_and_its_claims_come_with_a_later_question(desk: Desk, register: Register) -> None:
    register.outcome = {"retry_after": 90}
    waiting = await ask(desk)
    assert waiting.answer.status_code == 202
    assert waiting.answer.json() == {"transaction_id": waiting.transaction_id, "interval": 90}
    assert waiting.answer.headers["cache-control"] == "no-store"
    again = await waiting.poll()
    assert (again.status_code, again.json()) == (202, waiting.answer.json())
    register.outcome = None
    issued = await waiting.poll()
    assert issued.status_code == 200, issued.text
    assert set(issued.json()) == {"credentials", "notification_id"}
    assert disclosed(issued.json()["credentials"][0]["credential"])["given_name"] == CLAIMS["given_name"]


async def test_silent_register_defers_as_well(desk: Desk, register: Register) -> None:
    """is-018: no answer in time means later, where the preset has a later."""
    register.is_silent = True
    assert (await ask(desk)).answer.status_code == 202


async def test_preset_without_a_later_answers_503_and_has_no_endpoint(desk: Desk, register: Register) -> None:
    """Contract 3: de-2026-11 names no deferred endpoint; a register that fails is a word to come again."""
    metadata = await desk.http.get("/.well-known/openid-credential-issuer/t/bund", headers=JSON)
    assert "deferred_credential_endpoint" not in metadata.json()
    haip = await desk.http.get("/.well-known/openid-credential-issuer/t/leipzig", headers=JSON)
    assert haip.json()["deferred_credential_endpoint"] == f"{desk.world.issuer_url()}/deferred_credential"
    assert (await desk.http.post("/t/bund/deferred_credential", json={"transaction_id": "x"})).status_code == 404
    offer = await desk.offer(tenant="bund")
    wallet = desk.wallet("bund")
    token = await desk.token(wallet, offer)
    async with desk.store.transaction() as session:  # as after a renewal: nothing by value is left
        row = (await session.exec(select(OfferConfiguration))).one()
        row.sealed_claims = None
        session.add(row)
    register.outcome = {"retry_after": 45}
    answer = await wallet.credential(token, await wallet.request_body())
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "45")
    nonce_was_kept = await wallet.credential(token, await wallet.request_body())
    assert nonce_was_kept.status_code == 503


async def test_credential_is_bound_to_the_keys_of_the_first_request(desk: Desk) -> None:
    """I-092: the proofs are kept; nothing new is proven when the wallet comes back."""
    offer = await desk.offer(credential_types=[LATER], claims=BY_VALUE[LATER])
    wallet = desk.wallet()
    token = await desk.token(wallet, offer)
    nonce = await wallet.nonce()
    holders = [generate_signer() for _ in range(3)]
    proofs = [
        build_key_proof(
            signer=holder, audience=wallet.issuer_url, now=wallet.now, nonce=nonce, client_id=wallet.client_id
        )
        for holder in holders
    ]
    request: JsonObject = {"credential_configuration_id": f"{LATER}-sd-jwt", "proofs": {"jwt": [*proofs]}}
    waiting = Waiting(wallet, token, await wallet.credential(token, request))
    assert (waiting.answer.status_code, waiting.answer.json()["interval"]) == (202, 7)
    desk.clock.now += 30
    issued = (await waiting.poll()).json()["credentials"]
    bound = [
        strict_json.parse_object(base64url.decode(entry["credential"].split(".")[1]))["cnf"]["jwk"]  # type: ignore[index,call-overload]
        for entry in issued
    ]
    assert bound == [jwk_from_public_key(holder.public_key) for holder in holders]
    repeated = await wallet.credential(token, request)
    assert repeated.json()["error"] == "invalid_nonce", "the nonces were used when it was deferred"


async def test_nothing_comes_before_its_time(desk: Desk) -> None:
    """is-011: asked before it is ready, it is the same transaction again."""
    waiting = await ask(desk, LATER)
    desk.clock.now += 29
    early = await waiting.poll()
    assert (early.status_code, early.json()) == (202, {"transaction_id": waiting.transaction_id, "interval": 7})
    desk.clock.now += 1
    assert (await waiting.poll()).status_code == 200


async def test_transaction_is_over_once_it_was_collected(desk: Desk) -> None:
    """is-011, I-093: after collection."""
    waiting = await ask(desk, LATER)
    desk.clock.now += 30
    assert (await waiting.poll()).status_code == 200
    again = await waiting.poll()
    assert (again.status_code, again.json()["error"]) == (400, "invalid_transaction_id")


async def test_foreign_guessed_and_expired_transactions_are_unknown(desk: Desk) -> None:
    """is-011: another token, a guessed id, after the term: one and the same answer."""
    waiting, other = await ask(desk, LATER), await ask(desk, LATER)
    desk.clock.now += 30
    for members in ({"transaction_id": other.transaction_id}, {"transaction_id": "A" * 43}, {"transaction_id": "\x00"}):
        answer = await waiting.poll(**members)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_transaction_id")
    for body in ({"transaction_id": None}, {"transaction_id": 7}):
        answer = await waiting.poll(**body)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_credential_request")
    assert (await other.poll()).status_code == 200, "asking for it wrongly took nothing away"
    async with desk.store.transaction() as session:
        row = (await session.exec(select(DeferredTransaction).where(DeferredTransaction.handed_out_at.is_(None)))).one()  # type: ignore[union-attr]
        row.expires_at = desk.clock()
        session.add(row)
    assert (await waiting.poll()).json()["error"] == "invalid_transaction_id"


async def test_other_dpop_key_or_tenant_gets_nothing(desk: Desk) -> None:
    """is-011, is-008: the token is bound to its key, and its tenant."""
    waiting = await ask(desk, LATER)
    desk.clock.now += 30
    waiting.wallet.dpop, kept = generate_signer(), waiting.wallet.dpop
    assert (await waiting.poll()).status_code == 401
    waiting.wallet.dpop = kept
    waiting.wallet.issuer_url = desk.world.issuer_url("dresden")
    assert (await waiting.poll()).status_code == 401


async def test_city_approves_what_waits_for_it(desk: Desk) -> None:
    waiting = await ask(desk, APPROVED)
    assert (await waiting.poll()).status_code == 202
    entry = await waiting_at_the_city(desk)
    assert (entry["type"], entry["state"]) == (APPROVED, "waiting")
    assert set(entry) == {"id", "offer_id", "type", "format", "state", "created_at", "expires_at"}
    for _ in range(2):
        approved = await desk.call("POST", f"/deferred/{entry['id']}/approve")
        assert (approved.status_code, approved.json()["state"]) == (200, "approved")
    denied = await desk.call("POST", f"/deferred/{entry['id']}/deny", {"reason": "late"})
    assert (denied.status_code, denied.json()["code"]) == (409, "state_conflict")
    assert (await waiting.poll()).status_code == 200
    assert (await desk.call("GET", "/deferred")).json() == {"deferred": []}


async def test_city_denies_for_good(desk: Desk) -> None:
    waiting = await ask(desk, APPROVED)
    entry = await waiting_at_the_city(desk)
    foreign = await desk.call("POST", f"/deferred/{entry['id']}/deny", {"reason": "no"}, tenant="dresden")
    assert foreign.status_code == 404
    denied = await desk.call("POST", f"/deferred/{entry['id']}/deny", {"reason": "no proof of income"})
    assert (denied.status_code, denied.json()["state"]) == (200, "denied")
    answer = await waiting.poll()
    assert (answer.status_code, answer.json()["error"]) == (400, "credential_request_denied")
    shown = await desk.call("GET", f"/offers/{entry['offer_id']}")
    assert (shown.json()["state"], shown.json()["reason"]) == ("failed", "denied")
    assert (await desk.call("POST", f"/deferred/{entry['id']}/approve")).status_code == 409
    async with desk.store.reading() as session:
        assert (await session.exec(select(Credential))).first() is None


async def test_register_that_says_no_later_ends_the_transaction(desk: Desk, register: Register) -> None:
    register.outcome = {"retry_after": 5}
    waiting = await ask(desk)
    register.outcome = {"refused": "moved_away"}
    assert (await waiting.poll()).json()["error"] == "credential_request_denied"
    register.outcome = None
    assert (await waiting.poll()).json()["error"] == "credential_request_denied", "a no stays a no"


async def test_signed_no_at_issue_fails_the_offer(desk: Desk, register: Register) -> None:
    offer = await desk.offer()
    register.outcome = {"refused": "not_entitled"}
    answer = await desk.issue(desk.wallet(), offer)
    assert answer.json()["error"] == "credential_request_denied"
    shown = await desk.state(offer)
    assert (shown["state"], shown["reason"]) == ("failed", "not_entitled")


async def test_approval_without_a_later_is_no_offer(desk: Desk) -> None:
    answer = await desk.make_offer(tenant="bund", credential_types=[APPROVED], claims=BY_VALUE[APPROVED])
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "deferral_not_possible")


async def test_claims_stay_until_nobody_can_come_back(desk: Desk) -> None:
    await ask(desk, LATER)
    desk.clock.now += 1800
    for expected in (True, False):
        async with desk.store.transaction() as session:
            await sweep(session, now=desk.clock())
        async with desk.store.reading() as session:
            kept = (await session.exec(select(OfferConfiguration.sealed_claims))).one()
        assert (kept is not None) == expected
        desk.clock.now += 1801


async def test_of_many_questions_at_once_one_gets_the_credential(desk: Desk) -> None:
    """is-011: handed out by one statement."""
    waiting = await ask(desk, LATER)
    desk.clock.now += 30
    answers = await asyncio.gather(*(waiting.poll() for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert {answer.json().get("error") for answer in answers} == {None, "invalid_transaction_id"}


async def test_certification_tenant_is_ready_at_the_first_question(desk: Desk) -> None:
    """Contract 3, `oidf`: whatever a type waits for is over when the suite asks for the first time."""
    waiting = await ask(desk, LATER, tenant="pruef", form="mdoc")
    assert waiting.answer.status_code == 202
    assert (await waiting.poll()).status_code == 200


async def test_immediate_configuration_is_not_deferred(desk: Desk) -> None:
    answer = await desk.issue(desk.wallet(), await desk.offer(), configuration=SD_JWT)
    assert answer.status_code == 200


async def test_proof_is_used_up_by_an_answer_that_gives_nothing(desk: Desk) -> None:
    """RFC 9449 §11.1: what was proven for one question is not proven for the next."""
    waiting = await ask(desk, LATER)
    wallet, token = waiting.wallet, waiting.token
    headers = {"Authorization": f"DPoP {token}", **wallet.dpop_header("/deferred_credential", token)}
    address, body = f"{wallet.issuer_url}/deferred_credential", {"transaction_id": waiting.transaction_id}
    assert (await wallet.http.post(address, json=body, headers=headers)).status_code == 202
    again = await wallet.http.post(address, json=body, headers=headers)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_dpop_proof")
    assert (await waiting.poll()).status_code == 202


async def test_later_request_says_how_its_answer_is_encrypted(desk: Desk) -> None:
    """OpenID4VCI §9.2: the encryption of the first request is over; that of this one counts."""
    offer = await desk.offer(credential_types=[LATER], claims=BY_VALUE[LATER])
    wallet = desk.wallet()
    token = await desk.token(wallet, offer)
    first, second = new_decryption_key("first"), new_decryption_key("second")
    wanted: JsonObject = {"jwk": {**first.public_jwk()}, "enc": "A128GCM"}
    request = {**await wallet.request_body(f"{LATER}-sd-jwt"), "credential_response_encryption": wanted}
    answer = await post(wallet, token, await sealed(wallet, request))
    assert answer.status_code == 202
    postponed = strict_json.parse_object(decrypt(answer.text, keys={"first": first}).payload)
    desk.clock.now += 30

    later: JsonObject = {
        "transaction_id": postponed["transaction_id"],
        "credential_response_encryption": {"jwk": {**second.public_jwk()}, "enc": "A256GCM"},
    }
    issued = await post(wallet, token, await sealed(wallet, later), path="/deferred_credential")

    assert issued.status_code == 200, issued.text
    assert issued.headers["content-type"] == "application/jwt"
    opened = strict_json.parse_object(decrypt(issued.text, keys={"second": second}).payload)
    assert set(opened) == {"credentials", "notification_id"}


async def test_transaction_made_before_a_restore_is_void(desk: Desk) -> None:
    """Faults: what was collected after the backup must not be handed out a second time."""
    waiting = await ask(desk, LATER)
    desk.clock.now += 30
    async with desk.store.transaction() as session:
        rows = (await session.exec(select(DeferredTransaction))).all()
        assert all(row.expires_at > desk.clock() for row in rows)
        await void_after_restore(session, now=desk.clock())
    async with desk.store.reading() as session:
        ended = (await session.exec(select(DeferredTransaction.expires_at))).all()
    assert ended == [desk.clock()]
    assert (await waiting.poll()).status_code == 401, "its token is over as well"
