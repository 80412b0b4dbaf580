"""Who sent a form to the authorization server, and with which key: checked here, remembered with what the form does."""

from collections.abc import Sequence
from dataclasses import dataclass

from issuer.grants.clients import Client, ClientProofs, authenticate_client
from issuer.grants.dpop_proofs import BoundKey, check_dpop_proof
from issuer.grants.once import ShownProof
from issuer.nonces import NoncePurpose
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.rules import client_rules, dpop_rules
from issuer.wallet_api.wire import MAX_CLIENT_ID_CHARACTERS, check_text, nonce_check


@dataclass(frozen=True, slots=True)
class ClientHeaders:
    """The headers by which a wallet proves who it is, all values of each as they came."""

    attestations: Sequence[str]
    pops: Sequence[str]
    dpop: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sender:
    """The wallet behind a form. dpop_jkt: thumbprint of its DPoP key, 32 bytes; none for a Bearer token."""

    client: Client
    key: BoundKey | None

    @property
    def dpop_jkt(self) -> bytes | None:
        """What tokens and codes get bound to."""
        return None if self.key is None else self.key.thumbprint

    @property
    def shown(self) -> tuple[ShownProof, ...]:
        """The proofs that must be the first of their kind."""
        proofs = (self.client.shown, None if self.key is None else self.key.shown)
        return tuple(proof for proof in proofs if proof is not None)


def identify(
    service: IssuerService,
    tenant: ActiveTenant,
    headers: ClientHeaders,
    *,
    path: str,
    client_id: str | None,
    assertion: str | None,
    now: int,
    dpop_required: bool,
    expected_jkt: str | None = None,
) -> Sender:
    """Who sent a form, by the tenant's rules.

    path: of the endpoint, below the issuer's identifier. client_id, assertion: as the form says. dpop_required:
    whether a key must be shown here. expected_jkt: the key that must be shown if one is (RFC 9449 §10.1).

    Raises:
        OAuthError: see `authenticate_client`; `invalid_request` for a client_id that is not kept; `invalid_dpop_proof`
            or `use_dpop_nonce`.
    """
    client = authenticate_client(
        client_rules(tenant, service.settings, attesters=service.providers.current(now=now)),
        ClientProofs(headers.attestations, headers.pops, client_id, assertion),
        expected_audience=tenant.issuer_url,
        check_challenge=nonce_check(service, tenant, NoncePurpose.CLIENT_ATTESTATION, now=now),
        now=now,
    )
    check_text("client_id", client.client_id, longest=MAX_CLIENT_ID_CHARACTERS)
    if not headers.dpop and not dpop_required:
        return Sender(client, None)
    key = check_dpop_proof(
        dpop_rules(tenant, service.settings),
        proofs=headers.dpop,
        method="POST",
        url=f"{tenant.issuer_url}{path}",
        check_nonce=nonce_check(service, tenant, NoncePurpose.DPOP, now=now),
        now=now,
        expected_jkt=expected_jkt,
    )
    return Sender(client, key)
