"""May this question be asked so? What OpenID4VP allows for a prefix and a way, and what a preset leaves of it."""

from collections.abc import Collection

from cryptography import x509

from specs.encoding.strict_json import JsonObject
from specs.keys.jose import JoseError, jwk_from_public_key, parse_jwk, parse_jws, thumbprint_bytes
from specs.profiles import PresentationRule, Profile, Relaxation, RequestChain
from specs.protocols.openid4vp import (
    ALL_FORMATS,
    ClientIdPrefix,
    DcApiProtocol,
    MdocAlgorithms,
    ResponseMode,
    SdJwtAlgorithms,
    SupportedFormats,
)
from specs.protocols.openid4vp.metadata import GCM_ENCS
from specs.protocols.openid4vp.request import ORIGIN_MODES
from specs.protocols.openid4vp.request_object import ATTESTATION_TYP
from specs.protocols.proximity import documents_asked
from specs.trust.registration_claims import RegistrationError
from verifier.ask import Flow, Procedure, RequestWay
from verifier.registered import check_registration, registration_certificates_of
from verifier.relying_party import RelyingParty

_NEVER_SIGNED = frozenset({ClientIdPrefix.REDIRECT_URI})
_MAY_BE_UNSIGNED = frozenset({ClientIdPrefix.REDIRECT_URI, ClientIdPrefix.PRE_REGISTERED})
_BY_ORIGIN = frozenset({DcApiProtocol.UNSIGNED, DcApiProtocol.ISO_MDOC})  # not signed under a client identifier
_X509 = frozenset({ClientIdPrefix.X509_HASH, ClientIdPrefix.X509_SAN_DNS})
_COSE_OF_JOSE = {"ES256": (-7, -9), "ES384": (-35, -51), "ES512": (-36, -52), "EdDSA": (-8, -19)}


class NotAllowed(ValueError):
    """The question can't be asked so; the message is a sentence for whoever configures it."""


def check_question(
    procedure: Procedure,
    *,
    flow: Flow | None,
    relying_party: RelyingParty,
    co_signers: Collection[RelyingParty] = (),
    profile: Profile | None,
) -> None:
    """Check how a question is put, before anybody gets it (OpenID4VP §5.9.3, §8.2, §A.2; HAIP §5, §5.1, §5.2).

    flow: None checks what holds in every flow. profile: the preset; None leaves what the standard leaves.

    Raises:
        NotAllowed: a wallet would refuse it, more is asked than is registered, or the preset does not know it.
    """
    if procedure.response_mode is ResponseMode.FRAGMENT:
        raise NotAllowed("fragment: the answer would not reach this verifier; direct_post does")
    if procedure.response_mode in ORIGIN_MODES:
        _check_dc_api(procedure, flow, relying_party)
        signers = [relying_party] if DcApiProtocol.SIGNED in procedure.dc_api else []
        if DcApiProtocol.MULTI_SIGNED in procedure.dc_api:
            signers = [relying_party, *co_signers]
    else:
        _check_redirect(procedure, flow, relying_party)
        signers = [] if procedure.request_way is RequestWay.PARAMETERS else [relying_party]
    for signer in signers:
        check_signer(signer)
    try:
        check_registration(procedure, relying_party)
    except RegistrationError as error:
        raise NotAllowed(f"registration certificate: {error}") from error
    if profile is not None:
        _check_preset(procedure, relying_party, signers, profile)


def _check_dc_api(procedure: Procedure, flow: Flow | None, relying_party: RelyingParty) -> None:
    if flow not in (None, Flow.SAME_DEVICE):
        raise NotAllowed("the browser's API answers the page that asks: flow same_device")
    if not procedure.origins:
        raise NotAllowed("over the browser's API the origins of the asking pages must be named")
    if not procedure.dc_api:
        raise NotAllowed("over the browser's API at least one protocol must be offered")
    if relying_party.prefix in _NEVER_SIGNED and not set(procedure.dc_api) <= _BY_ORIGIN:
        raise NotAllowed(f"{relying_party.prefix}: can't be signed")
    if DcApiProtocol.ISO_MDOC in procedure.dc_api:
        _check_iso_mdoc(procedure, relying_party)


