"""An mdoc presentation built step by step, each step open to one change; all after it follow from what was changed.

A fresh one is valid. `at(stage, change)` hooks into its making: `change` gets what was made so far and either bends it
in place or returns something else.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any, TypeAlias

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from specs.credentials.mdoc_device import device_authentication_bytes, device_mac_key
from specs.credentials.mdoc_values import tdate
from specs.credentials.session_transcript import dc_api_transcript, openid4vp_transcript
from specs.credentials.status_list import CWT_TYP, StatusMediaType, compress
from specs.encoding import base64url, cbor
from specs.keys.cose import (
    ALG,
    ALG_OF_JOSE_NAME,
    HMAC_256,
    TYP,
    X5CHAIN,
    cose_key_from_public_key,
    signature_input,
    x5chain_value,
)
from specs.keys.signer import FileSigner, Signer, SigningIdentity
from specs.protocols.dcql import DcqlQuery, parse_dcql
from specs.protocols.openid4vp import MdocTransactionType
from specs.protocols.openid4vp.metadata import ALL_FORMATS, SupportedFormats
from specs.trust.x509 import TrustAnchor
from tests.specs.trust.drawing import Drawing, Scene, draw_two
from tests.verifier.world import (
    CLIENT_ID,
    DAY,
    DOC_TYPE,
    ELEMENTS,
    HOUR,
    MDOC_QUERY,
    NAME_SPACE,
    NONCE,
    RESPONSE_URI,
    STATUS_URI,
    World,
)
from verifier import Fetched, Limits, Policy, Reference, TrustDomain, Verdict
from verifier.expectations import Binding, DcApi, DirectPost
from verifier.verify import references, verify_presentation

# what stands on the wire is a tree of CBOR values; a defect may put anything at any place of it
Tree: TypeAlias = Any
Change: TypeAlias = Callable[[Tree], object]

IDX = 7
ORIGIN = "https://city.example"
SHOWN = ("family_name", "resident_city")
OTHER_NAME_SPACE = "de.leipzig.extra.1"
MDL_DOC_TYPE, MDL_NAME_SPACE = "org.iso.18013.5.1.mDL", "org.iso.18013.5.1"
_HASHES = {"SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512", "SHA-1": "sha1"}


class Stage(StrEnum):
    """What can be changed, in the order of its making."""

    ITEMS = "items"  # name space → list of IssuerSignedItems, as maps, before anything is digested
    ENCODED = "encoded"  # the same, each item encoded, before it is digested
    MSO = "mso"
    PAYLOAD = "payload"  # the MSO's encoding inside tag 24, before it is signed
    ISSUER_PROTECTED = "issuer protected header"
    ISSUER_AUTH = "issuerAuth"  # the array of four, after it was signed
    SHOWN = "shown"  # name space → list of tag 24 items, as the holder sends them
    DEVICE_NAME_SPACES = "device name spaces"
    DEVICE_PROTECTED = "device protected header"
    DEVICE_AUTH = "deviceAuth"
    DOCUMENT = "document"
    RESPONSE = "response"
    BYTES = "bytes"
    TEXT = "text"
    VP_TOKEN = "vp_token"
    STATUS_PROTECTED = "protected header of the status list"
    STATUS_CLAIMS = "claims of the status list"


@dataclass
class MdocPresentation:
    """A presentation in the making, the list its status stands in, and the question that it answers.

    sign: how the issuer signs. transcript, device_doc_type: what the device signs. reader: the key that a MAC is agreed
    with, instead of a signature.
    """

    world: World
    doc_type: str = DOC_TYPE
    digest_algorithm: str = "SHA-256"
    shown: Sequence[str] = SHOWN
    query: DcqlQuery = field(default_factory=lambda: MDOC_QUERY)
    client_id: str | None = CLIENT_ID
    policy: Policy = field(default_factory=Policy)
    device_doc_type: str | None = None
    reader: ec.EllipticCurvePublicKey | None = None
    changes: dict[Stage, list[Change]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.now = self.world.now
        self.fetched_at = self.now
        self.announced: SupportedFormats = ALL_FORMATS
        self.identity: SigningIdentity = self.world.mdoc_identity
        self.sign: Callable[[bytes], bytes] = self.identity.signer.sign
        self.domain: TrustDomain = self.world.domain
        self.holder: Signer = self.world.holder
        self.holder_private: ec.EllipticCurvePrivateKey | None = None
        self.transcript: bytes = self.world.transcript
        self.binding: Binding = self.world.binding
        self.status_sign: Callable[[bytes], bytes] = self.world.status_identity.signer.sign
        self.elements: dict[str, dict[str, object]] = {NAME_SPACE: dict(ELEMENTS)}
        self.transaction_data: tuple[str, ...] = ()
        self.transaction_types: tuple[MdocTransactionType, ...] = ()

    def at(self, stage: Stage, change: Change) -> "MdocPresentation":
        """Change what is made at a stage."""
        self.changes.setdefault(stage, []).append(change)
        return self

    def set(self, stage: Stage, *path: object, to: object) -> "MdocPresentation":
        """Put a value at a place of what is made at a stage."""

        def put(tree: Tree) -> None:
            _node(tree, path[:-1])[path[-1]] = to

        return self.at(stage, put)

    def drop(self, stage: Stage, *path: object) -> "MdocPresentation":
        """Leave a member out of what is made at a stage."""

        def leave_out(tree: Tree) -> None:
            del _node(tree, path[:-1])[path[-1]]

        return self.at(stage, leave_out)

    def identified(self, identity: SigningIdentity, *anchors: TrustAnchor) -> "MdocPresentation":
        """The issuer is this one. anchors: whom the domain believes, if others than before."""
        self.identity, self.sign = identity, identity.signer.sign
        if anchors:
            self.domain = replace(self.domain, anchors=anchors)
        return self

    def drawn(self, scene: Scene) -> "MdocPresentation":
        """The issuer signs with the leaf of this scene; chain, anchors and profile are the scene's."""
        dated = tuple(_moved(drawing, self.now - scene.now) for drawing in scene.drawings)
        certificates = replace(scene, drawings=dated).certificates()
        private = scene.drawings[0].key
        assert isinstance(private, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey))
        self.domain = replace(self.domain, profile=scene.profile)
        identity = SigningIdentity(FileSigner(private), tuple(scene.sent(certificates)))
        return self.identified(identity, *scene.believed(certificates))

    def transcribed(
        self,
        *,
        client_id: str = CLIENT_ID,
        nonce: str = NONCE,
        response_uri: str = RESPONSE_URI,
        thumbprint: bytes | None = None,
    ) -> "MdocPresentation":
        """The device answers in another session. thumbprint: None is the question's own."""
        self.transcript = openid4vp_transcript(
            client_id=client_id,
            nonce=nonce,
            jwk_thumbprint=thumbprint or self.world.response_key_thumbprint,
            response_uri=response_uri,
        )
        return self

    def asking(self, *claims: Mapping[str, object], **members: object) -> "MdocPresentation":
        """The question asks for these claims."""
        meta = {"doctype_value": self.doc_type}
        entry = {"id": "pid", "format": "mso_mdoc", "meta": meta, "claims": [*claims], **members}
        self.query = parse_dcql({"credentials": [entry]})  # type: ignore[list-item]  # JSON values
        return self

    # the making

    def issued(self) -> tuple[dict[str, list[bytes]], list[object]]:
        """Items as the issuer made them, and issuerAuth."""
        items: dict[str, list[Tree]] = {
            name_space: [
                {
                    "digestID": position,
                    "random": hashlib.sha256(f"{name_space} {name}".encode()).digest(),
                    "elementIdentifier": name,
                    "elementValue": value,
                }
                for position, (name, value) in enumerate(members.items())
            ]
            for name_space, members in self.elements.items()
        }
        items = self._changed(Stage.ITEMS, items)
        encoded = {name_space: [cbor.encode(item) for item in members] for name_space, members in items.items()}
        encoded = self._changed(Stage.ENCODED, encoded)
        digests = {
            name_space: {
                _digest_id(item): self.digest(one) for item, one in zip(items[name_space], members, strict=True)
            }
            for name_space, members in encoded.items()
        }
        payload = self._changed(Stage.PAYLOAD, cbor.tag24(cbor.encode(self._changed(Stage.MSO, self._mso(digests)))))
        protected = cbor.encode(
            self._changed(Stage.ISSUER_PROTECTED, {ALG: ALG_OF_JOSE_NAME[self.identity.signer.alg]})
        )
        signature = self.sign(signature_input("Signature1", protected, b"", payload))
        auth = [protected, {X5CHAIN: x5chain_value(self.identity.chain)}, payload, signature]
        return encoded, self._changed(Stage.ISSUER_AUTH, auth)

    def digest(self, item: bytes) -> bytes:
        """The digest of an encoded item, tag 24 around it."""
        name = _HASHES.get(self.digest_algorithm, "sha256")
        return hashlib.new(name, cbor.tag24(item)).digest()

    def _mso(self, digests: Tree) -> Tree:
        now = self.now
        return {
            "version": "1.0",
            "digestAlgorithm": self.digest_algorithm,
            "valueDigests": digests,
            "deviceKeyInfo": {"deviceKey": cose_key_from_public_key(self.holder.public_key)},
            "docType": self.doc_type,
            "validityInfo": {
                "signed": tdate(now - HOUR),
                "validFrom": tdate(now - HOUR),
                "validUntil": tdate(now + 14 * DAY),
            },
            "status": {"status_list": {"idx": IDX, "uri": STATUS_URI}},
        }

    def device_payload(self, name_spaces: bytes | None = None) -> bytes:
        """What the device signs."""
        encoded = cbor.tag24(self._device_name_spaces()) if name_spaces is None else name_spaces
        return device_authentication_bytes(self.transcript, self.device_doc_type or self.doc_type, encoded)

    def _device_name_spaces(self) -> bytes:
        return cbor.encode(self._changed(Stage.DEVICE_NAME_SPACES, {}))

    def _device_auth(self, payload: bytes) -> Tree:
        if self.reader is not None:
            assert self.holder_private is not None
            key = device_mac_key(self.holder_private, self.reader, session_transcript=self.transcript)
            header = cbor.encode({ALG: HMAC_256})
            tag = hmac.digest(key, signature_input("MAC0", header, b"", payload), "sha256")
            return {"deviceMac": [header, {}, None, tag]}
        header = cbor.encode(self._changed(Stage.DEVICE_PROTECTED, {ALG: ALG_OF_JOSE_NAME[self.holder.alg]}))
        return {
            "deviceSignature": [
                header,
                {},
                None,
                self.holder.sign(signature_input("Signature1", header, b"", payload)),
            ]
        }

    def response(self) -> Tree:
        """The DeviceResponse as a tree."""
        encoded, auth = self.issued()
        shown: Tree = {}
        for name_space, items in encoded.items():
            chosen = [item for item in items if _element(item) in self.shown or not self.shown]
            if chosen:
                shown[name_space] = [cbor2.CBORTag(24, item) for item in chosen]
        shown = self._changed(Stage.SHOWN, shown)
        name_spaces = self._device_name_spaces()
        device_auth = self._changed(Stage.DEVICE_AUTH, self._device_auth(self.device_payload(cbor.tag24(name_spaces))))
        document = {
            "docType": self.doc_type,
            "issuerSigned": {"nameSpaces": shown, "issuerAuth": auth},
            "deviceSigned": {"nameSpaces": cbor2.CBORTag(24, name_spaces), "deviceAuth": device_auth},
        }
        document = self._changed(Stage.DOCUMENT, document)
        return self._changed(Stage.RESPONSE, {"version": "1.0", "documents": [document], "status": 0})

    def text(self) -> str:
        """The presentation as it is sent."""
        data = self._changed(Stage.BYTES, cbor.encode(self.response()))
        return str(self._changed(Stage.TEXT, base64url.encode(data)))

    def vp_token(self) -> object:
        """The answer around it."""
        return self._changed(Stage.VP_TOKEN, {"pid": [self.text()]})

    def fetched(self) -> dict[tuple[str, str], Fetched | None]:
        """The status list, as CWT."""
        claims = {2: STATUS_URI, 6: self.now - 60, 4: self.now + DAY, 65534: 300}
        claims[65533] = {"bits": 2, "lst": compress(bytes(250))}
        payload = cbor.encode(self._changed(Stage.STATUS_CLAIMS, claims))
        header: Tree = {ALG: ALG_OF_JOSE_NAME[self.world.status_identity.signer.alg], TYP: CWT_TYP}
        protected = cbor.encode(self._changed(Stage.STATUS_PROTECTED, header))
        signature = self.status_sign(signature_input("Signature1", protected, b"", payload))
        chain = {X5CHAIN: x5chain_value(self.world.status_identity.chain)}
        body = cbor.encode(cbor2.CBORTag(18, [protected, chain, payload, signature]))
        return {(STATUS_URI, StatusMediaType.CWT): Fetched(body, 200, StatusMediaType.CWT, self.fetched_at)}

    def prepared(self) -> Callable[[], Verdict]:
        """The verifier's work alone: everything is made, signed and fetched before."""
        return partial(
            verify_presentation,
            self.vp_token(),
            query=self.query,
            nonce=NONCE,
            client_id=self.client_id,
            binding=self.binding,
            trust=self._trust(),
            status_lists=self.fetched(),
            policy=self.policy,
            now=self.now,
            transaction_data=self.transaction_data,
            transaction_types=self.transaction_types,
            announced=self.announced,
        )

    def judged(self) -> Verdict:
        """The verdict."""
        return self.prepared()()

    def references(self) -> tuple[Reference, ...]:
        """What the verifier wants to have fetched."""
        return references(
            self.vp_token(),
            query=self.query,
            nonce=NONCE,
            client_id=self.client_id,
            binding=self.binding,
            trust=self._trust(),
            policy=self.policy,
            now=self.now,
            transaction_data=self.transaction_data,
            transaction_types=self.transaction_types,
            announced=self.announced,
        )

    def _trust(self) -> dict[tuple[str, str], tuple[TrustDomain, ...]]:
        return {("mso_mdoc", doc_type): (self.domain,) for doc_type in (DOC_TYPE, MDL_DOC_TYPE)}

    def _changed(self, stage: Stage, made: Tree) -> Tree:
        for change in self.changes.get(stage, ()):
            given = change(made)
            made = made if given is None else given
        return made


