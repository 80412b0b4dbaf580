"""Credential requests with their key proofs and key attestations.

What is accepted, and each defect (OpenID4VCI App. D, F).
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from specs.encoding import base64url, strict_json
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import key_thumbprint, x5c_header
from specs.keys.signer import FileSigner, generate_signer
from specs.protocols.key_attestation import KeyAttestationRequirements, build_key_attestation
from specs.protocols.key_proof import Proofs, ProofTypeSupport, VerifiedProofs, build_key_proof, verify_proofs
from specs.protocols.oauth import OAuthError
from specs.protocols.openid4vci import chosen_configuration, parse_credential_request
from tests.defects import Defect, defect, defects
from tests.specs.protocols.tokens import DAY, NOW, Token, jwk, wallet_provider

ISSUER = "https://issuer.example/t/leipzig"
CLIENT = "https://wallet.example"
CONFIGURATION = "leipzig_pass-sd-jwt"
BATCH_SIZE = 3
PROVIDER = wallet_provider("Wallet provider")
STRANGER = wallet_provider("Stranger")
EXPIRED = wallet_provider("Expired provider", signer_days=-1)
KEYS = tuple(generate_signer() for _ in range(4))
THIEF = generate_signer()
MODERATE = KeyAttestationRequirements(("iso_18045_moderate",), ("iso_18045_moderate",))


@dataclass(frozen=True)
class Asked:
    """A credential request, and what the issuer knows about its token."""

    proofs: tuple[Token, ...]
    attestation: Token | None
    proof_type: str = "jwt"
    client_id: str | None = CLIENT
    changed: JsonObject = field(default_factory=dict)

    @property
    def proof(self) -> Token:
        return self.proofs[0]

    def with_proof(self, proof: Token) -> "Asked":
        return replace(self, proofs=(proof, *self.proofs[1:]))

    def with_attestation(self, attestation: Token) -> "Asked":
        return replace(self, attestation=attestation)

    def with_keys(self, *signers: FileSigner) -> "Asked":
        """One proof for each key, all of them with the same attestation."""
        proofs = tuple(self.proof.with_header(jwk=jwk(signer)).signed_by(signer) for signer in signers)
        return replace(self, proofs=proofs)

    def by_attestation(self) -> "Asked":
        return replace(self, proofs=(), proof_type="attestation")

    def body(self) -> bytes:
        attestation = None if self.attestation is None else self.attestation.text()
        texts: list[JsonValue] = [
            (proof if attestation is None else proof.with_header(key_attestation=attestation)).text()
            for proof in self.proofs
        ]
        if self.proof_type == "attestation":
            texts = [attestation]
        request: JsonObject = {"credential_configuration_id": CONFIGURATION, "proofs": {self.proof_type: texts}}
        return strict_json.dumps({name: value for name, value in (request | self.changed).items() if value is not None})


def valid_request() -> Asked:
    attestation = Token(
        {"alg": "ES256", "typ": "key-attestation+jwt", "x5c": PROVIDER.x5c()},
        {
            "iat": NOW,
            "exp": NOW + DAY,
            "nonce": "live",
            "attested_keys": [jwk(key) for key in KEYS[:BATCH_SIZE]],
            "key_storage": ["iso_18045_moderate"],
            "user_authentication": ["iso_18045_moderate"],
        },
        PROVIDER.identity.signer,
    )
    proof = Token(
        {"alg": "ES256", "typ": "openid4vci-proof+jwt", "jwk": jwk(KEYS[0])},
        {"aud": ISSUER, "iat": NOW, "nonce": "live", "iss": CLIENT},
        KEYS[0],
    )
    return Asked((proof,), attestation)


def accept(
    asked: Asked,
    *,
    requirements: KeyAttestationRequirements | None = MODERATE,
    check_nonce: Callable[[str], bool] = "live".__eq__,
) -> VerifiedProofs:
    """What an issuer does with a credential request, up to the keys it binds to."""
    request = parse_credential_request(asked.body())
    chosen_configuration(request, known={CONFIGURATION}, granted={CONFIGURATION}, identifiers={})
    support = ProofTypeSupport(("ES256", "Ed25519"), requirements)
    return verify_proofs(
        request.proofs,
        expected_audience=ISSUER,
        expected_client_id=asked.client_id,
        supported={"jwt": support, "attestation": support},
        check_nonce=check_nonce,
        attestation_anchors=(*PROVIDER.anchors, *EXPIRED.anchors),
        batch_size=BATCH_SIZE,
        now=NOW,
    )


@defect("proof-001", refused_as="invalid_proof")
def no_proofs(asked: Asked) -> Asked:
    """OpenID4VCI §8.3.1.2: proofs is there."""
    return replace(asked, changed={"proofs": None})


@defect("proof-002", refused_as="invalid_proof")
def signed_by_another(asked: Asked) -> Asked:
    """OpenID4VCI App. F.4: the key in the header signed."""
    return asked.with_proof(asked.proof.signed_by(THIEF))


@defect("proof-003", refused_as="invalid_proof")
def unsigned(asked: Asked) -> Asked:
    """OpenID4VCI App. F.4: alg is not none."""
    return asked.with_proof(asked.proof.unsigned())


@defect("proof-004", refused_as="invalid_proof")
def typ_jwt(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1: typ is openid4vci-proof+jwt."""
    return asked.with_proof(asked.proof.with_header(typ="JWT"))


