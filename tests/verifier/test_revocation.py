"""Withdrawn certificates: the list that a certificate names decides, and silence is a no (vf-015)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from specs.refusal import Refusal
from specs.trust.certificates import Authority
from specs.trust.x509 import CertificateProfile
from tests.defects import Defect, defect, defects
from tests.specs.trust.drawing import Scene, crl_point, draw_ca, draw_leaf, draw_mdl, draw_three, key
from tests.verifier.desk import MDOC, Desk, reason_of
from tests.verifier.mdoc_presentation import MdocPresentation
from tests.verifier.world import CLIENT_ID, DAY, HOUR, MDOC_QUERY, NONCE, NOW, World, signing_authority
from verifier import (
    AnchorKind,
    Check,
    Fetched,
    Policy,
    ReasonCode,
    Reference,
    ReferenceKind,
    RevocationRule,
    TrustAnchor,
    TrustDomain,
    Verdict,
)
from verifier.check.revocation import CRL_MEDIA_TYPE, _ParsedLists
from verifier.verify import references, verify_presentation

CRL = "https://issuer.example/crl"
UNKNOWN = ReasonCode.REVOCATION_UNKNOWN
UNKNOWN_KIND = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
INVALID_SINCE = x509.InvalidityDate(datetime(2026, 1, 1, tzinfo=UTC))
COMPROMISED = x509.CRLReason(x509.ReasonFlags.key_compromise)
Builder = x509.CertificateRevocationListBuilder


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


@dataclass
class Withdrawal:
    """A presentation whose signer names a list, and that list; each part can be another."""

    world: World
    authority: Authority
    domain: TrustDomain
    serial: int | None = None
    withdrawn_at: int | None = None
    last_update: int = -HOUR
    next_update: int = DAY
    build: Callable[[Builder], Builder] = lambda builder: builder
    encoding: Encoding = Encoding.DER
    http_status: int = 200
    body: bytes | None = None
    silent: bool = False
    fetched_after: int = 0
    digest: hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512 = field(default_factory=hashes.SHA256)

    def list(self) -> bytes:
        """The list as its authority signed it."""
        now = self.world.now
        issuer = x509.load_der_x509_certificate(self.authority.certificate).subject
        builder = Builder().issuer_name(issuer).last_update(at(now + self.last_update))
        builder = builder.next_update(at(now + self.next_update))
        if self.serial is not None:
            entry = x509.RevokedCertificateBuilder().serial_number(self.serial)
            entry = entry.revocation_date(at(self.withdrawn_at if self.withdrawn_at is not None else now - HOUR))
            builder = builder.add_revoked_certificate(entry.build())
        return self.build(builder).sign(self.authority.key, self.digest).public_bytes(self.encoding)

    def fetched(self) -> Mapping[str, Fetched | None]:
        """What came from the list's address."""
        if self.silent:
            return {CRL: None}
        body = self.list() if self.body is None else self.body
        return {CRL: Fetched(body, self.http_status, CRL_MEDIA_TYPE, self.world.now + self.fetched_after)}

    def judged(self) -> Verdict:
        """The verdict."""
        return verify_presentation(
            {"pid": [self.world.present_mdoc(self.world.mdoc())]},
            query=MDOC_QUERY,
            nonce=NONCE,
            client_id=CLIENT_ID,
            binding=self.world.binding,
            trust=dict.fromkeys(self.world.trust, (self.domain,)),
            status_lists=self.world.status_lists(),
            policy=Policy(),
            now=self.world.now,
            revocation=self.fetched(),
        )


def valid(world: World) -> Withdrawal:
    """Nobody was withdrawn but somebody else."""
    domain = replace(world.domain, revocation=RevocationRule.REQUIRED)
    return Withdrawal(world, world.authority, domain, serial=4711)


def own_serial(case: Withdrawal) -> int:
    """The signer's serial number."""
    return x509.load_der_x509_certificate(case.world.mdoc_identity.chain[0]).serial_number


