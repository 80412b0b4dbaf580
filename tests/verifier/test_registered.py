"""Our own certificates: nobody asks beyond the registration (vf-016), and what ends is told in time."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import load_der_x509_certificate

from specs.encoding.strict_json import JsonObject
from specs.keys.signer import FileSigner, SigningIdentity, generate_signer
from specs.protocols.dcql import parse_dcql
from specs.protocols.openid4vp import ClientIdPrefix, VerifierInfo
from specs.refusal import ReasonCode
from specs.trust.certificates import Authority, SubjectName, build_access_certificate, build_root_ca
from specs.trust.registration import INFO_FORMAT
from specs.trust.x509 import AnchorKind, TrustAnchor
from stadtnachweis.__main__ import main
from tests.defects import Defect, defect, defects
from tests.specs.trust.drawing import Drawing, draw_ca, draw_leaf, key, usage
from tests.verifier.desk import HOST, IDENTIFIER, SD_JWT, Desk, access_identity, reason_of
from tests.verifier.registrar import REGISTRATION, certificate, registrar
from tests.verifier.world import DAY, HOUR, NOW, VCT, World
from verifier import Flow, Procedure, RelyingParty
from verifier.ask import Choices
from verifier.registered import Finding, Severity, findings
from verifier.rules import NotAllowed


def info(*credential_ids: str, **members: object) -> VerifierInfo:
    """A registration certificate as it travels."""
    return VerifierInfo(INFO_FORMAT, certificate(REGISTRATION, **members), credential_ids)


@dataclass(frozen=True)
class Publishing:
    """A procedure that somebody wants to publish."""

    procedure: Procedure
    relying_party: RelyingParty

    def desk(self) -> Desk:
        """A verifier with this procedure."""
        desk = Desk()
        desk.relying_party = self.relying_party
        desk.procedures = {SD_JWT: self.procedure}
        return desk

    def asking(self, *claims: Mapping[str, object], vct: str = VCT) -> "Publishing":
        """The procedure asks for this."""
        entry: JsonObject = {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [vct]}}
        if claims:
            entry["claims"] = [dict(claim) for claim in claims]  # type: ignore[arg-type]
        return replace(self, procedure=replace(self.procedure, query=parse_dcql({"credentials": [entry]})))


@pytest.fixture
def valid() -> Publishing:
    return publishing()


def publishing() -> Publishing:
    """A procedure within its registration."""
    procedure = Desk().procedures[SD_JWT]
    return Publishing(replace(procedure, verifier_info=(info(),)), RelyingParty(access_identity(NOW)))


@defect("vf-016", refused_as=ReasonCode.REQUEST_NOT_REGISTERED)
def another_claim(case: Publishing) -> Publishing:
    """TS 119 475, RPRC_21: an attribute that was not registered."""
    return case.asking({"path": ["family_name"]}, {"path": ["birthdate"]})


@defect("vf-016b", refused_as=ReasonCode.REQUEST_NOT_REGISTERED)
def everything(case: Publishing) -> Publishing:
    """OpenID4VP §6.4.1: without `claims` wallets were seen to show all."""
    return case.asking()


@defect("vf-016c", refused_as=ReasonCode.REQUEST_NOT_REGISTERED)
def another_type(case: Publishing) -> Publishing:
    """TS 119 475: a credential that was not registered."""
    return case.asking({"path": ["family_name"]}, vct="urn:example:leipzig:pass:1")


@defect("vf-016d", refused_as=ReasonCode.REGISTRATION_MISMATCH)
def anothers_certificate(case: Publishing) -> Publishing:
    """RPRC_17a: registered for another party."""
    return replace(case, procedure=replace(case.procedure, verifier_info=(info(subject="VATDE-9"),)))


@defect("vf-016e", refused_as=ReasonCode.REQUEST_NOT_REGISTERED)
def a_part_that_nobody_registered(case: Publishing) -> Publishing:
    """RPRC_19: the certificate speaks for another query of the same question."""
    asked = parse_dcql(
        {
            "credentials": [
                {
                    "id": name,
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": [VCT]},
                    "claims": [{"path": ["family_name"]}],
                }
                for name in ("pid", "more")
            ]
        }
    )
    return replace(case, procedure=replace(case.procedure, query=asked, verifier_info=(info("pid"),)))


@defect("vf-016f", refused_as=ReasonCode.REGISTRATION_MALFORMED)
def two_certificates(case: Publishing) -> Publishing:
    """RPRC_19: exactly one for each question."""
    return replace(case, relying_party=replace(case.relying_party, verifier_info=(info(),)))


@defect("vf-016g", refused_as=ReasonCode.REGISTRATION_MALFORMED)
def unreadable(case: Publishing) -> Publishing:
    """TS 119 475: not a certificate."""
    return replace(case, procedure=replace(case.procedure, verifier_info=(VerifierInfo(INFO_FORMAT, "a.b.c"),)))


@defect("vf-016h", refused_as=ReasonCode.REGISTRATION_MALFORMED)
def not_signed(case: Publishing) -> Publishing:
    """TS 119 475: what is registered, without who says so."""
    unsigned = VerifierInfo(INFO_FORMAT, {"sub": IDENTIFIER})
    return replace(case, procedure=replace(case.procedure, verifier_info=(unsigned,)))


CASES: list[Defect[Publishing]] = [case for case in defects("vf") if case.apply.__module__ == __name__]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_procedure_beyond_its_registration_cannot_be_published(case: Defect[Publishing]) -> None:
    valid = publishing()
    assert valid.desk().ask().params["verifier_info"] == [valid.procedure.verifier_info[0].to_json()]
    with pytest.raises(NotAllowed, match=case.refused_as):
        _ = case.apply(valid).desk().verifier


def test_a_question_beyond_the_registration_cannot_be_sent(valid: Publishing) -> None:
    """A procedure may be changed for one question: that question is checked too."""
    desk = valid.desk()
    desk.verifier.relying_party = replace(valid.relying_party, identity=nameless())
    with pytest.raises(NotAllowed, match=ReasonCode.REGISTRATION_MISMATCH):
        desk.verifier.ask(SD_JWT, flow=Flow.SAME_DEVICE, choices=Choices(prefix=ClientIdPrefix.X509_HASH))


def nameless() -> SigningIdentity:
    """An access certificate without an identifier."""
    return access(subject=SubjectName("Stadt Leipzig", "DE"))


def authority() -> Authority:
    """Who issues access certificates."""
    ca = key("access ca")
    assert not hasattr(ca, "key_size") or ca.key_size == 256
    root = build_root_ca(
        key=ca,  # type: ignore[arg-type]  # a P-256 key
        subject=SubjectName("Access CA", "DE"),
        serial=1,
        now=NOW,
    )
    return Authority(root, ca)  # type: ignore[arg-type]


ANCHORS = (TrustAnchor(AnchorKind.CA, authority().certificate, "access"),)


def access(
    *,
    subject: SubjectName | None = None,
    days: int = 365,
    policies: tuple[str, ...] = ("0.4.0.194118.1.2",),
    crl_url: str | None = "http://ca.example/a.crl",
    now: int = NOW,
) -> SigningIdentity:
    """An access certificate as a provider issues it."""
    signer = generate_signer()
    made = build_access_certificate(
        authority=authority(),
        public_key=signer.public_key,
        subject=subject or SubjectName("Stadt Leipzig", "DE", organization_identifier=IDENTIFIER),
        serial=9,
        now=now,
        dns_names=[HOST],
        uris=[],
        policies=policies,
        crl_url=crl_url,
        days=days,
    )
    return SigningIdentity(signer, (made,))


def told(
    identity: SigningIdentity | None = None,
    *,
    verifier_info: VerifierInfo | None = None,
    now: int = NOW + HOUR,
    anchors: tuple[TrustAnchor, ...] = (),
) -> list[tuple[Severity, str, str]]:
    """What is found."""
    relying_party = RelyingParty(identity or access())
    procedure = replace(Desk(World()).procedures[SD_JWT], verifier_info=(verifier_info or info(),))
    found: tuple[Finding, ...] = findings(
        relying_party,
        {SD_JWT: procedure},
        now=now,
        access_anchors=anchors,
        registrar_anchors=(registrar()[1],),
    )
    return [(each.severity, each.about, each.code) for each in found]


E, W = Severity.ERROR, Severity.WARNING


def test_good_certificates_are_no_news() -> None:
    assert told() == []
    assert told(verifier_info=info(expires_at=None)) == []
    assert told(verifier_info=VerifierInfo("another format", "read by nobody here")) == []
    unjudged = replace(info(), data=str(info().data)[:-4] + "AAAA")
    procedure = replace(Desk(World()).procedures[SD_JWT], verifier_info=(unjudged,))
    assert findings(RelyingParty(access()), {SD_JWT: procedure}, now=NOW + HOUR) == ()


ABOUT: dict[str, tuple[Callable[[], list[tuple[Severity, str, str]]], list[tuple[Severity, str, str]]]] = {
    "access certificate ends in 60 days": (lambda: told(access(days=59)), [(W, "access", "ends_within_60_days")]),
    "in 30": (lambda: told(access(days=30)), [(W, "access", "ends_within_30_days")]),
    "in 7": (lambda: told(access(days=7)), [(W, "access", "ends_within_7_days")]),
    "ended": (lambda: told(access(days=3), now=NOW + 4 * DAY), [(E, "access", "ended")]),
    "not yet valid": (lambda: told(access(now=NOW + 9 * DAY)), [(E, "access", "not_yet_valid")]),
    "without an identifier": (
        lambda: told(nameless()),
        [(E, SD_JWT, "registration_mismatch"), (W, "access", "no_identifier")],
    ),
    "without a policy": (lambda: told(access(policies=())), [(W, "access", "no_policy")]),
    "nowhere to ask about it": (lambda: told(access(crl_url=None)), [(W, "access", "no_revocation_place")]),
    "nowhere to ask, but short-lived": (
        lambda: told(access(crl_url=None, days=6)),
        [(W, "access", "ends_within_7_days")],
    ),
    "another key": (
        lambda: told(SigningIdentity(generate_signer(), access().chain)),
        [(E, "access", "key_mismatch")],
    ),
    "no path": (
        lambda: told(access_identity(NOW), anchors=ANCHORS),
        [(E, "access", "certificate_untrusted"), (W, "access", "no_policy"), (W, "access", "no_revocation_place")],
    ),
    "registration ends in 30 days": (
        lambda: told(verifier_info=info(expires_at=NOW + 20 * DAY)),
        [(W, SD_JWT, "ends_within_30_days")],
    ),
    "registration ended": (
        lambda: told(verifier_info=info(expires_at=NOW - DAY, issued_at=NOW - 9 * DAY)),
        [(E, SD_JWT, "registration_expired")],
    ),
    "registration by nobody": (
        lambda: told(verifier_info=replace(info(), data=str(info().data)[:-4] + "AAAA")),
        [(E, SD_JWT, "registration_untrusted")],
    ),
}


@pytest.mark.parametrize(("look", "expected"), ABOUT.values(), ids=ABOUT.keys())
def test_what_is_wrong_with_our_certificates_is_told(
    look: Callable[[], list[tuple[Severity, str, str]]], expected: list[tuple[Severity, str, str]]
) -> None:
    assert look() == expected


def test_who_holds_no_certificate_is_told_nothing_about_it() -> None:
    for identity in (None, SigningIdentity(generate_signer(), ())):
        assert findings(RelyingParty(identity), {}, now=NOW, access_anchors=ANCHORS) == ()


def drawn(leaf: Drawing) -> list[str]:
    """What is told about a certificate of our own making, with its own key."""
    private = leaf.key
    signer = FileSigner(private) if not isinstance(private, rsa.RSAPrivateKey) else generate_signer()
    issuer = leaf if leaf.issuer == leaf.subject else draw_ca("Access CA", key("access ca"), path_length=0)
    found = findings(RelyingParty(SigningIdentity(signer, (leaf.signed(issuer),))), {}, now=NOW)
    return [each.code for each in found if each.code not in ("no_identifier", "no_policy", "no_revocation_place")]


def test_what_wallets_refuse_in_an_access_certificate_is_told() -> None:
    good = replace(draw_leaf("Stadt", key("leaf"), by=key("access ca")), begin=NOW - DAY, end=NOW + 300 * DAY)
    assert drawn(good) == []
    for left, code in ((0, "ended"), (1, "ends_within_7_days"), (7 * DAY, "ends_within_7_days")):
        assert drawn(replace(good, end=NOW + left)) == [code]
    assert drawn(replace(good, end=NOW + 7 * DAY + 1)) == ["ends_within_30_days"]
    assert drawn(replace(good, end=NOW + 60 * DAY)) == ["ends_within_60_days"]
    assert drawn(replace(good, end=NOW + 60 * DAY + 1)) == []
    assert drawn(replace(good, begin=NOW)) == []
    assert drawn(replace(good, begin=NOW + 1)) == ["not_yet_valid"]
    assert drawn(replace(good, issuer=good.subject)) == ["self_signed"]
    assert drawn(replace(good, key=key("rsa leaf", "RSA-2048"))) == ["key_mismatch"]
    for bent in (
        good.lacking(x509.KeyUsage.oid),
        good.having(usage(sign=True), critical=False),
        good.having(usage(agree=True), critical=True),
    ):
        assert drawn(bent) == ["key_usage"]


def test_a_certificate_that_can_not_be_read_is_told() -> None:
    identity = SigningIdentity(generate_signer(), (b"\x30\x03\x02\x01\x01",))
    (finding,) = findings(RelyingParty(identity), {}, now=NOW)
    assert (finding.severity, finding.code) == (E, ReasonCode.CERTIFICATE_MALFORMED)


def test_the_time_that_is_left_is_told() -> None:
    (finding,) = findings(RelyingParty(access(days=30)), {}, now=NOW, access_anchors=ANCHORS)
    assert finding.seconds_left == 30 * DAY


def test_an_access_certificate_is_renewed_while_questions_are_open() -> None:
    """security.md 6: certificates rotated while requests are open."""
    desk = Desk()
    open_question = desk.ask()
    handle = open_question.request_handle
    before = desk.verifier.relying_party
    desk.verifier.renew(RelyingParty(access_identity(NOW)))
    assert desk.verifier.request_object(handle).split(".")[0] == desk.verifier.request_object(handle).split(".")[0]
    assert open_question.client_id == before.client_id.text
    assert reason_of(desk.receive(open_question, desk.answer(open_question))) is None
    desk.relying_party = desk.verifier.relying_party
    asked_now = desk.ask()
    assert asked_now.client_id == desk.relying_party.client_id.text != before.client_id.text
    assert reason_of(desk.receive(asked_now, desk.answer(asked_now))) is None


def test_a_certificate_that_does_not_fit_is_not_taken_up() -> None:
    valid = publishing()
    desk = valid.desk()
    with pytest.raises(NotAllowed, match=ReasonCode.REGISTRATION_MISMATCH):
        desk.verifier.renew(RelyingParty(nameless()))
    assert desk.verifier.relying_party == valid.relying_party


def test_the_command_tells_what_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = int(time.time())
    identity = access(now=now, days=20)
    private = identity.signer._ec  # type: ignore[attr-defined]
    (tmp_path / "key.pem").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    for name, der in (("access", identity.chain[0]), ("root", ANCHORS[0].certificate)):
        (tmp_path / f"{name}.pem").write_bytes(load_der_x509_certificate(der).public_bytes(Encoding.PEM))
    (tmp_path / "registration.jwt").write_text(str(info(issued_at=now - DAY, expires_at=now + 100 * DAY).data))
    question = {
        "credentials": [
            {"id": "pid", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [{"path": ["birthdate"]}]}
        ]
    }
    (tmp_path / "query.json").write_text(json.dumps(question))
    files = {name: str(tmp_path / name) for name in ("key.pem", "access.pem", "registration.jwt", "query.json")}
    command = ["verifier", "certificates", "--key", files["key.pem"], "--access", files["access.pem"]]
    assert main([*command, "--access-anchors", str(tmp_path / "root.pem")]) == 0
    assert [each["code"] for each in json.loads(capsys.readouterr().out)] == ["ends_within_30_days"]
    command += ["--registration", files["registration.jwt"]]
    assert main(command) == 2
    capsys.readouterr()
    assert main([*command, "--query", files["query.json"]]) == 1
    assert json.loads(capsys.readouterr().out)[0]["code"] == "request_not_registered"
    (tmp_path / "key.pem").unlink()
    assert main([*command, "--query", files["query.json"]]) == 2
