"""The catalogue and the checks know each other: no entry names a check that is not there, no check is without entry."""

from conformance.catalogue import ROLES, catalogue, requirements_of
from conformance.cli import all_checks


def test_each_entry_names_checks_of_its_role_or_says_why_there_are_none() -> None:
    known = {role: {check.id for check in checks} for role, checks in all_checks().items()}
    for requirement in catalogue():
        assert requirement.role in ROLES, requirement.id
        assert bool(requirement.checks) is not bool(requirement.uncovered), requirement.id
        missing = set(requirement.checks) - known.get(requirement.role, set())
        assert not missing, f"{requirement.id} names {sorted(missing)}"
        assert requirement.text, requirement.id
        assert requirement.clause, requirement.id


def test_each_check_has_an_entry() -> None:
    for role, checks in all_checks().items():
        named = {name for requirement in requirements_of(role) for name in requirement.checks}
        assert sorted({check.id for check in checks} - named) == []


def test_ids_are_used_once() -> None:
    ids = [requirement.id for requirement in catalogue()]
    assert len(set(ids)) == len(ids)
