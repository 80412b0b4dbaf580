"""An issuer, a phone and one exchange, to draw mdocs and answers with."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials import mdoc
from specs.credentials.mdoc_device import DeviceAuthenticated, build_device_response, build_document, verify_device_auth
from specs.credentials.mdoc_issue import build_issuer_signed, mdoc_identity
from specs.credentials.mdoc_values import full_date, tdate
from specs.credentials.session_transcript import openid4vp_transcript
from specs.keys.signer import FileSigner, SigningIdentity, generate_signer

DOC_TYPE = NAME_SPACE = "de.leipzig.leipzig_pass.1"
NOW = 1_795_528_800
VALIDITY = mdoc.Validity(NOW, NOW, NOW + 14 * 86400)
CERTIFICATE = b"\x30\x03\x02\x01\x01"  # nobody here validates a path

CLAIMS: Mapping[str, Mapping[str, object]] = {
    NAME_SPACE: {
        "family_name": "Müller-Lüdenscheidt",
        "birth_date": full_date(date(1991, 3, 7)),
        "entitled": True,
        "portrait": bytes(range(256)) * 8,
        "issued_at": tdate(NOW),
        "nationality": ["DE", "FR"],
        "address": {"city": "Leipzig", "postal_code": "04109"},
        "children": 0,
        "note": None,
        "quota": 0.5,
    },
    "de.leipzig.extra.1": {"zone": -7},
}
ALL = frozenset((name_space, element) for name_space, elements in CLAIMS.items() for element in elements)

TRANSCRIPT = openid4vp_transcript(
    client_id="x509_hash:abc", nonce="n-0S6_WzA2Mj", jwk_thumbprint=b"\x01" * 32, response_uri="https://city.example/r"
)


def _device_private_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Exchange:
    """A valid answer and all that it takes to make or judge another one."""

    issuer: FileSigner = field(default_factory=generate_signer)
    device_private: ec.EllipticCurvePrivateKey = field(default_factory=_device_private_key)

    @property
    def device(self) -> FileSigner:
        return FileSigner(self.device_private)

    def issue(
        self,
        claims: Mapping[str, Mapping[str, object]] = CLAIMS,
        *,
        digest_algorithm: str = "SHA-256",
        authorizations: mdoc.KeyAuthorizations = mdoc.NO_AUTHORIZATIONS,
    ) -> bytes:
        return build_issuer_signed(
            mdoc_identity(SigningIdentity(self.issuer, (CERTIFICATE,))),
            doc_type=DOC_TYPE,
            claims=claims,
            device_key=self.device_private.public_key(),
            validity=VALIDITY,
            digest_algorithm=digest_algorithm,
            authorizations=authorizations,
        )

    def answer(
        self,
        issuer_signed: bytes,
        disclose: Collection[tuple[str, str]],
        *,
        device_claims: Mapping[str, Mapping[str, object]] | None = None,
        reader_key: ec.EllipticCurvePublicKey | None = None,
    ) -> bytes:
        document = build_document(
            mdoc.parse_issuer_signed(issuer_signed),
            doc_type=DOC_TYPE,
            disclose=disclose,
            session_transcript=TRANSCRIPT,
            device_key=self.device if reader_key is None else self.device_private,
            reader_key=reader_key,
            device_claims=device_claims,
        )
        return build_device_response([document])

    def judge(
        self, response: bytes, *, mac_key: ec.EllipticCurvePrivateKey | None = None
    ) -> tuple[mdoc.IssuedElements, DeviceAuthenticated]:
        document = mdoc.sole_document(mdoc.parse_device_response(response))
        mso = mdoc.parse_mso(document.issuer_signed)
        device = verify_device_auth(document, mso, session_transcript=TRANSCRIPT, mac_key=mac_key)
        mdoc.verify_issuer_signature(document.issuer_signed, key=self.issuer.public_key)
        mdoc.check_mso(
            mso,
            expected_doc_type=DOC_TYPE,
            signer_not_before=NOW - 86400,
            signer_not_after=NOW + 86400 * 365,
            now=NOW,
        )
        return mdoc.verify_elements(document.issuer_signed, mso), device
