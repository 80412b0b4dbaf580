"""Login at an OpenID Provider of its own process: the person whom it names collects, and nobody else."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from issuer.app import create_app
from issuer.catalog.placed_yaml import CatalogError
from issuer.tenant_file import load_tenant_files
from tests.defects import Defect, defect, defects
from tests.issuer.city.desk import Desk, disclosed, open_desk
from tests.issuer.city.openid_provider import CLIENT_ID, CLIENT_SECRET, PERSON, Provider, running_provider
from tests.issuer.wallet_api.browser import open_login, submit
from tests.issuer.wallet_api.world import CLAIMS, SD_JWT, Flow, SteppedClock, answer_members, build_world

PUBLIC_URL = "http://127.0.0.1:8701"
_CODE = re.compile(r'id="error">[^:]*: (\w+)<')


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    """The citizen account."""
    with running_provider() as running:
        yield running


def arrange(folder: Path, provider: Provider, *, extra: str = "") -> Path:
    """The tenant's file."""
    secret = folder / "client-secret"
    secret.write_text(CLIENT_SECRET, encoding="utf-8")
    tenants = folder / "tenants"
    tenants.mkdir()
    (tenants / "leipzig.yaml").write_text(
        f"""\
login:
  openid:
    issuer: {provider.url}
    client_id: {CLIENT_ID}
    client_secret_file: {secret}
    scopes: [profile]
    acr: [high]
    reference: sub
    claims:
      leipzig_pass:
        family_name: family_name
        given_name: given_name
        birthdate: birthdate
        entitled: city.pass
        valid_until_month: city.until
{extra}""",
        encoding="utf-8",
    )
    return tenants


@pytest.fixture
async def desk(tmp_path: Path, provider: Provider) -> AsyncIterator[Desk]:
    """An issuer where people log in at the provider."""
    provider.behave()
    clock = SteppedClock()
    world = await build_world(tmp_path, public_url=PUBLIC_URL, tenants={"leipzig": "haip-1.0", "dresden": "haip-1.0"})
    world.settings = world.settings.model_copy(update={"tenant_dir": arrange(tmp_path, provider), "demo_login": False})
    app = create_app(world.settings, clock=clock)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as http:
        yield await open_desk(world, app.state.service, http, clock, tenants=("leipzig",))
    app.state.service.outgoing.close()
    await app.state.service.store.close()


async def leave(desk: Desk, flow: Flow, **changes: str) -> str:
    """Press the button; where the browser is sent."""
    page = await open_login(flow, await flow.request_uri(**changes))
    assert page.status_code == 200, page.text
    assert 'id="password"' not in page.text, "there is no other way here"
    assert flow.wallet.issuer_url in str(page.url)
    answer = await submit(desk.http, page, decision="openid")
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def log_in_elsewhere(desk: Desk, flow: Flow, **changes: str) -> httpx.Response:
    """To the provider and back; the page that our issuer answers with."""
    target = await leave(desk, flow, **changes)
    async with httpx.AsyncClient() as browser:
        back = (await browser.get(target)).headers["location"]
    return await desk.http.get(back)


async def test_person_whom_the_provider_names_collects(desk: Desk, provider: Provider) -> None:
    flow = Flow(desk.wallet())
    back = await log_in_elsewhere(desk, flow)
    assert back.status_code == 303, back.text
    consent = await desk.http.get(back.headers["location"])
    decided = await submit(desk.http, consent, decision="approve")
    code = answer_members(decided.headers["location"])["code"]
    token = (await flow.wallet.token(flow.token_form(code))).json()["access_token"]
    answer = await flow.wallet.credential(token, await flow.wallet.request_body(SD_JWT))
    claims = disclosed(answer.json()["credentials"][0]["credential"])
    assert (claims["given_name"], claims["valid_until_month"]) == (PERSON["given_name"], "2099-06")
    before = provider.counts()
    assert (await log_in_elsewhere(desk, Flow(desk.wallet()))).status_code == 303
    for path in ("/.well-known/openid-configuration", "/jwks"):
        assert provider.counts()[path] == before[path], "both are kept"


async def test_question_to_the_provider_is_bound_to_this_login(desk: Desk) -> None:
    one, two = [parse_qs(urlsplit(await leave(desk, Flow(desk.wallet()))).query) for _ in range(2)]
    assert one["redirect_uri"] == [f"{desk.world.issuer_url()}/openid/callback"]
    assert one["scope"] == ["openid profile"]
    assert one["acr_values"] == ["high"]
    for name in ("state", "nonce", "code_challenge"):
        assert one[name] != two[name]


async def test_offer_is_for_the_person_who_logs_in(desk: Desk) -> None:
    """The subject of the city's offer must be the one whom the provider names."""
    for subject, status in (("buerger-17", 303), ("buerger-18", 403)):
        made = await desk.make_offer(
            subject=subject, grant="authorization_code", claims={"leipzig_pass": CLAIMS}, delivery="value"
        )
        offer = parse_qs(urlsplit(made.json()["offer_uri"]).query)["credential_offer"][0]
        issuer_state = re.search(r'"issuer_state":"([^"]+)"', offer)
        assert issuer_state is not None
        back = await log_in_elsewhere(desk, Flow(desk.wallet()), issuer_state=issuer_state[1])
        assert back.status_code == status, back.text


@defect("is-006", refused_as="login_failed")
def other_iss_in_the_answer(provider: Provider) -> Provider:
    """RFC 9207 §2.4: the answer is another provider's."""
    provider.behave(iss_answer="https://id.example.net")
    return provider


