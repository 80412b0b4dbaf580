"""Checks the claims that a city sends against their type, at the door: what passes can be minted without another look.

Every finding names the place of the claim as a JSON Pointer (RFC 6901) into the request, a stable code, and never the
value.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from issuer.catalog.schema import Claim, CredentialType, Member, ValueType
from specs.encoding.strict_json import JsonValue

PORTRAIT_PREFIX = "data:image/jpeg;base64,"
PORTRAIT_MAX_BYTES = 256 * 1024
PORTRAIT_MAX_SIDE = 4096  # pixels
PORTRAIT_MAX_PIXELS = 4_000_000
STRINGS_MAX = 20

_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})", re.ASCII)
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with one value of a request."""

    pointer: str  # RFC 6901
    code: str
    detail: str


class ClaimsRefused(Exception):
    """Claims that don't fit their type; `findings` has at least one entry."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__(f"{len(findings)} claims do not fit")
        self.findings = findings


def check_claims(
    claims: Mapping[str, JsonValue], *, credential_type: CredentialType, today: date, pointer: str
) -> dict[str, JsonValue]:
    """The claims as they will be minted: in the type's order, fixed values added.

    today: the city's date, for birth dates. pointer: where the claims stand in the request.

    Raises:
        ClaimsRefused: a claim is unknown, missing, of another type, or not among its values.
    """
    findings = [
        Finding(f"{pointer}/{_escape(name)}", "unknown_claim", "this credential type has no such claim")
        for name in claims
        if (known := credential_type.claim(name)) is None or known.is_fixed
    ]
    result: dict[str, JsonValue] = {}
    for claim in credential_type.claims:
        if claim.is_fixed:
            result[claim.name] = claim.value
        elif claim.name in claims:
            place = f"{pointer}/{claim.name}"
            findings.extend(_claim_findings(claims[claim.name], claim=claim, today=today, pointer=place))
            result[claim.name] = claims[claim.name]
        elif claim.mandatory:
            findings.append(Finding(f"{pointer}/{claim.name}", "missing_claim", "this claim is mandatory"))
    if findings:
        raise ClaimsRefused(tuple(findings))
    return result


def _claim_findings(value: JsonValue, *, claim: Claim, today: date, pointer: str) -> Iterator[Finding]:
    if claim.type is not ValueType.OBJECT:
        yield from _value_findings(value, rule=claim, today=today, pointer=pointer)
        return
    if not isinstance(value, dict):
        yield Finding(pointer, "wrong_type", "must be an object")
        return
    members = {member.name: member for member in claim.members}
    for name in value:
        if name not in members:
            yield Finding(f"{pointer}/{_escape(name)}", "unknown_claim", "this claim has no such member")
    for name, member in members.items():
        if name in value:
            yield from _value_findings(value[name], rule=member, today=today, pointer=f"{pointer}/{name}")
        elif member.mandatory:
            yield Finding(f"{pointer}/{name}", "missing_claim", "this member is mandatory")


def _value_findings(value: JsonValue, *, rule: Claim | Member, today: date, pointer: str) -> Iterator[Finding]:
    match rule.type:
        case ValueType.BOOLEAN:
            if not isinstance(value, bool):
                yield Finding(pointer, "wrong_type", "must be true or false")
        case ValueType.INTEGER:
            if isinstance(value, bool) or not isinstance(value, int):
                yield Finding(pointer, "wrong_type", "must be an integer")
            elif not rule.minimum <= value <= rule.maximum:
                yield Finding(pointer, "out_of_range", f"must be between {rule.minimum} and {rule.maximum}")
        case ValueType.STRINGS:
            yield from _strings_findings(value, rule=rule, pointer=pointer)
        case _ if not isinstance(value, str):
            yield Finding(pointer, "wrong_type", "must be a string")
        case ValueType.DATE | ValueType.PARTIAL_DATE:
            yield from _date_findings(value, rule=rule, today=today, pointer=pointer)
        case ValueType.MONTH:
            if not _MONTH.fullmatch(value):
                yield Finding(pointer, "wrong_format", "must be a month, YYYY-MM")
        case ValueType.PORTRAIT:
            if problem := _portrait_problem(value):
                yield Finding(pointer, "wrong_format", problem)
        case _:
            yield from _string_findings(value, rule=rule, pointer=pointer)


def _string_findings(value: str, *, rule: Claim | Member, pointer: str) -> Iterator[Finding]:
    if not value.strip():
        if value or not rule.allow_empty:
            yield Finding(pointer, "empty", "must not be empty")
    elif len(value) > rule.max_length:
        yield Finding(pointer, "too_long", f"must have {rule.max_length} characters at most")
    elif _CONTROL.search(value):
        yield Finding(pointer, "wrong_format", "must not contain control characters")
    elif rule.values and value not in rule.values:
        yield Finding(pointer, "not_allowed", f"must be one of {', '.join(rule.values)}")
    elif rule.pattern is not None and not re.fullmatch(rule.pattern, value):
        yield Finding(pointer, "wrong_format", "does not have the required form")


def _strings_findings(value: JsonValue, *, rule: Claim | Member, pointer: str) -> Iterator[Finding]:
    if not isinstance(value, list):
        yield Finding(pointer, "wrong_type", "must be an array of strings")
    elif not 1 <= len(value) <= STRINGS_MAX:
        yield Finding(pointer, "out_of_range", f"must have 1 to {STRINGS_MAX} entries")
    else:
        for number, item in enumerate(value):
            if isinstance(item, str):
                yield from _string_findings(item, rule=rule, pointer=f"{pointer}/{number}")
            else:
                yield Finding(f"{pointer}/{number}", "wrong_type", "must be a string")


def _date_findings(value: str, *, rule: Claim | Member, today: date, pointer: str) -> Iterator[Finding]:
    earliest = _earliest_day(value, partial=rule.type is ValueType.PARTIAL_DATE)
    if earliest is None:
        yield Finding(pointer, "wrong_format", "must be a date, YYYY-MM-DD")
    elif rule.not_in_future and earliest > today:
        yield Finding(pointer, "in_future", "must not be in the future")


def _earliest_day(value: str, *, partial: bool) -> date | None:
    """The first day that a date may mean; unknown parts are `00` where that is allowed."""
    match = _DATE.fullmatch(value)
    if match is None:
        return None
    year, month, day = (int(part) for part in match.groups())
    if partial and day == 0:
        month, day = month or 1, 1
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _portrait_problem(value: str) -> str | None:
    """Why this is no portrait that can be shown safely; the image is measured by its headers, never decompressed."""
    if not value.startswith(PORTRAIT_PREFIX):
        return f"must be a JPEG as data URL ({PORTRAIT_PREFIX}…)"
    if len(value) > PORTRAIT_MAX_BYTES * 4 // 3 + 64:
        return f"must be {PORTRAIT_MAX_BYTES} bytes at most"
    try:
        image = base64.b64decode(value[len(PORTRAIT_PREFIX) :], validate=True)
    except (binascii.Error, ValueError):
        return "is not base64"
    size = jpeg_size(image)
    if size is None:
        return "is no JPEG image"
    width, height = size
    if max(width, height) > PORTRAIT_MAX_SIDE or width * height > PORTRAIT_MAX_PIXELS:
        return f"must have {PORTRAIT_MAX_PIXELS} pixels and {PORTRAIT_MAX_SIDE} a side at most"
    return None


def jpeg_size(image: bytes) -> tuple[int, int] | None:
    """Width and height in pixels from a JPEG's frame header (ITU-T T.81 B.2.2); None if it is no complete JPEG.

    A second frame header is not accepted: decoders differ on which one counts.
    """
    if not (image.startswith(b"\xff\xd8") and image.endswith(b"\xff\xd9")):
        return None
    position, size = 2, None
    while position + 4 <= len(image) and image[position] == 0xFF:
        marker = image[position + 1]
        length = int.from_bytes(image[position + 2 : position + 4], "big")
        if marker in range(0xC0, 0xD0) and marker not in (0xC4, 0xC8, 0xCC):
            if size is not None or length < 8 or position + 9 > len(image):
                return None
            height = int.from_bytes(image[position + 5 : position + 7], "big")
            width = int.from_bytes(image[position + 7 : position + 9], "big")
            if width == 0 or height == 0:
                return None
            size = width, height
        if marker == 0xDA:  # the picture's data begins
            return size
        if length < 2:
            return None
        position += 2 + length
    return None


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
