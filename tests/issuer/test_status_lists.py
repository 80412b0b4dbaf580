"""Status entries are given out once and in no order, and lists say what became of credentials."""

import asyncio
import multiprocessing
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlmodel import select

from issuer.recording import NotIssuable
from issuer.secrets_at_rest import load_secrets
from issuer.settings import IssuerSettings
from issuer.status.allocation import allocate
from issuer.status.permutation import permute
from issuer.store.engine import Store
from issuer.store.tables import CredentialCopy, StatusListRow
from issuer.tenants import Tenants
from specs.credentials.sd_jwt import parse_sd_jwt
from specs.credentials.sd_jwt_vc import parse_issuer_jwt
from specs.credentials.status_list import (
    Status,
    StatusList,
    parse_status_list_cwt,
    parse_status_list_jwt,
    parse_status_reference,
    verify_status_list,
)
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.trust.anchors import AnchorKind, TrustAnchor
from specs.trust.x509 import CertificateProfile, validate_path
from tests.issuer.collecting import authorize, collect, tenant_of
from tests.issuer.house import NOW, House, furnish, settings_for

SD_JWT, MDOC = "leipzig_pass-sd-jwt", "leipzig_pass-mdoc"
REASON: JsonObject = {"reason": "no longer entitled"}


@pytest.mark.parametrize("size", [4, 8, 256, 512, 1 << 13])
def test_the_secret_order_reaches_each_place_once(size: int) -> None:
    places = [permute(position, size=size, key=bytes(32)) for position in range(size)]
    assert sorted(places) == list(range(size))


def test_the_secret_order_differs_by_key_and_follows_none() -> None:
    one, other = ([permute(n, size=1 << 20, key=bytes([k]) * 32) for n in range(1000)] for k in (1, 2))
    assert one != other
    assert sum(abs(a - b) < 1000 for a, b in pairwise(one)) < 10


