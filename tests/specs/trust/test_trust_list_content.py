"""What a list of trusted entities says: how it is written, what is ignored, which member is wrong (ETSI TS 119 602)."""

import base64
from copy import deepcopy
from typing import Any

import pytest

from specs.encoding import strict_json
from specs.keys.jose import MAX_CERTIFICATE_BYTES, parse_jws
from specs.refusal import ReasonCode
from specs.trust.trust_list import (
    PUB_EAA_NOTIFIED,
    PUB_EAA_PROVIDERS,
    TYP,
    ListedEntity,
    ListedService,
    TrustList,
    TrustListError,
    build_trust_list,
    read_trust_list,
)
from tests.specs.trust.drawing import DAY, NOW
from tests.specs.trust.lists import publisher

MALFORMED = ReasonCode.TRUST_LIST_MALFORMED
LEAST = TrustList(
    type=PUB_EAA_PROVIDERS,
    operator="Ministry",
    territory="DE",
    sequence=1,
    issued_at=NOW,
    next_update=NOW + DAY,
    entities=(),
)
LEAST_WRITTEN: dict[str, Any] = {
    "LoTE": {
        "ListAndSchemeInformation": {
            "LoTEVersionIdentifier": 1,
            "LoTESequenceNumber": 1,
            "LoTEType": PUB_EAA_PROVIDERS,
            "SchemeOperatorName": [{"lang": "en", "value": "Ministry"}],
            "SchemeTerritory": "DE",
            "ListIssueDateTime": "2026-09-21T14:13:20Z",
            "NextUpdate": "2026-09-22T14:13:20Z",
        }
    }
}
MOST = TrustList(
    type=PUB_EAA_PROVIDERS,
    operator="Ministry",
    territory="DE",
    sequence=1,
    issued_at=NOW,
    next_update=NOW + DAY,
    entities=(
        ListedEntity("Stadt", (ListedService("issuance", "Passes", (b"der",), PUB_EAA_NOTIFIED, NOW),), "VATDE-1"),
        ListedEntity("Land", (ListedService("issuance", "", ()),)),
    ),
    distribution_points=("https://a.example",),
)
MOST_WRITTEN: dict[str, Any] = {
    "LoTE": {
        "ListAndSchemeInformation": {
            **LEAST_WRITTEN["LoTE"]["ListAndSchemeInformation"],
            "DistributionPoints": ["https://a.example"],
        },
        "TrustedEntitiesList": [
            {
                "TrustedEntityInformation": {
                    "TEName": [{"lang": "en", "value": "Stadt"}],
                    "TETradeName": [{"lang": "en", "value": "VATDE-1"}],
                },
                "TrustedEntityServices": [
                    {
                        "ServiceInformation": {
                            "ServiceTypeIdentifier": "issuance",
                            "ServiceName": [{"lang": "en", "value": "Passes"}],
                            "ServiceDigitalIdentity": {"X509Certificates": [{"val": "ZGVy"}]},
                            "ServiceStatus": PUB_EAA_NOTIFIED,
                            "StatusStartingTime": "2026-09-21T14:13:20Z",
                        }
                    }
                ],
            },
            {
                "TrustedEntityInformation": {"TEName": [{"lang": "en", "value": "Land"}]},
                "TrustedEntityServices": [
                    {
                        "ServiceInformation": {
                            "ServiceTypeIdentifier": "issuance",
                            "ServiceDigitalIdentity": {"X509Certificates": []},
                        }
                    }
                ],
            },
        ],
    }
}
ROOT = ("LoTE",)
SCHEME = (*ROOT, "ListAndSchemeInformation")
ENTITY = (*ROOT, "TrustedEntitiesList", 0)
INFORMATION = (*ENTITY, "TrustedEntityInformation")
SERVICE = (*ENTITY, "TrustedEntityServices", 0, "ServiceInformation")
IDENTITY = (*SERVICE, "ServiceDigitalIdentity")
Place = tuple[str | int, ...]


def saying(place: Place, value: object) -> dict[str, Any]:
    """The list with another value at this place."""
    claims: Any = deepcopy(MOST_WRITTEN)
    inner = claims
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return claims  # type: ignore[no-any-return]


@pytest.mark.parametrize(("listed", "written"), [(LEAST, LEAST_WRITTEN), (MOST, MOST_WRITTEN)], ids=["least", "most"])
def test_a_list_is_written_as_the_standard_has_it_and_read_again(listed: TrustList, written: dict[str, Any]) -> None:
    identity = publisher()
    jws = parse_jws(build_trust_list(listed, identity=identity), expected_typ=TYP)
    assert strict_json.parse_object(jws.payload) == written
    assert jws.header.keys() == {"alg", "typ", "x5c", "x5t#S256", "iat"}
    assert jws.header["iat"] == listed.issued_at, "the claimed time of signing (JAdES)"
    assert read_trust_list(written) == listed


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ((*SCHEME, "DistributionPoints"), None, {"distribution_points": ()}),
        (
            (*SCHEME, "DistributionPoints"),
            [5, "https://a.example", {}],
            {"distribution_points": ("https://a.example",)},
        ),
        (
            (*SCHEME, "SchemeOperatorName"),
            [{"lang": "de", "value": "A"}, {"lang": "fr", "value": "B"}],
            {"operator": "A"},
        ),
        (
            (*SCHEME, "SchemeOperatorName"),
            [{"lang": "de", "value": "A"}, {"lang": "EN-GB", "value": "B"}],
            {"operator": "B"},
        ),
        ((*ROOT, "TrustedEntitiesList"), None, {"entities": ()}),
        (("exp",), NOW + 5, {"next_update": NOW + 5}),
        (("exp",), NOW + 2 * DAY, {"next_update": NOW + DAY}),
        (("exp",), None, {"next_update": NOW + DAY}),
    ],
)
def test_a_list_is_read_as_publishers_write_it(place: Place, value: object, expected: dict[str, Any]) -> None:
    found = read_trust_list(saying(place, value))
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("names", "identifier"),
    [
        ([{"lang": "en", "value": "Rathaus"}, {"lang": "en", "value": "VATDE-2"}], "VATDE-2"),
        (["VATDE-3", {"value": 5}, {}, {"value": "VATDE-4"}], "VATDE-4"),
        ([{"value": "VATDE"}, {"value": "vatde-1"}, {"value": "VATDE-"}], None),
        ([], None),
        (5, None),
        ("VATDE-5", None),
        (None, None),
    ],
)
def test_the_registration_of_an_entity_is_the_trade_name_that_has_its_form(
    names: object, identifier: str | None
) -> None:
    assert read_trust_list(saying((*INFORMATION, "TETradeName"), names)).entities[0].identifier == identifier


