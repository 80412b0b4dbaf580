"""Credential offer: a link or picture by which an issuer tells a wallet what it may collect, and how (OpenID4VCI 1.0
§4).

A stranger can make one: nothing in it is believed until the issuer's metadata confirms it (§13.5).
"""

from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.oauth import AUTHORIZATION_CODE, PRE_AUTHORIZED_CODE, InvalidAnswer, OAuthError, parse_form
from specs.protocols.oauth_metadata import check_identifier, check_url

OFFER_SCHEME = "openid-credential-offer"
HAIP_SCHEME = "haip-vci"
OFFER_SCHEMES = frozenset({OFFER_SCHEME, HAIP_SCHEME})

_MAX_OFFER_CHARACTERS = 64 * 1024
_MAX_CONFIGURATIONS = 100
_MAX_TX_CODE_DESCRIPTION = 300


@dataclass(frozen=True, slots=True)
class TxCode:
    """What a wallet tells the person about the transaction code. length, and at most 300 of description: characters."""

    input_mode: str = "numeric"
    length: int | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class OfferedAuthorizationCode:
    """The authorization code grant of an offer; the wallet sends `issuer_state` back with its request."""

    issuer_state: str | None = None
    authorization_server: str | None = None


@dataclass(frozen=True, slots=True)
class OfferedPreAuthorizedCode:
    """The pre-authorized code grant of an offer; a `tx_code`, even an empty one, means that a code is needed."""

    code: str
    tx_code: TxCode | None = None
    authorization_server: str | None = None


@dataclass(frozen=True, slots=True)
class CredentialOffer:
    """What is offered (§4.1.1). Without any grant the authorization server's metadata says which to use."""

    credential_issuer: str
    configuration_ids: tuple[str, ...]
    authorization_code: OfferedAuthorizationCode | None = None
    pre_authorized_code: OfferedPreAuthorizedCode | None = None


@dataclass(frozen=True, slots=True)
class OfferReference:
    """Where an offer lies (§4.1.3)."""

    url: str


def build_credential_offer(offer: CredentialOffer) -> JsonObject:
    """The JSON object of an offer (§4.1.1)."""
    grants: JsonObject = {}
    if offer.authorization_code is not None:
        grants[AUTHORIZATION_CODE] = _present(
            issuer_state=offer.authorization_code.issuer_state,
            authorization_server=offer.authorization_code.authorization_server,
        )
    if offer.pre_authorized_code is not None:
        tx_code = offer.pre_authorized_code.tx_code
        grants[PRE_AUTHORIZED_CODE] = {
            "pre-authorized_code": offer.pre_authorized_code.code,
            **_present(
                tx_code=None if tx_code is None else _build_tx_code(tx_code),
                authorization_server=offer.pre_authorized_code.authorization_server,
            ),
        }
    value: JsonObject = {
        "credential_issuer": offer.credential_issuer,
        "credential_configuration_ids": list(offer.configuration_ids),
    }
    if grants:
        value["grants"] = grants
    return value


def offer_link(offer: CredentialOffer, *, endpoint: str = f"{OFFER_SCHEME}://") -> str:
    """A link that carries the offer itself (§4.1.2). endpoint: a scheme with `://`, or a wallet's own https address."""
    return _link(endpoint, "credential_offer", strict_json.dumps(build_credential_offer(offer)).decode())


def offer_reference_link(url: str, *, endpoint: str = f"{OFFER_SCHEME}://") -> str:
    """A link that says where the offer lies (§4.1.3). endpoint: as for `offer_link`."""
    return _link(endpoint, "credential_offer_uri", url)


def parse_offer_link(
    link: str, *, schemes: Collection[str] = OFFER_SCHEMES, allow_loopback_http: bool = False
) -> CredentialOffer | OfferReference:
    """Read the link of an offer (§4.1). schemes: custom ones to take; https is taken too, for wallets with an own
    address.

    Raises:
        InvalidAnswer: another scheme, both or none of the two members, or an offer or address that is none.
    """
    if len(link) > _MAX_OFFER_CHARACTERS:
        raise InvalidAnswer("the offer is too long")
    try:
        scheme = urlsplit(link).scheme
        members = parse_form(link.partition("#")[0].partition("?")[2].encode("ascii"))
    except (ValueError, OAuthError) as error:
        raise InvalidAnswer("the link is malformed") from error
    if scheme not in schemes and scheme != "https":
        raise InvalidAnswer("another scheme than an offer's")
    if ("credential_offer" in members) == ("credential_offer_uri" in members):
        raise InvalidAnswer("exactly one of credential_offer and credential_offer_uri is needed")
    if "credential_offer_uri" in members:
        return OfferReference(check_url(members["credential_offer_uri"], allow_loopback_http=allow_loopback_http))
    return parse_credential_offer(members["credential_offer"], allow_loopback_http=allow_loopback_http)