@pytest.mark.parametrize(("position", "size"), [(-1, 8), (8, 8), (0, 6), (0, 2)])
def test_there_is_no_place_outside_a_list(position: int, size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        permute(position, size=size, key=bytes(32))


async def test_a_full_list_is_followed_by_another(house: House) -> None:
    tenant = await tenant_of(house)
    taken = []
    for _ in range(30):
        async with house.store.transaction() as session:
            taken += await allocate(session, sealer=tenant.sealer, count=20, list_size=256, now=NOW)
    assert len({(entry.list_id, entry.idx) for entry in taken}) == 600
    async with house.store.reading() as session:
        lists = (await session.exec(select(StatusListRow))).all()
    assert sorted((row.allocated, row.open) for row in lists) == [(120, True), (240, False), (240, False)]


async def test_a_transaction_that_fails_takes_no_entry(house: House) -> None:
    tenant = await tenant_of(house)

    async def interrupted() -> None:
        async with house.store.transaction() as session:
            await allocate(session, sealer=tenant.sealer, count=5, list_size=256, now=NOW)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await interrupted()
    async with house.store.reading() as session:
        assert (await session.exec(select(StatusListRow))).all() == []


async def _take(settings: IssuerSettings, rounds: int) -> list[tuple[str, int]]:
    store = Store(settings.effective_database_url)
    tenants = Tenants(settings=settings, store=store, secrets=load_secrets(settings.data_dir / "secrets"))
    tenant = await tenants.find("leipzig")
    assert tenant is not None
    taken: list[tuple[str, int]] = []
    for _ in range(rounds):
        async with store.transaction() as session:
            entries = await allocate(session, sealer=tenant.sealer, count=3, list_size=256, now=NOW)
        taken += [(entry.list_id, entry.idx) for entry in entries]
    await store.close()
    return taken


def _worker(settings: IssuerSettings, rounds: int) -> list[tuple[str, int]]:
    return asyncio.run(_take(settings, rounds))


@pytest.mark.race
def test_processes_that_race_never_get_the_same_entry(tmp_path: Path, database_url: str) -> None:
    settings = settings_for(tmp_path, database_url=database_url)
    asyncio.run(furnish(settings))
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        results = pool.starmap(_worker, [(settings, 40)] * 4)
    taken = [entry for result in results for entry in result]
    assert len(taken) == len(set(taken)) == 480


async def fetch_list(house: House, path: str, accept: str | None = None) -> StatusList:
    """A published list as a verifier believes it."""
    answer = await house.http.get(path, headers={} if accept is None else {"Accept": accept})
    assert answer.status_code == 200
    is_jwt = answer.headers["content-type"] == "application/statuslist+jwt"
    signed = parse_status_list_jwt(answer.content) if is_jwt else parse_status_list_cwt(answer.content)
    root = house.service.settings.data_dir / "keys" / "leipzig" / "status-ca.crt.pem"
    der = x509.load_pem_x509_certificate(root.read_bytes()).public_bytes(Encoding.DER)
    validated = validate_path(
        signed.chain,
        anchors=[TrustAnchor(AnchorKind.CA, der, "Leipzig")],
        profile=CertificateProfile.STATUS,
        now=house.clock(),
    )
    token = verify_status_list(
        signed, key=validated.leaf_key, expected_uri=f"http://127.0.0.1:8701{path}", now=house.clock()
    )
    assert (token.ttl, token.expires_at) == (300, house.clock() + 86400)
    return token.statuses


async def issued(house: House, *, count: int = 3) -> tuple[str, str, list[int]]:
    """A credential's id, the path of its list and the places of its copies."""
    offer_id = str((await house.offer())["id"])
    await authorize(house, offer_id, configurations=[SD_JWT])
    recorded, _, _ = await collect(house, offer_id, SD_JWT, count=count)
    references = [reference for reference in recorded.statuses if reference is not None]
    assert len({reference.uri for reference in references}) == 1
    return (
        recorded.credential_id,
        references[0].uri.removeprefix("http://127.0.0.1:8701"),
        [reference.idx for reference in references],
    )


async def test_revoking_shows_for_every_copy_in_both_forms_at_once(house: House) -> None:
    credential, path, places = await issued(house)
    assert [(await fetch_list(house, path))[place] for place in places] == [Status.VALID] * 3
    answer = await house.call("POST", f"/credentials/{credential}/revoke", REASON)
    assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
    for accept in ("application/statuslist+jwt", "application/statuslist+cwt"):
        assert [(await fetch_list(house, path, accept))[place] for place in places] == [Status.INVALID] * 3


async def test_suspending_can_be_taken_back_and_revoking_cannot(house: House) -> None:
    credential, path, places = await issued(house, count=1)
    await house.call("POST", f"/credentials/{credential}/suspend", REASON)
    assert (await fetch_list(house, path))[places[0]] == Status.SUSPENDED
    await house.call("POST", f"/credentials/{credential}/reinstate", REASON)
    assert (await fetch_list(house, path))[places[0]] == Status.VALID
    await house.call("POST", f"/credentials/{credential}/revoke", REASON)
    assert (await house.call("POST", f"/credentials/{credential}/revoke", REASON)).status_code == 200
    for change in ("suspend", "reinstate"):
        refused = await house.call("POST", f"/credentials/{credential}/{change}", REASON)
        assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
    assert (await house.call("GET", f"/credentials/{credential}")).json()["status"] == "revoked"


async def test_no_copy_is_made_of_what_was_revoked(house: House) -> None:
    offer_id = str((await house.offer())["id"])
    await authorize(house, offer_id, configurations=[SD_JWT])
    recorded, _, _ = await collect(house, offer_id, SD_JWT)
    await house.call("POST", f"/credentials/{recorded.credential_id}/revoke", REASON)
    with pytest.raises(NotIssuable):
        await collect(house, offer_id, SD_JWT)


async def test_a_repeated_request_adds_copies_to_the_same_credential(house: House) -> None:
    offer_id = str((await house.offer())["id"])
    await authorize(house, offer_id, configurations=[SD_JWT])
    first, _, _ = await collect(house, offer_id, SD_JWT, count=2)
    second, _, _ = await collect(house, offer_id, SD_JWT, count=2)
    assert first.credential_id == second.credential_id
    async with house.store.reading() as session:
        copies = (await session.exec(select(CredentialCopy))).all()
    assert len({(copy.status_list_id, copy.idx) for copy in copies}) == 4


async def test_lists_are_served_to_anybody_without_cookies_by_what_they_accept(house: House) -> None:
    _, path, _ = await issued(house)
    plain = await house.http.get(path)
    assert plain.headers["content-type"] == "application/statuslist+jwt"
    assert plain.headers["vary"] == "Accept"
    assert plain.headers["cache-control"] == "public, max-age=300"
    assert plain.headers["access-control-allow-origin"] == "*"
    assert "set-cookie" not in plain.headers
    either = await house.http.get(path, headers={"Accept": "application/statuslist+cwt, */*;q=0.1"})
    assert either.headers["content-type"] == "application/statuslist+cwt"
    assert (await house.http.get(path, headers={"Accept": "text/html"})).status_code == 406
    assert (await house.http.get(f"{path}?time=1")).status_code == 501
    assert (await house.http.get("/t/leipzig/status/none")).status_code == 404
    assert (await house.http.get(path.replace("leipzig", "dresden"))).status_code == 404
    aggregation = (await house.http.get("/t/leipzig/status")).json()
    assert aggregation == {"status_lists": [f"http://127.0.0.1:8701{path}"]}


async def test_a_token_is_kept_until_its_ttl_is_over(house: House) -> None:
    _, path, _ = await issued(house)
    first = (await house.http.get(path)).content
    house.clock.now += 299
    assert (await house.http.get(path)).content == first
    house.clock.now += 1
    assert (await house.http.get(path)).content != first


async def test_copies_cannot_be_linked_by_index_or_time(house: House) -> None:
    """is-016: indices are random, and the times of copies minted in one hour are the same for everybody."""
    offer_id = str((await house.offer())["id"])
    await authorize(house, offer_id, configurations=[SD_JWT])
    _, minted, _ = await collect(house, offer_id, SD_JWT, count=10)
    house.clock.now += 1000
    other = str((await house.offer())["id"])
    await authorize(house, other, configurations=[SD_JWT])
    _, later, _ = await collect(house, other, SD_JWT)
    payloads = [
        strict_json.parse_object(parse_issuer_jwt(parse_sd_jwt(text)).jws.payload) for text in (*minted, *later)
    ]
    assert {(each["iat"], each["nbf"], each["exp"]) for each in payloads} == {
        (NOW - NOW % 3600, NOW - NOW % 3600, NOW - NOW % 3600 + 30 * 86400)
    }
    places = [parse_status_reference(each["status"]).idx for each in payloads]
    assert len(set(places)) == 11
    assert places != sorted(places)
