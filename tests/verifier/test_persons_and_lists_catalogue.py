"""Attacks on an answer of two credentials: another person's beside one's own, and a status list that can't be believed.

How a list is fetched, and that a worse one never takes the place of a better one, is shown in test_fetch.py and
test_cache.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from specs.credentials.status_list import StatusMediaType, build_status_list, build_status_list_jwt
from specs.protocols.dcql import parse_dcql
from tests.defects import Defect, defect, defects
from tests.verifier.sd_presentation import valid_presentation
from tests.verifier.world import DAY, NOW, STATUS_URI, VCT, World
from verifier import Fetched, Policy, ReasonCode, SameClaim, Verdict

PLACE = (STATUS_URI, StatusMediaType.JWT)
FAMILY = ("family_name",)
BOTH = parse_dcql(
    {
        "credentials": [
            {"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [{"path": ["family_name"]}]}
            for name in ("pid", "pass")
        ]
    }
)


@dataclass(frozen=True)
class Shown:
    """Two credentials, the name in each, and the status list of both."""

    world: World
    names: tuple[str, str] = ("LINDENAU", "Lindenau")
    lists: Mapping[tuple[str, str], Fetched | None] | None = None

    def judged(self) -> Verdict:
        """The verdict where both must speak of one person."""
        token = {
            name: [self.world.present_sd_jwt(self.world.sd_jwt(family_name=family), paths=[FAMILY])]
            for name, family in zip(("pid", "pass"), self.names, strict=True)
        }
        rule = SameClaim({"pid": FAMILY, "pass": FAMILY})
        return self.world.verify(token, query=BOTH, status_lists=self.lists, policy=Policy(same_person=(rule,)))

    def listing(self, uri: str = STATUS_URI, *, begin: int = NOW, end: int = NOW + DAY, at: int = NOW) -> "Shown":
        """The list says this of itself."""
        statuses = build_status_list(bits=2, size=1000, statuses={})
        identity = self.world.status_identity
        token = build_status_list_jwt(statuses, identity=identity, uri=uri, issued_at=begin, expires_at=end, ttl=300)
        return replace(self, lists={PLACE: Fetched(token.encode(), 200, StatusMediaType.JWT, at)})


@defect("vf-010", refused_as=ReasonCode.DIFFERENT_PERSONS)
def of_another_person(shown: Shown) -> Shown:
    """Contract of the procedure: credentials that must belong to one person name two."""
    return replace(shown, names=("LINDENAU", "KLEIN"))


@defect("vf-013", refused_as=ReasonCode.STATUS_UNAVAILABLE)
def list_out_of_reach(shown: Shown) -> Shown:
    """Token Status List §8.2: the list could not be had."""
    return replace(shown, lists={PLACE: None})


@defect("vf-013b", refused_as=ReasonCode.STATUS_LIST_MISMATCH)
def list_of_others(shown: Shown) -> Shown:
    """Token Status List §8.3: the token is another list's."""
    return shown.listing("https://issuer.example/t/pid/status/2")


@defect("vf-013c", refused_as=ReasonCode.STATUS_LIST_EXPIRED)
def list_that_is_over(shown: Shown) -> Shown:
    """Token Status List §8.3: the list is past its end."""
    return shown.listing(begin=NOW - 2 * DAY, end=NOW - DAY)


@defect("vf-013d", refused_as=ReasonCode.STATUS_LIST_EXPIRED)
def copy_that_is_too_old(shown: Shown) -> Shown:
    """Token Status List §8.3: the copy outlived its ttl."""
    return shown.listing(at=NOW - 1000)


@defect("vf-013e", refused_as=ReasonCode.STATUS_UNAVAILABLE)
def list_behind_a_redirect(shown: Shown) -> Shown:
    """Token Status List §8.2: what was answered is no list but the way to one."""
    whole = shown.listing().lists
    assert whole is not None
    fetched = whole[PLACE]
    assert fetched is not None
    return replace(shown, lists={PLACE: replace(fetched, http_status=302)})


CASES: list[Defect[Shown]] = [case for case in defects("vf") if case.apply.__module__ == __name__]


@pytest.fixture(scope="module")
def valid() -> Shown:
    return Shown(World())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_answer_with_one_defect_is_refused(case: Defect[Shown], valid: Shown) -> None:
    assert valid.judged().accepted
    assert valid.listing().judged().accepted
    verdict = case.apply(valid).judged()
    assert verdict.reason is case.refused_as
    assert not verdict.credentials


def test_keys_that_only_an_issuers_metadata_would_name_are_not_looked_up() -> None:
    """SD-JWT VC §5: the issuer's metadata are no mechanism of ours, so that `iss` and `kid` lead nowhere."""
    shown = valid_presentation(World())
    assert shown.issuer_saying(iss="https://issuer.example").judged().accepted
    by_metadata = shown.issuer_headless("x5c").issuer_heading(kid="1").issuer_saying(iss="https://issuer.example")
    assert by_metadata.references() == ()
    assert by_metadata.judged().reason is ReasonCode.ISSUER_KEY_MISSING
