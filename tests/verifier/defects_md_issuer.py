"""Defects of an mdoc's issuer: signatures, certificates, and the mobile security object."""

import hmac
from dataclasses import replace
from datetime import UTC, datetime

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import ExtensionOID

from specs.credentials.mdoc_values import tdate
from specs.encoding import cbor
from specs.keys.cose import ALG, CRIT, HMAC_256, X5CHAIN, cose_key_from_public_key
from specs.keys.signer import SigningIdentity, generate_signer
from specs.protocols.openid4vp.metadata import HAIP_FORMATS
from specs.trust.certificates import SubjectName, build_document_signer
from tests.defects import defect
from tests.specs.trust.drawing import DAY as DRAWN_DAY
from tests.specs.trust.drawing import NOW as DRAWN_NOW
from tests.specs.trust.drawing import Scene, draw_ca, draw_leaf, draw_mdl, draw_three, draw_two, key, usage
from tests.verifier.mdoc_presentation import MDL_NAME_SPACE, MdocPresentation, Stage, Tree, driving_licence, twin
from tests.verifier.world import DAY, HOUR, NAME_SPACE, signing_authority
from verifier import ReasonCode

PROTECTED, UNPROTECTED, PAYLOAD, SIGNATURE = range(4)


@defect("md-015", refused_as=ReasonCode.SIGNATURE_INVALID)
def signature_bit_flipped(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4, RFC 9052 §4.4."""
    return shown.at(Stage.ISSUER_AUTH, lambda auth: [*auth[:3], bytes([auth[3][0] ^ 1, *auth[3][1:]])])


@defect("md-016", refused_as=ReasonCode.SIGNATURE_INVALID)
def psychic_signature(shown: MdocPresentation) -> MdocPresentation:
    """CVE-2022-21449 class: r = s = 0."""
    return shown.set(Stage.ISSUER_AUTH, SIGNATURE, to=bytes(64))


@defect("md-017", refused_as=ReasonCode.SIGNATURE_INVALID)
def mso_changed_after_signing(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: the holder prolongs his credential."""

    def prolong(auth: Tree) -> None:
        mso = cbor2.loads(cbor2.loads(auth[PAYLOAD]).value, semantic_decoders={0: _as_tag})
        mso["validityInfo"]["validUntil"] = tdate(shown.now + 100 * DAY)
        auth[PAYLOAD] = cbor.tag24(cbor.encode(mso))

    return shown.at(Stage.ISSUER_AUTH, prolong)


def _as_tag(value: object, _immutable: bool) -> cbor2.CBORTag:
    return cbor2.CBORTag(0, value)


@defect("md-018", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def no_algorithm(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9052 §3.1: `alg` stands in the protected header."""
    return shown.drop(Stage.ISSUER_PROTECTED, ALG)


@defect("md-019", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def mac_keyed_with_the_public_key(shown: MdocPresentation) -> MdocPresentation:
    """RFC 8725 §2.1 analogue, RFC 9052 §8.2: what everybody knows is no secret."""
    public = shown.identity.chain[0]
    shown.sign = lambda data: hmac.digest(public, data, "sha256")
    return shown.set(Stage.ISSUER_PROTECTED, ALG, to=HMAC_256)


def signed_with_p384(shown: MdocPresentation) -> MdocPresentation:
    """The document signer's key is of P-384, and it signs with ES384."""
    leaf, root = key("mdoc leaf", "P-384"), key("mdoc root")
    return shown.drawn(Scene((draw_leaf("Signer", leaf, by=root), draw_ca("Root", root, path_length=0))))


@defect("md-020", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
@twin(signed_with_p384)
def algorithm_of_another_curve(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9864: ESP256 (-9) is P-256 with SHA-256."""
    own = key("mdoc leaf", "P-384")
    assert isinstance(own, ec.EllipticCurvePrivateKey)

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(own.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(48, "big") + s.to_bytes(48, "big")

    shown.sign = sign
    return shown.set(Stage.ISSUER_PROTECTED, ALG, to=-9)


@defect("md-020b", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
@twin(signed_with_p384)
def algorithm_not_announced(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.2: the question announced ES256 alone."""
    shown.announced = HAIP_FORMATS
    return shown


@defect("md-021", refused_as=ReasonCode.CRITICAL_HEADER_UNKNOWN)
def unknown_critical_label(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9052 §3.1: what must be understood and is not, refuses."""
    return shown.at(Stage.ISSUER_PROTECTED, lambda header: header.update({CRIT: [-70001], -70001: True}))


@defect("md-021b", refused_as=ReasonCode.COSE_MALFORMED)
def label_in_both_headers(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9052 §3: each label once, or two readers read two things."""
    return shown.set(Stage.ISSUER_AUTH, UNPROTECTED, ALG, to=-7)


@defect("md-021c", refused_as=ReasonCode.COSE_MALFORMED)
def critical_unprotected(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9052 §3.1: `crit` stands in the protected header, or anybody could take it out."""
    return shown.set(Stage.ISSUER_AUTH, UNPROTECTED, CRIT, to=[-70001])


@defect("md-022", refused_as=ReasonCode.CERTIFICATE_MALFORMED)
def garbage_for_a_certificate(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9360: x5chain holds certificates."""
    return shown.set(Stage.ISSUER_AUTH, UNPROTECTED, X5CHAIN, to=b"no certificate")


@defect("md-022b", refused_as=ReasonCode.ISSUER_KEY_MISSING)
def no_certificate(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: x5chain must be there."""
    return shown.drop(Stage.ISSUER_AUTH, UNPROTECTED, X5CHAIN)


@defect("md-023", refused_as=ReasonCode.SIGNATURE_INVALID)
def key_in_the_header(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: signed by a stranger whose key stands beside the genuine chain."""
    thief = generate_signer()
    shown.sign = thief.sign
    return shown.set(Stage.ISSUER_AUTH, UNPROTECTED, -1, to=cose_key_from_public_key(thief.public_key))


@defect("md-024", refused_as=ReasonCode.MSO_MALFORMED)
def payload_detached(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: the MSO is the payload."""
    return shown.set(Stage.ISSUER_AUTH, PAYLOAD, to=None)


@defect("md-025", refused_as=ReasonCode.COSE_MALFORMED)
def five_elements(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9052 §4.2: a COSE_Sign1 has four."""
    return shown.at(Stage.ISSUER_AUTH, lambda auth: auth.append(b""))


@defect("md-026", refused_as=ReasonCode.COSE_MALFORMED)
def tagged_as_mac0(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9052 §2, ISO/IEC 18013-5: untagged."""
    return shown.at(Stage.ISSUER_AUTH, lambda auth: cbor2.CBORTag(17, auth))


@defect("md-027", refused_as=ReasonCode.CERTIFICATE_UNTRUSTED)
def root_of_the_same_name(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.3.1, RFC 5280 §6.1: a name is not a key."""
    impostor = signing_authority("PID Root", now=shown.now)
    signer = generate_signer()
    certificate = build_document_signer(
        authority=impostor,
        public_key=signer.public_key,
        subject=SubjectName(common_name="PID Document Signer", country="DE"),
        serial=77,
        now=shown.now,
        issuer_uri="https://issuer.example",
        crl_url="https://issuer.example/crl",
    )
    return shown.identified(SigningIdentity(signer, (certificate,)))


def drawn(shown: MdocPresentation) -> MdocPresentation:
    """Issued by a signer whose certificates can be bent."""
    return shown.drawn(draw_two())


@defect("md-028", refused_as=ReasonCode.CERTIFICATE_EXPIRED)
@twin(drawn)
def signer_expired(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.3.1: the document signer's certificate is over."""
    return shown.drawn(draw_two().changed(0, lambda leaf: replace(leaf, end=DRAWN_NOW - DRAWN_DAY)))


@defect("md-029", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(lambda shown: shown.drawn(draw_three()))
def signer_under_a_signer(shown: MdocPresentation) -> MdocPresentation:
    """RFC 5280 §6.1.4 k: who may sign documents may not certify."""
    middle, root = key("middle"), key("root")
    return shown.drawn(draw_three().changed(1, lambda ca: replace(draw_leaf("x", middle, by=root), subject=ca.subject)))


@defect("md-030", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(drawn)
def signer_may_not_sign(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 B.1.4: key usage digitalSignature."""
    return shown.drawn(draw_two().changed(0, lambda leaf: leaf.having(usage(agree=True), critical=True)))


@defect("md-031", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(lambda shown: shown.drawn(draw_mdl()))
def signer_without_extended_usage(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 B.1.4: in the profile `iso-mdl` the extended key usage must be there."""
    return shown.drawn(draw_mdl().changed(0, lambda leaf: leaf.lacking(ExtensionOID.EXTENDED_KEY_USAGE)))


@defect("md-031b", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(drawn)
def signer_for_another_purpose(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 B.1.4: where there is an extended key usage, it must be the mdoc signer's, in any profile."""
    reader = x509.ExtendedKeyUsage([x509.ObjectIdentifier("1.0.18013.5.1.6")])
    return shown.drawn(draw_two().changed(0, lambda leaf: leaf.having(reader, critical=True)))


@defect("md-032", refused_as=ReasonCode.CERTIFICATE_UNTRUSTED)
@twin(drawn)
def certificate_signed_by_another(shown: MdocPresentation) -> MdocPresentation:
    """RFC 5280 §6.1.3 a: the names fit, the signature does not."""
    return shown.drawn(draw_two().changed(0, lambda leaf: replace(leaf, signer=key("stranger"))))


@defect("md-033", refused_as=ReasonCode.CERTIFICATE_PROFILE)
@twin(lambda shown: shown.drawn(draw_three()))
def intermediate_beyond_the_path_length(shown: MdocPresentation) -> MdocPresentation:
    """RFC 5280 §6.1.4 l: the root allows no CA below it."""
    constraints = x509.BasicConstraints(ca=True, path_length=0)
    return shown.drawn(draw_three().changed(2, lambda root: root.having(constraints, critical=True)))


@defect("md-034", refused_as=ReasonCode.TRUST_NOT_CONFIGURED)
def no_anchors(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.3.1: nobody is trusted by default."""
    shown.domain = replace(shown.domain, anchors=())
    return shown


@defect("md-035", refused_as=ReasonCode.HASH_ALGORITHM_NOT_ALLOWED)
def digests_of_sha1(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 Table 21, HAIP §8."""
    shown.digest_algorithm = "SHA-1"
    return shown


@defect("md-036", refused_as=ReasonCode.HASH_ALGORITHM_NOT_ALLOWED)
def digests_of_an_unknown_kind(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4."""
    return shown.set(Stage.MSO, "digestAlgorithm", to="SHA-257")


@defect("md-036b", refused_as=ReasonCode.VERSION_NOT_SUPPORTED)
def mso_of_another_version(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: we read version 1.0."""
    return shown.set(Stage.MSO, "version", to="2.0")


@defect("md-037", refused_as=ReasonCode.TYPE_MISMATCH)
def mso_of_another_type(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.3.1: MSO and document are of one type."""
    return shown.set(Stage.MSO, "docType", to="org.iso.18013.5.1.mDL")


@defect("md-037b", refused_as=ReasonCode.TYPE_MISMATCH)
def document_of_another_type(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.3.1: the MSO is of the type that was asked for, the document around it says another."""
    shown.device_doc_type = "org.iso.18013.5.1.mDL"
    return shown.set(Stage.DOCUMENT, "docType", to=shown.device_doc_type)


@defect("md-037c", refused_as=ReasonCode.CLAIM_INVALID)
@twin(driving_licence)
def licence_of_another_country(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.3.1: `issuing_country`, if shown, is the country of the signer's certificate."""
    shown.elements[MDL_NAME_SPACE]["issuing_country"] = "FR"
    return shown


@defect("md-037d", refused_as=ReasonCode.CLAIM_INVALID)
@twin(driving_licence)
def licence_of_another_jurisdiction(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.3.1: so is `issuing_jurisdiction` its state or province, where the certificate names one."""
    shown.elements[MDL_NAME_SPACE]["issuing_jurisdiction"] = "DE-BY"
    return shown


@defect("md-038", refused_as=ReasonCode.CREDENTIAL_EXPIRED)
def expired(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.3.1: validUntil is over by more than our clock may be off."""
    return shown.set(Stage.MSO, "validityInfo", "validUntil", to=tdate(shown.now - 61))


@defect("md-039", refused_as=ReasonCode.CREDENTIAL_NOT_YET_VALID)
def not_yet_valid(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.3.1: validFrom is still to come."""
    return shown.set(Stage.MSO, "validityInfo", "validFrom", to=tdate(shown.now + 61))


@defect("md-040", refused_as=ReasonCode.MSO_MALFORMED)
def no_validity(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: validityInfo must be there."""
    return shown.drop(Stage.MSO, "validityInfo")


@defect("md-040b", refused_as=ReasonCode.MSO_MALFORMED)
def validity_out_of_order(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: valid before it was signed."""
    return shown.set(Stage.MSO, "validityInfo", "validFrom", to=tdate(shown.now - 2 * HOUR))


@defect("md-041", refused_as=ReasonCode.MSO_MALFORMED)
def validity_as_epoch(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: a tdate, not a number of seconds."""
    return shown.set(Stage.MSO, "validityInfo", "validUntil", to=cbor2.CBORTag(1, shown.now + 14 * DAY))


def until(shown: MdocPresentation, text: str) -> MdocPresentation:
    """ValidUntil is this text."""
    return shown.set(Stage.MSO, "validityInfo", "validUntil", to=cbor2.CBORTag(0, text))


def written(seconds: int) -> str:
    """A time without its zone."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@defect("md-042", refused_as=ReasonCode.MSO_MALFORMED)
def validity_with_a_fraction(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §7.2.1: whole seconds."""
    return until(shown, written(shown.now + DAY) + ".5Z")


@defect("md-043", refused_as=ReasonCode.MSO_MALFORMED)
def validity_with_an_offset(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §7.2.1: what looks like the future is two hours ago."""
    return until(shown, written(shown.now + 10 * HOUR) + "+12:00")


@defect("md-044", refused_as=ReasonCode.MSO_MALFORMED)
def no_digests(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: valueDigests must be there."""
    return shown.drop(Stage.MSO, "valueDigests")


@defect("md-045", refused_as=ReasonCode.DIGEST_MISSING)
def no_digest_of_what_is_shown(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: what was never signed."""
    return shown.drop(Stage.MSO, "valueDigests", NAME_SPACE, 0)


@defect("md-046", refused_as=ReasonCode.DIGEST_MISMATCH)
def digest_cut_off(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: all of the digest, not its beginning."""

    def cut(mso: Tree) -> None:
        digests = mso["valueDigests"][NAME_SPACE]
        digests[0] = digests[0][:16]

    return shown.at(Stage.MSO, cut)


@defect("md-901", refused_as=ReasonCode.CREDENTIAL_EXPIRED)
def expired_long_ago(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: over since half an hour, the basic case."""
    return shown.set(Stage.MSO, "validityInfo", "validUntil", to=tdate(shown.now - 30 * 60))


@defect("md-901b", refused_as=ReasonCode.CREDENTIAL_NOT_YET_VALID)
def valid_tomorrow(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: from tomorrow on, the basic case."""
    return shown.set(Stage.MSO, "validityInfo", "validFrom", to=tdate(shown.now + DAY))


@defect("md-901c", refused_as=ReasonCode.CLAIM_INVALID)
@twin(drawn)
def signed_before_the_signer_was(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.3.1: the MSO says it was signed before its signer's certificate began."""
    return shown.set(Stage.MSO, "validityInfo", "signed", to=tdate(shown.now - 20 * DAY))