def _node(tree: Tree, path: Sequence[object]) -> Tree:
    for step in path:
        tree = tree[step]
    return tree


def _digest_id(item: Tree) -> int:
    """A digest id as a number, though it may be written otherwise."""
    return int(item["digestID"])


def _element(item: bytes) -> object:
    return cbor2.loads(item).get("elementIdentifier")


def _moved(drawing: Drawing, seconds: int) -> Drawing:
    return replace(drawing, begin=drawing.begin + seconds, end=drawing.end + seconds)


def roomy(shown: MdocPresentation) -> MdocPresentation:
    """The procedure admits large presentations, so that their content is looked at."""
    shown.policy = replace(shown.policy, limits=Limits(presentation_bytes=8 * 1024 * 1024))
    return shown


def over_dc_api(shown: MdocPresentation) -> MdocPresentation:
    """The answer comes through the Digital Credentials API."""
    thumbprint = shown.world.response_key_thumbprint
    shown.binding = DcApi(ORIGIN, thumbprint)
    shown.transcript = dc_api_transcript(origin=ORIGIN, nonce=NONCE, jwk_thumbprint=thumbprint)
    return shown


def in_clear(shown: MdocPresentation) -> MdocPresentation:
    """The answer was not encrypted."""
    shown.binding = DirectPost(RESPONSE_URI, None)
    shown.transcript = openid4vp_transcript(
        client_id=CLIENT_ID, nonce=NONCE, jwk_thumbprint=None, response_uri=RESPONSE_URI
    )
    return shown


