"""Disclosures that all stand in the payload's own `_sd` are put in at once: the same result, and no less strict."""

from collections.abc import Callable

import pytest

from specs.credentials.sd_jwt import (
    DEFAULT_LIMITS,
    Limits,
    Processed,
    SdJwtError,
    digests_of,
    parse_sd_jwt,
    process_payload,
    read_payload,
)
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import parse_jws


def disclosure(name: str, value: JsonValue) -> str:
    """One that fills whole groups of base64, as those that are read together do."""
    texts = [strict_json.dumps(["saltsaltsaltsaltsaltsalt" + filler, name, value]) for filler in ("", "0", "00")]
    return base64url.encode(next(text for text in texts if len(text) % 3 == 0))


def payload_for(disclosures: list[str], **members: JsonValue) -> JsonObject:
    """A payload that hides them at the top, and a decoy."""
    digests: list[JsonValue] = [*digests_of([text.encode() for text in disclosures], sd_alg="sha-256"), "decoy"]
    return {"vct": "urn:example:pass:1", "_sd": digests, "_sd_alg": "sha-256", **members}


def read(payload: bytes, disclosures: list[str], *, kb_jwt: str = "", limits: Limits = DEFAULT_LIMITS) -> Processed:
    """What a credential of this payload says that shows these disclosures."""
    header = base64url.encode(b'{"alg":"ES256","typ":"test"}')
    sd_jwt = parse_sd_jwt("~".join((f"{header}.{base64url.encode(payload)}.", *disclosures, kb_jwt)))
    assert sd_jwt.texts is not None
    return read_payload(sd_jwt, parse_jws(sd_jwt.parts[0], expected_typ="test"), limits=limits)


def outcome(call: Callable[[], Processed]) -> object:
    """What comes out, whichever way: the claims and their places, or the reason."""
    try:
        processed = call()
    except SdJwtError as error:
        return error.reason
    return processed.claims, processed.issued, set(processed.disclosed), processed.sd_alg


ONE, TWO = disclosure("given_name", "Mila"), disclosure("address", {"locality": "Leipzig", "lines": ["a", "b"]})
NESTED: JsonObject = {"_sd": [*digests_of([ONE.encode()], sd_alg="sha-256")]}


DIGESTS: list[JsonValue] = [*digests_of([ONE.encode()], sd_alg="sha-256")]
PAIR, FOUR, NUMBER, OBJECT, THREE, TEXT = (
    base64url.encode(text)
    for text in (
        b'["saltsalt","Mila" ]',
        b'["salt","given","a","b"]',
        b'[123,"given","Mila"]',
        b'{"salt":"given_name"}',
        b'{"salt":1,"name":2,"value":3 }',
        b'"abc" ',
    )
)


