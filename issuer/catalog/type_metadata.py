"""Type metadata of our credential types, as hosted at their `vct` (draft-ietf-oauth-sd-jwt-vc-13 §6, §8, §9).

The octets depend on the type alone, not on tenant, time or settings: credentials name their hash (`vct#integrity`), so
they may never change under one `vct`. A type whose description changes gets a new `vct`.
"""

import re
from collections.abc import Iterator

from issuer.catalog.schema import Claim, CredentialType, Disclosure, Label, ValueType
from specs.credentials.type_metadata import integrity_of
from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject, JsonValue

LOCALES = ("de", "en")
_HOSTED = re.compile(r"/t/[a-z0-9-]+/vct/[A-Za-z0-9._~/-]+")


def hosted_path(vct: str, *, issuer_url: str) -> str | None:
    """The path below our host at which this `vct` has its metadata: `/t/{tenant}/vct/…`; None if it lies elsewhere.

    issuer_url: of any tenant of this service.
    """
    host = issuer_url.partition("/t/")[0]
    path = vct.removeprefix(host)
    return path if path != vct and _HOSTED.fullmatch(path) else None


def type_metadata_document(kind: CredentialType, *, parent: bytes | None = None) -> bytes:
    """The document of a type. parent: the octets of what it extends, where we host that too."""
    document: JsonObject = {"vct": kind.vct, "name": kind.display.en.name}
    if kind.display.en.description is not None:
        document["description"] = kind.display.en.description
    if kind.extends is not None:
        document["extends"] = kind.extends.vct
        integrity = kind.extends.integrity if parent is None else integrity_of(parent)
        if integrity is not None:
            document["extends#integrity"] = integrity
    document["display"] = [_display(kind, locale) for locale in LOCALES]
    document["claims"] = [*_claims(kind)]
    return strict_json.dumps(document)


def _display(kind: CredentialType, locale: str) -> JsonObject:
    shown = kind.display.in_locale(locale)
    display: JsonObject = {"locale": locale, "name": shown.name}
    if shown.description is not None:
        display["description"] = shown.description
    simple: JsonObject = {}
    if kind.logo is not None:
        simple["logo"] = {"uri": kind.logo.uri, "alt_text": kind.logo.alt.in_locale(locale)}
    if kind.colours is not None:
        simple |= {"background_color": kind.colours.background, "text_color": kind.colours.text}
    rendering: JsonObject = {"simple": simple} if simple else {}
    if kind.svg_template is not None:
        template: JsonObject = {"uri": kind.svg_template.uri}
        if kind.svg_template.integrity is not None:
            template["uri#integrity"] = kind.svg_template.integrity
        rendering["svg_templates"] = [template]
    if rendering:
        display["rendering"] = rendering
    return display


def _claims(kind: CredentialType) -> Iterator[JsonObject]:
    for claim in kind.claims:
        is_permanent = claim.disclosure is Disclosure.PERMANENT
        sd = "never" if is_permanent else "always"
        described = _claim([claim.name], claim.display, mandatory=claim.mandatory or claim.is_fixed, sd=sd)
        if claim.svg_id is not None:
            described["svg_id"] = claim.svg_id
        yield described
        if claim.type is ValueType.STRINGS:
            yield _claim([claim.name, None], claim.display, mandatory=False, sd=sd)
        for member in claim.members:
            yield _claim([claim.name, member.name], member.display, mandatory=False, sd=_member_sd(claim))


def _member_sd(claim: Claim) -> str | None:
    """Members are disclosed one by one in a recursive object, and with it in another; nothing is said of those."""
    if claim.disclosure is Disclosure.PERMANENT:
        return "never"
    return "always" if claim.disclosure is Disclosure.RECURSIVE else None


def _claim(path: list[JsonValue], label: Label, *, mandatory: bool, sd: str | None) -> JsonObject:
    described: JsonObject = {
        "path": path,
        "display": [{"locale": locale, "label": label.in_locale(locale)} for locale in LOCALES],
    }
    if mandatory:
        described["mandatory"] = True
    if sd is not None:
        described["sd"] = sd
    return described
