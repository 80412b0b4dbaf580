"""What a credential type consists of: the schema of the catalogue's YAML files.

One claim is described once; its place in an SD-JWT VC is its name, its place in an mdoc is `element` (with `namespace`,
if it isn't the type's own). An object's members may have elements of their own; those that have none stay in the
object's map.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from specs.encoding.strict_json import JsonValue

RESERVED_SD_JWT_CLAIMS = frozenset(
    {"iss", "sub", "aud", "iat", "nbf", "exp", "jti", "cnf", "vct", "vct#integrity", "status", "_sd", "_sd_alg", "..."}
)


class CredentialFormat(StrEnum):
    """The two formats, by their OpenID4VCI identifiers (Appendix A.2, A.3)."""

    SD_JWT_VC = "dc+sd-jwt"
    MDOC = "mso_mdoc"


class ValueType(StrEnum):
    """What a claim's value is. In an mdoc dates become full-dates and `portrait` bytes; the rest keeps its shape."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DATE = "date"  # YYYY-MM-DD, a real day
    PARTIAL_DATE = "partial_date"  # YYYY-MM-DD where unknown parts are 00
    MONTH = "month"  # YYYY-MM
    PORTRAIT = "portrait"  # data URL of a JPEG
    OBJECT = "object"
    STRINGS = "strings"  # array of strings


class Disclosure(StrEnum):
    """Whether the holder can withhold a claim in an SD-JWT VC (in an mdoc every element can be withheld)."""

    SELECTIVE = "selective"
    RECURSIVE = "recursive"  # the object itself, and each of its members
    PERMANENT = "permanent"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]
ClaimName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$")]


class Label(_Model):
    """What people read, in both languages."""

    de: Text
    en: Text

    def in_locale(self, locale: str) -> str:
        """The text for a reader; German unless English is asked."""
        return self.en if locale.startswith("en") else self.de


class TypeDisplay(_Model):
    """How a wallet shows the credential in one language."""

    name: Text
    description: Text | None = None


class Displays(_Model):
    """How a wallet shows the credential, in both languages."""

    de: TypeDisplay
    en: TypeDisplay

    def in_locale(self, locale: str) -> TypeDisplay:
        """What a reader sees; German unless English is asked."""
        return self.en if locale.startswith("en") else self.de


Integrity = Annotated[str, StringConstraints(pattern=r"^sha(256|384|512)-[A-Za-z0-9+/]+={0,2}$")]
ImageUri = Annotated[
    str, StringConstraints(pattern=r"^(https://|data:image/(png|svg\+xml)[;,])[!-~]+$", max_length=64 * 1024)
]


class Logo(_Model):
    """A picture of the issuer or type, PNG or SVG (HAIP 1.0 §4.1), and what it shows for those who can't see it."""

    uri: ImageUri
    alt: Label


class SvgTemplate(_Model):
    """A card as SVG with places for claims (SD-JWT VC draft-13 §8.1.2); integrity: SRI of the picture."""

    uri: ImageUri
    integrity: Integrity | None = None


class Extended(_Model):
    """The type that a type extends (SD-JWT VC draft-13 §6.4). integrity: SRI of its metadata, where others host it."""

    vct: Text
    integrity: Integrity | None = None


class Colours(_Model):
    """Colours of the credential's card, `#rrggbb`."""

    background: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]
    text: Annotated[str, StringConstraints(pattern=r"^#[0-9a-fA-F]{6}$")]


class _Valued(_Model):
    """What a claim and a member have in common."""

    type: ValueType
    mandatory: bool = False
    element: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")] | None = None
    namespace: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(\.[a-z0-9_-]+)+$")] | None = None
    display: Label
    values: tuple[str, ...] = ()  # a string must be one of these
    pattern: str | None = None  # a string must match this regular expression entirely
    max_length: int = Field(default=200, ge=1, le=2000)  # characters of a string
    allow_empty: bool = False  # a string may be "", for "not available"
    minimum: int = 0  # of an integer
    maximum: int = Field(default=2**31 - 1, le=2**53 - 1)
    not_in_future: bool = False  # of a date: the day of the request is the last one

    @model_validator(mode="after")
    def _pattern_compiles(self) -> Self:
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern is no regular expression: {error}") from None
        return self


class Member(_Valued):
    """A member of an object claim; objects don't nest further."""

    name: ClaimName

    @model_validator(mode="after")
    def _flat(self) -> Self:
        if self.type is ValueType.OBJECT:
            raise ValueError("a member cannot be an object itself")
        return self


class Claim(_Valued):
    """One claim. `value` fixes it for the whole type: the city then never sends it."""

    name: ClaimName
    disclosure: Disclosure = Disclosure.SELECTIVE
    members: tuple[Member, ...] = ()
    value: str | bool | int | None = None
    svg_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$")] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name in RESERVED_SD_JWT_CLAIMS:
            raise ValueError(f"{self.name} is a member of the format, not a claim")
        if (self.type is ValueType.OBJECT) != bool(self.members):
            raise ValueError("members belong to an object, and an object needs them")
        names = [member.name for member in self.members]
        if len(set(names)) != len(names):
            raise ValueError("two members have one name")
        if self.disclosure is Disclosure.RECURSIVE and not self.members:
            raise ValueError("only an object is disclosed recursively")
        if self.value is not None and self.type not in (ValueType.STRING, ValueType.BOOLEAN, ValueType.INTEGER):
            raise ValueError("only a string, boolean or integer can be fixed")
        return self

    @property
    def is_fixed(self) -> bool:
        """Whether the catalogue itself holds the value."""
        return self.value is not None


