"""Certificates drawn by hand, so that a test can bend one line of one of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from specs.trust.profiles import MDOC_DOCUMENT_SIGNER_EKU
from specs.trust.x509 import AnchorKind, CertificateProfile, TrustAnchor, ValidatedPath, validate_path

NOW = 1_790_000_000
DAY = 86_400

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
Hash = hashes.SHA1 | hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512


@cache
def key(label: str, curve: str = "P-256") -> Key:
    """The key of this label, made once in a run."""
    if curve == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if curve.startswith("RSA-"):
        return rsa.generate_private_key(65537, int(curve.removeprefix("RSA-")))
    curves: dict[str, ec.EllipticCurve] = {
        "P-256": ec.SECP256R1(),
        "P-384": ec.SECP384R1(),
        "P-521": ec.SECP521R1(),
        "secp256k1": ec.SECP256K1(),
    }
    return ec.generate_private_key(curves[curve])


def name(common_name: str, country: str = "DE") -> x509.Name:
    """A distinguished name of country and common name."""
    return x509.Name(
        [x509.NameAttribute(NameOID.COUNTRY_NAME, country), x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    )


def usage(*, sign: bool = False, certificates: bool = False, crls: bool = False, agree: bool = False) -> x509.KeyUsage:
    """A key usage."""
    return x509.KeyUsage(sign, False, False, False, agree, certificates, crls, False, False)


@dataclass(frozen=True)
class Drawing:
    """One certificate: what it says and which key it certifies. Its issuer is the next drawing of the path."""

    subject: x509.Name
    key: Key
    extensions: tuple[tuple[x509.ExtensionType, bool], ...]
    begin: int = NOW - 10 * DAY
    end: int = NOW + 90 * DAY
    serial: int = 0x1234567890ABCDEF1234
    digest: hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512 = field(default_factory=hashes.SHA256)
    issuer: x509.Name | None = None
    signer: Key | None = None
    pss: bool = False

    def having(self, extension: x509.ExtensionType, *, critical: bool = False) -> "Drawing":
        """The same with this extension, in place of one of its kind."""
        return replace(self, extensions=(*self.lacking(extension.oid).extensions, (extension, critical)))

    def lacking(self, oid: x509.ObjectIdentifier) -> "Drawing":
        """The same without the extension of this kind."""
        return replace(self, extensions=tuple(pair for pair in self.extensions if pair[0].oid != oid))

    def signed(self, issuer: "Drawing") -> bytes:
        """The DER certificate, by `issuer`'s key unless the drawing names another."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.subject)
            .issuer_name(self.issuer or issuer.subject)
            .public_key(self.key.public_key())
            .serial_number(self.serial)
            .not_valid_before(datetime.fromtimestamp(self.begin, UTC))
            .not_valid_after(datetime.fromtimestamp(self.end, UTC))
        )
        for extension, critical in self.extensions:
            builder = builder.add_extension(extension, critical=critical)
        signing_key = self.signer or issuer.key
        digest = None if isinstance(signing_key, ed25519.Ed25519PrivateKey) else self.digest
        if isinstance(signing_key, rsa.RSAPrivateKey) and self.pss:
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            return builder.sign(signing_key, digest, rsa_padding=pss).public_bytes(Encoding.DER)
        return builder.sign(signing_key, digest).public_bytes(Encoding.DER)


def identifier(of: Key) -> x509.SubjectKeyIdentifier:
    """A subject key identifier."""
    return x509.SubjectKeyIdentifier.from_public_key(of.public_key())


def authority(of: Key) -> x509.AuthorityKeyIdentifier:
    """An authority key identifier."""
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(of.public_key())


def crl_point(url: str = "http://crl.example/1.crl") -> x509.CRLDistributionPoints:
    """A CRL distribution point with one address."""
    return x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)])


def draw_ca(common_name: str, own: Key, *, path_length: int | None, by: Key | None = None) -> Drawing:
    """A CA certificate as it should be."""
    drawing = Drawing(
        subject=name(common_name),
        key=own,
        extensions=(
            (x509.BasicConstraints(ca=True, path_length=path_length), True),
            (usage(certificates=True, crls=True), True),
            (identifier(own), False),
        ),
    )
    return drawing if by is None else drawing.having(authority(by))


def draw_leaf(common_name: str, own: Key, *, by: Key) -> Drawing:
    """An end entity's certificate as it should be."""
    return Drawing(
        subject=name(common_name),
        key=own,
        extensions=(
            (usage(sign=True), True),
            (x509.SubjectAlternativeName([x509.DNSName("signer.stadt.example")]), False),
            (identifier(own), False),
            (authority(by), False),
        ),
    )


def without_last(chain: list[bytes]) -> list[bytes]:
    """The chain as it should be sent: without its root."""
    return chain[:-1]


