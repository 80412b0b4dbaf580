"""What the city is told: each state, signed, once at a time, again after a failure, and nothing lost."""

import asyncio
import base64
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlmodel import select
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from issuer.events.delivery import LEASE, Courier
from issuer.housekeeping import sweep
from issuer.offers import cancel_offer
from issuer.store.city_tables import Event, WebhookDelivery, WebhookEndpoint
from issuer.store.engine import Store
from specs.encoding.strict_json import JsonObject
from tests.issuer.city.desk import Desk
from tests.issuer.city.receiver import Receiver, running_receiver
from tests.issuer.city.register_server import Register
from tests.issuer.wallet_api.world import CLAIMS, SUBJECT, World, environment


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Where the city is told."""
    with running_receiver() as running:
        yield running


async def subscribe(desk: Desk, receiver: Receiver, **members: object) -> JsonObject:
    """An endpoint of the tenant leipzig."""
    body: dict[str, object] = {"url": receiver.url} | members
    answer = await desk.call("POST", "/webhooks", body)  # type: ignore[arg-type]
    assert answer.status_code == 201, answer.text
    made: JsonObject = answer.json()
    return made


async def deliver(desk: Desk) -> int:
    """Let the worker carry all that is due."""
    tried = 0
    while step := await desk.service.courier.run_once():
        tried += step
    return tried


async def test_each_state_is_told_without_a_word_about_the_person(
    desk: Desk, receiver: Receiver, register: Register
) -> None:
    await subscribe(desk, receiver)
    offer, wallet = await desk.offer(), desk.wallet()
    token = await desk.token(wallet, offer)
    issued = await wallet.credential(token, await wallet.request_body())
    headers = {"Authorization": f"DPoP {token}", **wallet.dpop_header("/notification", token)}
    told = {"notification_id": issued.json()["notification_id"], "event": "credential_accepted"}
    assert (await desk.http.post(f"{wallet.issuer_url}/notification", json=told, headers=headers)).status_code == 204
    found = await desk.call("POST", "/credentials/search", {"subject_reference": SUBJECT})
    credential_id = found.json()["credentials"][0]["id"]
    for change in ("suspend", "reinstate", "revoke"):
        assert (await desk.call("POST", f"/credentials/{credential_id}/{change}", {"reason": "x"})).status_code == 200
    cancelled = await desk.offer()
    await desk.call("DELETE", f"/offers/{cancelled['id']}")
    locked = await desk.offer(tx_code=True)
    for _ in range(5):
        await wallet.redeem(str(locked["code"]), "000000" if locked["tx_code"] != "000000" else "111111")
    opened = await desk.make_offer(delivery="reference")
    reference = str(opened.json()["page"]).rsplit("/", 1)[1]
    for _ in range(2):
        assert (await desk.http.get(f"/t/leipzig/offers/{reference}")).status_code == 200
    failing = await desk.offer()
    register.outcome = {"refused": "not_entitled"}
    await desk.issue(desk.wallet(), failing)
    desk.clock.now += 3601
    async with desk.store.transaction() as session:
        await sweep(session, now=desk.clock())

    await deliver(desk)
    assert sorted(receiver.types()) == sorted(
        [
            *["offer.created"] * 5,
            *["offer.authorized"] * 2,
            *["offer.issued", "offer.closed", "offer.cancelled", "offer.locked", "offer.opened", "offer.expired"],
            *["offer.failed", "credential.issued", "credential.notification"],
            *["credential.suspended", "credential.reinstated", "credential.revoked"],
        ]
    )
    sent = b"".join(each.body for each in receiver.received).decode()
    for hidden in (SUBJECT, *(str(value) for value in CLAIMS.values() if isinstance(value, str))):
        assert hidden not in sent
    first = next(each.event for each in receiver.received if each.event["type"] == "credential.issued")
    assert first["data"] == {
        "offer_id": offer["id"],
        "credential_id": credential_id,
        "credential_type": "leipzig_pass",
        "format": "dc+sd-jwt",
        "copies": 1,
    }


async def test_signatures_hold_for_the_standards_own_library(desk: Desk, receiver: Receiver) -> None:
    made = await subscribe(desk, receiver, signature="v1+v1a", event_types=["offer.created"])
    desk.clock.now = int(time.time())
    await desk.offer()
    await deliver(desk)
    (webhook,) = receiver.received
    Webhook(str(made["secret"])).verify(webhook.body, webhook.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(str(made["secret"])).verify(webhook.body + b" ", webhook.headers)
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(str(made["public_key"]).removeprefix("whpk_")))
    signature = next(
        part.removeprefix("v1a,") for part in webhook.headers["webhook-signature"].split() if part.startswith("v1a,")
    )
    message = f"{webhook.id}.{webhook.headers['webhook-timestamp']}.".encode() + webhook.body
    key.verify(base64.b64decode(signature), message)
    with pytest.raises(InvalidSignature):
        key.verify(base64.b64decode(signature), message + b" ")


async def test_secret_is_shown_once_and_lies_sealed(desk: Desk, receiver: Receiver) -> None:
    made = await subscribe(desk, receiver)
    shown = await desk.call("GET", "/webhooks")
    assert "secret" not in shown.text
    assert [each["id"] for each in shown.json()["endpoints"]] == [made["id"]]
    async with desk.store.reading() as session:
        row = (await session.exec(select(WebhookEndpoint))).one()
    assert base64.b64decode(str(made["secret"]).removeprefix("whsec_")) not in row.sealed_secret


async def test_failing_receiver_is_tried_with_growing_pauses_then_a_dead_letter_that_can_be_sent_again(
    desk: Desk, receiver: Receiver
) -> None:
    """Receiver answering 500: retries, then a dead letter; the city redelivers."""
    receiver.status = 500
    await subscribe(desk, receiver, event_types=["offer.created"])
    await desk.offer()
    courier = dataclasses.replace(desk.service.courier, max_attempts=4, jitter=lambda: 1.0)
    pauses = []
    for _ in range(4):
        assert await courier.run_once() == 1
        assert await courier.run_once() == 0, "not before its time"
        async with desk.store.reading() as session:
            row = (await session.exec(select(WebhookDelivery))).one()
        pauses.append(row.next_at - desk.clock())
        desk.clock.now = row.next_at
    assert pauses[:3] == [5, 10, 20]
    assert len({each.id for each in receiver.received}) == 1, "repeats carry the id of the first"
    (letter,) = (await desk.call("GET", "/webhooks/dead-letters")).json()["dead_letters"]
    assert (letter["attempts"], letter["last_failure"], letter["event_type"]) == (4, "status_500", "offer.created")
    foreign = await desk.call("POST", f"/webhooks/dead-letters/{letter['id']}/redeliver", tenant="dresden")
    assert foreign.status_code == 404

    receiver.status = 200
    assert (await desk.call("POST", f"/webhooks/dead-letters/{letter['id']}/redeliver")).status_code == 204
    assert await courier.run_once() == 1
    assert (await desk.call("GET", "/webhooks/dead-letters")).json() == {"dead_letters": []}
    assert (await desk.call("POST", f"/webhooks/dead-letters/{letter['id']}/redeliver")).status_code == 404


@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [({"redirect": "http://169.254.169.254/"}, "status_302"), ({"status": 410}, "endpoint_disabled")],
    ids=["redirect", "gone"],
)
async def test_redirect_is_not_followed_and_who_is_gone_is_told_no_more(
    desk: Desk, receiver: Receiver, behaviour: dict[str, object], failure: str
) -> None:
    for name, value in behaviour.items():
        setattr(receiver, name, value)
    await subscribe(desk, receiver, event_types=["offer.created"])
    await desk.offer()
    await desk.service.courier.run_once()
    assert len(receiver.received) == 1
    async with desk.store.reading() as session:
        row = (await session.exec(select(WebhookDelivery))).one()
        endpoint = (await session.exec(select(WebhookEndpoint))).one()
    assert row.last_failure == failure
    assert (endpoint.disabled_at is not None) == (failure == "endpoint_disabled")


async def test_two_webhooks_answered_gone_at_one_time_end_both(desk: Desk, receiver: Receiver) -> None:
    receiver.status = 410
    await subscribe(desk, receiver, event_types=["offer.created"])
    for _ in range(2):
        await desk.offer()
    assert await desk.service.courier.run_once() == 2
    async with desk.store.reading() as session:
        rows = (await session.exec(select(WebhookDelivery))).all()
    assert [(row.state, row.last_failure) for row in rows] == [("dead", "endpoint_disabled")] * 2


async def test_endpoint_whose_secret_cannot_be_opened_holds_up_no_other_one(desk: Desk, receiver: Receiver) -> None:
    broken, whole = await subscribe(desk, receiver), await subscribe(desk, receiver)
    async with desk.store.transaction() as session:
        row = (await session.exec(select(WebhookEndpoint).where(WebhookEndpoint.id == str(broken["id"])))).one()
        row.sealed_secret = row.sealed_secret[:-1] + bytes([row.sealed_secret[-1] ^ 1])
        session.add(row)
    await desk.offer()
    assert await desk.service.courier.run_once() == 2
    async with desk.store.reading() as session:
        rows = (await session.exec(select(WebhookDelivery))).all()
    states = {row.endpoint_id: (row.state, row.last_failure) for row in rows}
    assert states == {broken["id"]: ("pending", "not made: SealError"), whole["id"]: ("delivered", None)}


async def test_private_address_is_never_called(desk: Desk, receiver: Receiver) -> None:
    strict = dataclasses.replace(
        desk.service.courier, outgoing=dataclasses.replace(desk.service.outgoing, allow_loopback_http=False)
    )
    await subscribe(desk, receiver, event_types=["offer.created"])
    await desk.offer()
    assert await strict.run_once() == 1
    assert receiver.received == []
    async with desk.store.reading() as session:
        assert (await session.exec(select(WebhookDelivery.last_failure))).one() == "forbidden: https only"


async def test_several_workers_deliver_each_event_once_at_a_time(desk: Desk, receiver: Receiver) -> None:
    await subscribe(desk, receiver, event_types=["offer.created"])
    for _ in range(12):
        await desk.make_offer()
    stores = [Store(desk.world.settings.effective_database_url) for _ in range(4)]
    couriers = [dataclasses.replace(desk.service.courier, store=store) for store in stores]

    async def work(courier: Courier) -> None:
        while await courier.run_once():
            pass

    await asyncio.gather(*(work(courier) for courier in couriers))
    for store in stores:
        await store.close()
    assert len(receiver.received) == 12
    assert len({each.id for each in receiver.received}) == 12


async def test_worker_that_dies_after_posting_leaves_the_webhook_to_another(desk: Desk, receiver: Receiver) -> None:
    """Faults: answered 200, not written down; it comes again under the same id, after the lease."""
    await subscribe(desk, receiver, event_types=["offer.created"])
    await desk.offer()
    courier = desk.service.courier
    await courier.fan_out()
    assert len(await courier._claim()) == 1, "the worker that dies"
    assert await courier.run_once() == 0
    desk.clock.now += LEASE
    assert await courier.run_once() == 1
    assert len(receiver.received) == 1


async def test_nothing_is_written_where_nobody_waits_for_it(desk: Desk, receiver: Receiver) -> None:
    made = await subscribe(desk, receiver)
    assert (await desk.call("DELETE", f"/webhooks/{made['id']}")).status_code == 204
    await desk.offer()
    async with desk.store.reading() as session:
        assert (await session.exec(select(Event))).all() == []


async def test_event_and_effect_are_kept_or_lost_together(desk: Desk, receiver: Receiver) -> None:
    await subscribe(desk, receiver)
    offer = await desk.offer()

    async def cancel_and_fail() -> None:
        async with desk.store.transaction() as session:
            await cancel_offer(session, tenant_id="leipzig", offer_id=str(offer["id"]), now=desk.clock())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await cancel_and_fail()
    async with desk.store.reading() as session:
        assert [each.type for each in await session.exec(select(Event))] == ["offer.created"]
    assert (await desk.state(offer))["state"] == "created"


async def test_deleted_endpoint_is_told_no_more(desk: Desk, receiver: Receiver) -> None:
    made = await subscribe(desk, receiver)
    await desk.offer()
    assert (await desk.call("DELETE", f"/webhooks/{made['id']}", tenant="dresden")).status_code == 404
    assert (await desk.call("DELETE", f"/webhooks/{made['id']}")).status_code == 204
    await deliver(desk)
    assert receiver.received == []


async def test_old_events_are_forgotten(desk: Desk, receiver: Receiver) -> None:
    await subscribe(desk, receiver)
    await desk.offer()
    await deliver(desk)
    desk.clock.now += desk.world.settings.event_lifetime
    await desk.service.courier.forget()
    async with desk.store.reading() as session:
        assert (await session.exec(select(Event))).all() == []


@contextmanager
def running_issuer(world: World, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """One issuer as a process of its own."""
    port = world.settings.public_url.rsplit(":", 1)[1]
    command = [
        *(sys.executable, "-m", "uvicorn", "--factory", "issuer.app:app_from_environment"),
        *("--host", "127.0.0.1", "--port", port, "--log-level", "warning"),
    ]
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=os.environ | environment(world.settings), stdout=out, stderr=out)
        try:
            _wait(world.settings.public_url, process)
            yield process
        finally:
            process.kill()
            process.wait()


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    with httpx.Client() as http:
        while process.poll() is None:
            try:
                if http.get(f"{url}/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                continue
    raise RuntimeError("the issuer did not start")


async def test_kill_between_commit_and_delivery_loses_nothing(
    desk: Desk, receiver: Receiver, free_port: int, tmp_path: Path
) -> None:
    """Faults: kill -9 of the only worker while its receiver is down; the next one delivers what was committed."""
    made = await subscribe(desk, receiver, event_types=["offer.created"])
    world = desk.world
    world.settings = world.settings.model_copy(
        update={"public_url": f"http://127.0.0.1:{free_port}", "webhook_interval": 1}
    )
    async with desk.store.transaction() as session:
        row = (await session.exec(select(WebhookEndpoint))).one()
        alive, row.url = row.url, "http://127.0.0.1:1/nobody"
        session.add(row)
    body = {"credential_types": ["leipzig_pass"], "subject": {"reference": SUBJECT}}
    headers = {"Authorization": f"Bearer {desk.keys['leipzig']}"}
    with running_issuer(world, tmp_path / "first.log") as first:
        answer = httpx.post(f"{world.settings.public_url}/api/v1/offers", json=body, headers=headers, timeout=30)  # noqa: ASYNC210
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert answer.status_code == 201
    async with desk.store.transaction() as session:
        row = (await session.exec(select(WebhookEndpoint))).one()
        row.url = alive
        session.add(row)
        for delivery in (await session.exec(select(WebhookDelivery))).all():
            delivery.next_at = 0  # its pause is over
            session.add(delivery)
    with running_issuer(world, tmp_path / "second.log"):
        assert await asyncio.to_thread(receiver.arrived.acquire, timeout=60)
    data = receiver.received[0].event["data"]
    assert isinstance(data, dict)
    assert data["offer_id"] == answer.json()["id"]
    assert made["id"]
