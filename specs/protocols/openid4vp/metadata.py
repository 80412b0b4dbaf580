"""What a verifier can read: `client_metadata` of a question (OpenID4VP 1.0 §5.1, §11.1, §B.2.2, §B.3.4)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import JoseError, parse_jwk
from specs.protocols.dcql import FORMAT_MDOC, FORMAT_SD_JWT_VC
from specs.protocols.openid4vp.errors import ErrorCode, RequestError, invalid_request

DEFAULT_ENC = "A128GCM"
GCM_ENCS = ("A128GCM", "A256GCM")

_MAX_KEYS = 20

# RFC 9864: one number for algorithm and curve, beside the older number that leaves the curve open
_FULLY_SPECIFIED: Mapping[tuple[int, str], int] = {
    (-7, "P-256"): -9,
    (-35, "P-384"): -51,
    (-36, "P-521"): -52,
    (-8, "Ed25519"): -19,
}


@dataclass(frozen=True, slots=True)
class SdJwtAlgorithms:
    """Fully-specified JOSE names; None: no statement (§B.3.4)."""

    issuer: tuple[str, ...] | None = None
    key_binding: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class MdocAlgorithms:
    """COSE numbers; None: no statement (§B.2.2)."""

    issuer_auth: tuple[int, ...] | None = None
    device_auth: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class SupportedFormats:
    """`vp_formats_supported`; None: that format is not read. `others`: names of formats we know nothing of."""

    sd_jwt: SdJwtAlgorithms | None = None
    mdoc: MdocAlgorithms | None = None
    others: frozenset[str] = frozenset()

    def __contains__(self, credential_format: str) -> bool:
        if credential_format == FORMAT_SD_JWT_VC:
            return self.sd_jwt is not None
        if credential_format == FORMAT_MDOC:
            return self.mdoc is not None
        return credential_format in self.others


HAIP_FORMATS = SupportedFormats(
    sd_jwt=SdJwtAlgorithms(issuer=("ES256",), key_binding=("ES256",)),
    mdoc=MdocAlgorithms(issuer_auth=(-7, -9), device_auth=(-7, -9)),
)
"""What each party of HAIP can do (HAIP 1.0 §7)."""

ALL_FORMATS = SupportedFormats(
    sd_jwt=SdJwtAlgorithms(
        issuer=("ES256", "ES384", "ES512", "Ed25519"), key_binding=("ES256", "ES384", "ES512", "Ed25519")
    ),
    mdoc=MdocAlgorithms(
        issuer_auth=(-7, -9, -35, -51, -36, -52, -8, -19), device_auth=(-7, -9, -35, -51, -36, -52, -8, -19)
    ),
)
"""All that we verify."""


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """`encryption_keys`: JWKs an answer can be encrypted to, as they were sent. `encs`: allowed content encryptions."""

    formats: SupportedFormats | None
    encryption_keys: tuple[JsonObject, ...] = ()
    encs: tuple[str, ...] = (DEFAULT_ENC,)

    def encryption_key(self, *, alg: str = "ECDH-ES", crv: str = "P-256") -> JsonObject:
        """The key to encrypt an answer to (§8.3): the first of a kind that we can use.

        Raises:
            RequestError: there is none.
        """
        for jwk in self.encryption_keys:
            if jwk.get("alg") == alg and jwk.get("crv") == crv:
                return jwk
        raise invalid_request("client_metadata.jwks: no key that an answer can be encrypted to")


def build_client_metadata(
    *, formats: SupportedFormats, response_keys: Sequence[Mapping[str, str]], encs: Sequence[str] = GCM_ENCS
) -> JsonObject:
    """Write `client_metadata` (§5.1).

    response_keys: public JWKs with `kid`, `alg` and `use: enc`, fresh for this question (HAIP 1.0 §5); none where the
    answer is not encrypted.
    """
    metadata: JsonObject = {"vp_formats_supported": formats_to_json(formats)}
    if response_keys:
        metadata["jwks"] = {"keys": [dict(jwk) for jwk in response_keys]}
        metadata["encrypted_response_enc_values_supported"] = list(encs)
    return metadata


def formats_to_json(formats: SupportedFormats) -> JsonObject:
    """Write `vp_formats_supported`; also a member of a wallet's own metadata (§10.1)."""
    written: JsonObject = {}
    if formats.sd_jwt is not None:
        written[FORMAT_SD_JWT_VC] = _present(
            {"sd-jwt_alg_values": formats.sd_jwt.issuer, "kb-jwt_alg_values": formats.sd_jwt.key_binding}
        )
    if formats.mdoc is not None:
        written[FORMAT_MDOC] = _present(
            {"issuerauth_alg_values": formats.mdoc.issuer_auth, "deviceauth_alg_values": formats.mdoc.device_auth}
        )
    return written


def _present(members: Mapping[str, Sequence[str] | Sequence[int] | None]) -> JsonObject:
    return {name: list(values) for name, values in members.items() if values is not None}


