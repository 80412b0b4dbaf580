"""Ways to bend a drawn path, each by one thing, and the refusal that the bent one must meet."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtensionOID, NameOID

from specs.refusal import ReasonCode
from specs.trust.x509 import AnchorKind, CertificateError, TrustAnchor
from tests.specs.trust.drawing import (
    DAY,
    NOW,
    Drawing,
    Hash,
    Scene,
    authority,
    draw_access,
    draw_ca,
    draw_leaf,
    draw_three,
    key,
    name,
    rewritten,
)

UNTRUSTED = ReasonCode.CERTIFICATE_UNTRUSTED
PROFILE = ReasonCode.CERTIFICATE_PROFILE
EXPIRED = ReasonCode.CERTIFICATE_EXPIRED
MALFORMED = ReasonCode.CERTIFICATE_MALFORMED
ALGORITHM = ReasonCode.ALGORITHM_NOT_ALLOWED

Change = Callable[[Drawing], Drawing]


@dataclass(frozen=True)
class Case:
    """One bend. plain: a matter of RFC 5280 alone, on which other validators have an opinion, too."""

    id: str
    scene: Callable[[], Scene]
    bend: Callable[[Scene], Scene]
    reason: ReasonCode
    plain: bool = False

    def __str__(self) -> str:
        """The id, as pytest shows it."""
        return self.id


def at(position: int, change: Change) -> Callable[[Scene], Scene]:
    """Change one certificate of the path."""
    return lambda scene: scene.changed(position, change)


def leaf(change: Change) -> Callable[[Scene], Scene]:
    """Change the leaf."""
    return at(0, change)


def root(change: Change) -> Callable[[Scene], Scene]:
    """Change the root."""
    return at(-1, change)


def having(extension: x509.ExtensionType, *, critical: bool = False) -> Change:
    """With this extension."""
    return lambda drawing: drawing.having(extension, critical=critical)


def lacking(oid: x509.ObjectIdentifier) -> Change:
    """Without the extension of this kind."""
    return lambda drawing: drawing.lacking(oid)


def expired(drawing: Drawing) -> Drawing:
    """Ended yesterday."""
    return replace(drawing, end=NOW - DAY)


def future(drawing: Drawing) -> Drawing:
    """Begins tomorrow."""
    return replace(drawing, begin=NOW + DAY)


def sent(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Scene], Scene]:
    """Another chain is sent than should be."""
    return lambda scene: replace(scene, sent=change)


def believed(*kinds_and_positions: tuple[AnchorKind, int]) -> Callable[[Scene], Scene]:
    """These certificates of the path are anchors of these kinds."""
    return lambda scene: replace(
        scene,
        believed=lambda chain: [TrustAnchor(kind, chain[position], kind) for kind, position in kinds_and_positions],
    )


def impostor_root(scene: Scene) -> Scene:
    """The path leads to a root of the believed root's name with another key."""
    genuine = scene.drawings[-1].signed(scene.drawings[-1])
    other = key("impostor")
    bent = scene.changed(-1, lambda drawing: replace(drawing, key=other))
    return replace(bent, believed=lambda _chain: [TrustAnchor(AnchorKind.CA, genuine, "root")])


def behind_another_anchor(scene: Scene) -> Scene:
    """An anchor travels along that certified nothing of the chain."""
    other = draw_ca("Other root", key("other root"), path_length=0)
    der = other.signed(other)
    return replace(
        scene,
        sent=lambda chain: [chain[0], der],
        believed=lambda chain: [TrustAnchor(AnchorKind.CA, each, "root") for each in (*chain[1:], der)],
    )


def twin_root(scene: Scene) -> Scene:
    """A second self-signed certificate of the root's key travels along."""
    twin = replace(scene.drawings[-1], serial=77)
    return replace(scene, sent=lambda chain: [chain[0], twin.signed(twin)])


def small_country(scene: Scene) -> Scene:
    """Signer and root agree on a country that is no code."""
    signer = scene.changed(0, lambda drawing: replace(drawing, subject=name("Document signer", "de")))
    return signer.changed(-1, lambda drawing: replace(drawing, subject=name("IACA", "de")))


def subject_with_mail(address: str) -> Callable[[Scene], Scene]:
    """The leaf's subject holds a mail address."""
    mail = x509.NameAttribute(NameOID.EMAIL_ADDRESS, address, _ASN1Type.UTF8String, _validate=False)
    return leaf(lambda drawing: replace(drawing, subject=x509.Name([*drawing.subject, mail])))