@defect("proof-005", refused_as="invalid_proof")
def typ_kb_jwt(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1, RFC 8725 §3.11: a key binding JWT is no key proof."""
    return asked.with_proof(asked.proof.with_header(typ="kb+jwt"))


@defect("proof-006", refused_as="invalid_proof")
def typ_dpop(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1, RFC 8725 §3.11: a DPoP proof is no key proof."""
    return asked.with_proof(asked.proof.with_header(typ="dpop+jwt"))


@defect("proof-007", refused_as="invalid_proof")
def audience_with_slash(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1: aud is the issuer identifier, character by character."""
    return asked.with_proof(asked.proof.with_claims(aud=ISSUER + "/"))


@defect("proof-008", refused_as="invalid_proof")
def no_audience(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1: aud is there."""
    return asked.with_proof(asked.proof.without_claim("aud"))


@defect("proof-009", refused_as="invalid_proof")
def no_nonce(asked: Asked) -> Asked:
    """OpenID4VCI §8.3.1.2: a proof without nonce is invalid."""
    return asked.with_proof(asked.proof.without_claim("nonce"))


@defect("proof-010", refused_as="invalid_nonce")
def stale_nonce(asked: Asked) -> Asked:
    """OpenID4VCI §8.3.1.2: the nonce is live."""
    return asked.with_proof(asked.proof.with_claims(nonce="stale"))


@defect("proof-011", refused_as="invalid_proof")
def nonce_array(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1: nonce is a text."""
    return asked.with_proof(asked.proof.with_claims(nonce=["live"]))


@defect("proof-012", refused_as="invalid_proof")
def made_long_ago(asked: Asked) -> Asked:
    """OpenID4VCI App. F.4: the proof is fresh."""
    return asked.with_proof(asked.proof.with_claims(iat=NOW - 3600))


@defect("proof-013", refused_as="invalid_proof")
def no_iat(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1: iat is there."""
    return asked.with_proof(asked.proof.without_claim("iat"))


@defect("proof-014", refused_as="invalid_proof")
def other_client(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1: iss is the client_id."""
    return asked.with_proof(asked.proof.with_claims(iss="https://other.example"))


@defect("proof-015", refused_as="invalid_proof")
def client_after_anonymous_access(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1: after anonymous access there is no iss."""
    return replace(asked, client_id=None)


@defect("proof-016", refused_as="invalid_proof")
def two_keys_named(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1: jwk and kid exclude each other."""
    return asked.with_proof(asked.proof.with_header(kid="0"))


@defect("proof-017", refused_as="invalid_proof")
def no_key_named(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1: the header names a key."""
    return asked.with_proof(asked.proof.without_header("jwk"))


@defect("proof-018", refused_as="invalid_proof")
def off_curve(asked: Asked) -> Asked:
    """RFC 8725 §3.4: a key is a point of its curve."""
    return asked.with_proof(asked.proof.with_header(jwk=jwk(KEYS[0]) | {"y": base64url.encode(b"\x07" * 32)}))


class _WeakRsa(FileSigner):
    """An RSA key of 1024 bits that signs with RS256."""

    __slots__ = ("weak",)

    def __init__(self) -> None:
        self.alg = "RS256"
        self.weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 the defect

    def sign(self, data: bytes) -> bytes:
        return self.weak.sign(data, padding.PKCS1v15(), hashes.SHA256())


@defect("proof-019", refused_as="invalid_proof")
def weak_rsa(asked: Asked) -> Asked:
    """RFC 7518 §3.3: RS256 was not announced, and 1024 bits are too few."""
    signer = _WeakRsa()
    modulus = base64url.encode(signer.weak.public_key().public_numbers().n.to_bytes(128, "big"))
    key: JsonObject = {"kty": "RSA", "n": modulus, "e": "AQAB"}
    return asked.with_proof(asked.proof.with_header(alg="RS256", jwk=key).signed_by(signer))


@defect("proof-020", refused_as="invalid_proof")
def one_bad_of_two(asked: Asked) -> Asked:
    """OpenID4VCI §8.3.1.2: one invalid proof spoils the request."""
    both = asked.with_keys(*KEYS[:2])
    return replace(both, proofs=(both.proofs[0], both.proofs[1].with_flipped_bit()))


@defect("proof-021", refused_as="invalid_proof")
def same_key_twice(asked: Asked) -> Asked:
    """OpenID4VCI §3.3.2, §8.3: each copy has a key of its own."""
    return asked.with_keys(KEYS[0], KEYS[0])


@defect("proof-022", refused_as="invalid_credential_request")
def batch_too_large(asked: Asked) -> Asked:
    """OpenID4VCI §12.2.4: batch_size is the most."""
    key_list: list[JsonValue] = [jwk(key) for key in KEYS]
    attestation = asked.attestation
    assert attestation is not None
    return asked.with_attestation(attestation.with_claims(attested_keys=key_list[:3])).with_keys(*KEYS)


@defect("proof-022b", refused_as="invalid_proof")
def attestation_too_large(asked: Asked) -> Asked:
    """OpenID4VCI §12.2.4: batch_size is the most, however the keys are shown."""
    return _attested(asked.by_attestation(), attested_keys=[jwk(key) for key in KEYS])


@defect("proof-023", refused_as="invalid_credential_request")
def two_proof_types(asked: Asked) -> Asked:
    """OpenID4VCI §8.2: proofs has exactly one member."""
    assert asked.attestation is not None
    proofs: JsonObject = {"jwt": [asked.proof.text()], "attestation": [asked.attestation.text()]}
    return replace(asked, changed={"proofs": proofs})


@defect("proof-024", refused_as="invalid_credential_request")
def unknown_proof_type(asked: Asked) -> Asked:
    """OpenID4VCI §8.2: the proof type is a published one."""
    return replace(asked, changed={"proofs": {"handshake": [asked.proof.text()]}})


@defect("proof-025", refused_as="invalid_proof")
def singular_proof(asked: Asked) -> Asked:
    """OpenID4VCI §8.2: the member is proofs; what older drafts named proof is unknown and ignored."""
    proof: JsonObject = {"proof_type": "jwt", "jwt": asked.proof.text()}
    return replace(asked, changed={"proofs": None, "proof": proof})


@defect("proof-026", refused_as="invalid_credential_request")
def identifier_and_configuration(asked: Asked) -> Asked:
    """OpenID4VCI §8.2: one of the two names the credential."""
    return replace(asked, changed={"credential_identifier": "0"})


@defect("proof-027", refused_as="unknown_credential_identifier")
def unknown_identifier(asked: Asked) -> Asked:
    """OpenID4VCI §8.3.1.2: the identifier came with the token."""
    return replace(asked, changed={"credential_identifier": "invented", "credential_configuration_id": None})


@defect("proof-028", refused_as="invalid_proof")
def attestation_missing(asked: Asked) -> Asked:
    """OpenID4VCI App. D, §12.2.4: where it is required there is one."""
    return replace(asked, attestation=None)


@defect("proof-029", refused_as="invalid_proof")
def untrusted_provider(asked: Asked) -> Asked:
    """OpenID4VCI App. D: the wallet provider is one we trust."""
    assert asked.attestation is not None
    token = asked.attestation.with_header(x5c=STRANGER.x5c())
    return asked.with_attestation(token.signed_by(STRANGER.identity.signer))


@defect("proof-029b", refused_as="invalid_proof")
def attestation_flipped(asked: Asked) -> Asked:
    """OpenID4VCI App. D.1: the signature of the attestation holds."""
    assert asked.attestation is not None
    return asked.with_attestation(asked.attestation.with_flipped_bit())


@defect("proof-030", refused_as="invalid_proof")
def provider_certificate_expired(asked: Asked) -> Asked:
    """RFC 5280 §6.1, HAIP §4.5.1: the signer's certificate is valid."""
    assert asked.attestation is not None
    token = asked.attestation.with_header(x5c=EXPIRED.x5c())
    return asked.with_attestation(token.signed_by(EXPIRED.identity.signer))


def _attested(asked: Asked, **claims: JsonValue) -> Asked:
    assert asked.attestation is not None
    return asked.with_attestation(asked.attestation.with_claims(**claims))


@defect("proof-031", refused_as="invalid_proof")
def attestation_expired(asked: Asked) -> Asked:
    """OpenID4VCI App. D.1: exp has not passed."""
    return _attested(asked, exp=NOW - 600)


@defect("proof-031b", refused_as="invalid_proof")
def attestation_without_end(asked: Asked) -> Asked:
    """OpenID4VCI App. D.1: inside a jwt proof exp is there."""
    assert asked.attestation is not None
    return asked.with_attestation(asked.attestation.without_claim("exp"))


@defect("proof-032", refused_as="invalid_nonce")
def attestation_of_another_session(asked: Asked) -> Asked:
    """OpenID4VCI App. F.1: the attestation's nonce is one of ours."""
    return _attested(asked, nonce="of another session")


@defect("proof-033", refused_as="invalid_proof")
def lone_attestation_without_nonce(asked: Asked) -> Asked:
    """OpenID4VCI App. F.3: the nonce is the attestation's only freshness."""
    assert asked.attestation is not None
    return asked.by_attestation().with_attestation(asked.attestation.without_claim("nonce"))


@defect("proof-034", refused_as="invalid_proof")
def storage_too_weak(asked: Asked) -> Asked:
    """OpenID4VCI App. D.2, §12.2.4: the storage resists what is required."""
    return _attested(asked, key_storage=["iso_18045_basic"])


@defect("proof-034b", refused_as="invalid_proof")
def storage_unsaid(asked: Asked) -> Asked:
    """OpenID4VCI §12.2.4: what is required is said."""
    assert asked.attestation is not None
    return asked.with_attestation(asked.attestation.without_claim("key_storage"))


@defect("proof-034c", refused_as="invalid_proof")
def authentication_too_weak(asked: Asked) -> Asked:
    """OpenID4VCI App. D.2, §12.2.4: the user's authentication resists what is required."""
    return _attested(asked, user_authentication=["iso_18045_enhanced-basic"])


@defect("proof-035", refused_as="invalid_proof")
def no_attested_keys(asked: Asked) -> Asked:
    """OpenID4VCI App. D.1: attested_keys is not empty."""
    return _attested(asked.by_attestation(), attested_keys=[])


@defect("proof-035b", refused_as="invalid_proof")
def key_not_attested(asked: Asked) -> Asked:
    """OpenID4VCI App. D.1: the proof's key is among the attested ones."""
    return _attested(asked, attested_keys=[jwk(KEYS[1])])


@defect("proof-036", refused_as="invalid_proof")
def private_attested_key(asked: Asked) -> Asked:
    """OpenID4VCI App. F.4: no private keys."""
    return _attested(asked, attested_keys=[jwk(KEYS[0]), jwk(KEYS[1]) | {"d": base64url.encode(b"\x01" * 32)}])


@defect("proof-036b", refused_as="invalid_proof")
def private_proof_key(asked: Asked) -> Asked:
    """OpenID4VCI App. F.4: no private keys."""
    return asked.with_proof(asked.proof.with_header(jwk=jwk(KEYS[0]) | {"d": base64url.encode(b"\x01" * 32)}))


@defect("proof-037", refused_as="invalid_proof")
def attestation_unsigned(asked: Asked) -> Asked:
    """OpenID4VCI App. D.1: the attestation is signed."""
    assert asked.attestation is not None
    return asked.with_attestation(asked.attestation.unsigned())


@pytest.mark.parametrize("case", [case for case in defects("proof") if case.apply.__module__ == __name__], ids=str)
def test_request_with_one_defect_is_refused(case: Defect[Asked]) -> None:
    valid = valid_request()

    assert accept(valid).nonces == {"live"}
    with pytest.raises(OAuthError) as refused:
        accept(case.apply(valid))

    assert (refused.value.error, refused.value.status) == (case.refused_as, 400)


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": NOW + 61},
        {"nbf": NOW + 61},
        {"attested_keys": [jwk(KEYS[0]), jwk(KEYS[0])]},
        {"attested_keys": jwk(KEYS[0])},
        {"key_storage": []},
        {"key_storage": "iso_18045_high"},
        {"user_authentication": ["iso_18045_high", 1]},
    ],
)
def test_key_attestation_of_the_future_or_of_another_form_is_refused(claims: JsonObject) -> None:
    with pytest.raises(OAuthError, match="invalid_proof"):
        accept(_attested(valid_request(), **claims), requirements=None)


def test_proof_outside_its_own_dates_or_above_the_limit_is_refused() -> None:
    valid = valid_request()

    for claims in ({"exp": NOW - 61}, {"nbf": NOW + 61}, {"extra": "a" * 300_000}):
        with pytest.raises(OAuthError, match="invalid_proof"):
            accept(valid.with_proof(valid.proof.with_claims(**claims)))


def test_key_attestation_above_the_limit_is_refused() -> None:
    with pytest.raises(OAuthError, match="limit_exceeded"):
        accept(_attested(valid_request().by_attestation(), extra="a" * 200_000))


def test_key_attestation_that_is_no_text_is_refused() -> None:
    valid = replace(valid_request(), attestation=None)

    with pytest.raises(OAuthError, match="key_attestation is not a text"):
        accept(valid.with_proof(valid.proof.with_header(key_attestation=[])), requirements=None)


def test_certificate_with_an_rsa_key_names_no_key_of_ours() -> None:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "RSA")])
    begin = datetime.fromtimestamp(NOW, UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    valid = replace(valid_request(), attestation=None)
    proof = valid.proof.without_header("jwk").with_header(x5c=list(x5c_header([certificate])))

    with pytest.raises(OAuthError, match="another kind"):
        accept(valid.with_proof(proof), requirements=None)


@pytest.mark.parametrize(
    ("proofs", "error"),
    [
        (Proofs("jwt", ("x",)), "invalid_credential_request"),
        (Proofs("attestation", ("x", "y")), "invalid_proof"),
        (Proofs("attestation", ()), "invalid_proof"),
        (Proofs("jwt", ()), "invalid_proof"),
        (None, "invalid_proof"),
    ],
)
def test_proofs_that_the_configuration_does_not_take_are_refused(proofs: Proofs | None, error: str) -> None:
    with pytest.raises(OAuthError) as refused:
        verify_proofs(
            proofs,
            expected_audience=ISSUER,
            expected_client_id=CLIENT,
            supported={"attestation": ProofTypeSupport(("ES256",))},
            check_nonce=None,
            attestation_anchors=PROVIDER.anchors,
            batch_size=BATCH_SIZE,
            now=NOW,
        )

    assert refused.value.error == error
    assert "jwt_malformed" not in refused.value.description


def _thumbprints(verified: VerifiedProofs) -> list[bytes]:
    return [key.thumbprint for key in verified.keys]


def test_one_proof_speaks_for_all_keys_of_its_attestation() -> None:
    assert _thumbprints(accept(valid_request())) == [key_thumbprint(key.public_key) for key in KEYS[:3]]


def test_attestation_alone_binds_its_keys_and_needs_no_end() -> None:
    valid = valid_request()
    assert valid.attestation is not None

    verified = accept(valid.by_attestation().with_attestation(valid.attestation.without_claim("exp")))

    assert len(verified.keys) == 3
    assert verified.nonces == {"live"}


def test_each_proof_of_a_batch_needs_a_live_nonce() -> None:
    plain = replace(valid_request(), attestation=None)
    proof, other = plain.proof, plain.proof.with_header(jwk=jwk(KEYS[1])).signed_by(KEYS[1])

    asked: list[str] = []

    def is_live(nonce: str) -> bool:
        asked.append(nonce)
        return nonce == "live"

    good = accept(replace(plain, proofs=(proof, other)), requirements=None, check_nonce=is_live)
    assert len(good.keys) == 2
    assert asked == ["live"]  # once for both
    for proofs in ((proof, other.with_claims(nonce="stale")), (proof.with_claims(nonce="stale"), other)):
        with pytest.raises(OAuthError, match="invalid_nonce"):
            accept(replace(plain, proofs=proofs), requirements=None)
    with pytest.raises(OAuthError, match="invalid_proof"):
        accept(replace(plain, proofs=(proof, other.without_claim("nonce"))), requirements=None)


def test_batch_that_shares_one_attestation_binds_the_keys_of_its_proofs() -> None:
    verified = accept(valid_request().with_keys(KEYS[2], KEYS[0]))

    assert _thumbprints(verified) == [key_thumbprint(KEYS[2].public_key), key_thumbprint(KEYS[0].public_key)]
    assert len(verified.attestations) == 1


def test_one_proof_without_attestation_is_accepted_where_none_is_required() -> None:
    verified = accept(replace(valid_request(), attestation=None), requirements=None)

    assert _thumbprints(verified) == [key_thumbprint(KEYS[0].public_key)]
    assert verified.keys[0].jwk == jwk(KEYS[0])


@pytest.mark.parametrize("level", ["iso_18045_moderate", "iso_18045_high"])
def test_level_at_or_above_the_required_one_is_accepted(level: str) -> None:
    assert accept(_attested(valid_request(), key_storage=["https://levels.example/x", level])).keys


def test_any_attestation_is_accepted_where_no_level_is_required() -> None:
    asked = _attested(valid_request(), key_storage=["https://levels.example/x"])

    assert accept(asked, requirements=KeyAttestationRequirements()).keys


def test_extra_members_and_a_clock_slightly_ahead_are_accepted() -> None:
    valid = valid_request()
    proof = valid.proof.with_claims(iat=NOW + 8, jti="x", extra={"a": None}).with_header(extra=[1])

    asked = replace(_attested(valid, extra=1).with_proof(proof), changed={"unknown": {"proof": 1}})

    assert accept(asked).keys


def test_missing_iss_is_accepted_with_and_without_client() -> None:
    valid = valid_request()
    asked = valid.with_proof(valid.proof.without_claim("iss"))

    assert accept(asked).keys
    assert accept(replace(asked, client_id=None)).keys


def test_kid_names_an_attested_key() -> None:
    valid = valid_request()
    keys: list[JsonValue] = [jwk(KEYS[0]) | {"kid": "a"}, jwk(KEYS[1]) | {"kid": "b"}]
    proof = valid.proof.without_header("jwk").with_header(kid="b").signed_by(KEYS[1])

    assert accept(_attested(valid, attested_keys=keys).with_proof(proof)).keys
    with pytest.raises(OAuthError, match="kid names no attested key"):
        accept(_attested(valid, attested_keys=keys).with_proof(proof.with_header(kid="c")))


def test_certificate_names_its_key() -> None:
    signer = PROVIDER.identity.signer
    valid = replace(valid_request(), attestation=None)
    proof = valid.proof.without_header("jwk").with_header(x5c=list(x5c_header(PROVIDER.identity.chain)))

    verified = accept(valid.with_proof(proof.signed_by(signer)), requirements=None)

    assert _thumbprints(verified) == [key_thumbprint(signer.public_key)]


@pytest.mark.parametrize("alg", ["EdDSA", "Ed25519"])
def test_both_names_of_ed25519_match_the_announced_one(alg: str) -> None:
    signer = generate_signer("EdDSA")
    valid = replace(valid_request(), attestation=None)
    proof = valid.proof.with_header(alg=alg, jwk=jwk(signer)).signed_by(signer)

    assert accept(valid.with_proof(proof), requirements=None).keys


def test_nonces_of_proofs_and_attestation_are_all_to_be_redeemed() -> None:
    valid = valid_request()
    request = parse_credential_request(_attested(valid, nonce="second").body())

    verified = verify_proofs(
        request.proofs,
        expected_audience=ISSUER,
        expected_client_id=CLIENT,
        supported={"jwt": ProofTypeSupport(("ES256",))},
        check_nonce=lambda nonce: nonce in ("live", "second"),
        attestation_anchors=PROVIDER.anchors,
        batch_size=BATCH_SIZE,
        now=NOW,
    )

    assert verified.nonces == {"live", "second"}


def test_wallet_and_issuer_understand_each_other() -> None:
    attestation = build_key_attestation(
        attester=PROVIDER.identity,
        keys=[key.public_key for key in KEYS[:2]],
        now=NOW,
        lifetime=DAY,
        nonce="live",
        key_storage=["iso_18045_high"],
        user_authentication=["iso_18045_high"],
        certification="https://provider.example/certification",
        status={"status_list": {"idx": 0, "uri": "https://provider.example/s"}},
    )
    proofs = tuple(
        build_key_proof(
            signer=key, audience=ISSUER, now=NOW, nonce="live", client_id=CLIENT, key_attestation=attestation
        )
        for key in KEYS[:2]
    )

    verified = verify_proofs(
        Proofs("jwt", proofs),
        expected_audience=ISSUER,
        expected_client_id=CLIENT,
        supported={"jwt": ProofTypeSupport(("ES256",), MODERATE)},
        check_nonce=lambda nonce: nonce == "live",
        attestation_anchors=PROVIDER.anchors,
        batch_size=2,
        now=NOW,
    )

    assert len(verified.keys) == 2
    assert verified.attestations[0].key_storage == ("iso_18045_high",)


def test_issuer_without_nonce_endpoint_needs_none() -> None:
    proof = build_key_proof(signer=KEYS[0], audience=ISSUER, now=NOW)

    verified = verify_proofs(
        Proofs("jwt", (proof,)),
        expected_audience=ISSUER,
        expected_client_id=None,
        supported={"jwt": ProofTypeSupport(("ES256",))},
        check_nonce=None,
        attestation_anchors=(),
        batch_size=1,
        now=NOW,
    )

    assert verified.nonces == frozenset()


@pytest.mark.parametrize("garbage", ["", "..", "a.b.c", "." * 100_000, "é.é.é", "W10.W10.AA"])
def test_garbage_is_refused_and_nothing_else_happens(garbage: str) -> None:
    for proof_type in ("jwt", "attestation"):
        with pytest.raises(OAuthError, match="invalid_proof"):
            verify_proofs(
                Proofs(proof_type, (garbage,)),
                expected_audience=ISSUER,
                expected_client_id=CLIENT,
                supported={proof_type: ProofTypeSupport(("ES256",))},
                check_nonce=None,
                attestation_anchors=PROVIDER.anchors,
                batch_size=1,
                now=NOW,
            )
