"""The reader of profiles: YAML text to `Profile`; pure, and exact about the line of a mistake.

Needs PyYAML, which the base installation does not have: services read profiles, the verifier's core is given one.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

import yaml

from specs.profiles import (
    AccessTokenRule,
    ClientAuthentication,
    ClientAuthenticationRule,
    CopiesRule,
    CredentialEncryption,
    CredentialIdentifiers,
    Deferred,
    KeyAttestation,
    KeyAttestationRule,
    PresentationRule,
    Profile,
    ProofAgeRule,
    RefreshKey,
    RefreshTokenRule,
    Relaxation,
    RequestChain,
    ReturnedDetails,
    SenderConstraint,
    SignedMetadata,
    SpentIssuerState,
    StatusListKeys,
)
from specs.protocols.credential_offer import OFFER_SCHEMES
from specs.protocols.openid4vp.client_id import ClientIdPrefix
from specs.protocols.openid4vp.request import ResponseMode

T = TypeVar("T")
EnumT = TypeVar("EnumT", bound=StrEnum)

_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_TYPE_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SIGNATURE_ALGS = frozenset({"ES256", "ES384", "ES512", "EdDSA"})
_ENCS = frozenset({"A128GCM", "A256GCM"})
_METADATA_EXTRAS = frozenset({"credential_reuse_policy", "issuer_info"})


class ProfileError(ValueError):
    """A profile's text is wrong. `line` counts from 1."""

    def __init__(self, line: int, detail: str) -> None:
        super().__init__(f"line {line}: {detail}")
        self.line = line
        self.detail = detail


def parse_profile(text: str, *, parents: Mapping[str, str] | None = None) -> Profile:
    """Read one profile. Unknown and repeated members are refused; each switch must be there.

    parents: texts by name, for an overlay: a profile that says `extends` and only what differs.

    Raises:
        ProfileError: not YAML, a member is unknown, missing, repeated or has no such value, or the parent is unknown.
    """
    node = _compose(text)
    own = _members(node)
    parent: yaml.MappingNode | None = None
    if "extends" in own:
        name = _text(own["extends"])
        if parents is None or name not in parents:
            raise ProfileError(_line(own["extends"]), f"extends: no profile {name} is given")
        parent = _compose(parents[name])
        if "extends" in _members(parent):
            raise ProfileError(_line(own["extends"]), "extends: an overlay lies on a full profile")
        own.pop("extends")
    section = _Section(own, _members(parent) if parent is not None else {}, node)
    profile = Profile(
        name=_own_name(own, node),
        client_authentication=section.section("client_authentication", _client_authentication),
        access_tokens=section.section("access_tokens", _access_tokens),
        proof_age=section.section("proof_age", lambda s: ProofAgeRule(s.number("back"), s.number("ahead"))),
        refresh_tokens=section.section("refresh_tokens", _refresh_tokens),
        credential_identifiers=section.choice("credential_identifiers", CredentialIdentifiers),
        key_attestation=section.section("key_attestation", _key_attestation),
        credential_encryption=section.choice("credential_encryption", CredentialEncryption),
        offer_schemes=section.texts("offer_schemes", OFFER_SCHEMES),
        signed_issuer_metadata=section.choice("signed_issuer_metadata", SignedMetadata),
        metadata_extras=frozenset(section.texts("metadata_extras", _METADATA_EXTRAS)),
        credential_algs=frozenset(section.texts("credential_algs", _SIGNATURE_ALGS)),
        copies=section.section("copies", _copies),
        relaxations=section.choices("relaxations", Relaxation),
        presentations=section.section("presentations", _presentations),
        deferred=section.choice("deferred", Deferred),
        spent_issuer_state=section.choice("spent_issuer_state", SpentIssuerState),
        returned_details=section.choice("returned_details", ReturnedDetails),
        status_list_keys=section.choice("status_list_keys", StatusListKeys),
    )
    section.taken.add("name")
    section.finish()
    if parent is None and (lenient := _lenient(profile)):
        raise ProfileError(_line(node), f"{lenient}: only an overlay for a test system says so")
    return profile


def _lenient(profile: Profile) -> str | None:
    """The first switch that is there for the sake of a test suite alone, and is on."""
    switches = {
        "spent_issuer_state": profile.spent_issuer_state is not SpentIssuerState.REFUSED,
        "returned_details": profile.returned_details is not ReturnedDetails.AS_ASKED,
        "refresh_tokens.dpop_key": profile.refresh_tokens.dpop_key is not RefreshKey.EVERYBODYS,
        "status_list_keys": profile.status_list_keys is not StatusListKeys.X5C,
    }
    return next((name for name, is_on in switches.items() if is_on), None)


