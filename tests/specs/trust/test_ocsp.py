"""OCSP answers: what clears a certificate, and one defect each that clears nobody (RFC 6960)."""

import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from specs.refusal import ReasonCode
from specs.trust.ocsp import build_ocsp_request, ocsp_url, verify_ocsp_response
from specs.trust.parsed_certificate import CertificateError
from tests.availability import missing
from tests.specs.trust.drawing import (
    DAY,
    NOW,
    Drawing,
    Key,
    crl_point,
    draw_access,
    draw_leaf,
    draw_two,
    key,
    name,
    usage,
)

HOUR = 3600
UNKNOWN = ReasonCode.REVOCATION_UNKNOWN
GOOD = ocsp.OCSPCertStatus.GOOD
Hash = hashes.SHA1 | hashes.SHA224 | hashes.SHA256 | hashes.SHA384


def responder(label: str = "responder", *, by: Key | None = None) -> Drawing:
    """A responder's certificate as it should be."""
    own = key(label)
    drawing = draw_leaf("Responder", own, by=by or draw_two().drawings[1].key)
    drawing = drawing.having(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]))
    return replace(drawing.having(x509.OCSPNoCheck()), serial=99)


@dataclass(frozen=True)
class Reply:
    """An answer before it is signed. Times: seconds from now.

    delegate: who signs in place of the authority; sent: the certificate that travels in place of the delegate's.
    impostor: who signs in the authority's name.
    """

    subject: Drawing
    issuer: Drawing
    status: ocsp.OCSPCertStatus = GOOD
    this_update: int = -HOUR
    next_update: int | None = HOUR
    cert_id: Hash = field(default_factory=hashes.SHA1)
    delegate: Drawing | None = None
    delegated_by: Drawing | None = None
    impostor: Drawing | None = None
    sent: Drawing | None = None
    by_hash: bool = False
    digest: Hash = field(default_factory=hashes.SHA256)
    nonce: bytes | None = None
    extension: x509.ExtensionType | None = None
    is_critical: bool = True
    before: tuple[Drawing, ...] = ()  # whose certificates travel along before the delegate's
    others: int = 0  # certificates that travel along behind it
    sends_certificate: bool = True

    def signed(self, now: int = NOW) -> bytes:
        """The DER answer."""
        issuer = x509.load_der_x509_certificate(self.issuer.signed(self.issuer))
        subject = x509.load_der_x509_certificate(self.subject.signed(self.issuer))
        own = issuer
        signing = self.issuer.key
        if self.delegate is not None:
            own = x509.load_der_x509_certificate(self.delegate.signed(self.delegated_by or self.issuer))
            signing = self.delegate.key
        if self.impostor is not None:
            own = x509.load_der_x509_certificate(self.impostor.signed(self.impostor))
            signing = self.impostor.key
        encoding = ocsp.OCSPResponderEncoding.HASH if self.by_hash else ocsp.OCSPResponderEncoding.NAME
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=subject,
                issuer=issuer,
                algorithm=self.cert_id,
                cert_status=self.status,
                this_update=at(now + self.this_update),
                next_update=None if self.next_update is None else at(now + self.next_update),
                revocation_time=at(now - HOUR) if self.status is ocsp.OCSPCertStatus.REVOKED else None,
                revocation_reason=None,
            )
            .responder_id(encoding, own)
        )
        if self.delegate is not None and self.sends_certificate:
            sent = (self.sent or self.delegate).signed(self.delegated_by or self.issuer)
            beside = [replace(responder(f"other {number}"), serial=100 + number) for number in range(self.others)]
            first = [each.signed(self.issuer) for each in self.before]
            all_sent = (*first, sent, *(each.signed(self.issuer) for each in beside))
            builder = builder.certificates([x509.load_der_x509_certificate(each) for each in all_sent])
        if self.nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(self.nonce), critical=False)
        if self.extension is not None:
            builder = builder.add_extension(self.extension, critical=self.is_critical)
        digest = None if isinstance(signing, ed25519.Ed25519PrivateKey) else self.digest
        return builder.sign(signing, digest).public_bytes(Encoding.DER)

    def judged(self, *, expected_nonce: bytes | None = None, now: int = NOW) -> None:
        """Nothing, if it clears the drawn leaf of the drawn root."""
        subject, issuer = draw_two().drawings
        verify_ocsp_response(
            self.signed(),
            certificate=subject.signed(issuer),
            issuer=issuer.signed(issuer),
            now=now,
            expected_nonce=expected_nonce,
        )


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def valid() -> Reply:
    """The authority itself answers: good."""
    subject, issuer = draw_two().drawings
    return Reply(subject, issuer)


