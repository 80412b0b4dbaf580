"""Pushed requests and the browser's way: errors are said at once, and nothing leads elsewhere (is-004 to is-007)."""

import httpx
import pytest

from issuer.store.tables import Grant
from tests.issuer.wallet_api.browser import log_in, log_in_and, open_login, submit
from tests.issuer.wallet_api.world import REDIRECT_URI, Flow, SteppedClock, Wallet, World, answer_members


@pytest.fixture
def flow(wallet: Wallet) -> Flow:
    """A wallet's authorization request."""
    return Flow(wallet)


def is_error_page(answer: httpx.Response, code: str = "invalid_request_uri") -> bool:
    """Whether the answer is our page with this code, and no redirect."""
    assert "location" not in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code in (400, 403) and f"{code}</p>" in answer.text and 'id="error"' in answer.text


async def test_request_uri_of_another_client_is_refused(flow: Flow) -> None:
    """is-004, RFC 9126 §2.2."""
    request_uri = await flow.request_uri()

    stolen = await flow.wallet.http.get(flow.authorize_url(request_uri, client_id="https://other.example"))
    assert is_error_page(stolen)
    assert (await open_login(flow, request_uri)).status_code == 200


async def test_request_uri_is_good_for_views_until_one_is_completed(flow: Flow) -> None:
    """is-004, FAPI 2.0 §5.3.2.2 note 3: looking costs nothing; the first completion ends every other view."""
    request_uri = await flow.request_uri()
    forgotten = await open_login(flow, request_uri)
    consent = await log_in(flow, request_uri)

    assert (await submit(flow.wallet.http, consent, decision="approve")).status_code == 303

    assert is_error_page(await flow.wallet.http.get(flow.authorize_url(request_uri)))
    late = await submit(flow.wallet.http, forgotten, username="mila", password="einfach", decision="login")
    assert is_error_page(late, "login_over")
    assert is_error_page(await submit(flow.wallet.http, consent, decision="approve"), "login_over")


async def test_request_uri_expires_after_a_minute(flow: Flow, clock: SteppedClock) -> None:
    """is-004, RFC 9126 §4."""
    request_uri = await flow.request_uri()
    clock.now += 60

    assert is_error_page(await flow.wallet.http.get(flow.authorize_url(request_uri)))


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="is-004-nothing"),
        pytest.param("client_id=x&redirect_uri=https://evil.example&response_type=code", id="is-004-without-par"),
        pytest.param("client_id=x&request_uri=a&request_uri=b", id="is-004-repeated"),
    ],
)
async def test_request_without_request_uri_is_refused(wallet: Wallet, query: str) -> None:
    """is-004, FAPI 2.0 §5.3.2.2: requests come through PAR only."""
    assert is_error_page(await wallet.http.get(f"{wallet.issuer_url}/authorize?{query}"), "invalid_request")


async def test_guessed_request_uri_is_refused(flow: Flow) -> None:
    """is-004."""
    guessed = flow.authorize_url("urn:ietf:params:oauth:request_uri:guessed")

    assert is_error_page(await flow.wallet.http.get(guessed))


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        pytest.param({"code_challenge": ""}, "invalid_request", id="is-005-no-pkce"),
        pytest.param({"code_challenge_method": ""}, "invalid_request", id="is-005-pkce-method-missing"),
        pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="is-005-pkce-plain"),
        pytest.param({"response_type": "code id_token"}, "unsupported_response_type", id="is-005-response-type"),
        pytest.param({"redirect_uri": ""}, "invalid_request", id="is-005-redirect-uri-missing"),
        pytest.param({"redirect_uri": "http://wallet.example/cb"}, "invalid_request", id="is-005-redirect-uri-http"),
        pytest.param({"redirect_uri": "javascript:alert(1)"}, "invalid_request", id="is-005-redirect-uri-script"),
        pytest.param({"request_uri": "urn:x"}, "invalid_request", id="is-005-request-uri-inside"),
        pytest.param({"scope": "unknown"}, "invalid_scope", id="is-005-scope"),
        pytest.param({"issuer_state": "injected"}, "invalid_request", id="is-005-issuer-state"),
        pytest.param({"authorization_details": "[]"}, "invalid_authorization_details", id="is-005-details"),
        pytest.param({"dpop_jkt": "A" * 43}, "invalid_dpop_proof", id="is-005-dpop-jkt"),
    ],
)
async def test_pushed_request_with_one_defect_is_refused(flow: Flow, changes: dict[str, str], error: str) -> None:
    """is-005, RFC 9126 §2.3: the error is JSON at the pushed request, never a redirect later."""
    answer = await flow.push(**changes)

    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert (await flow.push()).status_code == 201


