"""Defects of the issuer's certificates: keys from elsewhere, chains to nowhere, certificates that may not."""

import binascii
from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from specs.encoding import base64url
from specs.keys.jose import jwk_from_public_key, x5c_header
from specs.keys.signer import generate_signer
from specs.trust.x509 import AnchorKind, TrustAnchor
from tests.defects import defect
from tests.specs.trust.drawing import (
    NOW,
    Scene,
    authority,
    draw_ca,
    draw_leaf,
    draw_three,
    draw_two,
    key,
    last_as_ca,
    usage,
)
from tests.verifier.sd_presentation import SdPresentation, raw_ecdsa, twin
from tests.verifier.world import HOUR
from verifier import ReasonCode

SOMEWHERE = "https://attacker.example/keys"


def with_intermediate(shown: SdPresentation) -> SdPresentation:
    """The issuer's certificate is certified by an intermediate, that by the root."""
    return shown.drawn(draw_three())


def with_p384(shown: SdPresentation) -> SdPresentation:
    """The issuer's key is of P-384, and it signs with ES384."""
    leaf, root = key("leaf", "P-384"), key("root")
    return shown.drawn(Scene((draw_leaf("Signer", leaf, by=root), draw_ca("Root", root, path_length=0))))


def scene_of(shown: SdPresentation) -> Scene:
    """The certificates drawn."""
    assert shown.scene is not None
    return shown.scene


def by_thief(shown: SdPresentation, **header: object) -> SdPresentation:
    """Signed by another key, named in the header in another way than by certificates."""
    thief = generate_signer()
    named = {name: jwk_from_public_key(thief.public_key) if value is ... else value for name, value in header.items()}
    return shown.issuer_headless("x5c").issuer_heading(**named).issuer_signing(thief.sign)


