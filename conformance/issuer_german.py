"""Checks of an issuer by the German profile: what its wallet needs beside HAIP (ETSI TS 119 472-3, TS 119 475).

What an official text says must be so; what is known from reports about the wallet's builds alone is advice.
"""

import time
from collections.abc import Callable, Iterator

from conformance.check import GERMAN, Failed, NotApplicable, Registry
from conformance.exchange import Answer
from conformance.issuer_metadata import signed_metadata_of
from conformance.issuer_peer import Bends, Grant, IssuerPeer, members_of
from conformance.issuer_session import Session, collect, credentials_of, session
from conformance.issuer_target import IssuerTarget, shown
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import parse_x5c
from specs.keys.signer import generate_signer
from specs.protocols.oauth import new_code_verifier
from specs.trust.parsed_certificate import ParsedCertificate, parse_certificate
from specs.trust.registration import INFO_FORMAT, check_times, parse_registration, verify_registration
from specs.trust.registration_claims import Registration
from specs.trust.x509 import CertificateProfile, validate_path

GERMAN_CHECKS: Registry[IssuerTarget] = Registry()
_ONLY = frozenset((GERMAN,))
_POLICY_ID = "arf_annex_ii"
_ONCE, _LIMITED = "once_only", "limited_time"
_WAYS = frozenset({_ONCE, _LIMITED, "rotating-batch", "per-relying-party"})
_INFO_FORMATS = frozenset({INFO_FORMAT, "registrar_dataset"})
_PID_TYPES = ("urn:eudi:pid:", "eu.europa.ec.eudi.pid.")
_REUSE = "ETSI TS 119 472-3 §4.2.4.2"
_INFO = "ETSI TS 119 472-3 §4.2.3"


_Run = Callable[[IssuerTarget], str]


def _check(name: str, clause: str, *, is_advice: bool = False) -> Callable[[_Run], _Run]:
    return GERMAN_CHECKS.check(name, clause, profiles=_ONLY, is_advice=is_advice)


# how often a credential may be shown


def _policies(target: IssuerTarget) -> Iterator[tuple[str, JsonObject]]:
    """The reuse policy of each configuration."""
    for name, configuration in target.configurations.items():
        metadata = configuration.get("credential_metadata")
        policy = metadata.get("credential_reuse_policy") if isinstance(metadata, dict) else None
        if not isinstance(policy, dict):
            raise NotApplicable(f"{name} has no credential_reuse_policy")
        yield name, policy


def _options(target: IssuerTarget) -> Iterator[tuple[str, JsonObject, tuple[str, ...]]]:
    """Each option of each policy with its ways of use."""
    for name, policy in _policies(target):
        options = policy.get("options")
        for option in options if isinstance(options, list) else ():
            details = option.get("details") if isinstance(option, dict) else None
            if isinstance(option, dict) and isinstance(details, list):
                yield name, option, tuple(str(each) for each in details)


@_check("de-reuse-policy", f"{_REUSE}; ARF ISSU_38")
def reuse_policy(target: IssuerTarget) -> str:
    """Each configuration says in its credential_metadata how often a credential may be shown."""
    for name, configuration in target.configurations.items():
        metadata = configuration.get("credential_metadata")
        policy = metadata.get("credential_reuse_policy") if isinstance(metadata, dict) else None
        if not isinstance(policy, dict):
            raise Failed(f"credential_metadata.credential_reuse_policy at {name}", shown(policy))
    return f"{len(target.configurations)} policies"


@_check("de-reuse-policy-form", f"{_REUSE}; ARF Annex II")
def reuse_policy_form(target: IssuerTarget) -> str:
    """A reuse policy has its id, without which wallets ignore it, and options with ways of use that there are."""
    seen = 0
    for name, policy in _policies(target):
        if policy.get("id") != _POLICY_ID:
            raise Failed(f"id {_POLICY_ID} at {name}", shown(policy.get("id")))
        options = policy.get("options")
        if not isinstance(options, list) or not options:
            raise Failed(f"options at {name}, a list that is not empty", shown(options))
        for option in options:
            details = option.get("details") if isinstance(option, dict) else None
            if not isinstance(details, list) or not details or not {str(each) for each in details} <= _WAYS:
                raise Failed(f"details at {name} out of {', '.join(sorted(_WAYS))}", shown(details))
            seen += 1
    return f"{seen} options"


@_check("de-reuse-one-way", f"{_REUSE}; ARF ISSU_40")
def reuse_one_way(target: IssuerTarget) -> str:
    """A credential is used either once or for a limited time, never both."""
    ways: dict[str, set[str]] = {}
    for name, _, details in _options(target):
        ways.setdefault(name, set()).update({_ONCE, _LIMITED} & set(details))
    for name, found in ways.items():
        if len(found) != 1:
            raise Failed(f"exactly one of {_ONCE} and {_LIMITED} at {name}", ", ".join(sorted(found)) or "neither")
    return ", ".join(sorted({way for found in ways.values() for way in found}))