def unknown(length: int) -> x509.UnrecognizedExtension:
    """An extension of so many bytes that nobody knows."""
    value = b"\x04\x82" + length.to_bytes(2, "big") + bytes(length)
    return x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), value)


def delegated(change: Callable[[Drawing], Drawing] = lambda drawing: drawing) -> Reply:
    """A responder of the authority answers."""
    return replace(valid(), delegate=change(responder()))


def with_key(label: str, kind: str) -> Reply:
    """A responder with a key of this kind answers."""
    return delegated(lambda drawing: replace(drawing, key=key(label, kind)))


CLEARING = {
    "by the authority": valid(),
    "named by its key": replace(valid(), by_hash=True),
    "certificate named with SHA-256": replace(valid(), cert_id=hashes.SHA256()),
    "signed with SHA-384": replace(valid(), digest=hashes.SHA384()),
    "60 s ahead": replace(valid(), this_update=60),
    "60 s past its next update": replace(valid(), this_update=-DAY, next_update=-60),
    "a day and 60 s old, without a next update": replace(valid(), this_update=-DAY - 60, next_update=None),
    "newer news any time": replace(valid(), next_update=None),
    "by a responder": delegated(),
    "with three other certificates": replace(delegated(), others=3),
    "behind a certificate with a key that nobody reads": replace(
        delegated(), before=(replace(responder("k1"), key=key("k1", "secp256k1")),)
    ),
    "with an extension that need not be understood": replace(valid(), extension=unknown(1), is_critical=False),
    "almost 64 KiB long": replace(valid(), extension=unknown(65_000), is_critical=False),
    "by a responder named by its key": replace(delegated(), by_hash=True),
    "by a responder that names nobody to ask about itself": delegated(lambda d: d.lacking(x509.OCSPNoCheck.oid)),
    "by a responder of which nobody need ask although a list is named": delegated(lambda d: d.having(crl_point())),
    "by a responder without key usage": delegated(lambda d: d.lacking(x509.KeyUsage.oid)),
    "by a responder that says that it is no CA": delegated(lambda d: d.having(x509.BasicConstraints(False, None))),
    "by a responder 60 s past its end": delegated(lambda d: replace(d, end=NOW - 60)),
    "by a responder 60 s before its begin": delegated(lambda d: replace(d, begin=NOW + 60)),
    "by a responder with an unknown extension that is not critical": delegated(lambda d: d.having(unknown(1))),
    "by a responder with an Ed25519 key": with_key("ed responder", "Ed25519"),
    "by a responder with an RSA key": with_key("rsa leaf", "RSA-2048"),
}


@pytest.mark.parametrize("reply", CLEARING.values(), ids=CLEARING.keys())
def test_a_good_answer_clears_the_certificate(reply: Reply) -> None:
    reply.judged()


def test_a_responder_of_an_authority_with_an_rsa_key_clears_the_certificate() -> None:
    subject, issuer = draw_access().drawings
    leaf, root = draw_access().certificates()
    answer = Reply(subject, issuer, delegate=responder(by=issuer.key)).signed()
    assert verify_ocsp_response(answer, certificate=leaf, issuer=root, now=NOW).next_update == NOW + HOUR


def other_leaf() -> Drawing:
    return replace(draw_two().drawings[0], serial=4711)


def other_root() -> Drawing:
    return replace(draw_two().drawings[1], key=key("other root"))


