"""The same work done by other libraries, set up so that what can be prepared once is prepared once for them too."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from isomdoc import verify_device_response
from jwcrypto.jwk import JWK
from pymdoccbor.mdoc.issuer import MdocCborIssuer
from pymdoccbor.mdoc.verifier import MdocCbor
from sd_jwt.common import SDObj
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

Call = Callable[[], object]

# pymdoccbor warns at each call that it was given no roots; that it is measured without them is said below
logging.getLogger("pymdoccbor").setLevel(logging.ERROR)


def verify_sd_jwt(presentation: str, *, issuer_key: ec.EllipticCurvePublicKey, nonce: str, audience: str) -> Call:
    """`sd-jwt`: both signatures and the disclosures; no chain, no status, no question."""
    key = JWK.from_pyca(issuer_key)

    def run() -> object:
        return SDJWTVerifier(presentation, lambda _issuer, _header: key, audience, nonce).get_verified_payload()

    return run


def mint_sd_jwt(
    claims: Mapping[str, str],
    always: Mapping[str, object],
    *,
    header: Mapping[str, object],
    holder: ec.EllipticCurvePublicKey,
) -> Call:
    """`sd-jwt`: `claims` are disclosable, `always` are not; with a key of its own."""
    key, holder_jwk = JWK.from_pyca(ec.generate_private_key(ec.SECP256R1())), JWK.from_pyca(holder)

    def run() -> object:
        payload: dict[Any, object] = {**always, **{SDObj(name): value for name, value in claims.items()}}
        return SDJWTIssuer(payload, key, holder_jwk, extra_header_parameters=dict(header)).sd_jwt_issuance

    return run


def verify_mdoc(response: bytes, *, session_transcript: bytes) -> Call:
    """`isomdoc`: both signatures and the digests; it loads the certificate and validates no chain."""
    transcript = cbor2.loads(session_transcript)
    return lambda: verify_device_response(response, transcript)


def verify_issuer_signed(response: bytes) -> Call:
    """`pymdoccbor`: the issuer's signature and the digests; no chain, and not the device's signature."""

    def run() -> object:
        reader = MdocCbor()
        reader.loads(response)
        if not reader.verify():
            raise ValueError("pymdoccbor does not accept the response")
        return reader

    return run


def mint_mdoc(
    claims: Mapping[str, Mapping[str, str]],
    *,
    doc_type: str,
    certificate: bytes,
    holder: ec.EllipticCurvePublicKey,
    now: int,
) -> Call:
    """`pymdoccbor`: the issuer's side, with a loaded certificate and a key of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    point = holder.public_numbers()
    device_key = {
        "KTY": "EC2",
        "CURVE": "P_256",
        "ALG": "ES256",
        "X": point.x.to_bytes(32, "big"),
        "Y": point.y.to_bytes(32, "big"),
    }
    issuer = MdocCborIssuer(
        private_key={
            "KTY": "EC2",
            "CURVE": "P_256",
            "ALG": "ES256",
            "D": key.private_numbers().private_value.to_bytes(32, "big"),
            "KID": b"signer",
        },
        alg="ES256",
    )
    begin = datetime.fromtimestamp(now, UTC)
    validity = {
        "issuance_date": begin.date().isoformat(),
        "expiry_date": (begin + timedelta(days=14)).date().isoformat(),
    }
    chain = [x509.load_der_x509_certificate(certificate)]

    def run() -> object:
        data = {name_space: dict(elements) for name_space, elements in claims.items()}
        issuer.new(data=data, doctype=doc_type, validity=validity, devicekeyinfo=device_key, x509_chain=chain)
        return issuer.dump()

    return run
