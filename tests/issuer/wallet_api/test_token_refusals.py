"""What stands behind a token: refused with the challenge that helps, and nonces that work once (is-008, is-009)."""

import httpx
import pytest

from issuer.grants.tokens import revoke_tokens_of_code
from issuer.nonces import NoncePurpose, Nonces
from issuer.secrets_at_rest import digest, load_secrets
from issuer.store.engine import Store
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import generate_signer
from tests.issuer.wallet_api.world import MDOC, SD_JWT, SteppedClock, Wallet, World


def challenged(answer: httpx.Response, *, status: int = 401, error: str | None = "invalid_token") -> bool:
    """Whether the answer says in WWW-Authenticate what is wrong (RFC 6750 §3, RFC 9449 §7.1)."""
    challenge = answer.headers["www-authenticate"]
    assert challenge.startswith("DPoP ")
    assert 'algs="ES256"' in challenge
    assert answer.headers["cache-control"] == "no-store"
    named = 'error="' in challenge if error is None else f'error="{error}"' not in challenge
    return answer.status_code == status and not named


async def test_request_without_a_token_is_challenged_without_an_error(wallet: Wallet) -> None:
    """is-008, RFC 6750 §3.1."""
    answer = await wallet.credential("", await wallet.request_body(), headers={})

    assert challenged(answer, error=None)


async def test_token_in_the_query_is_no_token(world: World, wallet: Wallet) -> None:
    """is-008, FAPI 2.0 §5.3.4."""
    token = await wallet.access_token(world)

    answer = await wallet.http.post(
        f"{wallet.issuer_url}/credential?access_token={token}",
        json=await wallet.request_body(),
        headers=wallet.dpop_header("/credential", token),
    )

    assert challenged(answer, error=None)


async def test_bound_token_as_bearer_is_refused(world: World, wallet: Wallet) -> None:
    """is-008, RFC 9449 §7.2: with and without its proof; the scheme's case does not matter."""
    token = await wallet.access_token(world)
    proof = wallet.dpop_header("/credential", token)
    body = await wallet.request_body()

    assert challenged(await wallet.credential(token, body, headers={"Authorization": f"Bearer {token}"}))
    assert challenged(await wallet.credential(token, body, headers={"Authorization": f"Bearer {token}", **proof}))
    assert (
        await wallet.credential(token, body, headers={"Authorization": f"dpop {token}", **proof})
    ).status_code == 200


async def test_token_without_its_own_proof_is_refused(world: World, wallet: Wallet) -> None:
    """is-008, RFC 9449 §7.1: none, another key's, another token's, a used one."""
    token, body = await wallet.access_token(world), await wallet.request_body()
    authorization = {"Authorization": f"DPoP {token}"}
    thief = Wallet(wallet.http, wallet.issuer_url, world.provider, wallet.clock, dpop=generate_signer())
    used = wallet.dpop_header("/credential", token)

    assert (await wallet.credential(token, body, headers=authorization | used)).status_code == 200
    for proof in (
        {},
        thief.dpop_header("/credential", token),
        wallet.dpop_header("/credential", "another"),
        wallet.dpop_header("/credential"),
        wallet.dpop_header("/token", token),
        used,
    ):
        answer = await wallet.credential(token, await wallet.request_body(), headers=authorization | proof)
        assert challenged(answer, error="invalid_dpop_proof"), answer.text


async def test_token_of_another_tenant_is_refused(world: World, wallet: Wallet) -> None:
    """is-008."""
    token = await wallet.access_token(world)
    elsewhere = Wallet(wallet.http, world.issuer_url("dresden"), world.provider, wallet.clock, dpop=wallet.dpop)

    assert challenged(await elsewhere.credential(token, await elsewhere.request_body()))


async def _detailed(world: World, wallet: Wallet, tenant: str) -> tuple[str, str]:
    """A token that came with credential identifiers, and the one of the SD-JWT VC."""
    wallet.issuer_url = world.issuer_url(tenant)
    code = (await world.offer(tenant=tenant, now=wallet.now)).code or ""
    details = f'[{{"type":"openid_credential","credential_configuration_id":"{SD_JWT}","more":1}}]'
    answer = (await wallet.redeem(code, authorization_details=details)).json()
    (granted,) = answer["authorization_details"]
    assert granted["credential_configuration_id"] == SD_JWT
    return str(answer["access_token"]), str(granted["credential_identifiers"][0])


@pytest.mark.parametrize(("tenant", "status"), [("leipzig", 400), ("offen", 400), ("bund", 200)])
async def test_identifier_that_came_with_the_token_is_used_unless_the_preset_takes_either(
    world: World, wallet: Wallet, tenant: str, status: int
) -> None:
    """proof-026, proof-027, OpenID4VCI §8.2: both ids together are refused everywhere, as is an unknown one."""
    token, identifier = await _detailed(world, wallet, tenant)

    async def ask(**ids: str) -> httpx.Response:
        body = await wallet.request_body()
        del body["credential_configuration_id"]
        return await wallet.credential(token, {**body, **ids})

    both = await ask(credential_identifier=identifier, credential_configuration_id=SD_JWT)
    unknown = await ask(credential_identifier=f"{identifier}x")
    other = await ask(credential_configuration_id=MDOC)
    by_configuration = await ask(credential_configuration_id=SD_JWT)
    by_identifier = await ask(credential_identifier=identifier)

    assert (both.status_code, both.json()["error"]) == (400, "invalid_credential_request")
    assert (unknown.status_code, unknown.json()["error"]) == (400, "unknown_credential_identifier")
    assert other.status_code == (403 if status == 200 else 400), other.text
    assert by_configuration.status_code == status, by_configuration.text
    assert by_identifier.status_code == 200, by_identifier.text


