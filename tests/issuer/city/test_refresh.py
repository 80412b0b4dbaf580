"""Refresh tokens: a wallet renews without its citizen, and nobody else does (is-010)."""

from pathlib import Path

import httpx
import pytest

from specs.encoding.strict_json import JsonObject
from specs.keys.signer import generate_signer
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from tests.issuer.city.desk import Desk
from tests.issuer.city.types import write_types
from tests.issuer.wallet_api.world import MDOC, SD_JWT, Wallet

DAY = 86400


@pytest.fixture
def catalog_dir(tmp_path: Path) -> Path:
    """The Leipzig-Pass can be renewed for 30 days."""
    return write_types(tmp_path / "types", {}, own="refresh_days: 30")


async def first_tokens(desk: Desk, wallet: Wallet, *, tenant: str = "leipzig", **members: str) -> JsonObject:
    """The answer to the first token request."""
    offer = await desk.offer(tenant=tenant, formats=["dc+sd-jwt", "mso_mdoc"])
    answer = await wallet.redeem(str(offer["code"]), **members)
    assert answer.status_code == 200, answer.text
    tokens: JsonObject = answer.json()
    return tokens


async def refresh(wallet: Wallet, refresh_token: object, **members: str) -> httpx.Response:
    """A token request with a refresh token."""
    form = {"grant_type": "refresh_token", "refresh_token": str(refresh_token), "client_id": wallet.client_id}
    return await wallet.token(form | members)


def refused(answer: httpx.Response, error: str = "invalid_grant") -> bool:
    """Whether the answer is this refusal."""
    return (answer.status_code, answer.json()["error"]) == (400, error)


async def credential(wallet: Wallet, tokens: object, configuration: str = SD_JWT) -> int:
    """The status of a credential request."""
    assert isinstance(tokens, dict)
    answer = await wallet.credential(str(tokens["access_token"]), await wallet.request_body(configuration))
    return answer.status_code


async def test_wallet_renews_for_weeks_with_its_own_keys_and_one_token(desk: Desk) -> None:
    """HAIP 1.0 §4.4, FAPI 2.0 §5.3.2.1: no rotation where the token is bound to keys."""
    wallet = desk.wallet()
    metadata = (await desk.http.get("/.well-known/oauth-authorization-server/t/leipzig")).json()
    tokens = await first_tokens(desk, wallet)
    assert "refresh_token" in metadata["grant_types_supported"]
    assert await credential(wallet, tokens) == 200

    desk.clock.now += 29 * DAY
    first, second = [(await refresh(wallet, tokens["refresh_token"])).json() for _ in range(2)]
    assert ("refresh_token" in first, first["token_type"], first["expires_in"]) == (False, "DPoP", 600)
    assert await credential(wallet, first) == 200
    assert await credential(wallet, second, MDOC) == 200
    assert await credential(wallet, tokens) == 401

    desk.clock.now += DAY
    assert refused(await refresh(wallet, tokens["refresh_token"]))


async def test_nobody_else_uses_a_refresh_token(desk: Desk) -> None:
    """is-010: another DPoP key, instance, client or tenant; the wallet itself still can."""
    wallet = desk.wallet()
    token = (await first_tokens(desk, wallet))["refresh_token"]
    others = [
        Wallet(desk.http, wallet.issuer_url, wallet.provider, desk.clock, instance=wallet.instance),
        Wallet(desk.http, wallet.issuer_url, wallet.provider, desk.clock, dpop=wallet.dpop),
        Wallet(
            desk.http, wallet.issuer_url, wallet.provider, desk.clock, wallet.instance, wallet.dpop, "https://o.example"
        ),
        Wallet(desk.http, desk.world.issuer_url("dresden"), wallet.provider, desk.clock, wallet.instance, wallet.dpop),
    ]
    for other in others:
        assert refused(await refresh(other, token))
    assert refused(await refresh(wallet, "guessed"))
    assert (await refresh(wallet, token)).status_code == 200


async def test_renewed_token_reaches_no_further_than_the_first(desk: Desk) -> None:
    """RFC 6749 §6, OpenID4VCI §6.1.1: narrower is possible; the identifiers stay the same."""
    wallet = desk.wallet()
    details = f'[{{"type":"openid_credential","credential_configuration_id":"{SD_JWT}"}}]'
    tokens = await first_tokens(desk, wallet, authorization_details=details)

    more = f'[{{"type":"openid_credential","credential_configuration_id":"{MDOC}"}}]'
    assert refused(
        await refresh(wallet, tokens["refresh_token"], authorization_details=more), "invalid_authorization_details"
    )
    assert refused(await refresh(wallet, tokens["refresh_token"], scope=MDOC), "invalid_scope")
    renewed = (await refresh(wallet, tokens["refresh_token"], scope=SD_JWT)).json()
    assert renewed["authorization_details"] == tokens["authorization_details"]


