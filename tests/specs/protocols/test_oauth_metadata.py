"""Authorization server metadata and the addresses of well-known documents (RFC 8414)."""

import pytest

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonValue
from specs.protocols.oauth import InvalidAnswer
from specs.protocols.oauth_metadata import (
    AUTHORIZATION_SERVER,
    CREDENTIAL_ISSUER,
    AuthorizationServerMetadata,
    build_authorization_server_metadata,
    check_identifier,
    check_url,
    parse_authorization_server_metadata,
    well_known_url,
)

ISS = "https://issuer.example/t/leipzig"


@pytest.mark.parametrize(
    ("identifier", "name", "url"),
    [
        (ISS, CREDENTIAL_ISSUER, "https://issuer.example/.well-known/openid-credential-issuer/t/leipzig"),
        (ISS, AUTHORIZATION_SERVER, "https://issuer.example/.well-known/oauth-authorization-server/t/leipzig"),
        (ISS + "/", AUTHORIZATION_SERVER, "https://issuer.example/.well-known/oauth-authorization-server/t/leipzig"),
        (ISS + "/", CREDENTIAL_ISSUER, "https://issuer.example/.well-known/openid-credential-issuer/t/leipzig/"),
        ("https://h:8443", CREDENTIAL_ISSUER, "https://h:8443/.well-known/openid-credential-issuer"),
        ("https://h/", AUTHORIZATION_SERVER, "https://h/.well-known/oauth-authorization-server"),
        ("http://127.0.0.1:8701/t/x", "x", "http://127.0.0.1:8701/.well-known/x/t/x"),
    ],
)
def test_well_known_part_stands_between_host_and_path(identifier: str, name: str, url: str) -> None:
    assert well_known_url(identifier, name) == url


@pytest.mark.parametrize(
    "identifier",
    ["", 1, "issuer.example", "http://issuer.example", "https://h?q", "https://h#f", "https://u@h", "https://h h"],
)
def test_what_is_no_identifier_is_refused(identifier: JsonValue) -> None:
    with pytest.raises(InvalidAnswer):
        check_identifier(identifier)


def test_plain_http_needs_the_own_machine_and_permission() -> None:
    assert check_url("http://localhost:8701/x?y", allow_loopback_http=True)
    for url, allowed in (("http://localhost:8701/x", False), ("http://10.0.0.1/x", True)):
        with pytest.raises(InvalidAnswer):
            check_url(url, allow_loopback_http=allowed)


def test_metadata_is_read_as_written() -> None:
    metadata = AuthorizationServerMetadata(
        issuer=ISS,
        token_endpoint=ISS + "/token",
        authorization_endpoint=ISS + "/authorize",
        pushed_authorization_request_endpoint=ISS + "/par",
        challenge_endpoint=ISS + "/challenge",
        authorization_challenge_endpoint=ISS + "/authorization_challenge",
        jwks_uri=ISS + "/jwks",
        status_list_aggregation_endpoint=ISS + "/status",
        response_types_supported=("code",),
        grant_types_supported=("authorization_code",),
        scopes_supported=("a",),
        code_challenge_methods_supported=("S256",),
        token_endpoint_auth_methods_supported=("attest_jwt_client_auth",),
        dpop_signing_alg_values_supported=("ES256",),
        client_attestation_signing_alg_values_supported=("ES256",),
        client_attestation_pop_signing_alg_values_supported=("ES256",),
        authorization_details_types_supported=("openid_credential",),
        require_pushed_authorization_requests=True,
        authorization_response_iss_parameter_supported=True,
        anonymous_access_supported=True,
        extra={"service_documentation": "https://docs.example"},
    )
    document = build_authorization_server_metadata(metadata)

    assert document["pre-authorized_grant_anonymous_access_supported"] is True
    assert parse_authorization_server_metadata(strict_json.dumps(document), expected_issuer=ISS) == metadata


def test_short_metadata_has_no_empty_members() -> None:
    short = AuthorizationServerMetadata(ISS, ISS + "/token")

    assert build_authorization_server_metadata(short) == {"issuer": ISS, "token_endpoint": ISS + "/token"}


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example"},
        {"issuer": ISS + "/"},
        {"issuer": ISS, "token_endpoint": "http://issuer.example/token"},
        {"issuer": ISS, "token_endpoint": 1},
        {"issuer": ISS, "grant_types_supported": "authorization_code"},
        {"issuer": ISS, "grant_types_supported": [1]},
        {"issuer": ISS, "require_pushed_authorization_requests": "true"},
    ],
)
def test_broken_metadata_is_not_used(document: dict[str, JsonValue]) -> None:
    with pytest.raises(InvalidAnswer):
        parse_authorization_server_metadata(strict_json.dumps(document), expected_issuer=ISS)


def test_what_is_not_json_is_not_used() -> None:
    with pytest.raises(InvalidAnswer):
        parse_authorization_server_metadata(b'{"issuer":1,"issuer":2}', expected_issuer=ISS)
