"""Questions through the browser's API: signed, unsigned and multi-signed; answers bound to the page that asked."""

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from specs.credentials.session_transcript import dc_api_transcript
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import thumbprint_bytes
from specs.keys.jwe import encrypt
from specs.protocols.openid4vp import RequestError
from tests.defects import Defect, defect, defects
from tests.verifier.desk import IN_PAGE, MDOC_IN_PAGE, ORIGIN, SD_JWT, Desk, access_identity
from tests.verifier.world import NAME_SPACE, NOW, World
from verifier import (
    Choices,
    DcApiProtocol,
    Flow,
    Policy,
    Question,
    ReasonCode,
    Receipt,
    RelyingParty,
    ResponseMode,
)

PROTOCOLS = (DcApiProtocol.SIGNED, DcApiProtocol.UNSIGNED, DcApiProtocol.MULTI_SIGNED)


@pytest.fixture(scope="module")
def world() -> World:
    return World()


@dataclass
class InPage:
    """An answer on its way from the browser to the asker; each part open to one change."""

    desk: Desk
    question: Question
    params: JsonObject
    origin: str = ORIGIN
    session_secret: str = ""
    protocol: str = DcApiProtocol.SIGNED
    audience: str = f"origin:{ORIGIN}"
    holder_origin: str = ORIGIN
    procedure: str = IN_PAGE
    clear: bool = False
    members: dict[str, object] | None = None

    @classmethod
    def valid(cls, world: World, *, procedure: str = IN_PAGE, choices: Choices = Choices()) -> "InPage":  # noqa: B008
        """The right answer."""
        desk = Desk(world, co_signers=(RelyingParty(access_identity(NOW)),))
        question = desk.verifier.ask(procedure, flow=Flow.SAME_DEVICE, choices=choices)
        request = question.dc_api[0]
        return cls(
            desk,
            question,
            params_of(request.data),
            session_secret=question.session_secret,
            protocol=request.protocol,
            procedure=procedure,
        )

    def jwk(self) -> dict[str, Any]:
        """The key to answer to."""
        metadata: Any = self.params["client_metadata"]
        found: dict[str, Any] = metadata["jwks"]["keys"][0]
        return found

    def vp_token(self) -> dict[str, list[str]]:
        """What the holder shows."""
        nonce = str(self.params["nonce"])
        if self.procedure == IN_PAGE:
            shown = self.desk.world.present_sd_jwt(self.desk.credential, nonce=nonce, audience=self.audience)
        else:
            thumbprint = None if self.clear else thumbprint_bytes(self.jwk())
            transcript = dc_api_transcript(origin=self.holder_origin, nonce=nonce, jwk_thumbprint=thumbprint)
            shown = self.desk.world.present_mdoc(self.desk.mdoc, transcript=transcript)
        return {"pid": [shown]}

    def response(self) -> JsonObject:
        """What the browser gives to the page."""
        members = {"vp_token": self.vp_token()} if self.members is None else self.members
        if self.clear:
            return {"protocol": self.protocol, "data": strict_json.parse_object(json.dumps(members))}
        sealed = encrypt(strict_json.dumps(members), jwk=self.jwk(), enc="A128GCM")
        return {"protocol": self.protocol, "data": {"response": sealed}}

    def receipt(self) -> Receipt:
        """Hand it over."""
        return self.desk.verifier.receive_dc_api(
            self.question.id, session_secret=self.session_secret, origin=self.origin, response=self.response()
        )

    def outcome(self) -> str | None:
        """Why it was refused."""
        receipt = self.receipt()
        assert receipt.status in (200, 400)
        return str(receipt.body["error_description"]) if receipt.status == 400 else None


def params_of(data: JsonObject) -> JsonObject:
    """What the question says, whatever its form."""
    request = data.get("request")
    if isinstance(request, str):
        return strict_json.parse_object(base64url.decode(request.split(".")[1]))
    if isinstance(request, dict):
        return strict_json.parse_object(base64url.decode(str(request["payload"])))
    return data


