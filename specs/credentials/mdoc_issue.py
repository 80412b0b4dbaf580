"""Minting an mdoc: claims and a holder's key become an IssuerSigned (ISO/IEC 18013-5 §9.1.2.4, OpenID4VCI 1.0 A.2.4).

The fixed parts are written as bytes and put together; a dictionary is built of nothing that is known beforehand.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from specs.credentials.mdoc import DIGESTS, NO_AUTHORIZATIONS, KeyAuthorizations, Validity
from specs.credentials.mdoc_values import tdate_text
from specs.credentials.status_list import StatusReference
from specs.encoding import cbor
from specs.keys.cose import ALG, ALG_OF_JOSE_NAME, X5CHAIN, cose_key_from_public_key, signature_input, x5chain_value
from specs.keys.jose import PublicKey
from specs.keys.signer import Signer, SigningIdentity

RANDOM_BYTES = 32

_ITEM = b"\xa4hdigestID"
_RANDOM = b"frandom\x58\x20"
_ELEMENT = b"qelementIdentifier"
_VALUE = b"lelementValue"
_TAG24_HEADS = tuple(cbor.tag24_head(size) for size in range(256))
_TEXT_HEADS = tuple(cbor.head(3, size) for size in range(256))
_P256 = ec.SECP256R1.name
_X962, _POINT = Encoding.X962, PublicFormat.UncompressedPoint  # a member of an enumeration is looked up slowly
_VERSION = b"gversionc1.0odigestAlgorithm"
_DEVICE_KEY = b"mdeviceKeyInfo"


@dataclass(frozen=True, slots=True)
class MdocIdentity:
    """A document signer, its headers encoded once for all credentials that it signs."""

    signer: Signer
    auth_head: bytes
    to_sign_head: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """A credential that lacks only its signature, so that many can be signed in one call to a security module."""

    to_be_signed: bytes
    unsigned: bytes

    def complete(self, signature: bytes) -> bytes:
        """The encoded IssuerSigned. signature: raw r ‖ s or Ed25519, over `to_be_signed`."""
        return self.unsigned + cbor.byte_string(signature)


def mdoc_identity(identity: SigningIdentity) -> MdocIdentity:
    """Prepare the headers of a document signer: `alg` protected, x5chain unprotected, without the IACA (§9.1.2.4)."""
    protected = cbor.encode({ALG: ALG_OF_JOSE_NAME[identity.signer.alg]})
    unprotected = cbor.encode({X5CHAIN: x5chain_value(identity.chain)})
    return MdocIdentity(
        identity.signer,
        b"jissuerAuth\x84" + cbor.byte_string(protected) + unprotected,
        signature_input("Signature1", protected, b"", b"")[:-1],
    )


def build_issuer_signed(
    identity: MdocIdentity,
    *,
    doc_type: str,
    claims: Mapping[str, Mapping[str, object]],
    device_key: PublicKey,
    validity: Validity,
    status: StatusReference | None = None,
    authorizations: KeyAuthorizations = NO_AUTHORIZATIONS,
    digest_algorithm: str = "SHA-256",
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> bytes:
    """Mint one credential: the encoded IssuerSigned, which travels in base64url.

    claims: name space → element → CBOR value (`mdoc_values.full_date` and `tdate` for dates). validity: seconds since
    the epoch, rounded by the caller. random_bytes: asked once for all random of this credential.

    Raises:
        ValueError: no claims, dates out of order, an unknown digest algorithm, or a value that CBOR can't hold.
    """
    draft = draft_issuer_signed(
        identity,
        doc_type=doc_type,
        claims=claims,
        device_key=device_key,
        validity=validity,
        status=status,
        authorizations=authorizations,
        digest_algorithm=digest_algorithm,
        random_bytes=random_bytes,
    )
    return draft.complete(identity.signer.sign(draft.to_be_signed))


def draft_issuer_signed(
    identity: MdocIdentity,
    *,
    doc_type: str,
    claims: Mapping[str, Mapping[str, object]],
    device_key: PublicKey,
    validity: Validity,
    status: StatusReference | None = None,
    authorizations: KeyAuthorizations = NO_AUTHORIZATIONS,
    digest_algorithm: str = "SHA-256",
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> Draft:
    """All of `build_issuer_signed` but the signature.

    Raises:
        ValueError: as there.
    """
    if not claims or not all(claims.values()):
        raise ValueError("an mdoc needs claims in each name space")
    if digest_algorithm not in DIGESTS:
        raise ValueError("digest algorithm")
    name_spaces, digests = _name_spaces(claims, digest_algorithm, random_bytes)
    mso = b"".join(
        (
            b"\xa6" if status is None else b"\xa7",
            _VERSION,
            _text(digest_algorithm),
            digests,
            _DEVICE_KEY,
            _device_key_info(device_key, authorizations),
            b"gdocType",
            _text(doc_type),
            _validity_info(validity),
            b"" if status is None else _status(status),
        )
    )
    inner = cbor.tag24_head(len(mso))
    payload_head = cbor.head(2, len(inner) + len(mso))
    return Draft(
        b"".join((identity.to_sign_head, payload_head, inner, mso)),
        b"".join((b"\xa2jnameSpaces", name_spaces, identity.auth_head, payload_head, inner, mso)),
    )


def build_issuer_signed_batch(identity: MdocIdentity, drafts: Sequence[Draft]) -> list[bytes]:
    """Sign drafts of one identity together; the credentials in the order of the drafts."""
    signatures = identity.signer.sign_many([draft.to_be_signed for draft in drafts])
    return [draft.complete(signature) for draft, signature in zip(drafts, signatures, strict=True)]


def _name_spaces(
    claims: Mapping[str, Mapping[str, object]], digest_algorithm: str, random_bytes: Callable[[int], bytes]
) -> tuple[bytes, bytes]:
    """The encodings of `nameSpaces` and, with its key, of `valueDigests`."""
    digest_of = DIGESTS[digest_algorithm]
    digest_size = digest_of(b"").digest_size
    pool = random_bytes(RANDOM_BYTES * sum(map(len, claims.values())))
    randoms = [pool[at : at + RANDOM_BYTES] for at in range(0, len(pool), RANDOM_BYTES)]
    name_spaces = [cbor.head(5, len(claims))]
    value_digests = [b"lvalueDigests", cbor.head(5, len(claims))]
    for name_space, elements in claims.items():
        count = len(elements)
        own, randoms = randoms[:count], randoms[count:]
        name = _text(name_space)
        name_spaces += (name, cbor.head(4, count))
        digests = [b""] * count
        # the digest ids in the order of what was drawn by lot, so that they tell nothing about the claims
        digest_ids = sorted(range(count), key=own.__getitem__)
        heads = _heads(count, digest_size)
        for digest_id, random, (element, value) in zip(digest_ids, own, elements.items(), strict=True):
            item_head, digest_head = heads[digest_id]
            if type(value) is str and len(value) < 64:  # as most are: at most 255 bytes
                written = value.encode()
                value_head = _TEXT_HEADS[len(written)]
            else:
                written, value_head = cbor.encode(value), b""
            item = b"".join((item_head, random, _element(element), value_head, written))
            size = len(item)
            item = (_TAG24_HEADS[size] if size < 256 else cbor.tag24_head(size)) + item
            name_spaces.append(item)
            digests[digest_id] = digest_head + digest_of(item).digest()
        value_digests += (name, cbor.head(5, count), *digests)
    return b"".join(name_spaces), b"".join(value_digests)


def _device_key_info(key: PublicKey, authorizations: KeyAuthorizations) -> bytes:
    cose_key = _cose_key(key)
    if authorizations is NO_AUTHORIZATIONS:
        return b"\xa1ideviceKey" + cose_key
    allowed: dict[str, object] = {}
    if authorizations.name_spaces:
        allowed["nameSpaces"] = sorted(authorizations.name_spaces)
    if authorizations.data_elements:
        by_name_space: dict[str, list[str]] = {}
        for name_space, element in sorted(authorizations.data_elements):
            by_name_space.setdefault(name_space, []).append(element)
        allowed["dataElements"] = by_name_space
    return b"\xa2ideviceKey" + cose_key + b"qkeyAuthorizations" + cbor.encode(allowed)


def _cose_key(key: PublicKey) -> bytes:
    """The COSE_Key of a holder (RFC 9053 §7.1.1); that of P-256, which nearly all are, without arithmetic."""
    curve = getattr(key, "curve", None)  # asking for the class would be slow: it is a registered one
    if curve is not None and curve.name == _P256:
        point = key.public_bytes(_X962, _POINT)
        return b"".join((b"\xa4\x01\x02\x20\x01\x21\x58\x20", point[1:33], b"\x22\x58\x20", point[33:]))
    return cbor.encode(cose_key_from_public_key(key))


def _validity_info(validity: Validity) -> bytes:
    if not validity.signed <= validity.valid_from < validity.valid_until:
        raise ValueError("validity is out of order")
    update = validity.expected_update
    return b"".join(
        (
            b"lvalidityInfo",
            b"\xa3" if update is None else b"\xa4",
            b"fsigned",
            _tdate(validity.signed),
            b"ivalidFrom",
            _tdate(validity.valid_from),
            b"jvalidUntil",
            _tdate(validity.valid_until),
            b"" if update is None else b"nexpectedUpdate" + _tdate(update),
        )
    )


def _status(reference: StatusReference) -> bytes:
    uri = reference.uri.encode("utf-8")
    return b"".join(
        (b"fstatus\xa1kstatus_list\xa2cidx", cbor.head(0, reference.idx), b"curi", cbor.head(3, len(uri)), uri)
    )


@lru_cache(maxsize=256)
def _tdate(seconds: int) -> bytes:
    return b"\xc0\x74" + tdate_text(seconds).encode("ascii")


@lru_cache(maxsize=4096)
def _text(name: str) -> bytes:
    """The encoding of a name of the catalogue (never of a value: those are personal)."""
    data = name.encode("utf-8")
    return cbor.head(3, len(data)) + data


@lru_cache(maxsize=4096)
def _element(name: str) -> bytes:
    return _ELEMENT + _text(name) + _VALUE


@lru_cache(maxsize=256)
def _heads(count: int, digest_size: int) -> tuple[tuple[bytes, bytes], ...]:
    """For each digest id: what an item begins with, and what stands before its digest."""
    head = cbor.head(2, digest_size)
    numbers = [cbor.head(0, digest_id) for digest_id in range(count)]
    return tuple((_ITEM + number + _RANDOM, number + head) for number in numbers)
