"""Certificates that others published: isomdl's, Multipaz's, and the issuer chain of a real wallet's answer."""

import json
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from specs.refusal import ReasonCode
from specs.trust.profiles import MDOC_DOCUMENT_SIGNER_EKU
from specs.trust.x509 import AnchorKind, CertificateError, CertificateProfile, TrustAnchor, ValidatedPath, validate_path
from tests.vectors import vectors_path

IN_2023 = int(datetime(2023, 12, 1, tzinfo=UTC).timestamp())
IN_2026 = int(datetime(2026, 1, 12, tzinfo=UTC).timestamp())


def isomdl(name: str) -> bytes:
    """One of the isomdl certificates, DER."""
    pem = vectors_path("mdoc", "isomdl", f"{name}.pem").read_bytes()
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def judged(
    *names: str, root: str, now: int = IN_2023, profile: CertificateProfile = CertificateProfile.ISO_MDL
) -> ValidatedPath:
    """What we say to a published chain."""
    anchor = TrustAnchor(AnchorKind.CA, isomdl(root), root)
    return validate_path([isomdl(name) for name in names], anchors=[anchor], profile=profile, now=now)


def test_good_document_signer_is_accepted() -> None:
    path = judged("isomdl_iaca_signer", root="isomdl_iaca_root_cert")
    assert path.leaf_names.country == "US"
    assert path.leaf_names.state_or_province == "NY"
    assert path.revocation[0].crl_urls == ("https://example.com/ISOmDL.crl",)


@pytest.mark.parametrize(
    ("chain", "reason"),
    [
        (("isomdl_incorrect_iaca_signer",), ReasonCode.CERTIFICATE_PROFILE),
        (("isomdl_iaca_leaf_signer",), ReasonCode.CERTIFICATE_UNTRUSTED),
        (("isomdl_iaca_leaf_signer", "isomdl_iaca_intermediate"), ReasonCode.CERTIFICATE_PROFILE),
        (("isomdl_iaca_intermediate",), ReasonCode.CERTIFICATE_PROFILE),
        (("reader_auth",), ReasonCode.CERTIFICATE_UNTRUSTED),
        (("isomdl_iaca_root_cert",), ReasonCode.CERTIFICATE_PROFILE),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else None,
)
@pytest.mark.parametrize("profile", [CertificateProfile.ISO_MDL, CertificateProfile.EAA])
def test_bad_document_signer_is_refused(
    chain: tuple[str, ...], reason: ReasonCode, profile: CertificateProfile
) -> None:
    with pytest.raises(CertificateError) as refusal:
        judged(*chain, root="isomdl_iaca_root_cert", profile=profile)
    assert refusal.value.reason is reason


def test_good_document_signer_is_refused_after_its_end() -> None:
    with pytest.raises(CertificateError) as refusal:
        judged("isomdl_iaca_signer", root="isomdl_iaca_root_cert", now=IN_2026)
    assert refusal.value.reason is ReasonCode.CERTIFICATE_EXPIRED


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
def test_negative_serial_number_is_tolerated_but_not_for_licences() -> None:
    chain, root = "owf_multipaz_ds_p384", "owf_multipaz_iaca_p384"
    assert judged(chain, root=root, now=IN_2026, profile=CertificateProfile.EAA).leaf.serial_number < 0
    with pytest.raises(CertificateError) as refusal:
        judged(chain, root=root, now=IN_2026)
    assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE


def test_real_issuer_chain_is_accepted_as_an_attestations_but_not_a_licences() -> None:
    published = json.loads(vectors_path("mdoc", "real", "paradym_wallet_openid4vp_1_0.json").read_text())
    leaf, root = (
        x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)
        for pem in published["issuer_and_root_pem"]
    )
    anchors = [TrustAnchor(AnchorKind.CA, root, "Animo")]
    ekus = frozenset({MDOC_DOCUMENT_SIGNER_EKU})
    path = validate_path([leaf], anchors=anchors, profile=CertificateProfile.EAA, allowed_ekus=ekus, now=IN_2026)
    assert path.leaf_names.common_name == "credo dcs"
    with pytest.raises(CertificateError) as refusal:
        validate_path([leaf], anchors=anchors, profile=CertificateProfile.ISO_MDL, now=IN_2026)
    assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE
    with pytest.raises(CertificateError) as refusal:
        validate_path([leaf, root], anchors=anchors, profile=CertificateProfile.EAA, now=IN_2026)
    assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE
    validate_path(
        [leaf, root], anchors=anchors, profile=CertificateProfile.EAA, now=IN_2026, anchor_in_chain_allowed=True
    )