async def test_expired_token_is_refused(world: World, wallet: Wallet, clock: SteppedClock) -> None:
    """is-008: at its very second."""
    token = await wallet.access_token(world)
    clock.now += 599
    assert (await wallet.credential(token, await wallet.request_body())).status_code == 200
    clock.now += 1

    assert challenged(await wallet.credential(token, await wallet.request_body()))


async def test_revoked_token_is_refused(world: World, wallet: Wallet) -> None:
    """is-008."""
    armed = await world.offer(now=wallet.now)
    assert armed.code is not None
    token = (await wallet.redeem(armed.code)).json()["access_token"]
    store = Store(world.settings.effective_database_url)
    async with store.transaction() as session:
        await revoke_tokens_of_code(session, tenant_id="leipzig", code_digest=digest(armed.code), now=wallet.now)
    await store.close()

    assert challenged(await wallet.credential(token, await wallet.request_body()))


async def test_token_of_another_configuration_is_refused(world: World, wallet: Wallet) -> None:
    """is-008, RFC 6750 §3.1: 403, because the token itself is good."""
    armed = await world.offer(configurations=(SD_JWT,), now=wallet.now)
    assert armed.code is not None
    token = (await wallet.redeem(armed.code)).json()["access_token"]

    answer = await wallet.credential(token, await wallet.request_body(MDOC))

    assert challenged(answer, status=403, error="insufficient_scope")
    assert (await wallet.credential(token, await wallet.request_body(SD_JWT))).status_code == 200


async def test_nonce_is_redeemed_once_and_all_or_none(world: World, wallet: Wallet) -> None:
    """is-009: a refused request leaves the fresh nonce of its other proof unused."""
    token, used, fresh = await wallet.access_token(world), await wallet.nonce(), await wallet.nonce()

    assert (await wallet.credential(token, await wallet.request_body(nonce=used, copies=2))).status_code == 200
    again = await wallet.credential(token, await wallet.request_body(nonce=used))
    mixed: JsonObject = {
        "credential_configuration_id": SD_JWT,
        "proofs": {"jwt": [wallet.proof(fresh), wallet.proof(used)]},
    }
    both = await wallet.credential(token, mixed)

    for answer in (again, both):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_nonce")
        assert "www-authenticate" not in answer.headers
    assert (await wallet.credential(token, await wallet.request_body(nonce=fresh))).status_code == 200


async def test_nonce_is_over_after_five_minutes(world: World, wallet: Wallet, clock: SteppedClock) -> None:
    """is-009, OpenID4VCI §8.3.1.2."""
    token, nonce = await wallet.access_token(world), await wallet.nonce()
    clock.now += 300

    answer = await wallet.credential(token, await wallet.request_body(nonce=nonce))

    assert answer.json()["error"] == "invalid_nonce"


@pytest.mark.parametrize("kind", ["is-009-other-tenant", "is-009-other-purpose", "is-009-invented", "is-009-altered"])
async def test_nonce_that_is_not_ours_is_refused(world: World, wallet: Wallet, kind: str) -> None:
    """is-009, OpenID4VCI §8.3.1.2."""
    token, own = await wallet.access_token(world), await wallet.nonce()
    nonces = Nonces(load_secrets(world.settings.data_dir / "secrets").nonce_key)
    altered = bytearray(base64url.decode(own))
    altered[7] ^= 1
    nonce = {
        "is-009-other-tenant": nonces.fresh(tenant="dresden", purpose=NoncePurpose.KEY_PROOF, now=wallet.now),
        "is-009-other-purpose": nonces.fresh(tenant="leipzig", purpose=NoncePurpose.DPOP, now=wallet.now),
        "is-009-invented": "invented",
        "is-009-altered": base64url.encode(bytes(altered)),
    }[kind]

    answer = await wallet.credential(token, await wallet.request_body(nonce=nonce))

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_nonce")
    assert (await wallet.credential(token, await wallet.request_body(nonce=own))).status_code == 200


async def test_refused_request_records_nothing(world: World, wallet: Wallet) -> None:
    """One bad proof spoils a batch; its nonce stays good, because nothing was issued for it."""
    token, nonce = await wallet.access_token(world), await wallet.nonce()
    proofs = [wallet.proof(nonce), wallet.proof(nonce, audience="https://other.example")]

    answer = await wallet.credential(token, {"credential_configuration_id": SD_JWT, "proofs": {"jwt": list(proofs)}})

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_proof")
    assert (await wallet.credential(token, await wallet.request_body(nonce=nonce))).status_code == 200
