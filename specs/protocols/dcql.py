"""DCQL: the question a verifier puts to a wallet, as data (OpenID for Verifiable Presentations 1.0 §6, §7).

Which credentials, which of their claims, in which combinations. Reading: `parse_dcql`. Writing: `dcql_to_json`.
Comparing a credential with a question: `specs.protocols.dcql_match`.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue

FORMAT_SD_JWT_VC = "dc+sd-jwt"
FORMAT_MDOC = "mso_mdoc"
FORMATS_W3C = frozenset({"jwt_vc_json", "ldp_vc"})

MAX_CREDENTIALS = 20
MAX_CLAIMS = 300

PathComponent: TypeAlias = str | int | None
Path: TypeAlias = tuple[PathComponent, ...]
"""A claims path pointer (§7): a member's name, an index, or null for each element of an array."""
Position: TypeAlias = tuple[str | int, ...]
"""Where one value stands in a credential; indices count the array as it was issued."""
ClaimValue: TypeAlias = str | int | bool

_ID = re.compile(r"[A-Za-z0-9_-]+")


class DcqlError(ValueError):
    """The question itself breaks the grammar or a limit: the asker's mistake, no refusal. `where` points into it."""

    def __init__(self, where: str, detail: str) -> None:
        super().__init__(f"{where}: {detail}" if where else detail)
        self.where = where
        self.detail = detail


@dataclass(frozen=True, slots=True)
class ClaimsQuery:
    """One claim that is asked for (§6.3). `values`: any of them will do, of the same type."""

    path: Path
    id: str | None = None
    values: tuple[ClaimValue, ...] | None = None
    intent_to_retain: bool | None = None


class AskedPaths:
    """The paths of some claims, laid out so that one look tells whether a position was asked for."""

    __slots__ = ("_exactly", "_root")

    def __init__(self, paths: Iterable[Path]) -> None:
        paths = tuple(paths)
        self._exactly = frozenset(paths)
        self._root: _Node = {}
        for path in paths:
            node = self._root
            for component in path:
                node = node.setdefault(component, {})
            node[_END] = {}

    def unasked(self, positions: Sequence[Position]) -> Sequence[Position]:
        """The positions that are not covered."""
        if self._exactly.issuperset(positions):
            return ()
        return [position for position in positions if not self.covers(position)]

    def covers(self, position: Position) -> bool:
        """Whether the position is on, above or below the end of one of the paths; null stands for each element."""
        reached = self._root
        for step in position:
            # members have one way down; only indices branch, as null may stand for them
            if type(step) is int:
                return self._covers_branching(position)
            below = reached.get(step)
            if below is None:
                return False
            if _END in below:
                return True
            reached = below
        return bool(reached)

    def _covers_branching(self, position: Position) -> bool:
        nodes = [self._root]
        for step in position:
            following: list[_Node] = []
            for node in nodes:
                exact = node.get(step)
                if exact is not None:
                    if _END in exact:
                        return True
                    following.append(exact)
                if type(step) is int:
                    each = node.get(None)
                    if each is not None:
                        if _END in each:
                            return True
                        following.append(each)
            nodes = following
        return any(nodes)


class _End:
    """Marks that a path ends here; no component of a path can be equal to it."""


_END = _End()
_Node: TypeAlias = "dict[PathComponent | _End, _Node]"


