"""What wallets get back has the form that the standards give it: members, types, headers, and nothing else."""

import re

import httpx
import pytest

from issuer.store.tables import Delivery, Grant
from specs.encoding.strict_json import JsonObject
from specs.protocols.client_attestation import ATTESTATION_CHALLENGE_HEADER
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from tests.issuer.wallet_api.world import CLAIMS, MDOC, SD_JWT, SUBJECT, Wallet, World

DESCRIPTION = re.compile(r"[\x20-\x21\x23-\x5B\x5D-\x7E]+")  # RFC 6749 §5.2


async def test_challenge_endpoint_gives_a_fresh_one_to_anybody_and_no_cache_keeps_it(
    world: World, http: httpx.AsyncClient
) -> None:
    """Draft-07 §8."""
    answers = [await http.post(f"{world.issuer_url()}/challenge") for _ in range(2)]
    for answer in answers:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.headers["cache-control"] == "no-store"
        assert set(answer.json()) == {"attestation_challenge"}
    assert answers[0].json() != answers[1].json()
    assert (await http.get(f"{world.issuer_url()}/challenge")).status_code == 405


@pytest.mark.parametrize("challenge", [None, "x" * 43])
async def test_wallet_without_our_challenge_gets_one_to_try_again_with(
    world: World, wallet: Wallet, challenge: str | None
) -> None:
    """Draft-07 §6.2, §8.1: the header brings the next one, and the code is not spent."""
    armed = await world.offer(now=wallet.now)
    form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": armed.code or "", "client_id": wallet.client_id}

    async def ask(with_challenge: str | None) -> httpx.Response:
        headers = {**wallet.attestation_headers(with_challenge), **wallet.dpop_header("/token")}
        return await wallet.http.post(f"{wallet.issuer_url}/token", data=form, headers=headers)

    refused = await ask(challenge)
    assert (refused.status_code, refused.json()["error"]) == (400, "use_attestation_challenge")
    assert (await ask(refused.headers[ATTESTATION_CHALLENGE_HEADER])).status_code == 200


async def test_client_that_must_bind_its_token_gets_none_without_a_proof(world: World, wallet: Wallet) -> None:
    """RFC 9449 §5.2, HAIP 1.0 §4: the proof is asked for before the code is looked at."""
    armed = await world.offer(now=wallet.now)
    form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": armed.code or "", "client_id": wallet.client_id}
    headers = wallet.attestation_headers(await wallet.challenge())
    answer = await wallet.http.post(f"{wallet.issuer_url}/token", data=form, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")
    assert "access_token" not in answer.text
    assert (await wallet.redeem(armed.code or "")).json()["token_type"] == "DPoP"


@pytest.mark.parametrize("configuration", [SD_JWT, MDOC])
async def test_credential_answer_holds_credentials_and_where_to_tell_about_them(
    world: World, wallet: Wallet, configuration: str
) -> None:
    """OpenID4VCI §8.3: nothing of a deferred answer stands beside them."""
    token = await wallet.access_token(world)
    answer = await wallet.credential(token, await wallet.request_body(configuration, copies=2))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"credentials", "notification_id"}
    assert [set(each) for each in answer.json()["credentials"]] == [{"credential"}] * 2


async def test_error_of_a_credential_request_is_json_of_two_members(world: World, wallet: Wallet) -> None:
    """OpenID4VCI §8.3.1.2: the codes of that clause, status 400, descriptions in the characters that are allowed."""
    token = await wallet.access_token(world)
    good = await wallet.request_body()
    codes = set()
    bodies: list[JsonObject] = [
        {**good, "credential_configuration_id": "nobody's \"\\ ü"},
        {**good, "proofs": {}},
        {**good, "proofs": {"jwt": ["x.y.z"]}},
        {**good, "credential_response_encryption": {"jwk": {}, "enc": "A1"}},
    ]
    for body in bodies:
        answer = await wallet.credential(token, body)
        assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json")
        assert set(answer.json()) == {"error", "error_description"}
        assert DESCRIPTION.fullmatch(answer.json()["error_description"])
        codes.add(answer.json()["error"])
    assert codes == {
        "unknown_credential_configuration",
        "invalid_credential_request",
        "invalid_proof",
        "invalid_encryption_parameters",
    }


@pytest.mark.parametrize(
    ("grant", "members"),
    [
        (Grant.PRE_AUTHORIZED_CODE, {PRE_AUTHORIZED_CODE: {"pre-authorized_code", "tx_code"}}),
        (Grant.AUTHORIZATION_CODE, {"authorization_code": {"issuer_state"}}),
    ],
)
async def test_offer_holds_what_a_wallet_needs_and_nobodys_data(
    world: World, http: httpx.AsyncClient, wallet: Wallet, grant: Grant, members: dict[str, set[str]]
) -> None:
    """OpenID4VCI §4.1.1, §13.5: no `authorization_server` beside the only one, no member of ours, nothing personal."""
    coded = grant is Grant.PRE_AUTHORIZED_CODE
    armed = await world.offer(grant=grant, delivery=Delivery.REFERENCE, tx_code=coded, now=wallet.now)
    answer = await http.get(f"{world.issuer_url()}/offers/{armed.reference}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    offer = answer.json()
    assert set(offer) == {"credential_issuer", "credential_configuration_ids", "grants"}
    assert offer["credential_issuer"] == world.issuer_url()
    assert set(offer["credential_configuration_ids"]) == {SD_JWT, MDOC}
    assert {name: set(each) for name, each in offer["grants"].items()} == members
    assert not [value for value in (*CLAIMS.values(), SUBJECT) if isinstance(value, str) and value in answer.text]
