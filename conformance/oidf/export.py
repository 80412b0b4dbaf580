"""Plan configurations of the Foundation's suite for any target that our settings describe (its own plans' members)."""

import base64
from collections.abc import Mapping, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from conformance.identity import SuiteIdentity
from conformance.settings import Settings, SettingsWrong
from specs.encoding import base64url
from specs.encoding.strict_json import JsonObject, JsonValue
from specs.keys.jose import jwk_from_public_key, thumbprint
from specs.keys.signer import FileSigner, SigningIdentity, generate_private_key

_CALLBACK = "https://*/test/a/*/callback*iss=*"
_WAIT = 10  # seconds


def plan_configurations(settings: Settings, identity: SuiteIdentity) -> Mapping[str, JsonObject]:
    """Configurations by file name: one for each credential of an issuer, one for a verifier, two for a wallet.

    Raises:
        SettingsWrong: the settings name no target, or not what a plan needs.
    """
    if settings.issuer is not None:
        return _issuer(settings, identity)
    if settings.verifier is not None:
        return {"verifier.json": _verifier(settings, identity)}
    if settings.wallet is not None:
        return {"wallet-vp.json": _wallet_vp(settings, identity), "wallet-vci.json": _wallet_vci(settings, identity)}
    raise SettingsWrong("name a target: issuer, verifier or wallet")


def _issuer(settings: Settings, identity: SuiteIdentity) -> Mapping[str, JsonObject]:
    if not settings.configurations:
        raise SettingsWrong("configurations: name the credential configurations to ask for, by format")
    provider = _keys(_private(identity.provider.identity))
    anchors = {
        "trust_anchor_pem": _pem(settings, settings.credential_roots, "credential_roots"),
        "status_list_trust_anchor_pem": _pem(settings, settings.status_roots, "status_roots"),
    }
    found: dict[str, JsonObject] = {}
    for form, name in settings.configurations.items():
        vci: JsonObject = {
            "credential_issuer_url": settings.issuer,
            "credential_configuration_id": name,
            "credential_proof_type_hint": "jwt",
        }
        if settings.tx_code is not None:
            vci["static_tx_code"] = settings.tx_code
        found[f"issuer-{form.replace('+', '-')}.json"] = {
            "alias": f"conformance-issuer-{form.replace('+', '-')}",
            "description": f"{settings.issuer}, {name}",
            "vci": vci,
            "client": {"client_id": identity.client_id, "jwks": _keys(_fresh())},
            "client2": {"client_id": f"{identity.client_id}-2", "jwks": _keys(_fresh())},
            "client_attestation": {
                "issuer": "https://wallet.example",
                "attester_jwks": provider,
                "key_attestation_jwks": provider,
            },
            "credential": dict(anchors),
            "browser": _browser(settings),
        }
    return found


def _browser(settings: Settings) -> JsonValue:
    """What the suite's own browser does at the login: fill in, press the first button that the settings name, agree."""
    login = settings.login
    if login is None:
        return []
    agree, log_in = login.agree[0], login.agree[-1]
    fill: list[JsonValue] = [
        ["text", "id", "username", login.username],
        ["text", "id", "password", login.password],
        ["click", "id", log_in],
    ]
    tasks: list[JsonValue] = [
        {"task": "log in", "match": "*", "optional": True, "commands": fill},
        {"task": "agree", "match": "*", "optional": True, "commands": [["click", "id", agree]]},
        {"task": "return", "match": _CALLBACK, "commands": [["wait", "id", "submission_complete", _WAIT]]},
    ]
    return [{"match": f"{settings.issuer}*", "tasks": tasks}]


def _verifier(settings: Settings, identity: SuiteIdentity) -> JsonObject:
    client: JsonObject = {}
    if settings.request_roots is not None:
        client["request_object_trust_anchor_pem"] = _pem(settings, settings.request_roots, "request_roots")
    return {
        "alias": "conformance-verifier",
        "description": settings.verifier,
        "client": client,
        "credential": {"signing_jwk": _private(identity.issuer.identity)},
        "waitTimeoutSeconds": 5,
    }


def _wallet_vp(settings: Settings, identity: SuiteIdentity) -> JsonObject:
    credential = settings.wallet_credential
    claims: list[JsonValue] = [{"path": [name]} for name in list(credential.claims)[:2]]
    query: JsonObject = {
        "credentials": [
            {"id": "credential", "format": "dc+sd-jwt", "meta": {"vct_values": [credential.vct]}, "claims": claims}
        ]
    }
    return {
        "alias": "conformance-wallet-vp",
        "description": settings.wallet,
        "server": {"authorization_endpoint": settings.wallet},
        "client": {"jwks": _keys(_private(identity.verifier.identity)), "dcql": query},
        "credential": {
            "trust_anchor_pem": identity.issuer.root_pem.decode(),
            "status_list_trust_anchor_pem": identity.status.root_pem.decode(),
        },
    }


def _wallet_vci(settings: Settings, identity: SuiteIdentity) -> JsonObject:
    attestation: JsonObject = {"issuer": "https://wallet.example"}
    if settings.wallet_provider_roots is not None:
        pem = _pem(settings, settings.wallet_provider_roots, "wallet_provider_roots")
        attestation |= {"trust_anchor": pem, "key_attestation_trust_anchor_pem": pem}
    return {
        "alias": "conformance-wallet-vci",
        "description": settings.wallet,
        "server": {"jwks": _keys(_fresh())},
        "client": {"client_id": identity.client_id, "redirect_uri": "https://wallet.example/callback"},
        "credential": {"signing_jwk": _private(identity.issuer.identity)},
        "client_attestation": attestation,
        "vci": {"credential_offer_endpoint": settings.offer_endpoint or "openid-credential-offer://"},
        "waitTimeoutSeconds": 10,
    }


def _pem(settings: Settings, path: object, name: str) -> str:
    content = settings.file(path)  # type: ignore[arg-type]
    if content is None:
        raise SettingsWrong(f"{name}: the Foundation's plans need it")
    first = x509.load_pem_x509_certificates(content)[0]
    return first.public_bytes(Encoding.PEM).decode()


def _private(identity: SigningIdentity) -> JsonObject:
    signer = identity.signer
    assert isinstance(signer, FileSigner)
    assert signer._ec is not None
    return _jwk(signer._ec) | {"x5c": [base64.b64encode(each).decode() for each in identity.chain]}


def _fresh() -> JsonObject:
    key = generate_private_key()
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return _jwk(key)


def _jwk(key: ec.EllipticCurvePrivateKey) -> JsonObject:
    public = jwk_from_public_key(key.public_key())
    secret = base64url.encode(key.private_numbers().private_value.to_bytes(32, "big"))
    return {**public, "d": secret, "alg": "ES256", "use": "sig", "kid": thumbprint(public)}


def _keys(*keys: JsonObject) -> JsonObject:
    listed: Sequence[JsonValue] = keys
    return {"keys": list(listed)}
