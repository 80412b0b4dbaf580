"""Every rule of a certification path: a path that holds, one thing bent, one refusal.

Cases that are a matter of RFC 5280 alone are put to OpenSSL and to pyca's own verifier too.
"""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from specs.refusal import ReasonCode
from specs.trust.profiles import MDOC_DOCUMENT_SIGNER_EKU, MDOC_READER_EKU
from specs.trust.x509 import AnchorKind, CertificateError, CertificateProfile, TrustAnchor
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
    draw_mdl,
    draw_three,
    draw_two,
    key,
    name,
    rewritten,
    usage,
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
RSA_SHA1 = bytes.fromhex("06092a864886f70d010105")
SERIAL = bytes.fromhex("020a1234567890abcdef1234")
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00")
STADT = x509.DNSName("stadt.example")
OTHER = x509.DNSName("other.example")
CONSTRAINED = scene_with(draw_three, constrained(permitted=[STADT]))


def draw_with_named_stadt() -> Scene:
    """A leaf whose name an intermediate's constraint would permit."""
    return named(STADT)(draw_three())


CASES = [
    # trust
    Case("sd-092 stranger's chain with its root", draw_three, with_stranger_root, UNTRUSTED),
    Case("sd-093 self-signed leaf", draw_two, self_signed_leaf, UNTRUSTED),
    Case("sd-100 wrong order", draw_three, sent(lambda chain: [chain[1], chain[0]]), UNTRUSTED),
    Case("sd-101 anchor in the chain", draw_three, sent(lambda chain: chain), PROFILE),
    Case("sd-102 self-signed leaf as ca anchor", draw_two, lambda s: self_signed_anchor(s, AnchorKind.CA), PROFILE),
    Case("sd-102 self-signed leaf as listed", draw_two, lambda s: self_signed_anchor(s, AnchorKind.LISTED), PROFILE),
    Case("anchor alone as chain", draw_two, sent(lambda chain: [chain[-1]]), PROFILE),
    Case("another certificate of the anchor's key in the chain", draw_two, twin_root, UNTRUSTED),
    Case("sd-103 empty chain", draw_three, sent(lambda _chain: []), ReasonCode.ISSUER_KEY_MISSING),
    Case("sd-106 60 unrelated certificates", draw_two, sent(padded(60)), ReasonCode.LIMIT_EXCEEDED),
    Case("sd-106 one unrelated certificate", draw_two, sent(padded(1)), UNTRUSTED),
    Case("same certificate twice", draw_two, sent(lambda chain: [chain[0], chain[0]]), UNTRUSTED),
    Case("intermediate left out", draw_three, sent(lambda chain: [chain[0]]), UNTRUSTED, plain=True),
    Case("md-027 impostor root of the same name", draw_mdl, impostor_root, UNTRUSTED),
    Case("impostor root of the same name", draw_three, impostor_root, UNTRUSTED),
    Case("md-032 signature not the root's", draw_mdl, leaf(signed_by_stranger), UNTRUSTED),
    Case("signature not the issuer's", draw_two, leaf(signed_by_stranger), UNTRUSTED, plain=True),
    Case("intermediate's signature not the root's", draw_three, at(1, signed_by_stranger), UNTRUSTED, plain=True),
    Case("issuer's name differs", draw_two, leaf(lambda d: replace(d, issuer=name("Nobody"))), UNTRUSTED, plain=True),
    Case("inner algorithm differs", draw_two, inner_algorithm_differs, UNTRUSTED, plain=True),
    Case("md-034 no anchors", draw_mdl, lambda s: replace(s, believed=lambda _: []), ReasonCode.TRUST_NOT_CONFIGURED),
    Case("listed issuer is not a ca", draw_two, believed((AnchorKind.LISTED, -1)), UNTRUSTED),
    Case("pinned issuer is not a ca", draw_two, believed((AnchorKind.PINNED_TEST, -1)), UNTRUSTED),
    # dates
    Case("sd-094 leaf expired", draw_three, leaf(expired), EXPIRED, plain=True),
    Case("leaf not yet valid", draw_three, leaf(future), EXPIRED, plain=True),
    Case("sd-095 intermediate expired", draw_three, at(1, expired), EXPIRED, plain=True),
    Case("intermediate not yet valid", draw_three, at(1, future), EXPIRED, plain=True),
    Case("anchor expired", draw_three, root(expired), EXPIRED),
    Case("anchor not yet valid", draw_three, root(future), EXPIRED),
    Case("md-028 signer expired", draw_mdl, leaf(expired), EXPIRED),
    Case("61 s beyond the end", draw_two, leaf(lambda d: replace(d, end=NOW - 61)), EXPIRED, plain=True),
    Case("61 s before the begin", draw_two, leaf(lambda d: replace(d, begin=NOW + 61)), EXPIRED, plain=True),
    # authorities
    Case("sd-096 ca without keyCertSign", draw_three, at(1, having(usage(crls=True), critical=True)), PROFILE, True),
    Case("ca without key usage", draw_three, at(1, lacking(ExtensionOID.KEY_USAGE)), PROFILE),
    Case("anchor without keyCertSign", draw_two, root(having(usage(crls=True), critical=True)), PROFILE),
    Case("intermediate is no ca", draw_three, at(1, having(x509.BasicConstraints(False, None))), PROFILE, plain=True),
    Case("no basic constraints", draw_three, at(1, lacking(ExtensionOID.BASIC_CONSTRAINTS)), PROFILE, plain=True),
    Case("anchor is no ca", draw_two, root(having(x509.BasicConstraints(False, None), critical=True)), PROFILE),
    Case("path length of the root", draw_three, longer, PROFILE, plain=True),
    Case("path length 0 of the root", draw_three, root(having(x509.BasicConstraints(True, 0))), PROFILE, plain=True),
    Case("md-033 sub ca under path length 0", draw_mdl, sub_ca, PROFILE),
    Case("md-029 signer issued by a signer", draw_mdl, issued_by_leaf, PROFILE),
    Case("leaf issued by a leaf", draw_two, issued_by_leaf, PROFILE, plain=True),
    Case(
        "ca for other extended usages",
        lambda: replace(draw_three(), allowed_ekus=frozenset({MDOC_DOCUMENT_SIGNER_EKU})),
        at(1, ekus(ExtendedKeyUsageOID.SERVER_AUTH.dotted_string)),
        PROFILE,
    ),
    # extensions
    Case("sd-097 unknown critical extension", draw_two, leaf(having(UNKNOWN, critical=True)), PROFILE, plain=True),
    Case("version 1", draw_two, written(bytes.fromhex("a003020102"), b""), PROFILE),
    Case("unknown critical in the ca", draw_three, at(1, having(UNKNOWN, critical=True)), PROFILE, plain=True),
    Case("unknown critical in the anchor", draw_two, root(having(UNKNOWN, critical=True)), PROFILE),
    Case("extension twice", draw_two, doubled_extension, MALFORMED),
    Case("policy constraints", draw_three, at(1, having(x509.PolicyConstraints(0, None), critical=True)), PROFILE),
    Case("leaf is a ca", draw_two, leaf(having(x509.BasicConstraints(True, None), critical=True)), PROFILE),
    Case("leaf may sign certificates", draw_two, leaf(having(usage(sign=True, certificates=True))), PROFILE),
    Case("leaf without digitalSignature", draw_two, leaf(having(usage(agree=True), critical=True)), PROFILE),
    Case("leaf without key usage", draw_two, leaf(lacking(ExtensionOID.KEY_USAGE)), PROFILE),
    Case("leaf without a name", draw_two, leaf(lambda d: replace(d, subject=x509.Name([]))), PROFILE),
    Case(
        "extended usage of another purpose",
        lambda: replace(draw_two(), allowed_ekus=frozenset({MDOC_DOCUMENT_SIGNER_EKU})),
        leaf(ekus(MDOC_READER_EKU)),
        PROFILE,
    ),
    # algorithms and keys
    Case(
        "RSA ca for attestations",
        lambda: replace(draw_access()),
        lambda s: replace(s, profile=CertificateProfile.EAA),
        ALGORITHM,
    ),
    Case("RSA leaf", draw_access, leaf(lambda d: replace(d, key=key("rsa leaf", "RSA-2048"))), ReasonCode.KEY_INVALID),
    Case("RSA key of 1024 bits", draw_access, root(lambda d: replace(d, key=key("short", "RSA-1024"))), ALGORITHM),
    Case("SHA-1 with ECDSA", draw_two, written(ECDSA_SHA256, ECDSA_SHA1, hashes.SHA1()), ALGORITHM),  # noqa: S303
    Case("SHA-224 with ECDSA", draw_two, written(ECDSA_SHA256, ECDSA_SHA224, hashes.SHA224()), ALGORITHM),
    Case("SHA-224 with RSA-PSS", draw_access, leaf(lambda d: replace(d, digest=hashes.SHA224(), pss=True)), ALGORITHM),
    Case("SHA-1 with RSA", draw_access, written(RSA_SHA256, RSA_SHA1, hashes.SHA1()), ALGORITHM),  # noqa: S303
    Case(
        "curve we don't use", draw_two, leaf(lambda d: replace(d, key=key("k1", "secp256k1"))), ReasonCode.KEY_INVALID
    ),
    # bytes
    Case("md-022 garbage", draw_mdl, sent(lambda _chain: [b"\x30\x03garbage"]), MALFORMED),
    Case("bytes behind the certificate", draw_two, sent(lambda chain: [chain[0] + b"\x00"]), MALFORMED),
    Case("cut off", draw_two, sent(lambda chain: [chain[0][:-1]]), MALFORMED),
    Case("larger than 16 KiB", draw_two, sent(lambda chain: [chain[0] + bytes(16384)]), ReasonCode.LIMIT_EXCEEDED),
    Case("five certificates", draw_two, sent(lambda chain: [chain[0]] * 5), ReasonCode.LIMIT_EXCEEDED),
    # names
    Case("sd-099 outside the permitted names", CONSTRAINED, named(OTHER), PROFILE, plain=True),
    Case(
        "sd-098 inside the excluded names",
        scene_with(draw_three, constrained(excluded=[OTHER])),
        named(x509.DNSName("www.other.example")),
        PROFILE,
        plain=True,
    ),
    Case("one of two names outside", CONSTRAINED, named(STADT, OTHER), PROFILE, plain=True),
    Case("name that only ends alike", CONSTRAINED, named(x509.DNSName("vorstadt.example")), PROFILE, plain=True),
    Case("wildcard outside", CONSTRAINED, named(x509.DNSName("*.example")), PROFILE, plain=True),
    Case(
        "wildcard that reaches into the excluded",
        scene_with(draw_three, constrained(excluded=[x509.DNSName("inner.stadt.example")])),
        named(x509.DNSName("*.stadt.example")),
        PROFILE,
    ),
    Case(
        "constraint of the anchor",
        scene_with(draw_three, root(having(x509.NameConstraints([STADT], None), critical=True))),
        named(OTHER),
        PROFILE,
    ),
    Case(
        "constraint that is not critical",
        scene_with(draw_three, at(1, having(x509.NameConstraints([STADT], None)))),
        named(OTHER),
        PROFILE,
        plain=True,
    ),
    Case(
        "URI outside",
        scene_with(draw_three, constrained(permitted=[uri(".stadt.example")]), named(uri("https://a.stadt.example/x"))),
        named(uri("https://stadt.example.evil.example/.stadt.example")),
        PROFILE,
    ),
    Case(
        "URI hidden behind user information",
        scene_with(draw_three, constrained(permitted=[uri("stadt.example")]), named(uri("https://stadt.example/"))),
        named(uri("https://stadt.example@other.example/")),
        PROFILE,
    ),
    Case(
        "URI without a host",
        scene_with(draw_three, constrained(excluded=[uri("other.example")]), named(uri("https://stadt.example/"))),
        named(uri("urn:example:stadt")),
        PROFILE,
    ),
    Case(
        "URI with an address for a host",
        scene_with(draw_three, constrained(excluded=[uri("other.example")]), named(uri("https://stadt.example/"))),
        named(uri("https://192.0.2.1/")),
        PROFILE,
    ),
    Case(
        "mail outside",
        scene_with(
            draw_three,
            constrained(permitted=[x509.RFC822Name("stadt.example")]),
            named(x509.RFC822Name("a@stadt.example")),
        ),
        named(x509.RFC822Name("a@sub.stadt.example")),
        PROFILE,
    ),
    Case(
        "mailbox outside",
        scene_with(
            draw_three,
            constrained(permitted=[x509.RFC822Name("a@stadt.example")]),
            named(x509.RFC822Name("a@Stadt.example")),
        ),
        named(x509.RFC822Name("A@stadt.example")),
        PROFILE,
    ),
    Case(
        "mail in the subject outside",
        scene_with(draw_three, constrained(permitted=[x509.RFC822Name("stadt.example")])),
        leaf(
            lambda d: replace(
                d, subject=x509.Name([*d.subject, x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@x.example")])
            )
        ),
        PROFILE,
    ),
    Case(
        "IP address outside",
        scene_with(
            draw_three,
            constrained(permitted=[x509.IPAddress(ip_network("192.0.2.0/24"))]),
            named(x509.IPAddress(ip_network("192.0.2.7/32").network_address)),
        ),
        named(x509.IPAddress(ip_network("198.51.100.7/32").network_address)),
        PROFILE,
        plain=True,
    ),
    Case(
        "directory name outside",
        scene_with(draw_three, constrained(permitted=[x509.DirectoryName(x509.Name([*name("x")][:1]))])),
        leaf(lambda d: replace(d, subject=name("Signer", "FR"))),
        PROFILE,
    ),
    Case(
        "directory name excluded, whatever its case",
        scene_with(draw_three, constrained(excluded=[x509.DirectoryName(name("Forbidden  one"))])),
        leaf(lambda d: replace(d, subject=name("FORBIDDEN ONE"))),
        PROFILE,
    ),
    Case(
        "constraint on a kind of name that is not understood",
        draw_three,
        constrained(excluded=[x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))]),
        PROFILE,
    ),
    Case(
        "mail in the subject that is not ASCII",
        scene_with(draw_three, constrained(permitted=[x509.RFC822Name("stadt.example")])),
        subject_with_mail("ä@stadt.example"),
        PROFILE,
    ),
    Case(
        "more names than are compared",
        scene_with(draw_three, constrained(permitted=[STADT, *[x509.DNSName(f"n{n}.example") for n in range(100)]])),
        named(*[STADT] * 100),
        ReasonCode.LIMIT_EXCEEDED,
    ),
    Case("constraint with a maximum", draw_with_named_stadt, subtree_with_maximum, PROFILE),
    # access certificates
    Case("access without alternative name", draw_access, leaf(lacking(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)), PROFILE),
    Case(
        "access without a required policy",
        draw_access,
        lambda s: replace(s, required_policies=frozenset({"1.2.3"})),
        PROFILE,
    ),
    # ISO/IEC 18013-5 Annex B
    Case(
        "md-030 key usage without digitalSignature", draw_mdl, leaf(having(usage(agree=True), critical=True)), PROFILE
    ),
    Case("md-031 no extended key usage", draw_mdl, leaf(lacking(ExtensionOID.EXTENDED_KEY_USAGE)), PROFILE),
    Case("mdl: reader's usage", draw_mdl, leaf(ekus(MDOC_READER_EKU)), PROFILE),
    Case("mdl: one usage more", draw_mdl, leaf(ekus(MDOC_DOCUMENT_SIGNER_EKU, MDOC_READER_EKU)), PROFILE),
    Case(
        "mdl: extended usage not critical",
        draw_mdl,
        leaf(having(x509.ExtendedKeyUsage([x509.ObjectIdentifier(MDOC_DOCUMENT_SIGNER_EKU)]))),
        PROFILE,
    ),
    Case("mdl: key usage not critical", draw_mdl, leaf(having(usage(sign=True))), PROFILE),
    Case("mdl: one key usage more", draw_mdl, leaf(having(usage(sign=True, agree=True), critical=True)), PROFILE),
    Case("mdl: no CRL point", draw_mdl, leaf(lacking(ExtensionOID.CRL_DISTRIBUTION_POINTS)), PROFILE),
    Case("mdl: no issuer alternative name", draw_mdl, leaf(lacking(ExtensionOID.ISSUER_ALTERNATIVE_NAME)), PROFILE),
    Case("mdl: no subject key identifier", draw_mdl, leaf(lacking(ExtensionOID.SUBJECT_KEY_IDENTIFIER)), PROFILE),
    Case("mdl: no authority key identifier", draw_mdl, leaf(lacking(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)), PROFILE),
    Case("mdl: another authority key identifier", draw_mdl, leaf(having(authority(key("stranger")))), PROFILE),
    Case("mdl: another country", draw_mdl, leaf(lambda d: replace(d, subject=name("Document signer", "FR"))), PROFILE),
    Case("mdl: longer than 457 days", draw_mdl, leaf(lambda d: replace(d, end=d.begin + 458 * DAY)), PROFILE),
    Case("mdl: serial too long", draw_mdl, written(SERIAL, b"\x02\x15\x01" + bytes(20)), PROFILE),
    Case("mdl: serial negative", draw_mdl, written(SERIAL, b"\x02\x01\xff"), PROFILE),
    Case("mdl: compressed key", draw_mdl, compressed_key, PROFILE),
    Case("mdl: signed with Ed25519", draw_mdl, root(lambda d: replace(d, key=key("ed", "Ed25519"))), PROFILE),
    Case("mdl: no common name", draw_mdl, leaf(lambda d: replace(d, subject=x509.Name([*d.subject][:1]))), PROFILE),
    Case("mdl: CRL point that is a name", draw_mdl, leaf(having(crl_point_by_name())), PROFILE),
    Case("mdl: country in small letters", draw_mdl, small_country, PROFILE),
    Case(
        "mdl: listed without authority key identifier",
        scene_with(draw_mdl, believed((AnchorKind.LISTED, 0))),
        leaf(lacking(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)),
        PROFILE,
    ),
    Case("iaca: not self-issued", draw_mdl, root(lambda d: replace(d, issuer=name("Another"))), PROFILE),
    Case("mdl: name constraints", draw_mdl, leaf(having(x509.NameConstraints([STADT], None), critical=True)), PROFILE),
    Case("iaca: no path length", draw_mdl, root(having(x509.BasicConstraints(True, None), critical=True)), PROFILE),
    Case("iaca: basic constraints not critical", draw_mdl, root(having(x509.BasicConstraints(True, 0))), PROFILE),
    Case("iaca: longer than 20 years", draw_mdl, root(lambda d: replace(d, end=d.begin + 7310 * DAY)), PROFILE),
    Case("iaca: no CRL signing", draw_mdl, root(having(usage(certificates=True), critical=True)), PROFILE),
    Case("iaca: no CRL point", draw_mdl, root(lacking(ExtensionOID.CRL_DISTRIBUTION_POINTS)), PROFILE),
    Case("iaca: no issuer alternative name", draw_mdl, root(lacking(ExtensionOID.ISSUER_ALTERNATIVE_NAME)), PROFILE),
    Case("iaca: no subject key identifier", draw_mdl, root(lacking(ExtensionOID.SUBJECT_KEY_IDENTIFIER)), PROFILE),
]


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_path_with_one_defect_is_refused(case: Case) -> None:
    valid = case.scene()
    assert valid.validate().leaf_key == valid.drawings[0].key.public_key()
    with pytest.raises(CertificateError) as refusal:
        case.bend(valid).validate()
    assert refusal.value.reason is case.reason, refusal.value


