"""A wallet collects from the real issuer."""

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import httpx
import pytest

from issuer.store.tables import Delivery, Grant
from specs.credentials.sd_jwt_present import parse_issued
from specs.keys.jose import key_thumbprint
from specs.protocols.oauth import OAuthError
from specs.refusal import Refusal
from tests.issuer.wallet_api.world import MDOC, SD_JWT
from tests.wallet_sim.city import ACCEPTING, DOC_TYPE, VCT, City
from wallet_sim.browser import FormBrowser, LoopbackBrowser
from wallet_sim.collect import REDIRECT_URI, Holder, OfferShown
from wallet_sim.conduct import FORM, Conduct, Endpoint, Piece
from wallet_sim.presentation import claims_of, held
from wallet_sim.transport import WalletFailure
from wallet_sim.wallet import Wallet

T = TypeVar("T")


def test_pre_authorized_offer_gives_both_formats_with_keys_of_their_own(city: City, wallet: Wallet) -> None:
    shown: list[OfferShown] = []
    link, _ = city.offer()

    def accept(offer: OfferShown) -> bool:
        shown.append(offer)
        return True

    collected = wallet.collect(link, holder=Holder(accept=accept))

    assert {(each.format, each.type) for each in collected} == {("dc+sd-jwt", VCT), ("mso_mdoc", DOC_TYPE)}
    assert len({key_thumbprint(each.key.public_key()) for each in collected}) == 2
    claims = {each.format: claims_of(held(each)) for each in collected}
    assert claims["dc+sd-jwt"]["given_name"] == "Mila"
    assert claims["mso_mdoc"] == {DOC_TYPE: claims["mso_mdoc"][DOC_TYPE]}
    assert shown[0].issuer == city.world.issuer_url()
    assert shown[0].name == "Stadt Leipzig"
    assert sorted(shown[0].credentials) == ["Leipzig-Pass (dc+sd-jwt)", "Leipzig-Pass (mso_mdoc)"]
    assert [each.id for each in wallet.credentials()] == [each.id for each in collected]


def test_offer_by_reference_with_transaction_code_gives_batches(city: City, wallet: Wallet) -> None:
    link, code = city.offer(delivery=Delivery.REFERENCE, tx_code=True, scheme="haip-vci://")
    assert code is not None

    collected = wallet.collect(link, holder=replace(ACCEPTING, tx_code=lambda: code), copies=4)

    assert sorted(each.format for each in collected) == ["dc+sd-jwt"] * 4 + ["mso_mdoc"] * 4
    assert len({each.batch for each in collected}) == 2
    assert len({key_thumbprint(each.key.public_key()) for each in collected}) == 8


def test_wallet_collects_each_dataset_or_those_that_its_holder_chooses(city: City, wallet: Wallet) -> None:
    """OpenID4VCI §6.2: one identifier a dataset, one request each."""
    link, _ = city.offer(datasets=("first", "second"))
    collected = wallet.collect(link, holder=ACCEPTING)
    assert sorted(each.format for each in collected) == ["dc+sd-jwt"] * 2 + ["mso_mdoc"] * 2
    assert len({each.batch for each in collected}) == 4

    link, _ = city.offer(datasets=("first", "second"))
    chosen = wallet.collect(link, holder=replace(ACCEPTING, choose=lambda _name, identifiers: identifiers[1:]))
    assert sorted(each.format for each in chosen) == ["dc+sd-jwt", "mso_mdoc"]


@pytest.mark.parametrize("tenant", ["leipzig", "offen", "bund"])
def test_each_preset_serves_the_wallet(city: City, tenant: str, wallet: Wallet) -> None:
    link, _ = city.offer(tenant=tenant, configurations=(SD_JWT, MDOC))

    collected = city.wallet(wallet.store.path, tenant=tenant).collect(link, holder=ACCEPTING, copies=2)

    assert {each.format for each in collected} == {"dc+sd-jwt", "mso_mdoc"}


