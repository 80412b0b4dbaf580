"""What a registration certificate says, as types and as claims (ETSI TS 119 475 V1.1.1 and V1.2.1).

Both spellings of the standard are read, and what registrars are known to make of them; nothing is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from specs.credentials.signed_list import StatusListError
from specs.credentials.status_list import StatusReference, parse_status_reference
from specs.encoding import Malformed, numeric_date
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.dcql import FORMAT_MDOC
from specs.refusal import ReasonCode, Refusal

MAX_CREDENTIALS = 100

Path: TypeAlias = tuple[str | int | None, ...]


class RegistrationError(Refusal):
    """A registration certificate does not hold, or a question goes beyond it."""


@dataclass(frozen=True, slots=True)
class RegisteredClaim:
    """An attribute that may be asked: it, and all below it. values: only these may be asked for; None is any."""

    path: Path
    values: tuple[str | int | bool, ...] | None = None


@dataclass(frozen=True, slots=True)
class RegisteredCredential:
    """A credential that may be asked. types: `vct` values or one docType. claims: None is every attribute."""

    format: str
    types: tuple[str, ...]
    claims: tuple[RegisteredClaim, ...] | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """What a registration certificate says. Times: seconds since the epoch.

    subject: the party's identifier, as its access certificate bears it. purpose: by language tag. provides: (format,
    types) that it may issue. status: where its withdrawal stands.
    """

    subject: str
    name: str
    entitlements: frozenset[str]
    issued_at: int
    expires_at: int | None = None
    credentials: tuple[RegisteredCredential, ...] = ()
    provides: tuple[RegisteredCredential, ...] = ()
    purpose: Mapping[str, str] = field(default_factory=dict)
    privacy_policy: str | None = None
    support_uri: str | None = None
    intermediary: str | None = None
    public_body: bool = False
    status: StatusReference | None = None


def read_registration(claims: JsonObject) -> Registration:
    """Read the claims of a certificate, in either spelling.

    Raises:
        RegistrationError: REGISTRATION_MALFORMED.
    """
    subject = claims.get("sub")
    if isinstance(subject, dict):  # V1.1.1
        subject = subject.get("id")
    status = claims.get("status")
    intermediary = claims.get("intermediary", claims.get("act"))
    expires_at = claims.get("exp")
    entitlements = _texts(claims.get("entitlements"), "entitlements")
    if not entitlements:
        raise _malformed("entitlements")  # GEN-5.2.4-03
    try:
        return Registration(
            subject=_text(subject, "sub"),
            name=_text(claims.get("name"), "name"),
            entitlements=frozenset(entitlements),
            issued_at=int(numeric_date.parse(claims.get("iat"))),
            expires_at=None if expires_at is None else int(numeric_date.parse(expires_at)),
            credentials=_credentials(claims, "credentials", with_claims=True),
            provides=_credentials(claims, "provides_attestations", "provided_attestations", with_claims=False),
            purpose=_by_language(claims.get("purpose")),
            privacy_policy=_first(claims.get("privacy_policy"), "privacy_policy"),
            support_uri=_first(claims.get("support_uri"), "support_uri"),
            intermediary=_text(_object(intermediary, "intermediary").get("sub"), "sub") if intermediary else None,
            public_body=claims.get("public_body") is True,
            status=None if status is None else parse_status_reference(status),
        )
    except (Malformed, StatusListError) as error:
        raise _malformed(str(error)) from error


def _credentials(claims: JsonObject, *names: str, with_claims: bool) -> tuple[RegisteredCredential, ...]:
    found = [claims[name] for name in names if name in claims]
    if len(found) > 1:
        raise _malformed(f"{names[0]} in both spellings")
    entries = _array(found[0], names[0]) if found else []
    if len(entries) > MAX_CREDENTIALS:
        raise _malformed("too many credentials")
    return tuple(_credential(_object(entry, names[0]), with_claims=with_claims) for entry in entries)


def _credential(entry: JsonObject, *, with_claims: bool) -> RegisteredCredential:
    meta = _object(entry.get("meta"), "meta")
    types = _texts(meta.get("vct_values"), "vct_values")
    if not types:
        types = (_text(meta.get("doctype_value"), "a credential without a type"),)
    spellings = [entry[name] for name in ("claim", "claims") if name in entry]
    if len(spellings) > 1 or (with_claims and not spellings and entry.keys() - {"format", "meta"}):
        # a list under a name that we don't know must not read as "everything"
        raise _malformed("a credential whose attributes can't be told")
    registered = None
    if spellings:
        registered = tuple(_claim(_object(each, "claim")) for each in _array(spellings[0], "claim"))
    return RegisteredCredential(_text(entry.get("format"), "format"), types, registered)


def _claim(entry: JsonObject) -> RegisteredClaim:
    path = tuple(_step(each) for each in _array(entry.get("path"), "path"))
    if not path:
        raise _malformed("path")
    values = entry.get("values")
    return RegisteredClaim(path, None if values is None else tuple(map(_value, _array(values, "values"))))


def _step(value: JsonValue) -> str | int | None:
    if isinstance(value, (bool, float, list, dict)):
        raise _malformed("path")
    return value


def _value(value: JsonValue) -> str | int | bool:
    if not isinstance(value, (str, int)):
        raise _malformed("values")
    return value


def _by_language(value: JsonValue) -> dict[str, str]:
    """Texts by language: flat or nested lists, `content` or `value`, as registrars write them."""
    found: dict[str, str] = {}
    for entry in _array(value, "purpose"):
        for each in entry if isinstance(entry, list) else [entry]:
            text = _object(each, "purpose")
            found[_text(text.get("lang"), "lang")] = _text(text.get("content", text.get("value")), "content")
    return found


def _first(value: JsonValue, name: str) -> str | None:
    """An address, alone or as the first of a list (V1.1.1)."""
    if value is None:
        return None
    return _text(value[0] if isinstance(value, list) and value else value, name)


def _object(value: object, name: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _malformed(name)
    return value


def _array(value: JsonValue, name: str) -> list[JsonValue]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _malformed(name)
    return value


def _texts(value: JsonValue, name: str) -> tuple[str, ...]:
    return tuple(_text(each, name) for each in _array(value, name))


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise _malformed(name)
    return value


def write_registration(registration: Registration) -> JsonObject:
    """The claims of a certificate, in the spelling of V1.2.1."""
    written: JsonObject = {
        "sub": registration.subject,
        "name": registration.name,
        "entitlements": [*sorted(registration.entitlements)],
        "iat": registration.issued_at,
        "public_body": registration.public_body,
    }
    if registration.expires_at is not None:
        written["exp"] = registration.expires_at
    if registration.credentials:
        written["credentials"] = [_written_credential(entry) for entry in registration.credentials]
    if registration.provides:
        written["provides_attestations"] = [_written_credential(entry) for entry in registration.provides]
    if registration.purpose:
        written["purpose"] = [{"lang": language, "value": text} for language, text in registration.purpose.items()]
    for name, text in (("privacy_policy", registration.privacy_policy), ("support_uri", registration.support_uri)):
        if text is not None:
            written[name] = text
    if registration.intermediary is not None:
        written["intermediary"] = {"sub": registration.intermediary}
    if registration.status is not None:
        written["status"] = {"status_list": {"idx": registration.status.idx, "uri": registration.status.uri}}
    return written


def _written_credential(entry: RegisteredCredential) -> JsonObject:
    types: list[JsonValue] = [*entry.types]
    meta: JsonObject = {"vct_values": types}
    if entry.format == FORMAT_MDOC:
        meta = {"doctype_value": entry.types[0]}
    written: JsonObject = {"format": entry.format, "meta": meta}
    if entry.claims is not None:
        written["claim"] = [_written_claim(claim) for claim in entry.claims]
    return written


def _written_claim(claim: RegisteredClaim) -> JsonObject:
    path: list[JsonValue] = [*claim.path]
    if claim.values is None:
        return {"path": path}
    return {"path": path, "values": [*claim.values]}


def _malformed(detail: str) -> RegistrationError:
    return RegistrationError(ReasonCode.REGISTRATION_MALFORMED, detail)
