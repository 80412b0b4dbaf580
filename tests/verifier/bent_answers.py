"""Ways to bend a whole answer: by byte, in its structure, in what it means, or in what it is judged by."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cbor2
from hypothesis import strategies as st

from specs.credentials.status_list import StatusMediaType
from specs.encoding import base64url
from tests.verifier.whole_answers import (
    ORIGIN,
    WORLDS,
    Case,
    lists_of,
    mdoc_of,
    present_mdoc,
    present_sd_jwt,
    sd_jwt_of,
)
from tests.verifier.world import (
    CLIENT_ID,
    DAY,
    HOUR,
    NOW,
    RESPONSE_URI,
)

BENT: dict[str, Callable[[st.DrawFn, Case], None]] = {}


def bends(function: Callable[[st.DrawFn, Case], None]) -> Callable[[st.DrawFn, Case], None]:
    """Register a way to bend an answer."""
    BENT[function.__name__] = function
    return function


def one_of(draw: st.DrawFn, case: Case) -> tuple[list[str], int] | None:
    """A place in the token."""
    places = [(texts, index) for texts in case.token.values() for index in range(len(texts))]
    return draw(st.sampled_from(places)) if places else None


@bends
def a_character(draw: st.DrawFn, case: Case) -> None:
    """Another, one more or one less."""
    if place := one_of(draw, case):
        texts, index = place
        text = texts[index]
        at = draw(st.integers(0, len(text) - 1))
        other = draw(st.sampled_from(["A", "_", "~", ".", "=", "", text[at] * 2]))
        texts[index] = text[:at] + other + text[at + 1 :]


@bends
def a_bit(draw: st.DrawFn, case: Case) -> None:
    """In the bytes of a part of the text."""
    if place := one_of(draw, case):
        texts, index = place
        parts = texts[index].split("~")
        which = draw(st.integers(0, len(parts) - 1))
        pieces = parts[which].split(".")
        piece = draw(st.integers(0, len(pieces) - 1))
        if pieces[piece]:
            data = bytearray(base64url.decode(pieces[piece]))
            data[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
            pieces[piece] = base64url.encode(bytes(data))
            parts[which] = ".".join(pieces)
            texts[index] = "~".join(parts)


@bends
def the_parts(draw: st.DrawFn, case: Case) -> None:
    """A disclosure or proof less, twice, elsewhere, or another presentation's."""
    if place := one_of(draw, case):
        texts, index = place
        parts = texts[index].split("~")
        others = [part for each in case.token.values() for text in each for part in text.split("~")]
        at = draw(st.integers(0, len(parts) - 1))
        match draw(st.integers(0, 3)):
            case 0:
                del parts[at]
            case 1:
                parts.insert(at, parts[at])
            case 2:
                parts[at] = draw(st.sampled_from(others))
            case _:
                parts = draw(st.permutations(parts))
        texts[index] = "~".join(parts)


@bends
def the_tree_of_an_mdoc(draw: st.DrawFn, case: Case) -> None:
    """A member less, or in another's place, and the whole encoded anew."""
    places = [
        (case.token[entry["id"]], 0)
        for entry in case.query["credentials"]
        if entry["format"] == "mso_mdoc" and entry["id"] in case.token
    ]
    if places:
        texts, index = draw(st.sampled_from(places))
        response = cbor2.loads(base64url.decode(texts[index]))
        nodes = list(_containers(response))
        node = draw(st.sampled_from(nodes))
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key, other = draw(st.sampled_from(keys)), draw(st.sampled_from(keys))
        match draw(st.integers(0, 2)):
            case 0:
                del node[key]
            case 1:
                node[key], node[other] = node[other], node[key]
            case _:
                node[key] = draw(st.sampled_from([None, 0, b"", "", [], {}]))
        texts[index] = base64url.encode(cbor2.dumps(response))


def _containers(node: Any) -> Iterator[Any]:
    if isinstance(node, (dict, list)):
        yield node
        for inner in node.values() if isinstance(node, dict) else node:
            yield from _containers(inner)