CRITICAL = [
    ({"critical": True}, True),
    ({"Critical": True}, True),
    ({"critical": "false"}, True),
    ({"critical": False, "Critical": True}, True),
    ({"critical": False}, False),
    ({"critical": None}, False),
    ({}, False),
    ("critical", False),
]


@pytest.mark.parametrize(("extension", "critical"), CRITICAL)
def test_a_critical_extension_takes_its_service_or_the_whole_list(extension: object, *, critical: bool) -> None:
    extensions = [{"x": 1}, extension]
    found = read_trust_list(saying((*SERVICE, "ServiceInformationExtensions"), extensions))
    assert len(found.entities[0].services) == (0 if critical else 1)
    of_the_list = saying((*SCHEME, "SchemeExtensions"), extensions)
    if critical:
        with pytest.raises(TrustListError, match="critical"):
            read_trust_list(of_the_list)
    else:
        assert read_trust_list(of_the_list) == MOST


def test_a_certificate_is_as_long_as_the_limit_and_no_longer() -> None:
    def listing(length: int) -> dict[str, Any]:
        return saying((*IDENTITY, "X509Certificates"), [{"val": base64.b64encode(bytes(length)).decode()}])

    longest = read_trust_list(listing(MAX_CERTIFICATE_BYTES)).entities[0].services[0].certificates
    assert longest == (bytes(MAX_CERTIFICATE_BYTES),)
    with pytest.raises(TrustListError) as refusal:
        read_trust_list(listing(MAX_CERTIFICATE_BYTES + 1))
    assert refusal.value.reason is ReasonCode.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (ROOT, None, "LoTE"),
        (SCHEME, [], "ListAndSchemeInformation"),
        ((*SCHEME, "SchemeExtensions"), {}, "extensions"),
        ((*SCHEME, "LoTESequenceNumber"), 0, "LoTESequenceNumber"),
        ((*SCHEME, "LoTESequenceNumber"), 1.5, "LoTESequenceNumber"),
        ((*SCHEME, "DistributionPoints"), "https://a.example", "DistributionPoints"),
        ((*SCHEME, "LoTEType"), "", "LoTEType"),
        ((*SCHEME, "SchemeOperatorName"), [], "SchemeOperatorName"),
        ((*SCHEME, "SchemeOperatorName"), ["Ministry"], "SchemeOperatorName"),
        ((*SCHEME, "SchemeOperatorName"), [{"value": "Ministry"}], "SchemeOperatorName"),
        ((*SCHEME, "SchemeOperatorName"), [{"lang": "en"}], "SchemeOperatorName"),
        ((*SCHEME, "SchemeTerritory"), 5, "SchemeTerritory"),
        ((*SCHEME, "ListIssueDateTime"), NOW, "ListIssueDateTime"),
        ((*SCHEME, "NextUpdate"), "2026-09-31T14:13:20Z", "NextUpdate"),
        ((*SCHEME, "NextUpdate"), "2026-09-22", "NextUpdate"),
        (("exp",), "2026", "exp"),
        ((*ROOT, "TrustedEntitiesList"), {}, "TrustedEntitiesList"),
        (ENTITY, [], "trusted entity"),
        (INFORMATION, None, "TrustedEntityInformation"),
        ((*INFORMATION, "TEName"), None, "TEName"),
        ((*ENTITY, "TrustedEntityServices"), {}, "TrustedEntityServices"),
        ((*ENTITY, "TrustedEntityServices", 0), "service", "service"),
        (SERVICE, [], "ServiceInformation"),
        ((*SERVICE, "ServiceInformationExtensions"), {}, "extensions"),
        (IDENTITY, None, "ServiceDigitalIdentity"),
        ((*IDENTITY, "X509Certificates"), {}, "X509Certificates"),
        ((*IDENTITY, "X509Certificates"), ["MIIB"], "certificate"),
        ((*IDENTITY, "X509Certificates"), [{}], "val"),
        ((*IDENTITY, "X509Certificates"), [{"val": "MI IB"}], "a certificate that is not base64"),
        ((*IDENTITY, "X509Certificates"), [{"val": "MIIBä"}], "a certificate that is not base64"),
        ((*SERVICE, "ServiceTypeIdentifier"), None, "ServiceTypeIdentifier"),
        ((*SERVICE, "ServiceName"), None, "ServiceName"),
        ((*SERVICE, "ServiceStatus"), 5, "ServiceStatus"),
        ((*SERVICE, "StatusStartingTime"), "yesterday", "StatusStartingTime"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_and_the_member_named(place: Place, value: object, named: str) -> None:
    with pytest.raises(TrustListError) as refusal:
        read_trust_list(saying(place, value))
    assert (refusal.value.reason, refusal.value.detail) == (MALFORMED, named)
