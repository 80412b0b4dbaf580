"""Clients that are known by name: they sign for themselves, or come without proof, to their own addresses alone."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from issuer.app import create_app
from issuer.catalog.placed_yaml import CatalogError
from issuer.store.tables import Delivery
from issuer.tenant_file import load_tenant_files
from specs.keys.jose import jwk_from_public_key
from specs.keys.signer import FileSigner, generate_signer
from specs.protocols.client_assertion import build_client_assertion, client_assertion_members
from specs.protocols.oauth import PRE_AUTHORIZED_CODE
from tests.issuer.wallet_api.browser import log_in_and
from tests.issuer.wallet_api.conftest import PUBLIC_URL
from tests.issuer.wallet_api.world import CLIENT_ID, REDIRECT_URI, Flow, SteppedClock, Wallet, World, answer_members

SIGNING, PUBLIC = "https://signing.example", "https://public.example"


@dataclass
class SigningWallet(Wallet):
    """A wallet that signs for itself instead of being attested; without a key it comes with its name alone."""

    key: FileSigner | None = None

    def assertion(self) -> dict[str, str]:
        """The form members that prove who it is."""
        if self.key is None:
            return {}
        built = build_client_assertion(
            signer=self.key, client_id=self.client_id, audience=self.issuer_url, now=self.now
        )
        return client_assertion_members(built)

    async def form_headers(self, path: str) -> dict[str, str]:
        """DPoP alone."""
        return self.dpop_header(path)

    async def token(self, form: dict[str, str]) -> httpx.Response:  # type: ignore[override]  # a Mapping there
        """A token request with an assertion."""
        return await super().token(self.assertion() | form)


@dataclass
class SigningFlow(Flow):
    """An authorization request that carries an assertion."""

    def form(self, **changes: str) -> dict[str, str]:
        """The members of the pushed request."""
        wallet = self.wallet
        return super().form(**((wallet.assertion() if isinstance(wallet, SigningWallet) else {}) | changes))


@pytest.fixture
def key() -> FileSigner:
    """The key that the signing client registered."""
    return generate_signer()


@pytest.fixture
async def http(world: World, clock: SteppedClock, key: FileSigner, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """An issuer whose tenants with the preset plain-1.0 know two clients, and that with haip-1.0 one."""
    signing = {"client_id": SIGNING, "redirect_uris": [REDIRECT_URI], "keys": [jwk_from_public_key(key.public_key)]}
    public = {"client_id": PUBLIC, "redirect_uris": [REDIRECT_URI, "http://127.0.0.1/back"]}
    attested = {"client_id": CLIENT_ID, "redirect_uris": [REDIRECT_URI]}
    folder = tmp_path / "tenants"
    folder.mkdir()
    for tenant, clients in {"offen": [signing, public], "leipzig": [signing, attested]}.items():
        (folder / f"{tenant}.yaml").write_text(yaml.safe_dump({"wallet_clients": clients}), encoding="utf-8")
    app = create_app(world.settings.model_copy(update={"tenant_dir": folder}), clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield client
    await app.state.service.store.close()


@pytest.fixture
def signing(world: World, http: httpx.AsyncClient, clock: SteppedClock, key: FileSigner) -> SigningWallet:
    """The client that registered a key."""
    url = world.issuer_url("offen")
    return SigningWallet(http, url, world.provider, clock, client_id=SIGNING, key=key)


@pytest.fixture
def public(world: World, http: httpx.AsyncClient, clock: SteppedClock) -> SigningWallet:
    """The client that registered addresses alone."""
    return SigningWallet(http, world.issuer_url("offen"), world.provider, clock, client_id=PUBLIC)


def refused(answer: httpx.Response, error: str, status: int = 400) -> bool:
    """Whether the answer is this refusal."""
    return (answer.status_code, answer.json()["error"]) == (status, error)


async def test_metadata_name_the_method_where_a_client_can_use_it(http: httpx.AsyncClient) -> None:
    offen = (await http.get("/.well-known/oauth-authorization-server/t/offen")).json()
    leipzig = (await http.get("/.well-known/oauth-authorization-server/t/leipzig")).json()

    assert set(offen["token_endpoint_auth_methods_supported"]) == {"attest_jwt_client_auth", "private_key_jwt", "none"}
    assert "ES256" in offen["token_endpoint_auth_signing_alg_values_supported"]
    assert leipzig["token_endpoint_auth_methods_supported"] == ["attest_jwt_client_auth"]


@pytest.mark.parametrize("name", ["signing", "public"])
async def test_registered_client_logs_a_person_in(signing: SigningWallet, public: SigningWallet, name: str) -> None:
    wallet = signing if name == "signing" else public
    flow = SigningFlow(wallet)

    code = answer_members(await log_in_and("approve", flow, await flow.request_uri()))["code"]
    token = await wallet.token(flow.token_form(code))
    issued = await wallet.credential(token.json()["access_token"], await wallet.request_body())

    assert issued.status_code == 200, issued.text


async def test_assertion_is_taken_once_at_each_endpoint(world: World, signing: SigningWallet) -> None:
    """RFC 7523 §3: the code that the second request carries is not touched."""
    codes = [(await world.offer(tenant="offen", now=signing.now)).code or "" for _ in range(2)]
    form = {"grant_type": PRE_AUTHORIZED_CODE, "client_id": SIGNING, **signing.assertion()}

    async def redeem(code: str, members: dict[str, str]) -> httpx.Response:
        headers = signing.dpop_header("/token")
        return await signing.http.post(
            f"{signing.issuer_url}/token", data=members | {"pre-authorized_code": code}, headers=headers
        )

    assert (await redeem(codes[0], form)).status_code == 200
    assert refused(await redeem(codes[1], form), "invalid_client", 401)
    assert (await redeem(codes[1], form | signing.assertion())).status_code == 200
    flow = SigningFlow(signing)
    pushed = flow.form()
    headers = [signing.dpop_header("/par") for _ in range(2)]
    answers = await asyncio.gather(
        *(signing.http.post(f"{signing.issuer_url}/par", data=pushed, headers=each) for each in headers)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 401]


async def test_client_with_a_key_does_not_come_without_it(world: World, signing: SigningWallet) -> None:
    signing.key = None
    code = (await world.offer(tenant="offen", now=signing.now)).code

    assert refused(await SigningFlow(signing).push(), "invalid_client", 401)
    assert refused(await signing.redeem(code or ""), "invalid_client", 401)


async def test_assertion_by_another_key_or_for_another_client_is_refused(
    world: World, signing: SigningWallet, key: FileSigner
) -> None:
    code = (await world.offer(tenant="offen", now=signing.now)).code or ""
    signing.key = generate_signer()
    assert refused(await signing.redeem(code), "invalid_client", 401)
    signing.key = key
    assert refused(await signing.redeem(code, client_id=PUBLIC), "invalid_client", 401)
    assert refused(await signing.redeem(code, client_assertion_type="urn:other"), "invalid_client", 401)
    assert (await signing.redeem(code)).status_code == 200


async def test_refused_assertion_does_not_say_who_is_registered(
    world: World, signing: SigningWallet, key: FileSigner
) -> None:
    """Whoever asks around learns no names: an unknown client, a foreign key and an old assertion look the same."""
    code = (await world.offer(tenant="offen", now=signing.now)).code or ""
    answers = []
    signing.key = generate_signer()
    answers.append(await signing.redeem(code))
    signing.client_id = "https://nobody.example"
    answers.append(await signing.redeem(code))
    signing.client_id, signing.key = SIGNING, key
    signing.clock = SteppedClock()
    signing.clock.now -= 3600
    answers.append(await signing.redeem(code))
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1, [answer.text for answer in answers]
    assert refused(answers[0], "invalid_client", 401)


async def test_wallet_provider_counts_as_long_as_it_stands_in_the_file(
    world: World, http: httpx.AsyncClient, clock: SteppedClock
) -> None:
    """Removed, it is not believed from the next request on; a file that can't be read changes nothing."""
    file = world.settings.wallet_provider_anchors
    assert file is not None
    known = file.read_bytes()
    wallet = Wallet(http, world.issuer_url(), world.provider, clock)

    async def redeem() -> httpx.Response:
        return await wallet.redeem((await world.offer(now=wallet.now)).code or "")

    assert (await redeem()).status_code == 200
    file.write_bytes(x509.load_der_x509_certificate(world.stranger.identity.chain[0]).public_bytes(Encoding.PEM))
    assert refused(await redeem(), "invalid_client_attestation")
    file.write_bytes(b"half a fi")
    assert refused(await redeem(), "invalid_client_attestation")
    file.write_bytes(known)
    assert (await redeem()).status_code == 200