CASES: dict[str, tuple[Reply, ReasonCode]] = {
    "revoked": (replace(valid(), status=ocsp.OCSPCertStatus.REVOKED), ReasonCode.CERTIFICATE_REVOKED),
    "revoked, says a responder": (
        replace(delegated(), status=ocsp.OCSPCertStatus.REVOKED),
        ReasonCode.CERTIFICATE_REVOKED,
    ),
    "unknown to the responder": (replace(valid(), status=ocsp.OCSPCertStatus.UNKNOWN), UNKNOWN),
    "about another certificate": (replace(valid(), subject=other_leaf()), UNKNOWN),
    "about another issuer's certificate of that number": (replace(valid(), issuer=other_root()), UNKNOWN),
    "signed by another key": (replace(valid(), impostor=other_root()), UNKNOWN),
    "signed with Ed25519 in the name of an authority with another kind of key": (
        replace(valid(), impostor=replace(other_root(), key=key("ed", "Ed25519"))),
        UNKNOWN,
    ),
    "signed with another Ed25519 key than the responder's": (
        replace(with_key("ed", "Ed25519"), sent=replace(responder(), key=key("ed responder", "Ed25519"))),
        UNKNOWN,
    ),
    "signed with another RSA key than the responder's": (
        replace(with_key("rsa leaf", "RSA-2048"), sent=replace(responder(), key=key("rsa root", "RSA-2048"))),
        UNKNOWN,
    ),
    "by a responder with an RSA key of 1024 bits": (with_key("short", "RSA-1024"), UNKNOWN),
    "certificate named with SHA-384": (replace(valid(), cert_id=hashes.SHA384()), UNKNOWN),
    "signed with SHA-224": (replace(valid(), digest=hashes.SHA224()), UNKNOWN),
    "61 s ahead": (replace(valid(), this_update=61, next_update=HOUR), UNKNOWN),
    "past its next update": (replace(valid(), this_update=-2 * DAY, next_update=-61), UNKNOWN),
    "a day and 61 s old, without a next update": (
        replace(valid(), this_update=-DAY - 61, next_update=None),
        UNKNOWN,
    ),
    "critical extension": (
        replace(valid(), extension=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00")),
        UNKNOWN,
    ),
    "more than 64 KiB": (replace(valid(), extension=unknown(65_535), is_critical=False), UNKNOWN),
    "with four other certificates": (replace(delegated(), others=4), UNKNOWN),
    "by a responder that the authority did not certify": (
        replace(delegated(), delegated_by=other_root()),
        UNKNOWN,
    ),
    "by a certificate of the authority for another purpose": (
        delegated(lambda d: d.lacking(x509.ExtendedKeyUsage.oid)),
        UNKNOWN,
    ),
    "by a responder for another extended usage": (
        delegated(lambda d: d.having(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))),
        UNKNOWN,
    ),
    "by a responder whose key may not sign": (delegated(lambda d: d.having(usage(agree=True))), UNKNOWN),
    "by a responder that is a CA": (delegated(lambda d: d.having(x509.BasicConstraints(True, None))), UNKNOWN),
    "by a responder 61 s past its end": (delegated(lambda d: replace(d, end=NOW - 61)), UNKNOWN),
    "by a responder 61 s before its begin": (delegated(lambda d: replace(d, begin=NOW + 61)), UNKNOWN),
    "by a responder with an unknown critical extension": (
        delegated(
            lambda d: d.having(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x05\x00"), critical=True)
        ),
        UNKNOWN,
    ),
    "by a responder whose own withdrawal would have to be asked": (
        delegated(lambda d: d.lacking(x509.OCSPNoCheck.oid).having(crl_point())),
        UNKNOWN,
    ),
    "by a responder whose certificate is not sent": (replace(delegated(), sends_certificate=False), UNKNOWN),
    "by a responder in another's name": (
        replace(delegated(), sent=replace(responder(), subject=name("Another"))),
        UNKNOWN,
    ),
}


@pytest.mark.parametrize(("reply", "reason"), CASES.values(), ids=CASES.keys())
def test_an_answer_with_one_defect_clears_nobody(reply: Reply, reason: ReasonCode) -> None:
    with pytest.raises(CertificateError) as refusal:
        reply.judged()
    assert refusal.value.reason is reason


def test_a_nonce_must_be_the_one_that_was_sent_where_there_is_one() -> None:
    replace(valid(), nonce=b"n" * 16).judged(expected_nonce=b"n" * 16)
    valid().judged(expected_nonce=b"n" * 16)
    replace(valid(), nonce=b"n" * 16).judged()
    with pytest.raises(CertificateError) as refusal:
        replace(valid(), nonce=b"m" * 16).judged(expected_nonce=b"n" * 16)
    assert refusal.value.reason is UNKNOWN


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\x30\x80",
        bytes(70_000),
        *(
            ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)
            for status in (ocsp.OCSPResponseStatus.TRY_LATER, ocsp.OCSPResponseStatus.UNAUTHORIZED)
        ),
    ],
    ids=["empty", "page", "cut", "huge", "try later", "unauthorized"],
)
def test_what_is_no_answer_clears_nobody(body: bytes) -> None:
    leaf, root = draw_two().certificates()
    with pytest.raises(CertificateError) as refusal:
        verify_ocsp_response(body, certificate=leaf, issuer=root, now=NOW)
    assert refusal.value.reason is UNKNOWN


