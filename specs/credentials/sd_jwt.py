"""SD-JWT: a signed JSON object whose holder chooses which of its claims to show (RFC 9901).

The issuer signs digests; a disclosure is the text that one digest stands for. Reading the compact form: §4, §7.1. JSON
forms, key binding, issuing and presenting have modules of their own beside this one.
"""

import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

import pydantic_core

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import Jws, PublicKey, verify_jws
from specs.refusal import ReasonCode, Refusal


class SdJwtError(Refusal):
    """An SD-JWT or one of its parts does not hold."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an SD-JWT may be before we stop reading it.

    max_bytes: of the whole serialisation. max_disclosures: their number. max_json_depth: arrays and objects inside each
    other in the payload and in each disclosure. max_depth: the same in the tree that all of them make together.
    """

    max_bytes: int = 256 * 1024
    max_disclosures: int = 500
    max_json_depth: int = strict_json.MAX_DEPTH
    max_depth: int = 64


DEFAULT_LIMITS = Limits()


class Undisclosed(Enum):
    """The type of `UNDISCLOSED`."""

    UNDISCLOSED = "undisclosed"


UNDISCLOSED: Final = Undisclosed.UNDISCLOSED
"""Stands in an array as issued where an element was not disclosed, or where a decoy is."""

Path: TypeAlias = tuple[str | int, ...]
IssuedValue: TypeAlias = (
    "bool | int | float | str | list[IssuedValue] | dict[str, IssuedValue] | Literal[Undisclosed.UNDISCLOSED] | None"
)
IssuedObject: TypeAlias = "dict[str, IssuedValue]"


@dataclass(frozen=True, slots=True)
class SdJwt:
    """An SD-JWT, or SD-JWT+KB, taken apart. hashed_part: all up to the last `~`, what a KB-JWT signs by `sd_hash`."""

    issuer_jwt: str
    disclosures: tuple[str, ...]
    kb_jwt: str | None
    hashed_part: str


class Disclosed(NamedTuple):
    """One disclosure and the place of its claim: member names, and positions in arrays as issued."""

    path: Path
    disclosure: str


class Processed(NamedTuple):
    """The signed payload with the disclosures put in their places (RFC 9901 §7.1). Read only: the trees share branches.

    claims: what an application sees, undisclosed elements gone. issued: the same with `UNDISCLOSED` where an array
    element is hidden, so that positions are the issuer's. disclosed: each disclosure's place.
    """

    claims: JsonObject
    issued: IssuedObject
    disclosed: tuple[Disclosed, ...]
    sd_alg: str


class HashAlgorithm(NamedTuple):
    """A hash of §4.1.1: `size` characters of base64url; `filler` completes a digest to whole groups of three bytes."""

    new: Callable[[bytes], "hashlib._Hash"]
    size: int
    filler: bytes


HASH_ALGORITHMS: Mapping[str, HashAlgorithm] = {
    "sha-256": HashAlgorithm(hashlib.sha256, 43, b"\0"),
    "sha-384": HashAlgorithm(hashlib.sha384, 64, b""),
    "sha-512": HashAlgorithm(hashlib.sha512, 86, b"\0\0"),
}
DEFAULT_SD_ALG = "sha-256"

RESERVED_NAMES = frozenset({"_sd", "_sd_alg", "..."})

_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")  # what is standard base64 already must not pass
_TO_URL = bytes.maketrans(b"+/", b"-_")
_DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
_LONG_NUMBER = b"0" * 19  # may be beyond 64 bits


def parse_sd_jwt(text: str, *, limits: Limits = DEFAULT_LIMITS) -> SdJwt:
    """Split a compact SD-JWT or SD-JWT+KB (RFC 9901 §4); nothing is believed yet, base64url is read with each part.

    Raises:
        SdJwtError: no `~`, an empty part, not as many dots as its JWTs have, or too large.
    """
    if len(text) > limits.max_bytes:
        raise SdJwtError(ReasonCode.LIMIT_EXCEEDED, "SD-JWT size")
    if not text.isascii():
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "character")
    tildes = text.count("~")
    if tildes == 0:
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "no tilde")
    if tildes - 1 > limits.max_disclosures:
        raise SdJwtError(ReasonCode.LIMIT_EXCEEDED, "number of disclosures")
    issuer_jwt, *disclosures, kb_jwt = text.split("~")
    if "" in disclosures:
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "empty part")
    # a JWT has two dots, a disclosure none
    if issuer_jwt.count(".") != 2 or text.count(".") != (4 if kb_jwt else 2) or (kb_jwt and kb_jwt.count(".") != 2):
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "dots")
    return SdJwt(issuer_jwt, tuple(disclosures), kb_jwt or None, text[: len(text) - len(kb_jwt)])