@dataclass(frozen=True, slots=True)
class ClaimSet:
    """One combination of claims that answers a credential query (§6.4.1); empty: nothing disclosable is wanted."""

    claims: tuple[ClaimsQuery, ...]
    asked: AskedPaths = field(init=False, compare=False, repr=False)
    members: tuple[tuple[Path, frozenset[str]], ...] | None = field(init=False, compare=False, repr=False)
    """The same claims as names of members by where they stand, if that says all: no values, no array elements."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked", AskedPaths(claim.path for claim in self.claims))
        object.__setattr__(self, "members", _members_of(self.claims))


def _members_of(claims: Sequence[ClaimsQuery]) -> tuple[tuple[Path, frozenset[str]], ...] | None:
    by_parent: dict[Path, set[str]] = {}
    for claim in claims:
        *parent, name = claim.path
        if claim.values is not None or not isinstance(name, str) or not all(isinstance(step, str) for step in parent):
            return None
        by_parent.setdefault(tuple(parent), set()).add(name)
    return tuple((parent, frozenset(names)) for parent, names in by_parent.items())


@dataclass(frozen=True, slots=True)
class SdJwtVcMeta:
    """Any one of these types, or one that extends it (§B.3.5)."""

    vct_values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MdocMeta:
    """Exactly this document type (§B.2.3)."""

    doctype_value: str


@dataclass(frozen=True, slots=True)
class W3cMeta:
    """All types of any one of these lists (§B.1.1)."""

    type_values: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class UnknownMeta:
    """The type constraint of a format we do not know; nothing matches it."""


Meta: TypeAlias = SdJwtVcMeta | MdocMeta | W3cMeta | UnknownMeta


@dataclass(frozen=True, slots=True)
class TrustedAuthority:
    """One way to say whose credentials are wanted (§6.1.1): `aki`, `etsi_tl`, `openid_federation` or another type."""

    type: str
    values: tuple[str, ...]
    key_identifiers: frozenset[bytes] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        identifiers = frozenset(map(base64url.decode, self.values)) if self.type == "aki" else frozenset()
        object.__setattr__(self, "key_identifiers", identifiers)


@dataclass(frozen=True, slots=True)
class CredentialQuery:
    """One credential that is asked for (§6.1). `options` are its claim sets, the one liked best first (§6.4.1)."""

    id: str
    format: str
    meta: Meta
    claims: tuple[ClaimsQuery, ...] = ()
    claim_sets: tuple[tuple[str, ...], ...] = ()
    multiple: bool = False
    trusted_authorities: tuple[TrustedAuthority, ...] = ()
    require_cryptographic_holder_binding: bool = True
    options: tuple[ClaimSet, ...] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.claim_sets:
            by_id = {claim.id: claim for claim in self.claims}
            options = tuple(ClaimSet(tuple(by_id[name] for name in names)) for names in self.claim_sets)
        else:
            options = (ClaimSet(self.claims),)
        object.__setattr__(self, "options", options)


@dataclass(frozen=True, slots=True)
class CredentialSetQuery:
    """Alternatives: credentials that together answer, the option liked best first (§6.2)."""

    options: tuple[tuple[str, ...], ...]
    required: bool = True


@dataclass(frozen=True, slots=True)
class DcqlQuery:
    """A whole question (§6). Without `credential_sets` each credential is required (§6.4.2)."""

    credentials: tuple[CredentialQuery, ...]
    credential_sets: tuple[CredentialSetQuery, ...] = ()
    by_id: dict[str, CredentialQuery] = field(init=False, compare=False, repr=False, hash=False)
    ids: frozenset[str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {credential.id: credential for credential in self.credentials})
        object.__setattr__(self, "ids", frozenset(self.by_id))

    @property
    def lacks_holder_binding(self) -> bool:
        """Whether some credential may come without proof of possession, which makes `state` mandatory (§5.3)."""
        return any(not credential.require_cryptographic_holder_binding for credential in self.credentials)


def parse_dcql(
    source: JsonValue | bytes, *, max_credentials: int = MAX_CREDENTIALS, max_claims: int = MAX_CLAIMS
) -> DcqlQuery:
    """Read a question: a JSON text, or the object it stands for. Unknown members are ignored at each level (§6).

    max_credentials: credential queries. max_claims: claims of one of them.

    Raises:
        DcqlError: not JSON, breaks a rule of §6 or §7, or is larger than a limit.
    """
    if isinstance(source, (str, bytes)):
        try:
            source = strict_json.parse(source)
        except Malformed as error:
            raise DcqlError("", str(error)) from error
    query = _object(source, "")
    entries = _array(query, "credentials", "")
    if len(entries) > max_credentials:
        raise DcqlError("credentials", f"more than {max_credentials}")
    credentials = tuple(
        _credential(entry, f"credentials[{index}]", max_claims=max_claims) for index, entry in enumerate(entries)
    )
    ids = _unique([credential.id for credential in credentials], "credentials", "id")
    sets: tuple[CredentialSetQuery, ...] = ()
    if "credential_sets" in query:
        sets = tuple(
            _credential_set(entry, f"credential_sets[{index}]", ids=ids)
            for index, entry in enumerate(_array(query, "credential_sets", ""))
        )
    return DcqlQuery(credentials, sets)


def dcql_to_json(query: DcqlQuery) -> JsonObject:
    """Write a question as the object that travels in a request (§6); members with their default value are left out."""
    written: JsonObject = {"credentials": [_credential_to_json(credential) for credential in query.credentials]}
    if query.credential_sets:
        written["credential_sets"] = [_credential_set_to_json(entry) for entry in query.credential_sets]
    return written


# reading


def _credential(value: JsonValue, where: str, *, max_claims: int) -> CredentialQuery:
    entry = _object(value, where)
    credential_format = _text(entry, "format", where)
    claims: tuple[ClaimsQuery, ...] = ()
    if "claims" in entry:
        entries = _array(entry, "claims", where)
        if len(entries) > max_claims:
            raise DcqlError(f"{where}.claims", f"more than {max_claims}")
        claims = tuple(
            _claim(claim, f"{where}.claims[{index}]", credential_format=credential_format)
            for index, claim in enumerate(entries)
        )
        _unique([claim.path for claim in claims], f"{where}.claims", "path")
    ids = _unique([claim.id for claim in claims if claim.id is not None], f"{where}.claims", "id")
    authorities: tuple[TrustedAuthority, ...] = ()
    if "trusted_authorities" in entry:
        authorities = tuple(
            _authority(authority, f"{where}.trusted_authorities[{index}]")
            for index, authority in enumerate(_array(entry, "trusted_authorities", where))
        )
    return CredentialQuery(
        id=_id(entry, where),
        format=credential_format,
        meta=_meta(entry, where, credential_format=credential_format),
        claims=claims,
        claim_sets=_claim_sets(entry, where, claims=claims, ids=ids) if "claim_sets" in entry else (),
        multiple=_flag(entry, "multiple", where, default=False),
        trusted_authorities=authorities,
        require_cryptographic_holder_binding=_flag(entry, "require_cryptographic_holder_binding", where, default=True),
    )


def _meta(entry: JsonObject, where: str, *, credential_format: str) -> Meta:
    if "meta" not in entry:
        raise DcqlError(where, "lacks meta")
    where = f"{where}.meta"
    meta = _object(entry["meta"], where)
    if credential_format == FORMAT_SD_JWT_VC:
        return SdJwtVcMeta(_texts(meta, "vct_values", where))
    if credential_format == FORMAT_MDOC:
        return MdocMeta(_text(meta, "doctype_value", where))
    if credential_format in FORMATS_W3C:
        return W3cMeta(
            tuple(
                _all_texts(types, f"{where}.type_values[{index}]")
                for index, types in enumerate(_array(meta, "type_values", where))
            )
        )
    return UnknownMeta()


def _claim(value: JsonValue, where: str, *, credential_format: str) -> ClaimsQuery:
    entry = _object(value, where)
    path = tuple(_component(component, f"{where}.path") for component in _array(entry, "path", where))
    retain: bool | None = None
    if credential_format == FORMAT_MDOC:
        # §7.2.1: a name space and an element, and no way into the element's value
        if len(path) != 2 or not all(isinstance(component, str) for component in path):
            raise DcqlError(f"{where}.path", "an mdoc path is a name space and an element")
        if "intent_to_retain" in entry:
            retain = _flag(entry, "intent_to_retain", where, default=False)
    values: tuple[ClaimValue, ...] | None = None
    if "values" in entry:
        values = tuple(_claim_value(item, f"{where}.values") for item in _array(entry, "values", where))
    return ClaimsQuery(path, _id(entry, where) if "id" in entry else None, values, retain)


def _component(value: JsonValue, where: str) -> PathComponent:
    # bool is a subclass of int, but true is no index (§7.1)
    if value is None or isinstance(value, str) or (type(value) is int and value >= 0):
        return value
    raise DcqlError(where, "a component is a text, null or an integer from 0 on")


def _claim_value(value: JsonValue, where: str) -> ClaimValue:
    if isinstance(value, (str, int)):
        return value
    raise DcqlError(where, "a value is a text, an integer, true or false")


def _claim_sets(
    entry: JsonObject, where: str, *, claims: tuple[ClaimsQuery, ...], ids: frozenset[str]
) -> tuple[tuple[str, ...], ...]:
    if not claims:
        raise DcqlError(f"{where}.claim_sets", "stands without claims")
    if any(claim.id is None for claim in claims):
        raise DcqlError(f"{where}.claims", "each claim needs an id where claim_sets are")
    sets: list[tuple[str, ...]] = []
    for index, value in enumerate(_array(entry, "claim_sets", where)):
        here = f"{where}.claim_sets[{index}]"
        if not isinstance(value, list):
            raise DcqlError(here, "not an array")
        sets.append(_known_ids(value, here, ids=ids))
    return tuple(sets)


def _authority(value: JsonValue, where: str) -> TrustedAuthority:
    entry = _object(value, where)
    try:
        return TrustedAuthority(_text(entry, "type", where), _texts(entry, "values", where))
    except Malformed as error:
        raise DcqlError(f"{where}.values", "an aki value is the base64url of a key identifier") from error


def _credential_set(value: JsonValue, where: str, *, ids: frozenset[str]) -> CredentialSetQuery:
    entry = _object(value, where)
    options: list[tuple[str, ...]] = []
    for index, option in enumerate(_array(entry, "options", where)):
        here = f"{where}.options[{index}]"
        if not isinstance(option, list) or not option:
            raise DcqlError(here, "not a non-empty array")
        options.append(_known_ids(option, here, ids=ids))
    return CredentialSetQuery(tuple(options), _flag(entry, "required", where, default=True))


def _known_ids(values: Sequence[JsonValue], where: str, *, ids: frozenset[str]) -> tuple[str, ...]:
    known: list[str] = []
    for value in values:
        if not isinstance(value, str) or value not in ids:
            raise DcqlError(where, "names an id that is not defined")
        known.append(value)
    return tuple(known)


def _unique(values: list[str] | list[Path], where: str, what: str) -> frozenset[str]:
    distinct = set(values)
    if len(distinct) != len(values):
        raise DcqlError(where, f"the same {what} twice")
    return frozenset(value for value in distinct if isinstance(value, str))


def _object(value: JsonValue | bytes, where: str) -> JsonObject:
    if not isinstance(value, dict):
        raise DcqlError(where, "not an object")
    return value


def _array(entry: JsonObject, name: str, where: str) -> list[JsonValue]:
    value = entry.get(name)
    if not isinstance(value, list) or not value:
        raise DcqlError(_member(where, name), "not a non-empty array")
    return value


def _text(entry: JsonObject, name: str, where: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise DcqlError(_member(where, name), "not a text")
    return value


def _texts(entry: JsonObject, name: str, where: str) -> tuple[str, ...]:
    return _all_texts(_array(entry, name, where), _member(where, name))


def _all_texts(values: JsonValue, where: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not values:
        raise DcqlError(where, "not a non-empty array")
    texts: list[str] = []
    for value in values:
        if not isinstance(value, str) or not value:
            raise DcqlError(where, "holds something that is not a text")
        texts.append(value)
    return tuple(texts)


def _flag(entry: JsonObject, name: str, where: str, *, default: bool) -> bool:
    value = entry.get(name, default)
    if not isinstance(value, bool):
        raise DcqlError(_member(where, name), "neither true nor false")
    return value


def _id(entry: JsonObject, where: str) -> str:
    value = entry.get("id")
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise DcqlError(_member(where, "id"), "an id is letters, digits, _ and -")
    return value


def _member(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


# writing


def _credential_to_json(credential: CredentialQuery) -> JsonObject:
    written: JsonObject = {"id": credential.id, "format": credential.format, "meta": _meta_to_json(credential.meta)}
    if credential.multiple:
        written["multiple"] = True
    if credential.trusted_authorities:
        written["trusted_authorities"] = [
            {"type": authority.type, "values": list(authority.values)} for authority in credential.trusted_authorities
        ]
    if not credential.require_cryptographic_holder_binding:
        written["require_cryptographic_holder_binding"] = False
    if credential.claims:
        written["claims"] = [_claim_to_json(claim) for claim in credential.claims]
    if credential.claim_sets:
        written["claim_sets"] = [list(names) for names in credential.claim_sets]
    return written


def _meta_to_json(meta: Meta) -> JsonObject:
    match meta:
        case SdJwtVcMeta(vct_values):
            return {"vct_values": list(vct_values)}
        case MdocMeta(doctype_value):
            return {"doctype_value": doctype_value}
        case W3cMeta(type_values):
            return {"type_values": [list(types) for types in type_values]}
        case UnknownMeta():
            return {}


def _claim_to_json(claim: ClaimsQuery) -> JsonObject:
    written: JsonObject = {}
    if claim.id is not None:
        written["id"] = claim.id
    written["path"] = list(claim.path)
    if claim.values is not None:
        written["values"] = list(claim.values)
    if claim.intent_to_retain is not None:
        written["intent_to_retain"] = claim.intent_to_retain
    return written


def _credential_set_to_json(entry: CredentialSetQuery) -> JsonObject:
    written: JsonObject = {"options": [list(option) for option in entry.options]}
    if not entry.required:
        written["required"] = False
    return written