class Validity(_Model):
    """How long a signed copy is good, by the clock of the machine (the administrative end is a claim)."""

    days: int = Field(default=0, ge=0, le=3650)
    hours: int = Field(default=0, ge=0, le=87600)

    @model_validator(mode="after")
    def _at_least_two_hours(self) -> Self:
        if self.seconds < 7200:
            raise ValueError("must be two hours or more, because times are rounded to the hour")
        return self

    @property
    def seconds(self) -> int:
        """The validity in seconds."""
        return self.days * 86400 + self.hours * 3600


class KeyAttestationLevel(StrEnum):
    """What a wallet's key storage must be attested for (OpenID4VCI Appendix D.2)."""

    NONE = "none"
    HIGH = "iso_18045_high"
    MODERATE = "iso_18045_moderate"
    ENHANCED_BASIC = "iso_18045_enhanced-basic"
    BASIC = "iso_18045_basic"


class DeferralRule(StrEnum):
    """When a credential comes later than it is asked for, in tenants whose preset knows a later (OpenID4VCI §9)."""

    WHEN_SLOW = "when_slow"  # its register does not answer in time
    ALWAYS = "always"
    APPROVAL = "approval"  # the city approves or denies each one by the City API


class Deferral(_Model):
    """How a type's credentials come later. ready_after: seconds, for `always`. interval: seconds between questions."""

    when: DeferralRule = DeferralRule.WHEN_SLOW
    ready_after: int = Field(default=0, ge=0, le=86400)
    interval: int = Field(default=5, ge=1, le=300)
    lifetime_hours: int = Field(default=24, ge=1, le=24 * 60)  # until a wallet must have come back

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.ready_after and self.when is not DeferralRule.ALWAYS:
            raise ValueError("ready_after belongs to when: always")
        return self


class Datasets(StrEnum):
    """Whether a person may have several datasets of a type at one time, such as two parking permits."""

    ONE = "one"
    SEVERAL = "several"


class SigningAlgorithm(StrEnum):
    """What a type is signed with, by JOSE names."""

    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


class CredentialType(_Model):
    """A credential type of the catalogue, one YAML file each."""

    type: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
    version: int = Field(ge=1)
    test_only: bool = False  # refused unless the settings say that this is a test system
    formats: tuple[CredentialFormat, ...] = Field(min_length=1)
    vct: Text
    doctype: Text
    namespace: Text
    display: Displays
    colours: Colours | None = None
    logo: Logo | None = None
    svg_template: SvgTemplate | None = None
    extends: Extended | None = None
    legal_basis: Text | None = None
    validity: Validity
    copies: int = Field(default=1, ge=1, le=100)
    per_person: int = Field(default=0, ge=0, le=100)  # live credentials of a person in each format; 0: no limit
    datasets: Datasets = Datasets.ONE  # of a person; several ones get a credential identifier each
    status: bool = True  # whether copies are entered in a status list
    suspendable: bool = True  # whether they can be suspended; if not, their list has one bit an entry
    key_attestation: KeyAttestationLevel = KeyAttestationLevel.NONE  # least safety of the key storage
    user_authentication: KeyAttestationLevel = KeyAttestationLevel.NONE  # least safety of what unlocks the key
    alg: SigningAlgorithm = SigningAlgorithm.ES256
    refresh_days: int = Field(default=0, ge=0, le=730)  # life of a refresh token; 0: none is given
    deferral: Deferral = Deferral()
    claims: tuple[Claim, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [claim.name for claim in self.claims]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two claims are called {', '.join(doubled)}")
        elements = [(namespace, element) for namespace, element, *_ in self.elements()]
        if doubled := sorted({element for place in elements if elements.count(place) > 1 for element in [place[1]]}):
            raise ValueError(f"two claims share the element {', '.join(doubled)}")
        if CredentialFormat.MDOC in self.formats and not elements:
            raise ValueError("no claim has an element, but the type comes as mdoc")
        svg_ids = [claim.svg_id for claim in self.claims if claim.svg_id is not None]
        if len(set(svg_ids)) != len(svg_ids):
            raise ValueError("two claims have one svg_id")
        return self

    def elements(self) -> Iterator[tuple[str, str, Claim, Member | None]]:
        """Every mdoc element of the type: name space, element, and the claim or member it carries."""
        for claim in self.claims:
            if claim.element is not None:
                yield claim.namespace or self.namespace, claim.element, claim, None
            for member in claim.members:
                if member.element is not None:
                    yield member.namespace or self.namespace, member.element, claim, member

    def claim(self, name: str) -> Claim | None:
        """The claim of this name, if the type knows it."""
        return next((claim for claim in self.claims if claim.name == name), None)

    def fixed_claims(self) -> dict[str, JsonValue]:
        """The claims whose values the catalogue holds."""
        return {claim.name: claim.value for claim in self.claims if claim.is_fixed}

    def display_name(self, locale: str) -> str:
        """The name that people read; German unless English is asked."""
        return self.display.in_locale(locale).name