def last_as_ca(chain: list[bytes]) -> list[TrustAnchor]:
    """The anchors as they should be: the root."""
    return [TrustAnchor(AnchorKind.CA, chain[-1], "root")]


@dataclass(frozen=True)
class Scene:
    """A path, leaf first and root last, what of it is sent, what is believed, and what it is for."""

    drawings: tuple[Drawing, ...]
    profile: CertificateProfile = CertificateProfile.EAA
    sent: Callable[[list[bytes]], list[bytes]] = without_last
    believed: Callable[[list[bytes]], Sequence[TrustAnchor]] = last_as_ca
    now: int = NOW
    allowed_ekus: frozenset[str] | None = None
    required_policies: frozenset[str] = frozenset()
    anchor_in_chain_allowed: bool = False

    def changed(self, position: int, change: Callable[[Drawing], Drawing]) -> "Scene":
        """The same with one drawing changed."""
        drawings = list(self.drawings)
        drawings[position] = change(drawings[position])
        return replace(self, drawings=tuple(drawings))

    def certificates(self) -> list[bytes]:
        """All certificates of the path, the root last."""
        issuers = (*self.drawings[1:], self.drawings[-1])
        return [drawing.signed(issuer) for drawing, issuer in zip(self.drawings, issuers, strict=True)]

    def validate(self) -> ValidatedPath:
        """Judge the path."""
        certificates = self.certificates()
        return validate_path(
            self.sent(certificates),
            anchors=self.believed(certificates),
            profile=self.profile,
            now=self.now,
            allowed_ekus=self.allowed_ekus,
            required_policies=self.required_policies,
            anchor_in_chain_allowed=self.anchor_in_chain_allowed,
        )


def rewritten(der: bytes, *, signer: Key, old: bytes, new: bytes, digest: Hash) -> bytes:
    """A certificate or revocation list with other bytes in place of `old`, wherever they stand, signed anew.

    For what no library writes. Only the lengths of the two outermost sequences are mended.
    """
    outer = _signed_part(der)
    head = 2 if outer[1] < 0x80 else 2 + (outer[1] & 0x7F)
    signed = _sequence(outer[head:].replace(old, new))
    algorithm = der[der.index(outer) + len(outer) :]
    algorithm = algorithm[: 2 + algorithm[1]].replace(old, new)
    if isinstance(signer, ec.EllipticCurvePrivateKey):
        signature = signer.sign(signed, ec.ECDSA(digest))
    else:
        assert isinstance(signer, rsa.RSAPrivateKey)
        signature = signer.sign(signed, padding.PKCS1v15(), digest)
    return _sequence(signed + algorithm + _tagged(0x03, b"\x00" + signature))


def _signed_part(der: bytes) -> bytes:
    try:
        return x509.load_der_x509_certificate(der).tbs_certificate_bytes
    except ValueError:
        return x509.load_der_x509_crl(der).tbs_certlist_bytes


def _sequence(content: bytes) -> bytes:
    return _tagged(0x30, content)


def _tagged(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def draw_three() -> Scene:
    """Leaf, intermediate, root: the plain path."""
    leaf, middle, root = key("leaf"), key("middle"), key("root")
    return Scene(
        (
            draw_leaf("Signer", leaf, by=middle),
            draw_ca("Intermediate", middle, path_length=0, by=root),
            draw_ca("Root", root, path_length=1),
        )
    )


def draw_two() -> Scene:
    """Leaf and root."""
    leaf, root = key("leaf"), key("root")
    return Scene((draw_leaf("Signer", leaf, by=root), draw_ca("Root", root, path_length=0)))


def draw_access() -> Scene:
    """An access certificate under a CA with an RSA key."""
    leaf, root = key("leaf"), key("rsa root", "RSA-2048")
    return Scene(
        (draw_leaf("Stadt", leaf, by=root), draw_ca("Access CA", root, path_length=0)),
        profile=CertificateProfile.ACCESS,
    )


def draw_mdl() -> Scene:
    """A document signer of driving licences and its IACA, by ISO/IEC 18013-5 Annex B."""
    leaf, root = key("ds"), key("iaca")
    alternative = x509.IssuerAlternativeName([x509.UniformResourceIdentifier("https://iaca.example")])
    signer = Drawing(
        subject=name("Document signer"),
        key=leaf,
        extensions=(
            (usage(sign=True), True),
            (x509.ExtendedKeyUsage([x509.ObjectIdentifier(MDOC_DOCUMENT_SIGNER_EKU)]), True),
            (identifier(leaf), False),
            (authority(root), False),
            (alternative, False),
            (crl_point(), False),
        ),
    )
    iaca = draw_ca("IACA", root, path_length=0).having(alternative).having(crl_point())
    return Scene((signer, iaca), profile=CertificateProfile.ISO_MDL)
