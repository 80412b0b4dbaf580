"""Key attestations by themselves and inside key proofs: edges of time and length, levels, what a provider writes."""

from dataclasses import replace

import pytest

from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import jwk_from_public_key
from specs.protocols.key_attestation import (
    KeyAttestation,
    KeyAttestationRequirements,
    build_key_attestation,
    holder_key,
    verify_key_attestation,
)
from specs.protocols.key_proof import Proofs, ProofTypeSupport, VerifiedProofs, build_key_proof, verify_proofs
from specs.protocols.oauth import OAuthError
from specs.refusal import Refusal
from tests.specs.protocols.test_key_proof import (
    CLIENT,
    ISSUER,
    KEYS,
    PROVIDER,
    Asked,
    accept,
    valid_request,
)
from tests.specs.protocols.tokens import DAY, NOW, Token, jwk, taken_apart

LEVEL = "https://levels.example/x"


def attestation(**claims: JsonValue) -> Token:
    """A valid attestation with these claims in place of its own."""
    token = valid_request().attestation
    assert token is not None
    return token.with_claims(**claims)


def verified(
    token: Token, *, requirements: KeyAttestationRequirements | None = None, expiry_required: bool = False
) -> KeyAttestation:
    """What an issuer without nonces takes from an attestation."""
    return verify_key_attestation(
        token.text(),
        anchors=PROVIDER.anchors,
        now=NOW,
        expiry_required=expiry_required,
        check_nonce=None,
        requirements=requirements,
    )


def with_attestation(asked: Asked, token: Token | None) -> Asked:
    return replace(asked, attestation=token)


def accepted_without_nonces(proofs: Proofs) -> VerifiedProofs:
    """What an issuer without nonces takes from the proofs of a request."""
    return verify_proofs(
        proofs,
        expected_audience=ISSUER,
        expected_client_id=CLIENT,
        supported={proofs.proof_type: ProofTypeSupport(("ES256",))},
        check_nonce=None,
        attestation_anchors=PROVIDER.anchors,
        batch_size=3,
        now=NOW,
    )


def test_attestation_is_read_as_it_says() -> None:
    status: JsonObject = {"status_list": {"idx": 1, "uri": "https://provider.example/s"}}

    read = verified(attestation(status=status))

    assert (read.issued_at, read.expires_at, read.nonce) == (NOW, NOW + DAY, "live")
    assert (read.key_storage, read.user_authentication) == (("iso_18045_moderate",), ("iso_18045_moderate",))
    assert (len(read.attested_keys), read.status) == (3, status)


def test_attestation_of_a_clock_slightly_ahead_is_accepted() -> None:
    assert verified(attestation(iat=NOW + 60)).issued_at == NOW + 60
    with pytest.raises(Refusal, match="credential_not_yet_valid"):
        verified(attestation(iat=NOW + 61))


@pytest.mark.parametrize("expires_at", [None, "soon", True])
def test_end_of_another_form_is_refused_also_where_none_is_needed(expires_at: JsonValue) -> None:
    assert verified(attestation().without_claim("exp")).expires_at is None
    with pytest.raises(Refusal, match="claim_invalid"):
        verified(attestation(exp=expires_at))


@pytest.mark.parametrize("keys", [5, True, "x", None, {}, []])
def test_attested_keys_that_are_no_filled_array_are_refused(keys: JsonValue) -> None:
    with pytest.raises(Refusal, match="holder_key_missing"):
        verified(attestation(attested_keys=keys))


def test_attestation_above_the_limit_is_refused() -> None:
    assert verified(attestation().of_length(160 * 1024)).nonce == "live"
    with pytest.raises(Refusal, match="limit_exceeded"):
        verified(attestation().of_length(160 * 1024 + 1))


@pytest.mark.parametrize("name", ["key_storage", "user_authentication"])
@pytest.mark.parametrize(
    ("attested", "accepted", "is_enough"),
    [
        ([LEVEL], (LEVEL,), True),
        (["iso_18045_high"], ("https://levels.example/y", "iso_18045_moderate"), True),
        (["iso_18045_basic"], ("https://levels.example/y", "iso_18045_moderate"), False),
        (["iso_18045_high"], (LEVEL,), False),
        ([LEVEL], ("iso_18045_basic",), False),
        (["iso_18045_basic", LEVEL], ("iso_18045_basic", "iso_18045_high"), True),
        (["iso_18045_enhanced-basic"], ("iso_18045_high", "iso_18045_basic"), True),
        ([LEVEL], None, True),
    ],
)
def test_level_is_enough_if_it_is_accepted_or_resists_more(
    name: str, attested: list[JsonValue], accepted: tuple[str, ...] | None, is_enough: bool
) -> None:
    """OpenID4VCI App. D.2, §12.2.4; a refusal says which of the two levels it is about."""
    token, requirements = attestation(**{name: attested}), replace(KeyAttestationRequirements(), **{name: accepted})

    if is_enough:
        assert verified(token, requirements=requirements).nonce == "live"
    else:
        with pytest.raises(Refusal, match=f"{name} is below"):
            verified(token, requirements=requirements)


