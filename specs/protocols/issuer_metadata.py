"""Issuer metadata: what a credential issuer publishes about itself, plain or signed (OpenID4VCI 1.0 §12.2).

What is built here is read once by the same strict reader before anybody sees it, so that we publish nothing a wallet
must discard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from specs.encoding import Malformed, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import JoseError, build_jws, parse_jwk, parse_jws, parse_x5c, verify_jws, x5c_header
from specs.keys.signer import SigningIdentity
from specs.protocols.jwt_claims import ClaimError, check_validity, required_string, required_time
from specs.protocols.key_attestation import KeyAttestationRequirements
from specs.protocols.key_proof import ProofTypeSupport
from specs.protocols.oauth import InvalidAnswer
from specs.protocols.oauth_metadata import check_identifier, check_url
from specs.protocols.openid4vci import check_claims_descriptions
from specs.refusal import ReasonCode
from specs.trust.x509 import CertificateProfile, TrustAnchor, validate_path

SIGNED_METADATA_TYP = "openidvci-issuer-metadata+jwt"
DC_SD_JWT = "dc+sd-jwt"
MSO_MDOC = "mso_mdoc"

_MAX_CONFIGURATIONS = 500
_ENDPOINTS = ("nonce_endpoint", "deferred_credential_endpoint", "notification_endpoint")
_MEMBERS = frozenset(
    {
        "credential_issuer",
        "authorization_servers",
        "credential_endpoint",
        *_ENDPOINTS,
        "credential_request_encryption",
        "credential_response_encryption",
        "batch_credential_issuance",
        "display",
        "credential_configurations_supported",
    }
)
_JWT_MEMBERS = frozenset({"iss", "sub", "iat", "exp", "nbf", "aud", "jti"})
_CONFIGURATION_MEMBERS = frozenset(
    {
        "format",
        "scope",
        "vct",
        "doctype",
        "credential_signing_alg_values_supported",
        "cryptographic_binding_methods_supported",
        "proof_types_supported",
        "credential_metadata",
    }
)


@dataclass(frozen=True, slots=True)
class CredentialConfiguration:
    """One entry of `credential_configurations_supported`.

    signing_algs: JOSE names, or COSE numbers for mdoc. display, claims: of `credential_metadata`, as published.
    metadata_extra, extra: other members of `credential_metadata` and of the configuration.
    """

    format: str
    scope: str | None = None
    vct: str | None = None
    doctype: str | None = None
    signing_algs: tuple[str | int, ...] = ()
    binding_methods: tuple[str, ...] = ()
    proof_types: Mapping[str, ProofTypeSupport] = field(default_factory=dict)
    display: tuple[JsonObject, ...] = ()
    claims: tuple[JsonObject, ...] = ()
    metadata_extra: Mapping[str, JsonValue] = field(default_factory=dict)
    extra: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestEncryption:
    """`credential_request_encryption`: public keys with `kid` and `alg` that wallets encrypt requests to (§10)."""

    keys: tuple[JsonObject, ...]
    encs: tuple[str, ...]
    zips: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class ResponseEncryptionSupport:
    """`credential_response_encryption`: how answers can be encrypted (§10)."""

    algs: tuple[str, ...]
    encs: tuple[str, ...]
    zips: tuple[str, ...] = ()
    required: bool = False


@dataclass(frozen=True, slots=True)
class IssuerMetadata:
    """Credential issuer metadata (§12.2.4). batch_size: 1 means no batches. extra: other members."""

    credential_issuer: str
    credential_endpoint: str
    configurations: Mapping[str, CredentialConfiguration]
    authorization_servers: tuple[str, ...] = ()
    nonce_endpoint: str | None = None
    deferred_credential_endpoint: str | None = None
    notification_endpoint: str | None = None
    request_encryption: RequestEncryption | None = None
    response_encryption: ResponseEncryptionSupport | None = None
    batch_size: int = 1
    display: tuple[JsonObject, ...] = ()
    extra: Mapping[str, JsonValue] = field(default_factory=dict)


def build_issuer_metadata(metadata: IssuerMetadata, *, allow_loopback_http: bool = False) -> JsonObject:
    """The JSON object to publish at `well_known_url(credential_issuer, CREDENTIAL_ISSUER)` (§12.2.2).

    Raises:
        InvalidAnswer: it would break the standard.
    """
    document: JsonObject = {"credential_issuer": metadata.credential_issuer}
    if metadata.authorization_servers:
        document["authorization_servers"] = list(metadata.authorization_servers)
    document["credential_endpoint"] = metadata.credential_endpoint
    endpoints = (metadata.nonce_endpoint, metadata.deferred_credential_endpoint, metadata.notification_endpoint)
    document |= {name: url for name, url in zip(_ENDPOINTS, endpoints, strict=True) if url is not None}
    if metadata.request_encryption is not None:
        offered = metadata.request_encryption
        document["credential_request_encryption"] = {
            "jwks": {"keys": list(offered.keys)},
            **_encryption_members(offered.encs, offered.zips, required=offered.required),
        }
    if metadata.response_encryption is not None:
        supported = metadata.response_encryption
        document["credential_response_encryption"] = {
            "alg_values_supported": list(supported.algs),
            **_encryption_members(supported.encs, supported.zips, required=supported.required),
        }
    if metadata.batch_size > 1:
        document["batch_credential_issuance"] = {"batch_size": metadata.batch_size}
    if metadata.display:
        document["display"] = list(metadata.display)
    document["credential_configurations_supported"] = {
        name: build_configuration(configuration) for name, configuration in metadata.configurations.items()
    }
    document |= dict(metadata.extra)
    _metadata(document, expected_issuer=metadata.credential_issuer, allow_loopback_http=allow_loopback_http)
    return document


def build_configuration(configuration: CredentialConfiguration) -> JsonObject:
    """The JSON object of one configuration (§12.2.4, App. A)."""
    value: JsonObject = {"format": configuration.format}
    texts = {"scope": configuration.scope, "vct": configuration.vct, "doctype": configuration.doctype}
    value |= {name: text for name, text in texts.items() if text is not None}
    if configuration.signing_algs:
        value["credential_signing_alg_values_supported"] = list(configuration.signing_algs)
    if configuration.binding_methods:
        value["cryptographic_binding_methods_supported"] = list(configuration.binding_methods)
    if configuration.proof_types:
        value["proof_types_supported"] = {
            name: _build_proof_type(support) for name, support in configuration.proof_types.items()
        }
    described: JsonObject = {}
    if configuration.display:
        described["display"] = list(configuration.display)
    if configuration.claims:
        described["claims"] = list(configuration.claims)
    described |= dict(configuration.metadata_extra)
    if described:
        value["credential_metadata"] = described
    return value | dict(configuration.extra)


def parse_issuer_metadata(data: bytes, *, expected_issuer: str, allow_loopback_http: bool = False) -> IssuerMetadata:
    """Read plain metadata that was fetched for `expected_issuer`; unknown members are kept in `extra` (§12.2.4).

    Raises:
        InvalidAnswer: another issuer's metadata, or a member is missing or of another form.
    """
    try:
        document = strict_json.parse_object(data)
    except Malformed as error:
        raise InvalidAnswer(str(error)) from error
    return _metadata(document, expected_issuer=expected_issuer, allow_loopback_http=allow_loopback_http)


def parse_configuration(value: JsonValue) -> CredentialConfiguration:
    """Read one entry of `credential_configurations_supported` (§12.2.4, App. A).

    Raises:
        InvalidAnswer: a member is missing or of another form.
    """
    if not isinstance(value, dict):
        raise InvalidAnswer("a configuration is an object")
    credential_format = _text(value, "format")
    vct = _text(value, "vct") if credential_format == DC_SD_JWT else None
    doctype = _text(value, "doctype") if credential_format == MSO_MDOC else None
    binding_methods = _texts(value, "cryptographic_binding_methods_supported")
    proof_types = _proof_types(value.get("proof_types_supported")) if "proof_types_supported" in value else {}
    if proof_types and not binding_methods:
        raise InvalidAnswer("proof_types_supported without cryptographic_binding_methods_supported")
    described = value.get("credential_metadata", {})
    if not isinstance(described, dict):
        raise InvalidAnswer("credential_metadata is not an object")
    return CredentialConfiguration(
        format=credential_format,
        scope=_text(value, "scope") if "scope" in value else None,
        vct=vct,
        doctype=doctype,
        signing_algs=_signing_algs(value),
        binding_methods=binding_methods,
        proof_types=proof_types,
        display=_display(described, name_required=True),
        claims=_claims(described),
        metadata_extra={name: member for name, member in described.items() if name not in ("display", "claims")},
        extra={name: member for name, member in value.items() if name not in _CONFIGURATION_MEMBERS},
    )


def build_signed_metadata(
    document: JsonObject, *, signer: SigningIdentity, now: int, lifetime: int | None = None, iss: str | None = None
) -> str:
    """Metadata as a JWT (§12.2.3, HAIP §4.1). document: of `build_issuer_metadata`. now, lifetime: seconds."""
    claims: JsonObject = {"sub": document["credential_issuer"], "iat": now}
    if lifetime is not None:
        claims["exp"] = now + lifetime
    if iss is not None:
        claims["iss"] = iss
    header = {"x5c": x5c_header(signer.chain)}
    payload = strict_json.dumps(document | claims)
    return build_jws(payload, signer=signer.signer, typ=SIGNED_METADATA_TYP, header=header)


def verify_signed_metadata(
    token: str,
    *,
    expected_issuer: str,
    anchors: Sequence[TrustAnchor],
    now: int,
    profile: CertificateProfile = CertificateProfile.ACCESS,
    allow_loopback_http: bool = False,
) -> IssuerMetadata:
    """Read signed metadata of a trusted signer (§12.2.3, HAIP §4.1). now: seconds since the epoch.

    Raises:
        Refusal: the signature, the signer, the time or `sub` do not hold.
        InvalidAnswer: what was signed breaks the standard.
    """
    jws = parse_jws(token, expected_typ=SIGNED_METADATA_TYP)
    path = validate_path(parse_x5c(jws.header), anchors=anchors, profile=profile, now=now)
    verify_jws(jws, path.leaf_key)
    claims = jws.claims()
    if required_string(claims, "sub") != expected_issuer:
        raise ClaimError(ReasonCode.AUDIENCE_MISMATCH, "sub is another issuer")
    required_time(claims, "iat")
    check_validity(claims, now=now)
    document = {name: value for name, value in claims.items() if name not in _JWT_MEMBERS}
    return _metadata(document, expected_issuer=expected_issuer, allow_loopback_http=allow_loopback_http)


def _metadata(document: JsonObject, *, expected_issuer: str, allow_loopback_http: bool) -> IssuerMetadata:
    if document.get("credential_issuer") != expected_issuer:
        raise InvalidAnswer("the metadata of another issuer")
    check_identifier(expected_issuer, allow_loopback_http=allow_loopback_http)
    servers = _texts(document, "authorization_servers")
    for server in servers:
        check_identifier(server, allow_loopback_http=allow_loopback_http)
    urls = {
        name: check_url(document[name], allow_loopback_http=allow_loopback_http)
        for name in ("credential_endpoint", *_ENDPOINTS)
        if name in document
    }
    if "credential_endpoint" not in urls:
        raise InvalidAnswer("credential_endpoint is missing")
    entries = document.get("credential_configurations_supported")
    if not isinstance(entries, dict) or len(entries) > _MAX_CONFIGURATIONS:
        raise InvalidAnswer("credential_configurations_supported is not an object")
    return IssuerMetadata(
        credential_issuer=expected_issuer,
        credential_endpoint=urls["credential_endpoint"],
        configurations={name: parse_configuration(entry) for name, entry in entries.items()},
        authorization_servers=servers,
        nonce_endpoint=urls.get("nonce_endpoint"),
        deferred_credential_endpoint=urls.get("deferred_credential_endpoint"),
        notification_endpoint=urls.get("notification_endpoint"),
        request_encryption=_request_encryption(document),
        response_encryption=_response_encryption(document),
        batch_size=_batch_size(document),
        display=_display(document, name_required=False),
        extra={name: value for name, value in document.items() if name not in _MEMBERS},
    )


def _encryption_members(encs: tuple[str, ...], zips: tuple[str, ...], *, required: bool) -> JsonObject:
    members: JsonObject = {"enc_values_supported": list(encs)}
    if zips:
        members["zip_values_supported"] = list(zips)
    return members | {"encryption_required": required}


def _build_proof_type(support: ProofTypeSupport) -> JsonObject:
    value: JsonObject = {"proof_signing_alg_values_supported": list(support.signing_algs)}
    if support.key_attestations is not None:
        needed = {
            "key_storage": support.key_attestations.key_storage,
            "user_authentication": support.key_attestations.user_authentication,
        }
        value["key_attestations_required"] = {
            name: list(levels) for name, levels in needed.items() if levels is not None
        }
    return value


def _request_encryption(document: JsonObject) -> RequestEncryption | None:
    if "credential_request_encryption" not in document:
        return None
    value = document["credential_request_encryption"]
    jwks = value.get("jwks") if isinstance(value, dict) else None
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(value, dict) or not isinstance(keys, list) or not keys:
        raise InvalidAnswer("credential_request_encryption has no keys")
    objects = tuple(key for key in keys if isinstance(key, dict))
    kids = {key.get("kid") for key in objects if isinstance(key.get("kid"), str)}
    if len(kids) != len(keys) or not all(isinstance(key.get("alg"), str) for key in objects):
        raise InvalidAnswer("each key of credential_request_encryption has its own kid, and alg")
    for key in objects:
        _check_public(key)
    encs = _filled_texts(value, "enc_values_supported")
    return RequestEncryption(objects, encs, _texts(value, "zip_values_supported"), _required(value))


def _check_public(key: JsonObject) -> None:
    """Keys of kinds that we don't use may stand there; a private one may not."""
    try:
        parse_jwk(key, for_encryption=True)
    except JoseError as error:
        if "d" in key or key.get("kty") == "oct":
            raise InvalidAnswer("a private key is published") from error


