"""What the High Assurance Interoperability Profile demands of a question (OpenID4VC HAIP 1.0 §5, §5.1, §5.2).

A stricter reading on top of OpenID4VP: a wallet under HAIP checks each question with it, a verifier its own ones.
"""

from collections.abc import Collection

from specs.protocols.dcql import FORMAT_MDOC, FORMAT_SD_JWT_VC
from specs.protocols.openid4vp.client_id import ClientIdPrefix
from specs.protocols.openid4vp.errors import invalid_request
from specs.protocols.openid4vp.metadata import GCM_ENCS
from specs.protocols.openid4vp.request import AuthorizationRequest, ResponseMode
from specs.trust.parsed_certificate import CertificateError, parse_certificate

HAIP_WALLET = "haip-vp://"
_MODES = frozenset({ResponseMode.DIRECT_POST_JWT, ResponseMode.DC_API_JWT})
_FORMATS = frozenset({FORMAT_SD_JWT_VC, FORMAT_MDOC})


def check_haip_request(
    request: AuthorizationRequest,
    *,
    chain: Collection[bytes] = (),
    anchors: Collection[bytes] = (),
    every_enc: bool = True,
) -> None:
    """Check a question against HAIP. chain: DER certificates that came with it; anchors: DER, those trusted here.

    every_enc: both encryptions must be listed, as a verifier has to; a wallet needs one that it can use (§5).

    Raises:
        RequestError: an answer in clear, no P-256 key or too few encryptions, another prefix than `x509_hash`, a
            self-signed leaf or the anchor in the chain, or a format that HAIP does not know.
    """
    if request.response_mode not in _MODES:
        raise invalid_request("response_mode: HAIP wants encrypted answers")
    metadata = request.client_metadata
    needed = len(GCM_ENCS) if every_enc else 1
    if metadata is None or len(set(GCM_ENCS) & set(metadata.encs)) < needed:
        raise invalid_request("encrypted_response_enc_values_supported: HAIP wants A128GCM and A256GCM")
    metadata.encryption_key(alg="ECDH-ES", crv="P-256")
    if any(credential.format not in _FORMATS for credential in request.query.credentials):
        raise invalid_request("dcql_query: a format that HAIP does not know")
    if request.client_id is None:
        # §5.2 leaves it to the verifier whether a question over the platform's API is signed
        if request.response_mode is ResponseMode.DC_API_JWT:
            return
        raise invalid_request("client_id: missing")
    if request.client_id.prefix is not ClientIdPrefix.X509_HASH:
        raise invalid_request("client_id: HAIP wants x509_hash")
    check_haip_chain(tuple(chain), anchors=anchors)


def check_haip_chain(chain: tuple[bytes, ...], *, anchors: Collection[bytes]) -> None:
    """The rules of HAIP for `x5c`: the leaf is not self-signed, the anchor is not sent along (§5).

    Raises:
        RequestError: one of them is broken.
    """
    if not chain:
        raise invalid_request("x5c: missing")
    try:
        leaf = parse_certificate(chain[0]).certificate
    except CertificateError as error:
        raise invalid_request("x5c: not a certificate") from error
    if leaf.subject == leaf.issuer:
        raise invalid_request("x5c: the leaf is self-signed")
    if not set(anchors).isdisjoint(chain):
        raise invalid_request("x5c: the trust anchor is sent along")
