"""The register of invented citizens: its people can log in, and what it says about them can be issued."""

from datetime import date
from pathlib import Path

import pytest

from issuer.catalog.claims import check_claims
from issuer.catalog.loader import load_catalog
from issuer.login.register import RegisterInvalid, load_citizen_register

TODAY = date(2026, 11, 24)


async def test_shipped_citizens_log_in_and_their_claims_fit_the_catalogue() -> None:
    register, catalog = load_citizen_register(None), load_catalog(allow_test_types=True)
    for username in ("mila", "jon"):
        person = await register.authenticate(username=username, password="einfach")
        assert person is not None
        assert await register.person(person.reference) == person
        for name, claims in person.claims.items():
            assert check_claims(claims, credential_type=catalog.types[name], today=TODAY, pointer="")


@pytest.mark.parametrize(("username", "password"), [("mila", "falsch"), ("mila", ""), ("nobody", "einfach"), ("", "")])
async def test_wrong_words_prove_nobody(username: str, password: str) -> None:
    assert await load_citizen_register(None).authenticate(username=username, password=password) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("citizens: [", "is not YAML"),
        ("citizens:\n  - {reference: a, username: b, password: c, claims: {}, more: 1}", "citizens.0.more"),
        ("citizens:\n  - {reference: a, username: b}", "citizens.0.password"),
    ],
)
def test_register_with_a_mistake_names_its_place_and_no_value(tmp_path: Path, text: str, place: str) -> None:
    file = tmp_path / "register.yaml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(RegisterInvalid, match=place):
        load_citizen_register(file)


async def test_dates_that_yaml_reads_come_back_as_their_text(tmp_path: Path) -> None:
    file = tmp_path / "register.yaml"
    file.write_text(
        "citizens:\n  - {reference: a, username: b, password: c, claims: {pass: {birthdate: 1991-03-07}}}",
        encoding="utf-8",
    )
    person = await load_citizen_register(file).authenticate(username="b", password="c")

    assert person is not None
    assert person.claims == {"pass": {"birthdate": "1991-03-07"}}
