"""A wallet renews without its holder, and one that nobody attests signs for itself."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from fastapi import FastAPI

from issuer.app import create_app
from specs.keys.jose import jwk_from_public_key, key_thumbprint
from specs.keys.signer import FileSigner, generate_signer
from stadtnachweis.__main__ import main
from tests.issuer.city.types import write_types
from tests.issuer.wallet_api.world import MDOC, SD_JWT, World, build_world
from tests.wallet_sim.city import ACCEPTING, City
from tests.wallet_sim.serving import served
from wallet_sim.collect import Collector
from wallet_sim.issuer_session import RegisteredKey
from wallet_sim.store import EventKind
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet
from wallet_sim.web.app import create_app as create_wallet_app
from wallet_sim.web.settings import WalletEntry, WalletSettings, open_wallets

CLIENT = "https://signing.example"


@pytest.fixture(scope="module")
def key() -> FileSigner:
    """What the wallet registered with the tenant offen."""
    return generate_signer()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory, provided: Path, key: FileSigner) -> Iterator[City]:
    """An issuer whose Leipzig-Pass comes later and can be renewed; it knows one wallet by its key."""
    folder = tmp_path_factory.mktemp("renewing")
    worlds: list[World] = []

    def make(url: str) -> FastAPI:
        world = asyncio.run(build_world(folder, public_url=url))
        (folder / "providers.pem").write_bytes(Wallet(provided).provider.anchor_pem())
        types = write_types(folder / "types", {}, own="refresh_days: 30\ndeferral: {when: always, interval: 1}")
        (folder / "tenants").mkdir()
        client = {"client_id": CLIENT, "keys": [jwk_from_public_key(key.public_key)]}
        (folder / "tenants" / "offen.yaml").write_text(yaml.safe_dump({"wallet_clients": [client]}), encoding="utf-8")
        worlds.append(world)
        return create_app(world.settings.model_copy(update={"catalog_dir": types, "tenant_dir": folder / "tenants"}))

    with served(make) as url:
        yield City(url, worlds[0])


def collector(city: City, wallet: Wallet, *, tenant: str, registered: RegisteredKey | None = None) -> Collector:
    """What the wallet collects with; it does not really wait for what comes later."""
    return Collector(
        wallet.store,
        wallet.provider,
        wallet.transport,
        anchors=city.anchors("iaca", tenant),
        registered=registered,
        sleep=lambda _seconds: None,
    )


def test_wallet_takes_its_credentials_anew_without_asking(city: City, wallet: Wallet) -> None:
    """HAIP 1.0 §4.4, draft-07 §10.3: other holder keys, the same instance and DPoP keys."""
    link, _ = city.offer()
    first = collector(city, wallet, tenant="leipzig").begin(link, holder=ACCEPTING)
    old = first.take(SD_JWT)

    again = first.renewed()
    new = again.renewed().take(SD_JWT)

    assert again.requester.token.access_token != first.requester.token.access_token
    assert again.requester.token.refresh_token == first.requester.token.refresh_token
    assert key_thumbprint(old[0].key.public_key()) != key_thumbprint(new[0].key.public_key())
    assert len(wallet.credentials()) == 2


def test_stored_credential_is_renewed_in_its_place(city: City, wallet: Wallet) -> None:
    """Another process, days later: keys and token come from the wallet's file; nobody is asked."""
    collector(city, wallet, tenant="leipzig").collect(city.offer()[0], holder=ACCEPTING)
    old = {each.format: each for each in wallet.credentials()}
    wallet.store.count_shown([old["dc+sd-jwt"].id])
    later = Wallet(
        wallet.store.path,
        issuer_anchors=city.anchors("iaca"),
        allow_loopback_http=True,
        sleep=lambda _seconds: None,
    )

    (renewed,) = later.renew(old["dc+sd-jwt"].batch)

    new = {each.format: each for each in later.credentials()}
    assert new["mso_mdoc"].content == old["mso_mdoc"].content
    assert new["dc+sd-jwt"].content == renewed.content
    assert renewed.batch == old["dc+sd-jwt"].batch
    assert renewed.shown == 0
    assert key_thumbprint(renewed.key.public_key()) != key_thumbprint(old["dc+sd-jwt"].key.public_key())
    assert later.store.history()[0].kind is EventKind.RENEWED
    later.renew(renewed.batch)


def test_refresh_token_that_changes_is_kept_for_each_credential_of_its_offer(
    city: City, wallet: Wallet, key: FileSigner
) -> None:
    """RFC 6749 §6: what was rotated away is not used again, though two credentials share it."""
    registered = RegisteredKey(CLIENT, key)
    link, _ = city.offer(tenant="offen")
    holding = collector(city, wallet, tenant="offen", registered=registered)
    first, second = holding.collect(link, holder=ACCEPTING)
    tokens = [wallet.store.renewal(first.batch)]

    for batch in (first.batch, second.batch, first.batch):
        holding.renew(batch)
        tokens.append(wallet.store.renewal(first.batch))

    assert len({each.token.refresh_token for each in tokens if each is not None}) == 4


