"""Notifications (OpenID4VCI §11): each wallet tells of its own credentials, and nothing it says goes back (is-012)."""

import logging

import httpx
import pytest
from sqlmodel import select

from issuer.store.engine import Store
from issuer.store.tables import NotificationHandle, Offer
from tests.issuer.wallet_api.world import SD_JWT, SteppedClock, Wallet, World


async def issued(world: World, wallet: Wallet, *, tenant: str = "leipzig") -> tuple[str, str]:
    """A token and the notification_id of one of its credentials; the offer has another one left."""
    token = await wallet.access_token(world, tenant=tenant)
    answer = await wallet.credential(token, await wallet.request_body(SD_JWT))
    return token, str(answer.json()["notification_id"])


async def notify(wallet: Wallet, token: str, headers: dict[str, str] | None = None, **told: object) -> httpx.Response:
    """A notification; with the proof that belongs to it, unless a test says another."""
    proven = {"Authorization": f"DPoP {token}", **wallet.dpop_header("/notification", token)}
    return await wallet.http.post(
        f"{wallet.issuer_url}/notification", json=told, headers=proven if headers is None else headers
    )


async def kept(world: World) -> tuple[set[str | None], set[str]]:
    """The events that were noted, and the states of all offers."""
    store = Store(world.settings.effective_database_url)
    try:
        async with store.reading() as session:
            events = set((await session.exec(select(NotificationHandle.event))).all())
            return events, set((await session.exec(select(Offer.state))).all())
    finally:
        await store.close()


async def test_first_word_counts_and_repeats_succeed(world: World, wallet: Wallet) -> None:
    """is-012, §11: idempotent; unknown members are ignored."""
    token, told = await issued(world, wallet)
    assert await kept(world) == ({None}, {"issued"})

    for event in ("credential_accepted", "credential_accepted", "credential_deleted", "credential_failure"):
        answer = await notify(wallet, token, notification_id=told, event=event, more=1, event_description="so")
        assert (answer.status_code, answer.content) == (204, b"")
        assert answer.headers["cache-control"] == "no-store"
        assert await kept(world) == ({"credential_accepted"}, {"accepted"})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param({"event": "credential_lost"}, "invalid_notification_request", id="is-012-event"),
        pytest.param({"event": None}, "invalid_notification_request", id="is-012-no-event"),
        pytest.param({"event": ["credential_accepted"]}, "invalid_notification_request", id="is-012-event-array"),
        pytest.param({"notification_id": None}, "invalid_notification_request", id="is-012-no-id"),
        pytest.param({"notification_id": 7}, "invalid_notification_request", id="is-012-id-number"),
        pytest.param({"notification_id": "guessed"}, "invalid_notification_id", id="is-012-guessed"),
        pytest.param({"event_description": 7}, "invalid_notification_request", id="is-012-description"),
    ],
)
async def test_notification_with_one_defect_is_refused(
    world: World, wallet: Wallet, change: dict[str, object], error: str
) -> None:
    """is-012, §11.3: and changes nothing."""
    token, told = await issued(world, wallet)
    right = {"notification_id": told, "event": "credential_accepted"}
    wrong = {name: value for name, value in {**right, **change}.items() if value is not None}

    refused = await notify(wallet, token, **wrong)  # type: ignore[arg-type]

    assert (refused.status_code, refused.json()["error"]) == (400, error)
    assert refused.json().keys() == {"error", "error_description"}
    assert await kept(world) == ({None}, {"issued"})
    assert (await notify(wallet, token, **right)).status_code == 204  # type: ignore[arg-type]


async def test_another_wallet_says_nothing_about_these_credentials(world: World, wallet: Wallet) -> None:
    """is-012."""
    _, told = await issued(world, wallet)
    other = Wallet(wallet.http, wallet.issuer_url, world.provider, wallet.clock)
    token, own = await issued(world, other)

    refused = await notify(other, token, notification_id=told, event="credential_deleted")

    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_notification_id")
    assert (await notify(other, token, notification_id=own, event="credential_accepted")).status_code == 204


@pytest.mark.parametrize("tenant", ["leipzig", "offen"])
async def test_bound_token_as_bearer_says_nothing(world: World, wallet: Wallet, tenant: str) -> None:
    """is-012, RFC 9449 §7.2: neither with nor without its proof."""
    wallet.issuer_url = world.issuer_url(tenant)
    token, told = await issued(world, wallet, tenant=tenant)
    bearer = {"Authorization": f"Bearer {token}"}

    for headers in (bearer, bearer | wallet.dpop_header("/notification", token)):
        refused = await notify(wallet, token, headers, notification_id=told, event="credential_accepted")
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
        assert "www-authenticate" in refused.headers
    assert await kept(world) == ({None}, {"issued"})


async def test_bearer_is_tolerated_where_the_german_wallet_sends_it_and_changes_nothing(
    world: World, wallet: Wallet, clock: SteppedClock, caplog: pytest.LogCaptureFixture
) -> None:
    """is-012: 204 for a live token that owns the id, else 401; noted as a departure."""
    wallet.issuer_url = world.issuer_url("bund")
    token, told = await issued(world, wallet, tenant="bund")
    bearer = {"Authorization": f"Bearer {token}"}

    with caplog.at_level(logging.INFO, "issuer"):
        served = await notify(wallet, token, bearer, notification_id=told, event="credential_accepted")
    foreign = await notify(wallet, token, bearer, notification_id="another", event="credential_accepted")
    clock.now += 600
    late = await notify(wallet, token, bearer, notification_id=told, event="credential_accepted")

    assert served.status_code == 204
    assert "tolerated" in caplog.text
    assert told not in caplog.text
    for refused in (foreign, late):
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_token")
    assert await kept(world) == ({None}, {"issued"})


async def test_notification_without_a_token_is_challenged(world: World, wallet: Wallet) -> None:
    """is-012, RFC 6750 §3.1: before anybody looks at what it says."""
    answer = await wallet.http.post(f"{wallet.issuer_url}/notification", content=b"no json")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("DPoP ")
