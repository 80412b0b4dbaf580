"""The answer as a message: forms and encrypted payloads (OpenID4VP 1.0 §8).

Whether an answer can be believed is not decided here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import parse_qsl

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jwe import encrypt
from specs.protocols.openid4vp.errors import ErrorCode, invalid_request
from specs.protocols.openid4vp.metadata import GCM_ENCS, ClientMetadata
from specs.protocols.openid4vp.request import AuthorizationRequest, ResponseMode
from specs.refusal import ReasonCode, Refusal

MAX_FORM = 8 * 1024 * 1024  # bytes
_MAX_FIELDS = 50
_MAX_DESCRIPTION = 500
_BROKEN_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")

Presentation: TypeAlias = str | JsonObject


class ResponseError(Refusal):
    """The answer does not have the form that was asked for."""


@dataclass(frozen=True, slots=True)
class AuthorizationResponse:
    """An answer with presentations, not yet compared with the question; `vp_token` is as it came."""

    vp_token: JsonValue
    state: str | None = None


@dataclass(frozen=True, slots=True)
class EncryptedResponse:
    """An answer that is still closed: a compact JWE."""

    jwe: str


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The wallet answers that it does not answer (§8.5). The description is cut off; never show it as markup."""

    error: str
    description: str = ""
    state: str | None = None


Response: TypeAlias = AuthorizationResponse | ErrorResponse
ReceivedResponse: TypeAlias = AuthorizationResponse | EncryptedResponse | ErrorResponse


def parse_form(body: bytes) -> dict[str, str]:
    """Read an `application/x-www-form-urlencoded` body in UTF-8, each field once (§8.2).

    Raises:
        ResponseError: malformed, a field twice, or too large.
    """
    if len(body) > MAX_FORM:
        raise ResponseError(ReasonCode.RESPONSE_TOO_LARGE)
    if _BROKEN_PERCENT.search(body):
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "not a form")
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
            strict_parsing=True,
        )
    except ValueError as error:
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "not a form") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "a field is there twice")
    return fields


def parse_response_form(fields: Mapping[str, str], *, expected_mode: ResponseMode) -> ReceivedResponse:
    """Read the fields that a wallet posted, or that stand in a fragment (§8.1, §8.2, §8.3.1). Unknown ones are ignored.

    Raises:
        ResponseError: not a response, or not encrypted although that was asked for. A wallet's error may be in clear.
    """
    params: JsonObject = {**fields}
    if "vp_token" in fields:
        try:
            params["vp_token"] = strict_json.parse(fields["vp_token"])
        except Malformed as error:
            raise ResponseError(ReasonCode.VP_TOKEN_MALFORMED, "not JSON") from error
    return parse_response_members(params, expected_mode=expected_mode)


def parse_response_members(params: JsonObject, *, expected_mode: ResponseMode) -> ReceivedResponse:
    """Read the members of an answer over the Digital Credentials API (§A.4), or of a form whose JSON was read.

    Raises:
        ResponseError: as `parse_response_form`.
    """
    if "response" not in params:
        received = _parse_parameters(params)
        if expected_mode.is_encrypted and isinstance(received, AuthorizationResponse):
            raise ResponseError(ReasonCode.RESPONSE_NOT_ENCRYPTED)
        return received
    jwe = params["response"]
    if not expected_mode.is_encrypted or "vp_token" in params or "error" in params:
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "response stands beside what it should hold, or unasked")
    if not isinstance(jwe, str):
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "response is no text")
    if jwe.count(".") == 2:
        # a signed token proves nothing here and hides nothing (§8.3: encrypted, unsigned)
        raise ResponseError(ReasonCode.RESPONSE_NOT_ENCRYPTED, "a signature is no encryption")
    return EncryptedResponse(jwe)


