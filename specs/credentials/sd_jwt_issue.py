"""The issuer's side of SD-JWT: hide the marked claims behind digests, sign, hand over the disclosures (RFC 9901 §4).

Mark a member or element with `Sd(…)`; `DECOY` in an array is a digest that stands for nothing.
"""

import secrets
from binascii import b2a_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Final, Literal, TypeAlias

import pydantic_core

from specs.credentials.sd_jwt import DEFAULT_LIMITS, DEFAULT_SD_ALG, RESERVED_NAMES, SdJwtError, digests_of
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonValue
from specs.keys.signer import Signer
from specs.refusal import ReasonCode

RandomBytes: TypeAlias = Callable[[int], bytes]

_TO_URL = bytes.maketrans(b"+/", b"-_")


class Decoy(Enum):
    """The type of `DECOY`."""

    DECOY = "decoy"


DECOY: Final = Decoy.DECOY


@dataclass(frozen=True, slots=True)
class Sd:
    """A claim that the holder may disclose or keep."""

    value: "Claim"


Claim: TypeAlias = "bool | int | float | str | Sequence[Claim] | Mapping[str, Claim] | Sd | Literal[Decoy.DECOY] | None"
Claims: TypeAlias = "Mapping[str, Claim]"


@dataclass(frozen=True, slots=True)
class IssuerHeader:
    """A protected header, encoded once for all credentials of one signer."""

    segment: str
    alg: str


@dataclass(frozen=True, slots=True)
class UnsignedSdJwt:
    """An SD-JWT that lacks its signature only, so that one call of a security module can sign many."""

    signing_input: str
    disclosures: tuple[str, ...]

    def with_signature(self, signature: bytes) -> str:
        """The compact SD-JWT. signature: raw, over `signing_input` as ASCII."""
        return "~".join((f"{self.signing_input}.{base64url.encode(signature)}", *self.disclosures, ""))


def issuer_header(*, alg: str, typ: str, header: Mapping[str, JsonValue] | None = None) -> IssuerHeader:
    """Write a protected header: `alg`, `typ` and further members such as `x5c` (RFC 9901 §4.1)."""
    return IssuerHeader(base64url.encode(strict_json.dumps({"alg": alg, "typ": typ, **(header or {})})), alg)


def build_sd_jwt(
    claims: Claims,
    *,
    signer: Signer,
    header: IssuerHeader,
    sd_alg: str = DEFAULT_SD_ALG,
    decoys: int = 0,
    rng: RandomBytes = secrets.token_bytes,
) -> str:
    """Issue a compact SD-JWT; arguments and errors as `prepare_sd_jwt`."""
    unsigned = prepare_sd_jwt(claims, header=header, sd_alg=sd_alg, decoys=decoys, rng=rng)
    return unsigned.with_signature(signer.sign(unsigned.signing_input.encode("ascii")))


def prepare_sd_jwt(
    claims: Claims,
    *,
    header: IssuerHeader,
    sd_alg: str = DEFAULT_SD_ALG,
    decoys: int = 0,
    rng: RandomBytes = secrets.token_bytes,
) -> UnsignedSdJwt:
    """Hide the marked claims and write the payload (RFC 9901 §4.1, §4.2).

    sd_alg: sha-256, sha-384 or sha-512. decoys: how many to add to each object that hides a member. rng: gives as many
    random bytes as asked; each salt has at least 144 bits.

    Raises:
        SdJwtError: a reserved claim name, a number that JSON has not, a decoy outside an array, nested too deeply.
    """
    disclosures: list[str] = []
    payload = _hide_members(claims, _Hiding(disclosures, sd_alg, decoys, rng), 1)
    if disclosures or "_sd" in payload:
        payload["_sd_alg"] = sd_alg
    return UnsignedSdJwt(f"{header.segment}.{base64url.encode(pydantic_core.to_json(payload))}", tuple(disclosures))


def mark_disclosable(claims: Mapping[str, JsonValue], *, paths: Iterable[tuple[str | int | None, ...]]) -> Claims:
    """Mark the claims that paths name with `Sd`. None: each element of an array. What is not there is passed over."""
    marked: object = claims
    # deepest first: a marked claim's inside is marked before it is
    for path in sorted(paths, key=len, reverse=True):
        marked = _mark(marked, path)
    assert isinstance(marked, dict)
    return marked


