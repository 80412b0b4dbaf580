"""The answer as it arrives: opened with this question's key, or refused before anything in it is looked at."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys import jwe
from specs.keys.jose import JoseError
from specs.keys.jwe import DecryptionKey
from specs.refusal import ReasonCode
from verifier.verdict import Refused

MAX_RESPONSE_BYTES = 8 * 1024 * 1024
MAX_ERROR_TEXT = 200  # characters of a wallet's error description that are kept

_RESPONSE_NESTING = 32


class ResponseMode(StrEnum):
    """How the question wants to be answered (OpenID4VP §8.2, §8.3.1, A.2)."""

    DIRECT_POST = "direct_post"
    DIRECT_POST_JWT = "direct_post.jwt"
    DC_API = "dc_api"
    DC_API_JWT = "dc_api.jwt"

    @property
    def encrypted(self) -> bool:
        """Whether the answer must be a JWE."""
        return self.value.endswith(".jwt")


@dataclass(frozen=True, slots=True)
class WalletError:
    """The wallet declined (OpenID4VP §8.5). `description` is a stranger's text: short, never markup."""

    error: str
    description: str


@dataclass(frozen=True, slots=True)
class OpenedResponse:
    """An answer in clear: its members, or the wallet's error.

    kid, key_thumbprint: the key that it was encrypted to (32 bytes); None if it came in clear.
    """

    payload: JsonObject
    kid: str | None
    key_thumbprint: bytes | None
    error: WalletError | None = None

    @property
    def state(self) -> str | None:
        """`state` as the wallet sent it."""
        value = self.payload.get("state")
        return value if isinstance(value, str) else None


def open_response(
    form: Mapping[str, object], *, keys: Mapping[str, DecryptionKey], expected_mode: ResponseMode | str
) -> OpenedResponse:
    """Open an answer: the form of a POST to `response_uri`, or `data` of a Digital Credentials API result.

    keys: this question's decryption keys by `kid`. A wallet may send an error in clear to an encrypted mode (§8.3.1).

    Raises:
        Refused: not of the expected mode, not openable, not an object, or `error` together with `vp_token`.
    """
    mode = ResponseMode(expected_mode)
    if "error" in form:
        if "vp_token" in form or "response" in form:
            raise Refused(ReasonCode.RESPONSE_MALFORMED, "an error together with an answer")
        return _with_error(dict(_texts(form)), None, None)
    if not mode.encrypted:
        if "response" in form:
            raise Refused(ReasonCode.RESPONSE_MALFORMED, "encrypted although the question did not ask for it")
        return OpenedResponse(_clear_payload(form), None, None)
    token = form.get("response")
    if "vp_token" in form:
        raise Refused(ReasonCode.RESPONSE_NOT_ENCRYPTED)
    if not isinstance(token, str):
        raise Refused(ReasonCode.RESPONSE_MALFORMED, "no response member")
    try:
        decrypted = jwe.decrypt(token, keys=keys, max_token=MAX_RESPONSE_BYTES, max_plaintext=MAX_RESPONSE_BYTES)
    except JoseError as error:
        raise Refused(error.reason, error.detail) from error
    try:
        payload = strict_json.parse_object(decrypted.payload, max_depth=_RESPONSE_NESTING)
    except Malformed as error:
        raise Refused(ReasonCode.RESPONSE_MALFORMED, f"plaintext: {error}") from error
    if "error" in payload:
        if "vp_token" in payload:
            raise Refused(ReasonCode.RESPONSE_MALFORMED, "an error together with an answer")
        return _with_error(payload, decrypted.key.kid, decrypted.key.thumbprint)
    return OpenedResponse(payload, decrypted.key.kid, decrypted.key.thumbprint)


def _texts(form: Mapping[str, object]) -> dict[str, str]:
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _with_error(payload: JsonObject | dict[str, str], kid: str | None, thumbprint: bytes | None) -> OpenedResponse:
    code, description = payload.get("error"), payload.get("error_description")
    if not isinstance(code, str):
        raise Refused(ReasonCode.RESPONSE_MALFORMED, "error is no text")
    error = WalletError(_plain(code), _plain(description) if isinstance(description, str) else "")
    state = payload.get("state")
    return OpenedResponse({"state": state} if isinstance(state, str) else {}, kid, thumbprint, error)


def _plain(text: str) -> str:
    return "".join(character for character in text[:MAX_ERROR_TEXT] if character.isprintable())


def _clear_payload(form: Mapping[str, object]) -> JsonObject:
    # form bodies carry vp_token as JSON text, the Digital Credentials API as an object (OpenID4VP §8.1, A.4)
    token = form.get("vp_token")
    if isinstance(token, str):
        if len(token) > MAX_RESPONSE_BYTES:
            raise Refused(ReasonCode.RESPONSE_TOO_LARGE)
        try:
            token = strict_json.parse(token, max_depth=_RESPONSE_NESTING)
        except Malformed as error:
            raise Refused(ReasonCode.VP_TOKEN_MALFORMED, str(error)) from error
    payload: JsonObject = dict(_texts(form))
    payload["vp_token"] = token  # type: ignore[assignment]
    return payload
