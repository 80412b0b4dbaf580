"""The catalogue: mistakes in a file are named by line, claims that don't fit by their place (is-015)."""

import base64
from datetime import date
from importlib import resources
from pathlib import Path

import pytest

from issuer.catalog.claims import ClaimsRefused, check_claims, jpeg_size
from issuer.catalog.loader import load_catalog, parse_credential_type
from issuer.catalog.placed_yaml import CatalogError
from issuer.catalog.schema import CredentialType
from specs.encoding.strict_json import JsonObject, JsonValue
from tests.defects import Defect, defect, defects
from tests.issuer.house import PASS, PID

TODAY = date(2026, 11, 24)
TEXT = (resources.files("issuer.catalog") / "types" / "leipzig_pass.yaml").read_text(encoding="utf-8")


def leipzig_pass() -> CredentialType:
    """The type that these claims are for."""
    return load_catalog().types["leipzig_pass"]


def jpeg(*, width: int = 300, height: int = 400, frames: int = 1) -> str:
    """A JPEG's skeleton as data URL."""
    frame = b"\xff\xc0\x00\x0b\x08" + height.to_bytes(2, "big") + width.to_bytes(2, "big") + b"\x01\x01\x11\x00"
    image = b"\xff\xd8" + frame * frames + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00" + b"\xff\xd9"
    return "data:image/jpeg;base64," + base64.b64encode(image).decode()


def test_the_types_that_come_with_the_program_are_as_named() -> None:
    catalog = load_catalog(allow_test_types=True)
    assert {each.id: each.identifier for each in catalog.configurations.values()} == {
        "leipzig_pass-sd-jwt": "urn:example:leipzig:leipzig_pass:1",
        "leipzig_pass-mdoc": "de.leipzig.leipzig_pass.1",
        "pid_mock-sd-jwt": "urn:eudi:pid:de:1",
        "pid_mock-mdoc": "eu.europa.ec.eudi.pid.1",
    }
    assert all(each.scope == each.id for each in catalog.configurations.values())


def test_a_test_type_is_not_issued_unless_the_settings_say_so() -> None:
    assert "pid_mock" not in load_catalog().types


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("    type: month", "    type: moonth", "claims[1].type"),
        ("copies: 10", "copies: 1000", "copies"),
        ("copies: 10", "copies: 10\ncolour: red", "colour: Extra inputs are not permitted"),
        ("- name: entitled", "- name: cnf", "cnf is a member of the format"),
        ("- name: given_name", "- name: family_name", "two claims are called family_name"),
        ("version: 1", "version: 1\nversion: 2", "the key version stands here twice"),
        ("validity: {days: 30}", "validity: {hours: 1}", "two hours or more"),
        ("validity: {days: 30}", "validity: &v {days: 30}\nother: *v", "aliases are not allowed"),
        ("    element: age_group", "    element: family_name", "two claims share the element family_name"),
        ("claims:", "claims: [", "expected"),
    ],
)
def test_a_mistake_in_a_type_is_named_with_its_line(old: str, new: str, finding: str) -> None:
    changed = TEXT.replace(old, new, 1)
    assert changed != TEXT
    line = changed[: changed.index(new)].count("\n") + 1
    with pytest.raises(CatalogError) as caught:
        parse_credential_type(changed, name="pass.yaml")
    message = str(caught.value)
    assert finding in message
    named = int(message.split(":")[1])
    # findings about a whole type or claim stand at its beginning
    assert named == line or named in (2, line + 1) or "claims" in message or "expected" in message


def test_a_folder_without_types_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no credential type"):
        load_catalog(tmp_path)
    with pytest.raises(CatalogError, match="no such folder"):
        load_catalog(tmp_path / "elsewhere")


