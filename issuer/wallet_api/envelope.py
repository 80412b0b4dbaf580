"""Credential requests and answers in their envelope: plain JSON, or encrypted both ways (OpenID4VCI 1.0 §10).

An answer is encrypted if and only if the request asked for it; a refusal never is (§8.3.1.2).
"""

from dataclasses import dataclass

from fastapi import Request, Response

from issuer.keys.request_encryption import RequestKeys
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.rules import credential_encryption
from issuer.wallet_api.wire import NO_STORE, json_answer
from specs.encoding import strict_json
from specs.keys.jose import JoseError
from specs.keys.jwe import ECDH_ES, decrypt, encrypt
from specs.profiles import CredentialEncryption
from specs.protocols.issuer_metadata import RequestEncryption, ResponseEncryptionSupport
from specs.protocols.oauth import OAuthError
from specs.protocols.openid4vci import (
    INVALID_CREDENTIAL_REQUEST,
    INVALID_ENCRYPTION_PARAMETERS,
    DeferredCredentials,
    IssuedCredentials,
    ResponseEncryption,
    build_credential_answer,
    check_response_encryption,
)

ENCS = ("A256GCM", "A128GCM")
ZIPS = ("DEF",)
_PLAIN, _ENCRYPTED = "application/json", "application/jwt"


@dataclass(frozen=True, slots=True)
class Message:
    """What a wallet sent: the JSON text, and whether it came encrypted."""

    body: bytes
    was_encrypted: bool


async def read_message(service: IssuerService, tenant: ActiveTenant, request: Request) -> Message:
    """The JSON text of a credential or deferred request, decrypted if it came as a JWE.

    Raises:
        OAuthError: `invalid_credential_request` for another media type; `invalid_encryption_parameters` if it came in
            clear where that is not allowed, does not open with a key of ours, or inflates beyond the body limit.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    rule = credential_encryption(tenant, service.settings)
    if media_type == _ENCRYPTED and rule is not CredentialEncryption.NONE:
        return Message(_opened(service, tenant, await request.body()), was_encrypted=True)
    if media_type != _PLAIN:
        raise OAuthError(INVALID_CREDENTIAL_REQUEST, f"the body must be {_PLAIN}")
    if rule is CredentialEncryption.REQUIRED:
        raise OAuthError(INVALID_ENCRYPTION_PARAMETERS, "the request must be encrypted")
    return Message(await request.body(), was_encrypted=False)


def check_wanted_encryption(
    service: IssuerService, tenant: ActiveTenant, wanted: ResponseEncryption | None, *, request_was_encrypted: bool
) -> None:
    """Hold what a request says about its answer against what the metadata offer, before anything is used up.

    Raises:
        OAuthError: `invalid_encryption_parameters`.
    """
    rule = credential_encryption(tenant, service.settings)
    offered = rule is not CredentialEncryption.NONE
    check_response_encryption(
        wanted,
        algs=(ECDH_ES,) if offered else (),
        encs=ENCS if offered else (),
        zips=ZIPS if offered else (),
        required=rule is CredentialEncryption.REQUIRED,
        request_was_encrypted=request_was_encrypted,
    )


def sealed_answer(answer: IssuedCredentials | DeferredCredentials, wanted: ResponseEncryption | None) -> Response:
    """200 with credentials, 202 with a transaction; encrypted if this request asked for it (§8.3, §9.2)."""
    status = 202 if isinstance(answer, DeferredCredentials) else 200
    body = build_credential_answer(answer)
    if wanted is None:
        return json_answer(body, status=status)
    token = encrypt(strict_json.dumps(body), jwk=wanted.jwk, enc=wanted.enc, zip=wanted.zip)
    return Response(token, status, media_type=_ENCRYPTED, headers=NO_STORE)


def request_encryption(service: IssuerService, tenant: ActiveTenant) -> RequestEncryption | None:
    """`credential_request_encryption` of the metadata (§12.2.4); None where nothing is encrypted."""
    rule = credential_encryption(tenant, service.settings)
    if rule is CredentialEncryption.NONE:
        return None
    jwk = _keys(service, tenant).current(now=service.clock()).public_jwk()
    return RequestEncryption(({**jwk},), ENCS, ZIPS, required=rule is CredentialEncryption.REQUIRED)


def response_encryption(service: IssuerService, tenant: ActiveTenant) -> ResponseEncryptionSupport | None:
    """`credential_response_encryption` of the metadata (§12.2.4); None where nothing is encrypted."""
    rule = credential_encryption(tenant, service.settings)
    if rule is CredentialEncryption.NONE:
        return None
    return ResponseEncryptionSupport((ECDH_ES,), ENCS, ZIPS, required=rule is CredentialEncryption.REQUIRED)


def _opened(service: IssuerService, tenant: ActiveTenant, body: bytes) -> bytes:
    try:
        return decrypt(
            body.decode("ascii"),
            keys=_keys(service, tenant).accepted(now=service.clock()),
            allowed_encs=ENCS,
            allowed_zip=ZIPS,
            max_plaintext=service.settings.body_limit,
        ).payload
    except (JoseError, UnicodeDecodeError) as error:
        raise OAuthError(INVALID_ENCRYPTION_PARAMETERS, "the request does not open as it must") from error


def _keys(service: IssuerService, tenant: ActiveTenant) -> RequestKeys:
    return RequestKeys(service.secrets.request_encryption_key, tenant.id)