def _mark(value: object, path: tuple[str | int | None, ...]) -> object:
    if isinstance(value, Sd):
        return Sd(_mark(value.value, path)) if path else value  # type: ignore[arg-type]
    if not path:
        return Sd(value)  # type: ignore[arg-type]
    step, rest = path[0], path[1:]
    if isinstance(value, Mapping) and isinstance(step, str) and step in value:
        return {name: _mark(member, rest) if name == step else member for name, member in value.items()}
    if isinstance(value, list) and not isinstance(step, str):
        return [_mark(item, rest) if step is None or step == at else item for at, item in enumerate(value)]
    return value


@dataclass(frozen=True, slots=True)
class _Hiding:
    disclosures: list[str]
    sd_alg: str
    decoys: int
    rng: RandomBytes


def _hide_members(members: Claims, hiding: _Hiding, depth: int) -> dict[str, object]:
    open_members: dict[str, object] = {}
    hidden: list[object] = []
    if not RESERVED_NAMES.isdisjoint(members):
        raise SdJwtError(ReasonCode.CLAIM_NAME_FORBIDDEN, "in the claims to issue")
    for name, value in members.items():
        kind = type(value)
        if kind in _SCALARS:
            open_members[name] = value
        elif kind is Sd:
            inner = value.value  # type: ignore[union-attr]  # of this kind
            hidden.append((name, inner if type(inner) in _SCALARS else _hide(inner, hiding, depth)))
        else:
            open_members[name] = _hide(value, hiding, depth)
    if hidden:
        digests = _disclose(hidden, hiding)
        if hiding.decoys:
            digests += _decoy_digests(hiding.decoys, hiding)
        digests.sort()  # their order must not tell the claims' order (§4.2.4.1)
        open_members["_sd"] = digests
    return open_members


_SCALARS = frozenset({str, int, bool, type(None)})


def _hide(value: Claim, hiding: _Hiding, depth: int) -> object:
    if type(value) is dict and depth < DEFAULT_LIMITS.max_depth:
        return _hide_members(value, hiding, depth + 1)
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            raise SdJwtError(ReasonCode.CLAIM_INVALID, "a number that JSON has not")
        return value
    if depth >= DEFAULT_LIMITS.max_depth:
        raise SdJwtError(ReasonCode.LIMIT_EXCEEDED, "depth")
    if isinstance(value, Mapping):
        return _hide_members(value, hiding, depth + 1)
    if isinstance(value, (Sd, Decoy)):
        raise SdJwtError(ReasonCode.CLAIM_INVALID, "a marker where it marks nothing")
    return [_hide_element(element, hiding, depth + 1) for element in value]


def _hide_element(element: Claim, hiding: _Hiding, depth: int) -> object:
    if isinstance(element, Sd):
        return {"...": _disclose([(_hide(element.value, hiding, depth),)], hiding)[0]}
    if isinstance(element, Decoy):
        return {"...": _decoy_digests(1, hiding)[0]}
    return _hide(element, hiding, depth)


def _disclose(contents: Sequence[object], hiding: _Hiding) -> list[str]:
    """Salt, write and digest disclosures. contents: (name, value), or (value,) of an array's element.

    Each salt is 24 to 26 random characters, as many as make the text a multiple of three bytes: so all of them are
    turned into base64url at once, and no salt has less than 144 bits.
    """
    pool = b2a_base64(hiding.rng(20 * len(contents)), newline=False).translate(_TO_URL)
    texts, ends = [], []
    start = end = 0
    for content in _written(contents):
        size = len(content)
        texts.append(b'["%b",%b' % (pool[start : start + 24 + -size % 3], content[1:]))
        start += 26
        end += (size + 29) // 3 * 4  # 27 more bytes, and what makes it a multiple of three
        ends.append(end)
    encoded = b2a_base64(b"".join(texts), newline=False).translate(_TO_URL)
    disclosures = [encoded[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    hiding.disclosures.extend(b"~".join(disclosures).decode("ascii").split("~"))
    return digests_of(disclosures, sd_alg=hiding.sd_alg)


def _written(contents: Sequence[object]) -> list[bytes]:
    # written together with a marker between them; one by one where a text of theirs is the marker
    items: list[object] = ["~"] * (2 * len(contents) - 1)
    items[::2] = contents
    together = pydantic_core.to_json(items)
    if together.count(b'"~"') == len(contents) - 1:
        return together[1:-1].split(b',"~",')
    return [pydantic_core.to_json(content) for content in contents]


def _decoy_digests(count: int, hiding: _Hiding) -> list[str]:
    return digests_of([hiding.rng(32) for _ in range(count)], sd_alg=hiding.sd_alg)
