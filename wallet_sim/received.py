"""Is what the issuer sent what was asked for? The wallet checks a fresh credential (OpenID4VCI §8.3, RFC 9901 §7.2)."""

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import rsa

from specs.credentials import mdoc
from specs.credentials.sd_jwt_present import parse_issued
from specs.credentials.sd_jwt_vc import check_validity, holder_key, parse_issuer_jwt, read_sd_jwt_vc
from specs.encoding import Malformed, base64url
from specs.keys.jose import PublicKey, key_thumbprint
from specs.protocols.issuer_metadata import DC_SD_JWT, MSO_MDOC, CredentialConfiguration
from specs.refusal import Refusal
from specs.trust.parsed_certificate import parse_certificate
from specs.trust.x509 import CertificateProfile, TrustAnchor, validate_path
from wallet_sim.transport import WalletFailure

_MDL = "org.iso.18013.5.1.mDL"


@dataclass(frozen=True, slots=True)
class Received:
    """A credential that was found good. key: the position of the holder key that it is bound to."""

    content: str
    type: str
    issuer: str
    key: int


@dataclass(frozen=True, slots=True)
class _Signer:
    """Who signed, by its certificate. not_before, not_after: seconds since the epoch."""

    key: PublicKey
    name: str
    not_before: int
    not_after: int


def check_received(
    content: object,
    *,
    configuration: CredentialConfiguration,
    keys: Sequence[PublicKey],
    anchors: Sequence[TrustAnchor],
    now: int,
) -> Received:
    """Check signature, type, dates, digests, and that it is bound to one of our keys.

    anchors: of issuers that are trusted; without any the certificate that came along is taken for what it says.
    now: seconds since the epoch.

    Raises:
        WalletFailure: it is not what was asked for.
    """
    if not isinstance(content, str):
        raise WalletFailure("the issuer sent something that is no credential of a format we know")
    try:
        if configuration.format == DC_SD_JWT:
            return _sd_jwt(content, configuration, keys, anchors, now)
        if configuration.format == MSO_MDOC:
            return _mdoc(content, configuration, keys, anchors, now)
    except (Refusal, Malformed) as error:
        raise WalletFailure(f"the issuer sent a credential that does not hold ({error})") from error
    raise WalletFailure(f"the format {configuration.format} is not one of ours")


def _sd_jwt(
    content: str,
    configuration: CredentialConfiguration,
    keys: Sequence[PublicKey],
    anchors: Sequence[TrustAnchor],
    now: int,
) -> Received:
    sd_jwt = parse_issued(content)
    issuer_jwt = parse_issuer_jwt(sd_jwt)
    signer = _signer(issuer_jwt.chain, CertificateProfile.EAA, anchors, now)
    credential = read_sd_jwt_vc(issuer_jwt, issuer_key=signer.key)
    check_validity(credential, now=now)
    if credential.vct != configuration.vct:
        raise WalletFailure("the issuer sent a credential of another type")
    return Received(content, credential.vct, signer.name, _position(holder_key(credential), keys))


def _mdoc(
    content: str,
    configuration: CredentialConfiguration,
    keys: Sequence[PublicKey],
    anchors: Sequence[TrustAnchor],
    now: int,
) -> Received:
    issuer_signed = mdoc.parse_issuer_signed(base64url.decode(content))
    mso = mdoc.parse_mso(issuer_signed)
    profile = CertificateProfile.ISO_MDL if mso.doc_type == _MDL else CertificateProfile.EAA
    signer = _signer(mdoc.issuer_chain(issuer_signed), profile, anchors, now)
    mdoc.verify_issuer_signature(issuer_signed, key=signer.key)
    mdoc.check_mso(
        mso,
        expected_doc_type=configuration.doctype or "",
        signer_not_before=signer.not_before,
        signer_not_after=signer.not_after,
        now=now,
    )
    mdoc.verify_elements(issuer_signed, mso)
    return Received(content, mso.doc_type, signer.name, _position(mso.device_key, keys))


def _signer(chain: tuple[bytes, ...], profile: CertificateProfile, anchors: Sequence[TrustAnchor], now: int) -> _Signer:
    if anchors:
        path = validate_path(chain, anchors=anchors, profile=profile, now=now)
        return _Signer(path.leaf_key, path.leaf_names.display_name, path.not_before, path.not_after)
    leaf = parse_certificate(chain[0])
    if isinstance(leaf.key, rsa.RSAPublicKey):
        raise WalletFailure("the issuer signs with a kind of key that credentials are not signed with")
    return _Signer(leaf.key, leaf.names().display_name, leaf.not_before, leaf.not_after)


def _position(key: PublicKey, keys: Sequence[PublicKey]) -> int:
    thumbprint = key_thumbprint(key)
    for position, ours in enumerate(keys):
        if key_thumbprint(ours) == thumbprint:
            return position
    raise WalletFailure("the issuer bound the credential to a key that is not ours")
