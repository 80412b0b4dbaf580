"""The runs of the matrix: which plan, in which variant, with which of a target's configurations."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

import yaml

from specs.encoding.strict_json import JsonObject, JsonValue

Changes: TypeAlias = Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Run:
    """One plan in one variant. role: which target it needs. ask: what the driver asks of that target, by its names.

    without: modules that the suite lists in this variant though they exclude it themselves.
    """

    id: str
    role: str
    plan: str
    variant: Mapping[str, str]
    ask: Mapping[str, str]
    without: frozenset[str] = frozenset()


def all_runs() -> tuple[Run, ...]:
    """Every run of the matrix, in the order of the file."""
    text = (resources.files("conformance.oidf") / "plans.yaml").read_text(encoding="utf-8")
    return tuple(
        Run(
            id=str(entry["id"]),
            role=str(entry["role"]),
            plan=str(entry["plan"]),
            variant={str(name): str(value) for name, value in entry["variant"].items()},
            ask={str(name): str(value) for name, value in entry["ask"].items()},
            without=frozenset(entry.get("without", ())),
        )
        for entry in yaml.safe_load(text)["runs"]
    )


def configuration_of(run: Run, target: JsonObject) -> JsonObject:
    """The plan configuration: the target's own, under an alias of this run, for the credential it asks about.

    A wallet says what is different in plans about another part of it, and what to ask it for.
    """
    ours = target.get("stadtnachweis")
    configuration = {name: value for name, value in target.items() if name != "stadtnachweis"}
    configuration |= named(ours, "parts", run.ask.get("part"))
    question = named(ours, "questions", run.ask.get("question"))
    if question:
        configuration["client"] = {**named(configuration, "client"), "dcql": question}
    configuration["alias"] = f"stadtnachweis-{run.id}"
    configuration["description"] = run.id
    wanted = run.ask.get("credential_configuration_id")
    vci = configuration.get("vci")
    if wanted is not None and isinstance(vci, dict):
        configuration["vci"] = {**vci, "credential_configuration_id": wanted}
    return configuration


def named(value: JsonValue, *names: str | None) -> JsonObject:
    """The object inside at these names; empty where there is none."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) and name is not None else None
    return value if isinstance(value, dict) else {}
