"""Defects of the answer as an answer: other claims, other values, other entries, other consent than was asked for."""

import hashlib
from dataclasses import replace

from specs.encoding import base64url
from specs.protocols.openid4vp.transaction_data import build_transaction_data, hash_transaction_data
from tests.defects import defect
from tests.verifier.sd_presentation import (
    AGE_OVER_18,
    FIRST_NATIONALITY,
    SdPresentation,
    bound_to,
    dcql,
    disclosure,
    twin,
)
from tests.verifier.world import VCT
from verifier import ReasonCode

PASS = "urn:stadt:leipzig-pass:1"
FAMILY_NAME = {"path": ["family_name"]}
CONSENT = build_transaction_data("urn:stadt:consent", credential_ids=["pid"], members={"fee": "12,00 EUR"})
SECOND_CONSENT = build_transaction_data("urn:stadt:consent", credential_ids=["pid"], members={"fee": "3,00 EUR"})


def value_asked(shown: SdPresentation) -> SdPresentation:
    """One of two names is asked for."""
    return shown.asking({"path": ["family_name"], "values": ["MÜLLER", "LINDENAU"]}, {"path": ["address", "locality"]})


def adult_asked(shown: SdPresentation) -> SdPresentation:
    """The holder is at least eighteen."""
    return replace(shown.asking({"path": ["age_equal_or_over", "18"], "values": [True]}), disclosures=(AGE_OVER_18,))


def with_age(shown: SdPresentation, value: object) -> SdPresentation:
    """The issuer wrote another value."""
    text = disclosure(["salt-of-18-------------", "18", value])
    return replace(
        shown.issuer_saying(age_equal_or_over={}).digesting(text, under=("age_equal_or_over",)), disclosures=(text,)
    )


