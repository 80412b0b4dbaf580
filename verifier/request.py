"""The question as a wallet gets it: signed, with a fresh key to answer to, behind a link and a QR code."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import qrcode
from qrcode.image.svg import SvgPathImage

from specs.encoding.strict_json import JsonObject
from specs.protocols.openid4vp import (
    ClientIdPrefix,
    DcApiProtocol,
    DcApiRequest,
    RequestByReference,
    RequestByValue,
    RequestEncryption,
    SupportedFormats,
    build_authorization_request,
    build_client_metadata,
    build_multi_signed_request,
    build_request_link,
    build_request_object,
    build_signed_request,
    build_unsigned_link,
    build_unsigned_request,
    encrypt_request_object,
)
from specs.protocols.openid4vp.metadata import GCM_ENCS
from specs.protocols.openid4vp.request_object import SELF_ISSUED_AUDIENCE
from verifier.ask import Procedure, RequestWay
from verifier.iso_mdoc import iso_mdoc_request
from verifier.relying_party import RelyingParty
from verifier.transaction import Transaction

_PER_SIGNATURE = ("client_id", "verifier_info", "trust_chain")


class WalletScheme(StrEnum):
    """How a link finds a wallet (OpenID4VP §9, HAIP §5.1)."""

    OPENID4VP = "openid4vp://"
    HAIP = "haip-vp://"


@dataclass(frozen=True, slots=True)
class Putting:
    """All that puts one transaction's question into words.

    procedure, relying_party: with the question's choices applied. formats, encs: what is announced. send_chain: of the
    preset. allow_loopback_http: for demonstrations.
    """

    transaction: Transaction
    procedure: Procedure
    relying_party: RelyingParty
    formats: SupportedFormats
    co_signers: Sequence[RelyingParty] = ()
    encs: Sequence[str] = GCM_ENCS
    send_chain: bool = True
    allow_loopback_http: bool = False


def request_object(
    putting: Putting, *, now: int, wallet_nonce: str | None = None, encryption: RequestEncryption | None = None
) -> str:
    """Sign a question (OpenID4VP §5, HAIP §5): the same each time it is fetched, but for times.

    now: seconds since the epoch. wallet_nonce, encryption: as the wallet posted them (§5.10).

    Raises:
        RequestError: a wallet would refuse the question.
    """
    signed = _signed(putting, _redirect_params(putting, signed=True), now=now, wallet_nonce=wallet_nonce)
    return signed if encryption is None else encrypt_request_object(signed, jwk=encryption.jwk, enc=encryption.enc)


def wallet_link(putting: Putting, *, wallet: str, request_uri: str | None, now: int) -> str:
    """The link that opens a wallet with the question; also what its QR code says.

    wallet: what the link begins with. request_uri: where the question is fetched, if it is.

    Raises:
        RequestError: a wallet would refuse the question.
    """
    client_id = putting.relying_party.client_id_for(putting.transaction.response_uri)
    if request_uri is not None:
        return build_request_link(
            RequestByReference(client_id, request_uri, putting.procedure.request_way.method), wallet=wallet
        )
    if putting.procedure.request_way is RequestWay.VALUE:
        return build_request_link(RequestByValue(client_id, request_object(putting, now=now)), wallet=wallet)
    return build_unsigned_link(_redirect_params(putting, signed=False), wallet=wallet)


def dc_api_requests(putting: Putting, *, now: int) -> tuple[DcApiRequest, ...]:
    """The question as a page hands it to the browser, in each protocol that is offered.

    OpenID4VP §A.1 to §A.3; ISO/IEC TS 18013-7 C.2.

    Raises:
        RequestError: a wallet would refuse the question.
    """
    return tuple(_dc_api_request(putting, protocol, now=now) for protocol in putting.procedure.dc_api)


def _dc_api_request(putting: Putting, protocol: DcApiProtocol, *, now: int) -> DcApiRequest:
    if protocol is DcApiProtocol.UNSIGNED:
        return build_unsigned_request(_params(putting, signed=False, over_dc_api=True))
    if protocol is DcApiProtocol.ISO_MDOC:
        return _iso_mdoc_request(putting)
    params = _params(putting, signed=True, over_dc_api=True)
    if protocol is DcApiProtocol.SIGNED:
        return build_signed_request(_signed(putting, params, now=now, wallet_nonce=None))
    common: JsonObject = {name: value for name, value in params.items() if name not in _PER_SIGNATURE}
    common |= {"aud": SELF_ISSUED_AUDIENCE, "iat": now, "exp": now + _lifetime(putting, now)}
    signers = [
        signer.co_signer(send_chain=putting.send_chain) for signer in (putting.relying_party, *putting.co_signers)
    ]
    return build_multi_signed_request(common, signers=signers)


def _iso_mdoc_request(putting: Putting) -> DcApiRequest:
    exchange, reader = putting.transaction.mdoc_exchange, putting.relying_party.reader
    assert exchange is not None  # made with the question
    assert reader is not None  # `check_question` wants one
    return iso_mdoc_request(exchange, query=putting.procedure.query, origin=putting.procedure.origins[0], reader=reader)


def _redirect_params(putting: Putting, *, signed: bool) -> JsonObject:
    return _params(putting, signed=signed, over_dc_api=False)


def _params(putting: Putting, *, signed: bool, over_dc_api: bool) -> JsonObject:
    transaction, procedure, relying_party = putting.transaction, putting.procedure, putting.relying_party
    key = transaction.response_key
    named = signed or not over_dc_api
    federated = named and relying_party.prefix is ClientIdPrefix.OPENID_FEDERATION
    return build_authorization_request(
        client_id=relying_party.client_id_for(transaction.response_uri) if named else None,
        response_mode=procedure.response_mode,
        nonce=transaction.nonce,
        query=procedure.query,
        client_metadata=None
        if federated
        else build_client_metadata(
            formats=putting.formats, response_keys=[key.public_jwk()] if key else [], encs=putting.encs
        ),
        response_uri=None if over_dc_api else transaction.response_uri,
        state=None if over_dc_api else transaction.wallet_state,
        transaction_data=procedure.transaction_data,
        verifier_info=(*relying_party.verifier_info, *procedure.verifier_info),
        expected_origins=procedure.origins if over_dc_api and signed else (),
        trust_chain=relying_party.trust_chain if federated else (),
        signed=signed,
        allow_loopback_http=putting.allow_loopback_http,
    )


def _signed(putting: Putting, params: JsonObject, *, now: int, wallet_nonce: str | None) -> str:
    relying_party = putting.relying_party
    return build_request_object(
        params,
        identity=relying_party.signing_identity(send_chain=putting.send_chain),
        issued_at=now,
        lifetime=_lifetime(putting, now),
        wallet_nonce=wallet_nonce,
        attestation=relying_party.attestation,
        kid=relying_party.kid,
    )


def _lifetime(putting: Putting, now: int) -> int:
    return max(1, putting.transaction.expires_at - now)


def qr_svg(link: str) -> bytes:
    """A link as a QR code: an SVG document."""
    return _drawn(link, SvgPathImage)


def qr_png(link: str) -> bytes:
    """A link as a QR code: a PNG picture (needs Pillow)."""
    return _drawn(link, None)


def _drawn(link: str, factory: type[SvgPathImage] | None) -> bytes:
    code = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_M, border=4)
    code.add_data(link)
    picture = io.BytesIO()
    code.make_image(image_factory=factory).save(picture)
    return picture.getvalue()
