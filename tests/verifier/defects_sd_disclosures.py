"""Defects of disclosures and digests: what the holder sends beside the issuer's word, and what the issuer hid."""

from dataclasses import replace

from specs.encoding import base64url
from tests.defects import defect
from tests.verifier.sd_presentation import FIRST_NATIONALITY, SdPresentation, digest, disclosure, twin
from verifier import ReasonCode

SALT = "salt-of-something------"


@defect("sd-002", refused_as=ReasonCode.LIMIT_EXCEEDED)
def many_unreferenced(shown: SdPresentation) -> SdPresentation:
    """Limits: thirty thousand disclosures that nothing points to."""
    return shown.showing(*(disclosure([f"salt-{number}", "name", number]) for number in range(30_000)))


@defect("sd-002b", refused_as=ReasonCode.LIMIT_EXCEEDED)
def many_unreferenced_in_few_bytes(shown: SdPresentation) -> SdPresentation:
    """Limits: thirty thousand one-character disclosures fit into the bytes allowed."""
    return shown.showing(*["W"] * 30_000)


@defect("sd-003", refused_as=ReasonCode.LIMIT_EXCEEDED)
def many_nested(shown: SdPresentation) -> SdPresentation:
    """Limits: three thousand disclosures, each inside the next."""
    return nested(shown, 3000)


@defect("sd-003b", refused_as=ReasonCode.LIMIT_EXCEEDED)
def nested_within_the_number_of_disclosures(shown: SdPresentation) -> SdPresentation:
    """Limits: as many disclosures as may be, each inside the next."""
    return nested(shown, 490)


