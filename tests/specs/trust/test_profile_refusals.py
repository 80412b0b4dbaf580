"""Every rule of the access profile and of ISO/IEC 18013-5 Annex B: one thing bent, one refusal."""

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from specs.trust.profiles import MDOC_DOCUMENT_SIGNER_EKU, MDOC_READER_EKU
from specs.trust.x509 import AnchorKind
from tests.specs.trust.bending import (
    ISSUER_WEB,
    POLICY,
    PROFILE,
    SERIAL,
    STADT,
    Case,
    assert_refused,
    at,
    believed,
    both,
    compressed_key,
    crl_point_by_name,
    crl_point_for_reasons,
    ekus,
    having,
    lacking,
    leaf,
    root,
    scene_with,
    small_country,
    written,
)
from tests.specs.trust.drawing import (
    DAY,
    authority,
    draw_access,
    draw_mdl,
    draw_three,
    key,
    name,
    usage,
)

CASES = [
    # access certificates
    Case("access without alternative name", draw_access, leaf(lacking(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)), PROFILE),
    Case(
        "access without a required policy",
        draw_access,
        lambda s: replace(s, required_policies=frozenset({"1.2.3"})),
        PROFILE,
    ),
    Case(
        "intermediate without a required policy",
        lambda: replace(
            both(leaf(having(POLICY)), at(1, having(POLICY)))(draw_three()), required_policies=frozenset({"1.2.3"})
        ),
        at(1, lacking(ExtensionOID.CERTIFICATE_POLICIES)),
        PROFILE,
    ),
    # ISO/IEC 18013-5 Annex B
    Case(
        "md-030 key usage without digitalSignature", draw_mdl, leaf(having(usage(agree=True), critical=True)), PROFILE
    ),
    Case("md-031 no extended key usage", draw_mdl, leaf(lacking(ExtensionOID.EXTENDED_KEY_USAGE)), PROFILE),
    Case("mdl: reader's usage", draw_mdl, leaf(ekus(MDOC_READER_EKU)), PROFILE),
    Case("mdl: one usage more", draw_mdl, leaf(ekus(MDOC_DOCUMENT_SIGNER_EKU, MDOC_READER_EKU)), PROFILE),
    Case(
        "mdl: extended usage not critical",
        draw_mdl,
        leaf(having(x509.ExtendedKeyUsage([x509.ObjectIdentifier(MDOC_DOCUMENT_SIGNER_EKU)]))),
        PROFILE,
    ),
    Case("mdl: key usage not critical", draw_mdl, leaf(having(usage(sign=True))), PROFILE),
    Case("mdl: one key usage more", draw_mdl, leaf(having(usage(sign=True, agree=True), critical=True)), PROFILE),
    Case("mdl: no CRL point", draw_mdl, leaf(lacking(ExtensionOID.CRL_DISTRIBUTION_POINTS)), PROFILE),
    Case("mdl: no issuer alternative name", draw_mdl, leaf(lacking(ExtensionOID.ISSUER_ALTERNATIVE_NAME)), PROFILE),
    Case("mdl: no subject key identifier", draw_mdl, leaf(lacking(ExtensionOID.SUBJECT_KEY_IDENTIFIER)), PROFILE),
    Case("mdl: no authority key identifier", draw_mdl, leaf(lacking(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)), PROFILE),
    Case("mdl: another authority key identifier", draw_mdl, leaf(having(authority(key("stranger")))), PROFILE),
    Case("mdl: another country", draw_mdl, leaf(lambda d: replace(d, subject=name("Document signer", "FR"))), PROFILE),
    Case("mdl: longer than 457 days", draw_mdl, leaf(lambda d: replace(d, end=d.begin + 458 * DAY)), PROFILE),
    Case("mdl: serial too long", draw_mdl, written(SERIAL, b"\x02\x15\x01" + bytes(20)), PROFILE),
    Case("mdl: serial negative", draw_mdl, written(SERIAL, b"\x02\x01\xff"), PROFILE),
    Case("mdl: compressed key", draw_mdl, compressed_key, PROFILE),
    Case("mdl: signed with Ed25519", draw_mdl, root(lambda d: replace(d, key=key("ed", "Ed25519"))), PROFILE),
    Case("mdl: no common name", draw_mdl, leaf(lambda d: replace(d, subject=x509.Name([*d.subject][:1]))), PROFILE),
    Case("mdl: CRL point that is a name", draw_mdl, leaf(having(crl_point_by_name())), PROFILE),
    Case("mdl: CRL point for some reasons", draw_mdl, leaf(having(crl_point_for_reasons())), PROFILE),
    Case("mdl: issuer alternative name critical", draw_mdl, leaf(having(ISSUER_WEB, critical=True)), PROFILE),
    Case("mdl: issuer alternative name a host", draw_mdl, leaf(having(x509.IssuerAlternativeName([STADT]))), PROFILE),
    Case("mdl: country in small letters", draw_mdl, small_country, PROFILE),
    Case(
        "mdl: listed without authority key identifier",
        scene_with(draw_mdl, believed((AnchorKind.LISTED, 0))),
        leaf(lacking(ExtensionOID.AUTHORITY_KEY_IDENTIFIER)),
        PROFILE,
    ),
    Case("iaca: not self-issued", draw_mdl, root(lambda d: replace(d, issuer=name("Another"))), PROFILE),
    Case("mdl: name constraints", draw_mdl, leaf(having(x509.NameConstraints([STADT], None), critical=True)), PROFILE),
    Case("iaca: no path length", draw_mdl, root(having(x509.BasicConstraints(True, None), critical=True)), PROFILE),
    Case("iaca: basic constraints not critical", draw_mdl, root(having(x509.BasicConstraints(True, 0))), PROFILE),
    Case("iaca: longer than 20 years", draw_mdl, root(lambda d: replace(d, end=d.begin + 7310 * DAY)), PROFILE),
    Case("iaca: no CRL signing", draw_mdl, root(having(usage(certificates=True), critical=True)), PROFILE),
    Case("iaca: no CRL point", draw_mdl, root(lacking(ExtensionOID.CRL_DISTRIBUTION_POINTS)), PROFILE),
    Case("iaca: no issuer alternative name", draw_mdl, root(lacking(ExtensionOID.ISSUER_ALTERNATIVE_NAME)), PROFILE),
    Case("iaca: no subject key identifier", draw_mdl, root(lacking(ExtensionOID.SUBJECT_KEY_IDENTIFIER)), PROFILE),
]


@pytest.mark.filterwarnings("ignore:Parsed a serial number which wasn't positive")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_certificate_of_another_shape_is_refused(case: Case) -> None:
    assert_refused(case)
