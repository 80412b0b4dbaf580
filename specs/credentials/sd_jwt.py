"""SD-JWT: a signed JSON object whose holder chooses which of its claims to show (RFC 9901).

The issuer signs digests; a disclosure is the text that one digest stands for. Reading the compact form: §4, §7.1. JSON
forms, key binding, issuing and presenting have modules of their own beside this one.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.json_texts import JsonTexts, read_together
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import Jws, PublicKey, verify_jws
from specs.refusal import ReasonCode, Refusal


class SdJwtError(Refusal):
    """An SD-JWT or one of its parts does not hold."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How large an SD-JWT may be before we stop reading it.

    max_bytes: of the whole serialisation. max_disclosures: their number. max_json_depth: arrays and objects inside each
    other in the payload, in that of the KB-JWT and in each disclosure. max_depth: the same in the tree that payload and
    disclosures make together.
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


class SdJwt(NamedTuple):
    """An SD-JWT, or SD-JWT+KB, taken apart.

    parts: issuer-signed JWT, disclosures, KB-JWT or nothing. texts: what the payload, that of the KB-JWT if there is
    one, and the disclosures say, if they could be read together; believed by nobody yet.
    """

    parts: tuple[bytes, ...]
    texts: JsonTexts | None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SdJwt) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    @property
    def issuer_jwt(self) -> str:
        """The issuer-signed JWT."""
        return self.parts[0].decode("ascii")

    @property
    def disclosures(self) -> tuple[str, ...]:
        """The disclosures in their order."""
        return tuple([part.decode("ascii") for part in self.parts[1:-1]])

    @property
    def kb_jwt(self) -> str | None:
        """The KB-JWT."""
        return self.parts[-1].decode("ascii") or None

    @property
    def hashed_part(self) -> bytes:
        """All up to the last `~`, what a KB-JWT signs by `sd_hash`."""
        return b"~".join((*self.parts[:-1], b""))


class Disclosed(NamedTuple):
    """One disclosure and the place of its claim: member names, and positions in arrays as issued."""

    path: Path
    disclosure: str


class Processed(NamedTuple):
    """The signed payload with the disclosures put in their places (RFC 9901 §7.1). Read only: the trees share branches.

    claims: what an application sees, undisclosed elements gone. issued: the same with `UNDISCLOSED` where an array
    element is hidden, so that positions are the issuer's. places, disclosures: each disclosure's place, and itself.
    """

    claims: JsonObject
    issued: IssuedObject
    places: tuple[Path, ...]
    disclosures: Sequence[bytes]
    sd_alg: str

    @property
    def disclosed(self) -> tuple[Disclosed, ...]:
        """The disclosures with their places."""
        return tuple([Disclosed(*each) for each in zip(self.places, map(bytes.decode, self.disclosures), strict=True)])


HASH_ALGORITHMS: Mapping[str, Callable[[bytes], "hashlib._Hash"]] = {
    "sha-256": hashlib.sha256,
    "sha-384": hashlib.sha384,
    "sha-512": hashlib.sha512,
}
DEFAULT_SD_ALG = "sha-256"

RESERVED_NAMES = frozenset({"_sd", "_sd_alg", "..."})


def parse_sd_jwt(text: str, *, limits: Limits = DEFAULT_LIMITS) -> SdJwt:
    """Split a compact SD-JWT or SD-JWT+KB (RFC 9901 §4); nothing is believed yet, base64url is read with each part.

    Raises:
        SdJwtError: no `~`, an empty part, not as many dots as its JWTs have, or too large.
    """
    if len(text) > limits.max_bytes:
        raise SdJwtError(ReasonCode.LIMIT_EXCEEDED, "SD-JWT size")
    try:
        parts = tuple(text.encode("ascii").split(b"~", limits.max_disclosures + 2))
    except UnicodeEncodeError as error:
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "character") from error
    if len(parts) < 2:
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "no tilde")
    if len(parts) > limits.max_disclosures + 2:
        raise SdJwtError(ReasonCode.LIMIT_EXCEEDED, "number of disclosures")
    issuer_jwt, disclosures, kb_jwt = parts[0].split(b".", 3), parts[1:-1], parts[-1]
    jwts = (issuer_jwt, kb_jwt.split(b".", 3)) if kb_jwt else (issuer_jwt,)
    if len(issuer_jwt) != 3 or len(jwts[-1]) != 3:
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "dots")
    texts = read_together([*[jwt[1] for jwt in jwts], *disclosures], max_depth=limits.max_json_depth)
    if texts is None and (b"" in disclosures or any(b"." in part for part in disclosures)):
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "empty part, or dots in a disclosure")
    return SdJwt(parts, texts)


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


