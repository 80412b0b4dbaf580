"""The answer as it arrives: opened with this question's key, or refused before anything in it is looked at."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys import jwe
from specs.keys.jwe import DecryptionKey
from specs.protocols.openid4vp.dc_api import DcApiProtocol, parse_dc_api_response
from specs.protocols.openid4vp.request import ResponseMode
from specs.protocols.openid4vp.response import (
    MAX_FORM,
    EncryptedResponse,
    ErrorResponse,
    ReceivedResponse,
    Response,
    parse_response_form,
    parse_response_members,
    parse_response_payload,
)
from specs.refusal import ReasonCode, Refusal


@dataclass(frozen=True, slots=True)
class OpenedResponse:
    """An answer in clear: its members, or the wallet's error.

    kid, key_thumbprint: the key that it was encrypted to (RFC 7638, 32 bytes); None if it came in clear. broken: it
    opens for this question and is no answer.
    """

    payload: JsonObject
    kid: str | None
    key_thumbprint: bytes | None
    error: ErrorResponse | None = None
    broken: ReasonCode | None = None

    @property
    def is_shown(self) -> bool:
        """Whether there is something to judge."""
        return self.error is None and self.broken is None

    @property
    def state(self) -> str | None:
        """`state` as the wallet sent it."""
        value = self.payload.get("state")
        return value if isinstance(value, str) else None

    @property
    def vp_token(self) -> JsonValue:
        """`vp_token` as the wallet sent it; None if it declined."""
        return self.payload.get("vp_token")


def open_response(
    form: Mapping[str, object], *, keys: Mapping[str, DecryptionKey], expected_mode: ResponseMode | str
) -> OpenedResponse:
    """Open an answer: the fields of a POST to `response_uri`, or `data` of a browser API result (OpenID4VP §8, A.4).

    keys: this question's decryption keys by `kid`. A wallet may send an error in clear to an encrypted mode (§8.3.1).

    Raises:
        Refusal: not of the expected mode, not openable, not an object, or `error` together with `vp_token`.
    """
    mode = ResponseMode(expected_mode)
    if isinstance(form.get("vp_token"), str):
        received = parse_response_form(form, expected_mode=mode)  # type: ignore[arg-type]  # what is no text is refused
    else:
        received = parse_response_members(dict(form), expected_mode=mode)  # type: ignore[arg-type]  # JSON of the browser
    return _decrypted(received, keys)


def open_dc_api_response(
    response: Mapping[str, object],
    *,
    keys: Mapping[str, DecryptionKey],
    expected_protocols: Collection[DcApiProtocol],
    expected_mode: ResponseMode,
) -> OpenedResponse:
    """Open what the browser's API gave to the page: `protocol` and `data` (OpenID4VP §A.4).

    Raises:
        Refusal: a protocol that was not offered, or as `open_response`.
    """
    for protocol in expected_protocols:
        if response.get("protocol") == protocol:
            received = parse_dc_api_response(
                response,  # type: ignore[arg-type]  # JSON of the browser
                expected_protocol=protocol,
                expected_mode=expected_mode,
            )
            return _decrypted(received, keys)
    raise Refusal(ReasonCode.RESPONSE_MALFORMED, "not an answer by a protocol that was offered")


def _decrypted(received: ReceivedResponse, keys: Mapping[str, DecryptionKey]) -> OpenedResponse:
    if not isinstance(received, EncryptedResponse):
        return _opened(received, None)
    decrypted = jwe.decrypt(received.jwe, keys=keys, max_token=MAX_FORM, max_plaintext=MAX_FORM)
    return _opened(parse_response_payload(decrypted.payload), decrypted.key)


def _opened(response: Response, key: DecryptionKey | None) -> OpenedResponse:
    payload: JsonObject = {} if response.state is None else {"state": response.state}
    error: ErrorResponse | None = None
    if isinstance(response, ErrorResponse):
        error = response
    else:
        payload["vp_token"] = response.vp_token
    return OpenedResponse(payload, key.kid if key else None, key.thumbprint if key else None, error)