def verify_issuer_jwt(jws: Jws, key: PublicKey, *, limits: Limits = DEFAULT_LIMITS) -> JsonObject:
    """Check the issuer's signature over the bytes as received and give the payload, digests still in it (§7.1 step 2).

    Raises:
        JoseError: the signature does not hold or its algorithm is not the key's.
        SdJwtError: the payload is no JSON object that has one meaning.
    """
    verify_jws(jws, key)
    return parse_payload(jws, limits=limits)


def parse_payload(jws: Jws, *, limits: Limits = DEFAULT_LIMITS) -> JsonObject:
    """The payload of an issuer-signed JWT whose signature is not (or no longer) the question: for holders.

    Raises:
        SdJwtError: it is no JSON object that has one meaning.
    """
    try:
        return strict_json.parse_object(jws.payload, max_depth=limits.max_json_depth)
    except Malformed as error:
        raise SdJwtError(ReasonCode.JWT_MALFORMED, f"payload: {error}") from error


def process_payload(
    payload: JsonObject, disclosures: Sequence[str], *, limits: Limits = DEFAULT_LIMITS, signed: bytes = b""
) -> Processed:
    """Put each disclosure where its digest stands, and take the digests out (RFC 9901 §7.1 steps 2d to 5).

    payload: as signed; it is consumed, the result is built in it. signed: the text that it was read from, if at hand;
    a look at it tells whether the digests all stand in one place.

    Raises:
        SdJwtError: `.reason` names the rule that is broken, or the limit.
    """
    top_only = signed.count(b'"_sd') == ("_sd" in payload) + ("_sd_alg" in payload) and _is_plain(signed)
    sd_alg = payload.pop("_sd_alg", DEFAULT_SD_ALG)
    if not isinstance(sd_alg, str) or sd_alg not in HASH_ALGORITHMS:
        raise SdJwtError(ReasonCode.HASH_ALGORITHM_NOT_ALLOWED, "_sd_alg")
    if len(disclosures) > limits.max_disclosures:
        raise SdJwtError(ReasonCode.LIMIT_EXCEEDED, "number of disclosures")
    hidden: _Hidden = {}
    if disclosures:
        raw = "~".join(disclosures).encode()
        texts = raw.split(b"~")
        digests = digests_of(texts, sd_alg=sd_alg)
        together = _decode_together(raw, texts, limits)
        if top_only and together is not None and together.hides_nothing and limits.max_depth > limits.max_json_depth:
            shown = _insert_at_top(payload, disclosures, digests, together.contents)
            if shown is not None:
                return Processed(payload, cast(IssuedObject, payload), shown, sd_alg)
        contents = _decode_one_by_one(texts, limits) if together is None else together.contents
        hidden = dict(zip(digests, zip(disclosures, contents, strict=True), strict=True))
        if len(hidden) != len(disclosures):
            raise SdJwtError(ReasonCode.DISCLOSURE_UNREFERENCED, "the same disclosure twice")
    disclosed, has_gaps = _insert(payload, hidden, limits.max_depth)
    if hidden:
        raise SdJwtError(ReasonCode.DISCLOSURE_UNREFERENCED)
    issued = cast(IssuedObject, payload)
    return Processed(_without_gaps(issued) if has_gaps else payload, issued, tuple(disclosed), sd_alg)


