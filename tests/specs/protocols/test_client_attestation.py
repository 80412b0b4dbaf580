"""Client attestations.

Who is let in, and each defect that keeps a client out (attestation-based client auth, HAIP §4.4.1).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from specs.encoding import strict_json
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import key_thumbprint
from specs.keys.signer import generate_signer
from specs.protocols.client_attestation import (
    AttestedClient,
    build_challenge_answer,
    build_client_attestation,
    build_client_attestation_pop,
    parse_challenge_answer,
    verify_client_attestation,
)
from specs.protocols.oauth import InvalidAnswer, OAuthError
from tests.defects import Defect, defect, defects
from tests.specs.protocols.tokens import NOW, Token, jwk, taken_apart, wallet_provider

AS = "https://issuer.example/t/leipzig"
CLIENT = "https://wallet.example"
PROVIDER = wallet_provider("Wallet provider")
STRANGER = wallet_provider("Stranger")
INSTANCE = generate_signer()
THIEF = generate_signer()


@dataclass(frozen=True)
class Shown:
    """The two headers of a request and its client_id."""

    attestations: tuple[Token, ...]
    pops: tuple[Token, ...]
    client_id: str | None = CLIENT
    challenge_required: bool = False

    @property
    def attestation(self) -> Token:
        return self.attestations[0]

    @property
    def pop(self) -> Token:
        return self.pops[0]

    def with_attestation(self, token: Token) -> "Shown":
        return replace(self, attestations=(token,))

    def with_pop(self, token: Token) -> "Shown":
        return replace(self, pops=(token,))


def valid_request() -> Shown:
    attestation = Token(
        {"alg": "ES256", "typ": "oauth-client-attestation+jwt", "x5c": PROVIDER.x5c()},
        {
            "iss": "https://provider.example",
            "sub": CLIENT,
            "iat": NOW - 3600,
            "exp": NOW + 3600,
            "cnf": {"jwk": jwk(INSTANCE)},
        },
        PROVIDER.identity.signer,
    )
    pop = Token(
        {"alg": "ES256", "typ": "oauth-client-attestation-pop+jwt"},
        {"iss": CLIENT, "aud": AS, "jti": "9c1u", "iat": NOW},
        INSTANCE,
    )
    return Shown((attestation,), (pop,))


def authenticate(
    shown: Shown,
    *,
    now: int = NOW,
    check_challenge: Callable[[str], bool] | None = "live".__eq__,
    max_attestation_age: int | None = None,
) -> AttestedClient:
    return verify_client_attestation(
        [token.text() for token in shown.attestations],
        [token.text() for token in shown.pops],
        anchors=PROVIDER.anchors,
        expected_audience=AS,
        now=now,
        expected_client_id=shown.client_id,
        check_challenge=check_challenge,
        challenge_required=shown.challenge_required,
        max_attestation_age=max_attestation_age,
    )


@defect("att-001", refused_as="invalid_client")
def no_attestation(shown: Shown) -> Shown:
    """draft-07 §9(1): the header is there."""
    return replace(shown, attestations=())


@defect("att-001b", refused_as="invalid_client")
def no_pop(shown: Shown) -> Shown:
    """draft-07 §9(1): both headers are there."""
    return replace(shown, pops=())


@defect("att-002", refused_as="invalid_client")
def two_attestations(shown: Shown) -> Shown:
    """draft-07 §9(1): one header of each."""
    return replace(shown, attestations=shown.attestations * 2)


@defect("att-003", refused_as="invalid_client")
def two_pops(shown: Shown) -> Shown:
    """draft-07 §9(1): one header of each."""
    return replace(shown, pops=shown.pops * 2)


@defect("att-004", refused_as="invalid_client_attestation")
def untrusted_provider(shown: Shown) -> Shown:
    """draft-07 §9(5): the attester is one we trust."""
    token = shown.attestation.with_header(x5c=STRANGER.x5c())
    return shown.with_attestation(token.signed_by(STRANGER.identity.signer))


@defect("att-004b", refused_as="invalid_client_attestation")
def signed_by_a_stranger(shown: Shown) -> Shown:
    """draft-07 §9(5): the attester's key made the signature."""
    return shown.with_attestation(shown.attestation.signed_by(STRANGER.identity.signer))


@defect("att-005", refused_as="invalid_client_attestation")
def no_x5c(shown: Shown) -> Shown:
    """HAIP §4.4.1: x5c is there."""
    return shown.with_attestation(shown.attestation.without_header("x5c"))


