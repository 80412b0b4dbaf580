"""What the wallet holds from the start: one invented person's identity, in both formats."""

import secrets
from datetime import date

from specs.credentials import mdoc
from specs.credentials.mdoc_issue import build_issuer_signed, mdoc_identity
from specs.credentials.mdoc_values import full_date
from specs.credentials.sd_jwt_issue import mark_disclosable
from specs.credentials.sd_jwt_vc import build_sd_jwt_vc, vc_issuer
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import PrivateKey, jwk_from_public_key
from specs.keys.signer import SigningIdentity, generate_private_key
from specs.protocols.issuer_metadata import DC_SD_JWT, MSO_MDOC
from wallet_sim.store import StoredCredential

VCT, DOCTYPE = "urn:eudi:pid:1", "eu.europa.ec.eudi.pid.1"
_HOUR, _LIFETIME = 3600, 14 * 86400
_BORN = date(1991, 3, 7)
_PERSON: JsonObject = {
    "given_name": "Mila",
    "family_name": "Muster",
    "birthdate": _BORN.isoformat(),
    "nationalities": ["DE"],
}


def questions() -> dict[str, JsonObject]:
    """What a verifier asks for, by the suite's names of the formats: two claims of several (OpenID4VP §6)."""
    sd_jwt: JsonObject = {
        "id": "pid",
        "format": DC_SD_JWT,
        "meta": {"vct_values": [VCT]},
        "claims": [{"path": ["given_name"]}, {"path": ["family_name"]}],
    }
    document: JsonObject = {
        "id": "pid",
        "format": MSO_MDOC,
        "meta": {"doctype_value": DOCTYPE},
        "claims": [{"path": [DOCTYPE, "given_name"]}, {"path": [DOCTYPE, "family_name"]}],
    }
    return {"sd_jwt_vc": {"credentials": [sd_jwt]}, "iso_mdl": {"credentials": [document]}}


def identity_credentials(issuer: SigningIdentity, *, now: int) -> tuple[StoredCredential, ...]:
    """Fresh ones with keys of their own. now: seconds since the epoch."""
    hour = now // _HOUR * _HOUR
    sd_jwt_key, mdoc_key = generate_private_key(), generate_private_key()
    sd_jwt = build_sd_jwt_vc(
        mark_disclosable(_PERSON, paths=[(name,) for name in _PERSON]),
        issuer=vc_issuer(issuer),
        vct=VCT,
        holder_jwk=jwk_from_public_key(sd_jwt_key.public_key()),
        issued_at=hour,
        not_before=hour,
        expires_at=hour + _LIFETIME,
        iss="https://issuer.example",
    )
    names = {name: value for name, value in _PERSON.items() if name.endswith("_name")}
    document = build_issuer_signed(
        mdoc_identity(issuer),
        doc_type=DOCTYPE,
        claims={DOCTYPE: {**names, "birth_date": full_date(_BORN), "age_over_18": True}},
        device_key=mdoc_key.public_key(),
        validity=mdoc.Validity(hour, hour, hour + _LIFETIME),
    )
    return (
        _stored(DC_SD_JWT, VCT, sd_jwt, sd_jwt_key, now=now),
        _stored(MSO_MDOC, DOCTYPE, base64url.encode(document), mdoc_key, now=now),
    )


def _stored(form: str, kind: str, content: str, key: PrivateKey, *, now: int) -> StoredCredential:
    return StoredCredential(
        id=secrets.token_hex(8),
        batch=secrets.token_hex(8),
        format=form,
        type=kind,
        name="TEST identity",
        issuer="TEST Issuer",
        content=content,
        key=key,
        collected_at=now,
    )