def digests_of(texts: Sequence[bytes], *, sd_alg: str) -> list[str]:
    """The digest of each text as base64url, in order (RFC 9901 §4.2.3). sd_alg: one of `HASH_ALGORITHMS`."""
    new, size, filler = HASH_ALGORITHMS[sd_alg]
    # one conversion for all: each digest is completed to whole groups, whose last characters are cut off again
    joined = filler.join([new(text).digest() for text in texts]) + filler
    text = binascii.b2a_base64(joined, newline=False).translate(_TO_URL).decode("ascii")
    step = size + len(filler)
    return [text[start : start + size] for start in range(0, len(texts) * step, step)]


_Hidden: TypeAlias = dict[str, tuple[str, JsonValue]]  # digest → the disclosure and what it says


def _insert_at_top(
    payload: JsonObject, disclosures: Sequence[str], digests: Sequence[str], contents: Sequence[JsonValue]
) -> tuple[Disclosed, ...] | None:
    """`_insert` where no digest stands anywhere but in the payload's own `_sd`, which is the usual case, all at once.

    None: something is unusual or wrong, which `_insert` will tell; the payload is as it was.
    """
    offered = payload.get("_sd")
    if type(offered) is not list or set(map(type, offered)) != _TEXT:
        return None
    seen = set(offered)
    if len(seen) != len(offered) or not seen.issuperset(digests):
        return None
    if set(map(type, contents)) != _LIST or set(map(len, contents)) != _THREE:  # type: ignore[arg-type]  # all lists
        return None
    salts, names, values = zip(*contents, strict=True)
    if set(map(type, salts)) != _TEXT or set(map(type, names)) != _TEXT:
        return None
    members = dict(zip(names, values, strict=True))
    if len(members) != len(names) or not RESERVED_NAMES.isdisjoint(members) or not payload.keys().isdisjoint(members):
        return None
    del payload["_sd"]
    payload.update(members)
    return tuple(map(Disclosed, zip(names, strict=True), disclosures))


def _is_plain(text: bytes) -> bool:
    """Whether each member of a JSON text stands there by its letters, and none is the `...` of a hidden element."""
    return bool(text) and b"\\" not in text and b'"..."' not in text


def _insert(payload: JsonObject, hidden: _Hidden, max_depth: int) -> tuple[list[Disclosed], bool]:
    # each found disclosure leaves `hidden`; a stack instead of recursion, so that depth costs memory only
    seen: set[str] = set()
    disclosed: list[Disclosed] = []
    has_gaps = False
    stack: list[tuple[dict[str, Any] | list[Any], Path]] = [(payload, ())]
    while stack:
        node, path = stack.pop()
        if len(path) >= max_depth:
            raise SdJwtError(ReasonCode.LIMIT_EXCEEDED, "depth")
        if type(node) is dict:
            if "..." in node or "_sd_alg" in node:
                raise SdJwtError(ReasonCode.CLAIM_NAME_FORBIDDEN, "... or _sd_alg")
            digests = node.pop("_sd", _NO_DIGESTS)
            for member, inner in node.items():
                if type(inner) is dict or type(inner) is list:
                    stack.append((inner, (*path, member)))
            if digests is _NO_DIGESTS:
                continue
            for digest in _new_digests(digests, seen):
                found = hidden.pop(digest, None)
                if found is None:
                    continue
                disclosure, content = found
                if type(content) is not list or len(content) != 3 or type(content[0]) is not str:
                    raise SdJwtError(ReasonCode.DISCLOSURE_MALFORMED, "a member is disclosed by [salt, name, value]")
                name, value = content[1], content[2]
                if type(name) is not str:
                    raise SdJwtError(ReasonCode.DISCLOSURE_MALFORMED, "a claim name is text")
                if name in RESERVED_NAMES:
                    raise SdJwtError(ReasonCode.CLAIM_NAME_FORBIDDEN, "in a disclosure")
                if name in node:
                    raise SdJwtError(ReasonCode.CLAIM_COLLISION)
                node[name] = value
                place = (*path, name)
                disclosed.append(Disclosed(place, disclosure))
                if type(value) is dict or type(value) is list:
                    stack.append((value, place))
        elif type(node) is list:
            for position, element in enumerate(node):
                if type(element) is dict and "..." in element:
                    if len(element) != 1:
                        raise SdJwtError(ReasonCode.CLAIM_NAME_FORBIDDEN, "... beside other members")
                    (digest,) = _new_digests([element["..."]], seen)
                    found = hidden.pop(digest, None)
                    if found is None:
                        node[position] = UNDISCLOSED
                        has_gaps = True
                        continue
                    disclosure, content = found
                    if type(content) is not list or len(content) != 2 or type(content[0]) is not str:
                        raise SdJwtError(ReasonCode.DISCLOSURE_MALFORMED, "an element is disclosed by [salt, value]")
                    node[position] = element = content[1]
                    disclosed.append(Disclosed((*path, position), disclosure))
                if type(element) is dict or type(element) is list:
                    stack.append((element, (*path, position)))
    return disclosed, has_gaps


