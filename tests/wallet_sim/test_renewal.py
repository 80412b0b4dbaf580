"""A wallet renews without its holder, and one that nobody attests signs for itself."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI

from issuer.app import create_app
from specs.keys.jose import jwk_from_public_key, key_thumbprint
from specs.keys.signer import FileSigner, generate_signer
from tests.issuer.city.types import write_types
from tests.issuer.wallet_api.world import MDOC, SD_JWT, World, build_world
from tests.wallet_sim.city import ACCEPTING, City
from tests.wallet_sim.serving import served
from wallet_sim.collect import Collector
from wallet_sim.issuer_session import RegisteredKey
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet

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
