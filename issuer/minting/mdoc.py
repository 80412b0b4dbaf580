"""Mints mdocs: the same claims, each at its element, one copy for each device key with random and status of its own."""

import base64
from collections.abc import Mapping, Sequence

import cbor2

from issuer.catalog.claims import PORTRAIT_PREFIX
from issuer.catalog.schema import Claim, CredentialType, Member, ValueType
from issuer.minting.window import Window
from specs.credentials.mdoc import Validity
from specs.credentials.mdoc_issue import MdocIdentity, build_issuer_signed_batch, draft_issuer_signed
from specs.credentials.status_list import StatusReference
from specs.encoding import base64url
from specs.encoding.strict_json import JsonValue
from specs.keys.jose import PublicKey

_FULL_DATE = 1004  # RFC 8943


def mint_mdocs(
    credential_type: CredentialType,
    claims: Mapping[str, JsonValue],
    *,
    identity: MdocIdentity,
    device_keys: Sequence[PublicKey],
    statuses: Sequence[StatusReference | None],
    window: Window,
) -> list[str]:
    """One IssuerSigned a device key, in order, in base64url (OpenID4VCI 1.0 A.2.4). claims: from `check_claims`."""
    elements = mdoc_elements(credential_type, claims)
    validity = Validity(signed=window.begins_at, valid_from=window.begins_at, valid_until=window.expires_at)
    drafts = [
        draft_issuer_signed(
            identity,
            doc_type=credential_type.doctype,
            claims=elements,
            device_key=key,
            validity=validity,
            status=status,
        )
        for key, status in zip(device_keys, statuses, strict=True)
    ]
    return [base64url.encode(issuer_signed) for issuer_signed in build_issuer_signed_batch(identity, drafts)]


def mdoc_elements(credential_type: CredentialType, claims: Mapping[str, JsonValue]) -> dict[str, dict[str, object]]:
    """Name space → element → CBOR value of what is there of the claims."""
    result: dict[str, dict[str, object]] = {}
    for namespace, element, claim, member in credential_type.elements():
        value = claims.get(claim.name)
        if claim.name not in claims:
            continue
        if member is None:
            result.setdefault(namespace, {})[element] = _element_value(claim, value)
        elif isinstance(value, dict) and member.name in value:
            result.setdefault(namespace, {})[element] = _scalar(member, value[member.name])
    return result


def _element_value(claim: Claim, value: JsonValue) -> object:
    """A claim's value; members of an object that have elements of their own are not in its map."""
    if claim.type is ValueType.OBJECT and isinstance(value, dict):
        return {
            member.name: _scalar(member, value[member.name])
            for member in claim.members
            if member.element is None and member.name in value
        }
    return _scalar(claim, value)


def _scalar(rule: Claim | Member, value: JsonValue) -> object:
    if rule.type in (ValueType.DATE, ValueType.PARTIAL_DATE):
        return cbor2.CBORTag(_FULL_DATE, value)
    if rule.type is ValueType.PORTRAIT and isinstance(value, str):
        return base64.b64decode(value.removeprefix(PORTRAIT_PREFIX))
    return value
