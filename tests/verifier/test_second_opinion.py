"""Whatever answer is accepted, a plain reading of the standards accepts too, with the same claims.

Answers are made whole, then bent: by byte, in their structure, in what they mean, or in what they are judged by.
"""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from specs.protocols.openid4vp.transaction_data import build_transaction_data
from tests.verifier.bent_answers import BENT
from tests.verifier.naive.proofs import No
from tests.verifier.whole_answers import ORIGIN, WORLDS, Case, lists_of, presentations, queries

SHORT, LONG = 150, 5000  # examples
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # an answer is too large to be made smaller in a useful time
SHARE = 0.2  # of the answers at least are accepted, or the comparison says little


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """An answer that should hold, most of the time, then bent or not."""
    number = draw(st.integers(0, len(WORLDS) - 1))
    case = Case(WORLDS[number], draw(queries(number)), lists=dict(lists_of(number, draw(st.sampled_from([2, 8])))))
    if draw(st.integers(0, 3)) == 0:
        case.origin = ORIGIN
    sd_ids = [
        entry["id"]
        for entry in case.query["credentials"]
        if entry["format"] == "dc+sd-jwt" and entry.get("require_cryptographic_holder_binding", True)
    ]
    if sd_ids and draw(st.integers(0, 4)) == 0:
        case.transaction_data = (build_transaction_data("payment", credential_ids=sd_ids, members={}),)
    for entry in case.query["credentials"]:
        if draw(st.integers(0, 14)) == 0:
            continue
        count = draw(st.integers(1, 2)) if entry.get("multiple") else 1
        case.token[entry["id"]] = [draw(presentations(case, number, entry)) for _ in range(count)]
    if draw(st.booleans()):
        BENT[draw(st.sampled_from(sorted(BENT)))](draw, case)
    return case


def compare(examples: int) -> Counter[str]:
    """Judge that many answers both ways; how often each outcome came."""
    seen: Counter[str] = Counter()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
    @given(cases())
    def agree(case: Case) -> None:
        verdict = case.verdict()
        assert case.verdict_after_references() == verdict
        try:
            plain: list[tuple[str, dict[str, Any]]] | None = case.plainly()
        except No:
            plain = None
        if verdict.accepted:
            seen["accepted"] += 1
            seen.update({f"accepted {each.format}" for each in verdict.credentials})
            seen.update(["left out"] if verdict.discarded or verdict.over_disclosed else [])
            found = [(each.query_id, dict(each.claims)) for each in verdict.credentials]
            assert plain is not None
            # the plain reading takes a misshapen presentation here and there, which says nothing of the others
            assert case.without(verdict.discarded).plainly() == found
        elif plain is not None:
            seen[f"stricter: {verdict.reason}"] += 1
        seen["all"] += 1

    agree()
    return seen


def holds_for(examples: int) -> None:
    """Enough of all kinds was accepted that the comparison means something."""
    seen = compare(examples)
    assert seen["accepted"] > SHARE * seen["all"], seen
    assert min(seen["accepted dc+sd-jwt"], seen["accepted mso_mdoc"], seen["left out"]) > 0.02 * seen["all"], seen


def test_what_is_accepted_is_accepted_by_a_plain_reading_too() -> None:
    holds_for(SHORT)


@pytest.mark.long
def test_what_is_accepted_is_accepted_by_a_plain_reading_of_many_answers_too() -> None:
    holds_for(LONG)
