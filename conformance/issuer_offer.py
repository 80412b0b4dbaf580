"""Checks of credential offers (OpenID4VCI 1.0 §4.1)."""

from urllib.parse import parse_qs, urlsplit

from conformance.check import Failed, NotApplicable, Registry
from conformance.exchange import JSON
from conformance.issuer_session import kept
from conformance.issuer_target import IssuerTarget, Offered, OfferWish, shown
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.credential_offer import OfferReference, parse_credential_offer, parse_offer_link
from specs.protocols.oauth import PRE_AUTHORIZED_CODE

OFFER_CHECKS: Registry[IssuerTarget] = Registry()
_check = OFFER_CHECKS.check
_MEMBERS = frozenset({"credential_issuer", "credential_configuration_ids", "grants"})


def _offered(target: IssuerTarget, by: str) -> Offered:
    if target.offers is None:
        raise NotApplicable("the settings tell no way to get an offer")
    offers = target.offers
    return kept(target, f"offer {by}", lambda: offers(OfferWish(target.first_configuration, by=by)))


def _document(target: IssuerTarget, by: str) -> JsonObject:
    query = parse_qs(urlsplit(_offered(target, by).link).query)
    if "credential_offer" in query:
        return strict_json.parse_object(query["credential_offer"][0])
    if "credential_offer_uri" not in query:
        raise Failed("credential_offer or credential_offer_uri in the link", shown(sorted(query)))
    answer = target.get(query["credential_offer_uri"][0])
    if answer.status != 200 or answer.media_type != JSON:
        raise Failed(f"200 {JSON}", answer.described)
    return answer.json_object()


@_check("offer-form", "OpenID4VCI 1.0 §4.1.1")
def offer_form(target: IssuerTarget) -> str:
    """An offer names this issuer, and configurations that its metadata know, none twice."""
    document = _document(target, "value")
    parse_credential_offer(strict_json.dumps(document), allow_loopback_http=target.allow_loopback_http)
    if document.get("credential_issuer") != target.url:
        raise Failed(f"credential_issuer {target.url}", shown(document.get("credential_issuer")))
    names = document.get("credential_configuration_ids")
    if not isinstance(names, list) or len(set(map(str, names))) != len(names):
        raise Failed("credential_configuration_ids without repetition", shown(names))
    unknown = [str(name) for name in names if name not in target.configurations]
    if unknown:
        raise Failed("configurations that the metadata know", ", ".join(unknown))
    return shown(names)


@_check("offer-members", "OpenID4VCI 1.0 §4.1.1", is_advice=True)
def offer_members(target: IssuerTarget) -> str:
    """An offer holds nothing that the standard does not know."""
    unknown = sorted(_document(target, "value").keys() - _MEMBERS)
    if unknown:
        raise Failed(", ".join(sorted(_MEMBERS)), f"also {', '.join(unknown)}")
    return "nothing else"


@_check("offer-reference", "OpenID4VCI 1.0 §4.1.3")
def offer_reference(target: IssuerTarget) -> str:
    """An offer by reference lies at its address, as JSON."""
    offered = _offered(target, "reference")
    parsed = parse_offer_link(offered.link, allow_loopback_http=target.allow_loopback_http)
    if not isinstance(parsed, OfferReference):
        raise NotApplicable("the offer comes by value")
    document = _document(target, "reference")
    return shown(document.get("credential_configuration_ids"))


@_check("offer-pre-authorized-code", "OpenID4VCI 1.0 §4.1.1")
def offer_pre_authorized_code(target: IssuerTarget) -> str:
    """A pre-authorized grant has its code; a transaction code is described, not told."""
    grants = _document(target, "value").get("grants")
    grant = grants.get(PRE_AUTHORIZED_CODE) if isinstance(grants, dict) else None
    if not isinstance(grant, dict):
        raise NotApplicable("the offer has no pre-authorized grant")
    if not isinstance(grant.get("pre-authorized_code"), str):
        raise Failed("pre-authorized_code, a text", shown(sorted(grant)))
    described = grant.get("tx_code")
    if described is not None and (
        not isinstance(described, dict) or described.keys() - {"input_mode", "length", "description"}
    ):
        raise Failed("tx_code with input_mode, length, description", shown(described))
    return "with a transaction code" if described is not None else "without a transaction code"
