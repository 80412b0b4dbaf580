"""DPoP proofs: what a server accepts, and each defect that it must not (RFC 9449)."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject
from specs.keys.jose import key_thumbprint
from specs.keys.signer import generate_signer
from specs.protocols.dpop import (
    DpopProof,
    access_token_hash,
    build_dpop_proof,
    dpop_challenge,
    normalised_url,
    verify_dpop_proof,
)
from specs.protocols.oauth import OAuthError
from specs.refusal import Refusal
from tests.defects import Defect, defect, defects
from tests.specs.protocols.tokens import NOW, Token, jwk, taken_apart

URL = "https://issuer.example/t/leipzig/credential"
TOKEN = "wNfLQ7Xc0YgS2bqkm3pU5A"
WALLET = generate_signer()
THIEF = generate_signer()
JKT = base64url.encode(key_thumbprint(WALLET.public_key))


@dataclass(frozen=True)
class Sent:
    """A request at the credential endpoint, as far as its proof is concerned."""

    proofs: tuple[Token, ...]
    jkt: str = JKT
    nonce_required: bool = False
    seen: frozenset[bytes] = frozenset()

    @property
    def proof(self) -> Token:
        return self.proofs[0]

    def with_proof(self, proof: Token) -> "Sent":
        return replace(self, proofs=(proof,))


def valid_request() -> Sent:
    return Sent(
        (
            Token(
                {"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk(WALLET)},
                {"jti": "u0pYx7", "htm": "POST", "htu": URL, "iat": NOW, "ath": access_token_hash(TOKEN)},
                WALLET,
            ),
        )
    )


def accept(sent: Sent, *, now: int = NOW, check_nonce: Callable[[str], bool] | None = "live".__eq__) -> DpopProof:
    """What a resource server does: verify, then refuse a proof that it remembers."""
    proof = verify_dpop_proof(
        [token.text() for token in sent.proofs],
        expected_method="POST",
        expected_url=URL,
        now=now,
        access_token=TOKEN,
        expected_jkt=sent.jkt,
        check_nonce=check_nonce,
        nonce_required=sent.nonce_required,
    )
    if proof.replay_key in sent.seen:
        raise OAuthError("invalid_dpop_proof", "seen before", 401)
    return proof


@defect("dpop-001", refused_as="invalid_dpop_proof")
def no_proof(sent: Sent) -> Sent:
    """RFC 9449 §4.3: there is exactly one DPoP header."""
    return replace(sent, proofs=())


@defect("dpop-002", refused_as="invalid_dpop_proof")
def flipped_bit(sent: Sent) -> Sent:
    """RFC 9449 §4.3: the signature verifies."""
    return sent.with_proof(sent.proof.with_flipped_bit())


@defect("dpop-003", refused_as="invalid_dpop_proof")
def signed_by_another(sent: Sent) -> Sent:
    """RFC 9449 §4.3: it verifies with the key in the header."""
    return sent.with_proof(sent.proof.signed_by(THIEF))


@defect("dpop-004", refused_as="invalid_dpop_proof")
def under_mac(sent: Sent) -> Sent:
    """RFC 9449 §4.3: the algorithm is an asymmetric signature."""
    return sent.with_proof(sent.proof.under_mac(b"k" * 32))


@defect("dpop-005", refused_as="invalid_dpop_proof")
def key_proof_as_dpop(sent: Sent) -> Sent:
    """RFC 9449 §4.3: typ is dpop+jwt."""
    return sent.with_proof(sent.proof.with_header(typ="openid4vci-proof+jwt"))


@defect("dpop-006", refused_as="invalid_dpop_proof")
def no_jwk(sent: Sent) -> Sent:
    """RFC 9449 §4.2: the header names the key."""
    return sent.with_proof(sent.proof.without_header("jwk"))


@defect("dpop-007", refused_as="invalid_dpop_proof")
def other_method(sent: Sent) -> Sent:
    """RFC 9449 §4.3: htm is the request's method."""
    return sent.with_proof(sent.proof.with_claims(htm="GET"))


@defect("dpop-008", refused_as="invalid_dpop_proof")
def other_endpoint(sent: Sent) -> Sent:
    """RFC 9449 §4.3: htu is the request's address."""
    return sent.with_proof(sent.proof.with_claims(htu="https://issuer.example/t/leipzig/token"))