@_check("de-reuse-once-only", _REUSE)
def reuse_once_only(target: IssuerTarget) -> str:
    """Who issues for single use says how many copies, and at how many left to renew; as many can be asked for."""
    seen = 0
    batch = target.metadata.get("batch_credential_issuance")
    most = batch.get("batch_size") if isinstance(batch, dict) else None
    for name, option, details in _options(target):
        if _ONCE not in details:
            continue
        seen += 1
        size, left = option.get("batch_size"), option.get("reissue_trigger_unused")
        if not _is_count(size) or int(str(size)) < 2:
            raise Failed(f"batch_size of 2 or more at {name}", shown(size))
        if not _is_count(left) or int(str(left)) >= int(str(size)):
            raise Failed(f"reissue_trigger_unused below {size} at {name}", shown(left))
        if not _is_count(most) or int(str(most)) < int(str(size)):
            raise Failed(f"batch_credential_issuance of {size} or more", shown(most))
    if not seen:
        raise NotApplicable("nothing is issued for single use")
    return f"{seen} options"


@_check("de-reuse-limited-time", _REUSE)
def reuse_limited_time(target: IssuerTarget) -> str:
    """Who issues for a limited time says how many seconds before its end to renew."""
    seen = 0
    for name, option, details in _options(target):
        if _LIMITED not in details:
            continue
        seen += 1
        left = option.get("reissue_trigger_lifetime_left")
        if not _is_count(left):
            raise Failed(f"reissue_trigger_lifetime_left at {name}, seconds", shown(left))
    if not seen:
        raise NotApplicable("nothing is issued for a limited time")
    return f"{seen} options"


def _is_count(value: JsonValue) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


@_check("de-copies", f"{_REUSE}; OpenID4VCI 1.0 §8.3")
def copies(target: IssuerTarget) -> str:
    """Of a credential for a limited time there is one copy, however many keys are shown."""
    single = {name for name, option, details in _options(target) if _LIMITED in details and _size(option) == 1}
    name = target.first_configuration
    if name not in single:
        raise NotApplicable(f"{name} is not issued in a single copy for a limited time")
    current = session(target, "copies", name)
    peer, grant = current.peer, current.grant
    proofs = peer.proofs(grant.configuration, [generate_signer(), generate_signer()], nonce=peer.nonce())
    answer = peer.credential(grant, peer.request(grant, proofs))
    if answer.status == 400:
        return f"refused: {answer.error}"
    issued = credentials_of(answer.json_object())
    if answer.status != 200 or len(issued) != 1:
        raise Failed("one credential, or a refusal", f"{answer.described}, {len(issued)} credentials")
    return "one for two keys"


def _size(option: JsonObject) -> int:
    size = option.get("batch_size", 1)
    return size if isinstance(size, int) else 0


# who issues


def _registrations(target: IssuerTarget) -> Iterator[str]:
    entries = target.metadata.get("issuer_info")
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("format") == INFO_FORMAT and isinstance(entry.get("data"), str):
            yield str(entry["data"])


def _registration(target: IssuerTarget) -> tuple[str, Registration]:
    token = next(_registrations(target), None)
    if token is None:
        raise NotApplicable("issuer_info holds no registration certificate")
    return token, parse_registration(token)


@_check("de-issuer-info", f"{_INFO}; ARF ISSU_32, RPRC_22")
def issuer_info(target: IssuerTarget) -> str:
    """issuer_info tells by value what the issuer is registered for: entries of format and data."""
    entries = target.metadata.get("issuer_info")
    if not isinstance(entries, list) or not entries:
        raise Failed("issuer_info, a list that is not empty", shown(entries))
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("format") not in _INFO_FORMATS or not entry.get("data"):
            raise Failed("format registration_cert or registrar_dataset, and data", shown(entry))
    return ", ".join(str(entry["format"]) for entry in entries if isinstance(entry, dict))


@_check("de-registration", "ETSI TS 119 475 §5.2; ARF RPRC_07, RPRC_17a")
def registration(target: IssuerTarget) -> str:
    """The registration certificate holds now, and is of who signs the metadata."""
    token, registered = _registration(target)
    subject = _leaf(target).names().organization_identifier
    if target.registrar_anchors:
        verify_registration(token, anchors=target.registrar_anchors, expected_subject=subject, now=int(time.time()))
        return f"{registered.subject}, by a trusted registrar"
    check_times(registered, now=int(time.time()))
    if registered.subject != subject:
        raise Failed(f"sub {subject}", registered.subject)
    return registered.subject