def parse_client_metadata(value: JsonValue) -> ClientMetadata:
    """Read `client_metadata` (§5.1). Unknown members and keys of unknown kinds are ignored.

    Raises:
        RequestError: a member has another type than it should; two keys have one `kid`; a key has none.
    """
    if not isinstance(value, dict):
        raise invalid_request("client_metadata: not an object")
    formats: SupportedFormats | None = None
    if "vp_formats_supported" in value:
        formats = parse_formats(value["vp_formats_supported"])
    encs = optional_texts(value, "encrypted_response_enc_values_supported") or (DEFAULT_ENC,)
    return ClientMetadata(formats, encryption_keys(value["jwks"]) if "jwks" in value else (), encs)


def parse_formats(value: JsonValue) -> SupportedFormats:
    """Read `vp_formats_supported` (§11.1).

    Raises:
        RequestError: not a non-empty object of objects, or a list of algorithms of the wrong type.
    """
    if not isinstance(value, dict) or not value:
        raise invalid_request("vp_formats_supported: not a non-empty object")
    sd_jwt: SdJwtAlgorithms | None = None
    mdoc: MdocAlgorithms | None = None
    for name, members in value.items():
        if not isinstance(members, dict):
            raise invalid_request("vp_formats_supported: a member is not an object")
        if name == FORMAT_SD_JWT_VC:
            sd_jwt = SdJwtAlgorithms(
                optional_texts(members, "sd-jwt_alg_values"), optional_texts(members, "kb-jwt_alg_values")
            )
        elif name == FORMAT_MDOC:
            mdoc = MdocAlgorithms(
                _optional_numbers(members, "issuerauth_alg_values"), _optional_numbers(members, "deviceauth_alg_values")
            )
    return SupportedFormats(sd_jwt, mdoc, frozenset(value) - {FORMAT_SD_JWT_VC, FORMAT_MDOC})


def encryption_keys(value: JsonValue) -> tuple[JsonObject, ...]:
    """The keys of a `jwks` that something can be encrypted to (§5.1, §8.3, §10.1); others are left out.

    Raises:
        RequestError: not a set of keys, a key without a `kid`, or two with one.
    """
    keys = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(keys, list) or not keys or len(keys) > _MAX_KEYS:
        raise invalid_request("jwks: not a set of keys")
    kids: set[str] = set()
    usable: list[JsonObject] = []
    for jwk in keys:
        if not isinstance(jwk, dict) or not isinstance(kid := jwk.get("kid"), str) or kid in kids:
            raise invalid_request("jwks: each key has a kid of its own")
        kids.add(kid)
        # §8.3: without alg no one can encrypt to it; a key for signatures is none of ours
        if isinstance(jwk.get("alg"), str) and _is_public_key(jwk):
            usable.append(jwk)
    return tuple(usable)


def _is_public_key(jwk: JsonObject) -> bool:
    try:
        parse_jwk(jwk, for_encryption=True)
    except JoseError:
        return False
    return True


def _texts(value: JsonValue, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise invalid_request(f"{name}: not a non-empty array")
    texts = tuple(item for item in value if isinstance(item, str))
    if len(texts) != len(value):
        raise invalid_request(f"{name}: holds something that is not a text")
    return texts


def optional_texts(members: JsonObject, name: str) -> tuple[str, ...] | None:
    """A member that is a non-empty array of texts, if it is there.

    Raises:
        RequestError: it is something else.
    """
    return _texts(members[name], name) if name in members else None


def _optional_numbers(members: JsonObject, name: str) -> tuple[int, ...] | None:
    if name not in members:
        return None
    value = members[name]
    if not isinstance(value, list) or not value:
        raise invalid_request(f"{name}: not a non-empty array")
    numbers = tuple(item for item in value if type(item) is int)
    if len(numbers) != len(value):
        raise invalid_request(f"{name}: holds something that is not an integer")
    return numbers


def jose_alg_announced(alg: str, announced: Collection[str] | None) -> bool:
    """Whether a signature's `alg` is among those announced (§B.3.4); EdDSA means Ed25519. None: no statement."""
    if announced is None or alg in announced:
        return True
    return alg in ("EdDSA", "Ed25519") and not {"EdDSA", "Ed25519"}.isdisjoint(announced)


def cose_alg_announced(alg: int, curve: str, announced: Collection[int] | None) -> bool:
    """Whether a signature's COSE `alg`, made on a curve, is among those announced (§B.2.2). None: no statement.

    An announced number fits if it is the same, or if it is the fully specified one of that algorithm and curve.
    curve: JOSE name.
    """
    if announced is None or alg in announced:
        return True
    return _FULLY_SPECIFIED.get((alg, curve)) in announced


def check_formats(requested: Collection[str], *, supported: SupportedFormats) -> None:
    """The wallet's check that it can answer at all (§8.5).

    Raises:
        RequestError: `vp_formats_not_supported`, none of the requested formats is known.
    """
    if not any(credential_format in supported for credential_format in requested):
        raise RequestError(ErrorCode.VP_FORMATS_NOT_SUPPORTED, "none of the requested formats")
