"""A second opinion on DCQL: the rules of OpenID4VP 1.0 §6.4 and §7 in their plainest form, slow, sharing no code."""

import json
from collections.abc import Iterator
from itertools import product

_JSON = (dict, list, str, int, float, type(None))  # anything else stands where an array element is hidden


class NoClaim(Exception):
    """§7.1.1: an error, or nothing is left selected."""


def leaves(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], object]]:
    """Every value of a tree with its position, outer ones first."""
    yield at, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*at, name))
    if isinstance(value, list):
        for index, inner in enumerate(value):
            if isinstance(inner, _JSON):
                yield from leaves(inner, (*at, index))


def matches(position: tuple[str | int, ...], path: list[object]) -> bool:
    """Whether a position is exactly one that a path can mean."""
    return len(position) == len(path) and all(
        isinstance(step, int) if component is None else type(step) is type(component) and step == component
        for step, component in zip(position, path, strict=True)
    )


def select(tree: object, path: list[object]) -> list[tuple[tuple[str | int, ...], object]]:
    """Positions and values selected by a path; every value on the way must be of the kind the next component needs."""
    everything = list(leaves(tree))
    for depth, component in enumerate(path):
        for position, value in everything:
            if matches(position, path[:depth]) and not isinstance(value, dict if isinstance(component, str) else list):
                raise NoClaim
    chosen = [(position, value) for position, value in everything if matches(position, path)]
    if not chosen:
        raise NoClaim
    return chosen


def same(value: object, wanted: object) -> bool:
    """Equality that JSON can see: types differ where their texts differ."""
    return not isinstance(value, (dict, list)) and json.dumps(value) == json.dumps(wanted)


def judge(credential: dict[str, object], tree: object) -> int | str:
    """The number of the first satisfied claim set, or why there is none."""
    claims = credential.get("claims")
    if claims is None:
        return 0
    assert isinstance(claims, list)
    sets = credential.get("claim_sets") or [[claim["id"] for claim in claims]]
    assert isinstance(sets, list)
    verdicts = []
    for names in sets:
        verdict = "satisfied"
        for claim in (claim for name in names for claim in claims if claim["id"] == name):
            try:
                selected = select(tree, claim["path"])
            except NoClaim:
                verdict = "claims_missing"
                break
            if "values" in claim and not any(
                same(value, wanted) for (_, value), wanted in product(selected, claim["values"])
            ):
                verdict = "claim_value_mismatch"
        verdicts.append(verdict)
    if "satisfied" in verdicts:
        return verdicts.index("satisfied")
    return "claim_value_mismatch" if "claim_value_mismatch" in verdicts else "claims_missing"


def asked(position: tuple[str | int, ...], paths: list[list[object]]) -> bool:
    """Whether a position is on, above or below the end of a path."""
    return any(matches(position[: len(path)], path[: len(position)]) for path in paths)


def sets_needed(query: dict[str, object], have: set[str]) -> tuple[bool, set[str]]:
    """§6.4.2, read literally."""
    credentials = query["credentials"]
    assert isinstance(credentials, list)
    ids = [credential["id"] for credential in credentials]
    sets = query.get("credential_sets") or [{"options": [[name]]} for name in ids]
    assert isinstance(sets, list)
    needed: set[str] = set()
    satisfied = True
    for entry in sets:
        for option in entry["options"]:
            if set(option) <= have:
                needed |= set(option)
                break
        else:
            satisfied = satisfied and not entry.get("required", True)
    return satisfied, needed