@_check("de-registration-types", "ETSI TS 119 475 §5.2.4; ARF RPRC_15, RPRC_23")
def registration_types(target: IssuerTarget) -> str:
    """Each type that is offered is registered: without that nothing is collected."""
    _, registered = _registration(target)
    known = {(entry.format, name) for entry in registered.provides for name in entry.types}
    for name, configuration in target.configurations.items():
        form, kind = str(configuration.get("format")), _type(configuration)
        if (form, kind) not in known:
            raise Failed(f"{kind} in provides_attestations, for {name}", shown(sorted(each for _, each in known)))
    return f"{len(target.configurations)} types"


def _type(configuration: JsonObject) -> str:
    return str(configuration.get("vct") or configuration.get("doctype"))


def _is_city_type(configuration: JsonObject) -> bool:
    return not _type(configuration).startswith(_PID_TYPES)


def _city_types(target: IssuerTarget) -> dict[str, JsonObject]:
    found = {name: each for name, each in target.configurations.items() if _is_city_type(each)}
    if not found:
        raise NotApplicable("nothing but PIDs is offered")
    return found


# signed metadata


def _leaf(target: IssuerTarget) -> ParsedCertificate:
    return parse_certificate(parse_x5c(signed_metadata_of(target).header)[0])


@_check("de-access-certificate", "HAIP 1.0 §4.1; ETSI TS 119 411-8; ARF RPRC_17a")
def access_certificate(target: IssuerTarget) -> str:
    """The metadata are signed by an access certificate with an identifier, to a trusted root that is not in x5c."""
    chain = parse_x5c(signed_metadata_of(target).header)
    leaf, last = parse_certificate(chain[0]), parse_certificate(chain[-1])
    if last.issuer == last.subject:
        raise Failed("no self-signed certificate in x5c", "one at its end")
    names = leaf.names()
    if not (names.dns_names or names.uris or names.emails):
        raise Failed("a URI, host or e-mail address as alternative name", "none")
    if names.organization_identifier is None:
        raise Failed("organizationIdentifier in the subject", "none")
    if target.metadata_anchors:
        validate_path(chain, anchors=target.metadata_anchors, profile=CertificateProfile.ACCESS, now=int(time.time()))
        return f"{names.organization_identifier}, to a trusted root"
    return names.organization_identifier


@_check("de-signed-metadata-same", "OpenID4VCI 1.0 §12.2.3")
def signed_metadata_same(target: IssuerTarget) -> str:
    """What is signed says the same as what is not."""
    claims = signed_metadata_of(target).claims()
    names = [name for name, value in target.metadata.items() if claims.get(name, value) != value]
    if names:
        raise Failed("the same values", f"another {', '.join(names)}")
    return f"{len(target.metadata)} members"


# what the wallet of this profile can do with it


@_check("de-key-attestation", "HAIP 1.0 §4.5.1; German profile: issuance")
def key_attestation(target: IssuerTarget) -> str:
    """City types take a jwt proof by ES256, and demand no attested keys: the wallet attests PIDs' keys alone."""
    for name, configuration in _city_types(target).items():
        proofs = configuration.get("proof_types_supported")
        if proofs is None:
            continue
        jwt = proofs.get("jwt") if isinstance(proofs, dict) else None
        algs = jwt.get("proof_signing_alg_values_supported") if isinstance(jwt, dict) else None
        if not isinstance(jwt, dict) or not isinstance(algs, list) or "ES256" not in algs:
            raise Failed(f"proof type jwt with ES256 at {name}", shown(proofs))
        if "key_attestations_required" in jwt:
            raise Failed(f"no member key_attestations_required at {name}", shown(jwt["key_attestations_required"]))
    return f"{len(_city_types(target))} types"


@_check("de-credential-algs", "HAIP 1.0 §7; German profile: algorithms")
def credential_algs(target: IssuerTarget) -> str:
    """Credentials are signed by ES256 on P-256."""
    for name, configuration in target.configurations.items():
        known = [-7, -9] if configuration.get("format") == "mso_mdoc" else ["ES256"]
        algs = configuration.get("credential_signing_alg_values_supported")
        if algs is not None and (not isinstance(algs, list) or not any(alg in known for alg in algs)):
            raise Failed(f"{' or '.join(map(str, known))} at {name}", shown(algs))
    return "ES256"


@_check("de-encryption-optional", "OpenID4VCI 1.0 §10; German profile: encryption")
def encryption_optional(target: IssuerTarget) -> str:
    """Encryption is offered with A256GCM if at all, and never demanded."""
    seen = []
    for name in ("credential_request_encryption", "credential_response_encryption"):
        offered = target.metadata.get(name)
        if not isinstance(offered, dict):
            continue
        encs = offered.get("enc_values_supported")
        if offered.get("encryption_required") is True:
            raise Failed(f"{name} without encryption_required", "true")
        if not isinstance(encs, list) or "A256GCM" not in encs:
            raise Failed(f"A256GCM in {name}", shown(encs))
        seen.append(name)
    return ", ".join(seen) or "not offered"


