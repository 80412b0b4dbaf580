"""Certificate policies along a path (RFC 5280 §6.1): each rule with its valid twin, and OpenSSL's opinion."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from specs.refusal import ReasonCode
from specs.trust.x509 import AnchorKind, CertificateError, TrustAnchor
from tests.specs.trust.bending import at as at_position
from tests.specs.trust.bending import both, having, leaf, root
from tests.specs.trust.drawing import Scene, draw_ca, draw_three, key
from tests.specs.trust.test_path_refusals import openssl_accepts

A, B, ANY = "1.2.3.1", "1.2.3.2", "2.5.29.32.0"
Bend = Callable[[Scene], Scene]


def policies(*oids: str) -> x509.CertificatePolicies:
    return x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in oids])


def explicit_after(certificates: int) -> x509.PolicyConstraints:
    return x509.PolicyConstraints(certificates, None)


def middle(extension: x509.ExtensionType, *, critical: bool = False) -> Bend:
    return at_position(1, having(extension, critical=critical))


def signer(extension: x509.ExtensionType, *, critical: bool = False) -> Bend:
    return leaf(having(extension, critical=critical))


def mapping() -> x509.UnrecognizedExtension:
    """Policy A of the issuer is B of the subject."""
    pair = b"\x06\x03\x2a\x03\x01" + b"\x06\x03\x2a\x03\x02"
    return x509.UnrecognizedExtension(ExtensionOID.POLICY_MAPPINGS, b"\x30\x0c\x30\x0a" + pair)


DEMANDED = middle(explicit_after(0), critical=True)
CASES: dict[str, tuple[Bend, Bend]] = {
    "a CA demands a policy, the leaf has none": (
        both(DEMANDED, middle(policies(A)), signer(policies(A))),
        both(DEMANDED, middle(policies(A))),
    ),
    "the leaf has another than its CA": (
        both(DEMANDED, middle(policies(A)), signer(policies(A, B))),
        both(DEMANDED, middle(policies(A)), signer(policies(B))),
    ),
    "the CA has none, although it demands one": (
        both(DEMANDED, middle(policies(A)), signer(policies(A))),
        both(DEMANDED, signer(policies(A))),
    ),
    "the leaf demands one of itself": (
        both(middle(policies(A)), signer(policies(A)), signer(explicit_after(0), critical=True)),
        both(signer(policies(A)), signer(explicit_after(0), critical=True)),
    ),
    "demanded after one more certificate, and that is the leaf": (
        both(middle(explicit_after(2), critical=True)),
        both(middle(explicit_after(1), critical=True)),
    ),
    "any policy, where the CA inhibits it": (
        both(DEMANDED, middle(policies(ANY)), signer(policies(A))),
        both(DEMANDED, middle(policies(A)), middle(x509.InhibitAnyPolicy(0), critical=True), signer(policies(ANY))),
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_path_without_a_policy_that_somebody_demands_is_refused(case: tuple[Bend, Bend], tmp_path: Path) -> None:
    straight, bent = (bend(draw_three()) for bend in case)
    assert straight.validate().leaf_names.common_name == "Signer"
    assert openssl_accepts(straight, tmp_path, "-policy_check", "-policy", ANY)
    with pytest.raises(CertificateError) as refusal:
        bent.validate()
    assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE
    assert not openssl_accepts(bent, tmp_path, "-policy_check", "-policy", ANY)


REQUIRED: dict[str, tuple[Bend, Bend]] = {
    "the leaf asserts another": (
        both(middle(policies(A, B)), signer(policies(A))),
        both(middle(policies(A, B)), signer(policies(B))),
    ),
    "the CA lacks it": (
        both(middle(policies(ANY)), signer(policies(A))),
        both(middle(policies(B)), signer(policies(A))),
    ),
    "the CA allows another of the leaf's": (
        both(middle(policies(A, B)), signer(policies(A, B))),
        both(middle(policies(B)), signer(policies(A, B))),
    ),
    "the leaf says any": (
        both(middle(policies(A)), signer(policies(ANY, A))),
        both(middle(policies(A)), signer(policies(ANY))),
    ),
    "a mapping stands in between": (
        both(middle(policies(A)), signer(policies(A))),
        both(middle(policies(A)), signer(policies(A)), middle(mapping())),
    ),
}


@pytest.mark.parametrize("case", REQUIRED.values(), ids=REQUIRED.keys())
def test_a_policy_that_the_caller_demands_must_hold_for_the_whole_path(case: tuple[Bend, Bend]) -> None:
    straight, bent = (replace(bend(draw_three()), required_policies=frozenset({A})) for bend in case)
    assert straight.validate().leaf_names.common_name == "Signer"
    with pytest.raises(CertificateError) as refusal:
        bent.validate()
    assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE


def test_a_policy_that_the_caller_demands_must_be_asserted_by_a_listed_leaf_too() -> None:
    def scene(policy: str) -> Scene:
        listed = replace(draw_three(), believed=lambda chain: [TrustAnchor(AnchorKind.LISTED, chain[0], "signer")])
        return replace(signer(policies(policy))(listed), required_policies=frozenset({A}))

    assert scene(A).validate().leaf_names.common_name == "Signer"
    with pytest.raises(CertificateError) as refusal:
        scene(B).validate()
    assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE


def test_a_mapping_is_nobodys_matter_where_no_policy_is_demanded_unless_it_is_critical() -> None:
    assert middle(mapping())(draw_three()).validate().leaf_names.common_name == "Signer"
    with pytest.raises(CertificateError):
        middle(mapping(), critical=True)(draw_three()).validate()


def test_the_anchor_may_demand_a_policy_too() -> None:
    demanding = root(having(explicit_after(0), critical=True))
    held = both(demanding, middle(policies(A)), signer(policies(A)))(draw_three())
    assert held.validate().leaf_names.common_name == "Signer"
    with pytest.raises(CertificateError):
        demanding(draw_three()).validate()


def test_a_self_issued_ca_may_pass_any_policy_on_where_others_may_not() -> None:
    """RFC 5280 §6.1.3 d 2, §6.1.4 h: a CA that changed its key does not use the allowance up."""

    def scene(*, self_issued: bool) -> Scene:
        new, old, top = key("new middle"), key("old middle"), key("root")
        below = draw_ca("Intermediate" if self_issued else "Another", new, path_length=None, by=old)
        above = draw_ca("Intermediate", old, path_length=None, by=top)
        above = having(policies(A))(having(x509.InhibitAnyPolicy(0), critical=True)(above))
        above = having(explicit_after(0), critical=True)(above)
        first = draw_three().drawings
        drawings = (
            having(policies(A))(replace(first[0], issuer=None)),
            having(policies(ANY))(below),
            above,
            draw_ca("Root", top, path_length=None),
        )
        return Scene(drawings, believed=lambda chain: [TrustAnchor(AnchorKind.CA, chain[-1], "root")])

    assert scene(self_issued=True).validate().leaf_names.common_name == "Signer"
    with pytest.raises(CertificateError):
        scene(self_issued=False).validate()
