"""Type metadata: what the publisher of a credential type says about its claims (draft-ietf-oauth-sd-jwt-vc-13 §6-§9).

Nothing is fetched here. `load_type` asks the caller for each document of the `extends` chain, parent after child, and
merges them; `check_claims` holds a credential against the result (draft-18 §5.6, §5.7 where it is stricter).
"""

import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from specs.credentials.sd_jwt import UNDISCLOSED, IssuedObject, IssuedValue, Path, Processed, SdJwtError
from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.refusal import ReasonCode

ClaimPath: TypeAlias = tuple[str | int | None, ...]
"""As in DCQL: a member's name, a position in an array, or None for each element."""

MAX_BYTES = 256 * 1024
MAX_CHAIN = 8
_SRI_HASHES = {"sha512": hashlib.sha512, "sha384": hashlib.sha384, "sha256": hashlib.sha256}  # strongest first


class Disclosability(StrEnum):
    """Whether an issuer makes a claim selectively disclosable (§9.3)."""

    ALWAYS = "always"
    ALLOWED = "allowed"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class TypeDisplay:
    """A type's name for people in one language (§8). rendering: as published; text in it must be escaped before use."""

    locale: str
    name: str
    description: str | None
    rendering: JsonObject | None


@dataclass(frozen=True, slots=True)
class ClaimDisplay:
    """A claim's label for people in one language (§9.2)."""

    locale: str
    label: str
    description: str | None


@dataclass(frozen=True, slots=True)
class ClaimMetadata:
    """What is said about the claims that one path selects (§9)."""

    path: ClaimPath
    display: tuple[ClaimDisplay, ...]
    mandatory: bool
    sd: Disclosability
    svg_id: str | None


@dataclass(frozen=True, slots=True)
class TypeMetadata:
    """One document (§6.2), or a chain of them merged. lineage: the type and all that it extends, itself first."""

    vct: str
    name: str | None
    description: str | None
    extends: str | None
    extends_integrity: str | None
    display: tuple[TypeDisplay, ...] | None
    claims: tuple[ClaimMetadata, ...]
    lineage: tuple[str, ...]


def check_integrity(document: bytes, integrity: str) -> None:
    """Compare a document's octets with an SRI text (§7): of the hashes that we know, the strongest decides.

    Raises:
        SdJwtError: TYPE_METADATA_INVALID: no hash that we know, not standard base64, or another document.
    """
    given: dict[str, list[bytes]] = {}
    for token in integrity.split():
        name, _, text = token.partition("?")[0].partition("-")
        if name in _SRI_HASHES:
            try:
                given.setdefault(name, []).append(binascii.a2b_base64(text.encode("ascii"), strict_mode=True))
            except (binascii.Error, UnicodeEncodeError) as error:
                raise _invalid("integrity is not standard base64") from error
    for name, new in _SRI_HASHES.items():
        if name in given:
            if new(document).digest() in given[name]:
                return
            raise _invalid("another document than the one that integrity names")
    raise _invalid("integrity by no hash that we know")


def integrity_of(document: bytes) -> str:
    """The SRI text of a document, with SHA-256 (§7)."""
    return "sha256-" + binascii.b2a_base64(hashlib.sha256(document).digest(), newline=False).decode("ascii")


def parse_type_metadata(document: bytes, *, expected_vct: str, integrity: str | None = None) -> TypeMetadata:
    """Read one document (§6.2). Unknown members are ignored.

    expected_vct: the reference that led here. integrity: its `…#integrity`, if there was one.

    Raises:
        SdJwtError: TYPE_METADATA_INVALID, or LIMIT_EXCEEDED.
    """
    if len(document) > MAX_BYTES:
        raise SdJwtError(ReasonCode.LIMIT_EXCEEDED, "type metadata")
    if integrity is not None:
        check_integrity(document, integrity)
    try:
        members = strict_json.parse_object(document)
        vct = _text(members, "vct")
        if vct != expected_vct:
            raise Malformed("another vct than the reference's")
        extends = _text(members, "extends") if "extends" in members else None
        return TypeMetadata(
            vct,
            _optional_text(members, "name"),
            _optional_text(members, "description"),
            extends,
            _optional_text(members, "extends#integrity"),
            tuple(_type_display(item) for item in _objects(members, "display")) if "display" in members else None,
            _claims(members),
            (vct,),
        )
    except Malformed as error:
        raise _invalid(str(error)) from error


def load_type(
    vct: str,
    *,
    integrity: str | None,
    documents: Mapping[str, bytes] | Callable[[str], bytes | None],
    require_integrity: bool = False,
) -> TypeMetadata:
    """Read a type and all that it extends, and merge them (§6.4, §8.2, §9.5).

    documents: the octets that were published for each reference, fetched or held before. require_integrity: each
    reference must name the hash of its document, so that only who signed the first one says what the type is.

    Raises:
        SdJwtError: TYPE_METADATA_INVALID: a hash is missing where one is required, a document is missing or wrong, the
            chain is a circle or longer than eight, or a child loosens what its parent demands.
    """
    find = documents if callable(documents) else documents.get
    chain: list[TypeMetadata] = []
    reference: str | None = vct
    while reference is not None:
        if any(earlier.vct == reference for earlier in chain):
            raise _invalid("extends in a circle")
        if len(chain) == MAX_CHAIN:
            raise _invalid("extends too often")
        if require_integrity and integrity is None:
            raise _invalid("a reference without integrity")
        document = find(reference)
        if document is None:
            raise _invalid("a document is missing")
        found = parse_type_metadata(document, expected_vct=reference, integrity=integrity)
        chain.append(found)
        reference, integrity = found.extends, found.extends_integrity
    merged = chain.pop()
    while chain:
        merged = _extend(merged, chain.pop())
    return merged


