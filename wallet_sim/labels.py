"""What people call claims, in their languages, as the issuer's metadata describe them (OpenID4VCI 1.0 App. B.2)."""

from collections.abc import Mapping
from typing import TypeAlias

from specs.protocols.issuer_metadata import MSO_MDOC, CredentialConfiguration

Labels: TypeAlias = Mapping[str, Mapping[str, str]]
"""By a claim's path with slashes (for an mdoc its element): a name for each language."""

MAX_LABELS = 500
MAX_LENGTH = 80


def labels_of(configuration: CredentialConfiguration) -> Labels:
    """The names that an issuer gives to the claims of one configuration, as text of one line."""
    found: dict[str, dict[str, str]] = {}
    for claim in configuration.claims[:MAX_LABELS]:
        path, display = claim.get("path"), claim.get("display")
        if not isinstance(path, list) or not isinstance(display, list):
            continue
        steps = path[1:] if configuration.format == MSO_MDOC else path
        names: dict[str, str] = {}
        for each in display:
            name = each.get("name") if isinstance(each, dict) else None
            locale = each.get("locale", "") if isinstance(each, dict) else ""
            if isinstance(name, str) and isinstance(locale, str):
                shown = "".join(letter for letter in name if letter.isprintable())[:MAX_LENGTH]
                names.setdefault(locale.partition("-")[0].lower(), shown)
        found["/".join("*" if step is None else str(step) for step in steps)] = names
    return found


def labelled(claim: str, labels: Labels, *, locale: str) -> str:
    """A claim for people: what the issuer calls it in their language, and its own name; that alone if there is none."""
    anywhere = "/".join("*" if step.isascii() and step.isdigit() else step for step in claim.split("/"))
    names = labels.get(claim) or labels.get(anywhere) or {}
    name = names.get(locale) or names.get("")
    return f"{name} ({claim})" if name else claim