@defect("dpop-009", refused_as="invalid_dpop_proof")
def other_host(sent: Sent) -> Sent:
    """RFC 9449 §4.3: htu is the request's address."""
    return sent.with_proof(sent.proof.with_claims(htu="https://thief.example/t/leipzig/credential"))


@defect("dpop-010", refused_as="invalid_dpop_proof")
def prefix_of_path(sent: Sent) -> Sent:
    """RFC 9449 §4.3: the whole path counts."""
    return sent.with_proof(sent.proof.with_claims(htu="https://issuer.example/t/leipzig/cred"))


@defect("dpop-011", refused_as="invalid_dpop_proof")
def made_ahead(sent: Sent) -> Sent:
    """RFC 9449 §4.3, §11.1: iat lies within the window."""
    return sent.with_proof(sent.proof.with_claims(iat=NOW + 600))


@defect("dpop-011b", refused_as="invalid_dpop_proof")
def made_long_ago(sent: Sent) -> Sent:
    """RFC 9449 §4.3, §11.1: iat lies within the window."""
    return sent.with_proof(sent.proof.with_claims(iat=NOW - 301))


@defect("dpop-012", refused_as="invalid_dpop_proof")
def no_iat(sent: Sent) -> Sent:
    """RFC 9449 §4.2: iat is there."""
    return sent.with_proof(sent.proof.without_claim("iat"))


@defect("dpop-013", refused_as="invalid_dpop_proof")
def no_jti(sent: Sent) -> Sent:
    """RFC 9449 §4.2: jti is there."""
    return sent.with_proof(sent.proof.without_claim("jti"))


@defect("dpop-014", refused_as="invalid_dpop_proof")
def no_ath(sent: Sent) -> Sent:
    """RFC 9449 §4.3: with a token comes its hash."""
    return sent.with_proof(sent.proof.without_claim("ath"))


@defect("dpop-015", refused_as="invalid_dpop_proof")
def ath_of_another_token(sent: Sent) -> Sent:
    """RFC 9449 §4.3: ath is the hash of this token."""
    return sent.with_proof(sent.proof.with_claims(ath=access_token_hash("another token")))


@defect("dpop-016", refused_as="use_dpop_nonce")
def nonce_missing(sent: Sent) -> Sent:
    """RFC 9449 §8: once a nonce was given, a proof carries one."""
    return replace(sent, nonce_required=True)


@defect("dpop-016b", refused_as="use_dpop_nonce")
def nonce_stale(sent: Sent) -> Sent:
    """RFC 9449 §8: the nonce is a live one of this server."""
    return sent.with_proof(sent.proof.with_claims(nonce="stale"))


@defect("dpop-017", refused_as="invalid_dpop_proof")
def malleable_jwk(sent: Sent) -> Sent:
    """RFC 7518 §6.2.1.2: a coordinate has the length of the curve's field."""
    key = jwk(WALLET)
    x = base64url.encode(b"\x00" + base64url.decode(str(key["x"])))
    return sent.with_proof(sent.proof.with_header(jwk=key | {"x": x}))


@defect("dpop-901", refused_as="invalid_dpop_proof")
def token_of_another_key(sent: Sent) -> Sent:
    """RFC 9449 §7.1: the token is bound to the proof's key."""
    return replace(sent, jkt=base64url.encode(key_thumbprint(THIEF.public_key)))


@defect("dpop-902", refused_as="invalid_dpop_proof")
def replayed(sent: Sent) -> Sent:
    """RFC 9449 §11.1: a jti counts once."""
    return replace(sent, seen=frozenset({accept(sent).replay_key}))


@defect("dpop-902b", refused_as="invalid_dpop_proof")
def two_headers(sent: Sent) -> Sent:
    """RFC 9449 §4.3: there is exactly one DPoP header."""
    return replace(sent, proofs=sent.proofs * 2)


@defect("dpop-902c", refused_as="invalid_dpop_proof")
def private_key(sent: Sent) -> Sent:
    """RFC 9449 §4.3: the key in the header is a public one."""
    return sent.with_proof(sent.proof.with_header(jwk=jwk(WALLET) | {"d": base64url.encode(b"\x01" * 32)}))


