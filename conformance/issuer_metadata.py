"""Checks of what an issuer says about itself: issuer metadata (OpenID4VCI 1.0 §12.2) and configurations."""

import time

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from conformance.check import GERMAN, HIGH_ASSURANCE, Failed, NotApplicable, Registry
from conformance.issuer_target import JSON, JWT, IssuerTarget, shown, unknown_name
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import Jws, PublicKey, parse_jws, parse_x5c, verify_jws
from specs.protocols.issuer_metadata import SIGNED_METADATA_TYP
from specs.protocols.oauth import InvalidAnswer
from specs.protocols.oauth_metadata import CREDENTIAL_ISSUER, check_url, well_known_url
from specs.refusal import Refusal

METADATA_CHECKS: Registry[IssuerTarget] = Registry()
_check = METADATA_CHECKS.check
_ENDPOINTS = ("credential_endpoint", "nonce_endpoint", "deferred_credential_endpoint", "notification_endpoint")
_TYPE_MEMBER = {"dc+sd-jwt": "vct", "mso_mdoc": "doctype"}
_SKEW = 300  # seconds


@_check("vci-metadata-location", "OpenID4VCI 1.0 §12.2.2")
def metadata_location(target: IssuerTarget) -> str:
    """The issuer metadata lie where the identifier says."""
    answer = target.metadata_answer
    if answer.status != 200:
        raise Failed(f"200 from {target.metadata_url}", answer.described)
    answer.json_object()
    return f"{answer.status}, a JSON object"


@_check("vci-metadata-media-type", "OpenID4VCI 1.0 §12.2.2")
def metadata_media_type(target: IssuerTarget) -> str:
    """The issuer metadata come as application/json."""
    if target.metadata_answer.status != 200:
        raise NotApplicable("there are no issuer metadata")
    if target.metadata_answer.media_type != JSON:
        raise Failed(JSON, target.metadata_answer.media_type or "no content type")
    return JSON


@_check("vci-metadata-identity", "OpenID4VCI 1.0 §12.2.4")
def metadata_identity(target: IssuerTarget) -> str:
    """credential_issuer is the identifier that was asked for."""
    named = target.metadata.get("credential_issuer")
    if named != target.url:
        raise Failed(f"credential_issuer {target.url}, character by character", shown(named))
    return target.url


@_check("vci-metadata-endpoints", "OpenID4VCI 1.0 §12.2.4")
def metadata_endpoints(target: IssuerTarget) -> str:
    """The credential endpoint is there; endpoints are https URLs."""
    if "credential_endpoint" not in target.metadata:
        raise Failed("a credential_endpoint", "none")
    for name in _ENDPOINTS:
        if name not in target.metadata:
            continue
        try:
            check_url(target.metadata[name], allow_loopback_http=target.allow_loopback_http)
        except InvalidAnswer as error:
            raise Failed(f"{name} is an https URL", f"{shown(target.metadata[name])}: {error}") from None
    return ", ".join(name for name in _ENDPOINTS if name in target.metadata)


@_check("vci-unknown-issuer", "OpenID4VCI 1.0 §12.2.2")
def unknown_issuer(target: IssuerTarget) -> str:
    """An issuer that does not exist has no metadata."""
    scheme, _, rest = target.url.partition("://")
    host = rest.partition("/")[0]
    answer = target.get(well_known_url(f"{scheme}://{host}/{unknown_name()}", CREDENTIAL_ISSUER))
    if answer.status != 404:
        raise Failed("404 (RFC 9110 §15.5.5)", answer.described)
    return "404"


@_check("vci-configurations", "OpenID4VCI 1.0 §12.2.4")
def configurations(target: IssuerTarget) -> str:
    """There are credential configurations, each with its format."""
    supported = target.metadata.get("credential_configurations_supported")
    if not isinstance(supported, dict) or not supported:
        raise Failed("credential_configurations_supported with an entry", shown(supported))
    for name, configuration in supported.items():
        if not isinstance(configuration, dict) or not _is_text(configuration.get("format")):
            raise Failed(f"an object with a format at {name}", shown(configuration))
    return f"{len(supported)} configurations"


@_check("vci-configuration-type", "OpenID4VCI 1.0 App. A.2.2, A.3.2")
def configuration_type(target: IssuerTarget) -> str:
    """Each configuration names its vct or doctype."""
    known = 0
    for name, configuration in target.configurations.items():
        member = _TYPE_MEMBER.get(str(configuration.get("format")))
        if member is None:
            continue
        known += 1
        if not _is_text(configuration.get(member)):
            raise Failed(f"{member} at {name}", shown(configuration.get(member)))
    if not known:
        raise NotApplicable("neither dc+sd-jwt nor mso_mdoc is offered")
    return f"{known} configurations with their type"


@_check("haip-configuration-scope", "HAIP 1.0 §4.1", profiles=HIGH_ASSURANCE)
def configuration_scope(target: IssuerTarget) -> str:
    """Each configuration has a scope."""
    for name, configuration in target.configurations.items():
        if not _is_text(configuration.get("scope")):
            raise Failed(f"a scope at {name}", shown(configuration.get("scope")))
    return f"{len(target.configurations)} scopes"


