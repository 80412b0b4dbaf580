"""A verifier to ask with: an access certificate under a CA, and the wallet's trust in that CA."""

from dataclasses import dataclass
from typing import Any

from specs.keys.jose import PublicKey
from specs.keys.jwe import DecryptionKey, new_decryption_key
from specs.keys.signer import FileSigner, SigningIdentity, generate_private_key, generate_signer
from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.protocols.openid4vp import HAIP_FORMATS, RequestTrust, build_client_metadata
from specs.trust.anchors import AnchorKind, TrustAnchor
from specs.trust.certificates import Authority, SubjectName, build_access_certificate, build_root_ca
from specs.trust.profiles import CertificateProfile
from specs.trust.x509 import validate_path

NOW = 1_795_000_000
HOST = "verifier.example.com"
RESPONSE_URI = f"https://{HOST}/response/1"
ORIGIN = f"https://{HOST}"
Json = dict[str, Any]

QUERY: DcqlQuery = parse_dcql(
    {
        "credentials": [
            {
                "id": "pid",
                "format": "dc+sd-jwt",
                "meta": {"vct_values": ["urn:eudi:pid:de:1"]},
                "claims": [{"path": ["family_name"]}],
            },
            {"id": "mdl", "format": "mso_mdoc", "meta": {"doctype_value": "org.iso.18013.5.1.mDL"}, "multiple": True},
        ],
        "credential_sets": [{"options": [["pid"], ["mdl"]]}],
    }
)


@dataclass(frozen=True)
class Asker:
    """Everything of one verifier."""

    identity: SigningIdentity
    anchor: bytes
    trust: RequestTrust
    response_key: DecryptionKey

    def metadata(self) -> Json:
        """Its `client_metadata` with the response key."""
        return build_client_metadata(formats=HAIP_FORMATS, response_keys=[self.response_key.public_jwk()])


def new_asker() -> Asker:
    """A verifier with fresh keys."""
    ca_key = generate_private_key()
    root = build_root_ca(key=ca_key, subject=SubjectName("Access CA", "DE"), serial=1, now=NOW)
    signer: FileSigner = generate_signer()
    leaf = build_access_certificate(
        authority=Authority(root, ca_key),
        public_key=signer.public_key,
        subject=SubjectName("City", "DE"),
        serial=2,
        now=NOW,
        dns_names=[HOST],
        uris=[],
    )
    anchors = (TrustAnchor(AnchorKind.CA, root, "access"),)

    def validate_chain(chain: tuple[bytes, ...]) -> PublicKey:
        return validate_path(chain, anchors=anchors, profile=CertificateProfile.ACCESS, now=NOW).leaf_key

    return Asker(SigningIdentity(signer, (leaf,)), root, RequestTrust(validate_chain), new_decryption_key("key-1"))
