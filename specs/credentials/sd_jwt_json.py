"""SD-JWT as JSON: flattened and general JWS JSON serialisation, disclosures beside the signature (RFC 9901 §8)."""

from collections.abc import Sequence

from specs.credentials.sd_jwt import DEFAULT_LIMITS, Limits, SdJwt, SdJwtError, parse_sd_jwt
from specs.encoding import Malformed, base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.refusal import ReasonCode


def parse_sd_jwt_json(data: str | bytes, *, limits: Limits = DEFAULT_LIMITS) -> SdJwt:
    """Read an SD-JWT in JWS JSON serialisation, flattened or general (RFC 9901 §8).

    Of several signatures the first counts, as it does for `sd_hash`. Unprotected headers carry `disclosures` and
    `kb_jwt` and nothing else that we read.

    Raises:
        SdJwtError: not such an object, `disclosures` or `kb_jwt` outside the first header, or too large.
    """
    if len(data) > limits.max_bytes:
        raise SdJwtError(ReasonCode.LIMIT_EXCEEDED, "SD-JWT size")
    try:
        document = strict_json.parse_object(data, max_depth=limits.max_json_depth)
        signatures = _signatures(document)
        header = _unprotected_header(signatures[0])
        for other in signatures[1:]:
            if not {"disclosures", "kb_jwt"}.isdisjoint(_unprotected_header(other)):
                raise Malformed("disclosures belong into the first header")
        jwt = ".".join(
            (_text(signatures[0], "protected"), _text(document, "payload"), _text(signatures[0], "signature"))
        )
        disclosures = header.get("disclosures", [])
        if not isinstance(disclosures, list):
            raise Malformed("disclosures are an array")
        given = tuple(_texts(disclosures))
        kb_jwt = _text(header, "kb_jwt") if "kb_jwt" in header else None
    except Malformed as error:
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, str(error)) from error
    sd_jwt = parse_sd_jwt("~".join((jwt, *given, kb_jwt or "")), limits=limits)
    if sd_jwt.issuer_jwt != jwt or sd_jwt.disclosures != given or sd_jwt.kb_jwt != kb_jwt:
        raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "a separator inside a part")
    return sd_jwt


def build_flattened_json(sd_jwt: SdJwt) -> JsonObject:
    """Write an SD-JWT as a flattened JWS JSON object (RFC 9901 §8.1)."""
    protected, payload, signature = sd_jwt.issuer_jwt.split(".")
    return {"payload": payload, "protected": protected, "signature": signature, "header": _disclosing_header(sd_jwt)}


def build_general_json(sd_jwt: SdJwt, *, further_issuer_jwts: Sequence[str] = ()) -> JsonObject:
    """Write an SD-JWT as a general JWS JSON object (RFC 9901 §8.2).

    further_issuer_jwts: compact JWTs of other signers over the same payload.

    Raises:
        SdJwtError: a further JWT has another payload.
    """
    protected, payload, signature = sd_jwt.issuer_jwt.split(".")
    signatures: list[JsonValue] = [
        {"protected": protected, "signature": signature, "header": _disclosing_header(sd_jwt)}
    ]
    for jwt in further_issuer_jwts:
        protected, other_payload, signature = jwt.split(".")
        if other_payload != payload:
            raise SdJwtError(ReasonCode.SD_JWT_MALFORMED, "another payload")
        signatures.append({"protected": protected, "signature": signature})
    return {"payload": payload, "signatures": signatures}


def _signatures(document: JsonObject) -> list[JsonObject]:
    if "signatures" not in document:
        return [document]
    signatures = document["signatures"]
    if (
        not isinstance(signatures, list)
        or not signatures
        or not {"signature", "protected", "header"}.isdisjoint(document)
    ):
        raise Malformed("neither flattened nor general")
    found: list[JsonObject] = []
    for signature in signatures:
        if not isinstance(signature, dict):
            raise Malformed("a signature is an object")
        found.append(signature)
    return found


def _unprotected_header(signature: JsonObject) -> JsonObject:
    header = signature.get("header", {})
    if not isinstance(header, dict):
        raise Malformed("a header is an object")
    protected = strict_json.parse_object(base64url.decode(_text(signature, "protected")))
    if "crit" in header or not protected.keys().isdisjoint(header):
        raise Malformed("a header member in both headers, or crit unprotected")  # RFC 7515 §4.1.11, §7.2.1
    return header


def _disclosing_header(sd_jwt: SdJwt) -> JsonObject:
    header: JsonObject = {"disclosures": list(sd_jwt.disclosures)}
    if sd_jwt.kb_jwt is not None:
        header["kb_jwt"] = sd_jwt.kb_jwt
    return header


def _text(members: JsonObject, name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise Malformed(f"{name} is text")
    return value


def _texts(values: Sequence[JsonValue]) -> list[str]:
    texts: list[str] = []
    for value in values:
        if not isinstance(value, str):
            raise Malformed("a disclosure is text")
        texts.append(value)
    return texts
