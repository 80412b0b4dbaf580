"""Wallet providers that a published list names are believed as long as it does, by whoever may publish it."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from issuer.app import create_app
from issuer.catalog.placed_yaml import CatalogError
from issuer.departures import Level
from issuer.examination import examine
from issuer.settings import IssuerSettings
from issuer.wallet_providers import ATTESTS, LISTS_FOLDER, load_wallet_providers
from specs.keys.signer import SigningIdentity
from specs.trust.trust_list import WALLET_PROVIDERS, ListedEntity, ListedService, build_trust_list
from tests.issuer.wallet_api.conftest import PUBLIC_URL
from tests.issuer.wallet_api.world import SteppedClock, Wallet, World
from tests.specs.trust.lists import plain_list, publisher
from verifier.expectations import Fetched
from verifier.fetch import FetchFailed

URL = "https://lists.example/wallet-providers.jwt"
HOUR, MONTH = 3600, 31 * 86400


@dataclass
class Place:
    """Where the list is published. document: what lies there now."""

    document: bytes | None = None

    def fetch(self, url: str, *, accept: str) -> Fetched:
        """What lies there, if anything does."""
        if url != URL or self.document is None:
            raise FetchFailed("not there")
        return Fetched(self.document, 200, accept, 0)


@dataclass
class Listing:
    """An issuer that believes nobody but the list, and its publisher."""

    world: World
    clock: SteppedClock
    settings: IssuerSettings
    identity: SigningIdentity
    place: Place = field(default_factory=Place)

    def publish(
        self, *certificates: bytes, number: int, service: str = ATTESTS, by: SigningIdentity | None = None
    ) -> None:
        """A list with these certificates lies there from now on."""
        provider = ListedEntity("Provider", (ListedService(service, "Wallet", certificates),))
        listed = plain_list(provider, now=self.clock.now, sequence=number)
        content = dataclasses.replace(listed, type=WALLET_PROVIDERS)
        self.place.document = build_trust_list(content, identity=by or self.identity).encode()

    @property
    def root(self) -> bytes:
        """The root of the world's wallet provider."""
        (anchor,) = x509.load_pem_x509_certificates((self.settings.data_dir / "providers.pem").read_bytes())
        return anchor.public_bytes(Encoding.DER)


@pytest.fixture
def listing(world: World, clock: SteppedClock, tmp_path: Path) -> Listing:
    """An issuer that follows a list which is not there yet."""
    identity = publisher(clock.now)
    pem = x509.load_der_x509_certificate(identity.chain[0]).public_bytes(Encoding.PEM)
    (tmp_path / "publisher.pem").write_bytes(pem)
    file = tmp_path / "lists.yaml"
    file.write_text(yaml.safe_dump({"lists": [{"url": URL, "signers": "publisher.pem"}]}), encoding="utf-8")
    settings = world.settings.model_copy(update={"wallet_provider_anchors": None, "wallet_provider_lists": file})
    return Listing(world, clock, settings, identity)


@dataclass
class Desk:
    """The running issuer, and what looks for newer lists."""

    listing: Listing
    http: httpx.AsyncClient
    refresh: Callable[[], float]

    def later(self, seconds: int = 0) -> "Desk":
        """Time passes, and lists that are due are fetched."""
        self.listing.clock.now += seconds
        self.refresh()
        return self

    def wallet(self) -> Wallet:
        """A wallet that the provider attests."""
        return Wallet(self.http, self.listing.world.issuer_url(), self.listing.world.provider, self.listing.clock)

    async def is_served(self) -> bool:
        """Whether a wallet of the provider gets a token."""
        wallet = self.wallet()
        answer = await wallet.redeem((await self.listing.world.offer(now=wallet.now)).code or "")
        if answer.status_code != 200:
            assert answer.json()["error"] == "invalid_client_attestation"
        return answer.status_code == 200


@pytest.fixture
async def desk(listing: Listing) -> AsyncIterator[Desk]:
    """The running issuer."""
    app = create_app(listing.settings, clock=listing.clock)
    providers = load_wallet_providers(listing.settings, fetcher=listing.place, clock=listing.clock)
    app.state.service = dataclasses.replace(app.state.service, providers=providers)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield Desk(listing, client, providers.refresh)
    await app.state.service.store.close()