_NO_DIGESTS = object()


def _new_digests(digests: object, seen: set[str]) -> list[str]:
    if type(digests) is not list or not set(map(type, digests)) <= _TEXT:
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "digests are text, in an array")
    known = len(seen)
    seen.update(digests)
    if len(seen) != known + len(digests):
        raise SdJwtError(ReasonCode.DIGEST_REPEATED)
    return digests


_TEXT, _LIST, _THREE = {str}, {list}, {3}


# base64 of a JSON array's begin and end, and of what stands between two disclosures in it: whole groups, so that the
# disclosures' groups stay where they are
_BEGIN, _BETWEEN, _END = (binascii.b2a_base64(text, newline=False) for text in (b"[0,", b',"~~",', b",0]"))


class _Together(NamedTuple):
    contents: list[JsonValue]
    hides_nothing: bool  # no digest can stand in any of them


def _decode_together(raw: bytes, texts: Sequence[bytes], limits: Limits) -> _Together | None:
    """All disclosures read as one JSON array, a marker between each two; None where that proves nothing.

    They must fill whole groups of base64, as ours do. The text is exactly what its values are written as, so no member
    is repeated, and a marker can only be where the marker's bytes are. These occur as often as markers were put, and
    the values alternate with markers: so each disclosure is one value.
    """
    if len(b"".join(texts)) != sum(len(text) & ~3 for text in texts):
        return None
    count = len(texts)
    encoded = _BEGIN + raw.translate(_TO_STANDARD).replace(b"~", _BETWEEN) + _END
    try:
        joined = binascii.a2b_base64(encoded, strict_mode=True)
        values = pydantic_core.from_json(joined, allow_inf_nan=False)
    except ValueError:
        return None
    brackets_inside = joined.count(b"[") + joined.count(b"{") - 1 - count
    if (
        joined.count(b'"~~"') != count - 1
        or len(values) != 2 * count + 1
        or values[2:-1:2] != ["~~"] * (count - 1)
        or brackets_inside >= limits.max_json_depth
        or pydantic_core.to_json(values) != joined
        or _LONG_NUMBER in joined.translate(_DIGITS_TO_ZERO)
    ):
        return None
    return _Together(values[1::2], b'"_sd' not in joined and _is_plain(joined))


def _decode_one_by_one(texts: Sequence[bytes], limits: Limits) -> list[JsonValue]:
    try:
        return [strict_json.parse(base64url.decode(text), max_depth=limits.max_json_depth) for text in texts]
    except Malformed as error:
        raise SdJwtError(ReasonCode.DISCLOSURE_MALFORMED, str(error)) from error


def _without_gaps(issued: IssuedObject) -> JsonObject:
    claims: JsonObject = {}
    stack: list[tuple[dict[str, Any] | list[Any], dict[str, Any] | list[Any]]] = [(issued, claims)]
    while stack:
        source, target = stack.pop()
        if type(source) is dict:
            assert type(target) is dict
            for name, value in source.items():
                target[name] = _emptied(value, stack)
        else:
            assert type(target) is list
            for value in source:
                if value is not UNDISCLOSED:
                    target.append(_emptied(value, stack))
    return claims


def _emptied(value: Any, stack: list[tuple[dict[str, Any] | list[Any], dict[str, Any] | list[Any]]]) -> Any:
    if type(value) is dict or type(value) is list:
        copy: dict[str, Any] | list[Any] = type(value)()
        stack.append((value, copy))
        return copy
    return value
