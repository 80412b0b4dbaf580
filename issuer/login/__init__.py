"""Who sits in front of the browser: the login that stands before consent in the authorization code flow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from issuer.datasets import UNNAMED
from specs.encoding.strict_json import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who has logged in.

    reference: the city's own handle for this person, the one that offers name as their subject.
    claims: what is known about the person, by credential type; a type that is missing can't be issued to them.
    datasets: the same for types of which a person may have several, by type and name.
    """

    reference: str
    claims: Mapping[str, Mapping[str, JsonValue]]
    datasets: Mapping[str, Mapping[str, Mapping[str, JsonValue]]] = field(default_factory=dict)

    def known_of(self, credential_type: str) -> Mapping[str, Mapping[str, JsonValue]]:
        """The claims of a type by dataset; empty if nothing is known."""
        if credential_type in self.claims:
            return {UNNAMED: self.claims[credential_type]}
        return self.datasets.get(credential_type, {})


def person_to_json(person: Person) -> JsonObject:
    """A person as they lie sealed with their login."""
    return {
        "reference": person.reference,
        "claims": {kind: {**claims} for kind, claims in person.claims.items()},
        "datasets": {
            kind: {name: {**claims} for name, claims in named.items()} for kind, named in person.datasets.items()
        },
    }


def person_from_json(value: JsonObject) -> Person:
    """What `person_to_json` wrote."""
    reference, claims, datasets = value["reference"], value["claims"], value.get("datasets", {})
    if not isinstance(reference, str) or not isinstance(claims, dict) or not isinstance(datasets, dict):
        raise TypeError("not a person")
    return Person(
        reference,
        _objects(claims),
        {kind: _objects(named) for kind, named in datasets.items() if isinstance(named, dict)},
    )


def _objects(value: JsonObject) -> dict[str, JsonObject]:
    return {name: each for name, each in value.items() if isinstance(each, dict)}


class LoginProvider(Protocol):
    """Where people prove who they are. The test register answers from a file; an identity provider may stand here."""

    async def authenticate(self, *, username: str, password: str) -> Person | None:
        """The person whom these two words prove, or None. Takes the same time for unknown names and wrong passwords."""

    async def person(self, reference: str) -> Person | None:
        """The person of a login that was proven before, or None if there is none by that reference any more."""
