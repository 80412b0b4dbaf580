"""Who is asking? Client authentication at the pushed request and the token request (HAIP 1.0 §4.4.1)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from issuer.grants.once import ProofPurpose, remember_proof
from issuer.store.engine import Store
from specs.protocols.client_attestation import INVALID_CLIENT_ATTESTATION, verify_client_attestation
from specs.protocols.oauth import INVALID_CLIENT, OAuthError
from specs.trust.anchors import TrustAnchor


@dataclass(frozen=True, slots=True)
class ClientRules:
    """Which clients a tenant serves.

    attesters: wallet providers whose attestation is believed. public_clients: whether wallets may come without one.
    algs: JOSE algorithms of attestation and proof. challenge_required: a challenge of ours must be in the proof.
    max_age, max_ahead: seconds.
    """

    attesters: tuple[TrustAnchor, ...]
    public_clients: bool
    algs: frozenset[str]
    challenge_required: bool
    max_age: int
    max_ahead: int
    anchor_in_chain_allowed: bool


@dataclass(frozen=True, slots=True)
class Client:
    """The wallet behind a request.

    client_id: none if it came anonymously. instance_jkt: thumbprint of the attested key, none for a public client.
    """

    client_id: str | None
    instance_jkt: bytes | None

    @property
    def is_authenticated(self) -> bool:
        """Whether it proved who it is."""
        return self.instance_jkt is not None


async def authenticate_client(
    store: Store,
    rules: ClientRules,
    *,
    tenant_id: str,
    attestations: Sequence[str],
    pops: Sequence[str],
    client_id: str | None,
    expected_audience: str,
    check_challenge: Callable[[str], bool],
    now: int,
) -> Client:
    """Authenticate a wallet by its attestation, or take it as a public client where that is allowed.

    attestations, pops: all values of the two headers. client_id: as the form says, if it does. now: seconds.

    Raises:
        OAuthError: `invalid_client`, or one of the codes of client attestation.
    """
    if not attestations and not pops:
        if not rules.public_clients:
            raise OAuthError(INVALID_CLIENT, "a client attestation is needed", 401)
        return Client(client_id, None)
    attested = verify_client_attestation(
        attestations,
        pops,
        anchors=rules.attesters,
        expected_audience=expected_audience,
        now=now,
        expected_client_id=client_id,
        check_challenge=check_challenge,
        challenge_required=rules.challenge_required,
        allowed_algs=rules.algs,
        max_age=rules.max_age,
        max_ahead=rules.max_ahead,
        anchor_in_chain_allowed=rules.anchor_in_chain_allowed,
    )
    async with store.transaction() as session:
        is_first = await remember_proof(
            session,
            tenant_id=tenant_id,
            purpose=ProofPurpose.ATTESTATION_POP,
            replay_key=attested.replay_key,
            remember_until=attested.remember_until,
        )
    if not is_first:
        raise OAuthError(INVALID_CLIENT_ATTESTATION, "the proof of possession was used before")
    return Client(attested.client_id, attested.instance_thumbprint)
