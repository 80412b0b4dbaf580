"""How the verifier service writes what it answers: problems (RFC 9457), questions and verdicts."""

import json
from collections.abc import Mapping

import pytest

from specs.trust.x509 import AnchorKind
from verifier import ReasonCode
from verifier.outcome import Outcome
from verifier.server.models import list_answer, verdict_answer
from verifier.server.problems import Problem, problem_response
from verifier.server.routes import _pointer
from verifier.texts import LANGUAGES, Audience, sentence
from verifier.trust_lists import ListEvent, ListEventKind, ListStanding, ListState
from verifier.verdict import AcceptedCredential, Check, Discarded, Verdict

URL = "https://lists.example/pid.jwt"


@pytest.mark.parametrize(
    ("problem", "members"),
    [
        (Problem(404, "not_found"), {"title": "There is no such thing", "status": 404, "code": "not_found"}),
        (Problem(418, "refused"), {"title": "The request was refused", "status": 418, "code": "refused"}),
        (
            Problem(400, "malformed", "eight at least"),
            {"title": "The request cannot be read", "status": 400, "code": "malformed", "detail": "eight at least"},
        ),
        (
            Problem(422, "unprocessable", errors=[("/flow", "enum", "another")]),
            {
                "title": "The request does not fit",
                "status": 422,
                "code": "unprocessable",
                "errors": [{"pointer": "/flow", "code": "enum", "detail": "another"}],
            },
        ),
    ],
    ids=lambda value: value.code if isinstance(value, Problem) else "",
)
def test_a_problem_says_what_it_knows_and_no_more(problem: Problem, members: Mapping[str, object]) -> None:
    answer = problem_response(problem)
    assert json.loads(bytes(answer.body)) == {"type": "about:blank", **members}
    assert answer.status_code == members["status"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert "www-authenticate" not in answer.headers


def test_who_is_not_known_is_told_how_to_say_it() -> None:
    problem = Problem(401, "not_authenticated")
    assert problem_response(problem).headers["www-authenticate"] == "Bearer"
    assert str(problem) == "not_authenticated"


@pytest.mark.parametrize(
    ("location", "pointer"),
    [((), ""), (("a",), "/a"), (("a", 0, "b"), "/a/0/b"), (("a/b~c", ""), "/a~1b~0c/")],
)
def test_a_place_is_a_json_pointer(location: tuple[int | str, ...], pointer: str) -> None:
    """RFC 6901 §3, §5."""
    assert _pointer(location) == pointer


ACCEPTED = AcceptedCredential(
    query_id="pid",
    format="dc+sd-jwt",
    type="urn:pid",
    issuer="https://issuer.example",
    trust_domain="pid",
    anchor="CN=Root",
    anchor_kind=AnchorKind.CA,
    checks=(Check.SIGNATURE,),
    claims={"family_name": "LINDENAU"},
    issuer_id="https://issuer.example",
)


def test_an_accepted_verdict_is_told_with_whose_word_it_is() -> None:
    verdict = Verdict(
        accepted=True,
        credentials=(ACCEPTED,),
        discarded=(Discarded("pass", 1, ReasonCode.STATUS_REVOKED),),
        over_disclosed=("pid/birthdate",),
        unneeded=("pass",),
    )
    assert verdict_answer(Outcome(verdict)).model_dump() == {
        "accepted": True,
        "reason": None,
        "where": None,
        "wallet_error": None,
        "sentences": None,
        "credentials": [
            {
                "query_id": "pid",
                "format": "dc+sd-jwt",
                "type": "urn:pid",
                "issuer": "https://issuer.example",
                "trust_domain": "pid",
                "anchor": "CN=Root",
                "anchor_kind": "ca",
                "checks": ["signature"],
                "claims": {"family_name": "LINDENAU"},
            }
        ],
        "discarded": [{"query_id": "pass", "position": 1, "reason": "status_revoked"}],
        "over_disclosed": ["pid/birthdate"],
        "unneeded": ["pass"],
    }


def test_a_refusal_is_told_in_words_for_each_reader() -> None:
    verdict = Verdict(accepted=False, reason=ReasonCode.STATUS_REVOKED, where="pid")
    answer = verdict_answer(Outcome(verdict, wallet_error="access_denied"))
    assert (answer.accepted, answer.reason, answer.where) == (False, "status_revoked", "pid")
    assert (answer.wallet_error, answer.credentials) == ("access_denied", [])
    assert answer.sentences == {
        language: {
            audience.value: sentence(ReasonCode.STATUS_REVOKED, language=language, audience=audience)
            for audience in Audience
        }
        for language in LANGUAGES
    }


@pytest.mark.parametrize(
    ("standing", "members"),
    [
        (
            ListStanding(URL, ListState.IN_FORCE, 5, 1_790_000_000, None),
            {"state": "in_force", "sequence": 5, "next_update": "2026-09-21T14:13:20Z", "trouble": None},
        ),
        (
            ListStanding(URL, ListState.MISSING, None, None, ListEvent(ListEventKind.UNREACHABLE, URL)),
            {"state": "missing", "sequence": None, "next_update": None, "trouble": "unreachable"},
        ),
        (
            ListStanding(
                URL,
                ListState.EXPIRED,
                5,
                0,
                ListEvent(ListEventKind.REFUSED, URL, ReasonCode.TRUST_LIST_OLDER),
            ),
            {"state": "expired", "sequence": 5, "next_update": "1970-01-01T00:00:00Z", "trouble": "trust_list_older"},
        ),
    ],
    ids=lambda value: value.state.value if isinstance(value, ListStanding) else "",
)
def test_how_a_list_stands_is_told(standing: ListStanding, members: Mapping[str, object]) -> None:
    assert list_answer(standing) == {"url": URL, **members}
