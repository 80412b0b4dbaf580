"""Checks of the finer form of issuer metadata: what a wallet stumbles over late (OpenID4VCI 1.0 §12.2.4, App. A)."""

import re
from collections.abc import Iterator

from conformance.check import GERMAN, HIGH_ASSURANCE, Failed, NotApplicable, Registry
from conformance.issuer_target import IssuerTarget, shown
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.protocols.oauth import InvalidAnswer
from specs.protocols.oauth_metadata import check_identifier

FORM_CHECKS: Registry[IssuerTarget] = Registry()
_check = FORM_CHECKS.check
_KNOWN = frozenset(
    {"credential_issuer", "authorization_servers", "credential_endpoint", "nonce_endpoint",
     "deferred_credential_endpoint", "notification_endpoint", "credential_request_encryption",
     "credential_response_encryption", "batch_credential_issuance", "signed_metadata", "display",
     "credential_configurations_supported"}
)  # fmt: skip
_SIGNING = frozenset(
    {
        "ES256",
        "ES384",
        "ES512",
        "EdDSA",
        "Ed25519",
        "Ed448",
        "PS256",
        "PS384",
        "PS512",
        "RS256",
        "RS384",
        "RS512",
        "ES256K",
    }
)
_COSE_NAMES = frozenset({-7, -35, -36, -8, -9, -51, -52, -19, -53})
_ENCS = frozenset({"A128GCM", "A192GCM", "A256GCM", "A128CBC-HS256", "A192CBC-HS384", "A256CBC-HS512"})
_KEY_ALGS = frozenset(
    {"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A192KW", "ECDH-ES+A256KW", "RSA-OAEP-256", "RSA-OAEP-384", "RSA-OAEP-512"}
)
_FORMATS = frozenset({"dc+sd-jwt", "mso_mdoc"})
_W3C = frozenset({"jwt_vc_json", "jwt_vc_json-ld", "ldp_vc"})
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-[A-Za-z0-9]{5,8})*")


@_check("vci-metadata-members", "OpenID4VCI 1.0 §12.2.4", is_advice=True)
def metadata_members(target: IssuerTarget) -> str:
    """The metadata hold nothing that the standard does not know."""
    unknown = sorted(target.metadata.keys() - _KNOWN)
    if target.profile == GERMAN:
        unknown = [name for name in unknown if name != "issuer_info"]
    if unknown:
        raise Failed("members of the standard alone", ", ".join(unknown))
    return f"{len(target.metadata)} members"


@_check("vci-authorization-servers", "OpenID4VCI 1.0 §12.2.4")
def authorization_servers(target: IssuerTarget) -> str:
    """authorization_servers, if there, is a list of https identifiers that is not empty."""
    servers = target.metadata.get("authorization_servers")
    if servers is None:
        return "the issuer is its own"
    if not isinstance(servers, list) or not servers:
        raise Failed("a list that is not empty", shown(servers))
    for each in servers:
        try:
            check_identifier(each, allow_loopback_http=target.allow_loopback_http)
        except InvalidAnswer as error:
            raise Failed("https identifiers", f"{shown(each)}: {error}") from None
    return shown(servers)


@_check("vci-credential-algs", "OpenID4VCI 1.0 App. A.2.2, A.3.2")
def credential_algs(target: IssuerTarget) -> str:
    """Signing algorithms are JOSE names for SD-JWT VC and COSE numbers for mdoc."""
    for name, configuration in target.configurations.items():
        algs = configuration.get("credential_signing_alg_values_supported")
        if algs is None:
            continue
        known: frozenset[object] = _COSE_NAMES if configuration.get("format") == "mso_mdoc" else _SIGNING
        if not isinstance(algs, list) or not algs or not all(alg in known for alg in algs):
            raise Failed(f"signature algorithms of its format at {name}", shown(algs))
    return "of their format"


@_check("vci-proof-algs", "OpenID4VCI 1.0 §12.2.4, App. F.1")
def proof_algs(target: IssuerTarget) -> str:
    """Proofs are signed by asymmetric algorithms."""
    for name, kind, support in _proof_types(target):
        algs = support.get("proof_signing_alg_values_supported")
        if not isinstance(algs, list) or not algs or not all(alg in _SIGNING for alg in algs):
            raise Failed(f"asymmetric algorithms for {kind} at {name}", shown(algs))
    return "asymmetric"


