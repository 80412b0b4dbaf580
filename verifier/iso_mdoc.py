"""`org-iso-mdoc` beside OpenID4VP: the same question as a device request of a browser (ISO/IEC TS 18013-7 Annex C).

Its key is made for one question and one use; the answer is judged as any other one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.mdoc import MdocLimits
from specs.credentials.session_transcript import iso_mdoc_dc_api_transcript
from specs.keys.signer import SigningIdentity
from specs.protocols.dcql import DcqlQuery
from specs.protocols.iso_mdoc_dc_api import build_encryption_info, build_request_data, open_response
from specs.protocols.openid4vp import DcApiProtocol, DcApiRequest
from specs.protocols.proximity import device_request_of, query_as_answered, vp_token_of
from specs.refusal import ReasonCode, Refusal
from verifier.response import OpenedResponse

_NONCE_BYTES = 32


@dataclass(frozen=True, slots=True)
class MdocExchange:
    """What one question's answer is sealed to. encryption_info: base64url text as sent, a part of the transcript."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    encryption_info: str

    def transcript(self, origin: str) -> bytes:
        """The session transcript of this question on a page (C.5)."""
        return iso_mdoc_dc_api_transcript(encryption_info=self.encryption_info, origin=origin)


def new_exchange(*, random: Callable[[int], bytes]) -> MdocExchange:
    """A fresh key and nonce (C.2)."""
    key = ec.generate_private_key(ec.SECP256R1())
    return MdocExchange(key, build_encryption_info(key.public_key(), nonce=random(_NONCE_BYTES)))


def iso_mdoc_request(exchange: MdocExchange, *, query: DcqlQuery, origin: str, reader: SigningIdentity) -> DcApiRequest:
    """The question for a page of one origin, which the reader's signature is bound to (C.2, C.5).

    Raises:
        ValueError: a question that can't be put as a device request.
    """
    request = device_request_of(query, session_transcript=exchange.transcript(origin), reader=reader)
    data = build_request_data(request, encryption_info=exchange.encryption_info)
    return DcApiRequest(DcApiProtocol.ISO_MDOC, data)


def open_iso_mdoc_response(
    response: Mapping[str, object], *, exchange: MdocExchange, origin: str, query: DcqlQuery, limits: MdocLimits
) -> tuple[OpenedResponse, DcqlQuery]:
    """Open what the browser gave to a page of an origin (C.3, C.4), with the question as it was answered.

    What opens and is no answer is one all the same.

    Raises:
        Refusal: misshapen, or sealed to another key, nonce or origin.
    """
    data = response.get("data")
    if not isinstance(data, Mapping):
        raise Refusal(ReasonCode.RESPONSE_MALFORMED, "data")
    opened = open_response(data, key=exchange.key, session_transcript=exchange.transcript(origin))
    try:
        token = vp_token_of(opened, query=query, limits=limits)
    except Refusal as error:
        return OpenedResponse({}, None, None, broken=error.reason), query
    answer = OpenedResponse({"vp_token": {name: list(shown) for name, shown in token.items()}}, None, None)
    return answer, query_as_answered(query, token, limits=limits)