def parse_credential_offer(data: str | bytes, *, allow_loopback_http: bool = False) -> CredentialOffer:
    """Read an offer; unknown members and grants are passed over (§4.1.1).

    Raises:
        InvalidAnswer: a member is missing or of another form.
    """
    if len(data) > _MAX_OFFER_CHARACTERS:
        raise InvalidAnswer("the offer is too long")
    try:
        value = strict_json.parse_object(data)
    except Malformed as error:
        raise InvalidAnswer(f"the offer: {error}") from error
    ids, grants = value.get("credential_configuration_ids"), value.get("grants", {})
    if not isinstance(ids, list) or not 0 < len(ids) <= _MAX_CONFIGURATIONS:
        raise InvalidAnswer("credential_configuration_ids is not a filled array")
    configuration_ids = tuple(entry for entry in ids if isinstance(entry, str) and entry)
    if len(set(configuration_ids)) != len(ids):
        raise InvalidAnswer("credential_configuration_ids holds different texts only")
    if not isinstance(grants, dict):
        raise InvalidAnswer("grants is not an object")
    return CredentialOffer(
        credential_issuer=check_identifier(value.get("credential_issuer"), allow_loopback_http=allow_loopback_http),
        configuration_ids=configuration_ids,
        authorization_code=_authorization_code(grants[AUTHORIZATION_CODE]) if AUTHORIZATION_CODE in grants else None,
        pre_authorized_code=_pre_authorized(grants[PRE_AUTHORIZED_CODE]) if PRE_AUTHORIZED_CODE in grants else None,
    )


def chosen_authorization_server(
    offered: OfferedAuthorizationCode | OfferedPreAuthorizedCode | None,
    *,
    credential_issuer: str,
    authorization_servers: tuple[str, ...],
) -> str:
    """The authorization server that a wallet goes to (§4.1.1, §12.2.4).

    authorization_servers: of the issuer's metadata, may be empty.

    Raises:
        InvalidAnswer: the offer names one that the metadata does not.
    """
    named = None if offered is None else offered.authorization_server
    if named is None:
        return authorization_servers[0] if authorization_servers else credential_issuer
    if named not in authorization_servers:
        raise InvalidAnswer("the offer names an authorization server that the issuer does not")
    return named


def _link(endpoint: str, name: str, value: str) -> str:
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{name}={quote(value, safe='')}"


def _present(**members: JsonValue) -> JsonObject:
    return {name: value for name, value in members.items() if value is not None}


def _build_tx_code(tx_code: TxCode) -> JsonObject:
    return {
        "input_mode": tx_code.input_mode,
        **_present(length=tx_code.length, description=tx_code.description),
    }


def _authorization_code(grant: JsonValue) -> OfferedAuthorizationCode:
    if not isinstance(grant, dict):
        raise InvalidAnswer("a grant is an object")
    return OfferedAuthorizationCode(_text(grant, "issuer_state"), _text(grant, "authorization_server"))


def _pre_authorized(grant: JsonValue) -> OfferedPreAuthorizedCode:
    if not isinstance(grant, dict):
        raise InvalidAnswer("a grant is an object")
    code = _text(grant, "pre-authorized_code")
    if code is None:
        raise InvalidAnswer("pre-authorized_code is missing")
    tx_code = _tx_code(grant["tx_code"]) if "tx_code" in grant else None
    return OfferedPreAuthorizedCode(code, tx_code, _text(grant, "authorization_server"))


def _tx_code(value: JsonValue) -> TxCode:
    if not isinstance(value, dict):
        raise InvalidAnswer("tx_code is not an object")
    input_mode, length, description = value.get("input_mode", "numeric"), value.get("length"), value.get("description")
    if not isinstance(input_mode, str) or input_mode not in ("numeric", "text"):
        raise InvalidAnswer("input_mode is numeric or text")
    if length is not None and (not isinstance(length, int) or isinstance(length, bool) or length <= 0):
        raise InvalidAnswer("length is not a positive number")
    if description is not None and (not isinstance(description, str) or len(description) > _MAX_TX_CODE_DESCRIPTION):
        raise InvalidAnswer("description is not a text of up to 300 characters")
    return TxCode(input_mode, length, description)


def _text(grant: JsonObject, name: str) -> str | None:
    value = grant.get(name)
    if name in grant and (not isinstance(value, str) or not value):
        raise InvalidAnswer(f"{name} is not a text")
    return value if isinstance(value, str) else None
