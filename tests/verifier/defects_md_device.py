"""Defects of an mdoc's device authentication: another session, another key, another document, or none at all."""

from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec

from specs.credentials.mdoc_device import device_mac_key
from specs.credentials.session_transcript import dc_api_transcript, openid4vp_transcript
from specs.encoding import cbor
from specs.keys.cose import ALG, build_mac0, cose_key_from_public_key, signature_input
from specs.keys.signer import generate_signer
from specs.protocols.openid4vp.metadata import HAIP_FORMATS
from tests.defects import defect
from tests.verifier.mdoc_presentation import (
    ORIGIN,
    MdocPresentation,
    Stage,
    Tree,
    by_mac,
    in_clear,
    over_dc_api,
    twin,
)
from tests.verifier.world import CLIENT_ID, NAME_SPACE, NONCE, RESPONSE_URI
from verifier import DirectPost, ReasonCode

SELF_SIGNED = "de.leipzig.device.1"
INVALID = ReasonCode.DEVICE_AUTHENTICATION_INVALID


def with_handover(shown: MdocPresentation, name: str, info: list[object], *, hashed: bool = True) -> MdocPresentation:
    """The device answers in a session with this handover."""
    encoded = cbor.encode(info)
    shown.transcript = cbor.encode([None, None, [name, sha256(encoded).digest() if hashed else encoded]])
    return shown