@pytest.mark.parametrize("case", [case for case in defects("dpop") if case.apply.__module__ == __name__], ids=str)
def test_request_with_one_defect_in_its_proof_is_refused(case: Defect[Sent]) -> None:
    valid = valid_request()

    assert accept(valid).jkt == JKT
    with pytest.raises(OAuthError) as refused:
        accept(case.apply(valid))

    assert (refused.value.error, refused.value.status) == (case.refused_as, 401)


@pytest.mark.parametrize(
    "htu",
    [
        URL + "?page=1",
        URL + "#top",
        "HTTPS://ISSUER.example:443/t/leipzig/credential",
        "https://issuer.example/t/./x/../leipzig/%63redential",
    ],
)
def test_address_that_is_equal_after_normalisation_is_accepted(htu: str) -> None:
    valid = valid_request()

    assert accept(valid.with_proof(valid.proof.with_claims(htu=htu))).replay_key == accept(valid).replay_key


def test_extra_members_and_dates_are_accepted() -> None:
    valid = valid_request()

    proof = valid.proof.with_claims(extra={"a": [1]}, nbf=NOW - 5, exp=NOW + 60, iat=NOW + 10).with_header(kid="k")

    assert accept(valid.with_proof(proof)).issued_at == NOW + 10


@pytest.mark.parametrize("iat", [NOW - 300, NOW + 60, NOW - 0.5])
def test_edges_of_the_window_are_accepted(iat: float) -> None:
    valid = valid_request()

    assert accept(valid.with_proof(valid.proof.with_claims(iat=iat))).issued_at == iat


def test_live_nonce_decides_freshness_in_place_of_the_wallets_clock() -> None:
    valid = valid_request()

    proof = accept(valid.with_proof(valid.proof.with_claims(nonce="live", iat=NOW - 3600)))

    assert proof.nonce == "live"
    assert proof.remember_until > NOW + 300


def test_server_that_gives_no_nonces_takes_no_notice_of_one() -> None:
    valid = valid_request()
    with_nonce = valid.with_proof(valid.proof.with_claims(nonce="of another server"))

    assert accept(with_nonce, check_nonce=None).issued_at == NOW
    with pytest.raises(OAuthError, match="key_binding_expired"):
        accept(with_nonce, now=NOW + 301, check_nonce=None)


def test_missing_nonce_is_no_live_one_whoever_is_asked() -> None:
    with pytest.raises(OAuthError, match="use_dpop_nonce"):
        accept(replace(valid_request(), nonce_required=True), check_nonce=lambda _: True)


@pytest.mark.parametrize(
    "claims", [{"iat": NOW}, {"iat": NOW - 299.5}, {"iat": NOW + 60}, {"iat": NOW - 3600, "nonce": "of now"}], ids=str
)
def test_proof_is_remembered_for_as_long_as_it_would_be_accepted(claims: JsonObject) -> None:
    """RFC 9449 §11.1; with a nonce for as long as one that was given just now may live."""
    valid = valid_request()

    def accepted(now: int) -> DpopProof:
        sent = valid.with_proof(valid.proof.with_claims(**claims))
        return accept(sent, now=now, check_nonce=lambda nonce: nonce == "of now" and now <= NOW + 300)

    proof = accepted(NOW)

    assert accepted(proof.remember_until - 1).replay_key == proof.replay_key
    with pytest.raises(OAuthError):
        accepted(proof.remember_until)


@pytest.mark.parametrize("url", [URL, URL + "?a=b", URL + "#top", URL + "?a=b#top", URL + "#top?a=b"])
def test_wallet_names_the_address_without_query_and_fragment(url: str) -> None:
    """RFC 9449 §4.2: htu."""
    _, claims = taken_apart(build_dpop_proof(signer=WALLET, method="POST", url=url, now=NOW))

    assert claims["htu"] == URL


def test_wallet_chooses_its_jti_or_gets_a_new_one_each_time() -> None:
    def jti(chosen: str | None) -> object:
        return taken_apart(build_dpop_proof(signer=WALLET, method="GET", url=URL, now=NOW, jti=chosen))[1]["jti"]

    assert jti("chosen") == "chosen"
    assert jti(None) != jti(None)


@pytest.mark.parametrize("alg", ["ES256", "ES384", "ES512", "EdDSA"])
def test_wallet_and_server_understand_each_other(alg: str) -> None:
    signer = generate_signer(alg)

    text = build_dpop_proof(signer=signer, method="POST", url=URL + "?a=b", now=NOW, access_token=TOKEN, nonce="live")
    proof = verify_dpop_proof(
        [text],
        expected_method="POST",
        expected_url=URL,
        now=NOW,
        access_token=TOKEN,
        check_nonce=lambda nonce: nonce == "live",
        nonce_required=True,
        allowed_algs=["Ed25519", "ES256", "ES384", "ES512"],
    )

    assert proof.thumbprint == key_thumbprint(signer.public_key)


