"""What the city service asks, and what it makes of the answers."""

from collections.abc import Mapping
from dataclasses import dataclass

from specs.encoding.strict_json import JsonValue
from verifier import DcqlQuery, Policy, Procedure, Verdict, parse_dcql

PARKING = "resident_parking"
COUNTER = "leipzig_pass_counter"

PID_VCT = "urn:eudi:pid:de:1"
PID_DOCTYPE = "eu.europa.ec.eudi.pid.1"
PASS_VCT = "urn:example:leipzig:leipzig_pass:1"
PASS_DOCTYPE = "de.leipzig.leipzig_pass.1"


@dataclass(frozen=True, slots=True)
class Applicant:
    """Who applies, as the wallet says; empty where it does not say."""

    family_name: str
    given_name: str
    birthdate: str
    street_address: str
    postal_code: str
    locality: str


@dataclass(frozen=True, slots=True)
class ShownPass:
    """What the counter learns of a Leipzig-Pass: no name, no benefit."""

    entitled: bool
    valid_until_month: str


def procedures(*, parking_return: str, purposes: Mapping[str, Mapping[str, str]]) -> dict[str, Procedure]:
    """The two procedures. parking_return: where a wallet sends applicants back to. purposes: by procedure, language."""
    return {
        PARKING: Procedure(
            id=PARKING,
            query=_either_form(
                sd_jwt=(
                    PID_VCT,
                    [
                        ["family_name"],
                        ["given_name"],
                        ["birthdate"],
                        ["address", "street_address"],
                        ["address", "postal_code"],
                        ["address", "locality"],
                    ],
                ),
                mdoc=(
                    PID_DOCTYPE,
                    [
                        [PID_DOCTYPE, element]
                        for element in (
                            "family_name",
                            "given_name",
                            "birth_date",
                            "resident_street",
                            "resident_postal_code",
                            "resident_city",
                        )
                    ],
                ),
            ),
            policy=Policy(),
            purpose=purposes[PARKING],
            return_url=parking_return,
        ),
        COUNTER: Procedure(
            id=COUNTER,
            query=_either_form(
                sd_jwt=(PASS_VCT, [["entitled"], ["valid_until_month"]]),
                mdoc=(PASS_DOCTYPE, [[PASS_DOCTYPE, "entitled"], [PASS_DOCTYPE, "valid_until_month"]]),
            ),
            policy=Policy(),
            purpose=purposes[COUNTER],
        ),
    }


def _either_form(*, sd_jwt: tuple[str, list[list[str]]], mdoc: tuple[str, list[list[str]]]) -> DcqlQuery:
    """One credential in either format: two queries, of which one answer is enough."""
    vct, claims = sd_jwt
    doctype, elements = mdoc
    return parse_dcql(
        {
            "credentials": [
                {
                    "id": "sd_jwt",
                    "format": "dc+sd-jwt",
                    "meta": {"vct_values": [vct]},
                    "claims": [{"path": list(path)} for path in claims],
                },
                {
                    "id": "mdoc",
                    "format": "mso_mdoc",
                    "meta": {"doctype_value": doctype},
                    "claims": [{"path": list(path)} for path in elements],
                },
            ],
            "credential_sets": [{"options": [["sd_jwt"], ["mdoc"]]}],
        }
    )


def applicant_of(verdict: Verdict) -> Applicant:
    """The applicant of an accepted answer, whichever format it came in."""
    credential = verdict.credentials[0]
    if credential.format == "mso_mdoc":
        found = _members(credential.claims, PID_DOCTYPE)
        return Applicant(
            *(
                _text(found, name)
                for name in (
                    "family_name",
                    "given_name",
                    "birth_date",
                    "resident_street",
                    "resident_postal_code",
                    "resident_city",
                )
            )
        )
    address = _members(credential.claims, "address")
    return Applicant(
        *(_text(credential.claims, name) for name in ("family_name", "given_name", "birthdate")),
        *(_text(address, name) for name in ("street_address", "postal_code", "locality")),
    )


def pass_of(verdict: Verdict) -> ShownPass:
    """The pass of an accepted answer."""
    credential = verdict.credentials[0]
    claims = _members(credential.claims, PASS_DOCTYPE) if credential.format == "mso_mdoc" else credential.claims
    return ShownPass(claims.get("entitled") is True, _text(claims, "valid_until_month"))


def _members(claims: Mapping[str, JsonValue], name: str) -> Mapping[str, JsonValue]:
    value = claims.get(name)
    return value if isinstance(value, dict) else {}


def _text(claims: Mapping[str, JsonValue], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
