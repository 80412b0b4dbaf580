"""Profiles as data: the files say what was decided, and a mistake in one is named with its line."""

from importlib.resources import files

import pytest

from specs.profiles import (
    FULL_PROFILES,
    OVERLAYS,
    ClientAuthentication,
    CredentialEncryption,
    CredentialIdentifiers,
    Deferred,
    KeyAttestation,
    Profile,
    RefreshKey,
    Relaxation,
    RequestChain,
    ReturnedDetails,
    SenderConstraint,
    SignedMetadata,
    SpentIssuerState,
    StatusListKeys,
)
from specs.profiles.reading import ProfileError, parse_profile
from specs.protocols.openid4vp import ClientIdPrefix, ResponseMode
from specs.protocols.openid4vp.request import IA_MODES

TEXTS = {
    name: files("specs.profiles").joinpath(f"{name}.yaml").read_text("utf-8") for name in (*FULL_PROFILES, *OVERLAYS)
}
PROFILES: dict[str, Profile] = {name: parse_profile(text, parents=TEXTS) for name, text in TEXTS.items()}
PLAIN, HAIP, GERMAN, OIDF = (PROFILES[name] for name in ("plain-1.0", "haip-1.0", "de-2026-11", "oidf"))


def test_each_file_holds_the_profile_of_its_name() -> None:
    assert {name: profile.name for name, profile in PROFILES.items()} == {name: name for name in TEXTS}


def test_each_switch_of_the_files_names_its_clause() -> None:
    for name in FULL_PROFILES:
        for number, line in enumerate(TEXTS[name].splitlines(), start=1):
            if line and not line.startswith((" ", "#", "name", "presentations")):
                assert "#" in line, f"{name} line {number}"


def test_clients_authenticate_as_the_profile_says() -> None:
    none, private_key_jwt, attestation = ClientAuthentication
    assert PLAIN.client_authentication.methods == {none, private_key_jwt, attestation}
    assert HAIP.client_authentication.methods == {attestation}
    assert GERMAN.client_authentication.methods == {attestation}
    assert GERMAN.client_authentication.by_setting == {none}
    assert OIDF.client_authentication.methods == {attestation, private_key_jwt}
    assert not HAIP.client_authentication.by_setting | OIDF.client_authentication.by_setting


def test_links_to_offers_begin_as_the_profile_says() -> None:
    assert PLAIN.offer_schemes == ("openid-credential-offer",)
    for profile in (HAIP, GERMAN, OIDF):
        assert profile.offer_schemes == ("openid-credential-offer", "haip-vci")


def test_bound_token_as_bearer_is_tolerated_in_one_profile_and_at_one_place() -> None:
    assert [p.access_tokens.bearer_at_notification for p in (PLAIN, HAIP, GERMAN, OIDF)] == [False, False, True, False]


def test_credentials_may_travel_encrypted_in_each_profile() -> None:
    assert {profile.credential_encryption for profile in PROFILES.values()} == {CredentialEncryption.OPTIONAL}


def test_tokens_are_bound_and_renewed_as_the_profile_says() -> None:
    assert PLAIN.access_tokens.sender_constraint is SenderConstraint.DPOP_IF_OFFERED
    assert PLAIN.access_tokens.bearer_lifetime == 300
    for profile in (HAIP, GERMAN, OIDF):
        assert profile.access_tokens.sender_constraint is SenderConstraint.DPOP
        assert profile.access_tokens.bearer_lifetime is None
        assert not profile.refresh_tokens.rotation
        assert profile.refresh_tokens.warn_beyond == 365 * 86400
    assert [p.access_tokens.bearer_at_notification for p in (HAIP, GERMAN, OIDF)] == [False, True, False]
    assert (PLAIN.refresh_tokens.rotation, PLAIN.refresh_tokens.grace) == (True, 60)
    assert {(p.proof_age.back, p.proof_age.ahead) for p in PROFILES.values()} == {(300, 60)}


def test_credentials_are_issued_as_the_profile_says() -> None:
    assert GERMAN.credential_identifiers is CredentialIdentifiers.EITHER
    assert {p.credential_identifiers for p in (PLAIN, HAIP, OIDF)} == {CredentialIdentifiers.AS_RETURNED}
    assert (GERMAN.key_attestation.rule, GERMAN.key_attestation.types) == (
        KeyAttestation.LISTED_TYPES,
        frozenset({"pid_mock"}),
    )
    assert OIDF.key_attestation == HAIP.key_attestation
    assert PLAIN.key_attestation.rule is HAIP.key_attestation.rule is KeyAttestation.PER_TYPE
    assert [p.signed_issuer_metadata for p in (PLAIN, HAIP, GERMAN, OIDF)] == [
        SignedMetadata.OPTIONAL,
        SignedMetadata.OPTIONAL,
        SignedMetadata.REQUIRED,
        SignedMetadata.ON_REQUEST,
    ]
    assert GERMAN.metadata_extras == {"credential_reuse_policy", "issuer_info"}
    assert not PLAIN.metadata_extras | HAIP.metadata_extras | OIDF.metadata_extras
    assert (GERMAN.copies.of("leipzig_pass"), GERMAN.copies.of("pid_mock")) == (1, 10)
    assert HAIP.copies.of("leipzig_pass") is None
    assert (OIDF.copies.of("pid_mock"), OIDF.copies.per_person_caps) == (20, False)
    assert {p.copies.most for p in PROFILES.values()} == {20}
    assert [p.deferred for p in (PLAIN, HAIP, GERMAN, OIDF)] == [
        Deferred.ALLOWED,
        Deferred.ALLOWED,
        Deferred.NONE,
        Deferred.FIRST_POLL,
    ]
    assert {p.name for p in PROFILES.values() if p.returned_details is ReturnedDetails.FOR_OFFERS} == {"oidf"}
    assert {p.name for p in PROFILES.values() if p.refresh_tokens.dpop_key is not RefreshKey.EVERYBODYS} == {"oidf"}
    assert {p.name for p in PROFILES.values() if p.status_list_keys is StatusListKeys.X5C_AND_JWK} == {"oidf"}
    assert {p.name for p in PROFILES.values() if p.spent_issuer_state is SpentIssuerState.IGNORED} == {"oidf"}


