"""`stadtnachweis issuer --profile oidf`: what the suite's contract asks of a target."""

import socket
import ssl
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.signer import generate_signer
from specs.protocols.key_attestation import build_key_attestation
from specs.protocols.key_proof import build_key_proof
from tests.issuer.oidf.conftest import Target
from tests.issuer.wallet_api.world import Flow, Wallet, answer_members

SD_JWT, MDOC = "pid_plain-sd-jwt", "pid_plain-mdoc"
ATTESTED = "pid_attested-sd-jwt"


async def metadata(target: Target, http: httpx.AsyncClient) -> JsonObject:
    """The issuer's metadata, as the suite looks for them."""
    parts = urlsplit(target.issuer_url)
    answer = await http.get(f"{parts.scheme}://{parts.netloc}/.well-known/openid-credential-issuer{parts.path}")
    return strict_json.parse_object(answer.content)


async def order(target: Target, http: httpx.AsyncClient, key: str | None = None, **members: object) -> httpx.Response:
    """Ask the driver's hook for an offer."""
    headers = {"Authorization": f"Bearer {key or target.admin['key']}"}
    return await http.post(target.admin["offers"], json={"configuration_id": SD_JWT} | members, headers=headers)


def query_of(offer_uri: str) -> dict[str, str]:
    """The members of an offer's deep link."""
    return {name: values[0] for name, values in parse_qs(urlsplit(offer_uri).query).items()}


async def switch(target: Target, http: httpx.AsyncClient, **switches: bool | int | None) -> httpx.Response:
    """Turn the target's switches; those not named go back."""
    headers = {"Authorization": f"Bearer {target.admin['key']}"}
    return await http.put(target.admin["switches"], json=switches, headers=headers)


async def issuer_state(target: Target, http: httpx.AsyncClient, configuration_id: str) -> str:
    """What an offer for the authorization code flow carries."""
    made = await order(target, http, by="value", configuration_id=configuration_id)
    offer = strict_json.parse_object(query_of(made.json()["offer_uri"])["credential_offer"].encode())
    assert offer["credential_configuration_ids"] == [configuration_id]
    return str(offer["grants"]["authorization_code"]["issuer_state"])  # type: ignore[index,call-overload]


async def submit(http: httpx.AsyncClient, page: httpx.Response, **fields: str) -> httpx.Response:
    """Send the form of a page."""
    csrf = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    answer = await http.post(page.url, data={"csrf_token": csrf, **fields})
    assert answer.status_code == 303
    return answer


async def access_token(flow: Flow, configuration_id: str, **members: str) -> str:
    """The access token of `tokens`."""
    return str((await tokens(flow, configuration_id, **members))["access_token"])


async def tokens(flow: Flow, configuration_id: str, **members: str) -> JsonObject:
    """Go through the browser's pages as the suite does, and redeem the code; the token answer."""
    wallet, http = flow.wallet, flow.wallet.http
    request_uri = await flow.request_uri(scope=configuration_id, **members)
    page = await http.get(flow.authorize_url(request_uri), follow_redirects=True)
    answer = await submit(http, page, username="oidf", password="oidf", decision="login")
    page = await http.get(page.url.join(answer.headers["location"]))
    answer = await submit(http, page, decision="approve")
    code = answer_members(answer.headers["location"])["code"]
    token = await wallet.token(flow.token_form(code))
    assert token.status_code == 200, token.text
    return strict_json.parse_object(token.content)


async def test_the_printed_configuration_is_of_this_target(target: Target, http: httpx.AsyncClient) -> None:
    published = await metadata(target, http)
    assert published["credential_issuer"] == target.issuer_url
    assert target.issuer_url.startswith("https://localhost:")
    known = published["credential_configurations_supported"]
    assert isinstance(known, dict)
    assert set(target.at("stadtnachweis", "credential_configurations").values()) == set(known)
    assert target.at("vci")["credential_configuration_id"] in known
    assert str(target.at("credential")["trust_anchor_pem"]).startswith("-----BEGIN CERTIFICATE-----")
    assert target.at("client")["client_id"] != target.at("client2")["client_id"]