def crl_point_by_name() -> x509.CRLDistributionPoints:
    """A CRL distribution point in a directory."""
    return x509.CRLDistributionPoints([x509.DistributionPoint([x509.DirectoryName(name("CRL"))], None, None, None)])


def crl_point_for_reasons() -> x509.CRLDistributionPoints:
    """A CRL distribution point that answers for stolen keys only."""
    address = x509.UniformResourceIdentifier("http://crl.example/1.crl")
    reasons = frozenset({x509.ReasonFlags.key_compromise})
    return x509.CRLDistributionPoints([x509.DistributionPoint([address], None, reasons, None)])


def with_stranger_root(scene: Scene) -> Scene:
    """A stranger's whole chain, its root with it."""
    bent = impostor_root(scene)
    return replace(bent, sent=lambda chain: chain)


def self_signed_leaf(scene: Scene) -> Scene:
    """The leaf certifies itself."""
    drawing = scene.drawings[0]
    return replace(scene, sent=lambda _chain: [drawing.signed(drawing)])


def self_signed_anchor(scene: Scene, kind: AnchorKind) -> Scene:
    """The leaf certifies itself and is an anchor."""
    der = scene.drawings[0].signed(scene.drawings[0])
    return replace(scene, sent=lambda _chain: [der], believed=lambda _chain: [TrustAnchor(kind, der, "self")])


def longer(scene: Scene) -> Scene:
    """One CA more under the root than its path length allows, although the CA above the leaf allows it."""
    below, own = scene.drawings[1], key("second middle")
    above = draw_ca("Upper intermediate", own, path_length=3, by=scene.drawings[-1].key)
    return replace(scene, drawings=(scene.drawings[0], below.having(authority(own)), above, *scene.drawings[2:]))


def issued_by_leaf(scene: Scene) -> Scene:
    """A leaf certified by another leaf."""
    own = key("second leaf")
    return replace(scene, drawings=(draw_leaf("Other signer", own, by=scene.drawings[0].key), *scene.drawings))


def sub_ca(scene: Scene) -> Scene:
    """A CA between the signer and a root with path length 0."""
    own = key("sub ca")
    middle = draw_ca("Sub CA", own, path_length=0, by=scene.drawings[-1].key)
    return replace(scene, drawings=(scene.drawings[0].having(authority(own)), middle, scene.drawings[-1]))


def signed_by_stranger(drawing: Drawing) -> Drawing:
    """The right issuer's name, another's key."""
    return replace(drawing, signer=key("stranger"))


def doubled_extension(scene: Scene) -> Scene:
    """The same extension twice: written by hand, since no library does it."""

    def double(chain: list[bytes]) -> list[bytes]:
        # 2.5.29.17 becomes 2.5.29.14, which the leaf already has; the signature breaks with it
        return [chain[0].replace(bytes.fromhex("0603551d11"), bytes.fromhex("0603551d0e")), *chain[1:-1]]

    return replace(scene, sent=double)


def inner_algorithm_differs(scene: Scene) -> Scene:
    """The signed part names another algorithm than the outside (RFC 5280 §4.1.1.2)."""

    def differ(chain: list[bytes]) -> list[bytes]:
        first = bytes.fromhex("06082a8648ce3d040302")
        assert chain[0].count(first) == 2
        position = chain[0].rindex(first)
        return [chain[0][:position] + bytes.fromhex("06082a8648ce3d040303") + chain[0][position + 10 :], *chain[1:-1]]

    return replace(scene, sent=differ)


def padded(count: int) -> Callable[[list[bytes]], list[bytes]]:
    """The chain with certificates that have nothing to do with it."""
    stranger = key("stranger")
    drawing = draw_leaf("Stranger", stranger, by=stranger)
    other = draw_ca("Stranger's CA", stranger, path_length=None)
    return lambda chain: [*chain[:-1], *[replace(drawing, serial=n + 1).signed(other) for n in range(count)]]


def constrained(
    *, permitted: list[x509.GeneralName] | None = None, excluded: list[x509.GeneralName] | None = None
) -> Callable[[Scene], Scene]:
    """The intermediate is limited to names."""
    return at(1, having(x509.NameConstraints(permitted, excluded), critical=True))


def named(*names: x509.GeneralName) -> Callable[[Scene], Scene]:
    """The leaf bears these alternative names."""
    return leaf(having(x509.SubjectAlternativeName(list(names))))