@defect("att-006", refused_as="invalid_client_attestation")
def attestation_typ(shown: Shown) -> Shown:
    """draft-07 §5.1: typ is oauth-client-attestation+jwt."""
    return shown.with_attestation(shown.attestation.with_header(typ="JWT"))


@defect("att-007", refused_as="use_fresh_attestation")
def attestation_expired(shown: Shown) -> Shown:
    """draft-07 §5.1, §6.2: exp has not passed."""
    return shown.with_attestation(shown.attestation.with_claims(exp=NOW - 600))


@defect("att-007b", refused_as="invalid_client_attestation")
def attestation_without_end(shown: Shown) -> Shown:
    """draft-07 §5.1: exp is there."""
    return shown.with_attestation(shown.attestation.without_claim("exp"))


@defect("att-008", refused_as="invalid_client_attestation")
def no_sub(shown: Shown) -> Shown:
    """draft-07 §5.1: sub is there."""
    return replace(shown.with_attestation(shown.attestation.without_claim("sub")), client_id=None)


@defect("att-009", refused_as="invalid_client")
def other_client(shown: Shown) -> Shown:
    """draft-07 §9(13): client_id is the attested one."""
    return replace(shown, client_id="https://other.example")


@defect("att-009b", refused_as="invalid_client_attestation")
def pop_of_another_client(shown: Shown) -> Shown:
    """draft-07 §5.2: iss of the proof, where present, is the attested client."""
    return shown.with_pop(shown.pop.with_claims(iss="https://other.example"))


@defect("att-010", refused_as="invalid_client_attestation")
def no_cnf(shown: Shown) -> Shown:
    """draft-07 §5.1: cnf is there."""
    return shown.with_attestation(shown.attestation.without_claim("cnf"))


@defect("att-010b", refused_as="invalid_client_attestation")
def private_cnf(shown: Shown) -> Shown:
    """draft-07 §9(6): the key in cnf is a public one."""
    return shown.with_attestation(shown.attestation.with_claims(cnf={"jwk": jwk(INSTANCE) | {"d": "AQ"}}))


@defect("att-011", refused_as="invalid_client_attestation")
def pop_by_another(shown: Shown) -> Shown:
    """draft-07 §9(7): the attested key signs the proof."""
    return shown.with_pop(shown.pop.signed_by(THIEF))


@defect("att-012", refused_as="invalid_client_attestation")
def pop_flipped(shown: Shown) -> Shown:
    """draft-07 §9(7): the signature of the proof holds."""
    return shown.with_pop(shown.pop.with_flipped_bit())


@defect("att-013", refused_as="invalid_client_attestation")
def pop_for_another_server(shown: Shown) -> Shown:
    """draft-07 §9(10): aud is this server."""
    return shown.with_pop(shown.pop.with_claims(aud="https://other.example"))


@defect("att-014", refused_as="invalid_client_attestation")
def pop_for_two_servers(shown: Shown) -> Shown:
    """FAPI 2.0 §5.3.2.1(8): the issuer identifier alone counts, as a text."""
    return shown.with_pop(shown.pop.with_claims(aud=[AS, "https://other.example"]))


@defect("att-015", refused_as="invalid_client_attestation")
def pop_typ(shown: Shown) -> Shown:
    """draft-07 §5.2: typ is oauth-client-attestation-pop+jwt."""
    return shown.with_pop(shown.pop.with_header(typ="JWT"))


@defect("att-016", refused_as="invalid_client_attestation")
def pop_without_jti(shown: Shown) -> Shown:
    """draft-07 §5.2: jti is there."""
    return shown.with_pop(shown.pop.without_claim("jti"))


@defect("att-017", refused_as="invalid_client_attestation")
def pop_long_ago(shown: Shown) -> Shown:
    """draft-07 §9(9): iat lies within the window."""
    return shown.with_pop(shown.pop.with_claims(iat=NOW - 3600))


@defect("att-018", refused_as="invalid_client_attestation")
def pop_ahead(shown: Shown) -> Shown:
    """draft-07 §9(9): iat lies within the window."""
    return shown.with_pop(shown.pop.with_claims(iat=NOW + 3600))


@defect("att-019", refused_as="use_attestation_challenge")
def challenge_missing(shown: Shown) -> Shown:
    """draft-07 §6.2, §9(8): a challenge that was given comes back."""
    return replace(shown, challenge_required=True)


@defect("att-019b", refused_as="use_attestation_challenge")
def challenge_stale(shown: Shown) -> Shown:
    """draft-07 §6.2, §9(8): the challenge is a live one of this server."""
    return shown.with_pop(shown.pop.with_claims(challenge="stale"))