@defect("is-006b", refused_as="login_over")
def mixed_up_state(provider: Provider) -> Provider:
    """OpenID Connect Core §3.1.2.1: not the state that left."""
    provider.behave(state=".forged")
    return provider


@defect("is-006c", refused_as="login_failed")
def other_nonce(provider: Provider) -> Provider:
    """OpenID Connect Core §3.1.3.7 rule 11: an ID token of another login."""
    provider.behave(nonce="another")
    return provider


@defect("is-006d", refused_as="login_failed")
def no_nonce(provider: Provider) -> Provider:
    """OpenID Connect Core §3.1.3.7 rule 11: none at all."""
    provider.behave(nonce=None)
    return provider


@defect("is-006e", refused_as="login_failed")
def other_audience(provider: Provider) -> Provider:
    """OpenID Connect Core §3.1.3.7 rule 3: a token for another client."""
    provider.behave(aud="another-client")
    return provider


@defect("is-006f", refused_as="login_failed")
def authorized_for_another(provider: Provider) -> Provider:
    """OpenID Connect Core §3.1.3.7 rule 5: among several audiences another one is meant."""
    provider.behave(aud=[CLIENT_ID, "another-client"], azp="another-client")
    return provider


@defect("is-006g", refused_as="login_failed")
def other_issuer(provider: Provider) -> Provider:
    """OpenID Connect Core §3.1.3.7 rule 2: another provider's token."""
    provider.behave(iss="https://id.example.net")
    return provider


@defect("is-006h", refused_as="login_failed")
def expired(provider: Provider) -> Provider:
    """OpenID Connect Core §3.1.3.7 rule 9: over, beyond any clock skew."""
    provider.behave(exp=1_700_000_000)
    return provider


@defect("is-006i", refused_as="login_failed")
def other_key(provider: Provider) -> Provider:
    """OpenID Connect Core §3.1.3.7 rule 6: signed with another key under the same kid."""
    provider.behave(key="other")
    return provider


@defect("is-006j", refused_as="login_failed")
def unpublished_key(provider: Provider) -> Provider:
    """OpenID Connect Core §10.1.1: a kid that the provider does not publish, even when it is asked again."""
    provider.behave(key="next")
    return provider


@defect("is-006k", refused_as="login_failed")
def unsigned(provider: Provider) -> Provider:
    """RFC 8725 §3.1: nobody's token."""
    provider.behave(alg="none")
    return provider


@defect("is-006l", refused_as="login_failed")
def too_little_assurance(provider: Provider) -> Provider:
    """OpenID Connect Core §2: a lower level of assurance than the tenant asks for."""
    provider.behave(acr="low")
    return provider


@defect("is-006m", refused_as="login_failed")
def nobody(provider: Provider) -> Provider:
    """OpenID Connect Core §2: no subject."""
    provider.behave(sub=None)
    return provider


@defect("is-006n", refused_as="login_failed")
def declined(provider: Provider) -> Provider:
    """OpenID Connect Core §3.1.2.6: the provider says no."""
    provider.behave(error="access_denied")
    return provider


UPSTREAM_DEFECTS = [case for case in defects("is") if case.id.startswith("is-006")]


async def test_answer_with_one_defect_logs_nobody_in(desk: Desk, provider: Provider) -> None:
    for case in UPSTREAM_DEFECTS:
        refused: Defect[Provider] = case
        refused.apply(provider)
        back = await log_in_elsewhere(desk, Flow(desk.wallet()))
        assert back.status_code in (400, 403), case.id
        shown = _CODE.search(back.text)
        assert shown is not None
        assert shown[1] == case.refused_as, case.id
        provider.behave()
        assert (await log_in_elsewhere(desk, Flow(desk.wallet()))).status_code == 303, "the valid twin"


async def test_answer_counts_once_and_in_the_browser_that_left(desk: Desk) -> None:
    """is-007: neither played back nor carried to another browser."""
    flow = Flow(desk.wallet())
    target = await leave(desk, flow)
    async with httpx.AsyncClient() as browser:
        back = (await browser.get(target)).headers["location"]
    kept = dict(desk.http.cookies)
    desk.http.cookies.clear()
    assert (await desk.http.get(back)).status_code == 400, "another browser"
    desk.http.cookies.update(kept)
    assert (await desk.http.get(back)).status_code == 303
    assert (await desk.http.get(back)).status_code == 400, "a second time"


async def test_new_key_of_the_provider_is_fetched_when_it_turns_up(desk: Desk, provider: Provider) -> None:
    assert (await log_in_elsewhere(desk, Flow(desk.wallet()))).status_code == 303
    provider.behave(key="next", publish_next=True)
    assert (await log_in_elsewhere(desk, Flow(desk.wallet()))).status_code == 403, "fetched a moment ago"
    known = desk.service.openid._known[provider.url]
    known.keys_at -= 61
    assert (await log_in_elsewhere(desk, Flow(desk.wallet()))).status_code == 303


async def test_provider_that_describes_another_issuer_is_not_asked(desk: Desk, provider: Provider) -> None:
    provider.behave(issuer="https://id.example.net")
    page = await open_login(flow := Flow(desk.wallet()), await flow.request_uri())
    answer = await submit(desk.http, page, decision="openid")
    assert answer.status_code == 503


def test_file_with_a_defect_is_refused_with_its_place(tmp_path: Path, provider: Provider) -> None:
    tenants = arrange(tmp_path, provider, extra="    secret: x\n")
    with pytest.raises(CatalogError, match=r"leipzig\.yaml:\d+:\d+: login\.openid\.secret"):
        load_tenant_files(tenants)