def both(*bends: Callable[[Scene], Scene]) -> Callable[[Scene], Scene]:
    """One after the other."""

    def bend(scene: Scene) -> Scene:
        for one in bends:
            scene = one(scene)
        return scene

    return bend


def scene_with(scene: Callable[[], Scene], *bends: Callable[[Scene], Scene]) -> Callable[[], Scene]:
    """A valid scene that differs from the usual one."""
    return lambda: both(*bends)(scene())


def ekus(*usages: str) -> Change:
    """With these extended key usages."""
    return having(x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in usages]), critical=True)


def uri(value: str) -> x509.UniformResourceIdentifier:
    """A URI."""
    return x509.UniformResourceIdentifier(value)


def written(old: bytes, new: bytes, digest: Hash | None = None) -> Callable[[Scene], Scene]:
    """The leaf holds other bytes in place of `old`, and a signature that verifies."""

    def write(scene: Scene) -> Scene:
        signer = scene.drawings[1].key

        def send(chain: list[bytes]) -> list[bytes]:
            assert old in chain[0]
            bent = rewritten(chain[0], signer=signer, old=old, new=new, digest=digest or hashes.SHA256())
            return [bent, *chain[1:-1]]

        return replace(scene, sent=send)

    return write


def self_signed_oddly(scene: Scene) -> Scene:
    """A stranger's RSA key certifies itself by an algorithm that nobody knows."""
    own = key("rsa root", "RSA-2048")
    drawing = draw_ca("Stranger", own, path_length=0)
    odd = rewritten(drawing.signed(drawing), signer=own, old=RSA_SHA256, new=RSA_UNKNOWN, digest=hashes.SHA256())
    return replace(scene, sent=lambda chain: [chain[0], odd])


def access_by_pss() -> Scene:
    """An access certificate under RSA-PSS."""
    return draw_access().changed(0, lambda drawing: replace(drawing, pss=True))


def compressed_key(scene: Scene) -> Scene:
    """The leaf's key is a compressed point."""
    public = scene.drawings[0].key.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    long = public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    short = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    head = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    old, new = (head + b"\x03" + bytes([len(p) + 1]) + b"\x00" + p for p in (long, short))
    return written(b"\x30\x59" + old, b"\x30\x39" + new)(scene)


def subtree_with_maximum(scene: Scene) -> Scene:
    """A name constraint that holds for a number of levels only: nobody writes it, few read it (RFC 5280 §4.2.1.10)."""
    value = bytes.fromhex("3016a0143012820d") + b"stadt.example" + bytes.fromhex("810105")
    raw = x509.UnrecognizedExtension(ExtensionOID.NAME_CONSTRAINTS, value)
    return scene.changed(1, lambda drawing: drawing.having(raw, critical=True))


ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
ECDSA_SHA224 = bytes.fromhex("300a06082a8648ce3d040301")
ECDSA_SHA1 = bytes.fromhex("300906072a8648ce3d0401")
RSA_SHA256 = bytes.fromhex("06092a864886f70d01010b")
RSA_SHA256_WHOLE = b"\x30\x0d" + RSA_SHA256 + b"\x05\x00"
RSA_SHA1 = bytes.fromhex("06092a864886f70d010105")
RSA_UNKNOWN = bytes.fromhex("06092a864886f70d01017b")
SHA256 = bytes.fromhex("0609608648016503040201")
UNKNOWN_HASH = bytes.fromhex("0609608648016503040271")
SERIAL = bytes.fromhex("020a1234567890abcdef1234")
ISSUER_WEB = x509.IssuerAlternativeName([x509.UniformResourceIdentifier("https://iaca.example")])
POLICY = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), None)])
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
STADT = x509.DNSName("stadt.example")
OTHER = x509.DNSName("other.example")
CONSTRAINED = scene_with(draw_three, constrained(permitted=[STADT]))


def draw_with_named_stadt() -> Scene:
    """A leaf whose name an intermediate's constraint would permit."""
    return named(STADT)(draw_three())


def assert_refused(case: Case) -> None:
    """The straight path holds, the bent one meets its refusal."""
    valid = case.scene()
    assert valid.validate().leaf_key == valid.drawings[0].key.public_key()
    with pytest.raises(CertificateError) as refusal:
        case.bend(valid).validate()
    assert refusal.value.reason is case.reason, refusal.value
