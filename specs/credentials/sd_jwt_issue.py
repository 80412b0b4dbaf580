"""The issuer's side of SD-JWT: hide the marked claims behind digests, sign, hand over the disclosures (RFC 9901 §4).

Mark a member or element with `Sd(…)`; `DECOY` in an array is a digest that stands for nothing.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from json.encoder import encode_basestring as _quoted  # a text as JSON, the quotation marks with it
from math import isfinite
from typing import Final, Literal, NamedTuple, TypeAlias

import pydantic_core

from specs.credentials.sd_jwt import DEFAULT_LIMITS, DEFAULT_SD_ALG, RESERVED_NAMES, SdJwtError, digests_of
from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonValue
from specs.keys.signer import Signer
from specs.refusal import ReasonCode

RandomBytes: TypeAlias = Callable[[int], bytes]

_SALT_BYTES, _SALT_TEXT = 18, 24  # 144 bits, and how many characters they are


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

    segment: bytes
    alg: str


class UnsignedSdJwt(NamedTuple):
    """An SD-JWT that lacks its signature only, so that one call of a security module can sign many.

    disclosures: with a `~` before and behind each.
    """

    signing_input: bytes
    disclosures: bytes

    def with_signature(self, signature: bytes) -> str:
        """The compact SD-JWT. signature: raw, over `signing_input`."""
        return b"".join((self.signing_input, b".", base64url.encode_as_bytes(signature), self.disclosures)).decode(
            "ascii"
        )


def issuer_header(*, alg: str, typ: str, header: Mapping[str, JsonValue] | None = None) -> IssuerHeader:
    """Write a protected header: `alg`, `typ` and further members such as `x5c` (RFC 9901 §4.1)."""
    members = {"alg": alg, "typ": typ, **(header or {})}
    return IssuerHeader(base64url.encode_as_bytes(strict_json.dumps(members)), alg)


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
    return unsigned.with_signature(signer.sign(unsigned.signing_input))


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
    hiding = _Hiding([], sd_alg, decoys, rng)
    payload = _hide_members(claims, hiding, 1)
    disclosures = b"~"
    if hiding.disclosures or "_sd" in payload:
        payload["_sd_alg"] = sd_alg
        disclosures = b"~".join((b"", *hiding.disclosures, b""))
    body = base64url.encode_as_bytes(pydantic_core.to_json(payload))
    return UnsignedSdJwt(b"".join((header.segment, b".", body)), disclosures)


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


class _Hiding(NamedTuple):
    disclosures: list[bytes]
    sd_alg: str
    decoys: int
    rng: RandomBytes


def _hide_members(members: Claims, hiding: _Hiding, depth: int) -> dict[str, object]:
    if not RESERVED_NAMES.isdisjoint(members):
        raise SdJwtError(ReasonCode.CLAIM_NAME_FORBIDDEN, "in the claims to issue")
    shown: dict[str, object] = {}
    hidden: list[bytes] = []
    salts = ""
    at = 0
    for name, value in members.items():
        kind = type(value)
        if kind is Sd:
            inner = value.value  # type: ignore[union-attr]  # of this kind
            written = _quoted(inner) if type(inner) is str else _written(inner, hiding, depth)
            salts = salts or base64url.encode(hiding.rng(_SALT_BYTES * len(members)))
            hidden.append(f'["{salts[at : at + _SALT_TEXT]}",{_quoted(name)},{written}]'.encode())
            at += _SALT_TEXT
        else:
            shown[name] = value if kind in _SCALARS else _hide(value, hiding, depth)
    if hidden:
        digests = _disclose(hidden, hiding)
        if hiding.decoys:
            digests += _decoy_digests(hiding.decoys, hiding)
        digests.sort()  # their order must not tell the claims' order (§4.2.4.1)
        shown["_sd"] = digests
    return shown


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
        salt = base64url.encode(hiding.rng(_SALT_BYTES))
        return {"...": _disclose([f'["{salt}",{_written(element.value, hiding, depth)}]'.encode()], hiding)[0]}
    if isinstance(element, Decoy):
        return {"...": _decoy_digests(1, hiding)[0]}
    return _hide(element, hiding, depth)


def _written(value: Claim, hiding: _Hiding, depth: int) -> str:
    """A value as JSON, with what is hidden inside it."""
    return pydantic_core.to_json(_hide(value, hiding, depth)).decode("utf-8")


def _disclose(contents: Sequence[bytes], hiding: _Hiding) -> list[str]:
    """The digests of disclosures, which are given their encoding (RFC 9901 §4.2.1 to §4.2.3)."""
    disclosures = base64url.encode_each(contents, between=b"~").split(b"~")
    hiding.disclosures.extend(disclosures)
    return digests_of(disclosures, sd_alg=hiding.sd_alg)


def _decoy_digests(count: int, hiding: _Hiding) -> list[str]:
    return digests_of([hiding.rng(32) for _ in range(count)], sd_alg=hiding.sd_alg)