def test_renewal_that_the_issuer_refuses_leaves_everything_as_it_was(city: City, wallet: Wallet) -> None:
    collector(city, wallet, tenant="leipzig").collect(city.offer(configurations=(SD_JWT,))[0], holder=ACCEPTING)
    (held,) = wallet.credentials()
    renewal = wallet.store.renewal(held.batch)
    assert renewal is not None
    wallet.store.rotate(renewal.token.id, "stolen")

    with pytest.raises(WalletFailure, match="the token was refused with status 400: invalid_grant"):
        wallet.renew(held.batch)

    assert [each.content for each in wallet.credentials()] == [held.content]


def test_token_goes_with_the_last_credential_that_it_renews(city: City, wallet: Wallet) -> None:
    collector(city, wallet, tenant="leipzig").collect(city.offer()[0], holder=ACCEPTING)
    first, second = wallet.credentials()
    wallet.forget([first.id])

    with pytest.raises(WalletFailure, match="nothing to renew"):
        wallet.renew(first.batch)

    assert wallet.store.renewal(second.batch) is not None
    wallet.forget([second.id])
    with sqlite3.connect(wallet.store.path) as connection:
        assert connection.execute("SELECT count(*) FROM token_kept").fetchone() == (0,)


def test_renewing_on_the_page(city: City, wallet: Wallet, tmp_path: Path) -> None:
    collector(city, wallet, tenant="leipzig").collect(city.offer(configurations=(SD_JWT,))[0], holder=ACCEPTING)
    (old,) = wallet.credentials()
    entry = WalletEntry(name="mila", file=wallet.store.path)
    pages = open_wallets(WalletSettings(wallets=(entry,), allow_loopback_http=True))

    with (
        served(lambda _url: create_wallet_app(pages, unattended=False)) as url,
        httpx.Client(base_url=url, follow_redirects=True, timeout=30) as browser,
    ):
        page = browser.get(f"/wallets/mila/credentials/{old.batch}")
        assert 'id="renew"' in page.text
        form = {"csrf_token": browser.cookies["wallet-csrf"]}
        done = browser.post(f"/wallets/mila/credentials/{old.batch}/renew", data=form)
        while 'id="working"' in done.text:
            done = browser.get(done.url.path)

    assert 'id="done"' in done.text
    (new,) = wallet.credentials()
    assert new.batch == old.batch
    assert new.content != old.content


def test_renewing_on_the_command_line(
    city: City, wallet: Wallet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ["--file", str(wallet.store.path), "--allow-loopback-http"]
    assert main(["wallet", "renew", *file]) == 0
    assert "No credential in this wallet can be renewed" in capsys.readouterr().out
    collector(city, wallet, tenant="leipzig").collect(city.offer()[0], holder=ACCEPTING)
    ids = {each.id for each in wallet.credentials()}

    assert main(["wallet", "renew", *file]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    new = {each.id for each in wallet.credentials()}
    assert len(new) == 2
    assert not new & ids

    sd_jwt, mdoc = (each for each in wallet.credentials())
    renewal = wallet.store.renewal(sd_jwt.batch)
    assert renewal is not None
    wallet.store.rotate(renewal.token.id, "stolen")
    assert main(["wallet", "renew", mdoc.id[:6], *file]) == 1
    assert "invalid_grant" in capsys.readouterr().err


def test_refresh_with_another_instances_key_is_refused(city: City, wallet: Wallet) -> None:
    """is-010."""
    link, _ = city.offer()
    collection = collector(city, wallet, tenant="leipzig").begin(link, holder=ACCEPTING)
    collection.requester.session.instance_key = generate_signer()

    with pytest.raises(WalletFailure, match="the token was refused with status 400: invalid_grant"):
        collection.renewed()


def test_wallet_that_registered_a_key_signs_for_itself(city: City, wallet: Wallet, key: FileSigner) -> None:
    """RFC 7523 §2.2; a rotated refresh token leads on from use to use."""
    link, _ = city.offer(tenant="offen")
    registered = RegisteredKey(CLIENT, key)
    collection = collector(city, wallet, tenant="offen", registered=registered).begin(link, holder=ACCEPTING)

    once = collection.renewed()
    twice = once.renewed()

    tokens = [each.requester.token.refresh_token for each in (collection, once, twice)]
    assert len({*tokens}) == 3
    assert {each.format for name in (SD_JWT, MDOC) for each in twice.take(name)} == {"dc+sd-jwt", "mso_mdoc"}


def test_key_that_nobody_registered_opens_nothing(city: City, wallet: Wallet) -> None:
    link, _ = city.offer(tenant="offen")
    stranger = RegisteredKey(CLIENT, generate_signer())

    with pytest.raises(WalletFailure, match="status 401: invalid_client"):
        collector(city, wallet, tenant="offen", registered=stranger).begin(link, holder=ACCEPTING)
