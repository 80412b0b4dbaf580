"""Bounds to the point: what is still accepted and what no more, of documents that were fetched and of what is shown."""

import secrets
from dataclasses import replace

import pytest

from specs.credentials.status_list import StatusMediaType
from tests.verifier.sd_presentation import Http, SdPresentation, disclosure, valid_presentation
from tests.verifier.world import NOW, World
from verifier import Check, ReasonCode, verify_presentation


@pytest.fixture(scope="module")
def shown() -> SdPresentation:
    return valid_presentation(World())


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_success_brings_a_status_list(status: int, shown: SdPresentation) -> None:
    assert replace(shown, http=Http(status=status)).judged().accepted


@pytest.mark.parametrize("status", [0, 199, 300, 304, 404])
def test_no_other_answer_brings_a_status_list(status: int, shown: SdPresentation) -> None:
    assert replace(shown, http=Http(status=status)).judged().reason is ReasonCode.STATUS_UNAVAILABLE


@pytest.mark.parametrize("content_type", ["application/statuslist+jwt; charset=utf-8", " Application/StatusList+JWT "])
def test_a_media_type_may_have_parameters_and_any_case(content_type: str, shown: SdPresentation) -> None:
    assert replace(shown, http=Http(content_type=content_type)).judged().accepted


@pytest.mark.parametrize("age", [0, 360, 361])
def test_a_copy_counts_until_its_ttl_and_the_tolerance_are_over(age: int, shown: SdPresentation) -> None:
    # a ttl of 300 s and a tolerance of 60 s
    fetched = {
        place: replace(each, fetched_at=NOW - age) for place, each in shown.fetched().items() if each is not None
    }
    verdict = verify_presentation(
        shown.vp_token(),
        query=shown.query,
        nonce=shown.nonce,
        client_id=shown.client_id,
        binding=shown.binding,
        trust={("dc+sd-jwt", shown.vcts[0]): (shown.domain,)},
        status_lists=fetched,
        now=NOW,
    )
    assert verdict.accepted is (age <= 360)
    assert verdict.accepted or verdict.reason is ReasonCode.STATUS_LIST_EXPIRED


@pytest.mark.parametrize(
    "uri", ["https://93.184.215.14/list", "https://[2606:2800:21f::1]/list", "http://127.0.0.1/list"]
)
def test_a_list_may_have_a_public_address_or_this_machines_own(uri: str, shown: SdPresentation) -> None:
    there = replace(shown.pointing(uri=uri).status_saying(sub=uri), status_uri=uri)
    assert there.judged().accepted


def test_a_check_is_named_only_if_it_was_made(shown: SdPresentation) -> None:
    assert Check.STATUS in shown.judged().credentials[0].checks
    verdict = shown.issuer_lacking("status").judged()
    assert verdict.accepted
    assert Check.STATUS not in verdict.credentials[0].checks
    unasked = shown.asking({"path": ["family_name"]}, require_cryptographic_holder_binding=False)
    assert Check.KEY_BINDING in unasked.judged().credentials[0].checks
    assert Check.KEY_BINDING not in unasked.unbound().judged().credentials[0].checks


def test_an_array_element_that_was_not_asked_is_dropped(shown: SdPresentation) -> None:
    first, second = (disclosure([f"salt-of-{name:-<15}", value]) for name, value in (("first", "DE"), ("second", "FR")))
    both = shown.showing(first, second).asking({"path": ["nationalities", 0]})
    verdict = both.judged()
    assert verdict.accepted
    assert verdict.claims("pid")["nationalities"] == ["DE"]
    assert "pid:nationalities/1" in verdict.over_disclosed
    assert shown.showing(first, second).asking({"path": ["nationalities", None]}).judged().claims("pid")[
        "nationalities"
    ] == ["DE", "FR"]


def test_a_list_of_another_form_is_none(shown: SdPresentation) -> None:
    assert replace(shown, http=Http(content_type=StatusMediaType.CWT)).judged().reason is ReasonCode.STATUS_UNAVAILABLE
    assert replace(shown, http=Http(body=secrets.token_bytes(40))).judged().reason is ReasonCode.STATUS_LIST_MALFORMED


def test_an_empty_answer_is_no_list(shown: SdPresentation) -> None:
    assert replace(shown, http=Http(body=b"")).judged().reason is ReasonCode.STATUS_LIST_MALFORMED
