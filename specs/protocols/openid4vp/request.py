"""The question as a message: the parameters of an authorization request (OpenID4VP 1.0 §5, §8.2, §A.2).

Unknown parameters are ignored (§5). How a question travels and is signed: `request_object`, `request_uri`, `dc_api`.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.dcql import DcqlError, DcqlQuery, dcql_to_json, parse_dcql
from specs.protocols.openid4vp.addresses import check_https, check_origin, check_redirect_uri
from specs.protocols.openid4vp.client_id import ClientId, ClientIdPrefix, check_answer_address, parse_client_id
from specs.protocols.openid4vp.errors import ErrorCode, RequestError, invalid_request
from specs.protocols.openid4vp.metadata import ClientMetadata, parse_client_metadata
from specs.protocols.openid4vp.transaction_data import TransactionData, parse_transaction_data


class ResponseMode(StrEnum):
    """How the answer comes back (§5.6, §8.2, §8.3.1, §A.2; `ia_…`: OpenID4VCI 1.1 draft-01 §6.2.1.1)."""

    FRAGMENT = "fragment"
    DIRECT_POST = "direct_post"
    DIRECT_POST_JWT = "direct_post.jwt"
    DC_API = "dc_api"
    DC_API_JWT = "dc_api.jwt"
    IA_POST = "ia_post"
    IA_POST_JWT = "ia_post.jwt"

    @property
    def is_encrypted(self) -> bool:
        """Whether the answer must be encrypted."""
        return self in (ResponseMode.DIRECT_POST_JWT, ResponseMode.DC_API_JWT, ResponseMode.IA_POST_JWT)


REDIRECT_MODES = frozenset({ResponseMode.FRAGMENT, ResponseMode.DIRECT_POST, ResponseMode.DIRECT_POST_JWT})
DC_API_MODES = frozenset({ResponseMode.DC_API, ResponseMode.DC_API_JWT})
IA_MODES = frozenset({ResponseMode.IA_POST, ResponseMode.IA_POST_JWT})
ORIGIN_MODES = DC_API_MODES | IA_MODES  # the question has the form of §A.2, and its answer is bound to an origin
_POST_MODES = frozenset({ResponseMode.DIRECT_POST, ResponseMode.DIRECT_POST_JWT})

_TOKEN = re.compile(r"[A-Za-z0-9\-._~]{1,1024}")
_REGISTRATION_FORMATS = 20


@dataclass(frozen=True, slots=True)
class VerifierInfo:
    """What somebody attests about the verifier, such as a registration certificate (§5.11)."""

    format: str
    data: str | JsonObject
    credential_ids: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """The entry as it travels."""
        entry: JsonObject = {"format": self.format, "data": self.data}
        if self.credential_ids:
            entry["credential_ids"] = list(self.credential_ids)
        return entry


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A question that was understood. `client_id` is None for unsigned requests over the Digital Credentials API."""

    client_id: ClientId | None
    response_mode: ResponseMode
    nonce: str
    query: DcqlQuery
    response_uri: str | None = None
    redirect_uri: str | None = None
    state: str | None = None
    client_metadata: ClientMetadata | None = None
    transaction_data: tuple[TransactionData, ...] = ()
    verifier_info: tuple[VerifierInfo, ...] = ()
    expected_origins: tuple[str, ...] = ()
    wallet_nonce: str | None = None


