"""What a tenant's preset means for wallets: who may come, how tokens are bound, which proofs, how many copies."""

import logging
from collections.abc import Collection, Mapping

from issuer.catalog.loader import Catalog, Configuration
from issuer.catalog.schema import CredentialType, DeferralRule, KeyAttestationLevel
from issuer.grants.clients import ClientRules
from issuer.grants.dpop_proofs import DpopRules
from issuer.grants.refresh import Rotation
from issuer.keys.tenant_pki import KeysError
from issuer.minting.window import SignerNotValid, Window
from issuer.secrets_at_rest import Secrets
from issuer.settings import IssuerSettings
from issuer.tenants import ActiveTenant
from specs.profiles import (
    ClientAuthentication,
    CredentialEncryption,
    Deferred,
    KeyAttestation,
    Profile,
    Relaxation,
    SenderConstraint,
)
from specs.protocols.key_attestation import ISO_18045_LEVELS, KeyAttestationRequirements
from specs.protocols.key_proof import ATTESTATION, JWT, ProofTypeSupport
from specs.protocols.oauth import OAuthError
from specs.protocols.openid4vci import CREDENTIAL_REQUEST_DENIED
from specs.trust.anchors import TrustAnchor

CHALLENGE_PATH = "/authorization_challenge"
_LOG = logging.getLogger("issuer")


def client_rules(
    tenant: ActiveTenant, settings: IssuerSettings, *, attesters: tuple[TrustAnchor, ...] = ()
) -> ClientRules:
    """Who may push requests and ask for tokens (HAIP 1.0 §4.4.1). attesters: the wallet providers, to judge by."""
    profile = tenant.profile
    return ClientRules(
        attesters=attesters,
        public_clients=accepts_public_clients(tenant, settings),
        assertions=ClientAuthentication.PRIVATE_KEY_JWT in profile.client_authentication.methods,
        registered=tenant.arranged.clients,
        algs=frozenset(signing_algs(profile)),
        challenge_required=True,  # the challenge endpoint is in the metadata, so every proof names one of ours
        max_age=profile.proof_age.back,
        max_ahead=profile.proof_age.ahead,
        anchor_in_chain_allowed=anchor_in_chain_allowed(profile),
    )


def dpop_rules(tenant: ActiveTenant, settings: IssuerSettings) -> DpopRules:
    """Whether and how requests are bound to a key (RFC 9449)."""
    profile = tenant.profile
    return DpopRules(
        required=binds_tokens(tenant),
        nonce_required=settings.require_dpop_nonce,
        algs=frozenset(signing_algs(profile)),
        max_age=profile.proof_age.back,
        max_ahead=profile.proof_age.ahead,
    )


def binds_tokens(tenant: ActiveTenant) -> bool:
    """Whether every access token is bound to a key of the wallet; else one is if the wallet shows a key."""
    return tenant.profile.access_tokens.sender_constraint is SenderConstraint.DPOP


def renewable_configurations(
    tenant: ActiveTenant, catalog: Catalog, names: Collection[str] | None = None
) -> tuple[Configuration, ...]:
    """The configurations that a wallet may ask for again without its citizen, of these or of all.

    Their type gives refresh tokens, and there is somebody to ask: a register renews them, or they come later anyway.
    """
    known = issued_by(tenant, catalog)
    return tuple(
        configuration
        for name, configuration in known.items()
        if (names is None or name in names)
        and configuration.credential_type.refresh_days
        and (
            tenant.arranged.source_of(configuration.credential_type.type) is not None or _defers(tenant, configuration)
        )
    )


def refresh_rotation(tenant: ActiveTenant, settings: IssuerSettings, secrets_at_rest: Secrets) -> Rotation | None:
    """How refresh tokens follow each other; None where each stays the same (FAPI 2.0 §5.3.2.1)."""
    rule = tenant.profile.refresh_tokens
    if not (rule.rotation and settings.rotate_refresh_tokens):
        return None
    return Rotation(secrets_at_rest.refresh_key, rule.grace or 0)


def accepts_public_clients(tenant: ActiveTenant, settings: IssuerSettings) -> bool:
    """Whether wallets without attestation are served: always by preset, or where a preset leaves it to the setting."""
    rule = tenant.profile.client_authentication
    return ClientAuthentication.NONE in rule.methods or (
        ClientAuthentication.NONE in rule.by_setting and settings.allow_public_clients
    )


