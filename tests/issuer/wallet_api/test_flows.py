"""From offer to credential, in both flows and both formats."""

import httpx
import pytest

from issuer.store.tables import Delivery, Grant
from specs.encoding import base64url, cbor, strict_json
from specs.protocols.credential_offer import parse_credential_offer
from specs.protocols.issuer_metadata import parse_issuer_metadata, verify_signed_metadata
from specs.protocols.oauth_metadata import parse_authorization_server_metadata
from specs.trust.anchors import AnchorKind, anchors_from_pem
from tests.issuer.wallet_api.browser import log_in_and
from tests.issuer.wallet_api.world import MDOC, REDIRECT_URI, SD_JWT, Flow, SteppedClock, Wallet, World, answer_members


async def test_metadata_of_each_preset_is_read_by_a_strict_wallet(world: World, http: httpx.AsyncClient) -> None:
    for tenant in ("leipzig", "offen", "bund"):
        issuer = await http.get(
            f"/.well-known/openid-credential-issuer/t/{tenant}", headers={"Accept": "application/json"}
        )
        server = await http.get(f"/.well-known/oauth-authorization-server/t/{tenant}")

        metadata = parse_issuer_metadata(
            issuer.content, expected_issuer=world.issuer_url(tenant), allow_loopback_http=True
        )
        assert metadata.nonce_endpoint == f"{world.issuer_url(tenant)}/nonce"
        assert metadata.configurations[SD_JWT].scope == SD_JWT
        oauth = parse_authorization_server_metadata(
            server.content, expected_issuer=world.issuer_url(tenant), allow_loopback_http=True
        )
        assert oauth.authorization_response_iss_parameter_supported
        assert "attest_jwt_client_auth" in oauth.token_endpoint_auth_methods_supported


async def test_signed_metadata_come_on_request_and_first_where_the_preset_demands_them(
    world: World, http: httpx.AsyncClient, clock: SteppedClock
) -> None:
    wanted = await http.get("/.well-known/openid-credential-issuer/t/leipzig", headers={"Accept": "application/jwt"})
    tie = await http.get(
        "/.well-known/openid-credential-issuer/t/bund", headers={"Accept": "application/json, application/jwt"}
    )
    plain = await http.get("/.well-known/openid-credential-issuer/t/leipzig")

    assert plain.headers["content-type"] == "application/json"
    for answer, tenant in ((wanted, "leipzig"), (tie, "bund")):
        assert answer.headers["content-type"] == "application/jwt"
        root = (world.settings.data_dir / "keys" / tenant / "access-ca.crt.pem").read_bytes()
        verify_signed_metadata(
            answer.text,
            expected_issuer=world.issuer_url(tenant),
            anchors=anchors_from_pem(root, kind=AnchorKind.CA, name="access"),
            now=clock.now,
            allow_loopback_http=True,
        )


async def test_offer_by_reference_leads_to_both_formats_in_batches(world: World, wallet: Wallet) -> None:
    armed = await world.offer(delivery=Delivery.REFERENCE, tx_code=True, now=wallet.now)
    first = await wallet.http.get(f"{wallet.issuer_url}/offers/{armed.reference}")
    second = await wallet.http.get(f"{wallet.issuer_url}/offers/{armed.reference}")
    offer = parse_credential_offer(second.content, allow_loopback_http=True)
    assert first.headers["cache-control"] == "no-store"
    assert offer.pre_authorized_code is not None
    assert offer.pre_authorized_code.code not in first.text

    answer = await wallet.redeem(offer.pre_authorized_code.code, armed.tx_code)
    token = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    assert (token["token_type"], token["expires_in"]) == ("DPoP", 600)

    sd_jwt = await wallet.credential(token["access_token"], await wallet.request_body(SD_JWT, copies=3))
    mdoc = await wallet.credential(token["access_token"], await wallet.request_body(MDOC, copies=2))

    assert (sd_jwt.status_code, mdoc.status_code) == (200, 200), (sd_jwt.text, mdoc.text)
    copies = [entry["credential"] for entry in sd_jwt.json()["credentials"]]
    payloads = [strict_json.parse_object(base64url.decode(copy.split(".")[1])) for copy in copies]
    assert len({str(payload["status"]) for payload in payloads}) == 3
    assert len({str(payload["cnf"]) for payload in payloads}) == 3
    for entry in mdoc.json()["credentials"]:
        assert set(cbor.decode_map(base64url.decode(entry["credential"]))) == {"nameSpaces", "issuerAuth"}
    gone = await wallet.http.get(f"{wallet.issuer_url}/offers/{armed.reference}")
    assert gone.status_code == 404


async def test_more_proofs_than_copies_give_fewer_credentials(world: World, wallet: Wallet) -> None:
    wallet.issuer_url = world.issuer_url("bund")
    token = await wallet.access_token(world, tenant="bund")

    answer = await wallet.credential(token, await wallet.request_body(copies=3))

    assert answer.status_code == 200, answer.text
    assert len(answer.json()["credentials"]) == 1