async def test_pushed_request_with_another_clients_authentication_is_refused(flow: Flow) -> None:
    """is-005, HAIP §4.4.1: client_id is the attested `sub`."""
    answer = await flow.push(client_id="https://other.example")

    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_pushed_request_of_a_megabyte_is_refused(flow: Flow) -> None:
    """is-005."""
    answer = await flow.push(more="x" * 1_000_000)

    assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")


@pytest.mark.parametrize("decision", ["approve", "deny"])
async def test_answer_names_its_issuer_and_state(flow: Flow, decision: str) -> None:
    """is-006, RFC 9207 §2: with a code as with an error."""
    location = await log_in_and(decision, flow, await flow.request_uri())

    members = answer_members(location)
    assert location.startswith(f"{REDIRECT_URI}?")
    assert (members["iss"], members["state"]) == (flow.wallet.issuer_url, flow.state)
    assert ("code" in members, members.get("error")) == (
        (True, None) if decision == "approve" else (False, "access_denied")
    )


async def test_cancelling_the_login_goes_back_with_an_error(flow: Flow) -> None:
    """is-006, RFC 6749 §4.1.2.1; the request is spent."""
    request_uri = await flow.request_uri()
    page = await open_login(flow, request_uri)

    answer = await submit(flow.wallet.http, page, decision="deny")

    assert answer_members(answer.headers["location"])["error"] == "access_denied"
    assert is_error_page(await flow.wallet.http.get(flow.authorize_url(request_uri)))


async def test_forms_from_elsewhere_are_refused(flow: Flow) -> None:
    """is-007: no token, another login's token, or another origin."""
    http, request_uri = flow.wallet.http, await flow.request_uri()
    consent, other = await log_in(flow, request_uri), await open_login(flow, request_uri)
    address = str(consent.url)
    foreign = other.text.partition('name="csrf_token" value="')[2].partition('"')[0]

    assert is_error_page(await http.post(address, data={"decision": "approve"}), "login_over")
    assert is_error_page(await http.post(address, data={"decision": "approve", "csrf_token": foreign}), "login_over")
    own = consent.text.partition('name="csrf_token" value="')[2].partition('"')[0]
    forged = await http.post(
        address, data={"decision": "approve", "csrf_token": own}, headers={"Origin": "https://evil.example"}
    )
    assert is_error_page(forged, "login_over")
    assert (await submit(http, consent, decision="approve")).status_code == 303


async def test_login_belongs_to_one_browser_and_changes_its_cookie(flow: Flow) -> None:
    """is-007, session fixation: a cookie planted before the login is worth nothing after it."""
    http, request_uri = flow.wallet.http, await flow.request_uri()
    page = await open_login(flow, request_uri)
    planted = dict(http.cookies)
    answer = await submit(http, page, username="mila", password="einfach", decision="login")
    assert "samesite=lax" in answer.headers["set-cookie"].lower()
    assert "httponly" in answer.headers["set-cookie"].lower()

    http.cookies.clear()
    assert is_error_page(await http.get(answer.headers["location"]), "login_over")
    http.cookies.update(planted)
    assert is_error_page(await http.get(answer.headers["location"]), "login_over")
    assert is_error_page(await http.get(str(page.url)), "login_over")


async def test_pages_forbid_frames_and_scripts(flow: Flow) -> None:
    """is-007, clickjacking: only the wallet's own address may follow our forms."""
    page = await open_login(flow, await flow.request_uri())

    policy = page.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self' https://wallet.example;" in policy
    assert "<script" not in page.text
    assert "style=" not in page.text


async def test_five_wrong_passwords_end_a_login(flow: Flow) -> None:
    """is-007: and the page says which language it speaks."""
    page = await open_login(flow, await flow.request_uri())
    for _ in range(5):
        answer = await submit(flow.wallet.http, page, username="mila", password="falsch", decision="login")
        assert answer.status_code == 401
        assert 'id="login-failed"' in answer.text

    right = await submit(flow.wallet.http, page, username="mila", password="einfach", decision="login")
    assert is_error_page(right, "login_over")


async def test_offer_of_somebody_else_is_not_collected(world: World, flow: Flow) -> None:
    """The person logged in must be the offer's subject; the right one still can."""
    armed = await world.offer(grant=Grant.AUTHORIZATION_CODE, now=flow.wallet.now)
    assert armed.issuer_state is not None
    request_uri = await flow.request_uri(issuer_state=armed.issuer_state)
    page = await open_login(flow, request_uri)

    wrong = await submit(flow.wallet.http, page, username="jon", password="auch-einfach", decision="login")

    assert is_error_page(wrong, "wrong_person")
    assert "code" in answer_members(await log_in_and("approve", flow, request_uri))