class _Section:
    """The members of one mapping, with those of the overlaid profile below; each is taken once."""

    def __init__(self, own: dict[str, yaml.Node], below: dict[str, yaml.Node], node: yaml.Node) -> None:
        self.own = own
        self.below = below
        self.node = node
        self.taken: set[str] = set()

    def take(self, name: str) -> yaml.Node:
        self.taken.add(name)
        value = self.own.get(name) or self.below.get(name)
        if value is None:
            raise ProfileError(_line(self.node), f"{name}: missing")
        return value

    def finish(self) -> None:
        for name, value in self.own.items():
            if name not in self.taken:
                raise ProfileError(_line(value), f"{name}: not a member that is known here")

    def section(self, name: str, read: Callable[["_Section"], T]) -> T:
        node = self.take(name)
        own = _members(self.own[name]) if name in self.own else {}
        below = _members(self.below[name]) if name in self.below else {}
        inner = _Section(own, below, node)
        value = read(inner)
        inner.finish()
        return value

    def choice(self, name: str, kind: type[EnumT]) -> EnumT:
        return _member_of(kind, self.take(name))

    def choices(self, name: str, kind: type[EnumT]) -> frozenset[EnumT]:
        return frozenset(_member_of(kind, item) for item in _items(self.take(name)))

    def texts(self, name: str, allowed: frozenset[str] | None = None) -> tuple[str, ...]:
        texts: list[str] = []
        for item in _items(self.take(name)):
            text = _text(item)
            if text in texts or (_TYPE_NAME.fullmatch(text) is None if allowed is None else text not in allowed):
                raise ProfileError(_line(item), f"{name}: {text} does not belong here")
            texts.append(text)
        return tuple(texts)

    def flag(self, name: str) -> bool:
        node = self.take(name)
        if node.tag != "tag:yaml.org,2002:bool" or node.value not in ("true", "false"):
            raise ProfileError(_line(node), f"{name}: true or false")
        return bool(node.value == "true")

    def number(self, name: str) -> int:
        return _number(self.take(name))

    def optional_number(self, name: str) -> int | None:
        node = self.take(name)
        return None if node.tag == "tag:yaml.org,2002:null" else _number(node)

    def numbers(self, name: str) -> tuple[tuple[str, int], ...]:
        return tuple((key, _number(value)) for key, value in _members(self.take(name)).items())


def _client_authentication(section: _Section) -> ClientAuthenticationRule:
    return ClientAuthenticationRule(
        methods=section.choices("methods", ClientAuthentication),
        by_setting=section.choices("by_setting", ClientAuthentication),
    )


def _access_tokens(section: _Section) -> AccessTokenRule:
    return AccessTokenRule(
        sender_constraint=section.choice("sender_constraint", SenderConstraint),
        bearer_lifetime=section.optional_number("bearer_lifetime"),
        bearer_at_notification=section.flag("bearer_at_notification"),
    )


def _refresh_tokens(section: _Section) -> RefreshTokenRule:
    return RefreshTokenRule(
        rotation=section.flag("rotation"),
        grace=section.optional_number("grace"),
        warn_beyond=section.optional_number("warn_beyond"),
        dpop_key=section.choice("dpop_key", RefreshKey),
    )


def _key_attestation(section: _Section) -> KeyAttestationRule:
    return KeyAttestationRule(rule=section.choice("rule", KeyAttestation), types=frozenset(section.texts("types")))


def _copies(section: _Section) -> CopiesRule:
    return CopiesRule(
        most=section.number("most"),
        default=section.optional_number("default"),
        by_type=section.numbers("by_type"),
        per_person_caps=section.flag("per_person_caps"),
    )


def _presentations(section: _Section) -> PresentationRule:
    return PresentationRule(
        response_modes=section.choices("response_modes", ResponseMode),
        signed_prefixes=section.choices("signed_prefixes", ClientIdPrefix),
        unsigned_prefixes=section.choices("unsigned_prefixes", ClientIdPrefix),
        signature_algs=frozenset(section.texts("signature_algs", _SIGNATURE_ALGS)),
        encryption_encs=section.texts("encryption_encs", _ENCS),
        verifier_info=section.flag("verifier_info"),
        vct_exact=section.flag("vct_exact"),
        request_chain=section.choice("request_chain", RequestChain),
        request_chain_by_setting=section.flag("request_chain_by_setting"),
        chosen_per_transaction=section.flag("chosen_per_transaction"),
    )


def _compose(text: str) -> yaml.MappingNode:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise ProfileError(mark.line + 1 if mark is not None else 1, "not YAML") from error
    except yaml.YAMLError as error:
        raise ProfileError(1, "not YAML") from error
    if not isinstance(node, yaml.MappingNode):
        raise ProfileError(1, "not a mapping")
    return node


def _members(node: yaml.Node) -> dict[str, yaml.Node]:
    if not isinstance(node, yaml.MappingNode):
        raise ProfileError(_line(node), "not a mapping")
    members: dict[str, yaml.Node] = {}
    for key, value in node.value:
        name = _text(key)
        if name in members:
            raise ProfileError(_line(key), f"{name}: twice")
        members[name] = value
    return members


def _items(node: yaml.Node) -> list[yaml.Node]:
    if not isinstance(node, yaml.SequenceNode):
        raise ProfileError(_line(node), "not a list")
    return list(node.value)


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str":
        raise ProfileError(_line(node), "not a text")
    return str(node.value)


def _number(node: yaml.Node) -> int:
    if node.tag != "tag:yaml.org,2002:int" or _NUMBER.fullmatch(node.value) is None:
        raise ProfileError(_line(node), "not a whole number from 0 on")
    return int(node.value)


def _member_of(kind: type[EnumT], node: yaml.Node) -> EnumT:
    text = _text(node)
    for member in kind:
        if member.value == text:
            return member
    raise ProfileError(_line(node), f"{text}: none of {', '.join(member.value for member in kind)}")


def _own_name(own: dict[str, yaml.Node], node: yaml.Node) -> str:
    if "name" not in own:
        raise ProfileError(_line(node), "name: missing")
    return _text(own["name"])


def _line(node: yaml.Node) -> int:
    mark = node.start_mark
    return int(mark.line) + 1 if mark is not None else 1
