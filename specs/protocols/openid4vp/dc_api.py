"""The question and the answer over the Digital Credentials API of a browser (OpenID4VP 1.0 Appendix A)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import build_jws, parse_jws
from specs.keys.signer import SigningIdentity
from specs.protocols import iso_mdoc_dc_api
from specs.protocols.openid4vp.client_id import ClientId
from specs.protocols.openid4vp.errors import RequestError, invalid_request
from specs.protocols.openid4vp.request import (
    DC_API_MODES,
    AuthorizationRequest,
    ResponseMode,
    VerifierInfo,
    parse_authorization_request,
)
from specs.protocols.openid4vp.request_object import (
    REQUEST_OBJECT_TYP,
    RequestTrust,
    check_times,
    request_header,
    verify_asker,
)
from specs.protocols.openid4vp.response import ReceivedResponse, ResponseError, parse_response_members
from specs.refusal import ReasonCode, Refusal

_MAX_SIGNATURES = 10
_PER_SIGNATURE = ("client_id", "verifier_info")


class DcApiProtocol(StrEnum):
    """Names of the exchange protocols that a page may offer (§A.1; ISO/IEC TS 18013-7 Annex C)."""

    UNSIGNED = "openid4vp-v1-unsigned"
    SIGNED = "openid4vp-v1-signed"
    MULTI_SIGNED = "openid4vp-v1-multisigned"
    ISO_MDOC = iso_mdoc_dc_api.PROTOCOL  # not a form of OpenID4VP: for browsers that offer only this one


@dataclass(frozen=True, slots=True)
class DcApiRequest:
    """One entry of `digital.requests`: what a page hands to `navigator.credentials.get` (§A.1)."""

    protocol: DcApiProtocol
    data: JsonObject

    def to_json(self) -> JsonObject:
        """The entry as the page needs it."""
        return {"protocol": self.protocol.value, "data": self.data}


@dataclass(frozen=True, slots=True)
class CoSigner:
    """One of the identities that sign one question (§A.3.2.2)."""

    client_id: ClientId
    identity: SigningIdentity
    verifier_info: tuple[VerifierInfo, ...] = ()
    attestation: str | None = None
    kid: str | None = None


def build_unsigned_request(params: JsonObject) -> DcApiRequest:
    """A question that nobody signed: the origin says who asks (§A.3.1)."""
    return DcApiRequest(DcApiProtocol.UNSIGNED, {name: value for name, value in params.items() if name != "client_id"})


def build_signed_request(request_object: str) -> DcApiRequest:
    """A question as one compact request object, from `build_request_object` (§A.3.2.1)."""
    return DcApiRequest(DcApiProtocol.SIGNED, {"request": request_object})


def build_multi_signed_request(params: JsonObject, *, signers: Sequence[CoSigner]) -> DcApiRequest:
    """A question with one signature for each identity a wallet may trust (§A.3.2.2).

    params: without `client_id` and `verifier_info`, which stand in each signature's own header.

    Raises:
        RequestError: an identity can't sign for its identifier, or `params` hold what belongs to one signature.
    """
    if not signers or any(name in params for name in _PER_SIGNATURE):
        raise invalid_request("client_id and verifier_info belong to each signature")
    payload = strict_json.dumps(params)
    signatures: list[JsonValue] = []
    for signer in signers:
        found = request_header(
            signer.client_id, identity=signer.identity, attestation=signer.attestation, kid=signer.kid
        )
        header = {"client_id": signer.client_id.text, **found}
        if signer.verifier_info:
            entries: list[JsonValue] = [entry.to_json() for entry in signer.verifier_info]
            header["verifier_info"] = entries
        token = build_jws(payload, signer=signer.identity.signer, typ=REQUEST_OBJECT_TYP, header=header)
        protected, _, signature = token.split(".")
        signatures.append({"protected": protected, "signature": signature})
    request: JsonObject = {"payload": base64url.encode(payload), "signatures": signatures}
    return DcApiRequest(DcApiProtocol.MULTI_SIGNED, {"request": request})


def parse_dc_api_request(
    protocol: str,
    data: JsonObject,
    *,
    origin: str,
    trust: RequestTrust,
    now: int,
    known_transaction_data: Sequence[str] = (),
    allowed_modes: Collection[ResponseMode] = DC_API_MODES,
    skew: int = 60,
) -> AuthorizationRequest:
    """The wallet's look at a question that came through the platform (§A.2, §A.3).

    origin: from the platform, compared as plain text. now: seconds since the epoch. allowed_modes: those of the way it
    came. skew: seconds.

    Raises:
        Refusal: a signature does not hold, or nobody trusted vouches for its key.
        RequestError: an unknown protocol, another origin, or a broken rule.
    """
    if protocol == DcApiProtocol.UNSIGNED:
        return parse_authorization_request(
            data, signed=False, allowed_modes=allowed_modes, known_transaction_data=known_transaction_data
        )
    if protocol == DcApiProtocol.SIGNED:
        claims = _verified_single(data, trust=trust, now=now, skew=skew)
    elif protocol == DcApiProtocol.MULTI_SIGNED:
        claims = _verified_any(data, trust=trust, now=now, skew=skew)
    else:
        raise invalid_request("a protocol that is not known")
    check_times(claims, now=now, skew=skew)
    request = parse_authorization_request(
        claims, signed=True, allowed_modes=allowed_modes, known_transaction_data=known_transaction_data
    )
    if origin not in request.expected_origins:
        raise invalid_request("expected_origins: the question is not from there")
    return request


def _verified_single(data: JsonObject, *, trust: RequestTrust, now: int, skew: int) -> JsonObject:
    token = data.get("request")
    if not isinstance(token, str):
        raise invalid_request("request: not a compact request object")
    jws = parse_jws(token, expected_typ=REQUEST_OBJECT_TYP)
    claims = jws.claims()
    verify_asker(jws, claims, trust=trust, now=now, skew=skew)
    return claims


def _verified_any(data: JsonObject, *, trust: RequestTrust, now: int, skew: int) -> JsonObject:
    """The first signature whose client can be verified decides who asks; the others are not ours to judge."""
    failure: Refusal | RequestError = invalid_request("request: no signature")
    for token in _signed_forms(data.get("request")):
        try:
            jws = parse_jws(token, expected_typ=REQUEST_OBJECT_TYP)
            claims = jws.claims()
            if any(name in claims for name in _PER_SIGNATURE):
                raise invalid_request("client_id and verifier_info belong to each signature")
            members = {**claims, **{name: jws.header[name] for name in _PER_SIGNATURE if name in jws.header}}
            verify_asker(jws, members, trust=trust, now=now, skew=skew)
        except (Refusal, RequestError) as error:
            failure = error
        else:
            return members
    raise failure


def _signed_forms(value: JsonValue) -> list[str]:
    """Each signature with the one payload, as the compact token it stands for (RFC 7515 §7.2)."""
    if isinstance(value, str):
        # some verifiers hand the object over as a text
        try:
            value = strict_json.parse(value)
        except Malformed as error:
            raise invalid_request("request: not JSON") from error
    payload = value.get("payload") if isinstance(value, dict) else None
    signatures = value.get("signatures") if isinstance(value, dict) else None
    if not isinstance(payload, str) or not isinstance(signatures, list) or not 0 < len(signatures) <= _MAX_SIGNATURES:
        raise invalid_request("request: not a JWS with signatures")
    tokens: list[str] = []
    for entry in signatures:
        protected = entry.get("protected") if isinstance(entry, dict) else None
        signature = entry.get("signature") if isinstance(entry, dict) else None
        if not isinstance(protected, str) or not isinstance(signature, str):
            raise invalid_request("request: a signature has a protected header and a value")
        tokens.append(f"{protected}.{payload}.{signature}")
    return tokens


def build_dc_api_response(protocol: DcApiProtocol, params: JsonObject) -> JsonObject:
    """What the platform hands back to the page; `params` from `build_response` or `build_error_response` (§A.4)."""
    return {"protocol": protocol.value, "data": params}


def parse_dc_api_response(
    response: Mapping[str, JsonValue], *, expected_protocol: DcApiProtocol, expected_mode: ResponseMode
) -> ReceivedResponse:
    """Read what a page got back from the platform and sent on (§A.4).

    Raises:
        ResponseError: another protocol than the one asked with, or as `parse_response_form`.
    """
    data = response.get("data")
    if response.get("protocol") != expected_protocol.value or not isinstance(data, dict):
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "not an answer by the protocol that was asked with")
    return parse_response_members(data, expected_mode=expected_mode)