async def test_provider_counts_as_long_as_the_list_names_it(desk: Desk) -> None:
    listing = desk.listing
    assert not await desk.is_served()
    listing.publish(listing.root, number=1)
    assert await desk.later(HOUR).is_served()
    listing.place.document = None
    assert await desk.later(HOUR).is_served(), "an unreachable list stays in force"
    listing.publish(number=2)
    assert not await desk.later(HOUR).is_served()


async def test_list_that_never_comes_again_ends_by_itself(desk: Desk) -> None:
    desk.listing.publish(desk.listing.root, number=1)
    assert await desk.later().is_served()
    desk.listing.place.document = None
    assert not await desk.later(MONTH).is_served()


async def test_attester_itself_may_stand_in_the_list(desk: Desk) -> None:
    desk.listing.publish(desk.listing.world.provider.identity.chain[0], number=1)
    assert await desk.later().is_served()


async def test_older_foreign_and_other_lists_speak_for_nobody(desk: Desk) -> None:
    listing = desk.listing
    listing.publish(number=7)
    desk.later()
    listing.publish(listing.root, number=6)
    assert not await desk.later(HOUR).is_served()
    listing.publish(listing.root, number=8, by=publisher(listing.clock.now))
    assert not await desk.later(HOUR).is_served()
    listing.publish(listing.root, number=9, service="http://uri.etsi.org/19602/SvcType/WalletSolution/Revocation")
    assert not await desk.later(HOUR).is_served()
    listing.publish(listing.root, number=10)
    assert await desk.later(HOUR).is_served()


async def test_restart_forgets_neither_the_list_nor_its_number(desk: Desk) -> None:
    listing = desk.listing
    listing.publish(listing.root, number=5)
    desk.later()
    again = load_wallet_providers(listing.settings, fetcher=Place(), clock=listing.clock)
    assert [anchor.certificate for anchor in again.current(now=listing.clock.now)] == [listing.root]


async def test_doctor_says_how_each_list_stands_and_changes_nothing(listing: Listing) -> None:
    folder = listing.settings.data_dir / LISTS_FOLDER
    found = [each for each in await examine(listing.settings, now=listing.clock.now) if URL in each.sentence]
    assert [(each.level, each.setting) for each in found] == [(Level.WARNING, "ISSUER_WALLET_PROVIDER_LISTS")]
    assert not folder.exists()
    listing.publish(listing.root, number=5)
    load_wallet_providers(listing.settings, fetcher=listing.place, clock=listing.clock).refresh()
    (fine,) = [each for each in await examine(listing.settings, now=listing.clock.now) if URL in each.sentence]
    assert (fine.level, fine.sentence) == (Level.FINE, f"The list {URL}, number 5, is in force.")


@pytest.mark.parametrize(
    "lists",
    [
        {"lists": []},
        {"lists": [{"url": URL}]},
        {"lists": [{"url": URL, "signers": "nowhere.pem"}]},
        {"lists": [{"url": URL, "signers": "lists.yaml"}]},
        {"lists": [{"url": "http://lists.example/list", "signers": "publisher.pem"}]},
        {"lists": [{"url": URL, "signers": "publisher.pem"}] * 2},
        {"lists": [{"url": URL, "signers": "publisher.pem", "kind": "ca"}]},
    ],
)
async def test_description_that_is_not_understood_is_refused(listing: Listing, lists: dict[str, object]) -> None:
    settings = listing.settings.model_copy(update={"allow_loopback_http": False})
    assert settings.wallet_provider_lists is not None
    settings.wallet_provider_lists.write_text(yaml.safe_dump(lists), encoding="utf-8")
    with pytest.raises(CatalogError):
        load_wallet_providers(settings)
    problems = [each for each in await examine(settings, now=listing.clock.now) if each.level is Level.PROBLEM]
    assert "ISSUER_WALLET_PROVIDER_LISTS" in {each.setting for each in problems}