def test_login_and_consent_lead_to_credentials(city: City, wallet: Wallet) -> None:
    link, _ = city.offer(grant=Grant.AUTHORIZATION_CODE)
    browser = FormBrowser(username="mila", password="einfach", allow_loopback_http=True)

    collected = wallet.collect(link, holder=replace(ACCEPTING, authorize=browser))

    assert {each.format for each in collected} == {"dc+sd-jwt", "mso_mdoc"}


class Watching(Conduct):
    """An honest wallet whose forms are looked at."""

    def __init__(self) -> None:
        self.forms: dict[Endpoint, object] = {}

    def change(self, piece: Piece[T], value: T, *, to: Endpoint) -> T:
        """See `Conduct`."""
        if piece is FORM:
            self.forms[to] = value
        return value


def test_wallet_may_ask_by_authorization_details_for_what_has_a_scope(city: City, wallet_file: Path) -> None:
    """OpenID4VCI §5.1.1; the Foundation's `rar` plans ask for it."""
    link, _ = city.offer(grant=Grant.AUTHORIZATION_CODE)
    watching = Watching()
    wallet = Wallet(wallet_file, allow_loopback_http=True, by_details=True, conduct=watching)
    browser = FormBrowser(username="mila", password="einfach", allow_loopback_http=True)

    collected = wallet.collect(link, holder=replace(ACCEPTING, authorize=browser))

    pushed = watching.forms[Endpoint.PAR]
    assert isinstance(pushed, dict)
    assert "scope" not in pushed
    asked = json.loads(pushed["authorization_details"])
    assert {each["credential_configuration_id"] for each in asked} == {SD_JWT, MDOC}
    assert {each.format for each in collected} == {"dc+sd-jwt", "mso_mdoc"}


def test_persons_own_browser_comes_back_to_a_port_of_this_machine(city: City, wallet: Wallet) -> None:
    link, _ = city.offer(grant=Grant.AUTHORIZATION_CODE, configurations=(SD_JWT,))
    opened: list[str] = []

    def person(url: str) -> None:
        opened.append(url)
        forms = FormBrowser(
            username="mila", password="einfach", redirect_uri=own_browser.redirect_uri, allow_loopback_http=True
        )
        assert httpx.get(forms(url)).status_code == 200

    with LoopbackBrowser(show=person, seconds=20) as own_browser:
        holder = replace(ACCEPTING, authorize=own_browser, redirect_uri=own_browser.redirect_uri)
        collected = wallet.collect(link, holder=holder)

    assert len(collected) == 1
    assert httpx.URL(opened[0]).params.keys() == {"client_id", "request_uri"}


def test_wrong_password_ends_the_login(city: City, wallet: Wallet) -> None:
    link, _ = city.offer(grant=Grant.AUTHORIZATION_CODE)
    browser = FormBrowser(username="mila", password="falsch", allow_loopback_http=True)

    with pytest.raises(WalletFailure, match="the login was refused with status 401"):
        wallet.collect(link, holder=replace(ACCEPTING, authorize=browser))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("iss=", "iss=https%3A%2F%2Fattacker.example&x="), "iss is missing or another server's"),
        (("state=", "state=another&x="), "state is missing or another request's"),
        ((REDIRECT_URI, "https://attacker.example/callback"), "another address than ours"),
    ],
    ids=["iss", "state", "address"],
)
def test_code_from_another_server_is_not_redeemed(
    city: City, wallet: Wallet, change: tuple[str, str], sentence: str
) -> None:
    """RFC 9207 §2.4: a mix-up shows in `iss` or `state`."""
    link, _ = city.offer(grant=Grant.AUTHORIZATION_CODE)
    browser = FormBrowser(username="mila", password="einfach", allow_loopback_http=True)

    with pytest.raises(ValueError, match=sentence):
        wallet.collect(link, holder=replace(ACCEPTING, authorize=lambda url: browser(url).replace(*change)))
    assert wallet.credentials() == ()