@defect("vf-015", refused_as=ReasonCode.CERTIFICATE_REVOKED)
def withdrawn(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §6.3.3: the signer's own number is on the list."""
    return replace(case, serial=own_serial(case))


@defect("vf-015b", refused_as=UNKNOWN)
def silent(case: Withdrawal) -> Withdrawal:
    """Contract: closed by default."""
    return replace(case, silent=True)


@defect("vf-015c", refused_as=UNKNOWN)
def list_expired(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §6.3.3 a: past its next update."""
    return replace(case, last_update=-2 * DAY, next_update=-61)


@defect("vf-015d", refused_as=UNKNOWN)
def list_of_another_authority(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §6.3.3 b: another issuer's list."""
    return replace(case, authority=case.world.status_authority)


@defect("vf-015e", refused_as=UNKNOWN)
def list_signed_by_an_impostor(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §6.3.3 g: the right name, another key."""
    return replace(case, authority=signing_authority("PID Root", now=case.world.now))


@defect("vf-015f", refused_as=UNKNOWN)
def list_from_the_future(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §5.1.2.4: not yet issued."""
    return replace(case, last_update=HOUR)


@defect("vf-015g", refused_as=UNKNOWN)
def server_error(case: Withdrawal) -> Withdrawal:
    """Contract: a list beside an error status is none."""
    return replace(case, http_status=500)


@defect("vf-015h", refused_as=UNKNOWN)
def no_list(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §5.1: an HTML page."""
    return replace(case, body=b"<html>gone</html>")


@defect("vf-015x", refused_as=UNKNOWN)
def list_of_an_unknown_algorithm(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §5.1.1.2: a signature by an algorithm that nobody knows."""
    known, unknown = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d04037f")
    return replace(case, body=case.list().replace(known, unknown))


@defect("vf-015i", refused_as=UNKNOWN)
def empty(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §5.1: nothing."""
    return replace(case, body=b"")


@defect("vf-015j", refused_as=UNKNOWN)
def list_altered(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §6.3.3 g: one bit of its signature."""
    body = case.list()
    return replace(case, body=bytes([*body[:-1], body[-1] ^ 1]))


@defect("vf-015k", refused_as=UNKNOWN)
def list_with_an_unknown_critical_extension(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §5.2: what must be understood and is not, clears nobody."""
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    return replace(case, build=lambda builder: builder.add_extension(unknown, critical=True))


@defect("vf-015l", refused_as=UNKNOWN)
def list_of_authorities_only(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §5.2.5: a list of CA certificates does not clear a signer."""
    return replace(case, build=lambda builder: builder.add_extension(scope(only_contains_ca_certs=True), critical=True))


def scope(
    *,
    only_contains_user_certs: bool = False,
    only_contains_ca_certs: bool = False,
    address: str | None = None,
) -> x509.IssuingDistributionPoint:
    """What a list speaks for."""
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier(address)] if address is not None else None,
        relative_name=None,
        only_contains_user_certs=only_contains_user_certs,
        only_contains_ca_certs=only_contains_ca_certs,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )


@defect("vf-015m", refused_as=UNKNOWN)
def list_of_another_point(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §6.3.3 b.2.i: a part of the authority's lists, and not the signer's."""
    other = scope(address="https://issuer.example/crl/2")
    return replace(case, build=lambda builder: builder.add_extension(other, critical=True))


def other_entry(extension: x509.ExtensionType, *, critical: bool) -> x509.RevokedCertificate:
    """Somebody else's entry, with an extension."""
    entry = x509.RevokedCertificateBuilder().serial_number(4712).revocation_date(at(NOW - HOUR))
    return entry.add_extension(extension, critical=critical).build()


@defect("vf-015t", refused_as=UNKNOWN)
def entry_with_an_unknown_critical_extension(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §5.3: what must be understood in any entry and is not, clears nobody."""
    return replace(
        case, build=lambda builder: builder.add_revoked_certificate(other_entry(UNKNOWN_KIND, critical=True))
    )


@defect("vf-015v", refused_as=UNKNOWN)
def entry_with_a_critical_extension_that_cannot_be_read(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §5.3.2: a date that is none."""
    unreadable = x509.UnrecognizedExtension(x509.InvalidityDate.oid, b"\x05\x00")
    return replace(case, build=lambda builder: builder.add_revoked_certificate(other_entry(unreadable, critical=True)))


@defect("vf-015w", refused_as=UNKNOWN)
def entry_with_an_extension_twice(case: Withdrawal) -> Withdrawal:
    """RFC 5280 §4.2: no more than one of a kind; a library may refuse to read them."""
    entry = x509.RevokedCertificateBuilder().serial_number(4712).revocation_date(at(NOW - HOUR))
    for number in (1, 2):
        kind = x509.ObjectIdentifier(f"1.3.6.1.4.1.99999.{number}")
        entry = entry.add_extension(x509.UnrecognizedExtension(kind, b"\x05\x00"), critical=True)
    plain = replace(case, build=lambda builder: builder.add_revoked_certificate(entry.build())).list()
    signed = x509.load_der_x509_crl(plain).tbs_certlist_bytes
    first, second = (bytes.fromhex(f"2b06010401868d1f0{number}") for number in (1, 2))  # the identifiers' content
    return replace(case, body=resigned(signed.replace(second, first), case.authority))


@defect("vf-015u", refused_as=UNKNOWN)
def list_signed_with_a_weak_hash(case: Withdrawal) -> Withdrawal:
    """As for certificates and OCSP answers: SHA-256 and up."""
    return replace(case, digest=hashes.SHA224())


def resigned(tbs: bytes, authority: Authority) -> bytes:
    """A list with this content, as its authority would sign it."""
    assert isinstance(authority.key, ec.EllipticCurvePrivateKey)
    signature = b"\0" + authority.key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")  # ecdsa-with-SHA256
    content = b"".join((tbs, algorithm, b"\x03", bytes((len(signature),)), signature))
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8, "big")
    return b"\x30" + bytes((0x80 | len(size),)) + size + content


CASES: list[Defect[Withdrawal]] = [case for case in defects("vf") if case.apply.__module__ == __name__]


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_signer_with_one_defect_is_refused(case: Defect[Withdrawal], world: World) -> None:
    verdict = valid(world).judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert Check.REVOCATION in verdict.credentials[0].checks
    assert case.apply(valid(world)).judged().reason is case.refused_as


@pytest.mark.parametrize(
    "change",
    [
        {"encoding": Encoding.PEM},
        {"serial": None},
        {"last_update": 30},
        {"last_update": -DAY, "next_update": -30},
        {"build": lambda builder: builder.add_extension(scope(only_contains_user_certs=True), critical=True)},
        {"build": lambda builder: builder.add_extension(scope(address=CRL), critical=True)},
        {"build": lambda builder: builder.add_extension(x509.CRLNumber(5), critical=False)},
        {"build": lambda builder: builder.add_revoked_certificate(other_entry(COMPROMISED, critical=False))},
        {"build": lambda builder: builder.add_revoked_certificate(other_entry(COMPROMISED, critical=True))},
        {
            "build": lambda builder: builder.add_revoked_certificate(
                other_entry(UNKNOWN_KIND, critical=False)
            ).add_revoked_certificate(other_entry(COMPROMISED, critical=True))
        },
        {"build": lambda builder: builder.add_revoked_certificate(other_entry(INVALID_SINCE, critical=True))},
        {"digest": hashes.SHA384()},
        {"digest": hashes.SHA512()},
    ],
    ids=[
        "pem",
        "empty",
        "skew ahead",
        "skew behind",
        "users only",
        "own point",
        "numbered",
        "reason",
        "critical reason",
        "unknown in an entry",
        "critical date",
        "SHA-384",
        "SHA-512",
    ],
)
def test_lists_as_they_may_be_clear_the_signer(change: dict[str, object], world: World) -> None:
    verdict = replace(valid(world), **change).judged()  # type: ignore[arg-type]  # members of the class
    assert (verdict.accepted, verdict.reason) == (True, None)


@pytest.mark.parametrize("seconds", [-HOUR, 0, HOUR])
def test_who_is_on_the_list_is_withdrawn_whatever_date_stands_there(seconds: int, world: World) -> None:
    """RFC 5280 §6.3.3 i: the entry counts, not its date."""
    case = replace(valid(world), serial=own_serial(valid(world)), withdrawn_at=world.now + seconds)
    assert case.judged().reason is ReasonCode.CERTIFICATE_REVOKED


@pytest.mark.parametrize(("fetched_after", "reason"), [(89, UNKNOWN), (90, None)])
def test_a_list_made_since_the_answer_came_is_of_the_time_of_its_fetch(
    fetched_after: int, reason: ReasonCode | None, world: World
) -> None:
    case = replace(valid(world), last_update=150, fetched_after=fetched_after)
    assert case.judged().reason is reason


def test_a_list_may_be_signed_with_ed25519(world: World) -> None:
    root = key("root", "Ed25519")
    leaf = draw_leaf("Signer", key("leaf"), by=root).having(crl_point(CRL))
    shown = MdocPresentation(world).drawn(Scene((leaf, draw_ca("Root", root, path_length=0))))
    shown.domain = replace(shown.domain, revocation=RevocationRule.REQUIRED)
    issuer = x509.load_der_x509_certificate(shown.domain.anchors[0].certificate).subject
    builder = Builder().issuer_name(issuer).last_update(at(world.now - HOUR)).next_update(at(world.now + DAY))
    fetched = Fetched(builder.sign(root, None).public_bytes(Encoding.DER), 200, CRL_MEDIA_TYPE, world.now)
    verdict = shown.prepared()(revocation={CRL: fetched})  # type: ignore[call-arg]  # what is prepared is a partial
    assert (verdict.accepted, verdict.reason) == (True, None)


def test_a_domain_may_withdraw_in_another_way(world: World) -> None:
    """A list is then neither demanded nor looked at."""
    case = valid(world)
    off = replace(case, domain=world.domain, silent=True)
    assert off.judged().accepted
    assert Check.REVOCATION not in off.judged().credentials[0].checks


@pytest.mark.parametrize("kind", [AnchorKind.LISTED, AnchorKind.PINNED_TEST])
def test_a_certificate_that_is_an_anchor_itself_is_withdrawn_by_its_list(kind: AnchorKind, world: World) -> None:
    anchor = TrustAnchor(kind, world.mdoc_identity.chain[0], "signer")
    shown = MdocPresentation(world)
    shown.domain = replace(world.domain, anchors=(anchor,), revocation=RevocationRule.REQUIRED)
    shown.policy = replace(shown.policy, allow_test_anchors=True)
    assert shown.judged().accepted
    assert all(reference.kind is ReferenceKind.STATUS_LIST for reference in shown.references())


def revocation_references(shown: MdocPresentation) -> list[str]:
    """The addresses of the lists that are wanted."""
    shown.domain = replace(shown.domain, revocation=RevocationRule.REQUIRED)
    return [found.url for found in shown.references() if found.kind is ReferenceKind.REVOCATION_LIST]


def test_the_list_of_each_certificate_of_the_path_is_wanted(world: World) -> None:
    scene = draw_three()
    scene = scene.changed(0, lambda leaf: leaf.having(crl_point("https://issuer.example/leaf.crl")))
    scene = scene.changed(1, lambda middle: middle.having(crl_point("https://issuer.example/middle.crl")))
    shown = MdocPresentation(world).drawn(scene)
    assert revocation_references(shown) == ["https://issuer.example/leaf.crl", "https://issuer.example/middle.crl"]
    assert shown.judged().reason is UNKNOWN


def test_a_list_over_plain_http_is_named_as_the_certificate_names_it(world: World) -> None:
    """RFC 5280 §4.2.1.13: CRLs are signed, and mostly published over http; the fetcher decides."""
    shown = MdocPresentation(world).drawn(draw_mdl())
    assert shown.domain.profile is CertificateProfile.ISO_MDL
    assert revocation_references(shown) == ["http://crl.example/1.crl"]


def test_no_list_of_a_strangers_certificate_is_wanted(world: World) -> None:
    stranger = World()
    found: tuple[Reference, ...] = references(
        {"pid": [stranger.present_mdoc(stranger.mdoc())]},
        query=MDOC_QUERY,
        nonce=NONCE,
        client_id=CLIENT_ID,
        binding=world.binding,
        trust={key: (replace(world.domain, revocation=RevocationRule.REQUIRED),) for key in world.trust},
        now=world.now,
    )
    assert found == ()


def test_the_service_fetches_the_list_and_judges_by_it() -> None:
    world = World()
    case = valid(world)
    world.__dict__["domain"] = case.domain
    for listed, expected in ((case, None), (withdrawn(case), ReasonCode.CERTIFICATE_REVOKED), (silent(case), UNKNOWN)):
        desk = Desk(world)
        desk.shelf.documents[CRL, CRL_MEDIA_TYPE] = listed.fetched()[CRL]
        asking = desk.ask(MDOC)
        form = asking.encrypted({"vp_token": desk.mdoc_token(asking), "state": asking.state})
        assert reason_of(desk.receive(asking, form)) == expected
        assert CRL in desk.shelf.asked_for


def test_parsed_lists_stay_within_bytes() -> None:
    """Lists of up to 8 MiB stay parsed: what counts is their bytes, not their number."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA")])
    now = datetime.fromtimestamp(NOW, UTC)
    bodies = [
        x509.CertificateRevocationListBuilder(name, now, now + timedelta(days=number + 1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
        for number in range(3)
    ]
    most = len(bodies[0]) + len(bodies[1]) + 4
    lists = _ParsedLists(max_bytes=most)
    first, second = (lists.get(body) for body in bodies[:2])
    assert lists.get(bodies[0]) is first
    lists.get(bodies[2])
    assert sum(map(len, lists._kept)) <= most
    assert lists.get(bodies[0]) is first, "used last but one"
    assert lists.get(bodies[1]) is not second
    tiny = _ParsedLists(max_bytes=10)
    assert tiny.get(bodies[0]).issuer == name
    assert not tiny._kept
    with pytest.raises(Refusal):
        lists.get(b"no list")