@_check("vci-binding-and-proofs", "OpenID4VCI 1.0 §12.2.4")
def binding_and_proofs(target: IssuerTarget) -> str:
    """Binding methods and proof types come together, with algorithms for each proof type."""
    bound = 0
    for name, configuration in target.configurations.items():
        methods = configuration.get("cryptographic_binding_methods_supported")
        proofs = configuration.get("proof_types_supported")
        if methods is None and proofs is None:
            continue
        if not _is_text_list(methods) or not isinstance(proofs, dict) or not proofs:
            raise Failed(
                f"both cryptographic_binding_methods_supported and proof_types_supported at {name}, or neither",
                f"{shown(methods)} and {shown(proofs)}",
            )
        for kind, support in proofs.items():
            algs = support.get("proof_signing_alg_values_supported") if isinstance(support, dict) else None
            if not _is_text_list(algs):
                raise Failed(f"proof_signing_alg_values_supported at {name}, {kind}", shown(algs))
        bound += 1
    return f"{bound} of {len(target.configurations)} configurations bind a key"


@_check("vci-batch-size", "OpenID4VCI 1.0 §12.2.4")
def batch_size(target: IssuerTarget) -> str:
    """A batch size that is named is at least 2."""
    if "batch_credential_issuance" not in target.metadata:
        raise NotApplicable("no batches are offered")
    batch = target.metadata["batch_credential_issuance"]
    size = batch.get("batch_size") if isinstance(batch, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or size < 2:
        raise Failed("a batch_size of 2 or more", shown(size))
    return str(size)


@_check("vci-signed-metadata", "OpenID4VCI 1.0 §12.2.3")
def signed_metadata(target: IssuerTarget) -> str:
    """Signed metadata, if offered, are dated, and about this issuer."""
    return _about(_claims(signed_metadata_of(target)), target)


@_check("haip-signed-metadata-key", "HAIP 1.0 §4.1", profiles=HIGH_ASSURANCE)
def signed_metadata_key(target: IssuerTarget) -> str:
    """Signed metadata, if offered, are signed by the first certificate of their x5c."""
    jws = signed_metadata_of(target)
    try:
        chain = parse_x5c(jws.header)
        verify_jws(jws, _key_of(chain[0]))
    except Refusal as error:
        raise Failed("a signature that the first certificate of x5c verifies", str(error)) from None
    return f"{jws.alg}, {len(chain)} certificates"


@_check("de-signed-metadata-offered", "HAIP 1.0 §4.1, ETSI TS 119 472-3 §4.2.3", profiles=frozenset((GERMAN,)))
def signed_metadata_offered(target: IssuerTarget) -> str:
    """Signed metadata are offered."""
    answer = target.get(target.metadata_url, accept=JWT)
    if answer.status != 200 or answer.media_type != JWT:
        raise Failed(f"200 {JWT} for Accept: {JWT}", answer.described)
    return JWT


def signed_metadata_of(target: IssuerTarget) -> Jws:
    """The signed metadata; the signature is another question.

    Raises:
        NotApplicable: they are not offered. Failed: they are no JWT of their type.
    """
    answer = target.get(target.metadata_url, accept=JWT)
    if answer.status != 200 or answer.media_type != JWT:
        raise NotApplicable(f"not offered: Accept: {JWT} brings {answer.described}")
    try:
        return parse_jws(answer.body.decode("ascii", "replace").strip(), expected_typ=SIGNED_METADATA_TYP)
    except Refusal as error:
        raise Failed(f"a JWT of typ {SIGNED_METADATA_TYP}", str(error)) from None


def _claims(jws: Jws) -> JsonObject:
    try:
        return jws.claims()
    except Refusal as error:
        raise Failed("claims as a JSON object", str(error)) from None


def _key_of(certificate: bytes) -> PublicKey:
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
    except ValueError as error:
        raise Failed("X.509 certificates in x5c", str(error)) from None
    if not isinstance(key, (ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey)):
        raise Failed("a key of an elliptic curve", type(key).__name__)
    return key


def _about(claims: JsonObject, target: IssuerTarget) -> str:
    if claims.get("sub") != target.url:
        raise Failed(f"sub {target.url}", shown(claims.get("sub")))
    issued_at = claims.get("iat")
    if not isinstance(issued_at, (int, float)) or isinstance(issued_at, bool) or issued_at > time.time() + _SKEW:
        raise Failed("iat, not in the future", shown(issued_at))
    ends = claims.get("exp")
    if ends is not None and (not isinstance(ends, (int, float)) or ends <= time.time() - _SKEW):
        raise Failed("exp in the future", shown(ends))
    missing = sorted(target.metadata.keys() - claims.keys())
    if missing:
        raise Failed("all members of the plain metadata", f"none of {', '.join(missing)}")
    return f"signed, {len(claims)} claims"


def _is_text(value: JsonValue) -> bool:
    return isinstance(value, str) and value != ""


def _is_text_list(value: JsonValue) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_text(each) for each in value)