def _response_encryption(document: JsonObject) -> ResponseEncryptionSupport | None:
    if "credential_response_encryption" not in document:
        return None
    value = document["credential_response_encryption"]
    if not isinstance(value, dict):
        raise InvalidAnswer("credential_response_encryption is not an object")
    algs, encs = _filled_texts(value, "alg_values_supported"), _filled_texts(value, "enc_values_supported")
    return ResponseEncryptionSupport(algs, encs, _texts(value, "zip_values_supported"), _required(value))


def _required(value: JsonObject) -> bool:
    required = value.get("encryption_required")
    if not isinstance(required, bool):
        raise InvalidAnswer("encryption_required is missing")
    return required


def _batch_size(document: JsonObject) -> int:
    if "batch_credential_issuance" not in document:
        return 1
    value = document["batch_credential_issuance"]
    size = value.get("batch_size") if isinstance(value, dict) else None
    if not isinstance(size, int) or isinstance(size, bool) or size < 2:
        raise InvalidAnswer("batch_size is not a number from two on")
    return size


def _proof_types(value: JsonValue) -> dict[str, ProofTypeSupport]:
    if not isinstance(value, dict) or not value:
        raise InvalidAnswer("proof_types_supported is not a filled object")
    return {name: _proof_type(entry) for name, entry in value.items()}