@defect("sd-034", refused_as=ReasonCode.HASH_ALGORITHM_NOT_ALLOWED)
def truncated_hash(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §9.4: a hash of 32 bits is in the registry, and no protection."""
    return shown.issuer_saying(_sd_alg="sha-256-32")


@defect("sd-035", refused_as=ReasonCode.HASH_ALGORITHM_NOT_ALLOWED)
def hash_in_another_case(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.1.1: case counts."""
    return shown.issuer_saying(_sd_alg="SHA-256")


@defect("sd-036", refused_as=ReasonCode.HASH_ALGORITHM_NOT_ALLOWED)
def hash_number(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.1.1: a name is a text."""
    return shown.issuer_saying(_sd_alg=256)


@defect("sd-037", refused_as=ReasonCode.CLAIM_NAME_FORBIDDEN)
def hash_inside_a_disclosure(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.1.1: _sd_alg stands at the top and nowhere else."""
    return shown.hiding([SALT, "more", {"_sd_alg": "sha-512"}])


@defect("sd-037b", refused_as=ReasonCode.CLAIM_NAME_FORBIDDEN)
def hash_as_a_disclosure(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.1.1: the holder does not choose the hash."""
    return shown.hiding([SALT, "_sd_alg", "sha-256"])


@defect("sd-038", refused_as=ReasonCode.DISCLOSURE_UNREFERENCED)
def value_changed(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §9.2: a name that the issuer never wrote."""
    changed = disclosure(["salt-of-family-name----", "family_name", "REUDNITZ"])
    return replace(shown, disclosures=(changed, *shown.disclosures[1:]))


@defect("sd-038b", refused_as=ReasonCode.DISCLOSURE_UNREFERENCED)
def written_in_another_way(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.2.3: the digest is over the text as sent; the same content with a space is another text."""
    changed = base64url.encode(b'["salt-of-family-name----", "family_name","LINDENAU"]')
    return replace(shown, disclosures=(changed, *shown.disclosures[1:]))


@defect("sd-039", refused_as=ReasonCode.DISCLOSURE_UNREFERENCED)
def of_another_credential(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 5: each disclosure belongs to this credential."""
    return shown.showing(disclosure([SALT, "given_name", "SOMEBODY ELSE"]))


@defect("sd-040", refused_as=ReasonCode.DISCLOSURE_UNREFERENCED)
def sent_twice(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4: no disclosure is sent more than once."""
    return shown.showing(shown.disclosures[0])


@defect("sd-041", refused_as=ReasonCode.SD_JWT_MALFORMED)
def empty_part(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4: a disclosure has at least one character."""
    return shown.showing("")


@defect("sd-042", refused_as=ReasonCode.CLAIM_NAME_FORBIDDEN)
def named_sd(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 3.c.ii.2: digests come from the issuer, not through a disclosure."""
    return shown.hiding([SALT, "_sd", [digest("more")]], under=("age_equal_or_over",))


@defect("sd-042b", refused_as=ReasonCode.CLAIM_NAME_FORBIDDEN)
def named_dots(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 3.c.ii.2: nor does the mark of a hidden element."""
    return shown.hiding([SALT, "...", digest("more")])


@defect("sd-043", refused_as=ReasonCode.CLAIM_COLLISION)
def named_as_a_permanent_claim(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 3.c.ii.3: what stands is not overwritten."""
    return shown.hiding([SALT, "vct", "urn:example:other"])


@defect("sd-044", refused_as=ReasonCode.CLAIM_COLLISION)
def same_name_twice(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 3.c.ii.3: one name, one value."""
    return shown.hiding([SALT, "family_name", "REUDNITZ"])


@defect("sd-045", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def element_as_a_member(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 3.c.ii.1: a member has a name."""
    return shown.hiding([SALT, "value"])


@defect("sd-045b", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def member_as_an_element(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 3.c.iii: an element has none."""
    text = disclosure([SALT, "name", "DE"])
    return shown.issuer_saying(nationalities=[{"...": digest(text)}]).showing(text)


@defect("sd-046", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def four_elements(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 3.c.ii.1: salt, name, value."""
    return shown.hiding([SALT, "name", "value", "more"])


@defect("sd-046b", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def no_array(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.2.1: a disclosure is an array."""
    return shown.hiding_texts(base64url.encode(b'{"0":"salt","1":"name","2":"value"}'))


@defect("sd-047", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def salt_number(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.2.1: a salt is a text."""
    return shown.hiding([12345678901234567, "name", "value"])


@defect("sd-048", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def name_number(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.2.1: a claim name is a text."""
    return shown.hiding([SALT, 7, "value"])


@defect("sd-048b", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def name_array(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.2.1: a claim name is a text, and an array can't even be looked up."""
    return shown.hiding([SALT, ["name"], "value"])


@defect("sd-049", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def invalid_utf8(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.2.1: UTF-8."""
    return shown.hiding_texts(base64url.encode(b'["salt","name","\xff\xfe"]'))


@defect("sd-049b", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def lone_surrogate(shown: SdPresentation) -> SdPresentation:
    """RFC 8259 §8.2: half a character has no meaning, and breaks who writes it on."""
    return shown.hiding_texts(base64url.encode(b'["salt","name","\\ud800"]'))


@defect("sd-050", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def members_repeated_in_a_value(shown: SdPresentation) -> SdPresentation:
    """RFC 8259 §4: names are unique; ours: no last one wins."""
    return shown.hiding_texts(base64url.encode(b'["salt","more",{"a":1,"a":2}]'))


@defect("sd-051", refused_as=ReasonCode.DISCLOSURE_MALFORMED)
def padded(shown: SdPresentation) -> SdPresentation:
    """RFC 7515 §2: base64url has no padding; ours: even where the digest is over it."""
    return shown.hiding_texts(base64url.encode(b'["salt","name",12]') + "==")


@defect("sd-052", refused_as=ReasonCode.CLAIM_NAME_FORBIDDEN)
def placeholder_with_more(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.2.4.2: a placeholder has one member."""
    return shown.issuer_saying(nationalities=[{"...": digest(FIRST_NATIONALITY), "country": "DE"}])


@defect("sd-053", refused_as=ReasonCode.CLAIM_NAME_FORBIDDEN)
def placeholder_outside_an_array(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.1: three dots are reserved."""
    return shown.issuer_saying(nationalities={"...": digest(FIRST_NATIONALITY)})


@defect("sd-054", refused_as=ReasonCode.SD_JWT_MALFORMED)
def digests_not_in_an_array(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.2.4.1: _sd is an array."""
    return shown.issuer_saying(more={"_sd": digest("more")})


@defect("sd-054b", refused_as=ReasonCode.SD_JWT_MALFORMED)
def digest_not_text(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.2.4.1: _sd is an array of texts."""
    return shown.issuer_saying(more={"_sd": [["nested"]]})


@defect("sd-054c", refused_as=ReasonCode.SD_JWT_MALFORMED)
def placeholder_not_text(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4.2.4.2: a placeholder holds a digest."""
    return shown.issuer_saying(nationalities=[{"...": {"more": 1}}])


@defect("sd-055", refused_as=ReasonCode.DIGEST_REPEATED)
def digest_twice_in_one_array(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 4: no digest stands twice."""
    return shown.digesting(shown.disclosures[0])


@defect("sd-056", refused_as=ReasonCode.DIGEST_REPEATED)
def decoy_at_two_places(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 4: not even where it stands for nothing."""
    return shown.digesting("decoy").digesting("decoy", under=("address",))


@defect("sd-057", refused_as=ReasonCode.DIGEST_REPEATED)
def digest_repeated_in_a_disclosure(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §7.1 4: not in what a disclosure brings either."""
    return shown.hiding([SALT, "more", {"_sd": [digest(shown.disclosures[0])]}])


def needing_no_proof(shown: SdPresentation) -> SdPresentation:
    """The question asks for no proof of possession, and there is none."""
    return shown.asking(
        {"path": ["family_name"]}, {"path": ["address", "locality"]}, require_cryptographic_holder_binding=False
    ).unbound()


@defect("sd-058", refused_as=ReasonCode.SD_JWT_MALFORMED)
@twin(needing_no_proof)
def final_tilde_missing(shown: SdPresentation) -> SdPresentation:
    """RFC 9901 §4: without a key binding it ends with a tilde."""
    return replace(shown, edit=lambda text: text.removesuffix("~"))


def nested(shown: SdPresentation, count: int) -> SdPresentation:
    """A claim inside a claim inside a claim, each in a disclosure of its own."""
    value: object = "core"
    texts: list[str] = []
    for number in range(count):
        texts.append(disclosure([f"s{number}", "in", value]))
        value = {"_sd": [digest(texts[-1])]}
    return shown.digesting(texts[-1]).showing(*texts)