@pytest.mark.parametrize(
    ("payload", "disclosures"),
    [
        pytest.param(payload_for([ONE, TWO]), [ONE, TWO], id="all shown"),
        pytest.param(payload_for([ONE, TWO]), [TWO], id="one shown"),
        pytest.param(payload_for([ONE, TWO]), [ONE, TWO, disclosure("x", 1)], id="one that nothing refers to"),
        pytest.param(payload_for([ONE]), [ONE, ONE], id="the same twice"),
        pytest.param(
            payload_for([ONE, disclosure("given_name", "Max")]), [ONE, disclosure("given_name", "Max")], id="name"
        ),
        pytest.param(payload_for([ONE], given_name="Max"), [ONE], id="a name that is there already"),
        pytest.param(payload_for([disclosure("_sd", [])]), [disclosure("_sd", [])], id="reserved name"),
        pytest.param(payload_for([disclosure("...", "x")]), [disclosure("...", "x")], id="reserved name of elements"),
        pytest.param(
            payload_for([disclosure("n", {"_sd_alg": "x"})]), [disclosure("n", {"_sd_alg": "x"})], id="sd_alg inside"
        ),
        pytest.param(payload_for([TWO], person=NESTED), [ONE, TWO], id="a second place"),
        pytest.param(payload_for([ONE], person={"_sd_alg": "sha-256"}), [ONE], id="_sd_alg below the top"),
        pytest.param(payload_for([ONE], list=[{"...": "x"}]), [ONE], id="a hidden element"),
        pytest.param(payload_for([ONE], note='a "quoted" text'), [ONE], id="escapes"),
        pytest.param(payload_for([ONE]) | {"_sd": ["decoy", "decoy"]}, [ONE], id="a digest twice"),
        pytest.param(payload_for([ONE]) | {"_sd": ["decoy", 1]}, [ONE], id="a digest that is no text"),
        pytest.param(payload_for([ONE]) | {"_sd": "decoy"}, [ONE], id="digests that are no array"),
        pytest.param(payload_for([ONE]) | {"_sd": [*DIGESTS, "decoy", "decoy"]}, [ONE], id="a decoy twice"),
        pytest.param(payload_for([ONE]) | {"_sd": [*DIGESTS, *DIGESTS]}, [ONE], id="the shown digest twice"),
        pytest.param(payload_for([ONE]) | {"_sd": [*DIGESTS, 1]}, [ONE], id="beside a digest that is no text"),
        pytest.param(payload_for([ONE]) | {"_sd": [*DIGESTS, ["x"]]}, [ONE], id="beside a digest that is an array"),
        pytest.param(payload_for([ONE]) | {"_sd": dict.fromkeys(DIGESTS, 1)}, [ONE], id="digests that are an object"),
        pytest.param(payload_for([ONE]) | {"_sd_alg": "sha-1"}, [ONE], id="an algorithm that nobody may use"),
        pytest.param(payload_for([ONE]) | {"_sd_alg": 256}, [ONE], id="an algorithm that is a number"),
        pytest.param(payload_for([ONE]) | {"_sd_alg": ["sha-256"]}, [ONE], id="an algorithm that is an array"),
        pytest.param(payload_for([ONE]) | {"_sd_alg": None}, [ONE], id="an algorithm that is null"),
        pytest.param({"vct": "x", "_sd": DIGESTS}, [ONE], id="no algorithm"),
        pytest.param(
            {"vct": "x", "_sd": DIGESTS, "person": {"_sd": ["decoy"]}}, [ONE], id="second place, no algorithm"
        ),
        pytest.param({"vct": "x", "_sd": DIGESTS, "_sd_alg": "sha-512"}, [ONE], id="digests by another algorithm"),
        pytest.param(payload_for([PAIR]), [PAIR], id="an element's disclosure"),
        pytest.param(payload_for([FOUR]), [FOUR], id="four in a disclosure"),
        pytest.param(payload_for([FOUR, ONE]), [FOUR, ONE], id="four in one of two"),
        pytest.param(payload_for([PAIR, ONE]), [ONE, PAIR], id="two in one of two"),
        pytest.param(payload_for([NUMBER]), [NUMBER], id="a salt that is a number"),
        pytest.param(payload_for([OBJECT]), [OBJECT], id="a disclosure that is an object"),
        pytest.param(payload_for([THREE]), [THREE], id="a disclosure that is an object of three"),
        pytest.param(payload_for([TEXT]), [TEXT], id="a disclosure that is a text of three letters"),
        pytest.param({"person": NESTED, "_sd_alg": "sha-256"}, [ONE], id="no digest at the top"),
    ],
)
def test_the_short_way_says_what_the_long_way_says(payload: JsonObject, disclosures: list[str]) -> None:
    text = strict_json.dumps(payload)

    long_way = outcome(lambda: process_payload(strict_json.parse_object(text), disclosures))
    short_way = outcome(lambda: read(text, disclosures))

    assert short_way == long_way


@pytest.mark.parametrize("said", [b'{"nonce":"n"}', b'["salt","vip",true]'], ids=["claims", "what looks disclosed"])
def test_what_a_key_binding_says_is_no_claim(said: bytes) -> None:
    """RFC 9901 §4.3: it is signed by the holder, not by the issuer."""
    text = strict_json.dumps(payload_for([ONE]))

    processed = read(text, [ONE], kb_jwt=f"e30.{base64url.encode(said)}.")

    assert processed.claims == {"vct": "urn:example:pass:1", "given_name": "Mila"}


def test_a_member_written_with_escapes_is_found() -> None:
    text = strict_json.dumps(payload_for([TWO], person=NESTED)).replace(b'{"_sd"', b'{"\\u005fsd"')

    processed = read(text, [ONE, TWO])

    assert processed.claims["person"] == {"given_name": "Mila"}


@pytest.mark.parametrize("member", ['{"\\u005fsd":["decoy2"]}', '[{"\\u002e\\u002e\\u002e":"decoy2"}]'])
def test_a_place_of_digests_written_with_escapes_is_taken_out(member: str) -> None:
    text = strict_json.dumps(payload_for([ONE], person="here")).replace(b'"here"', member.encode())

    long_way = outcome(lambda: process_payload(strict_json.parse_object(text), [ONE]))

    assert outcome(lambda: read(text, [ONE])) == long_way
    assert b"decoy2" not in strict_json.dumps(read(text, [ONE]).claims)


@pytest.mark.parametrize("limits", [Limits(max_depth=1), Limits(max_depth=1, max_json_depth=1)], ids=["tree", "both"])
def test_a_small_limit_of_depth_holds_the_short_way_too(limits: Limits) -> None:
    text = strict_json.dumps(payload_for([TWO]))

    with pytest.raises(SdJwtError):
        read(text, [TWO], limits=limits)