def _proof_type(entry: JsonValue) -> ProofTypeSupport:
    if not isinstance(entry, dict):
        raise InvalidAnswer("a proof type is an object")
    algs = _filled_texts(entry, "proof_signing_alg_values_supported")
    if "key_attestations_required" not in entry:
        return ProofTypeSupport(algs)
    needed = entry["key_attestations_required"]
    if not isinstance(needed, dict):
        raise InvalidAnswer("key_attestations_required is not an object")
    levels = KeyAttestationRequirements(
        _filled_texts(needed, "key_storage") if "key_storage" in needed else None,
        _filled_texts(needed, "user_authentication") if "user_authentication" in needed else None,
    )
    return ProofTypeSupport(algs, levels)


def _signing_algs(value: JsonObject) -> tuple[str | int, ...]:
    """JOSE names for SD-JWT VCs, COSE numbers for mdocs (App. A.2.2, A.3.2); informational, so either is read."""
    algs = value.get("credential_signing_alg_values_supported", [])
    if not isinstance(algs, list):
        raise InvalidAnswer("credential_signing_alg_values_supported is not an array")
    read = tuple(alg for alg in algs if isinstance(alg, str) or type(alg) is int)
    if len(read) != len(algs):
        raise InvalidAnswer("credential_signing_alg_values_supported holds names or numbers")
    return read