def _check_iso_mdoc(procedure: Procedure, relying_party: RelyingParty) -> None:
    """ISO/IEC TS 18013-7 Annex C: mdocs alone, by name, under a reader's signature that is bound to one origin."""
    if len(procedure.origins) != 1:
        raise NotAllowed("org-iso-mdoc: the reader's signature is bound to one origin: name exactly one")
    if procedure.transaction_data:
        raise NotAllowed("org-iso-mdoc: a device request carries no transaction data")
    chain = relying_party.reader.chain if relying_party.reader is not None else ()
    if not chain:
        raise NotAllowed("org-iso-mdoc: a reader certificate must say who asks")
    for certificate in map(x509.load_der_x509_certificate, chain):
        if certificate.issuer == certificate.subject:
            raise NotAllowed("org-iso-mdoc: neither a self-signed certificate nor the trust anchor may be sent")
    try:
        documents_asked(procedure.query)
    except ValueError as error:
        raise NotAllowed(f"org-iso-mdoc: {error}") from error


def _check_redirect(procedure: Procedure, flow: Flow | None, relying_party: RelyingParty) -> None:
    way, prefix = procedure.request_way, relying_party.prefix
    if way is RequestWay.PARAMETERS and prefix not in _MAY_BE_UNSIGNED:
        raise NotAllowed(f"{prefix}: must be signed")
    if way is not RequestWay.PARAMETERS and prefix in _NEVER_SIGNED:
        raise NotAllowed(f"{prefix}: can't be signed")
    if prefix is ClientIdPrefix.OPENID_FEDERATION and procedure.response_mode.is_encrypted:
        # §5.9.3: wallets ignore client_metadata, so that a fresh key for one question can't reach them
        raise NotAllowed("openid_federation: no fresh response key can be sent; use direct_post")
    if flow is Flow.CROSS_DEVICE and not way.is_by_reference:
        raise NotAllowed("across devices the picture must change: use request_uri")


def check_signer(relying_party: RelyingParty) -> None:
    """Check that who signs has what its prefix needs (OpenID4VP §5.9.3, §12; HAIP §5).

    Raises:
        NotAllowed: no key, no or a self-signed access certificate, the anchor sent along, another's attestation.
    """
    try:
        chain = relying_party.signing_identity().chain
        relying_party.client_id_for("https://verifier.invalid/")
    except ValueError as error:
        raise NotAllowed(str(error)) from error
    if relying_party.prefix in _X509:
        for certificate in map(x509.load_der_x509_certificate, chain):
            if certificate.issuer == certificate.subject:
                raise NotAllowed("x5c: neither a self-signed certificate nor the trust anchor may be sent")
    if relying_party.prefix is ClientIdPrefix.VERIFIER_ATTESTATION:
        _check_attestation(relying_party)
    if relying_party.prefix is ClientIdPrefix.DECENTRALIZED_IDENTIFIER and relying_party.kid is None:
        raise NotAllowed("decentralized_identifier: kid must name the key")


def _check_attestation(relying_party: RelyingParty) -> None:
    """§12: the attestation is ours, for the key that signs, and fits addresses that differ for each question."""
    try:
        claims = parse_jws(relying_party.attestation or "", expected_typ=ATTESTATION_TYP).claims()
        cnf = claims.get("cnf")
        held = thumbprint_bytes(jwk_from_public_key(parse_jwk(cnf.get("jwk") if isinstance(cnf, dict) else None)))
    except JoseError as error:
        raise NotAllowed(f"verifier_attestation: not an attestation ({error.reason})") from error
    signer = relying_party.signing_identity().signer
    if held != thumbprint_bytes(jwk_from_public_key(signer.public_key)):
        raise NotAllowed("verifier_attestation: it is for another key")
    if claims.get("sub") != relying_party.identifier or not all(_is_there(claims, name) for name in ("iss", "exp")):
        raise NotAllowed("verifier_attestation: iss, sub and exp must be there, and sub our identifier")
    if "redirect_uris" in claims:
        raise NotAllowed("verifier_attestation: redirect_uris fixes addresses that here differ for each question")


