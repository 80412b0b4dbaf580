"""Defects of an mdoc's form: what is no CBOR, no DeviceResponse, or an item that is not the one that was signed."""

import cbor2

from specs.encoding import base64url, cbor
from tests.defects import defect
from tests.verifier.mdoc_presentation import (
    OTHER_NAME_SPACE,
    MdocPresentation,
    Stage,
    Tree,
    roomy,
    twin,
)
from tests.verifier.world import NAME_SPACE
from verifier import ReasonCode

FAMILY_NAME, CITY, AGE = 0, 4, 5  # digest ids of the plain presentation


def documents_written_as(raw: bytes) -> bytes:
    """A DeviceResponse with these bytes in the place of its documents."""
    return b"\xa3gversionc1.0idocuments" + raw + b"fstatus\x00"


def tampered(shown: MdocPresentation, position: int, **members: object) -> MdocPresentation:
    """The holder changes members of an item after it was signed."""

    def change(name_spaces: Tree) -> None:
        item = cbor2.loads(name_spaces[NAME_SPACE][position].value)
        name_spaces[NAME_SPACE][position] = cbor2.CBORTag(24, cbor.encode({**item, **members}))

    return shown.at(Stage.SHOWN, change)


@defect("md-001", refused_as=ReasonCode.CBOR_MALFORMED)
@twin(roomy)
def nested_arrays(shown: MdocPresentation) -> MdocPresentation:
    """CVE-2026-26209: 200 000 arrays in each other."""
    return shown.at(Stage.BYTES, lambda _: documents_written_as(b"\x81" * 200_000 + b"\x00"))


@defect("md-001b", refused_as=ReasonCode.LIMIT_EXCEEDED)
def nested_arrays_above_the_limit(shown: MdocPresentation) -> MdocPresentation:
    """The same under the default limits: not even decoded."""
    return nested_arrays(shown)


@defect("md-002", refused_as=ReasonCode.CBOR_MALFORMED)
def byte_string_of_128_gib(shown: MdocPresentation) -> MdocPresentation:
    """RFC 8949 §10: a length is a claim, not a reason to reserve memory."""
    return shown.at(Stage.BYTES, lambda _: documents_written_as(b"\x5b" + (128 << 30).to_bytes(8, "big") + b"x"))


@defect("md-003", refused_as=ReasonCode.CBOR_MALFORMED)
def cyclic_documents(shown: MdocPresentation) -> MdocPresentation:
    """GHSA-wcj4-jw5j-44wh class: tags 28 and 29 make a list that contains itself."""
    return shown.at(Stage.BYTES, lambda _: documents_written_as(b"\xd8\x1c\x81\xd8\x1d\x00"))


@defect("md-004", refused_as=ReasonCode.MDOC_MALFORMED)
def maps_as_keys(shown: MdocPresentation) -> MdocPresentation:
    """cbor2 changelog 6.1.4: 4000 maps as keys were hashed again and again."""
    keys = b"".join(b"\xa1\x19" + number.to_bytes(2, "big") + b"\x00\x00" for number in range(4000))
    return shown.at(Stage.BYTES, lambda _: documents_written_as(b"\xb9\x0f\xa0" + keys))


@defect("md-005", refused_as=ReasonCode.MDOC_MALFORMED)
@twin(roomy)
def many_chunks(shown: MdocPresentation) -> MdocPresentation:
    """cbor2 changelog 6.1.3: a byte string in 300 000 chunks of one byte."""
    return shown.at(Stage.BYTES, lambda _: documents_written_as(b"\x5f" + b"\x41x" * 300_000 + b"\xff"))


@defect("md-006", refused_as=ReasonCode.LIMIT_EXCEEDED)
@twin(roomy)
def many_copies(shown: MdocPresentation) -> MdocPresentation:
    """Limits: 20 000 copies of one item."""
    return shown.at(Stage.SHOWN, lambda shown: {NAME_SPACE: [shown[NAME_SPACE][0]] * 20_000})