def by_mac(shown: MdocPresentation) -> MdocPresentation:
    """The device authenticates itself with a MAC, agreed with a key that this verifier offered."""
    ours, theirs = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    shown.binding = DirectPost(RESPONSE_URI, shown.world.response_key_thumbprint, ours)
    shown.holder, shown.holder_private, shown.reader = FileSigner(theirs), theirs, ours.public_key()
    return shown


def driving_licence(shown: MdocPresentation) -> MdocPresentation:
    """A licence that says where it was issued, by a signer whose certificate says the same."""
    place = {"issuing_country": "DE", "issuing_jurisdiction": "DE-SN"}
    shown.doc_type, shown.shown = MDL_DOC_TYPE, (*SHOWN, *place)
    shown.elements = {MDL_NAME_SPACE: {**ELEMENTS, **place}}
    saxon = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "DE-SN"),
            x509.NameAttribute(NameOID.COMMON_NAME, "Document signer"),
        ]
    )
    shown.drawn(draw_two().changed(0, lambda leaf: replace(leaf, subject=saxon)))
    return shown.asking(*({"path": [MDL_NAME_SPACE, name]} for name in shown.shown))


Prepare = Callable[[MdocPresentation], MdocPresentation]
_twins: dict[object, Prepare] = {}


def twin(prepare: Prepare) -> Callable[[Prepare], Prepare]:
    """Let a defect start from another valid presentation than the plain one."""

    def register(apply: Prepare) -> Prepare:
        _twins[apply] = prepare
        return apply

    return register


def valid_twin(apply: Prepare, world: World) -> MdocPresentation:
    """A fresh valid presentation, of the kind that a defect is applied to."""
    plain = MdocPresentation(world)
    prepare = _twins.get(apply)
    return plain if prepare is None else prepare(plain)
