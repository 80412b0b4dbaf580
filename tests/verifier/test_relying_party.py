"""What a relying party is called under each prefix, and what it lacks if it can't be called so (OpenID4VP 1.0 §5.9)."""

from dataclasses import replace

import pytest

from specs.keys.signer import SigningIdentity, generate_signer
from tests.verifier.desk import access_identity
from tests.verifier.world import NOW
from verifier import ClientIdPrefix, RelyingParty

IDENTITY = access_identity(NOW)
BARE = SigningIdentity(generate_signer(), ())
ADDRESS = "https://city.example/response/1"


@pytest.mark.parametrize(
    ("party", "client_id"),
    [
        (RelyingParty(None, ClientIdPrefix.REDIRECT_URI), f"redirect_uri:{ADDRESS}"),
        (RelyingParty(None, ClientIdPrefix.PRE_REGISTERED, identifier="city"), "city"),
        (RelyingParty(BARE, ClientIdPrefix.VERIFIER_ATTESTATION, identifier="city"), "verifier_attestation:city"),
        (
            RelyingParty(BARE, ClientIdPrefix.DECENTRALIZED_IDENTIFIER, identifier="did:web:city.example"),
            "decentralized_identifier:did:web:city.example",
        ),
        (RelyingParty(IDENTITY, ClientIdPrefix.X509_SAN_DNS), "x509_san_dns:city.example"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_each_prefix_has_its_identifier(party: RelyingParty, client_id: str) -> None:
    assert party.client_id_for(ADDRESS).text == client_id


@pytest.mark.parametrize(
    ("party", "said"),
    [
        (RelyingParty(None), "access certificate is missing"),
        (RelyingParty(BARE), "access certificate is missing"),
        (RelyingParty(None, ClientIdPrefix.X509_SAN_DNS), "access certificate is missing"),
        (RelyingParty(IDENTITY, ClientIdPrefix.X509_SAN_DNS, identifier="other.example"), "not a DNS name"),
        (RelyingParty(None, ClientIdPrefix.REDIRECT_URI), "of its own"),
        (RelyingParty(BARE, ClientIdPrefix.VERIFIER_ATTESTATION), "identifier is missing"),
        (RelyingParty(BARE, ClientIdPrefix.OPENID_FEDERATION), "identifier is missing"),
        (RelyingParty(None, ClientIdPrefix.PRE_REGISTERED), "identifier is missing"),
        (RelyingParty(None, ClientIdPrefix.PRE_REGISTERED, identifier=""), "client_id"),
        (RelyingParty(None, ClientIdPrefix.PRE_REGISTERED, identifier="x509_hash:city"), "client_id"),
        (RelyingParty(None, ClientIdPrefix.PRE_REGISTERED, identifier=f"redirect_uri:{ADDRESS}"), "must not look like"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_without_what_a_prefix_needs_there_is_no_identifier(party: RelyingParty, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        _ = party.client_id


def test_nobody_signs_without_a_key() -> None:
    with pytest.raises(ValueError, match="no key to sign with"):
        RelyingParty(None, ClientIdPrefix.REDIRECT_URI).signing_identity()


@pytest.mark.parametrize(
    ("own", "preset", "sent"), [(None, True, 2), (None, False, 1), (True, False, 2), (False, True, 1)]
)
def test_what_the_relying_party_says_of_its_chain_goes_before_what_the_preset_says(
    own: bool | None, preset: bool, sent: int
) -> None:
    chain = (*IDENTITY.chain, b"intermediate")
    party = RelyingParty(replace(IDENTITY, chain=chain), send_chain=own)
    assert party.signing_identity(send_chain=preset).chain == chain[:sent]
    assert party.co_signer(send_chain=preset).identity.chain == chain[:sent]