@defect("md-007", refused_as=ReasonCode.MDOC_MALFORMED)
def not_base64url(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.5: base64url, without padding."""
    return shown.at(Stage.TEXT, lambda text: text + "=")


@defect("md-008", refused_as=ReasonCode.CBOR_MALFORMED)
def trailing_bytes(shown: MdocPresentation) -> MdocPresentation:
    """RFC 8949 §5.3.1: one item, nothing behind it."""
    return shown.at(Stage.BYTES, lambda data: data + b"\x00")


@defect("md-009", refused_as=ReasonCode.VERSION_NOT_SUPPORTED)
def another_version(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §8.3.2.1.2.2: we read version 1.x."""
    return shown.set(Stage.RESPONSE, "version", to="2.0")


@defect("md-010", refused_as=ReasonCode.MDOC_MALFORMED)
def no_documents(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §8.3.2.1.2.2: an answer has documents."""
    return shown.drop(Stage.RESPONSE, "documents")


@defect("md-010b", refused_as=ReasonCode.WALLET_ERROR)
def status_of_an_error(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §8.3.2.1.2.3: the wallet says that something went wrong."""
    return shown.set(Stage.RESPONSE, "status", to=10)


@defect("md-011", refused_as=ReasonCode.TOO_MANY_PRESENTATIONS)
def two_documents(shown: MdocPresentation) -> MdocPresentation:
    """HAIP §5.3.1: each mdoc in a DeviceResponse of its own."""
    return shown.at(Stage.RESPONSE, lambda response: response["documents"].append(response["documents"][0]))


@defect("md-012", refused_as=ReasonCode.TOO_MANY_PRESENTATIONS)
def second_document_foreign(shown: MdocPresentation) -> MdocPresentation:
    """HAIP §5.3.1, OpenID4VP §14.1: the same document again, its device signature a stranger's."""

    def append(response: Tree) -> None:
        second = {**response["documents"][0]}
        auth = second["deviceSigned"]["deviceAuth"]["deviceSignature"]
        foreign = {"deviceSignature": [*auth[:3], bytes(64)]}
        second["deviceSigned"] = {**second["deviceSigned"], "deviceAuth": foreign}
        response["documents"].append(second)

    return shown.at(Stage.RESPONSE, append)


@defect("md-013", refused_as=ReasonCode.CBOR_MALFORMED)
def documents_twice(shown: MdocPresentation) -> MdocPresentation:
    """RFC 8949 §5.6: each key once, or two readers read two things."""
    return shown.at(Stage.BYTES, lambda data: b"\xa4idocuments\x81\xa0" + data[1:])


@defect("md-014", refused_as=ReasonCode.CBOR_MALFORMED)
def json_in_its_place(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §8.3.2.1.2.2: a DeviceResponse is CBOR."""
    return shown.at(Stage.TEXT, lambda _: base64url.encode(b'{"version":"1.0","documents":[],"status":0}'))


@defect("md-014b", refused_as=ReasonCode.FORMAT_MISMATCH)
def an_object_in_its_place(shown: MdocPresentation) -> MdocPresentation:
    """OpenID4VP §B.2.5: the presentation is a string."""
    return shown.at(Stage.VP_TOKEN, lambda _: {"pid": [{"version": "1.0", "documents": [], "status": 0}]})


@defect("md-047", refused_as=ReasonCode.DIGEST_MISMATCH)
def value_changed(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: the holder gives himself another name."""
    return tampered(shown, 0, elementValue="KLEIN")


def showing_age(shown: MdocPresentation) -> MdocPresentation:
    """The holder, who is not yet 18, shows that."""
    shown.elements[NAME_SPACE]["age_over_18"] = False
    shown.shown = ("age_over_18",)
    return shown.asking({"path": [NAME_SPACE, "age_over_18"]})


@defect("md-048", refused_as=ReasonCode.DIGEST_MISMATCH)
@twin(showing_age)
def grown_up_by_hand(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: false turned into true."""
    return tampered(shown, 0, elementValue=True)


@defect("md-049", refused_as=ReasonCode.DIGEST_MISMATCH)
def random_changed(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: the digest is over the random, too."""
    return tampered(shown, 0, random=bytes(32))


@defect("md-049b", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def random_too_short(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: 16 bytes at least, or the digest can be guessed back to its value."""
    return shown.set(Stage.ITEMS, NAME_SPACE, FAMILY_NAME, "random", to=bytes(range(15)))


@defect("md-050", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def digest_id_out_of_range(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: a digest id is below 2^31, even where the issuer signed another."""
    return shown.set(Stage.ITEMS, NAME_SPACE, FAMILY_NAME, "digestID", to=2**31)


@defect("md-050b", refused_as=ReasonCode.DIGEST_MISSING)
def digest_id_unknown(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: an id that the MSO does not have."""
    return tampered(shown, 0, digestID=1000)


@defect("md-051", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def digest_id_as_text(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: a digest id is a number; the digest holds, so that only its type is wrong."""
    return shown.set(Stage.ITEMS, NAME_SPACE, FAMILY_NAME, "digestID", to=str(FAMILY_NAME))


def in_two_name_spaces(shown: MdocPresentation) -> MdocPresentation:
    """The credential has elements in two name spaces, and shows some of both."""
    shown.elements[OTHER_NAME_SPACE] = {"district": "MITTE", "resident": True}
    shown.shown = ()
    return shown


def move_to(name_space: str) -> "MovesItems":
    """The first item of the plain name space moves to this one."""
    return MovesItems(name_space)


class MovesItems:
    """Moves an item between name spaces."""

    def __init__(self, name_space: str) -> None:
        self._name_space = name_space

    def __call__(self, shown: Tree) -> None:
        """Move it, and the item of the same id there makes room."""
        shown[self._name_space] = [shown[NAME_SPACE].pop(0), *shown.get(self._name_space, [])[1:]]


@defect("md-052", refused_as=ReasonCode.DIGEST_MISMATCH)
@twin(in_two_name_spaces)
def item_moved(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: an item counts in the name space that it was signed for."""
    return shown.at(Stage.SHOWN, move_to(OTHER_NAME_SPACE))


@defect("md-052b", refused_as=ReasonCode.DIGEST_MISSING)
def item_moved_to_an_unsigned_name_space(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: the MSO does not know this name space."""
    return shown.at(Stage.SHOWN, move_to(OTHER_NAME_SPACE))


@defect("md-053", refused_as=ReasonCode.MDOC_MALFORMED)
def item_as_a_map(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: an item travels as the bytes that were digested."""
    return shown.at(Stage.SHOWN, lambda shown: shown[NAME_SPACE].append(cbor2.loads(shown[NAME_SPACE].pop().value)))


@defect("md-054", refused_as=ReasonCode.MDOC_MALFORMED)
def item_as_a_byte_string(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §9.1.2.5: inside tag 24."""
    return shown.at(Stage.SHOWN, lambda shown: shown[NAME_SPACE].append(shown[NAME_SPACE].pop().value))


@defect("md-055", refused_as=ReasonCode.CBOR_MALFORMED)
def value_twice(shown: MdocPresentation) -> MdocPresentation:
    """RFC 8949 §5.6: an issuer signs an item that says false, then true."""

    def write_twice(encoded: Tree) -> None:
        item = encoded[NAME_SPACE][FAMILY_NAME]
        encoded[NAME_SPACE][FAMILY_NAME] = b"\xa5" + item[1:] + b"lelementValue" + cbor.encode("KLEIN")

    return shown.at(Stage.ENCODED, write_twice)


@defect("md-056", refused_as=ReasonCode.ELEMENT_REPEATED)
def element_with_two_values(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §8.3.2.1.2.2: one value an element, whatever the issuer signed."""
    return shown.at(
        Stage.ITEMS,
        lambda items: items[NAME_SPACE].append({**items[NAME_SPACE][0], "digestID": 50, "elementValue": "KLEIN"}),
    )


@defect("md-057", refused_as=ReasonCode.ELEMENT_REPEATED)
def item_twice(shown: MdocPresentation) -> MdocPresentation:
    """ISO/IEC 18013-5 §8.3.2.1.2.2: each item once."""
    return shown.at(Stage.SHOWN, lambda shown: shown[NAME_SPACE].append(shown[NAME_SPACE][0]))
