"""The one seam between an honest wallet and one that misbehaves: each thing that goes out passes here, by its name.

An honest wallet's `Conduct` hands everything through as it was made. `misbehaviour` has the other one, which changes
exactly one piece.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Generic, TypeVar

from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.mdoc import IssuerSigned
from specs.credentials.sd_jwt import SdJwt
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import PrivateKey
from specs.keys.signer import Signer
from specs.protocols.proximity import Channel

T = TypeVar("T")


class Endpoint(StrEnum):
    """To whom something goes: an address of the issuer or verifier, or the reader on the spot."""

    OTHER = "other"  # what is fetched: metadata, offers, challenges
    PAR = "par"
    CHALLENGE = "challenge"
    AUTHORIZATION = "authorization"
    TOKEN = "token"  # noqa: S105  # an address
    NONCE = "nonce"
    CREDENTIAL = "credential"
    DEFERRED = "deferred"
    NOTIFICATION = "notification"
    REQUEST = "request"
    ANSWER = "answer"
    READER = "reader"


@dataclass(frozen=True, slots=True)
class Piece(Generic[T]):
    """A kind of thing that goes out; T: what it is before it is written down."""

    name: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """What came back: an HTTP status and the error's code, or the status with which a reader ended the session.

    status: None where the other side hung up.
    """

    to: Endpoint
    status: int | None
    error: str | None = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Jwt:
    """A JWT about to be signed. spoilt: with a wrong signature. unsigned: with none at all."""

    header: JsonObject
    claims: JsonObject
    signer: Signer
    spoilt: bool = False
    unsigned: bool = False

    def claiming(self, **claims: JsonValue) -> "Jwt":
        """With these claims."""
        return replace(self, claims={**self.claims, **claims})

    def without(self, *names: str) -> "Jwt":
        """Without these claims."""
        return replace(self, claims={name: value for name, value in self.claims.items() if name not in names})

    def headed(self, **members: JsonValue) -> "Jwt":
        """With these header parameters; None leaves one out."""
        header: JsonObject = {name: value for name, value in {**self.header, **members}.items() if value is not None}
        return replace(self, header=header)

    def signed_by(self, signer: Signer) -> "Jwt":
        """Signed by somebody else; the header stays."""
        return replace(self, signer=signer)

    def token(self) -> str:
        """The compact form."""
        parts = (strict_json.dumps(self.header), strict_json.dumps(self.claims))
        head = ".".join(base64url.encode(part) for part in parts)
        if self.unsigned:
            return f"{head}."
        signature = bytearray(self.signer.sign(head.encode("ascii")))
        signature[-1] ^= self.spoilt
        return f"{head}.{base64url.encode(bytes(signature))}"


def jwt_of(token: str, signer: Signer) -> Jwt:
    """A JWT that this wallet has signed, taken apart."""
    header, claims, _ = token.split(".")
    return Jwt(
        strict_json.parse_object(base64url.decode(header)), strict_json.parse_object(base64url.decode(claims)), signer
    )


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An HTTP request about to be sent. times: how often. pace: seconds before each byte of its second half."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    times: int = 1
    pace: float = 0.0

    def headed(self, name: str, value: str | None) -> "Outgoing":
        """With another value of a header, or without it."""
        others = tuple(each for each in self.headers if each[0].lower() != name.lower())
        return replace(self, headers=others if value is None else (*others, (name, value)))


@dataclass(frozen=True, slots=True)
class Sealing:
    """A message about to be encrypted to a key."""

    payload: bytes
    jwk: dict[str, JsonValue]
    enc: str
    zip: str | None = None


@dataclass(frozen=True, slots=True)
class ShownSdJwt:
    """Disclosures about to be bound: what was chosen of what the wallet holds."""

    held: SdJwt
    chosen: SdJwt


@dataclass(frozen=True, slots=True)
class ShownMdoc:
    """A document about to be signed by the device. disclose: name space and element; transcript: of the session."""

    issuer_signed: IssuerSigned
    doc_type: str
    disclose: tuple[tuple[str, str], ...]
    transcript: bytes
    device_key: Signer | ec.EllipticCurvePrivateKey
    reader_key: ec.EllipticCurvePublicKey | None = None


@dataclass(frozen=True, slots=True)
class Choice:
    """Which credential of the wallet answers: its id; others: ids of the same format, but of another type."""

    credential_id: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionReply:
    """The device's answer about to be sealed for the reader. sealed: the message, if it is not to be made as usual."""

    channel: Channel
    response: bytes
    sealed: bytes | None = None


VpToken = dict[str, JsonValue]

CLIENT_ATTESTATION: Piece[Jwt] = Piece("client attestation")
ATTESTATION_POP: Piece[Jwt] = Piece("proof of possession of the client attestation")
DPOP: Piece[Jwt] = Piece("DPoP proof")
KEY_PROOF: Piece[Jwt] = Piece("key proof")
KEY_ATTESTATION: Piece[Jwt] = Piece("key attestation")
HOLDER_KEYS: Piece[tuple[PrivateKey, ...]] = Piece("holder keys of a request")
FORM: Piece[dict[str, str]] = Piece("form")
MESSAGE: Piece[JsonObject] = Piece("message")
SEALING: Piece[Sealing] = Piece("encryption")
REQUEST: Piece[Outgoing] = Piece("HTTP request")
CHOICE: Piece[Choice] = Piece("chosen credential")
SD_JWT: Piece[ShownSdJwt] = Piece("disclosures")
KEY_BINDING: Piece[Jwt] = Piece("key binding")
PRESENTATION: Piece[str] = Piece("presentation")
MDOC: Piece[ShownMdoc] = Piece("mdoc")
DOCUMENT: Piece[bytes] = Piece("document of a DeviceResponse")
DEVICE_RESPONSE: Piece[bytes] = Piece("DeviceResponse")
VP_TOKEN: Piece[VpToken] = Piece("vp_token")
SESSION_REPLY: Piece[SessionReply] = Piece("session message")


class Conduct:
    """An honest wallet's: nothing is changed, nothing is noted."""

    def change(self, piece: Piece[T], value: T, *, to: Endpoint) -> T:
        """What goes out in place of `value`."""
        return value

    def signed(self, piece: Piece[Jwt], token: str, signer: Signer, *, to: Endpoint) -> str:
        """What goes out in place of a token that `signer` signed."""
        return token

    def note(self, exchange: Exchange) -> None:
        """What came back."""


HONEST = Conduct()