async def test_preset_that_demands_attestation_takes_no_assertion(world: World, signing: SigningWallet) -> None:
    """HAIP 1.0 §4.4.1."""
    signing.issuer_url = world.issuer_url("leipzig")
    code = (await world.offer(now=signing.now)).code

    assert refused(await signing.redeem(code or ""), "invalid_client", 401)


async def test_two_ways_of_authentication_at_once_are_refused(world: World, signing: SigningWallet) -> None:
    """RFC 6749 §2.3."""
    code = (await world.offer(tenant="offen", now=signing.now)).code or ""
    form = {"grant_type": PRE_AUTHORIZED_CODE, "pre-authorized_code": code, **signing.assertion()}
    headers = {**signing.attestation_headers(await signing.challenge()), **signing.dpop_header("/token")}

    answer = await signing.http.post(f"{signing.issuer_url}/token", data=form, headers=headers)

    assert refused(answer, "invalid_request")


@pytest.mark.parametrize(
    "redirect_uri",
    [
        pytest.param(f"{REDIRECT_URI}/other", id="is-005-longer"),
        pytest.param(f"{REDIRECT_URI}?a=b", id="is-005-query"),
        pytest.param("https://attacker.example/callback", id="is-005-host"),
        pytest.param("http://127.0.0.1:7777/other", id="is-005-loopback-path"),
    ],
)
async def test_registered_client_goes_to_no_other_address(public: SigningWallet, redirect_uri: str) -> None:
    """is-005: an open redirect would hand a code to whoever asks."""
    assert refused(await Flow(public).push(redirect_uri=redirect_uri), "invalid_request")
    assert (await Flow(public).push()).status_code == 201
    assert (await Flow(public).push(redirect_uri="http://127.0.0.1:7777/back")).status_code == 201