@_check("vci-key-attestation-levels", "OpenID4VCI 1.0 §12.2.4, App. D.2")
def key_attestation_levels(target: IssuerTarget) -> str:
    """key_attestations_required, if there, is an object with lists that are not empty."""
    seen = 0
    for name, kind, support in _proof_types(target):
        wanted = support.get("key_attestations_required")
        if wanted is None:
            continue
        seen += 1
        if not isinstance(wanted, dict) or not all(isinstance(each, list) and each for each in wanted.values()):
            raise Failed(f"an object of lists at {name}, {kind}", shown(wanted))
    if not seen:
        raise NotApplicable("no key attestation is required")
    return f"{seen} proof types"


def _proof_types(target: IssuerTarget) -> Iterator[tuple[str, str, JsonObject]]:
    for name, configuration in target.configurations.items():
        proofs = configuration.get("proof_types_supported")
        for kind, support in proofs.items() if isinstance(proofs, dict) else ():
            if isinstance(support, dict):
                yield name, kind, support


@_check("vci-scope-syntax", "RFC 6749 §3.3; OpenID4VCI 1.0 §12.2.4")
def scope_syntax(target: IssuerTarget) -> str:
    """A configuration's scope is one word."""
    for name, configuration in target.configurations.items():
        scope = configuration.get("scope")
        if scope is not None and (not isinstance(scope, str) or not _SCOPE.fullmatch(scope)):
            raise Failed(f"one scope-token at {name}", shown(scope))
    return "one word each"


@_check("vci-display-locales", "OpenID4VCI 1.0 §12.2.4; BCP 47")
def display_locales(target: IssuerTarget) -> str:
    """Locales of display entries are language tags, none twice in a list."""
    seen = 0
    for where, displays in _displays(target):
        locales = [each.get("locale") for each in displays if isinstance(each, dict) and "locale" in each]
        bad = [each for each in locales if not isinstance(each, str) or not _LOCALE.fullmatch(each)]
        if bad or len({str(each).lower() for each in locales}) != len(locales):
            raise Failed(f"language tags that differ at {where}", shown(locales))
        seen += len(locales)
    return f"{seen} locales"


@_check("vci-display-locales-canonical", "BCP 47 §2.1.1", is_advice=True)
def display_locales_canonical(target: IssuerTarget) -> str:
    """Language tags are written in their usual case."""
    for where, displays in _displays(target):
        for each in displays:
            locale = each.get("locale") if isinstance(each, dict) else None
            if isinstance(locale, str) and locale != _canonical(locale):
                raise Failed(f"{_canonical(locale)} at {where}", locale)
    return "in their usual case"


def _canonical(locale: str) -> str:
    first, *rest = locale.split("-")
    cased = [
        each.upper() if len(each) == 2 else each.title() if len(each) == 4 and each.isalpha() else each.lower()
        for each in rest
    ]
    return "-".join([first.lower(), *cased])


def _displays(target: IssuerTarget) -> Iterator[tuple[str, list[JsonValue]]]:
    for where, value in _walked("", target.metadata):
        if where.endswith("display") and isinstance(value, list):
            yield where, value


