"""Offers, questions and metadata: as links, as JSON, and what their rules say about them."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.credential_offer import OfferReference, parse_credential_offer, parse_offer_link
from specs.protocols.dcql import dcql_to_json
from specs.protocols.oauth import InvalidAnswer
from specs.protocols.openid4vp import RequestByReference, RequestByValue, RequestError, parse_request_link
from wallet_sim.explain.explanation import Explanation
from wallet_sim.explain.questions import explain_query, explain_request

Explained = Callable[[str], Explanation]
_REQUEST_NAMES = frozenset({"request_uri", "request", "client_id", "dcql_query"})
_OFFER_NAMES = frozenset({"credential_offer", "credential_offer_uri"})


def is_link(text: str) -> bool:
    """Whether it is an offer's or a question's."""
    return not _names(text).isdisjoint(_REQUEST_NAMES | _OFFER_NAMES)


def explain_link(link: str, *, inside: Explained, fetch: Explained | None) -> Explanation:
    """An offer's or a question's link. inside: explains what it carries. fetch: explains what lies at an address."""
    return _offer(link, fetch) if _names(link) & _OFFER_NAMES else _question(link, inside, fetch)


def explain_json(members: JsonObject, *, inside: Explained) -> Explanation:
    """A JSON object, whatever it is for. inside: explains what it carries."""
    if "credential_issuer" in members and "credential_configuration_ids" in members:
        return _offer_of(strict_json.dumps(members))
    if "credential_issuer" in members and "credential_configurations_supported" in members:
        return _issuer_metadata(members)
    if "issuer" in members and "token_endpoint" in members:
        said = Explanation("server_metadata")
        said.fact("issuer", members["issuer"])
        return said
    if "credentials" in members or "dcql_query" in members:
        said = Explanation("question")
        explain_request(members if "dcql_query" in members else {"dcql_query": members}, said, inside=inside)
        return said
    said = Explanation("json")
    said.fact("members", ", ".join(members))
    return said


def _names(link: str) -> set[str]:
    try:
        return {name for name, _ in parse_qsl(urlsplit(link).query, max_num_fields=200)}
    except ValueError:
        return set()


def _offer(link: str, fetch: Explained | None) -> Explanation:
    try:
        found = parse_offer_link(link, allow_loopback_http=True)
    except (InvalidAnswer, ValueError) as error:
        said = Explanation("offer")
        said.wrong("rule", str(error), "OpenID4VCI 1.0 §4.1")
        return said
    if not isinstance(found, OfferReference):
        return _offer_of(strict_json.dumps(_carried(link)))
    said = Explanation("offer_reference")
    said.fact("address", found.url)
    if fetch is not None:
        said.parts.append(fetch(found.url))
    return said


def _carried(link: str) -> JsonObject:
    text = dict(parse_qsl(urlsplit(link).query)).get("credential_offer", "{}")
    try:
        return strict_json.parse_object(text)
    except Malformed:
        return {}


def _offer_of(text: bytes) -> Explanation:
    said = Explanation("offer")
    try:
        offer = parse_credential_offer(text, allow_loopback_http=True)
    except (InvalidAnswer, ValueError) as error:
        said.wrong("rule", str(error), "OpenID4VCI 1.0 §4.1.1")
        return said
    said.fact("issuer", offer.credential_issuer)
    said.fact("offered", ", ".join(offer.configuration_ids))
    if offer.pre_authorized_code is not None:
        said.fact("grant", "pre-authorized_code")
        said.fact("tx_code", "✓" if offer.pre_authorized_code.tx_code is not None else "–")
    if offer.authorization_code is not None:
        said.fact("grant", "authorization_code")
    return said


def _question(link: str, inside: Explained, fetch: Explained | None) -> Explanation:
    said = Explanation("question")
    try:
        found = parse_request_link(link, allow_loopback_http=True)
    except RequestError as error:
        said.wrong("rule", str(error), "OpenID4VP 1.0 §5")
        return said
    if isinstance(found, RequestByReference):
        said.kind = "question_reference"
        said.fact("client_id", found.client_id.text)
        said.fact("address", found.request_uri)
        said.fact("method", found.method.value)
        if fetch is not None:
            said.parts.append(fetch(found.request_uri))
    elif isinstance(found, RequestByValue):
        said.fact("client_id", found.client_id.text)
        said.parts.append(inside(found.request))
    else:
        said.fact("client_id", found.client_id.text if found.client_id is not None else "–")
        explain_query(dcql_to_json(found.query), said)
        said.wrong("unsigned", "", "HAIP 1.0 §5.1")
    return said


def _issuer_metadata(members: JsonObject) -> Explanation:
    said = Explanation("issuer_metadata")
    said.fact("issuer", members["credential_issuer"])
    configurations = members["credential_configurations_supported"]
    said.fact("offered", ", ".join(configurations) if isinstance(configurations, dict) else "?")
    if "credential_endpoint" not in members:
        said.wrong("member_missing", "credential_endpoint", "OpenID4VCI 1.0 §12.2.4")
    return said
