"""A certificate's revocation list is believed if its issuer may sign lists, and if the list says how long it counts."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from asn1crypto import core, crl
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.specs.trust.drawing import crl_point, draw_two, usage
from tests.verifier.sd_presentation import SdPresentation, valid_presentation
from tests.verifier.world import DAY, HOUR, World
from verifier import Fetched, ReasonCode, RevocationRule
from verifier.check.revocation import CRL_MEDIA_TYPE

URL = "https://issuer.example/root.crl"


@pytest.fixture(scope="module")
def world() -> World:
    return World()


def shown_under(world: World, root_usage: x509.KeyUsage | None) -> tuple[SdPresentation, bytes]:
    """A presentation whose signer names a list, which a root with this key usage signed; and that list."""
    scene = draw_two().changed(0, lambda leaf: leaf.having(crl_point(URL)))
    if root_usage is not None:
        scene = scene.changed(1, lambda root: root.having(root_usage, critical=True))
    shown = valid_presentation(world).drawn(scene)
    shown = replace(shown, domain=replace(shown.domain, revocation=RevocationRule.REQUIRED))
    root = scene.drawings[1]
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(root.subject)
        .last_update(datetime.fromtimestamp(world.now - HOUR, UTC))
        .next_update(datetime.fromtimestamp(world.now + DAY, UTC))
    )
    assert isinstance(root.key, ec.EllipticCurvePrivateKey)
    return shown, builder.sign(root.key, hashes.SHA256()).public_bytes(Encoding.DER)


def judged(world: World, shown: SdPresentation, body: bytes) -> ReasonCode | None:
    """The reason of the verdict, with this list."""
    fetched = Fetched(body, 200, CRL_MEDIA_TYPE, world.now)
    return replace(shown, revocation={URL: fetched}).judged().reason


def test_a_root_that_may_certify_only_signs_no_lists(world: World) -> None:
    """RFC 5280 §6.3.3 f: the key usage of who signs a list must have cRLSign."""
    assert judged(world, *shown_under(world, None)) is None
    for_certificates_alone = usage(certificates=True)
    assert judged(world, *shown_under(world, for_certificates_alone)) is ReasonCode.REVOCATION_UNKNOWN


def test_a_list_that_never_ends_clears_nobody(world: World) -> None:
    """RFC 5280 §5.1.2.5: conforming lists say when the next one comes; without that an old one would count for ever."""
    shown, body = shown_under(world, None)
    key = draw_two().drawings[1].key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert judged(world, shown, _signed_anew(body, key)) is None
    assert judged(world, shown, _signed_anew(body, key, without="next_update")) is ReasonCode.REVOCATION_UNKNOWN


def _signed_anew(body: bytes, key: ec.EllipticCurvePrivateKey, *, without: str | None = None) -> bytes:
    parsed = crl.CertificateList.load(body)
    told = parsed["tbs_cert_list"]
    if without is not None:
        told = crl.TbsCertList({name: told[name] for name in told.native if name != without and told.native[name]})
    signature = key.sign(told.dump(force=True), ec.ECDSA(hashes.SHA256()))
    parts = {"tbs_cert_list": told, "signature_algorithm": parsed["signature_algorithm"]}
    return bytes(crl.CertificateList({**parts, "signature": core.OctetBitString(signature)}).dump())