@defect("sd-011", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
@twin(with_p384)
def algorithm_of_another_curve(shown: SdPresentation) -> SdPresentation:
    """RFC 7518 §3.4: ES256 is P-256 with SHA-256."""
    own = scene_of(shown).drawings[0].key
    assert isinstance(own, ec.EllipticCurvePrivateKey)
    return shown.issuer_heading(alg="ES256").issuer_signing(raw_ecdsa(own, size=48, using=hashes.SHA256()))


@defect("sd-012", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def algorithm_not_listed(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 2.a, HAIP §7: ES256K is a signature, but none of ours."""
    own = key("k1", "secp256k1")
    assert isinstance(own, ec.EllipticCurvePrivateKey)
    root = key("root")
    leaf = draw_leaf("Signer", own, by=root).signed(draw_ca("Root", root, path_length=0))
    return shown.issuer_heading(alg="ES256K", x5c=x5c_header([leaf])).issuer_signing(
        raw_ecdsa(own, size=32, using=hashes.SHA256())
    )


@defect("sd-012b", refused_as=ReasonCode.KEY_INVALID)
def certificate_of_another_curve(shown: SdPresentation) -> SdPresentation:
    """RFC 7518 §3.4: ES256 over a key of secp256k1, which has the same size."""
    own = key("k1", "secp256k1")
    assert isinstance(own, ec.EllipticCurvePrivateKey)
    root = key("root")
    leaf = draw_leaf("Signer", own, by=root).signed(draw_ca("Root", root, path_length=0))
    return shown.issuer_heading(x5c=x5c_header([leaf])).issuer_signing(raw_ecdsa(own, size=32, using=hashes.SHA256()))


@defect("sd-013", refused_as=ReasonCode.ISSUER_KEY_MISSING)
def key_in_the_header(shown: SdPresentation) -> SdPresentation:
    """HAIP §6.1.1: the issuer's key comes in x5c and in no other way."""
    return by_thief(shown, jwk=...)


@defect("sd-013b", refused_as=ReasonCode.SIGNATURE_INVALID)
def key_beside_a_borrowed_chain(shown: SdPresentation) -> SdPresentation:
    """HAIP §6.1.1: a key in the header counts nothing beside the certificate's."""
    thief = generate_signer()
    return shown.issuer_heading(jwk=jwk_from_public_key(thief.public_key)).issuer_signing(thief.sign)


@defect("sd-014", refused_as=ReasonCode.ISSUER_KEY_MISSING)
def chain_by_address(shown: SdPresentation) -> SdPresentation:
    """SD-JWT VC on SSRF, RFC 8725 §3.10: no address of a stranger is fetched."""
    return by_thief(shown, x5u="http://10.0.0.5/internal/chain.pem")


@defect("sd-014b", refused_as=ReasonCode.ISSUER_KEY_MISSING)
def key_by_metadata_of_iss(shown: SdPresentation) -> SdPresentation:
    """HAIP §6.1.1: nor is the metadata of who it says it is."""
    return by_thief(shown, kid="1").issuer_saying(iss="https://attacker.example")


@defect("sd-015", refused_as=ReasonCode.ISSUER_KEY_MISSING)
def keys_by_address(shown: SdPresentation) -> SdPresentation:
    """RFC 8725 §3.10: no address of a stranger is fetched."""
    return by_thief(shown, jku=SOMEWHERE, kid="1")


@defect("sd-092", refused_as=ReasonCode.CERTIFICATE_UNTRUSTED)
@twin(with_intermediate)
def untrusted_chain_with_its_root(shown: SdPresentation) -> SdPresentation:
    """RFC 5280 §6.1: a root that comes along is nobody's root."""
    leaf, middle, root = key("thief"), key("thief's middle"), key("thief's root")
    scene = Scene(
        (
            draw_leaf("Signer", leaf, by=middle),
            draw_ca("Intermediate", middle, path_length=0, by=root),
            draw_ca("Root", root, path_length=1),
        ),
        sent=lambda chain: chain,
    )
    return replace(shown.drawn(scene), domain=shown.domain)


@defect("sd-092b", refused_as=ReasonCode.CERTIFICATE_UNTRUSTED)
@twin(with_intermediate)
def untrusted_chain_without_its_root(shown: SdPresentation) -> SdPresentation:
    """RFC 5280 §6.1: the same names, other keys."""
    leaf, middle, root = key("thief"), key("thief's middle"), key("thief's root")
    scene = Scene(
        (
            draw_leaf("Signer", leaf, by=middle),
            draw_ca("Intermediate", middle, path_length=0, by=root),
            draw_ca("Root", root, path_length=1),
        )
    )
    return replace(shown.drawn(scene), domain=shown.domain)


@defect("sd-093", refused_as=ReasonCode.CERTIFICATE_UNTRUSTED)
def self_signed(shown: SdPresentation) -> SdPresentation:
    """HAIP §6.1.1: a certificate that vouches for itself."""
    own = key("self")
    scene = Scene((draw_leaf("PID Signer", own, by=own),), sent=lambda chain: chain)
    return replace(shown.drawn(scene), domain=shown.domain)


@defect("sd-094", refused_as=ReasonCode.CERTIFICATE_EXPIRED)
@twin(with_intermediate)
def leaf_expired(shown: SdPresentation) -> SdPresentation:
    """RFC 5280 §6.1.3 a.2: within its dates."""
    return shown.drawn(scene_of(shown).changed(0, lambda leaf: replace(leaf, end=NOW - HOUR)))


@defect("sd-094b", refused_as=ReasonCode.CERTIFICATE_EXPIRED)
@twin(with_intermediate)
def leaf_not_yet_valid(shown: SdPresentation) -> SdPresentation:
    """RFC 5280 §6.1.3 a.2: within its dates."""
    return shown.drawn(scene_of(shown).changed(0, lambda leaf: replace(leaf, begin=NOW + HOUR)))


@defect("sd-095", refused_as=ReasonCode.CERTIFICATE_EXPIRED)
@twin(with_intermediate)
def intermediate_expired(shown: SdPresentation) -> SdPresentation:
    """RFC 5280 §6.1.3 a.2: all of the path."""
    return shown.drawn(scene_of(shown).changed(1, lambda middle: replace(middle, end=NOW - HOUR)))


@defect("sd-096", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(with_intermediate)
def intermediate_may_not_certify(shown: SdPresentation) -> SdPresentation:
    """RFC 5280 §6.1.4 n: keyCertSign."""
    return shown.drawn(scene_of(shown).changed(1, lambda middle: middle.having(usage(sign=True), critical=True)))


@defect("sd-096b", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(with_intermediate)
def intermediate_is_an_end_entity(shown: SdPresentation) -> SdPresentation:
    """RFC 5280 §6.1.4 k: a signer of credentials makes no other signers."""
    return shown.drawn(
        scene_of(shown).changed(1, lambda middle: middle.having(x509.BasicConstraints(False, None), critical=True))
    )


@defect("sd-097", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(with_intermediate)
def unknown_critical_extension(shown: SdPresentation) -> SdPresentation:
    """RFC 5280 §6.1.4 o: what is critical must be understood."""
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    return shown.drawn(scene_of(shown).changed(0, lambda leaf: leaf.having(unknown, critical=True)))


@defect("sd-098", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(with_intermediate)
def name_excluded(shown: SdPresentation) -> SdPresentation:
    """RFC 5280 §6.1.3 c: the intermediate may not speak for this name."""
    excluded = x509.NameConstraints(None, [x509.DNSName("stadt.example")])
    return shown.drawn(scene_of(shown).changed(1, lambda middle: middle.having(excluded, critical=True)))


@defect("sd-099", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(with_intermediate)
def name_not_permitted(shown: SdPresentation) -> SdPresentation:
    """RFC 5280 §6.1.3 b: the intermediate may speak for other names only."""
    permitted = x509.NameConstraints([x509.DNSName("dorf.example")], None)
    return shown.drawn(scene_of(shown).changed(1, lambda middle: middle.having(permitted, critical=True)))


@defect("sd-100", refused_as=ReasonCode.CERTIFICATE_UNTRUSTED)
@twin(with_intermediate)
def chain_in_the_wrong_order(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.6: each certifies the one before it."""
    return shown.drawn(replace(scene_of(shown), sent=lambda chain: [chain[1], chain[0]]))


@defect("sd-101", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(with_intermediate)
def anchor_in_the_chain(shown: SdPresentation) -> SdPresentation:
    """HAIP §6.1.1: the anchor is not sent; ours for other profiles: a setting lets it pass."""
    return shown.drawn(replace(scene_of(shown), sent=lambda chain: chain))


@defect("sd-102", refused_as=ReasonCode.CERTIFICATE_PROFILE)
def leaf_is_a_self_signed_anchor(shown: SdPresentation) -> SdPresentation:
    """HAIP §6.1.1: the signer's certificate is not self-signed; ours: test domains may say otherwise."""
    own = key("self")
    leaf = draw_leaf("PID Signer", own, by=own).having(authority(own))
    return shown.drawn(Scene((leaf,), sent=lambda chain: chain, believed=last_as_ca))


@defect("sd-102b", refused_as=ReasonCode.CERTIFICATE_PROFILE)
def leaf_is_a_self_signed_listed_certificate(shown: SdPresentation) -> SdPresentation:
    """HAIP §6.1.1: nor where a trust list names it."""
    own = key("self")
    scene = Scene(
        (draw_leaf("PID Signer", own, by=own),),
        sent=lambda chain: chain,
        believed=lambda chain: [TrustAnchor(AnchorKind.LISTED, chain[0], "listed")],
    )
    return shown.drawn(scene)


@defect("sd-103", refused_as=ReasonCode.CERTIFICATE_MALFORMED)
def chain_empty(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.6: at least the signer's certificate."""
    return shown.issuer_heading(x5c=[])


@defect("sd-104", refused_as=ReasonCode.CERTIFICATE_MALFORMED)
def chain_text(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.6: an array, even of one."""
    return shown.issuer_heading(x5c=x5c_header(shown.world.sd_jwt_identity.chain)[0])


@defect("sd-104b", refused_as=ReasonCode.CERTIFICATE_MALFORMED)
def chain_of_something_else(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.6: certificates in DER."""
    return shown.issuer_heading(x5c=["bm8gY2VydGlmaWNhdGU="])


@defect("sd-105", refused_as=ReasonCode.CERTIFICATE_MALFORMED)
@twin(lambda shown: shown.drawn(draw_two()))
def chain_in_the_other_alphabet(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.6: base64, not base64url; ours: no guessing."""
    standard = _first_certificate(shown)
    other = base64url.encode(binascii.a2b_base64(standard))
    assert set("-_") & set(other), "a certificate of this length has such a character"
    return shown.issuer_heading(x5c=[other + "=" * (-len(other) % 4)])


@defect("sd-106", refused_as=ReasonCode.LIMIT_EXCEEDED)
def chain_padded_with_sixty(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.6; ours: four certificates are enough for anybody."""
    unrelated = draw_ca("Unrelated", key("unrelated"), path_length=0)
    certificates = [*shown.world.sd_jwt_identity.chain, *[unrelated.signed(unrelated)] * 60]
    return shown.issuer_heading(x5c=x5c_header(certificates))


@defect("sd-106b", refused_as=ReasonCode.CERTIFICATE_UNTRUSTED)
def chain_padded_with_one(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §4.1.6; ours: nothing travels along that certifies nothing."""
    root = key("unrelated root")
    unrelated = draw_ca("Unrelated", key("unrelated"), path_length=0, by=root)
    certificate = unrelated.signed(draw_ca("Unrelated root", root, path_length=1))
    return shown.issuer_heading(x5c=x5c_header([*shown.world.sd_jwt_identity.chain, certificate]))


def _first_certificate(shown: SdPresentation) -> str:
    chain = shown.issuer_jwt.header["x5c"]
    assert isinstance(chain, list)
    return str(chain[0])