def test_at_the_authorization_server_a_refusal_has_status_400() -> None:
    with pytest.raises(OAuthError) as refused:
        verify_dpop_proof([], expected_method="POST", expected_url=URL, now=NOW)

    assert (refused.value.error, refused.value.status) == ("invalid_dpop_proof", 400)


def test_algorithm_that_was_not_announced_is_refused() -> None:
    text = build_dpop_proof(signer=generate_signer("ES384"), method="POST", url=URL, now=NOW)

    with pytest.raises(OAuthError, match="algorithm_not_allowed"):
        verify_dpop_proof([text], expected_method="POST", expected_url=URL, now=NOW, allowed_algs=["ES256"])


@pytest.mark.parametrize(
    "claims", [{"exp": NOW - 61}, {"nbf": NOW + 61}, {"exp": None}, {"exp": "soon"}, {"iat": True}, {"iat": "now"}]
)
def test_dates_of_another_form_or_outside_their_time_are_refused(claims: JsonObject) -> None:
    valid = valid_request()

    with pytest.raises(OAuthError, match="invalid_dpop_proof"):
        accept(valid.with_proof(valid.proof.with_claims(**claims)))


def test_proof_above_the_limit_is_refused() -> None:
    valid = valid_request()

    assert accept(valid.with_proof(valid.proof.of_length(16 * 1024))).jkt == JKT
    with pytest.raises(OAuthError, match="limit_exceeded"):
        accept(valid.with_proof(valid.proof.of_length(16 * 1024 + 1)))


@pytest.mark.parametrize("alg", ["none", "nOnE", "RS256", "ES256K"])
def test_unsigned_and_foreign_algorithms_are_refused(alg: str) -> None:
    valid = valid_request()

    with pytest.raises(OAuthError, match="algorithm_not_allowed"):
        accept(valid.with_proof(valid.proof.unsigned(alg)))


@pytest.mark.parametrize("garbage", ["", ".", "..", "a.b", "a.b.c", "." * 100_000, "é.é.é", "e30.e30.", "W10.W10.AA"])
def test_garbage_is_refused_and_nothing_else_happens(garbage: str) -> None:
    with pytest.raises(OAuthError):
        verify_dpop_proof([garbage], expected_method="POST", expected_url=URL, now=NOW)


@pytest.mark.parametrize(
    ("url", "normalised"),
    [
        ("https://h", "https://h/"),
        ("http://H:80/a", "http://h/a"),
        ("https://h:8443/a/", "https://h:8443/a/"),
        ("https://[2001:DB8::1]:443/a", "https://[2001:db8::1]/a"),
        ("https://h/%7euser/%2f", "https://h/~user/%2F"),
        ("https://h/a/..", "https://h/"),
        ("https://h/a/b/..", "https://h/a/"),
        ("https://h/../../a/b/.", "https://h/a/b/"),
        ("https://h/A?b#c", "https://h/A"),
    ],
)
def test_urls_have_one_form(url: str, normalised: str) -> None:
    assert normalised_url(url) == normalised
    assert normalised_url(normalised) == normalised


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/a",
        "ftp://h/a",
        "https:///a",
        "https://u@h/a",
        "https://h:x/a",
        "https://h\\a",
        "https://h/ a",
        "https://[h",
        "https://h/%",
        "https://h/%4",
        "https://h/%zz",
        "https://h/%%341",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(Refusal):
        normalised_url(url)


def test_challenge_names_error_and_algorithms() -> None:
    assert dpop_challenge(algs=["ES256"]) == 'DPoP algs="ES256"'
    assert dpop_challenge(description="no token came", algs=["ES256"]) == 'DPoP algs="ES256"'
    assert dpop_challenge(error="invalid_token", algs=["ES256"]) == 'DPoP error="invalid_token", algs="ES256"'
    assert dpop_challenge(error="invalid_token", description="expired", algs=["ES256", "EdDSA"]) == (
        'DPoP error="invalid_token", error_description="expired", algs="ES256 EdDSA"'
    )