def build_authorization_request(
    *,
    client_id: ClientId | None,
    response_mode: ResponseMode,
    nonce: str,
    query: DcqlQuery,
    client_metadata: JsonObject | None,
    response_uri: str | None = None,
    redirect_uri: str | None = None,
    state: str | None = None,
    transaction_data: Sequence[str] = (),
    verifier_info: Sequence[VerifierInfo] = (),
    expected_origins: Sequence[str] = (),
    trust_chain: Sequence[str] = (),
    signed: bool | None = None,
    allow_loopback_http: bool = False,
) -> JsonObject:
    """Write the parameters of a question (§5.1, §5.2); they are read once as a wallet would.

    client_metadata: None where a wallet has to ignore it (`openid_federation`, §5.9.3). trust_chain: that prefix's own
    parameter. signed: whether a request object will carry them; None: if there is a client_id that may sign.

    Raises:
        RequestError: a wallet would refuse it.
    """
    params: JsonObject = {"response_type": "vp_token", "response_mode": response_mode.value}
    optional = {
        "client_id": client_id.text if client_id is not None else None,
        "response_uri": response_uri,
        "redirect_uri": redirect_uri,
        "state": state,
    }
    params.update({name: value for name, value in optional.items() if value is not None})
    params |= {"nonce": nonce, "dcql_query": dcql_to_json(query)}
    if client_metadata is not None:
        params["client_metadata"] = client_metadata
    if transaction_data:
        params["transaction_data"] = list(transaction_data)
    if verifier_info:
        params["verifier_info"] = [entry.to_json() for entry in verifier_info]
    if expected_origins:
        for origin in expected_origins:
            check_origin(origin, allow_loopback_http=allow_loopback_http)
        params["expected_origins"] = list(expected_origins)
    if trust_chain:
        params["trust_chain"] = list(trust_chain)
    if signed is None:
        signed = client_id is not None and client_id.prefix is not ClientIdPrefix.REDIRECT_URI
    parse_authorization_request(
        params,
        signed=signed,
        allowed_modes=frozenset(ResponseMode),
        known_transaction_data=None,
        allow_loopback_http=allow_loopback_http,
    )
    return params


def parse_authorization_request(
    params: JsonObject,
    *,
    signed: bool,
    allowed_modes: Collection[ResponseMode] = REDIRECT_MODES,
    known_transaction_data: Collection[str] | None = (),
    attested_addresses: Collection[str] | None = None,
    allow_loopback_http: bool = False,
) -> AuthorizationRequest:
    """Read the parameters of a question (§5). Whether they are whose they say is `request_object`'s to find out.

    signed: whether they come from a signed request object; what must be signed is refused otherwise (§5.9.3).
    allowed_modes: those of the way it came. known_transaction_data: types that the wallet knows; None: any.
    attested_addresses: `redirect_uris` of a verifier attestation, where there is one with them.

    Raises:
        RequestError: a rule is broken; `.error` says what to answer.
    """
    if "request" in params or "request_uri" in params:
        raise invalid_request("request and request_uri stand in no request object")
    mode = _response_mode(params, allowed_modes)
    over_dc_api = mode in ORIGIN_MODES
    client_id = _client_id(params, signed=signed, optional=over_dc_api)
    nonce = _token(params, "nonce")
    if nonce is None:
        raise invalid_request("nonce: missing")
    query = _query(params)
    state = None if over_dc_api else _token(params, "state")
    if state is None and not over_dc_api and query.lacks_holder_binding:
        raise invalid_request("state: demanded where holder binding is not")
    address = None
    if client_id is not None and not over_dc_api:
        address = _answer_address(params, mode, client_id, allow_loopback_http)
        check_answer_address(client_id, address, attested=attested_addresses)
    metadata = parse_client_metadata(params["client_metadata"]) if "client_metadata" in params else None
    if mode.is_encrypted and (metadata is None or not metadata.encryption_keys):
        raise invalid_request("client_metadata.jwks: no key that an answer can be encrypted to")
    transaction_data: tuple[TransactionData, ...] = ()
    if "transaction_data" in params:
        transaction_data = parse_transaction_data(
            params["transaction_data"], query=query, known_types=known_transaction_data
        )
    return AuthorizationRequest(
        client_id=client_id,
        response_mode=mode,
        nonce=nonce,
        query=query,
        response_uri=address if mode in _POST_MODES else None,
        redirect_uri=None if mode in _POST_MODES else address,
        state=state,
        client_metadata=metadata,
        transaction_data=transaction_data,
        verifier_info=_verifier_info(params["verifier_info"], query) if "verifier_info" in params else (),
        expected_origins=_origins(params) if over_dc_api and signed else (),
        wallet_nonce=text(params, "wallet_nonce"),
    )


def text(params: Mapping[str, JsonValue], name: str) -> str | None:
    """An optional text parameter.

    Raises:
        RequestError: it is there and no text.
    """
    if name not in params:
        return None
    value = params[name]
    if not isinstance(value, str):
        raise invalid_request(f"{name}: not a text")
    return value


def client_id_of(params: Mapping[str, JsonValue]) -> ClientId:
    """The client identifier of a question that needs one.

    Raises:
        RequestError: it is missing, or as `parse_client_id`.
    """
    name = text(params, "client_id")
    if name is None:
        raise invalid_request("client_id: missing")
    return parse_client_id(name)