def _is_there(claims: JsonObject, name: str) -> bool:
    return claims.get(name) is not None


def _check_preset(
    procedure: Procedure, relying_party: RelyingParty, signers: Collection[RelyingParty], profile: Profile
) -> None:
    rule = profile.presentations
    if procedure.response_mode not in rule.response_modes:
        raise NotAllowed(f"{profile.name}: no answers by {procedure.response_mode}")
    for signer in signers:
        if signer.prefix not in rule.signed_prefixes:
            raise NotAllowed(f"{profile.name}: no signed questions under {signer.prefix}")
    unsigned = procedure.request_way is RequestWay.PARAMETERS and procedure.response_mode not in ORIGIN_MODES
    if unsigned and relying_party.prefix not in rule.unsigned_prefixes:
        raise NotAllowed(f"{profile.name}: no unsigned questions under {relying_party.prefix}")
    if procedure.request_way is RequestWay.VALUE and not rule.unsigned_prefixes:
        raise NotAllowed(f"{profile.name}: the signed question is fetched, never sent by value")
    if rule.verifier_info and not registration_certificates_of(procedure, relying_party):
        raise NotAllowed(f"{profile.name}: a registration certificate must come with the question")
    over_dc_api = procedure.response_mode in ORIGIN_MODES
    if rule.verifier_info and over_dc_api and DcApiProtocol.ISO_MDOC in procedure.dc_api:
        raise NotAllowed(f"{profile.name}: org-iso-mdoc carries no registration certificate")
    policy = procedure.policy
    for allowed, relaxation in (
        (policy.allow_anchor_in_chain, Relaxation.ANCHOR_IN_X5C),
        (policy.allow_legacy_typ, Relaxation.VC_SD_JWT_TYP),
    ):
        if allowed and relaxation not in profile.relaxations:
            raise NotAllowed(f"{profile.name}: does not relax {relaxation}")


def formats_under(profile: Profile | None, wanted: SupportedFormats = ALL_FORMATS) -> SupportedFormats:
    """What a question announces: the formats and algorithms that are wanted, as far as the preset knows them."""
    if profile is None:
        return wanted
    jose = profile.presentations.signature_algs | (
        {"Ed25519"} if "EdDSA" in profile.presentations.signature_algs else set()
    )
    cose = frozenset(number for name in profile.presentations.signature_algs for number in _COSE_OF_JOSE[name])
    sd_jwt, mdoc = wanted.sd_jwt, wanted.mdoc
    return SupportedFormats(
        sd_jwt=None
        if sd_jwt is None
        else SdJwtAlgorithms(_known(sd_jwt.issuer, jose), _known(sd_jwt.key_binding, jose)),
        mdoc=None if mdoc is None else MdocAlgorithms(_listed(mdoc.issuer_auth, cose), _listed(mdoc.device_auth, cose)),
    )


def _known(names: tuple[str, ...] | None, allowed: Collection[str]) -> tuple[str, ...]:
    default = ALL_FORMATS.sd_jwt.issuer if ALL_FORMATS.sd_jwt is not None else None
    return tuple(name for name in names or default or () if name in allowed)


def _listed(numbers: tuple[int, ...] | None, allowed: Collection[int]) -> tuple[int, ...]:
    default = ALL_FORMATS.mdoc.issuer_auth if ALL_FORMATS.mdoc is not None else None
    return tuple(number for number in numbers or default or () if number in allowed)


def encs_under(rule: PresentationRule | None) -> tuple[str, ...]:
    """The content encryptions that a question offers."""
    return GCM_ENCS if rule is None else rule.encryption_encs


def sends_chain(rule: PresentationRule | None) -> bool:
    """Whether the certificates above the access certificate travel with a question."""
    return rule is None or rule.request_chain is RequestChain.FULL
