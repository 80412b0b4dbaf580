"""`org-iso-mdoc` beside OpenID4VP in one question: for browsers that offer only that (ISO/IEC TS 18013-7 Annex C)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from sqlalchemy import create_engine

from specs.credentials.session_transcript import dc_api_transcript, iso_mdoc_dc_api_transcript
from specs.encoding import base64url, cbor, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import thumbprint_bytes
from specs.keys.jwe import encrypt
from specs.protocols.iso_mdoc_dc_api import EncryptionInfo, parse_request_data, seal_response
from specs.protocols.openid4vp import ClientIdPrefix, VerifierInfo, build_transaction_data
from specs.protocols.proximity import parse_device_request, verify_reader_auth
from specs.refusal import Refusal
from specs.trust.registration import INFO_FORMAT
from tests.defects import Defect, defect, defects
from tests.verifier.desk import BESIDE, ISO_IN_PAGE, MDOC_IN_PAGE, ORIGIN, Desk, access_identity
from tests.verifier.registrar import REGISTRATION, certificate
from tests.verifier.test_dc_api import params_of
from tests.verifier.world import MDOC_QUERY, NAME_SPACE, NOW, QUERY, World
from verifier import Choices, DcApiProtocol, Flow, NotAllowed, Question, ReasonCode, Receipt, RelyingParty
from verifier.adapters.fastapi import browser_router
from verifier.server.tenant_file import load_preset
from verifier.stores.sql import SqlStore

EVIL = "https://evil.example"


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@dataclass
class InPage:
    """An answer on its way from the browser to the asker; each part open to one change."""

    desk: Desk
    question: Question
    request: bytes
    info: EncryptionInfo
    origin: str = ORIGIN
    signed_for: str = ORIGIN
    sealed_for: str = ORIGIN
    protocol: str = DcApiProtocol.ISO_MDOC
    response: bytes | None = None

    @classmethod
    def valid(cls, world: World, *, desk: Desk | None = None) -> "InPage":
        """The right answer."""
        desk = desk or Desk(world, by_reader=True)
        question = desk.verifier.ask(ISO_IN_PAGE, flow=Flow.SAME_DEVICE)
        assert [each.protocol for each in question.dc_api] == list(BESIDE)
        return cls(desk, question, *parse_request_data(question.dc_api[1].data))

    def transcript(self, origin: str) -> bytes:
        """What both sides know of this exchange."""
        return iso_mdoc_dc_api_transcript(encryption_info=self.info.text, origin=origin)

    def data(self) -> JsonObject:
        """What the browser hands back."""
        shown = self.desk.world.present_mdoc(self.desk.mdoc, transcript=self.transcript(self.signed_for))
        response = base64url.decode(shown) if self.response is None else self.response
        return seal_response(response, key=self.info.key, session_transcript=self.transcript(self.sealed_for))

    def receipt(self, data: Mapping[str, object] | None = None) -> Receipt:
        """Hand it over."""
        return self.desk.verifier.receive_dc_api(
            self.question.id,
            session_secret=self.question.session_secret,
            origin=self.origin,
            response={"protocol": self.protocol, "data": self.data() if data is None else data},
        )

    def outcome(self) -> str | None:
        """Why it was refused."""
        receipt = self.receipt()
        assert receipt.status in (200, 400)
        return str(receipt.body["error_description"]) if receipt.status == 400 else None


@pytest.mark.parametrize("kept", ["memory", "sql"])
def test_an_answer_by_the_iso_protocol_is_believed(world: World, kept: str) -> None:
    desk = Desk(world, by_reader=True)
    if kept == "sql":
        desk.store = SqlStore(create_engine("sqlite://"))
        desk.store.create_tables()
    answer = InPage.valid(world, desk=desk)
    assert answer.receipt() == Receipt(200, {})
    outcome = desk.verifier.result(answer.question.id, session_secret=answer.question.session_secret)
    claims: Any = outcome.verdict.claims("pid")
    assert claims[NAME_SPACE]["family_name"] == "LINDENAU"


def test_the_same_question_can_be_answered_by_openid4vp(world: World) -> None:
    """One question, two protocols, one answer."""
    answer = InPage.valid(world)
    params: Any = params_of(answer.question.dc_api[0].data)
    jwk = params["client_metadata"]["jwks"]["keys"][0]
    transcript = dc_api_transcript(origin=ORIGIN, nonce=params["nonce"], jwk_thumbprint=thumbprint_bytes(jwk))
    token = {"pid": [world.present_mdoc(answer.desk.mdoc, transcript=transcript)]}
    sealed = encrypt(strict_json.dumps({"vp_token": token}), jwk=jwk, enc="A128GCM")
    by_openid4vp = replace(answer, protocol=DcApiProtocol.SIGNED)
    assert by_openid4vp.receipt({"response": sealed}) == Receipt(200, {})
    assert answer.outcome() == ReasonCode.TRANSACTION_UNKNOWN


def test_the_reader_says_who_it_is_to_one_origin(world: World) -> None:
    """ISO/IEC 18013-5 §9.1.4, TS 18013-7 C.5: its signature is over the transcript, which names the page."""
    answer = InPage.valid(world)
    (asked,) = parse_device_request(answer.request).doc_requests
    assert {name for elements in asked.elements.values() for name in elements} == {
        str(claim.path[1]) for claim in MDOC_QUERY.credentials[0].claims or ()
    }
    anchors = [answer.desk.reader[1]]
    verify_reader_auth(asked, session_transcript=answer.transcript(ORIGIN), anchors=anchors, now=NOW)
    with pytest.raises(Refusal) as refusal:
        verify_reader_auth(asked, session_transcript=answer.transcript(EVIL), anchors=anchors, now=NOW)
    assert refusal.value.reason is ReasonCode.SIGNATURE_INVALID


def test_each_question_has_a_key_and_a_nonce_of_its_own(world: World) -> None:
    """C.2: fresh for each transaction, and not the key of the other protocol."""
    desk = Desk(world, by_reader=True)
    first, second = (InPage.valid(world, desk=desk) for _ in range(2))
    assert first.info.key.public_numbers() != second.info.key.public_numbers()
    assert first.info.nonce != second.info.nonce
    metadata: Any = params_of(first.question.dc_api[0].data)["client_metadata"]
    x = base64url.encode(first.info.key.public_numbers().x.to_bytes(32, "big"))
    assert metadata["jwks"]["keys"][0]["x"] != x


def test_what_does_not_open_leaves_the_question_open(world: World) -> None:
    answer = InPage.valid(world)
    other = InPage.valid(world, desk=answer.desk)
    for wrong, reason in (
        (replace(answer, sealed_for=EVIL), ReasonCode.DECRYPTION_FAILED),
        (replace(answer, info=other.info), ReasonCode.DECRYPTION_FAILED),
        (replace(answer, protocol=DcApiProtocol.UNSIGNED), ReasonCode.RESPONSE_MALFORMED),
        (replace(answer, origin=EVIL), ReasonCode.AUDIENCE_MISMATCH),
    ):
        assert wrong.outcome() == reason
    assert answer.outcome() is None


def test_what_opens_and_is_no_answer_ends_the_question(world: World) -> None:
    """Contract 4: the first answer that can be opened counts, good or bad."""
    answer = InPage.valid(world)
    assert replace(answer, response=b"\xa0").outcome() is not None
    assert answer.outcome() == ReasonCode.TRANSACTION_UNKNOWN
    outcome = answer.desk.verifier.result(answer.question.id, session_secret=answer.question.session_secret)
    assert (outcome.verdict.accepted, outcome.verdict.credentials) == (False, ())


def test_a_question_that_did_not_offer_it_takes_no_such_answer(world: World) -> None:
    answer = InPage.valid(world)
    answer.question = answer.desk.verifier.ask(MDOC_IN_PAGE, flow=Flow.SAME_DEVICE)
    assert answer.outcome() == ReasonCode.RESPONSE_MALFORMED


@defect("vf-017h", refused_as=ReasonCode.DEVICE_AUTHENTICATION_INVALID)
def signed_for_another_origin(answer: InPage) -> InPage:
    """ISO/IEC TS 18013-7 C.5: the device answered a page of another origin, and somebody sealed it anew for us."""
    answer.signed_for = EVIL
    return answer


@defect("vf-017i", refused_as=ReasonCode.DECRYPTION_FAILED)
def sealed_for_another_origin(answer: InPage) -> InPage:
    """ISO/IEC TS 18013-7 C.4: the transcript with the origin is the `info` of HPKE."""
    answer.sealed_for = EVIL
    return answer


@defect("vf-017k", refused_as=ReasonCode.CBOR_MALFORMED)
def no_device_response(answer: InPage) -> InPage:
    """ISO/IEC 18013-5 §8.3.2.1.2.2: what is sealed is no CBOR."""
    answer.response = b"\xff"
    return answer


@defect("vf-017l", refused_as=ReasonCode.QUERY_NOT_SATISFIED)
def nothing_shown(answer: InPage) -> InPage:
    """ISO/IEC 18013-5 §8.3.2.1.2.2: the holder declined."""
    answer.response = cbor.encode({"version": "1.0", "status": 0})
    return answer


@defect("vf-017m", refused_as=ReasonCode.RESPONSE_MALFORMED)
def data_is_no_object(answer: InPage) -> InPage:
    """ISO/IEC TS 18013-7 C.3: `data` is an object."""
    answer.data = lambda: "text"  # type: ignore[method-assign,assignment,return-value]
    return answer


CASES: list[Defect[InPage]] = [case for case in defects("vf") if case.apply.__module__ == __name__]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_answer_by_the_iso_protocol_with_one_defect_is_refused(case: Defect[InPage], world: World) -> None:
    assert InPage.valid(world).outcome() is None
    assert case.apply(InPage.valid(world)).outcome() == case.refused_as


def test_a_question_that_no_reader_can_ask_is_not_asked(world: World) -> None:
    """ISO/IEC TS 18013-7 Annex C; de-2026-11 sends a registration certificate with each question."""
    desk = Desk(world, by_reader=True)
    asked = desk.procedures[ISO_IN_PAGE]
    access = access_identity(NOW)
    nameless = RelyingParty(access)
    agreed = build_transaction_data("urn:x", credential_ids=["pid"], members={})
    for procedure, party, said in (
        (replace(asked, query=QUERY), desk.relying_party, "only mdocs"),
        (replace(asked, origins=(ORIGIN, EVIL)), desk.relying_party, "exactly one"),
        (replace(asked, transaction_data=(agreed,)), desk.relying_party, "transaction data"),
        (asked, nameless, "reader certificate"),
        (asked, replace(nameless, reader=replace(access, chain=(desk.reader[1].certificate,))), "self-signed"),
        (asked, replace(desk.relying_party, prefix=ClientIdPrefix.REDIRECT_URI), "can't be signed"),
    ):
        refusing = Desk(world, by_reader=True)
        refusing.relying_party = party
        refusing.procedures = {ISO_IN_PAGE: procedure}
        with pytest.raises(NotAllowed, match=said):
            refusing.verifier.ask(ISO_IN_PAGE, flow=Flow.SAME_DEVICE)
    german = Desk(world, by_reader=True, profile=load_preset("de-2026-11"))
    german.procedures = {ISO_IN_PAGE: asked}
    with pytest.raises(NotAllowed, match="must come with the question"):
        german.verifier.ask(ISO_IN_PAGE, flow=Flow.SAME_DEVICE)
    german = Desk(world, by_reader=True, profile=load_preset("de-2026-11"))
    other = VerifierInfo("another format", "read by nobody here")
    german.procedures = {ISO_IN_PAGE: replace(asked, dc_api=(DcApiProtocol.SIGNED,), verifier_info=(other,))}
    with pytest.raises(NotAllowed, match="must come with the question"):
        german.verifier.ask(ISO_IN_PAGE, flow=Flow.SAME_DEVICE)
    german = Desk(world, by_reader=True, profile=load_preset("de-2026-11"))
    registered = VerifierInfo(INFO_FORMAT, certificate(REGISTRATION))
    german.procedures = {ISO_IN_PAGE: replace(asked, dc_api=(DcApiProtocol.SIGNED,), verifier_info=(registered,))}
    assert german.verifier.ask(ISO_IN_PAGE, flow=Flow.SAME_DEVICE).dc_api
    german = Desk(world, by_reader=True, profile=load_preset("de-2026-11"))
    german.procedures = {ISO_IN_PAGE: replace(asked, dc_api=(DcApiProtocol.ISO_MDOC,), verifier_info=(registered,))}
    with pytest.raises(NotAllowed, match="carries no registration"):
        german.verifier.ask(ISO_IN_PAGE, flow=Flow.SAME_DEVICE)


def test_whoever_is_never_signed_may_ask_by_the_iso_protocol_alone(world: World) -> None:
    desk = Desk(world, by_reader=True)
    desk.relying_party = replace(desk.relying_party, prefix=ClientIdPrefix.REDIRECT_URI)
    desk.procedures = {ISO_IN_PAGE: replace(desk.procedures[ISO_IN_PAGE], dc_api=(DcApiProtocol.ISO_MDOC,))}
    question = desk.verifier.ask(ISO_IN_PAGE, flow=Flow.SAME_DEVICE, choices=Choices())
    assert [each.protocol for each in question.dc_api] == [DcApiProtocol.ISO_MDOC]
    desk = Desk(world, by_reader=True)
    desk.relying_party = replace(desk.relying_party, prefix=ClientIdPrefix.REDIRECT_URI)
    both = (DcApiProtocol.UNSIGNED, DcApiProtocol.ISO_MDOC)
    desk.procedures = {ISO_IN_PAGE: replace(desk.procedures[ISO_IN_PAGE], dc_api=both)}
    question = desk.verifier.ask(ISO_IN_PAGE, flow=Flow.SAME_DEVICE, choices=Choices())
    assert tuple(each.protocol for each in question.dc_api) == both


async def test_a_page_hands_its_answer_to_the_application_that_asked(world: World) -> None:
    """The session is the asker's own cookie, the origin the browser's header."""
    answer = InPage.valid(world)
    sessions = {"cookie-1": answer.question.session_secret}

    def secret(request: Request, _question: str) -> str | None:
        return sessions.get(request.cookies.get("session", ""))

    app = FastAPI()
    app.include_router(browser_router(answer.desk.verifier, session_secret=secret))
    body = strict_json.dumps({"protocol": answer.protocol, "data": answer.data()})
    where = f"/dc-api/{answer.question.id}"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=ORIGIN) as browser:
        for headers, content, status, reason in (
            ({"Origin": ORIGIN}, body, 400, ReasonCode.TRANSACTION_UNKNOWN),
            ({"Cookie": "session=cookie-1"}, body, 400, ReasonCode.TRANSACTION_UNKNOWN),
            ({"Cookie": "session=cookie-1", "Origin": EVIL}, body, 400, ReasonCode.AUDIENCE_MISMATCH),
            ({"Cookie": "session=cookie-1", "Origin": ORIGIN}, b"[]", 400, ReasonCode.RESPONSE_MALFORMED),
            ({"Cookie": "session=cookie-1", "Origin": ORIGIN}, b" " * (9 << 20), 413, ReasonCode.RESPONSE_TOO_LARGE),
            ({"Cookie": "session=cookie-1", "Origin": ORIGIN}, body, 200, None),
        ):
            handed = await browser.post(where, content=content, headers=headers)
            assert (handed.status_code, handed.json().get("error_description")) == (status, reason)