@pytest.mark.parametrize(("kid", "kept"), [("k", "k"), (5, None), (None, None), (["k"], None)])
def test_name_of_a_key_is_a_text_or_none(kid: JsonValue, kept: str | None) -> None:
    """RFC 7517 §4.5."""
    assert holder_key(jwk(KEYS[0]) | {"kid": kid}).kid == kept


@pytest.mark.parametrize(
    ("kid", "attested"),
    [
        pytest.param("a", None, id="no attestation"),
        pytest.param(None, [{}], id="a key without a name"),
        pytest.param(5, [{"kid": 5}], id="a number"),
        pytest.param("a", [{"kid": "b"}], id="another"),
        pytest.param("a", [{"kid": "a"}, {"kid": "a"}], id="two"),
    ],
)
def test_kid_that_names_no_attested_key_is_refused(kid: JsonValue, attested: list[JsonObject] | None) -> None:
    valid = valid_request()
    proof = valid.proof.without_header("jwk").with_header(kid=kid)
    keys = [jwk(key) | named for key, named in zip(KEYS, attested or [], strict=False)]

    asked = with_attestation(valid, None if attested is None else attestation(attested_keys=list(keys)))

    with pytest.raises(OAuthError, match="kid names no attested key"):
        accept(asked.with_proof(proof), requirements=None)


def test_attestation_that_several_proofs_share_is_asked_about_once() -> None:
    asked: list[str] = []

    def is_live(nonce: str) -> bool:
        asked.append(nonce)
        return True

    request = with_attestation(valid_request(), attestation(nonce="of the attestation")).with_keys(KEYS[2], KEYS[0])

    assert accept(request, check_nonce=is_live).nonces == {"of the attestation", "live"}
    assert sorted(asked) == ["live", "of the attestation"]


def test_issuer_without_nonces_redeems_none_for_an_attestation() -> None:
    token = attestation().without_claim("nonce").text()
    proof = build_key_proof(signer=KEYS[0], audience=ISSUER, now=NOW, key_attestation=token)

    for proofs in (Proofs("attestation", (token,)), Proofs("jwt", (proof,))):
        taken = accepted_without_nonces(proofs)
        assert (len(taken.keys), taken.nonces) == (3, frozenset())


def test_proof_above_the_limit_is_refused() -> None:
    proof = with_attestation(valid_request(), None).proof

    assert len(accepted_without_nonces(Proofs("jwt", (proof.of_length(256 * 1024).text(),))).keys) == 1
    with pytest.raises(OAuthError, match="limit_exceeded"):
        accepted_without_nonces(Proofs("jwt", (proof.of_length(256 * 1024 + 1).text(),)))


def test_provider_writes_what_it_says_and_nothing_else() -> None:
    """OpenID4VCI App. D.1."""
    keys = [key.public_key for key in KEYS[:2]]
    least = build_key_attestation(attester=PROVIDER.identity, keys=keys, now=NOW)
    most = build_key_attestation(
        attester=PROVIDER.identity,
        keys=keys,
        now=NOW,
        lifetime=DAY,
        nonce="live",
        key_storage=["iso_18045_high"],
        user_authentication=["iso_18045_moderate"],
        certification="https://provider.example/certification",
        status={"status_list": {"idx": 0, "uri": "https://provider.example/s"}},
    )

    needed = {"iat": NOW, "attested_keys": [jwk_from_public_key(key) for key in keys]}
    assert taken_apart(least)[1] == needed
    assert taken_apart(most)[1] == needed | {
        "exp": NOW + DAY,
        "nonce": "live",
        "key_storage": ["iso_18045_high"],
        "user_authentication": ["iso_18045_moderate"],
        "certification": "https://provider.example/certification",
        "status": {"status_list": {"idx": 0, "uri": "https://provider.example/s"}},
    }


def test_wallet_writes_what_it_says_and_nothing_else() -> None:
    """OpenID4VCI App. F.1."""
    least = build_key_proof(signer=KEYS[0], audience=ISSUER, now=NOW)
    most = build_key_proof(
        signer=KEYS[0], audience=ISSUER, now=NOW, nonce="live", client_id=CLIENT, key_attestation="a.b.c"
    )

    header: JsonObject = {"alg": "ES256", "typ": "openid4vci-proof+jwt", "jwk": jwk(KEYS[0])}
    assert taken_apart(least) == (header, {"aud": ISSUER, "iat": NOW})
    assert taken_apart(most) == (
        header | {"key_attestation": "a.b.c"},
        {"aud": ISSUER, "iat": NOW, "nonce": "live", "iss": CLIENT},
    )
