"""Who is asking? Client authentication at the pushed request and the token request (HAIP 1.0 §4.4.1, RFC 6749 §2.3)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from issuer.grants.once import ProofPurpose, ShownProof
from issuer.wallet_clients import RegisteredClient
from specs.protocols.client_assertion import verify_client_assertion
from specs.protocols.client_attestation import INVALID_CLIENT_ATTESTATION, verify_client_attestation
from specs.protocols.oauth import INVALID_CLIENT, INVALID_REQUEST, OAuthError
from specs.trust.anchors import TrustAnchor


@dataclass(frozen=True, slots=True)
class ClientRules:
    """Which clients a tenant serves.

    attesters: wallet providers whose attestation is believed. public_clients: whether wallets may come without proof.
    assertions: whether registered clients may sign for themselves (`private_key_jwt`). registered: by client_id.
    algs: JOSE algorithms of attestation, assertion and proof. challenge_required: a challenge of ours must be in the
    proof. max_age, max_ahead: seconds.
    """

    attesters: tuple[TrustAnchor, ...]
    public_clients: bool
    assertions: bool
    registered: Mapping[str, RegisteredClient]
    algs: frozenset[str]
    challenge_required: bool
    max_age: int
    max_ahead: int
    anchor_in_chain_allowed: bool


@dataclass(frozen=True, slots=True)
class ClientProofs:
    """What a request says about its client, as it came.

    attestations, pops: all values of the two headers. client_id, assertion: as the form says, if it does.
    """

    attestations: Sequence[str]
    pops: Sequence[str]
    client_id: str | None
    assertion: str | None


@dataclass(frozen=True, slots=True)
class Client:
    """The wallet behind a request.

    client_id: none if it came anonymously. instance_jkt: thumbprint of the attested key, where there is one.
    is_authenticated: it proved who it is. shown: its proof, to be remembered.
    """

    client_id: str | None
    instance_jkt: bytes | None
    is_authenticated: bool
    shown: ShownProof | None


def authenticate_client(
    rules: ClientRules,
    given: ClientProofs,
    *,
    expected_audience: str,
    check_challenge: Callable[[str], bool],
    now: int,
) -> Client:
    """Authenticate a wallet in the one way it chose, or take it as a public client where that is allowed.

    expected_audience: our issuer identifier. now: seconds since the epoch.

    Raises:
        OAuthError: `invalid_client`, `invalid_request` for two ways at once, or a code of client attestation.
    """
    is_attested = bool(given.attestations or given.pops)
    if is_attested and given.assertion is not None:
        raise OAuthError(INVALID_REQUEST, "one way of client authentication is needed, not two")
    if given.assertion is not None:
        return _asserted(rules, given, given.assertion, expected_audience=expected_audience, now=now)
    if not is_attested:
        return _public(rules, given.client_id)
    attested = verify_client_attestation(
        given.attestations,
        given.pops,
        anchors=rules.attesters,
        expected_audience=expected_audience,
        now=now,
        expected_client_id=given.client_id,
        check_challenge=check_challenge,
        challenge_required=rules.challenge_required,
        allowed_algs=rules.algs,
        max_age=rules.max_age,
        max_ahead=rules.max_ahead,
        anchor_in_chain_allowed=rules.anchor_in_chain_allowed,
    )
    refusal = OAuthError(INVALID_CLIENT_ATTESTATION, "the proof of possession was used before")
    shown = ShownProof(ProofPurpose.ATTESTATION_POP, attested.replay_key, attested.remember_until, refusal)
    return Client(attested.client_id, attested.instance_thumbprint, is_authenticated=True, shown=shown)


def _asserted(rules: ClientRules, given: ClientProofs, assertion: str, *, expected_audience: str, now: int) -> Client:
    if not rules.assertions:
        raise OAuthError(INVALID_CLIENT, "client assertions are not taken here", 401)

    asserted = verify_client_assertion(
        assertion,
        keys_of=lambda client_id: rules.registered[client_id].public_keys if client_id in rules.registered else None,
        expected_audience=expected_audience,
        now=now,
        expected_client_id=given.client_id,
        allowed_algs=rules.algs,
        max_ahead=rules.max_ahead,
    )
    refusal = OAuthError(INVALID_CLIENT, "the client assertion was used before", 401)
    shown = ShownProof(ProofPurpose.CLIENT_ASSERTION, asserted.replay_key, asserted.remember_until, refusal)
    return Client(asserted.client_id, None, is_authenticated=True, shown=shown)


def _public(rules: ClientRules, client_id: str | None) -> Client:
    if not rules.public_clients:
        raise OAuthError(INVALID_CLIENT, "a client attestation is needed", 401)
    registered = None if client_id is None else rules.registered.get(client_id)
    if registered is not None and registered.keys:
        raise OAuthError(INVALID_CLIENT, "this client must prove who it is", 401)
    return Client(client_id, None, is_authenticated=False, shown=None)
