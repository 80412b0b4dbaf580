"""A register of invented citizens in a YAML file: the login of the demo and of the tests, never of a real city.

citizens:
  - reference: sozialamt-4711
    username: mila
    password: einfach
    claims:
      leipzig_pass: {entitled: true, …}
    datasets:
      resident_parking: {first: {…}, second: {…}}
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from issuer.datasets import DatasetName
from issuer.login import Person
from specs.encoding.strict_json import JsonValue


class RegisterInvalid(ValueError):
    """The file is not a register; the message says where, never with what value."""


class _Citizen(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reference: str
    username: str
    password: str
    claims: dict[str, dict[str, object]] = {}
    datasets: dict[str, dict[DatasetName, dict[str, object]]] = {}


class _Register(BaseModel):
    model_config = ConfigDict(extra="forbid")

    citizens: list[_Citizen]


@dataclass(frozen=True, slots=True)
class RegisteredCitizen:
    """One invented person and the two words that log them in."""

    username: str
    password: str = field(repr=False)
    person: Person = field(repr=False)


class CitizenRegister:
    """A `LoginProvider` over a fixed list."""

    def __init__(self, citizens: Sequence[RegisteredCitizen]) -> None:
        self._by_username: Mapping[str, RegisteredCitizen] = {citizen.username: citizen for citizen in citizens}
        self._by_reference: Mapping[str, Person] = {citizen.person.reference: citizen.person for citizen in citizens}
        self._nobody = secrets.token_hex()

    async def authenticate(self, *, username: str, password: str) -> Person | None:
        """See `LoginProvider`."""
        citizen = self._by_username.get(username)
        expected = citizen.password if citizen is not None else self._nobody
        right = hmac.compare_digest(
            hashlib.sha256(password.encode()).digest(), hashlib.sha256(expected.encode()).digest()
        )
        return citizen.person if citizen is not None and right else None

    async def person(self, reference: str) -> Person | None:
        """See `LoginProvider`."""
        return self._by_reference.get(reference)


def load_citizen_register(path: Path | None) -> CitizenRegister:
    """Read a register file, or the one that comes with the program.

    Raises:
        RegisterInvalid: not YAML, or not of the form above.
    """
    source: Traversable = resources.files("issuer.login") / "citizens.yaml" if path is None else path
    try:
        document = _Register.model_validate(yaml.safe_load(source.read_text(encoding="utf-8")))
    except yaml.YAMLError as error:
        raise RegisterInvalid(f"{source.name} is not YAML") from error
    except ValidationError as error:
        places = ", ".join(".".join(str(part) for part in problem["loc"]) for problem in error.errors())
        raise RegisterInvalid(f"{source.name}: {places}") from error
    citizens = tuple(_citizen(entry) for entry in document.citizens)
    if len({citizen.username for citizen in citizens}) != len(citizens):
        raise RegisterInvalid(f"{source.name}: a username stands there twice")
    return CitizenRegister(citizens)


def _citizen(entry: _Citizen) -> RegisteredCitizen:
    claims = {kind: _json_of(values) for kind, values in entry.claims.items()}
    datasets = {
        kind: {name: _json_of(values) for name, values in named.items()} for kind, named in entry.datasets.items()
    }
    person = Person(entry.reference, claims, datasets)
    return RegisteredCitizen(username=entry.username, password=entry.password, person=person)


def _json_of(values: Mapping[str, object]) -> dict[str, JsonValue]:
    return {name: _as_json(value) for name, value in values.items()}


def _as_json(value: object) -> JsonValue:
    match value:
        case date():
            return value.isoformat()  # YAML reads an unquoted 1991-03-07 as a date; credentials carry its text
        case dict():
            return {str(name): _as_json(member) for name, member in value.items()}
        case list():
            return [_as_json(member) for member in value]
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise RegisterInvalid(f"a value of a type that JSON does not have: {type(value).__name__}")