def proof_types(configurations: JsonObject, configuration_id: str) -> set[str]:
    """The proof types of a configuration."""
    configuration = configurations[configuration_id]
    assert isinstance(configuration, dict)
    supported = configuration["proof_types_supported"]
    assert isinstance(supported, dict)
    return set(supported)


async def test_key_attestation_is_demanded_of_one_configuration_and_not_of_another(
    target: Target, http: httpx.AsyncClient
) -> None:
    known = (await metadata(target, http))["credential_configurations_supported"]
    assert isinstance(known, dict)
    for form in ("sd-jwt", "mdoc"):
        for kind in ("attested", "deferred"):
            assert proof_types(known, f"pid_{kind}-{form}") == {"jwt", "attestation"}
        assert proof_types(known, f"pid_plain-{form}") == {"jwt"}


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [
        pytest.param(ssl.TLSVersion.TLSv1_2, "ECDHE+AES:!AESGCM:!AESCCM", id="cbc"),
        pytest.param(ssl.TLSVersion.TLSv1_2, "ECDHE+CHACHA20", id="chacha20"),
        pytest.param(ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0", id="tls-1.1"),
    ],
)
def test_weak_ways_to_connect_are_refused(target: Target, version: ssl.TLSVersion, ciphers: str) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(target, version, ciphers)


@pytest.mark.parametrize(
    ("version", "ciphers", "cipher"),
    [
        (ssl.TLSVersion.TLSv1_2, "ECDHE+AESGCM", "ECDHE-ECDSA-AES"),
        (ssl.TLSVersion.TLSv1_3, "ALL", "TLS_"),
    ],
)
def test_good_ways_to_connect_are_taken(target: Target, version: ssl.TLSVersion, ciphers: str, cipher: str) -> None:
    assert handshake(target, version, ciphers).startswith(cipher)


def handshake(target: Target, version: ssl.TLSVersion, ciphers: str) -> str:
    """Connect with one version; the cipher suite that was agreed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers(ciphers)
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(target.address, 10) as plain, context.wrap_socket(plain) as wrapped:
        agreed = wrapped.cipher()
        assert agreed is not None
        return agreed[0]


async def attested_request(target: Target, wallet: Wallet, configuration_id: str) -> JsonObject:
    """A credential request with one key that the target's key attester vouches for."""
    nonce, holder = await wallet.nonce(), generate_signer()
    attestation = build_key_attestation(
        attester=target.identity("key_attestation_jwks"),
        keys=[holder.public_key],
        now=wallet.now,
        lifetime=300,
        nonce=nonce,
        key_storage=["iso_18045_high"],
    )
    proof = build_key_proof(
        signer=holder,
        audience=target.issuer_url,
        now=wallet.now,
        nonce=nonce,
        client_id=wallet.client_id,
        key_attestation=attestation,
    )
    return {"credential_configuration_id": configuration_id, "proofs": {"jwt": [proof]}}


@pytest.mark.parametrize("offered", [False, True])
async def test_an_attested_key_gets_its_credential_after_a_login(
    target: Target, http: httpx.AsyncClient, wallet: Wallet, offered: bool
) -> None:
    members = {"issuer_state": await issuer_state(target, http, ATTESTED)} if offered else {}
    token = await access_token(Flow(wallet), ATTESTED, **members)
    request = await attested_request(target, wallet, ATTESTED)
    answer = await wallet.credential(token, request)
    assert answer.status_code == 200, answer.text
    without = await wallet.request_body(ATTESTED)
    assert (await wallet.credential(token, without)).json()["error"] == "invalid_proof"


