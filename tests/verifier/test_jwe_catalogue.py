"""Every line of the catalogue for encrypted answers: refused, and the question stays open for the valid twin."""

import json
import time
import tracemalloc

import pytest

from specs.encoding import base64url
from specs.keys.jwe import new_decryption_key
from specs.refusal import Refusal
from tests.defects import Defect, defects
from tests.verifier import defects_jwe
from tests.verifier.defects_jwe import EncryptedAnswer
from tests.verifier.desk import MDOC, Asking, Desk, reason_of
from verifier import DcApiProtocol, ReasonCode, ResponseMode, open_response
from verifier.response import open_dc_api_response

CASES: list[Defect[EncryptedAnswer]] = defects("jwe")
LINES = {f"jwe-{number:03}" for number in range(1, 26)}


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def answer_to(asking: Asking, desk: Desk) -> EncryptedAnswer:
    """The answer as it should be."""
    return EncryptedAnswer(asking, {"vp_token": {**desk.mdoc_token(asking)}, "state": asking.state})  # type: ignore[dict-item]  # list is invariant


def test_each_line_of_the_catalogue_is_here() -> None:
    assert defects_jwe.__doc__
    assert {case.id[:7] for case in CASES} == LINES


@pytest.mark.parametrize("case", CASES, ids=str)
def test_answer_with_one_defect_is_refused_and_changes_nothing(case: Defect[EncryptedAnswer], desk: Desk) -> None:
    asking = desk.ask(MDOC)
    bad = case.apply(answer_to(asking, desk)).fields()
    begin = time.process_time()
    receipt = desk.receive(asking, bad)
    assert time.process_time() - begin < 1
    assert reason_of(receipt) == case.refused_as
    assert set(receipt.body) == {"error", "error_description"}
    assert not desk.verifier.is_answered(asking.question.id)
    assert desk.receive(asking, answer_to(asking, desk).fields()).status == 200


def test_a_bomb_is_not_inflated(desk: Desk) -> None:
    asking = desk.ask(MDOC)
    case = next(case for case in CASES if case.id == "jwe-001")
    form = case.apply(answer_to(asking, desk)).fields()
    tracemalloc.start()
    try:
        receipt = desk.receive(asking, form)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert receipt.status == 400
    assert peak < 200 * 1024 * 1024


@pytest.mark.parametrize("enc", ["A128GCM", "A256GCM"])
def test_what_may_stand_in_an_encrypted_answer_is_accepted(enc: str, desk: Desk) -> None:
    asking = desk.ask(MDOC)
    answer = answer_to(asking, desk).heading(
        enc=enc,
        apu=base64url.encode(b"a nonce of the wallet"),
        apv=base64url.encode(asking.nonce.encode()),
        typ="oauth-authz-resp+jwt",
        cty="json",
        unknown={"member": True},
    )
    answer.payload["unknown"] = {"member": [None]}
    answer.payload["presentation_submission"] = {"id": "of former drafts"}
    assert desk.receive(asking, answer.fields()).status == 200


def test_either_of_two_offered_keys_opens_the_answer(desk: Desk) -> None:
    asking = desk.ask(MDOC)
    keys = {name: new_decryption_key(name) for name in ("first", "second")}
    for name, key in keys.items():
        metadata = {"jwks": {"keys": [key.public_jwk()]}}
        offered = Asking(
            asking.question,
            asking.request_handle,
            {**asking.params, "client_metadata": metadata},  # type: ignore[dict-item]  # dict is invariant
            asking.client_id,
        )
        form = answer_to(offered, desk).fields()
        opened = open_response(form, keys=keys, expected_mode=ResponseMode.DIRECT_POST_JWT)
        assert (opened.kid, opened.key_thumbprint, opened.state) == (name, key.thumbprint, asking.state)


def test_the_pure_step_refuses_for_the_same_reason(desk: Desk) -> None:
    asking = desk.ask(MDOC)
    key = new_decryption_key("own")
    params = {**asking.params, "client_metadata": {"jwks": {"keys": [key.public_jwk()]}}}
    offered = Asking(asking.question, asking.request_handle, params, asking.client_id)  # type: ignore[arg-type]  # dict is invariant
    for case in CASES:
        if case.refused_as is ReasonCode.STATE_MISMATCH:
            continue  # whose answer it is, only the transaction knows
        form = case.apply(answer_to(offered, desk)).fields()
        with pytest.raises(Refusal) as refusal:
            open_response(form, keys={"own": key}, expected_mode=ResponseMode.DIRECT_POST_JWT)
        assert refusal.value.reason is case.refused_as, case.id


def test_the_browser_hands_over_members_instead_of_a_form(desk: Desk) -> None:
    asking = desk.ask(MDOC)
    token = desk.mdoc_token(asking)
    opened = open_response({"vp_token": {**token}}, keys={}, expected_mode=ResponseMode.DC_API)
    posted = open_response({"vp_token": json.dumps(token)}, keys={}, expected_mode=ResponseMode.DIRECT_POST)
    assert opened.vp_token == posted.vp_token == token
    assert posted.payload == {"vp_token": token}, "what was not sent is not there"
    beside = open_response({"vp_token": json.dumps(token), "x": 7}, keys={}, expected_mode=ResponseMode.DIRECT_POST)
    assert beside.vp_token == token


@pytest.mark.parametrize("member", ["state", "error"])
@pytest.mark.parametrize("value", [7, {}, ["text"], True])
def test_a_member_that_is_no_text_is_refused_also_beside_a_token_that_is_one(member: str, value: object) -> None:
    """It was once passed over where `vp_token` was a text."""
    tokens: tuple[object, ...] = ("{}", {})
    for token in tokens:
        assert open_response({"vp_token": token}, keys={}, expected_mode=ResponseMode.DC_API).vp_token == {}
        with pytest.raises(Refusal) as refusal:
            open_response({"vp_token": token, member: value}, keys={}, expected_mode=ResponseMode.DC_API)
        assert refusal.value.reason is ReasonCode.RESPONSE_MALFORMED


def test_an_answer_is_read_by_whichever_protocol_was_offered(desk: Desk) -> None:
    token = {**desk.mdoc_token(desk.ask(MDOC))}
    for protocol in (DcApiProtocol.SIGNED, DcApiProtocol.UNSIGNED, DcApiProtocol.MULTI_SIGNED):
        response = {"protocol": protocol.value, "data": {"vp_token": token}}
        for offered in ([DcApiProtocol.SIGNED, DcApiProtocol.UNSIGNED], [DcApiProtocol.UNSIGNED, DcApiProtocol.SIGNED]):
            if protocol in offered:
                opened = open_dc_api_response(
                    response, keys={}, expected_protocols=offered, expected_mode=ResponseMode.DC_API
                )
                assert opened.vp_token == token
                continue
            with pytest.raises(Refusal) as refusal:
                open_dc_api_response(response, keys={}, expected_protocols=offered, expected_mode=ResponseMode.DC_API)
            assert refusal.value.reason is ReasonCode.RESPONSE_MALFORMED
