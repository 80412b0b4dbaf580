"""What a tenant publishes about itself, held member by member against its preset, and how it is asked for."""

import base64
import json
import time

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from issuer.app import create_app
from issuer.catalog.schema import SigningAlgorithm
from issuer.presets import load_preset
from issuer.secrets_at_rest import load_secrets
from issuer.store.engine import Store
from issuer.tenant_setup import add_tenant
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import build_jws
from specs.keys.signer import generate_signer
from specs.protocols.issuer_metadata import parse_issuer_metadata, verify_signed_metadata
from specs.trust.anchors import AnchorKind, TrustAnchor
from tests.issuer.wallet_api.conftest import PUBLIC_URL
from tests.issuer.wallet_api.world import TENANTS, SteppedClock, World

JSON, JWT = "application/json", "application/jwt"
SIGNED_BY_PRESET = {"haip-1.0": False, "plain-1.0": False, "de-2026-11": True}
ISSUER_MEMBERS = {
    "credential_issuer",
    "credential_endpoint",
    "nonce_endpoint",
    "notification_endpoint",
    "batch_credential_issuance",
    "display",
    "credential_configurations_supported",
    # of features that only some presets or settings have
    "deferred_credential_endpoint",
    "credential_request_encryption",
    "credential_response_encryption",
}
CONFIGURATION_MEMBERS = {
    "format",
    "scope",
    "credential_signing_alg_values_supported",
    "cryptographic_binding_methods_supported",
    "proof_types_supported",
    "credential_metadata",
}


def metadata_url(tenant: str) -> str:
    return f"/.well-known/openid-credential-issuer/t/{tenant}"


async def issuer_metadata(http: httpx.AsyncClient, tenant: str) -> JsonObject:
    """The plain form."""
    answer = await http.get(metadata_url(tenant), headers={"Accept": JSON})
    assert (answer.status_code, answer.headers["content-type"]) == (200, JSON)
    parse_issuer_metadata(answer.content, expected_issuer=f"{PUBLIC_URL}/t/{tenant}", allow_loopback_http=True)
    document: JsonObject = answer.json()
    return document


@pytest.mark.parametrize(
    ("accept", "by_default", "where_signed_is_required"),
    [
        (None, JSON, JSON),
        ("", JSON, JSON),
        (JSON, JSON, JSON),
        (JWT, JWT, JWT),
        ("*/*", JSON, JWT),
        ("application/*", JSON, JWT),
        (f"{JWT}, {JSON}", JSON, JWT),
        (f"{JSON}, {JWT}", JSON, JWT),
        (f"{JWT};q=0.5, {JSON};q=0.5", JSON, JWT),
        (f"{JWT}, {JSON};q=0.9", JWT, JWT),
        (f"{JWT};q=0.9, {JSON}", JSON, JSON),
        (f"{JWT};q=0, */*", JSON, JSON),
        (f"{JSON};q=0, */*", JWT, JWT),
        (f"APPLICATION/JWT ; Q=1.0, {JSON} ; q=0.3", JWT, JWT),
        ("text/html", JSON, JSON),
        (f"{JWT};q=2, {JSON};q=0.1", JSON, JSON),
    ],
)
async def test_metadata_come_signed_to_who_likes_that_best_and_on_a_tie_where_the_preset_demands_it(
    http: httpx.AsyncClient, accept: str | None, by_default: str, where_signed_is_required: str
) -> None:
    for tenant, preset in TENANTS.items():
        expected = where_signed_is_required if SIGNED_BY_PRESET[preset] else by_default
        request = http.build_request("GET", metadata_url(tenant))
        del request.headers["accept"]
        if accept is not None:
            request.headers["accept"] = accept
        answer = await http.send(request)
        assert (answer.status_code, answer.headers["content-type"]) == (200, expected)
        assert answer.headers["vary"] == "Accept"


async def test_signed_metadata_are_those_of_the_plain_form_signed_by_the_access_certificate(
    world: World, http: httpx.AsyncClient, clock: SteppedClock
) -> None:
    for tenant in TENANTS:
        token = (await http.get(metadata_url(tenant), headers={"Accept": JWT})).text
        root = world.settings.data_dir / "keys" / tenant / "access-ca.crt.pem"
        der = x509.load_pem_x509_certificate(root.read_bytes()).public_bytes(Encoding.DER)
        verify_signed_metadata(
            token,
            expected_issuer=world.issuer_url(tenant),
            anchors=[TrustAnchor(AnchorKind.CA, der, tenant)],
            now=clock.now,
            allow_loopback_http=True,
        )
        header, payload = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in token.split(".")[:2])
        url = world.issuer_url(tenant)
        assert set(header) == {"typ", "alg", "x5c"}
        assert header["typ"] == "openidvci-issuer-metadata+jwt"
        assert base64.b64encode(der).decode() not in header["x5c"]
        added = {"sub": url, "iss": url, "iat": clock.now, "exp": clock.now + 86400}
        assert payload == {**(await issuer_metadata(http, tenant)), **added}


