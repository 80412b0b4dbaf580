"""Mints SD-JWT VC: one claim set, one copy for each holder key, each with salts and a status entry of its own."""

from collections.abc import Mapping, Sequence

from issuer.catalog.schema import Claim, CredentialType, Disclosure, ValueType
from issuer.minting.window import Window
from specs.credentials import sd_jwt_issue
from specs.credentials.sd_jwt_issue import Sd
from specs.credentials.sd_jwt_vc import VcIssuer, prepare_sd_jwt_vc
from specs.credentials.status_list import StatusReference, status_reference_claim
from specs.encoding.strict_json import JsonValue
from specs.keys.jose import PublicKey, jwk_from_public_key


def mint_sd_jwt_vcs(
    credential_type: CredentialType,
    claims: Mapping[str, JsonValue],
    *,
    issuer: VcIssuer,
    issuer_url: str,
    holder_keys: Sequence[PublicKey],
    statuses: Sequence[StatusReference | None],
    window: Window,
    vct_integrity: str | None = None,
) -> list[str]:
    """One compact SD-JWT VC a holder key, in order.

    claims: as `check_claims` returned them. vct_integrity: SRI of the type metadata, if `vct` is their address.
    """
    marked = {
        claim.name: _marked(claim, claims[claim.name]) for claim in credential_type.claims if claim.name in claims
    }
    unsigned = [
        prepare_sd_jwt_vc(
            marked,
            issuer=issuer,
            vct=credential_type.vct,
            vct_integrity=vct_integrity,
            iss=issuer_url,
            holder_jwk=jwk_from_public_key(key),
            issued_at=window.begins_at,
            not_before=window.begins_at,
            expires_at=window.expires_at,
            status=None if status is None else _status_claim(status),
        )
        for key, status in zip(holder_keys, statuses, strict=True)
    ]
    signatures = issuer.signer.sign_many([item.signing_input for item in unsigned])
    return [item.with_signature(signature) for item, signature in zip(unsigned, signatures, strict=True)]


def _status_claim(reference: StatusReference) -> dict[str, JsonValue]:
    return {name: {**place} for name, place in status_reference_claim(reference).items()}


def _marked(claim: Claim, value: JsonValue) -> "sd_jwt_issue.Claim":
    if claim.disclosure is Disclosure.PERMANENT:
        return value
    if claim.type is ValueType.OBJECT and claim.disclosure is Disclosure.RECURSIVE and isinstance(value, dict):
        return Sd({name: Sd(member) for name, member in value.items()})
    if claim.type is ValueType.STRINGS and isinstance(value, list):
        return Sd([Sd(item) for item in value])
    return Sd(value)