def signing_algs(profile: Profile) -> tuple[str, ...]:
    """JOSE algorithms taken from wallets and their providers, ES256 first (HAIP 1.0 §7)."""
    return tuple(sorted(profile.presentations.signature_algs, key=lambda alg: (alg != "ES256", alg)))


def anchor_in_chain_allowed(profile: Profile) -> bool:
    """Whether an `x5c` may hold its trust anchor."""
    return Relaxation.ANCHOR_IN_X5C in profile.relaxations


def credential_encryption(tenant: ActiveTenant, settings: IssuerSettings) -> CredentialEncryption:
    """Whether credential requests and answers are encrypted; a setting can make an offer of it a demand."""
    rule = tenant.profile.credential_encryption
    demanded = rule is CredentialEncryption.OPTIONAL and settings.require_credential_encryption
    return CredentialEncryption.REQUIRED if demanded else rule


def issued_by(tenant: ActiveTenant, catalog: Catalog) -> Mapping[str, Configuration]:
    """What this tenant issues: the catalogue without what its preset does not allow to be signed as it is."""
    return {
        name: configuration for name, configuration in catalog.configurations.items() if tenant.issues(configuration)
    }


def credential_window(tenant: ActiveTenant, configuration: Configuration, *, now: int) -> Window:
    """The times that a credential minted now would carry. now: seconds since the epoch.

    Raises:
        OAuthError: `credential_request_denied`, the signer is missing or its certificate does not cover them.
    """
    try:
        return tenant.mint.window(configuration, now=now)
    except (KeysError, SignerNotValid) as error:
        _LOG.error("tenant %s cannot sign %s: %s", tenant.id, configuration.id, error)
        raise OAuthError(CREDENTIAL_REQUEST_DENIED, "the issuer cannot sign this credential at present") from error


def copies_of(tenant: ActiveTenant, configuration: Configuration, settings: IssuerSettings) -> int:
    """How many credentials of a configuration one request may get."""
    kind = configuration.credential_type
    copies = tenant.profile.copies.of(kind.type)
    return min(kind.copies if copies is None else copies, tenant.profile.copies.most, settings.batch_limit)


def batch_size(tenant: ActiveTenant, catalog: Catalog, settings: IssuerSettings) -> int:
    """The most proofs of one request: the tenant's highest number of copies (OpenID4VCI §12.2.4)."""
    offered = issued_by(tenant, catalog).values()
    return max((copies_of(tenant, configuration, settings) for configuration in offered), default=1)


def proof_types(tenant: ActiveTenant, configuration: Configuration) -> dict[str, ProofTypeSupport]:
    """The `proof_types_supported` of a configuration; a key attestation is asked for only where it is demanded."""
    algs = signing_algs(tenant.profile)
    if not _demands_key_attestation(tenant.profile, configuration):
        return {JWT: ProofTypeSupport(algs)}
    kind = configuration.credential_type
    needed = KeyAttestationRequirements(_from(kind.key_attestation), _from(kind.user_authentication))
    support = ProofTypeSupport(algs, needed)
    return {JWT: support, ATTESTATION: support}


def never_issued(tenant: ActiveTenant, kind: CredentialType) -> bool:
    """Whether a type waits for an approval that the tenant's preset has no way to wait for."""
    return kind.deferral.when is DeferralRule.APPROVAL and tenant.profile.deferred is Deferred.NONE


def offers_interaction(tenant: ActiveTenant) -> bool:
    """Whether wallets may log people in without a browser (OpenID4VCI 1.1 draft-01 §6); off unless a city says so."""
    return tenant.arranged.login.pid is not None and tenant.arranged.login.pid.interactive


def _defers(tenant: ActiveTenant, configuration: Configuration) -> bool:
    rule = configuration.credential_type.deferral.when
    return tenant.profile.deferred is not Deferred.NONE and rule is not DeferralRule.WHEN_SLOW


def _from(least: KeyAttestationLevel) -> tuple[str, ...] | None:
    """The accepted values (OpenID4VCI App. D.2): the least level and all above it; None if none is demanded."""
    if least is KeyAttestationLevel.NONE:
        return None
    return ISO_18045_LEVELS[ISO_18045_LEVELS.index(least.value) :]


def _demands_key_attestation(profile: Profile, configuration: Configuration) -> bool:
    kind = configuration.credential_type
    match profile.key_attestation.rule:
        case KeyAttestation.PER_TYPE:
            return {kind.key_attestation, kind.user_authentication} != {KeyAttestationLevel.NONE}
        case KeyAttestation.LISTED_TYPES:
            return kind.type in profile.key_attestation.types
