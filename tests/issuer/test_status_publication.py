"""How status lists are published: whose certificates they carry, who may keep them how long, how wide an entry is."""

from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import update
from sqlmodel import col, select

from issuer.status.allocation import allocate
from issuer.store.tables import StatusListRow, Tenant
from specs.credentials.status_list import Status, parse_status_list_cwt, parse_status_list_jwt
from specs.keys.jose import Jws
from tests.issuer.collecting import tenant_of
from tests.issuer.house import House, open_house, settings_for
from tests.issuer.test_status_lists import REASON, fetch_list, issued

JWT, CWT = "application/statuslist+jwt", "application/statuslist+cwt"


@pytest.fixture
async def narrow(tmp_path: Path, database_url: str) -> AsyncIterator[House]:
    """An issuer whose pass cannot be suspended."""
    types = tmp_path / "types"
    types.mkdir()
    shipped = (resources.files("issuer.catalog") / "types" / "leipzig_pass.yaml").read_text(encoding="utf-8")
    (types / "leipzig_pass.yaml").write_text(f"{shipped}suspendable: false\n", encoding="utf-8")
    settings = settings_for(tmp_path, database_url=database_url).model_copy(update={"catalog_dir": types})
    opened = await open_house(settings)
    yield opened
    await opened.http.aclose()
    await opened.store.close()


def anchor(house: House) -> bytes:
    """The root of the tenant's status signer, DER."""
    path = house.service.settings.data_dir / "keys" / "leipzig" / "status-ca.crt.pem"
    return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)


@pytest.mark.parametrize("accept", [JWT, CWT])
async def test_who_has_the_list_already_is_told_so_until_an_entry_changes(accept: str, house: House) -> None:
    credential, path, places = await issued(house)
    first = await house.http.get(path, headers={"Accept": accept})
    known = {"Accept": accept, "If-None-Match": first.headers["etag"]}
    house.clock.now += 100
    kept = await house.http.get(path, headers=known)
    assert (kept.status_code, kept.content, kept.headers["vary"]) == (304, b"", "Accept")
    assert kept.headers["cache-control"] == "public, max-age=200"  # what is left of `ttl`
    other = CWT if accept == JWT else JWT
    assert (await house.http.get(path, headers={**known, "Accept": other})).status_code == 200

    await house.call("POST", f"/credentials/{credential}/revoke", REASON)
    changed = await house.http.get(path, headers=known)
    assert (changed.status_code, changed.headers["content-type"]) == (200, accept)
    assert changed.headers["cache-control"] == "public, max-age=300"
    assert (await fetch_list(house, path, accept))[places[0]] == Status.INVALID


async def test_both_forms_carry_the_signers_chain_and_name_the_aggregation(house: House) -> None:
    _, path, _ = await issued(house)
    as_jwt = parse_status_list_jwt((await house.http.get(path)).content)
    as_cwt = parse_status_list_cwt((await house.http.get(path, headers={"Accept": CWT})).content)
    assert as_jwt.chain == as_cwt.chain
    leaf = x509.load_der_x509_certificate(as_jwt.chain[0])
    assert leaf.subject != leaf.issuer
    assert anchor(house) not in as_jwt.chain
    assert isinstance(as_jwt.token, Jws)
    assert set(as_jwt.token.header) == {"typ", "alg", "x5c"}
    content = as_jwt.token.claims()["status_list"]
    assert isinstance(content, dict)
    assert content["aggregation_uri"] == "http://127.0.0.1:8701/t/leipzig/status"
    aggregation = await house.http.get("/t/leipzig/status")
    assert (aggregation.status_code, aggregation.headers["content-type"]) == (200, "application/json")
    again = await house.http.get("/t/leipzig/status", headers={"If-None-Match": aggregation.headers["etag"]})
    assert again.status_code == 304
    metadata = (await house.http.get("/.well-known/oauth-authorization-server/t/leipzig")).json()
    assert metadata["status_list_aggregation_endpoint"] == content["aggregation_uri"]


async def test_the_key_stands_in_the_header_where_the_preset_is_for_testers(house: House) -> None:
    async with house.store.transaction() as session:
        await session.exec(update(Tenant).where(col(Tenant.id) == "leipzig").values(preset="oidf"))
    _, path, _ = await issued(house)
    token = parse_status_list_jwt((await house.http.get(path)).content).token
    assert isinstance(token, Jws)
    assert set(token.header) == {"typ", "alg", "x5c", "jwk"}


async def test_a_type_that_is_never_suspended_has_one_bit_an_entry(narrow: House) -> None:
    credential, path, places = await issued(narrow)
    assert (await fetch_list(narrow, path)).bits == 1
    refused = await narrow.call("POST", f"/credentials/{credential}/suspend", REASON)
    assert (refused.status_code, refused.json()["code"]) == (409, "state_conflict")
    assert "cannot be suspended" in refused.json()["detail"]
    assert [(await fetch_list(narrow, path))[place] for place in places] == [Status.VALID] * 3
    await narrow.call("POST", f"/credentials/{credential}/revoke", REASON)
    assert [(await fetch_list(narrow, path))[place] for place in places] == [Status.INVALID] * 3


async def test_narrow_and_wide_entries_stand_in_lists_of_their_own(house: House) -> None:
    tenant = await tenant_of(house)
    async with house.store.transaction() as session:
        taken = {
            bits: [
                entry.list_id
                for _ in range(2)
                for entry in await allocate(
                    session, sealer=tenant.sealer, count=2, list_size=256, now=house.clock(), bits=bits
                )
            ]
            for bits in (1, 2)
        }
    assert [len(set(lists)) for lists in taken.values()] == [1, 1]
    assert taken[1][0] != taken[2][0]
    async with house.store.reading() as session:
        assert sorted((await session.exec(select(StatusListRow.bits))).all()) == [1, 2]