@pytest.mark.parametrize("procedure", [IN_PAGE, MDOC_IN_PAGE])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("mode", [ResponseMode.DC_API, ResponseMode.DC_API_JWT])
def test_an_answer_through_the_browser_is_believed(
    procedure: str, protocol: DcApiProtocol, mode: ResponseMode, world: World
) -> None:
    """OpenID4VP §A.1 to §A.4, §B.2.6.2: whoever signed the question, the audience is the page's origin."""
    answer = InPage.valid(world, procedure=procedure, choices=Choices(dc_api=(protocol,), response_mode=mode))
    answer.clear = mode is ResponseMode.DC_API
    assert answer.question.wallet_url == ""
    assert answer.receipt() == Receipt(200, {})
    outcome = answer.desk.verifier.result(answer.question.id, session_secret=answer.question.session_secret)
    claims = outcome.verdict.claims("pid")
    assert (claims if procedure == IN_PAGE else claims[NAME_SPACE])["family_name"] == "LINDENAU"  # type: ignore[index, call-overload]


def test_each_kind_of_question_has_its_members_in_their_places(world: World) -> None:
    """OpenID4VP §A.2, §A.3: what is signed once stands in the payload, what belongs to one signature in its header."""
    desk = Desk(world, co_signers=(RelyingParty(access_identity(NOW)),))
    question = desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE, choices=Choices(dc_api=PROTOCOLS))
    signed, unsigned, multi = question.dc_api
    assert [request.protocol for request in question.dc_api] == list(PROTOCOLS)
    common = {"response_type", "response_mode", "nonce", "dcql_query", "client_metadata"}
    assert set(unsigned.data) == common
    assert set(params_of(signed.data)) == common | {"client_id", "expected_origins", "iss", "aud", "iat", "exp"}
    assert set(params_of(multi.data)) == common | {"expected_origins", "aud", "iat", "exp"}
    assert params_of(signed.data)["expected_origins"] == [ORIGIN]
    assert len({str(params_of(request.data)["nonce"]) for request in question.dc_api}) == 1
    request: Any = multi.data["request"]
    headers = [strict_json.parse_object(base64url.decode(each["protected"])) for each in request["signatures"]]
    assert len({str(header["client_id"]) for header in headers}) == 2
    assert all(header["typ"] == "oauth-authz-req+jwt" and header["x5c"] for header in headers)


def test_a_page_has_an_origin_as_browsers_write_it(world: World) -> None:
    """OpenID4VP §2, §A.2: compared as text, so that a slash or a default port would never match."""
    good = ("https://city.example", "https://city.example:8443", "android:apk-key-hash:sNMgq")
    bad = (
        "https://city.example/", "https://city.example:443", "https://City.example", "http://city.example",
        "https://city.example/path", "ftp://city.example", "javascript:alert", "data:x", "wss://city.example",
        "ws://city.example", "city.example", "https://", "https:city", "https://a@city.example", "",
    )  # fmt: skip
    for origins, fits in ((good, True), *(((one,), False) for one in bad)):
        desk = Desk(world)
        desk.procedures = {IN_PAGE: replace(desk.procedures[IN_PAGE], origins=origins)}
        if fits:
            assert desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE).dc_api
            continue
        with pytest.raises(RequestError, match="expected_origins"):
            desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE)


def test_a_wallets_error_through_the_browser_is_an_outcome(world: World) -> None:
    """OpenID4VP §8.5, §A.4: the promise is fulfilled with it."""
    for clear in (True, False):
        answer = InPage.valid(world)
        answer.clear, answer.members = clear, {"error": "access_denied"}
        assert answer.receipt() == Receipt(200, {})
        outcome = answer.desk.verifier.result(answer.question.id, session_secret=answer.question.session_secret)
        assert outcome.wallet_error == "access_denied"


def test_a_bad_answer_through_the_browser_ends_the_question(world: World) -> None:
    answer = InPage.valid(world)
    answer.audience = answer.desk.relying_party.client_id.text
    assert answer.outcome() == ReasonCode.AUDIENCE_MISMATCH
    good = replace(answer, audience=f"origin:{ORIGIN}")
    assert good.outcome() == ReasonCode.TRANSACTION_UNKNOWN
    outcome = answer.desk.verifier.result(answer.question.id, session_secret=answer.question.session_secret)
    assert outcome.verdict.reason is ReasonCode.AUDIENCE_MISMATCH