@defect("att-020", refused_as="invalid_client_attestation")
def pop_under_mac(shown: Shown) -> Shown:
    """draft-07 §9(4): asymmetric algorithms only."""
    return shown.with_pop(shown.pop.under_mac(strict_json.dumps(jwk(INSTANCE))))


@defect("att-021", refused_as="invalid_client_attestation")
def roles_swapped(shown: Shown) -> Shown:
    """draft-07 §9(2): each JWT is what its header says."""
    return replace(shown, attestations=shown.pops, pops=shown.attestations)


@pytest.mark.parametrize("case", [case for case in defects("att") if case.apply.__module__ == __name__], ids=str)
def test_client_with_one_defect_is_kept_out(case: Defect[Shown]) -> None:
    valid = valid_request()

    assert authenticate(valid).client_id == CLIENT
    with pytest.raises(OAuthError) as refused:
        authenticate(case.apply(valid))

    assert refused.value.error == case.refused_as
    assert refused.value.status == (401 if case.refused_as == "invalid_client" else 400)


@pytest.mark.parametrize("claims", [{"iat": NOW + 61}, {"nbf": NOW + 61}, {"exp": True}, {"cnf": []}])
def test_attestation_of_the_future_or_of_another_form_is_refused(claims: JsonObject) -> None:
    valid = valid_request()

    with pytest.raises(OAuthError, match="invalid_client_attestation"):
        authenticate(valid.with_attestation(valid.attestation.with_claims(**claims)))


@pytest.mark.parametrize("claims", [{"exp": NOW - 61}, {"nbf": NOW + 61}, {"exp": "soon"}])
def test_dates_of_a_proof_are_its_own_and_call_for_no_fresh_attestation(claims: JsonObject) -> None:
    valid = valid_request()

    with pytest.raises(OAuthError, match="invalid_client_attestation"):
        authenticate(valid.with_pop(valid.pop.with_claims(**claims)))


def test_headers_above_their_limits_are_refused() -> None:
    valid = valid_request()

    def of_length(attestation: int, pop: int) -> Shown:
        return replace(
            valid, attestations=(valid.attestation.of_length(attestation),), pops=(valid.pop.of_length(pop),)
        )

    assert authenticate(of_length(128 * 1024, 16 * 1024)).client_id == CLIENT
    for large in (of_length(128 * 1024 + 1, 1024), of_length(2048, 16 * 1024 + 1)):
        with pytest.raises(OAuthError, match="limit_exceeded"):
            authenticate(large)


def test_wallet_and_server_understand_each_other() -> None:
    attestation = build_client_attestation(
        attester=PROVIDER.identity,
        client_id=CLIENT,
        instance_key=INSTANCE.public_key,
        now=NOW,
        lifetime=3600,
        attester_name="https://provider.example",
        wallet_name="Wallet",
        wallet_link="https://wallet.example/about",
        status={"status_list": {"idx": 1, "uri": "https://provider.example/s"}},
    )
    pop = build_client_attestation_pop(signer=INSTANCE, client_id=CLIENT, audience=AS, now=NOW, challenge="live")

    client = verify_client_attestation(
        [attestation],
        [pop],
        anchors=PROVIDER.anchors,
        expected_audience=AS,
        now=NOW,
        check_challenge=lambda challenge: challenge == "live",
        challenge_required=True,
        max_attestation_age=60,
    )

    assert (client.client_id, client.wallet_name, client.challenge) == (CLIENT, "Wallet", "live")
    assert client.instance_thumbprint == key_thumbprint(INSTANCE.public_key)
    assert client.attester_name == "https://provider.example"
    assert client.wallet_link == "https://wallet.example/about"
    assert client.status == {"status_list": {"idx": 1, "uri": "https://provider.example/s"}}
    assert client.remember_until > NOW


def test_what_a_provider_and_a_wallet_need_not_say_is_not_written() -> None:
    attestation = build_client_attestation(
        attester=PROVIDER.identity, client_id=CLIENT, instance_key=INSTANCE.public_key, now=NOW, lifetime=3600
    )
    pop = build_client_attestation_pop(signer=INSTANCE, client_id=CLIENT, audience=AS, now=NOW)

    assert taken_apart(attestation)[1].keys() == {"sub", "iat", "exp", "cnf"}
    assert taken_apart(pop)[1].keys() == {"iss", "aud", "jti", "iat"}
    client = verify_client_attestation([attestation], [pop], anchors=PROVIDER.anchors, expected_audience=AS, now=NOW)
    assert (client.attester_name, client.wallet_name, client.wallet_link, client.status) == (None, None, None, None)


