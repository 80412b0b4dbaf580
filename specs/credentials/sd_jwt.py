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

from specs.encoding import Malformed, strict_json
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


@dataclass(frozen=True, slots=True)
class Processed:
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
# by length modulo 4: what completes the last group, and which characters end it without bits beyond the data
_ENDINGS: Sequence[tuple[bytes, frozenset[int]]] = (
    (b"", frozenset(range(256))),
    (b"", frozenset()),
    (b"==", frozenset(b"AQgw")),
    (b"=", frozenset(b"AEIMQUYcgkosw048")),
)


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


def process_payload(payload: JsonObject, disclosures: Sequence[str], *, limits: Limits = DEFAULT_LIMITS) -> Processed:
    """Put each disclosure where its digest stands, and take the digests out (RFC 9901 §7.1 steps 2d to 5).

    payload: as signed; it is consumed, the result is built in it.

    Raises:
        SdJwtError: `.reason` names the rule that is broken, or the limit.
    """
    sd_alg = payload.pop("_sd_alg", DEFAULT_SD_ALG)
    if not isinstance(sd_alg, str) or sd_alg not in HASH_ALGORITHMS:
        raise SdJwtError(ReasonCode.HASH_ALGORITHM_NOT_ALLOWED, "_sd_alg")
    if len(disclosures) > limits.max_disclosures:
        raise SdJwtError(ReasonCode.LIMIT_EXCEEDED, "number of disclosures")
    hidden: dict[str, tuple[str, list[JsonValue]]] = {}
    if disclosures:
        raw = "~".join(disclosures).encode().split(b"~")
        hidden = dict(
            zip(
                digests_of(raw, sd_alg=sd_alg),
                zip(disclosures, _decode_disclosures(raw, limits), strict=True),
                strict=True,
            )
        )
        if len(hidden) != len(raw):
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


def _insert(
    payload: JsonObject, hidden: dict[str, tuple[str, list[JsonValue]]], max_depth: int
) -> tuple[list[Disclosed], bool]:
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
                content = found[1]
                if len(content) != 3:
                    raise SdJwtError(ReasonCode.DISCLOSURE_MALFORMED, "a member's disclosure has three elements")
                name, value = content[1], content[2]
                if type(name) is not str:
                    raise SdJwtError(ReasonCode.DISCLOSURE_MALFORMED, "a claim name is text")
                if name in RESERVED_NAMES:
                    raise SdJwtError(ReasonCode.CLAIM_NAME_FORBIDDEN, "in a disclosure")
                if name in node:
                    raise SdJwtError(ReasonCode.CLAIM_COLLISION)
                node[name] = value
                place = (*path, name)
                disclosed.append(Disclosed(place, found[0]))
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
                    content = found[1]
                    if len(content) != 2:
                        raise SdJwtError(ReasonCode.DISCLOSURE_MALFORMED, "an element's disclosure has two elements")
                    node[position] = element = content[1]
                    disclosed.append(Disclosed((*path, position), found[0]))
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


_TEXT = {str}


def _decode_disclosures(raw: Sequence[bytes], limits: Limits) -> list[list[JsonValue]]:
    texts: list[bytes] = []
    try:
        for encoded in b"~".join(raw).translate(_TO_STANDARD).split(b"~"):
            padding, last = _ENDINGS[len(encoded) & 3]
            if encoded[-1] not in last:
                raise SdJwtError(ReasonCode.DISCLOSURE_MALFORMED, "not canonical base64url")
            texts.append(binascii.a2b_base64(encoded + padding, strict_mode=True))
    except (binascii.Error, IndexError) as error:
        raise SdJwtError(ReasonCode.DISCLOSURE_MALFORMED, "not base64url") from error
    contents = _parse_together(texts, limits) or _parse_one_by_one(texts, limits)
    for content in contents:
        if type(content) is not list or not 2 <= len(content) <= 3 or type(content[0]) is not str:
            raise SdJwtError(ReasonCode.DISCLOSURE_MALFORMED, "neither [salt, name, value] nor [salt, value]")
    return cast(list[list[JsonValue]], contents)


_BETWEEN = b',"~",'


def _parse_together(texts: Sequence[bytes], limits: Limits) -> list[JsonValue] | None:
    """All disclosures as one JSON array with a marker between them; None where that would not prove what each one says.

    The text is exactly what its values are written as, so no member is repeated, and a marker can only be where the
    marker's bytes are. They occur between the texts only, and are found between the values: so each text is one value.
    """
    count = len(texts)
    joined = b"[" + _BETWEEN.join(texts) + b"]"
    brackets_inside = joined.count(b"[") + joined.count(b"{") - 1 - count
    if (
        brackets_inside >= limits.max_json_depth
        or joined.count(b'"~"') != count - 1
        or _LONG_NUMBER in joined.translate(_DIGITS_TO_ZERO)
    ):
        return None
    try:
        values = pydantic_core.from_json(joined, allow_inf_nan=False)
    except ValueError:
        return None
    if len(values) != 2 * count - 1 or values[1::2] != ["~"] * (count - 1) or pydantic_core.to_json(values) != joined:
        return None
    return cast(list[JsonValue], values[::2])


def _parse_one_by_one(texts: Sequence[bytes], limits: Limits) -> list[JsonValue]:
    try:
        return [strict_json.parse(text, max_depth=limits.max_json_depth) for text in texts]
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