@pytest.mark.parametrize("case", [case for case in CASES if case.plain], ids=str)
def test_openssl_agrees(case: Case, tmp_path: Path) -> None:
    assert openssl_accepts(case.scene(), tmp_path)
    assert not openssl_accepts(case.bend(case.scene()), tmp_path)


@pytest.mark.parametrize("case", [case for case in CASES if case.plain], ids=str)
def test_pyca_agrees(case: Case) -> None:
    assert pyca_accepts(case.scene())
    assert not pyca_accepts(case.bend(case.scene()))


def openssl_accepts(scene: Scene, folder: Path) -> bool:
    """What `openssl verify` says."""
    certificates = scene.certificates()
    chain = scene.sent(certificates)
    paths = {
        "leaf": chain[:1],
        "untrusted": chain[1:],
        "trusted": [a.certificate for a in scene.believed(certificates)],
    }
    for file_name, content in paths.items():
        (folder / file_name).write_bytes(b"".join(pem(der) for der in content))
    command = ["openssl", "verify", "-attime", str(scene.now), "-no-CApath", "-no-CAstore"]
    command += ["-trusted", str(folder / "trusted")]
    command += ["-untrusted", str(folder / "untrusted")] if chain[1:] else []
    return subprocess.run([*command, str(folder / "leaf")], capture_output=True, check=False).returncode == 0


def pyca_accepts(scene: Scene) -> bool:
    """What the verifier of pyca/cryptography says, without its rules for web servers."""
    certificates = scene.certificates()
    chain = [x509.load_der_x509_certificate(der) for der in scene.sent(certificates)]
    anchors = [x509.load_der_x509_certificate(anchor.certificate) for anchor in scene.believed(certificates)]
    verifier = (
        PolicyBuilder()
        .store(Store(anchors))
        .time(datetime.fromtimestamp(scene.now, UTC))
        .extension_policies(ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.permit_all())
        .build_client_verifier()
    )
    try:
        verifier.verify(chain[0], chain[1:])
    except VerificationError:
        return False
    return True


def pem(der: bytes) -> bytes:
    """The same in PEM."""
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