def test_declined_login_is_reported_as_the_servers_refusal(city: City, wallet: Wallet) -> None:
    link, _ = city.offer(grant=Grant.AUTHORIZATION_CODE)
    iss, denied = city.world.issuer_url(), "access_denied"
    states: list[str] = []
    browser = FormBrowser(username="mila", password="einfach", allow_loopback_http=True)

    def authorize(url: str) -> str:
        states.append(httpx.URL(browser(url)).params["state"])
        return str(httpx.URL(REDIRECT_URI, params={"error": denied, "iss": iss, "state": states[0]}))

    with pytest.raises(OAuthError, match=denied):
        wallet.collect(link, holder=replace(ACCEPTING, authorize=authorize))


def test_nothing_is_collected_if_the_holder_declines(city: City, wallet: Wallet) -> None:
    link, _ = city.offer()

    with pytest.raises(WalletFailure, match="you declined"):
        wallet.collect(link, holder=Holder())

    assert wallet.credentials() == ()
    assert len(wallet.collect(link, holder=ACCEPTING)) == 2


def test_wrong_transaction_code_is_refused_in_one_sentence(city: City, wallet: Wallet) -> None:
    link, code = city.offer(tx_code=True)
    wrong = "000000" if code != "000000" else "111111"

    with pytest.raises(WalletFailure, match="the token was refused with status 400: invalid_grant"):
        wallet.collect(link, holder=replace(ACCEPTING, tx_code=lambda: wrong))


def test_credential_of_an_issuer_that_is_not_trusted_is_not_kept(city: City, wallet: Wallet) -> None:
    link, _ = city.offer()
    suspicious = Wallet(wallet.store.path, issuer_anchors=city.anchors("iaca", "dresden"), allow_loopback_http=True)

    with pytest.raises(WalletFailure, match="certificate_untrusted"):
        suspicious.collect(link, holder=ACCEPTING)
    assert wallet.credentials() == ()


def test_metadata_signed_by_nobody_trusted_are_not_used(city: City, wallet: Wallet) -> None:
    link, _ = city.offer()
    suspicious = Wallet(
        wallet.store.path, metadata_anchors=city.anchors("access-ca", "dresden"), allow_loopback_http=True
    )

    with pytest.raises(Refusal, match="certificate_untrusted"):
        suspicious.collect(link, holder=ACCEPTING)


def test_plain_http_is_refused_unless_it_was_asked_for(city: City, wallet: Wallet) -> None:
    link, _ = city.offer()

    with pytest.raises(ValueError, match="not an https URL"):
        Wallet(wallet.store.path).collect(link, holder=ACCEPTING)


def test_wallet_without_a_trusted_provider_is_refused_by_the_server(city: City, wallet: Wallet) -> None:
    link, _ = city.offer()
    stranger = Wallet(wallet.store.path.with_name("stranger.db"), allow_loopback_http=True)

    with pytest.raises(WalletFailure, match="invalid_client_attestation"):
        stranger.collect(link, holder=ACCEPTING)


def test_file_is_its_owners_alone_and_survives(city: City, wallet: Wallet) -> None:
    link, _ = city.offer(configurations=(SD_JWT,))
    wallet.store.path.chmod(0o644)

    again = city.wallet(wallet.store.path)
    collected = again.collect(link, holder=ACCEPTING)

    assert stat.S_IMODE(wallet.store.path.stat().st_mode) == 0o600
    kept = city.wallet(wallet.store.path).credentials()
    assert [each.content for each in kept] == [each.content for each in collected]
    assert parse_issued(kept[0].content).kb_jwt is None


def test_password_goes_to_the_host_that_was_opened_alone() -> None:
    page = '<form method="post" action="https://attacker.example/"><input type="password" name="p"></form>'
    client = httpx.Client(transport=httpx.MockTransport(lambda _request: httpx.Response(200, text=page)))
    browser = FormBrowser(username="mila", password="einfach", client=client)

    with pytest.raises(WalletFailure, match="another host"):
        browser("https://login.example/authorize")