async def test_a_statement_is_signed_again_when_it_may_no_longer_be_kept(
    http: httpx.AsyncClient, clock: SteppedClock
) -> None:
    first = await http.get(metadata_url("leipzig"), headers={"Accept": JWT})
    clock.now += 299
    assert (await http.get(metadata_url("leipzig"), headers={"Accept": JWT})).text == first.text
    clock.now += 1
    assert (await http.get(metadata_url("leipzig"), headers={"Accept": JWT})).text != first.text


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        (metadata_url("leipzig"), JSON),
        (metadata_url("leipzig"), JWT),
        ("/.well-known/oauth-authorization-server/t/leipzig", JSON),
        ("/.well-known/jwt-vc-issuer/t/leipzig", JSON),
    ],
)
async def test_who_has_a_statement_already_is_told_so(http: httpx.AsyncClient, path: str, accept: str) -> None:
    first = await http.get(path, headers={"Accept": accept})
    assert first.headers["cache-control"] == "public, max-age=300"
    assert first.headers["access-control-allow-origin"] == "*"
    tag = first.headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await http.get(path, headers={"Accept": accept, "If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "public, max-age=300"
        assert again.headers.get("vary") == first.headers.get("vary")
    other = await http.get(path, headers={"Accept": accept, "If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)


@pytest.mark.parametrize("tenant", TENANTS)
async def test_issuer_metadata_hold_what_the_preset_says_and_nothing_else(
    tenant: str, world: World, http: httpx.AsyncClient
) -> None:
    profile = load_preset(TENANTS[tenant])
    document = await issuer_metadata(http, tenant)
    url = world.issuer_url(tenant)
    is_german = TENANTS[tenant] == "de-2026-11"

    assert set(document) <= ISSUER_MEMBERS
    assert document["credential_issuer"] == url
    assert document["nonce_endpoint"] == f"{url}/nonce"  # HAIP 1.0 §4.1
    assert document["batch_credential_issuance"] == {"batch_size": 10}  # pid_mock's, the highest
    if is_german:
        assert "deferred_credential_endpoint" not in document
    shown = document["display"]
    assert isinstance(shown, list)
    assert shown == [{"name": f"Stadt {tenant.title()}", "locale": locale} for locale in ("de", "en")]

    configurations = document["credential_configurations_supported"]
    assert isinstance(configurations, dict)
    assert set(configurations) == set(world.catalog.configurations)
    for name, configuration in configurations.items():
        assert isinstance(configuration, dict)
        kind = world.catalog.configurations[name].credential_type
        is_mdoc = configuration["format"] == "mso_mdoc"
        assert set(configuration) == CONFIGURATION_MEMBERS | {"doctype" if is_mdoc else "vct"}
        assert configuration["scope"] == name  # HAIP 1.0 §4.1
        assert configuration["credential_signing_alg_values_supported"] == ([-7] if is_mdoc else ["ES256"])
        assert configuration["cryptographic_binding_methods_supported"] == (["cose_key"] if is_mdoc else ["jwk"])

        proof_types = configuration["proof_types_supported"]
        assert isinstance(proof_types, dict)
        attested = kind.type == "pid_mock"
        assert set(proof_types) == ({"jwt", "attestation"} if attested else {"jwt"})
        for support in proof_types.values():
            assert isinstance(support, dict)
            assert support["proof_signing_alg_values_supported"] == (
                ["ES256", "ES384", "ES512", "EdDSA"] if profile.name == "plain-1.0" else ["ES256"]
            )
            needed = {"key_attestations_required": {"key_storage": ["iso_18045_high"]}} if attested else {}
            assert {name: value for name, value in support.items() if name != "proof_signing_alg_values_supported"} == (
                needed
            )

        described = configuration["credential_metadata"]
        assert isinstance(described, dict)
        extra = {"credential_reuse_policy"} if is_german else set()
        assert set(described) == {"display", "claims"} | extra
        if is_german:
            assert described["credential_reuse_policy"] == {
                "id": "arf_annex_ii",
                "options": [
                    {"details": ["once_only"], "batch_size": 10, "reissue_trigger_unused": 2}
                    if attested
                    else {
                        "details": ["limited_time"],
                        "batch_size": 1,
                        "reissue_trigger_lifetime_left": kind.validity.seconds // 5,
                    }
                ],
            }


@pytest.mark.parametrize("tenant", TENANTS)
async def test_every_claim_is_described_in_each_language(tenant: str, http: httpx.AsyncClient) -> None:
    configurations = (await issuer_metadata(http, tenant))["credential_configurations_supported"]
    assert isinstance(configurations, dict)
    for name, configuration in configurations.items():
        assert isinstance(configuration, dict)
        described = configuration["credential_metadata"]
        assert isinstance(described, dict)
        assert isinstance(described["claims"], list)
        assert described["claims"], name
        assert isinstance(described["display"], list)
        for shown in (described, *described["claims"]):
            assert isinstance(shown, dict)
            assert isinstance(shown["display"], list)
            locales = [each["locale"] for each in shown["display"] if isinstance(each, dict)]
            assert locales == ["de", "en"]


@pytest.mark.parametrize("tenant", TENANTS)
async def test_authorization_server_metadata_hold_what_the_preset_says_and_nothing_else(
    tenant: str, world: World, http: httpx.AsyncClient
) -> None:
    answer = await http.get(f"/.well-known/oauth-authorization-server/t/{tenant}")
    document = answer.json()
    url = world.issuer_url(tenant)
    algs = ["ES256", "ES384", "ES512", "EdDSA"] if TENANTS[tenant] == "plain-1.0" else ["ES256"]
    pre_authorized = "urn:ietf:params:oauth:grant-type:pre-authorized_code"

    assert answer.headers["content-type"] == JSON
    fixed = {
        "issuer": url,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        "pushed_authorization_request_endpoint": f"{url}/par",
        "challenge_endpoint": f"{url}/challenge",
        "status_list_aggregation_endpoint": f"{url}/status",
        "response_types_supported": ["code"],
        "scopes_supported": list(world.catalog.configurations),
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": algs,
        "client_attestation_signing_alg_values_supported": algs,
        "client_attestation_pop_signing_alg_values_supported": algs,
        "authorization_details_types_supported": ["openid_credential"],
        "require_pushed_authorization_requests": True,
        "authorization_response_iss_parameter_supported": True,
    }
    assert {name: document[name] for name in fixed} == fixed
    assert {"authorization_code", pre_authorized} <= set(document["grant_types_supported"])
    methods = document["token_endpoint_auth_methods_supported"]
    assert methods[0] == "attest_jwt_client_auth"
    is_open = TENANTS[tenant] == "plain-1.0"
    assert ("none" in methods) == is_open
    assert document.get("pre-authorized_grant_anonymous_access_supported", False) == is_open
    known = {*fixed, "grant_types_supported", "token_endpoint_auth_methods_supported"}
    if is_open:
        known |= {"pre-authorized_grant_anonymous_access_supported"}
        known |= {"token_endpoint_auth_signing_alg_values_supported"}  # RFC 8414 §2, with private_key_jwt
    assert set(document) <= known


async def test_the_registration_certificate_is_published_where_the_preset_names_it(
    world: World, clock: SteppedClock
) -> None:
    certificate = build_jws(b"{}", signer=generate_signer(), typ="rc-wrp+jwt")
    for tenant in TENANTS:
        path = world.settings.data_dir / "keys" / tenant / "registration-certificate.jwt"
        path.write_text(certificate + "\n", encoding="ascii")
    app = create_app(world.settings, clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as http:
        for tenant, preset in TENANTS.items():
            document = await issuer_metadata(http, tenant)
            expected = [{"format": "registration_cert", "data": certificate}]
            assert document.get("issuer_info") == (expected if preset == "de-2026-11" else None)
    await app.state.service.store.close()


async def test_the_own_language_of_a_tenant_comes_first(world: World, http: httpx.AsyncClient) -> None:
    """A wallet that knows none of the languages of its reader shows the first."""
    store = Store(world.settings.effective_database_url)
    await add_tenant(
        settings=world.settings,
        store=store,
        secrets=load_secrets(world.settings.data_dir / "secrets"),
        tenant_id="dublin",
        name="City of Dublin",
        preset="haip-1.0",
        country="IE",
        locale="en",
        algorithms=[SigningAlgorithm.ES256],
        now=int(time.time()),
    )
    await store.close()
    document = await issuer_metadata(http, "dublin")
    assert document["display"] == [{"name": "City of Dublin", "locale": locale} for locale in ("en", "de")]


async def test_keys_for_verifiers_without_x5c_are_public(world: World, http: httpx.AsyncClient) -> None:
    document = (await http.get("/.well-known/jwt-vc-issuer/t/leipzig")).json()
    assert set(document) == {"issuer", "jwks"}
    assert document["issuer"] == world.issuer_url()
    (key,) = document["jwks"]["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "alg", "use"}