def test_questions_are_asked_as_the_profile_says() -> None:
    signed = frozenset(ClientIdPrefix) - {ClientIdPrefix.REDIRECT_URI}
    asked = frozenset(ResponseMode) - IA_MODES  # those are an authorization server's, and no procedure's
    assert PLAIN.presentations.response_modes == OIDF.presentations.response_modes == asked
    assert PLAIN.presentations.signed_prefixes == OIDF.presentations.signed_prefixes == signed
    for profile in (HAIP, GERMAN):
        assert profile.presentations.response_modes == {ResponseMode.DIRECT_POST_JWT, ResponseMode.DC_API_JWT}
        assert profile.presentations.signed_prefixes == {ClientIdPrefix.X509_HASH}
        assert profile.presentations.encryption_encs == ("A128GCM", "A256GCM")
    assert (GERMAN.presentations.verifier_info, GERMAN.presentations.vct_exact) == (True, True)
    assert (HAIP.presentations.verifier_info, HAIP.presentations.vct_exact) == (False, False)
    assert GERMAN.presentations.request_chain is RequestChain.ACCESS_CERTIFICATE
    assert GERMAN.presentations.request_chain_by_setting
    assert OIDF.presentations.chosen_per_transaction
    assert PLAIN.relaxations == frozenset(Relaxation)
    assert not HAIP.relaxations | GERMAN.relaxations | OIDF.relaxations


VALID = TEXTS["plain-1.0"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: plain-1.0", "nom: plain-1.0", "missing"),
        ("deferred: allowed", "deferred: allowed\nfuture: 1", "future: not a member"),
        ("  back: 300", "  back: 300\n  sideways: 1", "sideways: not a member"),
        ("deferred: allowed", "deferred: perhaps", "perhaps: none of"),
        ("deferred: allowed", "deferred: true", "not a text"),
        ("deferred: allowed", "deferred: allowed\ndeferred: none", "deferred: twice"),
        ("  back: 300", "  back: -300", "whole number"),
        ("  back: 300", "  back: 0x12c", "whole number"),
        ("  back: 300", '  back: "300"', "whole number"),
        ("  back: 300", "", "back: missing"),
        ("  rotation: true", "  rotation: yes", "true or false"),
        ("  rotation: true", "  rotation: 1", "true or false"),
        ("metadata_extras: []", "metadata_extras: [logo]", "does not belong"),
        ("metadata_extras: []", "metadata_extras: {}", "not a list"),
        ("encryption_encs: [A128GCM, A256GCM]", "encryption_encs: [A128CBC-HS256]", "does not belong"),
        ("encryption_encs: [A128GCM, A256GCM]", "encryption_encs: [A128GCM, A128GCM]", "does not belong"),
        ("by_type: {}", "by_type: { pid_mock: ten }", "whole number"),
        ("proof_age:", "proof_age: 7 #", "not"),
        ("deferred: allowed", "deferred: [allowed", "not YAML"),
        ("name: plain-1.0", "name: plain-1.0\nextends: nobody", "no profile nobody"),
    ],
)
def test_a_profile_with_one_mistake_is_refused(old: str, new: str, message: str) -> None:
    assert parse_profile(VALID) == PLAIN
    assert old in VALID
    with pytest.raises(ProfileError, match=message):
        parse_profile(VALID.replace(old, new, 1), parents=TEXTS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("spent_issuer_state: refused", "spent_issuer_state: ignored", "spent_issuer_state: only an overlay"),
        ("returned_details: as_asked", "returned_details: for_offers", "returned_details: only an overlay"),
        ("dpop_key: everybodys", "dpop_key: unproven_clients", r"refresh_tokens\.dpop_key: only an overlay"),
        ("status_list_keys: x5c", "status_list_keys: x5c_and_jwk", "status_list_keys: only an overlay"),
    ],
)
@pytest.mark.parametrize("name", FULL_PROFILES)
def test_what_is_there_for_a_test_suite_is_in_no_profile_of_a_city(name: str, old: str, new: str, message: str) -> None:
    text = TEXTS[name]
    assert old in text
    with pytest.raises(ProfileError, match=message):
        parse_profile(text.replace(old, new, 1), parents=TEXTS)


def test_a_mistake_is_named_with_its_line() -> None:
    with pytest.raises(ProfileError) as caught:
        parse_profile("# first\nname: x\nextends: haip-1.0\nproof_age:\n  back: soon\n", parents=TEXTS)
    assert caught.value.line == 5


def test_an_overlay_changes_only_what_it_says() -> None:
    changed = parse_profile("name: mine\nextends: haip-1.0\nproof_age:\n  back: 120\n", parents=TEXTS)
    assert (changed.proof_age.back, changed.proof_age.ahead) == (120, 60)
    assert changed.presentations == HAIP.presentations
    with pytest.raises(ProfileError, match="overlay lies on a full profile"):
        parse_profile("name: mine\nextends: oidf\n", parents=TEXTS)


@pytest.mark.parametrize("text", ["", "[]", "x", "a: &a [*a]", "name: !!python/object:os.system x", "\x00"])
def test_what_is_no_profile_is_refused(text: str) -> None:
    with pytest.raises(ProfileError):
        parse_profile(text)
