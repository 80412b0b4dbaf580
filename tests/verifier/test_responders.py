"""Responders that certificates name, and the withdrawal of who signs status lists (vf-015)."""

from dataclasses import dataclass, replace

import pytest
from cryptography import x509
from cryptography.x509 import ocsp as x509_ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID

from specs.keys.jose import x5c_header
from specs.keys.signer import FileSigner
from specs.trust.ocsp import build_ocsp_request, ocsp_url
from tests.defects import Defect, defect, defects
from tests.specs.trust.drawing import Drawing, Scene, crl_point, draw_ca, draw_leaf, key
from tests.specs.trust.test_ocsp import Reply
from tests.verifier.sd_presentation import SdPresentation, valid_presentation
from tests.verifier.test_withdrawn_certificates import Crl
from tests.verifier.world import World
from verifier import AnchorKind, Check, Fetched, ReasonCode, Reference, ReferenceKind, RevocationRule, TrustAnchor
from verifier.check.revocation import CRL_MEDIA_TYPE, OCSP_MEDIA_TYPE

RESPONDER, LIST, STATUS_LIST_OF_SIGNERS = "http://ocsp.example/", "http://crl.example/a.crl", "http://crl.example/s.crl"
UNKNOWN = ReasonCode.REVOCATION_UNKNOWN


def responder(*urls: str) -> x509.AuthorityInformationAccess:
    """Where responders are."""
    return x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))
            for url in urls
        ]
    )


def scene(*, named: x509.ExtensionType) -> Scene:
    """A signer whose certificate names a place, and its root."""
    leaf, root = key("leaf"), key("root")
    signer = draw_leaf("Signer", leaf, by=root).having(named)
    return Scene((signer, draw_ca("Root", root, path_length=0)))


@dataclass(frozen=True)
class Asked:
    """A presentation whose signer names a responder, and what that says."""

    shown: SdPresentation
    reply: Reply
    silent: bool = False
    http_status: int = 200

    @property
    def url(self) -> str:
        """Where the answer is."""
        shown = self.shown
        assert shown.scene is not None
        moved = [at_now(drawing, shown) for drawing in shown.scene.drawings]
        leaf, root = moved[0].signed(moved[1]), moved[1].signed(moved[1])
        return ocsp_url(RESPONDER, request=build_ocsp_request(leaf, issuer=root))

    def judged(self) -> SdPresentation:
        """The presentation with the answer."""
        now = self.shown.world.now
        fetched = Fetched(self.reply.signed(now), self.http_status, OCSP_MEDIA_TYPE, now)
        return replace(self.shown, revocation={self.url: None if self.silent else fetched})


def at_now(drawing: Drawing, shown: SdPresentation) -> Drawing:
    """A drawing with its dates where the presentation has them."""
    assert shown.scene is not None
    by = shown.world.now - shown.scene.now
    return replace(drawing, begin=drawing.begin + by, end=drawing.end + by)


@pytest.fixture(scope="module")
def presentation() -> SdPresentation:
    return valid_presentation(World())


def asked(presentation: SdPresentation) -> Asked:
    """As it should be: the responder says good."""
    drawn = presentation.drawn(scene(named=responder(RESPONDER)))
    drawn = replace(drawn, domain=replace(drawn.domain, revocation=RevocationRule.REQUIRED))
    assert drawn.scene is not None
    leaf, root = (at_now(drawing, drawn) for drawing in drawn.scene.drawings)
    return Asked(drawn, Reply(leaf, root))


@defect("vf-015n", refused_as=ReasonCode.CERTIFICATE_REVOKED)
def responder_says_revoked(case: Asked) -> Asked:
    """RFC 6960 §2.2: the responder knows the certificate as withdrawn."""
    return replace(case, reply=replace(case.reply, status=x509_ocsp.OCSPCertStatus.REVOKED))


@defect("vf-015o", refused_as=UNKNOWN)
def responder_is_silent(case: Asked) -> Asked:
    """Contract: closed by default."""
    return replace(case, silent=True)


@defect("vf-015p", refused_as=UNKNOWN)
def responder_does_not_know(case: Asked) -> Asked:
    """RFC 6960 §2.2: `unknown` clears nobody."""
    return replace(case, reply=replace(case.reply, status=x509_ocsp.OCSPCertStatus.UNKNOWN))


@defect("vf-015q", refused_as=UNKNOWN)
def responder_answered_long_ago(case: Asked) -> Asked:
    """RFC 6960 §3.2: past its next update, a replay."""
    return replace(case, reply=replace(case.reply, this_update=-9000, next_update=-61))


@defect("vf-015r", refused_as=UNKNOWN)
def responder_is_an_impostor(case: Asked) -> Asked:
    """RFC 6960 §3.2: the authority's name, another key."""
    return replace(case, reply=replace(case.reply, impostor=replace(case.reply.issuer, key=key("thief"))))