def test_what_does_not_open_leaves_the_question_open(world: World) -> None:
    answer = InPage.valid(world)
    for wrong in (
        replace(answer, origin="https://other.example"),
        replace(answer, protocol=DcApiProtocol.UNSIGNED),
        replace(answer, clear=True),
        replace(answer, session_secret="guessed"),
    ):
        assert wrong.outcome() is not None
    assert answer.outcome() is None


# vf-017 and what the origin stands for


@defect("vf-017", refused_as=ReasonCode.AUDIENCE_MISMATCH)
def page_of_another_origin(answer: InPage) -> InPage:
    """OpenID4VP §A.2, §A.4: the answer came to a page that is not ours."""
    answer.origin = answer.holder_origin = "https://evil.example"
    answer.audience = "origin:https://evil.example"
    return answer


@defect("vf-017b", refused_as=ReasonCode.AUDIENCE_MISMATCH)
def made_for_another_origin(answer: InPage) -> InPage:
    """OpenID4VP §A.4: the holder answered a page of another origin, which passes it on."""
    answer.audience = "origin:https://evil.example"
    return answer


@defect("vf-017c", refused_as=ReasonCode.RESPONSE_MALFORMED)
def another_protocol(answer: InPage) -> InPage:
    """OpenID4VP §A.1: the browser answers by the protocol that was asked with."""
    answer.protocol = DcApiProtocol.UNSIGNED
    return answer


@defect("vf-017d", refused_as=ReasonCode.RESPONSE_NOT_ENCRYPTED)
def in_clear(answer: InPage) -> InPage:
    """OpenID4VP §8.3, §A.2: dc_api.jwt was asked for."""
    answer.clear = True
    return answer


@defect("vf-017e", refused_as=ReasonCode.TRANSACTION_UNKNOWN)
def by_another_session(answer: InPage) -> InPage:
    """OpenID4VP §14.2: whoever hands an answer over must be who asked."""
    answer.session_secret = "guessed"
    return answer


@defect("vf-017f", refused_as=ReasonCode.TRANSACTION_UNKNOWN)
def to_a_question_by_link(answer: InPage) -> InPage:
    """OpenID4VP §A.2: a question that was not asked through the browser has no answer from there."""
    answer.question = replace(answer.question, id=answer.desk.verifier.ask(SD_JWT, flow=Flow.SAME_DEVICE).id)
    return answer


@defect("vf-017g", refused_as=ReasonCode.RESPONSE_MALFORMED)
def data_is_no_object(answer: InPage) -> InPage:
    """OpenID4VP §A.4: `data` is an object."""
    answer.response = lambda: {"protocol": answer.protocol, "data": "text"}  # type: ignore[method-assign]
    return answer


CASES: list[Defect[InPage]] = [case for case in defects("vf") if case.apply.__module__ == __name__]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_answer_through_the_browser_with_one_defect_is_refused(case: Defect[InPage], world: World) -> None:
    assert InPage.valid(world).outcome() is None
    assert case.apply(InPage.valid(world)).outcome() == case.refused_as


def test_device_answers_for_one_origin_only(world: World) -> None:
    """OpenID4VP §B.2.6.2: the origin without prefix stands in the transcript."""
    for holder_origin in ("https://evil.example", f"origin:{ORIGIN}", f"{ORIGIN}/"):
        answer = InPage.valid(world, procedure=MDOC_IN_PAGE)
        answer.holder_origin = holder_origin
        assert answer.outcome() == ReasonCode.DEVICE_AUTHENTICATION_INVALID
    assert InPage.valid(world, procedure=MDOC_IN_PAGE).outcome() is None


def test_an_answer_by_post_to_a_question_of_a_page_is_refused(world: World) -> None:
    answer = InPage.valid(world)
    row = answer.desk.store.by_id(answer.question.id, now=NOW)
    assert row is not None
    sealed = answer.response()["data"]
    assert isinstance(sealed, dict)
    assert answer.desk.verifier.receive("unknown", sealed).status == 400
    assert answer.outcome() is None


def test_policy_of_the_procedure_holds_in_the_browser_too(world: World) -> None:
    desk = Desk(world, policy=Policy(key_binding_max_age=10))
    question = desk.verifier.ask(IN_PAGE, flow=Flow.SAME_DEVICE)
    desk.clock.now += 120
    answer = InPage(desk, question, params_of(question.dc_api[0].data), session_secret=question.session_secret)
    assert answer.outcome() == ReasonCode.KEY_BINDING_EXPIRED
