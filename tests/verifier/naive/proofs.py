"""Signatures and certificates, by the bare library: JWS (RFC 7515), COSE_Sign1 (RFC 9052), paths (RFC 5280 §6.1)."""

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

import cbor2
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

SKEW = 60
SIGNERS = {"ES256": ("secp256r1", 32), "ES384": ("secp384r1", 48), "ES512": ("secp521r1", 66)}
DIGESTS = {"ES256": hashes.SHA256(), "ES384": hashes.SHA384(), "ES512": hashes.SHA512()}
COSE_ALGS = {
    -7: "ES256",
    -9: "ES256",
    -35: "ES384",
    -51: "ES384",
    -36: "ES512",
    -52: "ES512",
    -8: "EdDSA",
    -19: "EdDSA",
}
CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
COSE_CURVES = {1: "P-256", 2: "P-384", 3: "P-521"}
MDOC_SIGNER = x509.ObjectIdentifier("1.0.18013.5.1.2")
UNDERSTOOD = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.ExtendedKeyUsage,
    x509.SubjectAlternativeName,
    x509.AuthorityKeyIdentifier,
    x509.SubjectKeyIdentifier,
    x509.CRLDistributionPoints,
    x509.IssuerAlternativeName,
    x509.CertificatePolicies,
)


class No(Exception):
    """The answer, or this part of it, does not hold."""


def require(condition: object, what: str) -> None:
    """Say no unless something holds."""
    if not condition:
        raise No(what)


def unb64(text: object) -> bytes:
    """base64url without padding (RFC 7515 §2), no character too many."""
    require(isinstance(text, str), "no text")
    assert isinstance(text, str)
    require(all(c.isascii() and (c.isalnum() or c in "-_") for c in text), "not base64url")
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    require(b64(data) == text, "not the one encoding")
    return data


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def read_json(data: bytes) -> Any:
    """JSON with unique names and no number that JSON does not know (RFC 8259)."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        require(len(dict(pairs)) == len(pairs), "a name twice")
        return dict(pairs)

    def unknown(_: str) -> None:
        raise No("NaN, Infinity")

    return json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=unknown)


def is_number(value: object) -> bool:
    """A NumericDate."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_signature(key: object, alg: object, signature: bytes, signed: bytes) -> None:
    """RFC 7518 §3.4, RFC 8037: the algorithm's own curve, raw signatures of its length."""
    try:
        if alg in ("EdDSA", "Ed25519"):
            require(isinstance(key, ed25519.Ed25519PublicKey), "key of another kind")
            assert isinstance(key, ed25519.Ed25519PublicKey)
            key.verify(signature, signed)
            return
        require(alg in SIGNERS, "algorithm")
        assert isinstance(alg, str)
        curve, size = SIGNERS[alg]
        require(isinstance(key, ec.EllipticCurvePublicKey), "key of another kind")
        assert isinstance(key, ec.EllipticCurvePublicKey)
        require(key.curve.name == curve and len(signature) == 2 * size, "curve or length")
        pair = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        key.verify(encode_dss_signature(*pair), signed, ec.ECDSA(DIGESTS[alg]))
    except InvalidSignature as error:
        raise No("signature") from error