@_check("de-configuration-ids", "German profile: issuance", is_advice=True)
def configuration_ids(target: IssuerTarget) -> str:
    """No city type is called like a PID: some builds take it for one and stop."""
    for name in _city_types(target):
        if name.startswith(_PID_TYPES) or name in ("pid-sd-jwt", "pid-mso-mdoc"):
            raise Failed("an id of its own", name)
    return "of their own"


@_check("de-no-deferral", "German profile: issuance", is_advice=True)
def no_deferral(target: IssuerTarget) -> str:
    """Nothing is issued later: builds of the wallet never ask again."""
    if "deferred_credential_endpoint" in target.metadata:
        raise Failed("no deferred_credential_endpoint", "one")
    return "none"


@_check("de-no-mtls-aliases", "RFC 8705 §5; German profile: issuance", is_advice=True)
def no_mtls_aliases(target: IssuerTarget) -> str:
    """The server's metadata hold no mtls_endpoint_aliases: builds of the wallet can't read incomplete ones."""
    if "mtls_endpoint_aliases" in target.server:
        raise Failed("no mtls_endpoint_aliases", "some")
    return "none"


@_check("de-token-type", "RFC 9449 §5; German profile: issuance", is_advice=True)
def token_type(target: IssuerTarget) -> str:
    """token_type is spelt DPoP, which builds of the wallet compare letter by letter."""
    said = _current(target).grant.answer.get("token_type")
    if said != "DPoP":
        raise Failed("DPoP", shown(said))
    return "DPoP"


def _current(target: IssuerTarget) -> Session:
    return session(target, "requests")


@_check("de-configuration-id-accepted", "OpenID4VCI 1.0 §8.2; German profile: issuance", is_advice=True)
def configuration_id_accepted(target: IssuerTarget) -> str:
    """A credential is given by its configuration, even where identifiers came with the token."""
    if not target.supports("authorization_details_types_supported", "openid_credential"):
        raise NotApplicable("the authorization server takes no authorization_details")
    peer, name = IssuerPeer(target), target.first_configuration
    asked = f'[{{"type":"openid_credential","credential_configuration_id":"{name}"}}]'
    answer = peer.token(peer.code_form(name, authorization_details=asked, scope=""))
    if answer.status != 200:
        raise NotApplicable(f"the token was refused: {answer.described}")
    grant = Grant(name, answer.json_object())
    if grant.identifier is None:
        raise NotApplicable("no identifiers came with the token")
    proofs = peer.proofs(name, [generate_signer()], nonce=peer.nonce())
    return _good(peer.credential(grant, {"credential_configuration_id": name, "proofs": proofs}))


def _good(answer: Answer) -> str:
    if not answer.is_good:
        raise Failed("2xx", answer.described)
    return answer.described


@_check("de-state-repeated", "RFC 9126 §4; German profile: issuance", is_advice=True)
def state_repeated(target: IssuerTarget) -> str:
    """The pushed state is repeated beside the request_uri by the wallet, and does no harm."""
    peer = IssuerPeer(target)
    peer.needs_login()
    state = "a-state-that-the-wallet-repeats"
    form = peer.authorization_form(
        new_code_verifier(), configuration=target.first_configuration, state=state, issuer_state=None
    )
    pushed = peer.push(form)
    if pushed.status != 201:
        raise NotApplicable(f"the pushed request was refused: {pushed.described}")
    uri = str(pushed.json_object().get("request_uri"))
    arrived = peer.visit({"client_id": peer.client_id, "request_uri": uri, "state": state})
    if "code" not in members_of(arrived.url or ""):
        raise Failed("a code", arrived.described)
    return "a code"


@_check("de-notification-bearer", "OpenID4VCI 1.0 §11.1; German profile: issuance", is_advice=True)
def notification_bearer(target: IssuerTarget) -> str:
    """A notification by Bearer without proof, as some builds send it, is taken."""
    target.endpoint(target.metadata, "notification_endpoint")
    current = session(target, "notification")
    told = collect(current).body.get("notification_id")
    if not isinstance(told, str):
        raise NotApplicable("no notification_id came with the credential")
    body: JsonObject = {"notification_id": told, "event": "credential_accepted"}
    answer = current.peer.credential(
        current.grant, body, Bends(dpop_headers=lambda _proof: ()), endpoint="notification_endpoint", scheme="Bearer"
    )
    return _good(answer)
