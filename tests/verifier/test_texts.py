"""Each reason has a sentence for each reader in each language."""

import pytest

from specs.refusal import ReasonCode
from verifier.texts import LANGUAGES, Audience, sentence


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("audience", list(Audience))
def test_each_reason_has_a_sentence(language: str, audience: Audience) -> None:
    for reason in ReasonCode:
        assert sentence(reason, language=language, audience=audience).endswith(".")


def test_an_unknown_language_is_an_error() -> None:
    with pytest.raises(KeyError):
        sentence(ReasonCode.NONCE_MISMATCH, language="fr")