async def test_revoking_the_credentials_ends_their_renewal(desk: Desk) -> None:
    """is-010."""
    wallet = desk.wallet()
    offer = await desk.offer()
    tokens = (await wallet.redeem(str(offer["code"]))).json()
    assert await credential(wallet, tokens) == 200
    issued = (await desk.state(offer))["credentials"]
    assert isinstance(issued, list)
    assert isinstance(issued[0], dict)

    revoked = await desk.call("POST", f"/credentials/{issued[0]['id']}/revoke", {"reason": "moved away"})

    assert revoked.status_code == 200, revoked.text
    assert refused(await refresh(wallet, tokens["refresh_token"]))


async def test_rotated_token_serves_a_retry_and_then_ends_the_family(desk: Desk) -> None:
    """is-010, RFC 9700 §4.14.2: the same next one for a lost answer; after that, reuse is theft."""
    wallet = desk.wallet("offen")
    first = (await first_tokens(desk, wallet, tenant="offen"))["refresh_token"]
    answers = [(await refresh(wallet, first)).json() for _ in range(2)]
    second = answers[0]["refresh_token"]
    assert first != second == answers[1]["refresh_token"]

    renewed = (await refresh(wallet, second)).json()
    third = renewed["refresh_token"]
    assert await credential(wallet, renewed) == 200
    assert refused(await refresh(wallet, first))
    assert refused(await refresh(wallet, third))
    assert await credential(wallet, renewed) == 401


async def test_rotated_token_serves_no_longer_than_a_minute(desk: Desk) -> None:
    """is-010: then even its own wallet ends the family with it."""
    wallet = desk.wallet("offen")
    first = (await first_tokens(desk, wallet, tenant="offen"))["refresh_token"]
    second = (await refresh(wallet, first)).json()["refresh_token"]
    desk.clock.now += 60
    assert (await refresh(wallet, first)).json()["refresh_token"] == second
    desk.clock.now += 1

    assert refused(await refresh(wallet, first))
    assert refused(await refresh(wallet, second))


async def test_thief_without_the_keys_does_not_end_the_family(desk: Desk) -> None:
    """is-010: who can't use a token can't use it against its wallet either."""
    wallet = desk.wallet("offen")
    first = (await first_tokens(desk, wallet, tenant="offen"))["refresh_token"]
    second = (await refresh(wallet, first)).json()["refresh_token"]
    third = (await refresh(wallet, second)).json()["refresh_token"]
    thief = Wallet(desk.http, wallet.issuer_url, wallet.provider, desk.clock, dpop=generate_signer())

    assert refused(await refresh(thief, first))

    assert (await refresh(wallet, third)).status_code == 200


async def test_no_refresh_token_where_nobody_could_renew(desk: Desk) -> None:
    """Without a register, and for a wallet that nobody could tell from another, there is none."""
    unbound = await desk.offer(tenant="offen")
    form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": str(unbound["code"])}
    anonymous = await desk.http.post(f"{desk.world.issuer_url('offen')}/token", data=form)
    public = await desk.offer(tenant="offen")
    named = await desk.http.post(
        f"{desk.world.issuer_url('offen')}/token",
        data={
            "grant_type": PRE_AUTHORIZED_CODE,
            "pre-authorized_code": str(public["code"]),
            "client_id": "https://public.example",
        },
    )
    assert (named.status_code, named.json()["token_type"], "refresh_token" in named.json()) == (200, "Bearer", False)
    claims = {
        "leipzig_pass": {
            "entitled": True,
            "valid_until_month": "2099-06",
            "family_name": "Lindenau",
            "given_name": "Mila",
            "birthdate": "1991-03-07",
        }
    }
    wallet = desk.wallet("dresden")
    offer = await desk.offer(tenant="dresden", claims=claims)
    answer = await wallet.redeem(str(offer["code"]))

    assert (anonymous.status_code, "refresh_token" in anonymous.json()) == (200, False)
    assert (answer.status_code, "refresh_token" in answer.json()) == (200, False)
