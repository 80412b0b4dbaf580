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
from tests.specs.trust.drawing import Scene, draw_ca, draw_leaf, draw_three, key, name
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
    "one of itself, now and not for who comes after": (
        signer(explicit_after(1), critical=True),
        signer(explicit_after(0), critical=True),
    ),
    "any policy of the leaf, which its CA inhibits": (
        both(DEMANDED, middle(policies(ANY)), signer(policies(ANY))),
        both(DEMANDED, middle(policies(ANY)), middle(x509.InhibitAnyPolicy(0), critical=True), signer(policies(ANY))),
    ),
    "any policy, inhibited for who comes after": (
        both(DEMANDED, middle(policies(ANY)), middle(x509.InhibitAnyPolicy(1), critical=True), signer(policies(ANY))),
        both(DEMANDED, middle(policies(ANY)), middle(x509.InhibitAnyPolicy(0), critical=True), signer(policies(ANY))),
    ),
    "mapped away by the CA that demands it": (
        both(DEMANDED, middle(policies(A)), signer(policies(A))),
        both(DEMANDED, middle(policies(A)), middle(mapping()), signer(policies(A))),
    ),
    "constraints that demand nothing": (
        middle(x509.PolicyConstraints(None, 0), critical=True),
        middle(x509.PolicyConstraints(0, 0), critical=True),
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
    "any policy all along is none of the leaf's own": (
        both(middle(policies(ANY)), signer(policies(ANY, A))),
        both(middle(policies(ANY)), signer(policies(ANY))),
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


def test_what_the_anchor_inhibits_holds_for_every_certificate() -> None:
    demanding = both(root(having(explicit_after(0), critical=True)), middle(policies(ANY)), signer(policies(ANY)))
    assert demanding(draw_three()).validate().leaf_names.common_name == "Signer"
    inhibiting = both(demanding, root(having(x509.InhibitAnyPolicy(0), critical=True)))
    with pytest.raises(CertificateError) as refusal:
        inhibiting(draw_three()).validate()
    assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE


def draw_four(*, self_issued: bool) -> Scene:
    """A signer under a CA under a CA; the lower one may be the upper one's with a new key."""
    new, old, top = key("new middle"), key("old middle"), key("root")
    drawings = (
        draw_leaf("Signer", key("leaf"), by=new),
        draw_ca("Intermediate" if self_issued else "Another", new, path_length=None, by=old),
        draw_ca("Intermediate", old, path_length=None, by=top),
        draw_ca("Root", top, path_length=None),
    )
    return Scene(drawings)


def upper(extension: x509.ExtensionType) -> Bend:
    return at_position(2, having(extension, critical=True))


def assert_held(scene: Scene, held: bool, folder: Path) -> None:
    """OpenSSL agrees."""
    assert openssl_accepts(scene, folder, "-policy_check", "-policy", ANY) is held
    if held:
        assert scene.validate().anchor.name == "root"
    else:
        with pytest.raises(CertificateError) as refusal:
            scene.validate()
        assert refusal.value.reason is ReasonCode.CERTIFICATE_PROFILE


@pytest.mark.parametrize(
    ("after", "self_issued", "held"), [(3, False, True), (2, False, False), (2, True, True), (1, True, False)]
)
def test_a_demand_is_put_off_by_so_many_certificates_that_are_not_self_issued(
    after: int, self_issued: bool, held: bool, tmp_path: Path
) -> None:
    """RFC 5280 §6.1.4 h: a CA that changed its key does not use the allowance up."""
    assert_held(upper(explicit_after(after))(draw_four(self_issued=self_issued)), held, tmp_path)


@pytest.mark.parametrize(
    ("skipped", "self_issued", "held"), [(2, False, True), (1, False, False), (1, True, True), (0, True, False)]
)
def test_any_policy_counts_for_so_many_certificates_that_are_not_self_issued(
    skipped: int, self_issued: bool, held: bool, tmp_path: Path
) -> None:
    lower = middle(policies(ANY))
    demanding = both(upper(explicit_after(0)), upper(policies(ANY)), lower, signer(policies(ANY)))
    scene = both(demanding, upper(x509.InhibitAnyPolicy(skipped)))(draw_four(self_issued=self_issued))
    assert_held(scene, held, tmp_path)


@pytest.mark.parametrize("self_issued", [True, False])
def test_a_self_issued_ca_may_pass_any_policy_on_where_others_may_not(self_issued: bool, tmp_path: Path) -> None:
    """RFC 5280 §6.1.3 d 2."""
    inhibited = both(upper(policies(A)), upper(x509.InhibitAnyPolicy(0)), upper(explicit_after(0)))
    scene = both(inhibited, middle(policies(ANY)), signer(policies(A)))(draw_four(self_issued=self_issued))
    assert_held(scene, self_issued, tmp_path)


@pytest.mark.parametrize(("asserted", "held"), [(A, True), (ANY, False)])
def test_a_leaf_may_not_say_any_policy_because_it_bears_its_issuers_name(
    asserted: str, held: bool, tmp_path: Path
) -> None:
    own_name = leaf(lambda drawing: replace(drawing, subject=name("Intermediate")))
    inhibited = both(DEMANDED, middle(policies(A)), middle(x509.InhibitAnyPolicy(0), critical=True))
    assert_held(both(inhibited, own_name, signer(policies(asserted)))(draw_three()), held, tmp_path)