def read_payload(sd_jwt: SdJwt, jws: Jws, *, limits: Limits = DEFAULT_LIMITS) -> Processed:
    """The payload of the issuer-signed JWT with the disclosures in their places (RFC 9901 §7.1 steps 2d to 5).

    jws: the issuer-signed JWT; its signature is another question.

    Raises:
        SdJwtError: as `parse_payload` and `process_payload`.
    """
    return _inserted_at_top(sd_jwt, limits) or process_payload(
        parse_payload(jws, limits=limits), sd_jwt.disclosures, limits=limits
    )


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
    texts = [text.encode() for text in disclosures]
    hidden: _Hidden = {}
    if texts:
        contents = _contents(texts, limits)
        hidden = dict(zip(digests_of(texts, sd_alg=sd_alg), zip(texts, contents, strict=True), strict=True))
        if len(hidden) != len(texts):
            raise SdJwtError(ReasonCode.DISCLOSURE_UNREFERENCED, "the same disclosure twice")
    shown, has_gaps = _insert(payload, hidden, limits.max_depth)
    if hidden:
        raise SdJwtError(ReasonCode.DISCLOSURE_UNREFERENCED)
    issued = cast(IssuedObject, payload)
    return Processed(
        _without_gaps(issued) if has_gaps else payload, issued, tuple(shown), tuple(shown.values()), sd_alg
    )


def digests_of(texts: Sequence[bytes], *, sd_alg: str) -> list[str]:
    """The digest of each text as base64url, in order (RFC 9901 §4.2.3). sd_alg: one of `HASH_ALGORITHMS`."""
    new = HASH_ALGORITHMS[sd_alg]
    return base64url.encode_each([new(text).digest() for text in texts], between=b"~").decode("ascii").split("~")


_Hidden: TypeAlias = dict[str, tuple[bytes, JsonValue]]  # digest → the disclosure and what it says


def _inserted_at_top(sd_jwt: SdJwt, limits: Limits) -> Processed | None:
    """`process_payload` at once where digests stand nowhere but in the payload's own `_sd`, which is the usual case.

    None: something is unusual or wrong, which the long way will tell; nothing was changed.
    """
    texts = sd_jwt.texts
    if texts is None or limits.max_depth <= limits.max_json_depth:
        return None
    payload, joined = texts.values[0], texts.joined
    contents = texts.values[2 if sd_jwt.parts[-1] else 1 :]
    if type(payload) is not dict or not contents:
        return None
    # each member must stand there by its letters; `...` is a hidden element, a further `_sd` another place of digests
    if b"\\" in joined or b'"..."' in joined or joined.count(b'"_sd') != ("_sd" in payload) + ("_sd_alg" in payload):
        return None
    offered, sd_alg = payload.get("_sd"), payload.get("_sd_alg", DEFAULT_SD_ALG)
    if type(offered) is not list or set(map(type, offered)) != _TEXT:
        return None
    if type(sd_alg) is not str or sd_alg not in HASH_ALGORITHMS:
        return None
    if set(map(type, contents)) != _ARRAY:
        return None
    try:
        salts, names, values = zip(*cast("list[list[JsonValue]]", contents), strict=True)
    except ValueError:
        return None  # not three in each
    if set(map(type, salts + names)) != _TEXT:
        return None
    members: JsonObject = dict(zip(names, values, strict=True))
    if (
        len(members) != len(contents)
        or not RESERVED_NAMES.isdisjoint(members)
        or not payload.keys().isdisjoint(members)
    ):
        return None
    disclosures = sd_jwt.parts[1:-1]
    digests, known = set(digests_of(disclosures, sd_alg=sd_alg)), set(offered)
    if len(digests) != len(disclosures) or len(known) != len(offered) or not known >= digests:
        return None
    issued = {**payload, **members}
    del issued["_sd"]
    issued.pop("_sd_alg", None)
    return Processed(issued, cast(IssuedObject, issued), tuple(zip(members, strict=True)), disclosures, sd_alg)


def _insert(payload: JsonObject, hidden: _Hidden, max_depth: int) -> tuple[dict[Path, bytes], bool]:
    # each found disclosure leaves `hidden`; a stack instead of recursion, so that depth costs memory only
    seen: set[str] = set()
    disclosed: dict[Path, bytes] = {}
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
                disclosed[place] = disclosure
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
                    disclosed[(*path, position)] = disclosure
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


_TEXT, _ARRAY = {str}, {list}


def _contents(texts: Sequence[bytes], limits: Limits) -> list[JsonValue]:
    together = read_together(texts, max_depth=limits.max_json_depth)
    if together is not None:
        return together.values
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
