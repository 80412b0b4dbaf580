"""What status lists and lists of trusted entities say: how many states there are, who is trusted for what."""

from collections import Counter

from specs.credentials.status_list import (
    SignedStatusList,
    Status,
    parse_status_list_cwt,
    parse_status_list_jwt,
    verify_status_list,
)
from specs.encoding.strict_json import JsonObject
from specs.refusal import Refusal
from specs.trust.trust_list import ListedEntity, read_trust_list
from wallet_sim.explain.certificates import explain_certificate, signing_key
from wallet_sim.explain.explanation import Explanation, Judging, moment

MAX_ENTITIES = 50
_MAX_COUNTED = 1 << 20
_STATES = {Status.VALID: "valid", Status.INVALID: "revoked", Status.SUSPENDED: "suspended"}
_CLAUSE = "Token Status List §4.1, §4.2, §5, §8.3"


def explain_status_list(token: str | bytes, uri: object, said: Explanation, *, judging: Judging) -> None:
    """The states of a list whose token holds so far. token: text for JWT, bytes for CWT. uri: its own `sub`."""
    try:
        signed = parse_status_list_jwt(token) if isinstance(token, str) else parse_status_list_cwt(token)
        _explain_states(signed, str(uri), said, judging=judging)
    except Refusal as error:
        said.refused(error, _CLAUSE)


def _explain_states(signed: SignedStatusList, uri: str, said: Explanation, *, judging: Judging) -> None:
    key = signing_key(signed.chain[0])
    found = verify_status_list(signed, key=key, expected_uri=uri, now=judging.now)
    statuses = found.statuses
    said.fact("bits", statuses.bits)
    said.fact("size", len(statuses))
    if found.ttl is not None:
        said.fact("ttl", f"{found.ttl:g} s")
    if len(statuses) <= _MAX_COUNTED:
        counted = Counter(statuses[index] for index in range(len(statuses)))
        for state, count in sorted(counted.items()):
            said.fact(_STATES.get(Status(state), "other_state") if state in _STATES else "other_state", count)


def explain_trust_list(claims: JsonObject, said: Explanation, *, judging: Judging) -> None:
    """Who publishes it for which land, and whom it trusts (ETSI TS 119 602 §6)."""
    try:
        found = read_trust_list(claims)
    except Refusal as error:
        said.refused(error, "ETSI TS 119 602 §6")
        return
    said.fact("list_type", found.type)
    said.fact("operator", f"{found.operator} ({found.territory})")
    said.fact("sequence", found.sequence)
    said.fact("iat", moment(found.issued_at))
    said.fact("next_update", moment(found.next_update))
    said.fact("entities", len(found.entities))
    if found.next_update < judging.now:
        said.wrong("expired", moment(found.next_update), "ETSI TS 119 602 §6.3")
    said.parts += [_entity(each, judging=judging) for each in found.entities[:MAX_ENTITIES]]


def _entity(entity: ListedEntity, *, judging: Judging) -> Explanation:
    said = Explanation("trusted_entity")
    said.fact("subject", entity.name)
    if entity.identifier is not None:
        said.fact("identifier", entity.identifier)
    for service in entity.services:
        said.fact("service", service.type)
        if service.status is not None:
            said.fact("service_status", service.status)
        said.parts += [explain_certificate(each, now=judging.now) for each in service.certificates]
    return said
