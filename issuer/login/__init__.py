"""Who sits in front of the browser: the login that stands before consent in the authorization code flow."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from specs.encoding.strict_json import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has logged in.

    reference: the city's own handle for this person, the one that offers name as their subject.
    claims: what is known about the person, by credential type; a type that is missing can't be issued to them.
    """

    reference: str
    claims: Mapping[str, Mapping[str, JsonValue]]


def person_to_json(person: Person) -> JsonObject:
    """A person as they lie sealed with their login."""
    return {"reference": person.reference, "claims": {kind: {**claims} for kind, claims in person.claims.items()}}


def person_from_json(value: JsonObject) -> Person:
    """What `person_to_json` wrote."""
    reference, claims = value["reference"], value["claims"]
    if not isinstance(reference, str) or not isinstance(claims, dict):
        raise TypeError("not a person")
    return Person(reference, {kind: each for kind, each in claims.items() if isinstance(each, dict)})


class LoginProvider(Protocol):
    """Where people prove who they are. The test register answers from a file; an identity provider may stand here."""

    async def authenticate(self, *, username: str, password: str) -> Person | None:
        """The person whom these two words prove, or None. Takes the same time for unknown names and wrong passwords."""

    async def person(self, reference: str) -> Person | None:
        """The person of a login that was proven before, or None if there is none by that reference any more."""