async def test_notification_is_taken_once_and_repeated_without_effect(world: World, wallet: Wallet) -> None:
    token = await wallet.access_token(world)
    issued = await wallet.credential(token, await wallet.request_body())

    async def notify(event: str, notification_id: str) -> httpx.Response:
        return await wallet.http.post(
            f"{wallet.issuer_url}/notification",
            json={"notification_id": notification_id, "event": event, "more": 1},
            headers={"Authorization": f"DPoP {token}", **wallet.dpop_header("/notification", token)},
        )

    known = issued.json()["notification_id"]
    for event in ("credential_accepted", "credential_accepted", "credential_deleted"):
        assert (await notify(event, known)).status_code == 204
    unknown = await notify("credential_accepted", "somebody-else's")
    assert (unknown.status_code, unknown.json()["error"]) == (400, "invalid_notification_id")
    bad = await notify("credential_lost", known)
    assert bad.json()["error"] == "invalid_notification_request"


@pytest.mark.parametrize("details", [False, True], ids=["scope", "authorization_details"])
async def test_authorization_code_flow_ends_with_credentials(wallet: Wallet, details: bool) -> None:
    flow = Flow(wallet)
    asked = strict_json.dumps([{"type": "openid_credential", "credential_configuration_id": SD_JWT}]).decode()
    request_uri = await flow.request_uri(**({"scope": "", "authorization_details": asked} if details else {}))

    location = await log_in_and("approve", flow, request_uri)
    answer = answer_members(location)
    assert location.startswith(f"{REDIRECT_URI}?")
    assert (answer["iss"], answer["state"]) == (wallet.issuer_url, flow.state)

    token = await wallet.token(flow.token_form(answer["code"]))
    assert token.status_code == 200, token.text
    body = await wallet.request_body()
    if details:
        granted = token.json()["authorization_details"]
        body["credential_identifier"] = granted[0]["credential_identifiers"][0]
        del body["credential_configuration_id"]
    else:
        assert token.json()["scope"] == f"{SD_JWT} {MDOC}"
    issued = await wallet.credential(token.json()["access_token"], body)
    assert issued.status_code == 200, issued.text


async def test_details_win_over_a_scope_for_the_same_credential(wallet: Wallet) -> None:
    """OpenID4VCI §5.1.2: the same type asked for both ways is one credential, named by its identifier; others stay."""
    flow = Flow(wallet)
    asked = strict_json.dumps([{"type": "openid_credential", "credential_configuration_id": SD_JWT}]).decode()
    request_uri = await flow.request_uri(scope=f"{SD_JWT} {MDOC}", authorization_details=asked)

    code = answer_members(await log_in_and("approve", flow, request_uri))["code"]
    token = (await wallet.token(flow.token_form(code))).json()

    granted = {
        each["credential_configuration_id"]: each["credential_identifiers"] for each in token["authorization_details"]
    }
    assert set(granted) == {SD_JWT, MDOC}
    assert all(len(identifiers) == 1 for identifiers in granted.values())
    by_configuration = await wallet.credential(token["access_token"], await wallet.request_body())
    assert by_configuration.status_code == 400
    body = {**await wallet.request_body(), "credential_identifier": granted[SD_JWT][0]}
    del body["credential_configuration_id"]
    assert (await wallet.credential(token["access_token"], body)).status_code == 200


async def test_offer_for_the_authorization_code_flow_is_collected_by_its_subject(world: World, wallet: Wallet) -> None:
    armed = await world.offer(grant=Grant.AUTHORIZATION_CODE, now=wallet.now)
    assert armed.issuer_state is not None
    flow = Flow(wallet)
    request_uri = await flow.request_uri(issuer_state=armed.issuer_state)

    code = answer_members(await log_in_and("approve", flow, request_uri))["code"]
    token = await wallet.token(flow.token_form(code))
    issued = await wallet.credential(token.json()["access_token"], await wallet.request_body())
    again = await Flow(wallet).push(issuer_state=armed.issuer_state)

    assert issued.status_code == 200, issued.text
    assert (again.status_code, again.json()["error"]) == (400, "invalid_request")


async def test_wallet_without_attestation_is_served_where_the_preset_allows_it(world: World, wallet: Wallet) -> None:
    url = world.issuer_url("offen")
    armed = await world.offer(tenant="offen", now=wallet.now)
    assert armed.code is not None
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code", "pre-authorized_code": armed.code}

    token = await wallet.http.post(f"{url}/token", data=form)
    refused = await wallet.http.post(f"{wallet.issuer_url}/token", data=form)

    assert (token.json()["token_type"], token.json()["expires_in"]) == ("Bearer", 300)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