@bends
def the_entries(draw: st.DrawFn, case: Case) -> None:
    """Answers under other ids, or in another shape."""
    names = list(case.token)
    if names:
        name = draw(st.sampled_from(names))
        other = draw(st.sampled_from([*names, "d"]))
        match draw(st.integers(0, 3)):
            case 0:
                case.token[other] = case.token[name]
            case 1:
                case.token[name], case.token[other] = case.token.get(other, []), case.token[name]
            case 2:
                case.token[name] = case.token[name] * 2
            case _:
                case.token[name] = case.token[name][0]


@bends
def the_clock(draw: st.DrawFn, case: Case) -> None:
    """Earlier or later, about every bound."""
    bound = draw(st.sampled_from([-HOUR, 0, 300, DAY, 14 * DAY, 400 * DAY, -400 * DAY]))
    case.now += bound + draw(st.integers(-61, 61))


@bends
def the_question(draw: st.DrawFn, case: Case) -> None:
    """Another one than was answered."""
    match draw(st.integers(0, 3)):
        case 0:
            case.nonce += draw(st.sampled_from(["x", " "]))
        case 1:
            case.client_id = draw(st.sampled_from([CLIENT_ID[:-1], RESPONSE_URI]))
        case 2:
            case.response_uri += "/"
        case _:
            case.origin = None if case.origin else ORIGIN


@bends
def the_trust(draw: st.DrawFn, case: Case) -> None:
    """Others than those who signed."""
    case.anchored_in = draw(st.sampled_from(WORLDS))


@bends
def the_lists(draw: st.DrawFn, case: Case) -> None:
    """Gone, another's, too old, or a failure."""
    for place, fetched in list(case.lists.items()):
        assert fetched is not None
        match draw(st.integers(0, 4)):
            case 0:
                del case.lists[place]
            case 1:
                case.lists[place] = dict(lists_of(draw(st.integers(0, 2)), 2))[place]
            case 2:
                case.lists[place] = replace(fetched, http_status=draw(st.sampled_from([204, 304, 404, 500])))
            case 3:
                case.lists[place] = replace(
                    fetched, fetched_at=fetched.fetched_at - draw(st.sampled_from([359, 360, 361]))
                )
            case _:
                case.lists[place] = replace(fetched, content_type=StatusMediaType.JWT)


@bends
def the_proof(draw: st.DrawFn, case: Case) -> None:
    """Another holder's, or about something else."""
    entry = draw(st.sampled_from(case.query["credentials"]))
    holder = draw(st.sampled_from([each.holder for each in WORLDS]))
    number = WORLDS.index(case.world)
    paths = tuple(tuple(claim["path"]) for claim in entry.get("claims", ()))
    if entry["format"] == "mso_mdoc":
        case.token[entry["id"]] = [present_mdoc(case, mdoc_of(number, 7), paths, holder=holder)]
        return
    claims: dict[str, Any] = draw(
        st.sampled_from(
            [
                {"iat": NOW + 60},
                {"iat": NOW + 61},
                {"iat": NOW - 360},
                {"iat": NOW - 361},
                {"aud": RESPONSE_URI},
                {"nonce": ""},
                {"exp": NOW - 61},
                {"exp": NOW + 1},
                {"nbf": NOW + 61},
                {"transaction_data_hashes": []},
            ]
        )
    )
    case.token[entry["id"]] = [present_sd_jwt(case, sd_jwt_of(number, 7), paths, holder=holder, **claims)]


@bends
def the_issuer(draw: st.DrawFn, case: Case) -> None:
    """A credential that another issuer signed for the same holder's question."""
    number = draw(st.integers(0, len(WORLDS) - 1))
    entry = draw(st.sampled_from(case.query["credentials"]))
    paths = tuple(tuple(claim["path"]) for claim in entry.get("claims", ()))
    holder = WORLDS[number].holder
    if entry["format"] == "mso_mdoc":
        case.token[entry["id"]] = [present_mdoc(case, mdoc_of(number, 7), paths, holder=holder)]
    else:
        case.token[entry["id"]] = [present_sd_jwt(case, sd_jwt_of(number, 7), paths, holder=holder)]