def _claims(described: JsonObject) -> tuple[JsonObject, ...]:
    if "claims" not in described:
        return ()
    claims = check_claims_descriptions(described["claims"])
    for claim in claims:
        _display(claim, name_required=False)
    return claims


def _display(holder: JsonObject, *, name_required: bool) -> tuple[JsonObject, ...]:
    """`display`: objects, one for each locale, pictures with their address (§12.2.4)."""
    if "display" not in holder:
        return ()
    entries = holder["display"]
    if not isinstance(entries, list) or not entries:
        raise InvalidAnswer("display is not a filled array")
    objects = tuple(entry for entry in entries if isinstance(entry, dict))
    locales = {entry.get("locale") if isinstance(entry.get("locale"), str) else None for entry in objects}
    if len(locales) != len(entries):
        raise InvalidAnswer("display holds one object for each locale")
    for entry in objects:
        name = entry.get("name")
        if (name_required or "name" in entry) and (not isinstance(name, str) or not name):
            raise InvalidAnswer("name is missing in display")
        for picture_name in ("logo", "background_image"):
            picture = entry.get(picture_name)
            if picture_name in entry and not (isinstance(picture, dict) and isinstance(picture.get("uri"), str)):
                raise InvalidAnswer(f"{picture_name} has no uri")
    return objects


def _text(value: JsonObject, name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise InvalidAnswer(f"{name} is missing")
    return text


def _filled_texts(value: JsonObject, name: str) -> tuple[str, ...]:
    if name not in value:
        raise InvalidAnswer(f"{name} is missing")
    return _texts(value, name)


def _texts(value: JsonObject, name: str) -> tuple[str, ...]:
    """Arrays in metadata are not empty where they are present (§12.2.4)."""
    if name not in value:
        return ()
    entries = value[name]
    if not isinstance(entries, list) or not entries:
        raise InvalidAnswer(f"{name} is not a filled array")
    texts = tuple(entry for entry in entries if isinstance(entry, str) and entry)
    if len(texts) != len(entries):
        raise InvalidAnswer(f"{name} holds texts only")
    return texts