def test_wallet_chooses_its_jti_or_gets_a_new_one_each_time() -> None:
    def jti(chosen: str | None) -> object:
        pop = build_client_attestation_pop(signer=INSTANCE, client_id=CLIENT, audience=AS, now=NOW, jti=chosen)
        return taken_apart(pop)[1]["jti"]

    assert jti("chosen") == "chosen"
    assert jti(None) != jti(None)


def test_names_of_a_wallet_that_are_no_texts_are_left_out() -> None:
    valid = valid_request()

    client = authenticate(valid.with_attestation(valid.attestation.with_claims(wallet_name=1, wallet_link=["a"])))

    assert (client.wallet_name, client.wallet_link) == (None, None)


def test_names_of_later_drafts_and_extra_claims_are_accepted() -> None:
    valid = valid_request()
    attestation = valid.attestation.without_claim("iss").without_claim("iat").with_claims(extra=[1], nbf=NOW - 5)
    pop = valid.pop.without_claim("iss").with_claims(nbf=NOW, exp=NOW + 60, extra=None)

    client = authenticate(replace(valid, attestations=(attestation,), pops=(pop,), client_id=None))

    assert client.client_id == CLIENT


def test_live_challenge_decides_freshness_in_place_of_the_wallets_clock() -> None:
    valid = valid_request()

    assert authenticate(valid.with_pop(valid.pop.with_claims(challenge="live", iat=NOW - 7200))).challenge == "live"


def test_server_that_gives_no_challenges_takes_no_notice_of_one() -> None:
    valid = valid_request()
    with_challenge = valid.with_pop(valid.pop.with_claims(challenge="of another server"))

    assert authenticate(with_challenge, check_challenge=None).client_id == CLIENT
    with pytest.raises(OAuthError, match="key_binding_expired"):
        authenticate(with_challenge, now=NOW + 301, check_challenge=None)


def test_missing_challenge_is_no_live_one_whoever_is_asked() -> None:
    with pytest.raises(OAuthError, match="use_attestation_challenge"):
        authenticate(replace(valid_request(), challenge_required=True), check_challenge=lambda _: True)


@pytest.mark.parametrize(
    "claims",
    [{"iat": NOW}, {"iat": NOW - 299.5}, {"iat": NOW + 60}, {"iat": NOW - 3600, "challenge": "of now"}],
    ids=str,
)
def test_proof_is_remembered_for_as_long_as_it_would_be_accepted(claims: JsonObject) -> None:
    """draft-07 §12.1; with a challenge for as long as one that was given just now may live."""
    valid = valid_request()

    def accepted(now: int) -> AttestedClient:
        shown = valid.with_pop(valid.pop.with_claims(**claims))
        return authenticate(shown, now=now, check_challenge=lambda given: given == "of now" and now <= NOW + 300)

    client = accepted(NOW)

    assert accepted(client.remember_until - 1).replay_key == client.replay_key
    with pytest.raises(OAuthError):
        accepted(client.remember_until)


def test_attestation_of_a_clock_slightly_ahead_is_accepted() -> None:
    valid = valid_request()

    assert authenticate(valid.with_attestation(valid.attestation.with_claims(iat=NOW + 60))).client_id == CLIENT


def test_old_attestation_is_sent_back_where_age_is_limited() -> None:
    valid = valid_request()

    assert authenticate(valid, max_attestation_age=3600).client_id == CLIENT
    for old in (valid.attestation.with_claims(iat=NOW - 3601), valid.attestation.without_claim("iat")):
        assert authenticate(valid.with_attestation(old)).client_id == CLIENT
        with pytest.raises(OAuthError, match="use_fresh_attestation"):
            authenticate(valid.with_attestation(old), max_attestation_age=3600)


def test_no_anchor_trusts_nobody() -> None:
    valid = valid_request()

    with pytest.raises(OAuthError, match="trust_not_configured"):
        verify_client_attestation(
            [valid.attestation.text()], [valid.pop.text()], anchors=(), expected_audience=AS, now=NOW
        )


def test_same_proof_has_the_same_replay_key_and_another_one_another() -> None:
    valid = valid_request()

    assert authenticate(valid).replay_key == authenticate(valid).replay_key
    assert authenticate(valid.with_pop(valid.pop.with_claims(jti="other"))).replay_key != authenticate(valid).replay_key


def test_challenge_answer_is_read_as_written() -> None:
    assert parse_challenge_answer(strict_json.dumps(build_challenge_answer("c"))) == "c"
    for broken in (b"", b"{}", b"[]", b'{"attestation_challenge": 1}', b'{"attestation_challenge": ""}'):
        with pytest.raises(InvalidAnswer):
            parse_challenge_answer(broken)