def two_types(shown: SdPresentation) -> SdPresentation:
    """Two credentials of two types are asked for, and there are two."""
    query = {
        "credentials": [
            {"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [vct]}, "claims": [FAMILY_NAME]}
            for name, vct in (("pid", VCT), ("pass", PASS))
        ]
    }
    asked = replace(shown, query=dcql(query), vcts=(VCT, PASS))
    other = asked.issuer_saying(vct=PASS)
    return replace(asked, entries=lambda text: {"pid": [text], "pass": [other.text()]})


def one_of_two_sets(shown: SdPresentation) -> SdPresentation:
    """Both credentials, or one third credential."""
    query = {
        "credentials": [
            {"id": name, "format": "dc+sd-jwt", "meta": {"vct_values": [VCT]}, "claims": [FAMILY_NAME]}
            for name in ("pid", "second", "third")
        ],
        "credential_sets": [{"options": [["pid", "second"], ["third"]]}],
    }
    return replace(shown, query=dcql(query), entries=lambda text: {"pid": [text], "second": [text]})


def one_of_two_claim_sets(shown: SdPresentation) -> SdPresentation:
    """The name of the city, or its postal code with the country."""
    return shown.asking(
        {"id": "city", "path": ["address", "locality"]},
        {"id": "code", "path": ["address", "postal_code"]},
        {"id": "country", "path": ["address", "country"]},
        claim_sets=[["code", "country"], ["city"]],
    )


def nationality_asked(shown: SdPresentation) -> SdPresentation:
    """Each nationality is asked for, and one is shown."""
    return replace(
        shown.asking(FAMILY_NAME, {"path": ["nationalities", None]}),
        disclosures=(shown.disclosures[0], FIRST_NATIONALITY),
    )


def consenting(shown: SdPresentation) -> SdPresentation:
    """The holder agrees to a fee."""
    return bound_to(shown, CONSENT)


def consenting_twice(shown: SdPresentation) -> SdPresentation:
    """The holder agrees to two fees."""
    return bound_to(shown, CONSENT, SECOND_CONSENT)


@defect("sd-130", refused_as=ReasonCode.CLAIMS_MISSING)
def claim_not_disclosed(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §6.4.1, §8.6: all that was asked."""
    return replace(shown, disclosures=shown.disclosures[1:])


@defect("sd-131", refused_as=ReasonCode.CLAIM_VALUE_MISMATCH)
@twin(value_asked)
def value_not_asked(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §6.3, §6.4.1: one of the values."""
    return replace(shown.asking({"path": ["family_name"], "values": ["MÜLLER"]}))


@defect("sd-132", refused_as=ReasonCode.CLAIM_VALUE_MISMATCH)
@twin(adult_asked)
def value_of_another_type(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §6.3: type and value; "true" is a text."""
    return with_age(shown, "true")


@defect("sd-132b", refused_as=ReasonCode.CLAIM_VALUE_MISMATCH)
@twin(adult_asked)
def value_one_for_true(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §6.3: 1 equals true in Python, and nowhere else."""
    return with_age(shown, 1)


@defect("sd-133", refused_as=ReasonCode.CLAIM_VALUE_MISMATCH)
@twin(adult_asked)
def minor(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §6.3, §8.6: false where true was asked."""
    return with_age(shown, False)


@defect("sd-134", refused_as=ReasonCode.QUERY_ID_UNKNOWN)
def entry_not_asked(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §8.1: the ids of the question and no others."""
    return replace(shown, entries=lambda text: {"pid": [text], "more": [text]})


@defect("sd-135", refused_as=ReasonCode.TOO_MANY_PRESENTATIONS)
def two_presentations(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §6.1: one, unless multiple is set."""
    return replace(shown, entries=lambda text: {"pid": [text, text]})


@defect("sd-136", refused_as=ReasonCode.QUERY_NOT_SATISFIED)
def answer_empty(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §8.6: nothing answers nothing."""
    return replace(shown, entries=lambda _text: {})


@defect("sd-136b", refused_as=ReasonCode.VP_TOKEN_MALFORMED)
def entry_empty(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §8.1: a non-empty array."""
    return replace(shown, entries=lambda _text: {"pid": []})


@defect("sd-137", refused_as=ReasonCode.VP_TOKEN_MALFORMED)
def answer_text(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §8.1: an object."""
    return replace(shown, entries=lambda text: text)


@defect("sd-137b", refused_as=ReasonCode.VP_TOKEN_MALFORMED)
def entry_text(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §8.1: an array, even of one."""
    return replace(shown, entries=lambda text: {"pid": text})


@defect("sd-138", refused_as=ReasonCode.VP_TOKEN_MALFORMED)
def answer_array(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §8.1: an object."""
    return replace(shown, entries=lambda text: [text])


@defect("sd-138b", refused_as=ReasonCode.FORMAT_MISMATCH)
def presentation_object(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §B.3: an SD-JWT VC is presented in its compact form."""
    return replace(shown, entries=lambda text: {"pid": [{"payload": text}]})


@defect("sd-139", refused_as=ReasonCode.TYPE_MISMATCH)
@twin(two_types)
def answers_swapped(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §8.6: each answers its own query."""
    straight = shown.entries

    def swapped(text: str) -> object:
        entries = straight(text)
        assert isinstance(entries, dict)
        return {"pid": entries["pass"], "pass": entries["pid"]}

    return replace(shown, entries=swapped)


@defect("sd-140", refused_as=ReasonCode.QUERY_NOT_SATISFIED)
@twin(one_of_two_sets)
def no_set_complete(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §6.4.2: one option as a whole."""
    return replace(shown, entries=lambda text: {"pid": [text]})


@defect("sd-141", refused_as=ReasonCode.CLAIMS_MISSING)
@twin(one_of_two_claim_sets)
def no_claim_set_complete(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §6.4.1: one option as a whole; the country alone is half of one."""
    return replace(shown, disclosures=())


@defect("sd-142", refused_as=ReasonCode.CLAIMS_MISSING)
@twin(nationality_asked)
def elements_hidden(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §7.1: null selects elements, and a hidden one is none."""
    return replace(shown, disclosures=shown.disclosures[:1])


@defect("sd-143", refused_as=ReasonCode.CLAIMS_MISSING)
def claim_in_the_key_binding(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §8.6: what the holder says is not what the issuer says."""
    return replace(shown.holder_saying(family_name="LINDENAU"), disclosures=shown.disclosures[1:])


@defect("sd-144", refused_as=ReasonCode.TRANSACTION_DATA_MISMATCH)
@twin(consenting)
def hashes_missing(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §8.4, §B.3.3.1: without the hash nothing was agreed to."""
    return shown.holder_lacking("transaction_data_hashes")


@defect("sd-145", refused_as=ReasonCode.TRANSACTION_DATA_MISMATCH)
@twin(consenting)
def hash_over_the_content(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §B.3.3.1: over the text as sent."""
    over_json = hashlib.sha256(base64url.decode(CONSENT)).digest()
    return shown.holder_saying(transaction_data_hashes=[base64url.encode(over_json)])


@defect("sd-146", refused_as=ReasonCode.TRANSACTION_DATA_MISMATCH)
@twin(consenting)
def hashes_text(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §B.3.3.1: an array."""
    return shown.holder_saying(transaction_data_hashes=hash_transaction_data(CONSENT))


@defect("sd-147", refused_as=ReasonCode.TRANSACTION_DATA_MISMATCH)
@twin(consenting_twice)
def one_of_two_agreed(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §8.4: each entry."""
    return shown.holder_saying(transaction_data_hashes=[hash_transaction_data(CONSENT)])


@defect("sd-147b", refused_as=ReasonCode.TRANSACTION_DATA_MISMATCH)
@twin(consenting)
def hash_algorithm_not_offered(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §B.3.3.1: sha-256 where nothing else was offered."""
    claims = bound_to(shown, CONSENT, alg="sha-512").key_binding
    assert claims is not None
    return shown.holder(lambda _jwt: claims)


@defect("sd-148", refused_as=ReasonCode.TRANSACTION_DATA_MISMATCH)
@twin(consenting)
def hash_by_the_issuer(shown: SdPresentation) -> SdPresentation:
    """OpenID4VP §B.3.3.1: the holder agrees, not the issuer."""
    return shown.holder_lacking("transaction_data_hashes").issuer_saying(
        transaction_data_hashes=[hash_transaction_data(CONSENT)]
    )
