"""Payload and disclosures make one tree: how deep it may be, and what a reader sees where something stays hidden."""

from collections.abc import Callable

import pytest

from specs.credentials.sd_jwt import UNDISCLOSED, Limits, SdJwtError, process_payload
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.refusal import ReasonCode
from tests.specs.credentials.sd_jwt_drawing import digest, disclosure

Build = Callable[[JsonValue], tuple[JsonObject, list[str]]]


def member(value: JsonValue) -> tuple[JsonObject, list[str]]:
    """An object with this in a permanent member."""
    return {"outer": {"inner": value}}, []


def disclosed_member(value: JsonValue) -> tuple[JsonObject, list[str]]:
    """An object with this in a disclosed member."""
    text = disclosure("salt", "inner", value)
    return {"outer": {"_sd": [digest(text)]}}, [text]


def element(value: JsonValue) -> tuple[JsonObject, list[str]]:
    """An array with this as a permanent element."""
    return {"outer": [value]}, []


def disclosed_element(value: JsonValue) -> tuple[JsonObject, list[str]]:
    """An array with this as a disclosed element."""
    text = disclosure("salt", value)
    return {"outer": [{"...": digest(text)}]}, [text]


@pytest.mark.parametrize("build", [member, disclosed_member, element, disclosed_element])
@pytest.mark.parametrize("empty", [{}, []], ids=["object", "array"])
def test_objects_and_arrays_count_for_depth_and_what_is_in_the_deepest_does_not(build: Build, empty: JsonValue) -> None:
    payload, texts = build("core")
    assert process_payload(payload, texts, limits=Limits(max_depth=2)).claims["outer"] in ({"inner": "core"}, ["core"])

    payload, texts = build(empty)
    with pytest.raises(SdJwtError) as refused:
        process_payload(payload, texts, limits=Limits(max_depth=2))

    assert refused.value.reason is ReasonCode.LIMIT_EXCEEDED


def test_a_hidden_element_is_gone_for_the_application_and_marked_as_issued_however_deep_it_is() -> None:
    one: JsonObject = {"...": digest("one")}
    other: JsonObject = {"...": digest("other")}

    processed = process_payload(
        {"outer": {"inner": {"list": [one, {"plain": ["a"]}]}}, "list": [[other, {"plain": ["a"]}]]}, []
    )

    assert processed.claims == {"outer": {"inner": {"list": [{"plain": ["a"]}]}}, "list": [[{"plain": ["a"]}]]}
    issued = [UNDISCLOSED, {"plain": ["a"]}]
    assert processed.issued == {"outer": {"inner": {"list": issued}}, "list": [issued]}
