"""The question as a wallet gets it: signed, with a fresh key to answer to, behind a link and a QR code."""

import io
from dataclasses import dataclass
from enum import StrEnum

import qrcode
from qrcode.image.svg import SvgPathImage

from specs.keys.signer import SigningIdentity
from specs.protocols.openid4vp import (
    ALL_FORMATS,
    ClientId,
    ClientIdPrefix,
    RequestByReference,
    RequestUriMethod,
    SupportedFormats,
    VerifierInfo,
    build_authorization_request,
    build_client_metadata,
    build_request_link,
    build_request_object,
    x509_hash_client_id,
    x509_san_dns_client_id,
)
from verifier.ask import Procedure
from verifier.transaction import Transaction


class WalletScheme(StrEnum):
    """How a link finds a wallet (OpenID4VP §9, HAIP §5.1)."""

    OPENID4VP = "openid4vp://"
    HAIP = "haip-vp://"


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who asks: the key and chain of the access certificate, and what is attested about it.

    prefix: `x509_hash` (HAIP) or `x509_san_dns`. send_chain: False sends the leaf of the chain alone, as the German
    wallet expects.
    """

    identity: SigningIdentity
    prefix: ClientIdPrefix = ClientIdPrefix.X509_HASH
    send_chain: bool = True
    verifier_info: tuple[VerifierInfo, ...] = ()
    formats: SupportedFormats = ALL_FORMATS

    @property
    def client_id(self) -> ClientId:
        """The client identifier that the certificate stands for (OpenID4VP §5.9.3)."""
        leaf = self.identity.chain[0]
        if self.prefix is ClientIdPrefix.X509_SAN_DNS:
            return x509_san_dns_client_id(leaf)
        return x509_hash_client_id(leaf)

    @property
    def signing_identity(self) -> SigningIdentity:
        """The identity as it signs request objects."""
        return self.identity if self.send_chain else SigningIdentity(self.identity.signer, self.identity.chain[:1])


def request_object(
    transaction: Transaction,
    *,
    procedure: Procedure,
    relying_party: RelyingParty,
    now: int,
    wallet_nonce: str | None = None,
    allow_loopback_http: bool = False,
) -> str:
    """Sign a transaction's question (OpenID4VP §5, HAIP §5): the same each time it is fetched, but for times.

    now: seconds since the epoch. wallet_nonce: as the wallet posted it (§5.10).

    Raises:
        RequestError: a wallet would refuse the question.
    """
    key = transaction.response_key
    params = build_authorization_request(
        client_id=relying_party.client_id,
        response_mode=procedure.response_mode,
        nonce=transaction.nonce,
        query=procedure.query,
        client_metadata=build_client_metadata(
            formats=relying_party.formats, response_keys=[key.public_jwk()] if key else []
        ),
        response_uri=transaction.response_uri,
        state=transaction.wallet_state,
        transaction_data=procedure.transaction_data,
        verifier_info=relying_party.verifier_info,
        allow_loopback_http=allow_loopback_http,
    )
    return build_request_object(
        params,
        identity=relying_party.signing_identity,
        issued_at=now,
        lifetime=max(1, transaction.expires_at - now),
        wallet_nonce=wallet_nonce,
    )


def wallet_link(
    request_uri: str,
    *,
    relying_party: RelyingParty,
    scheme: str = WalletScheme.OPENID4VP,
    method: RequestUriMethod = RequestUriMethod.GET,
) -> str:
    """The link that opens a wallet with the question; also what its QR code says."""
    return build_request_link(RequestByReference(relying_party.client_id, request_uri, method), wallet=scheme)


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
