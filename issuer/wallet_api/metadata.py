"""What a tenant publishes about itself: issuer metadata, authorization server metadata, JWT VC issuer metadata.

What its preset, its settings and the catalogue say is put together here and nowhere else.
"""

from collections.abc import Iterator

from issuer.catalog.loader import Configuration
from issuer.catalog.schema import CredentialFormat, CredentialType, Label
from issuer.service import IssuerService
from issuer.tenants import ActiveTenant
from issuer.wallet_api.deferral import DEFERRED_PATH, offers_deferral
from issuer.wallet_api.envelope import request_encryption, response_encryption
from issuer.wallet_api.pages import LANGUAGES
from issuer.wallet_api.rules import (
    CHALLENGE_PATH,
    accepts_public_clients,
    batch_size,
    binds_tokens,
    client_rules,
    copies_of,
    issued_by,
    offers_interaction,
    proof_types,
    renewable_configurations,
    signing_algs,
)
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.cose import ALG_OF_JOSE_NAME
from specs.keys.jose import jwk_from_public_key
from specs.profiles import ClientAuthentication
from specs.protocols.client_assertion import PRIVATE_KEY_JWT
from specs.protocols.client_attestation import ATTEST_JWT_CLIENT_AUTH
from specs.protocols.issuer_metadata import (
    CredentialConfiguration,
    IssuerMetadata,
    build_issuer_metadata,
)
from specs.protocols.oauth import AUTHORIZATION_CODE, PRE_AUTHORIZED_CODE, REFRESH_TOKEN
from specs.protocols.oauth_metadata import AuthorizationServerMetadata, build_authorization_server_metadata
from specs.protocols.openid4vci import OPENID_CREDENTIAL

REUSE_POLICY, ISSUER_INFO = "credential_reuse_policy", "issuer_info"
_TRIGGER_UNUSED = 2  # copies left when a wallet should fetch new ones


def issuer_metadata(service: IssuerService, tenant: ActiveTenant) -> JsonObject:
    """Credential issuer metadata (OpenID4VCI §12.2.4)."""
    url = tenant.issuer_url
    return build_issuer_metadata(
        IssuerMetadata(
            credential_issuer=url,
            credential_endpoint=f"{url}/credential",
            nonce_endpoint=f"{url}/nonce",
            deferred_credential_endpoint=f"{url}{DEFERRED_PATH}" if offers_deferral(tenant) else None,
            notification_endpoint=f"{url}/notification",
            request_encryption=request_encryption(service, tenant),
            response_encryption=response_encryption(service, tenant),
            batch_size=batch_size(tenant, service.catalog, service.settings),
            display=tuple({"name": tenant.name, "locale": locale} for locale in _locales(tenant)),
            configurations={
                name: _configuration(service, tenant, configuration)
                for name, configuration in issued_by(tenant, service.catalog).items()
            },
            extra=_issuer_info(tenant),
        ),
        allow_loopback_http=service.settings.allow_loopback_http,
    )


def authorization_server_metadata(service: IssuerService, tenant: ActiveTenant) -> JsonObject:
    """Authorization server metadata (RFC 8414 §2, HAIP 1.0 §4.1)."""
    url, profile, settings = tenant.issuer_url, tenant.profile, service.settings
    public = accepts_public_clients(tenant, settings)
    can_log_in = service.can_log_in(tenant)
    clients = client_rules(tenant, settings)
    signs = clients.assertions and any(client.keys for client in clients.registered.values())
    methods = [
        *(
            [ATTEST_JWT_CLIENT_AUTH]
            if ClientAuthentication.ATTESTATION in profile.client_authentication.methods
            else []
        ),
        *([PRIVATE_KEY_JWT] if signs else []),
        *(["none"] if public else []),
    ]
    algs = signing_algs(profile)
    return build_authorization_server_metadata(
        AuthorizationServerMetadata(
            issuer=url,
            authorization_endpoint=f"{url}/authorize" if can_log_in else None,
            token_endpoint=f"{url}/token",
            pushed_authorization_request_endpoint=f"{url}/par" if can_log_in else None,
            challenge_endpoint=f"{url}/challenge",
            authorization_challenge_endpoint=f"{url}{CHALLENGE_PATH}" if offers_interaction(tenant) else None,
            status_list_aggregation_endpoint=f"{url}/status",
            response_types_supported=("code",) if can_log_in else (),
            grant_types_supported=(
                *((AUTHORIZATION_CODE,) if can_log_in else ()),
                PRE_AUTHORIZED_CODE,
                *((REFRESH_TOKEN,) if renewable_configurations(tenant, service.catalog) else ()),
            ),
            scopes_supported=tuple(each.scope for each in issued_by(tenant, service.catalog).values()),
            code_challenge_methods_supported=("S256",),
            token_endpoint_auth_methods_supported=tuple(methods),
            token_endpoint_auth_signing_alg_values_supported=algs if signs else (),
            dpop_signing_alg_values_supported=algs,
            client_attestation_signing_alg_values_supported=algs,
            client_attestation_pop_signing_alg_values_supported=algs,
            authorization_details_types_supported=(OPENID_CREDENTIAL,),
            require_pushed_authorization_requests=can_log_in,
            authorization_response_iss_parameter_supported=can_log_in,
            anonymous_access_supported=public and not binds_tokens(tenant),
        )
    )


