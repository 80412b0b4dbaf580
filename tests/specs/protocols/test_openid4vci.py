"""OpenID4VCI requests and answers: read as written, refused with the standard's code."""

import pytest

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import jwk_from_public_key
from specs.keys.jwe import new_decryption_key
from specs.keys.signer import generate_signer
from specs.protocols.key_proof import Proofs
from specs.protocols.oauth import InvalidAnswer, OAuthError
from specs.protocols.openid4vci import (
    AuthorizationDetail,
    CredentialRequest,
    DeferredCredentials,
    DeferredRequest,
    IssuedCredentials,
    Notification,
    NotificationEvent,
    ResponseEncryption,
    build_authorization_detail,
    build_credential_answer,
    build_credential_request,
    build_deferred_request,
    build_nonce_answer,
    build_notification,
    check_claims_descriptions,
    check_response_encryption,
    chosen_configuration,
    parse_authorization_details,
    parse_credential_answer,
    parse_credential_request,
    parse_deferred_request,
    parse_granted_details,
    parse_nonce_answer,
    parse_notification,
)

ISSUER = "https://issuer.example/t/leipzig"
KEY: JsonObject = dict(new_decryption_key("k").public_jwk())
ENCRYPTION = ResponseEncryption(KEY, "A128GCM", "DEF")


def _request(**members: JsonValue) -> bytes:
    return strict_json.dumps({"credential_configuration_id": "a", "proofs": {"jwt": ["x"]}} | members)


@pytest.mark.parametrize(
    "request_",
    [
        CredentialRequest(None, "a", Proofs("jwt", ("x", "y")), ENCRYPTION),
        CredentialRequest("i", None, Proofs("attestation", ("x",)), None),
        CredentialRequest(None, "a", None, None),
    ],
)
def test_credential_request_is_read_as_written_and_unknown_members_are_ignored(request_: CredentialRequest) -> None:
    data = strict_json.dumps(build_credential_request(request_) | {"unknown": {"proofs": 1}, "format": "mso_mdoc"})

    assert parse_credential_request(data) == request_


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", "invalid_credential_request"),
        (b"[]", "invalid_credential_request"),
        (b'{"credential_configuration_id":"a","credential_configuration_id":"b"}', "invalid_credential_request"),
        (b"[" * 100_000, "invalid_credential_request"),
        (_request(credential_configuration_id=1), "invalid_credential_request"),
        (_request(credential_configuration_id=""), "invalid_credential_request"),
        (_request(proofs=[]), "invalid_credential_request"),
        (_request(proofs={}), "invalid_credential_request"),
        (_request(proofs={"jwt": []}), "invalid_proof"),
        (_request(proofs={"jwt": "x"}), "invalid_proof"),
        (_request(proofs={"jwt": [1]}), "invalid_proof"),
        (_request(proofs={"attestation": ["a", "b"]}), "invalid_credential_request"),
        (_request(proofs={"jwt": ["x"] * 1001}), "invalid_credential_request"),
        (_request(credential_response_encryption=1), "invalid_encryption_parameters"),
        (_request(credential_response_encryption={"enc": "A128GCM"}), "invalid_encryption_parameters"),
        (_request(credential_response_encryption={"jwk": KEY}), "invalid_encryption_parameters"),
        (
            _request(credential_response_encryption={"jwk": KEY | {"d": "AA"}, "enc": "A128GCM"}),
            "invalid_encryption_parameters",
        ),
        (
            _request(
                credential_response_encryption={
                    "jwk": dict(jwk_from_public_key(generate_signer().public_key)),
                    "enc": "A128GCM",
                }
            ),
            "invalid_encryption_parameters",
        ),
    ],
)
def test_credential_request_with_one_defect_is_refused(data: bytes, error: str) -> None:
    with pytest.raises(OAuthError) as refused:
        parse_credential_request(data)

    assert (refused.value.error, refused.value.status) == (error, 400)


def _chosen(
    identifier: str | None, configuration: str | None, *, either: bool = False, identifiers: bool = True
) -> str:
    return chosen_configuration(
        CredentialRequest(identifier, configuration, None, None),
        known={"a", "b"},
        granted={"a"},
        identifiers={"a-1": "a"} if identifiers else {},
        either_allowed=either,
    )


def test_configuration_is_chosen_as_the_token_was_given() -> None:
    assert _chosen("a-1", None) == "a"
    assert _chosen(None, "a", identifiers=False) == "a"
    assert _chosen(None, "a", either=True) == "a"


@pytest.mark.parametrize(
    ("identifier", "configuration", "identifiers", "error", "status"),
    [
        ("a-2", None, True, "unknown_credential_identifier", 400),
        ("a-1", None, False, "unknown_credential_identifier", 400),
        (None, "a", True, "invalid_credential_request", 400),
        (None, "c", True, "unknown_credential_configuration", 400),
        (None, "b", False, "insufficient_scope", 403),
    ],
)
def test_credential_that_the_token_does_not_cover_is_refused(
    identifier: str | None, configuration: str | None, identifiers: bool, error: str, status: int
) -> None:
    with pytest.raises(OAuthError) as refused:
        _chosen(identifier, configuration, identifiers=identifiers)

    assert (refused.value.error, refused.value.status) == (error, status)


def _check(wanted: ResponseEncryption | None, *, required: bool = False, request_was_encrypted: bool = True) -> None:
    check_response_encryption(
        wanted,
        algs=("ECDH-ES",),
        encs=("A128GCM",),
        zips=("DEF",),
        required=required,
        request_was_encrypted=request_was_encrypted,
    )


def test_offered_encryption_is_accepted() -> None:
    _check(ENCRYPTION)
    _check(None)