def outcome(body: bytes) -> ReasonCode | None:
    """Why an answer clears nobody."""
    leaf, root = draw_two().certificates()
    try:
        verify_ocsp_response(body, certificate=leaf, issuer=root, now=NOW)
    except CertificateError as refusal:
        return refusal.reason
    return None


def test_no_broken_answer_is_believed_or_raises_anything_else() -> None:
    whole = valid().signed()
    chance = random.Random(7)
    for _ in range(400):
        broken = bytearray(whole)
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        assert outcome(bytes(broken)) in (UNKNOWN, None)
        if outcome(bytes(broken)) is None:  # outside of what is signed, such as a parameter that nobody reads
            assert ocsp.load_der_ocsp_response(bytes(broken)).tbs_response_bytes in whole


def test_a_request_names_the_certificate_and_travels_in_an_address() -> None:
    leaf, root = draw_two().certificates()
    request = build_ocsp_request(leaf, issuer=root, nonce=b"n" * 32)
    read = ocsp.load_der_ocsp_request(request)
    assert read.serial_number == x509.load_der_x509_certificate(leaf).serial_number
    nonce = read.extensions.get_extension_for_class(x509.OCSPNonce)
    assert (nonce.value.nonce, nonce.critical) == (b"n" * 32, False)
    url = ocsp_url("http://ocsp.example/a/", request=request)
    assert url.startswith("http://ocsp.example/a/MI")
    assert "/" not in url.removeprefix("http://ocsp.example/a/")
    assert unquote(url).count("//") <= 2
    for length in (1, 128):
        assert bytes(length) in build_ocsp_request(leaf, issuer=root, nonce=bytes(length))
    for length in (0, 129):
        with pytest.raises(ValueError, match="octets"):
            build_ocsp_request(leaf, issuer=root, nonce=bytes(length))


def test_openssl_answers_our_question_and_we_believe_it(tmp_path: Path) -> None:
    """An independent responder: its index says who is good and who was withdrawn."""
    program = shutil.which("openssl") or missing("no openssl: as root, install Debian's package openssl")
    subject, issuer = draw_two().drawings
    leaf, root = draw_two().certificates()
    now = int(datetime.now(UTC).timestamp())
    made_by = replace(responder(), begin=now - DAY, end=now + DAY)
    (tmp_path / "root.pem").write_bytes(x509.load_der_x509_certificate(root).public_bytes(Encoding.PEM))
    (tmp_path / "own.pem").write_bytes(
        x509.load_der_x509_certificate(made_by.signed(issuer)).public_bytes(Encoding.PEM)
    )
    (tmp_path / "own.key").write_bytes(made_by.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "request").write_bytes(build_ocsp_request(leaf, issuer=root))
    serial = f"{subject.serial:X}"
    for state, date, reason in (("V", "", None), ("R", "260101000000Z", ReasonCode.CERTIFICATE_REVOKED)):
        (tmp_path / "index").write_text(f"{state}\t391231235959Z\t{date}\t{serial}\tunknown\t/CN=Signer\n")
        subprocess.run(
            [
                *(program, "ocsp", "-index", "index", "-CA", "root.pem", "-rsigner", "own.pem", "-rkey", "own.key"),
                *("-reqin", "request", "-respout", "answer", "-ndays", "30"),
            ],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        body = (tmp_path / "answer").read_bytes()
        if reason is None:
            answer = verify_ocsp_response(body, certificate=leaf, issuer=root, now=now)
            assert answer.next_update is not None
        else:
            with pytest.raises(CertificateError) as refusal:
                verify_ocsp_response(body, certificate=leaf, issuer=root, now=now)
            assert refusal.value.reason is reason