def jwt_vc_issuer_metadata(service: IssuerService, tenant: ActiveTenant) -> JsonObject:
    """The keys behind `iss` of our SD-JWT VCs, for verifiers that don't read x5c (SD-JWT VC draft-13 §5).

    Those that will sign are there before they do, those that signed as long as their certificates are good.
    """
    present = [
        (alg, signer.identity.signer.public_key)
        for (form, alg), signer in sorted(tenant.keys.credential_signers.items())
        if form is CredentialFormat.SD_JWT_VC
    ]
    others = [(key.alg, key.public_key) for key in tenant.keys.other_keys if key.not_after > service.clock()]
    keys: list[JsonValue] = [
        {**jwk_from_public_key(key), "alg": alg.value, "use": "sig"} for alg, key in (*present, *others)
    ]
    return {"issuer": tenant.issuer_url, "jwks": {"keys": keys}}


def _configuration(
    service: IssuerService, tenant: ActiveTenant, configuration: Configuration
) -> CredentialConfiguration:
    kind = configuration.credential_type
    is_mdoc = configuration.format is CredentialFormat.MDOC
    return CredentialConfiguration(
        format=configuration.format.value,
        scope=configuration.scope,
        vct=None if is_mdoc else kind.vct,
        doctype=kind.doctype if is_mdoc else None,
        signing_algs=(ALG_OF_JOSE_NAME[kind.alg.value] if is_mdoc else kind.alg.value,),
        binding_methods=("cose_key" if is_mdoc else "jwk",),
        proof_types=proof_types(tenant, configuration),
        display=tuple(_type_display(kind, locale) for locale in _locales(tenant)),
        claims=tuple(_mdoc_claims(kind, tenant) if is_mdoc else _sd_jwt_claims(kind, tenant)),
        metadata_extra=_reuse_policy(service, tenant, configuration),
    )


def _locales(tenant: ActiveTenant) -> list[str]:
    """The tenant's own language first: what a wallet shows to readers of none of them."""
    return sorted(LANGUAGES, key=lambda locale: locale != tenant.locale)


def _type_display(kind: CredentialType, locale: str) -> JsonObject:
    shown = kind.display.in_locale(locale)
    display: JsonObject = {"name": shown.name, "locale": locale}
    if shown.description is not None:
        display["description"] = shown.description
    if kind.logo is not None:
        display["logo"] = {"uri": kind.logo.uri, "alt_text": kind.logo.alt.in_locale(locale)}
    if kind.colours is not None:
        display |= {"background_color": kind.colours.background, "text_color": kind.colours.text}
    return display


def _sd_jwt_claims(kind: CredentialType, tenant: ActiveTenant) -> Iterator[JsonObject]:
    for claim in kind.claims:
        yield _claim([claim.name], claim.display, tenant, mandatory=claim.mandatory or claim.is_fixed)
        for member in claim.members:
            yield _claim([claim.name, member.name], member.display, tenant, mandatory=False)


def _mdoc_claims(kind: CredentialType, tenant: ActiveTenant) -> Iterator[JsonObject]:
    for namespace, element, claim, member in kind.elements():
        mandatory = member is None and (claim.mandatory or claim.is_fixed)
        yield _claim([namespace, element], (member or claim).display, tenant, mandatory=mandatory)


def _claim(path: list[str], label: Label, tenant: ActiveTenant, *, mandatory: bool) -> JsonObject:
    described: JsonObject = {
        "path": [*path],
        "display": [{"name": label.in_locale(locale), "locale": locale} for locale in _locales(tenant)],
    }
    if mandatory:
        described["mandatory"] = True
    return described


def _reuse_policy(service: IssuerService, tenant: ActiveTenant, configuration: Configuration) -> JsonObject:
    """How often a copy may be shown and when new ones are due (ETSI TS 119 472-3 §4.2.4.2): one way, never both."""
    if REUSE_POLICY not in tenant.profile.metadata_extras:
        return {}
    copies = copies_of(tenant, configuration, service.settings)
    option: JsonObject = {"details": ["once_only"], "batch_size": copies, "reissue_trigger_unused": _TRIGGER_UNUSED}
    if copies <= _TRIGGER_UNUSED:
        lifetime = configuration.credential_type.validity.seconds
        option = {"details": ["limited_time"], "batch_size": 1, "reissue_trigger_lifetime_left": lifetime // 5}
    return {REUSE_POLICY: {"id": "arf_annex_ii", "options": [option]}}


def _issuer_info(tenant: ActiveTenant) -> JsonObject:
    """The registration certificate of who issues here (ETSI TS 119 472-3 §4.2.3), where the preset wants it."""
    certificate = tenant.keys.registration_certificate
    if ISSUER_INFO not in tenant.profile.metadata_extras or certificate is None:
        return {}
    return {ISSUER_INFO: [{"format": "registration_cert", "data": certificate}]}
