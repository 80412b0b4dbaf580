"""Each reason has a sentence for each reader in each language."""

import pytest

from specs.refusal import ReasonCode
from verifier.cli import ACCEPTED_SENTENCE
from verifier.texts import LANGUAGES, Audience, sentence


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("audience", list(Audience))
def test_each_reason_has_a_sentence(language: str, audience: Audience) -> None:
    for reason in ReasonCode:
        assert sentence(reason, language=language, audience=audience).endswith(".")


def test_an_accepted_answer_has_its_sentence_too() -> None:
    assert ACCEPTED_SENTENCE.keys() == set(LANGUAGES)


def test_an_unknown_language_is_an_error() -> None:
    with pytest.raises(KeyError):
        sentence(ReasonCode.NONCE_MISMATCH, language="fr")


def test_plain_german_is_short_and_names_no_rule() -> None:
    """Short sentences, one thought each, no word that only offices use."""
    for reason in ReasonCode:
        plain = sentence(reason, language="de-simple")
        assert all(len(part.split()) <= 16 for part in plain.split(". "))
        assert not any(word in plain for word in ("ungültig", "unzulässig", "Wallet", "übermittelt"))
        assert sentence(reason, language="de-simple", audience=Audience.CASEWORKER) == sentence(
            reason, language="de", audience=Audience.CASEWORKER
        )
