"""What a question asks for, and what its asker is registered to ask: in plain words."""

from collections.abc import Callable

from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject
from specs.protocols.dcql import CredentialQuery, DcqlError, MdocMeta, SdJwtVcMeta, parse_dcql
from specs.refusal import Refusal
from specs.trust.registration import INFO_FORMAT
from specs.trust.registration_claims import read_registration
from wallet_sim.explain.explanation import Explanation

Inside = Callable[[str], Explanation]


def explain_request(members: JsonObject, said: Explanation, *, inside: Inside) -> None:
    """The members of a question: credentials with their claims, transaction data, registration certificates."""
    if "dcql_query" in members:
        explain_query(members["dcql_query"], said)
    for entry in _texts(members.get("transaction_data")):
        said.fact("agreement", _decoded(entry))
    infos = members.get("verifier_info")
    for info in infos if isinstance(infos, list) else []:
        data = info.get("data") if isinstance(info, dict) and info.get("format") == INFO_FORMAT else None
        if isinstance(data, str) and data.count(".") == 2:
            said.parts.append(inside(data))


def explain_query(query: object, said: Explanation) -> None:
    """A DCQL query: what of which credentials, and which of them are enough (OpenID4VP 1.0 §6)."""
    try:
        parsed = parse_dcql(query if isinstance(query, dict) else {})
    except DcqlError as error:
        said.wrong("rule", str(error), "OpenID4VP 1.0 §6")
        return
    for credential in parsed.credentials:
        said.fact("asked", f"{credential.id}: {_type(credential)} ({credential.format}): {_claims(credential)}")
    for entry in parsed.credential_sets:
        options = " | ".join(" + ".join(option) for option in entry.options)
        said.fact("enough" if entry.required else "optional", options)


def explain_registration(claims: JsonObject, said: Explanation) -> None:
    """Who is registered to ask for what, and what for (ETSI TS 119 475)."""
    try:
        found = read_registration(claims)
    except Refusal as error:
        said.refused(error, "ETSI TS 119 475 §5.2")
        return
    said.fact("subject", found.name)
    said.fact("identifier", found.subject)
    for language, purpose in found.purpose.items():
        said.fact("purpose", f"{purpose} ({language})")
    if found.privacy_policy is not None:
        said.fact("privacy_policy", found.privacy_policy)
    for credential in found.credentials:
        claims_asked = ", ".join("/".join(map(str, claim.path)) for claim in credential.claims or ())
        said.fact("registered", f"{', '.join(credential.types)} ({credential.format}): {claims_asked or '*'}")


def _type(credential: CredentialQuery) -> str:
    match credential.meta:
        case SdJwtVcMeta(vct_values):
            return ", ".join(vct_values)
        case MdocMeta(doctype_value):
            return doctype_value
        case _:
            return "?"


def _claims(credential: CredentialQuery) -> str:
    return " | ".join(
        ", ".join("/".join("*" if step is None else str(step) for step in claim.path) for claim in option.claims) or "–"
        for option in credential.options
    )


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _decoded(entry: str) -> str:
    try:
        return strict_json.dumps(strict_json.parse_object(base64url.decode(entry))).decode()
    except Malformed:
        return entry