async def test_attested_client_goes_to_its_registered_addresses_if_it_has_any(
    world: World, http: httpx.AsyncClient, clock: SteppedClock
) -> None:
    """is-005: an attested wallet that nobody registered brings its own (RFC 9126 §2.4)."""
    wallet = Wallet(http, world.issuer_url(), world.provider, clock)
    elsewhere = "https://elsewhere.example/callback"

    assert refused(await Flow(wallet).push(redirect_uri=elsewhere), "invalid_request")
    wallet.client_id = "https://unregistered.example"
    assert (await Flow(wallet).push(redirect_uri=elsewhere)).status_code == 201


async def test_public_client_that_nobody_registered_logs_nobody_in(world: World, public: SigningWallet) -> None:
    """is-005: but it may redeem a code that the city gave to a person."""
    public.client_id = "https://unregistered.example"
    code = (await world.offer(tenant="offen", delivery=Delivery.VALUE, now=public.now)).code

    assert refused(await Flow(public).push(), "invalid_client", 401)
    assert (await public.redeem(code or "")).status_code == 200


@pytest.mark.parametrize(
    "clients",
    [
        "{client_id: a b}",
        "{client_id: a, redirect_uris: ['http://example.org/']}",
        "{client_id: a, redirect_uris: ['https://a.example/#f']}",
        "{client_id: a, keys: [{kty: oct, k: AAAA}]}",
        "{client_id: a, secret: b}",
        "{client_id: a}, {client_id: a}",
    ],
)
def test_description_that_is_not_understood_is_refused(tmp_path: Path, clients: str) -> None:
    (tmp_path / "leipzig.yaml").write_text(f"wallet_clients: [{clients}]", encoding="utf-8")
    with pytest.raises(CatalogError, match=r"leipzig\.yaml:1"):
        load_tenant_files(tmp_path)
