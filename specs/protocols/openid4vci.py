"""OpenID4VCI 1.0 between wallet and credential issuer: requests, answers and error codes behind the access token.

Credential (§8), deferred (§9), notification (§11) and nonce (§7) endpoints, and the authorization details of type
`openid_credential` (§5.1.1, §6.2). Unknown members are ignored. Offers stand in `credential_offer`, metadata in
`issuer_metadata`, proofs in `key_proof`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import JoseError, parse_jwk
from specs.protocols.key_proof import ATTESTATION, PROOF_TYPES, Proofs
from specs.protocols.oauth import INVALID_AUTHORIZATION_DETAILS, InvalidAnswer, OAuthError

OPENID_CREDENTIAL = "openid_credential"

INVALID_CREDENTIAL_REQUEST = "invalid_credential_request"
UNKNOWN_CREDENTIAL_CONFIGURATION = "unknown_credential_configuration"
UNKNOWN_CREDENTIAL_IDENTIFIER = "unknown_credential_identifier"
INVALID_ENCRYPTION_PARAMETERS = "invalid_encryption_parameters"
CREDENTIAL_REQUEST_DENIED = "credential_request_denied"
INVALID_TRANSACTION_ID = "invalid_transaction_id"
INVALID_NOTIFICATION_ID = "invalid_notification_id"
INVALID_NOTIFICATION_REQUEST = "invalid_notification_request"

_MAX_PROOFS = 1000
_MAX_PATH = 32
_MAX_CLAIMS = 300
_MAX_EVENT_DESCRIPTION = 1000


@dataclass(frozen=True, slots=True)
class ResponseEncryption:
    """How a wallet wants its answer encrypted (§8.2, §10). jwk: a public key with `alg`."""

    jwk: JsonObject
    enc: str
    zip: str | None = None


@dataclass(frozen=True, slots=True)
class CredentialRequest:
    """A credential request, form checked: exactly one of the two ids is set (§8.2)."""

    credential_identifier: str | None
    credential_configuration_id: str | None
    proofs: Proofs | None
    response_encryption: ResponseEncryption | None


@dataclass(frozen=True, slots=True)
class DeferredRequest:
    """A request for what could not be issued at once (§9.1); its own encryption replaces the first one."""

    transaction_id: str
    response_encryption: ResponseEncryption | None


class NotificationEvent(StrEnum):
    """What became of credentials in the wallet (§11.1)."""

    ACCEPTED = "credential_accepted"
    FAILURE = "credential_failure"
    DELETED = "credential_deleted"


@dataclass(frozen=True, slots=True)
class Notification:
    """What a wallet tells about the credentials of one answer (§11.1)."""

    notification_id: str
    event: NotificationEvent
    description: str | None = None


@dataclass(frozen=True, slots=True)
class IssuedCredentials:
    """An answer with credentials (§8.3): text as issued, or a JSON object for formats that are one."""

    credentials: tuple[str | JsonObject, ...]
    notification_id: str | None = None


@dataclass(frozen=True, slots=True)
class DeferredCredentials:
    """An answer without credentials yet (§8.3, §9.2). interval: seconds to wait."""

    transaction_id: str
    interval: int


@dataclass(frozen=True, slots=True)
class AuthorizationDetail:
    """One wanted or granted credential (§5.1.1, §6.2). claims: the claims descriptions as sent, form checked."""

    credential_configuration_id: str
    claims: tuple[JsonObject, ...] = ()
    locations: tuple[str, ...] = ()
    credential_identifiers: tuple[str, ...] = ()


def build_authorization_detail(detail: AuthorizationDetail) -> JsonObject:
    """One object of `authorization_details` (§5.1.1, §6.2)."""
    value: JsonObject = {
        "type": OPENID_CREDENTIAL,
        "credential_configuration_id": detail.credential_configuration_id,
    }
    if detail.claims:
        value["claims"] = list(detail.claims)
    if detail.locations:
        value["locations"] = list(detail.locations)
    if detail.credential_identifiers:
        value["credential_identifiers"] = list(detail.credential_identifiers)
    return value


def parse_authorization_details(
    details: Sequence[JsonObject], *, credential_issuer: str, location_required: bool = False
) -> tuple[AuthorizationDetail, ...]:
    """Read the authorization details of a request (§5.1.1, §6.1.1).

    credential_issuer: whose `locations` count. location_required: our metadata publishes `authorization_servers`.

    Raises:
        OAuthError: `invalid_authorization_details`: another type, a member missing or of another form, another
            issuer's location.
    """
    parsed: list[AuthorizationDetail] = []
    for value in details:
        try:
            detail = _authorization_detail(value)
        except InvalidAnswer as error:
            raise OAuthError(INVALID_AUTHORIZATION_DETAILS, str(error)) from error
        if (detail.locations or location_required) and credential_issuer not in detail.locations:
            raise OAuthError(INVALID_AUTHORIZATION_DETAILS, "locations does not name this issuer")
        parsed.append(detail)
    return tuple(parsed)


def parse_granted_details(details: Sequence[JsonObject]) -> tuple[AuthorizationDetail, ...]:
    """Read the authorization details of a token answer (§6.2); other types are passed over.

    Raises:
        InvalidAnswer: a member is missing or of another form, `credential_identifiers` among them.
    """
    granted = tuple(_authorization_detail(value) for value in details if value.get("type") == OPENID_CREDENTIAL)
    if not all(detail.credential_identifiers for detail in granted):
        raise InvalidAnswer("credential_identifiers is missing")
    return granted


def build_credential_request(request: CredentialRequest) -> JsonObject:
    """The JSON object of a credential request (§8.2)."""
    value: JsonObject = {}
    if request.credential_identifier is not None:
        value["credential_identifier"] = request.credential_identifier
    if request.credential_configuration_id is not None:
        value["credential_configuration_id"] = request.credential_configuration_id
    if request.proofs is not None:
        value["proofs"] = {request.proofs.proof_type: list(request.proofs.proofs)}
    if request.response_encryption is not None:
        value["credential_response_encryption"] = _build_encryption(request.response_encryption)
    return value


def parse_credential_request(data: bytes) -> CredentialRequest:
    """Read a credential request (§8.2).

    Raises:
        OAuthError: `invalid_credential_request`, `invalid_proof` or `invalid_encryption_parameters`, status 400.
    """
    request = _request(data, error=INVALID_CREDENTIAL_REQUEST)
    identifier = _optional_text(request, "credential_identifier")
    configuration_id = _optional_text(request, "credential_configuration_id")
    if (identifier is None) == (configuration_id is None):
        raise OAuthError(
            INVALID_CREDENTIAL_REQUEST, "exactly one of credential_identifier and credential_configuration_id is needed"
        )
    return CredentialRequest(identifier, configuration_id, _proofs(request), _parse_encryption(request))


def chosen_configuration(
    request: CredentialRequest,
    *,
    known: Collection[str],
    granted: Collection[str],
    identifiers: Mapping[str, str],
    either_allowed: bool = False,
) -> str:
    """The id of the configuration that a request is about, if its token covers it (§8.2, §8.3.1).

    known: all configuration ids of the issuer. granted: those that the token covers. identifiers: configuration id of
    each credential identifier that came with the token; where there are any the wallet must use one. either_allowed:
    it may use the configuration id nevertheless.

    Raises:
        OAuthError: `unknown_credential_identifier`, `unknown_credential_configuration`, `invalid_credential_request`
            (400), or `insufficient_scope` (403).
    """
    if request.credential_identifier is not None:
        if request.credential_identifier not in identifiers:
            raise OAuthError(UNKNOWN_CREDENTIAL_IDENTIFIER, "this credential_identifier was not issued with the token")
        return identifiers[request.credential_identifier]
    configuration_id = request.credential_configuration_id
    if configuration_id is None or configuration_id not in known:
        raise OAuthError(UNKNOWN_CREDENTIAL_CONFIGURATION, "this credential_configuration_id is not known")
    if identifiers and not either_allowed:
        raise OAuthError(INVALID_CREDENTIAL_REQUEST, "the token came with credential_identifiers: use one")
    if configuration_id not in granted:
        raise OAuthError("insufficient_scope", "the token does not cover this credential", 403)
    return configuration_id


def check_response_encryption(
    wanted: ResponseEncryption | None,
    *,
    algs: Collection[str],
    encs: Collection[str],
    zips: Collection[str] = (),
    curves: Collection[str] = ("P-256",),
    required: bool,
    request_was_encrypted: bool,
) -> None:
    """Hold the wanted encryption against what the metadata offers (§8.2, §10, §12.2.4). algs, encs, zips: as
    published, empty if not offered. curves: what we can encrypt to, which no metadata member tells.

    Raises:
        OAuthError: `invalid_encryption_parameters`: not offered, required but missing, or asked for in a request in
            clear.
    """
    if wanted is None:
        if required:
            raise OAuthError(INVALID_ENCRYPTION_PARAMETERS, "credential_response_encryption is required")
        return
    if not request_was_encrypted:
        raise OAuthError(INVALID_ENCRYPTION_PARAMETERS, "who wants an encrypted answer encrypts the request")
    if wanted.jwk.get("alg") not in algs or wanted.jwk.get("crv") not in curves or wanted.enc not in encs:
        raise OAuthError(INVALID_ENCRYPTION_PARAMETERS, "alg, curve or enc is not supported")
    if wanted.zip is not None and wanted.zip not in zips:
        raise OAuthError(INVALID_ENCRYPTION_PARAMETERS, "zip is not supported")


def build_credential_answer(answer: IssuedCredentials | DeferredCredentials) -> JsonObject:
    """The body of a credential or deferred answer: status 200 with credentials, 202 without (§8.3, §9.2)."""
    if isinstance(answer, DeferredCredentials):
        return {"transaction_id": answer.transaction_id, "interval": answer.interval}
    body: JsonObject = {"credentials": [{"credential": credential} for credential in answer.credentials]}
    if answer.notification_id is not None:
        body["notification_id"] = answer.notification_id
    return body


def parse_credential_answer(data: bytes) -> IssuedCredentials | DeferredCredentials:
    """Read the answer of the credential or deferred endpoint (§8.3, §9.2).

    Raises:
        InvalidAnswer: neither credentials nor a transaction, both, or a member of another form.
    """
    try:
        answer = strict_json.parse_object(data)
    except Malformed as error:
        raise InvalidAnswer(str(error)) from error
    if ("credentials" in answer) == ("transaction_id" in answer):
        raise InvalidAnswer("either credentials or transaction_id is needed")
    if "transaction_id" in answer:
        transaction_id, interval = answer["transaction_id"], answer.get("interval")
        if not isinstance(transaction_id, str) or not transaction_id:
            raise InvalidAnswer("transaction_id is not a text")
        if not isinstance(interval, int) or isinstance(interval, bool) or interval <= 0:
            raise InvalidAnswer("interval is not a positive number")
        return DeferredCredentials(transaction_id, interval)
    entries, notification_id = answer["credentials"], answer.get("notification_id")
    if not isinstance(entries, list) or not entries:
        raise InvalidAnswer("credentials is not a filled array")
    if notification_id is not None and not isinstance(notification_id, str):
        raise InvalidAnswer("notification_id is not a text")
    return IssuedCredentials(tuple(_credential(entry) for entry in entries), notification_id)


def build_deferred_request(request: DeferredRequest) -> JsonObject:
    """The JSON object of a deferred request (§9.1)."""
    value: JsonObject = {"transaction_id": request.transaction_id}
    if request.response_encryption is not None:
        value["credential_response_encryption"] = _build_encryption(request.response_encryption)
    return value


def parse_deferred_request(data: bytes) -> DeferredRequest:
    """Read a deferred request (§9.1).

    Raises:
        OAuthError: `invalid_credential_request` or `invalid_encryption_parameters`, status 400.
    """
    request = _request(data, error=INVALID_CREDENTIAL_REQUEST)
    transaction_id = _optional_text(request, "transaction_id")
    if transaction_id is None:
        raise OAuthError(INVALID_CREDENTIAL_REQUEST, "transaction_id is missing")
    return DeferredRequest(transaction_id, _parse_encryption(request))


def build_notification(notification: Notification) -> JsonObject:
    """The JSON object of a notification (§11.1)."""
    value: JsonObject = {"notification_id": notification.notification_id, "event": str(notification.event)}
    if notification.description is not None:
        value["event_description"] = notification.description
    return value


def parse_notification(data: bytes) -> Notification:
    """Read a notification (§11.1). Whose `notification_id` it is, is the caller's question.

    Raises:
        OAuthError: `invalid_notification_request`, status 400: a member missing or of another form, or an event that
            is none.
    """
    request = _request(data, error=INVALID_NOTIFICATION_REQUEST)
    notification_id, event = request.get("notification_id"), request.get("event")
    description = request.get("event_description")
    if not isinstance(notification_id, str) or not notification_id:
        raise OAuthError(INVALID_NOTIFICATION_REQUEST, "notification_id is missing")
    if not isinstance(event, str) or event not in set(NotificationEvent):
        raise OAuthError(INVALID_NOTIFICATION_REQUEST, "event is not known")
    if description is not None and not isinstance(description, str):
        raise OAuthError(INVALID_NOTIFICATION_REQUEST, "event_description is not a text")
    capped = None if description is None else description[:_MAX_EVENT_DESCRIPTION]
    return Notification(notification_id, NotificationEvent(event), capped)


def build_nonce_answer(c_nonce: str) -> JsonObject:
    """The body of the nonce endpoint (§7.2)."""
    return {"c_nonce": c_nonce}


def parse_nonce_answer(data: bytes) -> str:
    """Read the body of the nonce endpoint (§7.2).

    Raises:
        InvalidAnswer: no nonce in it.
    """
    try:
        c_nonce = strict_json.parse_object(data).get("c_nonce")
    except Malformed as error:
        raise InvalidAnswer(str(error)) from error
    if not isinstance(c_nonce, str) or not c_nonce:
        raise InvalidAnswer("c_nonce is missing")
    return c_nonce


def check_claims_path(path: JsonValue) -> tuple[str | int | None, ...]:
    """A claims path pointer: texts, non-negative integers and nulls (App. C).

    Raises:
        InvalidAnswer: it is something else.
    """
    if not isinstance(path, list) or not 0 < len(path) <= _MAX_PATH:
        raise InvalidAnswer("path is not a filled array")
    elements: list[str | int | None] = []
    for element in path:
        if element is not None and not isinstance(element, str) and (type(element) is not int or element < 0):
            raise InvalidAnswer("path holds texts, indexes and null only")
        elements.append(element)
    return tuple(elements)


def check_claims_descriptions(value: JsonValue) -> tuple[JsonObject, ...]:
    """Claims descriptions: each with a path, none twice (App. B.1 to B.3).

    Raises:
        InvalidAnswer: they are something else, or contradict each other.
    """
    if not isinstance(value, list) or not value or len(value) > _MAX_CLAIMS:
        raise InvalidAnswer("claims is not a filled array")
    described: list[JsonObject] = []
    paths: set[tuple[str | int | None, ...]] = set()
    kinds: dict[tuple[str | int | None, ...], str] = {}
    for claim in value:
        if not isinstance(claim, dict) or not isinstance(claim.get("mandatory", False), bool):
            raise InvalidAnswer("claims holds objects with a path")
        path = check_claims_path(claim.get("path"))
        if path in paths:
            raise InvalidAnswer("a claim is described twice")
        paths.add(path)
        for end, element in enumerate(path):
            # one container is either an object, or an array named by index, or an array named as a whole
            kind = "object" if isinstance(element, str) else "all" if element is None else "index"
            if kinds.setdefault(path[:end], kind) != kind:
                raise InvalidAnswer("claims contradict each other")
        described.append(claim)
    return tuple(described)


def _authorization_detail(value: JsonObject) -> AuthorizationDetail:
    if value.get("type") != OPENID_CREDENTIAL:
        raise InvalidAnswer("type is not openid_credential")
    configuration_id = value.get("credential_configuration_id")
    if not isinstance(configuration_id, str) or not configuration_id:
        raise InvalidAnswer("credential_configuration_id is missing")
    claims = check_claims_descriptions(value["claims"]) if "claims" in value else ()
    texts: dict[str, tuple[str, ...]] = {}
    for name in ("locations", "credential_identifiers"):
        entries = value.get(name, [])
        if not isinstance(entries, list):
            raise InvalidAnswer(f"{name} is not an array")
        texts[name] = tuple(entry for entry in entries if isinstance(entry, str) and entry)
        if len(texts[name]) != len(entries) or (name in value and not entries):
            raise InvalidAnswer(f"{name} is not an array of texts")
    return AuthorizationDetail(configuration_id, claims, texts["locations"], texts["credential_identifiers"])


def _request(data: bytes, *, error: str) -> JsonObject:
    try:
        return strict_json.parse_object(data)
    except Malformed as malformed:
        raise OAuthError(error, f"the body is not a JSON object as it must be: {malformed}") from malformed


def _optional_text(request: JsonObject, name: str) -> str | None:
    if name not in request:
        return None
    value = request[name]
    if not isinstance(value, str) or not value:
        raise OAuthError(INVALID_CREDENTIAL_REQUEST, f"{name} is not a text")
    return value


def _proofs(request: JsonObject) -> Proofs | None:
    if "proofs" not in request:
        return None
    value = request["proofs"]
    if not isinstance(value, dict) or len(value) != 1:
        raise OAuthError(INVALID_CREDENTIAL_REQUEST, "proofs is an object with exactly one proof type")
    proof_type, entries = next(iter(value.items()))
    if proof_type not in PROOF_TYPES:
        raise OAuthError(INVALID_CREDENTIAL_REQUEST, "this proof type is not supported")
    if not isinstance(entries, list) or not entries:
        raise OAuthError("invalid_proof", "the proof type names a filled array")
    if len(entries) > _MAX_PROOFS or (proof_type == ATTESTATION and len(entries) != 1):
        raise OAuthError(INVALID_CREDENTIAL_REQUEST, "too many proofs")
    proofs = tuple(entry for entry in entries if isinstance(entry, str))
    if len(proofs) != len(entries):
        raise OAuthError("invalid_proof", "a proof is a text")
    return Proofs(proof_type, proofs)


def _build_encryption(encryption: ResponseEncryption) -> JsonObject:
    value: JsonObject = {"jwk": encryption.jwk, "enc": encryption.enc}
    if encryption.zip is not None:
        value["zip"] = encryption.zip
    return value


def _parse_encryption(request: JsonObject) -> ResponseEncryption | None:
    if "credential_response_encryption" not in request:
        return None
    value = request["credential_response_encryption"]
    if not isinstance(value, dict):
        raise OAuthError(INVALID_ENCRYPTION_PARAMETERS, "credential_response_encryption is not an object")
    jwk, enc, compression = value.get("jwk"), value.get("enc"), value.get("zip")
    if not isinstance(jwk, dict) or not isinstance(jwk.get("alg"), str) or not isinstance(jwk.get("kid", ""), str):
        raise OAuthError(INVALID_ENCRYPTION_PARAMETERS, "jwk with alg is missing, or its kid is not a text")
    if not isinstance(enc, str) or (compression is not None and not isinstance(compression, str)):
        raise OAuthError(INVALID_ENCRYPTION_PARAMETERS, "enc is missing, or zip is not a text")
    try:
        parse_jwk(jwk, for_encryption=True)
    except JoseError as error:
        raise OAuthError(INVALID_ENCRYPTION_PARAMETERS, "jwk is not a public key of a supported kind") from error
    return ResponseEncryption(jwk, enc, compression)


def _credential(entry: JsonValue) -> str | JsonObject:
    credential = entry.get("credential") if isinstance(entry, dict) else None
    if not isinstance(credential, str | dict) or not credential:
        raise InvalidAnswer("credentials holds objects with a credential")
    return credential