def _response_mode(params: JsonObject, allowed: Collection[ResponseMode]) -> ResponseMode:
    response_type = text(params, "response_type")
    if response_type is None:
        raise invalid_request("response_type: missing")
    if response_type != "vp_token":
        raise RequestError(ErrorCode.UNSUPPORTED_RESPONSE_TYPE, "response_type: only vp_token is answered")
    # §5.6: a parameter left out means the default of vp_token
    name = text(params, "response_mode") or "fragment"
    if name not in {mode.value for mode in allowed}:
        raise invalid_request("response_mode: not one that can be answered here")
    return ResponseMode(name)


def _client_id(params: JsonObject, *, signed: bool, optional: bool) -> ClientId | None:
    if optional and not signed:
        return None  # §A.2: the platform's origin says who asks; a client_id is ignored
    client_id = client_id_of(params)
    if client_id.is_signed and not signed:
        raise invalid_request(f"client_id: a question under {client_id.prefix} must be signed")
    if client_id.prefix is ClientIdPrefix.REDIRECT_URI and signed:
        raise invalid_request("client_id: a question under redirect_uri can't be signed")
    return client_id


def _token(params: JsonObject, name: str) -> str | None:
    value = text(params, name)
    if value is not None and _TOKEN.fullmatch(value) is None:
        raise invalid_request(f"{name}: letters, digits and - . _ ~ only")
    return value


def _query(params: JsonObject) -> DcqlQuery:
    scope = text(params, "scope")
    if "dcql_query" not in params:
        if scope is None:
            raise invalid_request("dcql_query: missing")
        raise RequestError(ErrorCode.INVALID_SCOPE, "scope: stands for no question that is known")
    if scope is not None:
        raise invalid_request("scope: stands beside dcql_query")
    try:
        return parse_dcql(params["dcql_query"])
    except DcqlError as error:
        raise invalid_request(f"dcql_query: {error}") from error


def _answer_address(params: JsonObject, mode: ResponseMode, client_id: ClientId, allow_loopback_http: bool) -> str:
    """`response_uri` or `redirect_uri`: the one to which the mode sends the answer (§8.2)."""
    name, other = ("response_uri", "redirect_uri") if mode in _POST_MODES else ("redirect_uri", "response_uri")
    if other in params:
        raise invalid_request(f"{other}: does not go with {mode}")
    # §5.9.3: the identifier is the address itself, the parameter may be left out
    implied = client_id.identifier if client_id.prefix is ClientIdPrefix.REDIRECT_URI else None
    address = text(params, name) or implied
    if address is None:
        raise invalid_request(f"{name}: missing")
    if mode in _POST_MODES:
        return check_https(address, name=name, allow_loopback_http=allow_loopback_http)
    return check_redirect_uri(address, allow_loopback_http=allow_loopback_http)


def _verifier_info(value: JsonValue, query: DcqlQuery) -> tuple[VerifierInfo, ...]:
    if not isinstance(value, list) or not value or len(value) > _REGISTRATION_FORMATS:
        raise invalid_request("verifier_info: not a non-empty array")
    entries: list[VerifierInfo] = []
    for entry in value:
        if (
            not isinstance(entry, dict)
            or not isinstance(name := entry.get("format"), str)
            or not isinstance(attested := entry.get("data"), (str, dict))
        ):
            raise invalid_request("verifier_info: an entry has a format and data")
        ids: list[str] = []
        if "credential_ids" in entry:
            listed = entry["credential_ids"]
            if not isinstance(listed, list) or not listed:
                raise invalid_request("verifier_info: credential_ids is a non-empty array")
            ids = [item for item in listed if isinstance(item, str) and item in query.by_id]
            if len(ids) != len(listed):
                raise invalid_request("verifier_info: credential_ids names what is not asked for")
        entries.append(VerifierInfo(name, attested, tuple(ids)))
    return tuple(entries)


def _origins(params: JsonObject) -> tuple[str, ...]:
    value = params.get("expected_origins")
    if not isinstance(value, list) or not value:
        raise invalid_request("expected_origins: not a non-empty array")
    origins = tuple(item for item in value if isinstance(item, str) and item)
    if len(origins) != len(value):
        raise invalid_request("expected_origins: holds something that is not a text")
    return origins