def test_a_type_stands_in_one_file(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(TEXT, encoding="utf-8")
    with pytest.raises(CatalogError, match="another file already"):
        load_catalog(tmp_path)


@pytest.mark.parametrize(
    "more",
    [{}, {"age_group": "adult", "companion_allowed": False}, {"portrait": jpeg()}, {"pass_number": "L-4711 ß"}],
    ids=str,
)
def test_claims_that_fit_are_taken_as_they_are(more: JsonObject) -> None:
    checked = check_claims({**PASS, **more}, credential_type=leipzig_pass(), today=TODAY, pointer="")
    assert {name: checked[name] for name in {**PASS, **more}} == {**PASS, **more}


@pytest.mark.parametrize("birthdate", ["1964-00-00", "1964-05-00", "2026-11-24", "2026-00-00"])
def test_a_pid_takes_unknown_parts_of_a_birth_date(birthdate: str) -> None:
    kind = load_catalog(allow_test_types=True).types["pid_mock"]
    check_claims({**PID, "birthdate": birthdate}, credential_type=kind, today=TODAY, pointer="")


def changed(claims: JsonObject, **members: JsonValue) -> JsonObject:
    """The claims with members changed."""
    return {**claims, **members}


@defect("is-015", refused_as="/claims/leipzig_pass/shoe_size unknown_claim")
def unknown_claim(claims: JsonObject) -> JsonObject:
    """The type has no such claim (contract of the API: 422 with the claim's path)."""
    return changed(claims, shoe_size=43)


@defect("is-015b", refused_as="/claims/leipzig_pass/entitled wrong_type")
def text_for_a_boolean(claims: JsonObject) -> JsonObject:
    """Another JSON type (contract of the API)."""
    return changed(claims, entitled="true")


@defect("is-015c", refused_as="/claims/leipzig_pass/birthdate in_future")
def birth_tomorrow(claims: JsonObject) -> JsonObject:
    """A birth date in the future (contract of the API)."""
    return changed(claims, birthdate="2026-11-25")


@defect("is-015d", refused_as="/claims/leipzig_pass/portrait wrong_format")
def no_image(claims: JsonObject) -> JsonObject:
    """A portrait that is no JPEG (ITU-T T.81)."""
    return changed(claims, portrait="data:image/jpeg;base64," + base64.b64encode(b"GIF89a").decode())


@defect("is-015e", refused_as="/claims/leipzig_pass/portrait wrong_format")
def decompression_bomb(claims: JsonObject) -> JsonObject:
    """A small file that unfolds to gigabytes (ITU-T T.81 B.2.2)."""
    return changed(claims, portrait=jpeg(width=65535, height=65535))


@defect("is-015f", refused_as="/claims/leipzig_pass/portrait wrong_format")
def two_frames(claims: JsonObject) -> JsonObject:
    """Two frame headers, of which decoders take different ones (ITU-T T.81 B.2.1)."""
    return changed(claims, portrait=jpeg(frames=2))


@defect("is-015g", refused_as="/claims/leipzig_pass/portrait wrong_format")
def large_portrait(claims: JsonObject) -> JsonObject:
    """A portrait above the limit (contract of the API)."""
    return changed(claims, portrait="data:image/jpeg;base64," + "A" * 500_000)


@defect("is-015h", refused_as="/claims/leipzig_pass/portrait wrong_format")
def portrait_elsewhere(claims: JsonObject) -> JsonObject:
    """A portrait by address, which nobody fetches (contract of the API)."""
    return changed(claims, portrait="https://example.org/me.jpg")


@defect("is-015i", refused_as="/claims/leipzig_pass/family_name missing_claim")
def mandatory_missing(claims: JsonObject) -> JsonObject:
    """A mandatory claim is missing (contract of the API)."""
    return {name: value for name, value in claims.items() if name != "family_name"}


@defect("is-015j", refused_as="/claims/leipzig_pass/family_name empty")
def mandatory_blank(claims: JsonObject) -> JsonObject:
    """A mandatory claim of blanks (contract of the API)."""
    return changed(claims, family_name="  ")


@defect("is-015k", refused_as="/claims/leipzig_pass/family_name wrong_format")
def direction_override(claims: JsonObject) -> JsonObject:
    """A character that turns the text around it (Unicode UAX #9)."""
    return changed(claims, family_name="Linde\u202enau")


@defect("is-015l", refused_as="/claims/leipzig_pass/age_group not_allowed")
def value_outside_its_list(claims: JsonObject) -> JsonObject:
    """A value that the type doesn't have (contract of the API)."""
    return changed(claims, age_group="centenarian")


@defect("is-015m", refused_as="/claims/leipzig_pass/valid_until_month wrong_format")
def month_thirteen(claims: JsonObject) -> JsonObject:
    """There is no such month (ISO 8601)."""
    return changed(claims, valid_until_month="2027-13")


@defect("is-015n", refused_as="/claims/leipzig_pass/birthdate wrong_format")
def thirtieth_of_february(claims: JsonObject) -> JsonObject:
    """There is no such day (ISO 8601)."""
    return changed(claims, birthdate="1991-02-30")


@defect("is-015o", refused_as="/claims/leipzig_pass/issuing_country unknown_claim")
def fixed_claim_sent(claims: JsonObject) -> JsonObject:
    """A claim whose value is the catalogue's (contract of the API)."""
    return changed(claims, issuing_country="FR")


@defect("is-015p", refused_as="/claims/leipzig_pass/a~1b~0c unknown_claim")
def name_with_a_slash(claims: JsonObject) -> JsonObject:
    """A pointer's own characters are escaped (RFC 6901 §3)."""
    return {**claims, "a/b~c": 1}


@defect("is-015q", refused_as="/claims/leipzig_pass/family_name too_long")
def long_name(claims: JsonObject) -> JsonObject:
    """A text above the limit (contract of the API)."""
    return changed(claims, family_name="x" * 201)


@pytest.mark.parametrize("case", [each for each in defects("is") if each.id.startswith("is-015")], ids=str)
def test_claims_with_one_defect_are_refused_with_the_path(case: Defect[JsonObject]) -> None:
    check_claims(PASS, credential_type=leipzig_pass(), today=TODAY, pointer="/claims/leipzig_pass")
    with pytest.raises(ClaimsRefused) as caught:
        check_claims(
            case.apply(dict(PASS)), credential_type=leipzig_pass(), today=TODAY, pointer="/claims/leipzig_pass"
        )
    assert [f"{each.pointer} {each.code}" for each in caught.value.findings] == [case.refused_as]


@pytest.mark.parametrize(
    ("name", "value", "finding"),
    [
        ("nationalities", [], "/nationalities out_of_range"),
        ("nationalities", ["DE", "Germany"], "/nationalities/1 wrong_format"),
        ("nationalities", "DE", "/nationalities wrong_type"),
        ("address", "Leipzig", "/address wrong_type"),
        ("place_of_birth", {"locality": "", "no_place_info": 1}, "/place_of_birth/no_place_info wrong_type"),
        ("place_of_birth", {"no_place_info": True}, "/place_of_birth/locality missing_claim"),
        ("birthdate", "2026-12-00", "/birthdate in_future"),
        ("birthdate", "1964-13-00", "/birthdate wrong_format"),
    ],
)
def test_mistakes_inside_a_claim_are_named_by_their_place(name: str, value: JsonValue, finding: str) -> None:
    kind = load_catalog(allow_test_types=True).types["pid_mock"]
    with pytest.raises(ClaimsRefused) as caught:
        check_claims({**PID, name: value}, credential_type=kind, today=TODAY, pointer="")
    assert [f"{each.pointer} {each.code}" for each in caught.value.findings] == [finding]


@pytest.mark.parametrize(
    "image",
    [b"", b"\xff\xd8\xff\xd9", b"\xff\xd8\xff\xc0\x00\x05\x08\xff\xd9", b"\xff\xd8\xff\xe0\x00\x00\xff\xd9", b"PNG"],
)
def test_what_is_no_jpeg_has_no_size(image: bytes) -> None:
    assert jpeg_size(image) is None