def parse_response_payload(payload: bytes) -> Response:
    """Read what was inside an encrypted answer: a JSON object with the parameters at its top level (§8.3).

    Raises:
        ResponseError: it is none, or neither an answer nor an error.
    """
    try:
        return _parse_parameters(strict_json.parse_object(payload))
    except Malformed as error:
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, f"payload: {error}") from error


def _parse_parameters(params: JsonObject) -> Response:
    state, error = params.get("state"), params.get("error")
    if not isinstance(state, str | None):
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "state is no text")
    if "error" not in params:
        if "vp_token" not in params:
            raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "neither vp_token nor error")
        return AuthorizationResponse(params["vp_token"], state)
    if "vp_token" in params or not isinstance(error, str) or not error:
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "an error stands alone, as a text")
    description = params.get("error_description")
    return ErrorResponse(
        error[:_MAX_DESCRIPTION], description[:_MAX_DESCRIPTION] if isinstance(description, str) else "", state
    )


# the wallet's side


def build_response(
    request: AuthorizationRequest, vp_token: Mapping[str, Sequence[Presentation]], *, apu: bytes | None = None
) -> JsonObject:
    """Write an answer in the mode that was asked for (§8.1, §8.3, §A.4): members for the API, `form_fields` for a form.

    apu: agreement information that enters the key derivation; it has no meaning in OpenID4VP 1.0.

    Raises:
        RequestError: the question offers no key or no encryption that we can use.
    """
    params: JsonObject = {"vp_token": {name: list(presentations) for name, presentations in vp_token.items()}}
    if request.state is not None:
        params["state"] = request.state
    return _in_mode(request, params, apu=apu)


def build_error_response(error: ErrorCode, *, description: str = "", state: str | None = None) -> JsonObject:
    """Write an error answer (§8.5); it may go in clear whatever mode was asked for (§8.3.1)."""
    params: JsonObject = {"error": error.value}
    if description:
        params["error_description"] = description
    if state is not None:
        params["state"] = state
    return params


def form_fields(params: JsonObject) -> dict[str, str]:
    """The members of an answer as fields of a form or a fragment: objects become JSON texts (§8.1)."""
    return {
        name: value if isinstance(value, str) else strict_json.dumps(value).decode() for name, value in params.items()
    }


def _in_mode(request: AuthorizationRequest, params: JsonObject, *, apu: bytes | None) -> JsonObject:
    if not request.response_mode.is_encrypted:
        return params
    if request.client_metadata is None:
        raise invalid_request("client_metadata: missing")
    jwk = request.client_metadata.encryption_key()
    enc = choose_enc(request.client_metadata)
    return {"response": encrypt(strict_json.dumps(params), jwk=jwk, enc=enc, apu=apu)}


def choose_enc(metadata: ClientMetadata) -> str:
    """The content encryption for an answer: A256GCM where it is offered, else A128GCM (HAIP 1.0 §5).

    Raises:
        RequestError: neither is offered.
    """
    for enc in reversed(GCM_ENCS):
        if enc in metadata.encs:
            return enc
    raise invalid_request("encrypted_response_enc_values_supported: none that we can use")


# what the response endpoint says to the wallet


def build_endpoint_answer(redirect_uri: str | None) -> JsonObject:
    """The body for a wallet whose answer was processed (§8.2); it follows `redirect_uri` if there is one."""
    return {} if redirect_uri is None else {"redirect_uri": redirect_uri}


def parse_endpoint_answer(body: bytes) -> str | None:
    """Where the verifier wants the holder to go on (§8.2); unknown members are ignored.

    Raises:
        ResponseError: not a JSON object, or `redirect_uri` is no text.
    """
    try:
        answer = strict_json.parse_object(body)
    except Malformed as error:
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "the endpoint's answer is no JSON object") from error
    redirect_uri = answer.get("redirect_uri")
    if not isinstance(redirect_uri, str | None):
        raise ResponseError(ReasonCode.RESPONSE_MALFORMED, "redirect_uri is no text")
    return redirect_uri
