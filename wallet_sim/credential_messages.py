"""Messages between wallet and credential issuer in their envelope: plain, or encrypted both ways (OpenID4VCI §10)."""

from dataclasses import dataclass

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import JoseError
from specs.keys.jwe import ECDH_ES, DecryptionKey, decrypt, encrypt, new_decryption_key
from specs.protocols.issuer_metadata import IssuerMetadata, RequestEncryption, ResponseEncryptionSupport
from specs.protocols.openid4vci import ResponseEncryption
from wallet_sim.conduct import SEALING, Conduct, Endpoint, Sealing
from wallet_sim.transport import Answer, WalletFailure

ENCRYPTED = "application/jwt"
DEFLATE = "DEF"
_ENCS = ("A256GCM", "A128GCM")  # the one we like best first


@dataclass(frozen=True, slots=True)
class Envelope:
    """How a request and its answer travel. response_key: what the answer is encrypted to, None if it comes in clear."""

    request: RequestEncryption | None
    response: ResponseEncryptionSupport | None
    response_key: DecryptionKey | None

    @property
    def wanted(self) -> ResponseEncryption | None:
        """What the request says about its answer (§8.2)."""
        if self.response is None or self.response_key is None:
            return None
        return ResponseEncryption(
            dict(self.response_key.public_jwk()), _enc(self.response.encs), _zip(self.response.zips)
        )

    def seal(self, message: JsonObject, *, conduct: Conduct, to: Endpoint) -> tuple[bytes, str]:
        """The body of a request and its content type.

        Raises:
            WalletFailure: the issuer publishes no key or algorithm that we can encrypt with.
        """
        body = strict_json.dumps(message)
        if self.request is None:
            return body, "application/json"
        for jwk in self.request.keys:
            if jwk.get("alg") == ECDH_ES and jwk.get("crv") == "P-256":
                sealing = Sealing(body, dict(jwk), _enc(self.request.encs), _zip(self.request.zips))
                sealing = conduct.change(SEALING, sealing, to=to)
                token = encrypt(sealing.payload, jwk=sealing.jwk, enc=sealing.enc, zip=sealing.zip)
                return token.encode(), ENCRYPTED
        raise WalletFailure("the issuer publishes no key that this wallet can encrypt a request to")

    def open(self, answer: Answer) -> bytes:
        """The JSON text of a good answer.

        Raises:
            WalletFailure: it came in clear though it was to be encrypted, or does not open.
        """
        if self.response_key is None:
            return answer.body
        if answer.media_type != ENCRYPTED:
            raise WalletFailure("the issuer answered in clear although encryption was asked for")
        token = answer.body.decode("ascii", "replace")
        try:
            return decrypt(token, keys={self.response_key.kid: self.response_key}, allowed_zip=(DEFLATE,)).payload
        except JoseError as error:
            raise WalletFailure(f"the issuer's encrypted answer does not open ({error})") from error


def envelope_for(metadata: IssuerMetadata, *, kid: bytes) -> Envelope:
    """Encrypt both ways where the issuer offers both, the request alone where it demands that (§8.2, §10).

    kid: random bytes that name the answer's key.

    Raises:
        WalletFailure: the issuer demands an encrypted answer, and gives no key to ask for it.
    """
    request, response = metadata.request_encryption, metadata.response_encryption
    if response is not None and request is None and response.required:
        raise WalletFailure("the issuer demands encrypted answers but gives no key to encrypt the request to")
    if request is None:
        return Envelope(None, None, None)
    if response is None or ECDH_ES not in response.algs:
        return Envelope(request if request.required else None, None, None)
    return Envelope(request, response, new_decryption_key(base64url.encode(kid)))


def _enc(offered: tuple[str, ...]) -> str:
    for enc in _ENCS:
        if enc in offered:
            return enc
    raise WalletFailure("the issuer offers no content encryption that this wallet knows")


def _zip(offered: tuple[str, ...]) -> str | None:
    return DEFLATE if DEFLATE in offered else None