@pytest.mark.parametrize(
    ("wanted", "required", "request_was_encrypted"),
    [
        (None, True, True),
        (ENCRYPTION, False, False),
        (ResponseEncryption(KEY, "A256GCM"), False, True),
        (ResponseEncryption(KEY | {"alg": "RSA-OAEP"}, "A128GCM"), False, True),
        (ResponseEncryption(KEY, "A128GCM", "LZ4"), False, True),
    ],
)
def test_other_encryption_is_refused(
    wanted: ResponseEncryption | None, required: bool, request_was_encrypted: bool
) -> None:
    with pytest.raises(OAuthError, match="invalid_encryption_parameters"):
        _check(wanted, required=required, request_was_encrypted=request_was_encrypted)


@pytest.mark.parametrize(
    "answer",
    [
        IssuedCredentials(("a~b~", "c~d~"), "n"),
        IssuedCredentials(({"@context": []},)),
        DeferredCredentials("t", 5),
    ],
)
def test_credential_answer_is_read_as_written(answer: IssuedCredentials | DeferredCredentials) -> None:
    assert parse_credential_answer(strict_json.dumps(build_credential_answer(answer) | {"unknown": 1})) == answer


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"credentials": []},
        {"credentials": ["a"]},
        {"credentials": [{"credential": ""}]},
        {"credentials": [{"credential": 1}]},
        {"credentials": [{"credential": "a"}], "notification_id": 1},
        {"credentials": [{"credential": "a"}], "transaction_id": "t"},
        {"transaction_id": "t"},
        {"transaction_id": "t", "interval": 0},
        {"transaction_id": "", "interval": 5},
    ],
)
def test_broken_credential_answer_is_not_used(answer: JsonObject) -> None:
    with pytest.raises(InvalidAnswer):
        parse_credential_answer(strict_json.dumps(answer))


@pytest.mark.parametrize("request_", [DeferredRequest("t", None), DeferredRequest("t", ENCRYPTION)])
def test_deferred_request_is_read_as_written(request_: DeferredRequest) -> None:
    assert parse_deferred_request(strict_json.dumps(build_deferred_request(request_) | {"unknown": 1})) == request_


@pytest.mark.parametrize("data", [b"", b"{}", b'{"transaction_id":1}'])
def test_broken_deferred_request_is_refused(data: bytes) -> None:
    with pytest.raises(OAuthError, match="invalid_credential_request"):
        parse_deferred_request(data)


@pytest.mark.parametrize("event", list(NotificationEvent))
def test_notification_is_read_as_written(event: NotificationEvent) -> None:
    notification = Notification("n", event, "done")

    assert parse_notification(strict_json.dumps(build_notification(notification) | {"unknown": 1})) == notification


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b'{"notification_id":"n"}',
        b'{"notification_id":"n","event":"credential_lost"}',
        b'{"notification_id":1,"event":"credential_accepted"}',
        b'{"notification_id":"n","event":["credential_accepted"]}',
        b'{"notification_id":"n","event":"credential_accepted","event_description":1}',
    ],
)
def test_broken_notification_is_refused(data: bytes) -> None:
    with pytest.raises(OAuthError) as refused:
        parse_notification(data)

    assert (refused.value.error, refused.value.status) == ("invalid_notification_request", 400)


def test_nonce_answer_is_read_as_written() -> None:
    assert parse_nonce_answer(strict_json.dumps(build_nonce_answer("n"))) == "n"
    for broken in (b"", b"{}", b'{"c_nonce":""}'):
        with pytest.raises(InvalidAnswer):
            parse_nonce_answer(broken)


def test_authorization_details_are_read_as_written() -> None:
    detail = AuthorizationDetail("a", ({"path": ["x", None]},), (ISSUER,))

    read = parse_authorization_details(
        [build_authorization_detail(detail) | {"unknown": 1}], credential_issuer=ISSUER, location_required=True
    )

    assert read == (detail,)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "payment"},
        {"credential_configuration_id": None},
        {"locations": ["https://other.example"]},
        {"locations": []},
        {"locations": "x"},
        {"claims": []},
        {"claims": [{"path": []}]},
    ],
)
def test_authorization_detail_with_one_defect_is_refused(changes: JsonObject) -> None:
    valid = build_authorization_detail(AuthorizationDetail("a"))

    with pytest.raises(OAuthError, match="invalid_authorization_details"):
        parse_authorization_details([valid | changes], credential_issuer=ISSUER)


def test_location_is_needed_where_the_metadata_names_authorization_servers() -> None:
    with pytest.raises(OAuthError, match="invalid_authorization_details"):
        parse_authorization_details(
            [build_authorization_detail(AuthorizationDetail("a"))], credential_issuer=ISSUER, location_required=True
        )


def test_granted_details_carry_identifiers() -> None:
    granted = AuthorizationDetail("a", credential_identifiers=("a-1",))

    assert parse_granted_details([build_authorization_detail(granted), {"type": "payment"}]) == (granted,)
    with pytest.raises(InvalidAnswer):
        parse_granted_details([build_authorization_detail(AuthorizationDetail("a"))])


@pytest.mark.parametrize(
    "claims",
    [
        [{"path": ["a"]}, {"path": ["a"]}],
        [{"path": ["a", None]}, {"path": ["a", 0]}],
        [{"path": ["a", "b"]}, {"path": ["a", 0]}],
        [{"path": ["a", -1]}],
        [{"path": ["a", True]}],
        [{"path": ["a", 1.5]}],
        [{"path": "a"}],
        [{}],
        [{"path": ["a"], "mandatory": "yes"}],
        [],
        {},
    ],
)
def test_contradicting_claims_descriptions_are_refused(claims: JsonValue) -> None:
    with pytest.raises(InvalidAnswer):
        check_claims_descriptions(claims)