@defect("vf-015s", refused_as=UNKNOWN)
def responder_with_server_error(case: Asked) -> Asked:
    """Contract: an answer beside an error status is none."""
    return replace(case, http_status=503)


CASES: list[Defect[Asked]] = [case for case in defects("vf") if case.apply.__module__ == __name__]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_answer_of_a_responder_with_one_defect_is_refused(case: Defect[Asked], presentation: SdPresentation) -> None:
    verdict = asked(presentation).judged().judged()
    assert (verdict.accepted, verdict.reason) == (True, None)
    assert Check.REVOCATION in verdict.credentials[0].checks
    assert case.apply(asked(presentation)).judged().judged().reason is case.refused_as


def places(shown: SdPresentation) -> list[Reference]:
    """Where withdrawals are to be looked up."""
    return [found for found in shown.further_references() if found.kind is not ReferenceKind.STATUS_LIST]


def test_the_responder_is_named_with_the_question_in_its_address(presentation: SdPresentation) -> None:
    case = asked(presentation)
    assert places(case.shown) == [Reference(ReferenceKind.OCSP, case.url, (OCSP_MEDIA_TYPE,))]
    assert places(case.judged()) == []
    assert case.shown.judged().reason is UNKNOWN


def test_the_next_place_is_asked_when_one_gives_no_usable_answer(presentation: SdPresentation) -> None:
    both = scene(named=crl_point(LIST))
    both = both.changed(0, lambda leaf: leaf.having(responder(RESPONDER)))
    drawn = presentation.drawn(both)
    shown = replace(drawn, domain=replace(drawn.domain, revocation=RevocationRule.REQUIRED))
    assert [found.url for found in places(shown)] == [LIST]
    failed = replace(shown, revocation={LIST: None})
    (reference,) = places(failed)
    assert reference.kind is ReferenceKind.OCSP
    assert shown.scene is not None
    leaf, root = (at_now(drawing, shown) for drawing in shown.scene.drawings)
    now = shown.world.now
    good = Fetched(Reply(leaf, root).signed(now), 200, OCSP_MEDIA_TYPE, now)
    answered = replace(failed, revocation={LIST: None, reference.url: good})
    assert answered.judged().accepted
    assert places(answered) == []
    withdrawn = Fetched(Crl(root, root.key, serials=(leaf.serial,)).signed(now), 200, CRL_MEDIA_TYPE, now)
    told = replace(shown, revocation={LIST: withdrawn})
    assert told.judged().reason is ReasonCode.CERTIFICATE_REVOKED
    assert places(told) == [], "who is withdrawn is not asked about elsewhere"


def with_status_signer(presentation: SdPresentation) -> tuple[SdPresentation, Drawing, Drawing]:
    """The status list is signed by somebody whose certificate names a list of withdrawals."""
    leaf, root = key("status leaf"), key("status root")
    now = presentation.world.now
    signer = draw_leaf("Status signer", leaf, by=root).having(crl_point(STATUS_LIST_OF_SIGNERS))
    above = draw_ca("Status root", root, path_length=0)
    signer, above = (
        replace(drawing, begin=now - 1000, end=now + 90_000, serial=serial)
        for drawing, serial in ((signer, 71), (above, 72))
    )
    own = FileSigner(leaf)  # type: ignore[arg-type]  # a P-256 key
    listed = presentation.status_list.heading(alg=own.alg, x5c=x5c_header([signer.signed(above)]))
    anchors = (TrustAnchor(AnchorKind.CA, above.signed(above), "status root"),)
    domain = replace(presentation.domain, status_anchors=anchors, revocation=RevocationRule.REQUIRED)
    return replace(presentation, status_list=replace(listed, sign=own.sign), domain=domain), signer, above


def test_who_signs_a_status_list_may_be_withdrawn_too(presentation: SdPresentation) -> None:
    issuer = asked(presentation)
    shown, signer, above = with_status_signer(issuer.judged())
    now = shown.world.now
    assert STATUS_LIST_OF_SIGNERS not in [found.url for found in shown.references()], "the list is not there yet"
    assert STATUS_LIST_OF_SIGNERS in [found.url for found in places(shown)]
    assert shown.judged().reason is UNKNOWN
    for serials, reason in (((5,), None), ((5, 71), ReasonCode.CERTIFICATE_REVOKED)):
        crl = Fetched(Crl(above, above.key, serials=serials).signed(now), 200, CRL_MEDIA_TYPE, now)
        told = replace(shown, revocation={**shown.revocation, STATUS_LIST_OF_SIGNERS: crl})
        assert told.judged().reason is reason
        assert places(told) == []
    assert signer.serial == 71