def _walked(where: str, value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    yield where, value
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _walked(f"{where}/{name}", each)
    elif isinstance(value, list):
        for each in value:
            yield from (
                _walked(where.removesuffix("display"), each) if where.endswith("display") else _walked(where, each)
            )


@_check("vci-request-encryption", "OpenID4VCI 1.0 §12.2.4, §10")
def request_encryption(target: IssuerTarget) -> str:
    """Request encryption comes with public keys, each with kid and alg, and known encryptions."""
    offered = _object(target, "credential_request_encryption")
    jwks = offered.get("jwks")
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not keys:
        raise Failed("jwks with a key", shown(jwks))
    for key in keys:
        if not isinstance(key, dict) or not isinstance(key.get("kid"), str) or not isinstance(key.get("alg"), str):
            raise Failed("kid and alg at each key", "a key without one of them")
        if key.keys() & {"d", "k", "p", "q"}:
            raise Failed("public keys", "a private one")
    if len({str(key["kid"]) for key in keys if isinstance(key, dict)}) != len(keys):
        raise Failed("a kid of its own for each key", "one twice")
    _known_encs(offered)
    return f"{len(keys)} keys"


@_check("vci-response-encryption", "OpenID4VCI 1.0 §12.2.4, §10")
def response_encryption(target: IssuerTarget) -> str:
    """Response encryption names known asymmetric algorithms and encryptions."""
    offered = _object(target, "credential_response_encryption")
    algs = offered.get("alg_values_supported")
    if not isinstance(algs, list) or not algs or not all(alg in _KEY_ALGS for alg in algs):
        raise Failed("asymmetric alg_values_supported", shown(algs))
    _known_encs(offered)
    if not isinstance(offered.get("encryption_required"), bool):
        raise Failed("encryption_required, true or false", shown(offered.get("encryption_required")))
    return shown(algs)


def _object(target: IssuerTarget, name: str) -> JsonObject:
    offered = target.metadata.get(name)
    if offered is None:
        raise NotApplicable(f"there is no {name}")
    if not isinstance(offered, dict):
        raise Failed(f"{name}, an object", shown(offered))
    return offered


def _known_encs(offered: JsonObject) -> None:
    encs = offered.get("enc_values_supported")
    if not isinstance(encs, list) or not encs or not all(enc in _ENCS for enc in encs):
        raise Failed("known enc_values_supported", shown(encs))


@_check("vci-zip-values", "OpenID4VCI 1.0 §12.2.4; RFC 7516 §4.1.3", is_advice=True)
def zip_values(target: IssuerTarget) -> str:
    """The one compression that there is, is DEF."""
    for name in ("credential_request_encryption", "credential_response_encryption"):
        offered = target.metadata.get(name)
        zips = offered.get("zip_values_supported") if isinstance(offered, dict) else None
        if zips is not None and zips != ["DEF"]:
            raise Failed('["DEF"]', shown(zips))
    return "DEF or none"


@_check("vci-encryption-both-ways", "OpenID4VCI 1.0 §12.2.4, §10")
def encryption_both_ways(target: IssuerTarget) -> str:
    """Who demands encrypted answers takes encrypted requests."""
    offered = _object(target, "credential_response_encryption")
    if offered.get("encryption_required") is True and "credential_request_encryption" not in target.metadata:
        raise Failed("credential_request_encryption", "none")
    return "both" if "credential_request_encryption" in target.metadata else "answers alone, not demanded"


@_check("vci-encryption-offered-both-ways", "OpenID4VCI 1.0 §10", is_advice=True)
def encryption_offered_both_ways(target: IssuerTarget) -> str:
    """Who offers encrypted answers takes encrypted requests."""
    _object(target, "credential_response_encryption")
    if "credential_request_encryption" not in target.metadata:
        raise Failed("credential_request_encryption", "none")
    return "both"


@_check("vci-old-format", "SD-JWT VC §2.2.1; OpenID4VCI 1.0 App. A.3", is_advice=True)
def old_format(target: IssuerTarget) -> str:
    """Nothing is offered as vc+sd-jwt any more."""
    old = [name for name, each in target.configurations.items() if each.get("format") == "vc+sd-jwt"]
    if old:
        raise Failed("dc+sd-jwt", f"vc+sd-jwt at {', '.join(old)}")
    return "none"


@_check("vci-formats-known", "OpenID4VCI 1.0 App. A; HAIP 1.0 §5.3", is_advice=True)
def formats_known(target: IssuerTarget) -> str:
    """The formats are ones that the profile knows."""
    known = _FORMATS if target.profile in HIGH_ASSURANCE else _FORMATS | _W3C
    unknown = sorted({str(each.get("format")) for each in target.configurations.values()} - known)
    if unknown:
        raise Failed(", ".join(sorted(known)), ", ".join(unknown))
    return "known"
