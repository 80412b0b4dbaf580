"""Every rule of a certification path: a path that holds, one thing bent, one refusal (RFC 5280).

Cases of that standard alone are put to OpenSSL and to pyca's own verifier too.
"""

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store, VerificationError

from specs.refusal import ReasonCode
from specs.trust.profiles import MDOC_DOCUMENT_SIGNER_EKU, MDOC_READER_EKU
from specs.trust.x509 import AnchorKind, CertificateProfile
from tests.availability import missing
from tests.specs.trust.bending import (
    ALGORITHM,
    CONSTRAINED,
    ECDSA_SHA1,
    ECDSA_SHA224,
    ECDSA_SHA256,
    EXPIRED,
    MALFORMED,
    OTHER,
    PROFILE,
    RSA_SHA1,
    RSA_SHA256,
    RSA_SHA256_WHOLE,
    RSA_UNKNOWN,
    SHA256,
    STADT,
    UNKNOWN,
    UNKNOWN_HASH,
    UNTRUSTED,
    Case,
    access_by_pss,
    assert_refused,
    at,
    behind_another_anchor,
    believed,
    constrained,
    doubled_extension,
    draw_with_named_stadt,
    ekus,
    expired,
    future,
    having,
    impostor_root,
    inner_algorithm_differs,
    issued_by_leaf,
    lacking,
    leaf,
    longer,
    named,
    padded,
    root,
    scene_with,
    self_signed_anchor,
    self_signed_leaf,
    self_signed_oddly,
    sent,
    signed_by_stranger,
    sub_ca,
    subject_with_mail,
    subtree_with_maximum,
    twin_root,
    uri,
    with_stranger_root,
    written,
)
from tests.specs.trust.drawing import (
    NOW,
    Scene,
    draw_access,
    draw_mdl,
    draw_three,
    draw_two,
    key,
    name,
    usage,
)

PINNED, LISTED = believed((AnchorKind.PINNED_TEST, 0)), believed((AnchorKind.LISTED, 0))


def with_anchor_allowed() -> Scene:
    """A CA under another one is the anchor; it may be sent, and is."""
    scene = believed((AnchorKind.CA, 1))(draw_three())
    return replace(scene, sent=lambda chain: chain[:2], anchor_in_chain_allowed=True)


CASES = [
    # trust
    Case("sd-092 stranger's chain with its root", draw_three, with_stranger_root, UNTRUSTED),
    Case("sd-093 self-signed leaf", draw_two, self_signed_leaf, UNTRUSTED),
    Case("sd-100 wrong order", draw_three, sent(lambda chain: [chain[1], chain[0]]), UNTRUSTED),
    Case("sd-101 anchor in the chain", draw_three, sent(lambda chain: chain), PROFILE),
    Case("sd-102 self-signed leaf as ca anchor", draw_two, lambda s: self_signed_anchor(s, AnchorKind.CA), PROFILE),
    Case("sd-102 self-signed leaf as listed", draw_two, lambda s: self_signed_anchor(s, AnchorKind.LISTED), PROFILE),
    Case("anchor alone as chain", draw_two, sent(lambda chain: [chain[-1]]), PROFILE),
    Case("anchor alone as chain where it may be in one", with_anchor_allowed, sent(lambda chain: [chain[1]]), PROFILE),
    Case("another anchor at the end where one may be", with_anchor_allowed, behind_another_anchor, UNTRUSTED),
    Case("pinned leaf with an unrelated certificate", scene_with(draw_two, PINNED), sent(padded(1)), UNTRUSTED),
    Case("listed leaf with an unrelated certificate", scene_with(draw_two, LISTED), sent(padded(1)), UNTRUSTED),
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
    Case("RSA by an unknown algorithm", draw_access, written(RSA_SHA256, RSA_UNKNOWN), ALGORITHM),
    Case("RSA by the name of ECDSA", draw_access, written(RSA_SHA256_WHOLE, ECDSA_SHA256), ALGORITHM),
    Case("RSA-PSS with an unknown hash", access_by_pss, written(SHA256, UNKNOWN_HASH), ALGORITHM),
    Case("self-signed by an unknown algorithm", draw_two, self_signed_oddly, UNTRUSTED),
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
]


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_path_with_one_defect_is_refused(case: Case) -> None:
    assert_refused(case)


@pytest.mark.parametrize("case", [case for case in CASES if case.plain], ids=str)
def test_openssl_agrees(case: Case, tmp_path: Path) -> None:
    assert openssl_accepts(case.scene(), tmp_path)
    assert not openssl_accepts(case.bend(case.scene()), tmp_path)


@pytest.mark.parametrize("case", [case for case in CASES if case.plain], ids=str)
def test_pyca_agrees(case: Case) -> None:
    assert pyca_accepts(case.scene())
    assert not pyca_accepts(case.bend(case.scene()))


def openssl_accepts(scene: Scene, folder: Path, *options: str) -> bool:
    """What `openssl verify` says, with further options."""
    program = shutil.which("openssl") or missing("no openssl: as root, install Debian's package openssl")
    certificates = scene.certificates()
    chain = scene.sent(certificates)
    paths = {
        "leaf": chain[:1],
        "untrusted": chain[1:],
        "trusted": [a.certificate for a in scene.believed(certificates)],
    }
    for file_name, content in paths.items():
        (folder / file_name).write_bytes(b"".join(pem(der) for der in content))
    command = [program, "verify", "-attime", str(scene.now), "-no-CApath", "-no-CAstore", *options]
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