def check_claims(metadata: TypeMetadata, processed: Processed) -> None:
    """Hold a presented credential against its type (§9.3, §9.4; draft-18 §5.6, §5.7).

    Only what can be seen counts: a mandatory claim that the holder may have withheld is not missing.

    Raises:
        SdJwtError: TYPE_METADATA_INVALID: a claim is disclosable that must not be, permanent that must be disclosable,
            or absent although it is mandatory and never disclosable.
    """
    places = set(processed.places)
    for claim in metadata.claims:
        for place in _select(processed.issued, claim.path):
            if claim.sd is Disclosability.NEVER and place in places:
                raise _invalid("a claim is disclosable that must not be")
            # what is inside a disclosable claim can be withheld with it
            if claim.sd is Disclosability.ALWAYS and not any(place[:end] in places for end in range(1, len(place) + 1)):
                raise _invalid("a claim is permanent that must be disclosable")
        if claim.mandatory and claim.sd is Disclosability.NEVER and _is_missing(processed.issued, claim.path):
            raise _invalid("a mandatory claim is missing")


def _is_missing(issued: IssuedObject, path: ClaimPath) -> bool:
    """Whether an object is shown that must have a member of the path's last name, and has not."""
    enclosing = [value for _, value in _walk(issued, path[:-1])]
    return any(isinstance(value, dict) and path[-1] not in value for value in enclosing)


def _extend(parent: TypeMetadata, child: TypeMetadata) -> TypeMetadata:
    claims = {claim.path: claim for claim in parent.claims}
    for claim in child.claims:
        inherited = claims.get(claim.path)
        if inherited is not None:
            if inherited.sd is not Disclosability.ALLOWED and claim.sd is not inherited.sd:
                raise _invalid("a child changes sd of its parent")
            if inherited.mandatory and not claim.mandatory:
                raise _invalid("a child makes a mandatory claim optional")
        claims[claim.path] = claim
    return replace(
        child,
        display=parent.display if child.display is None else child.display,
        claims=tuple(claims.values()),
        lineage=child.lineage + parent.lineage,
    )


def _select(issued: IssuedObject, path: ClaimPath) -> list[Path]:
    return [place for place, _ in _walk(issued, path)]


def _walk(issued: IssuedObject, path: ClaimPath) -> list[tuple[Path, IssuedValue]]:
    found: list[tuple[Path, IssuedValue]] = [((), issued)]
    for step in path:
        inner: list[tuple[Path, IssuedValue]] = []
        for place, value in found:
            if isinstance(value, dict):
                if isinstance(step, str) and step in value:
                    inner.append(((*place, step), value[step]))
            elif isinstance(value, list) and not isinstance(step, str):
                inner.extend(
                    ((*place, at), element)
                    for at, element in enumerate(value)
                    if (step is None or step == at) and element is not UNDISCLOSED
                )
        found = inner
    return found


def _claims(members: JsonObject) -> tuple[ClaimMetadata, ...]:
    if "claims" not in members:
        return ()
    claims = tuple(_claim(item) for item in _objects(members, "claims"))
    if len({claim.path for claim in claims}) != len(claims):
        raise Malformed("a path is described twice")
    svg_ids = [claim.svg_id for claim in claims if claim.svg_id is not None]
    if len(set(svg_ids)) != len(svg_ids):
        raise Malformed("an svg_id is used twice")
    return claims


def _claim(members: JsonObject) -> ClaimMetadata:
    mandatory = members.get("mandatory", False)
    if not isinstance(mandatory, bool):
        raise Malformed("mandatory is true or false")
    sd = members.get("sd", "allowed")
    if not isinstance(sd, str) or sd not in set(Disclosability):
        raise Malformed("sd is always, allowed or never")
    svg_id = _optional_text(members, "svg_id")
    if svg_id is not None and not (svg_id.isascii() and svg_id.isidentifier()):
        raise Malformed("svg_id is letters, digits and underscores, no digit first")
    display = tuple(
        ClaimDisplay(_text(item, "locale"), _text(item, "label"), _optional_text(item, "description"))
        for item in (_objects(members, "display") if "display" in members else ())
    )
    return ClaimMetadata(_path(members.get("path")), display, mandatory, Disclosability(sd), svg_id)


def _path(value: JsonValue) -> ClaimPath:
    if not isinstance(value, list) or not value:
        raise Malformed("path is a non-empty array")
    steps: list[str | int | None] = []
    for step in value:
        if isinstance(step, str) or step is None or (type(step) is int and step >= 0):
            steps.append(step)
        else:
            raise Malformed("a step of a path is text, a position or null")
    return tuple(steps)


def _type_display(members: JsonObject) -> TypeDisplay:
    rendering = members.get("rendering")
    if rendering is not None and not isinstance(rendering, dict):
        raise Malformed("rendering is an object")
    return TypeDisplay(
        _text(members, "locale"), _text(members, "name"), _optional_text(members, "description"), rendering
    )


def _objects(members: JsonObject, name: str) -> list[JsonObject]:
    values = members[name]
    if not isinstance(values, list):
        raise Malformed(f"{name} is an array")
    objects: list[JsonObject] = []
    for value in values:
        if not isinstance(value, dict):
            raise Malformed(f"{name} holds objects")
        objects.append(value)
    return objects


def _text(members: JsonObject, name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value:
        raise Malformed(f"{name} is text")
    return value


def _optional_text(members: JsonObject, name: str) -> str | None:
    return _text(members, name) if name in members else None


def _invalid(detail: str) -> SdJwtError:
    return SdJwtError(ReasonCode.TYPE_METADATA_INVALID, detail)