def read_jws(text: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    """Header, claims, signature and what is signed (RFC 7515 §7.1); nobody believed them yet."""
    parts = text.split(".")
    require(len(parts) == 3, "three parts")
    header, claims = read_json(unb64(parts[0])), read_json(unb64(parts[1]))
    require(isinstance(header, dict) and isinstance(claims, dict), "no object")
    require("crit" not in header, "crit")
    return header, claims, unb64(parts[2]), f"{parts[0]}.{parts[1]}".encode()


def jwk_key(jwk: Any) -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
    """A public key (RFC 7517)."""
    require(isinstance(jwk, dict) and "d" not in jwk, "not a public key")
    if jwk.get("kty") == "OKP":
        require(jwk.get("crv") == "Ed25519", "curve")
        return ed25519.Ed25519PublicKey.from_public_bytes(unb64(jwk["x"]))
    require(jwk.get("kty") == "EC" and jwk.get("crv") in CURVES, "curve")
    x, y = (int.from_bytes(unb64(jwk[name]), "big") for name in ("x", "y"))
    return ec.EllipticCurvePublicNumbers(x, y, CURVES[jwk["crv"]]).public_key()


def cose_key(key: Any) -> ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey:
    """A public key (RFC 9052 §7)."""
    require(isinstance(key, dict) and -4 not in key, "not a public key")
    if key[1] == 1:
        require(key[-1] == 6, "curve")
        return ed25519.Ed25519PublicKey.from_public_bytes(key[-2])
    require(key[1] == 2 and key[-1] in COSE_CURVES, "curve")
    x, y = (int.from_bytes(key[label], "big") for label in (-2, -3))
    return ec.EllipticCurvePublicNumbers(x, y, CURVES[COSE_CURVES[key[-1]]]).public_key()


def check_sign1(sign1: Any, key: object, *, detached: bytes | None = None) -> None:
    """RFC 9052 §4.4."""
    require(isinstance(sign1, (list, tuple)) and len(sign1) == 4, "not a COSE_Sign1")
    protected, _, payload, signature = sign1
    require((payload is None) == (detached is not None), "payload")
    header = cbor2.loads(protected)
    require(isinstance(header, dict) and 2 not in header, "crit")
    signed = cbor2.dumps(["Signature1", protected, b"", payload if detached is None else detached])
    check_signature(key, COSE_ALGS.get(header.get(1)), signature, signed)


def chain_of(ders: object) -> list[x509.Certificate]:
    """The certificates that were sent, the signer's first."""
    require(isinstance(ders, list) and ders, "no certificates")
    assert isinstance(ders, list)
    return [x509.load_der_x509_certificate(der) for der in ders]


def find_anchor(chain: Sequence[x509.Certificate], anchors: Iterable[bytes], *, now: int, mdoc: bool) -> None:
    """Say no unless the chain leads to one of the roots; none of them is in it."""
    require(
        not {certificate.public_bytes(Encoding.DER) for certificate in chain} & set(anchors), "the root was sent along"
    )
    leaf = chain[0]
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    require(usage.digital_signature, "may not sign")
    if mdoc and (usages := [each.value for each in leaf.extensions if isinstance(each.value, x509.ExtendedKeyUsage)]):
        require(MDOC_SIGNER in usages[0], "not a document signer")
    require(leaf.issuer != leaf.subject, "self-signed")
    for anchor in anchors:
        try:
            _check_path([*chain, x509.load_der_x509_certificate(anchor)], now=now)
            return
        except No:
            continue
    raise No("no path to a root")


def _check_path(path: Sequence[x509.Certificate], *, now: int) -> None:
    for number, certificate in enumerate(path):
        begin, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
        require(begin - SKEW <= now <= end + SKEW, "not valid now")
        for extension in certificate.extensions:
            require(not extension.critical or isinstance(extension.value, UNDERSTOOD), "not understood")
        if number:
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
            require(constraints.ca, "no authority")
            require(constraints.path_length is None or constraints.path_length >= number - 1, "too long")
            usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
            require(usage.key_cert_sign, "may not certify")
            try:
                path[number - 1].verify_directly_issued_by(certificate)
            except (InvalidSignature, ValueError, TypeError) as error:
                raise No("not certified by the next") from error


def key_identifiers(chain: Sequence[x509.Certificate]) -> set[str]:
    """The authority key identifiers that DCQL's `aki` names (OpenID4VP §6.1.1.1), as base64url."""
    found = (each.value for certificate in chain for each in certificate.extensions)
    return {
        b64(each.key_identifier)
        for each in found
        if isinstance(each, x509.AuthorityKeyIdentifier) and each.key_identifier
    }