async def test_a_second_wallet_may_send_the_first_ones_issuer_state(
    target: Target, http: httpx.AsyncClient, wallet: Wallet
) -> None:
    state = await issuer_state(target, http, SD_JWT)
    for client_id in ("oidf-client-1", "oidf-client-2"):
        other = Wallet(http, target.issuer_url, wallet.provider, client_id=client_id)
        answer = await Flow(other).push(scope=SD_JWT, issuer_state=state)
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("by", ["value", "reference"])
async def test_a_pre_authorized_offer_has_the_transaction_code_of_the_plan(
    target: Target, http: httpx.AsyncClient, wallet: Wallet, by: str
) -> None:
    made = await order(target, http, grant="pre-authorized_code", by=by)
    members = query_of(made.json()["offer_uri"])
    if by == "value":
        content = members["credential_offer"].encode()
    else:
        content = (await http.get(members["credential_offer_uri"])).content
    grants = strict_json.parse_object(content)["grants"]
    assert isinstance(grants, dict)
    [grant] = grants.values()
    code = str(grant["pre-authorized_code"])  # type: ignore[index,call-overload]
    assert (await wallet.redeem(code, "999999")).json()["error"] == "invalid_grant"
    redeemed = await wallet.redeem(code, str(target.at("vci")["static_tx_code"]))
    assert redeemed.status_code == 200
    [detail] = redeemed.json()["authorization_details"]
    assert detail["credential_identifiers"]


async def test_the_hooks_are_behind_their_key(target: Target, http: httpx.AsyncClient) -> None:
    assert (await order(target, http)).status_code == 201
    assert (await order(target, http, key="guessed")).status_code == 401
    assert (await http.put(target.admin["switches"], json={})).status_code == 401
    assert (await order(target, http, configuration_id="unknown")).status_code == 404


async def test_a_switch_holds_from_the_next_request_on(target: Target, http: httpx.AsyncClient) -> None:
    before = await metadata(target, http)
    assert (await switch(target, http, key_attestation=True, batch_size=5)).status_code == 200
    switched = await metadata(target, http)
    assert switched["batch_credential_issuance"] == {"batch_size": 5}
    assert "attestation" in str(switched["credential_configurations_supported"]["pid_plain-mdoc"])  # type: ignore[index,call-overload]
    await switch(target, http)
    assert await metadata(target, http) == before


async def test_each_visit_of_a_request_shows_the_login_form(wallet: Wallet) -> None:
    flow = Flow(wallet)
    request_uri = await flow.request_uri(scope=SD_JWT)
    for _ in range(2):
        page = await wallet.http.get(flow.authorize_url(request_uri), follow_redirects=True)
        for element in ("username", "password", "login", "deny"):
            assert f'id="{element}"' in page.text


async def test_what_cannot_be_opened_is_an_error_page_with_the_code(target: Target, wallet: Wallet) -> None:
    flow = Flow(wallet)
    unknown = await wallet.http.get(flow.authorize_url("urn:ietf:params:oauth:request_uri:unknown"))
    assert 'id="error"' in unknown.text
    assert "invalid_request_uri" in unknown.text
    plain = await wallet.http.get(f"{target.issuer_url}/authorize?client_id=a&response_type=code")
    assert 'id="error"' in plain.text


async def test_an_attested_wallet_refreshes_with_its_attested_key_whatever_its_dpop_key(
    target: Target, http: httpx.AsyncClient, wallet: Wallet
) -> None:
    refresh_token = (await tokens(Flow(wallet), ATTESTED))["refresh_token"]
    form = {"grant_type": "refresh_token", "refresh_token": str(refresh_token), "client_id": wallet.client_id}
    rekeyed = Wallet(http, target.issuer_url, wallet.provider, instance=wallet.instance, client_id=wallet.client_id)
    assert (await rekeyed.token(form)).status_code == 200
    stranger = Wallet(http, target.issuer_url, wallet.provider, dpop=wallet.dpop, client_id=wallet.client_id)
    assert (await stranger.token(form)).json()["error"] == "invalid_grant"


async def test_a_deferred_credential_is_ready_at_the_first_poll(target: Target, wallet: Wallet) -> None:
    token = await access_token(Flow(wallet), "pid_deferred-mdoc")
    later = await wallet.credential(token, await attested_request(target, wallet, "pid_deferred-mdoc"))
    assert later.status_code == 202, later.text
    headers = {"Authorization": f"DPoP {token}", **wallet.dpop_header("/deferred_credential", token)}
    polled = await wallet.http.post(
        f"{target.issuer_url}/deferred_credential",
        json={"transaction_id": later.json()["transaction_id"]},
        headers=headers,
    )
    assert polled.status_code == 200, polled.text
    assert len(polled.json()["credentials"]) == 1
