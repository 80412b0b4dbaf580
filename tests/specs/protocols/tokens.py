"""JWTs that a test takes apart, changes in one place, and signs as it likes.

And a wallet provider to vouch for keys.
"""

import hashlib
import hmac
from dataclasses import dataclass, field, replace

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import jwk_from_public_key, x5c_header
from specs.keys.signer import FileSigner, Signer, SigningIdentity, generate_private_key, generate_signer
from specs.trust.certificates import Authority, SubjectName, build_attester, build_root_ca
from specs.trust.x509 import AnchorKind, TrustAnchor

NOW = 1_790_000_000
DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Token:
    """A compact JWT before it is signed. signer None: no signature; mac_key: a MAC instead of a signature."""

    header: JsonObject
    claims: JsonObject
    signer: Signer | None
    mac_key: bytes | None = None
    flipped: bool = False

    def with_header(self, **members: JsonValue) -> "Token":
        return replace(self, header=self.header | members)

    def without_header(self, name: str) -> "Token":
        return replace(self, header={key: value for key, value in self.header.items() if key != name})

    def with_claims(self, **members: JsonValue) -> "Token":
        return replace(self, claims=self.claims | members)

    def without_claim(self, name: str) -> "Token":
        return replace(self, claims={key: value for key, value in self.claims.items() if key != name})

    def signed_by(self, signer: Signer) -> "Token":
        return replace(self, signer=signer)

    def unsigned(self, alg: str = "none") -> "Token":
        return replace(self.with_header(alg=alg), signer=None)

    def under_mac(self, key: bytes) -> "Token":
        return replace(self.with_header(alg="HS256"), signer=None, mac_key=key)

    def with_flipped_bit(self) -> "Token":
        return replace(self, flipped=True)

    def of_length(self, characters: int) -> "Token":
        """The same, filled up with members that nobody knows until its text is that long; signed by ES256."""
        for more in range(4):  # the claims alone give three of four lengths
            token = self.with_header(fill="f" * more).with_claims(fill="")
            room = (characters - len(token.text())) * 3 // 4
            for letters in range(room - 2, room + 3):
                filled = token.with_claims(fill="f" * letters)
                if len(filled.text()) == characters:
                    return filled
        raise ValueError("the text is longer already")

    def text(self) -> str:
        signing_input = (
            f"{base64url.encode(strict_json.dumps(self.header))}.{base64url.encode(strict_json.dumps(self.claims))}"
        )
        signature = b""
        if self.signer is not None:
            signature = self.signer.sign(signing_input.encode())
        elif self.mac_key is not None:
            signature = hmac.digest(self.mac_key, signing_input.encode(), hashlib.sha256)
        if self.flipped:
            signature = signature[:-1] + bytes((signature[-1] ^ 1,))
        return f"{signing_input}.{base64url.encode(signature)}"


def taken_apart(text: str) -> tuple[JsonObject, JsonObject]:
    """Header and claims of a compact JWT."""
    header, claims, _ = text.split(".")
    return strict_json.parse_object(base64url.decode(header)), strict_json.parse_object(base64url.decode(claims))


def jwk(signer: Signer) -> JsonObject:
    """A signer's public key, as it stands in a header."""
    return dict(jwk_from_public_key(signer.public_key))


@dataclass(frozen=True)
class WalletProvider:
    """A root, and a signer of attestations below it."""

    root: bytes
    identity: SigningIdentity
    anchors: tuple[TrustAnchor, ...] = field(default=())

    def x5c(self) -> JsonValue:
        return list(x5c_header(self.identity.chain))


def wallet_provider(name: str, *, signer_days: int = 365, now: int = NOW) -> WalletProvider:
    """A provider with fresh keys. signer_days: life of the signer's certificate from `now` on."""
    root_key = generate_private_key()
    root = build_root_ca(key=root_key, subject=SubjectName(f"{name} root", "DE"), serial=1, now=now - 30 * DAY)
    signer: FileSigner = generate_signer()
    certificate = build_attester(
        authority=Authority(root, root_key),
        public_key=signer.public_key,
        subject=SubjectName(name, "DE"),
        serial=2,
        now=now - 30 * DAY,
        days=30 + signer_days,
    )
    anchors = (TrustAnchor(AnchorKind.CA, root, name),)
    return WalletProvider(root, SigningIdentity(signer, (certificate,)), anchors)