@defect("md-058", refused_as=INVALID)
def another_client(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6.1: made for another verifier."""
    return shown.transcribed(client_id="x509_hash:another")


@defect("md-059", refused_as=INVALID)
def another_response_uri(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6.1: made for another address."""
    return shown.transcribed(response_uri="https://attacker.example/response")


@defect("md-060", refused_as=INVALID)
def another_encryption_key(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6.1: somebody opened the answer on its way and encrypted it anew."""
    return shown.transcribed(thumbprint=bytes(32))


@defect("md-061", refused_as=INVALID)
@twin(in_clear)
def thumbprint_in_clear(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6.1: what came in clear was made for nobody's key."""
    return shown.transcribed()


@defect("md-062", refused_as=INVALID)
def handover_in_another_order(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6.1: clientId, nonce, thumbprint, responseUri."""
    thumbprint = shown.world.response_key_thumbprint
    return with_handover(shown, "OpenID4VPHandover", [CLIENT_ID, RESPONSE_URI, NONCE, thumbprint])


@defect("md-063", refused_as=INVALID)
def handover_not_hashed(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6.1: the hash of the handover's info, not the info."""
    info: list[object] = [CLIENT_ID, NONCE, shown.world.response_key_thumbprint, RESPONSE_URI]
    return with_handover(shown, "OpenID4VPHandover", info, hashed=False)


@defect("md-064", refused_as=INVALID)
def browser_handover_by_redirect(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6.1: made for a page, posted to an address."""
    shown.transcript = dc_api_transcript(origin=ORIGIN, nonce=NONCE, jwk_thumbprint=shown.world.response_key_thumbprint)
    return shown


@defect("md-065", refused_as=INVALID)
def engagement_not_null(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6.1: there is no DeviceEngagement."""
    shown.transcript = b"\x83\xd8\x18\x41\xa0" + shown.transcript[2:]
    return shown


@defect("md-066", refused_as=INVALID)
@twin(over_dc_api)
def redirect_handover_in_browser(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6.2: made for an address, handed to a page."""
    shown.transcript = openid4vp_transcript(
        client_id=CLIENT_ID,
        nonce=NONCE,
        jwk_thumbprint=shown.world.response_key_thumbprint,
        response_uri=RESPONSE_URI,
    )
    return shown


@defect("md-067", refused_as=INVALID)
@twin(over_dc_api)
def another_origin(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6.2: made for another page."""
    shown.transcript = dc_api_transcript(
        origin="https://city.example.evil", nonce=NONCE, jwk_thumbprint=shown.world.response_key_thumbprint
    )
    return shown


def signed_by_a_thief(shown: MdocPresentation, unprotected: dict[int, object]) -> MdocPresentation:
    """The device signature is made with another key than the MSO's."""
    thief = generate_signer()
    named = {
        label: cose_key_from_public_key(thief.public_key) if value is ... else value
        for label, value in unprotected.items()
    }

    def sign(auth: Tree) -> None:
        header = auth["deviceSignature"][0]
        signature = thief.sign(signature_input("Signature1", header, b"", shown.device_payload()))
        auth["deviceSignature"] = [header, named, None, signature]

    return shown.at(Stage.DEVICE_AUTH, sign)


@defect("md-068", refused_as=INVALID)
def another_key(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3: the MSO names the key."""
    return signed_by_a_thief(shown, {})


@defect("md-069", refused_as=INVALID)
def another_key_in_the_header(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3: a key that comes along is nobody's."""
    return signed_by_a_thief(shown, {-1: ...})


@defect("md-070", refused_as=INVALID)
def empty_signature(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3: nothing is no signature."""
    return shown.set(Stage.DEVICE_AUTH, "deviceSignature", 3, to=b"")


@defect("md-071", refused_as=ReasonCode.DEVICE_AUTHENTICATION_MISSING)
def no_authentication(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3: deviceAuth is an empty map."""
    return shown.at(Stage.DEVICE_AUTH, lambda auth: auth.clear())


@defect("md-072", refused_as=ReasonCode.DEVICE_AUTHENTICATION_MISSING)
def null_signature(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3: deviceSignature is null."""
    return shown.set(Stage.DEVICE_AUTH, "deviceSignature", to=None)


@defect("md-073", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
def algorithm_of_another_curve(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9053 §2.1: ES512 over a key of P-256."""
    return shown.set(Stage.DEVICE_PROTECTED, ALG, to=-36)


def with_ed25519(shown: MdocPresentation) -> MdocPresentation:
    """The device's key is of Ed25519."""
    shown.holder = generate_signer("EdDSA")
    return shown


@defect("md-073b", refused_as=ReasonCode.ALGORITHM_NOT_ALLOWED)
@twin(with_ed25519)
def algorithm_not_announced(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.2: the question announced ES256 alone, for devices, too."""
    shown.announced = HAIP_FORMATS
    return shown


@defect("md-074", refused_as=INVALID)
def old_session_attached(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.6: what was signed is rebuilt by the verifier, never taken from the answer."""
    shown.transcribed(nonce="the nonce of another day")
    return shown.at(Stage.DEVICE_AUTH, lambda auth: attach(auth, shown.device_payload()))


def attach(auth: Tree, payload: bytes) -> None:
    """Put what was signed into the COSE structure."""
    auth["deviceSignature"][2] = payload


@defect("md-074b", refused_as=INVALID)
def own_session_attached(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3.4: the payload is detached, even where it would be the right one."""
    return shown.at(Stage.DEVICE_AUTH, lambda auth: attach(auth, shown.device_payload()))


@defect("md-075", refused_as=INVALID)
def another_type_signed(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3: the device authenticated another document."""
    shown.device_doc_type = "org.iso.18013.5.1.mDL"
    return shown


def with_elements_of_the_device(shown: MdocPresentation) -> MdocPresentation:
    """The device states something itself, in a name space that it may."""
    shown.set(Stage.MSO, "deviceKeyInfo", "keyAuthorizations", to={"nameSpaces": [SELF_SIGNED]})
    return shown.set(Stage.DEVICE_NAME_SPACES, SELF_SIGNED, to={"nickname": "Mila"})


@defect("md-076", refused_as=ReasonCode.DEVICE_CLAIM_NOT_AUTHORIZED)
@twin(with_elements_of_the_device)
def element_not_authorized(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: keyAuthorizations does not name this name space."""
    return shown.set(Stage.DEVICE_NAME_SPACES, "de.leipzig.other.1", to={"nickname": "Mila"})


@defect("md-076b", refused_as=ReasonCode.ELEMENT_REPEATED)
@twin(with_elements_of_the_device)
def device_contradicts_the_issuer(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.4: what the device says never replaces what the issuer signed, authorized or not."""
    shown.set(Stage.MSO, "deviceKeyInfo", "keyAuthorizations", to={"nameSpaces": [NAME_SPACE]})
    return shown.at(Stage.DEVICE_NAME_SPACES, lambda _: {NAME_SPACE: {"family_name": "KLEIN"}})


@defect("md-077", refused_as=INVALID)
def another_context(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9052 §4.4: `Signature` is the context of another structure."""
    return signed_over(shown, lambda header: signature_input("Signature", header, b"", shown.device_payload()))


@defect("md-078", refused_as=INVALID)
def reader_authentication_signed(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3: what a reader signs is not what a device signs."""
    request = cbor.tag24(cbor.encode({"docType": shown.doc_type, "nameSpaces": {}}))
    body = b"\x83" + cbor.encode("ReaderAuthentication") + shown.transcript + request
    return signed_over(shown, lambda header: signature_input("Signature1", header, b"", cbor.tag24(body)))


def signed_over(shown: MdocPresentation, content: Tree) -> MdocPresentation:
    """The device signs other bytes than it should."""

    def sign(auth: Tree) -> None:
        auth["deviceSignature"][3] = shown.holder.sign(content(auth["deviceSignature"][0]))

    return shown.at(Stage.DEVICE_AUTH, sign)


@defect("md-079", refused_as=ReasonCode.HOLDER_KEY_INVALID)
def private_key_published(shown: MdocPresentation) -> MdocPresentation:
    """RFC 9052 §7: a key that everybody can read proves nothing."""
    return shown.set(Stage.MSO, "deviceKeyInfo", "deviceKey", -4, to=bytes(32))


@defect("md-080", refused_as=INVALID)
@twin(by_mac)
def mac_of_another_session(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3.5: the MAC's key comes from the session."""
    assert shown.holder_private is not None
    assert shown.reader is not None
    other = b"\x83\xf6\xf6\xf6"
    key = device_mac_key(shown.holder_private, shown.reader, session_transcript=other)
    return shown.at(
        Stage.DEVICE_AUTH, lambda _: {"deviceMac": build_mac0(shown.device_payload(), key=key, detached=True)}
    )


@defect("md-081", refused_as=ReasonCode.DEVICE_MAC_NOT_ALLOWED)
@twin(by_mac)
def mac_unasked(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3.5: a MAC for a key that this verifier never offered."""
    shown.binding = DirectPost(RESPONSE_URI, shown.world.response_key_thumbprint)
    return shown


@defect("md-081b", refused_as=INVALID)
@twin(by_mac)
def mac_for_another_reader(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3.5: a MAC that was made for another reader's key."""
    shown.reader = ec.generate_private_key(ec.SECP256R1()).public_key()
    return shown


@defect("md-081c", refused_as=INVALID)
def signature_and_mac(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3.2: one or the other."""
    return shown.set(Stage.DEVICE_AUTH, "deviceMac", to=None)


@defect("md-902", refused_as=ReasonCode.DEVICE_AUTHENTICATION_MISSING)
def device_silent(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3: no deviceSigned, the basic case."""
    return shown.drop(Stage.DOCUMENT, "deviceSigned")


@defect("md-902b", refused_as=INVALID)
def device_of_another(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3: the MSO names the key of another holder."""
    stranger = cose_key_from_public_key(generate_signer().public_key)
    return shown.set(Stage.MSO, "deviceKeyInfo", "deviceKey", to=stranger)


@defect("md-902c", refused_as=INVALID)
def another_session(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.3: the answer to another question, the basic case."""
    return shown.transcribed(nonce="another nonce")
