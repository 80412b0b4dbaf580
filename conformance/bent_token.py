"""A signed token that can be bent before it is sent: each change gives a new one, signed anew."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.signer import FileSigner


@dataclass(frozen=True, slots=True)
class Token:
    """A compact JWS to be. spoil: changes the signature in the end."""

    header: JsonObject
    claims: JsonObject
    signer: FileSigner
    spoil: Callable[[bytes], bytes] = lambda signature: signature

    def head(self, **members: JsonValue) -> "Token":
        """Header members set."""
        return replace(self, header=self.header | members)

    def without_head(self, *names: str) -> "Token":
        """Header members left out."""
        return replace(self, header={name: value for name, value in self.header.items() if name not in names})

    def claim(self, **members: JsonValue) -> "Token":
        """Claims set."""
        return replace(self, claims=self.claims | members)

    def without(self, *names: str) -> "Token":
        """Claims left out."""
        return replace(self, claims={name: value for name, value in self.claims.items() if name not in names})

    def by(self, signer: FileSigner) -> "Token":
        """Signed by another key, with nothing else changed."""
        return replace(self, signer=signer)

    def spoilt(self) -> "Token":
        """With one bit of the signature wrong."""
        return replace(self, spoil=lambda signature: signature[:-1] + bytes([signature[-1] ^ 1]))

    def unsigned(self) -> "Token":
        """`alg: none`, without a signature."""
        return replace(self.head(alg="none"), spoil=lambda _signature: b"")

    def __str__(self) -> str:
        """The token as it is sent."""
        signing_input = ".".join(base64url.encode(strict_json.dumps(part)) for part in (self.header, self.claims))
        signature = self.spoil(self.signer.sign(signing_input.encode()))
        return f"{signing_input}.{base64url.encode(signature)}"


Bend: TypeAlias = Callable[[Token], Token]


def straight(token: Token) -> Token:
    """No change."""
    return token


def opened(compact: str, signer: FileSigner) -> Token:
    """A token that was built by the book, to be bent and signed again."""
    head, claims, _ = compact.split(".")
    return Token(
        strict_json.parse_object(base64url.decode(head)), strict_json.parse_object(base64url.decode(claims)), signer
    )
